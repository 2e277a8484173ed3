"""The README's Python runs as printed."""

import os
import re

import forks
import pytest

with open(os.path.join(os.path.dirname(__file__), '..', 'README.md'), encoding='utf-8') as readme:
    EXAMPLES = re.findall(r'```python\n(.*?)```', readme.read(), re.DOTALL)


def test_there_are_examples():
    assert len(EXAMPLES) >= 1


@pytest.mark.parametrize('code', EXAMPLES)
def test_example(code):
    done = forks.python(code, folder=os.path.join(os.path.dirname(__file__), os.pardir))
    assert done.returncode == 0, done.stderr
    # What a line prints stands behind it.
    expected = re.findall(r'print\(.*\)  # (.*)', code)
    assert done.stdout.splitlines() == expected
