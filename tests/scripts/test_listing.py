"""The listing is held before each step, and prints its lines when it has run them all."""

import subprocess
import sys

from scripts.benchmarks import vs_tf1

LISTING = """
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


def test_each_step_of_the_listing_takes_its_turn(tmp_path):
    script, printed = tmp_path / 'listing.py', tmp_path / 'printed'
    script.write_text(LISTING)
    contestant = vs_tf1.Contestant(
        sys.executable, str(script), str(printed), 'legacy_script_worker.py')
    assert contestant.name.split(' on TensorFlow ')[1][0] == '2'
    seconds = [contestant.step() for _ in range(3)]
    assert all(0 < each < 5 for each in seconds)
    contestant.process.communicate()
    assert contestant.process.returncode == 0
    assert printed.read_text() == 'all three\n'


def test_a_listing_that_is_stopped_on_its_way_has_printed_nothing(tmp_path):
    script, printed = tmp_path / 'listing.py', tmp_path / 'printed'
    script.write_text(LISTING)
    ended = subprocess.run(
        [sys.executable, 'scripts/benchmarks/legacy_script_worker.py', str(script), str(printed)],
        input='\n', capture_output=True, text=True)
    assert len(ended.stdout.splitlines()) == 2, ended.stderr
    assert ended.returncode == 0
    assert printed.read_text() == ''
