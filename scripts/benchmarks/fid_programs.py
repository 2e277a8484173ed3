"""Random weights for pytorch-fid and torch-fidelity, and what they need to run.

The test that compares the programs, and the benchmark, import this in processes of their own.
"""

from __future__ import annotations

from pytorch_fid import inception
import scipy.linalg
import torch
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


def prepare(weights: str) -> None:
    """Lets pytorch-fid run with a file of weights, and with SciPy 1.18.

    That removed the argument `disp` of `sqrtm`, which pytorch-fid and clean-fid give. Both ignore
    the second of the two results, an estimate of the error.
    """
    sqrtm = scipy.linalg.sqrtm
    scipy.linalg.sqrtm = lambda matrix, disp=True: (
        sqrtm(matrix) if disp else (sqrtm(matrix), None))
    inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)
