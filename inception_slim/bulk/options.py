"""How millions of images are worked through, declared once for the call and the command."""

from __future__ import annotations

from dataclasses import dataclass

from inception_slim.evaluation.options import EvaluationOptions
from inception_slim.options import option

OUTPUT_TYPES = ('features', 'predictions', 'top5')
FORMATS = ('parquet', 'npy')
DTYPES = ('float32', 'float16')
BACKENDS = ('local', 'ray')


@dataclass(frozen=True)
class BulkOptions(EvaluationOptions):
    """What `bulk.run` takes, besides `EvaluationOptions`.

    Attributes:
      output_type: 'features', the pre-logits features; 'predictions', the top-1 class and the
        probabilities of all classes; or 'top5', the five most probable classes.
      format: 'parquet', which needs pyarrow, or 'npy'.
      dtype: what the numbers are written in; 'float16' halves the files.
      shard_size: images in a file of the output, and what may have to be done again after a run
        was killed.
      image_column: of Parquet, the column with the bytes of the images; found by itself where
        there is but one.
      name_column: of Parquet, the column that names the images; `FILE#ROW` without.
      backend: 'local', in this process; or 'ray', in Ray workers, which needs `ray[data]`.
      ray_address: the Ray cluster to join, 'auto' or 'HOST:6379'; implies `backend='ray'`.
      cores: of each process of Ray; None takes all that the smallest host of the cluster has, so
        that there is one process a host.
    """

    output_type: str = option(
        'predictions', 'what to write for each image', choices=OUTPUT_TYPES)
    format: str = option('parquet', 'the files that are written', choices=FORMATS)
    dtype: str = option('float32', 'what the numbers are written in', choices=DTYPES)
    shard_size: int = option(1024, 'images in a file of the output', at_least=1)
    image_column: str | None = option(
        None, 'of Parquet: the column with the bytes of the images (the only one with bytes)',
        metavar='NAME')
    name_column: str | None = option(
        None, 'of Parquet: the column that names the images (FILE#ROW)', metavar='NAME')
    backend: str = option(
        'local', 'run in this process, or in Ray workers', choices=BACKENDS)
    ray_address: str | None = option(
        None, 'the Ray cluster to join, such as auto or HOST:6379 (one of its own, on this '
        'machine)', metavar='ADDRESS')
    cores: int | None = option(
        None, 'of each process of Ray (those of the smallest host)', at_least=1, metavar='N',
        parse=int)

    @property
    def resolved_backend(self) -> str:
        """The backend to use: a Ray address implies Ray."""
        return 'ray' if self.ray_address is not None else self.backend
