"""Recomputing for the gradients: the same step bit for bit, with nothing cheap kept for it."""

from golden.weights import patchwork
from inception_slim import training
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

CHEAP = {'FusedBatchNormV3', 'Relu', 'ConcatV2', 'AvgPool', 'MaxPool'}


def taken(recompute, **options):
    """The graph, and after two steps from the same weights the losses and the variables."""
    with tf.Graph().as_default() as graph:
        tf.set_random_seed(1)
        images = tf.placeholder(tf.float32, (4, 64, 64, 3))
        step = training.build_step(images, tf.range(4) % 7, 7, network='inception_v2',
                                   depth_multiplier=0.05, min_depth=4, recompute=recompute,
                                   moving_average_decay=0, **options)
        # One thread adds up in one order.
        config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        with tf.Session(config=config) as session:
            session.run(tf.global_variables_initializer())
            losses = [session.run(step.train, {images: patchwork(8, 64)[at:at + 4]})
                      for at in (0, 4)]
            return graph, losses, session.run(tf.global_variables())


@pytest.mark.slow
@pytest.mark.parametrize('options', [{}, {'num_clones': 2}])
def test_the_same_step(options):
    _, *expected = taken(False, **options)
    graph, *found = taken(True, **options)
    assert expected[0] == found[0] and expected[0][0] != expected[0][1]
    for mine, its in zip(found[1], expected[1]):
        np.testing.assert_array_equal(mine, its)
    copies = [each for each in graph.get_operations() if each.name.startswith('recomputed/')]
    assert {each.type for each in copies} == CHEAP
    # No gradient holds what a cheap layer gave: it takes copies, and convolutions' results.
    kept = {each.op.type for op in graph.get_operations() if 'gradients/' in op.name
            and 'Shape' not in op.type for each in op.inputs
            if each.op.type in CHEAP and each.value_index == 0
            and not each.op.name.startswith('recomputed/')}
    assert not kept
