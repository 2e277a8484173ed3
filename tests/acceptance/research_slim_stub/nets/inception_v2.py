from tensorflow.contrib.slim.python.slim.nets.inception_v2 import *  # noqa: F403
