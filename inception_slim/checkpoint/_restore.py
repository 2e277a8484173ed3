"""Restore the variables of a graph from a checkpoint, after checking all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import difflib
import os
import warnings

from inception_slim.checkpoint._weight_source import read_finite
from inception_slim.checkpoint.diagnosis import check_compatible
from inception_slim.checkpoint.head import SLIM_HEAD, Head
from inception_slim.checkpoint.input_scaling import fold_input_scaling
from inception_slim.checkpoint.naming import recognize
from inception_slim.checkpoint.weight_sources import open_weights
from inception_slim.errors import CheckpointError
from inception_slim.nets import registry
import numpy as np
import tensorflow.compat.v1 as tf

_CHUNK_BYTES = 64 * 2**20  # of weights, assigned in one run of the session


@dataclass(frozen=True)
class RestoreResult:
    """Result of `restore`.

    Attributes:
      restored: names of the graph's variables that were assigned.
      excluded: names of the variables that were left unchanged because of `exclude`.
      ignored: names of the tensors in the file that the graph does not use.
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
        checkpoint_scope: str | None = None,
        activation: str = 'softmax') -> RestoreResult:
    """Restores the model variables of the session's graph from a checkpoint.

    All names, shapes and values are checked before the first variable is assigned: after an error
    no variable has changed.

    Args:
      session: a session of the graph with the network; the graph may be finalized.
      path: see `find_prefix`; or a file of another supported format.
      scope: the variable scope of the network in the graph; by default the scope of the only
        network in the graph, or 'InceptionV3' if there are several.
      use_ema: use the moving average of each variable that has one.
      exclude: scopes to leave unchanged, such as 'AuxLogits' or 'InceptionV3/Logits'.
      checkpoint_scope: the scope of the network in the file, if it holds several.
      activation: that of the logits in the graph. A warning names that of the checkpoint, if it is
        neither this nor a softmax.

    Returns:
      The names of the restored, excluded and ignored variables.

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
      ...     result = checkpoint.restore(session, 'tests/golden/checkpoints/slim_v2')
      >>> result.restored[0]
      'InceptionV3/Conv2d_1a_3x3/weights'
    """
    scope, variables = _graph_variables(session.graph, scope)
    excluded = _excluded(variables, exclude, scope)
    to_restore = {name: variable for name, variable in variables.items() if name not in excluded}
    source = open_weights(path)
    mapping = recognize(source, checkpoint_scope)
    if use_ema and not mapping.averages:
        raise CheckpointError(f'{source.prefix} has no moving averages; leave out use_ema.')
    _check_head(source.head, to_restore, source.prefix, activation)
    check_compatible(source, mapping, to_restore, use_ema)
    tensors = {name: tensor for name in to_restore if (tensor := mapping.tensor_for(name, use_ema))}
    values = read_finite(source, tensors.values())
    if source.input_scaling is not None:
        by_name = {name: values[tensor] for name, tensor in tensors.items()}
        fold_input_scaling(by_name, source.input_scaling, source.prefix)
        values.update({tensor: by_name[name] for name, tensor in tensors.items()})
    _warn_of_pooling(source.pooling, session.graph, source.prefix)
    for names in _chunks(to_restore, values, tensors):
        # Values are released as they are assigned, so that memory never holds the weights twice.
        session.run([to_restore[name].initializer for name in names], {
            to_restore[name].initializer.inputs[1]:
                values.pop(tensors[name]).reshape(to_restore[name].shape.as_list())
            for name in names})
    used = set(tensors.values())
    return RestoreResult(
        restored=[variable.op.name for variable in to_restore.values()],
        excluded=[variables[name].op.name for name in variables if name in excluded],
        ignored=sorted(name for name in source.shapes if name not in used))


def _graph_variables(graph: tf.Graph, scope: str | None) -> tuple[str, dict[str, tf.Variable]]:
    """Finds the scope of the network in a graph, and its variables by name without the scope."""
    with graph.as_default():
        model_variables = tf.model_variables()
    scopes = sorted({variable.op.name.split('/')[0] for variable in model_variables})
    if scope is None:
        known = [network.scope for network in registry.NETWORKS.values() if network.scope in scopes]
        scope = known[0] if len(known) == 1 else 'InceptionV3'
    variables = {variable.op.name[len(scope) + 1:]: variable for variable in model_variables
                 if variable.op.name.startswith(scope + '/')}
    if not variables:
        raise CheckpointError(
            f'The graph has no model variables under the scope {scope!r}'
            + (f', but under {", ".join(scopes)}; set scope=.' if scopes
               else '; build the network before restoring it.'))
    return scope, variables


def _warn_of_pooling(pooling: str, graph: tf.Graph, path: str) -> None:
    """Warns if the graph pools in another way than the network of the checkpoint."""
    names = [op.name for op in graph.get_operations() if '/Branch_3/' in op.name]
    if any('/PaddedAvgPool_0a_3x3' in name for name in names):
        graph_pooling = 'padded'
    elif any('/Mixed_7c/Branch_3/MaxPool_0a_3x3' in name for name in names):
        graph_pooling = '2015'
    else:
        graph_pooling = 'average'
    if graph_pooling != pooling:
        warnings.warn(f'{path} was trained with pooling={pooling!r} and the graph has '
                      f'{graph_pooling!r}, which changes its predictions slightly; build the '
                      f'network inside "with slim.arg_scope([pooled_conv], pooling={pooling!r}):".',
                      stacklevel=3)


def _check_head(head: Head, names: Iterable[str], path: str, activation: str) -> None:
    """Refuses a head that TF-Slim's network does not have; warns of another activation."""
    if head == SLIM_HEAD or not any(name.startswith('Logits/') for name in names):
        return
    if not head.is_classic:
        raise CheckpointError(f"{path} has the head {head}, which TF-Slim's network does not have; "
                              "use inference.load, or restore the base network with "
                              "exclude=['Logits'].")
    if head.activation != activation:
        warnings.warn(f"{path} has the head {head}; take the {head.activation} of the logits "
                      "instead of the end point 'Predictions'.", stacklevel=3)


def _excluded(variables: Iterable[str], exclude: Iterable[str], scope: str) -> set[str]:
    """Returns the variables under the excluded scopes."""
    if isinstance(exclude, str):
        raise CheckpointError(f'exclude must be a list of scopes, not {exclude!r}; '
                              f'write exclude=[{exclude!r}].')
    excluded = set()
    for item in exclude:
        prefix = item.removeprefix(scope + '/').rstrip('/')
        names = {name for name in variables if name == prefix or name.startswith(prefix + '/')}
        if not names:
            similar = difflib.get_close_matches(prefix, {name.split('/')[0] for name in variables})
            raise CheckpointError(f'exclude has {item!r}, but the graph has no variable there'
                                  + (f'; a similar scope is {similar[0]}.' if similar else '.'))
        excluded |= names
    return excluded


def _chunks(names: Iterable[str], values: dict[str, np.ndarray],
            tensors: dict[str, str]) -> Iterator[list[str]]:
    """Splits the names into lists whose values have at most about `_CHUNK_BYTES` together."""
    chunk: list[str] = []
    size = 0
    for name in names:
        value_size = values[tensors[name]].nbytes
        if chunk and size + value_size > _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(name)
        size += value_size
    if chunk:
        yield chunk
