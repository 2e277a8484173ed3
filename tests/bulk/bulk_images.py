"""Thirty digits as PNG files, one of them truncated, and the expected results for them."""

import csv
import functools
import io
import os

from helpers import GOLDEN, softmax
from inception_slim import bulk, inference
from inception_slim.data import preprocessing
import numpy as np
from PIL import Image
import pyarrow.dataset
from sklearn.datasets import load_digits

CHECKPOINT = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')  # 11 classes
OTHER_CHECKPOINT = os.path.join(GOLDEN, 'checkpoints', 'trained', 'model.ckpt-3')
COUNT = 30
UNREADABLE = 11  # the number of the truncated image
READABLE = [number for number in range(COUNT) if number != UNREADABLE]
SHARD_SIZE = 8

load = inference.load  # without the cache of the tests


@functools.cache
def digits():
    gray = (load_digits().images[:COUNT] * 255 / 16).astype(np.uint8)
    return [np.repeat(image[..., np.newaxis], 3, axis=-1) for image in gray]


@functools.cache
def encoded_images():
    contents = []
    for image in digits():
        file = io.BytesIO()
        Image.fromarray(image).save(file, 'png')
        contents.append(file.getvalue())
    contents[UNREADABLE] = contents[UNREADABLE][:60]
    return contents


@functools.cache
def expected():
    """Features and probabilities of the readable images, from the predictor itself."""
    images = np.stack([preprocessing.for_evaluation(digits()[number]) for number in READABLE])
    with load(CHECKPOINT) as predictor:
        return {'features': predictor.features(images),
                'predictions': softmax(predictor.logits(images))}


def file_name(number):
    return os.path.join(f'{number // 10}', f'{number:02d}.png')


def run(sources, output, checkpoint=CHECKPOINT, **options):
    return bulk.run(checkpoint, sources, output, **{'shard_size': SHARD_SIZE, **options})


def read_table(path):
    """All shards, read as a Parquet folder."""
    return pyarrow.dataset.dataset(str(path)).to_table()


def read_unreadable(path):
    """The rows of `_unreadable.csv`: name and reason."""
    with open(os.path.join(path, '_unreadable.csv'), newline='') as file:
        return list(csv.reader(file))[1:]
