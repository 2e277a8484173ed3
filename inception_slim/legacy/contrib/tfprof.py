"""`tf.contrib.tfprof.model_analyzer`: TensorFlow's profiler under its original names."""

from __future__ import annotations

import tensorflow.compat.v1 as tf
from tensorflow.python.profiler.model_analyzer import (
    ALL_ADVICE,
    Profiler,
    advise as _advise,
)

__all__ = ['ALL_ADVICE', 'FLOAT_OPS_OPTIONS', 'PRINT_ALL_TIMING_MEMORY', 'Profiler',
           'TRAINABLE_VARS_PARAMS_STAT_OPTIONS', 'advise', 'print_model_analysis']
_Builder = tf.profiler.ProfileOptionBuilder

TRAINABLE_VARS_PARAMS_STAT_OPTIONS = _Builder.trainable_variables_parameter()
FLOAT_OPS_OPTIONS = _Builder.float_operation()
PRINT_ALL_TIMING_MEMORY = _Builder.time_and_memory()


def print_model_analysis(graph, run_meta=None, op_log=None, tfprof_cmd: str = 'scope',
                         tfprof_options: dict | None = None):
    """Print the parameters and costs of a graph's nodes and return them as a proto.

    Args:
      graph: the graph to analyze.
      run_meta: `RunMetadata` of a run, for times and memory.
      op_log: additional information about ops.
      tfprof_cmd: 'op', 'scope', 'graph' or 'code'.
      tfprof_options: which nodes and values to print; None prints all of them.
    """
    return tf.profiler.profile(
        graph, run_meta, op_log, tfprof_cmd,
        _all_options() if tfprof_options is None else tfprof_options)


def _all_options() -> dict:
    return {'max_depth': 10000, 'min_bytes': 0, 'min_peak_bytes': 0, 'min_residual_bytes': 0,
            'min_output_bytes': 0, 'min_micros': 0, 'min_accelerator_micros': 0,
            'min_cpu_micros': 0, 'min_params': 0, 'min_float_ops': 0, 'min_occurrence': 0,
            'order_by': 'name', 'account_type_regexes': ['.*'], 'start_name_regexes': ['.*'],
            'trim_name_regexes': [], 'show_name_regexes': ['.*'], 'hide_name_regexes': [],
            'account_displayed_op_only': True, 'select': ['micros', 'bytes'],
            'step': -1, 'output': 'stdout'}


def advise(graph, run_meta=None, tfprof_options: dict | None = None):
    """Return the profiler's advice about a graph."""
    return _advise(graph, run_meta, ALL_ADVICE if tfprof_options is None else tfprof_options)
