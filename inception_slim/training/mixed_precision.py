"""What is multiplied in bfloat16 while everything that is kept and summed up stays in float32.

bfloat16 has float32's range and 8 of its 24 bits. Convolutions of such numbers add up in float32
inside; weights must not be kept in it, since most of a step's changes are less than a bit of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
import warnings

from inception_slim.inference.cpu_features import has_bfloat16
import tensorflow.compat.v1 as tf


def supported_precision(precision: str) -> str:
    """The precision asked for; 'float32', with a warning, where the processor lacks bfloat16."""
    if precision == 'bfloat16' and not has_bfloat16():
        warnings.warn('This processor has no bfloat16 instructions, which would make training in '
                      'bfloat16 slower; staying in float32.', stacklevel=3)
        return 'float32'
    return precision


def float32_master_getter(getter: Callable, name: str, *args: Any, **kwargs: Any) -> Any:
    """A custom getter of a variable scope: bfloat16 variables are float32's, cast for their use.

    Their names, initializers and collections are those of the float32 variables; gradients reach
    these through the cast, as float32.
    """
    if kwargs.get('dtype') != tf.bfloat16:
        return getter(name, *args, **kwargs)
    return tf.cast(getter(name, *args, **{**kwargs, 'dtype': tf.float32}), tf.bfloat16)


def to_float32(value: tf.Tensor) -> tf.Tensor:
    """What was computed in bfloat16, as float32; anything else as it is."""
    return tf.cast(value, tf.float32) if value.dtype == tf.bfloat16 else value


def regularized_in_float32(arg_scope: dict) -> dict:
    """An arg scope whose regularizers see the variables, and not what was cast of them."""
    def of_the_variable(regularizer: Callable) -> Callable:
        def regularized(weights: Any) -> tf.Tensor | None:
            cast = weights.dtype == tf.bfloat16 and weights.op.type == 'Cast'
            return regularizer(weights.op.inputs[0] if cast else weights)
        return regularized

    return {layer: {name: of_the_variable(value) if name.endswith('_regularizer') and value
                    else value for name, value in arguments.items()}
            for layer, arguments in arg_scope.items()}
