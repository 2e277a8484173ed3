from tensorflow.contrib.slim.python.slim.nets.inception_v3 import *  # noqa: F403
