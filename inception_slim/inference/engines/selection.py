"""Which engine runs a network: the one that was asked for, or the fastest at hand."""

from __future__ import annotations

import importlib.util

from inception_slim.errors import InceptionSlimError
from inception_slim.inference.cpu_features import has_avx512
from inception_slim.inference.tf_graph_builder import has_onednn_int8

AUTO = 'auto'
# Engine -> the precisions that it does.
PRECISIONS_OF = {
    'session': ('float32', 'bfloat16', 'int8'),
    'tflite': ('int8',),
    'onnxruntime': ('float32',),
    'openvino': ('float32', 'bfloat16', 'int8'),
}
# Engine -> what must be installed for it, by the extra of the same name.
_NEEDS = {'onnxruntime': ('onnx', 'onnxruntime'), 'openvino': ('openvino',)}


def is_installed(engine: str) -> bool:
    """Whether what the engine needs is there; it is looked for, not imported."""
    return all(importlib.util.find_spec(each) is not None for each in _NEEDS.get(engine, ()))


def _order(precision: str) -> tuple[str, ...]:
    """The engines, the fastest first, as `make compare-all` found them on such a processor."""
    if precision == 'int8':
        return 'openvino', 'session', 'tflite'
    if precision == 'bfloat16':
        return 'openvino', 'session'
    return ('openvino', 'session') if has_avx512() else ('onnxruntime', 'openvino', 'session')


def select_engine(engine: str, precision: str) -> str:
    """The name of the engine to run a precision.

    Raises:
      InceptionSlimError: the engine is not installed, or does not do that precision here.
    """
    if engine == AUTO:
        return next(each for each in _order(precision)
                    if is_installed(each) and _does(each, precision))
    if precision not in PRECISIONS_OF[engine]:
        able = [each for each, does in PRECISIONS_OF.items() if precision in does]
        raise InceptionSlimError(
            f'The engine {engine} does not do {precision}, but {", ".join(PRECISIONS_OF[engine])}; '
            f'{precision} is done by {", ".join(able)}.')
    if not is_installed(engine):
        raise InceptionSlimError(f'The engine {engine} is not installed; pip install '
                                 f"'inception_slim[{engine}]', or leave engine out.")
    if not _does(engine, precision):
        raise InceptionSlimError(
            f'The engine {engine} does not do {precision} here, since this TensorFlow multiplies '
            'without oneDNN; use tflite, or leave TF_ENABLE_ONEDNN_OPTS as it is by default.')
    return engine


def _does(engine: str, precision: str) -> bool:
    return (engine, precision) != ('session', 'int8') or has_onednn_int8()
