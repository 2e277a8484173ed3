"""The scaling of images, folded into the first convolution: every network wants [-1, 1] then."""

from __future__ import annotations

from inception_slim.errors import CheckpointError
import numpy as np

FIRST = 'Conv2d_1a_3x3'  # without padding, which alone makes the shift exact


def fold_input_scaling(values: dict[str, np.ndarray], scaling: tuple, path: str) -> None:
    """Makes of weights for images `x * scale + shift` those for images `x`, in place.

    Args:
      values: variables by TF-Slim's names in the network's scope; those of the first layer change.
      scaling: the scale and the shift, each for three channels.
      path: for the error.

    Raises:
      CheckpointError: the network pads its first convolution, at whose border a shift differs.
    """
    scale, shift = (np.asarray(each, np.float64) for each in scaling)
    kernel = values.get(f'{FIRST}/weights')
    if kernel is None:
        raise CheckpointError(f'{path} pads its first convolution, into which another scaling of '
                              'images cannot be folded; scale the images.')
    added = np.einsum('hwio,i->o', kernel.astype(np.float64), shift)
    values[f'{FIRST}/weights'] = (kernel * scale[:, np.newaxis]).astype(np.float32)
    # The sum of a convolution that is larger by `added` is what batch norm takes its mean from.
    mean, biases = f'{FIRST}/BatchNorm/moving_mean', f'{FIRST}/biases'
    if mean in values:
        values[mean] = (values[mean] - added).astype(np.float32)
    else:
        values[biases] = (values[biases] + added).astype(np.float32)
