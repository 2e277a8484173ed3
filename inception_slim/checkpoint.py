"""What a checkpoint holds, and how it maps onto a network's variables.

A file is opened, recognized and checked whole before the first variable is assigned. What it is
called inside depends on who wrote it, and when: TF-Slim's names, the names of the first release of
March 2016, either of them under another scope, and moving averages of the weights beside them.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow.compat.v1 as tf

from inception_slim.nets import factory

MOVING_AVERAGE = '/ExponentialMovingAverage'
SLIM_NAMES = 'TF-Slim'
FIRST_RELEASE_NAMES = 'first release (March 2016)'

_PARAMETERS = ('weights', 'biases', 'depthwise_weights', 'pointwise_weights', 'BatchNorm/beta',
               'BatchNorm/gamma', 'BatchNorm/moving_mean', 'BatchNorm/moving_variance')
# A tensor of the model: its layer, its parameter, and whether it is that parameter's average.
_MODEL_TENSOR = re.compile(
    rf'(?P<layer>.+?)/(?P<parameter>{"|".join(_PARAMETERS)})(?P<average>{MOVING_AVERAGE})?')
_OPTIMIZERS = {  # by the slots that each leaves beside a variable
    'RMSProp': 'RMSProp', 'Momentum': 'Momentum', 'Adam': 'Adam', 'Adagrad': 'Adagrad',
    'Adadelta': 'Adadelta', 'Ftrl': 'Ftrl'}
_OTHER_NETWORKS = {  # by a piece of a tensor's name
    r'(^|/)resnet_v[12]_\d+/': 'ResNet', r'(^|/)vgg_(a|16|19)/': 'VGG',
    r'(^|/)alexnet_v2/': 'AlexNet', r'(^|/)overfeat/': 'OverFeat',
    r'(^|/)MobilenetV\d/': 'MobileNet', r'(^|/)(nasnet|pnasnet|cell_\d+/)': 'NASNet',
    r'(^|/)(bert|transformer)/': 'a text model'}
_DATA_SUFFIX = re.compile(r'\.data-(\d{5})-of-(\d{5})$')
_CHUNK = 64 * 2**20  # bytes of weights to assign in one run of the session
_PAGE = 20  # lines of an error


class CheckpointError(ValueError):
    """The checkpoint cannot be used as asked; one sentence says why, and what to do."""


# Files ----------------------------------------------------------------------------------------

def find_prefix(path: str | os.PathLike) -> str:
    """The prefix by which TensorFlow opens the checkpoint that `path` means.

    Args:
      path: the prefix itself, a V1 file, a directory with a `checkpoint` state file, or one of the
        files of a V2 checkpoint.

    Raises:
      CheckpointError: there is no checkpoint, or something else, or a part of it is missing.
    """
    path = os.fspath(path)
    if not path:
        raise CheckpointError('The path of the checkpoint is empty; give its prefix or folder.')
    if tf.io.gfile.isdir(path):
        return _in_directory(path)
    prefix = re.sub(r'\.(index|meta)$', '', _DATA_SUFFIX.sub('', path))
    if tf.io.gfile.exists(prefix + '.index'):
        _check_shards(prefix)
        return prefix
    if tf.io.gfile.exists(prefix):
        _check_is_table(prefix)
        return prefix
    if tf.io.gfile.glob(_escaped(prefix) + '-?????-of-?????'):
        return prefix + '-?????-of-?????'
    if tf.io.gfile.exists(path):
        raise CheckpointError(
            f'{path} is one part of a checkpoint, but {prefix}.index, which says what is in it, '
            'is not beside it; put it there.')
    raise CheckpointError(f'There is no checkpoint {path}{_nearest(path)}')


def _escaped(pattern: str) -> str:
    return re.sub(r'([*?\[\]\\])', r'\\\1', pattern)


def _in_directory(directory: str) -> str:
    if tf.io.gfile.exists(os.path.join(directory, 'saved_model.pb')):
        raise CheckpointError(f'{directory} is a SavedModel, not a checkpoint; give the checkpoint '
                              'that it was exported from.')
    names = tf.io.gfile.listdir(directory)
    prefixes = sorted(name[:-len('.index')] for name in names if name.endswith('.index'))
    state = tf.train.get_checkpoint_state(directory)
    if state is None and 'checkpoint' in names:
        raise CheckpointError(f'{directory}/checkpoint, which says which checkpoint to take, is '
                              f'damaged{_listed(prefixes)}')
    if state is not None and state.model_checkpoint_path:
        wanted = state.model_checkpoint_path
        # The paths in it may be another machine's.
        for prefix in (wanted, os.path.join(directory, wanted.replace('\\', '/').split('/')[-1])):
            if tf.io.gfile.exists(prefix + '.index') or tf.io.gfile.exists(prefix):
                return find_prefix(prefix)
        raise CheckpointError(f'{directory}/checkpoint names {wanted}, which is not there'
                              f'{_listed(prefixes)}')
    if len(prefixes) == 1:
        return find_prefix(os.path.join(directory, prefixes[0]))
    what = 'more than one checkpoint' if prefixes else 'no checkpoint'
    raise CheckpointError(f'{directory} holds {what} and no "checkpoint" file that says which to '
                          f'take{_listed(prefixes)}')


def _listed(names: Collection[str]) -> str:
    if not names:
        return '; give the path of a checkpoint.'
    shown = ', '.join(list(names)[:5]) + (', ...' if len(names) > 5 else '')
    return f'; name one of: {shown}.'


def _nearest(path: str) -> str:
    directory, name = os.path.split(path.rstrip('/'))
    if not tf.io.gfile.isdir(directory or '.'):
        return f': its folder, {directory}, does not exist.'
    names = {_DATA_SUFFIX.sub('', re.sub(r'\.(index|meta)$', '', each)).rstrip('/')
             for each in tf.io.gfile.listdir(directory or '.')}
    close = difflib.get_close_matches(name, names, n=3)
    return f'; near it are: {", ".join(close)}.' if close else '.'


def _check_shards(prefix: str) -> None:
    found = {}
    for path in tf.io.gfile.glob(_escaped(prefix) + '.data-?????-of-?????'):
        shard, count = _DATA_SUFFIX.search(path).groups()
        found.setdefault(int(count), set()).add(int(shard))
    if not found:
        raise CheckpointError(f'{prefix}.index is there, but {prefix}.data-00000-of-00001, which '
                              'holds its weights, is missing; put it beside it.')
    for count, shards in found.items():
        if len(shards) == count:
            return
    count, shards = max(found.items())
    missing = min(set(range(count)) - shards)
    raise CheckpointError(f'{prefix}.data-{missing:05d}-of-{count:05d} is missing: '
                          f'{len(shards)} of {count} parts are there; put it beside the others.')


def _check_is_table(path: str) -> None:
    """A V1 checkpoint is a table, whose last eight bytes say so."""
    try:
        with tf.io.gfile.GFile(path, 'rb') as file:
            head = file.read(4096)
            file.seek(max(0, file.size() - 8))
            tail = file.read(8)
    except tf.errors.OpError as error:
        raise CheckpointError(f'{path} cannot be read: {_first_line(error)}') from None
    if tail == b'\x57\xfb\x80\x8b\x24\x75\x47\xdb':
        return
    if head.startswith(b'\x89HDF'):
        kind = 'a Keras .h5 file'
    elif head.startswith(b'PK'):
        kind = 'a PyTorch file' if b'data.pkl' in head else 'a Keras .keras file or another zip'
    elif head.startswith((b'\x80\x02', b'\x80\x03', b'\x80\x04')):
        kind = 'a PyTorch or other Python pickle file'
    elif path.endswith('.pb') or _is_graph(head):
        kind = 'a frozen graph (.pb)'
    elif not head:
        kind = 'empty'
    else:
        raise CheckpointError(f'{path} is no TensorFlow checkpoint, or one cut short: its end is '
                              'missing; copy it again.')
    raise CheckpointError(f'{path} is {kind}, not a TensorFlow checkpoint; give the file, or the '
                          'prefix, that tf.train.Saver wrote.')


def _is_graph(head: bytes) -> bool:
    # A GraphDef begins with its first node, and that with its name.
    return len(head) > 4 and head[0] == 0x0a and b'\x12' in head[3:200] and (
        b'Placeholder' in head or b'Const' in head)


def _first_line(error: BaseException) -> str:
    message = getattr(error, 'message', None) or str(error)
    return (message.splitlines() or [type(error).__name__])[0].rstrip('.')


class _File:
    """An opened checkpoint: shapes by name, and values on demand."""

    def __init__(self, path: str | os.PathLike):
        self.prefix = find_prefix(path)
        self.version = 'V2' if tf.io.gfile.exists(self.prefix + '.index') else 'V1'
        with self._damage_named():
            self._reader = tf.train.NewCheckpointReader(self.prefix)
            self.shapes = self._reader.get_variable_to_shape_map()
            self.dtypes = self._reader.get_variable_to_dtype_map()

    def read(self, name: str) -> np.ndarray:
        with self._damage_named():
            return self._reader.get_tensor(name)

    def _damage_named(self):
        return _DamageNamed(self.prefix)


class _DamageNamed:
    """Turns whatever the reader raises into one sentence."""

    def __init__(self, prefix: str):
        self._prefix = prefix

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if error is not None and isinstance(error, Exception):
            raise CheckpointError(
                f'{self._prefix} is damaged or cut short ({_first_line(error)}); '
                'copy it again from where it came.') from None


# Recognition ----------------------------------------------------------------------------------

@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint holds.

    Attributes:
      path: the prefix by which TensorFlow opens it.
      format: 'V1', one file, or 'V2', an index and its data.
      naming: 'TF-Slim' or 'first release (March 2016)'.
      network: the network's name, such as 'inception_v3'.
      scope: what precedes the network's layers in the names; may be empty.
      num_classes: width of the classifier; None without one.
      has_background_class: whether class 0 is likely 'background', as in files of 1,001 classes.
      global_step: the training step it was written at; None if it does not say.
      has_moving_averages: whether it holds moving averages of the weights.
      has_gammas: whether batch norm was trained with `batch_norm_scale=True`.
      has_aux_logits: whether it holds the auxiliary classifier.
      optimizer: whose slots it holds; None if it holds none.
      parameters: how many numbers the network has, without averages and slots.
      depth_multiplier: factor of the channels; None if the network is not thinned by one.
      min_depth: the fewest channels of a layer, where that shows.
    """

    path: str
    format: str
    naming: str
    network: str
    scope: str
    num_classes: int | None
    has_background_class: bool
    global_step: int | None
    has_moving_averages: bool
    has_gammas: bool
    has_aux_logits: bool
    optimizer: str | None
    parameters: int
    depth_multiplier: float | None
    min_depth: int


@dataclass(frozen=True)
class _Layout:
    """Where a file has which variable of which network."""

    network: factory.Network
    naming: str
    scope: str
    tensors: dict[str, str]  # TF-Slim's name inside the scope -> name in the file
    averages: dict[str, str]  # the same for the moving averages

    def source(self, name: str, use_ema: bool) -> str | None:
        return (self.averages.get(name) if use_ema else None) or self.tensors.get(name)


def _join(scope: str, name: str) -> str:
    return f'{scope}/{name}' if scope else name


def _recognize(file: _File, scope: str | None = None) -> _Layout:
    """Finds the one network in a file, or says why there is none or more than one."""
    candidates = []
    for network in factory.NETWORKS.values():
        fingerprints = [(SLIM_NAMES, f'{network.fingerprint}/{parameter}')
                        for parameter in ('weights', 'depthwise_weights')]
        if network.name == 'inception_v3':
            fingerprints.append((FIRST_RELEASE_NAMES, _FIRST_RELEASE_FINGERPRINT))
        for naming, fingerprint in fingerprints:
            for name in file.shapes:
                if name == fingerprint or name.endswith('/' + fingerprint):
                    candidates.append((network, naming, name[:-len(fingerprint)].rstrip('/')))
    if scope is not None:
        candidates = [each for each in candidates if each[2] == scope]
    if not candidates:
        raise CheckpointError(_what_else(file, scope))
    if len(candidates) > 1:
        scopes = ', '.join(repr(each[2]) for each in candidates[:8])
        raise CheckpointError(f'{file.prefix} holds {len(candidates)} networks, under the scopes '
                              f'{scopes}; choose one with checkpoint_scope=.')
    network, naming, scope = candidates[0]
    tensors, averages = {}, {}
    for name in file.shapes:
        if scope and not name.startswith(scope + '/'):
            continue
        match = _MODEL_TENSOR.fullmatch(name[len(scope) + 1 if scope else 0:])
        if match:
            layer = match['layer']
            if naming == FIRST_RELEASE_NAMES:
                layer = _FIRST_RELEASE.get(layer)
            if layer:
                kind = averages if match['average'] else tensors
                kind[f'{layer}/{match["parameter"]}'] = name
    return _Layout(network, naming, scope, tensors, averages)


def _what_else(file: _File, scope: str | None) -> str:
    known = ', '.join(network.title for network in factory.NETWORKS.values())
    if scope is not None:
        return f'{file.prefix} holds none of {known} under the scope {scope!r}.'
    for pattern, title in _OTHER_NETWORKS.items():
        if any(re.search(pattern, name) for name in file.shapes):
            return (f'{file.prefix} is a checkpoint of {title}, but this reads {known}; '
                    'give one of those.')
    names = ', '.join(sorted(file.shapes)[:3])
    return (f'{file.prefix} is a checkpoint of another network than {known}: it holds '
            f'{len(file.shapes)} tensors, such as {names}.')


def _first_release_names() -> dict[str, str]:
    """Layers of the first release -> TF-Slim's, in the order in which both were built."""
    names = {'conv0': 'Conv2d_1a_3x3', 'conv1': 'Conv2d_2a_3x3', 'conv2': 'Conv2d_2b_3x3',
             'conv3': 'Conv2d_3b_1x1', 'conv4': 'Conv2d_4a_3x3',
             'aux_logits/proj': 'AuxLogits/Conv2d_1b_1x1',
             'aux_logits/Conv': 'AuxLogits/Conv2d_2a_5x5',
             'aux_logits/FC': 'AuxLogits/Conv2d_2b_1x1', 'logits/logits': 'Logits/Conv2d_1c_1x1'}
    one, pool = ['Conv2d_0a_1x1'], ['Conv2d_0b_1x1']
    triple = ['Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3']
    seven = ['Conv2d_0a_1x1', 'Conv2d_0b_1x7', 'Conv2d_0c_7x1']
    sevens = ['Conv2d_0a_1x1', 'Conv2d_0b_7x1', 'Conv2d_0c_1x7', 'Conv2d_0d_7x1', 'Conv2d_0e_1x7']
    spread = ['Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_1x3', 'Conv2d_0d_3x1']

    def block(old, new, *branches):
        for index, (branch, layers) in enumerate(branches):
            for position, layer in enumerate(layers):
                conv = f'Conv_{position}' if position else 'Conv'
                names[f'mixed_{old}/{branch}/{conv}'] = f'Mixed_{new}/Branch_{index}/{layer}'

    for old, new, five in (('256a', '5b', ['Conv2d_0a_1x1', 'Conv2d_0b_5x5']),
                           ('288a', '5c', ['Conv2d_0b_1x1', 'Conv_1_0c_5x5']),
                           ('288b', '5d', ['Conv2d_0a_1x1', 'Conv2d_0b_5x5'])):
        block(f'35x35x{old}', new, ('branch1x1', one), ('branch5x5', five),
              ('branch3x3dbl', triple), ('branch_pool', pool))
    block('17x17x768a', '6a', ('branch3x3', ['Conv2d_1a_1x1']),
          ('branch3x3dbl', ['Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_1a_1x1']))
    for letter in 'bcde':
        block(f'17x17x768{letter}', f'6{letter}', ('branch1x1', one), ('branch7x7', seven),
              ('branch7x7dbl', sevens), ('branch_pool', pool))
    block('17x17x1280a', '7a', ('branch3x3', ['Conv2d_0a_1x1', 'Conv2d_1a_3x3']),
          ('branch7x7x3', [*seven, 'Conv2d_1a_3x3']))
    for old, new, last in (('a', '7b', 'Conv2d_0b_3x1'), ('b', '7c', 'Conv2d_0c_3x1')):
        block(f'8x8x2048{old}', new, ('branch1x1', one),
              ('branch3x3', ['Conv2d_0a_1x1', 'Conv2d_0b_1x3', last]),
              ('branch3x3dbl', spread), ('branch_pool', pool))
    return names


_FIRST_RELEASE = _first_release_names()
_FIRST_RELEASE_FINGERPRINT = 'mixed_35x35x288a/branch5x5/Conv_1/weights'


def _depth(layout: _Layout, file: _File) -> tuple[float | None, int]:
    """The depth multiplier and the minimum depth that explain the channels found."""
    pairs = []
    for layer, channels in layout.network.channels.items():
        tensor = layout.tensors.get(f'{layer}/weights')
        if tensor:
            pairs.append((channels, file.shapes[tensor][-1]))
    if not pairs:
        return None, 16
    if all(full == found for full, found in pairs):
        return 1.0, 16
    fewest = min(found for _, found in pairs)
    # int(full * multiplier) == found, for every layer that is not held up by the minimum.
    free = [(full, found) for full, found in pairs if found > fewest]
    free = free or [max(pairs)]
    low = max(found / full for full, found in free)
    high = min((found + 1) / full for full, found in free)
    for digits in range(1, 7):
        multiplier = round(np.ceil(low * 10**digits - 1e-9) / 10**digits, digits)
        if multiplier < high:
            break
    held_up = any(int(full * multiplier) < found for full, found in pairs)
    return float(multiplier), fewest if held_up else min(fewest, 16)


def _info(file: _File, layout: _Layout) -> CheckpointInfo:
    classes = layout.tensors.get(f'{layout.network.classifier}/biases')
    num_classes = file.shapes[classes][-1] if classes else None
    steps = [name for name in file.shapes
             if name.split('/')[-1] == 'global_step' and not file.shapes[name]]
    slots = {name.rsplit('/', 1)[-1] for name in file.shapes}
    optimizer = next((title for slot, title in _OPTIMIZERS.items() if slot in slots), None)
    multiplier, min_depth = _depth(layout, file)
    aux = layout.network.aux_classifier
    return CheckpointInfo(
        path=file.prefix, format=file.version, naming=layout.naming,
        network=layout.network.name, scope=layout.scope, num_classes=num_classes,
        has_background_class=num_classes == 1001,
        global_step=int(file.read(min(steps, key=len))) if steps else None,
        has_moving_averages=bool(layout.averages),
        has_gammas=any(name.endswith('/gamma') for name in layout.tensors),
        has_aux_logits=bool(aux and f'{aux}/weights' in layout.tensors),
        optimizer=optimizer,
        parameters=sum(int(np.prod(file.shapes[name])) for name in layout.tensors.values()),
        depth_multiplier=multiplier, min_depth=min_depth)


def inspect(path: str | os.PathLike, *, checkpoint_scope: str | None = None) -> CheckpointInfo:
    """Says what a checkpoint holds, without a graph.

    Args:
      path: see `find_prefix`.
      checkpoint_scope: which network to look at, where the file holds more than one.

    Raises:
      CheckpointError: it cannot be read, or holds no network that is known here.
    """
    file = _File(path)
    return _info(file, _recognize(file, checkpoint_scope))


# Restoring ------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Restored:
    """What `restore` did.

    Attributes:
      restored: the graph's variables that were assigned, by name.
      excluded: those that were left as they are, as asked.
      ignored: tensors of the file that the graph has no use for.
    """

    restored: list[str]
    excluded: list[str]
    ignored: list[str]


def restore(
        session: tf.Session,
        path: str | os.PathLike,
        *,
        scope: str | None = None,
        use_ema: bool = False,
        exclude: Iterable[str] = (),
        checkpoint_scope: str | None = None) -> Restored:
    """Fills the model variables of the session's graph from a checkpoint of any generation.

    Every variable is accounted for, and every value read and checked, before the first is
    assigned: if anything is wrong, nothing has changed.

    Args:
      session: a session of the graph that holds the network; the graph may be finalized.
      path: see `find_prefix`.
      scope: the variable scope that the network was built under, in the graph; by default that
        of the one network there, 'InceptionV3' if there are more.
      use_ema: take the moving average of a variable wherever the file has one.
      exclude: scopes to leave as they are, such as 'AuxLogits' or 'InceptionV3/Logits'.
      checkpoint_scope: which network to take, where the file holds more than one.

    Returns:
      What was restored, excluded, and ignored in the file.

    Raises:
      CheckpointError: the file cannot be read, or does not fit the graph.
    """
    with session.graph.as_default():
        found = sorted({variable.op.name.split('/')[0] for variable in tf.model_variables()})
        if scope is None:
            known = [each.scope for each in factory.NETWORKS.values() if each.scope in found]
            scope = known[0] if len(known) == 1 else 'InceptionV3'
        variables = {variable.op.name[len(scope) + 1:]: variable
                     for variable in tf.model_variables()
                     if variable.op.name.startswith(scope + '/')}
        if not variables:
            raise CheckpointError(
                f'The graph has no model variables under the scope {scope!r}'
                + (f', but under {", ".join(found)}; set scope=.' if found
                   else '; build the network before restoring it.'))
    excluded = _excluded(variables, exclude, scope)
    wanted = {name: variable for name, variable in variables.items() if name not in excluded}
    file = _File(path)
    layout = _recognize(file, checkpoint_scope)
    if use_ema and not layout.averages:
        raise CheckpointError(f'{file.prefix} holds no moving averages; leave use_ema out.')
    _check_fits(file, layout, wanted, use_ema)
    sources = {name: layout.source(name, use_ema) for name in wanted}
    values = _read_checked(file, sources.values())
    for chunk in _chunks(wanted, values, sources):
        # What is assigned is let go of, so that the weights are never in memory twice over.
        session.run([wanted[name].initializer for name in chunk], {
            wanted[name].initializer.inputs[1]:
                values.pop(sources[name]).reshape(wanted[name].shape.as_list())
            for name in chunk})
    used = set(sources.values())
    return Restored(
        restored=[variable.op.name for variable in wanted.values()],
        excluded=[variables[name].op.name for name in variables if name in excluded],
        ignored=sorted(name for name in file.shapes if name not in used))


def _excluded(variables: Iterable[str], exclude: Iterable[str], scope: str) -> set[str]:
    if isinstance(exclude, str):
        raise CheckpointError(f'exclude must be a list of scopes, not {exclude!r}; '
                              f'write exclude=[{exclude!r}].')
    excluded = set()
    for each in exclude:
        inner = each.removeprefix(scope + '/').rstrip('/')
        found = {name for name in variables if name == inner or name.startswith(inner + '/')}
        if not found:
            close = difflib.get_close_matches(inner, {name.split('/')[0] for name in variables})
            raise CheckpointError(f'exclude names {each!r}, but the graph has no variable there'
                                  + (f'; close to it is {close[0]}.' if close else '.'))
        excluded |= found
    return excluded


def _chunks(names: Iterable[str], values: dict[str, np.ndarray],
            sources: dict[str, str]) -> Iterator[list[str]]:
    """The names, in lists that together hold about as many bytes as `_CHUNK`."""
    chunk, size = [], 0
    for name in names:
        bytes_of = values[sources[name]].nbytes
        if chunk and size + bytes_of > _CHUNK:
            yield chunk
            chunk, size = [], 0
        chunk.append(name)
        size += bytes_of
    if chunk:
        yield chunk


def _read_checked(file: _File, names: Iterable[str],
                  copied: bool = False) -> dict[str, np.ndarray]:
    """The values, once all are read: then damage has shown, and numbers that are none.

    TensorFlow never gives memory of its tensors back; copies of them are NumPy's, which does.
    """
    values = {name: file.read(name).copy() if copied else file.read(name) for name in names}
    bad = []
    for name, value in values.items():
        # A sum of squares is finite only if all are; where it overflows, look closer.
        flat = value.ravel()
        with np.errstate(over='ignore', invalid='ignore'):
            if not np.isfinite(np.dot(flat, flat)) and not np.isfinite(flat).all():
                bad.append(name)
    if bad:
        raise CheckpointError(
            f'{file.prefix} holds NaN or infinite numbers in {len(bad)} tensors, such as '
            f'{bad[0]}: the training that wrote it had diverged; take an earlier checkpoint.')
    return values


# Diagnosis ------------------------------------------------------------------------------------

def _check_fits(file: _File, layout: _Layout, wanted: dict, use_ema: bool) -> None:
    """The file has every wanted variable, in its shape; else the one cause that explains it."""
    network = layout.network
    in_graph = {_layer(name) for name in wanted}
    theirs = next((each for each in factory.NETWORKS.values() if each.fingerprint in in_graph),
                  network)
    if theirs is not network:
        raise CheckpointError(f'{file.prefix} is a checkpoint of {network.title}, but the graph '
                              f'holds {theirs.title}; build {network.name}.')
    missing, misshapen, mistyped = [], {}, []
    for name, variable in wanted.items():
        source = layout.source(name, use_ema)
        if source is None:
            missing.append(name)
        elif not _same_shape(variable.shape.as_list(), file.shapes[source], name, network):
            misshapen[name] = source
        elif file.dtypes[source] != variable.dtype.base_dtype:
            mistyped.append(f'{source} is {file.dtypes[source].name}, not '
                            f'{variable.dtype.base_dtype.name}')
    in_file = {name for name in layout.tensors if _layer(name) in in_graph}
    _check_batch_norm(file, network, set(wanted), in_file, set(missing))
    _check_aux(file, network, missing)
    _check_classes(file, network, wanted, misshapen)
    _check_width(file, network, wanted, misshapen)
    if mistyped:
        raise CheckpointError(f'{file.prefix} does not fit the graph: {mistyped[0]}.')
    if missing or misshapen:
        raise CheckpointError(_difference(file, layout, wanted, missing, misshapen))


def _layer(name: str) -> str:
    match = _MODEL_TENSOR.fullmatch(name)
    return match['layer'] if match else name


def _same_shape(wanted: list[int], found: list[int], name: str, network: factory.Network) -> bool:
    # The first release had a fully connected classifier: [n, classes] for [1, 1, n, classes].
    dense = _layer(name) in (network.classifier, network.aux_classifier)
    return wanted == found or (dense and wanted == [1, 1, *found])


def _check_batch_norm(file: _File, network: factory.Network, wanted: set[str], in_file: set[str],
                      missing: set[str]) -> None:
    arg_scope = network.arg_scope.__name__

    def having(names, parameter):
        return {_layer(name) for name in names if name.endswith('/' + parameter)}

    biased = having(missing, 'biases') & having(in_file, 'BatchNorm/beta')
    if biased:
        raise CheckpointError(
            f'The graph has biases where {file.prefix} has batch norm (in {len(biased)} layers): '
            'it was built outside the arg scope; build the network inside '
            f'"with slim.arg_scope({arg_scope}()):".')
    normalized = having(missing, 'BatchNorm/beta') & having(in_file, 'biases')
    if normalized:
        raise CheckpointError(
            f'The graph has batch norm where {file.prefix} has biases (in {len(normalized)} '
            f'layers); build it with {arg_scope}(use_batch_norm=False).')
    gammas = having(in_file - wanted, 'BatchNorm/gamma') & having(wanted, 'BatchNorm/beta')
    if gammas:
        raise CheckpointError(
            f'{file.prefix} was trained with batch-norm gammas and the graph has none, which would '
            f'change every answer; build it with {arg_scope}(batch_norm_scale=True).')
    if having(missing, 'BatchNorm/gamma') & having(in_file, 'BatchNorm/beta'):
        raise CheckpointError(
            f'The graph has batch-norm gammas and {file.prefix} has none; build it with '
            f'{arg_scope}(batch_norm_scale=False).')


def _check_aux(file: _File, network: factory.Network, missing: list[str]) -> None:
    aux = [name for name in missing if name.startswith('AuxLogits/')]
    if aux and len(aux) == len(missing) and network.aux_classifier and (
            f'{network.aux_classifier}/weights' in aux):
        raise CheckpointError(
            f'{file.prefix} has no auxiliary head and the graph has one; build it with '
            "create_aux_logits=False, or leave it as it is with exclude=['AuxLogits'].")


def _check_classes(file: _File, network: factory.Network, wanted: dict, misshapen: dict) -> None:
    heads = [layer for layer in (network.classifier, network.aux_classifier) if layer]
    differ = [name for name in misshapen if _layer(name) in heads]
    if differ and len(differ) == len(misshapen):
        found = file.shapes[misshapen[differ[0]]][-1]
        graph = wanted[differ[0]].shape.as_list()[-1]
        if found != graph:
            excluded = ', '.join(repr(head) for head in network.heads
                                 if any(name.startswith(head + '/') for name in wanted))
            raise CheckpointError(
                f'{file.prefix} has {found} classes and the graph has {graph}; build it with '
                f'num_classes={found}, or load all but the classifiers with exclude=[{excluded}].')


def _check_width(file: _File, network: factory.Network, wanted: dict, misshapen: dict) -> None:
    if not network.channels or len(misshapen) < 0.5 * len(wanted):
        return

    def shapes(names):
        return {name: file.shapes[source] for name, source in names.items()}

    theirs = _depth_of(network, shapes(misshapen))
    ours = _depth_of(network, {name: wanted[name].shape.as_list() for name in misshapen})
    if theirs and ours and theirs != ours:
        raise CheckpointError(
            f'{file.prefix} has another width than the graph: about {theirs:g} times the '
            f'channels of the full network, where the graph has about {ours:g}; build it with '
            'that depth_multiplier (inspect() says which).')


def _depth_of(network: factory.Network, shapes: dict[str, list[int]]) -> float | None:
    ratios = [shapes[f'{layer}/weights'][-1] / channels
              for layer, channels in network.channels.items() if f'{layer}/weights' in shapes]
    return round(float(np.median(ratios)), 2) if ratios else None


def _difference(file: _File, layout: _Layout, wanted: dict, missing: list[str],
                misshapen: dict[str, str]) -> str:
    """Missing and misshapen variables by layer, the closest names beside them, on one page."""
    lines = []
    by_layer = {}
    for name in missing:
        by_layer.setdefault(_layer(name), []).append(name)
    unused = sorted({_layer(name) for name in layout.tensors} - {_layer(name) for name in wanted})
    for layer, names in by_layer.items():
        close = difflib.get_close_matches(layer, unused, n=1, cutoff=0.7)
        parameters = ', '.join(name[len(layer) + 1:] for name in names)
        lines.append(f'  missing     {layer}: {parameters}'
                     + (f' (the file has {close[0]})' if close else ''))
    for name, source in misshapen.items():
        lines.append(f'  misshapen   {name}: {file.shapes[source]} in the file, '
                     f'{wanted[name].shape.as_list()} in the graph')
    lines += [f'  unexpected  {layer}' for layer in unused]
    if len(lines) > _PAGE:
        lines = [*lines[:_PAGE - 1], f'  and {len(lines) - _PAGE + 1} more']
    return '\n'.join([
        f'{file.prefix} does not fit the graph: {len(missing)} variables are missing in it and '
        f'{len(misshapen)} have another shape; build the network that it was written from.',
        *lines])


# Reading --------------------------------------------------------------------------------------

def read(
        path: str | os.PathLike,
        *,
        use_ema: bool = False,
        checkpoint_scope: str | None = None) -> tuple[CheckpointInfo, dict[str, np.ndarray]]:
    """The weights of the network in a checkpoint, by TF-Slim's names inside its scope.

    Args:
      path: see `find_prefix`.
      use_ema: take the moving average of a variable wherever the file has one.
      checkpoint_scope: which network to take, where the file holds more than one.

    Returns:
      What the checkpoint holds, and `{'Conv2d_1a_3x3/weights': ..., ...}`, every value finite.

    Raises:
      CheckpointError: the file cannot be read, or is incomplete.
    """
    file = _File(path)
    layout = _recognize(file, checkpoint_scope)
    return _info(file, layout), _read_network(file, layout, use_ema)


def _read_network(file: _File, layout: _Layout, use_ema: bool) -> dict[str, np.ndarray]:
    """Every variable of the network, in the shape that TF-Slim gives it."""
    if use_ema and not layout.averages:
        raise CheckpointError(f'{file.prefix} holds no moving averages; leave use_ema out.')
    _check_complete(file, layout)
    sources = {name: layout.source(name, use_ema) for name in layout.tensors}
    found = _read_checked(file, sources.values(), copied=True)
    network, values = layout.network, {}
    for name, source in sources.items():
        value = found.pop(source)
        if layout.naming == FIRST_RELEASE_NAMES and value.ndim == 2 and (
                _layer(name) in (network.classifier, network.aux_classifier)):
            value = value[np.newaxis, np.newaxis]  # it was a fully connected layer
        values[name] = value
    return values


# Converting -----------------------------------------------------------------------------------

def convert(
        source: str | os.PathLike,
        destination: str | os.PathLike,
        *,
        use_ema: bool = False,
        overwrite: bool = False,
        checkpoint_scope: str | None = None) -> CheckpointInfo:
    """Rewrites a checkpoint of any generation as a V2 checkpoint in TF-Slim's names.

    Keeps the model variables and the global step. The index, which makes the new files a
    checkpoint, is put in place last and at once: if this is interrupted, the old destination is
    still there, whole, or the new one is.

    Args:
      source: see `find_prefix`.
      destination: the prefix to write.
      use_ema: write the moving average of a variable wherever the file has one.
      overwrite: replace a destination that exists.
      checkpoint_scope: which network to take, where the file holds more than one.

    Returns:
      What the destination holds.

    Raises:
      CheckpointError: the source cannot be read or is incomplete, or the destination exists or
        cannot be written.
    """
    destination = os.fspath(destination)
    file = _File(source)
    layout = _recognize(file, checkpoint_scope)
    weights = _read_network(file, layout, use_ema)
    old = _existing(destination)
    if old and not overwrite:
        raise CheckpointError(f'{destination} exists; give another name, or overwrite it.')
    folder = os.path.dirname(os.path.abspath(destination))
    if not os.path.isdir(folder):
        raise CheckpointError(f'There is no folder {folder} to write to; make it first.')
    if os.path.isdir(destination):
        raise CheckpointError(f'{destination} is a folder; give the prefix of a checkpoint in it.')
    values = {f'{layout.network.scope}/{name}': value for name, value in weights.items()}
    step = _info(file, layout).global_step
    if step is not None:
        values['global_step'] = np.int64(step)
    # Data files of another number of parts than the old ones', so that neither stands in the
    # other's way and the index alone decides.
    parts = 2 if any(path.endswith('-of-00001') for path in old) else 1
    try:
        scratch = tempfile.mkdtemp(prefix='.' + os.path.basename(destination), dir=folder)
        try:
            prefix = _write(values, os.path.join(scratch, 'new'), parts)
            new = [f'.data-{part:05d}-of-{parts:05d}' for part in range(parts)] + ['.index']
            for suffix in new:
                os.replace(prefix + suffix, destination + suffix)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        for path in set(old) - {destination + suffix for suffix in new}:
            os.remove(path)
    except (OSError, tf.errors.OpError) as error:
        raise CheckpointError(f'{destination} cannot be written: {_first_line(error)}.') from None
    return inspect(destination)


def _check_complete(file: _File, layout: _Layout) -> None:
    """Every layer has its weights and all that goes with them."""
    layers = {}
    for name in layout.tensors:
        layer = _layer(name)
        layers.setdefault(layer, set()).add(name[len(layer) + 1:])
    if layout.naming == FIRST_RELEASE_NAMES:
        for layer in _FIRST_RELEASE.values():
            layers.setdefault(layer, set())
    for layer, parameters in layers.items():
        batch_norm = {'BatchNorm/beta', 'BatchNorm/moving_mean', 'BatchNorm/moving_variance'}
        has_weights = any(each.endswith('weights') for each in parameters)
        if not has_weights or 0 < len(parameters & batch_norm) < 3 or parameters == {'weights'}:
            raise CheckpointError(f'{file.prefix} is incomplete: of the layer {layer} it has only '
                                  f'{", ".join(sorted(parameters)) or "nothing"}; find the whole.')


def _existing(destination: str) -> list[str]:
    pattern = re.compile(re.escape(os.path.basename(destination))
                         + r'(\.index|\.data-\d{5}-of-\d{5})?')
    folder = os.path.dirname(os.path.abspath(destination))
    if not os.path.isdir(folder):
        return []
    return [os.path.join(os.path.dirname(destination), name) for name in os.listdir(folder)
            if pattern.fullmatch(name) and os.path.isfile(os.path.join(folder, name))]


def _write(values: dict[str, np.ndarray], prefix: str, parts: int) -> str:
    """A V2 checkpoint in that many data files."""
    names = list(values)
    written = []
    with tf.Graph().as_default(), tf.Session() as session:
        for part in range(parts):
            mine = names[part::parts]
            feeds = {tf.placeholder(values[name].dtype, values[name].shape): values[name]
                     for name in mine}
            written.append(f'{prefix}-{part}')
            session.run(tf.raw_ops.SaveV2(prefix=written[-1], tensor_names=mine,
                                          shape_and_slices=[''] * len(mine),
                                          tensors=list(feeds)), feeds)
        session.run(tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=written,
                                                  destination_prefix=prefix))
    return prefix
