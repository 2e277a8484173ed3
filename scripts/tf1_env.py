"""Installs TensorFlow 1.15.5 for Python 3.7, and 1.15.0, the last for Python 2, for Python 2.7."""

from collections.abc import Callable, Sequence
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLD = os.path.join(ROOT, '.venv-1.15')
OLD_PYTHON = os.path.join(OLD, 'bin', 'python')
# Scripts of the time read images with the last two.
OLD_PACKAGES = ('tensorflow==1.15.5', 'protobuf<3.21', 'numpy<1.19', 'pillow<10', 'scipy<1.2')
# Python 2.7 has no venv; its packages are installed into this PYTHONUSERBASE.
OLDER = os.path.join(ROOT, '.venv-1.15-python2.7')
# Later versions of grpcio have no wheel.
OLDER_PACKAGES = ('tensorflow==1.15.0', 'grpcio<1.40', 'pillow<7', 'scipy<1.2')


def environment() -> dict[str, str]:
    """The environment for a process of TensorFlow 1, whose behaviour TensorFlow 2 changes in it."""
    return {**os.environ, 'TF2_BEHAVIOR': '0'}


def runs_python_3_7(command: list[str]) -> bool:
    return runs(command, 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 7))')


def runs_python_2_7(command: list[str]) -> bool:
    return runs(command, 'import sys, pip; sys.exit(sys.version_info[:2] != (2, 7))')


def runs(command: list[str], code: str) -> bool:
    try:
        return subprocess.run([*command, '-c', code], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def find_python(version: str, is_usable: Callable[[list[str]], bool]) -> list[str] | None:
    """The command of a Python version, on the path or installed by pyenv."""
    candidates = [[f'python{version}']]
    try:
        versions = subprocess.run(['pyenv', 'prefix', version], capture_output=True, text=True)
        candidates += [[os.path.join(line, 'bin', 'python')]
                       for line in versions.stdout.splitlines()]
    except OSError:
        pass
    return next((command for command in candidates if is_usable(command)), None)


def find_python_3_7() -> list[str] | None:
    return find_python('3.7', runs_python_3_7)


def is_set_up(folder: str, packages: Sequence[str]) -> bool:
    """Whether exactly these packages have been installed there."""
    try:
        with open(os.path.join(folder, 'installed')) as file:
            return file.read() == stamp(packages)
    except OSError:
        return False


def stamp(packages: Sequence[str]) -> str:
    return '\n'.join(packages) + '\n'


def set_up_tensorflow_1_15() -> bool:
    """Installs TensorFlow 1.15.5 once; returns whether it is installed."""
    if is_set_up(OLD, OLD_PACKAGES):
        return True
    python = find_python_3_7()
    if python is None:
        print('TensorFlow 1.15.5 is omitted: it needs Python 3.7, on the path or by pyenv.')
        return False
    print('Setting up .venv-1.15 with TensorFlow 1.15.5 (once, a few minutes)', flush=True)
    subprocess.run([*python, '-m', 'venv', '--clear', OLD], check=True)
    subprocess.run([OLD_PYTHON, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check',
                    *OLD_PACKAGES], check=True)
    with open(os.path.join(OLD, 'installed'), 'w') as file:
        file.write(stamp(OLD_PACKAGES))
    return True


def set_up_python_2_7() -> list[str] | None:
    """Installs TensorFlow 1.15.0 once; returns the command of its Python 2.7, or None without one.

    Run it with `PYTHONUSERBASE` set to `OLDER`.
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
        file.write(stamp(OLDER_PACKAGES))
    return python
