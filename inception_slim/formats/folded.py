"""A network as the steps that other runtimes' files are written from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.inference import fold_batch_norm
from inception_slim.inference.calibrating import calibrated_now
from inception_slim.inference.graph import outline
from inception_slim.inference.processor import cores
from inception_slim.inference.quantization import Quantized
from inception_slim.inference.steps import Step, last_steps, steps
from inception_slim.nets import factory


def folded_steps(info: CheckpointInfo, weights: dict[str, np.ndarray], *, in_bytes: bool,
                 images: np.ndarray,
                 pool_first: bool) -> tuple[Sequence[Step] | Quantized, list[Step]]:
    """The network to its features, and from there to 'logits' and 'predictions', in float32.

    Args:
      info, weights: from `checkpoint.read`; the weights are used up.
      in_bytes: whether it multiplies bytes, as any processor can.
      images: by which the ranges of the bytes are found.
      pool_first: in bytes, whether a pooled branch averages before its convolution.
    """
    network = factory.NETWORKS[info.network]
    values = fold_batch_norm(weights)
    kernel, biases = (values.pop(f'{network.classifier}/{each}') for each in ('weights', 'biases'))
    # Named as in TF-Slim's graph, so that it can be read again.
    kind = 'Conv2D' if kernel.ndim == 4 else 'MatMul'
    name = f'{network.scope}/{network.classifier}/{kind}'
    last = last_steps(kernel, biases, name)
    if in_bytes:
        return calibrated_now(info, values, images, cores(), every_product_fits=False,
                              pool_first=pool_first), last
    return list(steps(*outline(info, values), 'features')), last
