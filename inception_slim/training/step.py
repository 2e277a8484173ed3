"""One training step with TF-Slim's usual recipe.

Softmax cross-entropy with label smoothing on the logits and, with a smaller weight, on the
auxiliary logits, or sigmoid cross-entropy if images have several labels; the L2 loss of the arg
scope; RMSProp with a decaying learning rate; updates of batch norm's moving averages with the step,
and of the weights' moving averages after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
from dataclasses import dataclass
from typing import Any

from inception_slim.errors import TrainingError
from inception_slim.nets import registry
from inception_slim.options import build_options
from inception_slim.training import gradient_checkpointing
from inception_slim.training.distributed import WorkerGroup
from inception_slim.training.mixed_precision import (
    float32_master_getter,
    regularized_in_float32,
    supported_precision,
    to_float32,
)
from inception_slim.training.options import ClassWeight, StepOptions
import tensorflow.compat.v1 as tf
import tf_slim as slim

_LABEL_SMOOTHING = 0.1
_TINY = 1e-12  # keeps the gradient of a power finite at 0


@dataclass(frozen=True)
class TrainStep:
    """One training step, as tensors and ops of a graph.

    Attributes:
      train: runs the whole step; its value is the total loss before the step.
      train_heads: the same, but trains the heads only; None unless `separate_heads`.
      losses: the scalar losses by name: 'total', 'logits', 'regularization', and 'aux_logits' if
        there is an auxiliary head.
      accuracy: the share of the images of this step whose most likely class is their label; of
        multi-label images, the share of the labels that have a probability of their side of 0.5.
      learning_rate: scalar, of this step.
      global_step: number of steps done, int64.
      averages: the moving averages of the weights; None without them.
      init_averages: sets every moving average to the current value of its variable.
      build_evaluation: builds the same network for evaluation, from images and labels to the logits
        and the loss of the classifier.
    """

    train: tf.Tensor
    train_heads: tf.Tensor | None
    losses: dict[str, tf.Tensor]
    accuracy: tf.Tensor
    learning_rate: tf.Tensor
    global_step: tf.Variable
    averages: tf.train.ExponentialMovingAverage | None
    init_averages: tf.Operation
    build_evaluation: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def build_step(
    images: tf.Tensor,
    labels: tf.Tensor,
    num_classes: int,
    *,
    workers: WorkerGroup | None = None,
    network: str = 'inception_v3',
    trainable_scopes: Iterable[str] | None = None,
    learning_rate: float = 0.01,
    learning_rate_decay: str = 'exponential',
    end_learning_rate: float = 0.0001,
    decay_factor: float = 0.94,
    aux_weight: float = 0.4,
    label_smoothing: float | None = None,
    focal_gamma: float = 0.0,
    weight_decay: float = 4e-05,
    moving_average_decay: float | None = 0.9999,
    clip_gradients: float = 2.0,
    batch_norm_decay: float = 0.9997,
    dropout_keep_prob: float = 0.8,
    depth_multiplier: float = 1.0,
    min_depth: int = 16,
    precision: str = 'float32',
    recompute: bool = False,
    num_clones: int = 1,
    decay_steps: int = 1000,
    warmup_steps: int = 0,
    total_steps: int = 10_000,
    separate_heads: bool = False,
    class_weights: Sequence[ClassWeight] | None = None,
    use_batch_norm: bool = True,
    batch_norm_scale: bool = False,
) -> TrainStep:
    """Builds the network and one training step in the default graph.

    Args:
      images: `[batch, height, width, 3]` float32 in [-1, 1]; with clones, the batch size must be a
        multiple of `num_clones`.
      labels: `[batch]` integers in [0, num_classes); or for multi-label images `[batch,
        num_classes]`, a 0 or 1 for each class, with the sigmoid cross-entropy, which is the mean
        over the classes and the images.
      num_classes: width of the classifiers.
      workers: the workers that train together; gradients and losses are averaged over them. One
        worker by default.
      network: the network's name in `nets.registry`.
      trainable_scopes: scopes whose variables are trained, such as 'Logits'; None trains all.
      learning_rate: initial learning rate, above 0.
      learning_rate_decay: 'exponential', 'polynomial', 'cosine' or 'fixed'; see `LearningOptions`.
      end_learning_rate: lower bound of the learning rate.
      decay_factor: factor of the learning rate at each decay, above 0.
      aux_weight: weight of the auxiliary loss.
      label_smoothing: label smoothing, in [0, 1); None is 0.1, and 0 for multi-label images.
      focal_gamma: exponent of the focal loss, at least 0; 0 is the cross-entropy.
      weight_decay: L2 regularization factor.
      moving_average_decay: decay of the weights' moving averages, in [0, 1); None or 0 keeps none.
      clip_gradients: maximum norm of each variable's gradient; 0 disables clipping.
      batch_norm_decay: decay of batch norm's moving averages, in [0, 1).
      dropout_keep_prob: keep probability of dropout, in (0, 1].
      depth_multiplier: factor of the number of channels of every convolution, above 0.
      min_depth: minimum number of channels of a convolution.
      precision: 'float32' or 'bfloat16'.
      recompute: save memory by gradient checkpointing.
      num_clones: copies of the network, each on a part of the batch and on its own GPU if any.
      decay_steps: steps between decays of the learning rate.
      warmup_steps: steps in which the learning rate rises linearly to its scheduled value.
      total_steps: the step at which a cosine decay ends.
      separate_heads: build `TrainStep.train_heads` too.
      class_weights: the weight of each class in the loss, see `StepOptions`; None is 1 for all.
      use_batch_norm: whether convolutions have batch norm instead of biases.
      batch_norm_scale: whether batch norm has gammas.

    Raises:
      TrainingError: an option is out of range, or `trainable_scopes` matches no variable.

    Source: https://arxiv.org/abs/1512.00567, section 8, with the default values of TF-Slim's
    training script.
    """
    options = build_options(StepOptions, locals(), TrainingError)
    workers = workers or WorkerGroup()
    definition = registry.NETWORKS[options.network]
    arguments = {'dropout_keep_prob': options.dropout_keep_prob}
    if definition.channels:
        arguments.update(depth_multiplier=options.depth_multiplier, min_depth=options.min_depth)
    elif options.depth_multiplier != 1:
        raise TrainingError(f'{definition.title} does not support depth_multiplier; leave it at 1.')
    arg_scope = definition.arg_scope(weight_decay=options.weight_decay,
                                     use_batch_norm=options.use_batch_norm,
                                     batch_norm_decay=options.batch_norm_decay,
                                     batch_norm_scale=options.batch_norm_scale)
    getter, dtype = None, images.dtype
    if supported_precision(options.precision) == 'bfloat16':
        dtype = tf.bfloat16
        getter, arg_scope = float32_master_getter, regularized_in_float32(arg_scope)

    def build_evaluation(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.variable_scope('', use_resource=True, custom_getter=getter), \
                tf.name_scope('evaluation'), slim.arg_scope(arg_scope):
            logits, _ = definition.function(tf.cast(images, dtype), num_classes=num_classes,
                                            is_training=False, reuse=True, **arguments)
            logits = to_float32(logits)
            return logits, _cross_entropy(labels, logits, options, loss_collection=None)

    # Resource variables, because their reads and writes are ordered; the names are the same.
    with tf.variable_scope('', use_resource=True, custom_getter=getter):
        global_step = tf.train.get_or_create_global_step()
        losses: dict[str, tf.Tensor] = {}
        correct: list[tf.Tensor] = []
        for clone, (part, part_labels) in enumerate(_split(
                tf.cast(images, dtype), labels, options.num_clones)):
            with _clone_scope(clone, options.num_clones), slim.arg_scope(arg_scope):
                logits, end_points = definition.function(
                    part, num_classes=num_classes, is_training=True, **arguments,
                    **definition.size_arguments(part.shape[1]))
                clone_losses = _classification_losses(
                    logits, end_points.get('AuxLogits'), part_labels, options,
                    1 / options.num_clones)
                correct.append(tf.equal(logits > 0, part_labels > 0) if _is_multi_label(labels)
                               else tf.equal(tf.argmax(logits, 1), tf.cast(part_labels, tf.int64)))
            for name, loss in clone_losses.items():
                losses[name] = losses[name] + loss if name in losses else loss
        losses['regularization'] = tf.losses.get_regularization_loss()
        losses['total'] = local_loss = tf.losses.get_total_loss()
        accuracy = tf.reduce_mean(tf.cast(tf.concat(correct, 0), tf.float32))
        rate = decayed_learning_rate(options, global_step)
        optimizer = tf.train.RMSPropOptimizer(rate, decay=0.9, momentum=0.9, epsilon=1.0)
        if workers.count > 1:
            losses, accuracy = _average_over_workers(workers, optimizer, losses, accuracy)
        averages = None
        if options.moving_average_decay:
            averages = tf.train.ExponentialMovingAverage(options.moving_average_decay, global_step)

        def train_op(variables: list[tf.Variable], name: str) -> tf.Tensor:
            train_step = slim.learning.create_train_op(
                local_loss, optimizer, global_step=global_step,
                update_ops=_batch_norm_updates(options.num_clones), variables_to_train=variables,
                clip_gradient_norm=options.clip_gradients or 0, check_numerics=workers.count == 1,
                colocate_gradients_with_ops=options.num_clones > 1)
            if workers.count > 1:
                with tf.control_dependencies([train_step]):
                    train_step = tf.identity(losses['total'])
            if averages is None:
                return train_step
            with tf.control_dependencies([train_step]):
                averaged = averages.apply(slim.get_model_variables())
            with tf.control_dependencies([averaged]):
                return tf.identity(train_step, name)

        forward = tf.get_default_graph().get_operations()
        train = train_op(variables_to_train(definition, options.trainable_scopes), 'train_step')
        train_heads = (train_op(variables_to_train(definition, definition.heads),
                                'train_step_of_heads') if options.separate_heads else None)
        if options.recompute:
            gradient_checkpointing.recompute(tf.get_default_graph(), forward)
        init_averages = tf.group(*(tf.assign(averages.average(variable), variable)
                                   for variable in slim.get_model_variables())
                                 ) if averages else tf.no_op()
    return TrainStep(train, train_heads, losses, accuracy, rate, global_step, averages,
                     init_averages, build_evaluation)


def decayed_learning_rate(options: StepOptions,
                          global_step: tf.Variable | tf.Tensor) -> tf.Tensor:
    """The learning rate of this step, with the schedules of TF-Slim's script and a cosine."""
    first, last = options.learning_rate, float(options.end_learning_rate)
    if options.learning_rate_decay == 'fixed':
        rate = tf.constant(first)
    elif options.learning_rate_decay == 'exponential':
        rate = tf.maximum(last, tf.train.exponential_decay(
            first, global_step, options.decay_steps, options.decay_factor, staircase=True),
            name='decayed_learning_rate')
    elif options.learning_rate_decay == 'polynomial':
        rate = tf.train.polynomial_decay(first, global_step, options.decay_steps, last)
    else:
        steps = max(1, options.total_steps - options.warmup_steps)
        rate = tf.train.cosine_decay(
            first, tf.maximum(tf.cast(global_step, tf.int64) - options.warmup_steps, 0), steps,
            alpha=last / first)
    if options.warmup_steps:
        rate *= tf.minimum(1.0, tf.cast(global_step + 1, tf.float32) / options.warmup_steps)
    return rate


def _classification_losses(logits: tf.Tensor, aux_logits: tf.Tensor | None, labels: tf.Tensor,
                           options: StepOptions, weight: float) -> dict[str, tf.Tensor]:
    losses = {'logits': classification_loss(labels, to_float32(logits), options, weight)}
    if aux_logits is not None:
        losses['aux_logits'] = classification_loss(
            labels, to_float32(aux_logits), options, options.aux_weight * weight, 'aux_loss')
    return losses


def classification_loss(labels: tf.Tensor, logits: tf.Tensor, options: StepOptions,
                        weight: float, scope: str | None = None) -> tf.Tensor:
    """Adds a loss to the graph's: the mean of the images' losses, times `weight`.

    The loss of a multi-label image is the mean of its classes' losses.

    Source: https://arxiv.org/abs/1708.02002, equation 4, for the focal loss, with the weights of
    the classes as its alpha; its class is one or the other side of a sigmoid.
    """
    if options.class_weights is None and not options.focal_gamma:
        return _cross_entropy(labels, logits, options, weights=weight, scope=scope)
    multi_label = _is_multi_label(labels)
    targets = _targets(labels, logits)
    weights = tf.fill(tf.shape(logits) if multi_label else tf.shape(logits)[:1], float(weight))
    if options.class_weights is not None:
        class_weights = tf.constant(options.class_weights, targets.dtype)
        weights *= (class_weights[:, 0] + targets * (class_weights[:, 1] - class_weights[:, 0])
                    if multi_label else tf.linalg.matvec(targets, class_weights))
    if options.focal_gamma:
        # From the other side or the sum of the other classes, since 1 - p has no gradient that is
        # finite where p is 1.
        others = (tf.sigmoid((1 - 2 * targets) * logits) if multi_label
                  else tf.reduce_sum(tf.nn.softmax(logits) * (1 - targets), 1))
        weights *= tf.pow(others + _TINY, options.focal_gamma)
    return _cross_entropy(labels, logits, options, weights=weights, scope=scope,
                          reduction=tf.losses.Reduction.SUM_OVER_BATCH_SIZE)


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor, options: StepOptions,
                   **arguments: Any) -> tf.Tensor:
    """The cross-entropy of a softmax, or of sigmoids if the labels are those of all classes."""
    multi_label = _is_multi_label(labels)
    smoothing = options.label_smoothing
    if smoothing is None:
        smoothing = 0.0 if multi_label else _LABEL_SMOOTHING
    function = (tf.losses.sigmoid_cross_entropy if multi_label
                else tf.losses.softmax_cross_entropy)
    return function(_targets(labels, logits), logits, label_smoothing=smoothing, **arguments)


def _is_multi_label(labels: tf.Tensor) -> bool:
    return labels.shape.rank == 2


def _targets(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The probability of each class that the network learns, `[batch, num_classes]`."""
    return (tf.cast(labels, logits.dtype) if _is_multi_label(labels)
            else tf.one_hot(labels, logits.shape.as_list()[1], dtype=logits.dtype))


def _split(images: tf.Tensor, labels: tf.Tensor,
           clones: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
    if clones == 1:
        return [(images, labels)]
    return list(zip(tf.split(images, clones), tf.split(labels, clones)))


@contextlib.contextmanager
def _clone_scope(clone: int, clones: int) -> Iterator[None]:
    """Sets a clone's device and name scope, as slim's `model_deploy` does."""
    if clones == 1:
        yield
        return
    gpus = len(tf.config.list_physical_devices('GPU'))
    if 0 < gpus < clones:
        raise TrainingError(f'num_clones is {clones}, but there are {gpus} GPUs; each clone needs '
                            'its own.')

    def device(operation: tf.Operation) -> str:
        is_variable = operation.type in ('VarHandleOp', 'VariableV2')
        return '/device:CPU:0' if is_variable or not gpus else f'/device:GPU:{clone}'

    scope = tf.get_variable_scope()
    with tf.name_scope(f'clone_{clone}/'), tf.device(device), tf.variable_scope(
            scope, reuse=clone > 0 or None, auxiliary_name_scope=False):
        yield


def _batch_norm_updates(clones: int) -> list[tf.Operation] | None:
    """The updates of the first clone's batch norm averages; None means all updates."""
    return tf.get_collection(tf.GraphKeys.UPDATE_OPS, 'clone_0/') if clones > 1 else None


def _average_over_workers(workers: WorkerGroup, optimizer: tf.train.Optimizer,
                          losses: dict[str, tf.Tensor], accuracy: tf.Tensor
                          ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Makes an optimizer apply gradients averaged over all workers.

    Returns the averaged losses and accuracy. A loss that is not finite in one worker is so in all,
    and ends all of them at the same step.
    """
    values = [*losses.values(), accuracy]
    *means, accuracy = tf.unstack(workers.all_reduce_mean(tf.stack(values)), len(values))
    averaged = dict(zip(losses, means))
    averaged['total'] = tf.check_numerics(averaged['total'], 'LossTensor is inf or nan')
    compute_gradients = optimizer.compute_gradients

    def compute_averages(*arguments, **options):
        return workers.average_gradients(compute_gradients(*arguments, **options),
                                         [averaged['total'].op])

    optimizer.compute_gradients = compute_averages
    return averaged, accuracy


def variables_to_train(
    network: registry.Network, scopes: Iterable[str] | None
) -> list[tf.Variable]:
    """The trainable variables under any of the scopes; all of them if `scopes` is None.

    Args:
      network: the network, whose own scope may be left out of `scopes`.
      scopes: such as 'Logits' or 'InceptionV3/Logits'.

    Raises:
      TrainingError: there is no trainable variable under a scope, or no scope.
    """
    variables = tf.trainable_variables()
    if scopes is None:
        return variables
    if isinstance(scopes, str):
        raise TrainingError(f'trainable_scopes must be a list of scopes, not {scopes!r}; '
                            f'write trainable_scopes=[{scopes!r}].')
    names: set[str] = set()
    for scope in scopes:
        relative = scope.strip('/').removeprefix(network.scope + '/')
        prefix = network.scope if relative == network.scope else f'{network.scope}/{relative}'
        matches = [item.op.name for item in variables if item.op.name.startswith(prefix + '/')]
        if not matches:
            raise TrainingError(f'No trainable variable is under the scope {scope!r}; give scopes '
                                'such as Logits, AuxLogits or Mixed_7c.')
        names.update(matches)
    if not names:
        raise TrainingError('trainable_scopes is empty; give at least one scope, or omit it.')
    return [variable for variable in variables if variable.op.name in names]
