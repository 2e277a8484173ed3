"""The orientation of an image in EXIF, read from the header without decoding the image.

Sources: JEITA CP-3451 (EXIF), ITU T.81 (JPEG), W3C PNG, third edition, and RFC 9649 (WebP).
"""

from __future__ import annotations

from collections.abc import Iterator
import struct

import tensorflow.compat.v1 as tf

_ORIENTATION = 0x0112  # the tag
_INTEGERS = {1: 'B', 3: 'H', 4: 'I'}  # the types of TIFF that hold one
# The axes to exchange and to reverse, in this order, by orientation.
TRANSPOSED = (False, False, False, False, False, True, True, True, True)
REVERSED = ((False, False), (False, False), (False, True), (True, True), (True, False),
             (False, False), (False, True), (True, True), (True, False))


def read_orientation(encoded: bytes) -> int:
    """Returns the orientation of a JPEG, PNG or WebP image.

    Args:
      encoded: the bytes of an image file.

    Returns:
      1 to 8; 1, as it is stored, if there is none or the header is damaged.
    """
    if encoded.startswith(b'\xff\xd8\xff'):
        blocks = _jpeg_blocks(encoded)
    elif encoded.startswith(b'\x89PNG\r\n\x1a\n'):
        blocks = _png_blocks(encoded)
    elif encoded.startswith(b'RIFF') and encoded[12:16] == b'VP8X' and encoded[20:21] >= b'\x08':
        blocks = _webp_blocks(encoded)
    else:
        return 1
    try:
        for block in blocks:
            return _orientation_of(block)
    except (struct.error, IndexError):  # the file or the block ends too early
        pass
    return 1


def apply_orientation(image: tf.Tensor, orientation: int | tf.Tensor) -> tf.Tensor:
    """Turns and flips a decoded image upright.

    Args:
      image: `[height, width, 3]`.
      orientation: from `read_orientation`, a scalar.
    """
    if isinstance(orientation, int) and orientation == 1:
        return image

    def upright() -> tf.Tensor:
        order = tf.where(tf.gather(TRANSPOSED, orientation), [1, 0, 2], [0, 1, 2])
        reverse = tf.concat([tf.gather(REVERSED, orientation), [False]], axis=0)
        return tf.raw_ops.Reverse(tensor=tf.transpose(image, order), dims=reverse)

    result = tf.cond(tf.convert_to_tensor(orientation) > 1, upright, lambda: image)
    result.set_shape([None, None, image.shape[-1]])
    return result


def _orientation_of(block: bytes) -> int:
    """Returns the orientation in a block of EXIF, which has the structure of a TIFF file."""
    order = {b'II*\0': '<', b'MM\0*': '>'}.get(block[:4])
    if order is None:
        return 1
    directory, = struct.unpack_from(f'{order}I', block, 4)
    entries, = struct.unpack_from(f'{order}H', block, directory)
    for position in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(f'{order}HHI', block, position)
        if tag == _ORIENTATION:
            if kind not in _INTEGERS or count != 1:
                return 1
            value, = struct.unpack_from(order + _INTEGERS[kind], block, position + 8)
            return value if 1 <= value <= 8 else 1
    return 1


def _jpeg_blocks(encoded: bytes) -> Iterator[bytes]:
    position = 2
    while encoded[position] == 0xff:
        marker = encoded[position + 1]
        if marker == 0xff:  # a fill byte
            position += 1
            continue
        if marker == 0xda or marker == 0xd9:  # the start of the pixels, or the end of the image
            return
        size, = struct.unpack_from('>H', encoded, position + 2)
        if marker == 0xe1 and encoded.startswith(b'Exif\0\0', position + 4):
            yield encoded[position + 10:position + 2 + size]
        position += 2 + size


def _png_blocks(encoded: bytes) -> Iterator[bytes]:
    if b'eXIf' not in encoded:
        return
    position = 8
    while True:
        size, kind = struct.unpack_from('>I4s', encoded, position)
        if kind == b'eXIf':
            yield encoded[position + 8:position + 8 + size]
        position += 12 + size


def _webp_blocks(encoded: bytes) -> Iterator[bytes]:
    position = 12
    while True:
        kind, size = struct.unpack_from('<4sI', encoded, position)
        if kind == b'EXIF':
            # Some programs write the prefix of JPEG files too.
            yield encoded[position + 8:position + 8 + size].removeprefix(b'Exif\0\0')
        position += 8 + size + size % 2
