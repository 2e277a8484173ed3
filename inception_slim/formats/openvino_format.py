"""OpenVINO's intermediate representation: a folder of `openvino_model.xml` and its `.bin`.

Read again are ours, by the names of their layers. It needs `inception_slim[openvino]`.
"""

from __future__ import annotations

from functools import partial
import os
from typing import Any

from inception_slim.checkpoint import CheckpointInfo, ImportedWeights, LazyTensor
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError, ExportError
from inception_slim.formats.node_names import (
    detect_pooling,
    layer_and_kind,
    quantized_error,
    to_hwio,
)
from inception_slim.formats.writing import PredictFn
from inception_slim.inference import fold_batch_norm
from inception_slim.inference.calibration import export_ops
from inception_slim.inference.engines import warm_up
from inception_slim.nets import registry
import numpy as np

FILE = 'openvino_model.xml'  # as optimum and others call it
_LARGEST_FILE = 2**30
_MULTIPLYING = ('Convolution', 'GroupConvolution', 'MatMul')
_EXTRA = "install it with: pip install 'inception_slim[openvino]'"


def read_weights(path: str) -> ImportedWeights:
    file = os.path.join(path, FILE) if os.path.isdir(path) else path
    try:
        import openvino
    except ImportError as error:
        raise CheckpointError(f'{path} is of OpenVINO, and reading it needs openvino, which '
                              f'cannot be imported ({error}); {_EXTRA}') from None
    weights = f'{os.path.splitext(file)[0]}.bin'
    if not os.path.isfile(weights):
        raise CheckpointError(f'{file} has its weights in {weights}, which is not there; keep '
                              'both together.')
    if os.path.getsize(weights) > _LARGEST_FILE:
        raise CheckpointError(f'{weights} is larger than any network here; it is no such file.')
    model = openvino.Core().read_model(file)
    tensors: dict[str, LazyTensor] = {}
    operations = model.get_ordered_ops()
    for operation in operations:
        found = layer_and_kind(operation.get_friendly_name())
        if found and operation.get_type_name() in _MULTIPLYING:
            layer, kind = found
            tensors[f'{layer}/{kind}'] = _kernel(path, operation)
            for use in operation.output(0).get_target_inputs():
                if use.get_node().get_type_name() == 'Add':
                    biases = _constant(path, use.get_node().input_value(1).get_node())
                    tensors[f'{layer}/biases'] = LazyTensor((int(np.prod(biases.shape)),),
                                                        biases.dtype, biases.load)
    if not tensors:
        raise CheckpointError(f'{path} is a model of OpenVINO whose layers are not named after '
                              'those of TF-Slim, as those of this package are; give what it was '
                              'made of.')
    return ImportedWeights(path, 'OpenVINO IR', 'TF-Slim', tensors, pooling=detect_pooling(
        operation.get_friendly_name() for operation in operations))


def _kernel(path: str, operation: Any) -> LazyTensor:
    """The weights of an operation, as TensorFlow has them."""
    kernel = _constant(path, operation.input_value(1).get_node())
    if len(kernel.shape) == 5:  # of each group
        groups, out, *rest = kernel.shape
        return to_hwio(
            LazyTensor((groups * out, *rest), kernel.dtype, partial(_joined, kernel)), groups)
    if len(kernel.shape) == 4:
        return to_hwio(kernel)
    if operation.get_friendly_name().endswith('Conv2D'):  # a classifier that is one in TF-Slim
        return LazyTensor((1, 1, *kernel.shape), kernel.dtype, kernel.load)
    return kernel


def _constant(path: str, node: Any) -> LazyTensor:
    """A constant, in whatever floats it is kept."""
    while node.get_type_name() == 'Convert':
        node = node.input_value(0).get_node()
    if node.get_type_name() != 'Constant' or 'f' not in node.get_element_type().get_type_name():
        raise quantized_error(path)
    name, shape = node.get_friendly_name(), tuple(node.get_output_shape(0))
    check_tensor_size(path, name, shape, np.dtype(np.float32))
    return LazyTensor(shape, np.dtype(np.float32), lambda: np.array(node.data, np.float32))


def _joined(kernel: LazyTensor) -> np.ndarray:
    value = kernel.load()
    return value.reshape(-1, *value.shape[2:])


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str, quantize: str,
          images: np.ndarray) -> PredictFn:
    try:
        import openvino
    except ImportError as error:
        raise ExportError(f'openvino cannot be imported ({error}); {_EXTRA}') from None
    from inception_slim.inference.engines.openvino_engine import build_model

    network, head = export_ops(info, fold_batch_norm(weights), 'openvino',
                                 images if quantize == 'int8' else None)
    image_size = registry.NETWORKS[info.network].image_size
    model = build_model(network, image_size, head=head, input_name='input',
                        outputs={'logits': head[0].output, 'predictions': head[1].output})
    os.mkdir(path)
    file = os.path.join(path, FILE)
    openvino.save_model(model, file, compress_to_fp16=quantize == 'float16')
    core = openvino.Core()
    # Without mapping the file, so that the folder can be moved wherever that is not allowed.
    loaded = core.compile_model(core.read_model(file), 'CPU', {
        'INFERENCE_PRECISION_HINT': 'f32', 'ENABLE_MMAP': False})

    def predict(batch: np.ndarray) -> np.ndarray:
        return loaded(batch)['predictions']

    warm_up('openvino', lambda: predict(np.zeros((1, image_size, image_size, 3), np.float32)))
    return predict
