"""scikit-learn's digits as PNG files: real images that need no download."""

from __future__ import annotations

import os

import numpy as np
from sklearn.datasets import load_digits
import tensorflow.compat.v1 as tf

SIDE = 96  # pixels of a PNG file, enlarged from the 8 of a digit


def write_digits(folder: str, damaged: int | None = None) -> int:
    """Writes a folder of PNG files for each class.

    Args:
      damaged: the number of an image that is cut short.

    Returns:
      The number of images, with the damaged one.
    """
    digits = load_digits()
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (SIDE, SIDE, 3))
        encode = session.make_callable(tf.image.encode_png(pixels), [pixels])
        for number, (digit, label) in enumerate(zip(digits.images, digits.target)):
            os.makedirs(os.path.join(folder, str(label)), exist_ok=True)
            grey = np.kron(digit * 255 / 16, np.ones((SIDE // 8, SIDE // 8))).astype(np.uint8)
            with open(os.path.join(folder, str(label), f'{number:04d}.png'), 'wb') as file:
                content = encode(np.repeat(grey[..., np.newaxis], 3, axis=-1))
                file.write(content[:100] if number == damaged else content)
    return len(digits.images)
