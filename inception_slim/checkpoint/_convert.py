"""Read the weights of any supported file, and write them as a V2 checkpoint in TF-Slim's names."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import itertools
import os
import re
from typing import cast

from inception_slim._atomic_write import (
    check_parent_folder,
    check_replaceable,
    recover,
    replace_together,
)
from inception_slim._special_files import check_utf8
from inception_slim.checkpoint._weight_source import WeightSource, read_finite
from inception_slim.checkpoint.head import SLIM_HEAD
from inception_slim.checkpoint.input_scaling import INPUT_SCALINGS, fold_input_scaling
from inception_slim.checkpoint.keras_model import KerasModel, accepts_keras_models
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
from inception_slim.checkpoint.options import PREWHITEN, SourceOptions
from inception_slim.checkpoint.tf_checkpoint import HEAD, INPUT_RANGE, POOLING
from inception_slim.checkpoint.weight_sources import open_weights
from inception_slim.data.labels import LABELS, write_labels
from inception_slim.errors import CheckpointError, error_summary
from inception_slim.nets import registry
from inception_slim.options import build_options
import numpy as np
import tensorflow.compat.v1 as tf

_BATCH_NORM = {'BatchNorm/beta', 'BatchNorm/moving_mean', 'BatchNorm/moving_variance'}


def read(
    path: str | os.PathLike,
    *,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    input_range: str | None = None,
    pooling: str | None = None,
) -> tuple[CheckpointInfo, dict[str, np.ndarray]]:
    """Reads the weights of the network in a checkpoint.

    Args:
      path: see `find_prefix`; or a file of another supported format.
      use_ema: use the moving averages of the weights.
      checkpoint_scope: the scope of the network to read, if the file holds several.
      input_range: the input range of the training, one of `INPUT_RANGES`, if the file does not
        record it; see `SourceOptions`.
      pooling: how the network pools, one of `nets.POOLINGS`; see `SourceOptions`.

    Returns:
      The description of the checkpoint, and its variables by TF-Slim's names without the scope,
      `{'Conv2d_1a_3x3/weights': ..., ...}`; all values are finite.

    Raises:
      CheckpointError: the file cannot be read, or is incomplete.

    Example:
      >>> from inception_slim import checkpoint
      >>> info, weights = checkpoint.read('tests/golden/checkpoints/slim_v2')
      >>> weights['Conv2d_1a_3x3/weights'].shape
      (3, 3, 3, 4)
    """
    options = build_options(SourceOptions, locals(), CheckpointError)
    source = open_weights(path)
    mapping = recognize(source, options.checkpoint_scope)
    info = build_info(source, mapping)
    if options.pooling is not None:
        info = dataclasses.replace(info, pooling=options.pooling)
    if options.input_range is not None and mapping.network.has_embedding:
        info = dataclasses.replace(info, input_range=options.input_range)
    elif options.input_range == PREWHITEN:
        raise CheckpointError(f'{info.path} is of {mapping.network.title}, which does not '
                              'prewhiten images; only Inception-ResNet V1 does.')
    return info, read_network(source, mapping, options.use_ema, options.input_range)


def read_network(source: WeightSource, mapping: NameMapping, use_ema: bool,
                 input_range: str | None = None) -> dict[str, np.ndarray]:
    """Reads all variables of a network, in TF-Slim's shapes; see `read`."""
    if use_ema and not mapping.averages:
        raise CheckpointError(f'{source.prefix} has no moving averages; leave out use_ema.')
    _check_complete(source, mapping)
    tensors = {name: tensor for name in mapping.tensors
               if (tensor := mapping.tensor_for(name, use_ema))}
    by_tensor = read_finite(source, tensors.values(), copy=True)
    dense_layers = ((mapping.network.classifier, mapping.network.aux_classifier)
                    if mapping.naming == FIRST_RELEASE_NAMES else ())
    values = {}
    for name, tensor in tensors.items():
        value = by_tensor.pop(tensor)
        if layer_name(name) in dense_layers and value.ndim == 2:
            value = value[np.newaxis, np.newaxis]  # to a 1x1 convolution
        values[name] = value
    scaling = source.input_scaling
    if input_range is not None:
        # Inception-ResNet V1 keeps its weights, so that FaceNet's scripts can use them; the graphs
        # of `inference` scale its images.
        scaling = None if mapping.network.has_embedding else INPUT_SCALINGS[input_range]
    if scaling is not None and input_range != 'inception':
        fold_input_scaling(values, scaling, source.prefix)
    return values


@accepts_keras_models
def convert(
    source: str | os.PathLike | KerasModel,
    destination: str | os.PathLike,
    *,
    overwrite: bool = False,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    input_range: str | None = None,
    pooling: str | None = None,
) -> CheckpointInfo:
    """Converts a checkpoint, or a file of another format, to a V2 checkpoint in TF-Slim's names.

    Writes the model variables, the global step, and the pooling and the head if they are not
    TF-Slim's. Writing is atomic: the new index replaces the old one after all data files are in
    place, so an interruption leaves either the complete old checkpoint or the complete new one.

    Args:
      source: see `find_prefix`; a file of another supported format, or a Keras model.
      destination: the prefix of the new checkpoint.
      overwrite: replace an existing destination.
      use_ema: use the moving averages of the weights.
      checkpoint_scope: the scope of the network to read, if the file holds several.
      input_range: the input range of the training, one of `INPUT_SCALINGS`, if the file does not
        record it; see `SourceOptions`.
      pooling: how the network pools, one of `nets.POOLINGS`; see `SourceOptions`.

    Returns:
      The description of the new checkpoint.

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
    destination = os.fsdecode(destination)
    # A model has become a file by now.
    info, weights = read(cast('str | os.PathLike', source), use_ema=use_ema,
                         checkpoint_scope=checkpoint_scope, input_range=input_range,
                         pooling=pooling)
    return write_network(info, weights, destination, overwrite)


def write_network(info: CheckpointInfo, weights: dict[str, np.ndarray], destination: str,
                  overwrite: bool = False,
                  class_names: Iterable[str] | None = None) -> CheckpointInfo:
    """Writes the variables of a network as a V2 checkpoint, atomically; see `convert`.

    Args:
      info: from `read`.
      weights: the variables by TF-Slim's names, without the scope.
      destination: the prefix of the new checkpoint.
      overwrite: replace an existing destination.
      class_names: written to `labels.txt` beside the checkpoint, which it replaces.

    Returns:
      The description of the new checkpoint.

    Raises:
      CheckpointError: the destination exists or cannot be written.
    """
    scope = registry.NETWORKS[info.network].scope
    values = {f'{scope}/{name}': value for name, value in weights.items()}
    if info.global_step is not None:
        values['global_step'] = np.array(info.global_step, np.int64)
    if info.pooling != 'average':
        values[POOLING] = np.array(info.pooling, object)
    if info.head != SLIM_HEAD:
        values[HEAD] = np.array(str(info.head), object)
    if info.embedding_size is not None:
        values[INPUT_RANGE] = np.array(info.input_range, object)
    old: list[str] = []
    try:
        with replace_together(destination, CheckpointError, obsolete=old) as folder:
            check_destination(destination, overwrite)
            old += _existing_files(destination)
            # A number of shards that no existing data file has: then the index, which is moved
            # last, is the only file that is replaced. Before that, the old checkpoint is read, and
            # afterwards the new one; no index ever belongs to data of another checkpoint.
            num_shards = next(count for count in itertools.count(1)
                              if not any(path.endswith(f'-of-{count:05d}') for path in old))
            prefix = os.path.join(folder, os.path.basename(destination))
            info = inspect(write_checkpoint(values, prefix, num_shards))
            if class_names is not None:
                write_labels(os.path.join(folder, LABELS), class_names, CheckpointError)
    except tf.errors.OpError as error:
        raise CheckpointError(f'{destination} cannot be written: {error_summary(error)}.') from None
    return dataclasses.replace(info, path=destination)


def check_destination(destination: str, overwrite: bool) -> None:
    """Raises CheckpointError if no checkpoint can be written to this prefix."""
    check_utf8(destination, CheckpointError)
    recover(destination)
    check_parent_folder(destination, CheckpointError)
    if os.path.isdir(destination):
        raise CheckpointError(f'{destination} is a folder; give the prefix of a checkpoint in it.')
    for path in _existing_files(destination):
        if not overwrite:
            raise CheckpointError(f'{destination} exists; give another name, or overwrite it.')
        check_replaceable(path, CheckpointError)


def _check_complete(source: WeightSource, mapping: NameMapping) -> None:
    """Checks that every layer has weights, and batch norm or biases."""
    layers: dict[str, set[str]] = {}
    for name in mapping.tensors:
        layer = layer_name(name)
        layers.setdefault(layer, set()).add(name[len(layer) + 1:])
    if mapping.naming == FIRST_RELEASE_NAMES:
        for layer in FIRST_RELEASE.values():
            layers.setdefault(layer, set())
    for layer, parameters in layers.items():
        has_weights = any(parameter.endswith('weights') for parameter in parameters)
        partial_batch_norm = 0 < len(parameters & _BATCH_NORM) < len(_BATCH_NORM)
        if not has_weights or partial_batch_norm or parameters == {'weights'}:
            raise CheckpointError(f'{source.prefix} is incomplete: the layer {layer} has only '
                                  f'{", ".join(sorted(parameters)) or "no variables"}; give a '
                                  'complete checkpoint.')
    for layer, parameters in layers.items():
        kernel, vector = (next((source.shapes[mapping.tensors[f'{layer}/{name}']]
                                for name in names if name in parameters), None)
                          for names in (('pointwise_weights', 'weights'),
                                        ('BatchNorm/beta', 'biases')))
        if kernel and len(kernel) not in (2, 4):
            raise CheckpointError(f'{source.prefix} has a kernel {list(kernel)} in {layer}, which '
                                  'should have 4 dimensions, or 2 of a dense layer; it is another '
                                  'network or damaged.')
        if kernel and vector and kernel[-1] != vector[-1]:
            raise CheckpointError(f'{source.prefix} has a kernel {list(kernel)} in {layer}, whose '
                                  f'last dimension should be {vector[-1]}, its number of output '
                                  'channels; it is transposed or damaged.')


def _existing_files(prefix: str) -> list[str]:
    """Lists the files of a V1 or V2 checkpoint that exist, and its graph."""
    pattern = re.compile(re.escape(os.path.basename(prefix))
                         + r'(\.index|\.meta|\.data-\d{5}-of-\d{5})?')
    folder = os.path.dirname(os.path.abspath(prefix))
    if not os.path.isdir(folder):
        return []
    return [os.path.join(os.path.dirname(prefix), name) for name in os.listdir(folder)
            if pattern.fullmatch(name)]


def write_checkpoint(values: dict[str, np.ndarray], prefix: str, num_shards: int = 1) -> str:
    """Writes a V2 checkpoint; returns its prefix.

    Args:
      values: tensors by name.
      prefix: the prefix to write.
      num_shards: the number of data files.
    """
    names = list(values)
    parts = []
    with tf.Graph().as_default(), tf.Session() as session:
        for shard in range(num_shards):
            shard_names = names[shard::num_shards]
            feeds = {tf.placeholder(tf.as_dtype(value.dtype), value.shape): value
                     for value in (values[name] for name in shard_names)}
            parts.append(f'{prefix}-{shard}')
            session.run(tf.raw_ops.SaveV2(prefix=parts[-1], tensor_names=shard_names,
                                          shape_and_slices=[''] * len(shard_names),
                                          tensors=list(feeds)), feeds)
        session.run(tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts,
                                                  destination_prefix=prefix))
    return prefix
