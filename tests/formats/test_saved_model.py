"""TensorFlow's saved_model_cli shows and runs an exported SavedModel."""

import os
import subprocess
import sys

from golden.weights import images
from helpers import GOLDEN, golden_arrays
from inception_slim import formats
import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('saved') / 'model')
    formats.export(os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585'), folder,
                  format='saved-model', labels=[f'name {index}' for index in range(11)])
    return folder


def saved_model_cli(*arguments):
    done = subprocess.run(
        [sys.executable, '-m', 'tensorflow.python.tools.saved_model_cli', *map(str, arguments)],
        text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def show_signature(saved, signature):
    """The description of a signature, with single spaces."""
    text = saved_model_cli('show', '--dir', saved, '--tag_set', 'serve', '--signature_def',
                           signature)
    return ' '.join(text.split())


def test_show(saved):
    images = show_signature(saved, 'serving_default')
    assert "inputs['images'] tensor_info: dtype: DT_FLOAT shape: (-1, 299, 299, 3) " in images
    encoded = show_signature(saved, 'encoded')
    assert "inputs['encoded'] tensor_info: dtype: DT_STRING shape: (-1) " in encoded
    assert "outputs['classes'] tensor_info: dtype: DT_STRING shape: (-1) " in encoded
    for name in ('logits', 'predictions'):
        for text in (images, encoded):
            assert f"outputs['{name}'] tensor_info: dtype: DT_FLOAT shape: (-1, 11) " in text


def test_run(saved, tmp_path):
    np.save(tmp_path / 'images.npy', images(2))
    saved_model_cli('run', '--dir', saved, '--tag_set', 'serve', '--signature_def',
                    'serving_default', '--inputs', f'images={tmp_path}/images.npy', '--outdir',
                    tmp_path)
    expected = golden_arrays('checkpoints')['slim_v2']
    actual = np.load(tmp_path / 'logits.npy')
    np.testing.assert_allclose(actual, expected, atol=1e-4 * np.abs(expected).max())


def test_run_on_encoded_images(saved, tmp_path):
    rng = np.random.RandomState(0)
    encoded = [tf.io.encode_png(rng.randint(0, 256, (16, 16, 3)).astype(np.uint8)).numpy()
               for _ in range(2)]
    literal = repr(encoded).replace(';', r'\x3b')  # a semicolon would end the expression
    saved_model_cli('run', '--dir', saved, '--tag_set', 'serve', '--signature_def', 'encoded',
                    '--input_exprs', f'encoded={literal}', '--outdir', tmp_path)
    best = np.load(tmp_path / 'predictions.npy').argmax(axis=1)
    assert np.load(tmp_path / 'classes.npy', allow_pickle=True).tolist() == [
        f'name {index}'.encode() for index in best]
