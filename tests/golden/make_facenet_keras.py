"""The embeddings of deepface's Keras model of FaceNet's Inception-ResNet V1 with drawn weights.

Writes facenet_keras.json.gz (the names and shapes of the weights of each layer) and
facenet_keras.npz (the embeddings of `images(2, 160)`, prewhitened, before their length is
normalized) beside this file:

    python3 -m venv v && v/bin/pip install deepface==0.0.103 tensorflow
    v/bin/python tests/golden/make_facenet_keras.py
"""

import gzip
import json
import os

from deepface.models.facial_recognition.tf.Facenet import InceptionResNetV1
import numpy as np
from weights import images, weights_for

HERE = os.path.dirname(os.path.abspath(__file__))
network = InceptionResNetV1(dimension=128)
shapes = {layer.name: {weight.name: list(weight.shape) for weight in layer.weights}
          for layer in network.layers if layer.weights}
for name, weights in shapes.items():
    network.get_layer(name).set_weights([
        weights_for(f'{name}/{weight}', shape) for weight, shape in weights.items()])
faces = images(2, 160)
faces = (faces - faces.mean((1, 2, 3), keepdims=True)) / faces.std((1, 2, 3), keepdims=True)
np.savez_compressed(os.path.join(HERE, 'facenet_keras.npz'), embeddings=network.predict(faces))
with open(os.path.join(HERE, 'facenet_keras.json.gz'), 'wb') as file:
    with gzip.GzipFile(filename='', mode='wb', fileobj=file, mtime=0) as packed:
        packed.write(json.dumps(shapes, separators=(',', ':')).encode())
