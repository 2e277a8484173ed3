"""Every way to run an Inception network on this processor, side by side in one run.

Each contestant is a process of its own with the same weights; its logits are checked against the
listing's graph before it is timed, and all are asked for one batch in turn, round by round.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import inception_slim  # noqa: F401  first, so that TensorFlow is imported quietly
import numpy as np
import tensorflow.compat.v1 as tf
from scripts.benchmarks.forward import processor, random_checkpoint
from tqdm import tqdm

from inception_slim.nets import factory
from inception_slim.quiet import held_back_stderr

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = 'listing'
# Contestant -> what must be installed for it, and how far its logits may be from the reference's,
# as a part of the largest. The weights are random, which rounding shows in more than it would in
# trained ones; `make accuracy` says what cheaper numbers cost a trained network.
CONTESTANTS = {
    'listing': ((), 1e-4),
    'tf_slim.nets': ((), 1e-4),
    'keras.applications': ((), 1e-3),
    'inception_slim float32': ((), 1e-3),
    'inception_slim bfloat16': ((), 0.1),
    'inception_slim int8': ((), 0.5),
    'ONNX Runtime': (('onnx', 'onnxruntime'), 1e-3),
    'OpenVINO float32': (('onnx', 'openvino'), 1e-3),
    'OpenVINO bfloat16': (('onnx', 'openvino'), 0.1),
    'OpenVINO int8': (('onnx', 'openvino', 'nncf'), 0.5),
    'PyTorch': (('torch',), 1e-3),
    'PyTorch compiled': (('torch',), 1e-3),
    'PyTorch compiled bfloat16': (('torch',), 0.1),
}
# Who has not all of the networks, and which it has.
ONLY = {'tf_slim.nets': ('inception_v1', 'inception_v2', 'inception_v3'),
        'keras.applications': ('inception_v3',)}


class Contestant:
    """A process that answers, and times itself."""

    def __init__(self, name: str, network: str, checkpoint: str, images: str):
        self.name = name
        self.durations = {}
        self.errors = tempfile.TemporaryFile('w+')
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, 'compare_worker.py'), name, network, checkpoint,
             images],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.size = json.loads(self.line())['size']
        self.start_up = time.perf_counter() - start

    def line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise RuntimeError((self.errors.read().strip().splitlines() or ['it stopped'])[-1])
        return line

    def ask(self, question: str) -> str:
        self.process.stdin.write(question + '\n')
        self.process.stdin.flush()
        return self.line()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class MatrixProduct:
    """This processor's own rate of multiplication: a large matrix product, by TensorFlow.

    float32 and bfloat16 in a Session, int8 in TFLite; asked in turn with the contestants.
    """

    SIDE = 2048

    def __init__(self):
        self.calls = {kind: self._in_session(kind) for kind in ('float32', 'bfloat16')}
        self.calls['int8'] = self._in_int8()
        self.durations = {kind: [] for kind in self.calls}

    def _in_session(self, kind):
        with tf.Graph().as_default():
            factors = [tf.Variable(tf.cast(tf.random_uniform((self.SIDE, self.SIDE), -1, 1), kind))
                       for _ in range(2)]
            target = tf.matmul(*factors).op  # run, and not fetched
            session = tf.Session()
            session.run(tf.global_variables_initializer())
        return lambda: session.run(target)

    def _in_int8(self):
        with tf.Graph().as_default(), tf.Session() as session, held_back_stderr():
            inputs = tf.placeholder(tf.float32, (self.SIDE, self.SIDE))
            factor = tf.constant(np.random.uniform(-1, 1, (self.SIDE, self.SIDE)), tf.float32)
            converter = tf.lite.TFLiteConverter.from_session(
                session, [inputs], [tf.matmul(inputs, factor)])
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            values = np.random.uniform(-1, 1, (self.SIDE, self.SIDE)).astype(np.float32)
            converter.representative_dataset = lambda: iter([[values]])
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
            interpreter = tf.lite.Interpreter(model_content=converter.convert(),
                                              num_threads=os.cpu_count())
            interpreter.allocate_tensors()
        return interpreter.invoke

    def round(self) -> None:
        for kind, call in self.calls.items():
            start = time.perf_counter()
            call()
            self.durations[kind].append(time.perf_counter() - start)

    def rates(self) -> dict[str, float]:
        """GFLOP (for int8, 10^9 operations) per second; the median of the rounds."""
        return {kind: 2 * self.SIDE**3 / statistics.median(durations) / 1e9
                for kind, durations in self.durations.items()}


def start(names: list[str], network: str, checkpoint: str, images: str,
          folder: str) -> list[Contestant]:
    """The contestants that run and agree, one started after the other."""
    contestants, reference = [], None
    for name in tqdm(names, desc='starting', unit='contestant', disable=None):
        if network not in ONLY.get(name, factory.NETWORKS):
            continue
        missing = [each for each in CONTESTANTS[name][0] if importlib.util.find_spec(each) is None]
        if missing:
            print(f'{name}: left out, {", ".join(missing)} not installed (make compare-all)')
            continue
        try:
            contestant = Contestant(name, network, checkpoint, images)
            file = os.path.join(folder, 'logits.npy')
            contestant.ask(f'logits {file}')
        except RuntimeError as error:
            print(f'{name}: left out, it failed: {error}')
            continue
        logits = np.load(file)
        reference = logits if reference is None else reference
        contestant.difference = float(abs(logits - reference).max() / abs(reference).max())
        if contestant.difference > CONTESTANTS[name][1]:
            print(f'{name}: left out, its logits differ by {contestant.difference:.1%} of the '
                  'largest')
            contestant.close()
            continue
        contestants.append(contestant)
    return contestants


def measure(contestants: list[Contestant], rounds: dict[int, int],
            product: MatrixProduct) -> None:
    for batch, count in rounds.items():
        for contestant in contestants:
            contestant.durations[batch] = []
            contestant.ask(f'run {batch}')  # the first of its shape does not count
        for _ in tqdm(range(count), desc=f'batch {batch}', unit='round', disable=None):
            product.round()
            for contestant in contestants:
                contestant.durations[batch].append(float(contestant.ask(f'run {batch}')))


def table(contestants: list[Contestant], work: int, rates: dict[str, float]) -> list[dict]:
    rows = []
    reference = contestants[0]
    for contestant in contestants:
        limit = next((rates[kind] for kind in ('bfloat16', 'int8') if kind in contestant.name),
                     rates['float32'])
        row = {'name': contestant.name, 'start_up_seconds': contestant.start_up,
               'peak_memory_mib': float(contestant.ask('memory')), 'size_mib': contestant.size,
               'difference': contestant.difference, 'batches': {}}
        for batch, durations in contestant.durations.items():
            median = statistics.median(durations)
            row['batches'][batch] = {
                'median_seconds': median,
                'p95_seconds': float(np.percentile(durations, 95)),
                'images_per_second': batch / median,
                'times_as_fast': statistics.median(reference.durations[batch]) / median,
                'part_of_limit': 2 * work * batch / median / 1e9 / limit,
            }
        rows.append(row)
    return rows


def show(rows: list[dict], batches: list[int], rates: dict[str, float]) -> None:
    head = ' '.join(f'| {"batch " + str(batch):^33}' for batch in batches)
    print(f'{"":26}{head} | {"first":>6} {"memory":>7} {"size":>5}')
    parts = ' '.join(f'| {"images/s":>8} {"ratio":>5} {"ms":>6} {"p95":>6} {"limit":>4}'
                     for _ in batches)
    print(f'{"":26}{parts} | {"sec":>6} {"MiB":>7} {"MiB":>5}')
    for row in rows:
        cells = ' '.join(
            '| {images_per_second:8.1f} {times_as_fast:5.2f} {0:6.0f} {1:6.0f} '
            '{part_of_limit:4.0%}'.format(1000 * each['median_seconds'],
                                          1000 * each['p95_seconds'], **each)
            for each in row['batches'].values())
        print(f'{row["name"]:26}{cells} | {row["start_up_seconds"]:6.1f} '
              f'{row["peak_memory_mib"]:7.0f} {row["size_mib"]:5.0f}')
    print('ratio: times as fast as the listing\'s graph; limit: part of this processor\'s own '
          'matrix product, '
          + ', '.join(f'{rate:.0f} Gop/s in {kind}' for kind, rate in rates.items()))


def chart(rows: list[dict], batch: int, subject: str, path: str) -> None:
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot

    rows = sorted(rows, key=lambda row: row['batches'][batch]['times_as_fast'])
    ratios = [row['batches'][batch]['times_as_fast'] for row in rows]
    figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(rows) + 1.2), layout='constrained')
    bars = axes.barh([row['name'] for row in rows], ratios, color=[
        '#c44e20' if row['name'].startswith('inception_slim') else '#8a8f98' for row in rows])
    axes.bar_label(bars, [f'{ratio:.2f}' for ratio in ratios], padding=3)
    axes.axvline(1, color='black', linewidth=0.6)
    axes.set_xlabel(f'times as fast as the listing\'s graph, batch {batch};\n{subject}')
    axes.spines[['top', 'right']].set_visible(False)
    axes.margins(x=0.12)
    figure.savefig(path + '.partial', format='png', dpi=120)
    os.replace(path + '.partial', path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='fewer rounds: two minutes, not ten')
    parser.add_argument('--network', choices=factory.NETWORKS, default='inception_v3',
                        help='(default: inception_v3)')
    parser.add_argument('--only', metavar='NAME,...',
                        help=f'of these contestants alone: {", ".join(CONTESTANTS)}')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    parser.add_argument('--chart', metavar='FILE.png', help='draw them there (needs matplotlib)')
    arguments = parser.parse_args()
    names = list(CONTESTANTS)
    if arguments.only:
        wanted = arguments.only.split(',')
        unknown = [name for name in wanted if name not in CONTESTANTS]
        if unknown:
            parser.error(f'--only: there is no contestant {unknown[0]!r}')
        names = [name for name in names if name in wanted or name == REFERENCE]
    for flag in ('json', 'chart'):
        path = getattr(arguments, flag)
        if path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            parser.error(f'--{flag}: there is no folder for {path}')
    if arguments.chart and importlib.util.find_spec('matplotlib') is None:
        parser.error("--chart needs matplotlib: pip install 'inception_slim[plot]'")
    tf.disable_eager_execution()
    tf.get_logger().setLevel('ERROR')
    rounds = {1: 10, 8: 4, 32: 2} if arguments.quick else {1: 40, 8: 10, 32: 6}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, work = random_checkpoint(arguments.network, folder)
        images = os.path.join(folder, 'images.npy')
        side = factory.NETWORKS[arguments.network].image_size
        np.save(images, np.random.RandomState(1).uniform(
            -1, 1, (max(rounds), side, side, 3)).astype('f'))
        contestants = start(names, arguments.network, checkpoint, images, folder)
        product = MatrixProduct()
        measure(contestants, rounds, product)
        rates = product.rates()
        rows = table(contestants, work, rates)
        for contestant in contestants:
            contestant.close()
    machine = f'{processor()}, {os.cpu_count()} cores'
    subject = (f'{factory.NETWORKS[arguments.network].title} on {machine}; '
               f'TensorFlow {tf.__version__}')
    print(subject)
    show(rows, list(rounds), rates)
    if arguments.json:
        with open(arguments.json + '.partial', 'w') as file:
            json.dump({'network': arguments.network, 'machine': machine, 'gop_per_second': rates,
                       'rows': rows}, file, indent=2)
        os.replace(arguments.json + '.partial', arguments.json)
    if arguments.chart:
        chart(rows, max(rounds), subject, arguments.chart)
    return 0


if __name__ == '__main__':
    sys.exit(main())
