"""Features and answers of millions of images: constant memory, shards, and going on when killed."""

from inception_slim.bulk.options import BulkOptions
from inception_slim.bulk.runner import BulkResult, run
from inception_slim.errors import DatasetError

__all__ = ['BulkOptions', 'BulkResult', 'DatasetError', 'run']
