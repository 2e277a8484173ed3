"""Options of the functions and commands that read a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from inception_slim.nets import POOLINGS
from inception_slim.options import option

PREWHITEN = 'prewhiten'  # each image by its own mean and deviation
# The keys of `input_scaling.INPUT_SCALINGS`, which needs NumPy, and PREWHITEN.
INPUT_RANGES = ('inception', 'unit', 'bytes', '2015', 'facenet', 'imagenet', PREWHITEN)


@dataclass(frozen=True)
class CheckpointOptions:
    """Options for reading a checkpoint.

    Attributes:
      use_ema: use the moving averages of the weights, if the checkpoint has them.
      checkpoint_scope: the scope of the network to read, if the file holds several networks.
    """

    use_ema: bool = option(False, 'use the moving averages of the weights', flag='--ema')
    checkpoint_scope: str | None = option(
        None, 'scope of the network to read, if the file holds several', metavar='SCOPE')


@dataclass(frozen=True)
class SourceOptions(CheckpointOptions):
    """Options for reading a file that does not record how its network was trained.

    Attributes:
      input_range: the input range that the network was trained on, one of `INPUT_RANGES`; it is
        folded into the first convolution, exactly. None uses the range that the file records, or
        [-1, 1]; for Inception-ResNet V1, which is converted unchanged, that of FaceNet's networks
        with an embedding of that size.
      pooling: how the network pools, one of `nets.POOLINGS`; None uses the pooling of the library
        that the format belongs to. Use 'average' for converted TF-Slim weights.
    """

    input_range: str | None = option(
        None, 'input range that the network was trained on, if not as recorded in the file: '
        'inception is [-1, 1], unit [0, 1], bytes [0, 255], 2015 (bytes - 128) / 128, imagenet '
        "[0, 1] normalized by ImageNet's mean and deviation, facenet (bytes - 127.5) / 128, "
        'prewhiten each image by its own mean and deviation (Inception-ResNet V1 only)',
        choices=INPUT_RANGES)
    pooling: str | None = option(
        None, "how the pooled branches pool, if not as in the format's own library",
        choices=POOLINGS)
