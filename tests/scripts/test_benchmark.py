"""The forward benchmark: its output, its results and the count of multiply-adds."""

import json
import os
import re

import fork_server
from helpers import build
from inception_slim.nets.flops import count_multiply_adds
import pytest
import tensorflow.compat.v1 as tf

from scripts.benchmarks.forward import time_tensorflow_run

SCRIPT = 'scripts.benchmarks.forward'
ROOT = os.path.join(os.path.dirname(__file__), '..', '..')
TIME = r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}'


def test_prints_the_lines_of_the_script_of_2017(graph, capsys):
    with tf.Session() as session:
        timing = time_tensorflow_run(session, tf.random_uniform(()), 'Forward')
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    for step, line in zip(range(0, 100, 10), lines):
        assert re.fullmatch(rf'{TIME}: step {step}, duration = \d\.\d{{3}}', line), line
    assert re.fullmatch(
        rf'{TIME}: Forward across 100 steps, 0\.\d{{3}} \+/- 0\.\d{{3}} sec / batch', lines[-1])
    assert len(timing.durations) == 100
    assert min(timing.durations) <= timing.mean <= max(timing.durations)
    assert timing.standard_deviation >= 0


def test_burn_in_steps_are_not_counted(graph, capsys):
    counter = tf.get_variable('counter', initializer=0)
    with tf.Session() as session:
        session.run(counter.initializer)
        timing = time_tensorflow_run(session, tf.assign_add(counter, 1), 'Run', 7, 4)
        assert session.run(counter) == 11 and len(timing.durations) == 7
    # As in the script of 2017, burn-in steps count for the line of every tenth step.
    assert [line.split(': ')[1] for line in capsys.readouterr().out.splitlines()][0].startswith(
        'step 6, duration')


@pytest.mark.parametrize('steps', [(0, 10), (1, -1)])
def test_rejects_bad_numbers_of_steps(graph, steps):
    with tf.Session() as session, pytest.raises(ValueError, match='must be at least'):
        time_tensorflow_run(session, tf.zeros(()), 'Run', *steps)


@pytest.mark.slow
def test_multiply_adds_agree_with_the_paper(graph):
    # "about 5 billion multiply-adds"; 11.4 GFLOP measured for the convolutions of an image.
    assert count_multiply_adds(build((1, 299, 299, 3), is_training=False)[1]) == pytest.approx(
        5.7e9, rel=0.01)


def test_multiply_adds_agree_with_a_count_by_hand(graph):
    image = tf.zeros((2, 8, 8, 3))
    net = tf.nn.conv2d(image, tf.zeros((3, 3, 3, 5)), 2, 'SAME')
    net = tf.nn.depthwise_conv2d(net, tf.zeros((3, 3, 5, 1)), [1, 1, 1, 1], 'SAME')
    net = tf.matmul(tf.reshape(net, (2, 80)), tf.zeros((7, 80)), transpose_b=True)
    assert count_multiply_adds(net) == 2 * (16 * 5 * 27 + 16 * 5 * 9 + 80 * 7)
    with pytest.raises(ValueError, match='known shapes'):
        count_multiply_adds(tf.matmul(tf.placeholder(tf.float32, (None, 3)), tf.zeros((3, 3))))


def run(*flags):
    return fork_server.module(SCRIPT, *flags, folder=ROOT)


def test_script_prints_and_writes_results(tmp_path):
    results = tmp_path / 'results.json'
    process = run('--network', 'inception_v1', '--batch-size', '2', '--height', '96', '--width',
                  '128', '--num-batches', '3', '--num-steps-burn-in', '1', '--forward-backward',
                  '--json', str(results))
    assert process.returncode == 0 and process.stderr == ''
    assert re.fullmatch(
        rf'{TIME}: Forward across 3 steps, .* sec / batch\n'
        r'[\d.]+ images / sec, \d+ GFLOP / sec \(.* GFLOP an image\)\n'
        rf'{TIME}: Forward-backward across 3 steps, .* sec / batch\n'
        r'[\d.]+ images / sec, .*\n'
        r'peak memory \d+\.\d\d GiB\n'
        r'TensorFlow 2\.\d+\.\d+, TF-Slim 1\.1\.0, Python 3\.\d+\.\d+, .+, \d+ cores\n',
        process.stdout)
    written = json.loads(results.read_text())
    assert len(written['forward']['durations']) == 3
    assert written['forward_backward']['seconds_per_batch'] > written['forward'][
        'seconds_per_batch']
    assert os.listdir(tmp_path) == ['results.json']


@pytest.mark.parametrize('flags, code, message', [
    (['--batch-size', '0'], 2, 'must be at least 1, but is 0'),
    (['--num-steps-burn-in', '-1'], 2, 'must be at least 0'),
    (['--json', 'no/such/folder/file'], 2, 'there is no folder for no/such/folder/file'),
    (['--height', '50'], 1, '50x299 are too small; the smallest supported size is 107x107'),
    (['--network', 'inception_v1', '--batch-size', '1', '--checkpoint', 'no_such_file'], 1,
     'no_such_file'),
])
def test_script_rejects_bad_usage(flags, code, message):
    process = run(*flags)
    assert process.returncode == code and message in process.stderr
    assert 'Traceback' not in process.stderr and process.stdout == ''
