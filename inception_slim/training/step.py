"""One step of training, as TF-Slim's users made it.

Softmax cross-entropy with smoothed labels on the logits and, with less weight, on the auxiliary
logits; the L2 loss of the arg scope; RMSProp with a rate that decays; batch norm's moving averages
with the step and the moving averages of the weights after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import contextlib
from dataclasses import dataclass

from inception_slim.errors import TrainingError
from inception_slim.nets import registry
from inception_slim.options import build_options
from inception_slim.training import gradient_checkpointing
from inception_slim.training.distributed import DistributedWorkers, SingleWorker
from inception_slim.training.mixed_precision import (
    float32_master_getter,
    regularized_in_float32,
    supported_precision,
    to_float32,
)
from inception_slim.training.options import StepOptions
import tensorflow.compat.v1 as tf
import tf_slim as slim


@dataclass(frozen=True)
class TrainStep:
    """One training step, as tensors and an op of a graph.

    Attributes:
      train: runs the step, all of it; its value is the total loss from before it.
      losses: the parts of the loss, scalars by name: 'total', 'logits', 'regularization', and
        'aux_logits' where there is an auxiliary head.
      learning_rate: of this step, a scalar.
      global_step: how many steps were made, int64.
      averages: the moving averages of the weights; None without them.
      begin_averages: sets every moving average to its variable's present value.
    """

    train: tf.Tensor
    losses: dict[str, tf.Tensor]
    learning_rate: tf.Tensor
    global_step: tf.Variable
    averages: tf.train.ExponentialMovingAverage | None
    begin_averages: tf.Operation


def build_step(
    images: tf.Tensor,
    labels: tf.Tensor,
    num_classes: int,
    *,
    workers: SingleWorker | None = None,
    network: str = 'inception_v3',
    trainable_scopes: Iterable[str] | None = None,
    learning_rate: float = 0.01,
    end_learning_rate: float = 0.0001,
    decay_factor: float = 0.94,
    aux_weight: float = 0.4,
    label_smoothing: float = 0.1,
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
    batch_norm_scale: bool = False,
) -> TrainStep:
    """Builds the network and one step of its training in the default graph.

    Args:
      images: `[batch, height, width, 3]` float32 in [-1, 1]; with clones, a whole number of images
        for each.
      labels: `[batch]` integers in [0, num_classes).
      num_classes: width of the classifiers.
      workers: those that train together; gradients and losses are then the means of all.
      **options: those of `StepOptions`.

    Raises:
      TrainingError: an option is out of its range, or `trainable_scopes` names nothing.

    Source: https://arxiv.org/abs/1512.00567, section 8, and the defaults of TF-Slim's users.
    """
    chosen = build_options(StepOptions, locals(), TrainingError)
    known = registry.NETWORKS[chosen.network]
    arguments = {'dropout_keep_prob': chosen.dropout_keep_prob}
    if known.channels:
        arguments.update(depth_multiplier=chosen.depth_multiplier, min_depth=chosen.min_depth)
    elif chosen.depth_multiplier != 1:
        raise TrainingError(f'{known.title} cannot be thinned; leave depth_multiplier at 1.')
    arg_scope = known.arg_scope(weight_decay=chosen.weight_decay,
                                batch_norm_decay=chosen.batch_norm_decay,
                                batch_norm_scale=chosen.batch_norm_scale)
    getter = None
    if supported_precision(chosen.precision) == 'bfloat16':
        images = tf.cast(images, tf.bfloat16)
        getter, arg_scope = float32_master_getter, regularized_in_float32(arg_scope)
    # Resource variables, whose reads and writes have an order; their names are the same.
    with tf.variable_scope('', use_resource=True, custom_getter=getter):
        global_step = tf.train.get_or_create_global_step()
        losses: dict[str, tf.Tensor] = {}
        for clone, (part, wanted) in enumerate(_parts(images, labels, chosen.num_clones)):
            with _on_its_device(clone, chosen.num_clones), slim.arg_scope(arg_scope):
                logits, end_points = known.function(part, num_classes=num_classes,
                                                    is_training=True, **arguments)
                wanted = tf.one_hot(wanted, num_classes)
                share = 1 / chosen.num_clones
                added = {'logits': tf.losses.softmax_cross_entropy(
                    wanted, to_float32(logits), weights=share,
                    label_smoothing=chosen.label_smoothing)}
                if 'AuxLogits' in end_points:
                    added['aux_logits'] = tf.losses.softmax_cross_entropy(
                        wanted, to_float32(end_points['AuxLogits']),
                        weights=chosen.aux_weight * share,
                        label_smoothing=chosen.label_smoothing, scope='aux_loss')
            for name, loss in added.items():
                losses[name] = losses[name] + loss if name in losses else loss
        losses['regularization'] = tf.losses.get_regularization_loss()
        losses['total'] = local_loss = tf.losses.get_total_loss()
        rate = tf.maximum(float(chosen.end_learning_rate), tf.train.exponential_decay(
            chosen.learning_rate, global_step, chosen.decay_steps, chosen.decay_factor,
            staircase=True), name='decayed_learning_rate')
        optimizer = tf.train.RMSPropOptimizer(rate, decay=0.9, momentum=0.9, epsilon=1.0)
        others = workers if isinstance(workers, DistributedWorkers) else None
        if others:
            losses = _shared(others, optimizer, losses)
        forward = tf.get_default_graph().get_operations()
        train_step = slim.learning.create_train_op(
            local_loss, optimizer, global_step=global_step,
            update_ops=_first_clones_updates(chosen.num_clones),
            variables_to_train=variables_to_train(known, chosen.trainable_scopes),
            clip_gradient_norm=chosen.clip_gradients or 0, check_numerics=not others,
            colocate_gradients_with_ops=chosen.num_clones > 1)
        if chosen.recompute:
            gradient_checkpointing.recompute(tf.get_default_graph(), forward)
        if others:
            with tf.control_dependencies([train_step]):
                train_step = tf.identity(losses['total'])
        if not chosen.moving_average_decay:
            return TrainStep(train_step, losses, rate, global_step, None, tf.no_op())
        averages = tf.train.ExponentialMovingAverage(chosen.moving_average_decay, global_step)
        variables = slim.get_model_variables()
        with tf.control_dependencies([train_step]):
            averaged = averages.apply(variables)
        with tf.control_dependencies([averaged]):
            train_step = tf.identity(train_step, 'train_step')
        begin = tf.group(*(tf.assign(averages.average(each), each) for each in variables))
    return TrainStep(train_step, losses, rate, global_step, averages, begin)


def _parts(images: tf.Tensor, labels: tf.Tensor,
           clones: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
    if clones == 1:
        return [(images, labels)]
    return list(zip(tf.split(images, clones), tf.split(labels, clones)))


@contextlib.contextmanager
def _on_its_device(clone: int, clones: int) -> Iterator[None]:
    """Where and under which names a clone is built, as slim's `model_deploy` had them."""
    if clones == 1:
        yield
        return
    gpus = len(tf.config.list_physical_devices('GPU'))
    if 0 < gpus < clones:
        raise TrainingError(f'num_clones is {clones}, but there are {gpus} GPUs; give each clone '
                            'its own.')

    def device(operation):
        variable = operation.type in ('VarHandleOp', 'VariableV2')
        return '/device:CPU:0' if variable or not gpus else f'/device:GPU:{clone}'

    scope = tf.get_variable_scope()
    with tf.name_scope(f'clone_{clone}/'), tf.device(device), tf.variable_scope(
            scope, reuse=clone > 0 or None, auxiliary_name_scope=False):
        yield


def _first_clones_updates(clones: int) -> list[tf.Operation] | None:
    """Batch norm's updates; None stands for all that there are."""
    return tf.get_collection(tf.GraphKeys.UPDATE_OPS, 'clone_0/') if clones > 1 else None


def _shared(workers: DistributedWorkers, optimizer: tf.train.Optimizer,
            losses: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Has an optimizer apply the means of all workers' gradients; returns the means of losses.

    A loss that is no number in one worker is none in all, and so ends all of them, at one step.
    """
    means = tf.unstack(workers.mean(tf.stack(list(losses.values()))), len(losses))
    shared = dict(zip(losses, means))
    shared['total'] = tf.check_numerics(shared['total'], 'LossTensor is inf or nan')
    compute = optimizer.compute_gradients

    def compute_means(*arguments, **options):
        return workers.averaged(compute(*arguments, **options), [shared['total'].op])

    optimizer.compute_gradients = compute_means
    return shared


def variables_to_train(
    network: registry.Network, scopes: Iterable[str] | None
) -> list[tf.Variable]:
    variables = tf.trainable_variables()
    if scopes is None:
        return variables
    if isinstance(scopes, str):
        raise TrainingError(f'trainable_scopes must be a list of scopes, not {scopes!r}; '
                            f'write trainable_scopes=[{scopes!r}].')
    chosen = set()
    for scope in scopes:
        inside = scope.strip('/').removeprefix(network.scope + '/')
        under = network.scope if inside == network.scope else f'{network.scope}/{inside}'
        found = [each.op.name for each in variables if each.op.name.startswith(under + '/')]
        if not found:
            raise TrainingError(f'No trainable variable is under the scope {scope!r}; name scopes '
                                'such as Logits, AuxLogits or Mixed_7c.')
        chosen.update(found)
    if not chosen:
        raise TrainingError('trainable_scopes is empty; name a scope, or leave it out.')
    return [each for each in variables if each.op.name in chosen]
