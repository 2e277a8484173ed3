"""What stands behind each module of `tf.contrib`, in tables; long for the tables' sake.

Names are relative to `tensorflow.contrib`. A private module of a group (`layers.python.layers.…`)
has what `_PRIVATE` says, and then whatever the group's public face has.
"""

from __future__ import annotations

import functools
from importlib import resources

from inception_slim.legacy.contrib.modules import Replacement

_HERE = 'inception_slim.legacy.contrib'
_V1 = 'tensorflow.compat.v1'
_PY = 'tensorflow.python'
_SLIM = 'tf_slim'
_NETS = f'{_SLIM}.nets'


def _same(module: str, names: str) -> dict[str, str]:
    """Names that are called the same in another module."""
    return {name: f'{module}:{name}' for name in names.split()}


_FRAMEWORK = {
    'nest': f'{_HERE}.nest',
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
    **_same(f'{_HERE}.framework', 'assert_scalar_int get_placeholders reduce_sum_n'),
}
_CELLS = 'tf_keras.src.layers.rnn.legacy_cells'
_WRAPPERS = 'tf_keras.src.layers.rnn.legacy_cell_wrappers'
_LOOKUP = f'{_PY}.ops.lookup_ops'
_KERAS = 'tf_keras'

# The public modules, and the advice for what they had and have not.
_PUBLIC: dict[str, Replacement] = {
    '': Replacement(advice='the module is unknown to TensorFlow 1.15.5'),
    'slim': Replacement(
        sources=(_SLIM,),
        names={
            **_same(f'{_SLIM}.layers.initializers',
                    'variance_scaling_initializer xavier_initializer xavier_initializer_conv2d'),
            **_same(f'{_HERE}.layers', 'embed_sequence embedding_lookup_unique'),
            **_same(f'{_SLIM}.layers.summaries', 'summarize_activation summarize_activations '
                    'summarize_biases summarize_collection summarize_tensor summarize_tensors '
                    'summarize_variables summarize_weights'),
            **_same(f'{_PY}.util.deprecation', 'deprecated deprecated_arg_values'),
            'safe_embedding_lookup_sparse': f'{_V1}.nn:safe_embedding_lookup_sparse',
        },
        advice='tf_slim has no such name either; feature columns are in tf.feature_column'),
    'slim.nets': Replacement(advice='the networks are in tf_slim.nets and inception_slim.nets'),
    'layers': Replacement(
        sources=(f'{_SLIM}.layers', f'{_SLIM}.layers.summaries', f'{_SLIM}.layers.optimizers'),
        names={
            **_same(f'{_HERE}.layers', 'embed_sequence embedding_lookup_unique'),
            'safe_embedding_lookup_sparse': f'{_V1}.nn:safe_embedding_lookup_sparse',
        },
        advice='feature columns are in tf.feature_column, layers in tf_slim'),
    'layers.summaries': Replacement(sources=(f'{_SLIM}.layers.summaries',)),
    'layers.feature_column': Replacement(advice='use tf.feature_column'),
    'framework': Replacement(
        sources=(f'{_SLIM}.ops.variables', f'{_SLIM}.ops.arg_scope',
                 f'{_SLIM}.ops.framework_ops'),
        names=_FRAMEWORK,
        advice='look for it in tf.compat.v1, or in tf_slim.ops',
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
        names={**_same(f'{_HERE}.hparams', 'HParams parse_values'),
               **_same(f'{_HERE}.device_setter', 'GreedyLoadBalancingStrategy RandomStrategy '
                       'byte_size_load_fn')},
        advice='queues of batches are tf.data today',
        advices={
            'bucket': 'use tf.data.Dataset.group_by_window',
            'bucket_by_sequence_length': 'use tf.data.Dataset.bucket_by_sequence_length',
            'stratified_sample': 'use tf.data.Dataset.rejection_resample',
            'rejection_sample': 'use tf.data.Dataset.rejection_resample'}),
    'image': Replacement(
        sources=(f'{_HERE}.image',),
        advice='TensorFlow Addons had it last, in tfa.image'),
    'util': Replacement(
        names={'constant_value': f'{_PY}.framework.tensor_util:constant_value',
               'make_tensor_proto': f'{_V1}:make_tensor_proto',
               'make_ndarray': f'{_V1}:make_ndarray', 'nest': f'{_HERE}.nest'},
        advice='use tf.compat.v1.graph_util'),
    'summary': Replacement(
        sources=(f'{_PY}.ops.summary_ops_v2',),
        names={'all_summary_ops': f'{_PY}.ops.summary_ops_v2:all_v2_summary_ops'},
        advice='use tf.summary of TensorFlow 2'),
    'tfprof': Replacement(
        advice='use tf.compat.v1.profiler'),
    'tfprof.model_analyzer': Replacement(
        sources=(f'{_HERE}.tfprof',), advice='use tf.compat.v1.profiler'),
    'tfprof.tfprof_logger': Replacement(
        sources=(f'{_PY}.profiler.tfprof_logger',), advice='use tf.compat.v1.profiler'),
    'data': Replacement(
        sources=(f'{_HERE}.data', f'{_V1}.data.experimental'),
        advice='use tf.data.Dataset'),
    'opt': Replacement(
        sources=(f'{_HERE}.opt',),
        advice='use an optimizer of tf.compat.v1.train',
        advices={'ScipyOptimizerInterface': 'call scipy.optimize.minimize on a function that runs '
                                            'the loss and its gradients',
                 'AdaMaxOptimizer': 'use tf_keras.optimizers.legacy.Adamax',
                 'LARSOptimizer': 'write it by tf.train.MomentumOptimizer, with a rate a layer'}),
    'quantize': Replacement(
        advice='quantization-aware training rewrote the graph; today a trained network is '
               'quantized after training (inception-slim export --format tflite), or by '
               'tensorflow-model-optimization for Keras'),
    'quantization': Replacement(sources=(f'{_V1}.quantization', f'{_PY}.ops.array_ops',
                                    f'{_PY}.ops.gen_array_ops', f'{_PY}.ops.gen_math_ops',
                                    f'{_PY}.ops.gen_nn_ops'),
                           advice='use tf.quantization'),
    'lookup': Replacement(
        sources=(f'{_HERE}.lookup', _LOOKUP),
        names={'HashTable': f'{_LOOKUP}:StaticHashTableV1',
               'MutableDenseHashTable': f'{_LOOKUP}:DenseHashTable'},
        advice='use tf.lookup'),
    'rnn': Replacement(
        sources=(_CELLS, _WRAPPERS),
        names={**_same(f'{_V1}.nn', 'static_rnn static_state_saving_rnn '
                       'static_bidirectional_rnn'),
               'transpose_batch_time': f'{_HERE}.rnn:transpose_batch_time'},
        advice='of the cells only those of tf.nn.rnn_cell remain, which tf-keras keeps'),
    'legacy_seq2seq': Replacement(advice='write it with tf.nn.static_rnn'),
    'seq2seq': Replacement(
        advice='TensorFlow Addons had it last, in tfa.seq2seq'),
    'crf': Replacement(advice='TensorFlow Addons had it last, in tfa.text'),
    'cudnn_rnn': Replacement(advice='use tf.keras.layers.LSTM or GRU, which run on cuDNN'),
    'grid_rnn': Replacement(advice='it lives on nowhere'),
    'predictor': Replacement(
        names={'from_saved_model': f'{_HERE}.predictor:from_saved_model'},
        advice='estimators left TensorFlow in 2.16; export a SavedModel and use '
               'tf.contrib.predictor.from_saved_model'),
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
    'distributions': Replacement(sources=(f'{_V1}.distributions',),
                            advice='TensorFlow Probability has it, in tfp.distributions'),
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
        advice='TensorFlow 2 is eager by itself'),
    'checkpoint': Replacement(
        names={'CheckpointManager': f'{_V1}.train:CheckpointManager',
               'Checkpointable': f'{_PY}.trackable.autotrackable:AutoTrackable',
               'CheckpointableBase': f'{_PY}.trackable.base:Trackable'},
        advice='use tf.train.Checkpoint'),
    'nn': Replacement(
        names={**_same(f'{_HERE}.nn', 'deprecated_flipped_sigmoid_cross_entropy_with_logits '
                       'deprecated_flipped_softmax_cross_entropy_with_logits '
                       'deprecated_flipped_sparse_softmax_cross_entropy_with_logits'),
               'conv1d_transpose': f'{_V1}.nn:conv1d_transpose',
               'nth_element': f'{_PY}.ops.nn_ops:nth_element'},
        advice='use tf.nn'),
    'signal': Replacement(sources=(f'{_V1}.signal',), advice='use tf.signal'),
    'stateless': Replacement(sources=(f'{_V1}.random', ),
                        names={'stateless_random_normal': f'{_V1}.random:stateless_normal',
                               'stateless_random_uniform': f'{_V1}.random:stateless_uniform'},
                        advice='use tf.random'),
    'autograph': Replacement(sources=(f'{_V1}.autograph', f'{_V1}.autograph.experimental'),
                        advice='use tf.autograph'),
    'compiler': Replacement(),
    'compiler.jit': Replacement(
        names={'experimental_jit_scope':
               f'{_PY}.compiler.xla.jit:experimental_jit_scope'},
        advice='use tf.function(jit_compile=True)'),
    'compiler.xla': Replacement(advice='use tf.function(jit_compile=True)'),
    'tensorboard': Replacement(advice='install tensorboard'),
    'tensorboard.plugins.projector': Replacement(
        sources=('tensorboard.plugins.projector',), advice='install it with: pip install '
                                                           'tensorboard'),
    'integrate': Replacement(advice='TensorFlow Probability has it, in tfp.math.ode'),
    'input_pipeline': Replacement(advice='use tf.data'),
    'resampler': Replacement(advice='TensorFlow Addons had it last, as tfa.image.resampler'),
    'sparsemax': Replacement(advice='TensorFlow Addons had it last, in tfa.activations'),
    'mixed_precision': Replacement(advice='use tf.compat.v1.mixed_precision'),
    'keras': Replacement(sources=(_KERAS,), advice='use tf_keras'),
    'learn': Replacement(advice='estimators left TensorFlow in 2.16; train with tf_slim.learning, '
                           'or tf.keras'),
    'estimator': Replacement(advice='estimators left TensorFlow in 2.16; train with '
                               'tf_slim.learning, or tf.keras'),
    'tpu': Replacement(advice='use tf.distribute.TPUStrategy'),
    'lite': Replacement(advice='use tf.lite'),
    'gan': Replacement(advice='it is a package of its own: tensorflow-gan'),
    'tensorrt': Replacement(advice='use NVIDIA TensorRT from ONNX'),
    'model_pruning': Replacement(advice='use tensorflow-model-optimization'),
    'graph_editor': Replacement(advice='it lives on nowhere; tf.import_graph_def with an input_map '
                                  'replaces inputs'),
    'copy_graph': Replacement(advice='use tf.import_graph_def of a GraphDef'),
    'ffmpeg': Replacement(advice='use tensorflow-io'),
    'cloud': Replacement(advice='use tensorflow-io'),
    'factorization': Replacement(advice='use scikit-learn'),
    'tensor_forest': Replacement(advice='use tensorflow-decision-forests'),
    'timeseries': Replacement(advice='use statsmodels, or tfp.sts'),
    'feature_column': Replacement(advice='use tf.feature_column'),
    'session_bundle': Replacement(advice='use tf.compat.v1.saved_model'),
    'nccl': Replacement(advice='use tf.distribute'),
    'receptive_field': Replacement(advice='it is a package of its own: receptivefield'),
}
for _each in ('activations applications backend callbacks constraints datasets initializers '
              'layers losses metrics models optimizers preprocessing regularizers utils').split():
    _PUBLIC[f'keras.{_each}'] = Replacement(sources=(f'{_KERAS}.{_each}',), advice='use tf_keras')

# What private modules have before their group's public names.
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
    'tfprof.python.tools.tfprof.model_analyzer': (f'{_HERE}.tfprof',),
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
    **{f'slim.python.slim.nets.{name}': (f'{_HERE}.inception',) for name in (
        'inception', 'inception_v1', 'inception_v2', 'inception_v3', 'inception_v4',
        'inception_resnet_v2')},
    'slim.python.slim.nets.lenet': ('inception_slim.legacy.research_slim.nets.lenet',),
}

# Modules that are attributes of others, by the names of their files.
_SLIM_FILES = {name: f'slim.python.slim.{name}' for name in (
    'evaluation', 'learning', 'model_analyzer', 'queues', 'summaries')}
_SLIM_FILES |= {name: f'slim.python.slim.data.{name}' for name in (
    'data_decoder', 'data_provider', 'dataset', 'dataset_data_provider', 'parallel_reader',
    'prefetch_queue', 'tfexample_decoder')}
_LAYERS_FILES = {name: f'layers.python.layers.{name}' for name in (
    'initializers', 'layers', 'normalization', 'optimizers', 'regularizers', 'rev_block_lib',
    'utils')}
CHILDREN: dict[str, dict[str, str]] = {
    'slim': {**_SLIM_FILES, **_LAYERS_FILES, 'losses': 'losses', 'metrics': 'metrics'},
    'slim.nets': {name.rpartition('.')[2]: name for name in _PRIVATE
                  if name.startswith('slim.python.slim.nets.')},
    'slim.python.slim.evaluation': {'evaluation': 'training.python.training.evaluation'},
    'layers': {**_LAYERS_FILES, 'summaries': 'layers.python.layers.summaries'},
    'losses': {'metric_learning': 'losses.python.metric_learning'},
    'tfprof': {'model_analyzer': 'tfprof.model_analyzer', 'tfprof_logger': 'tfprof.tfprof_logger'},
    'util': {},
    'framework': {},
}


@functools.cache
def known_symbols() -> dict[str, frozenset[str]]:
    """Every module of `tf.contrib`, and the public names that it had in TensorFlow 1.15.5.

    Those that only earlier or later releases had are there without names.
    """
    text = resources.files(_HERE).joinpath('symbols_1_15.txt').read_text()
    found = {}
    for line in text.splitlines():
        name, *names = line.split()
        found['' if name == '.' else name] = frozenset(names)
    for name in [*_PUBLIC, *_PRIVATE, 'lite.python', 'lite.toco']:
        while name not in found:
            found[name] = frozenset()
            name = name.rpartition('.')[0]
    return found


def replacement_for(name: str) -> Replacement:
    """What stands behind a module, by its name relative to `tensorflow.contrib`."""
    if name in _PUBLIC:
        return _PUBLIC[name]
    group = name.split('.')[0]
    parent = name.rpartition('.')[0]
    public = _PUBLIC.get(group, Replacement(advice='it lives on nowhere'))
    if 'python' not in name.split('.') and parent:
        return replacement_for(parent) if parent in _PUBLIC else public
    return Replacement(sources=(*_PRIVATE.get(name, ()), *public.sources), names=public.names,
                  advice=public.advice, advices=public.advices)


def groups() -> list[str]:
    """The names of the modules directly below `tf.contrib`."""
    return sorted(name for name in known_symbols() if name and '.' not in name)
