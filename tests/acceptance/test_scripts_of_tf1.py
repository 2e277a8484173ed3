"""Scripts of 2016 to 2019 print the same here and on TensorFlow 1.15 (`make test-tf1-scripts`)."""

from acceptance import compare_with_tf1
import pytest

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope='module')
def pythons():
    pythons = compare_with_tf1.set_up_pythons()
    if pythons[False]:
        compare_with_tf1.write_wide_weights()
    return pythons


@pytest.mark.parametrize('name', compare_with_tf1.SCRIPTS)
def test_prints_the_same(name, pythons):
    script = compare_with_tf1.SCRIPTS[name]
    if script.wide and not pythons[False]:
        pytest.skip('its weights are written by TensorFlow 1.15.5, for which there is no Python')
    expected = compare_with_tf1.expected_output(script, pythons)
    comparison, output = compare_with_tf1.compare_script(script, expected)
    assert not comparison.differences, output.errors
