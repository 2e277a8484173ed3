"""Computes metrics by torch-fidelity and pytorch-fid with random weights, written first.

    python measures_worker.py WEIGHTS.pth SUBSET FIRST SECOND FIRST-299 SECOND-299

The last line of its output is JSON.
"""

import json
import sys

from pytorch_fid import fid_score, inception
import torch
import torch_fidelity
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


def write_weights(path: str) -> None:
    """Writes random weights with the PyTorch names of the Inception network of 2015."""
    torch.manual_seed(0)
    # The library cannot build its network without a file of weights.
    load, torch.nn.Module.load_state_dict = torch.nn.Module.load_state_dict, lambda *_, **__: None
    try:
        torch.save({}, path)
        network = FeatureExtractorInceptionV3('random', ['2048'],
                                              feature_extractor_weights_path=path)
    finally:
        torch.nn.Module.load_state_dict = load
    for name, value in network.state_dict().items():
        if value.ndim == 4:
            torch.nn.init.normal_(value, std=(2 / value[0].numel()) ** 0.5)
        elif name.endswith('bn.weight') or name.endswith('running_var'):
            torch.nn.init.uniform_(value, 0.6, 1.6)
        elif name.endswith(('bn.bias', 'running_mean')):
            torch.nn.init.normal_(value, std=0.1)
    torch.save(network.state_dict(), path)


def torch_fidelity_metrics(weights: str, folders: list[str], subset: int) -> dict[str, float]:
    metrics = torch_fidelity.calculate_metrics(
        input1=folders[0], input2=folders[1], cuda=False, isc=True, fid=True, kid=True,
        kid_subset_size=subset, feature_extractor_weights_path=weights, verbose=False, cache=False,
        batch_size=1, save_cpu_ram=True)  # one image a batch: sizes differ
    return {'FID': metrics['frechet_inception_distance'],
            'KID': metrics['kernel_inception_distance_mean'],
            'Inception Score': metrics['inception_score_mean']}


def pytorch_fid_metrics(weights: str, folders: list[str]) -> dict[str, float]:
    """On images of 299x299, because its resizing differs."""
    inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)
    metrics = fid_score.calculate_fid_given_paths(folders, 16, 'cpu', 2048, num_workers=0)
    return {'FID of 299x299': float(metrics)}


weights, subset, *folders = sys.argv[1:]
write_weights(weights)
print(json.dumps([torch_fidelity_metrics(weights, folders[:2], int(subset)),
                  pytorch_fid_metrics(weights, folders[2:])]))
