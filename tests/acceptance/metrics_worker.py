"""Computes metrics by torch-fidelity, pytorch-fid and clean-fid with random weights, written first.

    python metrics_worker.py WEIGHTS.pth SUBSET FIRST SECOND

SUBSET is the size of torch-fidelity's subsets for KID. The last line of its output is JSON.
"""

import json
import sys

from cleanfid import fid as clean_fid
from fid_programs import prepare, write_weights
from pytorch_fid import fid_score, inception
import torch
import torch_fidelity


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
write_weights(weights)
prepare(weights)
print(json.dumps({'torch-fidelity': torch_fidelity_metrics(weights, folders, int(subset)),
                  'pytorch-fid': pytorch_fid_metrics(folders),
                  'clean-fid': clean_fid_metrics(folders)}))
