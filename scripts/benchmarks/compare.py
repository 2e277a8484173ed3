"""Times every installed way to run an Inception network on this processor, in one run.

Each contestant is a process with the same weights; its logits are compared with those of the
original graph (the example script of 2017) before it is timed. The contestants of one precision,
and the original graph, run one batch in turn, in an order that is random in each round, together
with the fastest convolutions of the processor (`peak_throughput`). With single images a turn is ten
of them: the first finds the weights out of the caches, which the other contestants have filled.
"""

import argparse
import importlib.util
import json
import os
import random
import sys
import tempfile
import time

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim._atomic_write import atomic_write, check_writable
from inception_slim.errors import DatasetError
from inception_slim.inference.cpu_features import cpu_summary, has_fast_bfloat16
from inception_slim.nets import registry
from inception_slim.nets.flops import count_multiply_adds
import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from scripts.benchmarks._common import machine, random_checkpoint
from scripts.benchmarks.peak_throughput import PeakThroughput
from scripts.benchmarks.worker_process import HERE, Worker, WorkerFailed, add_only

REFERENCE = 'original graph'
SEED = 0  # of the order in each round
PASSES = {1: 10}  # passes in a turn by batch size; 1 for the others
# The largest difference of a logit, relative to the largest logit of the reference. Random weights
# show rounding errors more than trained ones; `make test-accuracy` measures those.
TOLERANCES = {'float32': 1e-3, 'bfloat16': 0.1, 'int8': 0.5}
# The packages that each contestant needs.
CONTESTANTS = {
    'original graph': (),
    'tf_slim.nets': (),
    'keras.applications': (),
    'inception_slim float32': (),
    'inception_slim bfloat16': (),
    'inception_slim int8': (),
    # The engines by name, if the above did not choose them.
    'inception_slim float32 (session)': (),
    'inception_slim float32 (onnxruntime)': ('onnx', 'onnxruntime'),
    'inception_slim float32 (openvino)': ('openvino',),
    'inception_slim bfloat16 (session)': (),
    'inception_slim bfloat16 (openvino)': ('openvino',),
    'inception_slim int8 (session)': (),
    'inception_slim int8 (tflite)': (),
    'inception_slim int8 (openvino)': ('openvino',),
    'TensorFlow XLA': (),
    'Keras on JAX': ('jax',),
    'Keras on PyTorch': ('torch',),
    'ncnn': ('ncnn', 'onnx', 'pnnx'),
    'OpenCV': ('cv2', 'onnx'),
    'ONNX Runtime': ('onnx', 'onnxruntime'),
    'OpenVINO float32': ('onnx', 'openvino'),
    'OpenVINO bfloat16': ('onnx', 'openvino'),
    'OpenVINO int8': ('onnx', 'openvino', 'nncf'),
    'PyTorch': ('torch',),
    'PyTorch compiled': ('torch',),
    'PyTorch compiled bfloat16': ('torch',),
    'PyTorch compiled int8': ('torch', 'torchao'),
}
# Contestants that do not have all networks.
NETWORKS = {'tf_slim.nets': ('inception_v1', 'inception_v2', 'inception_v3'),
        'keras.applications': ('inception_v3',)}


def precision_of(name: str) -> str:
    return next((kind for kind in ('bfloat16', 'int8') if kind in name), 'float32')


class Contestant(Worker):
    """A worker process of `compare_worker`.

    Attributes:
      durations: by batch size, the passes of each turn in seconds.
      difference: of its logits from the reference's, relative to the largest.
      start_up: seconds until its first result.
    """

    def __init__(self, name: str, network: str, checkpoint: str, images: str):
        self.name = name
        self.durations: dict[int, list[list[float]]] = {}
        self.difference, self.logits = 0.0, np.zeros(0)
        start = time.perf_counter()
        super().__init__([sys.executable, os.path.join(HERE, 'compare_worker.py'), name, network,
                          checkpoint, images])
        self.start_up = time.perf_counter() - start
        self.size, self.engine = self.facts['size'], self.facts.get('engine')

    def run_turn(self, batch: int) -> list[float]:
        """Returns the seconds of each pass of one turn."""
        return self.request(f'run {batch} {PASSES.get(batch, 1)}')


def start(names: list[str], network: str, checkpoint: str, images: str, folder: str,
          reference: Contestant | None = None) -> list[Contestant]:
    """Starts contestants one after the other; omits those that fail or differ too much."""
    contestants: list[Contestant] = []
    for name in tqdm(names, desc='starting', unit='contestant', disable=None):
        if network not in NETWORKS.get(name, registry.NETWORKS):
            continue
        missing = [package for package in CONTESTANTS[name]
                   if importlib.util.find_spec(package) is None]
        if missing:
            print(f'{name}: omitted, {", ".join(missing)} not installed (make compare-all)')
            continue
        if precision_of(name) == 'bfloat16' and not has_fast_bfloat16():
            print(f'{name}: omitted, this processor is slower in bfloat16 than in float32')
            continue
        if any(name == f'{other.name} ({other.engine})' for other in contestants):
            continue  # it was chosen by default
        try:
            contestant = Contestant(name, network, checkpoint, images)
            file = os.path.join(folder, 'logits.npy')
            contestant.request(f'logits {file}')
        except WorkerFailed as error:
            print(f'{name}: omitted, {error}')
            continue
        contestant.logits = np.load(file)
        if reference is not None:
            contestant.difference = float(abs(contestant.logits - reference.logits).max()
                                          / abs(reference.logits).max())
        if contestant.difference > TOLERANCES[precision_of(name)]:
            print(f'{name}: omitted, its logits differ by {contestant.difference:.1%} of the '
                  'largest')
            contestant.close()
            continue
        contestants.append(contestant)
    return contestants


def measure(contestants: list[Contestant], rounds: dict[int, int], peak: PeakThroughput,
            precision: str) -> None:
    """Times all contestants in a random order in each round; removes those that fail."""
    rng = random.Random(SEED)
    kernels = [kernel for kernel in peak.kernels if kernel[0] == precision]

    def run_turn(contestant: Contestant, batch: int) -> list[float]:
        try:
            return contestant.run_turn(batch)
        except WorkerFailed as error:
            print(f'{contestant.name}: omitted, {error}')
            contestants.remove(contestant)
            return []

    for batch, count in rounds.items():
        for contestant in list(contestants):
            contestant.durations[batch] = []
            run_turn(contestant, batch)  # the first of its shape is not counted
        for _ in tqdm(range(count), desc=f'{precision}, batch {batch}', unit='round', disable=None):
            turns = [*contestants, *kernels]
            rng.shuffle(turns)
            for turn in turns:
                if isinstance(turn, Contestant):
                    turn.durations[batch].append(run_turn(turn, batch))
                else:
                    peak.run(turn)


def build_rows(contestants: list[Contestant], reference: Contestant, multiply_adds: int,
          rates: dict[str, tuple[float, str]]) -> list[dict]:
    """A row for each contestant; the reference was timed in the same rounds."""
    rows = []
    for contestant in contestants:
        peak, _ = rates[precision_of(contestant.name)]
        row = {'name': contestant.name, 'engine': contestant.engine,
               'start_up_seconds': contestant.start_up,
               'peak_memory_mib': contestant.request('memory'), 'size_mib': contestant.size,
               'difference': contestant.difference, 'batches': {}}
        for batch, turns in contestant.durations.items():
            median = float(np.median(turns))
            # By round: other load on the machine slows both down.
            ratios = np.divide(np.median(reference.durations[batch], 1), np.median(turns, 1))
            low, middle, high = map(float, np.percentile(ratios, (25, 50, 75)))
            row['batches'][batch] = {
                'median_seconds': median,
                'first_seconds': float(np.median([turn[0] for turn in turns])),
                'p95_seconds': float(np.percentile(turns, 95)),
                'images_per_second': batch / median,
                'speedup': middle, 'speedup_quartiles': [low, high],
                'share_of_peak': 2 * multiply_adds * batch / median / 1e9 / peak,
            }
        rows.append(row)
    return rows


def print_table(rows: list[dict], batches: list[int], rates: dict[str, tuple[float, str]]) -> None:
    width = max(len(title(row)) for row in rows)
    heads = [f'{"images/s":>8} {"ratio":>5} {"quartiles":>11} {"ms":>6} '
             + f'{"first":>6} ' * (PASSES.get(batch, 1) > 1) + f'{"p95":>6} {"peak":>4}'
             for batch in batches]
    print(f'{"":{width}}' + ' '.join(f'| {"batch " + str(batch):^{len(head)}}'
                                   for batch, head in zip(batches, heads))
          + f' | {"first":>6} {"memory":>7} {"size":>5}')
    print(f'{"":{width}}' + ' '.join(f'| {head}' for head in heads)
          + f' | {"sec":>6} {"MiB":>7} {"MiB":>5}')
    for row in rows:
        cells = []
        for batch, values in row['batches'].items():
            low, high = values['speedup_quartiles']
            kinds = ('median', 'first', 'p95') if PASSES.get(batch, 1) > 1 else ('median', 'p95')
            times = ' '.join(f'{1000 * values[f"{kind}_seconds"]:6.1f}' for kind in kinds)
            cells.append(f'| {values["images_per_second"]:8.1f} {values["speedup"]:5.2f} '
                         f'{low:5.2f}-{high:5.2f} {times} {values["share_of_peak"]:4.0%}')
        print(f'{title(row):{width}}{" ".join(cells)} | {row["start_up_seconds"]:6.1f} '
              f'{row["peak_memory_mib"]:7.0f} {row["size_mib"]:5.0f}')
    print('ratio: speed-up over the original graph, the median of the rounds; first: of '
          f'{PASSES[1]} passes, ms; peak: share of the fastest convolutions of this processor, '
          + ', '.join(f'{rate:.0f} Gop/s in {kind} ({by})' for kind, (rate, by) in rates.items())
          + f'; random order (seed {SEED})')


def title(row: dict) -> str:
    """The name of a row, with the chosen engine."""
    engine = row['engine']
    return row['name'] if engine is None or '(' in row['name'] else f'{row["name"]}: {engine}'


def draw_chart(rows: list[dict], batch: int, subject: str, path: str) -> None:
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot

    rows = sorted(rows, key=lambda row: row['batches'][batch]['speedup'])
    ratios = [row['batches'][batch]['speedup'] for row in rows]
    figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(rows) + 1.2), layout='constrained')
    bars = axes.barh([title(row) for row in rows], ratios, color=[
        '#c44e20' if row['name'].startswith('inception_slim') else '#8a8f98' for row in rows])
    axes.bar_label(bars, [f'{ratio:.2f}' for ratio in ratios], padding=3)
    axes.axvline(1, color='black', linewidth=0.6)
    axes.set_xlabel(f'speed-up over the original graph, batch {batch};\n{subject}')
    axes.spines[['top', 'right']].set_visible(False)
    axes.margins(x=0.12)
    with atomic_write(path) as file:
        figure.savefig(file, format='png', dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='fewer rounds: two minutes, not ten')
    parser.add_argument('--network', choices=registry.CLASSIFIERS, default='inception_v3',
                        help='(default: inception_v3)')
    select = add_only(parser, CONTESTANTS, REFERENCE)
    parser.add_argument('--json', metavar='FILE', help='write the results there')
    parser.add_argument('--chart', metavar='FILE.png', help='draw a chart there (needs matplotlib)')
    arguments = parser.parse_args()
    names = select(arguments)
    for path in filter(None, (arguments.json, arguments.chart)):
        try:
            check_writable(path)
        except DatasetError as error:
            parser.error(str(error))
    if arguments.chart and importlib.util.find_spec('matplotlib') is None:
        parser.error("--chart needs matplotlib: pip install 'inception_slim[plot]'")
    tf.disable_eager_execution()
    tf.get_logger().setLevel('ERROR')
    rounds = {1: 4, 8: 4, 32: 2} if arguments.quick else {1: 20, 8: 10, 32: 6}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, logits = random_checkpoint(arguments.network, folder)
        multiply_adds = count_multiply_adds(logits)
        images = os.path.join(folder, 'images.npy')
        side = registry.NETWORKS[arguments.network].image_size
        np.save(images, np.random.RandomState(1).uniform(
            -1, 1, (max(rounds), side, side, 3)).astype('f'))
        peak, rows = PeakThroughput(), []
        settings = (arguments.network, checkpoint, images, folder)
        started = start([REFERENCE], *settings)
        if not started:
            return 1
        reference = started[0]
        for precision in TOLERANCES:
            contestants = start([name for name in names if name != REFERENCE
                                 and precision_of(name) == precision], *settings, reference)
            if precision == 'float32':
                contestants.insert(0, reference)
            if not contestants:
                continue
            measure(list(dict.fromkeys([reference, *contestants])), rounds, peak, precision)
            contestants = [item for item in contestants if item.process.poll() is None]
            rows += build_rows(contestants, reference, multiply_adds, peak.rates())
            for contestant in contestants:
                if contestant is not reference:
                    contestant.close()
        rates = peak.rates()
        reference.close()
    subject = (f'{registry.NETWORKS[arguments.network].title} on {machine()}; '
               f'TensorFlow {tf.__version__}')
    print(subject)
    print_table(rows, list(rounds), rates)
    if arguments.json:
        results = {'network': arguments.network, 'machine': machine(), 'processor': cpu_summary(),
                   'tensorflow': tf.__version__, 'seed': SEED,
                   'gop_per_second': {kind: rate for kind, (rate, _) in rates.items()},
                   'fastest_convolution': {kind: by for kind, (_, by) in rates.items()},
                   'rows': rows}
        with atomic_write(arguments.json) as file:
            file.write(json.dumps(results, indent=2).encode())
    if arguments.chart:
        draw_chart(rows, max(rounds), subject, arguments.chart)
    return 0


if __name__ == '__main__':
    sys.exit(main())
