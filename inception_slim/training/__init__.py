"""Train a network from scratch or fine-tune a checkpoint, with TF-Slim's recipe.

The checkpoints are TF-Slim's, which TensorFlow 1.15.5 also reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_slim._lazy import lazy_exports

if TYPE_CHECKING:
    from inception_slim.errors import (
        TrainingError as TrainingError,
        WorkerLostError as WorkerLostError,
    )
    from inception_slim.training.local_launcher import launch as launch
    from inception_slim.training.loop import (
        TrainResult as TrainResult,
        resume as resume,
        train as train,
    )
    from inception_slim.training.options import (
        RetrainOptions as RetrainOptions,
        StepOptions as StepOptions,
        TrainingOptions as TrainingOptions,
    )
    from inception_slim.training.retrain import (
        RetrainResult as RetrainResult,
        retrain as retrain,
    )
    from inception_slim.training.step import TrainStep as TrainStep, build_step as build_step
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, {
        'local_launcher': 'launch',
        'loop': 'TrainResult resume train',
        'options': 'RetrainOptions StepOptions TrainingOptions',
        'retrain': 'RetrainResult retrain',
        'step': 'TrainStep build_step',
        'inception_slim.errors': 'TrainingError WorkerLostError',
    })
