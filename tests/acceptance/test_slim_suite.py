"""tf-slim's own test suite, with and without this package's networks (`make slim-suite`)."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.acceptance
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'slim_suite.py')


def test_slim_suite_has_no_unexplained_failure():
    # In a process of its own: it runs pytest with other settings.
    assert subprocess.run([sys.executable, PROGRAM]).returncode == 0
