"""Training a network, from scratch or from a checkpoint, as TF-Slim's users trained theirs.

What is written are TF-Slim's checkpoints, which TensorFlow 1.15.5 reads too.
"""

from inception_slim.errors import TrainingError, WorkerLostError
from inception_slim.training.local_launcher import launch
from inception_slim.training.loop import TrainResult, train
from inception_slim.training.options import StepOptions, TrainingOptions
from inception_slim.training.step import TrainStep, build_step

__all__ = [
    'TrainStep',
    'StepOptions',
    'TrainResult',
    'TrainingError',
    'TrainingOptions',
    'WorkerLostError',
    'build_step',
    'launch',
    'train',
]
