"""The records of a training run: summaries, the loss plot, the progress bar and log lines."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import sys
import time

from inception_slim.training.loss_plot import LossPlot
import tensorflow.compat.v1 as tf
from tqdm import tqdm


class Journal:
    """Records the steps of a run; only the chief has one.

    Attributes:
      loss_plot: the plot of the losses.
    """

    def __init__(self, train_dir: str, start: int, steps: int, images_per_step: int,
                 log: Callable[[str], None] | None):
        """
        Args:
          train_dir: folder for the summaries.
          start: the step at which the run starts.
          steps: the number of the last step.
          images_per_step: images per step of all workers.
          log: called with a line for each summary.
        """
        self._steps, self._images_per_step, self._log = steps, images_per_step, log
        self.loss_plot = LossPlot(train_dir, start)
        self._writer = tf.summary.FileWriter(train_dir)
        self._bar = tqdm(total=steps * images_per_step, initial=start * images_per_step,
                         unit=' images', disable=None, file=sys.stderr, dynamic_ncols=True)
        self._last_time, self._last_step = time.monotonic(), start

    def add(self, step: int, loss: float, summary: bytes | tuple[()]) -> None:
        """Records a finished step, with its serialized summary if there is one."""
        self._bar.update(self._images_per_step)
        if summary:
            now = time.monotonic()
            rate = ((step - self._last_step) * self._images_per_step
                    / max(now - self._last_time, 1e-9))
            self._last_time, self._last_step = now, step
            self._writer.add_summary(summary, step)
            self.loss_plot.add(step, summary)
            self._writer.add_summary(tf.Summary(value=[tf.Summary.Value(
                tag='images_per_second', simple_value=rate)]), step)
            if self._log:
                self._log(f'step {step} of {self._steps}: loss {loss:.4f}, {rate:.1f} images/s')
        self._bar.set_postfix(step=step, loss=f'{loss:.3f}', refresh=False)

    def close(self) -> None:
        self._bar.close()
        # A full disk is reported when the checkpoint is written.
        with contextlib.suppress(OSError, tf.errors.OpError):
            self._writer.close()
