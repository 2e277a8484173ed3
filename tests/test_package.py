"""The package as its users meet it: the ways to import it, and what `pip install .` gives."""

import os
import subprocess
import sys

import fork_server
import pytest

ROOT = os.path.dirname(os.path.dirname(__file__))


@pytest.mark.parametrize('code', [
    '''import inception_slim.inception_v3_arg_scope
assert 'weights_regularizer' in str(inception_slim.inception_v3_arg_scope())''',
    '''from inception_slim.nets import inception_v3
assert inception_v3.inception_v3.default_image_size == 299
assert inception_v3.inception_v3_arg_scope()''',
    '''from inception_slim.nets import inception
assert inception.inception_v3 and inception.inception_v3_base and inception.inception_v3_arg_scope
from inception_slim import inception_v3
assert inception.inception_v3 is inception_v3''',
    '''import inception_slim
assert all(hasattr(inception_slim, name) for name in inception_slim.__all__)
inception_slim.trunc_normal(0.1)''',
])
def test_imports(code):
    done = fork_server.python(code, TF_CPP_MIN_LOG_LEVEL='3')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_arguments_of_the_listing():
    import inspect

    import inception_slim
    import tf_slim as slim

    def positional(function):
        return [(name, parameter.default)
                for name, parameter in inspect.signature(function).parameters.items()
                if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]

    empty = inspect.Parameter.empty
    assert positional(inception_slim.inception_v3_base) == [('inputs', empty), ('scope', None)]
    assert positional(inception_slim.inception_v3) == [
        ('inputs', empty), ('num_classes', 1000), ('is_training', True),
        ('dropout_keep_prob', 0.8), ('prediction_fn', slim.softmax), ('spatial_squeeze', True),
        ('reuse', None), ('scope', 'InceptionV3')]
    assert positional(inception_slim.inception_v3_arg_scope) == [
        ('weight_decay', 0.00004), ('stddev', 0.1), ('batch_norm_var_collection', 'moving_vars')]


def test_an_installed_copy_is_complete(tmp_path):
    subprocess.run([sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps',
                    '--disable-pip-version-check', '--target', str(tmp_path), ROOT],
                   check=True, capture_output=True)
    installed = {os.path.relpath(os.path.join(folder, file), tmp_path)
                 for folder, _, files in os.walk(tmp_path / 'inception_slim') for file in files
                 if not file.endswith('.pyc')}
    tracked = subprocess.run(['git', 'ls-files', 'inception_slim'], cwd=ROOT, text=True,
                             capture_output=True)
    if tracked.returncode == 0:
        assert installed == set(tracked.stdout.split())
    done = subprocess.run(
        [sys.executable, '-c', 'import inception_slim; print(inception_slim.__file__)'],
        cwd=tmp_path, text=True, capture_output=True,
        env={**os.environ, 'PYTHONPATH': str(tmp_path), 'TF_CPP_MIN_LOG_LEVEL': '3'})
    assert done.stdout.strip() == str(tmp_path / 'inception_slim' / '__init__.py'), done.stderr
