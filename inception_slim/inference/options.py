"""How a checkpoint is read and run, declared once for all that run one."""

from __future__ import annotations

from dataclasses import dataclass
import os

from inception_slim.checkpoint.options import CheckpointOptions
from inception_slim.options import option

PRECISIONS = ('float32', 'bfloat16', 'int8')
ENGINES = ('auto', 'session', 'tflite', 'onnxruntime', 'openvino')


@dataclass(frozen=True)
class InferenceOptions(CheckpointOptions):
    """What `inference.load` takes, and every call that loads by it.

    Attributes:
      precision: 'float32', the answers of the original to 1e-4 of the largest logit; 'bfloat16',
        faster where the processor multiplies such numbers, and float32 with a warning where not;
        or 'int8', faster still.
      engine: what runs it: 'session', TensorFlow's own; 'tflite', 'onnxruntime' or 'openvino'; or
        'auto', the fastest of those that are installed on a processor like this.
      cache: a folder in which a network calibrated for int8 is kept, so that the next start need
        not calibrate it; what is damaged or made from something else there is made again.
      use_ema: take the moving averages of the weights, where the checkpoint has them.
      checkpoint_scope: which network to take, where the file holds more than one.
    """

    precision: str = option('float32', 'what to multiply in', choices=PRECISIONS)
    engine: str = option('auto', 'what runs the network', choices=ENGINES)
    cache: str | os.PathLike | None = option(
        None, 'a folder in which networks calibrated for int8 are kept', metavar='DIR')
