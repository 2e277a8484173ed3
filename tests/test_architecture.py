"""The plan of the house: imports run one way, files stay small, and public names stay."""

import ast
import configparser
import glob
import importlib
import inspect
import os
from pathlib import Path
import re

import inception_slim
import pytest

PACKAGE = os.path.dirname(inception_slim.__file__)
# Each may import those below it, and its own.
FLOORS = [
    {'cli'},
    {'bulk', 'evaluation', 'training', 'formats'},
    {'inference'},
    {'checkpoint'},
    {'nets'},
    {'tf_slim_compat', '_slim_layers', '_tf_slim_finder'},
    {'data'},
    {'errors', '_atomic_write', '_lazy', '_module_proxy', '_optional', 'options', '_tf_logging',
     '_file_openers',
     'benchmark', '_example'},
]
# Modules at the top of the package that belong to a layer.
ROOMS = {'inception_v3_arg_scope': 'nets', '__main__': 'cli'}
PUBLIC = {
    'bulk': 'BulkOptions BulkResult DatasetError run',
    'checkpoint': 'CheckpointError CheckpointInfo FIRST_RELEASE_NAMES MOVING_AVERAGE RestoreResult '
                  'SLIM_NAMES convert find_prefix inspect read restore',
    'data': 'Dataset DatasetError LABELS SUFFIXES as_numpy_batches batches decode '
            'reraise_dataset_errors image_batches image_files find_labels_file open_dataset '
            'read_labels write_labels write_tfrecords',
    'data.preprocessing': 'AREA ASPECT BRIGHTNESS CONTRAST HUE SATURATION for_evaluation '
                          'for_training',
    'evaluation': 'Prediction BACKGROUND Classification DatasetError Evaluation FeaturesResult '
                  'classify evaluate features write_confusion',
    'formats': 'ExportError ExportResult FORMATS PRECISIONS TOLERANCES export',
    'formats.keras_writer': 'BASE_NETWORKS keras_model',
    'inference': 'BATCH_NORM_EPSILON PRECISIONS Predictor extract_subgraph validate_images '
                 'constant_graph fold_batch_norm frozen_graph has_bfloat16 load',
    '_tf_logging': 'COMMAND import_tensorflow_quietly is_command suppress_stderr',
    'tf_slim_compat': 'NEWEST_TENSORFLOW OLDEST_TENSORFLOW TF_SLIM complete install',
    'training': 'TrainStep TrainResult TrainingError build_step train',
    'benchmark': 'Timing count_multiply_adds time_tensorflow_run',
    'cli': 'main parser',
}


def sources():
    for folder, _, names in os.walk(PACKAGE):
        for name in sorted(names):
            if name.endswith('.py'):
                path = os.path.join(folder, name)
                module = os.path.relpath(path, PACKAGE)[:-len('.py')].replace(os.sep, '.')
                yield module.removesuffix('.__init__'), path


def floor_of(module):
    """Which floor a module is on, None for the roof: `__init__`, and what old code runs in."""
    module = ROOMS.get(module, module)
    for number, rooms in enumerate(FLOORS):
        if any(module == room or module.startswith(room + '.') for room in rooms):
            return number
    return None


def parsed(path):
    with open(path) as file:
        return ast.parse(file.read())


def names_imported(nodes, path):
    """What the import statements among the nodes of a file name."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f'{path} imports by dots; write the whole name.'
            found |= {f'{node.module}.{each.name}' for each in node.names}
    return found


def imported(path):
    """The modules of this package that a file imports, anywhere in it, within the package."""
    tree = parsed(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING':
            node.body = []
    return {name.removeprefix('inception_slim.') for name in names_imported(ast.walk(tree), path)
            if name.startswith('inception_slim.')}


def test_imports_run_one_way():
    upward = []
    for module, path in sources():
        mine = floor_of(module)
        for name in imported(path) if mine is not None else ():
            theirs = floor_of(name)
            if theirs is not None and theirs < mine:
                upward.append(f'{module} imports {name}')
    assert not upward


def test_nothing_imports_the_command_line():
    assert not [module for module, path in sources() if floor_of(module) != 0
                and any(name.split('.')[0] == 'cli' for name in imported(path))]


def test_each_room_has_a_floor():
    """Or else it would be held to nothing."""
    assert not [module for module, _ in sources()
                if floor_of(module) is None and module != '__init__'
                and not module.startswith('legacy')]


def public_functions(node):
    """The functions and methods in it that have no underscore, and methods of Python's own."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.ClassDef) and not each.name.startswith('_'):
            yield from public_functions(each)
        elif isinstance(each, ast.FunctionDef):
            if not each.name.startswith('_') or each.name.startswith('__'):
                static = 'staticmethod' in map(ast.unparse, each.decorator_list)
                yield each, isinstance(node, ast.ClassDef) and not static


def test_public_functions_say_their_types():
    """And mypy, by `make lint`, holds them to it. What old scripts import is as it was."""
    untyped = []
    for module, path in sources():
        if module.startswith('legacy.') and module not in (
            'tf_slim_compat',
            'legacy.script_runner',
        ):
            continue
        for function, is_method in public_functions(parsed(path)):
            given = function.args
            arguments = [*given.posonlyargs, *given.args][is_method:] + given.kwonlyargs
            arguments += [each for each in (given.vararg, given.kwarg) if each]
            untyped += [f'{module}.{function.name}: {each.arg}' for each in arguments
                        if each.annotation is None]
            if function.returns is None and function.name != '__init__':
                untyped.append(f'{module}.{function.name}: what it returns')
    assert not untyped


def test_long_files_say_why():
    for module, path in sources():
        with open(path) as file:
            lines = file.read().splitlines()
        assert len(lines) <= 400 or 'long' in ''.join(lines[:12]), (
            f'{module} has {len(lines)} lines, and says nowhere at its beginning why.')


@pytest.mark.parametrize('module', PUBLIC)
def test_public_names_stay(module):
    found = importlib.import_module(f'inception_slim.{module}')
    assert not [name for name in PUBLIC[module].split() if not hasattr(found, name)]


@pytest.mark.parametrize('package', [
    module for module, path in sources() if path.endswith('__init__.py')
    and 'lazy_exports' in Path(path).read_text()])
def test_lazy_exports_match_their_types(package):
    """What type checkers see of a package is what it exports, and from where."""
    module = importlib.import_module(f'inception_slim.{package}'.removesuffix('.__init__'))
    typed = {}
    for block in parsed(module.__file__).body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == 'TYPE_CHECKING':
            for node in block.body:
                source = importlib.import_module(node.module)
                for alias in node.names:
                    names = ([name for name in module.__all__ if hasattr(source, name)]
                             if alias.name == '*' else [alias.name])
                    typed |= {name: getattr(source, name) for name in names}
    public = {name for name, value in typed.items() if not inspect.ismodule(value)}
    assert public <= set(module.__all__) <= set(dir(module))
    assert all(getattr(module, name) is value for name, value in typed.items())


def test_names_at_the_top_stay():
    for name in inception_slim.__all__:
        assert callable(getattr(inception_slim, name))


def test_tests_are_collected_without_extras():
    """A module of tests imports what an extra brings only inside of the tests that need it."""
    tests = os.path.dirname(__file__)
    config = configparser.ConfigParser()
    config.read(os.path.join(tests, '..', 'setup.cfg'))
    extras = {extra: {re.match(r'[\w-]+', line)[0].lower().replace('-', '_')
                      for line in lines.splitlines() if line and not line.startswith('#')}
              for extra, lines in config['options.extras_require'].items()}
    optional = set.union(*extras.values()) - extras['test'] - {'inception_slim'}
    assert {'openvino', 'torch'} <= optional
    eager = []
    for path in glob.glob(os.path.join(tests, '**', 'test_*.py'), recursive=True):
        eager += [f'{path} imports {name}' for name in names_imported(parsed(path).body, path)
                  if name.split('.')[0] in optional]
    assert not eager
