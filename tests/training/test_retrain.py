"""`retrain`: a new classifier on cached features, with real images in folders."""

import json
import os
import subprocess
import sys

from helpers import GOLDEN
from inception_slim import checkpoint, data, evaluation, inference, training
from inception_slim.errors import CheckpointError, TrainingError
from inception_slim.inference.predictor import Predictor
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

TRAINED = os.path.join(GOLDEN, 'legacy_scripts')
CLASSES = ['checks', 'rings', 'rows']


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """A folder of the images of three classes, from the TFRecords of the golden scripts."""
    folder = tmp_path_factory.mktemp('images')
    names = data.read_labels(os.path.join(TRAINED, 'labels.txt'))
    for path in data.open_dataset(TRAINED, 'train').files:
        for number, record in enumerate(tf.python_io.tf_record_iterator(path)):
            features = tf.train.Example.FromString(record).features.feature
            name = names[features['image/class/label'].int64_list.value[0]]
            if name in CLASSES:
                (folder / name).mkdir(exist_ok=True)
                (folder / name / f'{os.path.basename(path)[15:20]}_{number}.jpg').write_bytes(
                    features['image/encoded'].bytes_list.value[0])
    return folder


@pytest.fixture(scope='module')
def result(images, tmp_path_factory):
    return training.retrain(images, TRAINED, tmp_path_factory.mktemp('retrained'),
                            test_fraction=0.3, steps=1000, learning_rate=0.1)


def test_classifies_the_new_classes(images, result):
    assert result.class_names == CLASSES
    assert result.num_examples['test'] >= 5 and result.accuracy['test'] > 0.9
    assert checkpoint.inspect(result.checkpoint).num_classes == 3
    evaluated = evaluation.evaluate(result.checkpoint, images)
    assert evaluated.class_names == CLASSES and evaluated.top_1 > 0.9
    correct = sum(result.accuracy[part] * count for part, count in result.num_examples.items()
                  if count)
    assert evaluated.top_1 == pytest.approx(correct / evaluated.num_examples, abs=1e-6)


def test_loss_is_that_of_tensorflow(images, result):
    """The loss of the training images, by TensorFlow from the checkpoint's logits."""
    dataset = data.open_dataset(images)
    with inference.load(result.checkpoint) as predictor:
        batch = next(data.as_numpy_batches(lambda: data.image_batches(
            dataset.files, len(dataset.files), image_size=299)))
        logits = predictor.logits(batch['image'])
    with tf.Graph().as_default(), tf.Session() as session:
        losses = session.run(tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=dataset.labels, logits=logits))
    from inception_slim.training.retrain import _part
    options = training.RetrainOptions(test_fraction=0.3)
    training_images = [_part(os.path.relpath(path, images), options) == 'training'
                       for path in dataset.files]
    assert result.loss == pytest.approx(losses[training_images].mean(), rel=1e-3)


@pytest.mark.slow
def test_computes_the_features_once(images, result, monkeypatch):
    computed = []
    features = Predictor.features
    monkeypatch.setattr(Predictor, 'features', lambda self, batch, names: (
        computed.append(len(batch)), features(self, batch, names))[1])
    output = os.path.dirname(result.checkpoint)
    options = {'test_fraction': 0.3, 'steps': 1000, 'learning_rate': 0.1}
    with pytest.raises(CheckpointError, match='exists'):
        training.retrain(images, TRAINED, output, **options)
    again = training.retrain(images, TRAINED, output, overwrite=True, **options)
    assert not computed and again == result
    new = images / 'rings' / 'another.jpg'
    new.write_bytes((images / 'rings' / sorted(os.listdir(images / 'rings'))[0]).read_bytes())
    cache, = os.listdir(os.path.join(output, 'features'))
    training.retrain(images, TRAINED, output, overwrite=True, **options)
    assert computed == [1]
    # A file that is cut short is computed again.
    with open(os.path.join(output, 'features', cache), 'r+b') as file:
        file.truncate(100)
    training.retrain(images, TRAINED, output, overwrite=True, **options)
    new.unlink()
    assert sum(computed) == 1 + sum(result.num_examples.values())


def test_parts_do_not_change_when_images_are_added():
    from inception_slim.training.retrain import _part
    options = training.RetrainOptions()
    parts = [_part(f'rose/{number}.jpg', options) for number in range(3000)]
    assert {part: round(parts.count(part) / 3000, 1) for part in set(parts)} == {
        'training': 0.8, 'validation': 0.1, 'test': 0.1}
    assert len({_part(f'rose/7_nohash_{crop}.jpg', options) for crop in range(9)}) == 1


@pytest.mark.parametrize('options, message', [
    ({'validation_fraction': 0.5, 'test_fraction': 0.5}, 'must leave images for training'),
    ({'learning_rate': 0}, 'learning_rate must be greater than 0')])
def test_names_wrong_options(options, message, images, tmp_path):
    with pytest.raises(TrainingError, match=message):
        training.retrain(images, TRAINED, tmp_path, **options)
    assert not os.listdir(tmp_path)


def test_needs_folders_with_two_classes(images, tmp_path):
    with pytest.raises(TrainingError, match='TFRecords'):
        training.retrain(TRAINED, TRAINED, tmp_path, split='train')
    (tmp_path / 'one').mkdir()
    os.symlink(images / 'rows', tmp_path / 'one' / 'rows')
    with pytest.raises(TrainingError, match='one class'):
        training.retrain(tmp_path / 'one', TRAINED, tmp_path / 'out')


@pytest.mark.slow
def test_command(images, tmp_path):
    completed = subprocess.run(
        [sys.executable, '-m', 'inception_slim', 'retrain', str(images), '--from', TRAINED,
         '--output', str(tmp_path / 'out'), '--steps', '300', '--learning-rate', '0.1', '--json'],
        capture_output=True, text=True, check=True)
    result = json.loads(completed.stdout)
    assert result['class_names'] == CLASSES and not completed.stderr
    assert np.isfinite(result['loss']) and os.path.isfile(tmp_path / 'out' / 'labels.txt')


@pytest.mark.slow
def test_several_labels(images, tmp_path):
    """A sigmoid for each of two labels, of which an image may have both or none."""
    rows = [f'{path},{int("rings" not in path)},{int("checks" in path)}'
            for path in map(str, sorted(images.glob('*/*.jpg')))]
    (tmp_path / 'labels.csv').write_text('\n'.join(['path,straight,checks', *rows]))
    result = training.retrain(tmp_path / 'labels.csv', TRAINED, tmp_path / 'out',
                              test_fraction=0.3, steps=1000, learning_rate=0.1)
    assert result.class_names == ['straight', 'checks']
    assert set(result.accuracy.values()) == {None}
    assert result.mean_average_precision['test'] > 0.9
    assert str(checkpoint.inspect(result.checkpoint).head) == 'average-sigmoid'
    evaluated = evaluation.evaluate_multi_label(result.checkpoint, tmp_path / 'labels.csv')
    assert evaluated.mean_average_precision > 0.9 and evaluated.micro_f1 > 0.9
    dataset = data.open_dataset(tmp_path / 'labels.csv')
    with inference.load(result.checkpoint) as predictor:
        batch = next(data.as_numpy_batches(lambda: data.batches(dataset, 100)))
        logits = predictor.logits(batch['image'])
    from inception_slim.training.retrain import _part
    options = training.RetrainOptions(test_fraction=0.3)
    training_images = [_part(os.path.relpath(path, dataset.path), options) == 'training'
                       for path in dataset.files]
    with tf.Graph().as_default(), tf.Session() as session:
        losses = session.run(tf.nn.sigmoid_cross_entropy_with_logits(
            labels=batch['label'].astype(np.float32), logits=logits))
    assert result.loss == pytest.approx(losses[training_images].mean(), rel=1e-3)
    (tmp_path / 'labels.csv').write_text('\n'.join(['path,straight,none', *(
        row[:-1] + '0' for row in rows)]))
    with pytest.raises(TrainingError, match="The class 'none' has no images for training"):
        training.retrain(tmp_path / 'labels.csv', TRAINED, tmp_path / 'out', overwrite=True)
