"""All Inception networks."""

# isort: off
from inception_slim.legacy.research_slim.nets.inception_v1 import *  # noqa: F403
from inception_slim.legacy.research_slim.nets.inception_v2 import *  # noqa: F403
from inception_slim.legacy.research_slim.nets.inception_v3 import *  # noqa: F403
from inception_slim.legacy.research_slim.nets.inception_v4 import *  # noqa: F403
from inception_slim.legacy.research_slim.nets.inception_resnet_v2 import *  # noqa: F403
