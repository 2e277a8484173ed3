"""Gradient checkpointing: recomputes cheap activations instead of keeping them in memory.

The outputs of convolutions are kept. Batch norm, ReLU, concatenation and pooling are cheap, and run
a second time when their gradients are computed: the same operations on the same values, so the
gradients are identical. Uses the private `tf.Operation._update_input`.
"""

from __future__ import annotations

from collections.abc import Collection

import tensorflow.compat.v1 as tf

_CHEAP = frozenset(('FusedBatchNormV3', 'Relu', 'ConcatV2', 'AvgPool', 'MaxPool', 'Cast'))


def recompute(graph: tf.Graph, forward: Collection[tf.Operation]) -> None:
    """Makes the gradients in a graph use recomputed copies of cheap activations.

    Args:
      graph: a graph that contains the gradients.
      forward: the operations that were in the graph before the gradients were built.
    """
    forward = frozenset(forward)
    copies: dict[tf.Operation, tf.Operation] = {}
    for operation in graph.get_operations():
        if operation in forward or 'Shape' in operation.type:  # shapes take no memory
            continue
        # The incoming gradients: the copies are not needed before these are computed.
        incoming = [tensor.op for tensor in operation.inputs
                    if tensor.op not in forward and tensor.dtype.is_floating]
        for number, tensor in enumerate(operation.inputs if incoming else ()):
            if tensor.op in forward and _is_cheap(tensor):
                operation._update_input(number, _recompute(tensor, incoming[-1], copies))


def _is_cheap(tensor: tf.Tensor) -> bool:
    # Output 0 only: the other outputs of batch norm, its statistics, are small and are kept.
    return tensor.op.type in _CHEAP and tensor.value_index == 0


def _recompute(tensor: tf.Tensor, after: tf.Operation,
               copies: dict[tf.Operation, tf.Operation]) -> tf.Tensor:
    """Returns the same output of a copy of the tensor's operation.

    Args:
      tensor: an output of a cheap operation.
      after: the operation after which the copy runs, if it is created here.
      copies: the copies so far, by operation; extended.
    """
    source = tensor.op
    if source not in copies:
        graph = source.graph
        inputs = [_recompute(item, after, copies) if _is_cheap(item) else item
                  for item in source.inputs]
        with graph.device(source.device):
            if all(new is old for new, old in zip(inputs, source.inputs)):
                with graph.control_dependencies([after]):
                    inputs[0] = tf.identity(inputs[0])
            copies[source] = graph.create_op(
                source.type, inputs, [output.dtype for output in source.outputs],
                name=f'recomputed/{source.name}', attrs=source.node_def.attr,
                op_def=source.op_def)
    return copies[source].outputs[tensor.value_index]
