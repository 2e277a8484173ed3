"""Filling a graph from a checkpoint: all of it is checked before the first variable is assigned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import difflib
import os
import warnings

from inception_slim.checkpoint.diagnosis import check_compatible
from inception_slim.checkpoint.input_scaling import fold_input_scaling
from inception_slim.checkpoint.naming import recognize
from inception_slim.checkpoint.tf_checkpoint import read_finite
from inception_slim.checkpoint.weight_sources import open_weights
from inception_slim.errors import CheckpointError
from inception_slim.nets import registry
import numpy as np
import tensorflow.compat.v1 as tf

_CHUNK = 64 * 2**20  # bytes of weights to assign in one run of the session


@dataclass(frozen=True)
class RestoreResult:
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
        checkpoint_scope: str | None = None) -> RestoreResult:
    """Fills the model variables of the session's graph from a checkpoint of any generation.

    Every variable is accounted for, and every value read and checked, before the first is
    assigned: if anything is wrong, nothing has changed.

    Args:
      session: a session of the graph that holds the network; the graph may be finalized.
      path: see `find_prefix`; or a file of another format that is known here.
      scope: the variable scope that the network was built under, in the graph; by default that
        of the one network there, 'InceptionV3' if there are more.
      use_ema: take the moving average of a variable wherever the file has one.
      exclude: scopes to leave as they are, such as 'AuxLogits' or 'InceptionV3/Logits'.
      checkpoint_scope: which network to take, where the file holds more than one.

    Returns:
      What was restored, excluded, and ignored in the file.

    Raises:
      CheckpointError: the file cannot be read, or does not fit the graph.

    Example:
      >>> import inception_slim
      >>> import tensorflow.compat.v1 as tf
      >>> import tf_slim as slim
      >>> from inception_slim import checkpoint
      >>> with tf.Graph().as_default(), tf.Session() as session:
      ...     images = tf.placeholder(tf.float32, (None, 299, 299, 3))
      ...     with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
      ...         logits, end_points = inception_slim.inception_v3(
      ...             images, num_classes=11, is_training=False, depth_multiplier=0.05, min_depth=4,
      ...             create_aux_logits=False)
      ...     found = checkpoint.restore(session, 'tests/golden/checkpoints/slim_v2')
      >>> found.restored[0]
      'InceptionV3/Conv2d_1a_3x3/weights'
    """
    with session.graph.as_default():
        found = sorted({variable.op.name.split('/')[0] for variable in tf.model_variables()})
        if scope is None:
            known = [each.scope for each in registry.NETWORKS.values() if each.scope in found]
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
    file = open_weights(path)
    layout = recognize(file, checkpoint_scope)
    if use_ema and not layout.averages:
        raise CheckpointError(f'{file.prefix} holds no moving averages; leave use_ema out.')
    check_compatible(file, layout, wanted, use_ema)
    sources = {name: source for name in wanted if (source := layout.source(name, use_ema))}
    values = read_finite(file, sources.values())
    if file.input_scaling is not None:
        by_name = {name: values[source] for name, source in sources.items()}
        fold_input_scaling(by_name, file.input_scaling, file.prefix)
        values.update({source: by_name[name] for name, source in sources.items()})
    _warn_of_pooling(file.pooling, session.graph, file.prefix)
    for chunk in _chunks(wanted, values, sources):
        # What is assigned is let go of, so that the weights are never in memory twice over.
        session.run([wanted[name].initializer for name in chunk], {
            wanted[name].initializer.inputs[1]:
                values.pop(sources[name]).reshape(wanted[name].shape.as_list())
            for name in chunk})
    used = set(sources.values())
    return RestoreResult(
        restored=[variable.op.name for variable in wanted.values()],
        excluded=[variables[name].op.name for name in variables if name in excluded],
        ignored=sorted(name for name in file.shapes if name not in used))


def _warn_of_pooling(pooling: str, graph: tf.Graph, path: str) -> None:
    """Says so where a network's weights were made for another way to pool than its graph has."""
    names = [op.name for op in graph.get_operations() if '/Branch_3/' in op.name]
    found = 'padded' if any('/PaddedAvgPool_0a_3x3' in name for name in names) else (
        '2015' if any('/Mixed_7c/Branch_3/MaxPool_0a_3x3' in name for name in names)
        else 'average')
    if found != pooling:
        warnings.warn(f'The pooled branches of {path} were made for pooling={pooling!r} and the '
                      f'graph has {found!r}, which changes its answers a little; build it inside '
                      f'"with slim.arg_scope([pooled_conv], pooling={pooling!r}):".', stacklevel=3)


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
    chunk: list[str] = []
    size = 0
    for name in names:
        bytes_of = values[sources[name]].nbytes
        if chunk and size + bytes_of > _CHUNK:
            yield chunk
            chunk, size = [], 0
        chunk.append(name)
        size += bytes_of
    if chunk:
        yield chunk
