"""The options of training: defaults, ranges and help texts, shared by `train` and its command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import os
from typing import TypeAlias

from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.errors import TrainingError
from inception_slim.evaluation.options import (
    BACKGROUND_HELP,
    EXIF_HELP,
    IMAGE_SIZE_HELP,
    EvaluationOptions,
)
from inception_slim.nets import registry
from inception_slim.options import check, option, parse_color

PRECISIONS = ('float32', 'bfloat16')
AUTO = 'auto'
ClassWeight: TypeAlias = float | Sequence[float]
SCHEDULES = ('exponential', 'polynomial', 'cosine', 'fixed')


def _parse_scopes(text: str) -> list[str]:
    return [scope for scope in text.split(',') if scope]


def _parse_decay(text: str) -> str | float:
    return text if text == AUTO else float(text)


def _parse_validation(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class LearningOptions:
    """The options that a single training step and a training run have in common.

    Attributes:
      network: the network's name in `nets.registry`.
      trainable_scopes: train only the variables under these scopes, such as 'Logits' or
        'InceptionV3/Logits'; None trains all.
      learning_rate: initial learning rate, above 0.
      learning_rate_decay: 'exponential', in stairs; 'polynomial', a line that ends after one decay
        period; 'cosine', half a period that ends with the run; or 'fixed'. All but the cosine are
        those of TF-Slim's training script.
      end_learning_rate: lower bound of the learning rate.
      decay_factor: factor by which the learning rate is multiplied at each decay, above 0.
      aux_weight: weight of the auxiliary loss; 0 leaves the auxiliary head untrained.
      label_smoothing: label smoothing, in [0, 1). None is slim's 0.1 for the softmax, which takes
        that much of the image's class, and 0 for the sigmoids of multi-label images, where it would
        teach a probability of half of it for every class that is absent.
      focal_gamma: exponent of the focal loss: each image's loss is multiplied by 1 minus the
        probability of its class, or of each label of a multi-label image, to this power; 0 is the
        cross-entropy.
      weight_decay: L2 regularization factor.
      moving_average_decay: decay of the moving averages of the weights, in [0, 1), smaller during
        the first thousands of steps; None or 0 keeps no averages.
      clip_gradients: maximum norm of each variable's gradient; 0 disables clipping.
      batch_norm_decay: decay of batch norm's moving averages, in [0, 1); 0.9997 needs about ten
        thousand steps, 0.99 a few hundred.
      dropout_keep_prob: keep probability of dropout on the pooled features, in (0, 1].
      depth_multiplier: factor of the number of channels of every convolution, above 0.
      min_depth: minimum number of channels of a convolution after `depth_multiplier`.
      precision: 'float32', or 'bfloat16' for activations, convolutions and their gradients.
        Variables, batch norm statistics, losses, optimizer and checkpoints are float32 in both.
        Without a GPU, where the processor is slower in bfloat16, float32 is used, with a warning.
      recompute: save memory by gradient checkpointing: recompute batch norm, ReLU, concatenation
        and pooling for the gradients. The step is the same, a little slower.
      num_clones: copies of the network, each on a part of the batch and on its own GPU if there
        are any. They share variables; batch norm's moving averages are the first clone's.
    """

    network: str = option('inception_v3', 'network to train', choices=registry.CLASSIFIERS)
    trainable_scopes: Iterable[str] | None = option(
        None, 'train only these scopes, such as Logits,AuxLogits', metavar='A,B',
        parse=_parse_scopes)
    learning_rate: float = option(0.01, 'initial learning rate', above=0)
    learning_rate_decay: str = option(
        'exponential', 'how the learning rate decays', choices=SCHEDULES)
    end_learning_rate: float = option(0.0001, 'lower bound of the learning rate', at_least=0)
    decay_factor: float = option(0.94, 'learning rate decay factor', above=0)
    aux_weight: float = option(0.4, 'weight of the auxiliary loss', at_least=0)
    label_smoothing: float | None = option(
        None, 'label smoothing (0.1; 0 for images with several labels)', at_least=0, below=1,
        parse=float)
    focal_gamma: float = option(
        0.0, 'exponent of the focal loss; 0 is the cross-entropy', at_least=0)
    weight_decay: float = option(0.00004, 'L2 regularization factor', at_least=0)
    moving_average_decay: float | None = option(
        0.9999, 'decay of the moving averages of the weights; 0 disables them', at_least=0,
        below=1)
    clip_gradients: float = option(
        2.0, 'maximum norm of a gradient; 0 disables clipping', at_least=0)
    batch_norm_decay: float = option(
        0.9997, "decay of batch norm's moving averages; use 0.99 for a few hundred steps",
        at_least=0, below=1)
    dropout_keep_prob: float = option(0.8, 'keep probability of dropout', above=0, at_most=1)
    depth_multiplier: float = option(1.0, 'factor of the number of channels', above=0)
    min_depth: int = option(16, 'minimum number of channels of a layer', at_least=1)
    precision: str = option(
        'float32', 'dtype of activations and products; weights and checkpoints are float32',
        choices=PRECISIONS)
    recompute: bool = option(
        False, 'save memory: recompute cheap layers for the gradients')
    num_clones: int = option(
        1, 'copies of the network in this process, each on its own GPU if any', at_least=1)


@dataclass(frozen=True)
class StepOptions(LearningOptions):
    """The options of `build_step`.

    Attributes:
      decay_steps: steps between decays of the learning rate.
      warmup_steps: steps in which the learning rate rises linearly to its scheduled value.
      total_steps: the step at which a cosine decay ends.
      separate_heads: whether to build `TrainStep.train_heads` too.
      class_weights: the weight of each class in the loss, or for multi-label images two of each: of
        the images without and of those with the class; None is 1 for all.
      use_batch_norm: whether convolutions have batch norm instead of biases.
      batch_norm_scale: whether batch norm has gammas.
    """

    decay_steps: int = option(1000, at_least=1)
    warmup_steps: int = option(0, at_least=0)
    total_steps: int = option(10_000, at_least=1)
    separate_heads: bool = option(False)
    class_weights: Sequence[ClassWeight] | None = option(None)
    use_batch_norm: bool = option(True)
    batch_norm_scale: bool = option(False)


@dataclass(frozen=True)
class TrainingOptions(LearningOptions):
    """The options of `train`.

    Attributes:
      batch_norm_decay: 'auto' chooses the decay by the number of steps, so that batch norm's moving
        averages forget their initial values.
      split: split of the dataset to train on; see `data.open_dataset`.
      checkpoint: initial weights of the first run, in any format that `inception_slim.checkpoint`
        reads; None initializes randomly. Ignored when a run is resumed.
      checkpoint_scope: the network to use if `checkpoint` contains several.
      exclude_scopes: scopes that are not restored from `checkpoint`, such as 'Logits' and
        'AuxLogits'. These two are left out if it has another number of classes.
      steps: number of the last step, counted from the start of the first run; None means 10,000,
        or what `epochs` makes.
      epochs: how often all images of the dataset are used, instead of `steps`.
      batch_size: images per step for each clone of each worker.
      image_size: height and width of the input in pixels; None means the network's own.
      distort: augment the images (crops, flips, colors; see `preprocessing.for_training`); False
        preprocesses them as for evaluation.
      epochs_per_decay: epochs between decays of the learning rate.
      warmup_epochs: epochs in which the learning rate rises linearly to its scheduled value.
      freeze_epochs: epochs at the start in which only the heads are trained.
      save_minutes: minutes between checkpoints; the last five are kept.
      summary_steps: steps between summaries, and between lines to `log`.
      seed: seed of weights, dropout, order and distortion of the images. Two runs with the same one
        have the same losses on the same machine.
      strict: raise an error for an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable.
      exif: rotate and flip images as their EXIF orientation says. None does so for image files and
        not for TFRecords; False takes all pixels as they are stored.
      background: the color behind transparent pixels; see `EvaluationOptions`.
      shuffle_buffer: number of TFRecord examples in the shuffle buffer; image folders are shuffled
        completely.
      class_weights: weights of the classes in the loss: 'balanced', by which each class has the
        same part of it, or a CSV table with the columns `class` and `weight`. Of multi-label
        images, 'balanced' makes the images with and without each class equal parts of its loss, and
        a weight of the table is that of the images with the class.
      balanced_sampling: draw each image of a random class, so that all are equally frequent; an
        epoch is as many images as before. Only of image files with one label each.
      validation: images on which the network is evaluated between steps: a split of the dataset,
        the path of another dataset of the same classes (with a slash), or the fraction of the image
        files to hold out, by a hash of their paths. None evaluates nothing.
      eval_every: steps between evaluations; None means an epoch.
      patience: evaluations without a better one after which training ends; None means never.
      worker_timeout: seconds without a response after which a worker counts as lost, at least 5.
      worker_wait: minutes to wait for the other workers to start.
    """

    batch_norm_decay: float | str = option(  # type: ignore[assignment]
        0.9997, "decay of batch norm's moving averages; auto chooses it by the number of steps",
        metavar='auto|X', parse=_parse_decay)
    split: str | None = option(
        None, 'split of the dataset, such as train', metavar='NAME')
    checkpoint: str | os.PathLike | None = option(
        None, 'checkpoint with the initial weights; ignored when a run is resumed', flag='--from',
        metavar='CKPT')
    checkpoint_scope: str | None = option(
        None, 'network to use if the checkpoint contains several', metavar='SCOPE')
    exclude_scopes: Iterable[str] = option(
        (), 'scopes not to restore from the checkpoint, such as Logits,AuxLogits', metavar='A,B',
        parse=_parse_scopes)
    steps: int | None = option(
        None, 'number of steps, including those of earlier runs (10000)', at_least=1, parse=int)
    epochs: float | None = option(
        None, 'how often all images are used, instead of --steps', above=0, parse=float)
    batch_size: int = option(32, 'images per step for each clone of each worker', at_least=1)
    image_size: int | None = option(
        None, IMAGE_SIZE_HELP, at_least=1, parse=int)
    distort: bool = option(
        True, 'no data augmentation: preprocess images as for evaluation', flag='--no-distort')
    epochs_per_decay: float = option(
        2.0, 'epochs between decays of the learning rate', above=0)
    warmup_epochs: float = option(
        0.0, 'epochs in which the learning rate rises from 0', at_least=0)
    freeze_epochs: float = option(
        0.0, 'epochs at the start in which only the heads are trained', at_least=0)
    save_minutes: float = option(10.0, 'minutes between checkpoints', above=0)
    summary_steps: int = option(20, 'steps between summaries', at_least=1)
    seed: int | None = option(None, 'random seed of weights, dropout and image order', parse=int)
    strict: bool = option(False, 'stop at an unreadable image instead of skipping it')
    max_pixels: int = option(
        MAX_PIXELS, 'skip an image with more pixels as unreadable', at_least=1)
    exif: bool | None = option(None, EXIF_HELP)
    background: str | None = option(None, BACKGROUND_HELP, metavar='COLOR')
    shuffle_buffer: int = option(
        4096, 'TFRecord examples in the shuffle buffer', at_least=1)
    class_weights: str | os.PathLike | None = option(
        None, 'weights of the classes in the loss: balanced, or a CSV table of class and weight',
        metavar='balanced|FILE')
    balanced_sampling: bool = option(
        False, 'draw images of all classes equally often; only of image files')
    validation: str | float | os.PathLike | None = option(
        None, 'evaluate on a split, another dataset, or this fraction of the image files',
        metavar='SPLIT|FRACTION', parse=_parse_validation)
    eval_every: int | None = option(
        None, 'steps between evaluations (an epoch)', at_least=1, parse=int)
    patience: int | None = option(
        None, 'stop after this many evaluations without a better one', at_least=1, parse=int)
    worker_timeout: float = option(
        30.0, 'seconds without a response after which another worker counts as lost', at_least=5)
    worker_wait: float = option(
        10.0, 'minutes to wait for the other workers to start', above=0)

    def __post_init__(self) -> None:
        parse_color(self.background)
        if self.batch_norm_decay != AUTO:
            if isinstance(self.batch_norm_decay, str):
                raise TrainingError(f'batch_norm_decay must be a number or {AUTO}, not '
                                    f'{self.batch_norm_decay!r}.')
            check('batch_norm_decay', self.batch_norm_decay, {'at_least': 0, 'below': 1},
                  TrainingError)


@dataclass(frozen=True)
class RetrainOptions(EvaluationOptions):
    """The options of `retrain`, with those of the functions that run a checkpoint on images.

    Attributes:
      split: the split of the dataset; see `data.open_dataset`.
      steps: number of steps of gradient descent.
      learning_rate: its learning rate, above 0.
      train_batch_size: features per step.
      validation_fraction: fraction of the images for the accuracy that is printed while training.
      test_fraction: fraction of the images for the accuracy at the end.
      features_cache: the folder of the computed features; None means `features` in the output.
      seed: random seed of the initial weights and of the order of the images.
      overwrite: replace an existing checkpoint.
    """

    split: str | None = option(None, 'the split of the dataset, such as train', metavar='NAME')
    steps: int = option(4000, 'number of steps', at_least=1)
    learning_rate: float = option(0.01, 'learning rate', above=0)
    train_batch_size: int = option(100, 'images per step', at_least=1)
    validation_fraction: float = option(
        0.1, 'fraction of the images for validation', at_least=0, below=1)
    test_fraction: float = option(
        0.1, 'fraction of the images for the final test', at_least=0, below=1)
    features_cache: str | os.PathLike | None = option(
        None, 'folder for the computed features (features/ in the output)', metavar='DIR')
    seed: int = option(0, 'random seed', at_least=0)
    overwrite: bool = option(False, 'replace an existing checkpoint')
