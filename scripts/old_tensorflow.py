"""TensorFlow 1.15.5 in an environment of its own, where a Python 3.7 is found."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLD = os.path.join(ROOT, '.venv-1.15')
OLD_PYTHON = os.path.join(OLD, 'bin', 'python')
# The last two are what scripts of the day read their images with.
OLD_PACKAGES = ('tensorflow==1.15.5', 'protobuf<3.21', 'numpy<1.19', 'pillow<10', 'scipy<1.2')


def runs_python_3_7(command: list[str]) -> bool:
    code = 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 7))'
    try:
        return subprocess.run([*command, '-c', code], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def find_python_3_7() -> list[str] | None:
    """The command of a Python 3.7: on the path, or kept by pyenv, or by uv."""
    candidates = [['python3.7']]
    try:
        versions = subprocess.run(['pyenv', 'prefix', '3.7'], capture_output=True, text=True)
        candidates += [[os.path.join(line, 'bin', 'python')]
                       for line in versions.stdout.splitlines()]
    except OSError:
        pass
    return next((each for each in candidates if runs_python_3_7(each)), None)


def set_up_tensorflow_1_15() -> bool:
    """Makes the environment of TensorFlow 1.15.5, if that can be done and was not done before."""
    installed = os.path.join(OLD, 'installed')
    wanted = '\n'.join(OLD_PACKAGES) + '\n'
    if os.path.exists(installed):
        with open(installed) as file:
            if file.read() == wanted:
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
    with open(installed, 'w') as file:
        file.write(wanted)
    return True
