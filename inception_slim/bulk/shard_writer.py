"""The files of a shard of the output, as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import io
import os
from typing import Any

from inception_slim.bulk.parquet_reader import require_pyarrow
import numpy as np

TOP = 5


@dataclass(frozen=True)
class Shard:
    """What a file of the output holds, and what could not go into it.

    Attributes:
      piece, number: its own number, of those of a piece.
      last: whether the piece ends with it.
      rows: how many images answered.
      damaged: the name of each that did not, and why.
      files: their contents by their names; none without rows.
    """

    piece: int
    number: int
    last: bool
    rows: int
    damaged: list[tuple[str, str]]
    files: dict[str, bytes] = field(repr=False)


def shard_name(piece: int, number: int) -> str:
    return f'part-{piece:07d}-{number:05d}'


def serialize_shard(
    stem: str,
    names: Sequence[str],
    values: np.ndarray,
    output_type: str,
    format: str,
    dtype: str,
    labels: Sequence[str],
) -> dict[str, bytes]:
    """What a shard is written as.

    Args:
      names: of the images.
      values: what the network says of them, a row each: features, or probabilities.
      output_type, format, dtype: see `BulkOptions`.
      labels: the names of the classes.
    """
    names = [printable_name(name) for name in names]
    if output_type != 'features':
        count = TOP if output_type == 'top5' else 1
        classes = np.argsort(-values, axis=1, kind='stable')[:, :count].astype(np.int32)
        best = np.take_along_axis(values, classes, axis=1).astype(dtype)
    if format == 'npy':
        listed = ''.join(name.replace('\n', '\\n') + '\n' for name in names).encode()
        made = {f'{stem}.txt': listed}
        if output_type == 'top5':
            made[f'{stem}.classes.npy'] = _npy(classes)
            made[f'{stem}.npy'] = _npy(best)
        else:
            made[f'{stem}.npy'] = _npy(values.astype(dtype))
        return made
    arrow = require_pyarrow()
    columns: dict[str, Any] = {'name': arrow.array(names, arrow.string())}
    if output_type == 'features':
        columns['features'] = _vectors(arrow, values.astype(dtype))
    elif output_type == 'predictions':
        columns['class'] = arrow.array(classes[:, 0])
        columns['label'] = arrow.array([labels[each] for each in classes[:, 0].tolist()],
                                       arrow.string())
        columns['probability'] = arrow.array(best[:, 0])
        columns['predictions'] = _vectors(arrow, values.astype(dtype))
    else:
        columns['classes'] = _vectors(arrow, classes)
        named = arrow.array([labels[int(each)] for each in classes.ravel()], arrow.string())
        columns['labels'] = arrow.FixedSizeListArray.from_arrays(named, classes.shape[1])
        columns['probabilities'] = _vectors(arrow, best)
    written = io.BytesIO()
    # Of vectors, no number is there twice: a dictionary of them would be work for nothing.
    arrow.parquet.write_table(arrow.table(columns), written, compression='zstd',
                              use_dictionary=['label', 'labels.list.element'])
    return {f'{stem}.parquet': written.getvalue()}


def _vectors(arrow: Any, values: np.ndarray) -> Any:
    return arrow.FixedSizeListArray.from_arrays(arrow.array(values.ravel()), values.shape[1])


def _npy(values: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.save(written, values, allow_pickle=False)
    return written.getvalue()


def printable_name(name: str) -> str:
    """A name as text, which the name of a file need not be: its other bytes as `\\xff`."""
    return os.fsencode(name).decode('utf-8', 'backslashreplace')
