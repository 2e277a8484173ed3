"""Why a checkpoint does not fit a graph: the one cause that explains it, and what to do."""

from __future__ import annotations

import difflib

from inception_slim.checkpoint.naming import NameMapping, layer_name
from inception_slim.checkpoint.tf_checkpoint import TFCheckpoint
from inception_slim.checkpoint.weight_sources import ImportedWeights
from inception_slim.errors import CheckpointError
from inception_slim.nets import registry
import numpy as np

_PAGE = 20  # lines of an error


def check_compatible(
    file: TFCheckpoint | ImportedWeights, layout: NameMapping, wanted: dict, use_ema: bool
) -> None:
    """The file has every wanted variable, in its shape; else the one cause that explains it."""
    network = layout.network
    in_graph = {layer_name(name) for name in wanted}
    theirs = next((each for each in registry.NETWORKS.values() if each.fingerprint in in_graph),
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
    in_file = {name for name in layout.tensors if layer_name(name) in in_graph}
    _check_batch_norm(file, network, set(wanted), in_file, set(missing))
    _check_aux(file, network, missing)
    _check_classes(file, network, wanted, misshapen)
    _check_width(file, network, wanted, misshapen)
    if mistyped:
        raise CheckpointError(f'{file.prefix} does not fit the graph: {mistyped[0]}.')
    if missing or misshapen:
        raise CheckpointError(_difference(file, layout, wanted, missing, misshapen))


def _same_shape(wanted: list[int], found: list[int], name: str, network: registry.Network) -> bool:
    # The first release had a fully connected classifier: [n, classes] for [1, 1, n, classes].
    dense = layer_name(name) in (network.classifier, network.aux_classifier)
    return wanted == found or (dense and wanted == [1, 1, *found])


def _check_batch_norm(
    file: TFCheckpoint | ImportedWeights,
    network: registry.Network,
    wanted: set[str],
    in_file: set[str],
    missing: set[str],
) -> None:
    arg_scope = network.arg_scope.__name__

    def having(names, parameter):
        return {layer_name(name) for name in names if name.endswith('/' + parameter)}

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


def _check_aux(
    file: TFCheckpoint | ImportedWeights, network: registry.Network, missing: list[str]
) -> None:
    aux = [name for name in missing if name.startswith('AuxLogits/')]
    if aux and len(aux) == len(missing) and network.aux_classifier and (
            f'{network.aux_classifier}/weights' in aux):
        raise CheckpointError(
            f'{file.prefix} has no auxiliary head and the graph has one; build it with '
            "create_aux_logits=False, or leave it as it is with exclude=['AuxLogits'].")


def _check_classes(file: TFCheckpoint | ImportedWeights, network: registry.Network, wanted: dict,
                   misshapen: dict) -> None:
    heads = [layer for layer in (network.classifier, network.aux_classifier) if layer]
    differ = [name for name in misshapen if layer_name(name) in heads]
    if differ and len(differ) == len(misshapen):
        found = file.shapes[misshapen[differ[0]]][-1]
        graph = wanted[differ[0]].shape.as_list()[-1]
        if found != graph:
            excluded = ', '.join(repr(head) for head in network.heads
                                 if any(name.startswith(head + '/') for name in wanted))
            raise CheckpointError(
                f'{file.prefix} has {found} classes and the graph has {graph}; build it with '
                f'num_classes={found}, or load all but the classifiers with exclude=[{excluded}].')


def _check_width(file: TFCheckpoint | ImportedWeights, network: registry.Network, wanted: dict,
                 misshapen: dict) -> None:
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


def _depth_of(network: registry.Network, shapes: dict[str, list[int]]) -> float | None:
    ratios = [shapes[f'{layer}/weights'][-1] / channels
              for layer, channels in network.channels.items() if f'{layer}/weights' in shapes]
    return round(float(np.median(ratios)), 2) if ratios else None


def _difference(
    file: TFCheckpoint | ImportedWeights,
    layout: NameMapping,
    wanted: dict,
    missing: list[str],
    misshapen: dict[str, str],
) -> str:
    """Missing and misshapen variables by layer, the closest names beside them, on one page."""
    lines = []
    by_layer: dict[str, list[str]] = {}
    for name in missing:
        by_layer.setdefault(layer_name(name), []).append(name)
    unused = sorted({layer_name(name) for name in layout.tensors}
                    - {layer_name(name) for name in wanted})
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
