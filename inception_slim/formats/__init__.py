"""The forms that a network is kept in: one file a format."""

from inception_slim.errors import ExportError
from inception_slim.formats._export import (
    FORMATS,
    QUANTIZATIONS,
    TOLERANCES,
    ExportResult,
    export,
)

__all__ = ['FORMATS', 'QUANTIZATIONS', 'TOLERANCES', 'ExportError', 'ExportResult', 'export']
