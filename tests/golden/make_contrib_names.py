"""Writes the modules of `tf.contrib` of TensorFlow 1.15.5, with their names, to symbols_1_15.txt.

    .venv-1.15/bin/python tests/golden/make_contrib_names.py

A line of inception_slim/legacy/contrib/symbols_1_15.txt is a module below `tensorflow.contrib`,
followed by its public names unless the module is private (has `python` in its name).
"""

import importlib
import os
import types
import warnings

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
warnings.filterwarnings('ignore')

import tensorflow as tf
import tensorflow.contrib as contrib

tf.logging.set_verbosity(tf.logging.ERROR)
HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = os.path.join(HERE, '..', '..', 'inception_slim', 'legacy', 'contrib', 'symbols_1_15.txt')
# Imported helpers that are not part of a module's API.
IMPORTED_HELPERS = {'absolute_import', 'division', 'print_function', 'xrange', 'make_all',
                    'remove_undocumented'}


def modules():
    """Yields the dotted names of all modules but tests, relative to `tensorflow.contrib`."""
    root = os.path.dirname(contrib.__file__)
    for folder, _, files in os.walk(root):
        for file in files:
            name = os.path.relpath(os.path.join(folder, file), root).replace(os.sep, '.')
            if file == '__init__.py':
                name = name[:-len('.__init__.py')] if folder != root else ''
            elif file.endswith('.py') and not file.endswith('_test.py'):
                name = name[:-len('.py')]
            else:
                continue
            yield name


def exports(name):
    """Returns the public names of a module; none if it is private or cannot be imported."""
    if 'python' in name.split('.'):
        return []
    attribute = contrib
    for part in name.split('.') if name else ():
        attribute = getattr(attribute, part, None)
    try:
        module = importlib.import_module('.'.join(filter(None, ['tensorflow.contrib', name])))
    except Exception:  # some modules exist as attributes only
        module = attribute
    names = {name: getattr(owner, name, None) for owner in (attribute, module)
             if isinstance(owner, types.ModuleType) for name in dir(owner)}
    return [name for name, value in sorted(names.items())
            if not name.startswith('_') and name not in IMPORTED_HELPERS
            and not isinstance(value, types.ModuleType)]


def main():
    lines = [' '.join([name or '.'] + exports(name)) for name in sorted(modules())]
    with open(NAMES, 'w') as file:
        file.writelines(line + '\n' for line in lines)


if __name__ == '__main__':
    main()
