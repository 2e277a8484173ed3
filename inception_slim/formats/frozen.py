"""A frozen graph: a GraphDef with its weights in it as constants."""

from __future__ import annotations

import tensorflow.compat.v1 as tf

from inception_slim.formats.writing import Answer
from inception_slim.inference import ancestors, fold_batch_norm, frozen_graph


def folded_graph(info, weights, outputs=('logits', 'predictions')) -> tf.GraphDef:
    return frozen_graph(info, fold_batch_norm(weights), outputs)


def classic(info, weights) -> tuple[tf.GraphDef, str]:
    """From `input` to the predictions under the name they have always had; and that name."""
    definition = folded_graph(info, weights)
    output = next(node for node in definition.node if node.name == 'predictions').input[0]
    definition = ancestors(definition, [output])
    for node in definition.node:
        if node.name == 'inputs':
            node.name = 'input'
        for index, source in enumerate(node.input):
            if source == 'inputs':
                node.input[index] = 'input'
    return definition, output


def write(info, weights, path: str) -> Answer:
    definition, output = classic(info, weights)
    with open(path, 'wb') as file:
        file.write(definition.SerializeToString())
    loaded = tf.GraphDef()
    with open(path, 'rb') as file:
        loaded.ParseFromString(file.read())

    def answer(batch):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(loaded, name='')
            return session.run(f'{output}:0', {'input:0': batch})

    return answer
