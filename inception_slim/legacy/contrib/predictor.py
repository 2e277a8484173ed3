"""`tf.contrib.predictor`: call a SavedModel with NumPy arrays."""

from __future__ import annotations

import tensorflow.compat.v1 as tf

_DEFAULT = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY


class _Predictor:
    """Maps a dictionary of input arrays to a dictionary of output arrays."""

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
    """Load a SavedModel as a function.

    Args:
      export_dir: folder of the SavedModel.
      signature_def_key: name of the signature; by default 'serving_default'.
      signature_def: a signature to use instead of one in the SavedModel.
      input_names: tensor names by input name, to use instead of a signature.
      output_names: tensor names by output name.
      tags: comma-separated tags of the graph; by default 'serve'.
      graph: graph to load the SavedModel into; by default a new one.
      config: configuration of the session.

    Returns:
      A function of a dictionary of arrays that returns a dictionary of arrays.

    Raises:
      ValueError: there is no such signature, or only one of `input_names` and `output_names` is
        given.
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


def from_estimator(estimator, serving_input_receiver_fn, output_key=None, graph=None,
                   config=None) -> _Predictor:
    """Load the latest checkpoint of an estimator as a function.

    Args:
      estimator: a `tf.estimator.Estimator` whose model function returns export outputs.
      serving_input_receiver_fn: a function that returns a `ServingInputReceiver`.
      output_key: name of the export output; by default 'serving_default'.
      graph: graph to build the model in; by default a new one.
      config: configuration of the session.

    Returns:
      A function of a dictionary of arrays that returns a dictionary of arrays.

    Raises:
      KeyError: there is no such output.
    """
    graph = graph or tf.Graph()
    with graph.as_default():
        receiver = serving_input_receiver_fn()
        outputs = estimator.model_fn(
            receiver.features, None, 'infer', estimator.config).export_outputs or {}
        key = output_key or _DEFAULT
        if key not in outputs:
            raise KeyError(f'output_key must be one of {sorted(outputs)}; got {key}')
        signature = outputs[key].as_signature_def(receiver.receiver_tensors)
        session = tf.train.MonitoredSession(tf.train.ChiefSessionCreator(
            config=config, checkpoint_dir=estimator.model_dir))
    find = graph.get_tensor_by_name
    return _Predictor(graph, session,
                      {name: find(info.name) for name, info in signature.inputs.items()},
                      {name: find(info.name) for name, info in signature.outputs.items()})
