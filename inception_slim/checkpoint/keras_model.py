"""Keras models in memory, which are read like the files that Keras saves them to."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools
import os
import tempfile
from typing import Any, Protocol, TypeVar

FOLDER_PREFIX = 'inception_slim-keras-'  # of the temporary folders that models are saved to
_Function = TypeVar('_Function', bound=Callable[..., Any])


class KerasModel(Protocol):
    """A model of Keras 3 or tf-keras."""

    name: str

    def save(self, filepath: str) -> Any:
        """Writes the model to a `.keras` file."""

    def get_config(self) -> Any:
        """Returns the layers of the model."""


def is_keras_model(value: object) -> bool:
    """Whether an object is a model of Keras; imports no Keras."""
    return any(kind.__name__ == 'Model'
               and kind.__module__.partition('.')[0] in ('keras', 'tf_keras')
               for kind in type(value).__mro__)


def accepts_keras_models(function: _Function) -> _Function:
    """Lets a function whose first parameter is a file take a Keras model instead.

    The model is saved to a temporary `.keras` file, so that its layers are checked and mapped like
    those of a file. Where the result has `info`, its path names the model.
    """

    @functools.wraps(function)
    def call(source: Any, *args: Any, **options: Any) -> Any:
        if not is_keras_model(source):
            return function(source, *args, **options)
        with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as folder:
            path = os.path.join(folder, f'{source.name}.keras')
            source.save(path)
            result = function(path, *args, **options)
        if hasattr(result, 'info'):
            result.info = dataclasses.replace(result.info,
                                              path=f'the Keras model {source.name}')
        return result

    return call  # type: ignore[return-value]
