"""`tf.contrib` to what TensorFlow 1.15.5 said, and to its own promises."""

import sys
import types

import fork_server
from golden.contrib_cases import CASES
from helpers import as_in_tensorflow_1, golden_arrays
import inception_slim
from inception_slim._module_proxy import ModuleProxy
from inception_slim.errors import InceptionSlimError, UnsupportedAPIError
from inception_slim.legacy import contrib
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

ROOT = contrib.modules()['tensorflow.contrib']()
TF = ModuleProxy(tf, {'contrib': lambda: ROOT})


@pytest.fixture(scope='module')
def golden():
    return golden_arrays('contrib')


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


class TestFaces:

    def test_a_name_that_is_gone(self):
        tpu = ROOT.tpu
        assert not hasattr(tpu, 'TPUEstimator')
        with pytest.raises(UnsupportedAPIError) as raised:
            tpu.TPUEstimator  # noqa: B018
        assert isinstance(raised.value, (AttributeError, InceptionSlimError))
        assert str(raised.value) == (
            'tf.contrib.tpu.TPUEstimator of TensorFlow 1 has nothing behind it here; use '
            'tf.distribute.TPUStrategy.')

    def test_what_is_gone_can_be_imported_and_refuses_use(self):
        place = {}
        sys.modules['contrib_for_a_test'] = ROOT.learn
        try:
            exec('from contrib_for_a_test import Estimator', place)
        finally:
            del sys.modules['contrib_for_a_test']
        gone = place['Estimator']
        assert 'tf.contrib.learn.Estimator' in repr(gone)
        for use in (lambda: gone(), lambda: gone.fit, lambda: types.new_class('Mine', (gone,)),
                    lambda: isinstance(1, gone), lambda: gone['x'], lambda: list(gone)):
            with pytest.raises(UnsupportedAPIError, match='estimators left TensorFlow in 2.16'):
                use()

    def test_a_name_that_never_was(self):
        with pytest.raises(AttributeError, match="has no attribute 'nothing'") as raised:
            ROOT.layers.nothing  # noqa: B018
        assert not isinstance(raised.value, UnsupportedAPIError)

    def test_every_module_can_be_had_and_no_other(self):
        modules = contrib.modules()
        for dotted, make in modules.items():
            face = make()
            assert face.__name__ == dotted and make() is face and face.__path__ == []
        assert len(modules) > 840
        assert 'tensorflow.contrib.slim.nets' in modules
        assert 'tensorflow.contrib.nonsense' not in modules

    @pytest.mark.parametrize('private, public', [
        ('slim.python.slim.learning.train', 'slim.learning.train'),
        ('slim.python.slim.nets.inception_v3.inception_v3', 'slim.nets.inception.inception_v3'),
        ('slim.python.slim.data.dataset.Dataset', 'slim.dataset.Dataset'),
        ('layers.python.layers.layers.conv2d', 'layers.conv2d'),
        ('layers.python.layers.initializers.xavier_initializer', 'layers.xavier_initializer'),
        ('framework.python.ops.variables.get_variables', 'slim.get_variables'),
        ('framework.python.ops.arg_scope', 'framework.python.ops.arg_scope'),
        ('framework.python.ops.arg_scope.arg_scope', 'framework.arg_scope'),
        ('training.python.training.hparam.HParams', 'training.HParams'),
        ('metrics.python.ops.metric_ops.streaming_auc', 'metrics.streaming_auc'),
        ('image.python.ops.image_ops.rotate', 'image.rotate'),
        ('losses.python.losses.loss_ops.log_loss', 'losses.log_loss')])
    def test_private_places(self, private, public):
        assert found(private) is found(public)

    def test_slim_is_whole(self):
        import tf_slim
        names = [name for name in dir(tf_slim) if not name.startswith('_')
                 and not isinstance(getattr(tf_slim, name), types.ModuleType)]
        assert len(names) > 100
        assert all(getattr(ROOT.slim, name) is getattr(tf_slim, name) for name in names)
        for module in ('learning', 'evaluation', 'dataset', 'dataset_data_provider', 'queues',
                       'tfexample_decoder', 'losses', 'metrics', 'summaries', 'model_analyzer',
                       'data_decoder', 'data_provider', 'parallel_reader', 'prefetch_queue'):
            assert getattr(ROOT.slim, module).serves_anything(), module
        nets = ROOT.slim.nets
        assert nets.inception.inception_v3.__wrapped__ is inception_slim.inception_v3
        assert nets.resnet_v2.resnet_v2_50.__module__ == 'tf_slim.nets.resnet_v2'
        assert nets.vgg.vgg_16.default_image_size == 224
        place = {}
        sys.modules['contrib_for_a_test'] = ROOT.slim
        try:
            exec('from contrib_for_a_test import *', place)
        finally:
            del sys.modules['contrib_for_a_test']
        assert place['conv2d'] is tf_slim.conv2d and 'np' not in place

    def test_model_analysis(self, graph, capfd):
        tf.get_variable('weights', [3, 4])
        analyzer = ROOT.tfprof.model_analyzer
        proto = analyzer.print_model_analysis(
            graph, tfprof_options=analyzer.TRAINABLE_VARS_PARAMS_STAT_OPTIONS)
        assert proto.total_parameters == 12
        assert 'weights (3x4, 12/12 params)' in capfd.readouterr().out
        assert analyzer.print_model_analysis(graph).name == '_TFProfRoot'

    def test_balanced_places(self, graph):
        training = ROOT.training
        place = training.GreedyLoadBalancingStrategy(2, training.byte_size_load_fn)
        assert [place(tf.zeros([size]).op) for size in (10, 3, 4, 5)] == [0, 1, 1, 1]
        random = training.RandomStrategy(3, seed=0)
        assert {random(None) for _ in range(50)} == {0, 1, 2}


def found(name):
    value = ROOT
    for part in name.split('.'):
        value = getattr(value, part)
    return value


class TestStatus:

    @pytest.mark.parametrize('name, served, says', [
        ('tf.contrib.layers.batch_norm', 'served', 'is tf_slim.layers.layers.batch_norm.'),
        ('tensorflow.contrib.slim', 'served', 'a module'),
        ('tf.contrib.learn', 'missing', 'estimators left TensorFlow'),
        ('tf.contrib.lite.toco', 'missing', 'use tf.lite'),
        ('tf.contrib.slim.nothing', 'missing', '1.15.5 had no tf.contrib.slim.nothing'),
        ('tf.contrib.training.bucket_by_sequence_length', 'missing',
         'use tf.data.Dataset.bucket_by_sequence_length')])
    def test_of_names(self, name, served, says):
        answer, sentence = contrib.status(name)
        assert answer == served and says in sentence

    def test_of_no_contrib(self):
        with pytest.raises(ValueError, match='must begin with tf.contrib'):
            contrib.status('tf.layers.dense')


def test_nothing_heavy_is_imported_first():
    done = fork_server.python('''
        import sys
        import inception_slim
        from inception_slim.legacy import contrib
        before = set(sys.modules)
        modules = contrib.modules()
        for make in modules.values():
            make()
        new = {name for name in set(sys.modules) - before
               if not name.startswith(('inception_slim.legacy.contrib', 'importlib'))}
        assert not new, new
        ''')
    assert done.returncode == 0, done.stderr


class TestDocs:

    def test_the_table_is_the_codes(self):
        from scripts import contrib_table
        with open(contrib_table.PAGE, encoding='utf-8') as file:
            page = file.read()
        assert contrib_table.with_table(page) == page, 'run make contrib-table'
