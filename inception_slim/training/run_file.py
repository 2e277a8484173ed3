"""The options of a training run, as a JSON file beside its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
import os
from typing import Any

import inception_slim
from inception_slim._atomic_write import atomic_write
from inception_slim.checkpoint.batch_norm import TRAINING_FILE
from inception_slim.errors import TrainingError
from inception_slim.options import as_dict, option_names
from inception_slim.training.options import TrainingOptions

# A checkpoint of one value cannot be trained further with another.
_FIXED = ('network', 'depth_multiplier', 'min_depth')


@dataclass(frozen=True)
class StoredRun:
    """What a run was started with.

    Attributes:
      dataset: the path of the dataset; None if it was given as an object.
      num_classes: its number of classes.
      options: the options of `train`, by name.
    """

    dataset: str | None
    num_classes: int
    options: dict[str, Any]

    def merge(self, folder: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The stored options with the given ones in their place.

        Raises:
          TrainingError: an option is given that the checkpoints in `folder` determine.
        """
        for name in _FIXED:
            stored = self.options.get(name)
            if name in given and given[name] != stored:
                path = os.path.join(folder, TRAINING_FILE)
                raise TrainingError(f'{name} is {stored!r} in {path} and cannot become '
                                    f'{given[name]!r}; give another --train-dir, or leave {name} '
                                    'out.')
        options = {**self.options, **given}
        # A number of steps given now replaces a number of epochs of before, and the reverse.
        for name, other in (('steps', 'epochs'), ('epochs', 'steps')):
            if given.get(name) is not None and other not in given:
                options[other] = None
        return options


def write_run(folder: str, dataset: str | None, num_classes: int,
              options: TrainingOptions) -> None:
    """Writes the options of a run to `training.json` in its folder.

    Raises:
      TrainingError: the file cannot be written.
    """
    content = {'inception_slim': inception_slim.__version__, 'dataset': dataset,
               'num_classes': num_classes, 'options': as_dict(options)}
    with atomic_write(os.path.join(folder, TRAINING_FILE), TrainingError) as file:
        file.write(json.dumps(content, indent=2, default=_to_json).encode())


def _to_json(value: Any) -> Any:
    return os.fsdecode(value) if isinstance(value, os.PathLike) else list(value)


def read_run(folder: str) -> StoredRun:
    """Reads what `write_run` wrote; options that this version does not have are left out.

    Raises:
      TrainingError: the file is missing or is no such file.
    """
    path = os.path.join(folder, TRAINING_FILE)
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
        known = set(option_names(TrainingOptions))
        return StoredRun(content['dataset'], int(content['num_classes']),
                         {name: value for name, value in content['options'].items()
                          if name in known})
    except OSError as error:
        raise TrainingError(f'{path} cannot be read ({error.strerror}); give the dataset and the '
                            'options of the run instead of --resume.') from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise TrainingError(f'{path} is not a file of training options; give the dataset and the '
                            'options of the run instead of --resume.') from None
