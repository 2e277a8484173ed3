"""Training in bfloat16: what is multiplied in it, what stays float32, and how close it stays.

Both precisions take the same ten steps from the same weights. That the processor multiplies
bfloat16 itself matters for speed alone, so the tests say that it does.
"""

from golden.weights import patchwork
from helpers import NARROW, quick_session
from inception_slim import training
from inception_slim.training import TrainingError, mixed_precision
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

STEPS, BATCH = 10, 8


def as_bfloat16(value):
    return value.astype(tf.bfloat16.as_numpy_dtype).astype('f')


class Taken:
    """Ten steps from the same weights, all of them numbers of bfloat16 at first."""

    def __init__(self, kind, start=None):
        with tf.Graph().as_default() as self.graph, quick_session() as session:
            tf.set_random_seed(1)
            self.inputs = tf.placeholder(tf.float32, (BATCH, 150, 150, 3))
            self.labels = tf.placeholder(tf.int64, (BATCH,))
            self.step = training.build_step(self.inputs, self.labels, dropout_keep_prob=1.0,
                                            moving_average_decay=0, precision=kind, **NARROW)
            self.initialize = tf.global_variables_initializer()
            self.variables = slim.get_model_variables()
            session.run(self.initialize)
            self.start = start or [as_bfloat16(each) for each in session.run(self.variables)]
            images = patchwork(24).astype('f')
            self.losses = self.train(session, images)
            self.after = session.run(self.variables)
            # The last bit of bfloat16 in the images, by chance.
            noise = np.random.RandomState(0).uniform(-2**-8, 2**-8, images.shape)
            self.noisy = self.train(session, (images * (1 + noise)).astype('f')) if (
                start is None) else None

    def train(self, session, images):
        """The losses before each step, by name."""
        session.run(self.initialize)
        session.run([each.initializer for each in self.variables], {
            each.initializer.inputs[1]: value
            for each, value in zip(self.variables, self.start)})
        losses = []
        for i in range(STEPS):
            part = slice(8 * (i % 3), 8 * (i % 3) + 8)
            losses.append(session.run([self.step.train, self.step.losses], {
                self.inputs: images[part], self.labels: np.arange(8) + i % 3})[1])
        return {name: np.array([each[name] for each in losses]) for name in losses[0]}


@pytest.fixture(scope='module')
def both():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed_precision, 'has_fast_bfloat16', lambda: True)
        float32 = Taken('float32')
        return float32, Taken('bfloat16', float32.start)


def types(graph, kinds):
    """The numbers that ops of these kinds take, by kind."""
    return {kind: {op.get_attr('T') for op in graph.get_operations() if op.type == kind}
            for kind in kinds}


@pytest.mark.slow
def test_multiplied_in_bfloat16(both):
    kinds = ('Conv2D', 'Conv2DBackpropInput', 'Conv2DBackpropFilter', 'FusedBatchNormV3', 'Relu',
             'MaxPool', 'AvgPool')
    float32, bfloat16 = (each.graph for each in both)
    assert types(float32, kinds) == {kind: {tf.float32} for kind in kinds}
    assert types(bfloat16, kinds) == {kind: {tf.bfloat16} for kind in kinds}

    def count(graph, kind):
        return sum(op.type == kind for op in graph.get_operations())

    assert all(count(float32, kind) == count(bfloat16, kind) > 0 for kind in kinds)


@pytest.mark.slow
def test_kept_in_float32(both):
    float32, graph = (each.graph for each in both)

    def variables(graph):
        with graph.as_default():
            return [(each.op.name, each.dtype.base_dtype, each.shape.as_list())
                    for each in tf.global_variables()]

    assert variables(graph) == variables(float32)
    assert {kind for _, kind, _ in variables(graph)} == {tf.float32, tf.int64}
    exact = ('L2Loss', 'SoftmaxCrossEntropyWithLogits', 'ResourceApplyRMSProp')
    assert types(graph, exact) == {kind: {tf.float32} for kind in exact}
    assert {op.get_attr('U') for op in graph.get_operations()
            if op.type == 'FusedBatchNormV3'} == {tf.float32}


# The oldest TensorFlow's one drawing of roundings happens to be a small one: there it is 2.7.
TIMES = 2 if tuple(map(int, tf.__version__.split('.')[:2])) >= (2, 21) else 4


@pytest.mark.slow
def test_same_losses(both):
    """Within some times what float32's own losses differ by, where the last bit of the images does.

    At first within a part in 2**6: bfloat16's last bit is one in 2**8, and the rounding of a
    hundred layers goes either way. Steps then make a difference larger, in both alike: batch norm
    over eight images, on networks as narrow as this, is that sensitive.
    """
    float32, bfloat16 = both
    assert set(bfloat16.losses) == {'total', 'logits', 'aux_logits', 'regularization'}
    for name, wanted in float32.losses.items():
        difference = np.abs(bfloat16.losses[name] / wanted - 1)
        yardstick = np.abs(float32.noisy[name] / wanted - 1)
        assert difference[0] < 2**-6, name
        assert difference.any(), name
        if name == 'regularization':  # of float32 weights, which were the same at first
            assert difference[0] == 0 and difference.max() < 2**-10
        else:
            assert difference.max() < TIMES * yardstick.max() < 0.3, name


@pytest.mark.slow
def test_changes_smaller_than_a_bit_of_bfloat16_are_kept(both):
    """All began as numbers of bfloat16, and would still be such if they were kept in it."""
    bfloat16 = both[1]
    for variable, before, value in zip(bfloat16.variables, bfloat16.start, bfloat16.after):
        if variable.op.name.endswith('/weights'):
            assert (as_bfloat16(before) == before).all()
            assert (as_bfloat16(value) != value).any(), variable.op.name


def test_where_the_processor_is_slower(monkeypatch):
    monkeypatch.setattr(mixed_precision, 'has_fast_bfloat16', lambda: False)
    with pytest.warns(UserWarning, match='bfloat16 than in float32; training in float32') as told:
        assert mixed_precision.supported_precision('bfloat16') == 'float32'
    assert len(told) == 1
    assert mixed_precision.supported_precision('float32') == 'float32'


def test_a_gpu_trains_in_bfloat16_beside_a_slower_processor(monkeypatch):
    monkeypatch.setattr(mixed_precision, 'has_fast_bfloat16', lambda: False)
    monkeypatch.setattr('tensorflow.compat.v1.config.list_physical_devices', lambda kind: [kind])
    assert mixed_precision.supported_precision('bfloat16') == 'bfloat16'


def test_another_precision():
    with pytest.raises(TrainingError, match="one of float32, bfloat16, not 'float16'"):
        training.build_step(None, None, 3, precision='float16')
