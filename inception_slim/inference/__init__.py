"""Fast inference: loads a checkpoint, folds batch norm, quantizes, and runs it in an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_slim._lazy import lazy_exports

if TYPE_CHECKING:
    from inception_slim.inference.cpu_features import has_fast_bfloat16 as has_fast_bfloat16
    from inception_slim.inference.graph import (
        BATCH_NORM_EPSILON as BATCH_NORM_EPSILON,
        constant_graph as constant_graph,
        extract_subgraph as extract_subgraph,
        fold_batch_norm as fold_batch_norm,
        frozen_graph as frozen_graph,
    )
    from inception_slim.inference.image_input import (
        ImageInput as ImageInput,
        validate_images as validate_images,
    )
    from inception_slim.inference.options import (
        ENGINES as ENGINES,
        PRECISIONS as PRECISIONS,
        InferenceOptions as InferenceOptions,
    )
    from inception_slim.inference.predictor import Predictor as Predictor, load as load
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, {
        'cpu_features': 'has_fast_bfloat16',
        'graph': (
            'BATCH_NORM_EPSILON constant_graph extract_subgraph fold_batch_norm frozen_graph'),
        'image_input': 'ImageInput validate_images',
        'options': 'ENGINES PRECISIONS InferenceOptions',
        'predictor': 'Predictor load',
    })
