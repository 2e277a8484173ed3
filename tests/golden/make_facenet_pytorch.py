"""The embeddings of facenet-pytorch's Inception-ResNet V1 with drawn weights.

Writes facenet_pytorch.json.gz (the names and shapes of its state dict) and facenet_pytorch.npz (the
embeddings of `images(2, 160)`, standardized) beside this file:

    python3 -m venv v && v/bin/pip install torch facenet-pytorch==2.6.0
    v/bin/python tests/golden/make_facenet_pytorch.py
"""

import gzip
import json
import os

from facenet_pytorch import InceptionResnetV1, fixed_image_standardization
import numpy as np
import torch
from weights import images, torch_weights_for

HERE = os.path.dirname(os.path.abspath(__file__))
network = InceptionResnetV1(classify=True, num_classes=7).eval()
shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
network.load_state_dict({name: torch.from_numpy(torch_weights_for(name, shape))
                         for name, shape in shapes.items()})
network.classify = False  # as for embeddings
faces = (torch.from_numpy(images(2, 160)).permute(0, 3, 1, 2) + 1) * 127.5
with torch.no_grad():
    embeddings = network(fixed_image_standardization(faces)).numpy()
np.savez_compressed(os.path.join(HERE, 'facenet_pytorch.npz'), embeddings=embeddings)
with open(os.path.join(HERE, 'facenet_pytorch.json.gz'), 'wb') as file:
    with gzip.GzipFile(filename='', mode='wb', fileobj=file, mtime=0) as packed:
        packed.write(json.dumps(shapes, separators=(',', ':')).encode())
