"""Input ranges of networks, and folding them into the first convolution.

TF-Slim's networks take images in [-1, 1]. The weights of a network that was trained on another
range are converted to take [-1, 1] as well.
"""

from __future__ import annotations

from inception_slim.checkpoint._weight_source import InputScaling
from inception_slim.errors import CheckpointError
import numpy as np

# From images in [-1, 1] to the range that a network was trained on: a scale and a shift for each
# channel.
INPUT_SCALINGS = {
    'inception': ((1.0,) * 3, (0.0,) * 3),
    'unit': ((0.5,) * 3, (0.5,) * 3),  # [0, 1]
    'bytes': ((127.5,) * 3, (127.5,) * 3),  # [0, 255]
    '2015': ((127.5 / 128,) * 3, (-0.5 / 128,) * 3),  # (bytes - 128) / 128
    'facenet': ((127.5 / 128,) * 3, (0.0,) * 3),  # (bytes - 127.5) / 128
    # [0, 1], minus ImageNet's mean, divided by its standard deviation.
    'imagenet': (tuple(0.5 / deviation for deviation in (0.229, 0.224, 0.225)),
                 tuple((0.5 - mean) / deviation for mean, deviation in (
                     (0.485, 0.229), (0.456, 0.224), (0.406, 0.225)))),
}
_FIRST_LAYER = 'Conv2d_1a_3x3'  # VALID padding, so that folding the shift is exact


def fold_input_scaling(values: dict[str, np.ndarray],
                       scaling: InputScaling, path: str) -> None:
    """Converts weights trained on images `x * scale + shift` to take images `x`, in place.

    Args:
      values: variables by TF-Slim's names without the network's scope; the first convolution and
        its batch norm or biases change.
      scaling: `(scale, shift)`, each for three channels.
      path: the file, for the error message.

    Raises:
      CheckpointError: the first convolution of the network is padded with zeros, so that the shift
        cannot be folded at the border; or the scaling is not finite or its scale is 0.
    """
    scale, shift = (np.asarray(item, np.float64) for item in scaling)
    kernel = values.get(f'{_FIRST_LAYER}/weights')
    if kernel is None:
        raise CheckpointError(f'{path} has a padded first convolution, into which an input range '
                              'cannot be folded; scale the images instead.')
    if not (np.isfinite(scale).all() and np.isfinite(shift).all() and scale.all()):
        raise CheckpointError(f'{path} scales images by {scale.tolist()} and adds '
                              f'{shift.tolist()}, which no network is trained on; correct the mean '
                              'and the standard deviation in it.')
    added = np.einsum('hwio,i->o', kernel.astype(np.float64), shift)
    values[f'{_FIRST_LAYER}/weights'] = (kernel * scale[:, np.newaxis]).astype(np.float32)
    # Batch norm subtracts its mean from the convolution's output, to which the shift adds `added`.
    mean, biases = f'{_FIRST_LAYER}/BatchNorm/moving_mean', f'{_FIRST_LAYER}/biases'
    if mean in values:
        values[mean] = (values[mean] - added).astype(np.float32)
    else:
        values[biases] = (values[biases] + added).astype(np.float32)
    for name in (f'{_FIRST_LAYER}/weights', mean if mean in values else biases):
        if not np.isfinite(values[name]).all():
            raise CheckpointError(f'{path} scales images by {scale.tolist()}, with which {name} '
                                  'overflows; correct the mean and the standard deviation in it.')
