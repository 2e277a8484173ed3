"""Launching of workers on this machine."""

import json
import os
import sys

from inception_slim.training import launch
from inception_slim.training.local_launcher import free_ports, partition_cores
from inception_slim.training.worker_monitor import EXIT_STUCK
import pytest


def test_each_worker_gets_its_config_and_cores(tmp_path):
    code = (
        'import json, os\n'
        'config = json.loads(os.environ["TF_CONFIG"])\n'
        f'path = os.path.join({str(tmp_path)!r}, str(config["task"]["index"]))\n'
        'with open(path, "w") as file:\n'
        '    json.dump([config["cluster"]["worker"], sorted(os.sched_getaffinity(0))], file)\n')
    assert launch([sys.executable, '-c', code], 2) == 0
    (addresses, cores), (other_addresses, other_cores) = (
        json.loads((tmp_path / str(index)).read_text()) for index in range(2))
    assert addresses == other_addresses and len(set(addresses)) == 2
    if len(os.sched_getaffinity(0)) > 1:
        assert not set(cores) & set(other_cores)


def test_prefixes_the_output_of_other_workers(capfd):
    code = ('import json, os\n'
            'print("line of", json.loads(os.environ["TF_CONFIG"])["task"]["index"])')
    assert launch([sys.executable, '-c', code], 2) == 0
    printed = capfd.readouterr()
    assert printed.out == 'line of 0\n' and printed.err == 'worker 1: line of 1\n'


def test_returns_the_first_failure():
    code = ('import json, os, sys\n'
            'sys.exit(3 * json.loads(os.environ["TF_CONFIG"])["task"]["index"])')
    assert launch([sys.executable, '-c', code], 2) == 3


@pytest.mark.parametrize('end, message', [
    ('os.kill(os.getpid(), 9)', 'worker 0 was killed by SIGKILL; restarting it'),
    (f'os._exit({EXIT_STUCK})', 'worker 0 ended itself; restarting it')])
def test_restarts_a_lost_worker(tmp_path, end, message):
    """The second process finds the file of the first one, and ends normally."""
    code = (f'import os\n'
            f'path = {str(tmp_path / "again")!r}\n'
            f'if not os.path.exists(path):\n'
            f'    open(path, "w").close()\n'
            f'    {end}')
    lines = []
    assert launch([sys.executable, '-c', code], 1, restart=True, log=lines.append) == 0
    assert lines == [message]


def test_does_not_restart_by_default():
    assert launch([sys.executable, '-c', f'import os; os._exit({EXIT_STUCK})'], 1) == EXIT_STUCK


def test_partitions_the_cores():
    cores = os.sched_getaffinity(0)
    parts = partition_cores(len(cores))
    assert [len(part) for part in parts] == [1] * len(cores)
    assert set().union(*parts) == cores
    assert partition_cores(len(cores) + 1) == []


def test_free_ports_are_distinct():
    assert len(set(free_ports(20))) == 20
