"""The size of an encoded image, read from its header before memory is taken for its pixels.

Sources: ITU T.81 (JPEG), W3C PNG, GIF89a, RFC 9649 (WebP), Microsoft's BITMAPINFOHEADER, and ISO
18181 (JPEG XL).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import struct

# The limit of Pillow, `Image.MAX_IMAGE_PIXELS`: 512 MiB of RGB.
MAX_PIXELS = 178_956_970
_CENTRAL_FRACTION = 0.875  # the central crop of `preprocessing.for_evaluation`


def image_size(encoded: bytes) -> tuple[int, int] | None:
    """Returns the width and height of an image file, from its first bytes.

    Args:
      encoded: the file's first bytes, with its header.

    Returns:
      None if the format is unknown, or the header is damaged or longer.
    """
    read = next((read for magic, read in _SIZES.items() if encoded.startswith(magic)), None)
    try:
        return read(encoded) if read else None
    except (struct.error, IndexError):  # the bytes end inside of the header
        return None


def count_halvings(encoded: bytes, side: int) -> int:
    """How many times a JPEG may be halved while its central crop has `side` pixels or more.

    Args:
      encoded: the file's first bytes, with its header.
      side: of the network's images.

    Returns:
      0 to 3, the most that libjpeg does while it decodes; 0 for other formats.
    """
    size = image_size(encoded) if encoded.startswith(b'\xff\xd8\xff') else None
    if size is None:
        return 0
    shorter = min(size) * _CENTRAL_FRACTION
    return next((count for count in (3, 2, 1) if shorter >= side << count), 0)


def count_pixels(encoded: bytes) -> int:
    """Returns the number of pixels that a decoder takes memory for: all frames of a GIF.

    Args:
      encoded: the bytes of an image file.

    Returns:
      The number of pixels, at least what the decoder finds; 0 if the format is unknown or the
      header is damaged, so that the image cannot be decoded.
    """
    width, height = image_size(encoded) or (0, 0)
    pixels = width * height
    return max(pixels, sum(_gif_frames(encoded))) if encoded.startswith(_GIF) else pixels


def problem_with_pixels(encoded: bytes, max_pixels: int) -> str | None:
    """Returns why an encoded image is not to be decoded, or None."""
    pixels = count_pixels(encoded)
    if pixels <= max_pixels:
        return None
    return f'it has {pixels:,} pixels, more than max_pixels, {max_pixels:,}'


def count_frames(encoded: bytes) -> int:
    """Returns the number of frames of a GIF or an animated PNG, of other images 1."""
    if encoded.startswith(_GIF):
        return sum(1 for _ in _gif_frames(encoded))
    if not encoded.startswith(_PNG):
        return 1
    position = 8
    try:
        while True:  # acTL is before the first pixels
            size, kind = struct.unpack_from('>I4s', encoded, position)
            if kind == b'acTL':
                return struct.unpack_from('>I', encoded, position + 8)[0]
            if kind == b'IDAT':
                return 1
            position += 12 + size
    except struct.error:
        return 1


def _jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    position = 2
    while (position := encoded.find(b'\xff', position)) >= 0:
        marker = encoded[position + 1]
        if marker == 0xff:  # a fill byte
            position += 1
        elif marker in (0x00, 0x01) or 0xd0 <= marker <= 0xd8:  # without a length
            position += 2
        elif 0xc0 <= marker <= 0xcf and marker not in (0xc4, 0xc8, 0xcc):  # a start of frame
            height, width = struct.unpack_from('>HH', encoded, position + 5)
            return width, height
        else:
            position += 2 + struct.unpack_from('>H', encoded, position + 2)[0]
    return None


def _png_size(encoded: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from('>II', encoded, 16)
    return width, height


def _bmp_size(encoded: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from('<ii', encoded, 18)
    return abs(width), abs(height)


def _gif_size(encoded: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from('<HH', encoded, 6)
    return width, height


def _gif_frames(encoded: bytes) -> Iterator[int]:
    """The number of pixels of each frame."""
    def skip_blocks(position: int) -> int:
        while size := encoded[position]:
            position += 1 + size
        return position + 1

    def skip_colors(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    try:
        position = 13 + skip_colors(encoded[10])
        while encoded[position] in b'!,':
            if encoded[position:position + 1] == b'!':  # an extension
                position = skip_blocks(position + 2)
                continue
            width, height, flags = struct.unpack_from('<HHB', encoded, position + 5)
            yield width * height
            position = skip_blocks(position + 10 + skip_colors(flags) + 1)
    except (struct.error, IndexError):
        pass  # cut short: the decoder may take the frames so far


def _webp_size(encoded: bytes) -> tuple[int, int] | None:
    kind, start = encoded[12:16], encoded[20:30]
    if kind == b'VP8X':
        width, height = (1 + int.from_bytes(start[place:place + 3], 'little') for place in (4, 7))
    elif kind == b'VP8L':
        bits = int.from_bytes(start[1:5], 'little')
        width, height = 1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)
    elif kind == b'VP8 ':
        width, height = (side & 0x3fff for side in struct.unpack_from('<HH', start, 6))
    else:
        return None
    return width, height


def _jxl_size(encoded: bytes) -> tuple[int, int] | None:
    position = 0
    if encoded[:1] == b'\0':  # in a box of a container
        while True:
            size, kind = struct.unpack_from('>I4s', encoded, position)
            head = 16 if size == 1 else 8
            if size == 1:
                size, = struct.unpack_from('>Q', encoded, position + 8)
            if kind in (b'jxlc', b'jxlp'):
                position += head + (4 if kind == b'jxlp' else 0)
                break
            if size < head:  # the last box, or damage
                return None
            position += size
    start = encoded[position:position + 11]  # the longest header has 68 bits
    if not start.startswith(b'\xff\x0a') or len(start) < 11:
        return None
    bits = int.from_bytes(start[2:], 'little')

    def read(count: int) -> int:
        nonlocal bits
        value = bits & (1 << count) - 1
        bits >>= count
        return value

    def read_side() -> int:
        return 8 * (1 + read(5)) if is_small else 1 + read((9, 13, 18, 30)[read(2)])

    is_small = read(1)
    height = read_side()
    ratio = read(3)
    if not ratio:
        return read_side(), height
    numerator, denominator = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height * numerator // denominator, height


_GIF, _PNG = b'GIF8', b'\x89PNG\r\n\x1a\n'
_SIZES: dict[bytes, Callable[[bytes], tuple[int, int] | None]] = {
    b'\xff\xd8\xff': _jpeg_size, _PNG: _png_size, _GIF: _gif_size,
    b'BM': _bmp_size, b'RIFF': _webp_size,
    b'\xff\x0a': _jxl_size, b'\0\0\0\x0cJXL \r\n\x87\n': _jxl_size}
