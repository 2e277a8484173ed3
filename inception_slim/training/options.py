"""The options of training, declared once.

From here come the defaults and ranges of `build_step` and `train`, and the flags of the command
line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import os

from inception_slim.nets import registry
from inception_slim.options import option

PRECISIONS = ('float32', 'bfloat16')


def _scopes(text: str) -> list[str]:
    return [each for each in text.split(',') if each]


@dataclass(frozen=True)
class LearningOptions:
    """What a step of training and a whole training both take.

    Attributes:
      network: its name in `nets.factory`.
      trainable_scopes: train the variables under these scopes alone, such as 'Logits' or
        'InceptionV3/Logits'; None trains all.
      learning_rate: of the first step.
      end_learning_rate: it decays no further than this.
      decay_factor: what the rate is multiplied by when it falls.
      aux_weight: weight of the auxiliary head's loss; 0 leaves the head untrained.
      label_smoothing: the part of each label that is spread over all classes, in [0, 1).
      weight_decay: factor of the L2 loss.
      moving_average_decay: what the average of a weight keeps of itself in a step, less in the
        first thousands of steps; None or 0 keeps no averages.
      clip_gradients: the largest norm of each variable's gradient; 0 leaves them as they are.
      batch_norm_decay: what batch norm's moving averages keep of themselves in a step; 0.9997
        wants ten thousand steps, 0.99 a few hundred.
      dropout_keep_prob: the part of the pooled features that dropout keeps, in (0, 1].
      depth_multiplier: factor of every convolution's number of channels, greater than 0.
      min_depth: the fewest channels a convolution is thinned to.
      precision: what convolutions and their gradients multiply: 'float32', or 'bfloat16', in which
        the values between them are kept too. Variables, the statistics of batch norm, losses and
        the optimizer are float32 in both, and so are checkpoints. Where the processor has no
        bfloat16 instructions, a warning says so and it stays float32.
      recompute: do batch norm, ReLU, concatenation and pooling a second time for the gradients,
        instead of keeping what they gave: the same step in less memory, in a little more time.
      num_clones: copies of the network, each on its part of a batch and, where there are GPUs, on
        one of its own. Variables are shared; batch norm's moving averages are the first's.
    """

    network: str = option('inception_v3', 'the network', choices=tuple(registry.NETWORKS))
    trainable_scopes: Iterable[str] | None = option(
        None, 'train these alone, such as Logits,AuxLogits', metavar='A,B', parse=_scopes)
    learning_rate: float = option(0.01, 'of the first step', above=0)
    end_learning_rate: float = option(0.0001, 'the rate falls no further', at_least=0)
    decay_factor: float = option(0.94, 'what the rate is multiplied by when it falls', above=0)
    aux_weight: float = option(0.4, 'weight of the auxiliary loss', at_least=0)
    label_smoothing: float = option(
        0.1, 'the part of a label spread over all classes', at_least=0, below=1)
    weight_decay: float = option(0.00004, 'factor of the L2 loss', at_least=0)
    moving_average_decay: float | None = option(
        0.9999, 'of the averages of the weights; 0 keeps none', at_least=0, below=1)
    clip_gradients: float = option(
        2.0, 'the largest norm of a gradient; 0 does not clip', at_least=0)
    batch_norm_decay: float = option(
        0.9997, "of batch norm's averages; 0.99 for a few hundred steps", at_least=0, below=1)
    dropout_keep_prob: float = option(0.8, 'the part that dropout keeps', above=0, at_most=1)
    depth_multiplier: float = option(1.0, 'factor of the number of channels', above=0)
    min_depth: int = option(16, 'the fewest channels of a layer', at_least=1)
    precision: str = option(
        'float32', 'what is multiplied; weights, losses and checkpoints are float32 in both',
        choices=PRECISIONS)
    recompute: bool = option(
        False, 'take less memory: do cheap layers again for the gradients')
    num_clones: int = option(
        1, 'copies of the network in one process, each on a GPU where there are any', at_least=1)


@dataclass(frozen=True)
class StepOptions(LearningOptions):
    """What `build_step` takes.

    Attributes:
      decay_steps: the rate falls, at once, after so many steps.
      batch_norm_scale: whether batch norm has gammas.
    """

    decay_steps: int = option(1000, at_least=1)
    batch_norm_scale: bool = option(False)


@dataclass(frozen=True)
class TrainingOptions(LearningOptions):
    """What `train` takes.

    Attributes:
      split: the split of the dataset to train on; as in `data.open_dataset`.
      checkpoint: where the first run's weights come from; any that `inception_slim.checkpoint`
        reads. None begins with random weights.
      checkpoint_scope: which network to take from it, where it holds more than one.
      exclude_scopes: what not to take from it, such as 'Logits' and 'AuxLogits' where the classes
        are others.
      steps: where to stop, counted from the first step of the first run.
      batch_size: images in one step, of each clone of each worker.
      image_size: pixels of a side; None takes the network's own.
      distort: show pieces of the images, flipped and in other colours, see
        `preprocessing.for_training`; False shows them as evaluation does.
      epochs_per_decay: after how many times through the dataset the rate falls.
      save_minutes: minutes from one checkpoint to the next; the last five are kept.
      summary_steps: steps from one summary, and one line to `log`, to the next.
      seed: makes weights, dropout and the order of the images those of an earlier run, where the
        threads of tf.data allow it.
      strict: stop at a damaged image instead of leaving it out.
      shuffle_buffer: among how many records each is shuffled; of folders of images, all are.
      worker_timeout: seconds after which a worker that does not answer is lost.
      worker_wait: minutes to wait for workers that are not there yet.
    """

    split: str | None = option(
        None, 'the split to train on, such as train', metavar='NAME')
    checkpoint: str | os.PathLike | None = option(
        None, 'begin with the weights of this checkpoint, where no earlier run is', flag='--from',
        metavar='CKPT')
    checkpoint_scope: str | None = option(
        None, 'which network to take, where a file holds more than one', metavar='SCOPE')
    exclude_scopes: Iterable[str] = option(
        (), 'what not to take from it, such as Logits,AuxLogits', metavar='A,B', parse=_scopes)
    steps: int = option(10_000, 'where to stop, from the first step of all', at_least=1)
    batch_size: int = option(32, 'images in one step, of each clone of each worker', at_least=1)
    image_size: int | None = option(
        None, "pixels of a side (the network's own)", at_least=1, parse=int)
    distort: bool = option(
        True, 'show the images as evaluation does: not cut, flipped or recoloured',
        flag='--no-distort')
    epochs_per_decay: float = option(
        2.0, 'it falls after so many times through the dataset', above=0)
    save_minutes: float = option(10.0, 'from one checkpoint to the next', above=0)
    summary_steps: int = option(20, 'from one summary to the next', at_least=1)
    seed: int | None = option(None, 'draws the same weights and order again', parse=int)
    strict: bool = option(False, 'stop at a damaged image instead of leaving it out')
    shuffle_buffer: int = option(
        4096, 'among how many records of TFRecords each is shuffled', at_least=1)
    worker_timeout: float = option(
        30.0, 'seconds without an answer after which another worker is lost', at_least=5)
    worker_wait: float = option(
        10.0, 'minutes to wait for workers that are not there yet', above=0)
