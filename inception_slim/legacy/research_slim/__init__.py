"""The packages `nets`, `preprocessing`, `datasets` and `deployment` of research/slim.

For scripts that import them without providing them. Modules that are not here can be imported,
because scripts import many that they never use; using one raises `UnsupportedAPIError`.
"""

from __future__ import annotations

import functools
import importlib
import types

from inception_slim.errors import UnsupportedAPIError
from inception_slim.legacy.contrib.modules import UnsupportedSymbol, called_by_import

_MODULES = {
    'nets': 'alexnet cifarnet inception inception_resnet_v2 inception_utils inception_v1 '
            'inception_v2 inception_v3 inception_v4 lenet mobilenet_v1 nets_factory overfeat '
            'resnet_utils resnet_v1 resnet_v2 vgg',
    'preprocessing': 'cifarnet_preprocessing inception_preprocessing lenet_preprocessing '
                     'preprocessing_factory vgg_preprocessing',
    'datasets': 'cifar10 dataset_factory dataset_utils download_and_convert_cifar10 '
                'download_and_convert_flowers download_and_convert_mnist flowers imagenet mnist',
    'deployment': 'model_deploy',
}
# The modules of research/slim that are not here.
_MISSING = {
    'nets': 'cyclegan dcgan i3d i3d_utils mobilenet mobilenet.conv_blocks mobilenet.mobilenet '
            'mobilenet.mobilenet_v2 mobilenet.mobilenet_v3 mobilenet_v1_eval mobilenet_v1_train '
            'nasnet nasnet.nasnet nasnet.nasnet_utils nasnet.pnasnet pix2pix '
            'post_training_quantization s3dg',
    'preprocessing': '',
    'datasets': 'build_imagenet_data build_visualwakewords_data build_visualwakewords_data_lib '
                'download_and_convert_visualwakewords download_and_convert_visualwakewords_lib '
                'preprocess_imagenet_validation_data process_bounding_boxes visualwakewords',
    'deployment': '',
}
PACKAGES = frozenset(_MODULES)


@functools.cache
def modules() -> dict[str, str]:
    """Return the module names that scripts import, with the dotted names of the modules here."""
    return {name: f'{__name__}.{name}' for package, names in _MODULES.items()
            for name in (package, *(f'{package}.{module}' for module in names.split()))}


@functools.cache
def _missing_modules() -> frozenset[str]:
    return frozenset(f'{package}.{module}' for package, names in _MISSING.items()
                     for module in names.split())


def fails_where_used(name: str) -> bool:
    """Return whether a dotted name is of a module that is not here, but can be imported."""
    parts = name.split('.')
    return any('.'.join(parts[:end]) in _missing_modules() for end in range(2, len(parts) + 1))


def message(name: str) -> str:
    """Return the error message for a name of research/slim that is not here."""
    package = name.partition('.')[0]
    return (f'{name} of research/slim is not supported; copy the folder {package} of research/slim '
            '(tensorflow/models) beside the script.')


class _Package(types.ModuleType):
    """One of the packages, under the name by which scripts import it."""

    def __init__(self, name: str):
        super().__init__(name, importlib.import_module(modules()[name]).__doc__)
        self.__path__: list[str] = []

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')
        dotted = f'{self.__name__}.{name}'
        if dotted in modules() or dotted in _missing_modules():
            return importlib.import_module(dotted)
        raise AttributeError(message(dotted))


class _MissingModule(types.ModuleType):
    """A module of research/slim that is not here."""

    def __init__(self, name: str):
        super().__init__(name, message(name))
        self.__path__: list[str] = []

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')
        if f'{self.__name__}.{name}' in _missing_modules():
            return importlib.import_module(f'{self.__name__}.{name}')
        if called_by_import():
            return UnsupportedSymbol(f'{self.__name__}.{name}', message(self.__name__))
        raise UnsupportedAPIError(message(self.__name__))


def find_module(name: str) -> types.ModuleType | None:
    """Return the module that scripts get for a dotted name, or None if research/slim had none."""
    if name in PACKAGES:
        return _Package(name)
    if name in modules():
        return importlib.import_module(modules()[name])
    return _MissingModule(name) if name in _missing_modules() else None


def status(name: str) -> str:
    """Return why a dotted name below one of the packages is not supported; '' if it is."""
    parts = name.split('.')
    for end in range(len(parts), 0, -1):
        module = '.'.join(parts[:end])
        if module in _missing_modules():
            return message(module)
        if module in modules():
            if module in PACKAGES and end < len(parts):
                return message('.'.join(parts[:end + 1]))
            attribute = parts[end] if end < len(parts) else None
            if attribute and not hasattr(importlib.import_module(modules()[module]), attribute):
                return f'{module} of this package has no {attribute}.'
            return ''
    return message(name)
