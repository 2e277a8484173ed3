"""Whether batch norm's moving averages, with which a network is evaluated, were updated enough."""

from __future__ import annotations

import json
import os

from inception_slim.checkpoint._weight_source import WeightSource
from inception_slim.errors import CheckpointError
import numpy as np

# The options of a training run, beside its checkpoints; `inception_slim.training` writes it.
TRAINING_FILE = 'training.json'
_AUTO_UPDATES = 10.0  # by `auto_decay`, steps x (1 - decay): e^-10 of the initial values remain
_FEWEST_UPDATES = 3.0  # below it, more than e^-3 = 5 % of the initial values remain


def auto_decay(steps: int, slowest: float = 0.9997) -> float:
    """The decay of moving averages with which they forget their initial values in a training run.

    Args:
      steps: the number of steps of the run.
      slowest: TF-Slim's decay, for long runs.

    Example:
      >>> from inception_slim.checkpoint.batch_norm import auto_decay
      >>> auto_decay(250), auto_decay(5), auto_decay(100_000)
      (0.96, 0.0, 0.9997)
    """
    return min(slowest, max(0.0, 1 - _AUTO_UPDATES / steps))


def describe_few_updates(steps: int, decay: float) -> str | None:
    """A sentence on moving averages that were hardly updated; None if they were."""
    if steps * (1 - decay) >= _FEWEST_UPDATES:
        return None
    return (f"Batch norm's moving averages are {decay**steps:.0%} of their values before the "
            f'training, after {steps:,} steps with a decay of {decay:g}, so that an evaluation can '
            'be far worse than the training: train longer, or with --batch-norm-decay auto.')


def describe_moving_averages(source: WeightSource, layers: dict[str, str],
                             steps: int | None) -> str | None:
    """A sentence on the moving averages of a file, if they were never or hardly updated.

    Args:
      source: the opened file.
      layers: its tensors by TF-Slim's names.
      steps: the training step; None if it is not recorded.
    """
    names = [name for name in layers if name.endswith('/moving_variance')]
    try:
        initial = [name for name in names if (source.read(layers[name]) == 1).all()
                   and not np.any(source.read(layers[name.replace('variance', 'mean')]))]
    except (CheckpointError, KeyError):
        return None  # whoever reads all of the file reports it
    if initial:
        return (f"Batch norm's moving averages were never updated in {len(initial)} of "
                f'{len(names)} layers (mean 0, variance 1), so that the network works in training '
                'only: run the operations in tf.GraphKeys.UPDATE_OPS with each step, as "train" '
                'does.')
    decay = _recorded_decay(source.prefix)
    return describe_few_updates(steps, decay) if names and steps and decay is not None else None


def _recorded_decay(prefix: str) -> float | None:
    """The decay in `training.json` beside a checkpoint, or above it, as for `best`."""
    folder = os.path.dirname(prefix)
    for path in (os.path.join(folder, TRAINING_FILE), os.path.join(folder, '..', TRAINING_FILE)):
        try:
            with open(path, encoding='utf-8') as file:
                decay = json.load(file)['options']['batch_norm_decay']
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return decay if isinstance(decay, float) else None
    return None
