"""A checkpoint made into the fastest thing that gives the same answers."""

from inception_slim.inference.batch_norm_folding import BATCH_NORM_EPSILON, fold_batch_norm
from inception_slim.inference.cpu_features import has_bfloat16
from inception_slim.inference.graph import constant_graph, extract_subgraph, frozen_graph
from inception_slim.inference.options import ENGINES, PRECISIONS, InferenceOptions
from inception_slim.inference.predictor import Predictor, load, validate_images

__all__ = [
    'BATCH_NORM_EPSILON',
    'ENGINES',
    'PRECISIONS',
    'InferenceOptions',
    'Predictor',
    'extract_subgraph',
    'validate_images',
    'constant_graph',
    'fold_batch_norm',
    'frozen_graph',
    'has_bfloat16',
    'load',
]
