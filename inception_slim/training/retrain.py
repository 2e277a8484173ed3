"""Train a new classifier on the features of a checkpoint, as TensorFlow's `retrain.py` did."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
import os

from inception_slim import checkpoint as checkpoints, data
from inception_slim.checkpoint.head import MULTI_LABEL_HEAD, SLIM_HEAD, Head
from inception_slim.data.dataset import hash_position
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.errors import TrainingError
from inception_slim.evaluation.classification_metrics import (
    class_curves,
    class_probabilities,
    mean_of_known,
)
from inception_slim.evaluation.loaders import (
    calibration_sample,
    load_images,
    open_predictor,
    progress,
)
from inception_slim.evaluation.options import EvaluationOptions
from inception_slim.evaluation.results import Result
from inception_slim.inference.network_cache import cache_key
from inception_slim.nets import registry
from inception_slim.options import as_dict, build_options, option_names
from inception_slim.training.feature_cache import FeatureCache
from inception_slim.training.options import RetrainOptions
import numpy as np
from tqdm import tqdm

CHECKPOINT = 'model.ckpt'
_INITIAL_STDDEV = 0.001
_PARTS = ('training', 'validation', 'test')


@dataclass(frozen=True, repr=False)
class RetrainResult(Result):
    """The result of `retrain`.

    Attributes:
      checkpoint: the prefix of the new checkpoint; `labels.txt` is beside it.
      class_names: the classes, in the order of the new classifier's outputs.
      num_examples: number of images by part: 'training', 'validation' and 'test'.
      accuracy: top-1 accuracy by part, in [0, 1]; None for a part without images, and of images
        with several labels.
      loss: cross-entropy of the training images at the end; of images with several labels, the mean
        over the classes and the images.
      unreadable: the image files that could not be read.
      rotated: the number of images that were rotated or flipped as their EXIF orientation says, of
        those whose features were computed.
      mean_average_precision: by part, of images with several labels; None for a part without any
        label.
    """

    checkpoint: str
    class_names: list[str]
    num_examples: dict[str, int]
    accuracy: dict[str, float | None]
    loss: float
    unreadable: list[str]
    rotated: int = 0
    mean_average_precision: dict[str, float | None] | None = None


def retrain(
    dataset: str | os.PathLike,
    checkpoint: str | os.PathLike,
    output: str | os.PathLike,
    *,
    split: str | None = None,
    steps: int = 4000,
    learning_rate: float = 0.01,
    train_batch_size: int = 100,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    features_cache: str | os.PathLike | None = None,
    seed: int = 0,
    overwrite: bool = False,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    precision: str = 'float32',
    engine: str = 'auto',
    cache: str | os.PathLike | None = None,
    batch_size: int = 32,
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
    exif: bool | None = None,
    background: str | None = None,
) -> RetrainResult:
    """Trains a classifier for the classes of an image folder on the features of a checkpoint.

    The rest of the network does not change, so each image passes it once; the features are cached
    and the classifier is trained on them in seconds, by gradient descent from small random weights.
    The new checkpoint has the old network and the new classifier, without the auxiliary one. An
    image belongs to training, validation or test by a hash of its path in the folder, so that it
    stays in its part when others are added.

    Args:
      dataset: a folder with a sub-folder of images for each class, or another dataset of image
        files. Of a multi-label one, the new classifier has a sigmoid for each class.
      checkpoint: any that `inception_slim.checkpoint` reads, with or without a classifier.
      output: the folder for the checkpoint, `labels.txt` and the cached features; made if it does
        not exist.
      split: the split of the dataset; see `data.open_dataset`.
      steps: number of steps of gradient descent.
      learning_rate: its learning rate, above 0.
      train_batch_size: features per step.
      validation_fraction: fraction of the images for validation, in [0, 1).
      test_fraction: fraction of the images for the final test, in [0, 1).
      features_cache: the folder of the computed features; None means `features` in `output`.
      seed: random seed of the initial weights and of the order of the images.
      overwrite: replace an existing checkpoint.
      use_ema: load the moving averages of the weights.
      checkpoint_scope: which network to load, if the file contains several.
      precision: 'float32', 'bfloat16' or 'int8' for the features; the checkpoint is float32.
      engine: which runtime computes the features; 'auto' selects the fastest one installed.
      cache: a folder for prepared networks; see `InferenceOptions`.
      batch_size: images per batch.
      strict: raise an error for an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable.
      exif: rotate and flip images as their EXIF orientation says; False does not.
      background: the color behind transparent pixels, such as 'white' or '#808080'; None drops
        the transparency, as TensorFlow does.

    Raises:
      CheckpointError: the checkpoint cannot be read, or the new one exists or cannot be written.
      DatasetError: the dataset cannot be read.
      TrainingError: an argument is out of its range, or there are too few classes or images.

    Source: TensorFlow's `examples/image_retraining/retrain.py`, for the defaults.
    """
    options = build_options(RetrainOptions, locals(), TrainingError)
    if options.validation_fraction + options.test_fraction >= 1:
        raise TrainingError('validation_fraction and test_fraction must leave images for training: '
                            'their sum must be less than 1.')
    output = os.fsdecode(output)
    destination = os.path.join(output, CHECKPOINT)
    images = _open_folder(dataset, options.split)
    with contextlib.suppress(FileExistsError):
        os.makedirs(output)
    checkpoints.check_destination(destination, options.overwrite)
    info, weights = checkpoints.read(checkpoint, use_ema=use_ema,
                                     checkpoint_scope=checkpoint_scope)
    network = registry.NETWORKS[info.network]
    if network.has_embedding:
        raise TrainingError(f'{info.path} is of {network.title}, which has an embedding and no '
                            'classifier; train a classifier on what "features" writes.')
    features, unreadable, rotated = _compute_features(
        images.files, checkpoint, info, weights, options,
        os.fsdecode(options.features_cache or os.path.join(output, 'features')))
    labels = {path: label for path, label in zip(images.files, images.label_array())
              if path in features}
    paths: dict[str, list[str]] = {part: [] for part in _PARTS}
    for path in labels:
        paths[_part(os.path.relpath(path, images.path), options)].append(path)
    arrays = {part: (np.array([features[path] for path in members]),
                     np.array([labels[path] for path in members], np.intp).reshape(
                  len(members), *([images.num_classes] if images.multi_label else [])))
              for part, members in paths.items()}
    expected = arrays['training'][1]
    present = expected.any(axis=0) if images.multi_label else np.isin(
        np.arange(images.num_classes), expected)
    if not present.all():
        raise TrainingError(f'The class {images.class_names[present.argmin()]!r} has no images for '
                            'training; add images of it.')
    kernel, biases = _train(arrays, images.num_classes, options)

    for name in [name for name in weights if name.split('/')[0] in network.heads]:
        del weights[name]
    weights[f'{network.classifier}/weights'] = kernel.reshape(
        kernel.shape if network.has_dense_classifier else (1, 1, *kernel.shape))
    weights[f'{network.classifier}/biases'] = biases
    head = Head(info.head.pool,  # of the features
                activation=(MULTI_LABEL_HEAD if images.multi_label else SLIM_HEAD).activation)
    checkpoints.write_network(dataclasses.replace(info, global_step=None, head=head), weights,
                              destination, options.overwrite, images.class_names)
    logits = {part: values @ kernel + biases for part, (values, _) in arrays.items()
              if len(values)}
    scores = {part: _score(logits[part], arrays[part][1]) if part in logits else None
              for part in _PARTS}
    loss, _ = _cross_entropy(logits['training'], expected)
    return RetrainResult(destination, list(images.class_names),
                         {part: len(members) for part, members in paths.items()},
                         dict.fromkeys(_PARTS) if images.multi_label else scores, loss, unreadable,
                         rotated, scores if images.multi_label else None)


def _open_folder(path: str | os.PathLike, split: str | None) -> data.Dataset:
    images = data.open_dataset(path, split)
    if images.kind != 'folder':
        raise TrainingError(f'{images.path} holds TFRecords; give a folder with a sub-folder of '
                            'images for each class, or use train.')
    if images.num_classes < 2 and not images.multi_label:
        raise TrainingError(f'{images.path} has images of one class; a classifier needs two.')
    return images


def _compute_features(files: list[str], checkpoint: str | os.PathLike,
                      info: checkpoints.CheckpointInfo, weights: dict[str, np.ndarray],
                      options: RetrainOptions, folder: str
                      ) -> tuple[dict[str, np.ndarray], list[str], int]:
    """The features of the readable images by path, the other images, and how many it rotated."""
    stored = FeatureCache(folder, cache_key(weights, network=info.network, pooling=info.pooling,
                                            precision=options.precision,
                                            exif=options.exif is not False,
                                            **({} if options.background is None
                                               else {'background': options.background}),
                                            **({} if info.head.pool == 'average'
                                               else {'head': info.head.pool})))
    missing = stored.missing(files)
    unreadable: list[str] = []
    rotated: set[str] = set()
    if missing:
        with open_predictor(
                checkpoint, EvaluationOptions(**as_dict(options, option_names(EvaluationOptions))),
                lambda: calibration_sample(info, files, options), len(missing)) as predictor:
            for batch in progress(load_images(info, missing, options, unreadable, rotated),
                                  len(missing), unreadable):
                vectors = predictor.features(batch['image'], batch['name'])
                for name, row in zip(batch['name'], vectors):
                    stored.add(os.fsdecode(name), row)
        stored.flush()
    return ({path: value for path in files if (value := stored.get(path)) is not None},
            unreadable, len(rotated))


def _part(path: str, options: RetrainOptions) -> str:
    """The part to which an image belongs, by the hash of its path in the dataset."""
    position = hash_position(path)
    if position < options.validation_fraction:
        return 'validation'
    return 'test' if position < options.validation_fraction + options.test_fraction else 'training'


def _score(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """The accuracy, or the mean average precision of images with several labels."""
    if labels.ndim == 2:
        return mean_of_known(class_curves(labels > 0, logits).average_precision)
    return float(np.mean(logits.argmax(1) == labels))


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean cross-entropy, and its gradient with respect to the logits.

    Of several labels, the gradient is that of the sum over the classes, so that each class learns
    as fast as if it were alone.
    """
    if labels.ndim == 2:
        # softplus(x) - y x, without an exponential that overflows.
        losses = np.maximum(logits, 0) - labels * logits + np.log1p(np.exp(-np.abs(logits)))
        return float(losses.mean()), (
            class_probabilities(logits, 'sigmoid') - labels).astype(np.float32) / len(labels)
    shifted = logits - logits.max(1, keepdims=True)
    exponents = np.exp(shifted)
    totals = exponents.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    gradient = exponents / totals
    gradient[rows, labels] -= 1
    loss = np.mean(np.log(totals[:, 0]) - shifted[rows, labels])
    return float(loss), gradient / len(labels)


def _train(arrays: dict[str, tuple[np.ndarray, np.ndarray]], num_classes: int,
           options: RetrainOptions) -> tuple[np.ndarray, np.ndarray]:
    """Trains the classifier; returns its kernel `[features, classes]` and biases `[classes]`."""
    rng = np.random.default_rng(options.seed)
    features, labels = arrays['training']
    held_out, expected = arrays['validation']
    kernel = (_INITIAL_STDDEV * rng.standard_normal((features.shape[1], num_classes))).astype(
        np.float32)
    biases = np.zeros(num_classes, np.float32)
    order = np.zeros(0, np.intp)
    with tqdm(total=options.steps, unit='step', disable=None) as bar:
        for step in range(options.steps):
            if len(order) < options.train_batch_size:
                order = rng.permutation(len(labels))
            batch, order = (order[:options.train_batch_size], order[options.train_batch_size:])
            loss, gradient = _cross_entropy(features[batch] @ kernel + biases, labels[batch])
            kernel -= options.learning_rate * (features[batch].T @ gradient)
            biases -= options.learning_rate * gradient.sum(0)
            bar.update()
            if len(held_out) and step % 100 == 0:
                score = _score(held_out @ kernel + biases, expected)
                bar.set_postfix(loss=f'{loss:.3f}', refresh=False, validation=(
                    '-' if score is None else f'{score:.1%}'))
    return kernel, biases
