"""Maps TF-Slim's layer names to those of PyTorch (torchvision, timm) and of the graph of 2015.

Each network is listed once, in the order in which TF-Slim, Keras and PyTorch build its layers.
"""

from __future__ import annotations

from collections.abc import Iterator
import functools

_STEM = ('Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'Conv2d_3b_1x1', 'Conv2d_4a_3x3')
_ONE, _POOL = ('Conv2d_0a_1x1',), ('Conv2d_0b_1x1',)
_THREES = ('Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3')
_SEVEN = ('Conv2d_0a_1x1', 'Conv2d_0b_1x7', 'Conv2d_0c_7x1')
_SEVENS = ('Conv2d_0a_1x1', 'Conv2d_0b_7x1', 'Conv2d_0c_1x7', 'Conv2d_0d_7x1', 'Conv2d_0e_1x7')


def _block(block: str, module: str, *branches: tuple[tuple[str, ...], tuple[str, ...]],
           ) -> Iterator[tuple[str, str]]:
    """The layers of a block's branches.

    Args:
      block: its name in TF-Slim.
      module: its name in PyTorch.
      *branches: the names of the layers of each, in TF-Slim and in PyTorch.
    """
    for number, (slim_names, names) in enumerate(branches):
        for slim_name, name in zip(slim_names, names):
            yield f'{block}/Branch_{number}/{slim_name}', f'{module}.{name}'


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f'{name}_{number}' for number in range(1, count + 1))


def _dotted(name: str, count: int, first: int = 0) -> tuple[str, ...]:
    return tuple(f'{name}.{number}' for number in range(first, first + count))


def _inception_v3() -> Iterator[tuple[str, str]]:
    for name in _STEM:
        yield name, name
    for letter, five in (('b', ('Conv2d_0a_1x1', 'Conv2d_0b_5x5')),
                         ('c', ('Conv2d_0b_1x1', 'Conv_1_0c_5x5')),  # misnamed in 2015
                         ('d', ('Conv2d_0a_1x1', 'Conv2d_0b_5x5'))):
        yield from _block(f'Mixed_5{letter}', f'Mixed_5{letter}', (_ONE, ('branch1x1',)),
                          (five, _numbered('branch5x5', 2)),
                          (_THREES, _numbered('branch3x3dbl', 3)), (_POOL, ('branch_pool',)))
    yield from _block('Mixed_6a', 'Mixed_6a', (('Conv2d_1a_1x1',), ('branch3x3',)),
                      (('Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_1a_1x1'),
                       _numbered('branch3x3dbl', 3)))
    for letter in 'bcde':
        yield from _block(f'Mixed_6{letter}', f'Mixed_6{letter}', (_ONE, ('branch1x1',)),
                          (_SEVEN, _numbered('branch7x7', 3)),
                          (_SEVENS, _numbered('branch7x7dbl', 5)), (_POOL, ('branch_pool',)))
    yield from _block('Mixed_7a', 'Mixed_7a',
                      (('Conv2d_0a_1x1', 'Conv2d_1a_3x3'), _numbered('branch3x3', 2)),
                      ((*_SEVEN, 'Conv2d_1a_3x3'), _numbered('branch7x7x3', 4)))
    for letter, last in (('b', 'Conv2d_0b_3x1'), ('c', 'Conv2d_0c_3x1')):
        yield from _block(
            f'Mixed_7{letter}', f'Mixed_7{letter}', (_ONE, ('branch1x1',)),
            (('Conv2d_0a_1x1', 'Conv2d_0b_1x3', last),
             ('branch3x3_1', 'branch3x3_2a', 'branch3x3_2b')),
            (('Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_1x3', 'Conv2d_0d_3x1'),
             ('branch3x3dbl_1', 'branch3x3dbl_2', 'branch3x3dbl_3a', 'branch3x3dbl_3b')),
            (_POOL, ('branch_pool',)))
    yield 'AuxLogits/Conv2d_1b_1x1', 'AuxLogits.conv0'
    yield 'AuxLogits/Conv2d_2a_5x5', 'AuxLogits.conv1'
    yield 'AuxLogits/Conv2d_2b_1x1', 'AuxLogits.fc'
    yield 'Logits/Conv2d_1c_1x1', 'fc'


def _inception_v4() -> Iterator[tuple[str, str]]:
    for number, name in enumerate(_STEM[:3]):
        yield name, f'features.{number}'
    yield 'Mixed_3a/Branch_1/Conv2d_0a_3x3', 'features.3.conv'
    yield from _block('Mixed_4a', 'features.4',
                      (('Conv2d_0a_1x1', 'Conv2d_1a_3x3'), _dotted('branch0', 2)),
                      ((*_SEVEN, 'Conv2d_1a_3x3'), _dotted('branch1', 4)))
    yield 'Mixed_5a/Branch_0/Conv2d_1a_3x3', 'features.5.conv'
    for number, letter in enumerate('bcde', 6):
        yield from _block(f'Mixed_5{letter}', f'features.{number}', (_ONE, ('branch0',)),
                          (('Conv2d_0a_1x1', 'Conv2d_0b_3x3'), _dotted('branch1', 2)),
                          (_THREES, _dotted('branch2', 3)), (_POOL, ('branch3.1',)))
    yield from _block('Mixed_6a', 'features.10', (('Conv2d_1a_3x3',), ('branch0',)),
                      (('Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_1a_3x3'), _dotted('branch1', 3)))
    for number, letter in enumerate('bcdefgh', 11):
        yield from _block(f'Mixed_6{letter}', f'features.{number}', (_ONE, ('branch0',)),
                          (_SEVEN, _dotted('branch1', 3)), (_SEVENS, _dotted('branch2', 5)),
                          (_POOL, ('branch3.1',)))
    yield from _block('Mixed_7a', 'features.18',
                      (('Conv2d_0a_1x1', 'Conv2d_1a_3x3'), _dotted('branch0', 2)),
                      ((*_SEVEN, 'Conv2d_1a_3x3'), _dotted('branch1', 4)))
    for number, letter in enumerate('bcd', 19):
        yield from _block(
            f'Mixed_7{letter}', f'features.{number}', (_ONE, ('branch0',)),
            (('Conv2d_0a_1x1', 'Conv2d_0b_1x3', 'Conv2d_0c_3x1'),
             ('branch1_0', 'branch1_1a', 'branch1_1b')),
            (('Conv2d_0a_1x1', 'Conv2d_0b_3x1', 'Conv2d_0c_1x3', 'Conv2d_0d_1x3', 'Conv2d_0e_3x1'),
             ('branch2_0', 'branch2_1', 'branch2_2', 'branch2_3a', 'branch2_3b')),
            (_POOL, ('branch3.1',)))
    yield 'Logits/Logits', 'last_linear'


def _inception_resnet_v2() -> Iterator[tuple[str, str]]:
    for name in _STEM:
        yield name, name.rsplit('_', 1)[0].lower()
    yield from _block('Mixed_5b', 'mixed_5b', (('Conv2d_1x1',), ('branch0',)),
                      (('Conv2d_0a_1x1', 'Conv2d_0b_5x5'), _dotted('branch1', 2)),
                      (_THREES, _dotted('branch2', 3)), (_POOL, ('branch3.1',)))

    yield from _residual_blocks(('repeat', 'repeat_1', 'repeat_2'), (10, 20, 9))
    yield 'Conv2d_7b_1x1', 'conv2d_7b'
    yield 'Logits/Logits', 'classif'


def _inception_resnet_v1() -> Iterator[tuple[str, str]]:
    for name in (*_STEM, 'Conv2d_4b_3x3'):
        yield name, name.rsplit('_', 1)[0].lower()
    yield from _residual_blocks(('repeat_1', 'repeat_2', 'repeat_3'), (5, 10, 5))
    yield 'Bottleneck', 'last_linear'


def _residual_blocks(modules: tuple[str, str, str],
                     counts: tuple[int, int, int]) -> Iterator[tuple[str, str]]:
    """The residual blocks of an Inception-ResNet and the reductions between them.

    Args:
      modules: the names of the stacks of residual blocks in PyTorch.
      counts: the numbers of their blocks.
    """
    def residual(block, module, *branches):
        yield from _block(block, module, (('Conv2d_1x1',), ('branch0',)), *(
            (names, _dotted(f'branch{number}', len(names)))
            for number, names in enumerate(branches, 1)))
        yield f'{block}/Conv2d_1x1', f'{module}.conv2d'

    for number in range(counts[0]):
        yield from residual(f'Repeat/block35_{number + 1}', f'{modules[0]}.{number}', _THREES[:2],
                            _THREES)
    yield from _block('Mixed_6a', 'mixed_6a', (('Conv2d_1a_3x3',), ('branch0',)),
                      (('Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_1a_3x3'), _dotted('branch1', 3)))
    for number in range(counts[1]):
        yield from residual(f'Repeat_1/block17_{number + 1}', f'{modules[1]}.{number}', _SEVEN)
    pair = ('Conv2d_0a_1x1', 'Conv2d_1a_3x3')
    yield from _block('Mixed_7a', 'mixed_7a', (pair, _dotted('branch0', 2)),
                      (pair, _dotted('branch1', 2)),
                      (('Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_1a_3x3'), _dotted('branch2', 3)))
    spread = ('Conv2d_0a_1x1', 'Conv2d_0b_1x3', 'Conv2d_0c_3x1')
    for number in range(counts[2]):
        yield from residual(f'Repeat_2/block8_{number + 1}', f'{modules[2]}.{number}', spread)
    yield from residual('Block8', 'block8', spread)


_NETWORKS = {'inception_v3': _inception_v3, 'inception_v4': _inception_v4,
             'inception_resnet_v1': _inception_resnet_v1,
             'inception_resnet_v2': _inception_resnet_v2}


@functools.cache
def torch_names(network: str) -> dict[str, str]:
    """Maps TF-Slim's layers, in the network's scope, to modules of PyTorch's libraries.

    In the order in which the layers are built, except that the heads come last, the auxiliary one
    first.

    Args:
      network: one of `inception_v3`, `inception_v4`, `inception_resnet_v1`, `inception_resnet_v2`.

    Source: torchvision 0.29 `models/inception.py`; timm 1.0 `models/inception_v3.py`,
    `inception_v4.py`, `inception_resnet_v2.py`; facenet-pytorch 2.6
    `models/inception_resnet_v1.py`.
    """
    return dict(_NETWORKS[network]())


def has_torch_names(network: str) -> bool:
    """Whether torchvision, timm or facenet-pytorch has a network."""
    return network in _NETWORKS


def is_residual_projection(layer: str) -> bool:
    """Whether a layer is the last of a residual block, which is scaled and added to its input."""
    return layer.endswith('/Conv2d_1x1') and 'Branch_' not in layer


def base_layers(network: str) -> list[str]:
    """The layers of a network without its heads, in the order in which they are built."""
    return [name for name in torch_names(network) if not name.startswith(('Logits/', 'AuxLogits/'))]


@functools.cache
def inception_2015_names() -> dict[str, str]:
    """Maps Inception V3's layers to those of `classify_image_graph_def.pb` (December 2015)."""
    names: dict[str, str] = {}
    blocks: dict[str, int] = {}
    for number, name in enumerate(_STEM):
        names[name] = 'conv' if not number else f'conv_{number}'
    for layer in base_layers('inception_v3')[len(_STEM):]:
        block, branch, name = layer.split('/')
        number = blocks.setdefault(block, len(blocks))
        scope = 'mixed' if not number else f'mixed_{number}'
        tower = int(branch[-1])
        if block != 'Mixed_7a':  # whose first branch has more than one layer
            tower -= 1
        if tower >= 0:
            scope += '/tower' if not tower else f'/tower_{tower}'
        if block in ('Mixed_7b', 'Mixed_7c') and name.endswith(('1x3', '3x1')):
            scope += '/mixed'  # the 3×3 split into 1×3 and 3×1
        earlier = sum(other.rsplit('/', 1)[0] == scope for other in names.values())
        names[layer] = f'{scope}/conv' if not earlier else f'{scope}/conv_{earlier}'
    names['Logits/Conv2d_1c_1x1'] = 'softmax'
    return names
