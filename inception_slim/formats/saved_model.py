"""A SavedModel of TensorFlow: what serves.

Read are ours, whose weights are constants of its functions, and those with variables: TF-Hub's
modules of TF-Slim's networks, of TensorFlow 1 and 2.
"""

from __future__ import annotations

from functools import partial
import os
import tempfile

from inception_slim.checkpoint import CheckpointInfo, ImportedWeights, LazyTensor
from inception_slim.checkpoint.naming import is_model_tensor
from inception_slim.checkpoint.tf_checkpoint import TFCheckpoint
from inception_slim.data import LABELS, decode, preprocessing, write_labels
from inception_slim.errors import ExportError
from inception_slim.formats.frozen_graph import folded_graph, from_nodes, parse_proto
from inception_slim.formats.writing import PredictFn
from inception_slim.nets import registry
import numpy as np
import tensorflow

_OBJECTS = '_CHECKPOINTABLE_OBJECT_GRAPH'


def read_weights(path: str) -> ImportedWeights:
    from tensorflow.core.protobuf import saved_model_pb2

    folder = path if os.path.isdir(path) else os.path.dirname(path)
    variables = os.path.join(folder, 'variables', 'variables')
    if os.path.exists(variables + '.index'):
        found = _of_variables(path, variables)
        if found is not None:
            return found
    model = saved_model_pb2.SavedModel()
    parse_proto(os.path.join(folder, 'saved_model.pb'), model)
    nodes = [node for graph in model.meta_graphs for node in graph.graph_def.node]
    nodes += [node for graph in model.meta_graphs for function in graph.graph_def.library.function
              for node in function.node_def]
    return from_nodes(path, 'SavedModel', nodes)


def _of_variables(path: str, prefix: str) -> ImportedWeights | None:
    """By the names of the variables: TensorFlow 2 keeps them apart from its keys of them."""
    file = TFCheckpoint(prefix)
    keys = {name: name for name in file.shapes}
    if _OBJECTS in file.shapes:
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        objects = trackable_object_graph_pb2.TrackableObjectGraph()
        objects.ParseFromString(bytes(file.read(_OBJECTS)))
        keys = {each.full_name: each.checkpoint_key for node in objects.nodes
                for each in node.attributes if each.checkpoint_key in file.shapes}
    tensors = {name: LazyTensor(tuple(file.shapes[key]), file.dtypes[key].as_numpy_dtype,
                            partial(file.read, key))
               for name, key in keys.items() if is_model_tensor(name)}
    return ImportedWeights(path, 'SavedModel', 'TF-Slim', tensors) if tensors else None


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          names: list[str] | None) -> PredictFn:
    definition = folded_graph(info, weights)
    side = registry.NETWORKS[info.network].image_size
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
            file = os.path.join(folder, LABELS)
            write_labels(file, names, ExportError)
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
