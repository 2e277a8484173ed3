"""A Ray cluster of real processes, `ray start` each, on this machine: hosts come and are killed."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time

RAY = os.path.join(os.path.dirname(sys.executable), 'ray')


class Cluster:
    """A head without cores of its own, and as many hosts as are added.

    Attributes:
      address: by which it is joined.
      environment: what a process needs in its environment to join it.
    """

    def __init__(self, folder: str):
        self._folder = folder
        with socket.socket() as found:
            found.bind(('127.0.0.1', 0))
            port = found.getsockname()[1]
        self.address = f'127.0.0.1:{port}'
        self._hosts: list[subprocess.Popen] = []
        # Whoever would join shows this token, which no one else knows.
        self.environment = {'RAY_AUTH_MODE': 'token', 'RAY_AUTH_TOKEN': secrets.token_hex(32)}
        self._start('--head', '--node-ip-address', '127.0.0.1', '--port', str(port),
                    '--num-cpus', '0', '--include-dashboard', 'false')
        self._until(lambda: self._answers(port) and not self.hosts(), 'the head of the cluster')

    def add(self, cores: int) -> None:
        """One host more."""
        before = self.hosts()
        self._start('--address', self.address, '--num-cpus', str(cores))
        self._until(lambda: self.hosts() > before, 'a host of the cluster')

    def kill(self, number: int) -> None:
        """The power is cut: all processes of a host are gone at once; the head is number 0."""
        for pid, _ in self._processes(number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._hosts[number].wait()

    def works(self, number: int) -> bool:
        """Whether a process of the bulk work runs on a host."""
        return any(words.startswith('ray::MapWorker') for _, words in self._processes(number))

    def _processes(self, number: int) -> list[tuple[int, str]]:
        """Those of a host's session: their numbers, and what they are."""
        found = subprocess.run(['ps', '-eo', 'sid,pid,args'], capture_output=True, text=True)
        lines = (line.split(None, 2) for line in found.stdout.splitlines()[1:])
        return [(int(pid), words) for session, pid, words in lines
                if int(session) == self._hosts[number].pid]

    def hosts(self) -> int:
        """How many have cores and are alive, by the head's own word."""
        done = subprocess.run(
            [sys.executable, '-c', 'import sys\nfrom ray._raylet import GcsClient\n'
             'nodes = GcsClient(address=sys.argv[1]).get_all_node_info().values()\n'
             'print(sum(node.state == 0 for node in nodes) - 1)', self.address],
            capture_output=True, text=True, env={**os.environ, **self.environment})
        assert not done.returncode, done.stderr
        return int(done.stdout)

    def __enter__(self) -> 'Cluster':
        return self

    def __exit__(self, *_) -> None:
        for number, host in enumerate(self._hosts):
            if host.poll() is None:
                self.kill(number)

    def _start(self, *arguments: str) -> None:
        # In a session of its own, so that all that a host starts can be killed with it.
        self._hosts.append(subprocess.Popen(
            [RAY, 'start', '--block', '--disable-usage-stats', *arguments],
            stdout=open(os.path.join(self._folder, f'host-{len(self._hosts)}.log'), 'wb'),
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **self.environment}))

    def _until(self, ready, what: str) -> None:
        for _ in range(120):
            if ready():
                return
            assert self._hosts[-1].poll() is None, f'{what} ended'
            time.sleep(0.5)
        raise AssertionError(f'{what} did not start within a minute')

    @staticmethod
    def _answers(port: int) -> bool:
        with socket.socket() as tried:
            return not tried.connect_ex(('127.0.0.1', port))
