"""Scripts of 2016 to 2019 print the same as on TensorFlow 1.15.5.

`make test-slow` runs the fastest of them, and `make test-tf1-scripts` all. The reference outputs
were recorded on 1.15.5 (tests/golden/legacy_scripts_output.txt).
"""

from acceptance import compare_with_tf1
from acceptance.compare_with_tf1 import SCRIPTS, Output, compare
import pytest


@pytest.fixture(scope='module')
def recorded():
    return compare_with_tf1.read_recorded()


@pytest.mark.slow
@pytest.mark.parametrize('name', [
    'classify_image', 'estimator_tpu', 'warp_images', 'estimator_slim', 'estimator_canned',
    'learn_experiment'])
def test_prints_the_recorded_output(name, recorded):
    output = compare_with_tf1.run_here(SCRIPTS[name])
    result = compare(recorded[name], output)
    assert not result.differences, output.errors
    assert result.numbers > 20


def test_every_script_was_recorded(recorded):
    assert list(recorded) == list(SCRIPTS)
    assert all(output.lines for output in recorded.values())
    assert {name: output.code for name, output in recorded.items() if output.code} == {
        'classify_image': 3}


@pytest.mark.parametrize('actual', [
    ['loss 0.12360, step 100', 'done'],         # a number by 2e-4
    ['loss 0.12345, step 101', 'done'],         # a whole number
    ['Loss 0.12345, step 100', 'done'],         # a word
    ['loss nan, step 100', 'done'],
    ['loss 0.12345, step 100'],                 # a line
    ['loss 0.12345, step 100', 'done', 'done'],
    ['loss 0.12345, step 100', 'done'],         # the exit code
])
def test_reports_a_difference(actual):
    same_code = actual != ['loss 0.12345, step 100', 'done']
    expected = Output(0, ['loss 0.12345, step 100', 'done'])
    assert compare(expected, Output(0 if same_code else 1, actual)).differences


@pytest.mark.parametrize('actual', ['sum  123456.78 of (4, 3) in block_1x1', '# 1'])
def test_ignores_rounding_and_column_widths(actual):
    expected = {'sum': 'sum 123456.90 of (4, 3) in block_1x1', '#': '# 1'}[actual.split()[0]]
    result = compare(Output(0, [expected]), Output(0, [actual]))
    assert not result.differences
    assert result.largest <= 1e-6
