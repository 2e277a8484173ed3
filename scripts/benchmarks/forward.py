"""Times an Inception network in a TensorFlow Session: the forward pass of a batch of random images.

Prints a line for every tenth step, then the mean and standard deviation, images per second, GFLOP
per second, peak memory, versions and the processor.
"""

import argparse
from datetime import datetime
import json
import math
import os
import platform
import sys
import tempfile
import time
from typing import Any, NamedTuple

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim import checkpoint
from inception_slim._atomic_write import atomic_write
from inception_slim.inference import PRECISIONS, load
from inception_slim.nets import registry
from inception_slim.nets.flops import count_multiply_adds
from inception_slim.tf_slim_compat import TF_SLIM
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from scripts.benchmarks._common import fill_with_random_weights, processor
from scripts.benchmarks.peak_memory import peak_memory


class Timing(NamedTuple):
    """Durations of a benchmark in seconds per batch."""

    mean: float
    standard_deviation: float
    durations: list[float]


def time_tensorflow_run(
        session: tf.Session,
        target: Any,
        info_string: str,
        num_batches: int = 100,
        num_steps_burn_in: int = 10) -> Timing:
    """Times repeated runs of `target` and prints the results, as the 2017 example script does.

    Prints the duration of every tenth step in seconds as it is measured, and finally the mean and
    the standard deviation.

    Args:
      session: an initialized session.
      target: a tensor, an operation, or a structure of them.
      info_string: the label of the last line, such as 'Forward'.
      num_batches: number of timed steps, at least 1.
      num_steps_burn_in: number of steps before them that are not timed, at least 0.

    Returns:
      The durations of the timed steps.

    Raises:
      ValueError: a number of steps is out of range.
    """
    if num_batches < 1:
        raise ValueError(f'num_batches must be at least 1, but is {num_batches}.')
    if num_steps_burn_in < 0:
        raise ValueError(f'num_steps_burn_in must be at least 0, but is {num_steps_burn_in}.')
    durations = []
    for i in range(num_batches + num_steps_burn_in):
        start = time.perf_counter()
        session.run(target)
        duration = time.perf_counter() - start
        if i >= num_steps_burn_in:
            if not i % 10:
                print('%s: step %d, duration = %.3f' %
                      (datetime.now(), i - num_steps_burn_in, duration), flush=True)
            durations.append(duration)
    mean = math.fsum(durations) / num_batches
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in durations) / num_batches)
    print('%s: %s across %d steps, %.3f +/- %.3f sec / batch' %
          (datetime.now(), info_string, num_batches, mean, deviation), flush=True)
    return Timing(mean, deviation, durations)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, but is {value}')
    return value


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--network', choices=registry.CLASSIFIERS, default='inception_v3',
                        help='(default: inception_v3)')
    parser.add_argument('--batch-size', type=positive, default=32, metavar='N')
    parser.add_argument('--height', type=positive, metavar='PIXELS',
                        help="by default the network's own")
    parser.add_argument('--width', type=positive, metavar='PIXELS',
                        help="by default the network's own")
    parser.add_argument('--num-batches', type=positive, default=100, metavar='N',
                        help='counted steps (default: 100)')
    parser.add_argument('--num-steps-burn-in', type=int, default=10, metavar='N',
                        help='steps before them that are not counted (default: 10)')
    parser.add_argument('--checkpoint', metavar='PATH',
                        help='weights to restore; random ones by default')
    parser.add_argument('--forward-backward', action='store_true',
                        help='also time the gradients of all weights')
    parser.add_argument('--precision', choices=PRECISIONS,
                        help='time inception_slim.inference instead, in this precision')
    parser.add_argument('--json', metavar='FILE', help='also write the results there')
    arguments = parser.parse_args()
    side = registry.NETWORKS[arguments.network].image_size
    arguments.height, arguments.width = arguments.height or side, arguments.width or side
    if arguments.num_steps_burn_in < 0:
        parser.error('argument --num-steps-burn-in: must be at least 0')
    if arguments.json and not os.path.isdir(os.path.dirname(os.path.abspath(arguments.json))):
        parser.error(f'argument --json: there is no folder for {arguments.json}')
    if arguments.precision and (arguments.forward_backward or
                                (arguments.height, arguments.width) != (side, side)):
        parser.error(f'argument --precision: only for the forward pass at {side}x{side}')
    return arguments


def report(timing: Timing, operations: int, batch_size: int) -> dict:
    results = {
        'seconds_per_batch': timing.mean,
        'standard_deviation': timing.standard_deviation,
        'images_per_second': batch_size / timing.mean,
        'gflop_per_second': operations / timing.mean / 1e9,
        'durations': timing.durations,
    }
    print('%.1f images / sec, %.0f GFLOP / sec (%.1f GFLOP an image)' % (
        results['images_per_second'], results['gflop_per_second'],
        operations / batch_size / 1e9), flush=True)
    return results


def build(name: str, inputs: tf.Tensor):
    """Builds a network for inference under its arg scope."""
    network = registry.NETWORKS[name]
    with slim.arg_scope(network.arg_scope()):
        return network.function(inputs, is_training=False)


def run(arguments: argparse.Namespace) -> dict:
    tf.get_logger().setLevel('ERROR')
    if arguments.precision:
        return run_predictor(arguments)
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
            weights = [variable for variable in tf.trainable_variables()
                       if 'AuxLogits' not in variable.name]
            gradients = tf.gradients(tf.nn.l2_loss(logits), weights)
            timing = time_tensorflow_run(session, gradients, 'Forward-backward', *steps)
            # The gradients of weights and of activations cost a forward pass each.
            results['forward_backward'] = report(timing, 3 * operations, arguments.batch_size)
    return results


class PredictorSession:
    """A predictor with the interface of a session."""

    def __init__(self, predictor):
        self.run = predictor.logits


def run_predictor(arguments: argparse.Namespace) -> dict:
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
        # Only speed is measured, so int8 may be calibrated on the same images.
        with load(path, precision=arguments.precision,
                  calibration_images=images[:8]) as predictor:
            timing = time_tensorflow_run(
                PredictorSession(predictor), images, f'Forward in {predictor.precision}',
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
        'peak_memory_gib': peak_memory() / 1024, 'tensorflow': tf.__version__, 'tf_slim': TF_SLIM,
        'python': platform.python_version(), 'processor': processor(), 'cores': os.cpu_count(),
    }
    print('peak memory %.2f GiB' % machine['peak_memory_gib'])
    print('TensorFlow %s, TF-Slim %s, Python %s, %s, %d cores' % tuple(
        machine[key] for key in ('tensorflow', 'tf_slim', 'python', 'processor', 'cores')))
    if arguments.json:
        with atomic_write(arguments.json) as file:
            file.write(json.dumps({'arguments': vars(arguments), **results, **machine},
                                  indent=2).encode())
    return 0


if __name__ == '__main__':
    sys.exit(main())
