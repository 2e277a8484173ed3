"""The metrics of pytorch-fid, torch-fidelity and clean-fid for random vectors and images.

Writes measures.npz beside this file. Needs an environment of its own:

    python3 -m venv v && v/bin/pip install torch torchvision scipy pytorch-fid==0.3.0 \
        torch-fidelity==0.4.0 clean-fid==0.1.35
    v/bin/python tests/golden/make_generative_metrics.py
"""

import os

from cleanfid.resize import build_resizer
import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance
from reference_metrics import images, vectors
import torch
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

first, second = vectors()
found = {'fid': calculate_frechet_distance(
    *(each for one in (first, second)
      for each in (one.astype(np.float64).mean(axis=0), np.cov(one.astype(np.float64),
                                                               rowvar=False))))}
kid = kid_features_to_metric(torch.from_numpy(first), torch.from_numpy(second), kid_subsets=20,
                             kid_subset_size=100, verbose=False)
found['kid'] = [kid['kernel_inception_distance_mean'], kid['kernel_inception_distance_std']]
score = isc_features_to_metric(torch.from_numpy(first), 7)
found['score'] = [score['inception_score_mean'], score['inception_score_std']]
for number, image in enumerate(images()):
    found[f'clean_{number}'] = build_resizer('clean')(image)[::23, ::23]
    found[f'original_{number}'] = interpolate_bilinear_2d_like_tensorflow1x(
        torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32)), size=(299, 299),
        align_corners=False)[0].numpy().transpose(1, 2, 0)[::23, ::23]
np.savez_compressed(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'measures.npz'),
                    **found)
print({name: np.asarray(value).shape or float(value) for name, value in found.items()})
