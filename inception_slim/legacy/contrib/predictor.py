"""`tf.contrib.predictor`: a SavedModel as a function of arrays."""

from __future__ import annotations

import tensorflow.compat.v1 as tf

_DEFAULT = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY


class _Predictor:
    """Arrays in by name, arrays out by name."""

    def __init__(self, graph, session, feed_tensors, fetch_tensors):
        self._graph, self._session = graph, session
        self._feed_tensors, self._fetch_tensors = feed_tensors, fetch_tensors

    graph = property(lambda self: self._graph)
    session = property(lambda self: self._session)
    feed_tensors = property(lambda self: self._feed_tensors)
    fetch_tensors = property(lambda self: self._fetch_tensors)

    def __call__(self, input_dict: dict) -> dict:
        unknown = set(input_dict) - set(self._feed_tensors)
        if unknown:
            raise ValueError(
                f'Got unexpected keys in input_dict: {unknown}\nexpected: {set(self._feed_tensors)}'
            )
        feeds = {self._feed_tensors[key]: value for key, value in input_dict.items()}
        return self._session.run(self._fetch_tensors, feeds)


def from_saved_model(export_dir, signature_def_key=None, signature_def=None, input_names=None,
                     output_names=None, tags=None, graph=None, config=None) -> _Predictor:
    """A function of a SavedModel on the disk.

    Args:
      export_dir: the SavedModel's folder.
      signature_def_key: which of its signatures; 'serving_default' if none.
      signature_def: a signature, in the place of one of its own.
      input_names: tensors' names by the names of inputs, in the place of a signature.
      output_names: the same of outputs.
      tags: of the graph, with commas between; 'serve' if none.
      graph: to load it into; a new one if none.
      config: of the session.
    """
    if (input_names is None) != (output_names is None):
        raise ValueError('input_names and output_names must both be specified or both be '
                         'unspecified.')
    graph = graph or tf.Graph()
    with graph.as_default():
        session = tf.Session(config=config)
        loaded = tf.saved_model.loader.load(
            session, (tags or tf.saved_model.tag_constants.SERVING).split(','), export_dir)
    if input_names is None:
        key = signature_def_key or _DEFAULT
        if signature_def is None and key not in loaded.signature_def:
            raise ValueError(
                f'Got signature_def_key "{key}". Available signatures are '
                f'{sorted(loaded.signature_def)}.')
        signature = signature_def or loaded.signature_def[key]
        input_names = {name: info.name for name, info in signature.inputs.items()}
        output_names = {name: info.name for name, info in signature.outputs.items()}
    find = graph.get_tensor_by_name
    return _Predictor(graph, session, {key: find(name) for key, name in input_names.items()},
                      {key: find(name) for key, name in output_names.items()})
