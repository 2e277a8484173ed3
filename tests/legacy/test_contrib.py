"""`tf.contrib`: reference outputs of TensorFlow 1.15.5, lookup of names, and error messages."""

import gzip
import sys
import types

import fork_server
from golden.contrib_cases import CASES
from helpers import as_in_tensorflow_1, golden_arrays
import inception_slim
from inception_slim._module_proxy import ModuleProxy
from inception_slim.errors import DatasetError, InceptionSlimError, UnsupportedAPIError
from inception_slim.legacy import contrib, tf1_modules
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

ROOT = contrib.get_module(contrib.ROOT)
TF = ModuleProxy(tf, {'contrib': lambda: ROOT})


@pytest.fixture(scope='module')
def golden():
    return golden_arrays('contrib')


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.__name__)
def test_matches_tensorflow_1_15(golden, case, graph):
    expected = {name.partition('/')[2]: value for name, value in golden.items()
                if name.startswith(case.__name__ + '/')}
    with as_in_tensorflow_1():
        results = case(TF)
    assert set(results) == set(expected)
    differences = []
    for name, value in expected.items():
        result = np.asarray(results[name])
        if value.dtype.kind in 'USO':
            equal = str(result) == str(value)
        else:
            equal = result.shape == value.shape and np.allclose(result, value, rtol=1e-5,
                                                                atol=1e-5)
        if not equal:
            differences.append(f'{name}: {result} instead of {value}')
    assert not differences, '\n'.join(differences)


def look_up(name):
    value = ROOT
    for part in name.split('.'):
        value = getattr(value, part)
    return value


@pytest.fixture
def as_module():
    """Makes a module importable as `contrib_under_test`."""
    name = 'contrib_under_test'
    yield lambda module: sys.modules.__setitem__(name, module)
    sys.modules.pop(name, None)


class TestContribModule:

    def test_unsupported_name_raises(self):
        tpu = ROOT.tpu
        assert not hasattr(tpu, 'initialize_system')
        with pytest.raises(UnsupportedAPIError) as raised:
            tpu.initialize_system  # noqa: B018
        assert isinstance(raised.value, (AttributeError, InceptionSlimError))
        assert str(raised.value) == (
            'tf.contrib.tpu.initialize_system of TensorFlow 1 is not supported; TPUEstimator runs '
            'with use_tpu=False; for TPUs use tf.distribute.TPUStrategy.')

    def test_message_without_a_replacement(self):
        with pytest.raises(UnsupportedAPIError) as raised:
            ROOT.bayesflow.monte_carlo.expectation  # noqa: B018
        assert str(raised.value) == (
            'tf.contrib.bayesflow.monte_carlo of TensorFlow 1 is not supported and has no '
            'replacement.')

    def test_unsupported_name_can_be_imported_but_not_used(self, as_module):
        namespace = {}
        as_module(ROOT.learn)
        exec('from contrib_under_test import SVM', namespace)
        symbol = namespace['SVM']
        assert 'tf.contrib.learn.SVM' in repr(symbol)
        for use in (lambda: symbol(), lambda: symbol.fit,
                    lambda: types.new_class('Mine', (symbol,)), lambda: isinstance(1, symbol),
                    lambda: symbol['x'], lambda: list(symbol)):
            with pytest.raises(UnsupportedAPIError, match='use the estimators of tf.estimator'):
                use()

    def test_unknown_name_raises(self):
        with pytest.raises(AttributeError, match="has no attribute 'nothing'") as raised:
            ROOT.layers.nothing  # noqa: B018
        assert not isinstance(raised.value, UnsupportedAPIError)

    def test_get_module_returns_every_module(self):
        names = contrib.module_names()
        for name in names:
            module = contrib.get_module(name)
            assert module.__name__ == name and contrib.get_module(name) is module
            assert module.__path__ == []
        assert len(names) > 840
        assert 'tensorflow.contrib.slim.nets' in names
        assert 'tensorflow.contrib.nonsense' not in names

    @pytest.mark.parametrize('private, public', [
        ('slim.python.slim.learning.train', 'slim.learning.train'),
        ('slim.python.slim.nets.inception_v3.inception_v3', 'slim.nets.inception.inception_v3'),
        ('slim.python.slim.data.dataset.Dataset', 'slim.dataset.Dataset'),
        ('layers.python.layers.layers.conv2d', 'layers.conv2d'),
        ('layers.python.layers.initializers.xavier_initializer', 'layers.xavier_initializer'),
        ('framework.python.ops.variables.get_variables', 'slim.get_variables'),
        ('framework.python.ops.arg_scope', 'framework.arg_scope'),
        ('training.python.training.hparam.HParams', 'training.HParams'),
        ('learn.python.learn.metric_spec.MetricSpec', 'learn.MetricSpec'),
        ('learn.estimators.run_config.RunConfig', 'learn.RunConfig'),
        ('learn.python.learn.learn_runner.run', 'learn.learn_runner.run'),
        ('tpu.python.tpu.tpu_config.TPUConfig', 'tpu.TPUConfig'),
        ('metrics.python.ops.metric_ops.streaming_auc', 'metrics.streaming_auc'),
        ('image.python.ops.image_ops.rotate', 'image.rotate'),
        ('losses.python.losses.loss_ops.log_loss', 'losses.log_loss')])
    def test_private_names_are_the_public_ones(self, private, public):
        assert look_up(private) is look_up(public)

    def test_function_hides_the_module_of_its_name(self):
        ops = 'tensorflow.contrib.framework.python.ops'
        function = contrib.get_module(ops).arg_scope
        module = contrib.get_module(f'{ops}.arg_scope')
        assert isinstance(function, types.FunctionType) and isinstance(module, types.ModuleType)
        assert module.arg_scope is function and module.add_arg_scope
        contrib.get_module(ops).arg_scope = module  # as Python does after importing it
        assert contrib.get_module(ops).arg_scope is function
        assert contrib.status(f'{ops}.arg_scope.add_arg_scope')[0] == 'supported'

    def test_slim_has_all_public_names(self, as_module):
        import tf_slim
        names = [name for name in dir(tf_slim) if not name.startswith('_')
                 and not isinstance(getattr(tf_slim, name), types.ModuleType)]
        assert len(names) > 100
        assert all(getattr(ROOT.slim, name) is getattr(tf_slim, name) for name in names)
        for module in ('learning', 'evaluation', 'dataset', 'dataset_data_provider', 'queues',
                       'tfexample_decoder', 'losses', 'metrics', 'summaries', 'model_analyzer',
                       'data_decoder', 'data_provider', 'parallel_reader', 'prefetch_queue'):
            assert getattr(ROOT.slim, module).supports_any(), module
        nets = ROOT.slim.nets
        assert nets.inception.inception_v3.__wrapped__ is inception_slim.inception_v3
        assert nets.resnet_v2.resnet_v2_50.__module__ == 'tf_slim.nets.resnet_v2'
        assert nets.vgg.vgg_16.default_image_size == 224
        namespace = {}
        as_module(ROOT.slim)
        exec('from contrib_under_test import *', namespace)
        assert namespace['conv2d'] is tf_slim.conv2d and 'np' not in namespace

    def test_model_analysis(self, graph, capfd):
        tf.get_variable('weights', [3, 4])
        analyzer = ROOT.tfprof.model_analyzer
        proto = analyzer.print_model_analysis(
            graph, tfprof_options=analyzer.TRAINABLE_VARS_PARAMS_STAT_OPTIONS)
        assert proto.total_parameters == 12
        assert 'weights (3x4, 12/12 params)' in capfd.readouterr().out
        assert analyzer.print_model_analysis(graph).name == '_TFProfRoot'

    def test_device_setter_strategies(self, graph):
        training = ROOT.training
        choose = training.GreedyLoadBalancingStrategy(2, training.byte_size_load_fn)
        assert [choose(tf.zeros([size]).op) for size in (10, 3, 4, 5)] == [0, 1, 1, 1]
        random = training.RandomStrategy(3, seed=0)
        assert {random(None) for _ in range(50)} == {0, 1, 2}


class TestStatus:

    @pytest.mark.parametrize('name, expected, text', [
        ('tf.contrib.layers.batch_norm', 'supported', 'is tf_slim.layers.layers.batch_norm.'),
        ('tensorflow.contrib.slim', 'supported', 'a module'),
        ('tf.contrib.learn.SVM', 'not supported', 'use the estimators of tf.estimator'),
        ('tf.contrib.estimator.stop_if_lower_hook', 'supported',
         'tensorflow_estimator.python.estimator.early_stopping.stop_if_lower_hook'),
        ('tf.contrib.lite.toco', 'not supported', 'use tf.lite'),
        ('tf.contrib.slim.nothing', 'not supported', '1.15.5 had no tf.contrib.slim.nothing'),
        ('tf.contrib.training.bucket_by_sequence_length', 'not supported',
         'use tf.data.Dataset.bucket_by_sequence_length')])
    def test_names(self, name, expected, text):
        support, message = contrib.status(name)
        assert support == expected and text in message

    def test_rejects_names_outside_contrib(self):
        with pytest.raises(ValueError, match='must start with tf.contrib'):
            contrib.status('tf.layers.dense')


def test_creating_modules_imports_nothing_else():
    process = fork_server.python('''
        import sys
        import inception_slim
        from inception_slim.legacy import contrib
        before = set(sys.modules)
        for name in contrib.module_names():
            contrib.get_module(name)
        new = {name for name in set(sys.modules) - before
               if not name.startswith(('inception_slim.legacy.contrib', 'importlib'))}
        assert not new, new
        ''')
    assert process.returncode == 0, process.stderr


def test_documented_table_is_current():
    from scripts import contrib_table
    with open(contrib_table.PAGE, encoding='utf-8') as file:
        page = file.read()
    assert contrib_table.with_table(page) == page, 'run make contrib-table'


def test_keras_is_that_of_tensorflow_1():
    keras = tf1_modules.resolve_module('tensorflow.keras')
    assert ROOT.keras.layers.BatchNormalization is keras.layers.BatchNormalization
    assert ROOT.keras.backend.set_session is keras.backend.set_session
    assert ROOT.keras.api.keras.applications.vgg16.VGG16 is keras.applications.VGG16
    assert ROOT.keras.preprocessing.image.Iterator is keras.preprocessing.image.Iterator


class TestDatasets:
    """Values and orders are those of TensorFlow 1.15.5."""

    def test_mnist(self, tmp_path, capsys):
        for name, count in (('train', 8), ('t10k', 2)):
            for kind, header, size in (('images-idx3', [2051, count, 2, 2], 4 * count),
                                       ('labels-idx1', [2049, count], count)):
                with gzip.open(tmp_path / f'{name}-{kind}-ubyte.gz', 'wb') as file:
                    file.write(np.array(header, '>i4').tobytes() + bytes(range(size)))
        input_data = tf1_modules.resolve_module('tensorflow.examples.tutorials.mnist.input_data')
        assert input_data.load_mnist is ROOT.learn.datasets.mnist.load_mnist
        data = input_data.read_data_sets(tmp_path, validation_size=1, seed=3)
        batches = [data.train.next_batch(3) for _ in range(5)]
        assert [labels.tolist() for _, labels in batches] == [
            [5, 7, 6], [4, 2, 1], [3, 3, 2], [7, 6, 4], [1, 5, 5]]
        np.testing.assert_allclose(batches[4][0][:, 0], np.float32([4, 20, 20]) / 255)
        assert data.train.epochs_completed == 2 and data.validation.labels.tolist() == [0]
        test = ROOT.learn.datasets.mnist.read_data_sets(
            tmp_path, one_hot=True, reshape=False, validation_size=0).test
        assert test.images.shape == (2, 2, 2, 1)
        np.testing.assert_array_equal(test.labels, np.eye(10)[:2])
        assert f'Extracting {tmp_path}/t10k-labels-idx1-ubyte.gz' in capsys.readouterr().out
        (tmp_path / 't10k-labels-idx1-ubyte.gz').rename(tmp_path / 't10k-images-idx3-ubyte.gz')
        with pytest.raises(DatasetError, match='no file of MNIST with images'):
            input_data.read_data_sets(tmp_path)
        with pytest.raises(DatasetError, match='has no train-images.*nothing is downloaded'):
            ROOT.learn.datasets.load_dataset('mnist')
        with pytest.raises(UnsupportedAPIError, match="'dbpedia'"):
            ROOT.learn.datasets.load_dataset('dbpedia')

    def test_csv(self, tmp_path):
        base = contrib.get_module(f'{contrib.ROOT}.learn.python.learn.datasets.base')
        (tmp_path / 'x.csv').write_text('2,2,red,blue\n0.5,1,0\n2,-1,1\n')
        data = base.load_csv_with_header(str(tmp_path / 'x.csv'), np.int64, np.float32)
        assert (data.data.tolist(), data.data.dtype) == ([[0.5, 1], [2, -1]], np.float32)
        assert (data.target.tolist(), data.target.dtype) == ([0, 1], np.int64)
        (tmp_path / 'x.csv').write_text('0.5,1,0\n2,-1,1\n')
        data = base.load_csv_without_header(str(tmp_path / 'x.csv'), float, int, 0)
        assert (data.data.tolist(), data.target.tolist()) == ([[1, 0], [-1, 1]], [0.5, 2])
