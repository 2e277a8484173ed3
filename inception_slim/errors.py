"""The errors of this package: each is one sentence that says what was given and what to do."""


class InceptionSlimError(ValueError):
    """What was given cannot be used as asked; one sentence says why, and what to do."""


class CheckpointError(InceptionSlimError):
    """The checkpoint cannot be used as asked."""


class DatasetError(InceptionSlimError):
    """The data cannot be used as asked."""


class ExportError(InceptionSlimError):
    """The checkpoint cannot be written in the form that was asked for."""


class TrainingError(InceptionSlimError):
    """Training cannot begin or go on."""


class WorkerLostError(TrainingError):
    """Another worker of this training has ended or does not answer."""


class NotServedError(InceptionSlimError, AttributeError):
    """A name of TensorFlow 1 has nothing behind it today."""
