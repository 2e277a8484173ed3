"""Scripts of 2016 to 2019 print the same here and on TensorFlow 1.15 (`make test-tf1-scripts`).

TensorFlow 1.15.5 also reads the graphs that a script writes here, and those of `export`.
"""

import os
import subprocess
import sys

from acceptance import compare_with_tf1
from inception_slim import formats
import numpy as np
import pytest
import tensorflow as tf

from scripts import tf1_env

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope='module')
def pythons():
    pythons = compare_with_tf1.set_up_pythons()
    if pythons[False]:
        compare_with_tf1.write_wide_weights()
    return pythons


@pytest.mark.parametrize('name', compare_with_tf1.SCRIPTS)
def test_prints_the_same(name, pythons):
    script = compare_with_tf1.SCRIPTS[name]
    if script.wide and not pythons[False]:
        pytest.skip('its weights are written by TensorFlow 1.15.5, for which there is no Python')
    expected = compare_with_tf1.expected_output(script, pythons)
    comparison, output = compare_with_tf1.compare_script(script, expected)
    assert not comparison.differences, output.errors


def test_1_15_reads_graphs(pythons, tmp_path):
    if not pythons[False]:
        pytest.skip('there is no Python for TensorFlow 1.15.5')
    os.symlink(os.path.join(compare_with_tf1.GOLDEN, 'legacy_scripts'), tmp_path / 'data')
    script = compare_with_tf1.SCRIPTS['write_graphs'].path
    printed = subprocess.run([sys.executable, '-m', 'inception_slim', 'run', script], check=True,
                             cwd=tmp_path, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    checkpoint = str(tmp_path / 'data' / 'inception_v3.ckpt')
    formats.export(checkpoint, tmp_path / 'exported.pb', format='frozen')
    formats.export(checkpoint, tmp_path / 'exported', format='saved-model')
    lines = subprocess.run(
        [*pythons[False], os.path.join(compare_with_tf1.HERE, 'read_graphs_with_1_15.py'),
         str(tmp_path), 'exported.pb:input:InceptionV3/Logits/SpatialSqueeze',
         'exported:serving_default_images:PartitionedCall'],
        stdout=subprocess.PIPE, text=True, check=True,
        env=tf1_env.environment()).stdout.splitlines()
    assert len(lines) == 8
    images = np.linspace(-1, 1, 299 * 299 * 3, dtype=np.float32).reshape(1, 299, 299, 3)
    serve = tf.saved_model.load(str(tmp_path / 'exported')).signatures['serving_default']
    logits = serve(tf.constant(images))['logits'].numpy()[0]
    probabilities = np.array(printed[0].split(), float)
    for name, *numbers in map(str.split, lines):
        np.testing.assert_allclose(
            np.array(numbers, float), logits if name.startswith('exported') else probabilities,
            atol=1e-4, rtol=1e-4, err_msg=name)
