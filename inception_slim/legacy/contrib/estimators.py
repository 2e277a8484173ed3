"""The names of `tf.estimator`, for the modules of `tf.contrib` that had them too."""

from __future__ import annotations

from inception_slim.legacy.tf1_modules import resolve_module


def __getattr__(name: str):
    if name.startswith('__'):
        raise AttributeError(name)
    return getattr(resolve_module('tensorflow.estimator'), name)
