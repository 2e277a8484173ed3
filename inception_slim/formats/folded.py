"""A network as the steps that other runtimes' files are written from."""

from __future__ import annotations

from collections.abc import Sequence

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.inference.calibration import calibrate_network
from inception_slim.inference.cpu_features import available_cores
from inception_slim.inference.engines.factory import pools_first
from inception_slim.inference.graph import graph_with_placeholders
from inception_slim.inference.ir import Op, head_ops, to_ops
from inception_slim.inference.quantization import QuantizedNetwork
from inception_slim.nets import registry
import numpy as np


def export_ops(info: CheckpointInfo, values: dict[str, np.ndarray], engine: str,
                 images: np.ndarray | None) -> tuple[Sequence[Op] | QuantizedNetwork, list[Op]]:
    """The network to its features, and from there to the logits and 'predictions', in float32.

    Args:
      info: from `checkpoint.read`.
      values: from `fold_batch_norm`; used up.
      engine: that of the runtime which the file is for.
      images: by which the ranges of bytes are found, such that any processor can multiply them;
        None leaves the network in floats.
    """
    network = registry.NETWORKS[info.network]
    kernel, biases = (values.pop(f'{network.classifier}/{each}') for each in ('weights', 'biases'))
    # Named as in TF-Slim's graph, so that it can be read again.
    kind = 'Conv2D' if kernel.ndim == 4 else 'MatMul'
    last = head_ops(kernel, biases, f'{network.scope}/{network.classifier}/{kind}')
    if images is None:
        return list(to_ops(*graph_with_placeholders(info, values), 'features')), last
    return calibrate_network(info, values, images, available_cores(), every_product_fits=False,
                          pool_first=pools_first(engine)), last
