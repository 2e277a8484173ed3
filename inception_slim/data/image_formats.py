"""Recognizes image formats, and converts what TensorFlow does not decode.

TensorFlow decodes JPEG, PNG, GIF, most BMP and some WebP. Pillow decodes the other formats, and
transparent images over a background; they become BMP, so that one pipeline takes all.

Sources: TIFF 6.0, ISO 14496-12 (the boxes of AVIF and HEIC), ISO 18181-2 (JPEG XL), RFC 9649
(WebP), and Microsoft's BITMAPINFOHEADER.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from inception_slim._optional import require
from inception_slim.data.exif import read_orientation
from inception_slim.data.image_header import (
    count_frames,
    count_halvings,
    image_size,
    problem_with_pixels,
)
from inception_slim.errors import DatasetError, error_summary
import numpy as np
import tensorflow.compat.v1 as tf

if TYPE_CHECKING:
    from PIL.Image import Image

Color = tuple[int, int, int]
DAMAGED = 'it is not an image, or is damaged'
FIRST_FRAME = 'has several frames or pages; the first is used, as of all such images'
HEADER_BYTES = 64  # that `image_format` looks at
# By the names of Pillow.
_MAGIC = {
    b'\xff\xd8\xff': 'JPEG', b'\x89PNG\r\n\x1a\n': 'PNG', b'GIF8': 'GIF', b'BM': 'BMP',
    b'II*\0': 'TIFF', b'MM\0*': 'TIFF', b'II+\0': 'TIFF', b'MM\0+': 'TIFF',
    b'\xff\x0a': 'JXL', b'\0\0\0\x0cJXL \r\n\x87\n': 'JXL',
    b'\xff\x4f\xff\x51': 'JPEG2000', b'\0\0\0\x0cjP  \r\n\x87\n': 'JPEG2000'}
_AVIF_BRANDS = {b'avif', b'avis'}
_HEIC_BRANDS = {b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1'}
_HAS_WEBP = hasattr(tf.raw_ops, 'DecodeWebP')
_INVERSE = {6: 8, 8: 6}  # of the orientations; the others are their own
# Modes of Pillow whose conversion to RGB gives what TensorFlow gives for a file of that kind.
_RGB_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'RGBa', 'La', 'YCbCr')


class UnreadableImage(Exception):
    """An image cannot be read; the message says why."""


class Decodable(NamedTuple):
    """An image in a format that TensorFlow decodes.

    Attributes:
      encoded: the bytes of the file, or of a BMP.
      orientation: of EXIF, 1 to 8; to apply after decoding.
      is_rotated: whether the image is rotated or flipped as its EXIF orientation says.
      has_frames: whether there are frames or pages after the first, which is used.
      halvings: how many times to halve the size of the image while it is decoded, 0 to 3.
    """

    encoded: bytes
    orientation: int
    is_rotated: bool
    has_frames: bool
    halvings: int = 0


def image_format(head: bytes) -> str | None:
    """Returns the name that Pillow has for the format of an image.

    Args:
      head: the first `HEADER_BYTES` of the file, or more.

    Returns:
      None if it is no image in a format of which Pillow or TensorFlow reads any file.
    """
    if head[:4] == b'RIFF':
        return 'WEBP' if head[8:12] == b'WEBP' else None
    if head[4:8] == b'ftyp':
        size = min(int.from_bytes(head[:4], 'big'), HEADER_BYTES)
        brands = {head[position:position + 4] for position in (8, *range(16, size, 4))}
        return ('AVIF' if brands & _AVIF_BRANDS else 'HEIF' if brands & _HEIC_BRANDS else None)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def to_decodable(encoded: bytes, *, max_pixels: int, exif: bool, background: Color | None,
                 scaled_to: int | None = None) -> Decodable:
    """Returns an image file as it is if TensorFlow decodes it, otherwise as a BMP.

    Args:
      encoded: the bytes of the file.
      max_pixels: an image with more pixels is unreadable.
      exif: whether to apply the EXIF orientation.
      background: red, green and blue, 0 to 255, behind transparent pixels; None drops the
        transparency, as TensorFlow does.
      scaled_to: decode large JPEG files at a fraction of their size, but for images of this side;
        None decodes all pixels.

    Raises:
      UnreadableImage: it has too many pixels, Pillow or its plugin is missing, or Pillow cannot
        read it. Damage in what TensorFlow decodes is not detected here.
    """
    problem = problem_with_pixels(encoded, max_pixels)
    if problem is not None:
        raise UnreadableImage(problem)
    name = image_format(encoded)
    if name is None or name == 'JPEG' or background is None and _has_decoder(name, encoded):
        orientation = read_orientation(encoded) if exif else 1
        return Decodable(encoded, orientation, orientation > 1,
                         name in ('GIF', 'PNG') and count_frames(encoded) > 1,
                         0 if scaled_to is None else count_halvings(encoded, scaled_to))
    return _convert(name, encoded, max_pixels, exif, background)


def to_rgb(image: Image, background: Color | None = None) -> np.ndarray:
    """Returns the pixels of a Pillow image as TensorFlow decodes a file of its mode.

    Args:
      image: an image of any mode with colors or grey.
      background: see `to_decodable`.

    Returns:
      `[height, width, 3]` uint8.

    Raises:
      ValueError: the mode is not supported.
    """
    from PIL import Image

    if image.mode.startswith('I;16'):  # TensorFlow keeps the high byte
        high = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(high[..., np.newaxis], 3, axis=-1)
    if image.mode == 'CMYK':  # TensorFlow's formula, which is within one level of Pillow's
        inverted = 255 - np.asarray(image).astype(np.uint16)
        return (inverted[..., :3] * inverted[..., 3:] // 255).astype(np.uint8)
    if image.mode not in _RGB_MODES:
        raise ValueError(f"a PIL image of mode {image.mode!r} is not supported; convert it with "
                         "image.convert('RGB').")
    if background is not None and image.has_transparency_data:
        image = Image.alpha_composite(Image.new('RGBA', image.size, (*background, 255)),
                                      image.convert('RGBA'))
    return np.asarray(image.convert('RGB'))


def _has_decoder(name: str, encoded: bytes) -> bool:
    """Whether TensorFlow decodes an image of a format, and rightly so."""
    if name == 'WEBP':  # TensorFlow refuses animation, and transparency in three channels
        if encoded[12:16] == b'VP8X':
            return _HAS_WEBP and not encoded[20] & 0b10010
        return _HAS_WEBP and not (encoded[12:16] == b'VP8L' and encoded[24] & 0b10000)
    if name == 'BMP':  # TensorFlow takes indices into a palette for shades of grey
        try:
            size, bits, compression = struct.unpack_from('<I10xHI', encoded, 14)
        except struct.error:
            return True  # which it finds damaged
        return size >= 40 and bits in (24, 32) and compression in (0, 3)
    return name in ('PNG', 'GIF')


def _convert(name: str, encoded: bytes, max_pixels: int, exif: bool,
             background: Color | None) -> Decodable:
    """Decodes an image with Pillow."""
    if name == 'JXL' and image_size(encoded) is None:  # its plugin decodes before it says the size
        raise UnreadableImage(DAMAGED)
    pillow = _open_pillow(name)
    try:
        with pillow.open(io.BytesIO(encoded), formats=[name]) as image:
            if image.width * image.height > max_pixels:
                raise UnreadableImage(f'it has {image.width * image.height:,} pixels, more than '
                                      f'max_pixels, {max_pixels:,}')
            stored = _orientation(name, image, encoded)
            has_frames = getattr(image, 'is_animated', False)
            image.load()
            remaining = _orientation(name, image, encoded)
            bmp = io.BytesIO()
            pillow.fromarray(to_rgb(image, background)).save(bmp, 'BMP')
    except (UnreadableImage, MemoryError):
        raise
    except pillow.UnidentifiedImageError:
        raise UnreadableImage(DAMAGED) from None
    except Exception as error:  # of many kinds, for damaged files
        raise UnreadableImage(error_summary(error).rstrip('.')) from None
    if exif:
        return Decodable(bmp.getvalue(), remaining, stored > 1, has_frames)
    # Pillow rotates TIFF itself.
    undo = 1 if remaining == stored else _INVERSE.get(stored, stored)
    return Decodable(bmp.getvalue(), undo, False, has_frames)


def _orientation(name: str, image: Image, encoded: bytes) -> int:
    """The orientation of an image that Pillow has not applied (yet)."""
    if name in ('PNG', 'WEBP', 'GIF', 'BMP'):
        return read_orientation(encoded)
    # In JPEG XL the codestream's orientation counts, which is applied, except in packed JPEG files.
    if name == 'JXL' and not getattr(image, 'jpeg', False):
        return 1
    value = image.getexif().get(0x0112, 1)
    return int(value) if value in range(1, 9) else 1


def _open_pillow(name: str) -> Any:
    """Imports Pillow, with its plugin for a format.

    Raises:
      UnreadableImage: one of them is not installed.
    """
    def load(module: str) -> Any:
        title = {'HEIF': 'HEIC', 'JXL': 'JPEG XL', 'WEBP': 'this WebP', 'BMP': 'this BMP'}
        return require(module, f'Reading {title.get(name, name)}', DatasetError, extra='images')

    try:
        pillow = load('PIL.Image')
        if name == 'HEIF':
            load('pillow_heif').register_heif_opener()
        elif name == 'JXL':
            load('pillow_jxl')
        elif name == 'AVIF' and not load('PIL.features').check('avif'):
            load('pillow_avif')
    except DatasetError as error:
        raise UnreadableImage(str(error).rstrip('.')) from None
    return pillow
