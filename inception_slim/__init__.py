"""The Inception networks of TF-Slim on current TensorFlow, under `tf.compat.v1`.

Importing this package imports nothing else: its modules and networks, and TensorFlow with them, are
imported at first use. A later `import tf_slim` gives a tf-slim that works (see `tf_slim_compat`).
"""

from typing import TYPE_CHECKING

from inception_slim import _file_openers, _tf_slim_finder
from inception_slim._lazy import lazy_exports

__version__ = '1.0.0'

if TYPE_CHECKING:
    from inception_slim import (
        bulk as bulk,
        checkpoint as checkpoint,
        data as data,
        errors as errors,
        evaluation as evaluation,
        formats as formats,
        inference as inference,
        legacy as legacy,
        nets as nets,
        tf_slim_compat as tf_slim_compat,
        training as training,
    )
    from inception_slim._example import create_example as create_example
    from inception_slim.formats.keras_models import keras_model as keras_model
    from inception_slim.nets.inception import *  # noqa: F403
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, {
        **dict.fromkeys(('bulk', 'checkpoint', 'data', 'errors', 'evaluation', 'formats',
                         'inference', 'legacy', 'nets', 'tf_slim_compat', 'training'), ''),
        '_example': 'create_example',
        'formats.keras_models': 'keras_model',
        'nets.inception': (
            'inception_resnet_v1 inception_resnet_v1_arg_scope inception_resnet_v1_base '
            'inception_resnet_v2 inception_resnet_v2_arg_scope inception_resnet_v2_base '
            'inception_v1 inception_v1_arg_scope inception_v1_base '
            'inception_v2 inception_v2_arg_scope inception_v2_base '
            'inception_v3 inception_v3_arg_scope inception_v3_base '
            'inception_v4 inception_v4_arg_scope inception_v4_base '
            'trunc_normal'),
    })


def _open_other_format(path):
    from inception_slim.formats import registry

    return registry.open_weights(path)


def _open_object_checkpoint(file):
    from inception_slim.formats import object_checkpoint

    return object_checkpoint.open_weights(file)


_file_openers.register_opener(_open_other_format)
_file_openers.register_object_opener(_open_object_checkpoint)
_tf_slim_finder.install()
