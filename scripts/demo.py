"""Trains, evaluates, classifies, fine-tunes and exports on scikit-learn's digits (no download).

1,797 real images of ten classes are written as TFRecords and as folders of PNG files. A narrow
Inception V3 is trained on them, evaluated, fine-tuned to other classes and exported in every
format; each export is run in its own runtime on all held-out images. Exits with 1 if an accuracy is
too low.
"""

import argparse
from collections.abc import Callable
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim import data
from inception_slim._tf_logging import suppress_stderr
import keras
import numpy as np
import onnxruntime
from sklearn.datasets import load_digits
import tensorflow
import tensorflow.compat.v1 as tf

COMMAND = os.path.join(os.path.dirname(sys.executable), 'inception-slim')
HELD_OUT = 400
BATCH = 50  # divides HELD_OUT
SIDE = 96  # pixels of a PNG file, enlarged from the 8 of a digit
MIN_ACCURACY = 95.0  # percent of the held-out images
OPENVINO = importlib.util.find_spec('openvino') is not None
EXPORTS = (  # file name and options
    ('saved', ('--format', 'saved-model')),
    ('frozen.pb', ('--format', 'frozen')),
    ('float32.tflite', ('--format', 'tflite')),
    ('float16.tflite', ('--format', 'tflite', '--precision', 'float16')),
    ('int8.tflite', ('--format', 'tflite', '--precision', 'int8')),
    ('model.keras', ('--format', 'keras')),
    ('model.h5', ('--format', 'keras')),
    ('model.onnx', ('--format', 'onnx')),
    ('int8.onnx', ('--format', 'onnx', '--precision', 'int8')),
    *((('openvino', ('--format', 'openvino')),
       ('openvino-int8', ('--format', 'openvino', '--precision', 'int8'))) if OPENVINO else ()))


class DemoFailed(Exception):
    """A command failed or missed its accuracy."""


def run(*arguments: str) -> str:
    """Prints a command, runs it, and prints and returns its output."""
    print(f'\n$ inception-slim {shlex.join(arguments)}', flush=True)
    process = subprocess.Popen([COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    lines = []
    for line in process.stdout:
        print(line, end='', flush=True)
        lines.append(line)
    if process.wait():
        raise DemoFailed(f'inception-slim {arguments[0]} ended with {process.returncode}.')
    return ''.join(lines)


def run_in_folder(parser: argparse.ArgumentParser, folder: str | None,
                  demonstrate: Callable[[], None]) -> int:
    """Calls a function in an empty folder, or a temporary one; returns the exit status."""
    path = folder or tempfile.mkdtemp(prefix='inception-slim-demo-')
    os.makedirs(path, exist_ok=True)
    if os.listdir(path):
        parser.error(f'{path} is not empty')
    start = time.monotonic()
    print(f'$ cd {path}')
    os.chdir(path)
    try:
        demonstrate()
    except DemoFailed as error:
        print(f'\n{error}', file=sys.stderr)
        return 1
    finally:
        if not folder:
            shutil.rmtree(path)
    print(f'\nTotal time: {(time.monotonic() - start) / 60:.1f} minutes.')
    return 0


def write_digits() -> None:
    """Writes `digits` and `parity`, PNG files, and `records`, TFRecords, each in two splits."""
    digits, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(digits))
    images = tensorflow.image.resize(digits[order].reshape(-1, 8, 8, 1) * (255 / 16), (SIDE, SIDE))
    encoded = [tensorflow.io.encode_png(image).numpy()
               for image in tensorflow.cast(tensorflow.round(images), tensorflow.uint8)]
    labels = labels[order].tolist()
    for split, part in (('validation', slice(HELD_OUT)), ('train', slice(HELD_OUT, None))):
        examples = list(zip(encoded[part], labels[part]))
        data.write_tfrecords('records', 'digits', split, examples,
                             [str(digit) for digit in range(10)], num_shards=2)
        for number, (png, label) in enumerate(examples):
            for name in (f'digits/{split}/{label}', f'parity/{split}/{("even", "odd")[label % 2]}'):
                os.makedirs(name, exist_ok=True)
                with open(f'{name}/{number:04d}.png', 'wb') as file:
                    file.write(png)
        print(f'{split}: {len(examples):,} digits, as TFRecords in records and as PNGs in '
              f'digits/{split} and parity/{split}')


def evaluate(*arguments: str) -> float:
    """The top-1 accuracy that `inception-slim evaluate` prints, in percent."""
    return float(re.search(r'top-1 accuracy +([\d.]+)%', run('evaluate', *arguments))[1])


def check_accuracy(accuracy: float, network: str) -> None:
    if accuracy < MIN_ACCURACY:
        raise DemoFailed(f'{network} has a top-1 accuracy of {accuracy:.2f} % on held-out images; '
                         f'expected at least {MIN_ACCURACY:g} %.')


# Each loads an export in its own runtime and returns a function from images `[N, 299, 299, 3]` in
# [-1, 1] and the bytes of their files to probabilities `[N, 10]`.

def saved_model(path):
    serve = tensorflow.saved_model.load(path).signatures['serving_default']
    return lambda images, _: serve(images=tensorflow.constant(images))['predictions'].numpy()


def saved_model_from_bytes(path):
    serve = tensorflow.saved_model.load(path).signatures['encoded']
    return lambda _, files: serve(encoded=tensorflow.constant(files))['predictions'].numpy()


def frozen(path):
    with tf.Graph().as_default() as graph:
        with open(path, 'rb') as file:
            tf.import_graph_def(tf.GraphDef.FromString(file.read()), name='')
    session = tf.Session(graph=graph)
    return lambda images, _: session.run('InceptionV3/Predictions/Reshape_1:0',
                                         {'input:0': images})


def tflite(path):
    with suppress_stderr(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # tf.lite.Interpreter is deprecated
        interpreter = tf.lite.Interpreter(model_path=path, num_threads=os.cpu_count())
        source = interpreter.get_input_details()[0]['index']
        interpreter.resize_tensor_input(source, (BATCH, 299, 299, 3))
        interpreter.allocate_tensors()

    def predict(images, _):
        interpreter.set_tensor(source, images)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]['index'])

    return predict


def keras_model(path):
    model = keras.models.load_model(path, compile=False)
    return lambda images, _: model.predict(images, verbose=0)


def onnx(path):
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return lambda images, _: session.run(None, {'input:0': images})[0]


def load_openvino(path):
    import openvino

    model = openvino.Core().compile_model(os.path.join(path, 'openvino_model.xml'), 'CPU')
    return lambda images, _: model({'input': images})['predictions']


RUNTIMES = (  # file, name in the table, loader, percentage points that it may lose
    ('saved', 'saved-model', saved_model, 0),
    ('saved', 'saved-model, PNG bytes', saved_model_from_bytes, 0),
    ('frozen.pb', 'frozen', frozen, 0),
    ('float32.tflite', 'tflite', tflite, 0),
    ('float16.tflite', 'tflite float16', tflite, 0),
    ('int8.tflite', 'tflite int8', tflite, 1),
    ('model.keras', 'keras', keras_model, 0),
    ('model.h5', 'keras, HDF5', keras_model, 0),
    ('model.onnx', 'onnx', onnx, 0),
    ('int8.onnx', 'onnx int8', onnx, 1),
    *((('openvino', 'openvino', load_openvino, 0.25),  # it may choose bfloat16
       ('openvino-int8', 'openvino int8', load_openvino, 1)) if OPENVINO else ()))


def size(path: str) -> int:
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, file))
               for folder, _, files in os.walk(path) for file in files)


def compare(accuracy: float) -> None:
    """Prints the accuracy of each export, which must agree with the checkpoint's."""
    dataset = data.open_dataset('digits', 'validation')
    batches = list(data.as_numpy_batches(lambda: data.batches(dataset, BATCH)))
    encoded = []
    for file in dataset.files:
        with open(file, 'rb') as opened:
            encoded.append(opened.read())
    print(f'\nEach export in its own runtime, on the {HELD_OUT} held-out digits')
    print(f'{"":24}{"MB":>6}{"top-1":>10}')
    print(f'{"checkpoint":24}{"":6}{accuracy:>8.2f} %', flush=True)
    failures = []
    for path, name, load, max_loss in RUNTIMES:
        predict, correct = load(path), 0
        for number, batch in enumerate(batches):
            probabilities = predict(batch['image'], encoded[BATCH * number:BATCH * (number + 1)])
            correct += int((probabilities.argmax(axis=1) == batch['label']).sum())
        top_1 = 100 * correct / HELD_OUT
        print(f'{name:24}{size(path) / 1e6:6.1f}{top_1:8.2f} %', flush=True)
        if abs(top_1 - accuracy) > max_loss + 0.005:  # evaluate prints two decimals
            failures.append(f'{name} has {top_1:.2f} %, the checkpoint {accuracy:.2f} %')
    if failures:
        raise DemoFailed('; '.join(failures) + '.')


def demonstrate(steps: int, more_steps: int) -> None:
    write_digits()
    options = ('--depth-multiplier', '0.1', '--batch-size', '16', '--learning-rate', '0.05',
              '--decay-factor', '0.5', '--batch-norm-decay', '0.95', '--no-distort')
    run('train', 'records', '--split', 'train', '--train-dir', 'model', '--steps', str(steps),
        '--epochs-per-decay', '0.75', *options)
    accuracy = evaluate('model', 'records', '--split', 'validation')
    check_accuracy(accuracy, 'The trained network')
    from_folders = evaluate('model', 'digits', '--split', 'validation')
    if from_folders != accuracy:
        raise DemoFailed(f'The same images give {accuracy} % as TFRecords, but {from_folders} % as '
                         'PNG files.')
    images = [f'digits/validation/{label}/{sorted(os.listdir(f"digits/validation/{label}"))[0]}'
            for label in (3, 7)]
    run('classify', 'model', *images, '--top', '2')
    run('train', 'parity', '--split', 'train', '--train-dir', 'parity-model', '--from', 'model',
        '--exclude-scopes', 'Logits,AuxLogits', '--steps', str(more_steps),
        '--epochs-per-decay', '0.25', *options)
    check_accuracy(evaluate('parity-model', 'parity', '--split', 'validation'),
               'The fine-tuned network')
    for name, options in EXPORTS:
        run('export', 'model', *options, '--calibration-images', 'digits/train', '--output', name)
    compare(accuracy)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--folder', metavar='DIR',
                        help='an empty folder for all files; by default a temporary one')
    parser.add_argument('--steps', type=int, default=250, metavar='N')
    parser.add_argument('--more-steps', type=int, default=80, metavar='N',
                        help='steps of fine-tuning (%(default)s)')
    arguments = parser.parse_args()
    if min(arguments.steps, arguments.more_steps) < 1:
        parser.error('--steps and --more-steps must be at least 1')
    tf.get_logger().setLevel('ERROR')
    return run_in_folder(parser, arguments.folder,
                         lambda: demonstrate(arguments.steps, arguments.more_steps))


if __name__ == '__main__':
    sys.exit(main())
