"""A Ray cluster on this machine, of real processes (`ray start`) that can be added and killed."""

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
    """A head node without cores, and any number of hosts.

    Attributes:
      address: the address to connect to.
      environment: the environment variables that a process needs to connect.
    """

    def __init__(self, folder: str):
        self._folder = folder
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        self.address = f'127.0.0.1:{port}'
        self._hosts: list[subprocess.Popen] = []
        # Only processes with this token may connect.
        self.environment = {'RAY_AUTH_MODE': 'token', 'RAY_AUTH_TOKEN': secrets.token_hex(32)}
        self._start('--head', '--node-ip-address', '127.0.0.1', '--port', str(port),
                    '--num-cpus', '0', '--include-dashboard', 'false')
        self._wait_until(lambda: self._is_listening(port) and not self.hosts(),
                         'the head of the cluster')

    def add_host(self, cores: int) -> None:
        """Adds a host."""
        before = self.hosts()
        self._start('--address', self.address, '--num-cpus', str(cores))
        self._wait_until(lambda: self.hosts() > before, 'a host of the cluster')

    def kill_host(self, number: int) -> None:
        """Kills all processes of a host at once; the head is number 0."""
        for pid, _ in self._processes(number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._hosts[number].wait()

    def is_working(self, number: int) -> bool:
        """Whether a worker of the bulk run is on a host."""
        return any(command.startswith('ray::MapWorker') for _, command in self._processes(number))

    def _processes(self, number: int) -> list[tuple[int, str]]:
        """The processes of a host: process IDs and commands."""
        listing = subprocess.run(['ps', '-eo', 'sid,pid,args'], capture_output=True, text=True)
        lines = (line.split(None, 2) for line in listing.stdout.splitlines()[1:])
        return [(int(pid), command) for session, pid, command in lines
                if int(session) == self._hosts[number].pid]

    def hosts(self) -> int:
        """The number of live hosts, without the head, as the head reports it."""
        process = subprocess.run(
            [sys.executable, '-c', 'import sys\nfrom ray._raylet import GcsClient\n'
             'nodes = GcsClient(address=sys.argv[1]).get_all_node_info().values()\n'
             'print(sum(node.state == 0 for node in nodes) - 1)', self.address],
            capture_output=True, text=True, env={**os.environ, **self.environment})
        assert not process.returncode, process.stderr
        return int(process.stdout)

    def __enter__(self) -> 'Cluster':
        return self

    def __exit__(self, *_) -> None:
        for number, host in enumerate(self._hosts):
            if host.poll() is None:
                self.kill_host(number)

    def _start(self, *arguments: str) -> None:
        # In its own session, so that all processes of a host can be killed together.
        self._hosts.append(subprocess.Popen(
            [RAY, 'start', '--block', '--disable-usage-stats', *arguments],
            stdout=open(os.path.join(self._folder, f'host-{len(self._hosts)}.log'), 'wb'),
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **self.environment}))

    def _wait_until(self, ready, what: str) -> None:
        for _ in range(120):
            if ready():
                return
            assert self._hosts[-1].poll() is None, f'{what} ended'
            time.sleep(0.5)
        raise AssertionError(f'{what} did not start within a minute')

    @staticmethod
    def _is_listening(port: int) -> bool:
        with socket.socket() as connection:
            return not connection.connect_ex(('127.0.0.1', port))
