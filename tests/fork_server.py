"""Runs code in forks of a process that has imported TensorFlow, which saves seconds for each.

`python(code)` runs code like `python -c`, `script(path, *arguments)` a file,
`module(name, *arguments)` a module like `python -m`, and `command(*arguments)` our command line,
each in a process of its own. Keyword arguments: `folder`, the working directory (by default the
current one); `beside`, the number of the server, for threads that run processes at the same time;
all others are added to the environment. The result is that of `subprocess.run`.
"""

import functools
import json
import os
import subprocess
import sys
import textwrap


def serve():
    """Reads the arguments of `run_here` as lines of JSON, and writes status and outputs."""
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
    """Runs the code in this child process and ends the process."""
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
            # `_tf_logging.is_command` reads it.
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
    """Starts a server at first use; it ends with this process, when its input ends."""
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


def run_script(folder, *arguments, code=0):
    """`inception-slim run` in a folder; asserts the exit code."""
    process = command('run', *map(str, arguments), folder=folder)
    assert process.returncode == code, process.stderr
    return process


def write_script(path, text):
    """Writes a script, without the common indentation of its lines; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


if __name__ == '__main__':
    serve()
