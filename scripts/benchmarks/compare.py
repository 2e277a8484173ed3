"""Every way to run an Inception network on this processor, side by side in one run.

Each contestant is a process of its own with the same weights; its logits are checked against the
listing's graph before it is timed. Those of one precision run at a time, and the listing's graph
with them: they are asked for one batch in turn, round by round, in an order that is drawn anew for
each round; so are the processor's own limits. A turn of single images is ten of them, one after the
other: the first finds the weights out of the caches, where the others' turns have put theirs.
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

from inception_slim.inference.cpu_features import available_cores, cpu_summary, has_bfloat16
from inception_slim.nets import registry
import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from scripts.benchmarks.forward import processor, random_checkpoint
from scripts.benchmarks.peak_throughput import Limit
from scripts.benchmarks.worker_process import Process, add_only

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = 'listing'
SEED = 0  # of the order of the turns
PASSES = {1: 10}  # batch -> passes in one turn, where they are more than one
# How far the logits may be from the reference's, as a part of the largest. The weights are random,
# which rounding shows in more than it would in trained ones; `make accuracy` says what cheaper
# numbers cost a trained network.
TOLERANCES = {'float32': 1e-3, 'bfloat16': 0.1, 'int8': 0.5}
# Contestant -> what must be installed for it.
CONTESTANTS = {
    'listing': (),
    'tf_slim.nets': (),
    'keras.applications': (),
    'inception_slim float32': (),
    'inception_slim bfloat16': (),
    'inception_slim int8': (),
    # The engines by name, where they are not what those above chose.
    'inception_slim float32 (session)': (),
    'inception_slim float32 (onnxruntime)': ('onnx', 'onnxruntime'),
    'inception_slim float32 (openvino)': ('openvino',),
    'inception_slim bfloat16 (session)': (),
    'inception_slim bfloat16 (openvino)': ('openvino',),
    'inception_slim int8 (session)': (),
    'inception_slim int8 (tflite)': (),
    'inception_slim int8 (openvino)': ('openvino',),
    'ONNX Runtime': ('onnx', 'onnxruntime'),
    'OpenVINO float32': ('onnx', 'openvino'),
    'OpenVINO bfloat16': ('onnx', 'openvino'),
    'OpenVINO int8': ('onnx', 'openvino', 'nncf'),
    'PyTorch': ('torch',),
    'PyTorch compiled': ('torch',),
    'PyTorch compiled bfloat16': ('torch',),
}
# Who has not all of the networks, and which it has.
ONLY = {'tf_slim.nets': ('inception_v1', 'inception_v2', 'inception_v3'),
        'keras.applications': ('inception_v3',)}


def precision_of(name: str) -> str:
    return next((kind for kind in ('bfloat16', 'int8') if kind in name), 'float32')


class Contestant(Process):
    """A process that answers, and times itself."""

    def __init__(self, name: str, network: str, checkpoint: str, images: str):
        self.name = name
        self.durations: dict[int, list[list[float]]] = {}  # by batch, turns of passes
        self.difference, self.logits = 0.0, np.zeros(0)
        start = time.perf_counter()
        super().__init__([sys.executable, os.path.join(HERE, 'compare_worker.py'), name, network,
                          checkpoint, images])
        facts = json.loads(self.line())
        self.start_up = time.perf_counter() - start
        self.size, self.engine = facts['size'], facts.get('engine')

    def line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.why_it_ended())
        if line.startswith('{"error"'):
            self.process.wait()
            raise RuntimeError(json.loads(line)['error'].strip().splitlines()[0])
        return line

    def ask(self, question: str) -> str:
        self.send(question)
        return self.line()

    def turn(self, batch: int) -> list[float]:
        """Seconds of each pass of one turn."""
        return json.loads(self.ask(f'run {batch} {PASSES.get(batch, 1)}'))


def start(names: list[str], network: str, checkpoint: str, images: str, folder: str,
          reference: Contestant | None = None) -> list[Contestant]:
    """The contestants that run and agree with the reference, one started after the other."""
    contestants: list[Contestant] = []
    for name in tqdm(names, desc='starting', unit='contestant', disable=None):
        if network not in ONLY.get(name, registry.NETWORKS):
            continue
        missing = [each for each in CONTESTANTS[name] if importlib.util.find_spec(each) is None]
        if missing:
            print(f'{name}: left out, {", ".join(missing)} not installed (make compare-all)')
            continue
        if precision_of(name) == 'bfloat16' and not has_bfloat16():
            print(f'{name}: left out, this processor has no bfloat16 instructions')
            continue
        if any(name == f'{each.name} ({each.engine})' for each in contestants):
            continue  # it is there, as what was chosen
        try:
            contestant = Contestant(name, network, checkpoint, images)
            file = os.path.join(folder, 'logits.npy')
            contestant.ask(f'logits {file}')
        except RuntimeError as error:
            print(f'{name}: left out, it failed: {error}')
            continue
        contestant.logits = np.load(file)
        if reference is not None:
            contestant.difference = float(abs(contestant.logits - reference.logits).max()
                                          / abs(reference.logits).max())
        if contestant.difference > TOLERANCES[precision_of(name)]:
            print(f'{name}: left out, its logits differ by {contestant.difference:.1%} of the '
                  'largest')
            contestant.close()
            continue
        contestants.append(contestant)
    return contestants


def measure(contestants: list[Contestant], rounds: dict[int, int], limit: Limit,
            precision: str) -> None:
    """Times all of them, in a new order every round; leaves out who fails on the way."""
    chance = random.Random(SEED)
    limits = [each for each in limit.names if each[0] == precision]
    for batch, count in rounds.items():
        for contestant in list(contestants):
            contestant.durations[batch] = []
            try:
                contestant.turn(batch)  # the first of its shape does not count
            except RuntimeError as error:
                print(f'{contestant.name}: left out, it failed: {error}')
                contestants.remove(contestant)
        for _ in tqdm(range(count), desc=f'{precision}, batch {batch}', unit='round', disable=None):
            turns = [*contestants, *limits]
            chance.shuffle(turns)
            for each in turns:
                if isinstance(each, Contestant):
                    each.durations[batch].append(each.turn(batch))
                else:
                    limit.turn(each)


def table(contestants: list[Contestant], reference: Contestant, work: int,
          rates: dict[str, tuple[float, str]]) -> list[dict]:
    """A row for each; the reference's durations are of the same rounds."""
    rows = []
    for contestant in contestants:
        limit, _ = rates[precision_of(contestant.name)]
        row = {'name': contestant.name, 'engine': contestant.engine,
               'start_up_seconds': contestant.start_up,
               'peak_memory_mib': float(contestant.ask('memory')), 'size_mib': contestant.size,
               'difference': contestant.difference, 'batches': {}}
        for batch, turns in contestant.durations.items():
            median = float(np.median(turns))
            # Round by round: what slows a round down slows both.
            ratios = np.divide(np.median(reference.durations[batch], 1), np.median(turns, 1))
            low, middle, high = (float(each) for each in np.percentile(ratios, (25, 50, 75)))
            row['batches'][batch] = {
                'median_seconds': median,
                'first_seconds': float(np.median([turn[0] for turn in turns])),
                'p95_seconds': float(np.percentile(turns, 95)),
                'images_per_second': batch / median,
                'times_as_fast': middle, 'times_as_fast_quartiles': [low, high],
                'part_of_limit': 2 * work * batch / median / 1e9 / limit,
            }
        rows.append(row)
    return rows


def show(rows: list[dict], batches: list[int], rates: dict[str, tuple[float, str]]) -> None:
    wide = max(len(title(row)) for row in rows)
    heads = [f'{"images/s":>8} {"ratio":>5} {"quartiles":>11} {"ms":>6} '
             + f'{"first":>6} ' * (PASSES.get(batch, 1) > 1) + f'{"p95":>6} {"limit":>4}'
             for batch in batches]
    print(f'{"":{wide}}' + ' '.join(f'| {"batch " + str(batch):^{len(head)}}'
                                   for batch, head in zip(batches, heads))
          + f' | {"first":>6} {"memory":>7} {"size":>5}')
    print(f'{"":{wide}}' + ' '.join(f'| {head}' for head in heads)
          + f' | {"sec":>6} {"MiB":>7} {"MiB":>5}')
    for row in rows:
        cells = []
        for batch, found in row['batches'].items():
            low, high = found['times_as_fast_quartiles']
            kinds = ('median', 'first', 'p95') if PASSES.get(batch, 1) > 1 else ('median', 'p95')
            times = ' '.join(f'{1000 * found[f"{kind}_seconds"]:6.1f}' for kind in kinds)
            cells.append(f'| {found["images_per_second"]:8.1f} {found["times_as_fast"]:5.2f} '
                         f'{low:5.2f}-{high:5.2f} {times} {found["part_of_limit"]:4.0%}')
        print(f'{title(row):{wide}}{" ".join(cells)} | {row["start_up_seconds"]:6.1f} '
              f'{row["peak_memory_mib"]:7.0f} {row["size_mib"]:5.0f}')
    print('ratio: times as fast as the listing\'s graph, the median of the rounds; first: of '
          f'{PASSES[1]} passes, ms; limit: part of what this processor\'s best convolutions reach, '
          + ', '.join(f'{rate:.0f} Gop/s in {kind} ({by})' for kind, (rate, by) in rates.items())
          + f'; turns in random order (seed {SEED})')


def title(row: dict) -> str:
    """A row's name, with the engine that was chosen for it."""
    engine = row['engine']
    return row['name'] if engine is None or '(' in row['name'] else f'{row["name"]}: {engine}'


def chart(rows: list[dict], batch: int, subject: str, path: str) -> None:
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot

    rows = sorted(rows, key=lambda row: row['batches'][batch]['times_as_fast'])
    ratios = [row['batches'][batch]['times_as_fast'] for row in rows]
    figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(rows) + 1.2), layout='constrained')
    bars = axes.barh([title(row) for row in rows], ratios, color=[
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
    parser.add_argument('--network', choices=registry.NETWORKS, default='inception_v3',
                        help='(default: inception_v3)')
    chosen = add_only(parser, CONTESTANTS, REFERENCE)
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    parser.add_argument('--chart', metavar='FILE.png', help='draw them there (needs matplotlib)')
    arguments = parser.parse_args()
    names = chosen(arguments)
    for flag in ('json', 'chart'):
        path = getattr(arguments, flag)
        if path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            parser.error(f'--{flag}: there is no folder for {path}')
    if arguments.chart and importlib.util.find_spec('matplotlib') is None:
        parser.error("--chart needs matplotlib: pip install 'inception_slim[plot]'")
    tf.disable_eager_execution()
    tf.get_logger().setLevel('ERROR')
    rounds = {1: 4, 8: 4, 32: 2} if arguments.quick else {1: 20, 8: 10, 32: 6}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, work = random_checkpoint(arguments.network, folder)
        images = os.path.join(folder, 'images.npy')
        side = registry.NETWORKS[arguments.network].image_size
        np.save(images, np.random.RandomState(1).uniform(
            -1, 1, (max(rounds), side, side, 3)).astype('f'))
        limit, rows = Limit(), []
        settings = (arguments.network, checkpoint, images, folder)
        listing = start([REFERENCE], *settings)
        if not listing:
            return 1  # it has said why
        reference = listing[0]
        for precision in TOLERANCES:
            contestants = start([name for name in names if name != REFERENCE
                                 and precision_of(name) == precision], *settings, reference)
            if precision == 'float32':
                contestants.insert(0, reference)
            if not contestants:
                continue
            measure(list(dict.fromkeys([reference, *contestants])), rounds, limit, precision)
            contestants = [each for each in contestants if each.process.poll() is None]
            rows += table(contestants, reference, work, limit.rates())
            for contestant in contestants:
                if contestant is not reference:
                    contestant.close()
        rates = limit.rates()
        reference.close()
    machine = f'{processor()} ({cpu_summary()}), {available_cores()} cores'
    subject = (f'{registry.NETWORKS[arguments.network].title} on {machine}; '
               f'TensorFlow {tf.__version__}')
    print(subject)
    show(rows, list(rounds), rates)
    if arguments.json:
        with open(arguments.json + '.partial', 'w') as file:
            json.dump({'network': arguments.network, 'machine': machine, 'processor': cpu_summary(),
                       'tensorflow': tf.__version__, 'seed': SEED,
                       'gop_per_second': {each: rate for each, (rate, _) in rates.items()},
                       'fastest_convolution': {each: by for each, (_, by) in rates.items()},
                       'rows': rows}, file, indent=2)
        os.replace(arguments.json + '.partial', arguments.json)
    if arguments.chart:
        chart(rows, max(rounds), subject, arguments.chart)
    return 0


if __name__ == '__main__':
    sys.exit(main())
