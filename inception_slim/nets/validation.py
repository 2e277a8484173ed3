"""What the networks check of their arguments, before anything is added to the graph."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow.compat.v1 as tf

# A layer without padding that shrinks the grid: (end point, kernel, stride).
ValidLayer = tuple[str, int, int]
_AXES = {'N': 'batch', 'H': 'height', 'W': 'width', 'C': 'channels'}


def check_arguments(network: str, inputs: tf.Tensor, num_classes: int | None,
               dropout_keep_prob: float | tf.Tensor) -> None:
    """What every network checks, of the arguments that every network has."""
    check_graph_mode(network)
    check_head(network, num_classes, dropout_keep_prob)
    check_images(network, inputs)


def check_convolutional_call(network: str, inputs: tf.Tensor, num_classes: int | None,
                             dropout_keep_prob: float | tf.Tensor, spatial_squeeze: bool,
                             global_pool: bool, largest: int) -> None:
    """What V1 to V3 check, whose head leaves one position of images up to `largest`."""
    check_arguments(network, inputs, num_classes, dropout_keep_prob)
    check_size(network, inputs, 1)
    if spatial_squeeze and num_classes and not global_pool:
        check_single_output(network, inputs, largest)


def check_body(network: str, inputs: tf.Tensor, final_endpoint: str, known: Sequence[str],
               shrinking: Sequence[ValidLayer] = (), data_format: str = 'NHWC') -> None:
    """What every body checks: graph mode, its last layer, its images and their size."""
    check_graph_mode(network)
    check_end_point(network, final_endpoint, known)
    check_images(network, inputs, data_format)
    check_size(network, inputs, min_image_size(shrinking, final_endpoint, known),
               f' for {final_endpoint}', data_format)


def check_graph_mode(network: str) -> None:
    if tf.executing_eagerly():
        raise RuntimeError(
            f'{network} builds a TensorFlow 1 graph, but eager execution is on; build it inside '
            '"with tf.Graph().as_default():", or call '
            'tf.compat.v1.disable_eager_execution() first.')


def check_images(network: str, inputs: tf.Tensor, data_format: str = 'NHWC') -> None:
    """Images are `[batch, height, width, channels]`, floating point, of known channels."""
    shape = tf.TensorShape(inputs.shape)
    if shape.rank != 4:
        order = ', '.join(_AXES[each] for each in data_format)
        raise ValueError(f'{network}: inputs must be [{order}], but their '
                         f'shape is {shape}; give the placeholder or tensor a shape of four.')
    if shape[data_format.index('C')] is None:
        raise ValueError(f'{network}: the number of channels must be known to shape the first '
                         f'weights, but the inputs are {shape}; use inputs.set_shape(...).')
    if not tf.as_dtype(inputs.dtype).is_floating:
        raise ValueError(f'{network}: inputs must be floating point, scaled to [-1, 1], but are '
                         f'{tf.as_dtype(inputs.dtype).name}; use tf.cast(...) / 127.5 - 1.')


def check_end_point(network: str, final_endpoint: str, known: Sequence[str]) -> None:
    if final_endpoint not in known:
        raise ValueError(f'{network}: unknown final_endpoint {final_endpoint!r}; known are '
                         + ', '.join(known) + '.')


def check_depth(network: str, depth_multiplier: float, min_depth: int) -> None:
    if not depth_multiplier > 0:
        raise ValueError(f'{network}: depth_multiplier must be greater than 0, '
                         f'but is {depth_multiplier}.')
    if min_depth < 1:
        raise ValueError(f'{network}: min_depth must be at least 1, but is {min_depth}.')


def check_head(network: str, num_classes: int | None,
               dropout_keep_prob: float | tf.Tensor) -> None:
    if num_classes is not None and num_classes < 0:
        raise ValueError(f'{network}: num_classes must be positive, or 0 or None for the pooled '
                         f'features, but is {num_classes}.')
    if not tf.is_tensor(dropout_keep_prob) and not 0 < dropout_keep_prob <= 1:
        raise ValueError(f'{network}: dropout_keep_prob must be in (0, 1], '
                         f'but is {dropout_keep_prob}.')


def min_image_size(shrinking: Sequence[ValidLayer], last: str, known: Sequence[str],
                   grid: int = 1) -> int:
    """The side of the smallest square image that leaves `last` a grid of at least `grid`.

    Args:
      shrinking: every layer without padding, in order.
      last: an end point.
      known: all end points, in order.
      grid: the wanted side of the output of `last`.
    """
    reached = known[:known.index(last) + 1]
    side = grid
    for name, kernel, stride in reversed(shrinking):
        if name in reached:
            side = (side - 1) * stride + kernel
    return side


def check_size(network: str, inputs: tf.Tensor, smallest: int, otherwise: str = '',
               data_format: str = 'NHWC') -> None:
    """Height and width, where known, are at least `smallest`; `otherwise` says what else works."""
    shape = tf.TensorShape(inputs.shape)
    height, width = shape[data_format.index('H')], shape[data_format.index('W')]
    if any(side is not None and side < smallest for side in (height, width)):
        raise ValueError(f'{network}: images of {height}x{width} are too small; '
                         f'the smallest that works is {smallest}x{smallest}{otherwise}.')


def check_known_size(network: str, inputs: tf.Tensor) -> None:
    """Height and width are known, which a dense layer of the auxiliary classifier needs."""
    if None in tf.TensorShape(inputs.shape).as_list()[1:3]:
        raise ValueError(f'{network}: the auxiliary classifier needs a known height and width, but '
                         f'the inputs are {tf.TensorShape(inputs.shape)}; use '
                         'create_aux_logits=False, or inputs.set_shape(...).')


def check_single_output(network: str, inputs: tf.Tensor, largest: int) -> None:
    """Height and width, where known, are at most `largest`, so that one position is left."""
    height, width = tf.TensorShape(inputs.shape).as_list()[1:3]
    if any(side is not None and side > largest for side in (height, width)):
        raise ValueError(f'{network}: images of {height}x{width} leave more than one position to '
                         f'classify; use global_pool=True, or spatial_squeeze=False, or images of '
                         f'at most {largest}x{largest}.')


def check_size_with_aux(network: str, inputs: tf.Tensor, shrinking: Sequence[ValidLayer],
                        known: Sequence[str], aux: tuple[str, int] | None,
                        dense: bool = False) -> None:
    """Large enough for every layer, and for the auxiliary classifier.

    Args:
      network: its name, for the error's sentence.
      inputs: images.
      shrinking: every layer without padding, in order.
      known: all end points, in order.
      aux: the end point the auxiliary classifier is on, and its pool's side; None without one.
      dense: whether the auxiliary classifier ends in a dense layer, which needs a known size.
    """
    smallest = min_image_size(shrinking, known[-1], known)
    if aux:
        if dense:
            check_known_size(network, inputs)
        end_point, grid = aux
        check_size(network, inputs, min_image_size(shrinking, end_point, known, grid),
                   f' ({smallest}x{smallest} with create_aux_logits=False)')
    check_size(network, inputs, smallest)
