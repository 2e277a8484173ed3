"""Compares each reader and writer with the library that owns the format, at full width.

Random weights are set in the networks of torchvision, timm and keras.applications. Predictions of
these networks are compared with those of this package for the files that the libraries saved, and
exported files are loaded strictly by the libraries. TensorFlow runs the graphs of FaceNet and
of `retrain.py`. One part uses trained weights: the Inception V3 that the npm package `nsfwjs` ships
for TensorFlow.js.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import logging
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from typing import Any
import warnings

import numpy as np

# Before TensorFlow, beside which PyTorch cannot be loaded after.
import timm  # isort: skip
import facenet_pytorch  # isort: skip
from inception_slim import _tf_logging  # noqa: E402
import torch
import torchvision

_tf_logging.import_tensorflow_quietly()
import inception_slim  # noqa: E402
from inception_slim import checkpoint, formats, inference  # noqa: E402
from inception_slim.formats import frozen_graph  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402
import tf_slim as slim  # noqa: E402

TESTS = Path(__file__).resolve().parent.parent
sys.path.append(str(TESTS))
from golden.weights import weights_for  # noqa: E402
from helpers import full_graph_of_2015, golden_shapes  # noqa: E402

CLOSE = 1e-4  # of the largest logit
NSFWJS, TENSORFLOW_JS = 'nsfwjs@4.2.1', '@tensorflow/tfjs@4.22.0'
# Loads the layers model in a folder and writes its predictions of a file of float32 images.
RUN_MODEL = '''
const fs = require('fs'), path = require('path'), tf = require('@tensorflow/tfjs');
const [folder, images, output] = process.argv.slice(1);
const model = JSON.parse(fs.readFileSync(path.join(folder, 'model.json')));
const bytes = file => { const read = fs.readFileSync(file);
                        return read.buffer.slice(read.byteOffset, read.byteOffset + read.length); };
const parts = model.weightsManifest.flatMap(group => group.paths).map(
    name => Buffer.from(bytes(path.join(folder, name))));
const joined = Buffer.concat(parts);
tf.loadLayersModel(tf.io.fromMemory({
  modelTopology: model.modelTopology,
  weightSpecs: model.weightsManifest.flatMap(group => group.weights),
  weightData: joined.buffer.slice(joined.byteOffset, joined.byteOffset + joined.length),
})).then(async network => {
  const values = new Float32Array(bytes(images));
  const batch = tf.tensor(values, [values.length / (299 * 299 * 3), 299, 299, 3]);
  fs.writeFileSync(output, JSON.stringify(await network.predict(batch).array()));
});
'''


def images(side: int = 299) -> np.ndarray:
    return np.random.RandomState(0).uniform(-1, 1, (2, side, side, 3)).astype(np.float32)


def assert_close(title: str, actual: np.ndarray, expected: np.ndarray,
                 tolerance: float = CLOSE) -> None:
    difference = np.abs(actual - expected).max() / np.abs(expected).max()
    print(f'{title:66} {difference:8.1e} of the largest', flush=True)
    if not difference < tolerance:
        raise SystemExit(f'{title}: more than {tolerance:g}')


def assert_equal(title: str, actual: bool) -> None:
    print(f'{title:66} {"equal" if actual else "DIFFERS":>8}', flush=True)
    if not actual:
        raise SystemExit(title)


def randomize(network: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
            elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                torch.nn.init.kaiming_normal_(module.weight)
    return network.eval()


def logits_of_file(path: str, batch: np.ndarray | None = None) -> np.ndarray:
    return frozen_graph.predict(*checkpoint.read(path), images() if batch is None else batch)[0]


def check_pytorch(folder: str) -> None:
    torch.manual_seed(0)
    constructors = {
        'torchvision inception_v3': lambda: torchvision.models.inception_v3(
            weights=None, init_weights=False),
        'timm inception_v3': lambda: timm.create_model('inception_v3', num_classes=37),
        'timm inception_v4': lambda: timm.create_model('inception_v4'),
        'timm inception_resnet_v2': lambda: timm.create_model('inception_resnet_v2')}
    inputs = torch.from_numpy(images().transpose(0, 3, 1, 2).copy())
    for title, make in constructors.items():
        network = randomize(make())
        state = network.state_dict()
        with torch.no_grad():
            expected = network(inputs).numpy()
        new, old, tensors = (os.path.join(folder, name)
                             for name in ('new.pth', 'old.pth', 'model.safetensors'))
        torch.save(state, new)
        torch.save(state, old, _use_new_zipfile_serialization=False)
        from safetensors.torch import load_file, save_file
        save_file(state, tensors)
        for path in (new, old, tensors):
            assert_close(f'{title}, {os.path.basename(path)}', logits_of_file(path), expected)
        for format, name in (('torch', 'out.pth'), ('safetensors', 'out.safetensors')):
            path = os.path.join(folder, name)
            formats.export(new, path, format=format, overwrite=True)
            written = torch.load(path, weights_only=True) if format == 'torch' else load_file(path)
            again = make()
            again.load_state_dict(written, strict=True)
            assert_equal(f'{title}, loaded strictly from {name}', all(
                torch.equal(value, again.state_dict()[key]) for key, value in state.items()
                if not key.endswith('num_batches_tracked')))
        path = os.path.join(folder, 'timm')
        formats.export(new, path, format='timm', overwrite=True)
        with torch.no_grad():
            loaded = timm.create_model(f'local-dir:{path}', pretrained=True).eval()(inputs).numpy()
        assert_close(f'{title}, loaded by timm', loaded, expected)
    # transform_input undoes the normalization by ImageNet's mean inside the network.
    network = randomize(torchvision.models.inception_v3(
        weights=None, init_weights=False, transform_input=True))
    torch.save(network.state_dict(), new)
    mean, std = (np.float32(values) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    normalized = ((images() + 1) / 2 - mean) / std
    with torch.no_grad():
        expected = network(torch.from_numpy(normalized.transpose(0, 3, 1, 2).copy())).numpy()
        network.transform_input = False
        without = network(torch.from_numpy(normalized.transpose(0, 3, 1, 2).copy())).numpy()
    assert_close('torchvision inception_v3, transform_input=True', logits_of_file(new), expected)
    actual, _ = frozen_graph.predict(*checkpoint.read(new, input_range='imagenet'), images())
    assert_close('torchvision inception_v3, transform_input=False: --input-range imagenet',
                 actual, without)


def randomize_keras(model: Any) -> Any:
    rng = np.random.RandomState(0)
    for layer in model.layers:
        if hasattr(layer, 'layers'):
            randomize_keras(layer)
        elif layer.weights:
            layer.set_weights([
                rng.uniform(0.5, 1.5, variable.shape) if 'variance' in variable.name
                else rng.randn(*variable.shape) * (0.1 if len(variable.shape) == 1 else np.sqrt(
                    2 / np.prod(variable.shape[:-1]))) for variable in layer.weights])
    return model


def check_keras(folder: str) -> None:
    import keras
    import tensorflow

    def keras_logits(model, batch):
        model.layers[-1].activation = keras.activations.linear
        return np.asarray(model(batch, training=False))

    applications = keras.applications
    base = applications.InceptionV3(weights=None, include_top=False, input_shape=(299, 299, 3))
    models = {
        'keras.applications InceptionV3': (applications.InceptionV3(weights=None), images()),
        'keras.applications InceptionResNetV2': (
            applications.InceptionResNetV2(weights=None, classes=7), images()),
        'Keras, [0, 1], two linear dense layers after the base network': (keras.Sequential([
            keras.Input((299, 299, 3)), keras.layers.Rescaling(1 / 255), base,
            keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(0.2),
            keras.layers.Dense(64), keras.layers.Dense(5, activation='softmax')]),
            (images() + 1) * 127.5)}
    for title, (model, batch) in models.items():
        randomize_keras(model)
        paths = [os.path.join(folder, name) for name in ('m.keras', 'm.h5', 'm.weights.h5')]
        for path in paths if 'linear' not in title else paths[:2]:
            (model.save_weights if path.endswith('.weights.h5') else model.save)(path)
        folders = [os.path.join(folder, name) for name in ('exported', 'saved', 'checkpoint')]
        for path in folders:
            shutil.rmtree(path, ignore_errors=True)
        model.export(folders[0], verbose=False)
        tensorflow.saved_model.save(model, folders[1])
        tensorflow.train.Checkpoint(model=model).save(os.path.join(folders[2], 'model'))
        expected = keras_logits(model, batch)
        for path in folders if 'linear' not in title else folders[:2]:
            assert_close(f'{title}, {os.path.basename(path)}', logits_of_file(path), expected)
        for path in paths if 'linear' not in title else paths[:2]:
            assert_close(f'{title}, {os.path.basename(path)}', logits_of_file(path), expected)
        info, weights = checkpoint.read(paths[0])
        slim, again = (os.path.join(folder, name) for name in ('slim.ckpt', 'again.keras'))
        checkpoint.convert(paths[0], slim, overwrite=True)
        formats.export(slim, again, format='keras', overwrite=True)
        _, actual = checkpoint.read(again)
        if title.startswith('keras.applications'):
            for name in ('again.h5', 'again.weights.h5'):
                path = os.path.join(folder, name)
                formats.export(slim, path, format='keras', overwrite=True)
                loaded = getattr(applications, title.split()[-1])(
                    weights=path, classes=model.output_shape[-1])
                assert_close(f'{title}(weights="{name}")', keras_logits(loaded, batch), expected)
        assert_equal(f'{title}, read, exported and read again', set(actual) == set(weights) and all(
            np.array_equal(actual[name], value) for name, value in weights.items()))


def check_keras_sigmoid(folder: str) -> None:
    """Probabilities of classifiers that end in a sigmoid, as Keras predicts them."""
    import keras

    base = randomize_keras(keras.applications.InceptionV3(
        weights=None, include_top=False, input_shape=(299, 299, 3)))
    for classes, hidden in ((1, ()), (5, ()), (5, (64,))):
        model = keras.Sequential([
            keras.Input((299, 299, 3)), base, keras.layers.GlobalAveragePooling2D(),
            *(keras.layers.Dense(units, activation='relu') for units in hidden),
            keras.layers.Dense(classes, activation='sigmoid')])
        expected = np.asarray(model(images(), training=False))
        if classes == 1:
            expected = np.concatenate([1 - expected, expected], axis=1)
        title = f'Keras, {len(hidden)} hidden layers, {classes} outputs with a sigmoid'
        for name in ('m.keras', 'm.h5', 'exported'):
            path = os.path.join(folder, name)
            if name == 'exported':
                shutil.rmtree(path, ignore_errors=True)
                model.export(path, verbose=False)
            else:
                model.save(path)
            converted = os.path.join(folder, 'slim.ckpt')
            checkpoint.convert(path, converted, overwrite=True)
            for source, words in ((path, name), (converted, f'{name}, converted')):
                with inference.load(source) as predictor:
                    assert_close(f'{title}, {words}', predictor.predict(images()), expected)


def run_graph(path: str, output: str, inputs: dict[str, object]) -> np.ndarray:
    """The value of a tensor of a frozen graph, as TensorFlow computes it."""
    definition = tf.GraphDef.FromString(Path(path).read_bytes())
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(definition, name='')
        return session.run(output, inputs)


def write_retrained_2015(path: str) -> np.ndarray:
    """Over the graph of December 2015, which takes images in [0, 255]."""
    with tf.Graph().as_default(), tf.Session() as session:
        features, = tf.import_graph_def(full_graph_of_2015(), name='',
                                        return_elements=['pool_3/_reshape:0'])
        write_retrained(path, session, features)
    return run_graph(path, 'final_result:0', {'ResizeBilinear:0': (images() + 1) * 127.5})


def write_retrained_slim(path: str) -> np.ndarray:
    """Over TF-Slim's network, as `inception_v3_2016_08_28_frozen.pb` has it."""
    with tf.Graph().as_default(), tf.Session() as session, slim.arg_scope(
            inception_slim.inception_v3_arg_scope()):
        inputs = tf.placeholder(tf.float32, (None, 299, 299, 3), 'input')
        inception_slim.inception_v3(inputs, num_classes=1001, is_training=False)
        for variable in tf.model_variables():
            variable.load(weights_for(variable.op.name, variable.shape.as_list()), session)
        features = session.graph.get_tensor_by_name('InceptionV3/Logits/AvgPool_1a_8x8/AvgPool:0')
        write_retrained(path, session, tf.squeeze(features, [1, 2]))
    return run_graph(path, 'final_result:0', {'input:0': images()})


def write_retrained(path: str, session: tf.Session, features: tf.Tensor) -> None:
    """Adds the classifier of `retrain.py` to pooled features, and freezes the graph."""
    features = tf.placeholder_with_default(features, (None, 2048),
                                           'input/BottleneckInputPlaceholder')
    with tf.variable_scope('final_training_ops'):
        weights = tf.Variable(weights_for('head/weights', (2048, 5)), name='weights/final_weights')
        biases = tf.Variable(weights_for('head/biases', (5,)), name='biases/final_biases')
        with tf.name_scope('Wx_plus_b'):
            logits = tf.matmul(features, weights) + biases
    tf.nn.softmax(logits, name='final_result')
    session.run([weights.initializer, biases.initializer])
    Path(path).write_bytes(tf.graph_util.convert_variables_to_constants(
        session, session.graph.as_graph_def(), ['final_result']).SerializeToString())


def check_retrained(folder: str) -> None:
    """Graphs of `retrain.py`, which TensorFlow itself runs."""
    for name, write in (('2015', write_retrained_2015), ('slim', write_retrained_slim)):
        path = os.path.join(folder, f'{name}.pb')
        expected = write(path)
        converted = os.path.join(folder, f'{name}.ckpt')
        checkpoint.convert(path, converted)
        for source in (path, converted):
            with inference.load(source) as predictor:
                assert_close(f'retrain.py over the network of {name}, {Path(source).suffix}',
                             predictor.predict(images()), expected)


def normalized(embeddings: np.ndarray) -> np.ndarray:
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def check_facenet(folder: str) -> None:
    torch.manual_seed(0)
    network = randomize(facenet_pytorch.InceptionResnetV1(classify=True, num_classes=7))
    network.classify = False
    state = network.state_dict()
    path = os.path.join(folder, 'facenet.pt')
    torch.save(state, path)
    pixels = (images(160) + 1) * 127.5
    with torch.no_grad():
        expected = network(facenet_pytorch.fixed_image_standardization(
            torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()))).numpy()
    for engine in ('session', 'onnxruntime'):
        with inference.load(path, engine=engine) as predictor:
            assert_close(f'facenet-pytorch, embeddings, {engine}',
                         normalized(predictor.features(images(160))), expected, 1e-5)
    written = os.path.join(folder, 'written.pt')
    formats.export(path, written, format='torch')
    again = facenet_pytorch.InceptionResnetV1()
    again.load_state_dict(torch.load(written, weights_only=True), strict=True)
    assert_equal('facenet-pytorch, loaded strictly from an exported file', all(
        torch.equal(value, again.state_dict()[key]) for key, value in state.items()
        if not key.startswith('logits.') and not key.endswith('num_batches_tracked')))

    frozen = os.path.join(folder, '20180402-114759.pb')
    with gzip.open(TESTS / 'golden' / 'facenet_graph.pb.gz') as file:
        definition = tf.GraphDef.FromString(file.read())
    shapes = golden_shapes('inception_resnet_v1')
    for node in definition.node:
        if node.op == 'Const' and node.name in shapes:
            shape = [side.size for side in node.attr['value'].tensor.tensor_shape.dim]
            node.attr['value'].tensor.CopyFrom(
                tf.make_tensor_proto(weights_for(node.name, shape)))
    Path(frozen).write_bytes(definition.SerializeToString())
    expected = run_graph(frozen, 'embeddings:0', {
        'input:0': images(160) * 127.5 / 128, 'phase_train:0': False})
    with inference.load(frozen) as predictor:
        assert_close("FaceNet's frozen graph with phase_train, embeddings",
                     normalized(predictor.features(images(160))), expected, 1e-5)


def check_tensorflow_js(folder: str) -> None:
    """Compares the features of trained, quantized weights with those of keras.applications."""
    import keras
    packed = subprocess.run(['npm', 'pack', '--silent', NSFWJS], cwd=folder, check=True, text=True,
                            capture_output=True).stdout.split()[-1]
    inside = 'package/dist/models/inception_v3/'
    model = {}
    with tarfile.open(os.path.join(folder, packed)) as archive:
        for member in archive:
            if member.name.startswith(inside) and member.isfile():
                name = os.path.basename(member.name).removesuffix('.min.js')
                model[name] = archive.extractfile(member).read().decode()
    script = os.path.join(folder, 'model.js')
    with open(script, 'w') as file:
        file.write(model.pop('model'))
    with open(os.path.join(folder, 'model.json'), 'w') as file:
        file.write(subprocess.run(['node', '-p', f'JSON.stringify(require({script!r}))'],
                                  check=True, text=True, capture_output=True).stdout)
    for name, text in model.items():
        content = max(re.findall(r'"([A-Za-z0-9+/=]{1000,})"', text), key=len)
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(base64.b64decode(content))
    info, weights = checkpoint.read(os.path.join(folder, 'model.json'))
    print(*info.notes, sep='\n')
    # Set the weights from the file in keras.applications' network, by name and order.
    reference = keras.applications.InceptionV3(weights=None, include_top=False, pooling='avg',
                                            input_shape=(299, 299, 3))
    with open(os.path.join(folder, 'model.json')) as file:
        manifest = json.load(file)['weightsManifest'][0]
    weight_bytes = b''.join(Path(folder, name).read_bytes() for name in manifest['paths'])
    values, position = {}, 0
    for entry in manifest['weights']:
        count = int(np.prod(entry['shape']))
        quantization = entry['quantization']
        value = np.frombuffer(weight_bytes, np.uint8, count, position).reshape(entry['shape'])
        values[entry['name']] = (
            value * quantization['scale'] + quantization['min']).astype(np.float32)
        position += count
    for kind in ('conv2d', 'batch_normalization'):
        layers = sorted((layer for layer in reference.layers
                         if re.fullmatch(rf'{kind}(_\d+)?', layer.name)),
                        key=lambda layer: int((re.findall(r'_(\d+)$', layer.name) or [0])[0]))
        for number, layer in enumerate(layers, 1):
            layer.set_weights([values[f'{kind}_{number}/{variable.name}']
                               for variable in layer.weights])
    expected = np.asarray(reference(images(), training=False))
    prefix = os.path.join(folder, 'trained.ckpt')
    checkpoint.convert(os.path.join(folder, 'model.json'), prefix)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, (None, 299, 299, 3))
        with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
            features, _ = inception_slim.inception_v3(inputs, num_classes=None, is_training=False)
        checkpoint.restore(session, prefix)
        actual = session.run(features, {inputs: images()}).reshape(expected.shape)
    assert_close('nsfwjs, trained, features against keras.applications', actual, expected)
    net = reference.output
    for number, (units, activation) in enumerate(
            ((256, 'relu'), (128, 'relu'), (5, 'softmax')), 1):
        layer = keras.layers.Dense(units, activation)
        net = layer(net)
        layer.set_weights([values[f'dense_{number}/{name}'] for name in ('kernel', 'bias')])
    expected = np.asarray(keras.Model(reference.input, net)(images(), training=False))
    with inference.load(prefix) as predictor:
        assert_close('nsfwjs, trained, predictions of its three dense layers',
                     predictor.predict(images()), expected)


def check_tensorflow_js_export(folder: str) -> None:
    """Loads exported models with TensorFlow.js."""
    import keras

    subprocess.run(['npm', 'install', '--silent', '--no-audit', '--no-fund', TENSORFLOW_JS],
                   cwd=folder, check=True)
    batch = images()
    batch.astype('<f4').tofile(os.path.join(folder, 'images'))
    for network in ('InceptionV3', 'InceptionResNetV2'):
        model = randomize_keras(getattr(keras.applications, network)(weights=None))
        source = os.path.join(folder, f'{network}.keras')
        model.save(source)
        expected = np.asarray(model(batch, training=False))
        for precision, tolerance in (('float32', 1e-5), ('float16', 0.03)):
            out = os.path.join(folder, f'{network}-{precision}')
            formats.export(source, out, format='tfjs', precision=precision)
            result = os.path.join(folder, 'predictions.json')
            subprocess.run(['node', '-e', RUN_MODEL, out, os.path.join(folder, 'images'), result],
                           cwd=folder, check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            with open(result) as file:
                actual = np.array(json.load(file))
            assert_close(f'{network}, {precision}, loaded by TensorFlow.js', actual, expected,
                         tolerance)


def main() -> None:
    parts = {'pytorch': check_pytorch, 'keras': check_keras, 'keras-sigmoid': check_keras_sigmoid,
             'facenet': check_facenet, 'retrained': check_retrained,
             'tensorflow-js': check_tensorflow_js,
             'tensorflow-js-export': check_tensorflow_js_export}
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('part', nargs='*', help=f'one of {", ".join(parts)} (default: all)')
    chosen = parser.parse_args().part or list(parts)
    warnings.simplefilter('ignore')
    logging.getLogger('absl').setLevel(logging.ERROR)  # Keras warns about HDF5
    tf.logging.set_verbosity(tf.logging.ERROR)  # and TensorFlow about what it deprecates
    for part in chosen:
        if part not in parts:
            parser.error(f'unknown part {part!r}')
        with tempfile.TemporaryDirectory() as folder:
            parts[part](folder)


if __name__ == '__main__':
    sys.exit(main())
