"""Switch TensorFlow to v1 behavior, and back.

Beyond `tf.disable_v2_behavior`: the default graph, flags, NumPy's print format, and deprecation
warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
import contextlib
import functools
import warnings

from absl import flags
from inception_slim._graph_attributes import leave_out_new_attributes, leave_out_of_node
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python import tf2
from tensorflow.python.compat import v2_compat
from tensorflow.python.eager import context
from tensorflow.python.framework import importer, ops, tensor, tensor_shape
from tensorflow.python.ops import control_flow_util, resource_variables_toggle
from tensorflow.python.util import deprecation, tf_stack

# The variables behind `disable_v2_behavior`; the public functions can set but not read them.
_SWITCHES = (
    (context, 'default_execution_mode'),
    (tensor_shape, '_TENSORSHAPE_V2_OVERRIDE'),
    (resource_variables_toggle, '_DEFAULT_USE_RESOURCE'),
    (tensor.Tensor, '_USE_EQUALITY'),
    (control_flow_util, 'ENABLE_CONTROL_FLOW_V2'),
    (ops._default_graph_stack, '_global_default_graph'),
    (deprecation, '_PRINT_DEPRECATION_WARNINGS'),
)


def _let_scripts_redefine_flags() -> Callable[[], None]:
    """Let a script's flags override those of libraries, such as absl's `log_dir`."""
    registered = flags.FLAGS._flags()
    before = dict(registered)
    allowed = {flag: flag.allow_override for flag in before.values()}
    by_module = {name: list(module_flags)
                 for name, module_flags in flags.FLAGS.flags_by_module_dict().items()}
    parsed = flags.FLAGS.is_parsed()
    for flag in allowed:
        flag.allow_override = True

    def undo() -> None:
        for flag, allow_override in allowed.items():
            flag.allow_override = allow_override
        registered.clear()
        registered.update(before)
        flags_by_module = flags.FLAGS.flags_by_module_dict()
        flags_by_module.clear()
        flags_by_module.update(by_module)
        if not parsed:
            flags.FLAGS.unparse_flags()

    return undo


def _print_scalars_without_type() -> Callable[[], None]:
    """Print `[1.0]` for a list of a NumPy scalar; NumPy 2 prints `[np.float32(1.0)]`."""
    if int(np.__version__.split('.')[0]) < 2:
        return lambda: None
    before = np.get_printoptions()
    np.set_printoptions(legacy='1.25')
    return lambda: np.set_printoptions(**before)


def _ignore_layer_warnings() -> Callable[[], None]:
    """Ignore the deprecation warning that `tf.layers` raises in every call."""
    before = warnings.filters[:]
    warnings.filterwarnings('ignore', message='.*is deprecated and', category=UserWarning)

    def undo() -> None:
        warnings.filters[:] = before  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]

    return undo


def _let_scripts_write_shapes() -> Callable[[], None]:
    """Let `t.__dict__['_shape_val'] = …` and `t._shape = …` change the static shape of a tensor.

    Programs for FID widen the batch of a frozen graph so. The shapes of other tensors stay as they
    are, and so does the graph, which is why `Session.run` then accepts more images.
    """
    symbolic = ops.SymbolicTensor
    shape, set_shape, raw_shape = symbolic.shape, symbolic.set_shape, symbolic._shape

    def get(self):
        written = vars(self).get('_shape_val')
        return written if written is not None else shape.__get__(self)

    def write(self, value) -> None:
        vars(self)['_shape_val'] = tf.TensorShape(value)

    def merge(self, value) -> None:
        vars(self).pop('_shape_val', None)
        set_shape(self, value)

    names = {'shape': property(get), 'set_shape': merge,
             '_shape': property(raw_shape.__get__, write)}
    for name, value in names.items():
        setattr(symbolic, name, value)

    def undo() -> None:
        for name in names:  # what is inherited remains
            delattr(symbolic, name)

    return undo


def _write_graphs_for_1_15() -> Callable[[], None]:
    """Let TensorFlow 1.15.5 read the graphs that scripts write."""
    as_graph_def, set_defaults = ops.Graph.as_graph_def, importer._SetDefaultAttrValues

    @functools.wraps(as_graph_def)
    def as_graph_def_for_1_15(*args, **options):
        return leave_out_new_attributes(as_graph_def(*args, **options))

    def set_defaults_of_1_15(node, operation) -> None:
        set_defaults(node, operation)
        leave_out_of_node(node)

    ops.Graph.as_graph_def = as_graph_def_for_1_15
    # `tf.import_graph_def` adds the default attributes to the graph that it is given.
    importer._SetDefaultAttrValues = set_defaults_of_1_15

    def undo() -> None:
        ops.Graph.as_graph_def = as_graph_def
        importer._SetDefaultAttrValues = set_defaults

    return undo


def switch_to_v1() -> Callable[[], None]:
    """Switch TensorFlow to v1 behavior; return a function that restores the previous state."""
    before = [(owner, name, getattr(owner, name)) for owner, name in _SWITCHES]
    v2_enabled = tf2.enabled()
    thread_data = context.context()._thread_local_data
    was_eager = thread_data.is_eager
    undo_others = contextlib.ExitStack()
    for change in (_let_scripts_redefine_flags, _print_scalars_without_type,
                   _ignore_layer_warnings, _let_scripts_write_shapes,
                   _write_graphs_for_1_15):
        undo_others.callback(change())
    deprecation._PRINT_DEPRECATION_WARNINGS = False
    tf.disable_v2_behavior()
    ops._default_graph_stack._global_default_graph = None

    def undo() -> None:
        undo_others.close()
        if v2_enabled:
            tf2.enable()
            for name in v2_compat._DATA_V2_CALLBACKS.list():
                v2_compat._DATA_V2_CALLBACKS.lookup(name)()
        for owner, name, value in before:
            setattr(owner, name, value)
        thread_data.is_eager = was_eager

    return undo


@contextlib.contextmanager
def exclude_from_op_tracebacks(files: Collection[str]) -> Iterator[None]:
    """Leave the frames of some files out of the stack trace that TensorFlow records per op."""

    class Filter(tf_stack.StackTraceFilter):
        def get_filtered_filenames(self):
            return frozenset(files)

    with Filter():
        yield
