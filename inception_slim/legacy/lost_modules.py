"""Stand-ins for private modules of TensorFlow that tensorflow-estimator 2.15 imports.

TensorFlow removed them after 2.15. What they did for TPUs and clusters is not supported.
"""

from __future__ import annotations

from collections.abc import Callable
import types

from inception_slim._module_proxy import ModuleProxy
from inception_slim.errors import UnsupportedAPIError
from inception_slim.legacy.contrib.modules import UnsupportedSymbol
from tensorflow.python.util import tf_export


class _Unsupported(types.ModuleType):
    """A module whose names can be imported; using one raises `UnsupportedAPIError`."""

    def __getattr__(self, name: str) -> UnsupportedSymbol:
        if name.startswith('__'):
            raise AttributeError(name)
        return UnsupportedSymbol(
            name, f'{self.__name__}.{name} of TensorFlow 1 is not supported; estimators run on '
            'CPUs and GPUs only (use_tpu=False).')


def _estimator_training() -> types.ModuleType:
    """Distribution strategies in one process; those of a cluster had a coordinator of their own."""

    def should_run_distribute_coordinator(config) -> bool:
        return False

    def init_run_config(config, tf_config) -> None:
        if tf_config:
            raise UnsupportedAPIError(
                'A RunConfig with a distribution strategy does not support TF_CONFIG; unset it to '
                'run on one machine, or leave the strategy out to use parameter servers.')
        config._init_distributed_setting_from_environment_var({})
        config._maybe_overwrite_session_config_for_distributed_training()

    module = types.ModuleType('tensorflow.python.distribute.estimator_training')
    module.__dict__.update(should_run_distribute_coordinator=should_run_distribute_coordinator,
                           init_run_config=init_run_config)
    return module


class _ApiExport:
    """Decorator that registered the public name of a function or class."""

    def __init__(self, *names: str, **options: object):
        pass

    def __call__(self, function: Callable) -> Callable:
        return function


MODULES: dict[str, Callable[[], types.ModuleType]] = {
    'tensorflow.python.distribute.estimator_training': _estimator_training,
    'tensorflow.python.util.tf_export': lambda: ModuleProxy(
        tf_export, {'api_export': lambda: _ApiExport, 'ESTIMATOR_API_NAME': lambda: 'estimator'}),
    **{name: lambda name=name: _Unsupported(name) for name in (  # type: ignore[misc]
        'tensorflow.python.tpu.tpu_embedding', 'tensorflow.python.tpu.tpu_embedding_gradient',
        'tensorflow.python.tpu.session_support')},
}
