"""What a run of a folder is, and how far it is: what lets the same command go on.

`_manifest.json` says what is asked for, and of what; `_pieces.jsonl` how the sources are cut, a
piece a line. Each shard that is written has a record in `_done`, which is written after it: a shard
without one is made again, over whatever there is of it. At the end the records become
`_damaged.csv`, and the manifest says that the run is finished.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
import csv
from dataclasses import dataclass
import hashlib
import io
import json
import re
from typing import Any

from inception_slim.bulk.output_store import OutputStore
from inception_slim.bulk.shard_writer import Shard, printable_name, shard_name
from inception_slim.bulk.sources import WorkUnit, to_json_line
from inception_slim.bulk.worker import Task
from inception_slim.errors import DatasetError
import tensorflow.compat.v1 as tf

MANIFEST, PIECES, DAMAGED, DONE = '_manifest.json', '_pieces.jsonl', '_damaged.csv', '_done'
_DONE_NAME = re.compile(r'part-(\d+)-(\d+)(-end)?\.json')
_CHUNK = 2**20


@dataclass(frozen=True)
class Totals:
    """What a run has written, all its parts together."""

    images: int
    damaged: int
    shards: int


def checkpoint_sha256(prefix: str) -> str:
    """The SHA-256 of a checkpoint's files, from `checkpoint.find_prefix`."""
    found = hashlib.sha256()
    for file in checkpoint_files(prefix):
        with tf.io.gfile.GFile(file, 'rb') as opened:
            while chunk := opened.read(_CHUNK):
                found.update(chunk)
    return found.hexdigest()


def checkpoint_files(prefix: str) -> list[str]:
    """The files of a checkpoint of either format, but for its graph."""
    if tf.io.gfile.exists(prefix):
        return [prefix]
    if not tf.io.gfile.exists(prefix + '.index'):
        return sorted(tf.io.gfile.glob(prefix))
    escaped = re.sub(r'([*?\[\]\\])', r'\\\1', prefix)
    return [prefix + '.index', *sorted(tf.io.gfile.glob(escaped + '.data-?????-of-?????'))]


class Manifest:
    """A run in a folder. Made by `opened`."""

    def __init__(self, place: OutputStore, content: dict[str, Any]):
        self._place, self._content = place, content

    @property
    def pieces(self) -> int:
        return self._content['sources']['pieces']

    @property
    def images(self) -> int | None:
        """How many the sources hold, good and bad; None where only reading them all would tell."""
        return self._content['sources']['images']

    @property
    def total(self) -> Totals | None:
        """What was written; None as long as the run is not finished."""
        finished = self._content['finished']
        return finished and Totals(**finished)

    def some_pieces(self, count: int) -> list[WorkUnit]:
        """So many from all over them."""
        step = max(1, self.pieces // count)
        return [piece for number, piece in enumerate(self._all()) if not number % step][:count]

    def todo(self) -> Iterator[Task]:
        """What is left to do."""
        done: dict[int, set[int]] = defaultdict(set)
        ends: dict[int, int] = {}
        for name in self._place.names(DONE):
            if found := _DONE_NAME.fullmatch(name):
                place, shard = int(found[1]), int(found[2])
                done[place].add(shard)
                if found[3]:
                    ends[place] = shard
        for number, piece in enumerate(self._all()):
            shards = done.get(number, set())
            if number not in ends or len(shards) <= ends[number]:
                yield Task(number, piece, frozenset(shards))

    def _all(self) -> Iterator[WorkUnit]:
        with self._place.open(PIECES) as lines:
            yield from map(json.loads, lines)

    def so_far(self) -> Totals:
        """What the records tell."""
        images = damaged = shards = 0
        for record in self._records():
            images += record['images']
            damaged += len(record['damaged'])
            shards += record['images'] > 0
        return Totals(images, damaged, shards)

    def _records(self) -> Iterator[dict[str, Any]]:
        for name in self._place.names(DONE):
            if _DONE_NAME.fullmatch(name):
                with self._place.open(f'{DONE}/{name}') as file:
                    yield json.load(file)

    def add(self, shard: Shard) -> None:
        """Writes a shard, and then that it is written."""
        for name, content in shard.files.items():
            self._place.write(name, [content])
        end = '-end' if shard.last else ''
        record = {'images': shard.rows, 'damaged': shard.damaged}
        self._place.write(f'{DONE}/{shard_name(shard.piece, shard.number)}{end}.json',
                          [json.dumps(record).encode()])

    def finish(self) -> Totals:
        """Turns the records into what is left for readers."""
        total = self.so_far()
        self._place.write(DAMAGED, _table(
            row for record in self._records() for row in record['damaged']))
        self._content = {**self._content, 'finished': vars(total)}
        self._place.write(MANIFEST, [_json(self._content)])
        self._place.remove(DONE)
        return total


def open_or_resume(
    place: OutputStore, wanted: dict[str, Any], pieces: Iterable[WorkUnit]
) -> Manifest:
    """Begins a run, or goes on with the one that is there.

    Args:
      wanted: what decides about the output; 'checkpoint' and 'labels' among it.
      pieces: all of them.

    Raises:
      DatasetError: there is another run in the folder, or something else.
    """
    names = place.names()
    if MANIFEST not in names:
        others = [name for name in names if not name.startswith('_')]
        if others:
            raise DatasetError(f'{place.path} holds something else, such as {others[0]}; give a '
                               'folder that is empty or not there yet.')
        sources = _Listing(pieces)
        place.write(PIECES, sources)
        if not sources.pieces:
            raise DatasetError('No images were given; give images, TFRecords, Parquet files, '
                               'folders of them, or text files that list them.')
        content = {'version': 1, **wanted, 'sources': sources.summary(), 'finished': None}
        place.write(MANIFEST, [_json(content)])
        return Manifest(place, content)
    with place.open(MANIFEST) as file:
        try:
            content = json.load(file)
            begun = {key: content[key] for key in ('version', *wanted, 'sources', 'finished')}
        except (ValueError, KeyError, TypeError):
            raise DatasetError(f'{place.path}/{MANIFEST} is damaged, or of another program; give '
                               'another folder, or remove this one.') from None
    for key, value in wanted.items():
        if begun[key] != value:
            raise DatasetError(f'{place.path} was begun with {_said(key, begun[key], value)} now; '
                               'give the same as then, or another folder.')
    sources = _Listing(pieces)
    for _ in sources:
        pass
    now, then = sources.summary(), content['sources']
    if now != then:
        raise DatasetError(
            f'{place.path} was begun with other sources: {_counted(then)} then, {_counted(now)} '
            'now, or with other names or sizes; give the same as then, or another folder.')
    manifest = Manifest(place, content)
    if manifest.total is not None:
        place.remove(DONE)  # in case its finisher was killed before it could
    return manifest


class _Listing:
    """The lines of pieces, and what they come to, once all have been taken."""

    def __init__(self, pieces: Iterable[WorkUnit]):
        self._pieces = pieces
        self._hash = hashlib.sha256()
        self._images: int | None = 0
        self.pieces = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            line = to_json_line(piece)
            self._hash.update(line)
            self.pieces += 1
            known = self._images is not None and piece['images'] is not None
            self._images = self._images + piece['images'] if known else None
            yield line

    def summary(self) -> dict[str, Any]:
        return {'pieces': self.pieces, 'images': self._images, 'sha256': self._hash.hexdigest()}


def _counted(sources: dict[str, Any]) -> str:
    if sources['images'] is None:
        return f'{sources["pieces"]:,} pieces'
    return f'{sources["images"]:,} images'


def _said(key: str, then: Any, now: Any) -> str:
    if key in ('checkpoint', 'labels'):
        return f'another {key.removesuffix("s")}{"s" if key == "labels" else ""} than'
    return f'{key} {then}, but it is {now}'


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode() + b'\n'


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    yield _csv(('name', 'reason'))
    for name, reason in rows:
        yield _csv((printable_name(name), reason))


def _csv(row: tuple[str, str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator='\n').writerow(row)
    return line.getvalue().encode('utf-8', 'backslashreplace')
