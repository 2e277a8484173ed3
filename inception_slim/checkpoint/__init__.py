"""Inspect, read, restore, convert and download checkpoints.

A file is opened, recognized and checked completely before the first variable is assigned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_slim._lazy import lazy_exports

if TYPE_CHECKING:
    from inception_slim.checkpoint._convert import (
        check_destination as check_destination,
        convert as convert,
        read as read,
        write_network as write_network,
    )
    from inception_slim.checkpoint._download import download as download
    from inception_slim.checkpoint._restore import (
        RestoreResult as RestoreResult,
        restore as restore,
    )
    from inception_slim.checkpoint._weight_source import (
        WeightSource as WeightSource,
        wrap_read_errors as wrap_read_errors,
    )
    from inception_slim.checkpoint.input_scaling import INPUT_SCALINGS as INPUT_SCALINGS
    from inception_slim.checkpoint.naming import (
        FIRST_RELEASE_NAMES as FIRST_RELEASE_NAMES,
        MOVING_AVERAGE as MOVING_AVERAGE,
        SLIM_NAMES as SLIM_NAMES,
        CheckpointInfo as CheckpointInfo,
        inspect as inspect,
    )
    from inception_slim.checkpoint.options import (
        CheckpointOptions as CheckpointOptions,
        SourceOptions as SourceOptions,
    )
    from inception_slim.checkpoint.published import (
        PUBLISHED as PUBLISHED,
        PublishedCheckpoint as PublishedCheckpoint,
    )
    from inception_slim.checkpoint.tf_checkpoint import find_prefix as find_prefix
    from inception_slim.checkpoint.weight_sources import (
        ImportedWeights as ImportedWeights,
        LazyTensor as LazyTensor,
        open_weights as open_weights,
    )
    from inception_slim.errors import CheckpointError as CheckpointError
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, {
        '_convert': 'check_destination convert read write_network',
        '_download': 'download',
        '_restore': 'RestoreResult restore',
        'naming': 'FIRST_RELEASE_NAMES MOVING_AVERAGE SLIM_NAMES CheckpointInfo inspect',
        'published': 'PUBLISHED PublishedCheckpoint',
        '_weight_source': 'WeightSource wrap_read_errors',
        'input_scaling': 'INPUT_SCALINGS',
        'options': 'CheckpointOptions SourceOptions',
        'tf_checkpoint': 'find_prefix',
        'weight_sources': 'ImportedWeights LazyTensor open_weights',
        'inception_slim.errors': 'CheckpointError',
    })
