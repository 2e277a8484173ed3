"""The architecture: layers, import cycles, public names, types, and parameters of options."""

import ast
import configparser
import dataclasses
import glob
import importlib
import inspect
import os
from pathlib import Path
import re

import inception_slim
import pytest

PACKAGE = os.path.dirname(inception_slim.__file__)
# A module may import from its own layer and those below.
LAYERS = [
    {'cli', '__main__'},
    {'bulk'},
    {'evaluation', 'training'},
    {'formats', 'inference'},
    {'checkpoint'},
    {'nets', 'inception_v3_arg_scope'},
    {'tf_slim_compat', '_slim_layers', '_tf_slim_finder'},
    {'data'},
    {'errors', 'options', '_atomic_write', '_bounded_tar', '_example', '_file_openers', '_lazy',
     '_module_proxy', '_npy_header', '_optional', '_special_files', '_tf_logging',
     '_graph_attributes', '_threads'},
]
PUBLIC = {
    'bulk': 'BulkOptions BulkResult DatasetError run',
    'checkpoint': 'CheckpointError CheckpointInfo FIRST_RELEASE_NAMES MOVING_AVERAGE RestoreResult '
                  'SLIM_NAMES convert find_prefix inspect read restore',
    'data': 'Dataset DatasetError LABELS SUFFIXES as_numpy_batches batches decode '
            'reraise_dataset_errors image_batches image_files find_labels_file open_dataset '
            'read_batches read_labels write_labels write_tfrecords',
    'data.preprocessing': 'AREA ASPECT BRIGHTNESS CONTRAST HUE SATURATION for_evaluation '
                          'for_training',
    'evaluation': 'Prediction BACKGROUND Classification DatasetError Evaluation FeaturesResult '
                  'classify evaluate features write_confusion',
    'formats': 'ExportError ExportResult FORMATS PRECISIONS TOLERANCES export',
    'formats.keras_models': 'keras_model',
    'formats.keras_writer': 'keras_model',
    'inference': 'BATCH_NORM_EPSILON PRECISIONS Predictor extract_subgraph validate_images '
                 'constant_graph fold_batch_norm frozen_graph has_fast_bfloat16 load',
    '_tf_logging': 'COMMAND import_tensorflow_quietly is_command suppress_stderr',
    'tf_slim_compat': 'NEWEST_TENSORFLOW OLDEST_TENSORFLOW TF_SLIM complete install',
    'training': 'TrainStep TrainResult TrainingError build_step train',
    'nets.flops': 'count_multiply_adds',
    'nets.registry': 'NETWORKS Network get_network_fn',
    'cli': 'main parser',
}


# Functions with explicit parameters for the fields of an options dataclass.
OPTIONS = {
    'bulk.options.BulkOptions': ('bulk.run',),
    'checkpoint.options.SourceOptions': (
        'checkpoint.read', 'checkpoint.convert', 'formats.export'),
    'evaluation.options.PredictionOptions': (
        'evaluation.classify', 'evaluation.evaluate', 'evaluation.evaluate_multi_label',
        'evaluation.evaluate_pairs', 'evaluation.features'),
    'evaluation.options.MetricOptions': (
        'evaluation.metrics.fid', 'evaluation.metrics.inception_score',
        'evaluation.metrics.compute_statistics'),
    'inference.options.InferenceOptions': ('inference.load',),
    'training.options.StepOptions': ('training.build_step',),
    'training.options.TrainingOptions': ('training.train',),
}


def find_sources():
    """The path of each module by its name inside of the package; `__init__` is the root."""
    paths = {}
    for folder, _, names in os.walk(PACKAGE):
        for name in sorted(names):
            if name.endswith('.py'):
                path = os.path.join(folder, name)
                module = os.path.relpath(path, PACKAGE)[:-len('.py')].replace(os.sep, '.')
                paths[module.removesuffix('.__init__')] = path
    return paths


SOURCES = find_sources()


def layer_of(module):
    """The layer of a module, 0 at the top; None for the root and `legacy`."""
    return next((number for number, packages in enumerate(LAYERS)
                 if module.split('.')[0] in packages), None)


def parse(path):
    return ast.parse(Path(path).read_text())


def imported_names(nodes, path):
    """The names in the import statements among the nodes of a file."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f'{path} has a relative import; write the full name.'
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def names_in_strings(nodes):
    """Names of this package in strings such as those given to `importlib.import_module`."""
    return {node.value.rstrip('.') for node in nodes if isinstance(node, ast.Constant)
            and re.fullmatch(r'inception_slim\.[\w.]+', str(node.value))}


def imported_modules(path, strings=True):
    """The modules of this package that a file imports when it runs, anywhere in it.

    With `strings`, also those that it names in strings.
    """
    tree = parse(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING':
            node.body = []
    names = imported_names(ast.walk(tree), path)
    if strings:
        names |= names_in_strings(ast.walk(tree))
    modules = set()
    for name in names:
        package, _, name = name.partition('.')
        if package == 'inception_slim':
            # `from module import name` names a module or something in it.
            name = name if name in SOURCES else name.rpartition('.')[0]
            if name in SOURCES:
                modules.add(name)
    return modules


def test_finds_imports_of_all_kinds(tmp_path):
    path = tmp_path / 'code.py'
    path.write_text('''
from inception_slim import data, inception_v3
from inception_slim.nets.registry import NETWORKS
if TYPE_CHECKING:
    from inception_slim import training
def function():
    import inception_slim.checkpoint
    importlib.import_module('inception_slim.formats.tflite')
    importlib.import_module(f'inception_slim.nets.{name}')
    print('import inception_slim.cli')
''')
    assert imported_modules(path) == {
        'data', 'nets.registry', 'checkpoint', 'formats.tflite', 'nets'}
    assert imported_modules(path, strings=False) == {'data', 'nets.registry', 'checkpoint'}


def test_imports_go_down():
    upward = [f'{module} imports {name}' for module, path in SOURCES.items()
              if layer_of(module) is not None
              for name in imported_modules(path)
              if layer_of(name) is not None and layer_of(name) < layer_of(module)]
    assert not upward


def test_nothing_imports_the_command_line():
    assert not [module for module, path in SOURCES.items() if layer_of(module) != 0
                and any(name.split('.')[0] == 'cli' for name in imported_modules(path))]


def test_every_module_has_a_layer():
    assert not [module for module in SOURCES if layer_of(module) is None
                and module.split('.')[0] not in ('__init__', 'legacy')]


def test_no_import_cycles():
    imports = {module: imported_modules(path, strings=False) for module, path in SOURCES.items()
               if module != '__init__'}
    # Remove modules that import nothing that is left or that nothing left imports: cycles remain.
    while True:
        imported = set().union(*imports.values())
        removable = {module for module, names in imports.items()
                     if module not in imported or not names & imports.keys()}
        if not removable:
            break
        imports = {module: names - removable for module, names in imports.items()
                   if module not in removable}
    assert not imports


def public_functions(node):
    """Public functions, public methods of public classes, and special methods; with is_method."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not child.name.startswith('_'):
            yield from public_functions(child)
        elif isinstance(child, ast.FunctionDef):
            if not child.name.startswith('_') or child.name.startswith('__'):
                static = 'staticmethod' in map(ast.unparse, child.decorator_list)
                yield child, isinstance(node, ast.ClassDef) and not static


def test_public_functions_are_typed():
    """mypy checks the types; what old scripts import keeps its untyped signatures."""
    untyped = []
    for module, path in SOURCES.items():
        if module.startswith('legacy.') and module != 'legacy.script_runner':
            continue
        for function, is_method in public_functions(parse(path)):
            arguments = [*function.args.posonlyargs, *function.args.args][is_method:]
            arguments += [*function.args.kwonlyargs, function.args.vararg, function.args.kwarg]
            untyped += [f'{module}.{function.name}: {argument.arg}' for argument in arguments
                        if argument is not None and argument.annotation is None]
            if function.returns is None and function.name != '__init__':
                untyped.append(f'{module}.{function.name}: return type')
    assert not untyped


def find(dotted):
    module, _, name = dotted.rpartition('.')
    return getattr(importlib.import_module(f'inception_slim.{module}'), name)


@pytest.mark.parametrize('options, function', [
    (options, function) for options, functions in OPTIONS.items() for function in functions])
def test_parameters_equal_options(options, function):
    parameters = inspect.signature(find(function)).parameters
    assert not [name for name, parameter in parameters.items() if parameter.kind in (
        parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)]
    for field in dataclasses.fields(find(options)):
        parameter = parameters[field.name]
        assert parameter.kind is parameter.KEYWORD_ONLY, field.name
        assert parameter.default == field.default, field.name
        assert type(parameter.default) is type(field.default), field.name


@pytest.mark.parametrize('module', PUBLIC)
def test_public_names(module):
    imported = importlib.import_module(f'inception_slim.{module}')
    assert not [name for name in PUBLIC[module].split() if not hasattr(imported, name)]


@pytest.mark.parametrize('package', [
    module for module, path in SOURCES.items() if path.endswith('__init__.py')
    and 'lazy_exports' in Path(path).read_text()])
def test_lazy_exports_match_their_types(package):
    """Type checkers see what a package exports."""
    module = importlib.import_module(f'inception_slim.{package}'.removesuffix('.__init__'))
    typed = {}
    for block in parse(module.__file__).body:
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


def test_root_exports_functions():
    for name in inception_slim.__all__:
        assert callable(getattr(inception_slim, name))


def test_tests_are_collected_without_extras():
    """Test modules import optional packages only inside of the tests that need them."""
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
        eager += [f'{path} imports {name}' for name in imported_names(parse(path).body, path)
                  if name.split('.')[0] in optional]
    assert not eager
