"""Times an Inception network in a TensorFlow Session: the forward pass of a batch of random images.

Prints a line for every tenth step, and at the end the mean and its deviation, then images per
second, the rate of arithmetic, peak memory, and what it ran on.
"""

import argparse
from collections.abc import Sequence
import json
import os
import platform
import resource
import sys
import tempfile

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim import checkpoint
from inception_slim.benchmark import Timing, count_multiply_adds, time_tensorflow_run
from inception_slim.inference import PRECISIONS, load
from inception_slim.nets import registry
from inception_slim.tf_slim_compat import TF_SLIM
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, but is {value}')
    return value


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--network', choices=registry.NETWORKS, default='inception_v3',
                        help='(default: inception_v3)')
    parser.add_argument('--batch-size', type=positive, default=32, metavar='N')
    parser.add_argument('--height', type=positive, metavar='PIXELS',
                        help="by default the network's own")
    parser.add_argument('--width', type=positive, metavar='PIXELS',
                        help="by default the network's own")
    parser.add_argument('--num-batches', type=positive, default=100, metavar='N',
                        help='steps that count (default: 100)')
    parser.add_argument('--num-steps-burn-in', type=int, default=10, metavar='N',
                        help='steps before them that do not (default: 10)')
    parser.add_argument('--checkpoint', metavar='PATH',
                        help='weights to restore; random ones by default')
    parser.add_argument('--forward-backward', action='store_true',
                        help='then time the gradient of every weight too')
    parser.add_argument('--precision', choices=PRECISIONS,
                        help='run the fast path of inception_slim.inference instead, in this')
    parser.add_argument('--json', metavar='FILE', help='write the figures there as well')
    arguments = parser.parse_args()
    side = registry.NETWORKS[arguments.network].image_size
    arguments.height, arguments.width = arguments.height or side, arguments.width or side
    if arguments.num_steps_burn_in < 0:
        parser.error('argument --num-steps-burn-in: must be at least 0')
    if arguments.json and not os.path.isdir(os.path.dirname(os.path.abspath(arguments.json))):
        parser.error(f'argument --json: there is no folder for {arguments.json}')
    if arguments.precision and (arguments.forward_backward or
                                (arguments.height, arguments.width) != (side, side)):
        parser.error(f'argument --precision: the fast path is forward, at {side}x{side}')
    return arguments


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        with open('/proc/cpuinfo') as file:
            for line in file:
                if line.startswith('model name'):
                    return line.split(':', 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def peak_memory() -> float:
    """Peak memory of this process, in GiB."""
    unit = 1 if sys.platform == 'darwin' else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def report(timing: Timing, operations: int, batch_size: int) -> dict:
    figures = {
        'seconds_per_batch': timing.mean,
        'standard_deviation': timing.standard_deviation,
        'images_per_second': batch_size / timing.mean,
        'gflop_per_second': operations / timing.mean / 1e9,
        'durations': timing.durations,
    }
    print('%.1f images / sec, %.0f GFLOP / sec (%.1f GFLOP an image)' % (
        figures['images_per_second'], figures['gflop_per_second'],
        operations / batch_size / 1e9), flush=True)
    return figures


def fill_with_random_weights(session: tf.Session, variables: Sequence[tf.Variable]) -> None:
    """Weights of a scale that neither dies out nor grows over a hundred layers."""
    chance = np.random.RandomState(0)

    def value(shape: list[int], kind: str) -> np.ndarray:
        if kind == 'moving_variance':
            return np.ones(shape, np.float32)
        scale = np.sqrt(2 / np.prod(shape[:-1])) if kind.endswith('weights') else 0.1
        return chance.standard_normal(shape).astype(np.float32) * np.float32(scale)

    # All at once: a run for each variable would take a minute.
    session.run([each.initializer for each in variables], {
        each.initializer.inputs[1]: value(each.shape.as_list(), each.op.name.rsplit('/', 1)[-1])
        for each in variables})


def random_checkpoint(name: str, folder: str) -> tuple[str, int]:
    """A full-width checkpoint of 1,001 classes, and the multiply-adds of one image."""
    network = registry.NETWORKS[name]
    with tf.Graph().as_default(), tf.Session() as session:
        with slim.arg_scope(network.arg_scope()):
            logits, _ = network.function(tf.zeros((1, network.image_size, network.image_size, 3)),
                                         1001, is_training=False)
        variables = slim.get_model_variables()
        fill_with_random_weights(session, variables)
        path = tf.train.Saver(variables).save(session, os.path.join(folder, 'model.ckpt'),
                                              write_meta_graph=False)
        return path, count_multiply_adds(logits)


def build(name: str, inputs: tf.Tensor):
    """A network as its arg scope has it, for inference."""
    network = registry.NETWORKS[name]
    with slim.arg_scope(network.arg_scope()):
        return network.function(inputs, is_training=False)


def run(arguments: argparse.Namespace) -> dict:
    tf.get_logger().setLevel('ERROR')
    if arguments.precision:
        return run_fast_path(arguments)
    results = {}
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.random_uniform(
            (arguments.batch_size, arguments.height, arguments.width, 3))
        logits, _ = build(arguments.network, inputs)
        session.run(tf.global_variables_initializer())
        if arguments.checkpoint:
            checkpoint.restore(session, arguments.checkpoint)
        steps = (arguments.num_batches, arguments.num_steps_burn_in)
        operations = 2 * count_multiply_adds(logits)
        timing = time_tensorflow_run(session, logits, 'Forward', *steps)
        results['forward'] = report(timing, operations, arguments.batch_size)
        if arguments.forward_backward:
            weights = [each for each in tf.trainable_variables() if 'AuxLogits' not in each.name]
            gradients = tf.gradients(tf.nn.l2_loss(logits), weights)
            timing = time_tensorflow_run(session, gradients, 'Forward-backward', *steps)
            # The gradients of weights and of activations each cost a forward pass.
            results['forward_backward'] = report(timing, 3 * operations, arguments.batch_size)
    return results


class AsSession:
    """A predictor that is run as a session is."""

    def __init__(self, predictor):
        self.run = predictor.logits


def run_fast_path(arguments: argparse.Namespace) -> dict:
    size = arguments.batch_size
    images = np.random.uniform(
        -1, 1, (size, arguments.height, arguments.width, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, tf.Graph().as_default():
        logits, _ = build(arguments.network, tf.zeros(images.shape))
        path = arguments.checkpoint
        if not path:
            with tf.Session() as session:
                fill_with_random_weights(session, slim.get_model_variables())
                path = tf.train.Saver(slim.get_model_variables()).save(
                    session, os.path.join(folder, 'random'), write_meta_graph=False)
        # Of speed alone: int8 finds its ranges on the very images that it is timed with.
        with load(path, precision=arguments.precision,
                  calibration_images=images[:8]) as predictor:
            timing = time_tensorflow_run(
                AsSession(predictor), images, f'Forward in {predictor.precision}',
                arguments.num_batches, arguments.num_steps_burn_in)
        return {'precision': predictor.precision,
                'forward': report(timing, 2 * count_multiply_adds(logits), size)}


def main() -> int:
    arguments = parse_arguments()
    try:
        results = run(arguments)
    except (ValueError, tf.errors.OpError) as error:
        print(str(error), file=sys.stderr)
        return 1
    machine = {
        'peak_memory_gib': peak_memory(), 'tensorflow': tf.__version__, 'tf_slim': TF_SLIM,
        'python': platform.python_version(), 'processor': processor(), 'cores': os.cpu_count(),
    }
    print('peak memory %.2f GiB' % machine['peak_memory_gib'])
    print('TensorFlow %s, TF-Slim %s, Python %s, %s, %d cores' % tuple(
        machine[key] for key in ('tensorflow', 'tf_slim', 'python', 'processor', 'cores')))
    if arguments.json:
        with open(arguments.json + '.partial', 'w') as file:
            json.dump({'arguments': vars(arguments), **results, **machine}, file, indent=2)
        os.replace(arguments.json + '.partial', arguments.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
