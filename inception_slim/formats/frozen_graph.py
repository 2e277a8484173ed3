"""A frozen graph: a GraphDef with its weights in it as constants.

Read are ours, those that `freeze_graph` made of TF-Slim's networks, and the one that TensorFlow
published in December 2015, `classify_image_graph_def.pb`, whose names and arithmetic are its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import os
from typing import Any

from inception_slim.checkpoint import CheckpointInfo, ImportedWeights, LazyTensor
from inception_slim.checkpoint.naming import is_model_tensor
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError
from inception_slim.formats._batch_norm import epsilon_note, shift_epsilon
from inception_slim.formats.name_maps import inception_2015_names
from inception_slim.formats.node_names import detect_pooling
from inception_slim.formats.writing import PredictFn
from inception_slim.inference import (
    BATCH_NORM_EPSILON,
    extract_subgraph,
    fold_batch_norm,
    frozen_graph,
)
import numpy as np
import tensorflow.compat.v1 as tf

LARGEST_FILE = 2**30
_FLOATS = (tf.float32, tf.float16, tf.bfloat16, tf.float64)


def read_weights(path: str) -> ImportedWeights:
    definition = tf.GraphDef()
    parse_proto(path, definition)
    return from_nodes(path, 'frozen graph', definition.node)


def parse_proto(path: str, message: Any) -> None:
    """Fills a protocol buffer from a file, if it is one and of a size that a network has."""
    size = os.path.getsize(path)
    if size > LARGEST_FILE:
        raise CheckpointError(f'{path} has {size / 2**30:.1f} GiB, more than any network here '
                              'needs; it is no such graph.')
    with open(path, 'rb') as file:
        content = file.read()
    try:
        message.ParseFromString(content)
    except Exception:  # each implementation of protocol buffers has an error of its own
        raise CheckpointError(f'{path} is damaged or cut short, or no graph of TensorFlow; copy it '
                              'again from where it came.') from None


def from_nodes(path: str, version: str, nodes: Iterable[tf.NodeDef]) -> ImportedWeights:
    """The variables of a network whose graph holds them as constants."""
    nodes = list(nodes)
    constants = {node.name: _constant(path, node) for node in nodes
                 if node.op == 'Const' and node.attr['dtype'].type in _FLOATS}
    by_name = {node.name: node for node in nodes}
    if 'conv/conv2d_params' in constants:
        return _of_2015(path, version, constants, by_name)
    if 'conv2d0_w' in constants:
        raise CheckpointError(
            f'{path} is the Inception V1 of 2014 (inception5h), with local response normalization '
            "and 5×5 convolutions where TF-Slim's has batch norm and 3×3; its layers have no "
            'places in it.')
    tensors = {name: tensor for name, tensor in constants.items() if is_model_tensor(name)}
    epsilons = {round(node.attr['epsilon'].f, 9) for node in nodes
                if node.op.startswith('FusedBatchNorm')}
    notes: tuple[str, ...] = ()
    if len(epsilons) > 1:
        raise CheckpointError(f'{path} has batch norms of {len(epsilons)} different epsilons; it '
                              "is none of TF-Slim's networks.")
    epsilon = epsilons.pop() if epsilons else BATCH_NORM_EPSILON
    if not np.isclose(epsilon, BATCH_NORM_EPSILON, rtol=1e-6):
        notes = (epsilon_note(epsilon),)
        tensors = {name: shift_epsilon(tensor, epsilon) if name.endswith('moving_variance')
                   else tensor for name, tensor in tensors.items()}
    return ImportedWeights(
        path, version, 'TF-Slim', tensors, pooling=detect_pooling(by_name), notes=notes
    )


def _constant(path: str, node: tf.NodeDef) -> LazyTensor:
    content = node.attr['value'].tensor
    shape = tuple(side.size for side in content.tensor_shape.dim)
    dtype = tf.as_dtype(node.attr['dtype'].type).as_numpy_dtype
    # A splat says in a few bytes what takes gigabytes, so that its size is looked at first.
    check_tensor_size(path, node.name, shape, dtype)
    return LazyTensor(shape, np.dtype(np.float32),
                  lambda: np.asarray(tf.make_ndarray(content), np.float32))


def _of_2015(path: str, version: str, constants: Mapping[str, LazyTensor],
             nodes: Mapping[str, tf.NodeDef]) -> ImportedWeights:
    """The network that TensorFlow published first: 1,008 outputs, and maxima in its last block."""
    tensors: dict[str, LazyTensor] = {}

    def take(ours: str, theirs: str) -> None:
        if theirs not in constants:
            raise CheckpointError(f'{path} is incomplete: it has no {theirs}; find the whole.')
        tensors[f'InceptionV3/{ours}'] = constants[theirs]

    notes = ['The network of December 2015: the maximum for the average in the pooled branch of '
             'its last block.']
    for layer, name in inception_2015_names().items():
        if name == 'softmax':
            take(f'{layer}/biases', 'softmax/biases')
            kernel = constants.get('softmax/weights')
            if kernel is None or len(kernel.shape) != 2:
                raise CheckpointError(f'{path} is incomplete: it has no softmax/weights; find the '
                                      'whole.')
            tensors[f'InceptionV3/{layer}/weights'] = LazyTensor(
                (1, 1, *kernel.shape), kernel.dtype, kernel.load)
            continue
        take(f'{layer}/weights', f'{name}/conv2d_params')
        norm = nodes.get(f'{name}/batchnorm')
        if norm is None or norm.op != 'BatchNormWithGlobalNormalization':
            raise CheckpointError(f'{path} has no batch norm after {name}; it is not the graph of '
                                  'December 2015.')
        for parameter in ('beta', 'moving_mean', 'moving_variance'):
            take(f'{layer}/BatchNorm/{parameter}', f'{name}/batchnorm/{parameter}')
        if norm.attr['scale_after_normalization'].b:
            take(f'{layer}/BatchNorm/gamma', f'{name}/batchnorm/gamma')
        epsilon = norm.attr['variance_epsilon'].f
        if not np.isclose(epsilon, BATCH_NORM_EPSILON, rtol=1e-6):
            variance = f'InceptionV3/{layer}/BatchNorm/moving_variance'
            tensors[variance] = shift_epsilon(tensors[variance], epsilon)
    last = nodes.get('mixed_10/tower_2/pool')
    pooling = '2015' if last is not None and last.op == 'MaxPool' else 'average'
    return ImportedWeights(path, version, 'December 2015', tensors, pooling=pooling,
                   input_scaling=_input_scaling_2015(constants), notes=tuple(
                       notes if pooling == '2015' else ()))


def _input_scaling_2015(constants: Mapping[str, LazyTensor]) -> tuple | None:
    """Its images are bytes, less 128, divided by 128: a little off [-1, 1]."""
    if 'Sub/y' not in constants or 'Mul/y' not in constants:
        return None
    less, factor = (float(constants[name].load().ravel()[0]) for name in ('Sub/y', 'Mul/y'))
    return np.full(3, 127.5 * factor), np.full(3, (127.5 - less) * factor)


def folded_graph(info: CheckpointInfo, weights: dict[str, np.ndarray],
                 outputs: Sequence[str] = ('logits', 'predictions')) -> tf.GraphDef:
    return frozen_graph(info, fold_batch_norm(weights), outputs)


def classic_frozen_graph(
    info: CheckpointInfo, weights: dict[str, np.ndarray]
) -> tuple[tf.GraphDef, str]:
    """From `input` to the predictions under the name they have always had; and that name."""
    definition = folded_graph(info, weights)
    output = next(node for node in definition.node if node.name == 'predictions').input[0]
    definition = extract_subgraph(definition, [output])
    for node in definition.node:
        if node.name == 'inputs':
            node.name = 'input'
        for index, source in enumerate(node.input):
            if source == 'inputs':
                node.input[index] = 'input'
    return definition, output


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str) -> PredictFn:
    definition, output = classic_frozen_graph(info, weights)
    with open(path, 'wb') as file:
        file.write(definition.SerializeToString())
    loaded = tf.GraphDef()
    with open(path, 'rb') as file:
        loaded.ParseFromString(file.read())

    def answer(batch):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(loaded, name='')
            return session.run(f'{output}:0', {'input:0': batch})

    return answer
