"""README and the pages: their Python runs as printed, and what they name exists."""

import glob
import os
from pathlib import Path
import re
import shlex

import fork_server
from inception_slim import cli
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = {os.path.relpath(path, ROOT): Path(path).read_text('utf-8')
         for path in sorted(glob.glob(os.path.join(ROOT, '*.md'))
                            + glob.glob(os.path.join(ROOT, 'docs', '*.md')))}
EXAMPLES = [pytest.param(code, id=f'{page}-{number}',
                         marks=() if page == 'README.md' else pytest.mark.slow)
            for page, text in PAGES.items()
            for number, code in enumerate(re.findall(r'```python\n(.*?)```', text, re.DOTALL), 1)]
# `make X`, and `inception-slim VERB ...` up to the end of the command, with lines it goes on in.
TARGET = re.compile(r'(?:^ {4}|`|\$ )(?:[A-Z]+=\S+ )?make ([a-z][a-z0-9.-]*)', re.MULTILINE)
COMMAND = re.compile(
    r'(?:^ {4}(?:\$ )?|`)(?:\.venv/bin/)?inception-slim ([a-z].*?(?:\\\n.*?)*)(?:`|$)',
    re.MULTILINE)


def commands(text):
    for command in COMMAND.findall(text):
        words = shlex.split(re.sub(r'\\\n', ' ', command), comments=True)
        yield words[0], [word.split('=')[0] for word in words[1:] if word.startswith('--')]


def verbs():
    """Their flags, by verb."""
    choices = cli.parser()._subparsers._group_actions[0].choices
    return {verb: set(parser._option_string_actions) for verb, parser in choices.items()}


def test_there_are_examples():
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize('code', EXAMPLES)
def test_example(code):
    done = fork_server.python(code, folder=ROOT)
    assert done.returncode == 0, done.stderr
    # What a line prints stands behind it.
    expected = re.findall(r'print\(.*\)  # (.*)', code)
    assert done.stdout.splitlines() == expected


def test_targets_exist():
    with open(os.path.join(ROOT, 'Makefile')) as file:
        targets = set(re.findall(r'^([a-z0-9.-]+):', file.read(), re.MULTILINE))
    named = {(page, target) for page, text in PAGES.items() for target in TARGET.findall(text)}
    assert len(named) >= 20
    assert not [each for each in named if each[1] not in targets]


def test_commands_for_published_numbers_are_complete():
    commands = COMMAND.findall(PAGES[os.path.join('docs', 'reproduce.md')])
    assert len(commands) >= 12
    for command in commands:
        cli.parser().parse_args(shlex.split(command))  # exits with an error


def test_verbs_and_their_flags_exist():
    known, unknown, seen = verbs(), [], 0
    for page, text in PAGES.items():
        for verb, flags in commands(text):
            seen += 1
            # What comes after a script is the script's own.
            unknown += [(page, verb, flag) for flag in flags
                        if verb != 'run' and flag not in known.get(verb, ())]
            unknown += [(page, verb)] * (verb not in known)
    assert seen >= 20
    assert not unknown
