"""A checkpoint made into the fastest thing that gives the same answers."""

from inception_slim.inference.folding import BATCH_NORM_EPSILON, fold_batch_norm
from inception_slim.inference.graph import ancestors, constant_graph, frozen_graph
from inception_slim.inference.options import ENGINES, PRECISIONS, InferenceOptions
from inception_slim.inference.predictor import Predictor, checked_images, load
from inception_slim.inference.processor import has_bfloat16

__all__ = [
    'BATCH_NORM_EPSILON', 'ENGINES', 'PRECISIONS', 'InferenceOptions', 'Predictor', 'ancestors',
    'checked_images', 'constant_graph', 'fold_batch_norm', 'frozen_graph', 'has_bfloat16', 'load',
]
