"""All generative metrics of a set of images, in one pass."""

from __future__ import annotations

from collections.abc import Collection, Iterator
import contextlib
import dataclasses
from dataclasses import dataclass, field
import os
from typing import Any

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.data import preprocessing
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.errors import CheckpointError, DatasetError, InceptionSlimError
from inception_slim.evaluation.generative_metrics import (
    RunningMoments,
    Statistics,
    fid_infinity,
    frechet_distance,
    inception_score_of_logits,
    kernel_inception_distance,
    save_statistics,
)
from inception_slim.evaluation.image_sets import (
    ImageSet,
    ImageSource,
    array_preparer,
    open_image_set,
)
from inception_slim.evaluation.loaders import (
    CALIBRATION_IMAGES,
    Checkpoint,
    Images,
    inspect_checkpoint,
    open_predictor,
    progress,
)
from inception_slim.evaluation.manifold import density_coverage, precision_recall
from inception_slim.evaluation.options import MetricOptions
from inception_slim.evaluation.origin import Origin, origin_of
from inception_slim.evaluation.protocols import METRICS, PROTOCOLS, Protocol
from inception_slim.evaluation.results import Result
from inception_slim.inference.predictor import Predictor
from inception_slim.nets import registry
from inception_slim.options import build_options, check
import numpy as np

RESIZE_FUNCTIONS = {'original': preprocessing.resize_tf1,
                    'clean': preprocessing.resize_antialiased,
                    'pytorch': preprocessing.resize_half_pixel}
# Metrics that keep all features in memory.
_WITH_FEATURES = frozenset({'fid_infinity', 'kid', 'prc', 'dc'})
_WITH_REFERENCE = frozenset({'fid', 'fid_infinity', 'sfid', 'kid', 'prc', 'dc'})
_OF_SAMPLES = frozenset({'fid_infinity', 'isc'})  # that compute nothing of the reference
_ON_REQUEST = frozenset({'fid_infinity', 'sfid'})  # sFID needs a slower engine
_KID_SUBSETS, _KID_SUBSET_SIZE = 100, 1000
_NETWORK_SIZES = frozenset(
    (network.image_size, network.image_size) for network in registry.NETWORKS.values())


@dataclass(frozen=True, repr=False)
class GenerativeMetrics(Result):
    """The result of `compute_metrics`; what was not computed is None.

    Attributes:
      fid: the Fréchet Inception Distance.
      fid_infinity: FID extrapolated to infinitely many samples, see `fid_infinity`.
      sfid: the same of the spatial features.
      kid, kid_deviation: mean and standard deviation of the Kernel Inception Distance.
      inception_score, inception_score_deviation: mean and standard deviation over the splits.
      precision, recall: see `precision_recall`.
      density, coverage: see `density_coverage`.
      sample_count, reference_count: the number of images; None if a file does not record it.
      protocol: whose conventions were followed, by name; None for the options given.
      resize: how the images were resized.
      notes: what makes the values differ from what one may expect.
      unreadable: the image files that could not be read.
      rotated: the number of images that were rotated or flipped as their EXIF orientation says.
    """

    fid: float | None = None
    fid_infinity: float | None = None
    sfid: float | None = None
    kid: float | None = None
    kid_deviation: float | None = None
    inception_score: float | None = None
    inception_score_deviation: float | None = None
    precision: float | None = None
    recall: float | None = None
    density: float | None = None
    coverage: float | None = None
    sample_count: int | None = None
    reference_count: int | None = None
    protocol: str | None = None
    resize: str = 'original'
    notes: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    rotated: int = 0


def compute_metrics(
    checkpoint: Checkpoint,
    samples: Images,
    reference: Images | None = None,
    *,
    metrics: Collection[str] | None = None,
    protocol: str | None = None,
    splits: int = 10,
    kid_subsets: int = _KID_SUBSETS,
    kid_subset_size: int = _KID_SUBSET_SIZE,
    neighbors: int = 3,
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
    resize: str = 'original',
    split: str | None = None,
    force: bool = False,
) -> GenerativeMetrics:
    """Computes all metrics of generated images from one pass over them.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads, or a loaded `inference.Predictor`;
        papers use the network of December 2015.
      samples: the generated images: files and folders, a folder of TFRecords, an .npz or .npy file
        of uint8 images `[N, height, width, 3]` (in .npz as `arr_0`), stored features (.npy of
        `features`, Parquet of `bulk`), or an .npz file of statistics (`mu`, `sigma`, and for sFID
        `mu_s`, `sigma_s`).
      reference: the real images, in the same forms; a file that holds statistics and images, as
        those of ADM, is used for both. None for the Inception Score alone.
      metrics: of 'fid', 'fid_infinity', 'sfid', 'kid', 'isc' (Inception Score), 'prc' (precision
        and recall) and 'dc' (density and coverage). None computes those of the protocol, or else
        all but sFID and FID-infinity, as far as the inputs allow.
      protocol: the program whose conventions are followed, one of `PROTOCOLS`; it sets `resize`
        and `splits`.
      splits: the number of parts for the Inception Score, at least 1.
      kid_subsets: the number of subsets for KID, at least 1.
      kid_subset_size: images per subset, at least 2.
      neighbors: the neighbour that gives the radii for precision and recall, at least 1.
      use_ema: load the moving averages of the weights.
      checkpoint_scope: which network to load, if the file contains several.
      precision: 'float32', 'bfloat16' or 'int8'; int8 is calibrated on a hundred of the images.
      engine: which runtime runs the network; 'auto' selects the fastest one installed.
      cache: a folder for prepared networks; see `InferenceOptions`.
      batch_size: images per batch.
      strict: raise an error for an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable.
      exif: rotate and flip images as their EXIF orientation says; None does so for image files and
        not for TFRecords.
      background: the color behind transparent pixels, such as 'white' or '#808080'; None drops
        the transparency, as TensorFlow does.
      resize: 'original' (TensorFlow 1's), 'clean' (with anti-aliasing) or 'pytorch' (with pixel
        centers, without anti-aliasing).
      split: the split of a folder of TFRecords.
      force: compare even if the files of statistics say that they are of another network, other
        weights or another resizing.

    Raises:
      CheckpointError: the checkpoint cannot be read, or a metric needs its classifier.
      DatasetError: the images cannot be read, there are too few, statistics cannot be compared,
        or a metric that was asked for cannot be computed from the inputs.
      InceptionSlimError: an argument is out of its range.

    Example:
      >>> from inception_slim import evaluation
      >>> images = 'tests/golden/legacy_scripts/images'
      >>> result = evaluation.compute_metrics('tests/golden/legacy_scripts', images, images,
      ...                                        metrics=['fid', 'isc'], splits=2)
      >>> result.fid, result.inception_score >= 1, result.notes[0]
      (0.0, True, 'The samples and the reference are the same.')
    """
    options = build_options(MetricOptions, locals(), InceptionSlimError)
    for name, value in (('splits', splits), ('kid_subsets', kid_subsets), ('neighbors', neighbors)):
        check(name, value, {'at_least': 1}, InceptionSlimError)
    check('kid_subset_size', kid_subset_size, {'at_least': 2}, InceptionSlimError)
    conventions = _conventions(protocol, resize, splits)
    sets = [open_image_set(images, options)
            for images in ((samples,) if reference is None else (samples, reference))]
    chosen, notes = _choose(metrics, conventions, protocol, sets, kid_subset_size)
    notes += _notes_on_inputs(samples, reference, sets)
    collector = _Collector(checkpoint, options, conventions, chosen)
    with contextlib.closing(collector):
        notes += collector.compare_origins(sets, force)
        collected = [collector.collect(images, is_reference=number == 1)
                     for number, images in enumerate(sets)]
        if metrics is None and 'isc' in chosen and not collector.has_classifier(sets[0]):
            chosen -= {'isc'}
    # Without the network, which takes as much memory as these matrices.
    values = _compute(collected, chosen, conventions, kid_subsets, kid_subset_size, neighbors,
                      notes)
    return GenerativeMetrics(
        **values, sample_count=collected[0].count,
        reference_count=collected[1].count if len(collected) > 1 else None, protocol=protocol,
        resize=conventions.resize, notes=notes, unreadable=collector.unreadable,
        rotated=len(collector.rotated))


def write_statistics(checkpoint: Checkpoint, images: Images, output: str, options: MetricOptions,
                     spatial: bool) -> Statistics:
    """Computes the statistics of images and writes them; see `compute_statistics`."""
    source = open_image_set(images, options)
    if source.images is None and source.features is None:
        raise DatasetError(f'{source.path} contains statistics already; give images.')
    collector = _Collector(checkpoint, options, _conventions(None, options.resize, 10),
                           {'fid', 'sfid'} if spatial else {'fid'})
    with contextlib.closing(collector):
        collected = collector.collect(dataclasses.replace(source, statistics=None, spatial=None),
                                      is_reference=True)
        statistics = dataclasses.replace(
            collected.statistics, origin=collector.origin(source, collected.count))
    save_statistics(statistics, output, collected.spatial if spatial else None)
    return statistics


class MetricAccumulator:
    """Computes metrics of images as they are generated, as in a training loop.

    Args:
      predictor: from `inference.load`; with `spatial=True` for sFID.
      reference: the real images, see `compute_metrics`; None for the Inception Score alone.
      metrics: see `compute_metrics`; None computes FID if there is a reference, else the
        Inception Score.
      protocol: see `compute_metrics`.
      force: see `compute_metrics`.

    Example:
      >>> import numpy as np
      >>> from inception_slim import evaluation, inference
      >>> with inference.load('tests/golden/legacy_scripts') as predictor:
      ...     accumulator = evaluation.MetricAccumulator(predictor, metrics=['isc'])
      ...     accumulator.update(np.zeros((10, 32, 32, 3), np.uint8))
      ...     result = accumulator.compute()
      >>> round(result.inception_score, 6), result.sample_count
      (1.0, 10)
    """

    def __init__(self, predictor: Predictor, reference: Images | None = None, *,
                 metrics: Collection[str] | None = None, protocol: str | None = None,
                 force: bool = False):
        options = MetricOptions()
        self._conventions = _conventions(protocol, 'original', 10)
        self._protocol = protocol
        if metrics is None:
            metrics = ('isc',) if reference is None else ('fid',)
        # The samples come by `update`.
        self._samples_set = ImageSet('the samples', ImageSource(0, lambda *_, **__: iter(())))
        sets = [self._samples_set]
        if reference is not None:
            sets.append(open_image_set(reference, options))
        self._chosen, self._notes = _choose(metrics, self._conventions, protocol, sets,
                                            _KID_SUBSET_SIZE)
        self._collector = _Collector(predictor, options, self._conventions, self._chosen)
        self._notes += self._collector.compare_origins(sets, force)
        self._reference = (None if reference is None else
                           self._collector.collect(sets[1], is_reference=True))
        self.reset()

    def update(self, images: np.ndarray) -> None:
        """Adds images, `[N, height, width, 3]` uint8 of any size."""
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise ValueError('images must be uint8 [N, height, width, 3], but are '
                             f'{images.dtype} {list(images.shape)}.')
        self._collector.add_images(self._samples, images)

    def compute(self) -> GenerativeMetrics:
        """Returns the metrics of the images so far; more can be added afterwards.

        Raises:
          DatasetError: there are too few images.
        """
        notes = list(self._notes)
        collected = [self._samples] + ([] if self._reference is None else [self._reference])
        values = _compute(collected, self._chosen, self._conventions, _KID_SUBSETS,
                          _KID_SUBSET_SIZE, 3, notes)
        return GenerativeMetrics(
            **values, sample_count=self._samples.count, protocol=self._protocol,
            reference_count=None if self._reference is None else self._reference.count,
            resize=self._conventions.resize, notes=notes)

    def reset(self) -> None:
        """Forgets the images, but not the reference."""
        self._samples = _Collected(self._chosen, self._samples_set)


def check_head(info: CheckpointInfo, metrics: Collection[str]) -> None:
    """Raises a CheckpointError if metrics cannot be computed with a network."""
    if info.head.pool != 'average':
        raise CheckpointError(f'{info.path} has the head {info.head}; generative metrics need the '
                              'average of the last grid.')
    if 'isc' in metrics and info.head.hidden:
        raise CheckpointError(f'{info.path} has the head {info.head}; the Inception Score needs '
                              'one dense layer.')


def _conventions(protocol: str | None, resize: str, splits: int) -> Protocol:
    if protocol is None:
        return Protocol('', '', resize, METRICS, splits=splits, seed=2020)
    if protocol not in PROTOCOLS:
        raise InceptionSlimError(f'There is no protocol {protocol!r}; choose one of '
                                 f'{", ".join(PROTOCOLS)}.')
    return PROTOCOLS[protocol]


def _choose(metrics: Collection[str] | None, conventions: Protocol, protocol: str | None,
            sets: list[ImageSet], kid_subset_size: int) -> tuple[set[str], list[str]]:
    """The metrics to compute, and why some are left out.

    Raises:
      DatasetError: a metric that was asked for cannot be computed.
      InceptionSlimError: there is no such metric.
    """
    chosen = set(metrics if metrics is not None else conventions.metrics)
    if metrics is None and protocol is None:
        chosen -= _ON_REQUEST
    if unknown := chosen - set(METRICS):
        raise InceptionSlimError(f'There is no metric {", ".join(sorted(unknown))}; choose from '
                                 f'{", ".join(METRICS)}.')
    if 'fid_infinity' in chosen:
        chosen.add('fid')
    notes = []
    for name in sorted(chosen):
        problem = _problem(name, sets, kid_subset_size)
        if problem is None:
            continue
        if metrics is not None:
            raise DatasetError(f'{_TITLES[name]} cannot be computed: {problem}.')
        chosen.discard(name)
        if len(sets) > 1 or name not in _WITH_REFERENCE:
            notes.append(f'{_TITLES[name]} left out: {problem}.')
    if not chosen:
        raise DatasetError(f'No metric can be computed of {sets[0].path}: '
                           + (notes[0] if notes else 'give a reference.'))
    return chosen, notes


_TITLES = {'fid': 'FID', 'fid_infinity': 'FID-infinity', 'sfid': 'sFID', 'kid': 'KID',
           'isc': 'The Inception Score', 'prc': 'Precision and recall',
           'dc': 'Density and coverage'}


def _problem(name: str, sets: list[ImageSet], kid_subset_size: int) -> str | None:
    """Why a metric cannot be computed of the inputs."""
    if name in _WITH_REFERENCE and len(sets) < 2:
        return 'it needs a reference'
    used = sets[:1] if name in _OF_SAMPLES else sets
    for images in used:
        stored = images.features is not None
        if name == 'fid' and not (images.statistics or images.images or stored):
            return f'{images.path} has no statistics'
        if name == 'sfid' and not (images.spatial or images.images):
            return f'{images.path} has neither images nor statistics of spatial features'
        if name in (*_WITH_FEATURES, 'isc') and not (images.images or stored):
            return f'{images.path} has statistics only'
    for images in used:
        count = len(images.features) if images.features is not None else (
            images.images.count if images.images else 0)
        if name == 'kid' and 0 < count < kid_subset_size:
            return f'{images.path} has {count:,} images, but a subset has {kid_subset_size:,}'
    return None


def _notes_on_inputs(samples: Images, reference: Images | None,
                     sets: list[ImageSet]) -> list[str]:
    notes = []
    if (reference is not None and isinstance(samples, (str, os.PathLike))
            and isinstance(reference, (str, os.PathLike))
            and os.path.realpath(samples) == os.path.realpath(reference)):
        notes.append('The samples and the reference are the same.')
    if sets[0].suffixes & {'.jpg', '.jpeg', '.jfif'}:
        notes.append('The samples are JPEG files: their compression changes FID; keep generated '
                     'images as PNG or in arrays.')
    if len({images.features is None for images in sets}) > 1:
        notes.append('Only one of the sets is stored features. Those of features and bulk are of '
                     'cropped images, and can only be compared with each other.')
    for title, images in zip(('samples', 'reference images'), sets):
        if len(images.sizes) > 1:
            sizes = sorted(images.sizes)
            notes.append(f'The {title} have several sizes, such as {_show_size(sizes[0])} and '
                         f'{_show_size(sizes[-1])}: programs that read them in batches need one.')
        elif images.sizes & _NETWORK_SIZES:
            notes.append(f'The {title} are {_show_size(min(images.sizes))}, an input size of these '
                         'networks: if they were resized to it, give them as they were before, '
                         'since FID depends on how.')
    return notes


def _show_size(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'


class _Rows:
    """An array that grows; allocated whole, since parts would have to be copied into one array.

    Args:
      capacity: the number of rows to expect.
    """

    def __init__(self, capacity: int):
        self._array = np.empty((capacity, 0), np.float32)
        self._count = 0

    def add(self, rows: np.ndarray) -> None:
        needed = self._count + len(rows)
        if not self._count:
            self._array = np.empty((max(len(self._array), needed), rows.shape[1]), np.float32)
        elif needed > len(self._array):
            larger = np.empty((max(needed, 2 * len(self._array)), rows.shape[1]), np.float32)
            larger[:self._count] = self.array
            self._array = larger
        self._array[self._count:needed] = rows
        self._count = needed

    @property
    def array(self) -> np.ndarray:
        return self._array[:self._count]


class _Collected:
    """What the metrics need of a set of images.

    Args:
      metrics: their names.
      images: the set; its statistics are not computed again.
    """

    def __init__(self, metrics: Collection[str], images: ImageSet):
        capacity = images.images.count if images.images else 0
        self._keeps_features = bool(_WITH_FEATURES & set(metrics))
        self._needs_moments = 'fid' in metrics and images.statistics is None
        self._count = 0
        self._moments, self._spatial_moments = RunningMoments(), RunningMoments()
        self._stored, self._stored_spatial = images.statistics, images.spatial
        self.features, self.logits = _Rows(capacity), _Rows(capacity)

    def add(self, features: np.ndarray, spatial: np.ndarray | None,
            logits: np.ndarray | None) -> None:
        self._count += len(features)
        if self._needs_moments:
            self._moments.add(features)
        if spatial is not None and self._stored_spatial is None:
            self._spatial_moments.add(spatial)
        if logits is not None:
            self.logits.add(logits)
        if self._keeps_features:
            self.features.add(features)

    @property
    def count(self) -> int | None:
        return self._count or (self._stored.count if self._stored else None)

    @property
    def statistics(self) -> Statistics:
        return self._stored or self._moments.statistics()

    @property
    def spatial(self) -> Statistics:
        return self._stored_spatial or self._spatial_moments.statistics()


class _Collector:
    """Computes what the metrics need; loads the network for the first images."""

    def __init__(self, checkpoint: Checkpoint, options: MetricOptions, conventions: Protocol,
                 metrics: Collection[str]):
        self._checkpoint, self._options = checkpoint, options
        self._conventions, self._metrics = conventions, set(metrics)
        self._context = contextlib.ExitStack()
        self._predictor: Predictor | None = None
        self._biases: np.ndarray | None = None
        self._resize: dict[tuple[int, ...], object] = {}
        self.unreadable: list[str] = []
        self.rotated: set[str] = set()

    def close(self) -> None:
        self._context.close()

    def _load(self, source: ImageSource | None) -> Predictor:
        if self._predictor is None:
            info = inspect_checkpoint(self._checkpoint, self._options)
            check_head(info, self._metrics)
            self._image_size = registry.NETWORKS[info.network].image_size
            if info.image_size != self._image_size:
                raise InceptionSlimError(
                    f'{info.path} is loaded for images of {info.image_size}x{info.image_size}, but '
                    f'metrics are of {self._image_size}x{self._image_size}; load it without '
                    'image_size.')
            self._predictor = self._context.enter_context(open_predictor(
                self._checkpoint, self._options, lambda: next(self._read(
                    source, CALIBRATION_IMAGES))['image'], source.count if source else None,
                spatial='sfid' in self._metrics))
        return self._predictor

    def _read(self, source: ImageSource | None, batch_size: int,
              unreadable: list[str] | None = None,
              rotated: set[str] | None = None) -> Iterator[dict[str, np.ndarray]]:
        assert source is not None  # images that are calibrated on, or collected
        return source.read(
            batch_size, image_size=self._image_size, strict=self._options.strict,
            unreadable=unreadable, max_pixels=self._options.max_pixels,
            exif=self._options.exif, background=self._options.background, rotated=rotated,
            prepare=RESIZE_FUNCTIONS[self._conventions.resize])

    def has_classifier(self, images: ImageSet) -> bool:
        return self._load(images.images).info.num_classes is not None

    def origin(self, images: ImageSet, count: int | None = None) -> Origin | None:
        """What the features of images are computed of; None for stored features."""
        if images.features is not None:
            return None
        return origin_of(self._load(images.images), self._conventions.resize, count)

    def compare_origins(self, sets: list[ImageSet], force: bool) -> list[str]:
        """Compares what stored statistics say they were computed of with the other set.

        Returns:
          Notes on statistics that do not say it, and on differences that `force` allows.

        Raises:
          DatasetError: they differ.
        """
        if len(sets) < 2 or not self._metrics & {'fid', 'sfid'}:
            return []
        notes = [f'It is not known what {images.path} was computed of: its network and resizing '
                 'must be those of the other set.'
                 for images in sets if images.statistics and images.statistics.origin is None]
        if notes or not any(images.statistics for images in sets):
            return notes
        first, second = (images.statistics.origin if images.statistics else self.origin(images)
                         for images in sets)
        if first is None or second is None:
            return notes
        for name, value, other in first.differences(second):
            message = (f'{sets[0].path} has the {name} {value}, {sets[1].path} {other}')
            if not force:
                raise DatasetError(f'{message}: compute both alike, or give force to compare them '
                                   'nevertheless.')
            notes.append(f'{message}, so the values say little.')
        if first.precision != second.precision:
            notes.append(f'{sets[0].path} was computed in {first.precision}, {sets[1].path} in '
                         f'{second.precision}.')
        return notes

    def collect(self, images: ImageSet, is_reference: bool) -> _Collected:
        """Computes the features of a set of images that its metrics need."""
        metrics = self._metrics - (_OF_SAMPLES if is_reference else frozenset())
        collected = _Collected(metrics, images)
        needs_images = (
            metrics & (_WITH_FEATURES | {'isc'})
            or 'fid' in metrics and images.statistics is None
            or 'sfid' in metrics and images.spatial is None)
        if not needs_images:
            return collected
        if images.features is not None:
            for start in range(0, len(images.features), 1024):
                self._add(collected, images.features[start:start + 1024], None, None, is_reference)
            return collected
        predictor = self._load(images.images)
        assert images.images is not None  # `_problem` has looked
        batches = self._read(images.images, self._options.batch_size, self.unreadable,
                             self.rotated)
        for batch in progress(batches, images.images.count, self.unreadable):
            self._run(predictor, collected, batch['image'], batch['name'], is_reference)
        return collected

    def add_images(self, collected: _Collected, images: np.ndarray) -> None:
        """Adds images of any size, `[N, height, width, 3]` uint8."""
        predictor = self._load(None)
        size = images.shape[1:3]
        if size not in self._resize:
            self._resize[size] = self._context.enter_context(array_preparer(
                size, self._image_size, RESIZE_FUNCTIONS[self._conventions.resize]))
        self._run(predictor, collected, self._resize[size](images),  # type: ignore[operator]
                  None, is_reference=False)

    def _run(self, predictor: Predictor, collected: _Collected, images: np.ndarray,
             names: np.ndarray | None, is_reference: bool) -> None:
        spatial = None
        if 'sfid' in self._metrics:
            features, spatial = predictor.features_and_spatial(images, names)
        else:
            features = predictor.features(images, names)
        self._add(collected, features, spatial, names, is_reference)

    def _add(self, collected: _Collected, features: np.ndarray, spatial: np.ndarray | None,
             names: np.ndarray | None, is_reference: bool) -> None:
        logits = None
        if 'isc' in self._metrics and not is_reference:
            predictor = self._load(None)
            if predictor.info.num_classes is not None:
                logits = predictor.logits_from_features(features, names)
                if not self._conventions.with_biases:
                    if self._biases is None:
                        self._biases = predictor.logits_from_features(np.zeros_like(features[:1]))
                    logits = logits - self._biases
        collected.add(features, spatial, logits)


def _compute(collected: list[_Collected], chosen: Collection[str], conventions: Protocol,
             kid_subsets: int, kid_subset_size: int, neighbors: int,
             notes: list[str]) -> dict[str, Any]:
    """The values of the metrics by the names of the result's attributes; adds to the notes."""
    values: dict[str, Any] = {}
    samples, reference = collected[0], collected[-1]
    if 'fid' in chosen:
        statistics = samples.statistics
        values['fid'] = frechet_distance(statistics, reference.statistics)
        channels = len(statistics.mu)
        del statistics  # 32 MiB that the other metrics do not need
        for title, count in (('samples', samples.count), ('reference images', reference.count)):
            if count is not None and count < channels:
                notes.append(f'{count:,} {title} are fewer than the {channels:,} features: FID is '
                             'too high, and can only be compared with that of as many.'
                             + (' FID-infinity is less biased.' if title == 'samples'
                                and 'fid_infinity' not in chosen else ''))
    if 'fid_infinity' in chosen:
        values['fid_infinity'] = fid_infinity(samples.features.array, reference.statistics)
    if 'sfid' in chosen:
        values['sfid'] = frechet_distance(samples.spatial, reference.spatial)
    if 'isc' in chosen:
        values['inception_score'], values['inception_score_deviation'] = (
            inception_score_of_logits(samples.logits.array, conventions.splits,
                                      conventions.seed, conventions.split_size))
    if _WITH_FEATURES & set(chosen):
        first, second = samples.features.array, reference.features.array
    if 'kid' in chosen:
        values['kid'], values['kid_deviation'] = kernel_inception_distance(
            first, second, kid_subsets, kid_subset_size)
    if 'prc' in chosen:
        regions = precision_recall(second, first, neighbors, conventions.distances)
        values['precision'], values['recall'] = regions.precision, regions.recall
    if 'dc' in chosen:
        balls = density_coverage(second, first)
        values['density'], values['coverage'] = balls.density, balls.coverage
    return values
