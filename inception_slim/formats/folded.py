"""A network as the steps that other runtimes' files are written from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.inference.calibrating import calibrated_now
from inception_slim.inference.engines.building import pools_first
from inception_slim.inference.graph import outline
from inception_slim.inference.processor import cores
from inception_slim.inference.quantization import Quantized
from inception_slim.inference.steps import Step, last_steps, steps
from inception_slim.nets import factory


def folded_steps(info: CheckpointInfo, values: dict[str, np.ndarray], engine: str,
                 images: np.ndarray | None) -> tuple[Sequence[Step] | Quantized, list[Step]]:
    """The network to its features, and from there to the logits and 'predictions', in float32.

    Args:
      info: from `checkpoint.read`.
      values: from `fold_batch_norm`; used up.
      engine: that of the runtime which the file is for.
      images: by which the ranges of bytes are found, such that any processor can multiply them;
        None leaves the network in floats.
    """
    network = factory.NETWORKS[info.network]
    kernel, biases = (values.pop(f'{network.classifier}/{each}') for each in ('weights', 'biases'))
    # Named as in TF-Slim's graph, so that it can be read again.
    kind = 'Conv2D' if kernel.ndim == 4 else 'MatMul'
    last = last_steps(kernel, biases, f'{network.scope}/{network.classifier}/{kind}')
    if images is None:
        return list(steps(*outline(info, values), 'features')), last
    return calibrated_now(info, values, images, cores(), every_product_fits=False,
                          pool_first=pools_first(engine)), last
