"""The curve of a training as a picture, from the summaries that it writes."""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import os

from inception_slim._atomic_write import atomic_write
from inception_slim.errors import DatasetError
import tensorflow.compat.v1 as tf

CURVE = 'loss.png'
_LOSS = 'losses/'  # what the tags of losses begin with
_RATE = 'learning_rate'


class LossPlot:
    """The losses and the learning rate by step, drawn into the folder of a training.

    It goes on where earlier runs in the folder stopped, as their summaries tell. Nothing is read
    or drawn where matplotlib is not installed; what cannot be drawn stops no training.

    Attributes:
      points: by tag, a value for each step that has a summary.
    """

    def __init__(self, folder: str, step: int):
        """Reads what led up to a step.

        Args:
          folder: of the training.
          step: that of the checkpoint that this run goes on from; later points are of steps that
            were lost with an earlier run.
        """
        self._path = os.path.join(folder, CURVE)
        self._wanted = importlib.util.find_spec('matplotlib') is not None
        self.points: dict[str, dict[int, float]] = {}
        if not self._wanted or not step:
            return
        # Their names begin with the time that they were begun at.
        for events in sorted(glob.glob(os.path.join(glob.escape(folder), 'events.out.tfevents.*'))):
            self._read(events, step)

    def _read(self, events: str, step: int) -> None:
        # A run that was killed leaves its last event cut short; those before it are good.
        with contextlib.suppress(tf.errors.DataLossError, tf.errors.NotFoundError):
            first = True
            for event in tf.train.summary_iterator(events):
                if not event.summary.value:
                    continue
                if first:
                    # It went on from a checkpoint before the end of the run before it.
                    self._forget_from(event.step)
                    first = False
                if event.step <= step:
                    self._take(event.step, event.summary)

    def _forget_from(self, step: int) -> None:
        for tag, values in self.points.items():
            self.points[tag] = {at: value for at, value in values.items() if at < step}

    def _take(self, step: int, summary: tf.Summary) -> None:
        for value in summary.value:
            if value.tag.startswith(_LOSS) or value.tag == _RATE:
                self.points.setdefault(value.tag, {})[step] = value.simple_value

    def add(self, step: int, summary: bytes) -> None:
        """A summary of this run, serialized."""
        if self._wanted:
            self._take(step, tf.Summary.FromString(summary))

    def draw(self) -> None:
        """Writes the picture anew, whole or not at all."""
        if not self._wanted or not self.points:
            return
        from matplotlib import figure, ticker
        drawn = figure.Figure(figsize=(8, 5.5), layout='constrained')
        axes, rate = drawn.subplots(2, sharex=True, height_ratios=[4, 1])
        for tag in sorted(self.points, key=lambda tag: tag != _LOSS + 'total'):
            values = self.points[tag]
            if tag != _RATE:
                axes.plot(list(values), list(values.values()), label=tag.removeprefix(_LOSS),
                          linewidth=1.8 if tag == _LOSS + 'total' else 1,
                          marker='.' if len(values) == 1 else None)
        axes.set_ylabel('loss')
        axes.set_ylim(bottom=0)
        axes.legend()
        values = self.points.get(_RATE, {})
        rate.plot(list(values), list(values.values()), color='0.4',
                  marker='.' if len(values) == 1 else None)
        rate.set_ylabel('learning rate')
        rate.set_ylim(0, 1.1 * max(values.values(), default=1))
        rate.set_xlabel('step')
        rate.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        for each in (axes, rate):
            each.grid(alpha=0.3)
        # As with summaries: a full disk says so when the checkpoint is written.
        with contextlib.suppress(DatasetError), atomic_write(self._path) as file:
            drawn.savefig(file, format='png', dpi=120)
