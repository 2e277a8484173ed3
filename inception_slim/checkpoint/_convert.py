"""Reading the weights of any generation, and writing them in today's names."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tempfile

from inception_slim._atomic_write import check_parent_folder
from inception_slim.checkpoint.input_scaling import fold_input_scaling
from inception_slim.checkpoint.naming import (
    FIRST_RELEASE,
    FIRST_RELEASE_NAMES,
    CheckpointInfo,
    NameMapping,
    build_info,
    inspect,
    layer_name,
    recognize,
)
from inception_slim.checkpoint.options import INPUT_SCALINGS, SourceOptions
from inception_slim.checkpoint.tf_checkpoint import (
    POOLING,
    TFCheckpoint,
    error_summary,
    read_finite,
)
from inception_slim.checkpoint.weight_sources import ImportedWeights, open_weights
from inception_slim.errors import CheckpointError
from inception_slim.nets import registry
from inception_slim.options import build_options
import numpy as np
import tensorflow.compat.v1 as tf


def read(
    path: str | os.PathLike,
    *,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    input_range: str | None = None,
    pooling: str | None = None,
) -> tuple[CheckpointInfo, dict[str, np.ndarray]]:
    """The weights of the network in a checkpoint, by TF-Slim's names inside its scope.

    Args:
      path: see `find_prefix`; or a file of another format that is known here.
      **options: those of `SourceOptions`: use_ema, checkpoint_scope, input_range, pooling.

    Returns:
      What the checkpoint holds, and `{'Conv2d_1a_3x3/weights': ..., ...}`, every value finite.

    Raises:
      CheckpointError: the file cannot be read, or is incomplete.

    Example:
      >>> from inception_slim import checkpoint
      >>> info, weights = checkpoint.read('tests/golden/checkpoints/slim_v2')
      >>> weights['Conv2d_1a_3x3/weights'].shape
      (3, 3, 3, 4)
    """
    chosen = build_options(SourceOptions, locals(), CheckpointError)
    file = open_weights(path)
    layout = recognize(file, chosen.checkpoint_scope)
    info = build_info(file, layout)
    if chosen.pooling is not None:
        info = dataclasses.replace(info, pooling=chosen.pooling)
    return info, read_network(file, layout, chosen.use_ema, chosen.input_range)


def read_network(file: TFCheckpoint | ImportedWeights, layout: NameMapping, use_ema: bool,
                 input_range: str | None = None) -> dict[str, np.ndarray]:
    """Every variable of the network, in the shape that TF-Slim gives it."""
    if use_ema and not layout.averages:
        raise CheckpointError(f'{file.prefix} holds no moving averages; leave use_ema out.')
    _check_complete(file, layout)
    sources = {name: source for name in layout.tensors if (source := layout.source(name, use_ema))}
    found = read_finite(file, sources.values(), copied=True)
    network, values = layout.network, {}
    for name, source in sources.items():
        value = found.pop(source)
        if layout.naming == FIRST_RELEASE_NAMES and value.ndim == 2 and (
                layer_name(name) in (network.classifier, network.aux_classifier)):
            value = value[np.newaxis, np.newaxis]  # it was a fully connected layer
        values[name] = value
    scaling = file.input_scaling if input_range is None else INPUT_SCALINGS[input_range]
    if scaling is not None and input_range != 'inception':
        fold_input_scaling(values, scaling, file.prefix)
    return values


def convert(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    *,
    overwrite: bool = False,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    input_range: str | None = None,
    pooling: str | None = None,
) -> CheckpointInfo:
    """Rewrites a checkpoint of any generation, or format, as a V2 checkpoint in TF-Slim's names.

    Keeps the model variables and the global step, and how the network pools where that is not as
    TF-Slim's does. The index, which makes the new files a
    checkpoint, is put in place last and at once: if this is interrupted, the old destination is
    still there, whole, or the new one is.

    Args:
      source: see `find_prefix`; or a file of another format that is known here.
      destination: the prefix to write.
      overwrite: replace a destination that exists.
      **options: those of `SourceOptions`: use_ema, checkpoint_scope, input_range, pooling.

    Returns:
      What the destination holds.

    Raises:
      CheckpointError: the source cannot be read or is incomplete, or the destination exists or
        cannot be written.

    Example:
      >>> import os, tempfile
      >>> from inception_slim import checkpoint
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     info = checkpoint.convert('tests/golden/checkpoints/first_release/model.ckpt-157585',
      ...                               os.path.join(folder, 'model.ckpt'), use_ema=True)
      >>> info.naming, info.format
      ('TF-Slim', 'V2')
    """
    destination = os.fspath(destination)
    info, weights = read(source, use_ema=use_ema, checkpoint_scope=checkpoint_scope,
                         input_range=input_range, pooling=pooling)
    old = _existing(destination)
    if old and not overwrite:
        raise CheckpointError(f'{destination} exists; give another name, or overwrite it.')
    check_parent_folder(destination, CheckpointError)
    if os.path.isdir(destination):
        raise CheckpointError(f'{destination} is a folder; give the prefix of a checkpoint in it.')
    scope = registry.NETWORKS[info.network].scope
    values = {f'{scope}/{name}': value for name, value in weights.items()}
    if info.global_step is not None:
        values['global_step'] = np.array(info.global_step, np.int64)
    if info.pooling != 'average':
        values[POOLING] = np.array(info.pooling, object)
    # Data files of another number of parts than the old ones', so that neither stands in the
    # other's way and the index alone decides.
    parts = 2 if any(path.endswith('-of-00001') for path in old) else 1
    try:
        scratch = tempfile.mkdtemp(prefix='.' + os.path.basename(destination),
                                   dir=os.path.dirname(os.path.abspath(destination)))
        try:
            prefix = write_checkpoint(values, os.path.join(scratch, 'new'), parts)
            new = [f'.data-{part:05d}-of-{parts:05d}' for part in range(parts)] + ['.index']
            for suffix in new:
                os.replace(prefix + suffix, destination + suffix)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        for path in set(old) - {destination + suffix for suffix in new}:
            os.remove(path)
    except (OSError, tf.errors.OpError) as error:
        raise CheckpointError(f'{destination} cannot be written: {error_summary(error)}.') from None
    return inspect(destination)


def _check_complete(file: TFCheckpoint | ImportedWeights, layout: NameMapping) -> None:
    """Every layer has its weights and all that goes with them."""
    layers: dict[str, set[str]] = {}
    for name in layout.tensors:
        layer = layer_name(name)
        layers.setdefault(layer, set()).add(name[len(layer) + 1:])
    if layout.naming == FIRST_RELEASE_NAMES:
        for layer in FIRST_RELEASE.values():
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


def write_checkpoint(values: dict[str, np.ndarray], prefix: str, parts: int) -> str:
    """A V2 checkpoint in that many data files."""
    names = list(values)
    written = []
    with tf.Graph().as_default(), tf.Session() as session:
        for part in range(parts):
            mine = names[part::parts]
            feeds = {tf.placeholder(tf.as_dtype(value.dtype), value.shape): value
                     for value in (values[name] for name in mine)}
            written.append(f'{prefix}-{part}')
            session.run(tf.raw_ops.SaveV2(prefix=written[-1], tensor_names=mine,
                                          shape_and_slices=[''] * len(mine),
                                          tensors=list(feeds)), feeds)
        session.run(tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=written,
                                                  destination_prefix=prefix))
    return prefix
