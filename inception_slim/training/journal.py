"""The records of a training run: summaries, the loss plot, the progress bar and log lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
import importlib.util
import io
import struct
import sys
import time
from typing import Any, NamedTuple

from google.protobuf import struct_pb2
from inception_slim.evaluation.confusion_matrix import plot_confusion
from inception_slim.training.loss_plot import LossPlot
from inception_slim.training.validation import ValidationResult
import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm


class StepValues(NamedTuple):
    """What is fetched of each step.

    Attributes:
      loss: the total loss.
      classifier_loss: the loss of the classifier alone.
      accuracy: see `TrainStep`.
    """

    loss: float
    classifier_loss: float
    accuracy: float


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
        self._start = start
        self._since_validation: list[tuple[float, float]] = []  # accuracy and loss of each step
        self._bar = tqdm(total=steps * images_per_step, initial=start * images_per_step,
                         unit=' images', disable=None, file=sys.stderr, dynamic_ncols=True)
        self._last_time, self._last_step = time.monotonic(), start

    def add_start(self, hyperparameters: Mapping[str, Any], images: bytes) -> None:
        """Records the options of the run, and a serialized summary of input images."""
        self._writer.add_summary(_hyperparameter_summary(hyperparameters), self._start)
        self._writer.add_summary(images, self._start)

    def add(self, step: int, values: StepValues, summary: bytes | tuple[()]) -> None:
        """Records a finished step, with its serialized summary if there is one."""
        loss = values.loss
        self._since_validation.append((values.accuracy, values.classifier_loss))
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

    def add_validation(self, result: ValidationResult, confusion: np.ndarray | None,
                       class_names: list[str], seconds: float) -> None:
        """Records an evaluation that took some seconds, beside the steps since the one before."""
        accuracy, loss = np.mean(self._since_validation, axis=0)
        self._since_validation.clear()
        self._last_time += seconds  # the images per second are those of the training
        name = result.score_name
        values = {f'{name.replace(" ", "_")}/validation': result.score,
                  'accuracy/training': accuracy, 'losses/validation': result.loss}
        if confusion is None:  # the accuracy is one of labels
            del values['accuracy/training']
        summary = tf.Summary(value=[tf.Summary.Value(tag=tag, simple_value=value)
                                    for tag, value in values.items()])
        self.loss_plot.add(result.step, summary)
        if confusion is not None and importlib.util.find_spec('matplotlib') is not None:
            summary.value.append(_confusion_image(confusion, class_names))
        self._writer.add_summary(summary, result.step)
        if self._log:
            training = '' if confusion is None else f' (training {accuracy:.2%})'
            self._log(f'validation at step {result.step}: {name} {result.score:.2%}{training}, '
                      f'loss {result.loss:.4f} (training {loss:.4f})')

    def close(self) -> None:
        self._bar.close()
        # A full disk is reported when the checkpoint is written.
        with contextlib.suppress(OSError, tf.errors.OpError):
            self._writer.close()


def _confusion_image(confusion: np.ndarray, class_names: list[str]) -> tf.Summary.Value:
    file = io.BytesIO()
    plot_confusion(confusion, class_names, class_names, file)
    content = file.getvalue()
    width, height = struct.unpack('>II', content[16:24])  # of the header of a PNG file
    return tf.Summary.Value(tag='confusion_matrix', image=tf.Summary.Image(
        width=width, height=height, colorspace=4, encoded_image_string=content))


def _hyperparameter_summary(values: Mapping[str, Any]) -> tf.Summary:
    """The summary that TensorBoard shows under HPARAMS.

    Its content is the message HParamsPluginData of tensorboard/plugins/hparams/plugin_data.proto:
    field 3, `session_start_info`, whose field 1, `hparams`, maps names to `google.protobuf.Value`.
    That is what the well-known message Struct has as field 1 too.
    """
    fields = struct_pb2.Struct()
    for name, value in values.items():
        if value is not None:
            plain = isinstance(value, (str, int, float))
            fields[name] = value if plain else str(value)
    info = fields.SerializeToString()
    size, length = len(info), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    content = bytes([3 << 3 | 2, *length, size]) + info
    return tf.Summary(value=[tf.Summary.Value(
        tag='_hparams_/session_start_info', tensor=tf.make_tensor_proto(0.0),
        metadata=tf.SummaryMetadata(plugin_data=tf.SummaryMetadata.PluginData(
            plugin_name='hparams', content=content)))])
