"""Values between convolutions, made again for the gradients instead of kept from before them.

What a convolution gives is kept; batch norm, ReLU, concatenation and pooling of it cost little, and
are done a second time when the gradients come to them. They are the same operations of the same
values, so that the gradients are the same.
"""

from __future__ import annotations

from collections.abc import Collection

import tensorflow.compat.v1 as tf

_CHEAP = frozenset(('FusedBatchNormV3', 'Relu', 'ConcatV2', 'AvgPool', 'MaxPool', 'Cast'))


def recompute(graph: tf.Graph, forward: Collection[tf.Operation]) -> None:
    """Gives gradients copies of cheap operations, made when the gradients are there.

    Args:
      graph: whose gradients have been built.
      forward: the operations that there were before them.
    """
    before = frozenset(forward)
    copies: dict[tf.Operation, tf.Operation] = {}
    for operation in graph.get_operations():
        if operation in before or 'Shape' in operation.type:  # a shape need not wait
            continue
        # The gradient that comes in: until then there is time.
        incoming = [each.op for each in operation.inputs
                    if each.op not in before and each.dtype.is_floating]
        for number, value in enumerate(operation.inputs if incoming else ()):
            if value.op in before and _is_cheap(value):
                operation._update_input(number, _again(value, incoming[-1], copies))


def _is_cheap(value: tf.Tensor) -> bool:
    # The statistics of batch norm are small, and are kept.
    return value.op.type in _CHEAP and value.value_index == 0


def _again(value: tf.Tensor, after: tf.Operation,
           copies: dict[tf.Operation, tf.Operation]) -> tf.Tensor:
    """The value, by a copy of what made it; the first to ask says after which operation."""
    made = value.op
    if made not in copies:
        graph = made.graph
        inputs = [_again(each, after, copies) if _is_cheap(each) else each
                  for each in made.inputs]
        with graph.device(made.device):
            if all(mine is its for mine, its in zip(inputs, made.inputs)):
                with graph.control_dependencies([after]):
                    inputs[0] = tf.identity(inputs[0])
            copies[made] = graph.create_op(
                made.type, inputs, [each.dtype for each in made.outputs],
                name=f'recomputed/{made.name}', attrs=made.node_def.attr, op_def=made.op_def)
    return copies[made].outputs[value.value_index]
