"""Runs a bulk job: checks the request, divides the sources, computes and writes the shards."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
import os

from inception_slim import checkpoint as checkpoints
from inception_slim.bulk.manifest import Manifest, checkpoint_sha256, open_or_resume
from inception_slim.bulk.options import UNREADABLE, BulkOptions
from inception_slim.bulk.output import Shard, open_output, require_pyarrow
from inception_slim.bulk.readers import Columns, Example, read_examples
from inception_slim.bulk.sources import work_units
from inception_slim.bulk.worker import Decoder, Job, Task, Worker
from inception_slim.checkpoint.class_names import resolve_class_names
from inception_slim.data.image_formats import UnreadableImage
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.generative import check_head
from inception_slim.evaluation.loaders import CALIBRATION_IMAGES
from inception_slim.nets import registry
from inception_slim.options import as_dict, build_options, option_names
from tqdm import tqdm

_CALIBRATION_UNITS = 10  # work units to calibrate from; each may be a large remote file
_DECODED_AHEAD = 8  # images, while the sample is chosen
# Options that do not change the output, and so may change when a run is resumed.
_EXECUTION_OPTIONS = {'batch_size', 'strict', 'cache', 'backend', 'ray_address', 'cores'}


@dataclass(frozen=True)
class BulkResult:
    """The result of `run`, including the earlier runs that it resumed.

    Attributes:
      path: the output folder.
      images: number of images in the output, one row each.
      unreadable: number of skipped images; `_unreadable.csv` in the folder lists them.
      shards: number of shards.
      resumed_images: number of images that earlier runs had written.
      warning: a warning about an assumed background class; None without one.
      rotated: number of images that were rotated or flipped as their EXIF orientation says.
    """

    path: str
    images: int
    unreadable: int
    shards: int
    resumed_images: int
    warning: str | None
    rotated: int = 0


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
    max_pixels: int = MAX_PIXELS,
    exif: bool | None = None,
    background: str | None = None,
    scaled_decoding: bool = False,
    output_type: str = 'predictions',
    resize: str = 'original',
    format: str = 'parquet',
    dtype: str = 'float32',
    shard_size: int = 1024,
    image_column: str | None = None,
    name_column: str | None = None,
    backend: str = 'local',
    ray_address: str | None = None,
    cores: int | None = None,
) -> BulkResult:
    """Computes features or predictions of any number of images, in constant memory.

    The same call resumes an interrupted run.

    Args:
      checkpoint: a checkpoint in any format that `inception_slim.checkpoint` reads.
      sources: paths and URLs that fsspec opens: images, TFRecord files in TF-Slim's format, Parquet
        files with a column of encoded images, folders with any of these at any depth, and text
        files (.txt, .lst, .list) that list one file per line, relative to their own folder.
      output: output folder or its URL; created if missing.
      labels: class names; see `evaluation.classify`.
      use_ema: use the moving averages of the weights.
      checkpoint_scope: the network to use if the checkpoint contains several.
      precision, engine, cache: how the network is run; see `InferenceOptions`.
      batch_size: images per batch.
      strict: raise an error for an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable.
      exif: rotate and flip images as their EXIF orientation says; None does so for image files and
        not for TFRecords.
      background: the color behind transparent pixels, such as 'white' or '#808080'; None drops
        the transparency, as TensorFlow does.
      scaled_decoding: decode large JPEG files at a fraction of their size; see
        `PredictionOptions`. Not for statistics, whose resizing is `resize`.
      output_type: 'features', 'predictions', 'top5' or 'statistics'.
      resize: how images are resized for statistics; see `evaluation.compute_statistics`.
      format: 'parquet' or 'npy'.
      dtype: 'float32' or 'float16'.
      shard_size: images per output shard.
      image_column: column of the image bytes in Parquet files.
      name_column: column of the image names in Parquet files.
      backend: 'local' or 'ray'.
      ray_address: the Ray cluster to join; implies `backend='ray'`.
      cores: cores of each Ray worker.

    Returns:
      A `BulkResult`.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: a source cannot be read, no image is readable, the output cannot be written, or
        the output folder contains another run.
      InceptionSlimError: an option is out of range, or a package is missing.
    """
    options = build_options(BulkOptions, locals(), InceptionSlimError)
    statistics = options.output_type == 'statistics'
    if statistics and options.scaled_decoding:
        raise InceptionSlimError('scaled_decoding would change the statistics, which are compared '
                                 'with those of other programs; leave it out.')
    if options.format == 'parquet' and not statistics:
        require_pyarrow()
    run_job = _select_backend(options)
    paths = [os.fsdecode(source) for source in (
        [sources] if isinstance(sources, (str, bytes, os.PathLike)) else sources)]
    info = checkpoints.inspect(checkpoint, checkpoint_scope=options.checkpoint_scope)
    if statistics:
        check_head(info, {'fid'})
    needs_classes = options.output_type not in ('features', 'statistics')
    class_names, warning = ([], None) if (
        info.num_classes is None and not needs_classes
    ) else resolve_class_names(info, labels)
    store = open_output(output)
    names = [name for name in option_names(BulkOptions) if name not in _EXECUTION_OPTIONS]
    request = {**as_dict(options, names), 'checkpoint': checkpoint_sha256(info.path),
               'labels': class_names if needs_classes else None}
    units = work_units(paths, options.shard_size, Columns(options.image_column,
                                                          options.name_column))
    with store.lock():
        manifest = open_or_resume(store, request, units)
        totals = resumed = manifest.totals or manifest.partial_totals()
        if manifest.totals is None:
            network = registry.NETWORKS[info.network]
            calibration = []
            if options.precision == 'int8':
                calibration = _sample_images(manifest, network, options)
            job = Job(options, class_names, network, os.getcwd(), calibration)
            with tqdm(total=manifest.images, initial=resumed.images + resumed.unreadable,
                      unit='image', disable=None) as bar, \
                    closing(run_job(job, info.path, manifest.pending_tasks(),
                                    bar.update)) as shards:
                for shard in shards:
                    manifest.add(shard)
            totals = manifest.finish()
    if not totals.images:
        raise DatasetError(f'None of the {totals.unreadable:,} images is readable; '
                           f'{store.path}/{UNREADABLE} lists the reasons.')
    return BulkResult(store.path, totals.images, totals.unreadable, totals.shards, resumed.images,
                      warning, totals.rotated)


def _select_backend(options: BulkOptions) -> Callable[..., Generator[Shard, None, None]]:
    if options.resolved_backend == 'local':
        return _run_locally
    from inception_slim.bulk import ray_backend
    ray_backend.require_ray()
    return ray_backend.run_on_ray


def _run_locally(job: Job, checkpoint: str, tasks: Iterable[Task],
                 progress: Callable[[int], object]) -> Generator[Shard, None, None]:
    """The local backend: one worker in this process."""
    with closing(Worker(job, checkpoint)) as worker:
        yield from worker.shards(tasks, progress)


def _sample_images(manifest: Manifest, network: registry.Network,
                   options: BulkOptions) -> list[Example]:
    """Chooses readable images from all parts of the sources to calibrate with, always the same."""
    units = manifest.sample_work_units(_CALIBRATION_UNITS)
    count = -(-CALIBRATION_IMAGES // len(units))
    folder = os.getcwd()
    sample: list[Example] = []
    with closing(Decoder(network, None, folder, options)) as decoder:
        for unit in units:
            examples = read_examples(unit, folder)
            if unit['kind'] == 'files':  # whose first images may all be of one class
                examples = islice(examples, None, None, max(1, unit['images'] // count))
            readable = (example for example, image in decoder.decode_all(examples, _DECODED_AHEAD)
                        if not isinstance(image, UnreadableImage))
            sample += islice(readable, count)
    if not sample:
        raise DatasetError('None of the images sampled to calibrate int8 is readable.')
    return sample
