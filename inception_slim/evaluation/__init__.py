"""What a checkpoint says of images: classes, features, and how often it is right."""

from inception_slim.checkpoint.class_names import BACKGROUND
from inception_slim.data import DatasetError
from inception_slim.evaluation.classify import Classification, Prediction, classify
from inception_slim.evaluation.confusion_matrix import write_confusion
from inception_slim.evaluation.evaluate import Evaluation, evaluate
from inception_slim.evaluation.features import FeaturesResult, features
from inception_slim.evaluation.metrics import (
    FIDResult,
    InceptionScore,
    compute_statistics,
    fid,
    inception_score,
)

__all__ = [
    'BACKGROUND',
    'Prediction',
    'Classification',
    'DatasetError',
    'FIDResult',
    'Evaluation',
    'FeaturesResult',
    'InceptionScore',
    'classify',
    'evaluate',
    'features',
    'fid',
    'inception_score',
    'compute_statistics',
    'write_confusion',
]
