"""Options of loading a checkpoint for inference, shared by the library and the command line."""

from __future__ import annotations

from dataclasses import dataclass
import os

from inception_slim.checkpoint.options import CheckpointOptions
from inception_slim.options import option

PRECISIONS = ('float32', 'bfloat16', 'int8')
ENGINES = ('auto', 'session', 'tflite', 'onnxruntime', 'openvino')


@dataclass(frozen=True)
class InferenceOptions(CheckpointOptions):
    """Options of `inference.load` and of the functions that call it.

    Attributes:
      precision: dtype of the multiplications. 'float32': logits within 1e-4 of the original's,
        relative to the largest; 'bfloat16': faster with AMX, or with AVX512-BF16 on
        AMD, float32 with a warning where the processor is slower in it; 'int8': fastest, needs
        calibration images.
      engine: the runtime: 'session' (TensorFlow), 'tflite', 'onnxruntime' or 'openvino'; 'auto'
        takes the fastest that is installed for this processor.
      cache: a directory for prepared networks, so that later starts need not read the checkpoint,
        fold its batch norm or calibrate it. A file that is damaged or was made from another state
        of the checkpoint or other images is replaced.
      use_ema: read the moving averages of the weights, where the checkpoint has them.
      checkpoint_scope: the scope of the network to read, if the file holds more than one.
    """

    precision: str = option('float32', 'dtype of the multiplications', choices=PRECISIONS)
    engine: str = option('auto', 'runtime of the network', choices=ENGINES)
    cache: str | os.PathLike | None = option(
        None, 'directory for prepared networks: faster later starts', metavar='DIR')
