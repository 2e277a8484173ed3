"""Images as they stand in a report: small, encoded, inlined."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import numpy as np
import tensorflow.compat.v1 as tf

SMALL = 96  # pixels of a side, where there are many
LARGE = 192
IMAGES = 1_500  # of a page at most
BYTES = 7_500_000  # of their files at most, which are a third larger in a page
_FEW = 400  # images that can all be large
_QUALITY = 80  # of JPEG, of 100


class ThumbnailEncoder:
    """Encodes what a network sees of images; a context that holds a session."""

    def __init__(self) -> None:
        with tf.Graph().as_default() as graph:
            self._image = tf.placeholder(tf.float32, (None, None, 3))
            self._side = tf.placeholder(tf.int32, ())
            small = tf.raw_ops.ResizeArea(images=self._image[tf.newaxis],
                                          size=tf.stack([self._side, self._side]))[0]
            self._jpeg = tf.io.encode_jpeg(_bytes((small + 1) / 2), quality=_QUALITY,
                                           optimize_size=True)
            self._pixels = tf.placeholder(tf.uint8, (None, None, 4))
            self._png = tf.io.encode_png(self._pixels)
        self._session = tf.Session(graph=graph)

    def jpeg(self, image: np.ndarray, side: int) -> bytes:
        """`[height, width, 3]` in [-1, 1] as a JPEG of `side` by `side` pixels."""
        return self._session.run(self._jpeg, {self._image: image, self._side: side})

    def layer(self, heat: np.ndarray) -> bytes | None:
        """A heatmap as a PNG to lay over its image; None where it is 0 everywhere.

        As few pixels as the heatmap has, since browsers smooth what they enlarge.

        Args:
          heat: `[height, width]`, at least 0.
        """
        highest = heat.max()
        if not highest > 0:
            return None
        part = heat / highest
        # From nothing by yellow to red, which red-green blindness tells apart by its strength.
        colour = np.stack([np.ones_like(part), 0.85 * (1 - part), 0.1 * (1 - part),
                           0.75 * part], axis=-1)
        return self._session.run(self._png, {
            self._pixels: np.round(colour * 255).astype(np.uint8)})

    def __enter__(self) -> ThumbnailEncoder:
        return self

    def __exit__(self, *error: object) -> None:
        self._session.close()


class Gallery:
    """The first of many images, as many as a page has room for; a context.

    Attributes:
      jpegs: by the place of the image among all.
      layers: PNGs to lay over them, by the same; none where a heatmap is 0 everywhere.
    """

    def __init__(self, expected: int):
        self._pictures = ThumbnailEncoder()
        self._side = LARGE if expected <= _FEW else SMALL
        self._size = self._count = 0
        self.jpegs: dict[int, bytes] = {}
        self.layers: dict[int, bytes] = {}

    def add(self, images: np.ndarray) -> list[int]:
        """The next images; the places in the batch of those that are shown."""
        taken = []
        for at, image in enumerate(images):
            if len(self.jpegs) < IMAGES and self._size < BYTES:
                jpeg = self._pictures.jpeg(image, self._side)
                self._size += len(jpeg)
                self.jpegs[self._count] = jpeg
                taken.append(at)
            self._count += 1
        return taken

    def lay_over(self, heat: Iterable[np.ndarray]) -> None:
        """Heatmaps of the last images that `add` took, in their order."""
        heat = list(heat)
        for number, each in zip(list(self.jpegs)[len(self.jpegs) - len(heat):], heat):
            layer = self._pictures.layer(each)
            if layer:
                self.layers[number] = layer

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *error: object) -> None:
        self._pictures.__exit__()


def _bytes(image: tf.Tensor) -> tf.Tensor:
    """[0, 1] to uint8."""
    return tf.saturate_cast(tf.round(image * 255), tf.uint8)


def data_uri(encoded: bytes) -> str:
    """What stands for a file in a page: a data URI."""
    kind = 'png' if encoded.startswith(b'\x89PNG') else 'jpeg'
    return f'data:image/{kind};base64,{base64.b64encode(encoded).decode()}'
