"""How a checkpoint is read, declared once for all that read one."""

from __future__ import annotations

from dataclasses import dataclass

from inception_slim.nets import POOLINGS
from inception_slim.options import option

# What a network wants of images in [-1, 1]: for each channel a scale and a shift.
INPUT_SCALINGS = {
    'inception': ((1.0,) * 3, (0.0,) * 3),
    'unit': ((0.5,) * 3, (0.5,) * 3),  # [0, 1]
    'bytes': ((127.5,) * 3, (127.5,) * 3),  # [0, 255]
    '2015': ((127.5 / 128,) * 3, (-0.5 / 128,) * 3),  # bytes, less 128, divided by 128
    # In [0, 1], less ImageNet's mean, divided by its deviation.
    'imagenet': (tuple(0.5 / each for each in (0.229, 0.224, 0.225)),
                 tuple((0.5 - mean) / each for mean, each in (
                     (0.485, 0.229), (0.456, 0.224), (0.406, 0.225)))),
}


@dataclass(frozen=True)
class CheckpointOptions:
    """What every call takes that reads a checkpoint.

    Attributes:
      use_ema: take the moving averages of the weights, where the checkpoint has them.
      checkpoint_scope: which network to take, where the file holds more than one.
    """

    use_ema: bool = option(False, 'take the moving averages of the weights', flag='--ema')
    checkpoint_scope: str | None = option(
        None, 'which network to take, where a file holds more than one', metavar='SCOPE')


@dataclass(frozen=True)
class SourceOptions(CheckpointOptions):
    """What is known of a file that does not say it itself.

    Attributes:
      input_range: what images it was trained on, one of `INPUT_SCALINGS`, where these are not in [-1, 1]: that
        is folded into the first convolution, exactly.
      pooling: how the network pools, one of `nets.POOLINGS`, where that is not as the
        library does that owns the format: 'average' for weights that were TF-Slim's.
    """

    input_range: str | None = option(
        None, 'what images it was trained on, if others than the file says: inception is [-1, 1], '
        "unit [0, 1], bytes [0, 255], 2015 (bytes - 128) / 128, imagenet less ImageNet's mean",
        choices=tuple(INPUT_SCALINGS))
    pooling: str | None = option(
        None, "how its pooled branches pool, if otherwise than the file's own library does",
        choices=POOLINGS)
