"""Mixed precision: activations and products in bfloat16, variables and sums in float32.

bfloat16 has the range of float32 but 8 instead of 24 bits of precision. Convolutions of bfloat16
values accumulate in float32. Variables must stay in float32, because most updates of a step are
smaller than bfloat16's resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
import warnings

from inception_slim.inference.cpu_features import has_fast_bfloat16
import tensorflow.compat.v1 as tf


def supported_precision(precision: str) -> str:
    """Returns `precision`, or 'float32' with a warning if bfloat16 is slower on this processor.

    With a GPU, which trains then, the processor does not count.
    """
    if (precision == 'bfloat16' and not has_fast_bfloat16()
            and not tf.config.list_physical_devices('GPU')):
        warnings.warn('This processor is slower in bfloat16 than in float32; training in float32 '
                      'instead.', stacklevel=3)
        return 'float32'
    return precision


def float32_master_getter(getter: Callable, name: str, *args: Any, **kwargs: Any) -> Any:
    """A custom getter for `tf.variable_scope`: float32 variables that are cast to bfloat16.

    Names, initializers and collections are those of the float32 variables, which get float32
    gradients through the cast.
    """
    if kwargs.get('dtype') != tf.bfloat16:
        return getter(name, *args, **kwargs)
    return tf.cast(getter(name, *args, **{**kwargs, 'dtype': tf.float32}), tf.bfloat16)


def to_float32(value: tf.Tensor) -> tf.Tensor:
    """Casts a bfloat16 tensor to float32; returns any other tensor unchanged."""
    return tf.cast(value, tf.float32) if value.dtype == tf.bfloat16 else value


def regularized_in_float32(arg_scope: dict) -> dict:
    """Makes the regularizers of an arg scope use the float32 variables instead of their casts."""
    def without_cast(regularizer: Callable) -> Callable:
        def regularize(weights: Any) -> tf.Tensor | None:
            is_cast = weights.dtype == tf.bfloat16 and weights.op.type == 'Cast'
            return regularizer(weights.op.inputs[0] if is_cast else weights)
        return regularize

    return {layer: {name: without_cast(value) if name.endswith('_regularizer') and value
                    else value for name, value in arguments.items()}
            for layer, arguments in arg_scope.items()}
