"""What a checkpoint says of images: classes, features, and how often it is right."""

from inception_slim.data import DatasetError
from inception_slim.evaluation.classes import BACKGROUND
from inception_slim.evaluation.classify import Answer, Classification, classify
from inception_slim.evaluation.confusion import write_confusion
from inception_slim.evaluation.evaluate import Evaluation, evaluate
from inception_slim.evaluation.features import Features, features
from inception_slim.evaluation.measures import Distance, Score, fid, score, statistics

__all__ = [
    'BACKGROUND', 'Answer', 'Classification', 'DatasetError', 'Distance', 'Evaluation', 'Features',
    'Score', 'classify', 'evaluate', 'features', 'fid', 'score', 'statistics', 'write_confusion',
]
