"""The Inception networks of TF-Slim on today's TensorFlow, under `tf.compat.v1`."""

from inception_slim import tf_slim_compat as _tf_slim_compat

_tf_slim_compat.install()  # before anything below imports tf_slim

from inception_slim.inception_v3_arg_scope import inception_v3_arg_scope, trunc_normal  # noqa: E402
from inception_slim.nets.inception_v3 import inception_v3, inception_v3_base  # noqa: E402

__all__ = ['inception_v3', 'inception_v3_arg_scope', 'inception_v3_base', 'trunc_normal']
__version__ = '1.0.0'
