"""The listing's side of taking turns: its script as it is, held before each step.

    python legacy_script_worker.py SCRIPT PRINTED

Runs the script by `inception-slim run`, or as it is on TensorFlow 1.15.5 with Python 3.7. Prints
its TensorFlow's version when the script's first step is due, then for each line of its input the
seconds of a step; what the script prints goes to the file PRINTED. Ends with its input.
"""

import os
import sys
import time

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

SCRIPT, PRINTED = sys.argv[1:]
# The protocol keeps the standard output; the script's own goes to a file.
ANSWERS = os.fdopen(os.dup(1), 'w')
os.dup2(os.open(PRINTED, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)


def answer(line):
    ANSWERS.write('%s\n' % line)
    ANSWERS.flush()


def take_turns_in(session_class, version):
    """Each run of the script's logits waits for a line, and answers with its seconds."""
    run, ready = session_class.run, []

    def held(self, fetches, *positional, **named):
        if not getattr(fetches, 'name', '').startswith('InceptionV3/Logits'):
            return run(self, fetches, *positional, **named)
        if not ready:
            ready.append(True)
            answer(version)
        if not sys.stdin.readline():
            sys.stdout.flush()
            os._exit(0)
        start = time.time()
        found = run(self, fetches, *positional, **named)
        answer(time.time() - start)
        return found

    session_class.run = held


if sys.version_info < (3, 8):
    import runpy

    import tensorflow as tf
    tf.logging.set_verbosity(tf.logging.ERROR)
    take_turns_in(tf.Session, tf.__version__)
    runpy.run_path(SCRIPT, run_name='__main__')
else:
    from inception_slim import _tf_logging

    _tf_logging.import_tensorflow_quietly()
    from inception_slim.cli import main
    import tensorflow as tf
    take_turns_in(tf.compat.v1.Session, tf.__version__)
    sys.exit(main(['run', SCRIPT]))
