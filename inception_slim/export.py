"""`inception_slim.formats`' writing, by the name that its users import."""

from inception_slim.formats import (
    FORMATS,
    QUANTIZATIONS,
    TOLERANCES,
    ExportError,
    Exported,
    export,
)

__all__ = ['FORMATS', 'QUANTIZATIONS', 'TOLERANCES', 'ExportError', 'Exported', 'export']
