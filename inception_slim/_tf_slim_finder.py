"""An import hook that patches tf-slim when it is imported.

It imports nothing until then, so that `import inception_slim` is fast.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    import types


class _PatchingLoader:
    """Loads tf-slim with its own loader, then patches it."""

    def __init__(self, loader: Loader):
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: types.ModuleType) -> None:
        from inception_slim import tf_slim_compat
        module.__loader__ = self._loader
        if module.__spec__:
            module.__spec__.loader = self._loader
        tf_slim_compat.check_versions()
        self._loader.exec_module(module)
        tf_slim_compat.install()


class _TFSlimFinder:
    """Finds `tf_slim` with the other finders and wraps its loader."""

    def find_spec(self, name: str, path: Sequence[str] | None,
                  target: types.ModuleType | None = None) -> ModuleSpec | None:
        if name != 'tf_slim':
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, 'find_spec'):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _PatchingLoader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


def install() -> None:
    """Patches tf-slim: now if it is imported already, else when it is imported. Call it once."""
    sys.meta_path.insert(0, _TFSlimFinder())
    if 'tf_slim' in sys.modules:
        from inception_slim import tf_slim_compat
        tf_slim_compat.install()
