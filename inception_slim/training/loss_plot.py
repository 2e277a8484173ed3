"""A plot of the losses, the accuracy and the learning rate of a training run."""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import os
from typing import TYPE_CHECKING

from inception_slim._atomic_write import atomic_write
from inception_slim.errors import DatasetError
import tensorflow.compat.v1 as tf

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE_NAME = 'loss.png'
_LOSS = 'losses/'  # prefix of the summary tags of losses
_SCORES = ('accuracy/', 'mean_average_precision/')
_RATE = 'learning_rate'


class LossPlot:
    """Losses, learning rate and accuracy by step, drawn to `loss.png` in the training folder.

    Includes earlier runs in the folder, from their summaries. Does nothing without matplotlib; an
    error while drawing does not stop the training.

    Attributes:
      points: values by step, by summary tag.
    """

    def __init__(self, folder: str, step: int):
        """Reads the summaries of earlier runs.

        Args:
          folder: the training folder.
          step: the step that this run resumes from; later points were lost with an earlier run.
        """
        self._path = os.path.join(folder, FILE_NAME)
        self._enabled = importlib.util.find_spec('matplotlib') is not None
        self.points: dict[str, dict[int, float]] = {}
        if not self._enabled or not step:
            return
        # The names contain the start time, so they sort by time.
        for events in sorted(glob.glob(os.path.join(glob.escape(folder), 'events.out.tfevents.*'))):
            self._read(events, step)

    def _read(self, events: str, step: int) -> None:
        # The last event of a killed run may be truncated; those before it are valid.
        with contextlib.suppress(tf.errors.DataLossError, tf.errors.NotFoundError):
            first = True
            for event in tf.train.summary_iterator(events):
                if not event.summary.value:
                    continue
                if first:
                    # This run resumed from a checkpoint before the end of the previous run.
                    self._drop_from(event.step)
                    first = False
                if event.step <= step:
                    self._add(event.step, event.summary)

    def _drop_from(self, first: int) -> None:
        for tag, values in self.points.items():
            self.points[tag] = {step: value for step, value in values.items() if step < first}

    def _add(self, step: int, summary: tf.Summary) -> None:
        for value in summary.value:
            if value.tag.startswith((_LOSS, *_SCORES)) or value.tag == _RATE:
                self.points.setdefault(value.tag, {})[step] = value.simple_value

    def add(self, step: int, summary: bytes | tf.Summary) -> None:
        """Adds a summary of this run."""
        if self._enabled:
            self._add(step, tf.Summary.FromString(summary) if isinstance(summary, bytes)
                      else summary)

    def draw(self) -> None:
        """Draws the plot and writes it atomically."""
        if not self._enabled or not self.points:
            return
        from matplotlib import figure, ticker
        scores = [prefix for prefix in _SCORES
                  if any(tag.startswith(prefix) for tag in self.points)]
        plot = figure.Figure(figsize=(8, 5.5 + 2 * len(scores)), layout='constrained')
        axes, *more, rate = plot.subplots(2 + len(scores), sharex=True,
                                          height_ratios=[4, *[2] * len(scores), 1])
        self._draw_curves(axes, _LOSS)
        axes.set_ylim(bottom=0)
        for part, prefix in zip(more, scores):
            self._draw_curves(part, prefix)
            part.set_ylim(0, 1.02)
        values = self.points.get(_RATE, {})
        rate.plot(list(values), list(values.values()), color='0.4',
                  marker='.' if len(values) == 1 else None)
        rate.set_ylabel('learning rate')
        rate.set_ylim(0, 1.1 * max(values.values(), default=1))
        rate.set_xlabel('step')
        rate.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        for part in (axes, *more, rate):
            part.grid(alpha=0.3)
        # A full disk is reported when the checkpoint is written.
        with contextlib.suppress(DatasetError), atomic_write(self._path) as file:
            plot.savefig(file, format='png', dpi=120)

    def _draw_curves(self, axes: Axes, prefix: str) -> None:
        for tag in sorted(self.points, key=lambda tag: tag != _LOSS + 'total'):
            values = self.points[tag]
            if tag.startswith(prefix):
                axes.plot(list(values), list(values.values()), label=tag.removeprefix(prefix),
                          linewidth=1.8 if tag == _LOSS + 'total' else 1,
                          marker='.' if len(values) == 1 else None)
        axes.set_ylabel(prefix.rstrip('/').replace('_', ' '))
        axes.legend()
