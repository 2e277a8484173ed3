"""`tf.contrib` to what TensorFlow 1.15.5 said, and to its own promises."""

import contextlib

import inception_slim  # noqa: F401  before TensorFlow
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from golden.contrib_cases import CASES
from networks import golden_arrays


from inception_slim.legacy import contrib

from inception_slim.legacy.tf_slim import ModuleView

ROOT = contrib.modules()['tensorflow.contrib']()
TF = ModuleView(tf, {'contrib': lambda: ROOT})


@pytest.fixture(scope='module')
def golden():
    return golden_arrays('contrib')


@contextlib.contextmanager
def as_in_tensorflow_1():
    """Variables and control flow as scripts of then had them."""
    tf.disable_resource_variables()
    tf.disable_control_flow_v2()
    try:
        yield
    finally:
        tf.enable_control_flow_v2()
        tf.enable_resource_variables()


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.__name__)
def test_as_tensorflow_1_15(golden, case, graph):
    expected = {name.partition('/')[2]: value for name, value in golden.items()
                if name.startswith(case.__name__ + '/')}
    with as_in_tensorflow_1():
        found = case(TF)
    assert set(found) == set(expected)
    wrong = []
    for name, value in expected.items():
        mine = np.asarray(found[name])
        if value.dtype.kind in 'USO':
            right = str(mine) == str(value)
        else:
            right = mine.shape == value.shape and np.allclose(mine, value, rtol=1e-5, atol=1e-5)
        if not right:
            wrong.append(f'{name}: {mine} for {value}')
    assert not wrong, '\n'.join(wrong)
