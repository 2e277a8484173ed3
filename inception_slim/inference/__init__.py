"""A checkpoint made into the fastest thing that gives the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_slim._lazy import lazy_exports

if TYPE_CHECKING:
    from inception_slim.inference.batch_norm_folding import (
        BATCH_NORM_EPSILON as BATCH_NORM_EPSILON,
        fold_batch_norm as fold_batch_norm,
    )
    from inception_slim.inference.cpu_features import has_bfloat16 as has_bfloat16
    from inception_slim.inference.graph import (
        constant_graph as constant_graph,
        extract_subgraph as extract_subgraph,
        frozen_graph as frozen_graph,
    )
    from inception_slim.inference.options import (
        ENGINES as ENGINES,
        PRECISIONS as PRECISIONS,
        InferenceOptions as InferenceOptions,
    )
    from inception_slim.inference.predictor import (
        Predictor as Predictor,
        load as load,
        validate_images as validate_images,
    )
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, {
        'batch_norm_folding': 'BATCH_NORM_EPSILON fold_batch_norm',
        'cpu_features': 'has_bfloat16',
        'graph': 'constant_graph extract_subgraph frozen_graph',
        'options': 'ENGINES PRECISIONS InferenceOptions',
        'predictor': 'Predictor load validate_images',
    })
