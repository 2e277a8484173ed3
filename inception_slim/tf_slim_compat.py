"""`inception_slim.legacy.tf_slim`, by the name that its users import."""

from inception_slim.legacy.tf_slim import (
    NEWEST_TENSORFLOW,
    OLDEST_TENSORFLOW,
    TF_SLIM,
    ModuleView,
    complete,
    install,
)

__all__ = ['NEWEST_TENSORFLOW', 'OLDEST_TENSORFLOW', 'TF_SLIM', 'ModuleView', 'complete',
           'install']
