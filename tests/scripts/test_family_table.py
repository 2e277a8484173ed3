"""The counts of the family's table are those that were published."""

import importlib

import pytest


@pytest.fixture(scope='module')
def family():
    return importlib.import_module('scripts.benchmarks.model_table')


@pytest.mark.parametrize('name, published', [
    ('inception_v1', {'layers': 22, 'multiply_adds': 1.5e9}),
    ('inception_v3', {'multiply_adds': 5.7e9}),
    ('vgg_16', {'layers': 16, 'parameters': 138e6, 'multiply_adds': 15.5e9}),
    ('alexnet', {'layers': 8}),
])
def test_counts(family, name, published):
    counted = family.counts(family.build(family.ROWS[name], 1))
    for key, value in published.items():
        assert counted[key] == pytest.approx(value, rel=0.05), key
    if name == 'inception_v3':
        assert counted['parameters'] < 25e6 < counted['with_aux']
    if name == 'alexnet':  # not the 60 million of the paper's two columns, as the table says
        assert counted['parameters'] == pytest.approx(50.3e6, rel=0.01)
        assert '60 M' in family.ROWS[name].note


def test_table(family):
    """A row for each network, its speeds relative to its own graph and to V3's."""
    counted = {name: {'layers': 22, 'parameters': 5e6, 'with_aux': 6.25e6, 'multiply_adds': 1.5e9}
               for name in family.ROWS}
    seconds = {name: {family.GRAPH: 3.0, family.REFERENCE: 2.0} for name in family.ROWS}
    seconds['inception_v1']['float32'] = 1.5
    lines = family.table(counted, seconds, 32)
    assert len(lines) == 2 + len(family.ROWS) and len({len(line) for line in lines}) == 1
    cells = {line.split('|')[1].strip(): [each.strip() for each in line.split('|')[2:-1]]
             for line in lines}
    assert cells['Inception V1'] == [
        '224', '22', '6.25 M', '5.00 M', '1.50 G', '6.67 %', '3.000', '1.50', '2.00', '-', '-']
    assert cells['VGG-16'][-3:] == ['-', '-', '-'] and cells['Inception V3'][7] == '1.00'
