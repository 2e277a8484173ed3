"""The benchmark of an unmodified script runs it step by step."""

import subprocess
import sys

import pytest

from scripts.benchmarks import vs_tf1

SCRIPT = """
import tensorflow as tf
slim = tf.contrib.slim
with tf.variable_scope('InceptionV3/Logits'):
    logits = tf.reduce_sum(tf.random_uniform((2, 3)), name='SpatialSqueeze')
sess = tf.Session()
sess.run(tf.global_variables_initializer())
for i in range(3):
    sess.run(logits)
print('all three')
"""


@pytest.mark.slow
def test_runs_one_step_for_each_command(tmp_path):
    script, output = tmp_path / 'script.py', tmp_path / 'output'
    script.write_text(SCRIPT)
    contestant = vs_tf1.Contestant(
        sys.executable, str(script), str(output), 'legacy_script_worker.py')
    assert contestant.version[0] == '2'
    seconds = [contestant.step() for _ in range(3)]
    assert all(0 < value < 5 for value in seconds)
    contestant.process.communicate()
    assert contestant.process.returncode == 0
    assert output.read_text() == 'all three\n'


@pytest.mark.slow
def test_script_that_is_stopped_early_prints_nothing(tmp_path):
    script, output = tmp_path / 'script.py', tmp_path / 'output'
    script.write_text(SCRIPT)
    process = subprocess.run(
        [sys.executable, 'scripts/benchmarks/legacy_script_worker.py', str(script), str(output)],
        input='\n', capture_output=True, text=True)
    assert len(process.stdout.splitlines()) == 2, process.stderr
    assert process.returncode == 0
    assert output.read_text() == ''
