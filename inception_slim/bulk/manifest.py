"""The manifest of a bulk run: what was requested and what is finished, so a run can be resumed.

`_manifest.json` holds the options and a summary of the sources, `_work_units.jsonl` one work unit
per line. After a shard is written, its record is added to `_done`; a shard without a record is
computed again and overwritten. At the end the records are merged into `_unreadable.csv`, and the
manifest gets the totals. For statistics, the moments of each shard are in `_done` too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import hashlib
import json
import re
from typing import Any

from inception_slim.bulk.options import STATISTICS, UNREADABLE
from inception_slim.bulk.output import DONE, OutputStore, Shard, merge_statistics, shard_name
from inception_slim.bulk.readers import WorkUnit
from inception_slim.bulk.sources import to_json_line
from inception_slim.bulk.worker import Task
from inception_slim.data.name_list import to_csv_line
from inception_slim.errors import DatasetError
import tensorflow.compat.v1 as tf

VERSION = 5
MANIFEST, WORK_UNITS = '_manifest.json', '_work_units.jsonl'
_RECORD_NAME = re.compile(r'part-(\d+)-(\d+)(-end)?\.json')
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Totals:
    """Numbers of images with a result, of skipped images, of shards, and of rotated images."""

    images: int
    unreadable: int
    shards: int
    rotated: int


def checkpoint_sha256(prefix: str) -> str:
    """Returns the SHA-256 of the files of a checkpoint."""
    digest = hashlib.sha256()
    for path in checkpoint_files(prefix):
        with tf.io.gfile.GFile(path, 'rb') as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def checkpoint_files(prefix: str) -> list[str]:
    """Returns the files with the weights of a checkpoint, given by its prefix or its file."""
    if tf.io.gfile.exists(prefix):
        return [prefix]
    if not tf.io.gfile.exists(prefix + '.index'):
        return sorted(tf.io.gfile.glob(prefix))
    escaped = re.sub(r'([*?\[\]\\])', r'\\\1', prefix)
    return [prefix + '.index', *sorted(tf.io.gfile.glob(escaped + '.data-?????-of-?????'))]


class Manifest:
    """The manifest of a run in an output store; see `open_or_resume`."""

    def __init__(self, store: OutputStore, content: dict[str, Any]):
        self._store, self._content = store, content

    @property
    def images(self) -> int | None:
        """Number of images in the sources; None if TFRecord files are among them."""
        return self._content['sources']['images']

    @property
    def totals(self) -> Totals | None:
        """The totals of a finished run; None for an unfinished one."""
        finished = self._content['finished']
        return finished and Totals(**finished)

    def sample_work_units(self, count: int) -> list[WorkUnit]:
        """Returns up to `count` work units at regular intervals."""
        step = max(1, self._content['sources']['work_units'] // count)
        return [unit for number, unit in enumerate(self._work_units())
                if number % step == 0][:count]

    def pending_tasks(self) -> Iterator[Task]:
        """Yields the work units that are not finished."""
        done: dict[int, set[int]] = defaultdict(set)
        last_shards: dict[int, int] = {}
        for name in self._store.names(DONE):
            if match := _RECORD_NAME.fullmatch(name):
                unit, shard = int(match[1]), int(match[2])
                done[unit].add(shard)
                if match[3]:
                    last_shards[unit] = shard
        for number, work_unit in enumerate(self._work_units()):
            shards = done.get(number, set())
            if number not in last_shards or len(shards) <= last_shards[number]:
                yield Task(number, work_unit, frozenset(shards))

    def _work_units(self) -> Iterator[WorkUnit]:
        with self._store.open(WORK_UNITS) as lines:
            yield from map(json.loads, lines)

    def partial_totals(self) -> Totals:
        """Returns the totals of the shards that are finished so far."""
        images = unreadable = shards = rotated = 0
        for record in self._records():
            images += record['images']
            unreadable += len(record['unreadable'])
            shards += record['images'] > 0
            rotated += record['rotated']
        return Totals(images, unreadable, shards, rotated)

    def _records(self) -> Iterator[dict[str, Any]]:
        for name in self._store.names(DONE):
            if _RECORD_NAME.fullmatch(name):
                with self._store.open(f'{DONE}/{name}') as file:
                    yield json.load(file)

    def add(self, shard: Shard) -> None:
        """Writes the files of a shard, and then its record."""
        for name, content in shard.files.items():
            self._store.write(name, [content])
        suffix = '-end' if shard.last else ''
        record = {'images': shard.rows, 'unreadable': shard.unreadable,
                  'rotated': shard.rotated}
        self._store.write(f'{DONE}/{shard_name(shard.unit, shard.number)}{suffix}.json',
                          [json.dumps(record).encode()])

    def finish(self) -> Totals:
        """Replaces the records by `_unreadable.csv`, the statistics and the totals."""
        totals = self.partial_totals()
        if totals.images and self._content['output_type'] == 'statistics':
            self._store.write(STATISTICS, [merge_statistics(self._store)])
        self._store.write(UNREADABLE, _to_csv(
            row for record in self._records() for row in record['unreadable']))
        self._content = {**self._content, 'finished': vars(totals)}
        self._store.write(MANIFEST, [_to_json(self._content)])
        self._store.remove(DONE)
        return totals


def open_or_resume(
    store: OutputStore, request: dict[str, Any], units: Iterable[WorkUnit]
) -> Manifest:
    """Starts a run in an output store, or resumes the one that is there.

    Args:
      store: the output store.
      request: everything that determines the output, with the keys 'checkpoint' and 'labels'.
      units: all work units.

    Raises:
      DatasetError: the store contains another run or other files, or there are no images.
    """
    names = store.names()
    if MANIFEST not in names:
        return _start(store, request, units, names)
    content = _read_manifest(store, request)
    for key, value in request.items():
        if content[key] != value:
            raise DatasetError(f'{store.path} contains a run with '
                               f'{_describe_difference(key, content[key], value)}. Give the same '
                               'options, or another output folder.')
    listing = _Listing(units)
    for _ in listing:
        pass
    old, new = content['sources'], listing.summary()
    if old != new:
        raise DatasetError(
            f'{store.path} contains a run with other sources: {_describe_sources(old)} before, '
            f'{_describe_sources(new)} now, or other names or sizes. Give the same sources, or '
            'another output folder.')
    manifest = Manifest(store, content)
    if manifest.totals is not None:
        store.remove(DONE)  # if the run was killed just before it could
    return manifest


def _start(store: OutputStore, request: dict[str, Any], units: Iterable[WorkUnit],
           names: list[str]) -> Manifest:
    others = [name for name in names if not name.startswith('_')]
    if others:
        raise DatasetError(f'{store.path} contains other files, such as {others[0]}; give an empty '
                           'or new folder.')
    listing = _Listing(units)
    store.write(WORK_UNITS, listing)
    if not listing.work_units:
        raise DatasetError('No images were given; give images, TFRecord files, Parquet files, '
                           'folders of these, or text files that list images.')
    content = {'version': VERSION, **request, 'sources': listing.summary(), 'finished': None}
    store.write(MANIFEST, [_to_json(content)])
    return Manifest(store, content)


def _read_manifest(store: OutputStore, request: dict[str, Any]) -> dict[str, Any]:
    path = f'{store.path}/{MANIFEST}'
    with store.open(MANIFEST) as file:
        try:
            content = json.load(file)
            version = content['version']
        except (ValueError, KeyError, TypeError):
            raise DatasetError(f'{path} is damaged or not a manifest of bulk; remove it, or give '
                               'another output folder.') from None
    if version != VERSION:
        raise DatasetError(f'{path} has version {version}, but this inception_slim supports only '
                           f'version {VERSION}; give another output folder.')
    missing = {*request, 'sources', 'finished'} - set(content)
    if missing:
        raise DatasetError(f'{path} is damaged: it has no {min(missing)!r}; remove it, or give '
                           'another output folder.')
    return content


class _Listing:
    """Serializes work units line by line, and summarizes them afterwards."""

    def __init__(self, units: Iterable[WorkUnit]):
        self._units = units
        self._digest = hashlib.sha256()
        self._images: int | None = 0
        self.work_units = 0

    def __iter__(self) -> Iterator[bytes]:
        for unit in self._units:
            line = to_json_line(unit)
            self._digest.update(line)
            self.work_units += 1
            known = self._images is not None and unit['images'] is not None
            self._images = self._images + unit['images'] if known else None
            yield line

    def summary(self) -> dict[str, Any]:
        return {'work_units': self.work_units, 'images': self._images,
                'sha256': self._digest.hexdigest()}


def _describe_sources(summary: dict[str, Any]) -> str:
    if summary['images'] is None:
        return f'{summary["work_units"]:,} work units'
    return f'{summary["images"]:,} images'


def _describe_difference(key: str, old: Any, new: Any) -> str:
    if key == 'checkpoint':
        return 'another checkpoint'
    if key == 'labels':
        return 'other labels'
    return f'{key} {old}, not {new}'


def _to_json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode() + b'\n'


def _to_csv(rows: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    yield to_csv_line(('name', 'reason'))
    yield from map(to_csv_line, rows)
