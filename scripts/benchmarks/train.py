"""Times one step of training beside TensorFlow 1.15.5's tf.contrib.slim training the same way.

The same losses, RMSProp, clipping and moving averages, on the full network; one process each, asked
for one step in turn, so that a busy machine is busy for both. TensorFlow 1.15.5 needs a Python 3.7;
where none is found, that row is left out, and said so.
"""

import sys

from scripts.benchmarks.against_originals import (
    OLD_PYTHON, Contestant, parse_arguments, report, set_up_tensorflow_1_15, time_in_turns)


def main() -> int:
    arguments = parse_arguments(__doc__.splitlines()[0], 8, 15)
    wanted = [(sys.executable, 'inception_slim')]
    if set_up_tensorflow_1_15():
        wanted.append((OLD_PYTHON, 'tf.contrib.slim'))
    contestants = [Contestant(*each, arguments.batch_size, 'train_worker.py') for each in wanted]
    time_in_turns(contestants, arguments.num_batches)
    print(f'One step of training on {arguments.batch_size} images of 299x299, '
          f'{arguments.num_batches} interleaved steps')
    report(contestants)
    return 0


if __name__ == '__main__':
    sys.exit(main())
