"""Classes with few images: weights of the loss, drawing by class, and the focal loss."""

import math

from inception_slim import data, training
from inception_slim.errors import DatasetError, TrainingError
from inception_slim.training.class_weights import balanced_weights, read_class_weights
from inception_slim.training.options import StepOptions
from inception_slim.training.step import classification_loss
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight
import tensorflow.compat.v1 as tf

LOGITS = [[math.log(3), 0.0], [0.0, 0.0]]  # probabilities 3/4 and 1/4; 1/2 and 1/2
LABELS = [0, 1]


@pytest.fixture
def imbalanced(dataset, tmp_path):
    """Four images of red and one each of green and blue."""
    for name in ('red', 'green', 'blue'):
        (tmp_path / 'data' / name).mkdir(parents=True)
        for path in sorted((dataset / name).iterdir())[:4 if name == 'red' else 1]:
            (tmp_path / 'data' / name / path.name).write_bytes(path.read_bytes())
    return tmp_path / 'data'


@pytest.mark.parametrize('options, expected', [
    ({'focal_gamma': 2.0}, (math.log(4 / 3) / 16 + math.log(2) / 4) / 2),
    ({'class_weights': [3.0, 0.5]}, (3 * math.log(4 / 3) + 0.5 * math.log(2)) / 2),
    ({'class_weights': [3.0, 0.0], 'focal_gamma': 1.0}, 3 * math.log(4 / 3) / 4 / 2),
    ({'class_weights': [1.0, 1.0]}, (math.log(4 / 3) + math.log(2)) / 2),
    ({}, (math.log(4 / 3) + math.log(2)) / 2)])
def test_loss(options, expected):
    """By hand: weight x (1 - p)^gamma x -log p, and the mean of the images."""
    with tf.Graph().as_default(), tf.Session() as session:
        loss = classification_loss(tf.constant(LABELS), tf.constant(LOGITS),
                                   StepOptions(label_smoothing=0.0, **options), 0.5)
        assert session.run(loss) == pytest.approx(0.5 * expected)
        assert session.run(tf.losses.get_total_loss()) == pytest.approx(0.5 * expected)


def test_gradient_of_the_focal_loss():
    """Of -(1 - p)^2 log p by the logit: (1 - p)^2 x (2 p log p + p - 1); finite where p is 1."""
    with tf.Graph().as_default(), tf.Session() as session:
        logits = tf.constant([[math.log(3), 0.0], [0.0, 200.0]])
        loss = classification_loss(tf.constant(LABELS), logits,
                                   StepOptions(label_smoothing=0.0, focal_gamma=2.0), 1.0)
        gradient = session.run(tf.gradients(loss, logits)[0])
    expected = (2 * 0.75 * math.log(0.75) - 0.25) / 16 / 2
    np.testing.assert_allclose(gradient, [[expected, -expected], [0, 0]], atol=1e-7)


def test_balanced_weights():
    expected = compute_class_weight('balanced', classes=np.arange(3), y=[0] * 5 + [1] * 2 + [2])
    assert balanced_weights([5, 2, 1]) == pytest.approx(expected)
    assert balanced_weights([3, 0, 1]) == pytest.approx([4 / 6, 1, 2])


def test_counts_labels(imbalanced, tmp_path):
    dataset = data.open_dataset(imbalanced)
    assert data.count_labels(dataset) == [1, 1, 4]
    data.write_tfrecords(tmp_path, 'x', 'train', [(b'', label) for label in (0, 2, 2, 2, 1)],
                         ['a', 'b', 'c', 'd'], num_shards=2)
    records = data.open_dataset(tmp_path, 'train')
    assert data.count_labels(records) == [1, 1, 3, 0]
    parts = [data.count_labels(records, (index, 3)) for index in range(3)]
    assert np.sum(parts, axis=0).tolist() == [1, 1, 3, 0]


def test_draws_all_classes_equally_often(imbalanced):
    dataset = data.open_dataset(imbalanced)

    def batches():
        return data.batches(dataset, 6, image_size=8, training=True, distort=False, repeat=True,
                            balanced=True, seed=1).take(100)

    labels = np.concatenate([batch['label'] for batch in data.as_numpy_batches(batches)])
    counts = np.bincount(labels)
    assert counts.sum() == 600 and counts.min() > 150  # of 200; the deviation is 12
    assert (labels[:300] != labels[300:]).any()


@pytest.mark.parametrize('content, message', [
    (None, 'cannot be read .No such file or directory.; give balanced, or a CSV table'),
    ('red,1\n', 'is no table of class weights'), ('class,weight\nred,x\n', 'is no table of class'),
    ('class,weight\nred,1\n', "no weight of at least 0 for the class 'green'"),
    ('class,weight\nred,nan\ngreen,1\n', "no weight of at least 0 for the class 'red'"),
    ('class,weight\nred,1\ngreen,1\ngrey,1\n', "weights of other classes .'grey'."),
    ('class,weight\nred,1\ngreen,1\nred,2\n', 'has a class twice')])
def test_wrong_weights(tmp_path, content, message):
    if content is not None:
        (tmp_path / 'weights.csv').write_text(content)
    with pytest.raises(TrainingError, match=message):
        read_class_weights(tmp_path / 'weights.csv', ['red', 'green'])


def test_trains_with_weights(shallow_network, imbalanced, tmp_path):
    """All weights are 0, so that the loss is that of the weights of the network alone."""
    (tmp_path / 'weights.csv').write_text('class,weight\nred,0\ngreen,0\nblue,0\n')
    result = training.train(imbalanced, tmp_path / 'dir', steps=1, balanced_sampling=True,
                            class_weights=tmp_path / 'weights.csv', focal_gamma=1.0,
                            weight_decay=0.0, **shallow_network)
    assert result.loss == 0


@pytest.mark.slow
def test_trains_with_balanced_weights(shallow_network, imbalanced, tmp_path):
    losses = [training.train(imbalanced, tmp_path / str(number), steps=1, weight_decay=0.0,
                             class_weights=weights, **{**shallow_network, 'batch_size': 6}).loss
              for number, weights in enumerate((None, 'balanced'))]
    assert losses[0] != losses[1]
    # All six images are in the batch, and the untrained network has a loss near log(3) for each.
    assert losses == pytest.approx([math.log(3)] * 2, abs=0.4)


def test_records_cannot_be_drawn_by_class(tmp_path):
    data.write_tfrecords(tmp_path, 'x', 'train', [(b'', 0), (b'', 1)], ['a', 'b'])
    with pytest.raises(DatasetError, match='cannot be drawn by class; use class weights'):
        training.train(tmp_path, tmp_path / 'dir', balanced_sampling=True)
