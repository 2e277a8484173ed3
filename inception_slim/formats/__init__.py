"""Read and write networks in other formats: Keras, PyTorch, ONNX, OpenVINO, TFLite, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_slim._lazy import lazy_exports

if TYPE_CHECKING:
    from inception_slim.errors import ExportError as ExportError
    from inception_slim.formats._export import (
        TOLERANCES as TOLERANCES,
        ExportResult as ExportResult,
        export as export,
    )
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, {
        '_export': 'TOLERANCES ExportResult export',
        'inception_slim.errors': 'ExportError',
    })
    __all__ += ['FORMATS', 'PRECISIONS']

FORMATS = ('saved-model', 'frozen', 'tflite', 'keras', 'onnx', 'openvino', 'torch', 'safetensors',
           'timm', 'tfjs')
PRECISIONS = ('float32', 'float16', 'int8')
