"""Computes metrics by torch-fidelity, pytorch-fid and clean-fid with random weights, written first.

    python metrics_worker.py WEIGHTS.pth SUBSET FIRST SECOND

SUBSET is the size of torch-fidelity's subsets for KID. The last line of its output is JSON.
"""

import json
import sys

from cleanfid import fid as clean_fid
from pytorch_fid import fid_score, inception
import scipy.linalg
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


def restore_argument_of_sqrtm() -> None:
    """Adds `disp` to SciPy's function, which pytorch-fid and clean-fid give: 1.18 removed it."""
    sqrtm = scipy.linalg.sqrtm
    # The second of two results is an estimate of the error, which both ignore.
    scipy.linalg.sqrtm = lambda matrix, disp=True: (
        sqrtm(matrix) if disp else (sqrtm(matrix), None))


def torch_fidelity_metrics(weights: str, folders: list[str], subset: int) -> dict[str, float]:
    metrics = torch_fidelity.calculate_metrics(
        input1=folders[0], input2=folders[1], cuda=False, isc=True, fid=True, kid=True, prc=True,
        feature_extractor='inception-v3-compat',  # of precision and recall it is VGG-16 otherwise
        kid_subset_size=subset, feature_extractor_weights_path=weights, verbose=False, cache=False,
        batch_size=1, save_cpu_ram=True)  # one image a batch: sizes differ
    return {'fid': metrics['frechet_inception_distance'],
            'kid': metrics['kernel_inception_distance_mean'],
            'inception_score': metrics['inception_score_mean'],
            'precision': metrics['precision'], 'recall': metrics['recall']}


def pytorch_fid_metrics(folders: list[str]) -> dict[str, float]:
    metrics = fid_score.calculate_fid_given_paths(folders, 1, 'cpu', 2048, num_workers=0)
    return {'fid': float(metrics)}


def clean_fid_metrics(folders: list[str]) -> dict[str, float]:
    """With pytorch-fid's network, since its own cannot be built without its file of weights.

    KID is of all images, so that the random order of the subsets has no effect.
    """
    network = inception.InceptionV3([3], resize_input=False)
    network.eval()
    features = [clean_fid.get_folder_features(
        folder, lambda images: network(images / 255)[0].flatten(1), mode='clean', num_workers=0,
        batch_size=8, device=torch.device('cpu'), verbose=False) for folder in folders]
    return {'fid': float(clean_fid.fid_from_feats(*features)),
            'kid': clean_fid.kernel_distance(*features)}


weights, subset, *folders = sys.argv[1:]
restore_argument_of_sqrtm()
write_weights(weights)
inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)
print(json.dumps({'torch-fidelity': torch_fidelity_metrics(weights, folders, int(subset)),
                  'pytorch-fid': pytorch_fid_metrics(folders),
                  'clean-fid': clean_fid_metrics(folders)}))
