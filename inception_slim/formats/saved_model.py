"""TensorFlow SavedModels.

Reads those of this package, whose weights are constants, and those with variables, such as
TF-Hub's modules of TF-Slim's networks for TensorFlow 1 and 2, and models of Keras.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from typing import TYPE_CHECKING

from inception_slim._graph_attributes import leave_out_new_attributes
from inception_slim.checkpoint import CheckpointInfo, ImportedWeights
from inception_slim.checkpoint.tf_checkpoint import TFCheckpoint
from inception_slim.data import LABELS, decode, write_labels
from inception_slim.errors import ExportError
from inception_slim.formats.frozen_graph import (
    check_variables_structure,
    folded_graph,
    from_nodes,
    parse_proto,
)
from inception_slim.formats.keras_graph import read_config
from inception_slim.formats.keras_weights import build_imported_weights
from inception_slim.formats.object_checkpoint import keras_layers, slim_weights
from inception_slim.inference.graph import output_names
from inception_slim.nets import registry
import numpy as np
import tensorflow

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn


def read_weights(path: str) -> ImportedWeights:
    """Reads a SavedModel: its folder, or the `saved_model.pb` in it."""
    from tensorflow.core.protobuf import saved_model_pb2

    folder = path if os.path.isdir(path) else os.path.dirname(path)
    variables = os.path.join(folder, 'variables', 'variables')
    file = TFCheckpoint(variables) if os.path.exists(variables + '.index') else None
    weights = None if file is None else slim_weights(file, path, 'SavedModel')
    model = saved_model_pb2.SavedModel()
    parse_proto(os.path.join(folder, 'saved_model.pb'), model)
    graphs = [graph.graph_def.node for graph in model.meta_graphs]
    graphs += [function.node_def for graph in model.meta_graphs
               for function in graph.graph_def.library.function]
    if weights is not None:
        check_variables_structure(path, weights, graphs)
        return weights
    if file is not None and (layers := keras_layers(file)):
        configs = (read_config(path, graph) for graph in model.meta_graphs)
        return build_imported_weights(path, 'SavedModel of Keras', layers,
                                      next(filter(None, configs), None))
    return from_nodes(path, 'SavedModel', itertools.chain.from_iterable(graphs))


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    """Writes a SavedModel; see `registry.Writer`."""
    definition = folded_graph(info, weights)
    names = output_names(info)
    prepare, side = registry.NETWORKS[info.network].prepare, info.image_size
    class_names = settings.class_names
    images_spec = tensorflow.TensorSpec((None, side, side, 3), tensorflow.float32, 'images')
    encoded_spec = tensorflow.TensorSpec((None,), tensorflow.string, 'encoded')

    @tensorflow.function(autograph=False)
    def network(images):
        outputs = tensorflow.graph_util.import_graph_def(
            definition, {'inputs': images}, [f'{name}:0' for name in names], name='')
        return dict(zip(names, outputs))

    # One concrete function for both signatures, so that the weights are stored once.
    network = network.get_concrete_function(images_spec)

    @tensorflow.function(autograph=False)
    def serve_images(images):
        return network(images)

    @tensorflow.function(autograph=False)
    def serve_encoded(encoded):
        images = tensorflow.map_fn(
            lambda content: prepare(decode(content), side), encoded,
            fn_output_signature=tensorflow.TensorSpec((side, side, 3), tensorflow.float32))
        outputs = network(images)
        if class_names is not None:
            top1 = tensorflow.argmax(outputs['predictions'], axis=1)
            outputs['classes'] = tensorflow.gather(tensorflow.constant(class_names), top1)
        return outputs

    module = tensorflow.Module()
    module.network = network
    with tempfile.TemporaryDirectory() as folder:
        if class_names is not None:
            file = os.path.join(folder, LABELS)
            write_labels(file, class_names, ExportError)
            module.labels = tensorflow.saved_model.Asset(file)
        tensorflow.saved_model.save(module, path, signatures={
            'serving_default': serve_images.get_concrete_function(images_spec),
            'encoded': serve_encoded.get_concrete_function(encoded_spec)})
    _let_1_15_read(path)
    serve = tensorflow.saved_model.load(path).signatures['serving_default']
    return lambda batch: serve(images=tensorflow.constant(batch))[names[-1]].numpy()


def _let_1_15_read(path: str) -> None:
    """Leaves out attributes that TensorFlow 1.15.5 does not know."""
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.saved_model import fingerprinting_utils
    model = saved_model_pb2.SavedModel()
    file = os.path.join(path, 'saved_model.pb')
    parse_proto(file, model)
    for graph in model.meta_graphs:
        leave_out_new_attributes(graph.graph_def)
    with open(file, 'wb') as stream:
        stream.write(model.SerializeToString(deterministic=True))
    fingerprinting_utils.write_fingerprint(path)
