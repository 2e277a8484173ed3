"""A network written for PyTorch: a state dict as `.pth` or safetensors, or a folder for timm.

What was written is read again by the reader, and answers as TF-Slim's network does that it says.
"""

from __future__ import annotations

import json
import os

from inception_slim.checkpoint import CheckpointInfo, read
from inception_slim.formats import safetensors_format, state_dicts, torch_format
from inception_slim.formats.name_maps import torch_names
from inception_slim.formats.writing import PredictFn
from inception_slim.inference import constant_graph, fold_batch_norm
from inception_slim.nets import registry
import numpy as np


def _answer(path: str) -> PredictFn:
    import tensorflow.compat.v1 as tf

    info, weights = read(path)
    graph = constant_graph(info, fold_batch_norm(weights))

    def answer(batch: np.ndarray) -> np.ndarray:
        with graph.as_default(), tf.Session() as session:
            return session.run('predictions:0', {'inputs:0': batch})

    return answer


def write_torch(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str) -> PredictFn:
    torch_format.save(path, state_dicts.state_dict(info, weights))
    return _answer(path)


def write_safetensors(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str) -> PredictFn:
    _dump(info, weights, path)
    return _answer(path)


def _dump(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          aux: bool = True) -> None:
    safetensors_format.save(path, state_dicts.state_dict(info, weights, aux=aux),
                            {'format': 'pt', 'pooling': info.pooling})


def write_timm(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str) -> PredictFn:
    """As timm's hub keeps models; its networks have no auxiliary head unless asked."""
    os.mkdir(path)
    _dump(info, weights, os.path.join(path, 'model.safetensors'), aux=False)
    network = registry.NETWORKS[info.network]
    side = network.image_size
    half = [0.5, 0.5, 0.5]
    config = {
        'architecture': info.network, 'num_classes': info.num_classes,
        'pretrained_cfg': {
            'input_size': [3, side, side], 'mean': half, 'std': half, 'interpolation': 'bicubic',
            'num_classes': info.num_classes,
            'classifier': torch_names(info.network)[network.classifier]}}
    with open(os.path.join(path, 'config.json'), 'w', encoding='utf-8') as file:
        json.dump(config, file, indent=2)
    return _answer(path)
