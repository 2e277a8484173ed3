"""The package that scripts' imports are led to: `then.tensorflow`, `then.numpy` and so on.

Holds nothing of its own; Python's import system puts in it what `imports` finds.
"""

# What makes a module a package; `imports` looks for its modules, on no disk.
__path__: list[str] = []
