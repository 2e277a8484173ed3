"""Compare the structure that a file declares with that of the network whose weights it holds.

Frozen graphs, SavedModels, ONNX, OpenVINO and Keras files hold more than weights: strides, padding,
dilation, pooling, activations, and what each layer takes its input from. A file in which one of
them differs is another network, whose predictions this package would not give, so it is refused.
The readers translate the nodes of their format to `Node`; the other side of the comparison is the
list of ops that the engines are built from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from inception_slim.checkpoint.head import SLIM_HEAD, Head
from inception_slim.errors import CheckpointError
from inception_slim.formats.node_names import slim_layers
from inception_slim.inference.ir import INPUTS, Op, network_ops
from inception_slim.nets import registry
import numpy as np

_WITHOUT_EFFECT = ('identity', 'transpose')
_AFTER_CONVOLUTION = (*_WITHOUT_EFFECT, 'norm', 'bias')
_AFTER_FEATURES = (*_WITHOUT_EFFECT, 'flatten')
_POOLS = {'max_pool': 'max', 'avg_pool': 'avg'}
# The permutations that change the order of dimensions, and the order after them.
LAYOUT_CHANGES: dict[tuple[int, ...], str] = {(0, 3, 1, 2): 'NCHW', (0, 2, 3, 1): 'NHWC'}
_CHANNELS = {'NCHW': 1, 'NHWC': 3}
_NOTHING = (0, 0, 0, 0)


@dataclass(frozen=True)
class Node:
    """A node of a file's graph.

    Attributes:
      kind: 'input', 'conv', 'norm', 'bias', 'scale' (by one number), 'activation', 'max' or 'avg'
        (pooling over a window), 'mean' (over the whole grid), 'concat', 'add' (of two values),
        'pad' (with zeros), 'transpose', 'flatten', 'identity' (nothing that changes values) or
        'other'.
      inputs: the names of the nodes that it takes values from, without constants.
      window: height and width of a pool's window, or of the images of an input.
      strides: height and width.
      dilations: height and width.
      padding: 'SAME', 'SAME_LOWER', 'VALID', or top, bottom, left and right.
      function: 'relu' or another activation, also of a convolution that includes one; of the kind
        'other', the type of the operation.
      groups: of a convolution that is not depthwise.
      factor: of the kind 'scale'; of 'add', of its second value.
      counts_padding: an average counts the zeros of its padding.
      layout: 'NHWC' or 'NCHW' of an input, a convolution or a pool; '' if it is not known.
      axis: of the kind 'concat' or 'norm'; None if it is not known.
      permutation: of the kind 'transpose'.
    """

    kind: str
    inputs: tuple[str, ...] = ()
    window: tuple[int, ...] = (1, 1)
    strides: tuple[int, ...] = (1, 1)
    dilations: tuple[int, ...] = (1, 1)
    padding: str | tuple[int, ...] = 'VALID'
    function: str = 'linear'
    groups: int = 1
    factor: float = 1.0
    counts_padding: bool = False
    layout: str = ''
    axis: int | None = None
    permutation: tuple[int, ...] = ()


def input_node(shape: Sequence[int]) -> Node:
    """The node of an input; sides that are not known are 0 or negative."""
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        return Node('input')
    layout, sides = ('NHWC', shape[1:3]) if shape[3] == 3 else ('NCHW', shape[2:])
    return Node('input', window=tuple(sides) if min(sides) > 0 else (1, 1), layout=layout)


def pad_node(inputs: tuple[str, ...], zeros: np.ndarray | None) -> Node:
    """The node of a padding.

    Args:
      inputs: see `Node`.
      zeros: before and after each of four dimensions; None if they are not known.
    """
    if zeros is None or zeros.shape != (4, 2) or zeros[0].any():
        return Node('other', inputs, function='pad')
    spatial = zeros[1:3] if zeros[1].any() else zeros[2:]
    return Node('pad', inputs[:1], padding=tuple(spatial.ravel().tolist()))


def arithmetic_node(operation: str, inputs: tuple[str, ...], operand: np.ndarray | None) -> Node:
    """The node of a sum, difference, product or quotient.

    Args:
      operation: 'add', 'sub', 'mul' or 'div'.
      inputs: see `Node`.
      operand: the other value if it is a small constant.
    """
    if len(inputs) == 2 and operation == 'add':
        return Node('add', inputs)
    if len(inputs) != 1:
        return Node('other', inputs, function=operation)
    if operation in ('add', 'sub'):
        return Node('bias', inputs)
    if operand is None or operand.size != 1:
        return Node('norm', inputs)  # a part of batch norm
    factor = float(operand.ravel()[0])
    return Node('scale', inputs, factor=factor if operation == 'mul' else 1 / (factor or np.inf))


def check_structure(path: str, network: registry.Network, pooling: str,
                    nodes: Mapping[str, Node], layers: Mapping[str, str],
                    head: Head = SLIM_HEAD) -> None:
    """Compares the nodes of a file with the network.

    Args:
      path: the file, for messages.
      network: the network whose weights the file holds.
      pooling: how its pooled branches pool, one of `nets.POOLINGS`.
      nodes: the nodes by name.
      layers: the node of each convolution, by the name of the layer in the network's scope;
        `/depthwise` is added for the first half of a separable convolution. The node of the
        first dense layer of the head, too, if its input has not been examined.
      head: the layers after the base network.

    Raises:
      CheckpointError: a layer differs; the message names the first one.
    """
    if any(name in nodes and nodes[name].kind == 'conv' for name in layers.values()):
        _Comparison(path, network, pooling, nodes, layers, head).run()


class _Comparison:
    """Compares each layer in the order of the network: its options, then what it takes as input.

    An input is followed back to the convolutions before it, through activations, pools and so on.
    """

    def __init__(self, path: str, network: registry.Network, pooling: str,
                 nodes: Mapping[str, Node], layers: Mapping[str, str], head: Head):
        self._path = path
        self._network = network
        self._nodes = nodes
        self._layers = layers
        self._head = head
        ops = network_ops(network.name, pooling)
        self._ops = {op.output: op for op in ops}
        self._layer_of = {output: layer for layer, output in slim_layers(
            op.output for op in ops if op.kind == 'conv').items()}
        self._declared_layers = {name: layer for layer, name in layers.items()}
        self._sides = _sides(ops, self._image_sides())
        self._equal: set[tuple[str, str]] = set()
        self._pooled_after: set[str] = set()  # layers whose result is pooled, instead of the input

    def run(self) -> None:
        for op in self._ops.values():
            if op.kind == 'conv':
                self._check_layer(op)
        self._check_features()

    def _image_sides(self) -> tuple[int, ...]:
        declared = {node.window for node in self._nodes.values() if node.kind == 'input'
                    and min(node.window) > 1}
        return declared.pop() if len(declared) == 1 else (self._network.image_size,) * 2

    def _check_layer(self, op: Op) -> None:
        layer = self._layer_of[op.output]
        name = self._layers.get(layer, '')
        node = self._nodes.get(name)
        if node is None or node.kind != 'conv':
            raise CheckpointError(f'{self._path} has the weights of {layer} and no convolution '
                                  f'with them, unlike {self._network.title}: it is another '
                                  'network. Run it with the program that wrote it.')
        if node.strides != (op.stride,) * 2:
            self._refuse(name, f'stride {_size(node.strides)}', _size((op.stride,) * 2))
        if node.dilations != (1, 1):
            self._refuse(name, f'dilation {_size(node.dilations)}', '1×1')
        if node.groups != 1:
            self._refuse(name, f'{node.groups} groups', 'one')
        source, zeros = self._source(node)
        if not self._has_padding(op, node, zeros):
            self._refuse(name, f'padding {_padding(node, zeros)}', self._expected_padding(op))
        self._check_layout(name, node)
        pool = self._ops.get(op.inputs[0])
        if (pool is not None and pool.kind == 'avg_pool' and op.kernel == (1, 1)
                and self._kind(source) != 'avg'):
            # Pooling may come after a 1×1 convolution, where there are fewer channels.
            self._pooled_after.add(layer)
            self._compare(pool.inputs[0], source, name)
        else:
            self._compare(op.inputs[0], source, name)

    def _check_features(self) -> None:
        """Compares what the classifier takes, or the last block of a file without a classifier."""
        end = list(self._ops.values())[-1]
        while end.kind in ('flatten', 'avg_pool'):
            end = self._ops[end.inputs[0]]
        head = self._layers.get([*self._head.hidden_layers, self._network.classifier][0], '')
        if self._nodes.get(head) is not None and self._nodes[head].inputs:
            name = self._skip(self._nodes[head].inputs[0], _AFTER_FEATURES)
            kind = self._kind(name)
            pool = self._head.pool
            if pool == 'flatten':
                return self._compare(end.output, name, head)
            if kind in {'average': ('avg', 'mean'), 'max': ('max',)}[pool]:
                return self._compare(end.output, self._nodes[name].inputs[0], head)
            if kind in ('avg', 'mean', 'max', 'conv', 'concat', 'activation', 'add'):
                self._refuse(head, f'the input {self._describe(name)}', f'the {pool} of the grid')
        name = self._find_end(end)
        if name is not None:
            self._compare(end.output, name, name)

    def _find_end(self, end: Op) -> str | None:
        """The node that has the result of the base network."""
        if end.kind == 'concat':
            last = {layer for value in self._branches(end) if (layer := self._layer_before(value))}
            found = [name for name, node in self._nodes.items() if node.kind == 'concat'
                     and last & {self._declared_layer(branch)
                                 for branch in self._declared_branches(name)}]
            return max(found, key=lambda name: len(list(self._declared_branches(name))),
                       default=None)
        # A residual network ends with a projection in a sum, or with an activation.
        projection = self._ops[end.inputs[-1]]
        if projection.kind == 'scale':
            projection = self._ops[projection.inputs[0]]
        convolution = self._layers[self._layer_of[projection.output]]
        kind = {'relu': 'activation'}.get(end.kind, end.kind)
        return next((name for name, node in self._nodes.items() if node.kind == kind and any(
            self._skip(source, (*_AFTER_CONVOLUTION, 'scale')) == convolution
            for source in node.inputs)), convolution)

    def _compare(self, expected: str, name: str, consumer: str) -> None:
        """Compares a value of the network with one of the file.

        Args:
          expected: the value of the network.
          name: the node that computes the file's.
          consumer: the node that takes it, for messages.
        """
        name = self._skip(name, _WITHOUT_EFFECT)
        if (expected, name) in self._equal:
            return
        if expected == INPUTS or self._ops[expected].kind == 'prewhiten':
            self._check_images(name, consumer)
        else:
            op = self._ops[expected]
            if op.kind == 'conv':
                self._compare_convolution(op, name, consumer)
            elif op.kind == 'relu':
                self._compare_relu(op, name, consumer)
            elif op.kind in _POOLS:
                self._compare(op.inputs[0], self._check_pool(op, name, consumer), name)
            elif op.kind == 'concat':
                self._compare_concat(op, name, consumer)
            elif op.kind == 'add':
                self._compare_add(op, name, consumer)
        self._equal.add((expected, name))

    def _compare_convolution(self, op: Op, name: str, consumer: str, function: str = 'linear',
                             ) -> None:
        """Compares a convolution, with its batch norm or biases.

        Args:
          op, name, consumer: see `_compare`.
          function: the activation that the convolution may include.
        """
        layer = self._layer_of[op.output]
        own = self._layers[layer]
        name = self._skip(name, _AFTER_CONVOLUTION)
        if layer in self._pooled_after:
            pool = self._check_pool(self._ops[op.inputs[0]], name, own)
            name = self._skip(pool, _AFTER_CONVOLUTION)
        node = self._nodes.get(name)
        if node is not None and node.kind == 'activation':
            self._refuse(own, f'the activation {node.function}', 'none')
        if node is None or name != own:
            self._refuse(consumer, f'the input {self._describe(name)}', f'the output of {layer}')
        if node.function != function:
            self._refuse(own, f'the activation {node.function}', function.replace('linear', 'none'))

    def _compare_relu(self, op: Op, name: str, consumer: str) -> None:
        source = self._ops[op.inputs[0]]
        layer = self._layer_of.get(source.output)
        owner = self._layers[layer] if layer else name
        node = self._nodes.get(name)
        if node is not None and node.kind == 'activation':
            if node.function != 'relu':
                self._refuse(owner, f'the activation {node.function}', 'relu')
            self._compare(source.output, node.inputs[0], consumer)
        elif node is not None and node.kind == 'conv' and node.function == 'relu' and layer:
            self._compare_convolution(source, name, consumer, 'relu')
        elif node is not None and node.kind == 'conv' and node.function != 'linear':
            self._refuse(name, f'the activation {node.function}', 'relu')
        elif layer and self._skip(name, _AFTER_CONVOLUTION) != owner:
            self._refuse(consumer, f'the input {self._describe(name)}', f'the output of {layer}')
        else:
            self._refuse(owner, 'no activation', 'relu')

    def _check_pool(self, op: Op, name: str, consumer: str) -> str:
        """Compares a pool; returns the node that it takes its input from."""
        node, expected = self._nodes.get(name), _POOLS[op.kind]
        source, zeros = self._source(node) if node is not None and node.inputs else ('', _NOTHING)
        if node is not None and node.kind == 'mean' and expected == 'avg':
            return source
        description = (f'{expected} pooling, window {_size(op.kernel)}, stride '
                       f'{_size((op.stride,) * 2)}, padding {self._expected_padding(op)}')
        if node is None or node.kind not in _POOLS.values():
            self._refuse(consumer, f'the input {self._describe(name)}', description)
        if (node.kind != expected or node.window != tuple(op.kernel)
                or node.strides != (op.stride,) * 2 or node.dilations != (1, 1)
                or not self._has_padding(op, node, zeros)):
            self._refuse(name, f'{node.kind} pooling, window {_size(node.window)}, stride '
                         f'{_size(node.strides)}, padding {_padding(node, zeros)}', description)
        counts_padding = node.counts_padding or any(zeros)
        if expected == 'avg' and any(op.padding) and counts_padding != op.count_include_pad:
            self._refuse(name, f'averages {"with" if counts_padding else "without"} the padding',
                         f'averages {"with" if op.count_include_pad else "without"} it')
        self._check_layout(name, node)
        return source

    def _compare_concat(self, op: Op, name: str, consumer: str) -> None:
        if self._kind(name) != 'concat':
            self._refuse(consumer, f'the input {self._describe(name)}', 'a concatenation')
        axis, layout = self._nodes[name].axis, self._layout(name)
        if axis is not None and layout and axis % 4 != _CHANNELS[layout]:
            self._refuse(name, f'the axis {axis}', str(_CHANNELS[layout]))
        expected = list(self._branches(op))
        branches = list(self._declared_branches(name))
        names = [self._layer_before(value) for value in expected]
        declared = [self._declared_layer(branch) for branch in branches]
        if len(expected) != len(branches) or (
                names != declared and sorted(names) == sorted(declared)):
            raise CheckpointError(
                f'{self._path} concatenates {", ".join(filter(None, declared))} in {name}; the '
                f'order in the network is {", ".join(filter(None, names))}.')
        for value, branch in zip(expected, branches):
            self._compare(value, branch, name)

    def _compare_add(self, op: Op, name: str, consumer: str) -> None:
        """Compares the sum of a residual block: its input, and a projection that may be scaled."""
        node = self._nodes.get(name)
        if node is None or node.kind != 'add' or len(node.inputs) != 2:
            self._refuse(consumer, f'the input {self._describe(name)}', 'a sum')
        net, projection = op.inputs
        scaled = self._ops[projection]
        factor = scaled.factor if scaled.kind == 'scale' else 1.0
        if scaled.kind == 'scale':
            projection = scaled.inputs[0]
        own = self._layers[self._layer_of[projection]]
        first, second = node.inputs
        declared = node.factor
        if self._skip(first, (*_AFTER_CONVOLUTION, 'scale')) == own and declared == 1:
            first, second = second, first
        second = self._skip(second, _WITHOUT_EFFECT)
        if self._kind(second) == 'scale':
            declared *= self._nodes[second].factor
            second = self._nodes[second].inputs[0]
        if abs(declared - factor) > 1e-6:
            self._refuse(own, f'the scale {declared:g}', f'{factor:g}')
        self._compare(projection, second, name)
        self._compare(net, first, name)

    def _check_images(self, name: str, consumer: str) -> None:
        """Checks that no layer comes before the first one; scaling is read elsewhere."""
        while name in self._nodes:
            node = self._nodes[name]
            if node.kind in ('conv', 'max', 'avg', 'concat', 'activation'):
                self._refuse(consumer, f'the input {self._describe(name)}', 'images')
            if len(node.inputs) != 1:
                return
            name = node.inputs[0]

    # Values of the file.

    def _kind(self, name: str) -> str:
        node = self._nodes.get(self._skip(name, _WITHOUT_EFFECT))
        return '' if node is None else node.kind

    def _skip(self, name: str, kinds: tuple[str, ...]) -> str:
        """The first node, from `name` backwards, that is none of `kinds`."""
        for _ in range(len(self._nodes)):  # a damaged graph may have a cycle
            node = self._nodes.get(name)
            if node is None or node.kind not in kinds or not node.inputs:
                break
            if node.kind == 'norm' and node.axis is not None:
                layout = self._layout(name)
                if layout and node.axis % 4 != _CHANNELS[layout]:
                    self._refuse(name, f'the axis {node.axis}', str(_CHANNELS[layout]))
            name = node.inputs[0]
        return name

    def _source(self, node: Node) -> tuple[str, tuple[int, ...]]:
        """What a node takes as input, and the zeros that are padded before."""
        name = self._skip(node.inputs[0], _WITHOUT_EFFECT) if node.inputs else ''
        if self._kind(name) == 'pad':
            padding = self._nodes[name].padding
            assert isinstance(padding, tuple)
            return self._nodes[name].inputs[0], padding
        return name, _NOTHING

    def _declared_branches(self, name: str) -> Iterator[str]:
        """The inputs of a concatenation, and of those that it concatenates."""
        for source in self._nodes[name].inputs:
            source = self._skip(source, _WITHOUT_EFFECT)
            if self._kind(source) == 'concat' and source != name:
                yield from self._declared_branches(source)
            else:
                yield source

    def _declared_layer(self, name: str) -> str:
        """The layer whose result reaches a node through a single chain; '' if there is none."""
        for _ in range(len(self._nodes)):
            if name in self._declared_layers:
                return self._declared_layers[name]
            node = self._nodes.get(name)
            if node is None or node.kind in ('max', 'concat', 'other') or len(node.inputs) != 1:
                break
            name = node.inputs[0]
        return ''

    def _describe(self, name: str) -> str:
        node = self._nodes.get(name)
        if node is None:
            return name or 'of nothing'
        kind = {'other': node.function, 'max': 'max pooling', 'avg': 'average pooling',
                'concat': 'concatenation', 'norm': 'batch norm', 'conv': 'convolution',
                'activation': f'activation {node.function}'}.get(node.kind, node.kind)
        return f'{name} ({kind})'

    def _layout(self, name: str) -> str:
        """The order of the dimensions of a node's result; '' if it is not known."""
        for _ in range(len(self._nodes)):
            node = self._nodes.get(name)
            if node is None or node.layout:
                return '' if node is None else node.layout
            if node.kind == 'transpose':
                return LAYOUT_CHANGES.get(node.permutation, '')
            if not node.inputs:
                return ''
            name = node.inputs[0]
        return ''

    def _check_layout(self, name: str, node: Node) -> None:
        layout = self._layout(node.inputs[0]) if node.inputs else ''
        if node.layout and layout and layout != node.layout:
            self._refuse(name, f'the data format {node.layout}', f'an input in {layout}')

    def _has_padding(self, op: Op, node: Node, zeros: tuple[int, ...]) -> bool:
        """Whether a node pads like an op; `zeros` are padded before it."""
        sides = self._sides[op.inputs[0]]
        expected = _same_padding(op, sides) if any(op.padding) else _NOTHING
        declared: tuple[int, ...] = _NOTHING
        if isinstance(node.padding, tuple):
            declared = node.padding
        elif node.padding.startswith('SAME'):
            if op.kernel == (op.stride,) * 2 and not any(zeros):
                return True  # the same as VALID unless a row is left over
            declared = _same_padding(op, sides)
            if node.padding == 'SAME_LOWER':
                top, bottom, left, right = declared
                declared = (bottom, top, right, left)
        return tuple(map(sum, zip(declared, zeros))) == expected

    def _expected_padding(self, op: Op) -> str:
        return 'SAME' if any(op.padding) else 'VALID'

    # Values of the network.

    def _branches(self, op: Op) -> Iterator[str]:
        for name in op.inputs:
            if name in self._ops and self._ops[name].kind == 'concat':
                yield from self._branches(self._ops[name])
            else:
                yield name

    def _layer_before(self, value: str) -> str:
        op = self._ops[value]
        while op.kind == 'relu' and op.inputs[0] in self._ops:
            op = self._ops[op.inputs[0]]
        return self._layer_of.get(op.output, '')

    def _refuse(self, name: str, declared: str, expected: str) -> NoReturn:
        raise CheckpointError(
            f'{self._path} declares {declared} for its layer {name}, where {self._network.title} '
            f'has {expected}: it is another network. Run it with the program that wrote it.')


def _sides(ops: Iterable[Op], images: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Height and width of each value, by its name."""
    sides = {INPUTS: images}
    for op in ops:
        before = sides[op.inputs[0]]
        if op.kind in ('conv', *_POOLS):
            padding = _same_padding(op, before) if any(op.padding) else _NOTHING
            before = tuple((side + sum(padding[2 * axis:2 * axis + 2]) - op.kernel[axis])
                           // op.stride + 1 for axis, side in enumerate(before))
        sides[op.output] = before
    return sides


def _same_padding(op: Op, sides: tuple[int, ...]) -> tuple[int, ...]:
    """The zeros of 'SAME' at the top, bottom, left and right."""
    padding: list[int] = []
    for side, window in zip(sides, op.kernel):
        total = max(0, (-(-side // op.stride) - 1) * op.stride + window - side)
        padding += [total // 2, total - total // 2]
    return tuple(padding)


def _size(sides: tuple[int, ...]) -> str:
    return '×'.join(map(str, sides))


def _padding(node: Node, zeros: tuple[int, ...]) -> str:
    declared = node.padding if isinstance(node.padding, str) else ', '.join(map(str, node.padding))
    return declared + (f' after zeros {", ".join(map(str, zeros))}' if any(zeros) else '')
