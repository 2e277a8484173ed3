"""Ways to import the package, and what `pip install .` installs."""

import os
import shutil
import subprocess
import sys
import textwrap

import fork_server
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run_python(code):
    """Runs code in a new interpreter, which has not imported TensorFlow; returns its output."""
    done = subprocess.run([sys.executable, '-c', textwrap.dedent(code)], text=True, cwd=ROOT,
                          capture_output=True, env={**os.environ, 'PYTHONPATH': ROOT})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ''
    return done.stdout


def test_import_has_no_side_effects():
    assert run_python('''
        import os
        import sys
        environment, stderr = dict(os.environ), os.fstat(2)
        import inception_slim
        loaded = {name.partition('.')[0] for name in sys.modules}
        assert not loaded & {'tensorflow', 'tf_slim', 'tf_keras', 'keras', 'numpy'}, loaded
        assert dict(os.environ) == environment
        assert os.path.samestat(os.fstat(2), stderr)
        assert isinstance(inception_slim.__version__, str)
        for name in (*inception_slim.__all__, 'inference', 'nets', 'tf_slim_compat', '__version__'):
            assert name in dir(inception_slim), name
        try:
            inception_slim.inference_v3
        except AttributeError as error:
            print(error)
        assert 'tensorflow' not in sys.modules
        ''') == "module 'inception_slim' has no attribute 'inference_v3'\n"


@pytest.mark.parametrize('code', [
    '''import inception_slim.inception_v3_arg_scope
assert 'weights_regularizer' in str(inception_slim.inception_v3_arg_scope())''',
    '''from inception_slim import inception_v3_arg_scope as function
import inception_slim.inception_v3_arg_scope
assert inception_slim.inception_v3_arg_scope is function and callable(function)''',
    '''from inception_slim.inception_v3_arg_scope import inception_v3_arg_scope as function
import inception_slim
assert inception_slim.inception_v3_arg_scope is function and callable(function)''',
    '''import inception_slim
function = inception_slim.inception_v3_arg_scope
import inception_slim.nets.inception_v3, inception_slim.inception_v3_arg_scope
assert inception_slim.inception_v3_arg_scope is function''',
    '''from inception_slim.nets import inception_v3
assert inception_v3.inception_v3.default_image_size == 299
assert inception_v3.inception_v3_arg_scope()''',
    '''from inception_slim.nets import inception
assert inception.inception_v3 and inception.inception_v3_base and inception.inception_v3_arg_scope
from inception_slim import inception_v3
assert inception.inception_v3 is inception_v3''',
    '''import inception_slim
assert all(callable(getattr(inception_slim, name)) for name in inception_slim.__all__)
inception_slim.trunc_normal(0.1)''',
    '''from inception_slim import *
assert inception_v3_arg_scope() and callable(inception_v3)''',
    '''import inception_slim
for module in ('bulk', 'checkpoint', 'data', 'errors', 'evaluation', 'formats', 'inference',
               'legacy', 'nets', 'tf_slim_compat', 'training'):
    assert getattr(inception_slim, module).__name__ == f'inception_slim.{module}' ''',
])
def test_imports(code):
    done = fork_server.python(code, TF_CPP_MIN_LOG_LEVEL='3')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_positional_arguments_of_inception_v3():
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


def test_installed_copy_is_complete(tmp_path, tmp_path_factory):
    # From a copy: setuptools would reuse what an earlier installation left in `build/`.
    source = tmp_path_factory.mktemp('source')
    shutil.copytree(os.path.join(ROOT, 'inception_slim'), source / 'inception_slim',
                    ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('LICENSE', 'README.md', 'pyproject.toml', 'setup.cfg'):
        shutil.copy(os.path.join(ROOT, name), source)
    subprocess.run([sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps',
                    '--no-build-isolation', '--disable-pip-version-check', '--target',
                    str(tmp_path), str(source)],
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
