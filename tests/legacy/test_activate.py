"""`legacy.activate` and `legacy.deactivate`."""

import os
import re
import sys

import fork_server
import pytest

DOCS = os.path.join(os.path.dirname(__file__), '..', '..', 'docs', 'scripts.md')


def python(code, folder='.'):
    process = fork_server.python(code, folder=folder, TF_CPP_MIN_LOG_LEVEL='3')
    assert process.returncode == 0, process.stderr
    return process.stdout


STATE = '''
    import builtins, importlib, itertools, os, sys, warnings
    import numpy, tensorflow
    import inception_slim
    from absl import flags
    from inception_slim import legacy
    from inception_slim.legacy import import_hook, v1_behavior
    from tensorflow.python.data.ops import dataset_ops, readers
    from tensorflow.python.eager import context
    v1 = tensorflow.compat.v1

    def state():
        return {
            'import': builtins.__import__, 'import_module': importlib.import_module,
            'finders': list(sys.meta_path), 'path': list(sys.path), 'argv': list(sys.argv),
            'environment': dict(os.environ), 'excepthook': sys.excepthook,
            'main': sys.modules['__main__'],
            'modules': {name: module for name, module in sys.modules.items()
                        if name.split('.')[0] in ('tensorflow', 'numpy', 'scipy', 'PIL')
                        and name in known},
            'new modules': {name for name in set(sys.modules) - known
                            if name.split('.')[0] in ('mine', 'nets', 'cPickle',
                                                      'tensorflow_estimator')
                            or '._tf1_namespace.' in name},
            'eager': tensorflow.executing_eagerly(),
            'mode': context.default_execution_mode,
            'tensor shapes': type(tensorflow.TensorShape([2])[0]),
            'resource variables': v1.resource_variables_enabled(),
            'control flow': v1.control_flow_v2_enabled(),
            'equality': tensorflow.Tensor._USE_EQUALITY,
            'version 2': tensorflow.__internal__.tf2.enabled(),
            'datasets': (dataset_ops.Dataset, readers.TFRecordDataset),
            'names': {name: set(vars(module)) for name, module in {
                'tensorflow': tensorflow, 'v1': v1, 'numpy': numpy, 'builtins': builtins,
                'itertools': itertools}.items()},
            'keras': tensorflow.keras.__version__,
            'printing': numpy.get_printoptions(), 'warnings': list(warnings.filters),
            'flags': {name: (flags.FLAGS[name], flags.FLAGS[name].allow_override)
                      for name in flags.FLAGS},
            'default graph': v1.get_default_graph,
        }

    def work():
        import numpy as np
        import tensorflow as tf
        import tensorflow.contrib.slim as slim
        from nets import inception_v3
        import cPickle, mine, threading
        assert tf.__version__ == mine.VERSION == '1.15.5' and np.float is float
        tf.app.flags.DEFINE_string('log_dir', 'logs', 'A flag that absl has too.')
        tf.app.flags.DEFINE_string('mine', 'it', 'A new flag.')
        assert tf.estimator.RunConfig().tf_random_seed is None
        assert 'tensorflow_estimator' in sys.modules
        net = slim.conv2d(tf.zeros((1, 8, 8, 3)), 2, 3)
        eager = []
        thread = threading.Thread(target=lambda: eager.append(tf.executing_eagerly()))
        thread.start()
        thread.join()
        assert eager == [False] and not tf.executing_eagerly()
        assert tf.global_variables()[0].op.type == 'VariableV2'
        return net.shape[3].value

    known = set()
    tensorflow.keras.__version__
    numpy.random
    known = set(sys.modules)
    before = state()

    def check():
        after = state()
        assert not [key for key in before if before[key] != after[key]], [
            (key, before[key], after[key]) for key in before if before[key] != after[key]]
'''


def test_deactivate_restores_the_state(tmp_path):
    (tmp_path / 'mine.py').write_text('import tensorflow as tf\nVERSION = tf.__version__\n')
    assert python(STATE + '''
    with legacy.activate():
        assert work() == 2
        assert sys.modules['tensorflow'] is tensorflow
        import tensorflow as seen
        assert seen is not tensorflow and hasattr(seen, 'contrib')
    check()
    legacy.activate()
    with legacy.activate():
        assert work() == 2
    import tensorflow.contrib as contrib
    legacy.deactivate()
    legacy.deactivate()
    check()
    try:
        with legacy.activate():
            raise KeyError
    except KeyError:
        check()
    import tensorflow as seen
    assert seen is tensorflow
    # TensorFlow 2 works as before.
    @seen.function
    def twice(x):
        return x * 2
    print(twice(seen.constant(2)).numpy(), seen.Variable(1).numpy(), list(
        seen.data.Dataset.range(2).as_numpy_iterator()) == [0, 1])
    ''', folder=str(tmp_path)) == '4 1 True\n'


@pytest.mark.slow
def test_documented_examples():
    """Compares each print in a ```python block with the comment after it."""
    with open(DOCS) as file:
        blocks = re.findall(r'^```python\n(.*?)^```', file.read(), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        expected = re.findall(r'print\(.*\)  # (.*)', block)
        assert expected and python(block).splitlines() == expected
    assert 'inception_slim' in sys.modules
