"""Times `bulk` compared with `classify`, and its memory for ten times the images.

The images are copies of scikit-learn's digits. The network is narrow by default, so that its time
does not hide the rest; --depth-multiplier 1 is Inception V3. Each run is a process of its own;
prints medians, peak resident memory, and the processor time of all threads.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

RUN = """
import json, os, sys, time
start = time.perf_counter()
from inception_slim import cli
before = os.times()
status = cli.main(json.loads(sys.argv[1]))
after = os.times()
with open('/proc/self/status') as file:
    peak = next(int(line.split()[1]) for line in file if line.startswith('VmHWM'))
print(json.dumps({'status': status, 'peak': peak / 1024, 'wall': after.elapsed - before.elapsed,
                  'processor': after.user + after.system - before.user - before.system}),
      file=sys.stderr)
"""
PREPARE = """
import sys
import inception_slim
import tensorflow.compat.v1 as tf
import tf_slim as slim
from scripts.benchmarks.digits import write_digits
write_digits(sys.argv[1])
with tf.Graph().as_default(), tf.Session() as session:
    with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
        inception_slim.inception_v3(tf.zeros((1, 299, 299, 3)), 10, is_training=False,
                                    depth_multiplier=float(sys.argv[3]))
    session.run(tf.global_variables_initializer())
    tf.train.Saver(slim.get_model_variables()).save(session, sys.argv[2], write_meta_graph=False)
"""


def run(*arguments: str) -> dict[str, float]:
    """Runs a command; returns peak memory in MiB, wall time and processor time in seconds."""
    process = subprocess.run([sys.executable, '-c', RUN, json.dumps(arguments)], text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'})
    result = json.loads(process.stderr.splitlines()[-1])
    assert not result['status'], process.stderr
    return result


def link_copies(digits: str, folder: str, count: int) -> str:
    """Fills a folder with `count` links to the images; returns it."""
    files = sorted(os.path.join(path, name) for path, _, names in os.walk(digits) for name in names)
    for number in range(count):
        inner = os.path.join(folder, f'{number // 1000:03d}')
        os.makedirs(inner, exist_ok=True)
        os.link(files[number % len(files)], os.path.join(inner, f'{number:06d}.png'))
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, nargs=2, default=(2000, 20000), metavar='N',
                        help='numbers of images to compare (%(default)s)')
    parser.add_argument('--turns', type=int, default=3, metavar='N')
    parser.add_argument('--depth-multiplier', type=float, default=0.1, metavar='X')
    arguments = parser.parse_args()
    few, many = arguments.images
    with tempfile.TemporaryDirectory() as scratch:
        digits, checkpoint = os.path.join(scratch, 'digits'), os.path.join(scratch, 'model')
        subprocess.run([sys.executable, '-c', PREPARE, digits, checkpoint,
                        str(arguments.depth_multiplier)], check=True,
                       env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'})
        small = link_copies(digits, os.path.join(scratch, 'few'), few)
        large = link_copies(digits, os.path.join(scratch, 'many'), many)
        number = iter(range(1000))

        def bulk(source: str, *more: str) -> dict[str, float]:
            output = os.path.join(scratch, f'output-{next(number)}')
            return run('bulk', checkpoint, source, '--output', output, *more)

        turns = [(run('classify', checkpoint, small), bulk(small, '--output-type', 'top5'))
                 for _ in range(arguments.turns)]
        print(f'{few:,} images      seconds   of processor   peak, MiB')
        medians = []
        for index, title in enumerate(('classify', 'bulk --output-type top5')):
            median = {key: statistics.median(turn[index][key] for turn in turns)
                      for key in ('wall', 'processor', 'peak')}
            medians.append(median)
            print(f'{title:17} {median["wall"]:8.2f} {median["processor"]:14.2f} '
                  f'{median["peak"]:11.0f}')
        for key, title in (('wall', 'time'), ('processor', 'processor time')):
            share = statistics.median(turn[1][key] / turn[0][key] for turn in turns) - 1
            print(f'bulk takes {share:+.1%} {title} compared with classify')
        peaks = [(count, bulk(source, '--output-type', 'features')['peak'])
                 for count, source in ((few, small), (many, large))]
        for count, peak in peaks:
            print(f'bulk --output-type features, {count:,} images: peak {peak:.0f} MiB')
        growth = peaks[1][1] / peaks[0][1] - 1
        print(f'{many:,} images take {growth:+.1%} memory compared with {few:,}')
    return int(growth > 0.05)


if __name__ == '__main__':
    sys.exit(main())
