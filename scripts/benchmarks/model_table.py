"""Prints a table of the Inception networks, with AlexNet and VGG-16 of tf_slim.nets.

Layers, parameters and multiply-adds are counted in graphs with 1,000 classes, or of FaceNet's
Inception-ResNet V1 with an embedding of 512 numbers. Seconds are those of a forward pass of random
images, by the original graph in a Session and by `inception_slim.inference` in each precision.
"""

import argparse
from collections.abc import Callable, Iterator
import contextlib
from dataclasses import dataclass
from functools import partial
import os
import statistics
import tempfile
import time
from typing import Any

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim import inference
from inception_slim.nets import registry
from inception_slim.nets.flops import count_multiply_adds
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim.nets import alexnet, vgg
from tqdm import tqdm

from scripts.benchmarks._common import fill_with_random_weights, machine

CLASSES = 1000
EMBEDDING = 512
GRAPH = 'original graph'
REFERENCE = 'inception_v3'


@dataclass(frozen=True)
class Row:
    """A network, and the error and remarks from its paper."""

    title: str
    build: Callable
    image_size: int
    top_5_error: str
    note: str


def inception_row(name: str, top_5_error: str, note: str) -> Row:
    network = registry.NETWORKS[name]
    size = EMBEDDING if network.has_embedding else CLASSES
    return Row(network.title, registry.get_network_fn(name, size), network.image_size, top_5_error,
               note)


def tf_slim_row(title: str, function: Any, arg_scope: Callable, top_5_error: str,
               note: str) -> Row:
    def build(images):
        with slim.arg_scope(arg_scope()):
            return function(images, CLASSES, is_training=False)

    return Row(title, build, function.default_image_size, top_5_error, note)


# The top-5 errors are those of the papers, in percent.
ROWS = {
    'alexnet': tf_slim_row(
        'AlexNet',
        alexnet.alexnet_v2,
        alexnet.alexnet_v2_arg_scope,
        '15.3',
        "the one-column variant of 2014; the paper's two columns have 60 M parameters",
    ),
    'vgg_16': tf_slim_row('VGG-16', vgg.vgg_16, vgg.vgg_arg_scope, '7.3', ''),
    'inception_v1': inception_row(
        'inception_v1', '6.67', 'batch norm, 3x3 for 5x5, and no auxiliary heads'
    ),
    'inception_v2': inception_row('inception_v2', '4.8', 'the first convolution is separable'),
    'inception_v3': inception_row('inception_v3', '3.5', 'one auxiliary head, with batch norm'),
    'inception_v4': inception_row(
        'inception_v4', '3.08', "the error is the paper's ensemble of four"
    ),
    'inception_resnet_v2': inception_row(
        'inception_resnet_v2',
        '3.08',
        "the stem is V3's, blocks scaled 0.17, 0.10, 0.20; the error is the ensemble's",
    ),
    'inception_resnet_v1': inception_row(
        'inception_resnet_v1', '', "FaceNet's, with an embedding instead of a classifier"
    ),
}


def depth(target: tf.Tensor) -> int:
    """The longest path of convolutions and dense layers; a separable convolution counts as one."""
    depths, stack = {}, [target.op]
    while stack:
        op = stack[-1]
        inputs = [tensor.op for tensor in op.inputs]
        unknown = [other for other in inputs if other not in depths]
        if op in depths or not unknown:
            stack.pop()
            depths[op] = max((depths[other] for other in inputs), default=0) + (
                op.type in ('Conv2D', 'MatMul'))
        stack += unknown
    return depths[target.op]


@dataclass
class SessionNetwork:
    """A network in a session."""

    session: tf.Session
    inputs: tf.Tensor
    logits: tf.Tensor


def build(row: Row, batch_size: int) -> SessionNetwork:
    with tf.Graph().as_default():
        inputs = tf.placeholder(tf.float32, (batch_size, row.image_size, row.image_size, 3))
        logits, _ = row.build(inputs)
        return SessionNetwork(tf.Session(), inputs, logits)


def build_with_weights(row: Row, batch_size: int) -> SessionNetwork:
    built = build(row, batch_size)
    with built.session.graph.as_default():
        fill_with_random_weights(built.session, slim.get_model_variables())
    return built


def count(built: SessionNetwork) -> dict[str, int]:
    """Layers, parameters (with and without the auxiliary head) and multiply-adds of an image."""
    with built.session.graph.as_default():
        sizes = {variable.op.name: variable.shape.num_elements()
                 for variable in tf.trainable_variables()
                 if '/moving_' not in variable.op.name}  # FaceNet's arg scope adds them
    return {
        'layers': depth(built.logits),
        'parameters': sum(size for name, size in sizes.items() if 'AuxLogits' not in name),
        'with_aux': sum(sizes.values()),
        'multiply_adds': count_multiply_adds(built.logits) // built.inputs.shape[0],
    }


@contextlib.contextmanager
def contestants(
    name: str, built: SessionNetwork, images: np.ndarray
) -> Iterator[dict[str, Callable]]:
    """The functions to time: the original graph, and a predictor in each precision."""
    run = built.session.make_callable(built.logits.op, feed_list=[built.inputs])
    calls = {GRAPH: lambda: run(images)}
    if name not in registry.NETWORKS:
        yield calls
        return
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        with built.session.graph.as_default():
            path = tf.train.Saver(tf.global_variables()).save(
                built.session, os.path.join(folder, name), write_meta_graph=False)
        for precision in inference.PRECISIONS:
            if precision == 'bfloat16' and not inference.has_fast_bfloat16():
                continue
            # Only speed is measured, so int8 may be calibrated on the same images.
            predictor = stack.enter_context(inference.load(
                path, precision=precision, calibration_images=images[:4]))
            outputs = (predictor.features if registry.NETWORKS[name].has_embedding
                       else predictor.logits)
            calls[precision] = partial(outputs, images)
        yield calls


def measure(batch_size: int, rounds: int) -> tuple[dict, dict]:
    """The counts of each network, and the median seconds of a batch by each function.

    The networks are timed one after the other to save memory. The functions of one alternate with
    the graph of Inception V3, so that other load on the machine affects all of them.
    """
    counted, seconds = {}, {}
    bar = tqdm(total=len(ROWS) * (rounds + 2), disable=None, dynamic_ncols=True)
    reference = build_with_weights(ROWS[REFERENCE], batch_size)
    run_reference = partial(reference.session.run, reference.logits.op,
                           {reference.inputs: random_images(ROWS[REFERENCE], batch_size)})
    for name, row in ROWS.items():
        bar.set_description(row.title)
        built = reference if name == REFERENCE else build_with_weights(row, batch_size)
        counted[name] = count(built)
        with contestants(name, built, random_images(row, batch_size)) as calls:
            bar.update()
            calls[REFERENCE] = run_reference
            durations = {kind: [] for kind in calls}
            for number in range(rounds + 1):
                for kind, call in calls.items():
                    start = time.perf_counter()
                    call()
                    if number:  # the first round warms up
                        durations[kind].append(time.perf_counter() - start)
                bar.update()
        seconds[name] = {kind: statistics.median(values) for kind, values in durations.items()}
        if built is not reference:
            built.session.close()
    bar.close()
    return counted, seconds


def random_images(row: Row, batch_size: int) -> np.ndarray:
    return np.random.RandomState(0).uniform(
        -1, 1, (batch_size, row.image_size, row.image_size, 3)).astype(np.float32)


def build_table(counted: dict, seconds: dict, batch_size: int) -> list[str]:
    """The lines of a Markdown table with aligned columns."""
    lines = [('network', 'image', 'layers deep', 'parameters', 'without aux', 'multiply-adds',
              'top-5 error', f's / {batch_size} images', 'to V3', *inference.PRECISIONS)]
    for name, row in ROWS.items():
        counts, medians = counted[name], seconds[name]
        to_v3 = 1 if name == REFERENCE else medians[GRAPH] / medians[REFERENCE]
        lines.append(
            (
                row.title,
                f'{row.image_size}',
                f'{counts["layers"]}',
                f'{counts["with_aux"] / 1e6:.2f} M',
                f'{counts["parameters"] / 1e6:.2f} M',
                f'{counts["multiply_adds"] / 1e9:.2f} G',
                f'{row.top_5_error} %' if row.top_5_error else '-',
                f'{medians[GRAPH]:.3f}',
                f'{to_v3:.2f}',
                *(
                    f'{medians[GRAPH] / medians[kind]:.2f}' if kind in medians else '-'
                    for kind in inference.PRECISIONS
                ),
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines)]
    lines.insert(1, ['-' * widths[0], *('-' * (width - 1) + ':' for width in widths[1:])])
    return ['| ' + ' | '.join(
        cell.rjust(width) if number else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(line, widths))) + ' |' for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='one round of 8 images, not 4 of 32')
    arguments = parser.parse_args()
    tf.get_logger().setLevel('ERROR')
    batch_size, rounds = (8, 1) if arguments.quick else (32, 4)
    counted, seconds = measure(batch_size, rounds)
    print('\n'.join(build_table(counted, seconds, batch_size)))
    print(
        'Seconds are of the original graph in a Session; "to V3" is relative to Inception V3; the '
        'last columns\nare the speed-up of inception_slim.inference in each precision. '
        f'{rounds} interleaved rounds;\n{machine()}, TensorFlow {tf.__version__}.'
    )
    print('Differences of the TF-Slim networks from the papers:')
    for row in ROWS.values():
        if row.note:
            print(f'  {row.title}: {row.note}')


if __name__ == '__main__':
    main()
