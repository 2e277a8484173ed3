"""Training in bfloat16 is as accurate as training in float32.

A narrow Inception V3 is trained on scikit-learn's digits by `training.train` from several seeds in
both precisions; the checkpoints predict held-out digits in float32. bfloat16's mean accuracy may be
lower by half a percentage point, or by two standard errors of the difference.
"""

from acceptance.test_precision_accuracy import HELD_OUT, enlarge, split_digits
from inception_slim import data, inference, training
from inception_slim.training.options import PRECISIONS
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

pytestmark = pytest.mark.acceptance
STEPS = 250
SEEDS = 5
OPTIONS = {'depth_multiplier': 0.1, 'batch_size': 16, 'learning_rate': 0.05, 'decay_factor': 0.5,
           'batch_norm_decay': 0.95, 'distort': False, 'moving_average_decay': 0,
           'image_size': 299}
MAX_LOSS = 0.5


def write_records(folder: str, digits: np.ndarray, labels: np.ndarray) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (8, 8, 1))
        png = tf.image.encode_png(pixels)
        grey = np.minimum(digits * 16, 255).astype(np.uint8)[..., np.newaxis]
        examples = [(session.run(png, {pixels: image}), int(label))
                    for image, label in zip(grey, labels)]
    data.write_tfrecords(folder, 'digits', 'train', examples, [str(digit) for digit in range(10)])


def shapes_and_types(path: str) -> dict:
    reader = tf.train.load_checkpoint(path)
    types = reader.get_variable_to_dtype_map()
    return {name: (shape, types[name])
            for name, shape in reader.get_variable_to_shape_map().items()}


@pytest.mark.skipif(not inference.has_fast_bfloat16(),
                    reason='this processor is slower in bfloat16 than in float32')
def test_bfloat16_trains_as_well_as_float32(tmp_path):
    digits, labels = split_digits()
    images = enlarge(digits[:HELD_OUT])
    records = str(tmp_path / 'records')
    write_records(records, digits[HELD_OUT:], labels[HELD_OUT:])
    accuracies: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    variables = []
    for seed in range(1, SEEDS + 1):
        for precision in PRECISIONS:
            result = training.train(records, tmp_path / f'{precision}-{seed}', split='train',
                                    steps=STEPS, seed=seed, precision=precision, **OPTIONS)
            variables.append(shapes_and_types(result.checkpoint))
            with inference.load(result.checkpoint, engine='session') as predictor:
                classes = predictor.logits(images).argmax(axis=1)
            accuracies[precision].append(float(100 * np.mean(classes == labels[:HELD_OUT])))
            print(f'{precision:8} seed {seed}: loss {result.loss:.4f} at step {result.step}, '
                  f'top-1 {accuracies[precision][-1]:.1f} %', flush=True)
    means = {precision: np.mean(values) for precision, values in accuracies.items()}
    error = np.sqrt(sum(np.var(values, ddof=1) / len(values) for values in accuracies.values()))
    loss = means['float32'] - means['bfloat16']
    print(f'mean top-1: float32 {means["float32"]:.2f} %, bfloat16 {means["bfloat16"]:.2f} %; '
          f'difference {loss:.2f} points, standard error {error:.2f}')
    assert all(item == variables[0] for item in variables)
    assert loss <= max(MAX_LOSS, 2 * error)
