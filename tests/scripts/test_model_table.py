"""The table of networks has the published counts."""

import importlib

import pytest


@pytest.fixture(scope='module')
def model_table():
    return importlib.import_module('scripts.benchmarks.model_table')


@pytest.mark.parametrize('name, published', [
    ('inception_v1', {'layers': 22, 'multiply_adds': 1.5e9}),
    ('inception_v3', {'multiply_adds': 5.7e9}),
    ('vgg_16', {'layers': 16, 'parameters': 138e6, 'multiply_adds': 15.5e9}),
    ('alexnet', {'layers': 8}),
])
@pytest.mark.slow
def test_counts_are_the_published_ones(model_table, name, published):
    counts = model_table.count(model_table.build(model_table.ROWS[name], 1))
    for key, value in published.items():
        assert counts[key] == pytest.approx(value, rel=0.05), key
    if name == 'inception_v3':
        assert counts['parameters'] < 25e6 < counts['with_aux']
    if name == 'alexnet':  # the paper's two columns have 60 million
        assert counts['parameters'] == pytest.approx(50.3e6, rel=0.01)
        assert '60 M' in model_table.ROWS[name].note


def test_table_has_a_row_for_each_network(model_table):
    """Speeds are relative to the original graph and to Inception V3."""
    counted = {name: {'layers': 22, 'parameters': 5e6, 'with_aux': 6.25e6, 'multiply_adds': 1.5e9}
               for name in model_table.ROWS}
    seconds = {
        name: {model_table.GRAPH: 3.0, model_table.REFERENCE: 2.0} for name in model_table.ROWS
    }
    seconds['inception_v1']['float32'] = 1.5
    lines = model_table.build_table(counted, seconds, 32)
    assert len(lines) == 2 + len(model_table.ROWS) and len({len(line) for line in lines}) == 1
    cells = {line.split('|')[1].strip(): [cell.strip() for cell in line.split('|')[2:-1]]
             for line in lines}
    assert cells['Inception V1'] == [
        '224', '22', '6.25 M', '5.00 M', '1.50 G', '6.67 %', '3.000', '1.50', '2.00', '-', '-']
    assert cells['VGG-16'][-3:] == ['-', '-', '-'] and cells['Inception V3'][7] == '1.00'
