"""The command line, as processes: what it prints, its exit codes, and no noise beside them."""

import json
import os
import subprocess
import sys

import fork_server
from helpers import GOLDEN
import pytest

FIRST_RELEASE = os.path.join(GOLDEN, 'checkpoints', 'first_release', 'model.ckpt-157585')
GAMMA = os.path.join(GOLDEN, 'checkpoints', 'gamma', 'model.ckpt-157585')


def test_inspect():
    """From the start, as a user's: without TensorFlow's own lines."""
    environment = {key: value for key, value in os.environ.items() if key != 'TF_CPP_MIN_LOG_LEVEL'}
    done = subprocess.run([sys.executable, '-m', 'inception_slim', 'inspect', FIRST_RELEASE],
                          text=True, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, '')
    for line in ('  network            Inception V3\n',
                 '  written as         V1 checkpoint at step 157585\n',
                 '  names              first release (March 2016)\n',
                 '  moving averages    yes\n'):
        assert line in done.stdout
    assert len(done.stdout.splitlines()) <= 30


@pytest.mark.parametrize('path', [FIRST_RELEASE, GAMMA])
def test_the_lines_that_inspect_prints_load_the_checkpoint(path):
    lines = fork_server.command('inspect', path).stdout.split('To load it:\n')[1]
    code = '\n'.join(line[4:] for line in lines.splitlines())
    done = fork_server.python(code + '\n    print(logits.shape)')
    assert done.returncode == 0, done.stderr
    assert done.stdout == '(None, 11)\n' or done.stdout == '(?, 11)\n'


def test_inspect_json():
    done = fork_server.command('inspect', GAMMA, '--json')
    assert (done.returncode, done.stderr) == (0, '')
    found = json.loads(done.stdout)
    assert found['has_gammas'] is True and found['num_classes'] == 11
    assert found['depth_multiplier'] == 0.05


def test_convert(tmp_path):
    done = fork_server.command('convert', FIRST_RELEASE, tmp_path / 'new', '--ema')
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == f'Wrote {tmp_path}/new: Inception V3, 63,069 parameters\n'
    again = fork_server.command('convert', FIRST_RELEASE, tmp_path / 'new')
    assert (again.returncode, again.stdout) == (1, '')
    assert again.stderr == (f'inception-slim: {tmp_path}/new exists; give another name, or '
                            'overwrite it.\n')
    assert (
        fork_server.command('convert', FIRST_RELEASE, tmp_path / 'new', '--overwrite').returncode
        == 0
    )


@pytest.mark.parametrize('arguments, code', [
    ([], 2), (['nothing'], 2), (['inspect'], 2), (['convert', 'one'], 2),
    (['inspect', 'no/such/file'], 1), (['inspect', __file__], 1)])
def test_refuses(arguments, code):
    done = fork_server.command(*arguments)
    assert done.returncode == code and done.stdout == ''
    assert done.stderr and 'Traceback' not in done.stderr
    assert code == 2 or len(done.stderr.splitlines()) == 1
