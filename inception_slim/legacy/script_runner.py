"""Run a script of TensorFlow 1 in this process, as `python SCRIPT` would.

The script sees the arguments, the folder, the `__main__` module and the tracebacks of plain Python.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
import importlib.util
import io
import os
import runpy
import sys
import types

from inception_slim import _module_proxy, _tf_logging
from inception_slim._special_files import check_regular
from inception_slim.errors import InceptionSlimError, printable
from inception_slim.legacy import (
    estimator,
    import_hook,
    library_shims,
    notebook,
    numpy_names,
    tf1_modules,
    v1_behavior,
)
from inception_slim.legacy.python2 import files, runtime, translation
from inception_slim.legacy.python2.translation import Python2Error

# Files whose frames tracebacks leave out.
_HIDDEN_FILES: set[str] = {str(module.__file__) for module in (
    library_shims, tf1_modules, import_hook, estimator, _module_proxy, translation, runtime,
    numpy_names, files)} | {__file__}


def run_script(path: str, arguments: Sequence[str], allow_shell: bool = False) -> None:
    """Run `python path arguments…`.

    Args:
      path: a script, a notebook, or a folder that contains `__main__.py`.
      arguments: the script's `sys.argv[1:]`.
      allow_shell: whether the shell commands of a notebook run.

    Raises:
      Whatever the script raises; `sys.excepthook` then shows the traceback of plain Python.
    """
    if os.path.isdir(path):
        sys.argv[:] = [path, *arguments]
        _set_first_path(path)
        _run(lambda: runpy._run_module_as_main(  # type: ignore[attr-defined]
            '__main__', alter_argv=False))
        return
    try:
        check_regular(path, InceptionSlimError, allow_stream=True)
        with io.open_code(path) as file:
            source = file.read()
        cells = (notebook.read(path, source, allow_shell) if notebook.is_notebook(path) else None)
    except InceptionSlimError as error:
        print(f'inception-slim: {printable(str(error))}', file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        print(f"inception-slim: can't open file {os.path.abspath(path)!r}: [Errno {error.errno}] "
              f'{error.strerror}', file=sys.stderr)
        raise SystemExit(2) from None
    sys.argv[:] = [path, *arguments]
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    path = os.path.join(os.getcwd(), path)

    def run() -> None:
        names = vars(_replace_main_module())
        names.update(__file__=path, __cached__=None, __loader__=SourceFileLoader('__main__', path))
        if cells is None:
            exec(import_hook.compile_script(source, path), names)
            return
        # Without a loader, whose source is no Python, tracebacks show the lines that are cached.
        names.update(display=print, __legacy_shell__=notebook.run_shell, __loader__=None)
        for code in import_hook.compile_notebook(cells):
            exec(code, names)

    _run(run)


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Run `python -m name arguments…`; an installed module is treated as the script's own."""
    sys.argv[:] = ['-m', *arguments]
    _set_first_path(os.getcwd())
    _replace_main_module()
    try:
        spec = importlib.util.find_spec(name.partition('.')[0])
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.origin and import_hook.is_installed(spec.origin):
        import_hook.add_own_package(
            os.path.dirname(spec.origin) if spec.submodule_search_locations else spec.origin)
    _run(lambda: runpy._run_module_as_main(name))  # type: ignore[attr-defined]


def _set_first_path(folder: str) -> None:
    if not getattr(sys.flags, 'safe_path', False):
        sys.path[0] = folder


def _replace_main_module() -> types.ModuleType:
    import builtins
    main = types.ModuleType('__main__')
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    sys.modules['__main__'] = main
    return main


def _run(run: Callable[[], None]) -> None:
    if _tf_logging.silenced:  # TensorFlow has read the variable; the script gets the user's value
        os.environ.pop(_tf_logging.LEVEL, None)
    v1_behavior.switch_to_v1()
    import_hook.install()
    try:
        with v1_behavior.exclude_from_op_tracebacks(_HIDDEN_FILES | _files_on_stack()):
            run()
    except SystemExit:
        raise
    except Python2Error as error:
        print(f'inception-slim: {printable(str(error))}', file=sys.stderr)
        raise SystemExit(1) from None
    except BaseException:
        _trim_shown_traceback()
        raise


def _files_on_stack() -> set[str]:
    """The files of the frames below the script's: how this process was started."""
    files, frame = set(), sys._getframe()
    while frame is not None:
        files.add(frame.f_code.co_filename)
        frame = frame.f_back
    return files


def _trim_shown_traceback() -> None:
    """Show the error that ends the script without the frames of this package."""
    show = sys.excepthook

    def show_trimmed(kind, error, trace) -> None:
        trace = _trim(trace)
        show(kind, error.with_traceback(trace), trace)

    sys.excepthook = show_trimmed


def _trim(trace: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback that starts at the script's first frame, without frames of `_HIDDEN_FILES`."""
    entries = []
    while trace is not None:
        entries.append(trace)
        trace = trace.tb_next
    files = [entry.tb_frame.f_code.co_filename for entry in entries]
    start = max((number + 1 for number, file in enumerate(files) if file == __file__), default=0)
    trimmed = None
    for entry, file, caller in reversed([*zip(entries, files, ['', *files])][start:]):
        # Python compiles a script without the frame of `ast.parse`.
        if file not in _HIDDEN_FILES and (file, caller) != (ast.__file__, translation.__file__):
            trimmed = types.TracebackType(trimmed, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return trimmed
