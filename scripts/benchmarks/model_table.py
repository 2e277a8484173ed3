"""Prints the Inception family in a table, with AlexNet and VGG-16 from tf_slim.nets beside it.

Layers, parameters and multiply-adds are counted in the graphs, of 1,000 classes; seconds are those
of a forward pass of a batch of random images, by the network's own graph in a Session, and by the
fast path of `inception_slim.inference` in each precision.
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

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim import inference
from inception_slim.benchmark import count_multiply_adds
from inception_slim.nets import registry
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim.nets import alexnet, vgg
from tqdm import tqdm

from scripts.benchmarks.forward import fill_with_random_weights, processor

CLASSES = 1000
GRAPH = 'its own graph'
REFERENCE = 'inception_v3'


@dataclass(frozen=True)
class Row:
    """A network, and what its paper says of it."""

    title: str
    build: Callable
    image_size: int
    top_5_error: str
    note: str


def of_family(name: str, top_5_error: str, note: str) -> Row:
    network = registry.NETWORKS[name]
    return Row(network.title, registry.get_network_fn(name, CLASSES), network.image_size,
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


@dataclass
class Built:
    """A network in a session."""

    session: tf.Session
    inputs: tf.Tensor
    logits: tf.Tensor


def build(row: Row, batch_size: int) -> Built:
    with tf.Graph().as_default():
        inputs = tf.placeholder(tf.float32, (batch_size, row.image_size, row.image_size, 3))
        logits, _ = row.build(inputs)
        return Built(tf.Session(), inputs, logits)


def build_with_weights(row: Row, batch_size: int) -> Built:
    built = build(row, batch_size)
    with built.session.graph.as_default():
        fill_with_random_weights(built.session, slim.get_model_variables())
    return built


def counts(built: Built) -> dict[str, int]:
    """Layers, parameters (with the auxiliary head and without) and multiply-adds of an image."""
    with built.session.graph.as_default():
        sizes = {each.op.name: each.shape.num_elements() for each in tf.trainable_variables()}
    return {
        'layers': layers_deep(built.logits),
        'parameters': sum(size for name, size in sizes.items() if 'AuxLogits' not in name),
        'with_aux': sum(sizes.values()),
        'multiply_adds': count_multiply_adds(built.logits) // built.inputs.shape[0],
    }


@contextlib.contextmanager
def contestants(name: str, built: Built, images: np.ndarray) -> Iterator[dict[str, Callable]]:
    """What there is to time of a network: its own graph, and the fast path in each precision."""
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
            if precision == 'bfloat16' and not inference.has_bfloat16():
                continue
            # Of speed alone: int8 finds its ranges on some of the images that it is timed with.
            predictor = stack.enter_context(inference.load(
                path, precision=precision, calibration_images=images[:4]))
            calls[precision] = partial(predictor.logits, images)
        yield calls


def measure(batch_size: int, rounds: int) -> tuple[dict, dict]:
    """Each network's counts, and the median seconds of a batch of each of its contestants.

    One network after the other, so that the memory of one is enough; its contestants and Inception
    V3's graph take turns in every round, so that what is compared sees the same machine.
    """
    counted, seconds = {}, {}
    bar = tqdm(total=len(ROWS) * (rounds + 2), disable=None, dynamic_ncols=True)
    reference = build_with_weights(ROWS[REFERENCE], batch_size)
    of_reference = partial(reference.session.run, reference.logits.op,
                           {reference.inputs: images_for(ROWS[REFERENCE], batch_size)})
    for name, row in ROWS.items():
        bar.set_description(row.title)
        built = reference if name == REFERENCE else build_with_weights(row, batch_size)
        counted[name] = counts(built)
        with contestants(name, built, images_for(row, batch_size)) as calls:
            bar.update()
            calls[REFERENCE] = of_reference
            durations = {kind: [] for kind in calls}
            for number in range(rounds + 1):
                for kind, call in calls.items():
                    start = time.perf_counter()
                    call()
                    if number:  # the first round warms up
                        durations[kind].append(time.perf_counter() - start)
                bar.update()
        seconds[name] = {kind: statistics.median(found) for kind, found in durations.items()}
        if built is not reference:
            built.session.close()
    bar.close()
    return counted, seconds


def images_for(row: Row, batch_size: int) -> np.ndarray:
    return np.random.RandomState(0).uniform(
        -1, 1, (batch_size, row.image_size, row.image_size, 3)).astype(np.float32)


def table(counted: dict, seconds: dict, batch_size: int) -> list[str]:
    """The lines of a Markdown table, its columns as wide as what is in them."""
    lines = [('network', 'image', 'layers deep', 'parameters', 'without aux', 'multiply-adds',
              'top-5 error', f's / {batch_size} images', 'to V3', *inference.PRECISIONS)]
    for name, row in ROWS.items():
        each, found = counted[name], seconds[name]
        to_v3 = 1 if name == REFERENCE else found[GRAPH] / found[REFERENCE]
        lines.append((
            row.title, f'{row.image_size}', f'{each["layers"]}', f'{each["with_aux"] / 1e6:.2f} M',
            f'{each["parameters"] / 1e6:.2f} M', f'{each["multiply_adds"] / 1e9:.2f} G',
            f'{row.top_5_error} %', f'{found[GRAPH]:.3f}', f'{to_v3:.2f}',
            *(f'{found[GRAPH] / found[kind]:.2f}' if kind in found else '-'
              for kind in inference.PRECISIONS)))
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
    print('\n'.join(table(counted, seconds, batch_size)))
    print("Seconds are of the network's own graph in a Session, beside V3's in the next column; "
          'after it, how many\ntimes as fast inception_slim.inference answers, in each precision. '
          f'{rounds} rounds, in turn;\n{processor()}, {os.cpu_count()} cores, '
          f'TensorFlow {tf.__version__}.')
    print("Where TF-Slim's network differs from its paper's:")
    for row in ROWS.values():
        if row.note:
            print(f'  {row.title}: {row.note}')


if __name__ == '__main__':
    main()
