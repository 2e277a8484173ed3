"""The Inception networks of TF-Slim on today's TensorFlow, under `tf.compat.v1`."""

from inception_slim import _tf_logging as _quiet

if _quiet.is_command():
    _quiet.silence_tensorflow()
if _quiet.quiet_requested():
    with _quiet.suppress_stderr():
        import tensorflow as _tensorflow  # noqa: F401

from inception_slim import tf_slim_compat as _tf_slim_compat

_tf_slim_compat.install()  # before anything below imports tf_slim

from inception_slim.inception_v3_arg_scope import inception_v3_arg_scope, trunc_normal
from inception_slim.nets.inception import (
    inception_resnet_v2,
    inception_resnet_v2_arg_scope,
    inception_resnet_v2_base,
    inception_v1,
    inception_v1_arg_scope,
    inception_v1_base,
    inception_v2,
    inception_v2_arg_scope,
    inception_v2_base,
    inception_v3,
    inception_v3_base,
    inception_v4,
    inception_v4_arg_scope,
    inception_v4_base,
)

__all__ = [
    'inception_resnet_v2', 'inception_resnet_v2_arg_scope', 'inception_resnet_v2_base',
    'inception_v1', 'inception_v1_arg_scope', 'inception_v1_base',
    'inception_v2', 'inception_v2_arg_scope', 'inception_v2_base',
    'inception_v3', 'inception_v3_arg_scope', 'inception_v3_base',
    'inception_v4', 'inception_v4_arg_scope', 'inception_v4_base',
    'trunc_normal',
]
__version__ = '1.0.0'
