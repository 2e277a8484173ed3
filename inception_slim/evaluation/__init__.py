"""Classify images, extract features, evaluate checkpoints and compute generative metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_slim._lazy import lazy_exports

if TYPE_CHECKING:
    from inception_slim.checkpoint.class_names import BACKGROUND as BACKGROUND
    from inception_slim.errors import DatasetError as DatasetError
    from inception_slim.evaluation.classify import classify as classify
    from inception_slim.evaluation.confusion_matrix import write_confusion as write_confusion
    from inception_slim.evaluation.evaluate import evaluate as evaluate
    from inception_slim.evaluation.features import (
        features as features,
        read_features as read_features,
    )
    from inception_slim.evaluation.generative import (
        GenerativeMetrics as GenerativeMetrics,
        MetricAccumulator as MetricAccumulator,
        compute_metrics as compute_metrics,
    )
    from inception_slim.evaluation.manifold import (
        DensityCoverage as DensityCoverage,
        PrecisionRecall as PrecisionRecall,
        density_coverage as density_coverage,
        precision_recall as precision_recall,
    )
    from inception_slim.evaluation.metrics import (
        compute_statistics as compute_statistics,
        fid as fid,
        inception_score as inception_score,
    )
    from inception_slim.evaluation.multi_label import (
        evaluate_multi_label as evaluate_multi_label,
    )
    from inception_slim.evaluation.pairs import (
        PairsResult as PairsResult,
        evaluate_pairs as evaluate_pairs,
    )
    from inception_slim.evaluation.results import (
        Classification as Classification,
        Evaluation as Evaluation,
        FeaturesResult as FeaturesResult,
        FIDResult as FIDResult,
        InceptionScore as InceptionScore,
        MultiLabelEvaluation as MultiLabelEvaluation,
        Prediction as Prediction,
    )
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, {
        'classify': 'classify',
        'confusion_matrix': 'write_confusion',
        'evaluate': 'evaluate',
        'features': 'features read_features',
        'generative': 'GenerativeMetrics MetricAccumulator compute_metrics',
        'manifold': 'DensityCoverage PrecisionRecall density_coverage precision_recall',
        'metrics': 'compute_statistics fid inception_score',
        'multi_label': 'evaluate_multi_label',
        'pairs': 'PairsResult evaluate_pairs',
        'results': 'Classification Evaluation FIDResult FeaturesResult InceptionScore '
                   'MultiLabelEvaluation Prediction',
        'inception_slim.checkpoint.class_names': 'BACKGROUND',
        'inception_slim.errors': 'DatasetError',
    })
