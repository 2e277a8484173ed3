"""safetensors files and timm's folders of them, with PyTorch's names; PyTorch is not needed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
import json
import os
import struct
from typing import TYPE_CHECKING, Any

from inception_slim._special_files import check_regular
from inception_slim.checkpoint import CheckpointInfo, ImportedWeights, LazyTensor
from inception_slim.checkpoint.head import parse_head
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError, ExportError, error_summary
from inception_slim.formats import state_dicts
from inception_slim.formats.name_maps import torch_names
from inception_slim.nets import POOLINGS, registry
import numpy as np
import safetensors
import safetensors.numpy

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn

_LARGEST_HEADER = 2**24
_DTYPES = {'F64': 'float64', 'F32': 'float32', 'F16': 'float16', 'BF16': 'bfloat16',
           'I64': 'int64', 'I32': 'int32', 'I16': 'int16', 'I8': 'int8', 'U8': 'uint8',
           'BOOL': 'bool'}


def read_weights(path: str) -> ImportedWeights:
    """Reads a safetensors file, or a folder with `model.safetensors` as timm's hub has it."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    file = os.path.join(path, 'model.safetensors') if os.path.isdir(path) else path
    state, metadata = _open(file)
    pooling = metadata.get('pooling')
    if pooling not in (None, *POOLINGS):
        raise CheckpointError(f'{file} has an unknown pooling, {pooling!r}; supported are '
                              f'{", ".join(POOLINGS)}.')
    input_scaling, notes = _input_scaling(os.path.join(folder, 'config.json'))
    weights = state_dicts.build_imported_weights(
        path, 'safetensors file', state, pooling=pooling, input_scaling=input_scaling, notes=notes)
    if 'head' in metadata:
        weights.head = parse_head(metadata['head'], file)
    return weights


def _open(path: str) -> tuple[dict[str, LazyTensor], dict[str, str]]:
    """Returns the tensors, and the metadata of the file."""
    _check_header(path)
    try:
        # Checks the header: the tensors lie within the file, do not overlap and leave no gap.
        file = safetensors.safe_open(path, framework='np')
    except safetensors.SafetensorError as error:
        raise CheckpointError(f'{path} is damaged or truncated, or not a safetensors file '
                              f'({error_summary(error)}); copy it again.') from None
    state: dict[str, LazyTensor] = {}
    for name in file.keys():
        entry = file.get_slice(name)
        shape, code = tuple(entry.get_shape()), entry.get_dtype()
        if code not in _DTYPES:
            raise CheckpointError(f'{path} has the unsupported dtype {code} in {name}; supported '
                                  f'are {", ".join(_DTYPES)}.')
        dtype = _dtype(_DTYPES[code])
        check_tensor_size(path, name, shape, dtype)
        state[name] = LazyTensor(shape, dtype, partial(_load, path, file, name, shape, dtype))
    return state, file.metadata() or {}


def _check_header(path: str) -> None:
    """Refuses duplicate names, of which the library would take the last."""
    with open(path, 'rb') as file:
        start = file.read(8)
        length = struct.unpack('<Q', start)[0] if len(start) == 8 else 0
        if not 2 <= length <= _LARGEST_HEADER:
            raise CheckpointError(f'{path} is not a safetensors file, or damaged: its header would '
                                  f'have {length:,} bytes; copy it again.')
        header = file.read(length)

    def check_unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for name, value in pairs:
            if name in entries:
                raise CheckpointError(f'{path} is damaged: its header has {name[:100]!r} twice; '
                                      'copy it again.')
            entries[name] = value
        return entries

    try:
        json.loads(header, object_pairs_hook=check_unique)
    except CheckpointError:
        raise
    except (ValueError, RecursionError):
        raise CheckpointError(f'{path} is damaged: the header of a safetensors file must be JSON; '
                              'copy it again.') from None


def _dtype(name: str) -> np.dtype:
    if name == 'bfloat16':
        import ml_dtypes  # installed with TensorFlow
        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _load(path: str, file: Any, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    value = file.get_tensor(name)
    if value.shape != shape or value.dtype != dtype:
        raise CheckpointError(f'{path} changed while it was read: {name} is now '
                              f'{value.dtype} {list(value.shape)}.')
    return value


def _input_scaling(config: str) -> tuple[tuple | None, tuple[str, ...]]:
    """The scaling of images that the `config.json` of a timm model asks for, and a note."""
    check_regular(config, CheckpointError)
    try:
        with open(config, encoding='utf-8') as file:
            content = json.loads(file.read(1_000_000))
        content = content.get('pretrained_cfg', content)
        mean, std = (np.asarray(content[key], float).reshape(3) for key in ('mean', 'std'))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, ()
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise CheckpointError(f'{config} asks for images with mean {mean.tolist()} subtracted, '
                              f'divided by {std.tolist()}; give finite numbers above 0.')
    if np.array_equal(mean, [0.5] * 3) and np.array_equal(std, [0.5] * 3):
        return None, ()
    return (0.5 / std, (0.5 - mean) / std), (
        f'config.json asks for images with mean {mean.tolist()} subtracted, divided by '
        f'{std.tolist()}: folded into Conv2d_1a_3x3, which now takes [-1, 1].',)


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    """Writes a safetensors file; see `registry.Writer`."""
    save(path, state_dicts.state_dict(info, weights), _metadata(info))
    return state_dicts.predict_file(path, info.head)


def check_timm(info: CheckpointInfo) -> None:
    """Raises an ExportError if timm does not have the network."""
    if registry.NETWORKS[info.network].has_embedding:
        raise ExportError(f'timm does not have {registry.NETWORKS[info.network].title}; choose '
                          'torch or safetensors for facenet-pytorch.')
    state_dicts.check(info)


def write_timm(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
               settings: ExportSettings) -> PredictFn:
    """Writes a folder for timm, whose networks have no auxiliary head by default."""
    os.mkdir(path)
    save(os.path.join(path, 'model.safetensors'),
         state_dicts.state_dict(info, weights, aux=False),
         _metadata(info))
    network = registry.NETWORKS[info.network]
    side, half = info.image_size, [0.5] * 3
    config = {
        'architecture': info.network, 'num_classes': info.num_classes,
        'pretrained_cfg': {
            'input_size': [3, side, side], 'mean': half, 'std': half, 'interpolation': 'bicubic',
            'num_classes': info.num_classes,
            'classifier': torch_names(info.network)[network.classifier]}}
    with open(os.path.join(path, 'config.json'), 'w', encoding='utf-8') as file:
        json.dump(config, file, indent=2)
    return state_dicts.predict_file(path, info.head)


def _metadata(info: CheckpointInfo) -> dict[str, str]:
    return {'format': 'pt', 'pooling': info.pooling, 'head': str(info.head)}


def save(path: str | os.PathLike, state: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Writes a state dict and the metadata to a safetensors file."""
    contiguous = {name: np.asarray(value, order='C') for name, value in state.items()}
    safetensors.numpy.save_file(contiguous, path, metadata)
