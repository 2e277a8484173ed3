"""Support for TensorFlow 1 code: `tf.contrib`, research/slim packages and scripts of 2016 to 2019.

`activate` gives a notebook or a test what `inception-slim run` gives a script.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from types import TracebackType

__all__ = ['Activation', 'activate', 'deactivate', 'load_ipython_extension',
           'unload_ipython_extension']

_undo_stack: list[Callable[[], None]] = []


class Activation:
    """Context manager returned by `activate`; calls `deactivate` on exit."""

    def __enter__(self) -> Activation:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        deactivate()


def activate() -> Activation:
    """Make `import tensorflow` in your own code import TensorFlow 1.

    Your own code is an interactive session, notebook cells, and modules that are not installed
    packages. It gets `tf.contrib` and everything else that `inception-slim run` gives a script.
    Installed libraries keep the real TensorFlow. TensorFlow switches to v1 behavior
    (`tf.disable_v2_behavior`) for the whole process.

        with inception_slim.legacy.activate():
            import tensorflow as tf
            ...

    In a notebook, the call alone is enough; `deactivate()` undoes it. Calls can be nested.

    Returns:
      A context manager that calls `deactivate()`, which restores imports, modules, flags and
      TensorFlow's behavior.
    """
    _undo_stack.append(_enter_tf1() if not _undo_stack else lambda: None)
    return Activation()


def deactivate() -> None:
    """Undo the last `activate`; do nothing if there was none."""
    if _undo_stack:
        _undo_stack.pop()()


def load_ipython_extension(ipython: object) -> None:
    """`%load_ext inception_slim.legacy` in a notebook: `activate`."""
    activate()


def unload_ipython_extension(ipython: object) -> None:
    """`%unload_ext inception_slim.legacy`: `deactivate`."""
    deactivate()


def _enter_tf1() -> Callable[[], None]:
    """Switch TensorFlow's behavior and the imports; return a function that switches both back."""
    # Imported here because both import TensorFlow.
    from inception_slim.legacy import import_hook, v1_behavior
    undo_behavior = v1_behavior.switch_to_v1()
    hook = import_hook.ImportHook()
    import_hook.install()
    builtins.__import__ = hook

    def undo() -> None:
        if builtins.__import__ is hook:
            builtins.__import__ = hook.original
        import_hook.uninstall()
        undo_behavior()

    return undo
