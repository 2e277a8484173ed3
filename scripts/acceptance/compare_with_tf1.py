"""Runs scripts of 2016 to 2019 on TensorFlow 1.15 and, by `inception-slim run`, on today's.

    python -m scripts.acceptance.compare_with_tf1 [SCRIPT ...] [--record]

The scripts are in scripts/acceptance/legacy_scripts, one for each idiom of the time. Each is run twice, as it
is, in an empty folder that has the same data, weights and images; what it prints must be the same:
every word, every whole number, and every other number to 1e-4 of it, or 1e-4. Exits with 1 if it
is not.

Needs a Python 3.7 for TensorFlow 1.15.5. A script of Python 2 runs on a Python 2.7 and its last
TensorFlow, 1.15.0. Where one is not found, what it printed when it was last recorded is compared
with (tests/golden/legacy_scripts_output.txt, which --record writes).

The packages of the model library (`nets`, `preprocessing`, `deployment`) are in no package of
1.15.5: there, scripts that import them find as little as they need in scripts/acceptance/research_slim_stub.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
import os
import re
import subprocess
import sys
import tempfile
import time

from tqdm import tqdm

from scripts.tf1_env import OLD_PYTHON, OLDER, set_up_python_2_7, set_up_tensorflow_1_15

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
IDIOMS = os.path.join(HERE, 'legacy_scripts')
LIBRARY = os.path.join(HERE, 'research_slim_stub')
GOLDEN = os.path.join(ROOT, 'tests', 'golden')
RECORDED = os.path.join(GOLDEN, 'legacy_scripts_output.txt')
# Half a gigabyte of drawn weights.
WIDE = os.path.join(ROOT, 'build', 'legacy_scripts')
TOLERANCE = 1e-4
NUMBER = re.compile(r'(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w])')
NEW_HEAD = 'InceptionV3/Logits,InceptionV3/AuxLogits'


@dataclass(frozen=True)
class Script:
    """A script of the folder, and what it stands for."""

    name: str
    idiom: str
    arguments: tuple[str, ...] = ()
    wide: bool = False
    python_2: bool = False

    @property
    def path(self) -> str:
        return os.path.join(IDIOMS, self.name + '.py')


SCRIPTS = {each.name: each for each in (
    Script('classify_image', 'tf.app.run with flags; sys.exit',
           ('--image_size=149', '--checkpoint_path', 'data/inception_v3.ckpt')),
    Script('read_records', 'queue runners, dataset_data_provider'),
    Script('train_slim', 'slim.learning.train, init_fn'),
    Script('finetune', 'checkpoint_exclude_scopes', (
        '--checkpoint_path=data/inception_v3.ckpt', f'--checkpoint_exclude_scopes={NEW_HEAD}',
        f'--trainable_scopes={NEW_HEAD}')),
    Script('eval_slim', 'evaluate_once, streaming metrics'),
    Script('train_clones', 'model_deploy, two clones'),
    # Small steps: where drawn weights' ReLUs are at their kink, a rounding decides what a large
    # one makes of the gradient.
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
    Script('predict_python2', 'Python 2', python_2=True),
)}


@dataclass
class Printed:
    """What a script printed, and how it ended."""

    code: int
    lines: list[str]
    seconds: float = 0.0
    errors: str = ''


@dataclass
class Comparison:
    """How two scripts' output differs; `differences` are sentences, none if it is the same."""

    numbers: int = 0
    largest: float = 0.0
    differences: list[str] = field(default_factory=list)


def compare(then: Printed, now: Printed) -> Comparison:
    """Every word and whole number as it is, every other number within `TOLERANCE`."""
    found = Comparison()
    if then.code != now.code:
        found.differences.append(f'exit code {then.code} then, {now.code} now')
    for number, (old, new) in enumerate(zip(then.lines, now.lines), 1):
        if not _same_line(old, new, found):
            found.differences.append(f'line {number}:\n    then {old}\n    now  {new}')
    if len(then.lines) != len(now.lines):
        found.differences.append(f'{len(then.lines)} lines then, {len(now.lines)} now')
    return found


def _same_line(old: str, new: str, found: Comparison) -> bool:
    # Columns are as wide as a number's sign and digits make them.
    if NUMBER.sub('#', old).split() != NUMBER.sub('#', new).split():
        return False
    same = True
    for one, other in zip(NUMBER.findall(old), NUMBER.findall(new)):
        found.numbers += 1
        if re.fullmatch(r'[-+]?\d+', one):
            same &= one == other
        else:
            apart = abs(float(one) - float(other))
            apart = min(apart, apart / max(abs(float(one)), 1e-30))
            found.largest = max(found.largest, apart)
            same &= apart <= TOLERANCE
    return same


def lay_out(folder: str) -> None:
    """The data of every script, by the names that they use."""
    os.symlink(os.path.join(GOLDEN, 'legacy_scripts'), os.path.join(folder, 'data'))
    os.symlink(WIDE, os.path.join(folder, 'models'))


def run(command: list[str], **environment: str) -> Printed:
    """Runs a command in a new folder that has the scripts' data."""
    names = {'TF_CPP_MIN_LOG_LEVEL': '3', 'PYTHONDONTWRITEBYTECODE': '1', **environment}
    with tempfile.TemporaryDirectory() as folder:
        lay_out(folder)
        began = time.time()
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                               env={**os.environ, **names})
        return Printed(ended.returncode, [each.rstrip() for each in ended.stdout.splitlines()],
                       time.time() - began, ended.stderr)


def run_now(script: Script) -> Printed:
    return run([sys.executable, '-m', 'inception_slim', 'run', script.path, *script.arguments])


def run_then(script: Script, python: list[str]) -> Printed:
    """On the TensorFlow of the time, of `python`."""
    return run([*python, script.path, *script.arguments], PYTHONPATH=LIBRARY,
               PYTHONUSERBASE=OLDER)


def read_recorded() -> dict[str, Printed]:
    """What each script printed when it was last recorded."""
    found = {}
    with open(RECORDED) as file:
        for line in file.read().splitlines():
            heading = re.fullmatch(r'== (\w+), exit code (\d+)', line)
            if heading:
                current = found[heading[1]] = Printed(int(heading[2]), [])
            elif found:
                current.lines.append(line)
    return found


def record(printed: dict[str, Printed]) -> None:
    """Writes what was printed, in place of what the same scripts printed before."""
    kept = {**(read_recorded() if os.path.exists(RECORDED) else {}), **printed}
    with open(RECORDED + '.partial', 'w') as file:
        file.write(
            'What the scripts of scripts/acceptance/legacy_scripts print on TensorFlow 1.15.5, or on '
            '1.15.0 for Python 2.\n'
        )
        for name in SCRIPTS:
            if name in kept:
                file.write(f'== {name}, exit code {kept[name].code}\n')
                file.writelines(line + '\n' for line in kept[name].lines)
    os.replace(RECORDED + '.partial', RECORDED)


def make_wide_weights() -> None:
    if not os.path.exists(os.path.join(WIDE, 'made')):
        print('Drawing the weights of whole networks (once, half a gigabyte)', flush=True)
        subprocess.run(['rm', '-rf', WIDE], check=True)
        subprocess.run([OLD_PYTHON, os.path.join(HERE, 'wide_weights.py'), WIDE], check=True,
                       stderr=subprocess.DEVNULL)
        open(os.path.join(WIDE, 'made'), 'w').close()


def pythons_of_then() -> dict[bool, list[str] | None]:
    """For scripts of Python 3 and of Python 2, the interpreter of the time, if there is one."""
    return {False: [OLD_PYTHON] if set_up_tensorflow_1_15() else None, True: set_up_python_2_7()}


def pairs(scripts: list[Script], pythons: dict[bool, list[str] | None]
          ) -> Iterator[tuple[Script, Printed | None, Printed]]:
    """Each script with what it printed then, None if that is not known, and now."""
    recorded = read_recorded() if os.path.exists(RECORDED) else {}
    for script in tqdm(scripts, unit='script', disable=None):
        python = pythons[script.python_2]
        then = run_then(script, python) if python else recorded.get(script.name)
        yield script, then, run_now(script)


def report(script: Script, then: Printed | None, now: Printed) -> bool:
    """Prints a row of the table, and below it what differs."""
    if then is None:
        tqdm.write(f'{script.name:22} was never recorded, and no Python runs it as it was')
        return False
    found = compare(then, now)
    verdict = 'different' if found.differences else 'the same'
    seconds = f'{then.seconds:6.1f}' if then.seconds else 'record'
    tqdm.write(f'{script.name:22} {script.idiom:36} {len(then.lines):5} {found.numbers:7} '
               f'{found.largest:8.1e} {seconds:>6} {now.seconds:6.1f}  {verdict}')
    for difference in found.differences[:6]:
        tqdm.write(f'  {difference}')
    if found.differences and now.code:
        tqdm.write('  ' + '\n  '.join(now.errors.splitlines()[-3:]))
    return not found.differences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('scripts', nargs='*', metavar='SCRIPT', help='all of them by default')
    parser.add_argument('--record', action='store_true',
                        help='keep what they print on TensorFlow 1.15, and run nothing else')
    arguments = parser.parse_args()
    unknown = [name for name in arguments.scripts if name not in SCRIPTS]
    if unknown:
        parser.error(f'there is no script {unknown[0]!r}; there are {", ".join(SCRIPTS)}')
    scripts = [SCRIPTS[name] for name in arguments.scripts or SCRIPTS]
    pythons = pythons_of_then()
    if pythons[False]:
        make_wide_weights()
    else:
        left_out = [each.name for each in scripts if each.wide]
        scripts = [each for each in scripts if not each.wide]
        if left_out:
            print(f'{", ".join(left_out)} is left out: 1.15.5 draws its weights.')
    if arguments.record:
        return record_scripts(scripts, pythons)
    print(f'{"script":22} {"what it stands for":36} lines numbers  largest   then    now')
    same = [report(*each) for each in pairs(scripts, pythons)]
    print(f'{sum(same)} of {len(same)} print the same')
    return 0 if same and all(same) else 1


def record_scripts(scripts: list[Script], pythons: dict[bool, list[str] | None]) -> int:
    printed = {}
    for script in tqdm(scripts, unit='script', disable=None):
        if pythons[script.python_2]:
            printed[script.name] = run_then(script, pythons[script.python_2])
    record(printed)
    print(f'{len(printed)} of {len(scripts)} recorded in {os.path.relpath(RECORDED)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
