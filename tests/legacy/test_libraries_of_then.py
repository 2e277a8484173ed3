"""NumPy, SciPy and the standard library as scripts of 2016 to 2019 know them.

The results are those that NumPy 1.16.2 (before 1.16.3 forbade pickles), SciPy 1.1 and Python 3.6
give.
"""

import pathlib
import shutil
import textwrap

from fork_server import run_script as run, write_script as write
from inception_slim.legacy import numpy_names
import numpy as np
import pytest

# Written by Python 2.7.18 and NumPy 1.16.6.
PICKLED = pathlib.Path(__file__).parents[1] / 'golden' / 'python2' / 'pickled.npy'


class TestPickledArrays:

    SCRIPT = '''
        import sys
        import numpy as np
        print(np.load(sys.argv[1]).item()['name'])
        '''

    @pytest.fixture
    def weights(self, tmp_path):
        folder = tmp_path / 'weights'
        folder.mkdir()
        np.save(folder / 'det1.npy', np.array({'name': 'conv1'}, dtype=object))
        (tmp_path / 'scripts').mkdir()
        write(tmp_path / 'scripts' / 'script.py', self.SCRIPT)
        return folder / 'det1.npy'

    def test_named_on_the_command_line(self, tmp_path, weights):
        process = run(tmp_path, 'scripts/script.py', weights)
        assert process.stdout == 'conv1\n'
        assert process.stderr == (f'inception-slim: numpy.load reads a pickle, {weights}, which '
                                  'can run any code; --no-pickle forbids it\n')

    def test_in_a_folder_named_on_the_command_line(self, tmp_path, weights):
        script = write(tmp_path / 'scripts' / 'script.py', self.SCRIPT.replace(
            'sys.argv[1]', 'sys.argv[1][7:] + "/det1.npy"'))
        assert run(tmp_path, script, f'--data={weights.parent}').stdout == 'conv1\n'

    def test_beside_the_script_and_from_an_open_file(self, tmp_path, weights):
        weights.rename(tmp_path / 'scripts' / 'det1.npy')
        script = write(tmp_path / 'scripts' / 'script.py', self.SCRIPT.replace(
            'sys.argv[1]', 'open("scripts/det1.npy", "rb")'))
        assert run(tmp_path, script).stdout == 'conv1\n'

    def test_elsewhere_is_an_error(self, tmp_path, weights):
        script = write(tmp_path / 'scripts' / 'script.py', self.SCRIPT.replace(
            'sys.argv[1]', repr(str(weights))))
        error = run(tmp_path, script, code=1).stderr
        assert error.endswith('move the file there if it is to be trusted.\n')

    def test_forbidden(self, tmp_path, weights):
        error = run(tmp_path, '--no-pickle', 'scripts/script.py', weights, code=1).stderr
        assert error.endswith('can run any code. --no-pickle forbids it.\n')

    def test_written_by_the_script_and_by_python_2(self, tmp_path):
        folder = tmp_path / 'elsewhere'
        folder.mkdir()
        script = tmp_path / 'scripts' / 'script.py'
        script.parent.mkdir()
        write(script, f'''
            import numpy as np
            np.save({str(folder / "own")!r}, {{'a': 1}})
            print(np.load({str(folder / "own.npy")!r}).item())
            print(sorted(np.load('{tmp_path}/scripts/pickled.npy').item().items()))
            np.savez({str(folder / "plain")!r}, x=[1])
            print(np.load({str(folder / "plain.npz")!r})['x'])
            np.savez({str(folder / "mixed")!r}, x=[1], y=np.array({{'b': 2}}, dtype=object))
            print(np.load({str(folder / "mixed.npz")!r})['y'].item())
            ''')
        shutil.copy(PICKLED, script.parent)
        assert run(tmp_path, script).stdout == (
            "{'a': 1}\n[('name', 'ÿ'), ('weights', array([0., 1., 2.], dtype=float32))]\n[1]\n"
            "{'b': 2}\n")


def test_numpy_as_of_then(tmp_path):
    write(tmp_path / 'script.py', '''
        import math
        import numpy as np
        ragged = np.array([[1, 2], [3]])
        print(ragged.dtype, ragged.shape, np.asarray([[1], [2, 3]]).shape)
        print(np.array([257, -1], dtype=np.uint8), np.array([1.], copy=False))
        one = np.array([2.5])
        print(int(one), float(one), '%d of %.2f, %s' % (one, one, one), math.floor(one))
        print('%(a)d of %(a)s, %(b)5.1f%%' % {'a': np.array([3]), 'b': np.array([[2.5]])})
        print(np.asscalar(one), np.rank(np.zeros((2, 3))), np.bool8, np.alen([1, 2]))
        print(np.mat([[1, 2]]).shape, np.msort([3, 1]), np.asfarray([1]).dtype, np.product([2, 3]))
        print(np.find_common_type([np.float32], [np.int64]), np.cast['int32'](1.5))
        print(np.histogram([1, 2, 2], 2, normed=True)[0], np.sctypes['float'][1], np.float_(1))
        a = np.array([1, 5, 3])
        a.itemset(0, 7)
        print(a.ptp(), a, a.tostring() == a.tobytes(), np.trapz([1, 2]), np.in1d([1], [1]))
        print(isinstance(np.array([1]), np.ndarray), np.VisibleDeprecationWarning.__name__)
        ''')
    assert run(tmp_path, 'script.py').stdout == textwrap.dedent('''\
        object (2,) (2,)
        [  1 255] [1.]
        2 2.5 2 of 2.50, [2.5] 2
        3 of [3],   2.5%
        2.5 2 <class 'numpy.bool_'> 2
        (1, 2) [1 3] float64 6
        float32 1
        [0.66666667 1.33333333] <class 'numpy.float32'> 1.0
        4 [7 5 3] True 1.5 [ True]
        True VisibleDeprecationWarning
        ''').replace('numpy.bool_', 'numpy.bool' if np.__version__ >= '2' else 'numpy.bool_')


def test_standard_library_and_others_of_then(tmp_path):
    write(tmp_path / 'script.py', '''
        import base64, collections, inspect, os, time
        import os.path
        import os.path as osp
        from os.path import join
        from collections import Iterable, namedtuple
        from fractions import gcd
        from scipy import linalg
        import xml.etree.cElementTree as ET
        import numpy as np
        print(isinstance([], collections.Sequence), isinstance([], Iterable), gcd(12, 18))
        print(inspect.getargspec(lambda a, b=1, *c, **d: 0), base64.encodestring(b'a'))
        print(time.clock() > 0, os.errno.EEXIST, ET.fromstring('<a/>').tag)
        root, error = linalg.sqrtm(np.diag([4., 9.]), disp=False)
        print(root.tolist(), error)
        print(os.path.join('a', 'b'), namedtuple('A', 'x')(1).x, osp is os.path, join is osp.join)
        ''')
    assert run(tmp_path, 'script.py').stdout == textwrap.dedent('''\
        True True 6
        ArgSpec(args=['a', 'b'], varargs='c', keywords='d', defaults=(1,)) b'YQ==\\n'
        True 17 a
        [[2.0, 0.0], [0.0, 3.0]] 0.0
        a/b 1 True True
        ''')


@pytest.mark.parametrize('text, values', [
    ('%d', 'x'), ('%d', np.zeros(2)), ('%d %d', (1,)), ('%(a)d', {'a': np.zeros(2)}),
    ('%(a)d', {'b': 1}), ('%(a)d %d', {'a': 1})])
def test_other_errors_of_formatting_remain(text, values):
    with pytest.raises((TypeError, ValueError, KeyError)) as expected:
        text % values
    with pytest.raises(expected.type, match='.'):
        numpy_names.format_text(text, values)


def test_static_shapes_can_be_written(tmp_path):
    """TensorFlow 1.15.5 prints the same."""
    write(tmp_path / 'script.py', '''
        import numpy as np
        import tensorflow as tf
        x = tf.placeholder(tf.float32, (1, 2), name='x')
        y = x * 2.0
        for tensor in (x, y):
            shape = [dimension.value for dimension in tensor.get_shape()]
            tensor.__dict__['_shape_val'] = tf.TensorShape([None, *shape[1:]])
        print(x.shape, y.get_shape().as_list(), (y + 1).shape)
        with tf.Session() as session:
            print(session.run(y, {x: np.ones((3, 2))}).shape)
        x.set_shape([None, 2])
        y._shape = tf.TensorShape([None, 2])
        print(x.shape, y.shape)
        ''')
    assert run(tmp_path, 'script.py').stdout == (
        '(?, 2) [None, 2] (1, 2)\n(3, 2)\n(1, 2) (?, 2)\n')
