"""Thumbnails of images and heatmaps, encoded as JPEG and PNG."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow.compat.v1 as tf

SMALL = 96  # pixels per side, for pages of many images
LARGE = 192
MAX_IMAGES = 1_500  # per page
MAX_BYTES = 7_500_000  # of all thumbnails of a page; base64 makes them a third larger
_MAX_LARGE = 400  # a page of at most so many images shows them large
_JPEG_QUALITY = 80


class ThumbnailEncoder:
    """Encodes preprocessed images and heatmaps; a context that holds a session."""

    def __init__(self) -> None:
        with tf.Graph().as_default() as graph:
            self._image = tf.placeholder(tf.float32, (None, None, 3))
            self._side = tf.placeholder(tf.int32, ())
            resized = tf.raw_ops.ResizeArea(images=self._image[tf.newaxis],
                                            size=tf.stack([self._side, self._side]))[0]
            pixels = tf.saturate_cast(tf.round((resized + 1) / 2 * 255), tf.uint8)
            self._jpeg = tf.io.encode_jpeg(pixels, quality=_JPEG_QUALITY, optimize_size=True)
            self._rgba = tf.placeholder(tf.uint8, (None, None, 4))
            self._png = tf.io.encode_png(self._rgba)
        self._session = tf.Session(graph=graph)

    def encode_jpeg(self, image: np.ndarray, side: int) -> bytes:
        """Encodes `[height, width, 3]` in [-1, 1] as a JPEG of `side` by `side` pixels."""
        return self._session.run(self._jpeg, {self._image: image, self._side: side})

    def encode_heatmap(self, heatmap: np.ndarray) -> bytes | None:
        """Encodes a heatmap as a transparent PNG overlay; None if it is 0 everywhere.

        The PNG has the heatmap's resolution; browsers interpolate when they enlarge it.

        Args:
          heatmap: `[height, width]`, at least 0.
        """
        highest = heatmap.max()
        if not highest > 0:
            return None
        strength = heatmap / highest
        # Transparent to yellow to red: readable with red-green blindness, by its opacity.
        rgba = np.stack([np.ones_like(strength), 0.85 * (1 - strength), 0.1 * (1 - strength),
                         0.75 * strength], axis=-1)
        return self._session.run(self._png, {
            self._rgba: np.round(rgba * 255).astype(np.uint8)})

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> ThumbnailEncoder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Gallery:
    """Thumbnails of the first images of a sequence, as many as fit on a page; a context.

    Args:
      expected: the number of images; many images are shown small.

    Attributes:
      jpegs: thumbnails by the index of the image.
      heatmaps: PNG overlays by the same index; none for a heatmap that is 0 everywhere.
    """

    def __init__(self, expected: int):
        self._encoder = ThumbnailEncoder()
        self._side = LARGE if expected <= _MAX_LARGE else SMALL
        self._size = self._count = 0
        self.jpegs: dict[int, bytes] = {}
        self.heatmaps: dict[int, bytes] = {}

    def add(self, images: np.ndarray) -> list[int]:
        """Adds a batch of images; returns the positions in the batch of those that are shown."""
        shown = []
        for position, image in enumerate(images):
            if len(self.jpegs) < MAX_IMAGES and self._size < MAX_BYTES:
                jpeg = self._encoder.encode_jpeg(image, self._side)
                self._size += len(jpeg)
                self.jpegs[self._count] = jpeg
                shown.append(position)
            self._count += 1
        return shown

    def add_heatmaps(self, heatmaps: Iterable[np.ndarray]) -> None:
        """Adds the heatmaps of the images that the last `add` returned, in their order."""
        heatmaps = list(heatmaps)
        for index, heatmap in zip(list(self.jpegs)[len(self.jpegs) - len(heatmaps):], heatmaps):
            if png := self._encoder.encode_heatmap(heatmap):
                self.heatmaps[index] = png

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *error: object) -> None:
        self._encoder.close()
