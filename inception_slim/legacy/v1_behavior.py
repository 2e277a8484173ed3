"""TensorFlow 1's behaviour in a process of TensorFlow 2, and everything as it was afterwards.

What `tf.disable_v2_behavior` switches, and what else shows from outside: the graph that is the
default, flags, the way NumPy prints, and TensorFlow's remarks on what is deprecated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
import contextlib
import warnings

from absl import flags
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python import tf2
from tensorflow.python.compat import v2_compat
from tensorflow.python.eager import context
from tensorflow.python.framework import ops, tensor, tensor_shape
from tensorflow.python.ops import control_flow_util, resource_variables_toggle
from tensorflow.python.util import deprecation, tf_stack

# Where TensorFlow keeps what `disable_v2_behavior` sets; the public switches only set.
_SWITCHES = (
    (context, 'default_execution_mode'),
    (tensor_shape, '_TENSORSHAPE_V2_OVERRIDE'),
    (resource_variables_toggle, '_DEFAULT_USE_RESOURCE'),
    (tensor.Tensor, '_USE_EQUALITY'),
    (control_flow_util, 'ENABLE_CONTROL_FLOW_V2'),
    (ops._default_graph_stack, '_global_default_graph'),
    (deprecation, '_PRINT_DEPRECATION_WARNINGS'),
)


def _let_scripts_define_flags() -> Callable[[], None]:
    """A script's flags win over those of libraries, such as absl's own `log_dir`."""
    known = flags.FLAGS._flags()
    before = dict(known)
    allowed = {flag: flag.allow_override for flag in before.values()}
    by_module = {name: list(each) for name, each in flags.FLAGS.flags_by_module_dict().items()}
    parsed = flags.FLAGS.is_parsed()
    for flag in allowed:
        flag.allow_override = True

    def undo() -> None:
        for flag, was in allowed.items():
            flag.allow_override = was
        known.clear()
        known.update(before)
        listed = flags.FLAGS.flags_by_module_dict()
        listed.clear()
        listed.update(by_module)
        if not parsed:
            flags.FLAGS.unparse_flags()

    return undo


def _print_arrays_as_then() -> Callable[[], None]:
    """`[1.0]` for a list of a NumPy scalar, where NumPy 2 prints `[np.float32(1.0)]`."""
    if int(np.__version__.split('.')[0]) < 2:
        return lambda: None
    before = np.get_printoptions()
    np.set_printoptions(legacy='1.25')
    return lambda: np.set_printoptions(**before)


def _hush_layers() -> Callable[[], None]:
    """The layers of `tf.layers` say at each call that they are deprecated."""
    before = warnings.filters[:]
    warnings.filterwarnings('ignore', message='.*is deprecated and', category=UserWarning)

    def undo() -> None:
        warnings.filters[:] = before  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]

    return undo


def switch_to_v1() -> Callable[[], None]:
    """Switches TensorFlow to the behaviour of version 1; returns what switches it back."""
    before = [(owner, name, getattr(owner, name)) for owner, name in _SWITCHES]
    enabled = tf2.enabled()
    local = context.context()._thread_local_data
    was_eager = local.is_eager
    undo_others = contextlib.ExitStack()
    for change in (_let_scripts_define_flags, _print_arrays_as_then, _hush_layers):
        undo_others.callback(change())
    deprecation._PRINT_DEPRECATION_WARNINGS = False
    tf.disable_v2_behavior()
    ops._default_graph_stack._global_default_graph = None

    def undo() -> None:
        undo_others.close()
        if enabled:
            tf2.enable()
            for name in v2_compat._DATA_V2_CALLBACKS.list():
                v2_compat._DATA_V2_CALLBACKS.lookup(name)()
        for owner, name, value in before:
            setattr(owner, name, value)
        local.is_eager = was_eager

    return undo


@contextlib.contextmanager
def exclude_from_op_tracebacks(files: Collection[str]) -> Iterator[None]:
    """Leaves the frames of some files out of the trace that TensorFlow keeps of each op."""

    class Filter(tf_stack.StackTraceFilter):
        def get_filtered_filenames(self):
            return frozenset(files)

    with Filter():
        yield
