"""TensorFlow 1's world for the code of a running process, and its end."""

from __future__ import annotations

import builtins
from collections.abc import Callable

from inception_slim.legacy import behaviour, imports


def begin() -> Callable[[], None]:
    """Switches behaviour and imports; returns what switches both back."""
    undo_behaviour = behaviour.switch_to_v1()
    hook = imports.Hook()
    imports.install()
    builtins.__import__ = hook

    def end() -> None:
        if builtins.__import__ is hook:
            builtins.__import__ = hook.before
        imports.uninstall()
        undo_behaviour()

    return end
