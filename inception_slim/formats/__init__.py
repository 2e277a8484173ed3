"""The forms that a network is kept in: one file a format."""

from inception_slim.errors import ExportError
from inception_slim.formats.exporting import (
    FORMATS,
    QUANTIZATIONS,
    TOLERANCES,
    Exported,
    export,
)

__all__ = ['FORMATS', 'QUANTIZATIONS', 'TOLERANCES', 'ExportError', 'Exported', 'export']
