"""Check that a checkpoint fits a graph; if not, name the single cause and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import difflib
from typing import Any

from inception_slim.checkpoint._weight_source import WeightSource
from inception_slim.checkpoint.naming import NameMapping, layer_name
from inception_slim.errors import CheckpointError
from inception_slim.nets import registry
import numpy as np

_MAX_LINES = 20  # of the list in an error message


def check_compatible(source: WeightSource, mapping: NameMapping, variables: Mapping[str, Any],
                     use_ema: bool) -> None:
    """Checks that a file has every variable of a graph, with its shape and dtype.

    Args:
      source: the opened file.
      mapping: its tensors.
      variables: the variables of the graph, by name without the scope.
      use_ema: use moving averages.

    Raises:
      CheckpointError: it does not fit; the message names the most probable cause.
    """
    network = mapping.network
    graph_layers = {layer_name(name) for name in variables}
    graph_network = next((candidate for candidate in registry.NETWORKS.values()
                          if candidate.unique_layer in graph_layers), network)
    if graph_network is not network:
        raise CheckpointError(f'{source.prefix} is a checkpoint of {network.title}, but the graph '
                              f'is of {graph_network.title}; build {network.name}.')
    missing: list[str] = []
    wrong_shape: dict[str, str] = {}  # variable -> tensor
    wrong_dtype: list[str] = []
    for name, variable in variables.items():
        tensor = mapping.tensor_for(name, use_ema)
        if tensor is None:
            missing.append(name)
        elif not _same_shape(variable.shape.as_list(), list(source.shapes[tensor]), name, network):
            wrong_shape[name] = tensor
        elif source.dtypes[tensor] != variable.dtype.base_dtype:
            wrong_dtype.append(f'{tensor} is {source.dtypes[tensor].name}, not '
                               f'{variable.dtype.base_dtype.name}')
    file_names = {name for name in mapping.tensors if layer_name(name) in graph_layers}
    _check_batch_norm(source, network, set(variables), file_names, set(missing))
    _check_aux_head(source, network, missing)
    _check_num_classes(source, network, variables, wrong_shape)
    _check_width(source, network, variables, wrong_shape)
    if wrong_dtype:
        raise CheckpointError(f'{source.prefix} does not fit the graph: {wrong_dtype[0]}.')
    if missing or wrong_shape:
        raise CheckpointError(_list_differences(source, mapping, variables, missing, wrong_shape))


def _same_shape(graph: list[int], file: list[int], name: str, network: registry.Network) -> bool:
    # The first release had a dense classifier: [n, classes] instead of [1, 1, n, classes].
    dense = layer_name(name) in (network.classifier, network.aux_classifier)
    return graph == file or (dense and graph == [1, 1, *file])


def _layers_with(names: Iterable[str], parameter: str) -> set[str]:
    return {layer_name(name) for name in names if name.endswith('/' + parameter)}


def _check_batch_norm(source: WeightSource, network: registry.Network, graph_names: set[str],
                      file_names: set[str], missing: set[str]) -> None:
    arg_scope = network.arg_scope.__name__
    layers = _layers_with(missing, 'biases') & _layers_with(file_names, 'BatchNorm/beta')
    if layers:
        raise CheckpointError(
            f'The graph has biases and {source.prefix} has batch norm (in {len(layers)} layers): '
            'the network was built outside of its arg scope; build it inside '
            f'"with slim.arg_scope({arg_scope}()):".')
    layers = _layers_with(missing, 'BatchNorm/beta') & _layers_with(file_names, 'biases')
    if layers:
        raise CheckpointError(
            f'The graph has batch norm and {source.prefix} has biases (in {len(layers)} layers); '
            f'build it with {arg_scope}(use_batch_norm=False).')
    if _layers_with(file_names - graph_names, 'BatchNorm/gamma') & _layers_with(
            graph_names, 'BatchNorm/beta'):
        raise CheckpointError(
            f'{source.prefix} was trained with batch-norm gammas and the graph has none, which '
            f'would change every prediction; build it with {arg_scope}(batch_norm_scale=True).')
    if _layers_with(missing, 'BatchNorm/gamma') & _layers_with(file_names, 'BatchNorm/beta'):
        raise CheckpointError(
            f'The graph has batch-norm gammas and {source.prefix} has none; build it with '
            f'{arg_scope}(batch_norm_scale=False).')


def _check_aux_head(source: WeightSource, network: registry.Network, missing: list[str]) -> None:
    aux = [name for name in missing if name.startswith('AuxLogits/')]
    if aux and len(aux) == len(missing) and network.aux_classifier and (
            f'{network.aux_classifier}/weights' in aux):
        raise CheckpointError(
            f'{source.prefix} has no auxiliary head and the graph has one; build it with '
            "create_aux_logits=False, or leave it unchanged with exclude=['AuxLogits'].")


def _check_num_classes(source: WeightSource, network: registry.Network,
                       variables: Mapping[str, Any], wrong_shape: dict[str, str]) -> None:
    classifiers = [layer for layer in (network.classifier, network.aux_classifier) if layer]
    if not wrong_shape or any(layer_name(name) not in classifiers for name in wrong_shape):
        return
    name, tensor = next(iter(wrong_shape.items()))
    in_file = source.shapes[tensor][-1]
    in_graph = variables[name].shape.as_list()[-1]
    if in_file != in_graph:
        if network.has_embedding:
            raise CheckpointError(
                f'{source.prefix} has an embedding of {in_file} numbers and the graph has '
                f'{in_graph}; build it with bottleneck_layer_size={in_file}.')
        heads = ', '.join(repr(head) for head in network.heads
                          if any(name.startswith(head + '/') for name in variables))
        raise CheckpointError(
            f'{source.prefix} has {in_file} classes and the graph has {in_graph}; build it with '
            f'num_classes={in_file}, or load all but the classifiers with exclude=[{heads}].')


def _check_width(source: WeightSource, network: registry.Network, variables: Mapping[str, Any],
                 wrong_shape: dict[str, str]) -> None:
    if not network.channels or len(wrong_shape) < 0.5 * len(variables):
        return
    in_file = _median_width(
        network, {name: source.shapes[tensor][-1] for name, tensor in wrong_shape.items()})
    in_graph = _median_width(
        network, {name: variables[name].shape.as_list()[-1] for name in wrong_shape})
    if in_file and in_graph and in_file != in_graph:
        raise CheckpointError(
            f'{source.prefix} has another width than the graph: about {in_file:g} times the '
            f'channels of the full network, and the graph has about {in_graph:g}; build it with '
            'the depth_multiplier that inspect() shows.')


def _median_width(network: registry.Network, channels: dict[str, int]) -> float | None:
    """Returns the median ratio of a network's channels to the full network's."""
    ratios = [channels[f'{layer}/weights'] / full
              for layer, full in network.channels.items() if f'{layer}/weights' in channels]
    return round(float(np.median(ratios)), 2) if ratios else None


def _list_differences(source: WeightSource, mapping: NameMapping, variables: Mapping[str, Any],
                      missing: list[str], wrong_shape: dict[str, str]) -> str:
    """Lists missing variables by layer with similar names, wrong shapes and unexpected layers."""
    unexpected = sorted({layer_name(name) for name in mapping.tensors}
                        - {layer_name(name) for name in variables})
    by_layer: dict[str, list[str]] = {}
    for name in missing:
        by_layer.setdefault(layer_name(name), []).append(name)
    lines = []
    for layer, names in by_layer.items():
        similar = difflib.get_close_matches(layer, unexpected, n=1, cutoff=0.7)
        parameters = ', '.join(name[len(layer) + 1:] for name in names)
        lines.append(f'  missing      {layer}: {parameters}'
                     + (f' (the file has {similar[0]})' if similar else ''))
    for name, tensor in wrong_shape.items():
        lines.append(f'  wrong shape  {name}: {list(source.shapes[tensor])} in the file, '
                     f'{variables[name].shape.as_list()} in the graph')
    lines += [f'  unexpected   {layer}' for layer in unexpected]
    if len(lines) > _MAX_LINES:
        lines = [*lines[:_MAX_LINES - 1], f'  and {len(lines) - _MAX_LINES + 1} more']
    return '\n'.join([
        f'{source.prefix} does not fit the graph: {len(missing)} variables are missing in the '
        f'file and {len(wrong_shape)} have another shape; build the network that it was written '
        'from.', *lines])
