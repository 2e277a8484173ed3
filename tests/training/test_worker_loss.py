"""Workers that are killed or stop responding: the survivors end in bounded time.

`make test-faults` has more of this, with larger clusters.
"""

import os
import random
import signal
import subprocess
import threading
import time

import fork_server
from inception_slim import checkpoint
from inception_slim.training.distributed import WorkerGroup
from inception_slim.training.worker_monitor import EXIT_STUCK, WorkerMonitor
import pytest
from worker_processes import read_to_step, start_cluster, train_command

LIMIT = 60  # seconds


@pytest.mark.slow
def test_chief_saves_when_a_worker_is_killed(dataset, tmp_path):
    folder = tmp_path / 'train'
    arguments = train_command(dataset, folder, '--steps', '100000', '--worker-timeout', '5')
    with start_cluster(arguments) as (chief, worker):
        read_to_step(chief, 3)
        worker.kill()
        _, errors = chief.communicate(timeout=LIMIT)
    assert chief.returncode == 1, errors
    assert len(errors.splitlines()) == 1 and errors.startswith('inception-slim: Worker 1 (')
    assert 'has exited or was killed; training stopped after step' in errors
    assert checkpoint.read(folder)[0].global_step >= 3


def kill_chief(dataset, folder, rng):
    """Kills the chief at a random moment; the worker must end within a minute."""
    arguments = train_command(dataset, folder, '--steps', '100000', '--worker-timeout', '5',
                              '--save-minutes', '0.02')
    with start_cluster(arguments) as (chief, worker):
        read_to_step(chief, 1 if not os.path.exists(folder / 'checkpoint')
                     else checkpoint.inspect(folder).global_step + 1)
        time.sleep(rng.uniform(0, 2))
        chief.kill()
        start = time.monotonic()
        try:
            _, errors = worker.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'the worker is still there after {LIMIT} seconds') from None
    assert worker.returncode in (1, EXIT_STUCK), errors
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith('inception-slim: The chief ('), errors
    return worker.returncode, time.monotonic() - start


@pytest.mark.slow
def test_worker_ends_when_the_chief_is_killed(dataset, tmp_path):
    kill_chief(dataset, tmp_path / 'train', random.Random())


@pytest.mark.slow
def test_worker_always_ends_when_the_chief_is_killed(dataset, tmp_path):
    """Twenty times, in one folder, from which each run resumes."""
    rng = random.Random(0)
    results = [kill_chief(dataset, tmp_path / 'train', rng) for _ in range(20)]
    print(*(f'status {code} after {seconds:.0f} s' for code, seconds in results), sep='\n')


@pytest.mark.slow
def test_process_ends_itself_if_tensorflow_hangs():
    """Neither closing the session nor the step returns, as sometimes in TensorFlow's runtime."""
    code = """
        import threading
        from inception_slim.training import worker_monitor

        class HangingSession:
            def close(self):
                threading.Event().wait()

        worker_monitor._GRACE = 1.0
        monitor = worker_monitor.WorkerMonitor(['127.0.0.1:1', '127.0.0.1:2'], 1, timeout=5.0)
        monitor.start()
        print('before the step')
        with monitor.close_on_loss(HangingSession()):
            threading.Event().wait()
    """
    result = fork_server.python(code)
    assert (result.returncode, result.stdout) == (EXIT_STUCK, 'before the step\n'), result.stderr
    assert result.stderr.startswith(
        'inception-slim: The chief (127.0.0.1:1) has exited or was killed, and TensorFlow does not '
        'return')
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_process_does_not_end_itself_while_it_saves_or_after_it_stopped():
    code = """
        import threading
        from inception_slim.training import worker_monitor

        class Session:
            def close(self):
                closed.set()

        closed = threading.Event()
        worker_monitor._GRACE = 1.0
        monitor = worker_monitor.WorkerMonitor(['127.0.0.1:1', '127.0.0.1:2'], 1, timeout=5.0)
        monitor.start()
        with monitor.close_on_loss(Session()):
            closed.wait()
        with monitor.exit_suspended():
            assert not threading.Event().wait(2.5)  # longer than the grace period
        monitor.stop()
        assert not threading.Event().wait(2.5)
        print(monitor.wait_for_failure())
    """
    result = fork_server.python(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "(0, 'has exited or was killed')\n"


def test_end_of_a_run_does_not_wait_for_a_worker_that_exits(monkeypatch):
    """Although TensorFlow would; and the process does not end itself afterwards."""
    group = WorkerGroup()
    group._monitor = monitor = WorkerMonitor(['127.0.0.1:1', '127.0.0.1:2'], 0, timeout=5.0)
    monkeypatch.setattr(group, '_reach_all', threading.Event().wait)
    monkeypatch.setattr('inception_slim.training.worker_monitor._GRACE', 1.0)
    threading.Timer(0.3, monitor._report_loss, (1, 'has exited or was killed')).start()
    group.barrier()
    assert monitor.lost is not None
    time.sleep(1.5)


def test_close_on_loss_closes_a_session_that_is_opened_later():
    class Session:
        closed = False

        def close(self):
            self.closed = True

    monitor = WorkerMonitor(['127.0.0.1:1', '127.0.0.1:2'], 1, timeout=5.0)
    monitor.lost = 0, 'was restarted'
    session = Session()
    with monitor.close_on_loss(session):
        assert session.closed


@pytest.mark.slow
def test_stopped_worker_is_noticed(dataset, tmp_path):
    """SIGSTOP breaks no connection, so only the monitor notices it."""
    arguments = train_command(dataset, tmp_path / 'train', '--steps', '100000',
                              '--worker-timeout', '5')
    with start_cluster(arguments) as (chief, worker):
        read_to_step(chief, 2)
        worker.send_signal(signal.SIGSTOP)
        _, errors = chief.communicate(timeout=LIMIT)
    assert chief.returncode == 1, errors
    assert 'did not respond for' in errors and len(errors.splitlines()) == 1, errors
