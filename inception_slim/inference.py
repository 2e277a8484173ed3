"""A checkpoint made into the fastest thing that gives the same answers.

Batch norm is folded into the convolutions at the level of the variables: the same network is built
with `use_batch_norm=False` on the folded weights and biases, as constants. The auxiliary head is
never built, and what is left is run in cheaper numbers where that is asked. A batch is run in small
pieces, as many at a time as there are threads: their activations fit into the caches, a thread that
is done takes the next piece instead of waiting for the others, and memory stays low.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from inception_slim import checkpoint as checkpoints
from inception_slim.nets import factory
from inception_slim.nets.blocks import pooled_conv
from inception_slim.quiet import held_back_stderr

PRECISIONS = ('float32', 'bfloat16', 'int8')
BATCH_NORM_EPSILON = 0.001
# Images in one run: more are no faster, and need more memory.
_LARGEST_PIECE = {'float32': 4, 'bfloat16': 8}


def fold_batch_norm(weights: dict[str, np.ndarray],
                    epsilon: float = BATCH_NORM_EPSILON) -> dict[str, np.ndarray]:
    """Weights and biases of convolutions that do what convolution and batch norm did.

    Args:
      weights: variables of a network by their names in its scope, as `checkpoint.read` gives; the
        arrays are used up, so that no weight is in memory twice.
      epsilon: what batch norm adds to the variance.

    Returns:
      The same with `weights` and `biases` alone; float32.
    """
    folded = {}
    for name in [each for each in weights if each.endswith(('weights', '/biases'))]:
        value = folded[name] = weights.pop(name)
        layer, _, parameter = name.rpartition('/')
        variance = weights.get(f'{layer}/BatchNorm/moving_variance')
        if variance is None or parameter in ('biases', 'depthwise_weights'):
            continue
        # In float64, so that folding itself adds no rounding.
        scale = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
        scale *= weights.get(f'{layer}/BatchNorm/gamma', 1.0)
        mean = weights[f'{layer}/BatchNorm/moving_mean']
        np.multiply(value, scale, out=value, casting='same_kind')
        folded[f'{layer}/biases'] = (
            weights[f'{layer}/BatchNorm/beta'] - mean * scale).astype(np.float32)
    return folded


def constant_graph(info: checkpoints.CheckpointInfo, values: dict[str, np.ndarray],
                   dtype: tf.DType = tf.float32, *, classify: bool = True) -> tf.Graph:
    """The network's inference graph with folded weights in it as constants.

    Args:
      info: from `checkpoint.read`.
      values: from `fold_batch_norm`; taken out as they are put in, so as not to be held twice.
      dtype: what to multiply in, tf.float32 or tf.bfloat16.
      classify: False leaves the classifier out.

    Returns:
      A graph from `inputs` to `features` and, with the classifier, `logits` and `predictions`; all
      float32.

    Raises:
      CheckpointError: the values are not those of the network.
    """
    network = factory.NETWORKS[info.network]
    arguments = {}
    if info.depth_multiplier is not None and network.channels:
        arguments = {'depth_multiplier': info.depth_multiplier, 'min_depth': info.min_depth}
    if network.aux_classifier:
        arguments['create_aux_logits'] = False
    side = network.image_size

    def constant(getter, name, shape=None, **_):
        """In the place of a variable."""
        value = values.pop(name.removeprefix(network.scope + '/'), None)
        if value is None:
            raise checkpoints.CheckpointError(f'{info.path} does not fit {network.title}: it has '
                                              f'no {name}; find the whole of the checkpoint.')
        wanted = tf.TensorShape(shape).as_list()
        if wanted != list(value.shape):
            raise checkpoints.CheckpointError(
                f'{info.path} does not fit {network.title}: {name} is {list(value.shape)} in it, '
                f'not {wanted}; its width is that of no depth_multiplier.')
        # The slash at its end makes this the whole name, whatever scope is open.
        return tf.constant(value.astype(dtype.as_numpy_dtype, copy=False), name=name + '/')

    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, (None, side, side, 3), name='inputs')
        with tf.variable_scope('', custom_getter=constant), \
                slim.arg_scope(network.arg_scope(use_batch_norm=False)), \
                slim.arg_scope([pooled_conv], pool_first=False):
            net, end_points = network.function(
                tf.cast(images, dtype), num_classes=info.num_classes if classify else 0,
                is_training=False, **arguments)
        features = network.features(end_points) if classify else net
        outputs = {'features': tf.reshape(features, (-1, features.shape[-1]))}
        if classify:
            outputs.update(logits=end_points['Logits'], predictions=end_points['Predictions'])
        for name, output in outputs.items():
            tf.identity(tf.cast(output, tf.float32), name)
    return graph


def frozen_graph(info: checkpoints.CheckpointInfo, values: dict[str, np.ndarray],
                 outputs: Sequence[str]) -> tf.GraphDef:
    """What of `constant_graph` the outputs need, to be written or translated."""
    return ancestors(constant_graph(info, values).as_graph_def(), outputs)


def ancestors(definition: tf.GraphDef, outputs: Sequence[str]) -> tf.GraphDef:
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
                 engine: _SessionEngine | _TFLiteEngine, classifier: _Classifier):
        self.info = info
        self.precision = precision
        self._engine, self._classifier = engine, classifier
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
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
            self._classifier.close()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _answer(self, output: str, images: np.ndarray) -> np.ndarray:
        engine = self._engine
        if engine is None:
            raise RuntimeError('This predictor was closed; load() another.')
        images = checked_images(images, self._side)
        if not len(images):
            features = np.zeros((0, self._classifier.channels), np.float32)
        else:
            features = engine.features(images)
        return features if output == 'features' else getattr(self._classifier, output)(features)


class _Classifier:
    """The last layer, in float32 whatever comes before it: it is small, and decides.

    By TensorFlow, as the rest: NumPy's threads would wait for more work in the others' way.
    """

    def __init__(self, weights: np.ndarray, biases: np.ndarray, threads: int):
        weights = weights.reshape(weights.shape[-2:])  # of a 1×1 convolution, or of a dense layer
        self.channels = len(weights)
        with tf.Graph().as_default() as graph:
            features = tf.placeholder(tf.float32, (None, self.channels))
            variables = [tf.Variable(tf.placeholder(tf.float32, each.shape), use_resource=False)
                         for each in (weights, biases)]
            logits = tf.nn.bias_add(tf.matmul(features, variables[0]), variables[1])
            predictions = tf.nn.softmax(logits)
        self._session = tf.Session(graph=graph, config=_in_callers_thread(threads))
        self._session.run([each.initializer for each in variables], {
            each.initializer.inputs[1]: value for each, value in zip(variables, (weights, biases))})
        self.logits, self.predictions = (
            self._session.make_callable(each, [features]) for each in (logits, predictions))

    def close(self) -> None:
        self._session.close()


def _in_callers_thread(threads: int) -> tf.ConfigProto:
    """A Session's options: an op after the other by the thread that asks, helped by others."""
    return tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=-1)


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
      batch_size: images in one run; other numbers are cut or filled up. None takes a few at a time,
        as many as suit the threads. int8 takes them one by one, whatever this says.
      calibration_images: for int8, `[N, 299, 299, 3]` in [-1, 1]: real images like those to come,
        a hundred or so, by which the range of each layer is found.
      use_ema: take the moving averages of the weights, where the checkpoint has them.
      checkpoint_scope: which network to take, where the file holds more than one.
      num_threads: threads to run on; as many as there are cores by default.

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
    layer = factory.NETWORKS[info.network].classifier
    threads = num_threads or _cores()
    classifier = _Classifier(values.pop(f'{layer}/weights'), values.pop(f'{layer}/biases'), threads)
    if precision == 'int8':
        side = factory.NETWORKS[info.network].image_size
        engine = _TFLiteEngine(
            _quantized(info, values, checked_images(calibration_images, side)), threads)
    else:
        graph = constant_graph(info, values, tf.as_dtype(precision), classify=False)
        engine = _SessionEngine(graph, threads, batch_size, _LARGEST_PIECE[precision])
    return Predictor(info, precision, engine, classifier)


def _cores() -> int:
    """Those that this process may use, where the system says."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _SessionEngine:
    """The features of images, by a Session that runs pieces of a batch side by side."""

    def __init__(self, graph: tf.Graph, threads: int, batch_size: int | None, largest: int):
        self._threads, self._batch_size, self._largest = threads, batch_size, largest
        options = _in_callers_thread(threads)
        # One call is all that is ever made of the graph: without these the session would keep
        # the weights twice more.
        options.experimental.optimize_for_static_graph = True
        options.experimental.disable_output_partition_graphs = True
        rewrites = options.graph_options.rewrite_options
        # What is left to gain is the fusion of convolution, bias and ReLU (`remapping`, which
        # stays on); the other passes copy the weights with the graph, and find nothing.
        for each in ('constant_folding', 'function_optimization', 'loop_optimization',
                     'dependency_optimization', 'arithmetic_optimization', 'layout_optimizer',
                     'shape_optimization', 'common_subgraph_elimination'):
            setattr(rewrites, each, rewrites.OFF)
        rewrites.disable_tfg_optimizer = True
        rewrites.memory_optimization = rewrites.NO_MEM_OPT
        rewrites.meta_optimizer_iterations = rewrites.ONE
        self._session = tf.Session(graph=graph, config=options)
        self._call = self._session.make_callable(
            graph.get_tensor_by_name('features:0'),
            feed_list=[graph.get_tensor_by_name('inputs:0')])
        # Always the same threads, since oneDNN keeps what it has prepared by thread.
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        # The first run makes the session optimize the graph: better now than in the first answer,
        # and in this thread, whose memory the others would not use again.
        _give_back_memory()
        self._call(np.zeros((1, *graph.get_tensor_by_name('inputs:0').shape[1:]), np.float32))
        _give_back_memory()

    def features(self, images: np.ndarray) -> np.ndarray:
        count = len(images)
        size = self._batch_size or min(self._largest, -(-count // self._threads))
        if self._batch_size and count % size:
            images = np.concatenate([
                images, np.zeros((-count % size, *images.shape[1:]), np.float32)])
        pieces = [images[start:start + size] for start in range(0, len(images), size)]
        return np.concatenate(list(self._workers.map(self._call, pieces)))[:count]

    def close(self) -> None:
        self._workers.shutdown()
        self._session.close()


def _give_back_memory() -> None:
    """Returns what was freed to the system, where the C library is one that would keep it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class _TFLiteEngine:
    """The features of images, by TFLite with XNNPACK.

    One image is shared by all threads; of several, each thread has its own, which is faster.
    """

    def __init__(self, model: bytes, threads: int):
        self._model = model
        self._together = self._interpreter(threads)
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        self._of_thread = threading.local()

    def _interpreter(self, threads: int) -> tf.lite.Interpreter:
        with warnings.catch_warnings(), held_back_stderr():
            warnings.simplefilter('ignore')  # it announces its move to another package
            interpreter = tf.lite.Interpreter(model_content=self._model, num_threads=threads)
            interpreter.allocate_tensors()
        return interpreter

    def features(self, images: np.ndarray) -> np.ndarray:
        if len(images) == 1:
            with self._lock:
                return _invoke(self._together, images)
        pieces = [images[at:at + 1] for at in range(len(images))]
        return np.concatenate(list(self._workers.map(self._alone, pieces)))

    def _alone(self, image: np.ndarray) -> np.ndarray:
        if not hasattr(self._of_thread, 'interpreter'):
            with self._lock:  # what it holds back is the whole process's
                self._of_thread.interpreter = self._interpreter(1)
        return _invoke(self._of_thread.interpreter, image)

    def close(self) -> None:
        self._workers.shutdown()
        self._together = self._model = None


def _invoke(interpreter: tf.lite.Interpreter, image: np.ndarray) -> np.ndarray:
    interpreter.set_tensor(interpreter.get_input_details()[0]['index'], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]['index'])


def _quantized(info: checkpoints.CheckpointInfo, values: dict[str, np.ndarray],
               calibration_images: np.ndarray) -> bytes:
    """A TFLite model whose convolutions multiply eight-bit integers, from images to features."""
    graph = constant_graph(info, values, classify=False)
    ends = [graph.get_tensor_by_name(name) for name in ('inputs:0', 'features:0')]
    with warnings.catch_warnings(), held_back_stderr():
        warnings.simplefilter('ignore')
        # Not `from_session`, which looks for variables to freeze, at the cost of seconds.
        converter = tf.lite.TFLiteConverter(ancestors(graph.as_graph_def(), ['features']),
                                            ends[:1], ends[1:])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [image[np.newaxis]] for image in calibration_images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return converter.convert()
