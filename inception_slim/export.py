"""A checkpoint written in other forms: what serves, what runs on a phone, and what leaves TF1.

Each is written beside its destination, loaded again, asked about images that the checkpoint is
asked about too, and only then put in its place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow
import tensorflow.compat.v1 as tf

from inception_slim import checkpoint as checkpoints
from inception_slim import data, inference, keras_models, preprocessing
from inception_slim.nets import factory
from inception_slim.quiet import held_back_stderr

FORMATS = ('saved-model', 'frozen', 'tflite', 'keras', 'onnx')
QUANTIZATIONS = ('float32', 'float16', 'int8')
# The largest difference of a probability that is still the same network: of rounding, and of
# numbers with eleven bits and with eight, of which the last may be wrong on an unclear image.
TOLERANCES = {'float32': 1e-4, 'float16': 0.03, 'int8': 0.5}
_COMPARED = 16  # images, of those given
_CALIBRATED = 256  # images, of those given


class ExportError(ValueError):
    """The checkpoint cannot be exported as asked; one sentence says why, and what to do."""


@dataclass(frozen=True)
class Exported:
    """What `export` wrote.

    Attributes:
      path: the file, or the folder of a SavedModel.
      format: one of `FORMATS`.
      quantize: one of `QUANTIZATIONS`.
      size: bytes on the disk.
      difference: the largest difference of a probability from the checkpoint's.
      same_class: on how many of the images the likeliest class is the checkpoint's.
      images: how many images were compared.
      generated: whether these were drawn, since none were given.
    """

    path: str
    format: str
    quantize: str
    size: int
    difference: float
    same_class: int
    images: int
    generated: bool


def export(
        checkpoint: str | os.PathLike,
        destination: str | os.PathLike,
        *,
        format: str,
        quantize: str = 'float32',
        labels: str | os.PathLike | Sequence[str] | None = None,
        calibration_images: np.ndarray | str | os.PathLike | None = None,
        use_ema: bool = False,
        overwrite: bool = False,
        checkpoint_scope: str | None = None) -> Exported:
    """Writes a checkpoint in another form, and holds it to the checkpoint's answers.

    'saved-model' has the signatures `serving_default`, of `images` `[N, 299, 299, 3]` in [-1, 1],
    and `encoded`, of `encoded` `[N]` JPEG or PNG bytes; both answer with `logits` and
    `predictions`, and with labels `encoded` names the likeliest in `classes`. 'frozen' is a
    GraphDef from `input` to `InceptionV3/Predictions/Reshape_1`. 'tflite' goes from images to
    probabilities. 'keras' is a Keras 3 model of the layers of keras.applications, for Inception V3
    and Inception-ResNet V2. 'onnx' needs tf2onnx and onnxruntime.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      destination: the file to write, or the folder for 'saved-model'.
      format: one of `FORMATS`.
      quantize: for 'tflite', what its weights are kept in: one of `QUANTIZATIONS`.
      labels: for 'saved-model', the names of the classes: a list, or a file of them. Without
        them, those of a `labels.txt` beside the checkpoint, if they are as many as its classes.
      calibration_images: a folder of images, or `[N, 299, 299, 3]` in [-1, 1]: images like those
        to come. int8 finds the range of each layer by them, and the answers on sixteen of them
        are compared; without any, drawn images are compared.
      use_ema: take the moving averages of the weights, where the checkpoint has them.
      overwrite: replace a destination that exists.
      checkpoint_scope: which network to take, where the file holds more than one.

    Raises:
      ExportError: an argument is out of its range, the destination exists or cannot be written,
        or what was written does not answer as the checkpoint does; nothing is left behind.
      CheckpointError: the checkpoint cannot be read.
      data.DatasetError: the labels or the images cannot be read.
    """
    if format not in FORMATS:
        raise ExportError(f'There is no format {format!r}; name one of {", ".join(FORMATS)}.')
    if quantize not in QUANTIZATIONS:
        raise ExportError(f'quantize must be one of {", ".join(QUANTIZATIONS)}, not {quantize!r}.')
    if quantize != 'float32' and format != 'tflite':
        raise ExportError(f'{quantize} is for tflite alone; leave quantize out for {format}.')
    if labels is not None and format != 'saved-model':
        raise ExportError(f'{format} has no place for labels, which saved-model has; leave them '
                          'out.')
    if quantize == 'int8' and calibration_images is None:
        raise ExportError('int8 needs calibration images: real ones, by which the range of each '
                          'layer is found; give a folder of a hundred or so.')
    if not tensorflow.executing_eagerly():
        raise ExportError('export needs eager mode, to load again what it writes; call it outside '
                          'tf.Graph() and without tf.disable_eager_execution().')
    destination = os.fspath(destination).rstrip('/')
    _check_destination(destination, overwrite)
    info, weights = checkpoints.read(checkpoint, use_ema=use_ema, checkpoint_scope=checkpoint_scope)
    if info.num_classes is None:
        raise checkpoints.CheckpointError(f'{info.path} has no classifier; it cannot answer.')
    if format == 'keras':
        _check_keras(info)
    names = _names(labels, info) if format == 'saved-model' else None
    side = factory.NETWORKS[info.network].image_size
    images = _images(calibration_images, side)
    with inference.load(checkpoint, use_ema=use_ema, checkpoint_scope=checkpoint_scope) as original:
        compared = _spread(images, _COMPARED)
        expected = original.predictions(compared)
    write = {'saved-model': partial(_saved_model, names=names), 'frozen': _frozen,
             'tflite': partial(_tflite, quantize=quantize, images=_spread(images, _CALIBRATED)),
             'keras': _keras, 'onnx': _onnx}[format]
    folder, name = os.path.split(os.path.abspath(destination))
    try:
        scratch = tempfile.mkdtemp(prefix=f'.{name}.', dir=folder)
        try:
            new = os.path.join(scratch, name)
            with held_back_stderr(), warnings.catch_warnings():
                warnings.simplefilter('ignore')  # converters announce their own replacements
                answer = write(info, weights, new)
                found = np.asarray(answer(compared))
            difference = _checked(destination, found, expected, TOLERANCES[quantize])
            size = _size(new)
            if os.path.isdir(destination):  # which nothing replaces at once, as it does a file
                os.rename(destination, os.path.join(scratch, 'old'))
            os.replace(new, destination)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except (OSError, tf.errors.OpError) as error:
        why = getattr(error, 'strerror', None) or str(error).splitlines()[0].rstrip('.')
        raise ExportError(f'{destination} cannot be written ({why}); nothing was left '
                          'behind.') from None
    return Exported(destination, format, quantize, size, difference,
                    int((found.argmax(1) == expected.argmax(1)).sum()), len(compared),
                    calibration_images is None)


def _check_destination(destination: str, overwrite: bool) -> None:
    if os.path.lexists(destination) and not overwrite:
        raise ExportError(f'{destination} exists; give another name, or overwrite it.')
    if os.path.isdir(destination) and os.listdir(destination) and not os.path.exists(
            os.path.join(destination, 'saved_model.pb')):
        raise ExportError(f'{destination} is a folder that holds other things than a SavedModel; '
                          'give another name.')
    folder = os.path.dirname(os.path.abspath(destination))
    if not os.path.isdir(folder):
        raise ExportError(f'There is no folder {folder} to write to; make it first.')


def _check_keras(info: checkpoints.CheckpointInfo) -> None:
    if info.network not in keras_models.BODIES:
        title = factory.NETWORKS[info.network].title
        known = ' and '.join(factory.NETWORKS[name].title for name in keras_models.BODIES)
        raise ExportError(f'{title} has no Keras form here, which {known} have, as '
                          'keras.applications has them; take saved-model.')


def _names(labels, info: checkpoints.CheckpointInfo) -> list[str] | None:
    if labels is None:
        return data.labels_beside(info.path, info.num_classes)
    if isinstance(labels, (str, os.PathLike)):
        labels = data.read_labels(labels)
    if len(labels) != info.num_classes:
        raise ExportError(f'There are {len(labels)} labels, but {info.path} has '
                          f'{info.num_classes} classes; give one for each.')
    return list(labels)


def _images(given: np.ndarray | str | os.PathLike | None, side: int) -> np.ndarray:
    """The images given; else four that differ at every scale, always the same."""
    if isinstance(given, (str, os.PathLike)):
        files = _spread(data.image_files(given), _CALIBRATED)
        batches = data.arrays(lambda: data.image_batches(files, 32, image_size=side))
        return np.concatenate([batch['image'] for batch in batches])
    if given is not None:
        given = np.asarray(given)
        if given.ndim != 4 or given.shape[1:] != (side, side, 3) or not len(given):
            raise ExportError(f'calibration_images must be [N, {side}, {side}, 3], but are '
                              f'{list(given.shape)}.')
        return given.astype(np.float32)
    chance = np.random.RandomState(0)
    layers = [chance.uniform(-1, 1, (4, patches, patches, 3))[:, at][:, :, at]
              for patches in (2, 7, 31, side) for at in [np.arange(side) * patches // side]]
    return np.mean(layers, axis=0).astype(np.float32)


def _spread(many: Sequence, count: int) -> Sequence:
    """So many from all over: the first images of a folder may be all of one class."""
    return many[::-(-len(many) // count)]


def _checked(destination: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> float:
    if found.shape != expected.shape or not np.isfinite(found).all():
        raise ExportError(f'{destination} would answer with {list(found.shape)} numbers, or with '
                          f'none, for the {list(expected.shape)} of the checkpoint; nothing was '
                          'left behind.')
    difference = float(np.abs(found - expected).max())
    if difference > tolerance:
        raise ExportError(f'{destination} would differ from the checkpoint by {difference:.2g} in '
                          f'a probability, more than {tolerance:g}; nothing was left behind.')
    return difference


def _size(path: str) -> int:
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, file))
               for folder, _, files in os.walk(path) for file in files)


# Formats: each writes to a path, loads what it wrote, and returns what answers with probabilities.

Answer = Callable[[np.ndarray], np.ndarray]


def _folded_graph(info, weights, outputs=('logits', 'predictions')) -> tf.GraphDef:
    return inference.frozen_graph(info, inference.fold_batch_norm(weights), outputs)


def _saved_model(info, weights, path: str, names: list[str] | None) -> Answer:
    definition = _folded_graph(info, weights)
    side = factory.NETWORKS[info.network].image_size
    images = tensorflow.TensorSpec((None, side, side, 3), tensorflow.float32, 'images')
    encoded = tensorflow.TensorSpec((None,), tensorflow.string, 'encoded')

    @tensorflow.function
    def network(images):
        logits, predictions = tensorflow.graph_util.import_graph_def(
            definition, {'inputs': images}, ['logits:0', 'predictions:0'], name='')
        return {'logits': logits, 'predictions': predictions}

    # Made once, so that both signatures call the same and its weights are written once.
    network = network.get_concrete_function(images)

    def prepared(one):
        return preprocessing.for_evaluation(data.decode(one), side)

    @tensorflow.function
    def of_images(images):
        return network(images)

    @tensorflow.function
    def of_encoded(encoded):
        answers = network(tensorflow.map_fn(
            prepared, encoded, fn_output_signature=tensorflow.TensorSpec(
                (side, side, 3), tensorflow.float32)))
        if names is not None:
            best = tensorflow.argmax(answers['predictions'], axis=1)
            answers['classes'] = tensorflow.gather(tensorflow.constant(names), best)
        return answers

    module = tensorflow.Module()
    module.network = network
    if names is not None:
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, 'labels.txt')
            with open(file, 'w', encoding='utf-8') as opened:
                opened.writelines(f'{number}:{name}\n' for number, name in enumerate(names))
            module.labels = tensorflow.saved_model.Asset(file)
            _save_module(module, path, of_images, images, of_encoded, encoded)
    else:
        _save_module(module, path, of_images, images, of_encoded, encoded)
    loaded = tensorflow.saved_model.load(path)
    serve = loaded.signatures['serving_default']
    return lambda batch: serve(images=tensorflow.constant(batch))['predictions'].numpy()


def _save_module(module, path, of_images, images, of_encoded, encoded) -> None:
    tensorflow.saved_model.save(module, path, signatures={
        'serving_default': of_images.get_concrete_function(images),
        'encoded': of_encoded.get_concrete_function(encoded)})


def _classic(info, weights) -> tuple[tf.GraphDef, str]:
    """From `input` to the predictions under the name they have always had; and that name."""
    definition = _folded_graph(info, weights)
    output = next(node for node in definition.node if node.name == 'predictions').input[0]
    definition = inference.ancestors(definition, [output])
    for node in definition.node:
        if node.name == 'inputs':
            node.name = 'input'
        for index, source in enumerate(node.input):
            if source == 'inputs':
                node.input[index] = 'input'
    return definition, output


def _frozen(info, weights, path: str) -> Answer:
    definition, output = _classic(info, weights)
    with open(path, 'wb') as file:
        file.write(definition.SerializeToString())
    loaded = tf.GraphDef()
    with open(path, 'rb') as file:
        loaded.ParseFromString(file.read())

    def answer(batch):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(loaded, name='')
            return session.run(f'{output}:0', {'input:0': batch})

    return answer


def _tflite(info, weights, path: str, quantize: str, images: np.ndarray) -> Answer:
    definition = _folded_graph(info, weights, ['predictions'])
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(definition, name='')
        converter = tf.lite.TFLiteConverter.from_session(
            session, *([graph.get_tensor_by_name(name)] for name in ('inputs:0', 'predictions:0')))
        if quantize != 'float32':
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == 'float16':
            converter.target_spec.supported_types = [tf.float16]
        if quantize == 'int8':
            converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        model = converter.convert()
    with open(path, 'wb') as file:
        file.write(model)
    interpreter = tf.lite.Interpreter(model_path=path)

    def answer(batch):
        source = interpreter.get_input_details()[0]['index']
        interpreter.resize_tensor_input(source, batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, batch)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]['index'])

    return answer


def _onnx(info, weights, path: str) -> Answer:
    try:
        import onnxruntime
        import tf2onnx
    except (ImportError, AttributeError) as error:
        raise ExportError('onnx needs tf2onnx and onnxruntime, which cannot be imported '
                          f"({error}); install them with: pip install 'inception_slim[onnx]'"
                          ) from None
    definition, output = _classic(info, weights)
    try:
        tf2onnx.convert.from_graph_def(definition, input_names=['input:0'],
                                       output_names=[f'{output}:0'], output_path=path)
    except (AttributeError, TypeError, ImportError, ValueError) as error:
        raise ExportError(f'tf2onnx {tf2onnx.__version__} does not work with TensorFlow '
                          f'{tensorflow.__version__} ({error}); take another format.') from None
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return lambda batch: session.run([f'{output}:0'], {'input:0': batch})[0]


def _keras(info, weights, path: str) -> Answer:
    import keras

    model = keras_models.keras_model(info, weights)
    # Keras wants its suffix, whatever the file is called.
    model.save(path + '.keras')
    os.replace(path + '.keras', path)
    with open(path, 'rb') as file:
        content = file.read()
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, 'model.keras')
        with open(copy, 'wb') as file:
            file.write(content)
        loaded = keras.models.load_model(copy)
    return lambda batch: keras.ops.convert_to_numpy(loaded(batch, training=False))
