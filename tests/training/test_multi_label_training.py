"""Training on images with several labels: the loss, what is recorded, and what is refused."""

import csv
import json
import math

from inception_slim import checkpoint, data, evaluation, inference, training
from inception_slim.errors import DatasetError, TrainingError
from inception_slim.training.options import StepOptions
from inception_slim.training.step import classification_loss
import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score
import tensorflow.compat.v1 as tf

LABELS = [[1, 0], [0, 1]]
LOGITS = [[math.log(3), 0.0], [0.0, math.log(3)]]  # probabilities 3/4 and 1/2; 1/2 and 3/4
NARROW = {'network': 'inception_v2', 'depth_multiplier': 0.05, 'min_depth': 4, 'image_size': 64,
          'batch_size': 4, 'seed': 1, 'batch_norm_decay': 0.8, 'moving_average_decay': 0}


@pytest.fixture(scope='module')
def table(dataset):
    """Red images are warm too, and blue ones have no label."""
    path = dataset / 'labels.csv'
    names = {'red': 'red;warm', 'green': 'green', 'blue': ''}
    with open(path, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['path', 'labels'])
        for image in sorted(dataset.glob('*/*.png')):
            writer.writerow([image.relative_to(dataset), names[image.parent.name]])
    return path


@pytest.mark.parametrize('options, expected', [
    ({}, (math.log(4 / 3) + math.log(2)) / 2),
    ({'label_smoothing': 0.1}, (math.log(4 / 3) + math.log(2) + 0.05 * math.log(3)) / 2),
    ({'focal_gamma': 2.0}, (math.log(4 / 3) / 16 + math.log(2) / 4) / 2),
    ({'class_weights': [(1, 3), (0.5, 1)]},
     (3 * math.log(4 / 3) + 0.5 * math.log(2) + math.log(2) + math.log(4 / 3)) / 4),
    ({'class_weights': [(0, 2), (0, 2)], 'focal_gamma': 1.0}, math.log(4 / 3) / 4)])
def test_loss(options, expected):
    """By hand: weight x (1 - p)^gamma x -log p of each class, and the mean of classes and images.

    Label smoothing takes 0.05 of the probability of each side to the other.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        loss = classification_loss(tf.constant(LABELS), tf.constant(LOGITS),
                                   StepOptions(**options), 0.5)
        assert session.run(loss) == pytest.approx(0.5 * expected)
        assert session.run(tf.losses.get_total_loss()) == pytest.approx(0.5 * expected)


def test_gradient_of_the_focal_loss():
    """Of -(1 - p)^2 log p by the logit: (1 - p)^2 x (2 p log p + p - 1); finite where p is 1."""
    with tf.Graph().as_default(), tf.Session() as session:
        logits = tf.constant([[math.log(3), 200.0, -200.0]])
        loss = classification_loss(tf.constant([[1, 1, 0]]), logits,
                                   StepOptions(focal_gamma=2.0), 1.0)
        gradient = session.run(tf.gradients(loss, logits)[0])
    expected = (2 * 0.75 * math.log(0.75) - 0.25) / 16 / 3
    np.testing.assert_allclose(gradient, [[expected, 0, 0]], atol=1e-7)


@pytest.mark.slow
def test_auxiliary_head_has_the_same_loss():
    """All logits are 0, and each class has the loss log 2."""
    with tf.Graph().as_default(), tf.Session() as session:
        step = training.build_step(
            tf.zeros((2, 110, 110, 3)), tf.constant([[1, 0, 1], [0, 0, 0]]), 3,
            depth_multiplier=0.05, min_depth=4, moving_average_decay=0)
        session.run(tf.global_variables_initializer())
        session.run([tf.assign(variable, tf.zeros_like(variable))
                     for variable in tf.global_variables() if 'Logits' in variable.op.name])
        losses, accuracy = session.run((step.losses, step.accuracy))
    assert losses['logits'] == pytest.approx(math.log(2), rel=1e-5)
    assert losses['aux_logits'] == pytest.approx(0.4 * math.log(2), rel=1e-5)
    assert accuracy == pytest.approx(4 / 6)  # no label has a probability above 1/2


def test_records_the_activation_and_keeps_the_best(shallow_network, table, tmp_path):
    lines = []
    options = {**shallow_network, 'validation': str(table), 'learning_rate': 1e-12}
    first = training.train(table, tmp_path / 'dir', steps=6, eval_every=2, patience=2,
                           log=lines.append, freeze_epochs=0.5, focal_gamma=1.0,
                           class_weights='balanced', **options)
    assert (first.step, first.stopped_early, first.best.step) == (6, False, 2)
    assert first.best.accuracy is None and 0 < first.best.mean_average_precision <= 1
    assert any(line.startswith('validation at step 2: mean average precision '
                               f'{first.best.score:.2%}, loss {first.best.loss:.4f} (training ')
               for line in lines)
    for folder in ('dir', 'dir/best'):
        assert str(checkpoint.inspect(tmp_path / folder).head) == 'average-sigmoid'
    assert json.loads((tmp_path / 'dir/best/validation.json').read_text())['accuracy'] is None
    again = training.resume(tmp_path / 'dir', steps=7, patience=3)
    assert (again.started_at, again.step, again.best) == (6, 7, first.best)
    assert checkpoint.inspect(again.checkpoint).head.activation == 'sigmoid'
    (tmp_path / 'one.csv').write_text(f'path,label\n{table.parent}/red/0.png,0\n'
                                      f'{table.parent}/green/0.png,2\n')
    with pytest.raises(TrainingError, match='checkpoint with a sigmoid, but images with one label '
                                            'need a softmax; give another --train-dir'):
        training.train(tmp_path / 'one.csv', tmp_path / 'dir', **shallow_network)


@pytest.mark.slow
def test_balanced_weights(shallow_network, table, tmp_path):
    """Green, red and warm are a third of the images, so that a 1 weighs 1.5, and a 0 weighs 0.75.

    With one seed, the parts of both in the loss are the same.
    """
    (tmp_path / 'ten.csv').write_text('class,weight\ngreen,10\nred,10\nwarm,10\n')
    plain, balanced, ten = [training.train(table, tmp_path / str(number), steps=1, weight_decay=0.0,
                                          class_weights=weights,
                                          **{**shallow_network, 'batch_size': 12}).loss
                           for number, weights in enumerate((
                               None, 'balanced', tmp_path / 'ten.csv'))]
    with_class = (ten - plain) / 9
    assert 0 < with_class < plain
    assert balanced == pytest.approx(1.5 * with_class + 0.75 * (plain - with_class), rel=1e-5)


@pytest.mark.parametrize('labels, options, error, message', [
    (None, {'balanced_sampling': True}, DatasetError, 'balanced sampling needs one label per'),
    ('\n1.png,\n2.png,', {}, TrainingError, 'No validation image of .* has a label; give others'),
    ('label\n1.png,red\n2.png,green\n3.png,warm', {}, TrainingError,
     'have several labels, and those of the other have one')])
def test_refuses(shallow_network, table, tmp_path, labels, options, error, message):
    data.write_labels(tmp_path / 'labels.txt', ['green', 'red', 'warm'])
    if labels is not None:
        path = tmp_path / 'other.csv'
        path.write_text('path,' + (labels if labels.startswith('label') else 'labels' + labels))
        options = {'validation': str(path)}
    with pytest.raises(error, match=message):
        training.train(table, tmp_path / 'dir', steps=1, **shallow_network, **options)


@pytest.mark.slow
def test_fine_tunes_a_softmax_and_predicts_by_itself(dataset, table, tmp_path):
    """From three classes of colors to the four of the table's, and to the same three."""
    training.train(dataset, tmp_path / 'softmax', steps=2, **NARROW)
    data.write_tfrecords(tmp_path / 'records', 'x', 'train', [
        ((dataset / 'red' / '0.png').read_bytes(), [1, 0, 0, 1]),
        ((dataset / 'green' / '0.png').read_bytes(), [0, 1, 0, 0])] * 4, 'abcd', num_shards=2)
    lines = []
    four = training.train(tmp_path / 'records', tmp_path / 'four', steps=2, log=lines.append,
                          checkpoint=tmp_path / 'softmax', **NARROW)
    assert str(checkpoint.inspect(four.checkpoint).head) == 'average-sigmoid'
    assert any('has 3 classes and the dataset 4: Logits start' in line for line in lines)
    training.train(tmp_path / 'records', tmp_path / 'again', steps=1, checkpoint=four.checkpoint,
                   **NARROW)  # without a warning, which would be an error here
    result = training.train(table, tmp_path / 'dir', validation=str(table), steps=12, eval_every=4,
                            checkpoint=tmp_path / 'softmax', learning_rate=0.05, **NARROW)
    dataset = data.open_dataset(table)
    labels = np.array([[number in numbers for number in range(3)] for numbers in dataset.labels])
    with inference.load(result.best_checkpoint, image_size=64) as predictor:
        batch = next(data.as_numpy_batches(lambda: data.batches(dataset, 12, image_size=64)))
        probabilities = predictor.predict(batch['image'])
        logits = predictor.logits(batch['image'])
    np.testing.assert_allclose(probabilities, expit(logits), rtol=1e-5,
                               atol=np.finfo(np.float32).tiny)  # TensorFlow rounds these to 0
    losses = np.logaddexp(0, logits) - labels * logits
    assert result.best.loss == pytest.approx(losses.mean(), rel=1e-4)
    # Rounding may change the order of two of the twelve images.
    assert result.best.score == pytest.approx(average_precision_score(labels, logits), abs=0.03)
    classified = evaluation.classify(result.best_checkpoint, dataset.files, image_size=64)
    assert classified.activation == 'sigmoid'
