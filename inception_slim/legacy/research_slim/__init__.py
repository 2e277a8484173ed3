"""The packages `nets`, `preprocessing`, `datasets` and `deployment` of research/slim.

For scripts that import them without providing them.
"""

from __future__ import annotations

_MODULES = {
    'nets': 'alexnet cifarnet inception inception_resnet_v2 inception_utils inception_v1 '
            'inception_v2 inception_v3 inception_v4 lenet nets_factory overfeat resnet_utils '
            'resnet_v1 resnet_v2 vgg',
    'preprocessing': 'cifarnet_preprocessing inception_preprocessing lenet_preprocessing '
                     'preprocessing_factory vgg_preprocessing',
    'datasets': 'cifar10 dataset_factory dataset_utils flowers imagenet mnist',
    'deployment': 'model_deploy',
}


def modules() -> dict[str, str]:
    """Return the module names that scripts import, with the dotted names of the modules here."""
    return {name: f'{__name__}.{name}' for package, names in _MODULES.items()
            for name in (package, *(f'{package}.{module}' for module in names.split()))}
