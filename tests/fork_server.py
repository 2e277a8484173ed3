"""Processes that have imported TensorFlow already, which takes seconds: forks of one that has.

`python(code)` runs a piece of code as `python -c` does, `script(path, *arguments)` a file and
`module(name, *arguments)` a module as `python -m` does, `command(*arguments)` ours, each in a
process of its own: in `folder` (by default the current one) and with more in its environment. The
answer is `subprocess.run`'s. Those that run at a time, each asked for by a thread, say so by a
number of their own, `beside`.
"""

import functools
import json
import os
import subprocess
import sys
import textwrap


def serve():
    """A line of JSON in, the arguments of `run_here`; a line out, what became of it."""
    import tempfile

    import tensorflow  # noqa: F401
    for line in sys.stdin:
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            child = os.fork()
            if not child:
                os.dup2(output.fileno(), 1)
                os.dup2(errors.fileno(), 2)
                run_here(**json.loads(line))
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = []
            for file in (output, errors):
                file.seek(0)
                texts.append(file.read().decode())
        print(json.dumps([status, *texts]), flush=True)


def run_here(kind, what, arguments, environment, folder):
    """In the child: runs it, and ends the process."""
    import runpy
    import traceback
    status = 1
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.stdin = open(os.devnull)
        sys.argv = ['-c' if kind == 'code' else what, *arguments]
        sys.path[0] = os.path.dirname(what) if kind == 'script' else ''
        if kind == 'code':
            exec(compile(what, '<string>', 'exec'), {'__name__': '__main__'})
        elif kind == 'script':
            runpy.run_path(what, run_name='__main__')
        else:
            # By which the package knows that it is run as a command.
            sys.orig_argv = [sys.executable, '-m', what, *arguments]
            runpy.run_module(what, run_name='__main__', alter_sys=True)
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        else:
            status = error.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


@functools.cache
def _server(number):
    """Started at the first use; ends with this process, by the end of its input."""
    return subprocess.Popen([sys.executable, os.path.abspath(__file__)], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)


def _run(kind, what, arguments, folder='.', beside=0, **environment):
    server = _server(beside)
    print(json.dumps({
        'kind': kind, 'what': what, 'arguments': [*map(str, arguments)],
        'folder': os.path.abspath(folder), 'environment': {**os.environ, **environment},
    }), file=server.stdin, flush=True)
    return subprocess.CompletedProcess([what, *arguments], *json.loads(server.stdout.readline()))


def python(code, **options):
    return _run('code', textwrap.dedent(code), (), **options)


def script(path, *arguments, **options):
    return _run('script', os.path.abspath(path), arguments, **options)


def module(name, *arguments, **options):
    return _run('module', name, arguments, **options)


def command(*arguments, **options):
    """`inception-slim` with these arguments."""
    return module('inception_slim', *arguments, **options)


if __name__ == '__main__':
    serve()
