"""The inference graph of a network, with batch norm folded into its convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
from dataclasses import dataclass, field
import functools
import math
import os
import threading
from typing import Any, TypeAlias

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.checkpoint.head import SLIM_HEAD
from inception_slim.checkpoint.input_scaling import INPUT_SCALINGS, fold_input_scaling
from inception_slim.checkpoint.options import PREWHITEN
from inception_slim.data import preprocessing
from inception_slim.errors import CheckpointError
from inception_slim.nets import registry
from inception_slim.nets.registry import BATCH_NORM_EPSILON
import numpy as np
import tensorflow.compat.v1 as tf

# The files of the images of a batch, in error messages; what is no path is named by its number.
ImageNames: TypeAlias = Sequence[Any] | np.ndarray | None
# The spatial features of sFID (https://arxiv.org/abs/2103.03841, section 3.2): the first channels
# of a layer of Inception V3, `mixed_6` of the graph of 2015, on its grid of 17x17.
SPATIAL_VALUE = 'InceptionV3/InceptionV3/Mixed_6d/concat'
SPATIAL_CHANNELS, SPATIAL_SIZE = 7, 17 * 17 * 7
EMBEDDING_EPSILON = 1e-10  # FaceNet's: the squared length of an embedding is taken as at least this
_ACTIVATIONS = {'softmax': tf.nn.softmax, 'sigmoid': tf.nn.sigmoid, 'linear': tf.identity}
_POOLINGS = frozenset(('AvgPool', 'Mean', 'MaxPool'))
_AFTER_POOLING = frozenset(('Cast', 'Identity', 'Reshape', 'Squeeze', 'Transpose'))
# Keras chooses the base classes of a layer class when it is first used, by changing `__bases__`:
# two threads that build their first network at the same time could see them half changed.
_build_lock = threading.Lock()


def fold_batch_norm(weights: dict[str, np.ndarray],
                    epsilon: float = BATCH_NORM_EPSILON) -> dict[str, np.ndarray]:
    """Folds batch norm into the weights and biases of the convolutions.

    Args:
      weights: variables by their names in the network's scope, from `checkpoint.read`. The
        arrays are consumed, so that no weight is in memory twice.
      epsilon: what batch norm adds to the variance.

    Returns:
      float32 variables that end in `weights` and `biases` only.

    Raises:
      CheckpointError: a folded value is not finite.
    """
    with np.errstate(all='ignore'):
        folded = _fold(weights, epsilon)
    for name, value in folded.items():
        if not np.isfinite(value).all():
            raise CheckpointError(f'{name} overflows when its batch norm is folded into it: the '
                                  'scale or the variance of batch norm is out of range; copy the '
                                  'checkpoint again, or use an earlier one.')
    return folded


def _fold(weights: dict[str, np.ndarray], epsilon: float) -> dict[str, np.ndarray]:
    folded = {}
    for name in [name for name in weights if name.endswith(('weights', '/biases'))]:
        value = folded[name] = weights.pop(name)
        layer, _, parameter = name.rpartition('/')
        variance = weights.get(f'{layer}/BatchNorm/moving_variance')
        if variance is None or parameter in ('biases', 'depthwise_weights'):
            continue
        # In float64, so that folding itself adds no rounding error.
        scale = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
        scale *= weights.get(f'{layer}/BatchNorm/gamma', 1.0)
        mean = weights[f'{layer}/BatchNorm/moving_mean']
        np.multiply(value, scale, out=value, casting='same_kind')
        folded[f'{layer}/biases'] = (
            weights[f'{layer}/BatchNorm/beta'] - mean * scale).astype(np.float32)
    return folded


def relu_means(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The mean of each channel after its ReLU, as the parameters of batch norm say.

    Batch norm gives a channel the mean beta and the standard deviation gamma, over the images of
    the training. The values are taken as normally distributed.

    Args:
      weights: variables by their names in the network's scope, from `checkpoint.read`.

    Returns:
      `[channels]` float32 by the name of the layer; none for a layer without batch norm.
    """
    means = {}
    for name, beta in weights.items():
        layer, _, parameter = name.rpartition('/BatchNorm/')
        if parameter == 'beta':
            gamma = weights.get(f'{layer}/BatchNorm/gamma', np.ones_like(beta))
            deviation = np.maximum(abs(gamma.astype(np.float64)), 1e-6)
            relative = beta / deviation
            positive = [(1 + math.erf(value / math.sqrt(2))) / 2 for value in relative]
            density = np.exp(-np.square(relative) / 2) / math.sqrt(2 * math.pi)
            means[layer] = (beta * positive + deviation * density).astype(np.float32)
    return means


def constant_graph(info: CheckpointInfo, values: dict[str, np.ndarray],
                   dtype: tf.DType = tf.float32, *, classify: bool = True) -> tf.Graph:
    """Builds the inference graph with the folded weights as constants.

    Args:
      info: from `checkpoint.read`.
      values: from `fold_batch_norm`; consumed, so that no weight is in memory twice.
      dtype: dtype of the multiplications, tf.float32 or tf.bfloat16.
      classify: False leaves the last layer out.

    Returns:
      A graph from `inputs` to `features` and, with the last layer, the names of `output_names`;
      inputs and outputs are float32.

    Raises:
      CheckpointError: the values do not fit the network.
    """
    def constant(name: str, variable: str) -> tf.Tensor:
        # With a slash at its end the name is absolute, whatever scope is open.
        return tf.constant(values.pop(variable).astype(dtype.as_numpy_dtype, copy=False),
                           name=name + '/')

    return _build_graph(_structure(info, values, classify, pool_first=False), constant, dtype)


def graph_with_placeholders(
    info: CheckpointInfo,
    values: dict[str, np.ndarray],
    *,
    classify: bool = False,
    pool_first: bool = False,
) -> tuple[tf.Graph, dict[str, np.ndarray]]:
    """Builds the inference graph with a placeholder for each weight.

    For readers of the graph that build it for another runtime: the weights are not copied. Networks
    of the same structure share one graph, since it takes longer to build than to read.

    Args:
      info, values, classify: see `constant_graph`.
      pool_first: pool before the 1×1 convolution of a pooled branch, as the network is defined;
        False pools after it, where there are fewer channels.

    Returns:
      The graph, and the weights by the op name of their placeholders.
    """
    graph, variables = _shared_graph(_structure(info, values, classify, pool_first))
    return graph, {name: values.pop(variable) for name, variable in variables.items()}


@dataclass(frozen=True)
class _Structure:
    """What the graph of a network depends on, besides its weights.

    Attributes:
      info: the file, for error messages and for what `options` hold.
      options: what is compared of `info`.
      shapes: of the folded variables, by name.
      classify, pool_first: see `graph_with_placeholders`.
    """

    info: CheckpointInfo = field(compare=False)
    options: tuple[Any, ...]
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    classify: bool
    pool_first: bool


def _structure(info: CheckpointInfo, values: dict[str, np.ndarray], classify: bool,
               pool_first: bool) -> _Structure:
    """Folds the scaling of the images into the values; returns the structure."""
    if info.input_range not in ('inception', PREWHITEN):
        fold_input_scaling(values, INPUT_SCALINGS[info.input_range], info.path)
    options = (info.network, info.num_classes, info.embedding_size, info.depth_multiplier,
               info.min_depth, info.pooling, info.input_range, info.head, info.image_size)
    shapes = tuple((name, value.shape) for name, value in values.items())
    return _Structure(info, options, shapes, classify, pool_first)


@functools.lru_cache(maxsize=4)
def _shared_graph(structure: _Structure) -> tuple[tf.Graph, dict[str, str]]:
    """The graph, and the names of the variables by the op name of their placeholders."""
    shapes, variables = dict(structure.shapes), {}

    def placeholder(name: str, variable: str) -> tf.Tensor:
        tensor = tf.placeholder(tf.float32, shapes[variable], name + '/')
        variables[tensor.op.name] = variable
        return tensor

    graph = _build_graph(structure, placeholder, tf.float32)
    graph.finalize()
    return graph, variables


def _build_graph(structure: _Structure, make_tensor: Callable[[str, str], tf.Tensor],
                 dtype: tf.DType) -> tf.Graph:
    """Builds the graph with tensors in place of the variables.

    Args:
      structure: of the network.
      make_tensor: returns a tensor, given its name and the variable's in the values.
      dtype: of the multiplications.
    """
    info, shapes = structure.info, dict(structure.shapes)
    network = registry.NETWORKS[info.network]
    size = (info.embedding_size or info.num_classes) if structure.classify else None
    arguments = {}
    if info.depth_multiplier is not None and network.channels:
        arguments = {'depth_multiplier': info.depth_multiplier, 'min_depth': info.min_depth}
    if network.aux_classifier:
        arguments['create_aux_logits'] = False
    arguments.update(network.size_arguments(info.image_size))

    def get_variable(getter, name, shape=None, **_):
        variable = name.removeprefix(network.scope + '/')
        if variable not in shapes:
            raise CheckpointError(f'{info.path} does not fit {network.title}: {name} is missing; '
                                  'use the complete checkpoint.')
        expected = tf.TensorShape(shape).as_list()
        if expected != list(shapes[variable]):
            raise CheckpointError(
                f'{info.path} does not fit {network.title}: {name} has the shape '
                f'{list(shapes[variable])}, not {expected}; no depth_multiplier gives that width.')
        return make_tensor(name, variable)

    with _build_lock, tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, (None, *[info.image_size] * 2, 3), name='inputs')
        is_classic = info.head == SLIM_HEAD
        with _inference_scopes(network, get_variable, structure.pool_first, info.pooling):
            if info.input_range == PREWHITEN:
                with tf.name_scope(PREWHITEN):
                    images = tf.identity(preprocessing.prewhiten(images), 'images')
            net, end_points = network.build(
                tf.cast(images, dtype), size if is_classic else None, is_training=False,
                **arguments)
        features = _pool(network.features(end_points) if size and is_classic else net,
                         info.head.pool)
        outputs = {'features': features}
        if size and not is_classic:
            layers, channels = [], features.shape[-1]
            for layer in (*info.head.hidden_layers, network.classifier):
                channels_before, (channels,) = channels, shapes.get(f'{layer}/biases', (0,))
                shape = [channels_before, channels]
                if layer == network.classifier and not network.has_dense_classifier:
                    shape = [1, 1, *shape]
                layers.append((get_variable(None, f'{network.scope}/{layer}/weights', shape),
                               get_variable(None, f'{network.scope}/{layer}/biases', [channels])))
            outputs.update(zip(output_names(info), add_head(
                tf.cast(features, tf.float32), layers, info.head.activation,
                head_node_names(info), f'{network.scope}/Predictions/Reshape_1/')))
        elif size and network.has_embedding:
            net = tf.cast(net, tf.float32)
            outputs.update(prelogits=net, embeddings=tf.nn.l2_normalize(net, 1, EMBEDDING_EPSILON))
        elif size:
            outputs.update(logits=end_points['Logits'], predictions=end_points['Predictions'])
        for name, output in outputs.items():
            tf.identity(tf.cast(output, tf.float32), name)
    return graph


def _pool(features: tf.Tensor, pool: str) -> tf.Tensor:
    """The features `[N, channels]` of a head, from pooled features, which are an average."""
    if pool == 'average':
        return tf.reshape(features, (-1, features.shape[-1]))
    grid = last_grid(features)
    if pool == 'max':
        grid = tf.nn.max_pool(grid, grid.shape[1:3], 1, 'VALID')
        return tf.reshape(grid, (-1, grid.shape[-1]))
    return tf.reshape(tf.transpose(grid, (0, 3, 1, 2)), (-1, grid.shape[1:].num_elements()))


def last_grid(features: tf.Tensor) -> tf.Tensor:
    """Finds the last grid of a network, `[N, height, width, channels]`, from its features."""
    op = features.op
    while op.type in _AFTER_POOLING:
        op = op.inputs[0].op
    return op.inputs[0] if op.type in _POOLINGS else op.outputs[0]


def head_node_names(info: CheckpointInfo) -> list[str]:
    """The nodes of the dense layers of a head, by which readers of the file find the weights."""
    network = registry.NETWORKS[info.network]
    scope = network.scope if info.head == SLIM_HEAD else f'{info.head.scope}/{network.scope}'
    last = 'MatMul' if network.has_dense_classifier else 'Conv2D'
    return [*(f'{scope}/{layer}/MatMul' for layer in info.head.hidden_layers),
            f'{scope}/{network.classifier}/{last}']


def pop_head(info: CheckpointInfo,
             values: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Removes the weights and biases of the layers of a head from folded values, in order."""
    return [(values.pop(f'{layer}/weights'), values.pop(f'{layer}/biases'))
            for layer in (*info.head.hidden_layers, registry.NETWORKS[info.network].classifier)]


def add_head(
    features: tf.Tensor,
    layers: Sequence[tuple[tf.Tensor, tf.Tensor]],
    activation: str,
    names: Sequence[str | None],
    predictions_name: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds the dense layers of a head, in float32, with ReLU between them.

    Args:
      features: `[N, channels]`.
      layers: weights, of dense layers or 1×1 convolutions, and biases; the last is the classifier.
      activation: of the classifier, one of `OUTPUT_ACTIVATIONS`.
      names: of the node of each layer; None for any.
      predictions_name: of the predictions; None for any.

    Returns:
      The logits and the predictions, `[N, num_classes]`.
    """
    net = features
    for (weights, biases), name in zip(layers, names):
        if net is not features:
            net = tf.nn.relu(net)
        weights, biases = (tf.cast(value, tf.float32) for value in (weights, biases))
        # With a slash at their ends the names are absolute.
        product, total = (None, None) if name is None else (
            f'{name}/', f'{name.rpartition("/")[0]}/BiasAdd/')
        if weights.shape.rank == 4:
            net = tf.reshape(net, (-1, 1, 1, net.shape[-1]))
            net = tf.nn.conv2d(net, weights, 1, 'VALID', name=product)
            net = tf.squeeze(tf.nn.bias_add(net, biases, name=total), (1, 2))
        else:
            net = tf.nn.bias_add(tf.matmul(net, weights, name=product), biases, name=total)
    return net, _ACTIVATIONS[activation](net, name=predictions_name)


@contextlib.contextmanager
def _inference_scopes(network: registry.Network, get_variable: Callable[..., tf.Tensor],
                      pool_first: bool, pooling: str) -> Iterator[None]:
    # Not needed for a network from the cache, and slow to import.
    from inception_slim.nets.mixed import pooled_conv
    import tf_slim as slim

    # The empty scope first: those of the caller do not count.
    with slim.arg_scope({}), tf.variable_scope('', custom_getter=get_variable), \
            slim.arg_scope(network.arg_scope(use_batch_norm=False)), \
            slim.arg_scope([pooled_conv], pool_first=pool_first, pooling=pooling):
        yield


def graph_without_weights(network: registry.Network,
                          pooling: str) -> tuple[tf.Graph, dict[str, np.ndarray]]:
    """Builds a network at full width, as it is defined, from `inputs` to `features`.

    Args:
      network: the network.
      pooling: how its pooled branches pool, one of `nets.POOLINGS`.

    Returns:
      The graph, and zeros of the shapes of the weights, which take no memory, by the op name of
      their placeholders.
    """
    weights = {}

    def get_variable(getter, name, shape=None, **_):
        tensor = tf.placeholder(tf.float32, shape, name + '/')
        weights[tensor.op.name] = np.broadcast_to(np.float32(0), tensor.shape.as_list())
        return tensor

    arguments = {'create_aux_logits': False} if network.aux_classifier else {}
    with _build_lock, tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, (None, *[network.image_size] * 2, 3), name='inputs')
        with _inference_scopes(network, get_variable, pool_first=True, pooling=pooling):
            net, _ = network.build(images, None, is_training=False, **arguments)
        tf.reshape(net, (-1, net.shape[-1]), name='features')
    return graph, weights


def has_last_layer(info: CheckpointInfo) -> bool:
    """Whether a checkpoint has a classifier or an embedding after the pooled features."""
    return info.num_classes is not None or info.embedding_size is not None


def output_names(info: CheckpointInfo) -> tuple[str, ...]:
    """The outputs of the graph of a network with its last layer; the last one is its result.

    'logits' and 'predictions' with a classifier; 'prelogits' and 'embeddings', which have the
    length 1, with an embedding; else 'features'.
    """
    if info.embedding_size is not None:
        return 'prelogits', 'embeddings'
    return ('features',) if info.num_classes is None else ('logits', 'predictions')


def check_finite_output(path: str, output: str, result: np.ndarray,
                        precision: str = 'float32', names: ImageNames = None) -> None:
    """Raises a CheckpointError if an output `[N, ...]` of the network in a file is not finite.

    Args:
      path: the checkpoint.
      output: the name of the output.
      result: its value.
      precision: the precision of the network.
      names: the files of the images.
    """
    finite = np.isfinite(result).all(axis=tuple(range(1, result.ndim)))
    if not finite.all():
        index = int(finite.argmin())
        name = None if names is None else names[index]
        image = (os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else
                 f'image {index + 1} of {len(result)} in a batch')
        raise CheckpointError(
            f'The {output} of {path} are not finite for {image}: an activation overflows in '
            f'{precision}; its weights are damaged, or those of a training that diverged.')


def frozen_graph(info: CheckpointInfo, values: dict[str, np.ndarray],
                 outputs: Sequence[str]) -> tf.GraphDef:
    """The part of `constant_graph` that the outputs need, for writing or conversion."""
    return extract_subgraph(constant_graph(info, values).as_graph_def(), outputs)


def extract_subgraph(definition: tf.GraphDef, outputs: Sequence[str]) -> tf.GraphDef:
    """The part of a graph that its outputs need."""
    nodes = {node.name: node for node in definition.node}
    needed, waiting = set(), list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [source.lstrip('^').split(':')[0] for source in nodes[name].input]
    part = tf.GraphDef(versions=definition.versions)
    part.node.extend(node for node in definition.node if node.name in needed)
    return part
