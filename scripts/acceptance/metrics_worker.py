"""What torch-fidelity and pytorch-fid measure, with drawn weights that this writes first.

    python measures_worker.py WEIGHTS.pth SUBSET FIRST SECOND FIRST-299 SECOND-299

Prints a line of JSON, last.
"""

import json
import sys

from pytorch_fid import fid_score, inception
import torch
import torch_fidelity
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


def write_weights(path: str) -> None:
    """Drawn weights in the names of the network of 2015 as PyTorch has it."""
    torch.manual_seed(0)
    # The library offers no way to have its network without weights to put into it.
    load, torch.nn.Module.load_state_dict = torch.nn.Module.load_state_dict, lambda *_, **__: None
    try:
        torch.save({}, path)
        network = FeatureExtractorInceptionV3('drawn', ['2048'],
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


def of_torch_fidelity(weights: str, folders: list[str], subset: int) -> dict[str, float]:
    found = torch_fidelity.calculate_metrics(
        input1=folders[0], input2=folders[1], cuda=False, isc=True, fid=True, kid=True,
        kid_subset_size=subset, feature_extractor_weights_path=weights, verbose=False, cache=False,
        batch_size=1, save_cpu_ram=True)  # images of all sizes, in this process
    return {'FID': found['frechet_inception_distance'],
            'KID': found['kernel_inception_distance_mean'],
            'Inception Score': found['inception_score_mean']}


def of_pytorch_fid(weights: str, folders: list[str]) -> dict[str, float]:
    """Its own resizing is another; so it is shown images that need none."""
    inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)
    found = fid_score.calculate_fid_given_paths(folders, 16, 'cpu', 2048, num_workers=0)
    return {'FID of 299x299': float(found)}


weights, subset, *given = sys.argv[1:]
write_weights(weights)
print(json.dumps([of_torch_fidelity(weights, given[:2], int(subset)),
                  of_pytorch_fid(weights, given[2:])]))
