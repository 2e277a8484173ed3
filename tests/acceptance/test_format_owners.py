"""Every format at full width, compared with the library that owns it (`make test-formats`).

Each part runs in a process of its own, because PyTorch has to be loaded before TensorFlow.
"""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.acceptance
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'format_owners.py')


@pytest.mark.parametrize('part', [
    'pytorch', 'keras', 'keras-sigmoid', 'facenet', 'retrained', 'tensorflow-js',
    'tensorflow-js-export'])
def test_agrees_with_its_owner(part):
    assert subprocess.run([sys.executable, PROGRAM, part]).returncode == 0
