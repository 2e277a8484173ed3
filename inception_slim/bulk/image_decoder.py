"""Encoded images to what a network wants, on threads, ahead of their use.

Each image by itself, unlike in `data.batches`: so a damaged one says why it is, the number of
threads is the caller's, and reading from elsewhere waits in threads that do nothing else.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from inception_slim import data
from inception_slim.bulk.readers import Example, UnreadableImage, read_bytes
from inception_slim.data import preprocessing
from inception_slim.data.filesystem import is_remote
from inception_slim.inference.engines.session import single_thread_config
import numpy as np
import tensorflow.compat.v1 as tf

_READERS = 16  # that wait for what is elsewhere


class Decoder:
    """Decodes and resizes images as `preprocessing.for_evaluation` does."""

    def __init__(self, image_size: int, threads: int, folder: str):
        self._folder = folder
        with tf.Graph().as_default() as graph:
            content = tf.placeholder(tf.string, ())
            image = preprocessing.for_evaluation(data.decode(content), image_size)
        self._session = tf.Session(graph=graph, config=single_thread_config(1))
        self._call = self._session.make_callable(image, [content])
        self._decoders = ThreadPoolExecutor(threads, 'inception_slim')
        self._readers = ThreadPoolExecutor(_READERS, 'inception_slim')

    def close(self) -> None:
        self._readers.shutdown(cancel_futures=True)
        self._decoders.shutdown(cancel_futures=True)
        self._session.close()

    def images(self, items: Iterable[Any], ahead: int) -> Iterator[tuple[Any, Any]]:
        """Each item with its image, `[side, side, 3]` float32, or why it is `Damaged`.

        Args:
          items: examples; whatever else is among them comes out in its place, with None.
          ahead: how many are decoded before they are asked for.

        Raises:
          DatasetError: an image cannot be read now.
        """
        waiting: collections.deque[tuple[Any, Future | None]] = collections.deque()
        for item in items:
            waiting.append((item, self._begin(item) if isinstance(item, Example) else None))
            if len(waiting) > ahead:
                yield _ended(*waiting.popleft())
        while waiting:
            yield _ended(*waiting.popleft())

    def image(self, example: Example) -> np.ndarray:
        """One, in this thread.

        Raises:
          Damaged, DatasetError: see `examples.encoded`.
        """
        return self._decoded(read_bytes(example, self._folder))

    def _begin(self, example: Example) -> Future:
        if example.encoded is None and is_remote(example.name):
            read = self._readers.submit(read_bytes, example, self._folder)
            return self._decoders.submit(lambda: self._decoded(read.result()))
        return self._decoders.submit(self.image, example)

    def _decoded(self, content: bytes) -> np.ndarray:
        try:
            return self._call(content)
        except tf.errors.OpError as error:
            raise UnreadableImage(_reason(error)) from None


def _reason(error: tf.errors.OpError) -> str:
    """TensorFlow's words, without the place in its graph."""
    lines = error.message.split('\n\t [[')[0].strip().splitlines()
    return lines[-1].rstrip('.') if lines else 'it cannot be decoded'


def _ended(item: Any, future: Future | None) -> tuple[Any, Any]:
    if future is None:
        return item, None
    try:
        return item, future.result()
    except UnreadableImage as damage:
        return item, damage
