"""Training, evaluation, classification and export of one network, on scikit-learn's digits.

`make demo` does the same with commands, and trains until the accuracy is high.
"""

import os
import subprocess
import sys

from helpers import GOLDEN, thin
from inception_slim import data, evaluation, formats, training
import numpy as np
import pytest
from sklearn.datasets import load_digits
import tensorflow.compat.v1 as tf

ROOT = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir)
START = os.path.join(GOLDEN, 'checkpoints', 'inception_v1', 'model.ckpt-157585')
SPLITS = {'train': slice(20, 60), 'validation': slice(20)}


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    """Sixty digits as PNGs in `folder/SPLIT/LABEL` and as TFRecords in `records`."""
    root = tmp_path_factory.mktemp('digits')
    images, labels = load_digits(return_X_y=True)
    encoded = []
    for image in images[:60].reshape(-1, 8, 8, 1):
        large = np.uint8(image * (255 / 16)).repeat(6, axis=0).repeat(6, axis=1)
        encoded.append(tf.io.encode_png(large).numpy())
    for split, part in SPLITS.items():
        # Sorted by class, as in the folder.
        examples = sorted(zip(encoded[part], labels[part].tolist()), key=lambda example: example[1])
        data.write_tfrecords(root / 'records', 'digits', split, examples, list('0123456789'))
        for number, (png, label) in enumerate(examples):
            (root / 'folder' / split / str(label)).mkdir(parents=True, exist_ok=True)
            (root / 'folder' / split / str(label) / f'{number:02d}.png').write_bytes(png)
    return root


def test_train_evaluate_classify_export(digits, tmp_path, monkeypatch):
    """On Inception V1, whose graph is the smallest."""
    thin(monkeypatch)
    trained = training.train(
        digits / 'records', tmp_path / 'model', split='train', checkpoint=START, steps=3,
        network='inception_v1', exclude_scopes=['Logits'], image_size=64, batch_size=4,
        distort=False, batch_norm_decay=0.9, seed=1,
        # A small graph, to save time.
        trainable_scopes=['Logits'], moving_average_decay=None)
    of_records, of_folder = (
        evaluation.evaluate(trained.checkpoint, digits / dataset, split='validation')
        for dataset in ('records', 'folder'))
    assert of_records.num_examples == of_folder.num_examples == 20
    np.testing.assert_array_equal(of_records.confusion, of_folder.confusion)
    files = data.open_dataset(digits / 'folder', 'validation').files
    # Training wrote the class names beside the checkpoint.
    found = evaluation.classify(tmp_path / 'model', digits / 'folder' / 'validation', top=1)
    assert [each.name for each in found.predictions] == files
    assert sum(each.labels[0] == os.path.basename(os.path.dirname(each.name))
               for each in found.predictions) == np.trace(of_folder.confusion)
    formats.export(trained.checkpoint, tmp_path / 'saved', format='saved-model',
                  calibration_images=digits / 'folder' / 'train')
    encoded = []
    for file in files:
        with open(file, 'rb') as opened:
            encoded.append(opened.read())
    serve = tf.saved_model.load_v2(str(tmp_path / 'saved')).signatures['encoded']
    assert serve(encoded=tf.constant(encoded))['classes'].numpy().tolist() == [
        each.labels[0].encode() for each in found.predictions]


@pytest.mark.slow
@pytest.mark.parametrize('script, command, message', [
    ('demo', 'train records --split train', '% on held-out images; expected at least 95 %.'),
    ('demo_datasets', 'evaluate pairs pairs-validation.csv',
     'Mean average precision of pairs of digits: expected at least 80 %, and more than before.')])
def test_demo_reports_a_low_accuracy(tmp_path, script, command, message):
    """One training step is too few."""
    done = subprocess.run(
        [sys.executable, '-m', f'scripts.{script}', '--steps', '1', '--folder', str(tmp_path)],
        text=True, capture_output=True, cwd=ROOT)
    assert done.returncode == 1, done.stderr
    assert f'$ inception-slim {command}' in done.stdout
    assert done.stderr.splitlines()[-1].endswith(message)
