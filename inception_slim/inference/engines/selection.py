"""Chooses the engine: the requested one, or the fastest that is installed."""

from __future__ import annotations

import importlib.util

from inception_slim.errors import InceptionSlimError
from inception_slim.inference.cpu_features import has_avx512
from inception_slim.inference.tf_graph_builder import has_onednn_int8

AUTO = 'auto'
# Engine -> the precisions that it supports.
PRECISIONS_OF = {
    'session': ('float32', 'bfloat16', 'int8'),
    'tflite': ('int8',),
    'onnxruntime': ('float32',),
    'openvino': ('float32', 'bfloat16', 'int8'),
}
# Engine -> the modules that it needs; the extra that installs them has the engine's name.
_MODULES = {'onnxruntime': ('onnx', 'onnxruntime'), 'openvino': ('openvino',)}


def is_installed(engine: str) -> bool:
    """Whether the modules of an engine are installed; does not import them."""
    return all(importlib.util.find_spec(name) is not None for name in _MODULES.get(engine, ()))


def _by_speed(precision: str) -> tuple[str, ...]:
    """The engines, the fastest first, as measured by `make compare-all`."""
    if precision == 'int8':
        return 'openvino', 'session', 'tflite'
    if precision == 'bfloat16':
        return 'openvino', 'session'
    return ('openvino', 'session') if has_avx512() else ('onnxruntime', 'openvino', 'session')


def select_engine(engine: str, precision: str) -> str:
    """The name of the engine to use for a precision.

    Args:
      engine: the requested engine, or 'auto' for the fastest one that is installed.
      precision: 'float32', 'bfloat16' or 'int8'.

    Raises:
      InceptionSlimError: the engine is not installed or does not support the precision here.
    """
    if engine == AUTO:
        return next(name for name in _by_speed(precision)
                    if is_installed(name) and _is_supported(name, precision))
    if precision not in PRECISIONS_OF[engine]:
        others = [name for name, precisions in PRECISIONS_OF.items() if precision in precisions]
        raise InceptionSlimError(
            f'The engine {engine} does not support {precision}, only '
            f'{", ".join(PRECISIONS_OF[engine])}; engines for {precision}: {", ".join(others)}.')
    if not is_installed(engine):
        raise InceptionSlimError(
            f'The engine {engine} is not installed; install it with: pip install '
            f"'inception_slim[{engine}]', or use the default engine.")
    if not _is_supported(engine, precision):
        raise InceptionSlimError(
            f'The engine {engine} does not support {precision} in this TensorFlow, which runs '
            'without oneDNN; use tflite, or leave TF_ENABLE_ONEDNN_OPTS at its default.')
    return engine


def _is_supported(engine: str, precision: str) -> bool:
    return (engine, precision) != ('session', 'int8') or has_onednn_int8()
