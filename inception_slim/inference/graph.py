"""The inference graph of a network, with its folded weights in it as constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.errors import CheckpointError
from inception_slim.nets import registry
from inception_slim.nets.blocks import pooled_conv
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim


def constant_graph(info: CheckpointInfo, values: dict[str, np.ndarray],
                   dtype: tf.DType = tf.float32, *, classify: bool = True) -> tf.Graph:
    """The network's inference graph with folded weights in it as constants.

    Args:
      info: from `checkpoint.read`.
      values: from `fold_batch_norm`; taken out as they are put in, so as not to be held twice.
      dtype: what to multiply in, tf.float32 or tf.bfloat16.
      classify: False leaves the classifier out.

    Returns:
      A graph from `inputs` to `features` and, with the classifier, `logits` and `predictions`; all
      float32.

    Raises:
      CheckpointError: the values are not those of the network.
    """
    def constant(name: str, value: np.ndarray) -> tf.Tensor:
        # The slash at its end makes this the whole name, whatever scope is open.
        return tf.constant(value.astype(dtype.as_numpy_dtype, copy=False), name=name + '/')

    return _graph(info, values, constant, dtype, classify, pool_first=False)


def graph_with_placeholders(
    info: CheckpointInfo,
    values: dict[str, np.ndarray],
    *,
    classify: bool = False,
    pool_first: bool = False,
) -> tuple[tf.Graph, dict[str, np.ndarray]]:
    """The same graph with a placeholder for each of its weights, and the weights by op name.

    For those who read the graph to build it elsewhere: the weights stay where they are, uncopied.

    Args:
      info, values, classify: see `constant_graph`.
      pool_first: leave the pooled branches as the network has them.
    """
    weights = {}

    def named(name: str, value: np.ndarray) -> tf.Tensor:
        placeholder = tf.placeholder(tf.float32, value.shape, name + '/')
        weights[placeholder.op.name] = value
        return placeholder

    return _graph(info, values, named, tf.float32, classify, pool_first), weights


def _graph(info: CheckpointInfo, values: dict[str, np.ndarray],
           placed: Callable[[str, np.ndarray], tf.Tensor], dtype: tf.DType, classify: bool,
           pool_first: bool) -> tf.Graph:
    """The graph, with what `placed` gives in the place of each variable."""
    network = registry.NETWORKS[info.network]
    arguments = {}
    if info.depth_multiplier is not None and network.channels:
        arguments = {'depth_multiplier': info.depth_multiplier, 'min_depth': info.min_depth}
    if network.aux_classifier:
        arguments['create_aux_logits'] = False
    side = network.image_size

    def variable(getter, name, shape=None, **_):
        """In the place of a variable."""
        value = values.pop(name.removeprefix(network.scope + '/'), None)
        if value is None:
            raise CheckpointError(f'{info.path} does not fit {network.title}: it has '
                                  f'no {name}; find the whole of the checkpoint.')
        wanted = tf.TensorShape(shape).as_list()
        if wanted != list(value.shape):
            raise CheckpointError(
                f'{info.path} does not fit {network.title}: {name} is {list(value.shape)} in it, '
                f'not {wanted}; its width is that of no depth_multiplier.')
        return placed(name, value)

    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, (None, side, side, 3), name='inputs')
        with tf.variable_scope('', custom_getter=variable), \
                slim.arg_scope(network.arg_scope(use_batch_norm=False)), \
                slim.arg_scope([pooled_conv], pool_first=pool_first, pooling=info.pooling):
            net, end_points = network.function(
                tf.cast(images, dtype), num_classes=info.num_classes if classify else 0,
                is_training=False, **arguments)
        features = network.features(end_points) if classify else net
        outputs = {'features': tf.reshape(features, (-1, features.shape[-1]))}
        if classify:
            outputs.update(logits=end_points['Logits'], predictions=end_points['Predictions'])
        for name, output in outputs.items():
            tf.identity(tf.cast(output, tf.float32), name)
    return graph


def frozen_graph(info: CheckpointInfo, values: dict[str, np.ndarray],
                 outputs: Sequence[str]) -> tf.GraphDef:
    """What of `constant_graph` the outputs need, to be written or translated."""
    return extract_subgraph(constant_graph(info, values).as_graph_def(), outputs)


def extract_subgraph(definition: tf.GraphDef, outputs: Sequence[str]) -> tf.GraphDef:
    """The part of a graph that its outputs need."""
    nodes = {node.name: node for node in definition.node}
    needed, waiting = set(), list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [each.lstrip('^').split(':')[0] for each in nodes[name].input]
    part = tf.GraphDef(versions=definition.versions)
    part.node.extend(node for node in definition.node if node.name in needed)
    return part
