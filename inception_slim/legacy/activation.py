"""TensorFlow 1's world for the code of a running process, and its end."""

from __future__ import annotations

import builtins
from collections.abc import Callable

from inception_slim.legacy import import_hook, v1_behavior


def enter_tf1() -> Callable[[], None]:
    """Switches behaviour and imports; returns what switches both back."""
    undo_behaviour = v1_behavior.switch_to_v1()
    hook = import_hook.ImportHook()
    import_hook.install()
    builtins.__import__ = hook

    def end() -> None:
        if builtins.__import__ is hook:
            builtins.__import__ = hook.before
        import_hook.uninstall()
        undo_behaviour()

    return end
