"""Scripts of 2016 to 2019 print here what they printed on TensorFlow 1.15.5.

The quickest of them; `make then-and-now` runs all, on both. What each is to print was recorded on
1.15.5 (tests/golden/legacy_scripts_output.txt).
"""

import pytest

from scripts.acceptance import compare_with_tf1
from scripts.acceptance.compare_with_tf1 import SCRIPTS, Printed, compare


@pytest.fixture(scope='module')
def recorded():
    return compare_with_tf1.read_recorded()


@pytest.mark.parametrize('name', [
    'classify_image', pytest.param('warp_images', marks=pytest.mark.slow)])
def test_prints_what_it_printed(name, recorded):
    now = compare_with_tf1.run_now(SCRIPTS[name])
    found = compare(recorded[name], now)
    assert not found.differences, now.errors
    assert found.numbers > 30


def test_every_script_was_recorded(recorded):
    assert list(recorded) == list(SCRIPTS)
    assert all(each.lines for each in recorded.values())
    assert {name: each.code for name, each in recorded.items() if each.code} == {
        'classify_image': 3}


@pytest.mark.parametrize('now', [
    ['loss 0.12360, step 100', 'done'],         # a number by 2e-4
    ['loss 0.12345, step 101', 'done'],         # a whole number
    ['Loss 0.12345, step 100', 'done'],         # a word
    ['loss nan, step 100', 'done'],
    ['loss 0.12345, step 100'],                 # a line
    ['loss 0.12345, step 100', 'done', 'done'],
    ['loss 0.12345, step 100', 'done'],         # the exit code
])
def test_a_difference_is_found(now):
    same_code = now != ['loss 0.12345, step 100', 'done']
    then = Printed(0, ['loss 0.12345, step 100', 'done'])
    assert compare(then, Printed(0 if same_code else 1, now)).differences


@pytest.mark.parametrize('now', ['sum  123456.78 of (4, 3) in block_1x1', '# 1'])
def test_rounding_and_columns_are_no_difference(now):
    then = {'sum': 'sum 123456.90 of (4, 3) in block_1x1', '#': '# 1'}[now.split()[0]]
    found = compare(Printed(0, [then]), Printed(0, [now]))
    assert not found.differences
    assert found.largest <= 1e-6
