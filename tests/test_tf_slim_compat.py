"""tf-slim 1.1.0 works on current TensorFlow, and TensorFlow itself is not changed.

Each test of what an import does runs in a process of its own.
"""

import os
import textwrap
import types

import fork_server
from inception_slim import tf_slim_compat
import pytest

SUITE = os.path.join(os.path.dirname(__file__), 'acceptance', 'slim_suite.py')


def python(code, **environment):
    done = fork_server.python(code, **environment)
    assert done.returncode == 0, done.stderr
    assert 'deprecated' not in done.stderr
    return done.stdout


def test_does_not_change_tensorflow():
    python('''
        import sys
        import os
        import tensorflow as tf
        from tensorflow.python.framework import ops
        from tensorflow.python.layers import normalization
        from tensorflow.python.ops import array_ops, control_flow_ops, variable_scope, variables
        import numpy
        modules = [ops, normalization, array_ops, control_flow_ops, variable_scope, variables, tf,
                   tf.compat.v1, tf.compat.v1.train, numpy]
        before = [dict(vars(module)) for module in modules]
        environment, keras, behavior = dict(os.environ), tf.keras.__version__, (
            tf.executing_eagerly(), tf.compat.v1.resource_variables_enabled(),
            tf.compat.v1.control_flow_v2_enabled())
        import inception_slim
        import tf_slim
        assert 'tf_keras' not in sys.modules
        with tf.Graph().as_default():
            tf_slim.batch_norm(tf.zeros((1, 2, 2, 3)))
        assert 'tf_keras' in sys.modules
        for module, names in zip(modules, before):
            new = {name for name in set(vars(module)) ^ set(names) if not name.startswith('_')}
            # TensorFlow loads some of its modules at first use.
            assert not {n for n in new if type(vars(module)[n]) is not type(sys)}, (module, new)
            assert all(vars(module)[name] is value for name, value in names.items()
                       if callable(value)), module
        assert tf.keras.__version__ == keras and keras.startswith('3.')
        assert dict(os.environ) == environment
        assert behavior == (tf.executing_eagerly(), tf.compat.v1.resource_variables_enabled(),
                             tf.compat.v1.control_flow_v2_enabled())
        ''', TF_CPP_MIN_LOG_LEVEL='3')


@pytest.mark.parametrize('imports', [
    'import tf_slim, inception_slim',
    'import inception_slim, tf_slim',
    'import inception_slim.tf_slim_compat\nimport tf_slim',
    'import inception_slim.inception_v3_arg_scope',
    'import inception_slim, tf_slim.nets.vgg',
    'import tf_slim.nets.vgg\nimport inception_slim',
    'import inception_slim, importlib, tf_slim\nimportlib.reload(tf_slim)',
])
def test_patches_tf_slim_in_any_order_of_imports(imports):
    assert python(imports + textwrap.dedent('''
        import tensorflow.compat.v1 as tf
        import tf_slim
        from tf_slim.layers import layers
        assert type(tf_slim.__loader__) is type(tf_slim.__spec__.loader) is type(layers.__loader__)
        proxy = layers.variable_scope
        inception_slim.tf_slim_compat.install()
        assert layers.variable_scope is proxy
        with tf.Graph().as_default():
            tf_slim.conv2d(tf.zeros((1, 4, 4, 3)), 2, 3, normalizer_fn=tf_slim.batch_norm)
            print([variable.op.name for variable in tf.global_variables()])
        ''')) == str(['Conv/weights', 'Conv/BatchNorm/beta', 'Conv/BatchNorm/moving_mean',
                      'Conv/BatchNorm/moving_variance']) + '\n'


def test_does_not_replace_complete_modules():
    complete = types.ModuleType('tensorflow.python.ops.array_ops')
    complete.stack = complete.unstack = len
    user = types.ModuleType('user')
    user.array_ops = complete
    tf_slim_compat.complete(user)
    assert user.array_ops is complete


@pytest.mark.parametrize('change, message', [
    ("tensorflow.__version__ = tensorflow.compat.v1.__version__ = '2.12.1'",
     'supports TensorFlow 2.16 to 2.21, but TensorFlow 2.12.1 is installed; install'),
    ("tensorflow.__version__ = tensorflow.compat.v1.__version__ = '2.99.0-dev'",
     'supports TensorFlow 2.16 to 2.21, but TensorFlow 2.99.0-dev is installed; install'),
    ("metadata.version = lambda name: '1.2.0'", 'needs tf-slim 1.1.0, but 1.2.0 is installed;'),
])
def test_rejects_unsupported_versions(change, message):
    output = python(f'''
        from importlib import metadata
        import tensorflow
        {change}
        import inception_slim
        for use in ('import tf_slim', 'inception_slim.inception_v3'):
            try:
                exec(use)
            except ImportError as error:
                print(error)
        ''')
    assert output.count(message) == 2


@pytest.mark.parametrize('version, message', [
    ('raise(metadata.PackageNotFoundError())', 'which is not installed; install'),
    ("return('2.1.0')", 'but tf-keras 2.1.0 is installed; install'),
])
def test_rejects_unsupported_tf_keras(version, message):
    assert message in python(f'''
        from importlib import metadata
        import inception_slim
        import tensorflow.compat.v1 as tf
        import tf_slim
        def find(name):
            {version}
        metadata.version = find
        try:
            with tf.Graph().as_default():
                tf_slim.batch_norm(tf.zeros((1, 2, 2, 3)))
        except ImportError as error:
            print(error)
        ''')


@pytest.mark.parametrize('groups', [
    ['ops'], ['summaries_test', 'evaluation_test', 'data']])
@pytest.mark.slow
def test_tf_slim_passes_its_own_tests(groups):
    done = fork_server.script(SUITE, *groups)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith('\n0 failures that are not known faults of the tests\n')
    assert done.stderr == ''


def test_suite_rejects_unknown_group():
    done = fork_server.script(SUITE, 'nothing')
    assert done.returncode == 2 and "no tests called 'nothing'" in done.stderr
