"""Evaluations between the steps of a training run: what is written, what is best, when to stop."""

import os

from inception_slim import checkpoint, data, evaluation, training
from inception_slim.errors import DatasetError, TrainingError
from inception_slim.training.validation import ValidationResult, read_best
import pytest
import tensorflow.compat.v1 as tf


def summary_values(folder):
    """The values of all event files by tag, as `{step: value}`."""
    values = {}
    for path in sorted(folder.glob('*tfevents*')):
        for event in tf.train.summary_iterator(str(path)):
            for value in event.summary.value:
                values.setdefault(value.tag, {})[event.step] = value
    return values


def test_evaluates_keeps_the_best_and_stops(shallow_network, dataset, tmp_path):
    """A learning rate of nearly 0 changes nothing, so that the first evaluation stays the best."""
    lines = []
    options = {**shallow_network, 'validation': 0.4, 'learning_rate': 1e-12, 'log': lines.append}
    result = training.train(dataset, tmp_path, steps=20, eval_every=2, patience=2, **options)
    assert (result.step, result.stopped_early, result.interrupted) == (6, True, False)
    assert result.best.step == 2 and result.best_checkpoint == str(tmp_path / 'best/model.ckpt-2')
    assert tf.train.load_checkpoint(result.best_checkpoint).get_tensor('global_step') == 2
    assert read_best(str(tmp_path)) == result.best
    assert (tmp_path / 'best' / 'labels.txt').read_text() == '0:blue\n1:green\n2:red\n'
    evaluations = [line for line in lines if line.startswith('validation')]
    assert len(evaluations) == 3
    assert evaluations[0].startswith(
        f'validation at step 2: accuracy {result.best.accuracy:.2%} (training ')
    assert f', loss {result.best.loss:.4f} (training ' in evaluations[0]

    values = summary_values(tmp_path)
    assert list(values['accuracy/validation']) == list(values['accuracy/training']) == [2, 4, 6]
    assert values['losses/validation'][2].simple_value == pytest.approx(result.best.loss)
    held_out = data.open_dataset(dataset).hold_out(0.4)[1].num_examples
    assert 0 < held_out < 12
    for tag, step, size in (('input/image/0', 0, 32), ('confusion_matrix', 4, None)):
        image = values[tag][step].image
        assert image.encoded_image_string.startswith(b'\x89PNG') and image.width > 0
        assert size in (None, image.width)
    plugin = values['_hparams_/session_start_info'][0].metadata.plugin_data
    assert plugin.plugin_name == 'hparams' and b'learning_rate' in plugin.content

    more = training.resume(tmp_path, patience=3)
    assert (more.started_at, more.step, more.best_checkpoint) == (6, 8, result.best_checkpoint)


@pytest.mark.slow
def test_best_checkpoint_evaluates_to_the_same(dataset, tmp_path):
    (tmp_path / 'data').mkdir()
    os.symlink(dataset, tmp_path / 'data' / 'train')
    os.symlink(dataset, tmp_path / 'data' / 'val')
    result = training.train(
        tmp_path / 'data', tmp_path / 'dir', split='train', validation='val', steps=12,
        eval_every=4, network='inception_v2', depth_multiplier=0.05, min_depth=4, batch_size=4,
        seed=1, batch_norm_decay=0.8, moving_average_decay=0, learning_rate=0.05)
    assert checkpoint.inspect(result.best_checkpoint).global_step == result.best.step
    evaluated = evaluation.evaluate(result.best_checkpoint, dataset)
    assert evaluated.top_1 == pytest.approx(result.best.accuracy)


@pytest.mark.parametrize('result, expected', [
    ((0.5, 1.0), False), ((0.6, 9.0), True), ((0.5, 0.9), True), ((0.4, 0.1), False)])
def test_better(result, expected):
    assert ValidationResult(2, *result).is_better(ValidationResult(1, 0.5, 1.0)) is expected
    assert ValidationResult(2, *result).is_better(None)


def test_held_out_images_stay_so(dataset, tmp_path):
    images = data.open_dataset(dataset)
    training_part, validation_part = images.hold_out(0.4)
    assert sorted(training_part.files + validation_part.files) == images.files
    assert all(os.path.basename(os.path.dirname(file)) == images.class_names[label]
               for file, label in zip(validation_part.files, validation_part.labels))
    assert set(validation_part.files) < set(images.hold_out(0.7)[1].files)


@pytest.mark.parametrize('validation, error, message', [
    (0.0, TrainingError, 'must be a fraction greater than 0 and less than 1'),
    (1e-9, DatasetError, 'A fraction of 1e-09 of the 12 images .* leaves a part without images'),
    ('test', DatasetError, "has no split 'test'"),
    ('tests/golden/legacy_scripts/', DatasetError, 'holds the splits'),
    (None, TrainingError, 'eval_every and patience need validation images')])
def test_wrong_validation(dataset, tmp_path, validation, error, message):
    with pytest.raises(error, match=message):
        training.train(dataset, tmp_path / 'dir', validation=validation, patience=1)


def test_other_classes(dataset, tmp_path):
    for name in ('red', 'green'):
        (tmp_path / 'other' / name).mkdir(parents=True)
        (tmp_path / 'other' / name / 'one.png').write_bytes(b'')
    with pytest.raises(TrainingError, match='have other classes than those of'):
        training.train(dataset, tmp_path / 'dir', validation=tmp_path / 'other')
