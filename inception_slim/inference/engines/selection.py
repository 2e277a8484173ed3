"""Chooses the engine: the requested one, or the fastest that is installed."""

from __future__ import annotations

import importlib.util

from inception_slim._threads import available_cores
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
# Precision -> engine -> seconds to load the engine without a cache, beyond the fastest, and seconds
# of one core for an image of Inception V3 in batches: with AVX-512 and VNNI, and with AVX2 alone.
# An image as measured by `make compare-all` (with AVX2, on a slower machine), loading by `make
# bench-start`, with oneDNN limited to AVX2 for the second. Other networks take as much more or less
# to load as to run.
_COSTS: dict[bool, dict[str, dict[str, tuple[float, float]]]] = {
    True: {
        'float32': {'openvino': (0, 0.097), 'session': (0, 0.102)},
        'bfloat16': {'openvino': (0, 0.049), 'session': (0, 0.0526)},
        'int8': {'openvino': (0, 0.0263), 'session': (0, 0.0324), 'tflite': (2.6, 0.0430)},
    },
    False: {
        'float32': {'onnxruntime': (0.5, 0.168), 'openvino': (0, 0.175), 'session': (0, 0.180)},
        'bfloat16': {'openvino': (0, 0.175), 'session': (0, 0.180)},
        'int8': {'openvino': (0.3, 0.0798), 'session': (0, 0.0845), 'tflite': (3.7, 0.158)},
    },
}
# Engine -> the modules that it needs; the extra that installs them has the engine's name.
_MODULES = {'onnxruntime': ('onnx', 'onnxruntime'), 'openvino': ('openvino',)}


def is_installed(engine: str) -> bool:
    """Whether the modules of an engine are installed; does not import them."""
    return all(importlib.util.find_spec(name) is not None for name in _MODULES.get(engine, ()))


def _by_speed(precision: str, images: int | None) -> list[str]:
    """The engines, the fastest first, for so many images, or for any number from now on."""
    costs = _COSTS[has_avx512()][precision]

    def seconds(engine: str) -> float:
        loading, image = costs[engine]
        return image if images is None else loading + images * image / available_cores()

    return sorted(costs, key=seconds)


def select_engine(engine: str, precision: str, images: int | None = None) -> str:
    """The name of the engine to use for a precision.

    Args:
      engine: the requested engine, or 'auto' for the fastest one that is installed.
      precision: 'float32', 'bfloat16' or 'int8'.
      images: how many images there will be: for a few, the time to load the engine counts. None if
        that is not known, or with a cache, from which all engines are loaded in the same time.

    Raises:
      InceptionSlimError: the engine is not installed or does not support the precision here.
    """
    if engine == AUTO:
        return next(name for name in _by_speed(precision, images)
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
