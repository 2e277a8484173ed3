"""How a checkpoint is read and run, declared once for all that run one."""

from __future__ import annotations

from dataclasses import dataclass

from inception_slim.options import option

PRECISIONS = ('float32', 'bfloat16', 'int8')


@dataclass(frozen=True)
class InferenceOptions:
    """What `inference.load` takes, and every call that loads by it.

    Attributes:
      precision: 'float32', the answers of the original to 1e-4 of the largest logit; 'bfloat16',
        faster where the processor multiplies such numbers, and float32 with a warning where not;
        or 'int8', faster still.
      use_ema: take the moving averages of the weights, where the checkpoint has them.
      checkpoint_scope: which network to take, where the file holds more than one.
    """

    precision: str = option('float32', 'what to multiply in', choices=PRECISIONS)
    use_ema: bool = option(False, 'take the moving averages of the weights', flag='--ema')
    checkpoint_scope: str | None = option(
        None, 'which network to take, where a file holds more than one', metavar='SCOPE')
