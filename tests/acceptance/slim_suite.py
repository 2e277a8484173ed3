"""Runs tf-slim's own test suite, which its wheel contains, with inception_slim imported first.

    python tests/acceptance/slim_suite.py [GROUP ...]      GROUP: a folder or module of tf_slim

Prints the number of passed and failed tests of each group, and the reason for each failure. The
tests of Inception V1 and V2 run a second time with this package's networks instead of tf-slim's.
Exits with 1 if a failure is not known to be the fault of the test itself.
"""

import argparse
from collections import Counter
import os
import sys
import types
import warnings

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim import tf_slim_compat  # importing it makes tf_slim work, which is tested
from inception_slim._module_proxy import ModuleProxy
from inception_slim.nets import inception_v1, inception_v2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim
from tqdm import tqdm

ROOT = os.path.dirname(tf_slim.__file__)

# Names that only the tests use and that TensorFlow and NumPy removed.
NAMES_FOR_TESTS = {
    'tensorflow.python.ops.variables': {'VariableV1': tf.Variable},
    'tensorflow.python.ops.variable_scope': {
        'enable_resource_variables': tf.enable_resource_variables,
        'disable_resource_variables': tf.disable_resource_variables,
        'resource_variables_enabled': tf.resource_variables_enabled,
    },
    'numpy': {'bool': bool, 'float': float, 'int': int, 'object': object, 'product': np.prod,
              'str': str},
}

# Error messages that are the fault of a test if raised in a test module, and the reason.
FAULTS_OF_TESTS = (
    ('only 0-dimensional arrays can be converted',
     'the test calls int() or float() on a one-element array, which NumPy 2.4 refuses'),
    ("'numpy.ndarray' object has no attribute 'tostring'",
     'the test calls ndarray.tostring(), which NumPy 2.3 removed'),
)
FAULTY_TESTS = {
    'evaluation_test.py::SingleEvaluationTest::testAdditionalHooks':
        'the test gives DumpingDebugHook an argument that TensorFlow removed',
    'layers/layers_test.py::DropoutTest::testCreateDropout':
        'the test wants the name of the op that dropout ended in before TensorFlow 2.5',
    'metrics/classification_test.py::F1ScoreTest::testSomeCorrect':
        'the test compares a float32 to 7 decimals, which NumPy 2 no longer widens for it',
    'metrics/metric_ops_test.py::CountTest::testReturnType':
        'the test wants an op or a tensor where a resource variable is updated',
    'ops/variables_test.py::VariablesTest::testVariableWithReplicaDeviceSetter':
        'the test wants a device without the CPU that TensorFlow now adds to its name',
}


# The tests that run again with this package's networks, which have the same signatures.
OURS = {'inception_v1_test': inception_v1, 'inception_v2_test': inception_v2}
OUR_GROUP = 'inception_slim'


def install_nose_stub() -> None:
    """Replaces nose, of which one test uses a decorator: it does not run on Python 3.10+."""

    def nottest(function):
        function.__test__ = False
        return function

    nose, tools = types.ModuleType('nose'), types.ModuleType('nose.tools')
    nose.tools, tools.nottest = tools, nottest
    sys.modules.update({'nose': nose, 'nose.tools': tools})


def complete_test_module(module: types.ModuleType) -> None:
    tf_slim_compat.complete(module)
    for name, value in list(vars(module).items()):
        if isinstance(value, types.ModuleType) and value.__name__ in NAMES_FOR_TESTS:
            missing = NAMES_FOR_TESTS[value.__name__]
            setattr(module, name, ModuleProxy(
                value, {key: lambda result=result: result for key, result in missing.items()}))


def reason_for(test: str, report: pytest.TestReport) -> str | None:
    """The reason why the test itself is at fault, or None."""
    if test in FAULTY_TESTS:
        return FAULTY_TESTS[test]
    crash = getattr(report.longrepr, 'reprcrash', None)
    if crash and crash.path.endswith('_test.py'):
        for message, reason in FAULTS_OF_TESTS:
            if message in crash.message:
                return reason
    return None


class Recorder:
    """A pytest plugin that patches the test modules and counts the results."""

    def __init__(self):
        self.passed, self.failed, self.failures, self.progress = Counter(), Counter(), {}, None
        self.with_ours = False

    def pytest_pycollect_makemodule(self, module_path, parent):
        module = pytest.Module.from_parent(parent, path=module_path)
        complete_test_module(module.obj)
        if self.with_ours and module_path.stem in OURS:
            network = OURS[module_path.stem]
            setattr(module.obj, network.__name__.rsplit('.', 1)[-1], network)
        return module

    def pytest_collection_finish(self, session):
        self.progress = tqdm(total=len(session.items), unit='test', disable=None)

    def pytest_runtest_logreport(self, report):
        path, rest = os.path.relpath(report.fspath, ROOT), report.nodeid.split('::', 1)[1]
        if not os.path.isabs(report.fspath):
            path = os.path.relpath(os.path.join(ROOT, report.fspath), ROOT)
        group = OUR_GROUP if self.with_ours else path.split(os.sep)[0].removesuffix('.py')
        if report.when == 'call':
            self.passed[group] += report.passed
            self.progress.update()
        if report.failed:
            self.failed[group] += 1
            test = f'{path.replace(os.sep, "/")}::{rest}'
            if self.with_ours:
                test = f'{OUR_GROUP}: {test}'
            self.failures[test] = reason_for(test, report) or (
                f'UNEXPLAINED: {report.longreprtext.splitlines()[-1]}')

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed['(collection)'] += 1
            self.failures[report.nodeid] = f'UNEXPLAINED: {report.longreprtext.splitlines()[-1]}'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('groups', nargs='*', metavar='GROUP',
                        help='a folder or a module of tf_slim, such as layers or learning_test, '
                             f'or {OUR_GROUP}; all of them by default')
    groups = parser.parse_args().groups
    with_ours = not groups or OUR_GROUP in groups
    everything = not groups
    groups = [group for group in groups if group != OUR_GROUP]
    paths = [os.path.join(ROOT, group + ('.py' if group.endswith('_test') else ''))
             for group in groups]
    for group, path in zip(groups, paths):
        if not os.path.exists(path):
            parser.error(f'tf_slim has no tests called {group!r}')
    paths = [ROOT] if everything else paths
    our_paths = [os.path.join(ROOT, 'nets', name + '.py') for name in OURS]
    install_nose_stub()
    warnings.simplefilter('ignore')
    recorder = Recorder()
    for recorder.with_ours, chosen in ((False, paths), (True, our_paths if with_ours else [])):
        if chosen:
            pytest.main(['-p', 'no:terminal', '-p', 'no:cacheprovider', '-p', 'no:warnings',
                         '--import-mode=importlib', '-c', os.devnull, '--rootdir', ROOT,
                         '-o', 'python_files=*_test.py', *chosen], plugins=[recorder])
            recorder.progress.close()
    print(f'tf-slim {tf_slim_compat.TF_SLIM} on TensorFlow {tf.__version__}, '
          f'NumPy {np.__version__}')
    for group in sorted(recorder.passed | recorder.failed):
        print(f'  {group:16} {recorder.passed[group]:5} passed {recorder.failed[group]:4} failed')
    print(f'  {"all":16} {recorder.passed.total():5} passed {recorder.failed.total():4} failed')
    for test, reason in recorder.failures.items():
        print(f'{test}\n    {reason}')
    unexplained = [why for why in recorder.failures.values() if why.startswith('UNEXPLAINED')]
    print(f'{len(unexplained)} failures that are not known faults of the tests')
    return 1 if unexplained or not recorder.passed else 0


if __name__ == '__main__':
    sys.exit(main())
