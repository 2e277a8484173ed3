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

images = np.load(images_path, mmap_mode='r')
cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
facts = {}


def size_of(path: str) -> float:
    """The size on disk of all files whose path begins with `path`, in MiB."""
    folder, prefix = os.path.split(path)
    return sum(os.path.getsize(os.path.join(folder, file)) for file in os.listdir(folder)
               if file.startswith(prefix)) / 2**20


def channels_last(batch: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(batch)


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


def save(content: bytes, suffix: str) -> str:
    path = os.path.join(tempfile.mkdtemp(dir=os.path.dirname(checkpoint_path)), 'model' + suffix)
    with open(path, 'wb') as file:
        file.write(content)
    return path


def onnx_runtime():
    import onnxruntime
    from other_runtimes import onnx_model

    path = save(onnx_model(folded_graph()), '.onnx')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return channels_first, lambda batch: session.run(None, {'inputs': batch})[0], size_of(path)


def openvino(precision: str):
    import openvino
    from other_runtimes import onnx_model

    path = save(onnx_model(folded_graph()), '.onnx')
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


def torch(compiled: bool, precision: str = 'float32'):
    # Triton is for GPUs; its LLVM and TensorFlow's crash in one process.
    sys.modules['triton'] = None
    from other_runtimes import torch_model
    import torch

    torch.set_num_threads(cores)
    model = torch_model(folded_graph()).to(memory_format=torch.channels_last)
    if precision == 'bfloat16':
        model = model.to(torch.bfloat16)
    path = save(b'', '.pt')
    torch.save(model.state_dict(), path)
    call = torch.compile(model) if compiled else model

    def run(batch):
        with torch.inference_mode():
            tensor = torch.from_numpy(batch).permute(0, 3, 1, 2)  # channels-last in memory
            return call(tensor.to(next(model.buffers()).dtype)).float().numpy()

    return channels_last, run, size_of(path)


CONTESTANTS = {
    'original graph': original_graph,
    'tf_slim.nets': tf_slim_nets,
    'keras.applications': keras_applications,
    'ONNX Runtime': onnx_runtime,
    'OpenVINO float32': lambda: openvino('float32'),
    'OpenVINO bfloat16': lambda: openvino('bfloat16'),
    'OpenVINO int8': lambda: openvino('int8'),
    'PyTorch': lambda: torch(False),
    'PyTorch compiled': lambda: torch(True),
    'PyTorch compiled bfloat16': lambda: torch(True, 'bfloat16'),
}


def build_contestant():
    """Ours are named `inception_slim PRECISION` or `inception_slim PRECISION (ENGINE)`."""
    ours = re.fullmatch(r'inception_slim (\w+)(?: \((\w+)\))?', name)
    return load_predictor(ours[1], ours[2] or 'auto') if ours else CONTESTANTS[name]()


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
