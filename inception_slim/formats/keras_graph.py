"""The layers of a Keras model, read from the graph of its SavedModel.

A SavedModel holds no configuration of the model, but the graph that it computes, in functions that
call each other. Its nodes are translated to the configuration that a `.keras` file has, so that
the structure, the head and the scaling of images are examined in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
import re
from typing import Any

from inception_slim.errors import CheckpointError
from inception_slim.formats.frozen_graph import spatial_sides
from inception_slim.formats.object_checkpoint import layer_parameter
import numpy as np
import tensorflow.compat.v1 as tf

_SIGNATURES = ('serving_default', 'serve')  # of Keras; others come after them
_CALLS = frozenset(('PartitionedCall', 'StatefulPartitionedCall'))
_LARGEST_GRAPH, _DEEPEST_CALL = 200_000, 16  # nodes; functions that call each other
_LARGEST_CONSTANT = 2**14  # values
_LONGEST_CHAIN = 64  # operations that copy a value
_COPIES = frozenset(('Cast', 'CheckNumerics', 'EnsureShape', 'Identity', 'ReadVariableOp',
                     'StopGradient'))
_SAME_VALUES = _COPIES | {'Reshape', 'Squeeze'}  # of a vector of parameters
_SHAPES = frozenset(('Shape', 'ShapeN', 'Size', 'Rank'))  # independent of the images' values
_ACTIVATIONS = {'Relu': 'relu', 'Relu6': 'relu6', 'LeakyRelu': 'leaky_relu', 'Elu': 'elu',
                'Selu': 'selu', 'Sigmoid': 'sigmoid', 'Softmax': 'softmax', 'Tanh': 'tanh',
                'Softplus': 'softplus', 'Softsign': 'softsign'}
_POOLS = {'MaxPool': 'MaxPooling2D', 'AvgPool': 'AveragePooling2D'}
_GLOBAL_POOLS = {'Mean': 'GlobalAveragePooling2D', 'Max': 'GlobalMaxPooling2D'}
_LAYOUTS = {b'NHWC': 'channels_last', b'NCHW': 'channels_first'}

_FUNCTIONS = {'Maximum': np.maximum, 'Sqrt': np.sqrt}  # of constants, in Keras's Normalization

_Reference = tuple[str, int]  # the name of a node, and the number of its output


def read_config(path: str, meta_graph: Any) -> dict[str, Any] | None:
    """Translates the graph of a signature to the configuration of a Keras model.

    Args:
      path: the SavedModel, for messages.
      meta_graph: a `MetaGraphDef`.

    Returns:
      The configuration; None if no signature computes a convolution.
    """
    graph = _Graph(path, meta_graph.graph_def)
    signatures = meta_graph.signature_def
    for name in dict.fromkeys([*_SIGNATURES, *sorted(signatures)]):
        for output in sorted(signatures[name].outputs) if name in signatures else ():
            layers = _Translation(graph, signatures[name].outputs[output].name).run()
            if any(layer['class_name'] == 'Conv2D' for layer in layers):
                return {'config': {'layers': layers}}
    return None


@dataclass(frozen=True)
class _Node:
    """A node; `inputs` refer to nodes or calls, without control inputs."""

    definition: tf.NodeDef
    inputs: tuple[_Reference, ...]


class _Graph:
    """The nodes of a graph and of the functions that it calls."""

    def __init__(self, path: str, definition: tf.GraphDef):
        self.path = path
        self.nodes: dict[str, _Node] = {}
        self._results: dict[_Reference, _Reference] = {}  # of calls
        self._count = 0  # of nodes and calls
        self._functions = {function.signature.name: function
                           for function in definition.library.function}
        self._add(definition.node, {}, '', 0)

    def find(self, reference: _Reference) -> str:
        """The name of the node that a reference leads to through calls."""
        for _ in range(_DEEPEST_CALL * 2):
            if reference not in self._results:
                break
            reference = self._results[reference]
        if reference[0] not in self.nodes:
            raise CheckpointError(f'{self.path} refers to the node {reference[0]}, which it does '
                                  'not have; copy it again.')
        return reference[0]

    def _add(self, nodes: Iterable[tf.NodeDef], arguments: Mapping[str, _Reference], prefix: str,
             depth: int) -> None:
        for node in nodes:
            self._count += 1
            inputs = tuple(_reference(text, arguments, prefix) for text in node.input
                           if not text.startswith('^'))
            name = prefix + node.name
            function = self._functions.get(node.attr['f'].func.name) if node.op in _CALLS else None
            if function is None:
                self.nodes[name] = _Node(node, inputs)
            elif depth < _DEEPEST_CALL:
                names = (argument.name for argument in function.signature.input_arg)
                passed = dict(zip(names, inputs))
                self._add(function.node_def, passed, f'{name}/', depth + 1)
                for number, result in enumerate(function.signature.output_arg):
                    self._results[name, number] = _reference(
                        function.ret[result.name], passed, f'{name}/')
            # A function that calls itself reaches the depth; a few that call each other twice, the
            # number of nodes.
            if depth == _DEEPEST_CALL or self._count > _LARGEST_GRAPH:
                raise CheckpointError(
                    f'{self.path} has more than {_LARGEST_GRAPH:,} nodes, or functions that call '
                    'each other without end; give the SavedModel of an Inception network.')


def _reference(text: str, arguments: Mapping[str, _Reference], prefix: str) -> _Reference:
    """Parses an input: `node`, `node:1` or, in a function, `argument` or `node:output:1`."""
    name, *rest = text.split(':')
    if name in arguments:
        return arguments[name]
    return prefix + name, int(rest[-1]) if rest and rest[-1].isdigit() else 0


@dataclass
class _Inverse:
    """The factor of batch norm that Keras 3 computes: `gamma / sqrt(variance + epsilon)`."""

    layer: str
    epsilon: float


class _Translation:
    """The layers that compute an output, in an order in which each comes after its inputs."""

    def __init__(self, graph: _Graph, output: str):
        self._path = graph.path
        self._graph = graph
        self._output = graph.find(_reference(output, {}, ''))
        self._layers: list[dict[str, Any]] = []
        self._names: set[str] = set()  # of the layers
        self._layer_of: dict[str, str] = {}  # the layer that computes the value of a node
        self._inputs: dict[str, list[str]] = {}  # by node, without references
        self._consumers: Counter[str] = Counter()
        self._scaled: dict[str, tuple[str, dict[str, Any]]] = {}  # half-finished batch norms

    def run(self) -> list[dict[str, Any]]:
        for name in self._order():
            self._translate(name, self._graph.nodes[name].definition)
        return self._layers

    def _order(self) -> list[str]:
        """The output and all that it depends on, inputs first."""
        order: list[str] = []
        waiting = [self._output]
        while waiting:
            name = waiting[-1]
            if name not in self._inputs:
                node = self._graph.nodes[name]
                self._inputs[name] = [] if node.definition.op in _SHAPES else [
                    self._graph.find(reference) for reference in node.inputs]
                self._consumers.update(self._inputs[name])
                waiting += [item for item in self._inputs[name][::-1]
                            if item not in self._inputs]
            else:
                waiting.pop()
                order.append(name)
        return list(dict.fromkeys(order))

    def _translate(self, name: str, node: tf.NodeDef) -> None:
        inputs = self._inputs[name]
        sources = [self._layer_of[item] for item in inputs if item in self._layer_of]
        if node.op == 'Placeholder':
            sides = [side.size if side.size > 0 else None for side in node.attr['shape'].shape.dim]
            self._add('InputLayer', name, [], batch_shape=sides)
        elif not sources:
            return  # a constant or a variable, or computed from them
        elif node.op in _COPIES:
            self._layer_of[name] = sources[0]
        elif not self._add_known_layer(name, node, inputs, sources):
            self._add(node.op, name, sources)

    def _add_known_layer(self, name: str, node: tf.NodeDef, inputs: list[str],
                         sources: list[str]) -> bool:
        """Adds the layer of a node; returns False if it is none that Keras's networks have."""
        layout = _LAYOUTS.get(node.attr['data_format'].s or b'NHWC')
        first_only = len(sources) == 1 and inputs[0] in self._layer_of
        if node.op in ('Conv2D', 'MatMul') and first_only:
            return self._add_weights(name, node, sources, layout)
        if node.op.startswith('FusedBatchNorm') and first_only:
            return self._add_fused_norm(name, node, sources)
        if node.op in _ACTIVATIONS:
            self._add('Activation', name, sources, activation=_ACTIVATIONS[node.op])
        elif node.op in _POOLS and node.attr['padding'].s in (b'SAME', b'VALID'):
            self._add(_POOLS[node.op], name, sources, data_format=layout,
                      pool_size=spatial_sides(node, 'ksize'),
                      strides=spatial_sides(node, 'strides'),
                      padding=node.attr['padding'].s.decode().lower())
        elif node.op in _GLOBAL_POOLS and first_only and self._axes(inputs[1]) == [1, 2]:
            self._add(_GLOBAL_POOLS[node.op], name, sources, data_format='channels_last')
        elif node.op == 'ConcatV2' and (axes := self._axes(inputs[-1])):
            self._add('Concatenate', name, sources, axis=axes[0])
        elif node.op == 'Reshape' and self._is_flat_shape(inputs[1]):
            self._add('Flatten', name, sources)
        elif node.op in ('Pad', 'PadV2') and (zeros := self._spatial_zeros(inputs[1:])):
            self._add('ZeroPadding2D', name, sources, data_format='channels_last', padding=zeros)
        elif node.op == 'ResizeBilinear':
            self._add('Resizing', name, sources)
        else:
            return self._add_arithmetic(name, node.op, inputs, sources)
        return True

    def _add_weights(self, name: str, node: tf.NodeDef, sources: list[str],
                     layout: str | None) -> bool:
        """Adds a convolution or a dense layer."""
        layer, parameter = self._parameter(self._inputs[name][1])
        if parameter != 'kernel' or node.attr['transpose_a'].b or node.attr['transpose_b'].b:
            return False
        if node.op == 'MatMul':
            self._add('Dense', name, sources, layer=layer, activation='linear')
            return True
        if node.attr['padding'].s not in (b'SAME', b'VALID'):
            return False
        self._add('Conv2D', name, sources, layer=layer, activation='linear', data_format=layout,
                  kernel_size=None, strides=spatial_sides(node, 'strides'),
                  dilation_rate=spatial_sides(node, 'dilations'),
                  padding=node.attr['padding'].s.decode().lower())
        return True

    def _add_fused_norm(self, name: str, node: tf.NodeDef, sources: list[str]) -> bool:
        scale, offset, mean, variance = self._inputs[name][1:5]
        layer, parameter = self._parameter(mean)
        if (parameter != 'moving_mean' or node.attr['is_training'].b
                or self._parameter(variance) != (layer, 'moving_variance')
                or not self._is_parameter(scale, layer, 'gamma', 1)
                or not self._is_parameter(offset, layer, 'beta', 0)):
            return False
        axis = 1 if node.attr['data_format'].s == b'NCHW' else 3
        self._add('BatchNormalization', name, sources, layer=layer, axis=axis,
                  epsilon=round(node.attr['epsilon'].f, 9))
        return True

    def _add_arithmetic(self, name: str, operation: str, inputs: list[str],
                        sources: list[str]) -> bool:
        """Adds a sum, a scaling by a constant, biases, or a half of batch norm."""
        if len(sources) == 2 and operation in ('Add', 'AddV2'):
            self._add('Add', name, sources)
            return True
        if len(inputs) != 2 or len(sources) != 1:
            return False
        is_first = inputs[0] in self._layer_of
        variable, other = inputs if is_first else inputs[::-1]
        if operation == 'Mul' and (inverse := self._inverse(other)):
            # The other half is a sum; until it is found, this is no layer of Keras.
            layer = self._add('Mul', name, sources, layer=inverse.layer)
            self._scaled[name] = other, layer
            layer['config'].update(axis=-1, epsilon=inverse.epsilon)
            return True
        if operation in ('Add', 'AddV2', 'BiasAdd'):
            if self._parameter(other) == (sources[0], 'bias') and self._consumers[variable] == 1:
                self._layer_of[name] = sources[0]
                return True
            if variable in self._scaled and self._consumers[variable] == 1:
                inverse, layer = self._scaled[variable]
                if self._is_shift(other, inverse, layer['name']):
                    layer['class_name'] = 'BatchNormalization'
                    self._layer_of[name] = layer['name']
                    return True
        number = self._number(other)
        if number is None or number.size not in (1, 3) or not (
                is_first or operation in ('Add', 'AddV2', 'Mul', 'Sub')):
            return False
        value = number.ravel().tolist() if number.size == 3 else float(number.ravel()[0])
        if operation in ('Mul', 'RealDiv'):
            with np.errstate(divide='ignore'):
                factor = value if operation == 'Mul' else np.divide(1, value).tolist()
            self._add('Rescaling', name, sources, scale=factor, offset=0.0)
        elif operation == 'Sub' and not is_first:
            self._add('Rescaling', name, sources, scale=-1.0, offset=value)
        elif operation in ('Add', 'AddV2', 'BiasAdd', 'Sub'):
            shift = np.negative(value).tolist() if operation == 'Sub' else value
            self._add('Rescaling', name, sources, scale=1.0, offset=shift)
        else:
            return False
        return True

    def _add(self, kind: str, node: str, sources: list[str], *, layer: str | None = None,
             **options: Any) -> dict[str, Any]:
        """Adds a layer: of the variables `layer`, or without variables."""
        own_name = self._graph.nodes[node].definition.name
        name = layer or (node if own_name in self._names else own_name)
        if name in self._names:
            raise CheckpointError(f'{self._path} applies its layer {name} twice, or has two layers '
                                  'with this name; rename one of them and save it again.')
        self._names.add(name)
        self._layer_of[node] = name
        config = {'class_name': kind, 'name': name, 'config': {'name': name, **options},
                  'inbound_nodes': [[[source, 0, 0, {}] for source in sources]]}
        self._layers.append(config)
        return config

    # Values that do not depend on the images.

    def _follow(self, name: str, operations: frozenset[str]) -> tuple[str, tf.NodeDef]:
        node = self._graph.nodes[name].definition
        for _ in range(_LONGEST_CHAIN):  # a damaged graph may have a cycle
            if node.op not in operations or not self._inputs.get(name):
                break
            name = self._inputs[name][0]
            node = self._graph.nodes[name].definition
        return name, node

    def _parameter(self, name: str) -> tuple[str, str]:
        """The layer and the parameter of a variable; empty if the node is none."""
        node = self._follow(name, _SAME_VALUES)[1]
        if node.op not in ('VarHandleOp', 'VariableV2'):
            return '', ''
        variable = node.attr['shared_name'].s.decode() or node.name
        # Keras 3 exports each variable twice, the second time with a number.
        return layer_parameter(variable) or layer_parameter(
            re.sub(r'_\d+$', '', variable)) or ('', '')

    def _number(self, name: str) -> np.ndarray | None:
        name, node = self._follow(name, _COPIES)
        if node.op in _FUNCTIONS:
            values = [self._number(item) for item in self._inputs[name]]
            return None if any(value is None for value in values) else _FUNCTIONS[node.op](*values)
        shape = node.attr['value'].tensor.tensor_shape
        if node.op != 'Const' or np.prod([side.size for side in shape.dim]) > _LARGEST_CONSTANT:
            return None
        value = tf.make_ndarray(node.attr['value'].tensor)
        return value.astype(np.float64) if value.dtype.kind in 'fiu' else None

    def _axes(self, name: str) -> list[int]:
        number = self._number(name)
        return [] if number is None else sorted(number.ravel().astype(int).tolist())

    def _is_parameter(self, name: str, layer: str, parameter: str, default: float) -> bool:
        """Whether a node is a parameter of a layer, or the value that stands for its absence."""
        number = self._number(name)
        return self._parameter(name) == (layer, parameter) or (
            number is not None and bool((number == default).all()))

    def _is_flat_shape(self, name: str) -> bool:
        """Whether a shape has two dimensions, examples and values."""
        name, node = self._follow(name, _COPIES)
        number = self._number(name)
        return node.op == 'Pack' and len(self._inputs[name]) == 2 or (
            number is not None and number.shape == (2,))

    def _spatial_zeros(self, inputs: list[str]) -> list[list[int]]:
        """The zeros that a node pads to rows and to columns; empty if it pads otherwise."""
        sides, *values = (self._number(name) for name in inputs)
        if sides is None or sides.shape != (4, 2) or sides[[0, 3]].any() or not all(
                value is not None and not value.any() for value in values):
            return []
        return sides[1:3].astype(int).tolist()

    def _inverse(self, name: str) -> _Inverse | None:
        """Recognizes the factor of batch norm: `rsqrt(variance + epsilon)`, times gamma if any."""
        node = self._graph.nodes[name].definition
        if node.op == 'Mul':
            pairs = [self._inputs[name], self._inputs[name][::-1]]
            return next((inverse for root, gamma in pairs if (inverse := self._inverse_root(root))
                         and self._parameter(gamma) == (inverse.layer, 'gamma')), None)
        return self._inverse_root(name)

    def _inverse_root(self, name: str) -> _Inverse | None:
        if self._graph.nodes[name].definition.op != 'Rsqrt':
            return None
        total = self._inputs[name][0]
        if self._graph.nodes[total].definition.op not in ('Add', 'AddV2'):
            return None
        variance, epsilon = self._inputs[total]
        layer, parameter = self._parameter(variance)
        number = self._number(epsilon)
        if parameter != 'moving_variance' or number is None or number.size != 1:
            return None
        return _Inverse(layer, round(float(number.ravel()[0]), 9))

    def _is_shift(self, name: str, inverse: str, layer: str) -> bool:
        """Recognizes the summand of batch norm: `beta - mean * inverse`."""
        if self._graph.nodes[name].definition.op != 'Sub':
            return False
        beta, product = self._inputs[name]
        if self._graph.nodes[product].definition.op != 'Mul':
            return False
        first, second = self._inputs[product]
        mean = second if first == inverse else first
        return (inverse in (first, second) and self._parameter(mean) == (layer, 'moving_mean')
                and self._is_parameter(beta, layer, 'beta', 0))
