"""What a checkpoint holds, and how it maps onto a network's variables.

A file is opened, recognized and checked whole before the first variable is assigned.
"""

from inception_slim.checkpoint.converting import convert, read
from inception_slim.checkpoint.downloading import PUBLISHED, Published, download
from inception_slim.checkpoint.files import find_prefix
from inception_slim.checkpoint.foreign import Foreign, Tensor, damage_named, open_file
from inception_slim.checkpoint.names import (
    FIRST_RELEASE_NAMES,
    MOVING_AVERAGE,
    SLIM_NAMES,
    CheckpointInfo,
    inspect,
)
from inception_slim.checkpoint.options import PIXELS, ReadingOptions, SourceOptions
from inception_slim.checkpoint.restoring import Restored, restore
from inception_slim.errors import CheckpointError

__all__ = [
    'FIRST_RELEASE_NAMES', 'MOVING_AVERAGE', 'PIXELS', 'PUBLISHED', 'SLIM_NAMES',
    'CheckpointError', 'CheckpointInfo', 'Foreign', 'Published', 'ReadingOptions', 'Restored',
    'SourceOptions', 'Tensor', 'convert', 'damage_named', 'download', 'find_prefix', 'inspect',
    'open_file', 'read', 'restore',
]
