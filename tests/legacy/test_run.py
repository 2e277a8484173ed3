"""`inception-slim run` and `run --explain`.

What a user sees of the process is compared with plain Python on the same script, the rest with the
documented behavior of TensorFlow 1.15.5, SciPy 1.0 or Python 2.
"""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import fork_server
from fork_server import write_script as write
from inception_slim.legacy import explain
import numpy as np
import pytest

RUN = [sys.executable, '-m', 'inception_slim', 'run']


def run(folder, *arguments, **environment):
    return fork_server.module('inception_slim', 'run', *arguments, folder=folder, **environment)


def output_of(process, code=0):
    assert process.returncode == code, process.stderr
    return process.stdout


def wait_until_asleep(pid, seconds=60):
    """Waits until the main thread of a process is blocked, as in `time.sleep`."""
    end = time.monotonic() + seconds
    asleep = 0
    while asleep < 3:
        assert time.monotonic() < end
        with open(f'/proc/{pid}/task/{pid}/stat') as file:
            state = file.read().rpartition(') ')[2][0]
        asleep = asleep + 1 if state == 'S' else 0
        time.sleep(0.02)


PLAIN = '''
    """Prints what a script can see of its process, then fails in a module of its own."""
    from __future__ import print_function
    import atexit, os, pickle, sys, threading
    class Pickled(object):
        pass
    print(sys.argv, __file__, sys.path[0], __name__, __package__, __spec__, type(__loader__))
    print(sorted(name for name in globals()), sys.modules['__main__'].Pickled is Pickled)
    print(os.environ.get('TF_CPP_MIN_LOG_LEVEL'), os.getcwd(), type(pickle.loads(pickle.dumps(
        Pickled()))))
    print(sys.stdin.read(), end='')
    sys.stderr.write('to standard error\\n')
    atexit.register(print, 'at exit')
    try:
        import broken
    except ValueError as error:
        print(error)
    import other
    other.fails(0)
'''


@pytest.mark.slow
def test_process_looks_like_plain_python(tmp_path):
    script = write(tmp_path / 'folder' / 'script.py', PLAIN)
    write(tmp_path / 'folder' / 'broken.py', 'raise ValueError("broken")')
    write(tmp_path / 'folder' / 'other.py', '''
        def fails(number):
            return (1 /
                    number)
        ''')
    link = tmp_path / 'link.py'
    link.symlink_to(script)
    plain, ours = [
        subprocess.run([*python, 'link.py', '--explain', '-m', 'x', '--', 'y'], text=True,
                       capture_output=True, cwd=tmp_path, input='typed\n')
        for python in ([sys.executable], RUN)]
    assert plain.returncode == 1 and 'ZeroDivisionError' in plain.stderr
    assert ours.stdout == plain.stdout
    assert ours.stderr == plain.stderr
    assert ours.returncode == plain.returncode


@pytest.mark.skipif(sys.platform != 'linux', reason='reads the state of a process in /proc')
@pytest.mark.slow
def test_interrupt_ends_a_script_as_plain_python(tmp_path):
    script = write(tmp_path / 'script.py', '''
        import time
        import tensorflow as tf
        session = tf.Session()
        print('ready', flush=True)
        time.sleep(60)
        ''')
    process = subprocess.Popen(  # a background job of a shell ignores SIGINT; a script must not
        [*RUN, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert process.stdout.readline() == 'ready\n'
    wait_until_asleep(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert errors == ('Traceback (most recent call last):\n'
                      f'  File "{script}", line 6, in <module>\n'
                      '    time.sleep(60)\nKeyboardInterrupt\n')


@pytest.mark.parametrize('end, code, message', [
    ('sys.exit("no images")', 1, 'no images\n'), ('sys.exit(7)', 7, ''),
    ('tf.app.run(main)', 3, ''), ('pass', 0, '')])
def test_exit_codes(tmp_path, end, code, message):
    write(tmp_path / 'script.py', f'''
        import sys
        import tensorflow as tf
        tf.app.flags.DEFINE_string('log_dir', 'logs', 'A flag that absl has too.')
        tf.flags.DEFINE_integer('steps', 3, 'How many.')
        FLAGS = tf.app.flags.FLAGS
        def main(argv):
            assert argv[1:] == ['rest'], argv
            assert (FLAGS.log_dir, FLAGS.steps) == ('elsewhere', 5)
            return 3
        {end}
        ''')
    process = run(tmp_path, 'script.py', '--log_dir=elsewhere', '--steps', '5', 'rest')
    assert output_of(process, code) == '' and process.stderr == message


SPELLINGS = '''
    import tensorflow as tf
    import tensorflow.contrib.slim as slim
    import tensorflow.contrib.slim.nets
    import tensorflow.keras.backend as K
    import numpy as np, importlib, sys
    from tensorflow.contrib import slim as again, layers
    from tensorflow.contrib.slim.nets import inception
    from tensorflow.contrib.slim.python.slim.nets import inception_v3
    import tensorflow.contrib.framework.python.ops.arg_scope
    from tensorflow.contrib.framework.python.ops.arg_scope import add_arg_scope
    from tensorflow.contrib.framework.python.ops import arg_scope
    from tensorflow.python.framework import dtypes, graph_util, ops
    from tensorflow.python.ops import array_ops, control_flow_ops, rnn_cell
    from tensorflow.python.platform import app, flags, gfile
    from tensorflow.python import pywrap_tensorflow
    from tensorflow.core.framework import graph_pb2
    assert tensorflow is tf and slim is again is tf.contrib.slim
    assert __import__('tensorflow') is tf
    assert importlib.import_module('tensorflow.contrib.slim') is slim
    assert tf.__version__ == tf.VERSION == tf.version.VERSION == '1.15.5'
    assert tf.keras.__version__ == '2.2.4-tf' and K.get_session
    assert not tf.executing_eagerly()
    assert ops.Tensor is tf.Tensor and array_ops.stack is tf.stack
    assert control_flow_ops.cond is tf.cond and rnn_cell.LSTMCell is tf.nn.rnn_cell.LSTMCell
    assert graph_util.convert_variables_to_constants
    assert pywrap_tensorflow.NewCheckpointReader is tf.train.NewCheckpointReader
    with arg_scope([]):  # the function, not the module of that name
        assert add_arg_scope is slim.add_arg_scope
    # Tensors and variables of TensorFlow 1.
    images = tf.placeholder(tf.float32, (None, 8, 8, 3))
    net = tf.layers.conv2d(images, 2, 3, name='conv')
    assert net.shape[3].value == 2 and net.get_shape()[0].value is None
    assert [v.op.type for v in tf.global_variables()] == ['VariableV2'] * 2
    assert {tf.zeros(1): 1}
    assert tf.reduce_sum(net, axis=3, keep_dims=True).shape[3] == 1
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        print(session.run(tf.div(7, 2) + tf.to_int32(2.9) + tf.to_int32(tf.log(1.))))
        print([np.float32(1.5)], session.run(tf.shape(net), {images: np.zeros((2, 8, 8, 3))}))
    # Other libraries keep the installed TensorFlow.
    real = sys.modules['tensorflow']
    assert not hasattr(real, 'contrib') and real.__version__ != '1.15.5'
    from tf_slim.ops import variables
    assert variables.tf.__version__ == real.__version__
    for name, word in (('tensorflow.examples.tutorials.mnist.mnist', 'mnist'),
                       ('tensorflow.nope', 'nope')):
        try:
            importlib.import_module(name)
        except ImportError as error:
            assert word in str(error) and 'inception_slim' not in str(error), error
        else:
            raise AssertionError(name)
'''


def test_every_spelling_of_tensorflow(tmp_path):
    write(tmp_path / 'script.py', SPELLINGS)
    process = run(tmp_path, 'script.py')
    assert output_of(process) == textwrap.dedent('''\
        5
        [1.5] [2 6 6 2]
        ''')
    assert process.stderr == ''


ESTIMATOR = '''
    import sys
    import tensorflow as tf
    import tensorflow.estimator
    from tensorflow.contrib.tpu.python.tpu import tpu_config
    from tensorflow.python.estimator import estimator as private
    from tensorflow.python.estimator.canned.linear import LinearClassifier
    from tensorflow.python.util import tf_export
    assert tensorflow.estimator is tf.estimator and tf.estimator.ModeKeys.PREDICT == 'infer'
    assert tf.estimator.LinearClassifier is LinearClassifier
    assert private.Estimator is tf.estimator.Estimator
    assert tpu_config.TPUConfig is tf.contrib.tpu.TPUConfig is tf.estimator.tpu.TPUConfig
    assert tf_export.tf_export and not hasattr(sys.modules['tensorflow'], 'estimator')
    assert 'tensorflow.python.tpu.tpu_embedding' not in sys.modules
    from tensorflow.python.tpu.tpu_embedding import TableConfig
    for use, error in ((lambda: TableConfig(1), AttributeError),
                       (lambda: tf.estimator.BoostedTreesClassifier, AttributeError),
                       (lambda: tf.contrib.learn.SVM, AttributeError)):
        try:
            use()
        except error as raised:
            print(raised)
'''


def test_estimator(tmp_path):
    write(tmp_path / 'script.py', ESTIMATOR)
    process = run(tmp_path, 'script.py')
    assert output_of(process) == textwrap.dedent('''\
        tensorflow.python.tpu.tpu_embedding.TableConfig of TensorFlow 1 is not supported; \
estimators run on CPUs and GPUs only (use_tpu=False).
        module 'tensorflow_estimator._api.v1.estimator' has no attribute 'BoostedTreesClassifier'
        tf.contrib.learn.SVM of TensorFlow 1 is not supported; use the estimators of tf.estimator.
        ''')
    assert process.stderr == ''


@pytest.mark.slow
def test_estimator_without_its_package_is_an_error(tmp_path):
    write(tmp_path / 'tensorflow_estimator.py', 'raise ModuleNotFoundError')
    write(tmp_path / 'script.py', '''
        import tensorflow as tf
        try:
            tf.contrib.tpu.TPUEstimator
        except AttributeError as error:
            print(error)
        try:
            import tensorflow.estimator
        except ImportError as error:
            print(error)
        tf.estimator.Estimator
        ''')
    process = run(tmp_path, 'script.py')
    message = ('tf.estimator needs the package tensorflow_estimator, which cannot be imported; '
               "install it with: pip install 'inception_slim[legacy]'")
    assert output_of(process, 1) == (
        f'tf.contrib.tpu.TPUEstimator is not available: {message}\n{message}\n')
    assert process.stderr.splitlines()[-1] == f'ImportError: {message}'
    write(tmp_path / 'learn.py', 'import tensorflow as tf\ntf.contrib.learn.Experiment')
    output = output_of(run(tmp_path, '--explain', 'learn.py', PYTHONPATH=str(tmp_path)), 1)
    assert f'tf.contrib.learn.Experiment is not available: {message}\n' in output


def test_own_packages_take_precedence_over_research_slim(tmp_path):
    write(tmp_path / 'nets' / '__init__.py', '')
    write(tmp_path / 'nets' / 'mine.py', '''
        import tensorflow as tf
        VERSION = tf.__version__
        SLIM = tf.contrib.slim
        ''')
    write(tmp_path / 'path' / 'helper.py', 'import tensorflow as tf\nVERSION = tf.__version__')
    write(tmp_path / 'script.py', '''
        import sys
        sys.path.append('path')
        from nets import mine
        import helper
        from preprocessing import preprocessing_factory
        print(mine.VERSION, helper.VERSION, mine.__file__)
        print(preprocessing_factory.get_preprocessing('inception_v3').__module__)
        ''')
    assert output_of(run(tmp_path, 'script.py')) == (
        f'1.15.5 1.15.5 {tmp_path}/nets/mine.py\ninception_slim.legacy.research_slim.preprocessing.'
        'preprocessing_factory\n')
    assert not [name for name in os.listdir(tmp_path / 'nets') if name == '__pycache__']


def test_runs_a_module(tmp_path):
    write(tmp_path / 'package' / '__init__.py', 'import tensorflow as tf')
    write(tmp_path / 'package' / 'train.py', '''
        import sys
        from . import tf
        print(sys.argv[1:], __name__, __package__, tf.__version__, sys.argv[0], sys.path[0])
        ''')
    assert output_of(run(tmp_path, '-m', 'package.train', '--steps', '-m')) == (
        f"['--steps', '-m'] __main__ package 1.15.5 {tmp_path}/package/train.py {tmp_path}\n")
    process = run(tmp_path, '-m', 'nowhere')
    assert output_of(process, 1) == '' and 'No module named nowhere' in process.stderr


PYTHON_2 = '''
    import cPickle
    from itertools import izip
    import numpy as np
    import tensorflow as tf
    def half((first, second)):
        return first / second, 7. / 2
    count = {'a': 5}
    count['a'] /= 2
    for name, number in count.iteritems():
        print name, number, count.has_key('a'), half((7, 2)), u'text', 0777, 5L
    try:
    \traise ValueError, 'message'
    except (ValueError, KeyError), error:
        print `error.args`, np.arange(4)[len([1, 2, 3]) / 2]
    print list(izip(xrange(2), 'ab')), cPickle.loads(cPickle.dumps([1])), type(tf.__version__)
    print >>__import__('sys').stderr, 'on stderr'
    print 'a', 0.1 + 0.2,
    print 1e20, 2., 'line\\n',
    print 'b'
    len(3)
'''


def test_translates_python_2_and_keeps_line_numbers(tmp_path):
    script = write(tmp_path / 'script.py', PYTHON_2)
    process = run(tmp_path, 'script.py')
    assert output_of(process, 1) == textwrap.dedent('''\
        a 2 True (3, 3.5) text 511 5
        ('message',) 1
        [(0, 'a'), (1, 'b')] [1] <class 'str'>
        a 0.3 1e+20 2.0 line
        b
        ''')
    assert process.stderr.startswith(
        f'inception-slim: {script} is Python 2; translated for this run\non stderr\n')
    assert f'File "{script}", line 21, in <module>\n' in process.stderr


def test_python_2_without_fissix_is_an_error(tmp_path):
    write(tmp_path / 'fissix.py', 'raise ImportError')
    script = write(tmp_path / 'script.py', 'x = 1\nprint "x is", x\n')
    process = run(tmp_path, 'script.py')
    assert output_of(process, 1) == ''
    assert process.stderr.startswith(
        f"inception-slim: {script}, line 2, is not Python 3: 'print \"x is\", x' ")
    assert process.stderr.endswith("pip install 'inception_slim[legacy]'\n")
    assert process.stderr.count('\n') == 1


LIBRARIES = '''
    from __future__ import division, print_function
    import itertools, sys
    import numpy as np
    import scipy.misc
    import tensorflow as tf
    from PIL import Image
    from scipy.misc import imread, imresize, imsave
    ramp = np.linspace(-1, 3, 6 * 4 * 3).reshape(6, 4, 3)
    imsave('ramp.png', ramp)
    np.save('read.npy', imread('ramp.png'))
    np.save('grey.npy', imread('ramp.png', flatten=True))
    np.save('mode.npy', scipy.misc.imread('ramp.png', mode='L'))
    sizes = [imresize(ramp, size).shape for size in (50, 2.0, (9, 5))]
    print(sizes, imresize(ramp, (2, 2), interp='nearest').dtype)
    assert (np.float, np.int, np.bool, np.object, np.str) == (float, int, bool, object, str)
    assert np.fromstring(np.arange(3).tostring(), np.int64).tolist() == [0, 1, 2]
    assert Image.ANTIALIAS == Image.LANCZOS
    assert list(itertools.izip('a', xrange(1))) == [('a', 0)] and unicode is str
    load = np.load
    np.load = lambda *paths: load(*paths, allow_pickle=True)
    assert sys.modules['numpy'].load is np.load
    with open('bytes', 'wb') as file:
        file.write(b'\\xff\\xd8JPEG\\n')
    for file in (tf.gfile.Open('bytes'), tf.gfile.GFile('bytes', 'r'),
                   tf.gfile.FastGFile('bytes')):
        assert file.read() == b'\\xff\\xd8JPEG\\n'
    with tf.gfile.Open('text', 'w') as file:
        file.write('lines\\nof text\\n')
    print([line for line in tf.gfile.Open('text')], tf.gfile.Open('text', 'rb').read())
'''


def test_names_removed_from_other_libraries(tmp_path):
    write(tmp_path / 'script.py', LIBRARIES)
    assert output_of(run(tmp_path, 'script.py')) == textwrap.dedent('''\
        [(3, 2, 3), (12, 8, 3), (9, 5, 3)] uint8
        ['lines\\n', 'of text\\n'] b'lines\\nof text\\n'
        ''')
    ramp = np.linspace(-1, 3, 6 * 4 * 3).reshape(6, 4, 3)
    # As documented: the minimum becomes 0 and the maximum 255, rounded half up.
    read = np.load(tmp_path / 'read.npy')
    np.testing.assert_array_equal(read, np.floor((ramp + 1) * 255 / 4 + 0.5))
    # The weights of ITU-R 601-2 that Pillow documents.
    grey = read @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(np.load(tmp_path / 'grey.npy'), grey, atol=0.01)
    assert np.abs(np.load(tmp_path / 'mode.npy') - grey).max() <= 1
    assert not hasattr(np, 'float')


def test_explain(tmp_path):
    write(tmp_path / 'helper.py', 'import tensorflow as tf\nx = tf.contrib.seq2seq.Helper\n')
    write(tmp_path / 'good.py', '''
        import tensorflow as tf
        slim = tf.contrib.slim
        raise SystemExit('executed')
        net = slim.conv2d(tf.zeros((1, 2, 2, 1)), 1, 1)
        from nets.lenet import *
        ''')
    write(tmp_path / 'bad.py', '''
        import helper, cv_none
        import tensorflow.contrib.slim as slim
        from tensorflow.examples.tutorials.mnist import fully_connected_feed
        slim.conv2d
        ''')
    output = output_of(run(tmp_path, '--explain', 'good.py'))
    assert output.startswith('good.py: 3 names of TensorFlow 1')
    assert re.search(r'supported +tf.contrib.slim.conv2d +good.py:5', output)
    output = output_of(run(tmp_path, '--explain', 'bad.py'), 1)
    unsupported = [line.split()[2:] for line in output.splitlines()
                   if line.startswith('not supported')]
    assert unsupported == [['cv_none', 'bad.py:2'], ['tf.contrib.seq2seq', 'helper.py:2'],
                       ['tf.examples.tutorials.mnist.fully_connected_feed', 'bad.py:4']]
    assert 'mnist.input_data is supported' in output


CONDITIONS = '''
    import argparse, os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'library'))
    import tensorflow as tf
    from tensorflow.contrib.gan import GANModel
    import tensorflow_addons, cv2_none, elsewhere
    from nets import nasnet, lenet
    from nets.lenet import other
    tf.flags.DEFINE_bool('quantize', False, '')
    tf.flags.DEFINE_string('master', '', '')
    parser = argparse.ArgumentParser()
    parser.add_argument('--use-tpu', action='store_true')
    def main(_):
        if tf.flags.FLAGS.quantize and True:
            tf.contrib.quantize.create_training_graph()
        if parser.parse_args().use_tpu or tf.flags.FLAGS.master == 'tpu':
            tf.contrib.tpu.initialize_system()
        elif len(sys.argv) > 3:
            tf.contrib.nccl.all_sum
        if hasattr(tf.train, 'SummaryWriter'):
            tf.train.SummaryWriter
        if tf.__version__ < '1.0':
            tf.batch_matmul
        try:
            tf.contrib.crf.crf_decode
        except AttributeError:
            pass
        lenet.lenet
    def unused():
        tf.contrib.seq2seq.sequence_loss
    if __name__ == '__main__':
        tf.contrib.cudnn_rnn.CudnnLSTM
    tf.app.run(main)
'''


def test_explain_tells_what_runs(tmp_path):
    """Names behind flags that are off, in code that is not called and in own folders."""
    script = write(tmp_path / 'script.py', CONDITIONS)
    write(tmp_path / 'library' / 'elsewhere.py', '''
        import tensorflow as tf
        tf.contrib.copy_graph
        ''')
    write(tmp_path / 'work' / 'elsewhere.py', 'raise')
    output = output_of(run(tmp_path / 'work', '--explain', str(script)), 1)
    lines = output.splitlines()
    states = {line.split()[-2]: (line.partition('  ')[0], *(
        text.strip() for text in lines[number + 1:number + 3] if text.startswith(' ')))
        for number, line in enumerate(lines[1:], 1) if not line.startswith(' ')}
    unsupported = {name for name, state in states.items() if state[0] == 'not supported'}
    assert unsupported == {'tf.contrib.copy_graph', 'tf.contrib.cudnn_rnn', 'tf.contrib.nccl',
                           'cv2_none', 'tensorflow_addons', 'nets.lenet.other'}
    assert states['tf.contrib.nccl'][2] == 'Used only if len(sys.argv) > 3, line 18.'
    assert 'needs TensorFlow 2.15 or older' in states['tensorflow_addons'][1]
    assert states['cv2_none'][1].endswith('pip install cv2_none')
    assert {name: state[2] for name, state in states.items() if state[0] == 'not used'} == {
        'tf.contrib.gan': 'Imported, but never used.',
        'nets.nasnet': 'Imported, but never used.',
        'tf.contrib.quantize': 'Used only if tf.flags.FLAGS.quantize and True, line 14.',
        'tf.contrib.tpu.initialize_system': 'Used only if parser.parse_args().use_tpu or '
                          "tf.flags.FLAGS.master == 'tpu', line 16.",
        'tf.train.SummaryWriter': "Used only if hasattr(tf.train, 'SummaryWriter'), line 20.",
        'tf.batch_matmul': "Used only if tf.__version__ < '1.0', line 22.",
        'tf.contrib.crf': 'Used in a try statement, line 24, which handles its absence.',
        'tf.contrib.seq2seq': 'Used only in unused(), which the script never calls.'}
    assert lines[0].endswith('6 not supported, 8 not supported and not used')


def test_explain_module_imports_nothing_of_its_package(tmp_path):
    write(tmp_path / 'package' / '__init__.py', 'raise SystemExit("imported")')
    write(tmp_path / 'package' / 'namespace' / 'train.py', """
        import tensorflow as tf
        import package.flags
        tf.contrib.slim
        """)
    write(tmp_path / 'package' / 'flags.py', 'import tensorflow as tf\ntf.contrib.crf')
    write(tmp_path / 'package' / '__main__.py', 'import tensorflow as tf\ntf.zeros')
    output = output_of(run(tmp_path, '--explain', '-m', 'package.namespace.train'), 1)
    assert re.search(r'not supported +tf.contrib.crf +package/flags.py:2', output)
    assert re.search(r'\nsupported +tf.contrib.slim +package/namespace/train.py:4', output)
    assert 'tf.zeros' in output_of(run(tmp_path, '--explain', '-m', 'package'))
    for name in ('package.nowhere', 'package.flags.nowhere', 'nowhere.nowhere'):
        process = run(tmp_path, '--explain', '-m', name)
        assert output_of(process, 1) == '' and f"There is no module '{name}'" in process.stderr


def test_missing_script_is_an_error(tmp_path):
    process = run(tmp_path, 'nowhere.py')
    assert output_of(process, 2) == ''
    assert process.stderr == ("inception-slim: can't open file "
                           f"'{tmp_path}/nowhere.py': [Errno 2] No such file or directory\n")


GRAPH = '''
    inputs = tf.random_uniform((2, 299, 299, 3))
    with slim.arg_scope(inception.inception_v3_arg_scope()):
        logits, _ = inception.inception_v3(inputs, is_training=False)
    # Variables of TensorFlow 1 and 2 consist of different ops with the same names.
    variable_ops = {'VariableV2', 'Assign', 'Identity', 'VarHandleOp', 'AssignVariableOp',
                'ReadVariableOp', 'VarIsInitializedOp', 'Const'}
    for node in [op.node_def for op in logits.graph.get_operations()]:
        if node.op not in variable_ops:
            print(node.name, node.op, [name for name, value in sorted(node.attr.items())],
                  node.attr['strides'], node.attr['padding'].s)
    print(tf.Session.__module__, tf.Session.run.__module__)
'''


@pytest.mark.slow
def test_graph_equals_that_of_the_library(tmp_path):
    write(tmp_path / 'script.py', '''
    import tensorflow as tf
    slim = tf.contrib.slim
    from tensorflow.contrib.slim.nets import inception
    ''' + GRAPH)
    plain = fork_server.python('''
    import inception_slim as inception
    import tensorflow.compat.v1 as tf, tf_slim as slim
    graph = tf.Graph().as_default()
    graph.__enter__()
    ''' + GRAPH)
    assert output_of(plain).count(' Conv2D ') == 98
    assert output_of(run(tmp_path, 'script.py')) == plain.stdout


@pytest.mark.slow
def test_syntax_errors_show_the_script_only(tmp_path):
    (tmp_path / 'script.py').write_text('x = 1\ndef f(:\n')
    result = subprocess.run([sys.executable, '-m', 'inception_slim', 'run', 'script.py'],
                            cwd=tmp_path, capture_output=True, text=True)
    plain = subprocess.run([sys.executable, 'script.py'], cwd=tmp_path, capture_output=True,
                           text=True)
    assert result.returncode == plain.returncode == 1
    lines = [line for line in result.stderr.splitlines() if 'Traceback' not in line]
    assert lines[-3:] == plain.stderr.splitlines()[-3:] and len(lines) == 4


@pytest.mark.parametrize('source', ['(' * 3000 + ')' * 3000, '-' * 100_000 + '1',
                                    'a' + '.b' * 20_000])
def test_explain_refuses_deep_sources(tmp_path, capsys, source):
    (tmp_path / 'script.py').write_text(f'x = {source}\n')
    assert explain.explain(str(tmp_path / 'script.py')) == 1
    assert re.fullmatch(r'inception-slim: .*(nested too deeply|too many nested).*\n',
                        capsys.readouterr().err)
