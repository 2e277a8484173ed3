"""Each reader and writer beside the library that owns its format, at full width: `make formats`.

Weights are drawn at random and given to torchvision's, timm's and keras.applications' own networks;
their answers are compared with those of TF-Slim's network, made of the file that they wrote. What
is written for them they load strictly. Last, real trained weights: the Inception V3 that the npm
package `nsfwjs` ships for TensorFlow.js, whose features are those that Keras computes of its files.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
from pathlib import Path
import re
import subprocess
import sys
import tarfile
import tempfile
import warnings

import numpy as np

# Before TensorFlow, beside which PyTorch cannot be loaded after.
import timm  # isort: skip
from inception_slim import _tf_logging  # noqa: E402
import torch
import torchvision

_tf_logging.import_tensorflow_quietly()
import inception_slim  # noqa: E402
from inception_slim import checkpoint, formats  # noqa: E402
from inception_slim.formats import frozen_graph  # noqa: E402

CLOSE = 1e-4  # of the largest logit
NSFWJS = 'nsfwjs@4.2.1'


def images() -> np.ndarray:
    return np.random.RandomState(0).uniform(-1, 1, (2, 299, 299, 3)).astype(np.float32)


def compared(what: str, found: np.ndarray, expected: np.ndarray) -> None:
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    print(f'{what:66} {difference:8.1e} of the largest', flush=True)
    if not difference < CLOSE:
        raise SystemExit(f'{what}: more than {CLOSE:g}')


def same(what: str, found: bool) -> None:
    print(f'{what:66} {"equal" if found else "DIFFERS":>8}', flush=True)
    if not found:
        raise SystemExit(what)


def drawn(network: torch.nn.Module) -> torch.nn.Module:
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


def answers(path: str, shown: np.ndarray | None = None) -> np.ndarray:
    return frozen_graph.predict(*checkpoint.read(path), images() if shown is None else shown)[0]


def of_pytorch(folder: str) -> None:
    torch.manual_seed(0)
    makers = {
        'torchvision inception_v3': lambda: torchvision.models.inception_v3(
            weights=None, init_weights=False),
        'timm inception_v3': lambda: timm.create_model('inception_v3', num_classes=37),
        'timm inception_v4': lambda: timm.create_model('inception_v4'),
        'timm inception_resnet_v2': lambda: timm.create_model('inception_resnet_v2')}
    given = torch.from_numpy(images().transpose(0, 3, 1, 2).copy())
    for title, make in makers.items():
        network = drawn(make())
        state = network.state_dict()
        with torch.no_grad():
            expected = network(given).numpy()
        new, old, tensors = (os.path.join(folder, name)
                             for name in ('new.pth', 'old.pth', 'model.safetensors'))
        torch.save(state, new)
        torch.save(state, old, _use_new_zipfile_serialization=False)
        from safetensors.torch import load_file, save_file
        save_file(state, tensors)
        for path in (new, old, tensors):
            compared(f'{title}, {os.path.basename(path)}', answers(path), expected)
        for format, name in (('torch', 'out.pth'), ('safetensors', 'out.safetensors')):
            path = os.path.join(folder, name)
            formats.export(new, path, format=format, overwrite=True)
            written = torch.load(path, weights_only=True) if format == 'torch' else load_file(path)
            again = make()
            again.load_state_dict(written, strict=True)
            same(f'{title}, loaded strictly from {name}', all(
                torch.equal(value, again.state_dict()[key]) for key, value in state.items()
                if not key.endswith('num_batches_tracked')))
        path = os.path.join(folder, 'timm')
        formats.export(new, path, format='timm', overwrite=True)
        with torch.no_grad():
            loaded = timm.create_model(f'local-dir:{path}', pretrained=True).eval()(given).numpy()
        compared(f'{title}, as timm loads its folder', loaded, expected)
    # Which normalizes images by ImageNet's numbers, and undoes it inside.
    network = drawn(torchvision.models.inception_v3(
        weights=None, init_weights=False, transform_input=True))
    torch.save(network.state_dict(), new)
    mean, deviation = (np.float32(each) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    normalized = ((images() + 1) / 2 - mean) / deviation
    with torch.no_grad():
        expected = network(torch.from_numpy(normalized.transpose(0, 3, 1, 2).copy())).numpy()
        network.transform_input = False
        without = network(torch.from_numpy(normalized.transpose(0, 3, 1, 2).copy())).numpy()
    compared('torchvision inception_v3, transform_input=True', answers(new), expected)
    found, _ = frozen_graph.predict(*checkpoint.read(new, input_range='imagenet'), images())
    compared('torchvision inception_v3, transform_input=False: --input-range imagenet',
             found, without)


def of_keras(folder: str) -> None:
    import keras

    chance = np.random.RandomState(0)

    def drawn_too(model):
        for layer in model.layers:
            if hasattr(layer, 'layers'):
                drawn_too(layer)
            elif layer.weights:
                layer.set_weights([
                    chance.uniform(0.5, 1.5, each.shape) if 'variance' in each.name
                    else chance.randn(*each.shape) * (0.1 if len(each.shape) == 1 else np.sqrt(
                        2 / np.prod(each.shape[:-1]))) for each in layer.weights])
        return model

    def logits_of(model, shown):
        model.layers[-1].activation = keras.activations.linear
        return np.asarray(model(shown, training=False))

    applications = keras.applications
    body = applications.InceptionV3(weights=None, include_top=False, input_shape=(299, 299, 3))
    models = {
        'keras.applications InceptionV3': (applications.InceptionV3(weights=None), images()),
        'keras.applications InceptionResNetV2': (
            applications.InceptionResNetV2(weights=None, classes=7), images()),
        'Keras, [0, 1], two linear dense layers after a body': (keras.Sequential([
            keras.Input((299, 299, 3)), keras.layers.Rescaling(1 / 255), body,
            keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(0.2),
            keras.layers.Dense(64), keras.layers.Dense(5, activation='softmax')]),
            (images() + 1) * 127.5)}
    for title, (model, shown) in models.items():
        drawn_too(model)
        paths = [os.path.join(folder, name) for name in ('m.keras', 'm.h5', 'm.weights.h5')]
        for path in paths if 'linear' not in title else paths[:2]:
            (model.save_weights if path.endswith('.weights.h5') else model.save)(path)
        expected = logits_of(model, shown)
        for path in paths if 'linear' not in title else paths[:2]:
            compared(f'{title}, {os.path.basename(path)}', answers(path), expected)
        info, weights = checkpoint.read(paths[0])
        slim, again = (os.path.join(folder, name) for name in ('slim.ckpt', 'again.keras'))
        checkpoint.convert(paths[0], slim, overwrite=True)
        formats.export(slim, again, format='keras', overwrite=True)
        _, found = checkpoint.read(again)
        if title.startswith('keras.applications'):
            for name in ('again.h5', 'again.weights.h5'):
                path = os.path.join(folder, name)
                formats.export(slim, path, format='keras', overwrite=True)
                loaded = getattr(applications, title.split()[-1])(
                    weights=path, classes=model.output_shape[-1])
                compared(f'{title}(weights="{name}")', logits_of(loaded, shown), expected)
        same(f'{title}, in, out and in again', set(found) == set(weights) and all(
            np.array_equal(found[name], value) for name, value in weights.items()))


def of_tensorflow_js(folder: str) -> None:
    """Weights that were trained, in bytes: the body's features are those that Keras finds."""
    import keras
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

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
    # The same network by keras.applications, its weights set from the file by name and order.
    theirs = keras.applications.InceptionV3(weights=None, include_top=False, pooling='avg',
                                            input_shape=(299, 299, 3))
    with open(os.path.join(folder, 'model.json')) as file:
        manifest = json.load(file)['weightsManifest'][0]
    row = b''.join(Path(folder, name).read_bytes() for name in manifest['paths'])
    values, place = {}, 0
    for entry in manifest['weights']:
        count = int(np.prod(entry['shape']))
        kept = entry['quantization']
        values[entry['name']] = (np.frombuffer(row, np.uint8, count, place).reshape(entry['shape'])
                                 * kept['scale'] + kept['min']).astype(np.float32)
        place += count
    for kind in ('conv2d', 'batch_normalization'):
        made = sorted((each for each in theirs.layers
                       if re.fullmatch(rf'{kind}(_\d+)?', each.name)),
                      key=lambda each: int((re.findall(r'_(\d+)$', each.name) or [0])[0]))
        for number, layer in enumerate(made, 1):
            layer.set_weights([values[f'{kind}_{number}/{each.name}'] for each in layer.weights])
    expected = np.asarray(theirs(images(), training=False))
    prefix = os.path.join(folder, 'trained.ckpt')
    checkpoint.convert(os.path.join(folder, 'model.json'), prefix)
    with tf.Graph().as_default(), tf.Session() as session:
        given = tf.placeholder(tf.float32, (None, 299, 299, 3))
        with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
            features, _ = inception_slim.inception_v3(given, num_classes=None, is_training=False)
        checkpoint.restore(session, prefix)
        found = session.run(features, {given: images()}).reshape(expected.shape)
    compared('nsfwjs, trained, features against keras.applications', found, expected)


def main() -> None:
    parts = {'pytorch': of_pytorch, 'keras': of_keras, 'tensorflow-js': of_tensorflow_js}
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('part', nargs='*', help=f'of {", ".join(parts)}; all without any')
    chosen = parser.parse_args().part or list(parts)
    warnings.simplefilter('ignore')
    logging.getLogger('absl').setLevel(logging.ERROR)  # Keras advises against HDF5
    for part in chosen:
        if part not in parts:
            parser.error(f'there is no part {part!r}')
        with tempfile.TemporaryDirectory() as folder:
            parts[part](folder)


if __name__ == '__main__':
    sys.exit(main())
