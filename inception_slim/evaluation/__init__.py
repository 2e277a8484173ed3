"""What a checkpoint says of images: classes, features, and how often it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_slim._lazy import lazy_exports

if TYPE_CHECKING:
    from inception_slim.checkpoint.class_names import BACKGROUND as BACKGROUND
    from inception_slim.errors import DatasetError as DatasetError
    from inception_slim.evaluation.classify import (
        Classification as Classification,
        Prediction as Prediction,
        classify as classify,
    )
    from inception_slim.evaluation.confusion_matrix import write_confusion as write_confusion
    from inception_slim.evaluation.evaluate import Evaluation as Evaluation, evaluate as evaluate
    from inception_slim.evaluation.features import (
        FeaturesResult as FeaturesResult,
        features as features,
    )
    from inception_slim.evaluation.metrics import (
        FIDResult as FIDResult,
        InceptionScore as InceptionScore,
        compute_statistics as compute_statistics,
        fid as fid,
        inception_score as inception_score,
    )
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, {
        'classify': 'Classification Prediction classify',
        'confusion_matrix': 'write_confusion',
        'evaluate': 'Evaluation evaluate',
        'features': 'FeaturesResult features',
        'metrics': 'FIDResult InceptionScore compute_statistics fid inception_score',
        'inception_slim.checkpoint.class_names': 'BACKGROUND',
        'inception_slim.errors': 'DatasetError',
    })
