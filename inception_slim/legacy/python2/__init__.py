"""Python 2 for scripts: removed names, methods and modules, and translation of Python 2 source.

`evidence` recognizes Python 2 in files that Python 3 parses too, `translation` translates, and the
other modules are what translated files import.
"""
