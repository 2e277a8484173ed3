"""What lets old code run: tf-slim on a TensorFlow that has moved on, and scripts of TensorFlow 1.

`activate` gives a notebook or a test what `inception-slim run` gives a script.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

__all__ = ['Activation', 'activate', 'deactivate']

_undo: list[Callable[[], None]] = []


class Activation:
    """What `activate` returns: to be left as a context, or by `deactivate`."""

    def __enter__(self) -> Activation:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        deactivate()


def activate() -> Activation:
    """From here on, `import tensorflow` in your own code is TensorFlow 1's face.

    Your own is what is typed, a notebook's cells, and modules that no package installer put there;
    they have `tf.contrib` in every spelling of import, and what `inception-slim run` restores
    around TensorFlow. Installed libraries keep seeing the real TensorFlow. TensorFlow's behaviour
    is that of `tf.disable_v2_behavior`, for all who use it in this process.

        with inception_slim.legacy.activate():
            import tensorflow as tf
            ...

    In a notebook the call alone is enough; `deactivate()` ends it. Activations nest.

    Returns:
      A context that ends with `deactivate()`: imports, modules, flags and TensorFlow's behaviour
      are as they were then.
    """
    # Importing the package must not cost what only scripts need.
    from inception_slim.legacy import activation
    _undo.append(activation.enter_tf1() if not _undo else lambda: None)
    return Activation()


def deactivate() -> None:
    """Ends the last `activate`; without one, does nothing."""
    if _undo:
        _undo.pop()()
