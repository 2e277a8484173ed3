"""One run: what is asked for is checked, then cut into pieces, worked through and written."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
import os

from inception_slim import checkpoint as checkpoints
from inception_slim.bulk.image_decoder import Decoder
from inception_slim.bulk.manifest import DAMAGED, Manifest, checkpoint_sha256, open_or_resume
from inception_slim.bulk.options import BulkOptions
from inception_slim.bulk.output_store import open_output
from inception_slim.bulk.parquet_reader import Columns, require_pyarrow
from inception_slim.bulk.readers import Example, UnreadableImage, read_examples
from inception_slim.bulk.shard_writer import Shard
from inception_slim.bulk.sources import work_units
from inception_slim.bulk.worker import Job, Task, Worker
from inception_slim.checkpoint.class_names import resolve_class_names
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.loaders import CALIBRATION_IMAGES
from inception_slim.nets import registry
from inception_slim.options import as_dict, build_options, option_names
from tqdm import tqdm

_CALIBRATION_PIECES = 10  # one may be a file that has to be fetched whole
# Decides how the work is done, and not what comes out.
_HOW = {'batch_size', 'strict', 'backend', 'ray_address', 'cores'}


@dataclass(frozen=True)
class BulkResult:
    """What `run` wrote, with what earlier runs of the same command had written.

    Attributes:
      path: the folder.
      images: how many are in it, one row each.
      damaged: how many could not be read; `_damaged.csv` in the folder names them.
      shards: how many parts the output has.
      before: how many images of these were there already.
      note: what was made of a background class; None if there was nothing to say.
    """

    path: str
    images: int
    damaged: int
    shards: int
    before: int
    note: str | None


def run(
    checkpoint: str | os.PathLike,
    sources: str | os.PathLike | Iterable[str | os.PathLike],
    output: str | os.PathLike,
    *,
    labels: str | os.PathLike | Sequence[str] | None = None,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    precision: str = 'float32',
    engine: str = 'auto',
    cache: str | os.PathLike | None = None,
    batch_size: int = 32,
    strict: bool = False,
    output_type: str = 'predictions',
    format: str = 'parquet',
    dtype: str = 'float32',
    shard_size: int = 1024,
    image_column: str | None = None,
    name_column: str | None = None,
    backend: str = 'local',
    ray_address: str | None = None,
    cores: int | None = None,
) -> BulkResult:
    """Writes what a network says of any number of images, in constant memory.

    The same call goes on where the one before it was killed.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      sources: images, TFRecord files as TF-Slim's tools wrote them, Parquet files with a column of
        encoded images, folders with these anywhere below, and text files (.txt, .lst, .list) with
        the path of a file in each line, those without a folder of their own being beside it;
        paths, or URLs that fsspec opens.
      output: the folder to write, or its URL; made if it is not there.
      labels: see `evaluation.classify`.
      **options: those of `BulkOptions`: output_type, format, dtype, shard_size, image_column,
        name_column, backend, ray_address, cores; and precision, batch_size, strict, use_ema,
        checkpoint_scope.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: a source cannot be read, no image can, the output cannot be written, or is of
        another run.
      InceptionSlimError: an argument is out of its range, or a package is missing.
    """
    chosen = build_options(BulkOptions, locals(), InceptionSlimError)
    if chosen.format == 'parquet':
        require_pyarrow('To write Parquet', ', or choose the format npy')
    shards_of = _select_backend(chosen)
    sources = [sources] if isinstance(sources, (str, os.PathLike)) else sources
    given = [os.fspath(each) for each in sources]
    info = checkpoints.inspect(checkpoint, checkpoint_scope=chosen.checkpoint_scope)
    names, note = resolve_class_names(info, labels)
    there = open_output(output)
    decisive = [name for name in option_names(BulkOptions) if name not in _HOW]
    wanted = {**as_dict(chosen, decisive), 'checkpoint': checkpoint_sha256(info.path),
              'labels': None if chosen.output_type == 'features' else names}
    columns = Columns(chosen.image_column, chosen.name_column)
    with there.taken():
        manifest = open_or_resume(there, wanted, work_units(given, chosen.shard_size, columns))
        total = before = manifest.total or manifest.so_far()
        if manifest.total is None:
            side = registry.NETWORKS[info.network].image_size
            calibration = _some(manifest, side) if chosen.precision == 'int8' else []
            job = Job(chosen, names, side, os.getcwd(), calibration)
            with tqdm(total=manifest.images, initial=before.images + before.damaged, unit='image',
                      disable=None) as bar, \
                    closing(shards_of(job, info.path, manifest.todo(), bar.update)) as shards:
                for shard in shards:
                    manifest.add(shard)
            total = manifest.finish()
    if not total.images:
        raise DatasetError(f'None of the {total.damaged:,} images can be read; '
                           f'{there.path}/{DAMAGED} says why of each.')
    return BulkResult(there.path, total.images, total.damaged, total.shards, before.images, note)


def _select_backend(options: BulkOptions) -> Callable[..., Generator[Shard, None, None]]:
    if options.resolved_backend == 'local':
        return _run_locally
    from inception_slim.bulk import ray_backend
    ray_backend.require_ray()
    return ray_backend.run_on_ray


def _run_locally(job: Job, checkpoint: str, todo: Iterable[Task],
          tick: Callable[[int], object]) -> Generator[Shard, None, None]:
    """The embedded engine: one worker, in this process."""
    with closing(Worker(job, checkpoint)) as worker:
        yield from worker.shards(todo, tick)


def _some(manifest: Manifest, side: int) -> list[Example]:
    """Images from all over the sources, the same each time, to calibrate on."""
    chosen = manifest.some_pieces(_CALIBRATION_PIECES)
    share = -(-CALIBRATION_IMAGES // len(chosen))
    folder = os.getcwd()
    found: list[Example] = []
    with closing(Decoder(side, 1, folder)) as decoder:
        for piece in chosen:
            of_piece = read_examples(piece, folder)
            if piece['kind'] == 'files':  # whose first images may all be of one class
                of_piece = islice(of_piece, None, None, max(1, piece['images'] // share))
            good = (example for example, image in decoder.images(of_piece, 0)
                    if not isinstance(image, UnreadableImage))
            found += islice(good, share)
    if not found:
        raise DatasetError('No image can be read of those that int8 would be calibrated on.')
    return found
