"""Workers that train together: the mathematics, the division of the data, and what goes wrong.

Real processes on this machine, each a server of TensorFlow's runtime. `make train-distributed`
kills and stops them at random moments, which takes too long for every day.
"""

from concurrent.futures import ThreadPoolExecutor
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import fork_server
from golden.weights import drawings
from hypothesis import given, settings, strategies as st
from inception_slim import checkpoint, data
from inception_slim.data.dataset import Dataset
from inception_slim.data.input_pipeline import _record_spans
from inception_slim.errors import DatasetError, TrainingError
from inception_slim.training import launch
from inception_slim.training.distributed import join_cluster
from inception_slim.training.local_launcher import free_ports, partition_cores
from inception_slim.training.tf_config import make_tf_config, parse_tf_config
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

HERE = os.path.dirname(os.path.abspath(__file__))
TWO = {'cluster': {'worker': ['a:1', 'b:2']}, 'task': {'type': 'worker', 'index': 1}}
# Without averages of the weights, which make a quarter of the graph; `steps` has them.
SMALL = ['--depth-multiplier', '0.05', '--min-depth', '4', '--image-size', '64', '--batch-size',
         '2', '--summary-steps', '1', '--network', 'inception_v2', '--moving-average-decay', '0']


class TestParseTFConfig:

    @pytest.mark.parametrize('config, addresses, index', [
        (None, (), 0),
        ('', (), 0),
        ('{}', (), 0),
        (TWO, ('a:1', 'b:2'), 1),
        ({'cluster': {'chief': ['c:3'], 'worker': ['a:1', 'b:2']},
          'task': {'type': 'worker', 'index': 1}}, ('c:3', 'a:1', 'b:2'), 2),
        ({'cluster': {'worker': ['a:1'], 'master': ['c:3']},
          'task': {'type': 'master', 'index': 0}}, ('c:3', 'a:1'), 0),
        # What launchers set where there is one replica.
        ({'cluster': {'chief': ['c:3']}, 'task': {'type': 'chief', 'index': 0}}, (), 0),
        ({**TWO, 'task': {'type': 'worker', 'index': '1'}, 'environment': 'cloud'},
         ('a:1', 'b:2'), 1),
    ])
    def test_accepts_what_launchers_write(self, config, addresses, index):
        found = parse_tf_config(
            config if isinstance(config, str) or config is None else json.dumps(config)
        )
        assert (found.addresses, found.index) == (addresses, index)

    @pytest.mark.parametrize('config, words', [
        ('{"cluster"', 'is not JSON'),
        ('[1]', 'is not a JSON object'),
        ({'cluster': ['a:1']}, 'not an object'),
        ({**TWO, 'cluster': {'worker': 'a:1'}}, 'not a list of "host:port"'),
        ({**TWO, 'cluster': {'worker': ['a', 'b:1']}}, 'not a list of "host:port"'),
        ({**TWO, 'cluster': {'worker': ['a:1', 'b:99999']}}, 'not a list of "host:port"'),
        ({**TWO, 'cluster': {'worker': ['a:1', 'a:1']}}, 'names a:1 more than once'),
        ({**TWO, 'cluster': {**TWO['cluster'], 'ps': ['p:1']}}, 'parameter servers'),
        ({**TWO, 'cluster': {**TWO['cluster'], 'boss': ['p:1']}}, "the job 'boss'"),
        ({**TWO, 'cluster': {**TWO['cluster'], 'chief': ['c:1', 'd:1']}}, '2 chiefs'),
        ({'cluster': TWO['cluster']}, 'has no "task"'),
        ({**TWO, 'task': {'type': 'worker', 'index': 2}}, 'not in the cluster'),
        ({**TWO, 'task': {'type': 'worker', 'index': -1}}, 'not in the cluster'),
        ({**TWO, 'task': {'type': 'chief', 'index': 0}}, 'not in the cluster'),
        ({**TWO, 'task': {'type': 'evaluator', 'index': 0}}, 'evaluator'),
    ])
    def test_rejects_invalid_configs(self, config, words):
        with pytest.raises(TrainingError, match=words) as raised:
            parse_tf_config(config if isinstance(config, str) else json.dumps(config))
        assert '\n' not in str(raised.value)

    def test_group_of_one_without_tf_config(self):
        workers = join_cluster(None, {}, timeout=5, wait_minutes=1, log=None)
        assert (workers.index, workers.count, workers.is_chief) == (0, 1, True)


def configs(count):
    addresses = [f'127.0.0.1:{port}' for port in free_ports(count)]
    return [{'TF_CONFIG': make_tf_config(addresses, index)} for index in range(count)]


@contextlib.contextmanager
def started(commands, environments):
    """Processes side by side, which end with the block."""
    processes = [subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', **environment})
        for command, environment in zip(commands, environments)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def side_by_side(run, arguments, environments):
    """What became of forks with these arguments, each in its environment."""
    def one(number):
        return run(*arguments[number], beside=number, **environments[number])

    with ThreadPoolExecutor() as threads:
        return list(threads.map(one, range(len(arguments))))


def steps(folder, workers, **options):
    """What `worker_steps.py` saved, of each worker; 0 workers is one process alone."""
    script = os.path.join(HERE, 'worker_steps.py')
    environments = configs(workers) if workers else [{'TF_CONFIG': ''}]
    outs = [str(folder / f'{workers}_{index}.npz') for index in range(max(workers, 1))]
    for done in side_by_side(
        fork_server.script, [(script, out, json.dumps(options)) for out in outs], environments
    ):
        assert done.returncode == 0, done.stderr
    found = []
    for out in outs:
        with np.load(out) as arrays:
            found.append(dict(arrays))
    return found


def largest_difference(ours, theirs):
    """Of any element of any variable and loss."""
    assert set(ours) == set(theirs)
    return max(np.abs(ours[name] - theirs[name]).max() for name in ours)


# On the oldest TensorFlow, gradients of 8 and of 16 images differ by more in one process already.
CLOSE = 1e-5 if tuple(map(int, tf.__version__.split('.')[:2])) >= (2, 21) else 1e-4


TEN = {'steps': 10, 'batch': 16, 'batch_norm': False, 'moving_average_decay': 0}


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
    """Ten steps of one process, without batch norm, which would see the halves of a batch."""
    return steps(tmp_path_factory.mktemp('alone'), 0, **TEN)[0]


class TestMathematics:

    def test_two_workers_are_one_with_their_images(self, alone, tmp_path):
        chief, other = steps(tmp_path, 2, **TEN)
        np.testing.assert_allclose(chief['losses'], alone['losses'], rtol=1e-5)
        assert largest_difference(chief, alone) <= CLOSE
        for name in chief:  # bit for bit, or workers would drift apart
            np.testing.assert_array_equal(chief[name], other[name], name)
        # Ten steps change more than that.
        assert abs(alone['losses'][9] - alone['losses'][0]) > 0.01

    @pytest.mark.slow
    def test_batch_norm_is_of_each_workers_images(self, tmp_path):
        """As slim's clones had it: the averages that are kept are the chief's."""
        both = steps(tmp_path, 2, steps=1, batch=8)
        alone, = steps(tmp_path, 0, steps=1, batch=4)  # the chief's images are the first 4
        first = 'InceptionV2/Conv2d_2b_1x1/BatchNorm/moving_mean'
        np.testing.assert_allclose(both[0][first], alone[first], rtol=1e-4, atol=1e-6)
        assert np.abs(both[1][first] - alone[first]).max() > 1e-3
        trained = 'InceptionV2/Logits/Conv2d_1c_1x1/weights'
        np.testing.assert_array_equal(both[0][trained], both[1][trained])

    def test_clones_are_workers_in_one_process(self, alone, tmp_path):
        one = alone
        two, = steps(tmp_path, 0, num_clones=2, **TEN)
        assert one['regularizers'] == two['regularizers'] > 0
        np.testing.assert_allclose(two['losses'], one['losses'], rtol=1e-5)
        assert largest_difference(two, one) <= CLOSE


def clones_graph(num_clones):
    from inception_slim import training
    with tf.Graph().as_default():
        step = training.build_step(
            tf.zeros((4, 64, 64, 3)), tf.zeros((4,), tf.int64), 3, network='inception_v2',
            depth_multiplier=0.05, min_depth=4, moving_average_decay=0, num_clones=num_clones)
        variables = [each.op.name for each in tf.global_variables()]
        updates = [each.name for each in tf.get_collection(tf.GraphKeys.UPDATE_OPS)]
        return step, variables, updates


def test_clones_share_variables_and_have_names_of_their_own():
    _, of_one, _ = clones_graph(1)
    step, of_two, updates = clones_graph(2)
    graph = step.train.graph
    assert sorted(of_two) == sorted(of_one)
    names = {each.name.split('/')[0] for each in graph.get_operations()}
    assert {'clone_0', 'clone_1'} <= names
    # Only the first clone's averages are run: what runs the step needs no other.
    needed = tf.graph_util.extract_sub_graph(graph.as_graph_def(), [step.train.op.name])
    ran = {node.name for node in needed.node}
    assert [each for each in updates if each in ran]
    assert all(each.startswith('clone_0/') for each in updates if each in ran)
    assert any(each.startswith('clone_1/') for each in updates)


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    """Seventeen images in five files of TFRecords, and the names of all."""
    folder = tmp_path_factory.mktemp('records')
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8)
        encode = tf.image.encode_png(pixels)
        encoded = session.run(encode, {pixels: drawings()['tiny']})
    data.write_tfrecords(folder, 'few', 'train', [(encoded, number % 3) for number in range(17)],
                         ['a', 'b', 'c'], num_shards=5)
    return str(folder)


def names_of(dataset, **options):
    return [os.path.basename(name.decode()) for batch in data.as_numpy_batches(
        lambda: data.batches(dataset, 4, image_size=8, **options)) for name in batch['name']]


class TestParts:

    @given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(1, 9))
    @settings(max_examples=200, deadline=None)
    def test_each_record_is_in_one_part(self, counts, parts):
        files = [f'f{number}' for number in range(len(counts))]
        dataset = Dataset('d', 'tfrecord', files, ['a'], sum(counts), counts=counts)
        found = [[(file, record) for file, first, count in _record_spans(dataset, index, parts)
                  for record in range(first, first + count)] for index in range(parts)]
        everything = [(file, record) for file, count in zip(files, counts)
                      for record in range(count)]
        assert sorted(sum(found, [])) == sorted(everything)
        sizes = [len(each) for each in found]
        assert max(sizes) - min(sizes) <= 1

    @pytest.mark.parametrize('training', [False, True])
    def test_records_of_files(self, records, training):
        dataset = data.open_dataset(records)
        found = [names_of(dataset, part=(index, 3), training=training, distort=False)
                 for index in range(3)]
        assert sorted(sum(found, [])) == sorted(names_of(dataset))
        assert [len(each) for each in found] == [5, 6, 6]

    def test_no_other_file_is_read(self, records, tmp_path):
        """The files of other parts may as well not be there any more."""
        dataset = data.open_dataset(records)
        mine = {file for file, _, _ in _record_spans(dataset, 1, 3)}
        assert len(mine) < 5
        copied = [os.path.join(tmp_path, os.path.basename(file)) for file in dataset.files]
        for file, copy in zip(dataset.files, copied):
            if file in mine:
                with open(file, 'rb') as source, open(copy, 'wb') as target:
                    target.write(source.read())
        moved = Dataset(str(tmp_path), 'tfrecord', copied, dataset.class_names, 17,
                        counts=dataset.counts)
        bad = []
        assert len(names_of(moved, part=(1, 3), unreadable=bad)) == 6 and not bad

    def test_counting_is_divided(self, records):
        whole = data.open_dataset(records)
        parts = [data.open_dataset(records, part=(index, 2)).counts for index in range(2)]
        assert [sum(each) for each in zip(*parts)] == whole.counts
        assert all(0 in each for each in zip(*parts))

    def test_images_in_folders(self):
        files = [f'{number}.png' for number in range(7)]
        dataset = Dataset('d', 'folder', files, ['a'], 2, labels=[0] * 7)
        with pytest.raises(DatasetError, match='holds 2 images, too few for 3 workers'):
            data.batches(dataset, 1, part=(0, 3))

    def test_a_shuffle_buffer_of_one_leaves_the_order(self, records, tmp_path):
        with open(os.path.join(records, 'few_train_00000-of-00005.tfrecord'), 'rb') as source:
            (tmp_path / 'few_train_00000-of-00001.tfrecord').write_bytes(source.read())
        (tmp_path / 'labels.txt').write_text('0:a\n1:b\n2:c\n')
        dataset = data.open_dataset(tmp_path)
        ordered = names_of(dataset)
        options = {'training': True, 'distort': False, 'seed': 1}
        assert names_of(dataset, shuffle_buffer=1, **options) == ordered
        assert names_of(dataset, shuffle_buffer=4, **options) != ordered


class TestFilesystems:
    """`ram://` is one that TensorFlow brings; cloud storage is reached by the same calls."""

    def test_records_and_images_behind_a_scheme(self, records, tmp_path):
        here = data.open_dataset(records)
        for name in os.listdir(records):
            tf.io.gfile.copy(os.path.join(records, name), f'ram://few/{name}', overwrite=True)
        there = data.open_dataset('ram://few')
        assert there.counts == here.counts and there.class_names == here.class_names
        assert names_of(there) == names_of(here)

    def test_folders_behind_a_scheme(self):
        with tf.Graph().as_default(), tf.Session() as session:
            encoded = session.run(tf.image.encode_png(drawings()['tiny']))
        for name in ('b/2.png', 'b/1.png', 'a/3.png'):
            tf.io.gfile.makedirs('ram://images/' + name[0])
            with tf.io.gfile.GFile('ram://images/' + name, 'wb') as file:
                file.write(encoded)
        found = data.open_dataset('ram://images')
        assert found.class_names == ['a', 'b'] and found.labels == [0, 1, 1]
        assert names_of(found) == ['3.png', '1.png', '2.png']

    @pytest.mark.parametrize('path, words', [
        ('nowhere://bucket/data', 'nowhere'), ('ram://not-there', 'does not exist')])
    def test_rejects_missing_datasets(self, path, words):
        with pytest.raises(DatasetError, match=words):
            data.open_dataset(path)


def train(dataset, folder, *more):
    return ['train', str(dataset), '--train-dir', str(folder), *SMALL, *more]


AS_MODULE = ['-m', 'inception_slim']


class TestCommand:

    def test_survivor_ends_when_a_worker_is_killed(self, dataset, tmp_path):
        """The other ends with what was done."""
        folder = tmp_path / 'train'
        command = train(dataset, folder, '--steps', '100000', '--worker-timeout', '5')
        with started([[*AS_MODULE, *command]] * 2, configs(2)) as (chief, other):
            for line in chief.stdout:
                if line.startswith('step 3 '):
                    break
            other.send_signal(signal.SIGKILL)
            _, errors = chief.communicate(timeout=60)
        assert chief.returncode == 1, errors
        assert len(errors.splitlines()) == 1 and errors.startswith('inception-slim: Worker 1 (')
        assert 'has exited or was killed; training stopped after step' in errors
        assert checkpoint.read(folder)[0].global_step >= 3

    @pytest.mark.slow
    def test_workers_on_this_machine(self, dataset, tmp_path):
        """By one command, which goes on from where it ended before."""
        folder = tmp_path / 'train'
        for last in (2, 4):
            done = subprocess.run(
                [sys.executable, *AS_MODULE, *train(dataset, folder, '--workers', '2', '--steps',
                                                    str(last))],
                capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            said = [each for each in done.stdout.splitlines() if not each.startswith('Waiting')]
            if last == 4:
                assert said[0] == f'Resuming from {folder}/model.ckpt-2'
            assert f'Wrote {folder}/model.ckpt-{last}: step' in done.stdout
            lines = [each for each in done.stderr.splitlines() if ': Waiting for ' not in each]
            assert lines == [f'worker 1: Finished after step {last}; the chief wrote the checkpoint']
            assert checkpoint.read(folder)[0].global_step == last

    def test_rejects_workers_with_different_options(self, dataset, tmp_path):
        commands = [train(dataset, tmp_path / 'train', *more)
                    for more in ([], ['--learning-rate', '0.5'])]
        for done in side_by_side(fork_server.command, commands, configs(2)):
            assert (done.returncode, done.stderr.count('\n')) == (1, 1), done.stderr
            assert (
                ') has learning_rate=0.5, but the chief has 0.01; start all workers with the same '
                'options.'
                in (done.stderr)
            )
        assert not (tmp_path / 'train').exists()

    def test_rejects_a_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(('', 0))
            taken.listen()
            port = taken.getsockname()[1]
            config = {**TWO, 'cluster': {'worker': ['127.0.0.1:1', f'127.0.0.1:{port}']}}
            with pytest.raises(
                TrainingError,
                match=f'Cannot listen on port {port} of 127.0.0.1:{port} .Address already in use.',
            ):
                join_cluster(json.dumps(config), {}, timeout=5, wait_minutes=1, log=None)

    def test_rejects_workers_option_with_tf_config(self, dataset, tmp_path):
        done = fork_server.command(*train(dataset, tmp_path, '--workers', '2'), **configs(1)[0])
        assert done.returncode == 1
        assert done.stderr.startswith('inception-slim: --workers starts workers on this machine, '
                                      'but')


class TestLaunch:

    def test_each_process_gets_its_config(self, tmp_path, capfd):
        code = ('import json, os; t = json.loads(os.environ["TF_CONFIG"]); '
                'print(t["task"]["index"], len(set(t["cluster"]["worker"])), '
                'len(os.sched_getaffinity(0)))')
        assert launch([sys.executable, '-c', 'import time; time.sleep(0.2); ' + code], 2) == 0
        deadline = time.monotonic() + 5
        errors = ''
        while 'worker 1' not in errors and time.monotonic() < deadline:
            output, more = capfd.readouterr()
            errors += more
            if output:
                assert output.split()[:2] == ['0', '2']
        assert errors.startswith('worker 1: 1 2 ')

    def test_returns_the_first_failure(self):
        code = 'import json, os, sys; sys.exit(3 * json.loads(os.environ["TF_CONFIG"])["task"]' \
            '["index"])'
        assert launch([sys.executable, '-c', code], 2) == 3

    def test_restarts_a_killed_worker(self, tmp_path):
        """Where that is asked for: once here, since the second run finds the file."""
        code = (f'import os; path = {str(tmp_path / "again")!r}\n'
                'if not os.path.exists(path):\n'
                '    open(path, "w").close()\n'
                '    os.kill(os.getpid(), 9)')
        lines = []
        assert launch([sys.executable, '-c', code], 1, restart=True, log=lines.append) == 0
        assert lines == ['worker 0 was killed by SIGKILL; restarting it']

    def test_partitions_the_cores(self):
        cores = os.sched_getaffinity(0)
        shares = partition_cores(len(cores))
        assert [len(each) for each in shares] == [1] * len(cores)
        assert set().union(*shares) == cores
        assert partition_cores(len(cores) + 1) == []
