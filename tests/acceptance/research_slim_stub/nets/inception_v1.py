from tensorflow.contrib.slim.python.slim.nets.inception_v1 import *  # noqa: F403
