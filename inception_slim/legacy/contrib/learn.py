"""`tf.contrib.learn`: its estimator, `Experiment` and `learn_runner`, over `tf.estimator`.

Experiments run on one machine. Canned estimators, monitors and feature columns are not here.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
import copy
import functools
import inspect
import operator
import os

from inception_slim.legacy.tf1_modules import resolve_module
import numpy as np
import tensorflow.compat.v1 as tf

_estimator = resolve_module('tensorflow.estimator')
_SERVING = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY

InputFnOps = collections.namedtuple('InputFnOps', 'features labels default_inputs')


class ModeKeys:
    """The modes of a model function; the same strings as those of `tf.estimator`."""

    TRAIN, EVAL, INFER = 'train', 'eval', 'infer'

    @classmethod
    def validate(cls, key: str) -> None:
        """Raise ValueError if it is no mode."""
        if key not in (cls.TRAIN, cls.EVAL, cls.INFER):
            raise ValueError(f'Invalid mode {key}.')


class ModelFnOps(collections.namedtuple('ModelFnOps', (
        'predictions', 'loss', 'train_op', 'eval_metric_ops', 'output_alternatives',
        'training_chief_hooks', 'training_hooks', 'scaffold', 'mode'))):
    """What a model function returns."""

    def __new__(cls, mode, predictions=None, loss=None, train_op=None, eval_metric_ops=None,
                output_alternatives=None, training_chief_hooks=None, training_hooks=None,
                scaffold=None):
        ModeKeys.validate(mode)
        if train_op is None and mode == ModeKeys.TRAIN:
            raise ValueError('Missing train_op.')
        if loss is None and mode != ModeKeys.INFER:
            raise ValueError('Missing loss.')
        if predictions is None and mode != ModeKeys.TRAIN:
            raise ValueError('Missing predictions.')
        return super().__new__(
            cls, predictions, loss, train_op, eval_metric_ops or {}, output_alternatives,
            training_chief_hooks or [], training_hooks or [], scaffold, mode)

    def estimator_spec(self, default_serving_output_alternative_key=None):
        """Return the `EstimatorSpec` of `tf.estimator`."""
        outputs = None
        if self.mode == ModeKeys.INFER:
            tensors = {name: tensors for name, (_, tensors) in (
                self.output_alternatives or {_SERVING: (None, self.predictions)}).items()}
            if default_serving_output_alternative_key or len(tensors) == 1:
                tensors.setdefault(_SERVING, tensors[
                    default_serving_output_alternative_key or next(iter(tensors))])
            outputs = {name: _estimator.export.PredictOutput(value)
                       for name, value in tensors.items()}
        return _estimator.EstimatorSpec(
            self.mode, predictions=self.predictions, loss=self.loss, train_op=self.train_op,
            eval_metric_ops={name: _as_metric(value) for name, value in
                             self.eval_metric_ops.items() if name != 'loss'},
            export_outputs=outputs, training_chief_hooks=self.training_chief_hooks,
            training_hooks=self.training_hooks, scaffold=self.scaffold)


def _as_metric(value):
    """A metric as a pair of its value and its update; the mean of a single tensor."""
    return value if isinstance(value, tuple) else tf.metrics.mean(value)


class MetricSpec:
    """A metric, with the names of its prediction, its label and its weights in dictionaries."""

    def __init__(self, metric_fn, prediction_key=None, label_key=None, weight_key=None):
        self.metric_fn = metric_fn
        self.prediction_key, self.label_key, self.weight_key = (
            prediction_key, label_key, weight_key)

    def create_metric_ops(self, inputs, labels, predictions):
        """Call the metric with the tensors that belong to it."""
        prediction = self._select('prediction', predictions, self.prediction_key)
        label = self._select('label', labels, self.label_key)
        names = list(inspect.signature(self.metric_fn).parameters)
        arguments = {}
        for kinds, value in ((('labels', 'label', 'targets', 'target'), label),
                             (('predictions', 'prediction', 'logits'), prediction)):
            name = next((name for name in kinds if name in names), None)
            if name:
                arguments[name] = value
        if prediction is not None and not any(value is prediction for value in arguments.values()):
            arguments[next(name for name in names if name not in arguments)] = prediction
        if self.weight_key:
            arguments['weights' if 'weights' in names else 'weight'] = inputs[self.weight_key]
        return self.metric_fn(**arguments)

    @staticmethod
    def _select(kind, tensors, key):
        if key:
            if not isinstance(tensors, dict):
                raise ValueError(f'MetricSpec with {kind}_key specified requires {kind}s dict, '
                                 f'got {tensors}.')
            return tensors[key]
        if not isinstance(tensors, dict):
            return tensors
        if len(tensors) != 1:
            raise ValueError(f'MetricSpec without specified {kind}_key requires {kind}s tensor or '
                             f'single element dict, got {tensors}')
        return next(iter(tensors.values()))


class RunConfig(_estimator.RunConfig):  # type: ignore[name-defined]
    """The `RunConfig` of `tf.estimator` with the arguments of `tf.contrib.learn`."""

    def __init__(self, master=None, num_cores=0, log_device_placement=False,
                 gpu_memory_fraction=1, tf_random_seed=None, save_summary_steps=100,
                 save_checkpoints_secs=0, save_checkpoints_steps=None, keep_checkpoint_max=5,
                 keep_checkpoint_every_n_hours=10000, log_step_count_steps=100, protocol=None,
                 evaluation_master='', model_dir=None, session_config=None,
                 session_creation_timeout_secs=7200):
        self.tf_config = tf.ConfigProto(
            log_device_placement=log_device_placement, inter_op_parallelism_threads=num_cores,
            intra_op_parallelism_threads=num_cores, allow_soft_placement=True,
            gpu_options=tf.GPUOptions(per_process_gpu_memory_fraction=gpu_memory_fraction))
        if save_checkpoints_secs == 0:  # the default
            save_checkpoints_secs = 600 if save_checkpoints_steps is None else None
        super().__init__(
            model_dir=model_dir, tf_random_seed=tf_random_seed,
            save_summary_steps=save_summary_steps, save_checkpoints_secs=save_checkpoints_secs,
            save_checkpoints_steps=save_checkpoints_steps,
            session_config=session_config or self.tf_config,
            keep_checkpoint_max=keep_checkpoint_max,
            keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
            log_step_count_steps=log_step_count_steps, protocol=protocol,
            session_creation_timeout_secs=session_creation_timeout_secs)

    def uid(self, whitelist=None) -> str:
        """Return a text that is the same for configurations with the same values."""
        values = {name: value for name, value in vars(self).items()
                  if name.lstrip('_') not in (whitelist or ())}
        return ', '.join(f'{name}={value!r}' for name, value in sorted(values.items())
                         if not name.startswith('_session_config'))


def _array_input_fn(x, y, batch_size, shuffle=False, epochs=1) -> Callable:
    """An input function of arrays, which draws batches in the order of 1.15.5."""
    x = np.asarray(x) if not isinstance(x, dict) else {k: np.asarray(v) for k, v in x.items()}
    data = (x,) if y is None else (x, np.asarray(y))
    # TensorFlow 1 fed arrays as float32 unless they were of integers.
    data = tf.nest.map_structure(
        lambda array: array.astype(np.float32) if array.dtype == np.float64 else array, data)
    data = tf.nest.map_structure(
        lambda array: array[:, np.newaxis] if array.ndim == 1 else array, data[:1]) + data[1:]
    size = len(tf.nest.flatten(x)[0])

    def batches():
        random, epoch = np.random.RandomState(42), 0
        order = random.permutation(size) if shuffle else np.arange(size)
        while epochs is None or epoch < epochs:
            for start in range(0, size, batch_size or size):
                choose = operator.itemgetter(order[start:start + (batch_size or size)])
                yield tf.nest.map_structure(choose, data)
            order = random.permutation(size) if shuffle else order
            epoch += 1

    def input_fn():
        dataset = tf.data.Dataset.from_generator(
            batches, tf.nest.map_structure(lambda array: tf.as_dtype(array.dtype), data),
            tf.nest.map_structure(lambda array: (None, *array.shape[1:]), data))
        tensors = tf.data.make_one_shot_iterator(dataset).get_next()
        return tensors if len(tensors) == 2 else (tensors[0], None)

    return input_fn


class Estimator(_estimator.Estimator):  # type: ignore[name-defined]
    """An estimator with `fit`, whose model function may return `ModelFnOps` or a tuple."""

    def __init__(self, model_fn=None, model_dir=None, config=None, params=None,
                 feature_engineering_fn=None):
        self._metrics = None
        names = inspect.signature(model_fn).parameters

        def wrapped(features, labels, mode, params, config):
            if feature_engineering_fn is not None:
                features, labels = feature_engineering_fn(features, labels)
            values = {'mode': mode, 'params': params, 'config': config,
                      'model_dir': config.model_dir}
            result = model_fn(features, labels, **{
                name: value for name, value in values.items() if name in names})
            if not isinstance(result, ModelFnOps):
                if len(result) != 3:
                    raise ValueError('Unrecognized value returned by model_fn, please return '
                                     'ModelFnOps.')
                result = ModelFnOps(mode, *result)
            if mode == ModeKeys.EVAL:
                result = result._replace(eval_metric_ops={
                    **result.eval_metric_ops,
                    **_metric_ops(self._metrics or {}, features, labels, result.predictions)})
            return result.estimator_spec()

        super().__init__(wrapped, model_dir, config or RunConfig(), params)

    def _assert_members_are_not_overridden(self) -> None:
        pass  # `evaluate` and `predict` take other arguments here

    def fit(self, x=None, y=None, input_fn=None, steps=None, batch_size=None, monitors=None,
            max_steps=None) -> Estimator:
        """Train with an input function, or with arrays in shuffled batches."""
        if input_fn is None:
            input_fn = _array_input_fn(x, y, batch_size or 128, shuffle=True, epochs=None)
        self.train(input_fn, hooks=monitors, steps=steps, max_steps=max_steps)
        return self

    def partial_fit(self, x=None, y=None, input_fn=None, steps=1, batch_size=None,
                    monitors=None) -> Estimator:
        """Train for a few steps."""
        return self.fit(x, y, input_fn, steps, batch_size, monitors)

    def evaluate(self, x=None, y=None, input_fn=None, feed_fn=None, batch_size=None, steps=None,
                 metrics=None, name=None, checkpoint_path=None, hooks=None, log_progress=True):
        """Evaluate with `MetricSpec`s beside the metrics of the model function."""
        if callable(x) and input_fn is None:  # as tf.estimator calls it
            input_fn, x = x, None
        if input_fn is None:
            input_fn = _array_input_fn(x, y, batch_size)
        self._metrics = metrics
        try:
            return super().evaluate(input_fn, steps, hooks, checkpoint_path, name)
        finally:
            self._metrics = None

    def predict(self, x=None, input_fn=None, batch_size=None, outputs=None, as_iterable=True,
                iterate_batches=False):
        """Return predictions one by one, by batch, or those of the first batch."""
        if input_fn is None:
            input_fn = _array_input_fn(x, None, batch_size)
        predictions = super().predict(
            input_fn, predict_keys=outputs,
            yield_single_examples=as_iterable and not iterate_batches)
        return predictions if as_iterable else next(predictions)

    def export_savedmodel(self, export_dir_base, serving_input_fn,
                          default_output_alternative_key=None, **options):
        """Export the model for serving; see `tf.estimator.Estimator.export_savedmodel`."""
        def receiver_fn():
            inputs = serving_input_fn()
            return (_estimator.export.ServingInputReceiver(inputs.features, inputs.default_inputs)
                    if isinstance(inputs, InputFnOps) else inputs)
        return super().export_savedmodel(export_dir_base, receiver_fn, **options)


def _metric_ops(metrics, features, labels, predictions) -> dict:
    ops = {}
    for name, metric in metrics.items():
        if isinstance(metric, MetricSpec):
            ops[name] = _as_metric(metric.create_metric_ops(features, labels, predictions))
        elif isinstance(name, tuple):  # with the name of a prediction
            ops[name[0]] = _as_metric(metric(predictions[name[1]], labels))
        else:
            ops[name] = _as_metric(metric(predictions, labels))
    return ops


class ExportStrategy(collections.namedtuple(
        'ExportStrategy', 'name export_fn strip_default_attrs', defaults=(None,))):
    """A name and a function that exports an estimator."""

    def export(self, estimator, export_path, checkpoint_path=None, eval_result=None):
        """Call the function with those of the arguments that it takes."""
        names = inspect.signature(self.export_fn).parameters
        values = {'checkpoint_path': checkpoint_path, 'eval_result': eval_result,
                  'strip_default_attrs': self.strip_default_attrs}
        return self.export_fn(estimator, export_path, **{
            name: value for name, value in values.items() if name in names})


def make_export_strategy(serving_input_fn, default_output_alternative_key=None, assets_extra=None,
                         as_text=False, exports_to_keep=5, strip_default_attrs=None):
    """Return a strategy that exports SavedModels and keeps the newest."""
    def export_fn(estimator, export_dir_base, checkpoint_path=None, strip_default_attrs=False):
        path = estimator.export_savedmodel(
            export_dir_base, serving_input_fn, assets_extra=assets_extra, as_text=as_text,
            checkpoint_path=checkpoint_path, strip_default_attrs=bool(strip_default_attrs))
        exports = sorted((name.rstrip('/') for name in tf.gfile.ListDirectory(export_dir_base)
                          if name.rstrip('/').isdigit()), key=int)
        for name in exports[:-exports_to_keep] if exports_to_keep else ():
            tf.gfile.DeleteRecursively(os.path.join(os.fsdecode(export_dir_base), name))
        return path

    return ExportStrategy('Servo', export_fn, strip_default_attrs)


class _Evaluation(tf.train.CheckpointSaverListener):
    """Evaluates each checkpoint but that of the first step."""

    def __init__(self, evaluate: Callable[[], object]):
        self._evaluate, self._is_first = evaluate, True

    def after_save(self, session, global_step_value):
        if not self._is_first:
            self._evaluate()
        self._is_first = False


class Experiment:
    """An estimator with its inputs, trained and evaluated on one machine."""

    def __init__(self, estimator, train_input_fn, eval_input_fn, eval_metrics=None,
                 train_steps=None, eval_steps=100, train_monitors=None, eval_hooks=None,
                 local_eval_frequency=None, eval_delay_secs=120, continuous_eval_throttle_secs=60,
                 min_eval_frequency=None, delay_workers_by_global_step=False,
                 export_strategies=None, train_steps_per_iteration=None,
                 checkpoint_and_export=False, saving_listeners=None, check_interval_secs=5):
        if not isinstance(estimator, _estimator.Estimator):
            raise ValueError('`estimator` must implement `tf.contrib.learn.Evaluable` or '
                             '`tf.estimator.Estimator`.')
        if eval_metrics is not None and not isinstance(estimator, Estimator):
            raise ValueError('`eval_metrics` must be `None` with `tf.estimator.Estimator`. Use '
                             '`eval_metric_ops` in `tf.estimator.EstimatorSpec` instead.')
        self._estimator, self._train_input_fn, self._eval_input_fn = (
            estimator, train_input_fn, eval_input_fn)
        self._eval_metrics, self._train_steps, self._eval_steps = (
            eval_metrics, train_steps, eval_steps)
        self._train_hooks = list(train_monitors or [])
        self._eval_hooks = list(eval_hooks or [])
        self._min_eval_frequency = 1 if min_eval_frequency is None else min_eval_frequency
        self._local_eval_frequency = local_eval_frequency
        self._export_at_checkpoints = checkpoint_and_export
        self._train_steps_per_iteration = train_steps_per_iteration
        self._saving_listeners = list(saving_listeners or [])
        self.reset_export_strategies(export_strategies)

    estimator = property(lambda self: self._estimator)
    eval_metrics = property(lambda self: self._eval_metrics)
    train_steps = property(lambda self: self._train_steps)
    eval_steps = property(lambda self: self._eval_steps)

    def extend_train_hooks(self, additional_hooks) -> None:
        """Add hooks of the training."""
        self._train_hooks.extend(additional_hooks)

    def reset_export_strategies(self, new_export_strategies=None):
        """Replace the export strategies; return the old ones."""
        before = getattr(self, '_export_strategies', ())
        self._export_strategies = ((new_export_strategies,)
                                   if isinstance(new_export_strategies, ExportStrategy)
                                   else tuple(new_export_strategies or ()))
        return before

    def train(self, delay_secs=None):
        """Train for `train_steps`; return the estimator."""
        return self._train(max_steps=self._train_steps)

    def _train(self, listeners=(), **steps):
        return self._estimator.train(
            self._train_input_fn, hooks=self._train_hooks,
            saving_listeners=[*self._saving_listeners, *listeners], **steps)

    def evaluate(self, delay_secs=None, name=None):
        """Evaluate the latest checkpoint, at once."""
        return self._evaluate(name or 'one_pass')

    def _evaluate(self, name=None, steps=None):
        metrics = {'metrics': self._eval_metrics} if isinstance(self._estimator, Estimator) else {}
        return self._estimator.evaluate(
            input_fn=self._eval_input_fn, steps=steps or self._eval_steps, name=name,
            hooks=self._eval_hooks, **metrics)

    def train_and_evaluate(self):
        """Train, evaluate new checkpoints; return the last metrics and the exports."""
        listeners = []
        if self._export_at_checkpoints:
            listeners = [_Evaluation(lambda: self._export(self._evaluate()))]
        elif self._min_eval_frequency:
            listeners = [_Evaluation(self._evaluate)]
        self._train(listeners, max_steps=self._train_steps)
        result = self._evaluate()
        return result, self._export(result)

    def local_run(self):
        """Train and evaluate every `local_eval_frequency`."""
        experiment = copy.copy(self)
        experiment._min_eval_frequency = self._local_eval_frequency
        return experiment.train_and_evaluate()

    def continuous_train_and_eval(self, continuous_eval_predicate_fn=None):
        """Train and evaluate in turns; return the last metrics and the exports."""
        steps = self._train_steps_per_iteration or (
            1000 if self._train_steps is None else int(self._train_steps / 10))
        result = exports = None
        while continuous_eval_predicate_fn is None or continuous_eval_predicate_fn(result):
            if result and self._train_steps and result['global_step'] >= self._train_steps:
                break
            self._train(steps=steps)
            result = self._evaluate('one_pass')
            exports = self._export(result)
        return result, exports

    def test(self):
        """Train, evaluate and export for a single step; return the metrics."""
        self._train(steps=1)
        result = self._evaluate('one_pass', steps=1)
        self._export(result)
        return result

    def _export(self, result) -> list:
        folder = os.path.join(self._estimator.model_dir, 'export')
        return [strategy.export(
            self._estimator, os.path.join(folder, strategy.name).encode(), eval_result=result)
                for strategy in self._export_strategies]


def run(experiment_fn, output_dir=None, schedule=None, run_config=None, hparams=None):
    """`tf.contrib.learn.learn_runner.run`: build an experiment and call a method of it.

    Args:
      experiment_fn: takes `output_dir`, or `run_config` and `hparams`.
      output_dir: folder of the model, if there is no `run_config`.
      schedule: name of the method; by default 'train_and_evaluate'.
      run_config: with the folder of the model.
      hparams: passed on.

    Returns:
      What the method returns.

    Raises:
      ValueError: neither or both of `output_dir` and `run_config` are given, or the experiment
        has no such method.
      TypeError: `experiment_fn` does not return an experiment.
      RuntimeError: the estimator has another configuration.
    """
    if output_dir is not None and run_config is not None:
        raise ValueError('Cannot provide both `output_dir` and `run_config`')
    if output_dir is None and run_config is None:
        raise ValueError('Must set value for `output_dir` or `run_config`')
    if not callable(experiment_fn):
        raise TypeError(f'Experiment builder "{experiment_fn}" is not callable.')
    if run_config is None:
        if hparams is not None:
            raise ValueError('Must set `hparams` as None for `experiment_fn` with `output_dir`.')
        build = functools.partial(experiment_fn, output_dir=output_dir)
    else:
        if not isinstance(run_config, RunConfig):
            raise ValueError('`run_config` must be `tf.contrib.learn.RunConfig` instance')
        if not run_config.model_dir:
            raise ValueError('Must specify a model directory `model_dir` in `run_config`.')
        build = functools.partial(experiment_fn, run_config=run_config, hparams=hparams)
    experiment = build()
    if not isinstance(experiment, Experiment):
        raise TypeError('Experiment builder did not return an Experiment instance, got '
                        f'{type(experiment)} instead.')
    if run_config is not None and getattr(
            experiment.estimator.config, 'uid', lambda: None)() != run_config.uid():
        raise RuntimeError('`RunConfig` instance is expected to be used by the `Estimator` inside '
                           'the `Experiment`.')
    method = getattr(experiment, schedule or 'train_and_evaluate', None)
    if method is None:
        raise ValueError(f'Schedule references non-existent task {schedule}')
    return method()
