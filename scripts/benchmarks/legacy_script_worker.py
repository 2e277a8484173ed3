"""A benchmark worker that runs an unmodified script, one step of it for each command.

    python legacy_script_worker.py SCRIPT OUTPUT

Runs the script by `inception-slim run`, or directly on TensorFlow 1.15.5 with Python 3.7. Each
`session.run` of the script's logits waits for a command, and replies with its duration. What the
script prints goes to the file OUTPUT. Ends with its input.
"""

import os
import sys
import time

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

from worker_protocol import reply

SCRIPT, OUTPUT = sys.argv[1:]
os.dup2(os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)


def wait_for_commands(session_class, version):
    """Makes `run` of a session class wait for a command before each step of the script."""
    run, ready = session_class.run, []

    def timed_run(self, fetches, *positional, **named):
        if not getattr(fetches, 'name', '').startswith('InceptionV3/Logits'):
            return run(self, fetches, *positional, **named)
        if not ready:
            ready.append(True)
            reply({'version': version})
        if not sys.stdin.readline():
            sys.stdout.flush()
            os._exit(0)
        start = time.time()
        result = run(self, fetches, *positional, **named)
        reply(time.time() - start)
        return result

    session_class.run = timed_run


if sys.version_info < (3, 8):  # noqa: UP036  TensorFlow 1.15.5 runs on Python 3.7
    import runpy

    import tensorflow as tf
    tf.logging.set_verbosity(tf.logging.ERROR)
    wait_for_commands(tf.Session, tf.__version__)
    runpy.run_path(SCRIPT, run_name='__main__')
else:
    from inception_slim import _tf_logging

    _tf_logging.import_tensorflow_quietly()
    from inception_slim.cli import main
    import tensorflow as tf
    wait_for_commands(tf.compat.v1.Session, tf.__version__)
    sys.exit(main(['run', SCRIPT]))
