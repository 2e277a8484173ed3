"""A benchmark worker (see `worker_protocol`) that runs a network with one runtime.

    python compare_worker.py CONTESTANT NETWORK CHECKPOINT IMAGES.npy

Is ready after its first result. Commands: `run BATCH COUNT` returns the seconds of COUNT passes,
with images that are in the runtime's layout already; `logits FILE` writes the logits of the first
two images.
"""

import os
import re
import sys
import tempfile
import time

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
name, network, checkpoint_path, images_path = sys.argv[1:]

import numpy as np
from worker_protocol import serve  # before the libraries, which print to standard output

# Triton is for GPUs; its LLVM and TensorFlow's crash in one process.
sys.modules['triton'] = None
images = np.load(images_path, mmap_mode='r')
cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
facts = {}


def size_of(path: str) -> float:
    """The size on disk of all files whose path begins with `path`, in MiB."""
    folder, prefix = os.path.split(path)
    return sum(os.path.getsize(os.path.join(folder, file)) for file in os.listdir(folder)
               if file.startswith(prefix)) / 2**20


def channels_last(batch: np.ndarray) -> np.ndarray:
    return np.array(batch)  # a copy, so that all contestants find their images in the caches


def channels_first(batch: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))


# Each contestant returns a function that converts images to its layout, one that computes logits,
# and its size on disk in MiB.

def in_session(module, restore):
    """The graph of a slim network in a Session, as in the example script of 2017."""
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    tf.disable_eager_execution()
    inputs = tf.placeholder(tf.float32, (None, *images.shape[1:]))
    with slim.arg_scope(getattr(module, f'{network}_arg_scope')()):
        logits, _ = getattr(module, network)(inputs, 1001, is_training=False)
    session = tf.Session()
    restore(session)
    return (
        channels_last,
        lambda batch: session.run(logits, {inputs: batch}),
        size_of(checkpoint_path),
    )


def original_graph():
    import inception_slim
    from inception_slim import checkpoint

    return in_session(inception_slim, lambda session: checkpoint.restore(session, checkpoint_path))


def tf_slim_nets():
    import importlib

    import inception_slim  # noqa: F401  patches tf_slim
    import tensorflow.compat.v1 as tf

    module = importlib.import_module(f'tf_slim.nets.{network}')
    return in_session(module, lambda session: tf.train.Saver(
        tf.model_variables()).restore(session, checkpoint_path))


def load_predictor(precision: str, engine: str = 'auto'):
    from inception_slim import inference

    # Only speed is measured, so int8 may be calibrated on the same images.
    predictor = inference.load(checkpoint_path, precision=precision, engine=engine,
                               calibration_images=np.array(images[:8]))
    facts['engine'] = predictor.engine
    return channels_last, predictor.logits, size_of(checkpoint_path)


def keras_applications():
    from inception_slim import _tf_logging

    _tf_logging.import_tensorflow_quietly()
    from inception_slim import checkpoint
    import tensorflow as tf

    _, weights = checkpoint.read(checkpoint_path)
    with tf.device('cpu'):
        model = tf.keras.applications.InceptionV3(weights=None, classes=1001,
                                                  classifier_activation=None)
    layers = list(dict.fromkeys(key.rsplit('/', 1)[0] for key in variable_names()
                                if key.endswith('/weights') and 'Logits' not in key))

    def layers_of(kind):  # conv2d, conv2d_1, ... in the order of construction
        matching = [layer for layer in model.layers if type(layer).__name__ == kind]
        return sorted(matching, key=lambda layer: int(
            re.search(r'(?:_(\d+))?$', layer.name)[1] or 0))

    for layer, conv, norm in zip(layers, layers_of('Conv2D'), layers_of('BatchNormalization')):
        conv.set_weights([weights[f'{layer}/weights']])
        norm.set_weights([weights[f'{layer}/BatchNorm/{key}']
                          for key in ('beta', 'moving_mean', 'moving_variance')])
    classifier = 'Logits/Conv2d_1c_1x1/'
    model.layers[-1].set_weights([weights[classifier + 'weights'][0, 0],
                                  weights[classifier + 'biases']])
    return channels_last, model.predict_on_batch, size_of(checkpoint_path)


def keras(backend: str):
    os.environ['KERAS_BACKEND'] = backend
    from inception_slim import _tf_logging

    _tf_logging.import_tensorflow_quietly()
    import inception_slim
    import keras

    model = inception_slim.keras_model(checkpoint_path)
    model.layers[-1].activation = keras.activations.linear  # logits, not probabilities
    return channels_last, model.predict_on_batch, size_of(checkpoint_path)


def variable_names() -> list[str]:
    """The variables of Inception V3, in the order in which the network creates them."""
    import inception_slim
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    with tf.Graph().as_default():
        with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
            inception_slim.inception_v3(tf.zeros((1, 299, 299, 3)), 1001)
        return [variable.op.name.split('/', 1)[1] for variable in tf.model_variables()]


def folded_graph():
    from inception_slim import _tf_logging

    _tf_logging.import_tensorflow_quietly()
    from inception_slim import checkpoint, inference

    info, weights = checkpoint.read(checkpoint_path)
    return inference.constant_graph(info, inference.fold_batch_norm(weights))


def tensorflow_xla():
    graph = folded_graph()
    import tensorflow as tf

    wrapped = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(graph.as_graph_def(), name=''), [])
    compiled = tf.function(wrapped.prune('inputs:0', 'logits:0'), jit_compile=True)
    return (
        channels_last,
        lambda batch: compiled(tf.constant(batch)).numpy(),
        size_of(checkpoint_path),
    )


def save(content: bytes, suffix: str) -> str:
    path = os.path.join(tempfile.mkdtemp(dir=os.path.dirname(checkpoint_path)), 'model' + suffix)
    with open(path, 'wb') as file:
        file.write(content)
    return path


def save_onnx() -> str:
    from other_runtimes import onnx_model

    return save(onnx_model(folded_graph()), '.onnx')


def onnx_runtime():
    import onnxruntime

    path = save_onnx()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return channels_first, lambda batch: session.run(None, {'inputs': batch})[0], size_of(path)


def openvino(precision: str):
    import openvino

    path = save_onnx()
    model = openvino.Core().read_model(path)
    if precision == 'int8':
        import nncf

        nncf.set_log_level(40)
        calibration = channels_first(images[:8])
        model = nncf.quantize(model, nncf.Dataset([image[None] for image in calibration]),
                              subset_size=8)
    compiled = openvino.Core().compile_model(model, 'CPU', {
        'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bfloat16' else 'f32',
        'INFERENCE_NUM_THREADS': cores, 'PERFORMANCE_HINT': 'LATENCY'})
    return channels_first, lambda batch: compiled(batch)[0], size_of(path)


def opencv():
    import cv2

    path = save_onnx()
    cv2.setNumThreads(cores)
    net = cv2.dnn.readNetFromONNX(path)

    def run(batch):
        net.setInput(batch)
        return net.forward()

    return channels_first, run, size_of(path)


def ncnn():
    """An image on all cores; of a batch, which ncnn does not have, an image on each core."""
    from concurrent.futures import ThreadPoolExecutor
    import subprocess

    import ncnn
    import pnnx

    path = save_onnx()
    shape = ','.join(map(str, channels_first(images[:1]).shape))
    subprocess.run([pnnx.EXEC_PATH, path, f'inputshape=[{shape}]f32', 'fp16=0'],
                   cwd=os.path.dirname(path), check=True)
    path = path.removesuffix('.onnx') + '.ncnn'
    pool = ThreadPoolExecutor(cores)

    def load(threads):
        net = ncnn.Net()
        net.opt.num_threads = threads
        net.load_param(path + '.param')
        net.load_model(path + '.bin')

        def run(image):
            extractor = net.create_extractor()
            extractor.input('in0', ncnn.Mat(image))
            return np.array(extractor.extract('out0')[1])

        return run

    run_alone, run_beside = load(cores), load(1)
    return (
        channels_first,
        lambda batch: np.stack(list(pool.map(run_beside, batch)) if len(batch) > 1
                               else [run_alone(batch[0])]),
        size_of(path + '.bin'),
    )


def torch(compiled: bool, precision: str = 'float32'):
    from other_runtimes import quantize_torch_model, torch_model
    import torch
    from torch._inductor import config

    torch.set_num_threads(cores)
    torch.set_grad_enabled(False)
    config.freezing = True  # weights are constants, laid out and quantized once
    model = torch_model(folded_graph()).to(memory_format=torch.channels_last)

    def to_tensor(batch):  # channels-last in memory
        return torch.from_numpy(batch).permute(0, 3, 1, 2)

    if precision == 'bfloat16':
        model = model.to(torch.bfloat16)
    if precision == 'int8':
        model = quantize_torch_model(model, to_tensor(np.array(images[:8])))
    path = save(b'', '.pt')
    torch.save(model.state_dict(), path)
    call = torch.compile(model) if compiled else model
    dtype = torch.bfloat16 if precision == 'bfloat16' else torch.float32
    return (
        channels_last,
        lambda batch: call(to_tensor(batch).to(dtype)).float().numpy(),
        size_of(path),
    )


CONTESTANTS = {
    'original graph': original_graph,
    'tf_slim.nets': tf_slim_nets,
    'keras.applications': keras_applications,
    'TensorFlow XLA': tensorflow_xla,
    'Keras on JAX': lambda: keras('jax'),
    'Keras on PyTorch': lambda: keras('torch'),
    'ncnn': ncnn,
    'OpenCV': opencv,
    'ONNX Runtime': onnx_runtime,
    'OpenVINO float32': lambda: openvino('float32'),
    'OpenVINO bfloat16': lambda: openvino('bfloat16'),
    'OpenVINO int8': lambda: openvino('int8'),
    'PyTorch': lambda: torch(False),
    'PyTorch compiled': lambda: torch(True),
    'PyTorch compiled bfloat16': lambda: torch(True, 'bfloat16'),
    'PyTorch compiled int8': lambda: torch(True, 'int8'),
}


def build_contestant():
    """Ours are named `inception_slim PRECISION` or `inception_slim PRECISION (ENGINE)`."""
    ours = re.fullmatch(r'inception_slim (\w+)(?: \((\w+)\))?', name)
    return load_predictor(ours[1], ours[2] or 'auto') if ours else CONTESTANTS[name]()


def main():
    to_layout, predict, size = build_contestant()
    predict(to_layout(images[:1]))

    def run(batch_size, count):
        batch, durations = to_layout(images[:int(batch_size)]), []
        for _ in range(int(count)):
            start = time.perf_counter()
            predict(batch)
            durations.append(time.perf_counter() - start)
        return durations

    def logits(path):
        np.save(path, predict(to_layout(images[:2])))

    serve({'size': size, **facts}, run=run, logits=logits)


try:
    main()
except Exception as error:  # its last line is often advice, and the first the cause
    message, *_ = str(error).strip().splitlines() or ['']
    sys.exit(f'{type(error).__name__}: {message}')
