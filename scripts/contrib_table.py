"""Write the tables of docs/contrib.md: which names of `tf.contrib` are supported.

    python -m scripts.contrib_table
"""

from __future__ import annotations

import os

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim._atomic_write import atomic_write
from inception_slim.legacy import contrib
from inception_slim.legacy.contrib import replacements

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                    'docs', 'contrib.md')
BEGIN, END = '<!-- begin: make contrib-table -->\n', '<!-- end -->\n'
MAX_LISTED = 12  # unsupported names per module
OPTIONAL = ('tensorboard',)  # supported if a package is installed that nothing else here needs


def table() -> str:
    """Return two Markdown tables: modules with supported names, and modules without.

    The names are those that TensorFlow 1.15.5 had in a module, without its submodules.
    """
    rows: list[str] = []
    unsupported: dict[str, list[str]] = {}
    for name in replacements.top_level_modules():
        module = contrib.get_module(f'{contrib.ROOT}.{name}')
        symbols = sorted(replacements.known_symbols()[name])
        missing = [symbol for symbol in symbols if not module.supports(symbol)]
        if name in OPTIONAL or not module.supports_any():
            unsupported.setdefault(module.advice or '(no replacement)', []).append(f'`{name}`')
            continue
        count = f'{len(symbols) - len(missing)} of {len(symbols)}' if symbols else 'submodules'
        listed = ', '.join(f'`{symbol}`' for symbol in missing[:MAX_LISTED])
        if len(missing) > MAX_LISTED:
            listed += f' and {len(missing) - MAX_LISTED} more'
        rows.append(f'| `{name}` | {count} | {listed} | {module.advice if missing else ""} |')
    return '\n'.join([
        '| module | supported names | not supported | use instead |', '|---|---|---|---|', *rows,
        '',
        '| unsupported modules | use instead |', '|---|---|',
        *(f'| {", ".join(names)} | {advice} |' for advice, names in unsupported.items()), ''])


def with_table(page: str) -> str:
    """Return the page with new tables between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def main() -> None:
    with open(PAGE, encoding='utf-8') as file:
        page = file.read()
    with atomic_write(PAGE) as file:
        file.write(with_table(page).encode())


if __name__ == '__main__':
    main()
