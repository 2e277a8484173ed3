"""TensorFlow's legacy layers as tf-slim should use them: without deprecation warnings, and fast.

TensorFlow and tf-keras each have a copy of the legacy layers. Three of their methods warn about
deprecated functions or take much of the time of building a large network. `patched_layer` derives a
class that replaces these three; the layers themselves stay as they are. Building Inception V3 takes
half again as long without it.
"""

from __future__ import annotations

from collections.abc import Callable
import sys
import types
from typing import Any

from inception_slim._module_proxy import ModuleProxy
import tensorflow.compat.v1 as tf


def patched_layer(layer_class: type) -> type:
    """Returns a subclass of a legacy layer, with the same name, that is silent and fast."""
    selector = next(sys.modules[base.__module__] for base in layer_class.__mro__
                    if base.__name__ == 'LayerVersionSelector')

    def apply(self, inputs, *args, **kwargs):  # the original warns that `apply` is deprecated
        return self(inputs, *args, **kwargs)

    def new(cls, *args, **kwargs):
        # The original gives the class the bases of eager or graph mode each time a layer is made,
        # even if it has them already, and changing bases empties Python's method caches.
        if issubclass(cls, selector.base_layer_v1.Layer) and not selector.should_use_v2():
            return super(selector.LayerVersionSelector, cls).__new__(cls)
        return super(patched, cls).__new__(cls, *args, **kwargs)

    patched = type(layer_class)(layer_class.__name__, (layer_class,), {
        'apply': apply, '__new__': new, '__doc__': layer_class.__doc__,
        '__module__': layer_class.__module__, **_patched_methods(layer_class)})
    return patched


def flatten_function(layer_class: type) -> Callable:
    """`tf.layers.flatten` with a new layer for each call; a reused one keeps its graph, scope."""

    def flatten(inputs, name=None):
        return layer_class(name=name)(inputs)

    return flatten


class _IdentityList(list):
    """A list whose `in` compares by identity, as variables of a graph do."""

    def __contains__(self, item: object) -> bool:
        return any(element is item for element in self)


def _patched_methods(layer_class: type) -> dict[str, Callable]:
    """The methods `add_weight` and `_assign_moving_average` of a layer, with other globals.

    `add_weight` puts all variables of the graph into a set and looks for the new one in a list of
    them. Each hash and comparison of a variable checks whether TensorFlow is eager, which takes a
    third of the time of building a large network; comparing by identity is enough in a graph.
    `_assign_moving_average` calls the deprecated `tf.compat.v1.colocate_with`.
    """
    methods = {}
    for base in reversed(layer_class.__mro__):
        add_weight = vars(base).get('add_weight')
        if add_weight and base.__module__.endswith('.legacy_tf_layers.base'):
            module_globals = add_weight.__globals__
            if 'tf_variables' in module_globals:  # TensorFlow's copy
                proxy = {'tf_variables': ModuleProxy(module_globals['tf_variables'], {
                    'trainable_variables': lambda: _trainable_variables})}
            else:  # tf-keras's copy
                proxy = {'tf': _with_compat_v1(
                    module_globals['tf'], trainable_variables=_trainable_variables)}
            methods['add_weight'] = _with_globals(add_weight, set=_IdentityList, **proxy)
        assign = vars(base).get('_assign_moving_average')
        if assign:
            methods['_assign_moving_average'] = _with_globals(assign, tf=_with_compat_v1(
                assign.__globals__['tf'], colocate_with=_colocate_with))
    return methods


def _trainable_variables() -> _IdentityList:
    return _IdentityList(tf.trainable_variables())


def _colocate_with(variable: tf.Variable) -> Any:
    return tf.get_default_graph().colocate_with(variable)


def _with_globals(function: Callable, **names: object) -> Callable:
    """A copy of a function with some of its globals replaced."""
    return types.FunctionType(function.__code__, {**function.__globals__, **names},
                              function.__name__, function.__defaults__, function.__closure__)


def _with_compat_v1(root: types.ModuleType, **names: Callable) -> ModuleProxy:
    """A proxy for the module `tf` in which `tf.compat.v1` has some functions replaced."""
    v1 = ModuleProxy(root.compat.v1, {name: lambda value=value: value  # type: ignore[misc]
                                      for name, value in names.items()})
    compat = ModuleProxy(root.compat, {'v1': lambda: v1})
    return ModuleProxy(root, {'compat': lambda: compat})
