"""Runs the examples in docstrings, in the root of the repository."""

import doctest
import importlib
import os
import pkgutil

import inception_slim
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The main functions, which need an example.
WITH_EXAMPLES = (
    'nets.flops.count_multiply_adds', 'checkpoint._convert.convert', 'checkpoint._convert.read',
    'checkpoint.naming.inspect', 'checkpoint._restore.restore', 'data.image_folder.image_files',
    'data.labels.read_labels', 'data.dataset.open_dataset', 'data.preprocessing.for_evaluation',
    'evaluation.classify.classify', 'evaluation.evaluate.evaluate', 'evaluation.features.features',
    'formats._export.export', 'inference.predictor.load', 'nets.registry.get_network_fn',
    'nets.inception_v3.inception_v3')

# Those that build or load a network, but for a few; the functions have tests of their own.
SLOW = {
    'checkpoint._restore.restore', 'evaluation.evaluate.evaluate', 'evaluation.features.features',
    'evaluation.features.read_features', 'evaluation.generative.MetricAccumulator',
    'evaluation.generative.compute_metrics', 'formats._export.export',
    'formats.keras_models.keras_model', 'nets.flops.count_multiply_adds',
    'nets.inception_v3.inception_v3'}


def find_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for info in pkgutil.walk_packages(inception_slim.__path__, 'inception_slim.'):
        if not info.name.startswith('inception_slim.legacy') and '__main__' not in info.name:
            module = importlib.import_module(info.name)
            for test in finder.find(module, info.name):
                if test.examples:
                    yield test


EXAMPLES = {test.name.removeprefix('inception_slim.'): test for test in find_examples()}


def test_main_functions_have_examples():
    assert not {*WITH_EXAMPLES, *SLOW} - set(EXAMPLES)


@pytest.mark.parametrize('name', [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in EXAMPLES])
def test_example(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    test = EXAMPLES[name]
    test.globs = {}  # an example imports what it needs
    report = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not report, ''.join(report)
