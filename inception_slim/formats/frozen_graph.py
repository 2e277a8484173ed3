"""Frozen graphs: a GraphDef with the weights as constants.

Reads those of this package, those that `freeze_graph` made of TF-Slim's networks, also with batch
norm folded by `optimize_for_inference`, and `classify_image_graph_def.pb`, which TensorFlow
published in December 2015 with names and operations of its own. Each of them may have a classifier
of `retrain.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import os
from typing import TYPE_CHECKING, Any

from inception_slim._graph_attributes import leave_out_new_attributes
from inception_slim.checkpoint import CheckpointInfo, ImportedWeights, LazyTensor
from inception_slim.checkpoint.head import SLIM_HEAD, Head, detect_head
from inception_slim.checkpoint.naming import is_model_tensor, recognize, with_image_size
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError
from inception_slim.formats.lazy_tensors import epsilon_note, shift_epsilon
from inception_slim.formats.name_maps import inception_2015_names
from inception_slim.formats.node_names import (
    detect_input_range,
    detect_pooling,
    parse_layer,
    slim_layers,
)
from inception_slim.formats.retrained_graph import (
    Classifier,
    constant_name,
    find_classifier,
    find_input_scaling,
    replace_classifier,
)
from inception_slim.formats.structure import (
    LAYOUT_CHANGES,
    Node,
    arithmetic_node,
    check_structure,
    input_node,
    pad_node,
)
from inception_slim.inference import (
    BATCH_NORM_EPSILON,
    constant_graph,
    extract_subgraph,
    fold_batch_norm,
    frozen_graph,
)
from inception_slim.inference.graph import EMBEDDING_EPSILON, output_names
from inception_slim.nets import registry
import numpy as np
import tensorflow.compat.v1 as tf

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn

_LARGEST_FILE = 2**30
# The names that `optimize_for_inference` gives to weights with batch norm folded in.
_FOLDED_WEIGHTS, _FOLDED_BIASES = 'Conv2D_weights', 'Conv2D_bn_offset'
_FLOAT_TYPES = (tf.float32, tf.float16, tf.bfloat16, tf.float64)


def read_weights(path: str) -> ImportedWeights:
    """Reads a frozen graph."""
    definition = tf.GraphDef()
    parse_proto(path, definition)
    return from_nodes(path, 'frozen graph', definition.node)


def parse_proto(path: str, message: Any) -> None:
    """Parses a file of limited size into a protocol buffer message."""
    size = os.path.getsize(path)
    if size > _LARGEST_FILE:
        raise CheckpointError(f'{path} has {size / 2**30:.1f} GiB, more than any supported '
                              'network; give the frozen graph of one.')
    with open(path, 'rb') as file:
        content = file.read()
    try:
        message.ParseFromString(content)
    except Exception:  # each implementation of protocol buffers has its own exceptions
        raise CheckpointError(f'{path} is damaged or truncated, or not a TensorFlow graph; copy '
                              'it again.') from None


def from_nodes(path: str, version: str, nodes: Iterable[tf.NodeDef]) -> ImportedWeights:
    """Finds the variables of a network in the constants of its graph.

    Args:
      path: the file, for messages.
      version: the kind of file, for messages.
      nodes: all nodes of the graph and of its functions.
    """
    nodes = list(nodes)
    constants = {node.name: _constant(path, node) for node in nodes
                 if node.op == 'Const' and node.attr['dtype'].type in _FLOAT_TYPES}
    by_name = {node.name: node for node in nodes}
    classifier = find_classifier(path, by_name, constants)
    if {'conv/conv2d_params', f'conv/{_FOLDED_WEIGHTS}'} & set(constants):
        return _from_2015_graph(path, version, constants, by_name, classifier)
    if 'conv2d0_w' in constants:
        raise CheckpointError(
            f'{path} is the Inception V1 of 2014 (inception5h). It has local response '
            'normalization and 5×5 convolutions, so it does not fit TF-Slim\'s network. Scripts '
            'that load it with tf.import_graph_def work; start them with inception-slim run.')
    tensors = {name: tensor for name, tensor in constants.items()
               if is_model_tensor(name) and not name.startswith('final_')}
    for suffix, parameter in ((_FOLDED_WEIGHTS, 'weights'), (_FOLDED_BIASES, 'biases')):
        for name, tensor in constants.items():
            layer = name.endswith(f'/{suffix}') and parse_layer(
                name.removesuffix(suffix) + 'Conv2D')
            if layer:
                tensors[f'{layer[0]}/{parameter}'] = tensor
    epsilons = {round(node.attr['epsilon'].f, 9) for node in nodes
                if node.op.startswith('FusedBatchNorm')}
    notes: tuple[str, ...] = ()
    if len(epsilons) > 1:
        raise CheckpointError(f'{path} has batch norms with {len(epsilons)} different epsilons; it '
                              "is not one of TF-Slim's networks.")
    epsilon = epsilons.pop() if epsilons else BATCH_NORM_EPSILON
    if not np.isclose(epsilon, BATCH_NORM_EPSILON, rtol=1e-6):
        notes = (epsilon_note(epsilon),)
        tensors = {name: shift_epsilon(tensor, epsilon) if name.endswith('moving_variance')
                   else tensor for name, tensor in tensors.items()}
    # Only this package folds batch norm into weights with TF-Slim's names.
    is_own = not any(name.endswith(('moving_variance', _FOLDED_WEIGHTS)) for name in constants)
    weights = ImportedWeights(path, version, 'TF-Slim', tensors, pooling=detect_pooling(by_name),
                              input_scaling=find_input_scaling(by_name, constants),
                              notes=notes, head=detect_head(by_name, path), has_structure=True,
                              input_range=detect_input_range(by_name) if is_own else None)
    if tensors:
        mapping = recognize(weights)
        if classifier is not None:
            replace_classifier(tensors, mapping.network, mapping.scope, classifier)
            weights = dataclasses.replace(weights, tensors=tensors)
        if mapping.network.has_embedding:
            _check_length(path, by_name)
        _check_structure(path, mapping.network, weights.pooling, by_name, {
            constant: name.rpartition('/')[0] for name, constant in mapping.tensors.items()
            if name.endswith('/weights')}, weights.head)
    return weights


def _check_length(path: str, nodes: Mapping[str, tf.NodeDef]) -> None:
    """Refuses a graph of FaceNet that does not bring embeddings to length 1."""
    name = 'embeddings/Maximum/y'
    epsilon = _value(nodes, name) if name in nodes else None
    # Smaller ones than this do not change an embedding.
    if epsilon is not None and not epsilon.max() < 1e-6:
        raise CheckpointError(f'{path} divides embeddings by a length with the epsilon '
                              f'{epsilon.max():g} ({name}), where FaceNet has {EMBEDDING_EPSILON:g}'
                              ': it is another network. Run it with the program that wrote it.')


def check_variables_structure(path: str, weights: ImportedWeights,
                              graphs: Iterable[Iterable[tf.NodeDef]]) -> None:
    """Compares the graphs that have all layers, whose weights are variables, with the network."""
    mapping = recognize(weights)
    layers = {name.rpartition('/')[0] for name in mapping.tensors
              if name.endswith('/weights') and name.split('/')[0] not in mapping.network.heads}
    for graph in graphs:
        nodes = {node.name: node for node in graph}
        if layers <= set(slim_layers(
                name for name, node in nodes.items() if node.op in (*_CONVOLUTIONS, 'MatMul'))):
            _check_structure(path, mapping.network, weights.pooling, nodes, {})
            weights.has_structure = True


def _check_structure(path: str, network: registry.Network, pooling: str,
                     nodes: Mapping[str, tf.NodeDef], kernels: Mapping[str, str],
                     head: Head = SLIM_HEAD) -> None:
    """Compares a graph with the network; `kernels` are the layers by the constants they have."""
    layers = slim_layers(
        name for name, node in nodes.items() if node.op in (*_CONVOLUTIONS, 'MatMul'))
    for name, node in nodes.items():
        if node.op in (*_CONVOLUTIONS, 'MatMul') and len(node.input) > 1:
            layer = kernels.get(constant_name(nodes, node.input[1]))
            if layer is not None:
                layers[layer] = name
    check_structure(path, network, pooling, _structure(nodes), layers, head)


_CONVOLUTIONS = frozenset(('Conv2D', 'DepthwiseConv2dNative', '_FusedConv2D'))
_NORMS = frozenset(('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3',
                    'BatchNormWithGlobalNormalization'))
_ACTIVATIONS = frozenset(('Relu', 'Relu6', 'LeakyRelu', 'Elu', 'Selu', 'Sigmoid', 'Softplus',
                          'Softsign', 'Tanh'))
_POOLS = {'MaxPool': 'max', 'MaxPoolV2': 'max', 'AvgPool': 'avg'}
_ARITHMETIC = {'Add': 'add', 'AddV2': 'add', 'BiasAdd': 'add', 'Div': 'div', 'Mul': 'mul',
               'RealDiv': 'div', 'Sub': 'sub'}
# Of the two branches of `phase_train`, a Merge takes that of inference first.
_KINDS = {'Mean': 'mean', 'Squeeze': 'flatten', 'Reshape': 'flatten',
          **dict.fromkeys(_NORMS, 'norm'), **dict.fromkeys((
              'Identity', 'Cast', 'CheckNumerics', 'PlaceholderWithDefault', 'StopGradient',
              'Merge', 'Switch', 'FakeQuantWithMinMaxArgs', 'FakeQuantWithMinMaxVars',
              'FakeQuantWithMinMaxVarsPerChannel'), 'identity')}
_VARIABLES = frozenset(('Const', 'ReadVariableOp', 'VarHandleOp', 'Variable', 'VariableV2'))


def _structure(nodes: Mapping[str, tf.NodeDef]) -> dict[str, Node]:
    """The nodes of a graph for `check_structure`."""
    constants = _constant_nodes(nodes)
    return {name: _structure_node(node, nodes, constants) for name, node in nodes.items()
            if name not in constants}


def _sources(node: tf.NodeDef) -> list[str]:
    return [name.split(':')[0] for name in node.input if not name.startswith('^')]


def _constant_nodes(nodes: Mapping[str, tf.NodeDef]) -> set[str]:
    """The nodes whose values do not depend on the images."""
    constants = {name for name, node in nodes.items() if node.op in _VARIABLES}
    waiting = [node for node in nodes.values() if node.name not in constants and _sources(node)]
    while waiting:
        left = [node for node in waiting if not constants.issuperset(_sources(node))]
        constants.update(node.name for node in waiting if constants.issuperset(_sources(node)))
        if len(left) == len(waiting):
            break
        waiting = left
    return constants


def _structure_node(node: tf.NodeDef, nodes: Mapping[str, tf.NodeDef],
                    constants: set[str]) -> Node:
    inputs = tuple(name for name in _sources(node) if name in nodes and name not in constants)
    layout = node.attr['data_format'].s.decode() or 'NHWC'
    if node.op in _CONVOLUTIONS:
        fused = [item.decode() for item in node.attr['fused_ops'].list.s]
        functions = [item.lower() for item in fused if item in _ACTIVATIONS]
        return Node('conv', inputs[:1], strides=spatial_sides(node, 'strides'),
                    dilations=spatial_sides(node, 'dilations'), padding=_padding(node),
                    layout=layout, function=functions[0] if functions else 'linear')
    if node.op in _POOLS:
        return Node(_POOLS[node.op], inputs[:1], spatial_sides(node, 'ksize'),
                    spatial_sides(node, 'strides'), padding=_padding(node), layout=layout)
    if node.op in _ACTIVATIONS:
        return Node('activation', inputs, function=node.op.lower())
    if node.op in ('Concat', 'ConcatV2'):
        axis = _value(nodes, _sources(node)[0 if node.op == 'Concat' else -1])
        return Node('concat', inputs, axis=None if axis is None else int(axis))
    if node.op in ('Pad', 'PadV2'):
        return pad_node(inputs, _value(nodes, _sources(node)[1]))
    if node.op == 'Transpose':
        order = _value(nodes, _sources(node)[1])
        if order is not None and tuple(order.tolist()) in LAYOUT_CHANGES:
            return Node('transpose', inputs, permutation=tuple(order.tolist()))
    if node.op == 'Placeholder':
        return input_node([side.size for side in node.attr['shape'].shape.dim])
    if node.op in _KINDS:
        return Node(_KINDS[node.op], inputs[:1])
    if '/batchnorm/' in node.name:  # a part of batch norm that is not fused
        return Node('norm', inputs[:1])
    if node.op in _ARITHMETIC:
        operand = next((value for name in _sources(node) if name in constants
                        and (value := _value(nodes, name)) is not None), None)
        return arithmetic_node(_ARITHMETIC[node.op], inputs, operand)
    return Node('other', inputs, function=node.op)


def _value(nodes: Mapping[str, tf.NodeDef], name: str) -> np.ndarray | None:
    """A small constant; None if the node is none."""
    node = nodes.get(constant_name(nodes, name))
    if node is None or sum(side.size for side in node.attr['value'].tensor.tensor_shape.dim) > 64:
        return None
    return tf.make_ndarray(node.attr['value'].tensor)


def spatial_sides(node: tf.NodeDef, attribute: str) -> tuple[int, ...]:
    """Height and width of an attribute for four dimensions, such as `strides`."""
    sides = tuple(node.attr[attribute].list.i) or (1, 1, 1, 1)
    return sides[2:] if node.attr['data_format'].s == b'NCHW' else sides[1:3]


def _padding(node: tf.NodeDef) -> str | tuple[int, ...]:
    if node.attr['padding'].s == b'EXPLICIT':
        sides = tuple(node.attr['explicit_paddings'].list.i)
        return sides[4:] if node.attr['data_format'].s == b'NCHW' else sides[2:6]
    return node.attr['padding'].s.decode()


def _constant(path: str, node: tf.NodeDef) -> LazyTensor:
    content = node.attr['value'].tensor
    shape = tuple(side.size for side in content.tensor_shape.dim)
    dtype = tf.as_dtype(node.attr['dtype'].type).as_numpy_dtype
    # A few bytes can stand for gigabytes: one value is repeated to fill the shape.
    check_tensor_size(path, node.name, shape, dtype)
    return LazyTensor(shape, np.dtype(np.float32),
                      lambda: np.asarray(tf.make_ndarray(content), np.float32))


def _from_2015_graph(path: str, version: str, constants: Mapping[str, LazyTensor],
                     nodes: Mapping[str, tf.NodeDef], classifier: Classifier | None,
                     ) -> ImportedWeights:
    """Maps the network of December 2015, which has 1,008 outputs or those of `classifier`."""
    tensors: dict[str, LazyTensor] = {}

    def add(name: str, constant: str) -> None:
        if constant not in constants:
            raise CheckpointError(f'{path} is incomplete: it has no {constant}; copy it again.')
        tensors[f'InceptionV3/{name}'] = constants[constant]

    for layer, name in inception_2015_names().items():
        if name == 'softmax':
            continue
        norm = nodes.get(f'{name}/batchnorm')
        if norm is not None and norm.op == 'BiasAdd':
            add(f'{layer}/weights', f'{name}/{_FOLDED_WEIGHTS}')
            add(f'{layer}/biases', f'{name}/{_FOLDED_BIASES}')
            continue
        add(f'{layer}/weights', f'{name}/conv2d_params')
        if norm is None or norm.op != 'BatchNormWithGlobalNormalization':
            raise CheckpointError(f'{path} has no batch norm after {name}; it is not the graph of '
                                  'December 2015.')
        for parameter in ('beta', 'moving_mean', 'moving_variance'):
            add(f'{layer}/BatchNorm/{parameter}', f'{name}/batchnorm/{parameter}')
        if norm.attr['scale_after_normalization'].b:
            add(f'{layer}/BatchNorm/gamma', f'{name}/batchnorm/gamma')
        epsilon = norm.attr['variance_epsilon'].f
        if not np.isclose(epsilon, BATCH_NORM_EPSILON, rtol=1e-6):
            variance = f'InceptionV3/{layer}/BatchNorm/moving_variance'
            tensors[variance] = shift_epsilon(tensors[variance], epsilon)
    if classifier is None:
        if not {'softmax/weights', 'softmax/biases'} <= set(constants):
            raise CheckpointError(f'{path} is incomplete: it has no softmax/weights or '
                                  'softmax/biases; copy it again.')
        classifier = Classifier(constants['softmax/weights'], constants['softmax/biases'])
    replace_classifier(tensors, registry.NETWORKS['inception_v3'], 'InceptionV3', classifier)
    last_pool = nodes.get('mixed_10/tower_2/pool')
    pooling, notes = 'average', ()
    if last_pool is not None and last_pool.op == 'MaxPool':
        pooling, notes = '2015', ('Network of December 2015: the pooled branch of its last block '
                                  'uses max pooling instead of average pooling.',)
    check_structure(
        path, registry.NETWORKS['inception_v3'], pooling, _structure(nodes), {
            layer: f'{name}/logits/MatMul' if name == 'softmax' else f'{name}/Conv2D'
            for layer, name in inception_2015_names().items()})
    return ImportedWeights(
        path, version, 'December 2015', tensors, pooling=pooling,
        input_scaling=find_input_scaling(nodes, constants), notes=notes, has_structure=True)


def folded_graph(info: CheckpointInfo, weights: dict[str, np.ndarray],
                 outputs: Sequence[str] | None = None) -> tf.GraphDef:
    """A GraphDef from `inputs` to the outputs, with batch norm folded into the convolutions.

    Args:
      info, weights: from `checkpoint.read`.
      outputs: names of outputs; by default all of `output_names`.
    """
    return frozen_graph(info, fold_batch_norm(weights), outputs or output_names(info))


def classic_frozen_graph(
    info: CheckpointInfo, weights: dict[str, np.ndarray]
) -> tuple[tf.GraphDef, str]:
    """A GraphDef with the input and output names of TF-Slim's frozen graphs.

    Returns:
      The graph, from `input`, and the name of its output: the predictions, or 'embeddings' or
      'features' of a network without a classifier.
    """
    definition = folded_graph(info, weights)
    output = output_names(info)[-1]
    if info.num_classes is not None:
        output = next(node for node in definition.node if node.name == output).input[0]
    definition = extract_subgraph(definition, [output])
    for node in definition.node:
        if node.name == 'inputs':
            node.name = 'input'
        for index, source in enumerate(node.input):
            if source == 'inputs':
                node.input[index] = 'input'
    return definition, output


def predict(info: CheckpointInfo, weights: dict[str, np.ndarray],
            images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the outputs of a network with TensorFlow; the weights are not modified.

    Args:
      info: from `checkpoint.read`.
      weights: from `checkpoint.read`.
      images: `[N, side, side, 3]` in [-1, 1].

    Returns:
      The first and the last of `output_names`, such as logits and probabilities.
    """
    names = output_names(info)
    graph = constant_graph(with_image_size(info, images.shape[1]), fold_batch_norm({
        name: value.copy() for name, value in weights.items()}))
    with graph.as_default(), tf.Session() as session:
        batches = [session.run((f'{names[0]}:0', f'{names[-1]}:0'),
                               {'inputs:0': images[first:first + 4]})
                   for first in range(0, len(images), 4)]
    first_outputs, results = zip(*batches)
    return np.concatenate(first_outputs), np.concatenate(results)


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    """Writes a frozen graph; see `registry.Writer`."""
    definition, output = classic_frozen_graph(info, weights)
    leave_out_new_attributes(definition)
    with open(path, 'wb') as file:
        file.write(definition.SerializeToString())
    loaded = tf.GraphDef()
    with open(path, 'rb') as file:
        loaded.ParseFromString(file.read())

    def predict_loaded(batch: np.ndarray) -> np.ndarray:
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(loaded, name='')
            return session.run(f'{output}:0', {'input:0': batch})

    return predict_loaded
