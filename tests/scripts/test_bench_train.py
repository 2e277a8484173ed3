"""The benchmark of training: order of steps, failing workers, and equal networks."""

import re
import sys

import fork_server
from inception_slim import training
import pytest
import tensorflow.compat.v1 as tf

from scripts.benchmarks import train

# A worker that logs its steps; their durations are made up, so that the ratios are known.
WORKER = '''
import sys
sys.path.insert(0, {folder!r})
from worker_protocol import serve
name = sys.argv[1]
steps = 0
print('a line of a library')
def step():
    global steps
    steps += 1
    with open({log!r}, 'a') as file:
        file.write(name + '\\n')
    if 'fails' in name and steps == int(name.split()[-1]):
        raise ValueError('the third of its kind')
    return 0.04 if 'slow' in name else 0.02
serve({{'version': 'Engine 1.0'}}, step=step)
'''


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Replaces the contestants by a fast worker; returns the log of their steps."""
    file = tmp_path / 'log'
    worker = tmp_path / 'worker.py'
    worker.write_text(WORKER.format(folder=train.__file__.rsplit('/', 1)[0], log=str(file)))
    monkeypatch.setattr(train, 'CONTESTANTS', dict.fromkeys(
        (train.REFERENCE, 'slow', 'quick', 'fails at once 1', 'fails later 5'), str(worker)))
    return file


def test_steps_alternate_in_random_order(log, capsys):
    rows = train.measure(list(train.CONTESTANTS), 8, 6)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f'{name}: omitted, ended with status 1: ValueError: the third of its kind'
                     for name in ('fails at once 1', 'fails later 5')]
    assert [row.name for row in rows] == [train.REFERENCE, 'slow', 'quick']
    assert all(row.version == 'Engine 1.0' and len(row.durations) == len(row.reference) == 6
               for row in rows)
    assert rows[0].ratio == 1 and rows[1].ratio == 2 and rows[2].ratio == 1
    assert rows[1].quartiles[0] <= rows[1].quartiles[1]
    # An interpreter takes some MiB, and less than a GiB.
    assert all(2 < row.memory < 500 for row in rows)
    steps = log.read_text().splitlines()[5:]  # after the first step of each
    rounds = [steps[i:i + 4] for i in range(0, 12, 4)]
    assert all(len(set(names)) == 4 for names in rounds)
    assert len(set(map(tuple, rounds))) > 1
    train.print_table(rows, 8)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ['batch', '8', 'sec/step', 'images/s', 'time', 'quartiles', 'MiB']
    assert re.fullmatch(
        r'slow \(Engine 1\.0\) +0\.040 +200\.0 +2\.00 +2\.00- 2\.00 +\d+', lines[2])


def test_runs_groups_if_memory_is_short(log, monkeypatch):
    """Each group is compared with the steps of the reference in its own rounds."""
    monkeypatch.setattr(train, 'available_memory', lambda: 1.0)
    rows = train.measure([train.REFERENCE, 'slow', 'quick'], 8, 2)
    assert [len(row.durations) for row in rows] == [4, 2, 2]
    assert rows[0].durations == [*rows[1].reference, *rows[2].reference]
    steps = log.read_text().splitlines()
    assert steps.index('quick') > len(steps) - 1 - steps[::-1].index('slow')


def test_ends_if_the_reference_fails(log, monkeypatch):
    monkeypatch.setattr(train, 'REFERENCE', 'fails at once 1')
    with pytest.raises(SystemExit, match='nothing to compare with'):
        train.measure(list(train.CONTESTANTS), 8, 2)


def test_omits_what_is_not_available(monkeypatch, capsys):
    monkeypatch.setattr(train, 'has_fast_bfloat16', lambda: False)
    monkeypatch.setattr(train.importlib.util, 'find_spec', lambda name: None)
    assert train.available_contestants([train.REFERENCE, 'inception_slim bfloat16', 'Keras float32',
                                        'PyTorch float32']) == [train.REFERENCE, 'Keras float32']
    assert capsys.readouterr().out.splitlines() == [
        'inception_slim bfloat16: omitted, this processor is slower in bfloat16 than in float32',
        'PyTorch float32: omitted, torch is not installed (make bench-train-all)']


@pytest.mark.parametrize('arguments, message', [
    (['--batch-sizes', '8,x'], 'integers'), (['--batch-sizes', '0'], 'at least 1'),
    (['--only', 'JAX'], "there is no contestant 'JAX'")])
def test_rejects_bad_usage(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['train', *arguments])
    with pytest.raises(SystemExit) as exit:
        train.main()
    assert exit.value.code == 2 and message in capsys.readouterr().err


def kernel_shapes():
    """The sorted shapes of all kernels; those of dense layers as 1×1 convolutions."""
    with tf.Graph().as_default():
        training.build_step(tf.zeros((2, 299, 299, 3)), tf.zeros((2,), tf.int64), 1001)
        return sorted(tuple(variable.shape.as_list()) for variable in tf.trainable_variables()
                      if variable.op.name.endswith('/weights'))


KERAS = '''
import sys
sys.path.insert(0, {folder!r})
sys.argv = ['worker', 'Keras float32', '2']
import train_keras_worker
model = train_keras_worker.network()
shapes = [tuple(each.shape) for each in model.trainable_weights if each.name == 'kernel']
print(sorted((1, 1, *each) if len(each) == 2 else each for each in shapes), file=sys.stderr)
print(len(model.losses), file=sys.stderr)
'''
TORCH = '''
import sys
sys.path.insert(0, {folder!r})
sys.argv = ['worker', 'PyTorch float32', '2']
import train_torch_worker
model = train_torch_worker.Inception()
shapes = [tuple(each.shape) for each in model.parameters() if each.ndim > 1]
print(sorted((*(each[2:] or (1, 1)), each[1], each[0]) for each in shapes), file=sys.stderr)
print([list(each.shape) for each in model(train_torch_worker.torch.zeros(2, 3, 299, 299))],
      file=sys.stderr)
'''


def last_lines(code):
    process = fork_server.python(code.format(folder=train.__file__.rsplit('/', 1)[0]))
    assert process.returncode == 0, process.stderr
    return process.stderr.splitlines()[-2:]


@pytest.mark.slow
def test_keras_network_has_the_same_kernels():
    shapes, losses = last_lines(KERAS)
    assert shapes == str(kernel_shapes())
    assert losses == str(len(kernel_shapes()))  # the L2 losses


@pytest.mark.engines
def test_pytorch_network_has_the_same_kernels():
    shapes, outputs = last_lines(TORCH)
    assert shapes == str(kernel_shapes())
    assert outputs == '[[2, 1001], [2, 1001]]'
