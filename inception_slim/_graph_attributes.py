"""Graphs that TensorFlow 1.15.5 can read: attributes that its operations lack are left out.

TensorFlow adds attributes to operations, writes them at their default into every graph, and rejects
graphs with attributes that it does not know. An attribute that 1.15.5 knows stays: its default may
have been another.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorflow.core.framework import attr_value_pb2, graph_pb2, node_def_pb2

# Names and hints, which have no effect on what an operation computes: left out with any value.
_WITHOUT_EFFECT = frozenset({'metadata', 'debug_name', 'grad_a', 'grad_b', 'grad_x', 'grad_y'})


@functools.cache
def attributes_in_1_15() -> dict[str, frozenset[str]]:
    """Return the attributes of each operation of TensorFlow 1.15.5."""
    text = resources.files('inception_slim').joinpath('operations_1_15.txt').read_text()
    operations = map(str.split, text.splitlines())
    return {name: frozenset(attributes) for name, *attributes in operations}


@functools.cache
def _new_attributes(operation: str) -> dict[str, attr_value_pb2.AttrValue]:
    """The attributes that an operation has got since 1.15.5, with their defaults."""
    from tensorflow.python.framework import op_def_registry
    known = attributes_in_1_15().get(operation)
    definition = op_def_registry.get(operation)
    if known is None or definition is None:
        return {}
    return {attribute.name: attribute.default_value for attribute in definition.attr
            if attribute.name not in known}


def leave_out_new_attributes(graph_def: graph_pb2.GraphDef) -> graph_pb2.GraphDef:
    """Apply `leave_out_of_node` to a graph and its functions; return the same graph."""
    functions = [function.node_def for function in graph_def.library.function]
    for nodes in (graph_def.node, *functions):
        for node in nodes:
            leave_out_of_node(node)
    return graph_def


def leave_out_of_node(node: node_def_pb2.NodeDef) -> None:
    """Remove the attributes at their default that TensorFlow 1.15.5 does not know, in place.

    Other values stay, and so do the attributes of operations that 1.15.5 does not have.
    """
    node.ClearField('experimental_type')  # derived again when the graph is read
    if node.op.startswith('FusedBatchNormGrad'):  # 1.15.5 infers others and reports a conflict
        node.attr.pop('_output_shapes', None)
    for name, default in _new_attributes(node.op).items():
        if name in node.attr and (name in _WITHOUT_EFFECT or node.attr[name] == default):
            del node.attr[name]
