"""Reproducible weights and images: each variable's random seed is a hash of its name.

Runs with Python 3.7 and NumPy 1.18, for TensorFlow 1.15.5, and with current versions.
"""

import hashlib

import numpy as np


def weights_for(name, shape):
    """The golden value of the variable `name`, float32."""
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    random = np.random.RandomState(seed)
    if name.endswith(('moving_variance', 'gamma')):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith(('moving_mean', 'beta', 'biases')):
        return (random.randn(*shape) * 0.1).astype(np.float32)
    fan_in = np.prod(shape[:-1])
    return (random.randn(*shape) * np.sqrt(2.0 / fan_in)).astype(np.float32)


def torch_weights_for(name, shape):
    """The golden value of a tensor in a state dict of PyTorch."""
    if name.endswith('num_batches_tracked'):
        return np.array(0)
    order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(len(shape), (0,))
    in_tensorflow = [shape[order.index(axis)] for axis in range(len(shape))]
    kinds = {'running_var': 'moving_variance', 'running_mean': 'moving_mean', 'bias': 'beta'}
    layer, _, kind = name.rpartition('.')
    kind = 'gamma' if len(shape) == 1 and kind == 'weight' else kinds.get(kind, kind)
    return np.transpose(weights_for(f'{layer}.{kind}', in_tensorflow), order).copy()


def images(batch, side=299):
    """The golden images, `[batch, side, side, 3]` float32 in [-1, 1]."""
    return np.random.RandomState(7).uniform(-1, 1, (batch, side, side, 3)).astype(np.float32)


def patchwork(batch, side=150):
    """Images that differ at every scale, `[batch, side, side, 3]` float32 in [-1, 1].

    Noise of any seed looks the same to a deep layer: batch norm would divide by almost zero, and
    gradients would consist of rounding errors.
    """
    random = np.random.RandomState(11)
    layers = []
    for patches in (2, 5, 15, side):
        coarse = random.uniform(-1, 1, (batch, patches, patches, 3))
        pixels = np.arange(side) * patches // side
        layers.append(coarse[:, pixels][:, :, pixels])
    return np.mean(layers, axis=0).astype(np.float32)


def drawings():
    """Images to preprocess, `[height, width, 3]` uint8, smooth so that JPEG keeps them small."""
    random = np.random.RandomState(13)
    found = {}
    for name, (height, width) in (('wide', (120, 201)), ('tall', (333, 87)), ('odd', (61, 59)),
                                  ('tiny', (3, 5)), ('point', (1, 1))):
        rows, columns = np.mgrid[:height, :width].astype(np.float64)
        waves = [np.sin(rows * a + columns * b + c)
                 for a, b, c in random.uniform(0.02, 0.3, (3, 3))]
        found[name] = np.round(127.5 + 120 * np.stack(waves, -1)).astype(np.uint8)
    return found


def pairs():
    """Embeddings of 600 pairs of faces, `[1200, 64]` float32 of length 1, and which pairs match."""
    random = np.random.RandomState(17)
    same = np.arange(600) % 60 < 30
    first = random.randn(600, 64)
    second = np.where(same[:, np.newaxis], first + random.randn(600, 64) * 1.1,
                      random.randn(600, 64) + 0.25 * first)
    vectors = np.stack([first, second], 1).reshape(-1, 64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), same
