"""Validation of the arguments of the networks, before anything is added to the graph."""

from __future__ import annotations

from collections.abc import Sequence

from inception_slim.errors import InceptionSlimError
import tensorflow.compat.v1 as tf

# A layer without padding, which reduces the grid: (end point, kernel size, stride).
ValidLayer = tuple[str, int, int]
_AXES = {'N': 'batch', 'H': 'height', 'W': 'width', 'C': 'channels'}


def check_arguments(network: str, inputs: tf.Tensor, num_classes: int | None,
                    dropout_keep_prob: float | tf.Tensor) -> None:
    """Checks the arguments that all networks have."""
    check_graph_mode(network)
    check_head(network, num_classes, dropout_keep_prob)
    check_images(network, inputs)


def check_convolutional_network(network: str, inputs: tf.Tensor, num_classes: int | None,
                                dropout_keep_prob: float | tf.Tensor, spatial_squeeze: bool,
                                global_pool: bool, max_size: int) -> None:
    """Checks the arguments of V1 to V3, whose head has one output up to images of `max_size`."""
    check_arguments(network, inputs, num_classes, dropout_keep_prob)
    check_size(network, inputs, 1)
    if spatial_squeeze and num_classes and not global_pool:
        check_single_output(network, inputs, max_size)


def check_base(network: str, inputs: tf.Tensor, final_endpoint: str,
               end_point_names: Sequence[str], valid_layers: Sequence[ValidLayer] = (),
               data_format: str = 'NHWC') -> None:
    """Checks the arguments of a base network: graph mode, last layer, images and their size."""
    check_graph_mode(network)
    if final_endpoint not in end_point_names:
        raise ValueError(f'{network}: unknown final_endpoint {final_endpoint!r}; use one of '
                         + ', '.join(end_point_names) + '.')
    check_images(network, inputs, data_format)
    check_size(network, inputs, min_image_size(valid_layers, final_endpoint, end_point_names),
               f' for {final_endpoint}', data_format)


def check_graph_mode(network: str) -> None:
    """Raises RuntimeError in eager execution."""
    if tf.executing_eagerly():
        raise RuntimeError(
            f'{network} builds a TensorFlow 1 graph, but eager execution is on; build it inside '
            '"with tf.Graph().as_default():", or call '
            'tf.compat.v1.disable_eager_execution() first.')


def check_images(network: str, inputs: tf.Tensor, data_format: str = 'NHWC') -> None:
    """Checks that images have four dimensions, floating point and a known number of channels."""
    shape = tf.TensorShape(inputs.shape)
    if shape.rank != 4:
        order = ', '.join(_AXES[axis] for axis in data_format)
        raise ValueError(f'{network}: inputs must be [{order}], but their shape is {shape}; give '
                         'the placeholder or tensor four dimensions.')
    if shape[data_format.index('C')] is None:
        raise ValueError(f'{network}: the number of channels must be known, but the shape of the '
                         f'inputs is {shape}; use inputs.set_shape(...).')
    if not tf.as_dtype(inputs.dtype).is_floating:
        raise ValueError(f'{network}: inputs must be floating point, scaled to [-1, 1], but are '
                         f'{tf.as_dtype(inputs.dtype).name}; use tf.cast(...) / 127.5 - 1.')


def check_depth(network: str, depth_multiplier: float, min_depth: int) -> None:
    """Checks the range of the arguments for the width."""
    if not depth_multiplier > 0:
        raise ValueError(f'{network}: depth_multiplier must be greater than 0, '
                         f'but is {depth_multiplier}.')
    if min_depth < 1:
        raise ValueError(f'{network}: min_depth must be at least 1, but is {min_depth}.')


def check_head(network: str, num_classes: int | None,
               dropout_keep_prob: float | tf.Tensor) -> None:
    """Checks the range of the classifier's arguments."""
    if num_classes is not None and num_classes < 0:
        raise ValueError(f'{network}: num_classes must be positive (or 0 or None for the '
                         f'pooled features), but is {num_classes}.')
    if not tf.is_tensor(dropout_keep_prob) and not 0 < dropout_keep_prob <= 1:
        raise ValueError(f'{network}: dropout_keep_prob must be in (0, 1], '
                         f'but is {dropout_keep_prob}.')


def min_image_size(valid_layers: Sequence[ValidLayer], end_point: str,
                   end_point_names: Sequence[str], grid: int = 1) -> int:
    """The smallest size of a square image for which the grid of `end_point` is large enough.

    Args:
      valid_layers: all layers without padding, in order.
      end_point: the end point.
      end_point_names: all end points, in order.
      grid: minimum height and width of the output of `end_point`.
    """
    reached = end_point_names[:end_point_names.index(end_point) + 1]
    side = grid
    for name, kernel, stride in reversed(valid_layers):
        if name in reached:
            side = (side - 1) * stride + kernel
    return side


def check_size(network: str, inputs: tf.Tensor, min_size: int, suffix: str = '',
               data_format: str = 'NHWC') -> None:
    """Checks that height and width, if known, are at least `min_size`."""
    shape = tf.TensorShape(inputs.shape)
    height, width = shape[data_format.index('H')], shape[data_format.index('W')]
    if any(side is not None and side < min_size for side in (height, width)):
        raise InceptionSlimError(
            f'{network}: images of {height}x{width} are too small; the smallest supported size is '
            f'{min_size}x{min_size}{suffix}.')


def check_known_size(network: str, inputs: tf.Tensor) -> None:
    """Checks that height and width are known."""
    if None in tf.TensorShape(inputs.shape).as_list()[1:3]:
        raise ValueError(f'{network}: the auxiliary classifier needs a known height and width, but '
                         f'the shape of the inputs is {tf.TensorShape(inputs.shape)}; use '
                         'create_aux_logits=False or inputs.set_shape(...).')


def check_single_output(network: str, inputs: tf.Tensor, max_size: int) -> None:
    """Checks that height and width, if known, are at most `max_size`."""
    height, width = tf.TensorShape(inputs.shape).as_list()[1:3]
    if any(side is not None and side > max_size for side in (height, width)):
        raise InceptionSlimError(
            f'{network}: images of {height}x{width} give more than one output; use '
            f'global_pool=True, spatial_squeeze=False, or images of at most {max_size}x{max_size}.')


def check_size_with_aux(network: str, inputs: tf.Tensor, valid_layers: Sequence[ValidLayer],
                        end_point_names: Sequence[str], aux: tuple[str, int] | None,
                        dense: bool = False) -> None:
    """Checks that the images are large enough for every layer and the auxiliary classifier.

    Args:
      network: name of the network, for the error message.
      inputs: images.
      valid_layers: all layers without padding, in order.
      end_point_names: all end points, in order.
      aux: the input of the auxiliary classifier and its pooling's kernel size; None without one.
      dense: whether the auxiliary classifier has a dense layer, which needs a known image size.
    """
    min_size = min_image_size(valid_layers, end_point_names[-1], end_point_names)
    if aux:
        if dense:
            check_known_size(network, inputs)
        end_point, grid = aux
        check_size(network, inputs, min_image_size(valid_layers, end_point, end_point_names, grid),
                   f' ({min_size}x{min_size} with create_aux_logits=False)')
    check_size(network, inputs, min_size)
