"""`scipy.misc` of SciPy 1.0 for scripts: image functions, by Pillow, and functions that moved.

SciPy removed the image functions in 1.2 and the module in 2.0. Image arrays are uint8
`[height, width]` or `[height, width, channels]` unless stated otherwise.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_RESAMPLING = {'nearest': Image.Resampling.NEAREST, 'lanczos': Image.Resampling.LANCZOS,
               'bilinear': Image.Resampling.BILINEAR, 'bicubic': Image.Resampling.BICUBIC,
               'cubic': Image.Resampling.BICUBIC}
_MOVED = {'logsumexp': 'special', 'comb': 'special', 'factorial': 'special',
          'factorial2': 'special', 'factorialk': 'special', 'face': 'datasets',
          'ascent': 'datasets', 'electrocardiogram': 'datasets'}


def __getattr__(name: str):
    if name not in _MOVED:
        raise AttributeError(f"module 'scipy.misc' has no attribute {name!r}")
    import importlib
    return getattr(importlib.import_module(f'scipy.{_MOVED[name]}'), name)


def bytescale(data, cmin=None, cmax=None, high=255, low=0):
    """Scale an array to integers from `low` to `high`; return uint8 arrays unchanged."""
    data = np.asarray(data)
    if data.dtype == np.uint8:
        return data
    if not 0 <= low <= high <= 255:
        raise ValueError('`low` and `high` must satisfy 0 <= low <= high <= 255.')
    cmin = data.min() if cmin is None else cmin
    cmax = data.max() if cmax is None else cmax
    extent = cmax - cmin
    if extent < 0:
        raise ValueError('`cmax` should be larger than `cmin`.')
    scaled = (data - cmin) * (float(high - low) / (extent or 1)) + low
    return (scaled.clip(low, high) + 0.5).astype(np.uint8)


def toimage(arr, high=255, low=0, cmin=None, cmax=None, pal=None, mode=None, channel_axis=None):
    """Convert an array to a Pillow image; scaled by `bytescale` unless `mode` is 'F' or 'I'."""
    data = np.asarray(arr)
    if np.iscomplexobj(data):
        raise ValueError('Cannot convert a complex-valued array.')
    shape = list(data.shape)
    if len(shape) not in (2, 3) or (len(shape) == 3 and 3 not in shape and 4 not in shape):
        raise ValueError("'arr' does not have a suitable array shape for any mode.")
    if len(shape) == 2:
        if mode == 'F':
            return Image.fromarray(data.astype(np.float32))
        if mode in (None, 'L', 'P'):
            image = Image.fromarray(bytescale(data, high=high, low=low, cmin=cmin, cmax=cmax))
            if mode == 'P':
                image = image.convert('P')
            if pal is not None:
                image.putpalette(np.asarray(pal, dtype=np.uint8).tobytes())
            return image
        if mode == '1':
            return Image.fromarray((data > high).astype(np.uint8) * 255).convert('1')
        cmin = data.min() if cmin is None else cmin
        cmax = data.max() if cmax is None else cmax
        data = (data * 1.0 - cmin) * (high - low) / (cmax - cmin) + low
        if mode == 'I':
            return Image.fromarray(data.astype(np.int32))
        raise ValueError(f'Unsupported mode for a two-dimensional array: {mode!r}')
    if channel_axis is None:
        channel_axis = shape.index(3 if 3 in shape else 4)
    channels = shape[channel_axis]
    if channels not in (3, 4):
        raise ValueError('Channel axis dimension is not valid.')
    data = np.moveaxis(bytescale(data, high=high, low=low, cmin=cmin, cmax=cmax),
                       channel_axis, -1)
    mode = mode or ('RGB' if channels == 3 else 'RGBA')
    if mode not in ('RGB', 'RGBA', 'YCbCr', 'CMYK'):
        raise ValueError(f'Invalid mode: {mode!r}')
    if len(mode) - (2 if mode == 'YCbCr' else 0) != channels:
        raise ValueError(f'Invalid array shape for mode {mode!r}: {tuple(shape)}')
    return Image.frombytes(mode, (data.shape[1], data.shape[0]), data.tobytes())


def fromimage(im, flatten=False, mode=None):
    """Convert a Pillow image to an array; with `flatten`, to grayscale float32."""
    if not isinstance(im, Image.Image):
        raise TypeError('Input is not a PIL image.')
    if mode is not None:
        if mode != im.mode:
            im = im.convert(mode)
    elif im.mode == 'P':  # a transparent palette becomes an alpha channel
        im = im.convert('RGBA' if 'transparency' in im.info else 'RGB')
    if flatten:
        im = im.convert('F')
    elif im.mode == '1':
        im = im.convert('L')
    return np.array(im)


def imread(name, flatten=False, mode=None):
    """Read an image file, given as a path or an open file, into an array."""
    with Image.open(name) as image:
        return fromimage(image, flatten=flatten, mode=mode)


def imsave(name, arr, format=None):
    """Write an array as an image file; values are scaled from [min, max] to [0, 255]."""
    image = toimage(arr, channel_axis=2)
    image.save(name) if format is None else image.save(name, format)


def imresize(arr, size, interp='bilinear', mode=None):
    """Resize an image array; `size` is percent (int), a fraction (float), or (height, width)."""
    image = toimage(arr, mode=mode)
    if issubclass(np.asarray(size).dtype.type, np.signedinteger) and np.ndim(size) == 0:
        size = tuple((np.array(image.size) * (size / 100.0)).astype(int))
    elif issubclass(np.asarray(size).dtype.type, np.floating) and np.ndim(size) == 0:
        size = tuple((np.array(image.size) * size).astype(int))
    else:
        size = (size[1], size[0])
    return fromimage(image.resize(tuple(int(side) for side in size), _RESAMPLING[interp]))


def imrotate(arr, angle, interp='bilinear'):
    """Rotate an image array counterclockwise about its center by degrees; keeps the size."""
    return fromimage(toimage(np.asarray(arr)).rotate(angle, resample=_RESAMPLING[interp]))


def imshow(arr):
    """Show an image array in the system's image viewer."""
    toimage(arr).show()
