"""The options of `bulk`: defaults, ranges and help texts of the function and the command."""

from __future__ import annotations

from dataclasses import dataclass

from inception_slim.evaluation.options import RESIZES, SCALED_DECODING_HELP, EvaluationOptions
from inception_slim.options import option

OUTPUT_TYPES = ('features', 'predictions', 'top5', 'statistics')
FORMATS = ('parquet', 'npy')
DTYPES = ('float32', 'float16')
BACKENDS = ('local', 'ray')
UNREADABLE = '_unreadable.csv'  # file of the output that lists the skipped images
STATISTICS = 'statistics.npz'  # file of the output of that type


@dataclass(frozen=True)
class BulkOptions(EvaluationOptions):
    """The options of `bulk.run`, with those of `EvaluationOptions`.

    Attributes:
      scaled_decoding: see `PredictionOptions`; not for statistics.
      output_type: 'features', the pre-logits features; 'predictions', the top-1 class and the
        probabilities of all classes; 'top5', the five most probable classes; or 'statistics',
        one file with the mean and covariance of the features, see `evaluation.compute_statistics`.
      resize: how images are resized for statistics; see `MetricOptions`. For other outputs they
        are prepared as by `classify`.
      format: output format, 'parquet' (needs pyarrow) or 'npy'.
      dtype: dtype of features and probabilities; 'float16' halves the size of the files.
      shard_size: images per output shard, at least 1. An interrupted run repeats at most the
        shards that were unfinished.
      image_column: column of the image bytes in Parquet files; None if there is only one.
      name_column: column of the image names in Parquet files; None names images `FILE#ROW`.
      backend: 'local', in this process; or 'ray', in Ray workers, which needs `ray[data]`.
      ray_address: the Ray cluster to join, 'auto' or 'HOST:6379'; implies `backend='ray'`.
      cores: cores of each Ray worker; None means all cores of the smallest host, so one worker
        per host if the hosts are equal.
    """

    scaled_decoding: bool = option(False, SCALED_DECODING_HELP)
    output_type: str = option(
        'predictions', 'what to write for each image', choices=OUTPUT_TYPES)
    resize: str = option('original', 'how images are resized for statistics', choices=RESIZES)
    format: str = option('parquet', 'output format', choices=FORMATS)
    dtype: str = option('float32', 'dtype of features and probabilities', choices=DTYPES)
    shard_size: int = option(1024, 'images per output shard', at_least=1)
    image_column: str | None = option(
        None, 'column of the image bytes in Parquet files (the only one with bytes)',
        metavar='NAME')
    name_column: str | None = option(
        None, 'column of the image names in Parquet files (FILE#ROW)', metavar='NAME')
    backend: str = option('local', 'run in this process, or in Ray workers', choices=BACKENDS)
    ray_address: str | None = option(
        None, 'Ray cluster to join, such as auto or HOST:6379 (a new one on this machine)',
        metavar='ADDRESS')
    cores: int | None = option(
        None, 'cores of each Ray worker (those of the smallest host)', at_least=1, metavar='N',
        parse=int)

    @property
    def resolved_backend(self) -> str:
        """The backend to use: a Ray address implies Ray."""
        return 'ray' if self.ray_address is not None else self.backend
