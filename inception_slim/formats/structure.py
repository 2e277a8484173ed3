"""Compare the structure that a file declares with that of the network whose weights it holds.

Frozen graphs, SavedModels, ONNX, OpenVINO and Keras files hold more than weights: strides, padding,
dilation, pooling, activations and the order of concatenations. A file in which one of them differs
is another network, whose predictions this package would not give, so it is refused. The readers
translate the nodes of their format to `Node`; what a reader cannot translate is not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from inception_slim.errors import CheckpointError
from inception_slim.formats.name_maps import is_residual_projection
from inception_slim.nets import registry

# Layers that do not have stride 1 and SAME padding; for a 1×1 convolution, the padding is the same.
_STEM = {'Conv2d_1a_3x3': (2, 'VALID'), 'Conv2d_2a_3x3': (1, 'VALID')}
_REDUCED = (2, 'VALID')
_CONVOLUTIONS: dict[str, dict[str, tuple[int, str]]] = {
    'inception_v1': {'Conv2d_1a_7x7': (2, 'SAME')},
    'inception_v2': {'Conv2d_1a_7x7/depthwise': (2, 'SAME'), **{
        f'{block}/Branch_{branch}/Conv2d_1a_3x3': (2, 'SAME')
        for block in ('Mixed_4a', 'Mixed_5a') for branch in (0, 1)}},
    'inception_v3': {
        **_STEM, 'Conv2d_4a_3x3': (1, 'VALID'), 'Mixed_6a/Branch_0/Conv2d_1a_1x1': _REDUCED,
        'Mixed_6a/Branch_1/Conv2d_1a_1x1': _REDUCED, 'Mixed_7a/Branch_0/Conv2d_1a_3x3': _REDUCED,
        'Mixed_7a/Branch_1/Conv2d_1a_3x3': _REDUCED},
    'inception_v4': {
        **_STEM, 'Mixed_3a/Branch_1/Conv2d_0a_3x3': _REDUCED,
        'Mixed_4a/Branch_0/Conv2d_1a_3x3': (1, 'VALID'),
        'Mixed_4a/Branch_1/Conv2d_1a_3x3': (1, 'VALID'),
        'Mixed_5a/Branch_0/Conv2d_1a_3x3': _REDUCED, **{
            f'{block}/Branch_{branch}/Conv2d_1a_3x3': _REDUCED
            for block in ('Mixed_6a', 'Mixed_7a') for branch in (0, 1)}},
    'inception_resnet_v1': {
        **_STEM, 'Conv2d_4a_3x3': (1, 'VALID'), 'Conv2d_4b_3x3': _REDUCED, **{
            f'{block}/Branch_{branch}/Conv2d_1a_3x3': _REDUCED
            for block, branches in (('Mixed_6a', 2), ('Mixed_7a', 3))
            for branch in range(branches)}},
    'inception_resnet_v2': {
        **_STEM, 'Conv2d_4a_3x3': (1, 'VALID'), **{
            f'{block}/Branch_{branch}/Conv2d_1a_3x3': _REDUCED
            for block, branches in (('Mixed_6a', 2), ('Mixed_7a', 3))
            for branch in range(branches)}}}
# The pools before the last average: kind, window, stride, padding, and how many there are.
_POOLS: dict[str, dict[tuple[str, int, int, str], int]] = {
    'inception_v1': {('max', 3, 2, 'SAME'): 3, ('max', 3, 1, 'SAME'): 9, ('max', 2, 2, 'SAME'): 1},
    'inception_v2': {('max', 3, 2, 'SAME'): 4, ('max', 3, 1, 'SAME'): 1, ('avg', 3, 1, 'SAME'): 7},
    'inception_v3': {('max', 3, 2, 'VALID'): 4, ('avg', 3, 1, 'SAME'): 9},
    'inception_v4': {('max', 3, 2, 'VALID'): 4, ('avg', 3, 1, 'SAME'): 14},
    'inception_resnet_v1': {('max', 3, 2, 'VALID'): 3},
    'inception_resnet_v2': {('max', 3, 2, 'VALID'): 4, ('avg', 3, 1, 'SAME'): 1}}
# Nodes between a convolution and its activation.
_PASSED = frozenset(('norm', 'bias', 'identity', 'avg'))


@dataclass(frozen=True)
class Node:
    """A node of a file's graph.

    Attributes:
      kind: 'conv', 'norm', 'bias', 'activation', 'max', 'avg' (pooling over a window), 'concat',
        'identity' (nothing that changes values) or 'other'.
      inputs: the names of the nodes that it takes values from, without constants.
      window: height and width of a pool's window or of a kernel.
      strides: height and width.
      dilations: height and width.
      padding: 'SAME', 'VALID', or top, bottom, left and right.
      function: of an activation: 'relu' or another name.
    """

    kind: str
    inputs: tuple[str, ...] = ()
    window: tuple[int, ...] = (1, 1)
    strides: tuple[int, ...] = (1, 1)
    dilations: tuple[int, ...] = (1, 1)
    padding: str | tuple[int, ...] = 'VALID'
    function: str = 'relu'


def check_structure(path: str, network: registry.Network, pooling: str,
                    nodes: Mapping[str, Node], layers: Mapping[str, str]) -> None:
    """Compares the nodes of a file with the network.

    Args:
      path: the file, for messages.
      network: the network whose weights the file holds.
      pooling: how its pooled branches pool, one of `nets.POOLINGS`.
      nodes: the nodes by name, in the file's order.
      layers: the node of each convolution, by the name of the layer in the network's scope;
        `/depthwise` is added for the first half of a separable convolution.

    Raises:
      CheckpointError: a layer differs; the message names the first one.
    """
    consumers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for source in node.inputs:
            consumers.setdefault(source, []).append(name)
    base = {node: layer for layer, node in layers.items()
            if layer.split('/')[0] not in network.heads
            and node in nodes and nodes[node].kind == 'conv'}
    for name, node in nodes.items():
        if name in base:
            _check_convolution(path, network, base[name], name, node)
            _check_activation(path, network, base[name], name, nodes, consumers)
        elif node.kind == 'concat':
            _check_order(path, name, nodes, base)
    if base:
        _check_pools(path, network, pooling, nodes, base)


def _check_convolution(path: str, network: registry.Network, layer: str, name: str,
                       node: Node) -> None:
    stride, padding = _CONVOLUTIONS[network.name].get(layer, (1, 'SAME'))
    if node.strides != (stride, stride):
        _refuse(path, network, name, f'stride {_size(node.strides)}', f'{stride}×{stride}')
    if node.dilations != (1, 1):
        _refuse(path, network, name, f'dilation {_size(node.dilations)}', '1×1')
    if not _has_padding(node, padding):
        _refuse(path, network, name, f'padding {_padding(node)}', padding)


def _has_padding(node: Node, expected: str) -> bool:
    if node.padding == expected or set(node.window) == {1} and not isinstance(node.padding, tuple):
        return True
    if not isinstance(node.padding, tuple):
        return False
    if expected == 'VALID':
        return not any(node.padding)
    # SAME: what is missing of the window, half of it on each side, the larger half at the end. With
    # a stride it depends on the size of the image.
    top, bottom, left, right = node.padding
    return all(first + last in (size - 1, max(size - stride, 0)) and 0 <= last - first <= 1
               or stride > 1 and first == last == (size - 1) // 2
               for first, last, size, stride in ((top, bottom, node.window[0], node.strides[0]),
                                                 (left, right, node.window[1], node.strides[1])))


def _check_activation(path: str, network: registry.Network, layer: str, name: str,
                      nodes: Mapping[str, Node], consumers: Mapping[str, list[str]]) -> None:
    if layer.endswith('/depthwise'):
        return
    for consumer in _consumers_after(name, nodes, consumers):
        node = nodes[consumer]
        if node.kind == 'activation' and node.function != 'relu':
            _refuse(path, network, name, f'the activation {node.function}', 'relu')
        if node.kind in ('conv', 'concat', 'max') and not is_residual_projection(layer):
            _refuse(path, network, name, 'no activation', 'relu')
        if node.kind == 'activation' and is_residual_projection(layer):
            _refuse(path, network, name, f'the activation {node.function}', 'none')


def _consumers_after(name: str, nodes: Mapping[str, Node],
                     consumers: Mapping[str, list[str]]) -> Iterator[str]:
    """The nodes that take the result of a convolution, after its batch norm and bias."""
    waiting = list(consumers.get(name, ()))
    while waiting:
        consumer = waiting.pop()
        if nodes[consumer].kind in _PASSED:
            waiting += consumers.get(consumer, ())
        else:
            yield consumer


def _check_order(path: str, name: str, nodes: Mapping[str, Node], base: Mapping[str, str]) -> None:
    """Checks that a concatenation has the branches of its block in their order."""
    layers = [layer for source in nodes[name].inputs
              if (layer := _first_layer_before(source, nodes, base))]
    if len({layer.rsplit('/', 2)[0] for layer in layers}) == 1 and layers != sorted(layers):
        raise CheckpointError(f'{path} concatenates {", ".join(layers)} in {name}; the order in '
                              f'the network is {", ".join(sorted(layers))}.')


def _first_layer_before(name: str, nodes: Mapping[str, Node],
                        base: Mapping[str, str]) -> str | None:
    """The layer whose result reaches a node through a single chain; None if there is none."""
    seen = set()
    while name in nodes and name not in seen:
        seen.add(name)
        if name in base:
            return base[name]
        node = nodes[name]
        if node.kind in ('conv', 'concat', 'max', 'other') or len(node.inputs) != 1:
            return None
        name = node.inputs[0]
    return None


def _check_pools(path: str, network: registry.Network, pooling: str, nodes: Mapping[str, Node],
                 base: Mapping[str, str]) -> None:
    remaining = Counter(_POOLS[network.name])
    if pooling == '2015':
        remaining[('avg', 3, 1, 'SAME')] -= 1
        remaining[('max', 3, 1, 'SAME')] += 1
    for name in _pools(nodes, base):
        node = nodes[name]
        match = next((pool for pool, count in remaining.items() if count
                      and pool[0] == node.kind and node.window == (pool[1],) * 2
                      and node.strides == (pool[2],) * 2
                      and (_has_padding(node, pool[3]) or pooling == 'padded'
                           and node.kind == 'avg')), None)
        if match is None:
            raise CheckpointError(
                f'{path} has the pool {name}: {node.kind} pooling, window {_size(node.window)}, '
                f'stride {_size(node.strides)}, padding {_padding(node)}. It is not one of the '
                f'pools of {network.title}, so the file is of another network.')
        remaining[match] -= 1


def _pools(nodes: Mapping[str, Node], base: Mapping[str, str]) -> Iterator[str]:
    """The pools before the last average, in the file's order."""
    before: set[str] = set()
    waiting = [source for name in base for source in nodes[name].inputs]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in before and nodes[name].kind != 'conv':
            before.add(name)
            waiting += nodes[name].inputs
    for name, node in nodes.items():
        # The pool of the last block may come after its convolution.
        if node.kind in ('max', 'avg') and (name in before or (
                node.kind == 'avg' and node.strides == (1, 1) and node.padding != 'VALID'
                and any(node.padding))):
            yield name


def _size(sides: tuple[int, ...]) -> str:
    return '×'.join(map(str, sides))


def _padding(node: Node) -> str:
    return node.padding if isinstance(node.padding, str) else ', '.join(map(str, node.padding))


def _refuse(path: str, network: registry.Network, name: str, declared: str, expected: str) -> None:
    raise CheckpointError(f'{path} declares {declared} for its layer {name}, where {network.title} '
                          f'has {expected}: it is another network. Run it with the program that '
                          'wrote it.')
