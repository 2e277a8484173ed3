"""The exceptions of this package. Each message says what is wrong, what was given, what to do."""

from __future__ import annotations

import unicodedata


class InceptionSlimError(ValueError):
    """Base class: an input or an argument cannot be used."""


class CheckpointError(InceptionSlimError):
    """A checkpoint cannot be read, recognized, restored or converted."""


class DatasetError(InceptionSlimError):
    """Images, labels or a dataset cannot be read or do not fit the checkpoint."""


class ExportError(InceptionSlimError):
    """A network cannot be exported to the requested format."""


class TrainingError(InceptionSlimError):
    """Training cannot start or cannot continue."""


class WorkerLostError(TrainingError):
    """Another worker of a distributed training run failed or does not respond."""


class UnsupportedAPIError(InceptionSlimError, AttributeError):
    """A TensorFlow 1 API that is not available any more."""


def error_summary(error: BaseException) -> str:
    """The first line of an exception's message without its period; its class if it has none.

    TensorFlow's first line can be "Graph execution error": then the last one has the cause.
    """
    message = str(getattr(error, 'strerror', None) or getattr(error, 'message', None) or error)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if lines and lines[0].startswith('Graph execution error'):
        lines = [line for line in lines if not line.startswith(
            ('[[', 'Detected at', 'Original stack', 'Node:', 'File "'))][-1:]
    return lines[0].rstrip('.:') if lines else type(error).__name__


def printable(text: str) -> str:
    """Escapes what a terminal would not show as text: control characters, undecodable bytes."""
    return ''.join(char if unicodedata.category(char)[0] != 'C' else
                   f'\\x{ord(char) & 0xff:02x}' if '\udc80' <= char <= '\udcff' else
                   char.encode('unicode_escape').decode('ascii') for char in text)
