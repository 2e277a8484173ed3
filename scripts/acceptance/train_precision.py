"""A network trained in bfloat16 beside the same trained in float32: how well both answer.

A narrow Inception V3 is trained on scikit-learn's digits, real images that need no download, by
`inception_slim.training.train` and from several seeds; its checkpoints answer held-out digits, in
float32 both. Where bfloat16's mean is below float32's by more than half a point and more than two
standard errors of that difference, the status is 1.
"""

import argparse
import os
import sys
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import inception_slim  # noqa: F401  first, so that TensorFlow is imported quietly
from inception_slim import checkpoint, data, inference, training
from inception_slim.training.options import PRECISIONS
import numpy as np
from sklearn.datasets import load_digits
import tensorflow.compat.v1 as tf

from scripts.acceptance.accuracy import HELD_OUT, enlarged

RECIPE = {'depth_multiplier': 0.1, 'batch_size': 16, 'learning_rate': 0.05, 'decay_factor': 0.5,
          'batch_norm_decay': 0.95, 'distort': False, 'moving_average_decay': 0, 'image_size': 299}
POINTS = 0.5


def write_records(folder: str, digits: np.ndarray, labels: np.ndarray) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (8, 8, 1))
        png = tf.image.encode_png(pixels)
        grey = np.minimum(digits * 16, 255).astype(np.uint8)[..., np.newaxis]
        examples = [(session.run(png, {pixels: each}), int(label))
                    for each, label in zip(grey, labels)]
    data.write_tfrecords(folder, 'digits', 'train', examples, [str(each) for each in range(10)])


def variables(path: str) -> dict:
    """Of a checkpoint: shapes and numbers, by name."""
    reader = tf.train.load_checkpoint(path)
    kinds = reader.get_variable_to_dtype_map()
    return {name: (shape, kinds[name])
            for name, shape in reader.get_variable_to_shape_map().items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--steps', type=int, default=250, metavar='N')
    parser.add_argument('--seeds', type=int, default=5, metavar='N')
    arguments = parser.parse_args()
    if arguments.steps < 1 or arguments.seeds < 2:
        parser.error('--steps must be at least 1 and --seeds at least 2')
    if not inference.has_bfloat16():
        print('This processor has no bfloat16 instructions; there is nothing to compare.')
        return 0
    tf.get_logger().setLevel('ERROR')
    digits, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(digits))
    digits, labels = digits.reshape(-1, 8, 8)[order].astype(np.float32), labels[order]
    images = enlarged(digits[:HELD_OUT])
    found: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    names = []
    with tempfile.TemporaryDirectory() as folder:
        records = os.path.join(folder, 'records')
        write_records(records, digits[HELD_OUT:], labels[HELD_OUT:])
        for seed in range(1, arguments.seeds + 1):
            for precision in PRECISIONS:
                done = training.train(
                    records, os.path.join(folder, f'{precision}-{seed}'), split='train',
                    steps=arguments.steps, seed=seed, precision=precision, **RECIPE)
                names.append(variables(done.checkpoint))
                with inference.load(done.checkpoint, engine='session') as predictor:
                    answers = predictor.logits(images).argmax(axis=1)
                found[precision].append(float(100 * np.mean(answers == labels[:HELD_OUT])))
                print(f'{precision:8} seed {seed}: loss {done.loss:.4f} at step {done.step}, '
                      f'top-1 {found[precision][-1]:.1f} % of {HELD_OUT} held-out digits',
                      flush=True)
        info = checkpoint.inspect(done.checkpoint)
    print(f'{info.path.rsplit("/", 1)[-1]}: {len(names[-1])} variables, names, shapes and types '
          + ('as' if all(each == names[0] for each in names) else 'NOT as') + " float32's")
    mean = {precision: float(np.mean(each)) for precision, each in found.items()}
    error = float(np.sqrt(sum(np.var(each, ddof=1) / len(each) for each in found.values())))
    lost = mean['float32'] - mean['bfloat16']
    missed = lost > max(POINTS, 2 * error)
    print(f'means: float32 {mean["float32"]:.2f} %, bfloat16 {mean["bfloat16"]:.2f} %; bfloat16 '
          f'loses {lost:.2f} points, with a standard error of {error:.2f}'
          + (', which is too much' if missed else ''))
    return 1 if missed or any(each != names[0] for each in names) else 0


if __name__ == '__main__':
    sys.exit(main())
