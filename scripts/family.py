"""Prints the Inception family in a table, with AlexNet and VGG-16 from tf_slim.nets beside it.

Layers, parameters and multiply-adds are counted in the graphs, of 1,000 classes; seconds are those
of a forward pass of a batch, of random images, each network in turn in every round of one run.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import inception_slim  # noqa: F401  first, so that TensorFlow is imported quietly
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim.nets import alexnet, vgg

from inception_slim.benchmark import multiply_adds
from inception_slim.nets import factory

CLASSES = 1000


@dataclass(frozen=True)
class Row:
    """A network, and what its paper says of it."""

    title: str
    build: Callable
    image_size: int
    top_5_error: str
    note: str


def of_family(name: str, top_5_error: str, note: str) -> Row:
    network = factory.NETWORKS[name]
    return Row(network.title, factory.get_network_fn(name, CLASSES), network.image_size,
               top_5_error, note)


def of_tf_slim(title: str, function: Callable, arg_scope: Callable, top_5_error: str,
               note: str) -> Row:
    def build(images):
        with slim.arg_scope(arg_scope()):
            return function(images, CLASSES, is_training=False)

    return Row(title, build, function.default_image_size, top_5_error, note)


# The errors are the papers', in percent, of the single figure that each is known for.
ROWS = {
    'alexnet': of_tf_slim(
        'AlexNet', alexnet.alexnet_v2, alexnet.alexnet_v2_arg_scope, '15.3',
        "the one-column variant of 2014; the paper's two columns have 60 M parameters"),
    'vgg_16': of_tf_slim('VGG-16', vgg.vgg_16, vgg.vgg_arg_scope, '7.3', ''),
    'inception_v1': of_family(
        'inception_v1', '6.67', 'batch norm, 3x3 for 5x5, and no auxiliary heads'),
    'inception_v2': of_family('inception_v2', '4.8', 'the first convolution is separable'),
    'inception_v3': of_family('inception_v3', '3.5', 'one auxiliary head, with batch norm'),
    'inception_v4': of_family('inception_v4', '3.08', "the error is the paper's ensemble of four"),
    'inception_resnet_v2': of_family(
        'inception_resnet_v2', '3.08',
        "the stem is V3's, blocks scaled 0.17, 0.10, 0.20; the error is the ensemble's"),
}


def layers_deep(target: tf.Tensor) -> int:
    """The most convolutions and dense layers in a row; a separable convolution counts as one."""
    deep, waiting = {}, [target.op]
    while waiting:
        op = waiting[-1]
        before = [each.op for each in op.inputs]
        unknown = [each for each in before if each not in deep]
        if op in deep or not unknown:
            waiting.pop()
            deep[op] = max((deep[each] for each in before), default=0) + (
                op.type in ('Conv2D', 'MatMul'))
        waiting += unknown
    return deep[target.op]


def counts(row: Row) -> dict[str, int]:
    """Layers, parameters (with the auxiliary head and without) and multiply-adds of an image."""
    with tf.Graph().as_default():
        logits, _ = row.build(tf.zeros((1, row.image_size, row.image_size, 3)))
        sizes = {each.op.name: each.shape.num_elements() for each in tf.trainable_variables()}
        return {
            'layers': layers_deep(logits),
            'parameters': sum(size for name, size in sizes.items() if 'AuxLogits' not in name),
            'with_aux': sum(sizes.values()),
            'multiply_adds': multiply_adds(logits),
        }


def seconds(rows: dict[str, Row], batch_size: int, rounds: int) -> dict[str, float]:
    """The median time of a batch; the networks take turns, so that all see the same machine."""
    sessions, durations = {}, {name: [] for name in rows}
    for name, row in rows.items():
        with tf.Graph().as_default() as graph:
            logits, _ = row.build(
                tf.random_uniform((batch_size, row.image_size, row.image_size, 3)))
            sessions[name] = tf.Session(graph=graph), logits.op
            sessions[name][0].run(tf.global_variables_initializer())
    for number in range(rounds + 1):
        for name, (session, target) in sessions.items():
            start = time.perf_counter()
            session.run(target)
            if number:  # the first round warms up
                durations[name].append(time.perf_counter() - start)
    for session, _ in sessions.values():
        session.close()
    return {name: statistics.median(each) for name, each in durations.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='one round of 8 images, not 5 of 32')
    arguments = parser.parse_args()
    tf.get_logger().setLevel('ERROR')
    batch_size, rounds = (8, 1) if arguments.quick else (32, 5)
    counted = {name: counts(row) for name, row in ROWS.items()}
    measured = seconds(ROWS, batch_size, rounds)
    print('                      image  layers  parameters, millions  multiply-   top-5  '
          f's / batch of {batch_size}')
    print('                               deep   with aux    without  adds, 1e9   error  '
          'measured  to V3')
    for name, row in ROWS.items():
        each = counted[name]
        print('{:21} {:5}  {:6}  {:9.2f}  {:9.2f}  {:9.2f}  {:>6}  {:8.3f}  {:5.2f}'.format(
            row.title, row.image_size, each['layers'], each['with_aux'] / 1e6,
            each['parameters'] / 1e6, each['multiply_adds'] / 1e9, row.top_5_error + '%',
            measured[name], measured[name] / measured['inception_v3']))
    print("Where TF-Slim's network differs from its paper's:")
    for row in ROWS.values():
        if row.note:
            print(f'  {row.title}: {row.note}')


if __name__ == '__main__':
    main()
