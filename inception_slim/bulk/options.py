"""How millions of images are worked through, declared once for the call and the command."""

from __future__ import annotations

from dataclasses import dataclass

from inception_slim.evaluation.options import EvaluationOptions
from inception_slim.options import option

WHAT = ('features', 'predictions', 'top5')
FORMATS = ('parquet', 'npy')
DTYPES = ('float32', 'float16')
ENGINES = ('here', 'ray')


@dataclass(frozen=True)
class BulkOptions(EvaluationOptions):
    """What `bulk.run` takes, besides `EvaluationOptions`.

    Attributes:
      what: 'features', what the classifier sees of an image; 'predictions', the likeliest class,
        and the probabilities of all; or 'top5', the five likeliest classes.
      format: 'parquet', which needs pyarrow, or 'npy'.
      dtype: what the numbers are written in; 'float16' halves the files.
      shard_size: images in a file of the output, and what may have to be done again after a run
        was killed.
      image_column: of Parquet, the column with the bytes of the images; found by itself where
        there is but one.
      name_column: of Parquet, the column that names the images; `FILE#ROW` without.
      on: 'here', in this process; or 'ray', in processes of Ray, which needs `ray[data]`.
      address: of the Ray cluster to join, as in 'auto' or 'HOST:6379'; says `on='ray'` by itself.
      cores: of each process of Ray; None takes all that the smallest host of the cluster has, so
        that there is one process a host.
    """

    what: str = option('predictions', 'what is written of each image', choices=WHAT)
    format: str = option('parquet', 'the files that are written', choices=FORMATS)
    dtype: str = option('float32', 'what the numbers are written in', choices=DTYPES)
    shard_size: int = option(1024, 'images in a file of the output', at_least=1)
    image_column: str | None = option(
        None, 'of Parquet: the column with the bytes of the images (the only one with bytes)',
        metavar='NAME')
    name_column: str | None = option(
        None, 'of Parquet: the column that names the images (FILE#ROW)', metavar='NAME')
    on: str = option('here', 'in this process, or in processes of Ray', choices=ENGINES)
    address: str | None = option(
        None, 'the Ray cluster to join, such as auto or HOST:6379 (one of its own, on this '
        'machine)', metavar='ADDRESS')
    cores: int | None = option(
        None, 'of each process of Ray (those of the smallest host)', at_least=1, metavar='N',
        parse=int)

    @property
    def engine_of_work(self) -> str:
        return 'ray' if self.address is not None else self.on
