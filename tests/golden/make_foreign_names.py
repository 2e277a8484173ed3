"""Records the names of the weights in torchvision, timm and keras.applications.

    python tests/golden/make_foreign_names.py

where torch, torchvision, timm and keras can be imported (`make test-formats` sets up such a place);
no weights are loaded. Writes foreign_names.json.gz: by library and network, names and shapes in the
order of the library's own list; of Keras the layers in the order in which they were made.
"""

import gzip
import json
import os
import re

import timm
import torch
import torchvision

HERE = os.path.dirname(os.path.abspath(__file__))


def of_torch(network):
    return [[name, list(value.shape)] for name, value in network.state_dict().items()]


def of_keras(model):
    found = []
    for layer in model.layers:
        number = re.search(r'_(\d+)$', layer.name)
        found.append([layer.name, type(layer).__name__, int(number[1]) if number else 0,
                      [[weight.name, list(weight.shape)] for weight in layer.weights]])
    return [each for each in found if each[3]]


def main():
    with torch.device('meta'):
        names = {
            'torchvision/inception_v3': of_torch(torchvision.models.inception_v3(
                weights=None, init_weights=False)),
            **{f'timm/{name}': of_torch(timm.create_model(name))
               for name in ('inception_v3', 'inception_v4', 'inception_resnet_v2')}}
    import keras  # after torch, which cannot be imported after TensorFlow

    for network in ('InceptionV3', 'InceptionResNetV2'):
        keras.backend.clear_session()
        names[f'keras/{network}'] = of_keras(
            getattr(keras.applications, network)(weights=None))
    with open(os.path.join(HERE, 'foreign_names.json.gz'), 'wb') as file:
        with gzip.GzipFile(filename='', mode='wb', fileobj=file, mtime=0) as packed:
            packed.write(json.dumps(names, separators=(',', ':')).encode())


if __name__ == '__main__':
    main()
