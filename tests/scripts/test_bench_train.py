"""The benchmark of training: who takes turns when, what is said of who fails, and equal work."""

import re
import sys

import fork_server
import inception_slim  # noqa: F401  first, so that tf_slim can be imported
from inception_slim import training
import pytest
import tensorflow.compat.v1 as tf

from scripts.benchmarks import train

# A worker that writes down its turns, and is twice as slow as the reference if it is called so.
WORKER = '''
import sys
sys.path.insert(0, {turns!r})
import time
from turns import take_turns
name = sys.argv[1]
turns = 0
print('a line of a library')
def run():
    global turns
    turns += 1
    with open({log!r}, 'a') as file:
        file.write(name + '\\n')
    if 'fails' in name and turns == int(name.split()[-1]):
        raise ValueError('the third of its kind')
    time.sleep(0.04 if 'slow' in name else 0.02)
take_turns('Engine 1.0', run)
'''


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Contestants by a quick worker, and the file of their turns."""
    file = tmp_path / 'turns'
    worker = tmp_path / 'worker.py'
    worker.write_text(WORKER.format(turns=train.__file__.rsplit('/', 1)[0], log=str(file)))
    monkeypatch.setattr(train, 'CONTESTANTS', dict.fromkeys(
        (train.REFERENCE, 'slow', 'quick', 'fails at once 1', 'fails later 5'), str(worker)))
    return file


def test_turns(log, capsys):
    rows = train.measured(list(train.CONTESTANTS), 8, 6)
    said = capsys.readouterr().out.splitlines()
    assert said == [f'{name}: left out, it ended with status 1: ValueError: the third of its kind'
                    for name in ('fails at once 1', 'fails later 5')]
    assert [row.name for row in rows] == [train.REFERENCE, 'slow', 'quick']
    assert all(row.version == 'Engine 1.0' and len(row.durations) == len(row.beside) == 6
               for row in rows)
    assert rows[0].ratio == 1 and 1.5 < rows[1].ratio < 2.5
    assert rows[1].quartiles[0] <= rows[1].quartiles[1]
    # An interpreter alone has some MiB, and not a GiB.
    assert all(2 < row.memory < 500 for row in rows)
    turns = log.read_text().splitlines()[5:]  # after the first step of each
    rounds = [turns[i:i + 4] for i in range(0, 12, 4)]
    assert all(len(set(each)) == 4 for each in rounds)
    assert len(set(map(tuple, rounds))) > 1
    train.show(rows, 8)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ['batch', '8', 'sec/step', 'images/s', 'time', 'quartiles', 'MiB']
    assert re.fullmatch(
        r'slow \(Engine 1\.0\) +0\.0\d\d +\d+\.\d +[12]\.\d\d +\d\.\d\d- ?\d\.\d\d +\d+', lines[2])


def test_groups_where_memory_is_short(log, monkeypatch, capsys):
    """Each is compared with the reference's steps beside it, not with those of other groups."""
    monkeypatch.setattr(train, 'available_memory', lambda: 1.0)
    rows = train.measured([train.REFERENCE, 'slow', 'quick'], 8, 2)
    assert [len(row.durations) for row in rows] == [4, 2, 2]
    assert rows[0].durations == [*rows[1].beside, *rows[2].beside]
    turns = log.read_text().splitlines()
    assert turns.index('quick') > len(turns) - 1 - turns[::-1].index('slow')


def test_a_reference_that_fails(log, monkeypatch, capsys):
    monkeypatch.setattr(train, 'REFERENCE', 'fails at once 1')
    with pytest.raises(SystemExit, match='nothing to compare with'):
        train.measured(list(train.CONTESTANTS), 8, 2)


def test_who_can_run(monkeypatch, capsys):
    monkeypatch.setattr(train, 'has_bfloat16', lambda: False)
    monkeypatch.setattr(train.importlib.util, 'find_spec', lambda name: None)
    assert train.who_can_run([train.REFERENCE, 'inception_slim bfloat16', 'Keras float32',
                              'PyTorch float32']) == [train.REFERENCE, 'Keras float32']
    assert capsys.readouterr().out.splitlines() == [
        'inception_slim bfloat16: left out, this processor has no bfloat16 instructions',
        'PyTorch float32: left out, torch is not installed (make bench-train-all)']


@pytest.mark.parametrize('given, sentence', [
    (['--batch-sizes', '8,x'], 'whole numbers'), (['--batch-sizes', '0'], 'at least 1'),
    (['--only', 'JAX'], "there is no contestant 'JAX'")])
def test_bad_usage(given, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['train', *given])
    with pytest.raises(SystemExit) as ended:
        train.main()
    assert ended.value.code == 2 and sentence in capsys.readouterr().err


def kernels_of_ours():
    """Shapes of what is multiplied, sorted, a dense layer's as a 1×1 convolution's."""
    with tf.Graph().as_default():
        training.build_step(tf.zeros((2, 299, 299, 3)), tf.zeros((2,), tf.int64), 1001)
        return sorted(tuple(each.shape.as_list()) for each in tf.trainable_variables()
                      if each.op.name.endswith('/weights'))


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


def told(code):
    done = fork_server.python(code.format(folder=train.__file__.rsplit('/', 1)[0]))
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-2:]


@pytest.mark.slow
def test_keras_multiplies_as_much():
    shapes, losses = told(KERAS)
    assert shapes == str(kernels_of_ours())
    assert losses == str(len(kernels_of_ours()))  # the L2 losses


@pytest.mark.engines
def test_pytorch_multiplies_as_much():
    shapes, outputs = told(TORCH)
    assert shapes == str(kernels_of_ours())
    assert outputs == '[[2, 1001], [2, 1001]]'
