"""All Inception networks, with the names of `slim.nets.inception`."""

from inception_slim.nets.inception_resnet_v1 import *  # noqa: F403
from inception_slim.nets.inception_resnet_v2 import *  # noqa: F403
from inception_slim.nets.inception_v1 import *  # noqa: F403
from inception_slim.nets.inception_v2 import *  # noqa: F403
from inception_slim.nets.inception_v3 import *  # noqa: F403
from inception_slim.nets.inception_v4 import *  # noqa: F403
