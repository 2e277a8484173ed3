"""Tables that map the modules of `tf.contrib` to their replacements; long because of the tables.

Module names are relative to `tensorflow.contrib`. A private module (`layers.python.layers.…`) gets
the sources listed in `_PRIVATE`, followed by those of its public top-level module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import functools
from importlib import resources

_CONTRIB = 'inception_slim.legacy.contrib'
_V1 = 'tensorflow.compat.v1'
_PY = 'tensorflow.python'
_SLIM = 'tf_slim'
_NETS = f'{_SLIM}.nets'


@dataclass(frozen=True)
class Replacement:
    """Where the names of a module of `tf.contrib` are found today.

    Attributes:
      sources: dotted modules to look a name up in, in this order.
      names: names that come from elsewhere or have been renamed, as `module:attribute`.
      advice: what to use instead of names without a replacement.
      advices: the same for single names.
    """

    sources: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    advice: str = ''
    advices: Mapping[str, str] = field(default_factory=dict)


def _same(module: str, names: str) -> dict[str, str]:
    """Names that another module has under the same name."""
    return {name: f'{module}:{name}' for name in names.split()}


_FRAMEWORK = {
    'nest': f'{_CONTRIB}.nest',
    **_same(f'{_V1}', 'argsort sort convert_to_tensor_or_sparse_tensor is_tensor TensorSpec'),
    'BoundedTensorSpec': f'{_PY}.framework.tensor_spec:BoundedTensorSpec',
    'RecordInput': f'{_PY}.ops.data_flow_ops:RecordInput',
    **_same(f'{_V1}.debugging', 'assert_same_float_dtype assert_scalar'),
    **_same(f'{_PY}.util.deprecation', 'deprecated deprecated_args deprecated_arg_values'),
    **_same(f'{_V1}.train', 'init_from_checkpoint list_variables load_checkpoint load_variable'),
    **_same(f'{_PY}.framework.smart_cond', 'smart_case smart_cond smart_constant_value'),
    **_same(f'{_PY}.framework.ops', 'prepend_name_scope strip_name_scope'),
    'remove_squeezable_dimensions': f'{_PY}.ops.confusion_matrix:remove_squeezable_dimensions',
    **{name: f'{_PY}.ops.init_ops:{name}' for name in (
        'convolutional_delta_orthogonal', 'convolutional_orthogonal_1d',
        'convolutional_orthogonal_2d', 'convolutional_orthogonal_3d')},
    **_same(f'{_CONTRIB}.framework', 'assert_scalar_int get_placeholders reduce_sum_n'),
}
_CELLS = 'tf_keras.src.layers.rnn.legacy_cells'
_WRAPPERS = 'tf_keras.src.layers.rnn.legacy_cell_wrappers'
_LOOKUP = f'{_PY}.ops.lookup_ops'
_KERAS = 'tf_keras.api._v1.keras'
_ESTIMATOR = f'{_CONTRIB}.estimators'

# The public modules, with advice for the names that have no replacement.
_PUBLIC: dict[str, Replacement] = {
    '': Replacement(advice='TensorFlow 1.15.5 has no such module'),
    'slim': Replacement(
        sources=(_SLIM,),
        names={
            **_same(f'{_SLIM}.layers.initializers',
                    'variance_scaling_initializer xavier_initializer xavier_initializer_conv2d'),
            **_same(f'{_CONTRIB}.layers', 'embed_sequence embedding_lookup_unique'),
            **_same(f'{_SLIM}.layers.summaries', 'summarize_activation summarize_activations '
                    'summarize_biases summarize_collection summarize_tensor summarize_tensors '
                    'summarize_variables summarize_weights'),
            **_same(f'{_PY}.util.deprecation', 'deprecated deprecated_arg_values'),
            'safe_embedding_lookup_sparse': f'{_V1}.nn:safe_embedding_lookup_sparse',
        },
        advice='tf_slim does not have it either; feature columns are in tf.feature_column'),
    'slim.nets': Replacement(advice='the networks are in tf_slim.nets and inception_slim.nets'),
    'layers': Replacement(
        sources=(f'{_SLIM}.layers', f'{_SLIM}.layers.summaries', f'{_SLIM}.layers.optimizers'),
        names={
            **_same(f'{_CONTRIB}.layers', 'embed_sequence embedding_lookup_unique'),
            'safe_embedding_lookup_sparse': f'{_V1}.nn:safe_embedding_lookup_sparse',
        },
        advice='feature columns are in tf.feature_column, layers in tf_slim'),
    'layers.summaries': Replacement(sources=(f'{_SLIM}.layers.summaries',)),
    'layers.feature_column': Replacement(advice='use tf.feature_column'),
    'framework': Replacement(
        sources=(f'{_SLIM}.ops.variables', f'{_SLIM}.ops.arg_scope',
                 f'{_SLIM}.ops.framework_ops'),
        names=_FRAMEWORK,
        advice='look in tf.compat.v1 or tf_slim.ops',
        advices={'py_func': 'use tf.py_func', 'with_shape': 'use tf.ensure_shape',
                 'with_same_shape': 'use tf.ensure_shape'}),
    'metrics': Replacement(
        sources=(f'{_SLIM}.metrics', f'{_SLIM}.metrics.metric_ops'),
        names={'confusion_matrix': f'{_V1}:confusion_matrix',
               'set_difference': f'{_V1}.sets:difference',
               'set_intersection': f'{_V1}.sets:intersection',
               'set_size': f'{_V1}.sets:size', 'set_union': f'{_V1}.sets:union'},
        advice='use tf.compat.v1.metrics'),
    'losses': Replacement(sources=(f'{_SLIM}.losses',), advice='use tf.compat.v1.losses'),
    'training': Replacement(
        sources=(f'{_SLIM}.training.training', f'{_SLIM}.training.evaluation'),
        names={**_same(f'{_CONTRIB}.hparams', 'HParams parse_values'),
               **_same(f'{_CONTRIB}.device_setter', 'GreedyLoadBalancingStrategy RandomStrategy '
                       'byte_size_load_fn')},
        advice='use tf.data instead of queues of batches',
        advices={
            'bucket': 'use tf.data.Dataset.group_by_window',
            'bucket_by_sequence_length': 'use tf.data.Dataset.bucket_by_sequence_length',
            'stratified_sample': 'use tf.data.Dataset.rejection_resample',
            'rejection_sample': 'use tf.data.Dataset.rejection_resample'}),
    'image': Replacement(
        sources=(f'{_CONTRIB}.image',),
        advice='it was last available in TensorFlow Addons, as tfa.image'),
    'util': Replacement(
        names={'constant_value': f'{_PY}.framework.tensor_util:constant_value',
               'make_tensor_proto': f'{_V1}:make_tensor_proto',
               'make_ndarray': f'{_V1}:make_ndarray', 'nest': f'{_CONTRIB}.nest'},
        advice='use tf.compat.v1.graph_util'),
    'summary': Replacement(
        sources=(f'{_PY}.ops.summary_ops_v2',),
        names={'all_summary_ops': f'{_PY}.ops.summary_ops_v2:all_v2_summary_ops'},
        advice='use tf.summary of TensorFlow 2'),
    'tfprof': Replacement(
        advice='use tf.compat.v1.profiler'),
    'tfprof.model_analyzer': Replacement(
        sources=(f'{_CONTRIB}.tfprof',), advice='use tf.compat.v1.profiler'),
    'tfprof.tfprof_logger': Replacement(
        sources=(f'{_PY}.profiler.tfprof_logger',), advice='use tf.compat.v1.profiler'),
    'data': Replacement(
        sources=(f'{_CONTRIB}.data', f'{_V1}.data.experimental'),
        advice='use tf.data.Dataset'),
    'opt': Replacement(
        sources=(f'{_CONTRIB}.opt',),
        advice='use an optimizer of tf.compat.v1.train',
        advices={'ScipyOptimizerInterface':
                     'use scipy.optimize.minimize with a function that runs the loss and its '
                     'gradients',
                 'AdaMaxOptimizer': 'use tf_keras.optimizers.legacy.Adamax',
                 'LARSOptimizer': 'use tf.train.MomentumOptimizer with a learning rate per layer'}),
    'quantize': Replacement(
        advice='quantize after training (inception-slim export --format tflite), or use '
               'tensorflow-model-optimization for quantization-aware training in Keras'),
    'quantization': Replacement(
        sources=(f'{_V1}.quantization', f'{_PY}.ops.array_ops', f'{_PY}.ops.gen_array_ops',
                 f'{_PY}.ops.gen_math_ops', f'{_PY}.ops.gen_nn_ops'),
        advice='use tf.quantization'),
    'lookup': Replacement(
        sources=(f'{_CONTRIB}.lookup', _LOOKUP),
        names={'HashTable': f'{_LOOKUP}:StaticHashTableV1',
               'MutableDenseHashTable': f'{_LOOKUP}:DenseHashTable'},
        advice='use tf.lookup'),
    'rnn': Replacement(
        sources=(_CELLS, _WRAPPERS),
        names={**_same(f'{_V1}.nn', 'static_rnn static_state_saving_rnn '
                       'static_bidirectional_rnn'),
               'transpose_batch_time': f'{_CONTRIB}.rnn:transpose_batch_time'},
        advice='only the cells of tf.nn.rnn_cell are available, from tf-keras'),
    'legacy_seq2seq': Replacement(advice='use tf.nn.static_rnn'),
    'seq2seq': Replacement(
        advice='it was last available in TensorFlow Addons, as tfa.seq2seq'),
    'crf': Replacement(advice='it was last available in TensorFlow Addons, in tfa.text'),
    'cudnn_rnn': Replacement(advice='use tf.keras.layers.LSTM or GRU, which use cuDNN'),
    'predictor': Replacement(
        names=_same(f'{_CONTRIB}.predictor', 'from_estimator from_saved_model'),
        advice='use tf.contrib.predictor.from_estimator with a tf.estimator.Estimator'),
    'saved_model': Replacement(advice='use tf.keras.Model.export'),
    'staging': Replacement(
        names={'StagingArea': f'{_PY}.ops.data_flow_ops:StagingArea'}),
    'cluster_resolver': Replacement(
        sources=(f'{_V1}.distribute.cluster_resolver',),
        names={'SimpleClusterResolver': f'{_V1}.distribute.cluster_resolver:SimpleClusterResolver'},
        advice='use tf.distribute.cluster_resolver'),
    'distribute': Replacement(
        names=_same(f'{_V1}.distribute', 'MirroredStrategy OneDeviceStrategy ReplicaContext '
                    'get_loss_reduction get_replica_context get_strategy has_strategy '
                    'in_cross_replica_context'),
        advice='use tf.distribute'),
    'distributions': Replacement(
        sources=(f'{_V1}.distributions',),
        advice='use tfp.distributions of TensorFlow Probability'),
    'eager': Replacement(
        sources=(f'{_PY}.eager.context',),
        names={**_same(_V1, 'GradientTape TensorSpec Variable custom_gradient '
                       'enable_eager_execution executing_eagerly make_template py_func'),
               'Checkpoint': f'{_V1}.train:Checkpoint', 'Saver': f'{_V1}.train:Saver',
               'Iterator': f'{_V1}.data:Iterator',
               'EagerVariableStore': f'{_PY}.ops.variable_scope:EagerVariableStore',
               'gradients_function': f'{_PY}.eager.backprop:gradients_function',
               'implicit_gradients': f'{_PY}.eager.backprop:implicit_grad',
               'implicit_value_and_gradients': f'{_PY}.eager.backprop:implicit_val_and_grad',
               'value_and_gradients_function': f'{_PY}.eager.backprop:val_and_grad_function',
               'defun': f'{_V1}:function', 'function': f'{_V1}:function',
               'in_eager_mode': f'{_V1}:executing_eagerly'},
        advice='TensorFlow 2 is eager by default'),
    'checkpoint': Replacement(
        names={'CheckpointManager': f'{_V1}.train:CheckpointManager',
               'Checkpointable': f'{_PY}.trackable.autotrackable:AutoTrackable',
               'CheckpointableBase': f'{_PY}.trackable.base:Trackable'},
        advice='use tf.train.Checkpoint'),
    'nn': Replacement(
        names={**_same(f'{_CONTRIB}.nn', 'deprecated_flipped_sigmoid_cross_entropy_with_logits '
                       'deprecated_flipped_softmax_cross_entropy_with_logits '
                       'deprecated_flipped_sparse_softmax_cross_entropy_with_logits'),
               'conv1d_transpose': f'{_V1}.nn:conv1d_transpose',
               'nth_element': f'{_PY}.ops.nn_ops:nth_element'},
        advice='use tf.nn'),
    'signal': Replacement(sources=(f'{_V1}.signal',), advice='use tf.signal'),
    'stateless': Replacement(
        sources=(f'{_V1}.random',),
        names={'stateless_random_normal': f'{_V1}.random:stateless_normal',
               'stateless_random_uniform': f'{_V1}.random:stateless_uniform'},
        advice='use tf.random'),
    'autograph': Replacement(
        sources=(f'{_V1}.autograph', f'{_V1}.autograph.experimental'),
        advice='use tf.autograph'),
    'compiler': Replacement(),
    'compiler.jit': Replacement(
        names={'experimental_jit_scope':
               f'{_PY}.compiler.xla.jit:experimental_jit_scope'},
        advice='use tf.function(jit_compile=True)'),
    'compiler.xla': Replacement(advice='use tf.function(jit_compile=True)'),
    'tensorboard': Replacement(advice='install tensorboard'),
    'tensorboard.plugins.projector': Replacement(
        sources=('tensorboard.plugins.projector',),
        advice='install it with: pip install tensorboard'),
    'integrate': Replacement(advice='use tfp.math.ode of TensorFlow Probability'),
    'input_pipeline': Replacement(advice='use tf.data'),
    'resampler': Replacement(
        advice='it was last available in TensorFlow Addons, as tfa.image.resampler'),
    'sparsemax': Replacement(
        advice='it was last available in TensorFlow Addons, in tfa.activations'),
    'mixed_precision': Replacement(advice='use tf.compat.v1.mixed_precision'),
    'keras': Replacement(sources=(_KERAS,), advice='use tf_keras'),
    'estimator': Replacement(
        names={'add_metrics': f'{_ESTIMATOR}:add_metrics',
               **{name: f'{_ESTIMATOR}:experimental.{name}' for name in (
                   'InMemoryEvaluatorHook', 'build_raw_supervised_input_receiver_fn',
                   'call_logit_fn', 'dnn_logit_fn_builder', 'linear_logit_fn_builder',
                   'make_early_stopping_hook', 'make_stop_at_checkpoint_step_hook',
                   'stop_if_higher_hook', 'stop_if_lower_hook', 'stop_if_no_decrease_hook',
                   'stop_if_no_increase_hook')}},
        advice='use the estimators and heads of tf.estimator'),
    'learn': Replacement(
        names={**_same(f'{_CONTRIB}.learn', 'Estimator Experiment ExportStrategy InputFnOps '
                       'MetricSpec ModeKeys ModelFnOps RunConfig make_export_strategy'),
               'NanLossDuringTrainingError': f'{_ESTIMATOR}:NanLossDuringTrainingError'},
        advice='use the estimators of tf.estimator'),
    'tpu': Replacement(
        names={**{name: f'{_ESTIMATOR}:tpu.{name}' for name in (
                   'InputPipelineConfig', 'RunConfig', 'TPUConfig', 'TPUEstimator',
                   'TPUEstimatorSpec')},
               **_same(f'{_V1}.tpu', 'CrossShardOptimizer bfloat16_scope')},
        advice='TPUEstimator runs with use_tpu=False; for TPUs use tf.distribute.TPUStrategy'),
    'lite': Replacement(advice='use tf.lite'),
    'gan': Replacement(advice='use the package tensorflow-gan'),
    'tensorrt': Replacement(advice='export to ONNX and use NVIDIA TensorRT'),
    'model_pruning': Replacement(advice='use tensorflow-model-optimization'),
    'graph_editor': Replacement(
        advice='to replace inputs, use tf.import_graph_def with an input_map'),
    'copy_graph': Replacement(advice='use tf.import_graph_def with a GraphDef'),
    'ffmpeg': Replacement(advice='use tensorflow-io'),
    'cloud': Replacement(advice='use tensorflow-io'),
    'factorization': Replacement(advice='use scikit-learn'),
    'tensor_forest': Replacement(advice='use tensorflow-decision-forests'),
    'timeseries': Replacement(advice='use statsmodels, or tfp.sts'),
    'feature_column': Replacement(advice='use tf.feature_column'),
    'session_bundle': Replacement(advice='use tf.compat.v1.saved_model'),
    'nccl': Replacement(advice='use tf.distribute'),
    'receptive_field': Replacement(advice='use the package receptivefield'),
}
# Sources of private modules, before those of their public top-level module.
_PRIVATE: dict[str, tuple[str, ...]] = {
    'framework.python.framework': (),
    'framework.python.ops': (f'{_SLIM}.ops.variables', f'{_SLIM}.ops.arg_scope'),
    'framework.python.ops.arg_scope': (f'{_SLIM}.ops.arg_scope',),
    'framework.python.ops.variables': (f'{_SLIM}.ops.variables',),
    'framework.python.ops.ops': (f'{_SLIM}.ops.framework_ops',),
    'losses.python.losses.loss_ops': (f'{_SLIM}.losses.loss_ops',),
    'losses.python.metric_learning': (f'{_SLIM}.losses.metric_learning',),
    'losses.python.metric_learning.metric_loss_ops': (f'{_SLIM}.losses.metric_learning',),
    'metrics.python.metrics.classification': (f'{_SLIM}.metrics.classification',),
    'metrics.python.ops.histogram_ops': (f'{_SLIM}.metrics.histogram_ops',),
    'metrics.python.ops.metric_ops': (f'{_SLIM}.metrics.metric_ops',),
    'learn.python.learn.learn_runner': (f'{_CONTRIB}.learn',),
    **{f'learn.python.learn.datasets{name}': (f'{_CONTRIB}.datasets',)
       for name in ('', '.base', '.mnist')},
    'tfprof.python.tools.tfprof.model_analyzer': (f'{_CONTRIB}.tfprof',),
    **{f'layers.python.layers.{name}': (f'{_SLIM}.layers.{name}',) for name in (
        'initializers', 'layers', 'normalization', 'optimizers', 'regularizers', 'rev_block_lib',
        'summaries', 'utils')},
    'layers.python.ops.bucketization_op': (f'{_SLIM}.layers.bucketization_op',),
    'layers.python.ops.sparse_ops': (f'{_SLIM}.layers.sparse_ops',),
    'training.python.training.evaluation': (f'{_SLIM}.training.evaluation',),
    'training.python.training.training': (f'{_SLIM}.training.training',),
    **{f'slim.python.slim.{name}': (f'{_SLIM}.{name}',) for name in (
        'data', 'evaluation', 'learning', 'model_analyzer', 'queues', 'summaries')},
    **{f'slim.python.slim.data.{name}': (f'{_SLIM}.data.{name}',) for name in (
        'data_decoder', 'data_provider', 'dataset', 'dataset_data_provider', 'parallel_reader',
        'prefetch_queue', 'tfexample_decoder')},
    **{f'slim.python.slim.nets.{name}': (f'{_NETS}.{name}',) for name in (
        'alexnet', 'overfeat', 'resnet_utils', 'resnet_v1', 'resnet_v2', 'vgg')},
    **{f'slim.python.slim.nets.{name}': (f'{_CONTRIB}.inception',) for name in (
        'inception', 'inception_v1', 'inception_v2', 'inception_v3', 'inception_v4',
        'inception_resnet_v2')},
    'slim.python.slim.nets.lenet': ('inception_slim.legacy.research_slim.nets.lenet',),
}

# Modules that are attributes of other modules: attribute -> module.
_SLIM_FILES = {name: f'slim.python.slim.{name}' for name in (
    'evaluation', 'learning', 'model_analyzer', 'queues', 'summaries')}
_SLIM_FILES |= {name: f'slim.python.slim.data.{name}' for name in (
    'data_decoder', 'data_provider', 'dataset', 'dataset_data_provider', 'parallel_reader',
    'prefetch_queue', 'tfexample_decoder')}
_LAYERS_FILES = {name: f'layers.python.layers.{name}' for name in (
    'initializers', 'layers', 'normalization', 'optimizers', 'regularizers', 'rev_block_lib',
    'utils')}
_SUBMODULES: dict[str, dict[str, str]] = {
    'slim': {**_SLIM_FILES, **_LAYERS_FILES, 'losses': 'losses', 'metrics': 'metrics'},
    'slim.nets': {name.rpartition('.')[2]: name for name in _PRIVATE
                  if name.startswith('slim.python.slim.nets.')},
    'slim.python.slim.evaluation': {'evaluation': 'training.python.training.evaluation'},
    'layers': {**_LAYERS_FILES, 'summaries': 'layers.python.layers.summaries'},
    'losses': {'metric_learning': 'losses.python.metric_learning'},
    'tfprof': {'model_analyzer': 'tfprof.model_analyzer', 'tfprof_logger': 'tfprof.tfprof_logger'},
    'learn': {name: f'learn.python.learn.{name}' for name in (
        'datasets', 'estimators', 'learn_runner', 'metric_spec', 'utils')},
    'keras': {name: f'keras.api.keras.{name}' for name in (
        'activations applications backend callbacks constraints datasets initializers layers '
        'losses models optimizers preprocessing regularizers utils').split()},
    'util': {},
    'framework': {},
}


# Modules that a function of the same name hides, because their package imports * from them: as an
# attribute of the package the name is the function, but the module can be imported.
HIDDEN_BY_FUNCTIONS = frozenset({'framework.python.ops.arg_scope'})


@functools.cache
def known_symbols() -> dict[str, frozenset[str]]:
    """Return every module of `tf.contrib` with its public names in TensorFlow 1.15.5.

    Modules that only other releases had are included without names.
    """
    text = resources.files(_CONTRIB).joinpath('symbols_1_15.txt').read_text()
    symbols = {}
    for line in text.splitlines():
        name, *names = line.split()
        symbols['' if name == '.' else name] = frozenset(names)
    for name in [*_PUBLIC, *_PRIVATE, 'lite.python', 'lite.toco']:
        while name not in symbols:
            symbols[name] = frozenset()
            name = name.rpartition('.')[0]
    return symbols


@functools.cache
def submodules() -> dict[str, dict[str, str]]:
    """Return the submodules of every module: attribute name -> dotted name of the module."""
    children: dict[str, dict[str, str]] = {name: {} for name in known_symbols()}
    for name in filter(None, known_symbols()):
        parent, _, child = name.rpartition('.')
        children[parent][child] = f'tensorflow.contrib.{name}'
    for parent, aliases in _SUBMODULES.items():  # public names of private files
        for child, name in aliases.items():
            children[parent].setdefault(child, f'tensorflow.contrib.{name}')
    return children


def replacement_for(name: str) -> Replacement:
    """Return the replacement of a module; the default for an unknown module has no sources."""
    if name in _PUBLIC:
        return _PUBLIC[name]
    if name.startswith('keras.api.keras'):
        return Replacement(sources=(name.replace('keras.api.keras', _KERAS, 1),),
                           advice=_PUBLIC['keras'].advice)
    public = _PUBLIC.get(name.split('.')[0], Replacement())
    parent = name.rpartition('.')[0]
    if 'python' not in name.split('.') and parent:
        return _PUBLIC.get(parent, public)
    return Replacement(sources=(*_PRIVATE.get(name, ()), *public.sources), names=public.names,
                       advice=public.advice, advices=public.advices)


def top_level_modules() -> list[str]:
    """Return the names of the modules directly below `tf.contrib`."""
    return sorted(name for name in known_symbols() if name and '.' not in name)
