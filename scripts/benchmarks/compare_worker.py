"""One contestant of `make compare`: loads the checkpoint, then answers, a line for each line read.

    python compare_worker.py CONTESTANT NETWORK CHECKPOINT IMAGES.npy

Prints a JSON line when its first answer is there. Then `run BATCH COUNT` prints the seconds of each
of so many passes, `logits FILE` writes the logits of the first images, `memory` prints the peak in
MiB. Images are laid out as the contestant wants them before its time is taken. What goes wrong is
`{"error": ...}`, a line too.
"""

import json
import os
import re
import resource
import sys
import tempfile
import time

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
name, network, checkpoint_path, images_path = sys.argv[1:]

# The answers have the standard output to themselves; what libraries print goes the other way.
answers = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)

import numpy as np

images = np.load(images_path, mmap_mode='r')
cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
facts = {}  # what the first line says besides


def size_of(path: str) -> float:
    """MiB on disk of all files that begin with `path`."""
    folder, prefix = os.path.split(path)
    return sum(os.path.getsize(os.path.join(folder, each)) for each in os.listdir(folder)
               if each.startswith(prefix)) / 2**20


def peak_memory() -> float:
    """Of this process, in MiB."""
    try:
        with open('/proc/self/status') as file:
            return int(re.search(r'VmHWM:\s*(\d+) kB', file.read())[1]) / 2**10
    except OSError:  # what follows counts, on Linux, the process that started this one too
        unit = 2**20 if sys.platform == 'darwin' else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def as_they_are(batch: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(batch)


def channels_first(batch: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))


# Contestants: each returns what lays images out, what answers with logits, and MiB on the disk.

def in_session(module, restore):
    """A slim network's own graph, as the listing runs it."""
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    tf.disable_eager_execution()
    inputs = tf.placeholder(tf.float32, (None, *images.shape[1:]))
    with slim.arg_scope(getattr(module, f'{network}_arg_scope')()):
        logits, _ = getattr(module, network)(inputs, 1001, is_training=False)
    session = tf.Session()
    restore(session)
    return as_they_are, lambda batch: session.run(logits, {inputs: batch}), size_of(checkpoint_path)


def listing():
    import inception_slim
    from inception_slim import checkpoint

    return in_session(inception_slim, lambda session: checkpoint.restore(session, checkpoint_path))


def tf_slim_nets():
    import importlib

    import inception_slim  # noqa: F401  makes tf_slim run
    import tensorflow.compat.v1 as tf

    module = importlib.import_module(f'tf_slim.nets.{network}')
    return in_session(module, lambda session: tf.train.Saver(
        tf.model_variables()).restore(session, checkpoint_path))


def fast_path(precision: str, engine: str = 'auto'):
    from inception_slim import inference

    # Speed alone: the ranges of int8 come from the images that it is timed with.
    predictor = inference.load(checkpoint_path, precision=precision, engine=engine,
                               calibration_images=np.array(images[:8]))
    facts['engine'] = predictor.engine
    return as_they_are, predictor.logits, size_of(checkpoint_path)


def keras_applications():
    from inception_slim import _tf_logging

    _tf_logging.import_tensorflow_quietly()
    from inception_slim import checkpoint
    import tensorflow as tf

    _, weights = checkpoint.read(checkpoint_path)
    with tf.device('cpu'):
        model = tf.keras.applications.InceptionV3(weights=None, classes=1001,
                                                  classifier_activation=None)
    layers = list(dict.fromkeys(key.rsplit('/', 1)[0] for key in names_as_built()
                                if key.endswith('/weights') and 'Logits' not in key))

    def built(kind):  # conv2d, conv2d_1, ... in the order they were built
        found = [layer for layer in model.layers if type(layer).__name__ == kind]
        return sorted(found, key=lambda layer: int(
            re.search(r'(?:_(\d+))?$', layer.name)[1] or 0))

    for layer, conv, norm in zip(layers, built('Conv2D'), built('BatchNormalization')):
        conv.set_weights([weights[f'{layer}/weights']])
        norm.set_weights([weights[f'{layer}/BatchNorm/{each}']
                          for each in ('beta', 'moving_mean', 'moving_variance')])
    classifier = 'Logits/Conv2d_1c_1x1/'
    model.layers[-1].set_weights([weights[classifier + 'weights'][0, 0],
                                  weights[classifier + 'biases']])
    return as_they_are, model.predict_on_batch, size_of(checkpoint_path)


def names_as_built() -> list[str]:
    """Of Inception V3's variables, in the order in which the network makes them."""
    import inception_slim
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    with tf.Graph().as_default():
        with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
            inception_slim.inception_v3(tf.zeros((1, 299, 299, 3)), 1001)
        return [each.op.name.split('/', 1)[1] for each in tf.model_variables()]


def folded_graph():
    from inception_slim import _tf_logging

    _tf_logging.import_tensorflow_quietly()
    from inception_slim import checkpoint, inference

    info, weights = checkpoint.read(checkpoint_path)
    return inference.constant_graph(info, inference.fold_batch_norm(weights))


def saved(content: bytes, suffix: str) -> str:
    path = os.path.join(tempfile.mkdtemp(dir=os.path.dirname(checkpoint_path)), 'model' + suffix)
    with open(path, 'wb') as file:
        file.write(content)
    return path


def onnx_runtime():
    import onnxruntime
    from other_runtimes import onnx_model

    path = saved(onnx_model(folded_graph()), '.onnx')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return channels_first, lambda batch: session.run(None, {'inputs': batch})[0], size_of(path)


def openvino(precision: str):
    import openvino
    from other_runtimes import onnx_model

    path = saved(onnx_model(folded_graph()), '.onnx')
    model = openvino.Core().read_model(path)
    if precision == 'int8':
        import nncf

        nncf.set_log_level(40)
        calibration = channels_first(images[:8])
        model = nncf.quantize(model, nncf.Dataset([each[None] for each in calibration]),
                              subset_size=8)
    compiled = openvino.Core().compile_model(model, 'CPU', {
        'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bfloat16' else 'f32',
        'INFERENCE_NUM_THREADS': cores, 'PERFORMANCE_HINT': 'LATENCY'})
    return channels_first, lambda batch: compiled(batch)[0], size_of(path)


def torch(compiled: bool, precision: str = 'float32'):
    # For GPUs; its LLVM and TensorFlow's, in one process, end it.
    sys.modules['triton'] = None
    from other_runtimes import torch_model
    import torch

    torch.set_num_threads(cores)
    model = torch_model(folded_graph()).to(memory_format=torch.channels_last)
    if precision == 'bfloat16':
        model = model.to(torch.bfloat16)
    path = saved(b'', '.pt')
    torch.save(model.state_dict(), path)
    call = torch.compile(model) if compiled else model

    def run(batch):
        with torch.inference_mode():
            tensor = torch.from_numpy(batch).permute(0, 3, 1, 2)  # so channels are last inside
            return call(tensor.to(next(model.buffers()).dtype)).float().numpy()

    return as_they_are, run, size_of(path)


CONTESTANTS = {
    'listing': listing,
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


def contestant():
    """By its name; ours is `inception_slim PRECISION`, or `inception_slim PRECISION (ENGINE)`."""
    ours = re.fullmatch(r'inception_slim (\w+)(?: \((\w+)\))?', name)
    return fast_path(ours[1], ours[2] or 'auto') if ours else CONTESTANTS[name]()


def answer_lines() -> None:
    lay_out, answer, size = contestant()
    answer(lay_out(images[:1]))
    print(json.dumps({'size': size, **facts}), file=answers, flush=True)
    for line in sys.stdin:
        verb, _, argument = line.strip().partition(' ')
        if verb == 'run':
            size, count = map(int, argument.split())
            batch, durations = lay_out(images[:size]), []
            for _ in range(count):
                start = time.perf_counter()
                answer(batch)
                durations.append(time.perf_counter() - start)
            print(json.dumps(durations), file=answers, flush=True)
        elif verb == 'logits':
            np.save(argument, answer(lay_out(images[:2])))
            print('saved', file=answers, flush=True)
        else:
            print(peak_memory(), file=answers, flush=True)


try:
    answer_lines()
except Exception as error:
    print(json.dumps({'error': f'{type(error).__name__}: {error}'}), file=answers, flush=True)
    raise
