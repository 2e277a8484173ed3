"""A SavedModel of TensorFlow: what serves."""

from __future__ import annotations

import os
import tempfile

import tensorflow

from inception_slim.data import decode, preprocessing
from inception_slim.formats.frozen import folded_graph
from inception_slim.formats.writing import Answer
from inception_slim.nets import factory


def write(info, weights, path: str, names: list[str] | None) -> Answer:
    definition = folded_graph(info, weights)
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
        return preprocessing.for_evaluation(decode(one), side)

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
