"""Writes the table of docs/contrib.md: which names of `tf.contrib` are served, from the code.

    python -m scripts.contrib_table
"""

from __future__ import annotations

import os

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim.legacy import contrib
from inception_slim.legacy.contrib import replacements
from inception_slim.legacy.contrib.modules import ROOT

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                    'docs', 'contrib.md')
BEGIN, END = '<!-- begin: make contrib-table -->\n', '<!-- end -->\n'
FEW = 12  # names that are told one by one
OPTIONAL = ('tensorboard',)  # served where a package is installed that nothing here needs


def table() -> str:
    """Two lists in Markdown: modules of which something is served, and those of which nothing is.

    Names are those that TensorFlow 1.15.5 had in a module, without the modules below it.
    """
    rows: list[str] = []
    gone: dict[str, list[str]] = {}
    for group in replacements.groups():
        face = contrib.modules()[f'{ROOT}.{group}']()
        names = sorted(replacements.known_symbols()[group])
        missing = [name for name in names if not face.serves(name)]
        if group in OPTIONAL or not face.serves_anything():
            gone.setdefault(face.advice(), []).append(f'`{group}`')
            continue
        count = f'{len(names) - len(missing)} of {len(names)}' if names else 'its modules'
        told = ', '.join(f'`{name}`' for name in missing[:FEW])
        if len(missing) > FEW:
            told += f' and {len(missing) - FEW} more'
        rows.append(f'| `{group}` | {count} | {told} | {face.advice() if missing else ""} |')
    return '\n'.join([
        '| module | names served | not served | instead |', '|---|---|---|---|', *rows, '',
        '| nothing behind it | today |', '|---|---|',
        *(f'| {", ".join(names)} | {advice} |' for advice, names in gone.items()), ''])


def with_table(page: str) -> str:
    """The page, with the table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def main() -> None:
    with open(PAGE, encoding='utf-8') as file:
        page = file.read()
    with open(PAGE + '.new', 'w', encoding='utf-8') as file:
        file.write(with_table(page))
    os.replace(PAGE + '.new', PAGE)


if __name__ == '__main__':
    main()
