"""Optional dependencies: one error message for all of them."""

from __future__ import annotations

import importlib
from typing import Any

from inception_slim.errors import InceptionSlimError


def require(module: str, purpose: str, error: type[InceptionSlimError], *,
            extra: str | None = None, package: str | None = None) -> Any:
    """Imports an optional module.

    Args:
      module: its dotted name.
      purpose: what needs it, as the subject of the message, such as 'Reading Parquet files'.
      error: the class of the exception.
      extra: the extra of this package that installs it.
      package: its name on PyPI, if there is no extra and it is not the first part of `module`.

    Raises:
      error: the module is not installed or fails to import; the message has the pip command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        what = f"'inception_slim[{extra}]'" if extra else package or module.partition('.')[0]
        why = '' if isinstance(cause, ModuleNotFoundError) else f' ({cause})'
        raise error(f'{purpose} needs the package {module.partition(".")[0]}, which cannot be '
                    f'imported{why}; install it with: pip install {what}') from None
