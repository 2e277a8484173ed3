"""An ONNX file, for the runtimes that read it."""

from __future__ import annotations

import tensorflow

from inception_slim.errors import ExportError
from inception_slim.formats.frozen import classic
from inception_slim.formats.writing import Answer


def write(info, weights, path: str) -> Answer:
    try:
        import onnxruntime
        import tf2onnx
    except (ImportError, AttributeError) as error:
        raise ExportError('onnx needs tf2onnx and onnxruntime, which cannot be imported '
                          f"({error}); install them with: pip install 'inception_slim[onnx]'"
                          ) from None
    definition, output = classic(info, weights)
    try:
        tf2onnx.convert.from_graph_def(definition, input_names=['input:0'],
                                       output_names=[f'{output}:0'], output_path=path)
    except (AttributeError, TypeError, ImportError, ValueError) as error:
        raise ExportError(f'tf2onnx {tf2onnx.__version__} does not work with TensorFlow '
                          f'{tensorflow.__version__} ({error}); take another format.') from None
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return lambda batch: session.run([f'{output}:0'], {'input:0': batch})[0]
