"""Offline inference: features or predictions of millions of images, in shards, resumable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_slim._lazy import lazy_exports

if TYPE_CHECKING:
    from inception_slim.bulk.options import BulkOptions as BulkOptions
    from inception_slim.bulk.runner import BulkResult as BulkResult, run as run
    from inception_slim.errors import DatasetError as DatasetError
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, {
        'options': 'BulkOptions',
        'runner': 'BulkResult run',
        'inception_slim.errors': 'DatasetError',
    })
