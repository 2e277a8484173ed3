"""Runs scripts of 2016 to 2019 on TensorFlow 1.15 and with `inception-slim run`.

    python tests/acceptance/compare_with_tf1.py [SCRIPT ...]  records reference outputs

The scripts are in legacy_scripts/, one for each way of using TensorFlow 1 and slim. Each runs
unmodified in an empty folder with the same data, weights and images. Both outputs must agree:
every word, every integer, and every other number to 1e-4, relative or absolute.

TensorFlow 1.15.5 needs Python 3.7; scripts of Python 2 run on Python 2.7 and TensorFlow 1.15.0.
Without such an interpreter the output is compared with the recorded one
(tests/golden/legacy_scripts_output.txt).

The packages of research/slim (`nets`, `preprocessing`, `deployment`) are not part of TensorFlow
1.15.5: there, scripts that import them get the minimum that they need from research_slim_stub/.
"""

import argparse
from dataclasses import dataclass, field
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from inception_slim._atomic_write import atomic_write
from tqdm import tqdm

from scripts.tf1_env import OLD_PYTHON, OLDER, set_up_python_2_7, set_up_tensorflow_1_15

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT_FOLDER = os.path.join(HERE, 'legacy_scripts')
STUB = os.path.join(HERE, 'research_slim_stub')
GOLDEN = os.path.join(ROOT, 'tests', 'golden')
RECORDED = os.path.join(GOLDEN, 'legacy_scripts_output.txt')
# Half a gigabyte of random weights.
WIDE = os.path.join(ROOT, 'build', 'legacy_scripts')
TOLERANCE = 1e-4
NUMBER = re.compile(r'(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w])')
NEW_HEAD = 'InceptionV3/Logits,InceptionV3/AuxLogits'


@dataclass(frozen=True)
class Script:
    """A script of `legacy_scripts`, and the TensorFlow 1 features that it uses."""

    name: str
    features: str
    arguments: tuple[str, ...] = ()
    wide: bool = False
    python_2: bool = False

    @property
    def path(self) -> str:
        return os.path.join(SCRIPT_FOLDER, self.name + '.py')


SCRIPTS = {script.name: script for script in (
    Script('classify_image', 'tf.app.run with flags; sys.exit',
           ('--image_size=149', '--checkpoint_path', 'data/inception_v3.ckpt')),
    Script('read_records', 'queue runners, dataset_data_provider'),
    Script('train_slim', 'slim.learning.train, init_fn'),
    Script('finetune', 'checkpoint_exclude_scopes', (
        '--checkpoint_path=data/inception_v3.ckpt', f'--checkpoint_exclude_scopes={NEW_HEAD}',
        f'--trainable_scopes={NEW_HEAD}')),
    Script('eval_slim', 'evaluate_once, streaming metrics'),
    Script('train_clones', 'model_deploy, two clones'),
    # Small steps: with random weights many ReLU inputs are near zero, where rounding decides the
    # gradient.
    Script('attack_mi_fgsm', 'gradients of V3, V4, ResNet V2', ('--max_epsilon=0.5',), wide=True),
    Script('warp_images', 'tf.contrib.image and gradients'),
    Script('label_image_frozen', 'import_graph_def of a frozen file'),
    Script('train_supervisor', 'tf.train.Supervisor, resumed'),
    Script('train_monitored', 'MonitoredTrainingSession, hooks'),
    Script('batch_files', 'tf.train.batch, shuffle_batch'),
    Script('classify_folder_scipy', 'scipy.misc, NumPy aliases'),
    Script('extract_features', 'end points to .npy'),
    Script('export_saved_model', 'saved_model.builder, freeze_graph'),
    Script('contrib_cnn', 'contrib layers, framework, HParams'),
    Script('write_graphs', 'write_graph, freeze_graph, builder, .meta'),
    Script('estimator_slim', 'tf.estimator, exporters, predictor'),
    Script('estimator_canned', 'canned estimators, feature columns'),
    Script('estimator_tpu', 'TPUEstimator with use_tpu=False'),
    Script('learn_experiment', 'contrib.learn, learn_runner, HParams'),
    Script('predict_python2', 'Python 2', python_2=True),
)}


@dataclass
class Output:
    """The exit code, the lines of standard output and the duration of a script."""

    code: int
    lines: list[str]
    seconds: float = 0.0
    errors: str = ''


@dataclass
class Comparison:
    """The result of comparing two outputs; `differences` is empty if they agree."""

    numbers: int = 0
    largest: float = 0.0
    differences: list[str] = field(default_factory=list)


def compare(expected: Output, actual: Output) -> Comparison:
    """Compares words and integers exactly, and other numbers within `TOLERANCE`."""
    result = Comparison()
    if expected.code != actual.code:
        result.differences.append(f'exit code {actual.code}, expected {expected.code}')
    for number, (old, new) in enumerate(zip(expected.lines, actual.lines), 1):
        if not _same_line(old, new, result):
            result.differences.append(f'line {number}:\n    expected {old}\n    actual   {new}')
    if len(expected.lines) != len(actual.lines):
        result.differences.append(
            f'{len(actual.lines)} lines, expected {len(expected.lines)}')
    return result


def _same_line(old: str, new: str, result: Comparison) -> bool:
    # The width of columns depends on the sign and the digits of numbers.
    if NUMBER.sub('#', old).split() != NUMBER.sub('#', new).split():
        return False
    same = True
    for one, other in zip(NUMBER.findall(old), NUMBER.findall(new)):
        result.numbers += 1
        if re.fullmatch(r'[-+]?\d+', one):
            same &= one == other
        else:
            difference = abs(float(one) - float(other))
            difference = min(difference, difference / max(abs(float(one)), 1e-30))
            result.largest = max(result.largest, difference)
            same &= difference <= TOLERANCE
    return same


def run(command: list[str], **environment: str) -> Output:
    """Runs a command in a new folder that has the data of the scripts."""
    settings = {'TF_CPP_MIN_LOG_LEVEL': '3', 'PYTHONDONTWRITEBYTECODE': '1', **environment}
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.join(GOLDEN, 'legacy_scripts'), os.path.join(folder, 'data'))
        os.symlink(WIDE, os.path.join(folder, 'models'))
        start = time.time()
        process = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                                 env={**os.environ, **settings})
        return Output(process.returncode, [line.rstrip() for line in process.stdout.splitlines()],
                      time.time() - start, process.stderr)


def run_here(script: Script) -> Output:
    return run([sys.executable, '-m', 'inception_slim', 'run', script.path, *script.arguments])


def run_on_tensorflow_1(script: Script, python: list[str]) -> Output:
    return run([*python, script.path, *script.arguments], PYTHONPATH=STUB, PYTHONUSERBASE=OLDER,
               TF2_BEHAVIOR='0')  # TensorFlow 2 sets it to 1 for child processes


def read_recorded() -> dict[str, Output]:
    """The recorded output of each script."""
    outputs: dict[str, Output] = {}
    with open(RECORDED) as file:
        for line in file.read().splitlines():
            heading = re.fullmatch(r'== (\w+), exit code (\d+)', line)
            if heading:
                current = outputs[heading[1]] = Output(int(heading[2]), [])
            elif outputs:
                current.lines.append(line)
    return outputs


def set_up_pythons() -> dict[bool, list[str] | None]:
    """The interpreter with TensorFlow 1 for scripts of Python 3 (False) and of Python 2 (True)."""
    return {False: [OLD_PYTHON] if set_up_tensorflow_1_15() else None, True: set_up_python_2_7()}


def write_wide_weights() -> None:
    """Writes checkpoints of full width, once, for the scripts that need them."""
    if not os.path.exists(os.path.join(WIDE, 'made')):
        print('Writing full-width checkpoints (once, half a gigabyte)', flush=True)
        subprocess.run(['rm', '-rf', WIDE], check=True)
        subprocess.run([OLD_PYTHON, os.path.join(HERE, 'wide_weights.py'), WIDE], check=True,
                       stderr=subprocess.DEVNULL)
        open(os.path.join(WIDE, 'made'), 'w').close()


def expected_output(script: Script, pythons: dict[bool, list[str] | None]) -> Output:
    """The output on TensorFlow 1 if an interpreter has it, else the recorded one."""
    python = pythons[script.python_2]
    return run_on_tensorflow_1(script, python) if python else read_recorded()[script.name]


def compare_script(script: Script, expected: Output) -> tuple[Comparison, Output]:
    """Runs a script here, compares its output and prints one line of the result."""
    actual = run_here(script)
    result = compare(expected, actual)
    seconds = f'{expected.seconds:.1f} s' if expected.seconds else 'recorded'
    print(f'{script.name:22} {script.features:36} {len(expected.lines)} lines, {result.numbers} '
          f'numbers, largest difference {result.largest:.1e}; TensorFlow 1: {seconds}, here: '
          f'{actual.seconds:.1f} s', flush=True)
    for difference in result.differences[:6]:
        print(f'  {difference}')
    return result, actual


def main() -> int:
    """Records the output of scripts on TensorFlow 1."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument('scripts', nargs='*', metavar='SCRIPT', help='default: all')
    arguments = parser.parse_args()
    unknown = [name for name in arguments.scripts if name not in SCRIPTS]
    if unknown:
        parser.error(f'there is no script {unknown[0]!r}; choose from {", ".join(SCRIPTS)}')
    pythons = set_up_pythons()
    if pythons[False]:
        write_wide_weights()
    outputs = read_recorded() if os.path.exists(RECORDED) else {}
    for name in tqdm(arguments.scripts or list(SCRIPTS), unit='script', disable=None):
        python = pythons[SCRIPTS[name].python_2]
        if python:
            outputs[name] = run_on_tensorflow_1(SCRIPTS[name], python)
    with atomic_write(RECORDED) as file:
        lines = ['The output of the scripts in tests/acceptance/legacy_scripts on TensorFlow '
                 '1.15.5, or on 1.15.0 for Python 2.']
        for name in SCRIPTS:
            if name in outputs:
                lines += [f'== {name}, exit code {outputs[name].code}', *outputs[name].lines]
        file.write(('\n'.join(lines) + '\n').encode())
    return 0


if __name__ == '__main__':
    sys.exit(main())
