"""A checkpoint made into the fastest thing that gives the same answers.

Batch norm is folded into the convolutions at the level of the variables: the same network is built
with `use_batch_norm=False` and given the folded weights and biases. The auxiliary head is never
built, the weights are constants, and what is left is run in cheaper numbers where that is asked.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from inception_slim import checkpoint as checkpoints
from inception_slim.nets import factory
from inception_slim.nets.blocks import pooled_conv
from inception_slim.quiet import held_back_stderr

PRECISIONS = ('float32', 'bfloat16', 'int8')
BATCH_NORM_EPSILON = 0.001
_LARGEST_BATCH = 32  # images in one run; more at a time are no faster and need more memory
_OUTPUTS = ('logits', 'predictions', 'features')


def fold_batch_norm(weights: dict[str, np.ndarray],
                    epsilon: float = BATCH_NORM_EPSILON) -> dict[str, np.ndarray]:
    """Weights and biases of convolutions that do what convolution and batch norm did.

    Args:
      weights: variables of a network by their names in its scope, as `checkpoint.read` gives.
      epsilon: what batch norm adds to the variance.

    Returns:
      The same with `weights` and `biases` alone; float32.
    """
    folded = {}
    for name, value in weights.items():
        layer, _, parameter = name.rpartition('/')
        if parameter == 'biases':
            folded[name] = value
        if not parameter.endswith('weights'):
            continue
        variance = weights.get(f'{layer}/BatchNorm/moving_variance')
        if variance is None or parameter == 'depthwise_weights':
            folded[name] = value
            continue
        # In float64, so that folding itself adds no rounding.
        scale = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
        scale *= weights.get(f'{layer}/BatchNorm/gamma', 1.0)
        mean = weights[f'{layer}/BatchNorm/moving_mean']
        folded[name] = (value * scale).astype(np.float32)
        folded[f'{layer}/biases'] = (
            weights[f'{layer}/BatchNorm/beta'] - mean * scale).astype(np.float32)
    return folded


def frozen_graph(info: checkpoints.CheckpointInfo, values: dict[str, np.ndarray],
                  outputs: Sequence[str]) -> tf.GraphDef:
    """The network's inference graph with folded weights in it, from `inputs` to `outputs`.

    Takes each weight out of `values` as it puts it in, so as not to hold it twice.
    """
    network = factory.NETWORKS[info.network]
    arguments = {}
    if info.depth_multiplier is not None and network.channels:
        arguments = {'depth_multiplier': info.depth_multiplier, 'min_depth': info.min_depth}
    if network.aux_classifier:
        arguments['create_aux_logits'] = False
    side = network.image_size
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, (None, side, side, 3), name='inputs')
        with tf.variable_scope('', use_resource=False), \
                slim.arg_scope(network.arg_scope(use_batch_norm=False)), \
                slim.arg_scope([pooled_conv], pool_first=False):
            _, end_points = network.function(
                images, num_classes=info.num_classes, is_training=False, **arguments)
        features = network.features(end_points)
        tf.identity(end_points['Logits'], 'logits')
        tf.identity(end_points['Predictions'], 'predictions')
        tf.reshape(features, (-1, features.shape[-1]), 'features')
    definition = _ancestors(graph.as_graph_def(), outputs)  # before there are weights to copy
    for node in definition.node:
        if node.op == 'VariableV2':
            value = values.pop(node.name.removeprefix(network.scope + '/'), None)
            if value is None:
                raise checkpoints.CheckpointError(
                    f'{info.path} does not fit {network.title}: it has no {node.name}; find the '
                    'whole of the checkpoint.')
            wanted = tf.TensorShape(node.attr['shape'].shape).as_list()
            if wanted != list(value.shape):
                raise checkpoints.CheckpointError(
                    f'{info.path} does not fit {network.title}: {node.name} is '
                    f'{list(value.shape)} in it, not {wanted}; its width is that of no '
                    'depth_multiplier.')
            dtype = node.attr['dtype']
            node.op = 'Const'
            node.ClearField('attr')
            node.attr['dtype'].CopyFrom(dtype)
            node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value))
    return definition


def _ancestors(definition: tf.GraphDef, outputs: Sequence[str]) -> tf.GraphDef:
    """The part of a graph that its outputs need."""
    nodes = {node.name: node for node in definition.node}
    needed, waiting = set(), list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [each.lstrip('^').split(':')[0] for each in nodes[name].input]
    part = tf.GraphDef(versions=definition.versions)
    part.node.extend(node for node in definition.node if node.name in needed)
    return part


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 numbers in hardware, as far as it tells."""
    try:
        with open('/proc/cpuinfo') as file:
            text = file.read()
    except OSError:
        return False
    return any(flag in text for flag in ('avx512_bf16', 'amx_bf16', 'avx_ne_convert'))


class Predictor:
    """Answers for images, from one checkpoint. Made by `load`; safe to call from many threads.

    Attributes:
      info: what the checkpoint holds.
      precision: what it multiplies in: 'float32', 'bfloat16' or 'int8'.
    """

    def __init__(self, info: checkpoints.CheckpointInfo, precision: str,
                 run: Callable[[str, np.ndarray], np.ndarray], close: Callable[[], None],
                 widths: dict[str, int], batch_size: int | None):
        self.info = info
        self.precision = precision
        self._run, self._close, self._widths = run, close, widths
        self._batch_size = batch_size
        self._side = factory.NETWORKS[info.network].image_size

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits of images, `[N, num_classes]` float32.

        Args:
          images: `[N, 299, 299, 3]` floating point in [-1, 1] (224 where the network wants that);
            N may differ from call to call, and be 0.

        Raises:
          ValueError: the images have another shape or type, or are not all numbers.
          RuntimeError: the predictor was closed.
        """
        return self._answer('logits', images)

    def predictions(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, `[N, num_classes]` float32; see `logits`."""
        return self._answer('predictions', images)

    def features(self, images: np.ndarray) -> np.ndarray:
        """What the classifier sees, `[N, 2048]` float32 at full width; see `logits`."""
        return self._answer('features', images)

    def close(self) -> None:
        """Frees what the predictor holds; closing it twice is nothing more."""
        if self._run is not None:
            self._run = None
            self._close()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _answer(self, output: str, images: np.ndarray) -> np.ndarray:
        run = self._run
        if run is None:
            raise RuntimeError('This predictor was closed; load() another.')
        images = checked_images(images, self._side)
        if not len(images):
            return np.zeros((0, self._widths[output]), np.float32)
        size = self._batch_size or _LARGEST_BATCH
        if len(images) <= size and (self._batch_size is None or len(images) == size):
            return run(output, images)
        answers = []
        for start in range(0, len(images), size):
            batch = images[start:start + size]
            count = len(batch)
            if self._batch_size and count < size:
                batch = np.concatenate([batch, np.zeros((size - count, *batch.shape[1:]), 'f')])
            answers.append(run(output, batch)[:count])
        return np.concatenate(answers)


def checked_images(images: np.ndarray, side: int) -> np.ndarray:
    """Images as the network wants them, `[N, side, side, 3]` float32; warns of a wrong range.

    Raises:
      ValueError: they have another shape or type, or are not all numbers.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != (side, side, 3):
        raise ValueError(f'images must be [N, {side}, {side}, 3], but are {list(images.shape)}; '
                         'resize them, and give one image as image[None].')
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f'images must be floating point in [-1, 1], but are {images.dtype}; '
                         'use images / 127.5 - 1.')
    images = np.ascontiguousarray(images, np.float32)
    if len(images):
        low, high = images.min(), images.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError('images must be finite, but some pixels are NaN or infinite; '
                             'see where they come from.')
        if low < -2 or high > 2:
            warnings.warn(f'images are meant to be in [-1, 1], but these are in [{low:g}, '
                          f'{high:g}]; if they are in [0, 255], use images / 127.5 - 1.',
                          stacklevel=4)
    return images


def load(
        checkpoint: str | os.PathLike,
        *,
        precision: str = 'float32',
        batch_size: int | None = None,
        calibration_images: np.ndarray | None = None,
        use_ema: bool = False,
        checkpoint_scope: str | None = None,
        num_threads: int | None = None) -> Predictor:
    """Makes a predictor of a checkpoint.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      precision: 'float32', the answers of the original to 1e-4 of the largest logit; 'bfloat16',
        faster where the processor multiplies such numbers, and float32 with a warning where not;
        or 'int8', faster still.
      batch_size: images in one run; other numbers are cut or filled up. None takes them as they
        come, up to 32 at a time.
      calibration_images: for int8, `[N, 299, 299, 3]` in [-1, 1]: real images like those to come,
        a hundred or so, by which the range of each layer is found.
      use_ema: take the moving averages of the weights, where the checkpoint has them.
      checkpoint_scope: which network to take, where the file holds more than one.
      num_threads: threads of one run; all cores by default.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      ValueError: an argument is out of its range.
    """
    if precision not in PRECISIONS:
        raise ValueError(f'precision must be one of {", ".join(PRECISIONS)}, not {precision!r}.')
    for name, value in (('batch_size', batch_size), ('num_threads', num_threads)):
        if value is not None and value < 1:
            raise ValueError(f'{name} must be at least 1, but is {value}.')
    if precision == 'int8' and (calibration_images is None or not len(calibration_images)):
        raise ValueError('int8 needs calibration_images: real images, by which the range of each '
                         'layer is found; noise would give wrong ranges.')
    if precision == 'bfloat16' and not has_bfloat16():
        warnings.warn('This processor has no bfloat16 instructions, which would make bfloat16 '
                      'slower; staying in float32.', stacklevel=2)
        precision = 'float32'
    info, weights = checkpoints.read(checkpoint, use_ema=use_ema,
                                     checkpoint_scope=checkpoint_scope)
    if info.num_classes is None:
        raise checkpoints.CheckpointError(f'{info.path} has no classifier; it cannot answer.')
    values = fold_batch_norm(weights)
    del weights
    threads = num_threads or os.cpu_count() or 1
    if precision == 'int8':
        layer = factory.NETWORKS[info.network].classifier
        kernel = values[f'{layer}/weights']  # of a 1×1 convolution, or of a dense layer
        classifier = (kernel.reshape(kernel.shape[-2:]), values[f'{layer}/biases'])
        run, close, widths = _in_int8(
            frozen_graph(info, values, ['features']), classifier,
            checked_images(calibration_images, factory.NETWORKS[info.network].image_size),
            threads)
    else:
        run, close, widths = _in_session(frozen_graph(info, values, _OUTPUTS), precision, threads)
    return Predictor(info, precision, run, close, widths, batch_size)


def _in_session(definition: tf.GraphDef, precision: str, threads: int):
    options = tf.ConfigProto(intra_op_parallelism_threads=threads,
                             inter_op_parallelism_threads=1)
    rewrites = options.graph_options.rewrite_options
    # What is left to gain is the fusion of convolution, bias and ReLU (`remapping`, which stays
    # on); the other passes copy the weights with the graph, and find nothing.
    for each in ('constant_folding', 'function_optimization', 'loop_optimization',
                 'dependency_optimization', 'arithmetic_optimization', 'layout_optimizer',
                 'shape_optimization', 'common_subgraph_elimination'):
        setattr(rewrites, each, rewrites.OFF)
    rewrites.memory_optimization = rewrites.NO_MEM_OPT
    rewrites.meta_optimizer_iterations = rewrites.ONE
    if precision == 'bfloat16':
        rewrites.auto_mixed_precision_onednn_bfloat16 = rewrites.ON
    with tf.Graph().as_default() as graph:
        outputs = dict(zip(_OUTPUTS, tf.import_graph_def(
            definition, return_elements=[f'{name}:0' for name in _OUTPUTS], name='')))
    session = tf.Session(graph=graph, config=options)
    calls = {name: session.make_callable(output, feed_list=[graph.get_tensor_by_name('inputs:0')])
             for name, output in outputs.items()}
    widths = {name: output.shape.as_list()[-1] for name, output in outputs.items()}
    return (lambda output, images: calls[output](images)), session.close, widths


def _in_int8(definition: tf.GraphDef, classifier: tuple[np.ndarray, np.ndarray],
             calibration_images: np.ndarray, threads: int):
    """The convolutions in TFLite with XNNPACK; the classifier, small as it is, in float32."""
    model = _quantized(definition, calibration_images)
    weights, biases = classifier
    with warnings.catch_warnings(), held_back_stderr():
        warnings.simplefilter('ignore')  # the interpreter announces its move to another package
        interpreter = tf.lite.Interpreter(model_content=model, num_threads=threads)
        interpreter.allocate_tensors()
    lock = threading.Lock()
    source = interpreter.get_input_details()[0]['index']
    target = interpreter.get_output_details()[0]['index']
    side = interpreter.get_input_details()[0]['shape'][1]
    shape = [(1, side, side, 3)]

    def run(output: str, images: np.ndarray) -> np.ndarray:
        with lock:
            if shape[0] != images.shape:
                interpreter.resize_tensor_input(source, images.shape)
                interpreter.allocate_tensors()
                shape[0] = images.shape
            interpreter.set_tensor(source, images)
            interpreter.invoke()
            features = interpreter.get_tensor(target)
        if output == 'features':
            return features
        logits = features @ weights + biases
        if output == 'logits':
            return logits
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponents / exponents.sum(axis=1, keepdims=True)

    widths = {'features': len(weights), 'logits': len(biases), 'predictions': len(biases)}
    return run, lambda: None, widths


def _quantized(definition: tf.GraphDef, calibration_images: np.ndarray) -> bytes:
    """A TFLite model whose convolutions multiply eight-bit integers, from images to features."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(definition, name='')
        inputs, features = map(graph.get_tensor_by_name, ('inputs:0', 'features:0'))
        with warnings.catch_warnings(), held_back_stderr():
            warnings.simplefilter('ignore')
            converter = tf.lite.TFLiteConverter.from_session(session, [inputs], [features])
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                [image[np.newaxis]] for image in calibration_images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            return converter.convert()
