"""Runs a script of TensorFlow 1 in this process, as `python SCRIPT` would have run it then.

What the process was started with is behind the script's back: its arguments, its folder, its
`__main__` and its traceback are those of plain Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
import importlib.util
import io
import os
import runpy
import sys
import types

from inception_slim import _module_proxy, _tf_logging
from inception_slim.legacy import import_hook, library_shims, tf1_modules, v1_behavior
from inception_slim.legacy.python2 import Python2Error

_HIDDEN: set[str] = {
    str(each.__file__) for each in (library_shims, tf1_modules, import_hook, _module_proxy)
} | {__file__}


def run_script(path: str, arguments: Sequence[str]) -> None:
    """`python path arguments…`.

    Args:
      path: a script, or a folder with a `__main__.py` in it.
      arguments: what the script finds in `sys.argv[1:]`.

    Raises:
      Whatever the script raises; `sys.excepthook` shows then what plain Python would.
    """
    if os.path.isdir(path):
        sys.argv[:] = [path, *arguments]
        _set_first_path(path)
        _run(lambda: runpy._run_module_as_main(  # type: ignore[attr-defined]
            '__main__', alter_argv=False))
        return
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        print(f"inception-slim: can't open file {os.path.abspath(path)!r}: [Errno {error.errno}] "
              f'{error.strerror}', file=sys.stderr)
        raise SystemExit(2) from None
    sys.argv[:] = [path, *arguments]
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    path = os.path.join(os.getcwd(), path)

    def run() -> None:
        names = vars(_fresh_main())
        names.update(__file__=path, __cached__=None, __loader__=SourceFileLoader('__main__', path))
        exec(import_hook.compile_script(source, path), names)

    _run(run)


def run_module(name: str, arguments: Sequence[str]) -> None:
    """`python -m name arguments…`; an installed module counts as the script's own."""
    sys.argv[:] = ['-m', *arguments]
    _set_first_path(os.getcwd())
    _fresh_main()
    try:
        found = importlib.util.find_spec(name.partition('.')[0])
    except (ImportError, ValueError):
        found = None
    if found is not None and found.origin and import_hook.is_installed(found.origin):
        import_hook.add_own_package(
            os.path.dirname(found.origin) if found.submodule_search_locations else found.origin
        )
    _run(lambda: runpy._run_module_as_main(name))  # type: ignore[attr-defined]


def _set_first_path(folder: str) -> None:
    if not getattr(sys.flags, 'safe_path', False):
        sys.path[0] = folder


def _fresh_main() -> types.ModuleType:
    import builtins
    main = types.ModuleType('__main__')
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    sys.modules['__main__'] = main
    return main


def _run(run: Callable[[], None]) -> None:
    if _tf_logging.silenced:  # TensorFlow has read it; the script's environment is the user's
        os.environ.pop(_tf_logging.LEVEL, None)
    v1_behavior.switch_to_v1()
    import_hook.install()
    try:
        with v1_behavior.exclude_from_op_tracebacks(_HIDDEN | _files_below()):
            run()
    except SystemExit:
        raise
    except Python2Error as error:
        print(f'inception-slim: {error}', file=sys.stderr)
        raise SystemExit(1) from None
    except BaseException:
        _show_without_us()
        raise


def _files_below() -> set[str]:
    """The files of all that is on the stack: what the process was started with."""
    files, frame = set(), sys._getframe()
    while frame is not None:
        files.add(frame.f_code.co_filename)
        frame = frame.f_back
    return files


def _show_without_us() -> None:
    """Lets the error that is on its way out be shown as if the script stood alone."""
    show = sys.excepthook

    def show_trimmed(kind, error, trace) -> None:
        trace = _trimmed(trace)
        show(kind, error.with_traceback(trace), trace)

    sys.excepthook = show_trimmed


def _trimmed(trace: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback from the script's first frame on, without the frames of our imports."""
    entries = []
    while trace is not None:
        entries.append(trace)
        trace = trace.tb_next
    ours = [number for number, each in enumerate(entries)
            if each.tb_frame.f_code.co_filename == __file__]
    kept = [each for each in entries[ours[-1] + 1 if ours else 0:]
            if each.tb_frame.f_code.co_filename not in _HIDDEN]
    trimmed = None
    for each in reversed(kept):
        trimmed = types.TracebackType(trimmed, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return trimmed
