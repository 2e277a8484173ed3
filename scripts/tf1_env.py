"""TensorFlow 1.15 in environments of its own: 1.15.5 where a Python 3.7 is found, and 1.15.0, the
last that Python 2 has, where a Python 2.7 is."""

from collections.abc import Callable, Sequence
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLD = os.path.join(ROOT, '.venv-1.15')
OLD_PYTHON = os.path.join(OLD, 'bin', 'python')
# The last two are what scripts of the day read their images with.
OLD_PACKAGES = ('tensorflow==1.15.5', 'protobuf<3.21', 'numpy<1.19', 'pillow<10', 'scipy<1.2')
# Python 2.7 has no venv: its packages are those of a user whose home this is.
OLDER = os.path.join(ROOT, '.venv-1.15-python2.7')
# The last grpcio that came ready-made.
OLDER_PACKAGES = ('tensorflow==1.15.0', 'grpcio<1.40', 'pillow<7', 'scipy<1.2')


def runs_python_3_7(command: list[str]) -> bool:
    return runs(command, 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 7))')


def runs_python_2_7(command: list[str]) -> bool:
    return runs(command, 'import sys, pip; sys.exit(sys.version_info[:2] != (2, 7))')


def runs(command: list[str], code: str) -> bool:
    try:
        return subprocess.run([*command, '-c', code], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def find_python(version: str, fits: Callable[[list[str]], bool]) -> list[str] | None:
    """The command of a Python of a version: on the path, or kept by pyenv."""
    candidates = [[f'python{version}']]
    try:
        versions = subprocess.run(['pyenv', 'prefix', version], capture_output=True, text=True)
        candidates += [[os.path.join(line, 'bin', 'python')]
                       for line in versions.stdout.splitlines()]
    except OSError:
        pass
    return next((each for each in candidates if fits(each)), None)


def find_python_3_7() -> list[str] | None:
    return find_python('3.7', runs_python_3_7)


def is_set_up(folder: str, packages: Sequence[str]) -> bool:
    """Whether these very packages were installed there before."""
    try:
        with open(os.path.join(folder, 'installed')) as file:
            return file.read() == listed(packages)
    except OSError:
        return False


def listed(packages: Sequence[str]) -> str:
    return '\n'.join(packages) + '\n'


def set_up_tensorflow_1_15() -> bool:
    """Makes the environment of TensorFlow 1.15.5, if that can be done and was not done before."""
    if is_set_up(OLD, OLD_PACKAGES):
        return True
    python = find_python_3_7()
    if python is None:
        print('No Python 3.7 was found, so TensorFlow 1.15.5 is left out; put one on the path, or '
              'install it with pyenv, to compare with it.')
        return False
    print('Setting up .venv-1.15 with TensorFlow 1.15.5 (once, a few minutes)', flush=True)
    subprocess.run([*python, '-m', 'venv', '--clear', OLD], check=True)
    subprocess.run([OLD_PYTHON, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check',
                    *OLD_PACKAGES], check=True)
    with open(os.path.join(OLD, 'installed'), 'w') as file:
        file.write(listed(OLD_PACKAGES))
    return True


def set_up_python_2_7() -> list[str] | None:
    """The command of a Python 2.7 that has TensorFlow 1.15.0, if there is one or can be.

    It is to be run with `PYTHONUSERBASE` set to `OLDER`.
    """
    python = find_python('2.7', runs_python_2_7)
    if python is None or is_set_up(OLDER, OLDER_PACKAGES):
        return python
    print('Setting up .venv-1.15-python2.7 with TensorFlow 1.15.0 (once, a few minutes)',
          flush=True)
    subprocess.run(
        [*python, '-m', 'pip', 'install', '--user', '-qq', '--disable-pip-version-check',
         '--no-warn-script-location', *OLDER_PACKAGES], check=True, cwd=os.sep,
        env=dict(os.environ, PYTHONUSERBASE=OLDER, PYTHONWARNINGS='ignore'))
    with open(os.path.join(OLDER, 'installed'), 'w') as file:
        file.write(listed(OLDER_PACKAGES))
    return python
