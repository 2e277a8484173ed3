"""What a checkpoint holds, and how it maps onto a network's variables.

A file is opened, recognized and checked whole before the first variable is assigned.
"""

from inception_slim.checkpoint._convert import convert, read
from inception_slim.checkpoint._download import PUBLISHED, PublishedCheckpoint, download
from inception_slim.checkpoint._restore import RestoreResult, restore
from inception_slim.checkpoint.naming import (
    FIRST_RELEASE_NAMES,
    MOVING_AVERAGE,
    SLIM_NAMES,
    CheckpointInfo,
    inspect,
)
from inception_slim.checkpoint.options import INPUT_SCALINGS, CheckpointOptions, SourceOptions
from inception_slim.checkpoint.tf_checkpoint import find_prefix
from inception_slim.checkpoint.weight_sources import (
    ImportedWeights,
    LazyTensor,
    open_weights,
    wrap_read_errors,
)
from inception_slim.errors import CheckpointError

__all__ = [
    'FIRST_RELEASE_NAMES',
    'MOVING_AVERAGE',
    'INPUT_SCALINGS',
    'PUBLISHED',
    'SLIM_NAMES',
    'CheckpointError',
    'CheckpointInfo',
    'ImportedWeights',
    'PublishedCheckpoint',
    'CheckpointOptions',
    'RestoreResult',
    'SourceOptions',
    'LazyTensor',
    'convert',
    'wrap_read_errors',
    'download',
    'find_prefix',
    'inspect',
    'open_weights',
    'read',
    'restore',
]
