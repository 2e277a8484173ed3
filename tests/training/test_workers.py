"""Workers and clones that train together: the same steps as one process, and wrong set-ups.

The workers are real processes on this machine, each with a server of TensorFlow's runtime.
"""

import json
import os
import re
import socket
import subprocess
import sys

import fork_server
from inception_slim import checkpoint, data, inference, training
from inception_slim.errors import TrainingError
from inception_slim.training.distributed import join_cluster
from inception_slim.training.tf_config import make_tf_config
import numpy as np
import pytest
from sklearn.metrics import average_precision_score
import tensorflow.compat.v1 as tf
from worker_processes import cluster_environments, run_cluster, train_command

HERE = os.path.dirname(os.path.abspath(__file__))


def run_steps(folder, workers, **options):
    """Runs `worker_steps.py` in each worker, or in one process if `workers` is 0.

    Returns:
      For each worker, its losses and variables by name.
    """
    script = os.path.join(HERE, 'worker_steps.py')
    environments = cluster_environments(workers) if workers else [{'TF_CONFIG': ''}]
    outputs = [str(folder / f'{workers}_{index}.npz') for index in range(max(workers, 1))]
    for result in run_cluster(fork_server.script, [
            (script, output, json.dumps(options)) for output in outputs], environments):
        assert result.returncode == 0, result.stderr
    results = []
    for output in outputs:
        with np.load(output) as arrays:
            results.append(dict(arrays))
    return results


def largest_difference(result, expected):
    """Of any element of any variable and loss."""
    assert set(result) == set(expected)
    return max(np.abs(result[name] - expected[name]).max() for name in result)


# On the oldest TensorFlow, gradients of 8 and of 16 images differ more, in one process as well.
TOLERANCE = 1e-5 if tuple(map(int, tf.__version__.split('.')[:2])) >= (2, 21) else 1e-4

TEN_STEPS = {'steps': 10, 'batch': 16, 'batch_norm': False, 'moving_average_decay': 0}


@pytest.fixture(scope='module')
def single(tmp_path_factory):
    """Ten steps of one process, without batch norm, whose statistics depend on the batch size."""
    return run_steps(tmp_path_factory.mktemp('single'), 0, **TEN_STEPS)[0]


@pytest.mark.slow
def test_two_workers_equal_one_process_with_all_images(single, tmp_path):
    chief, worker = run_steps(tmp_path, 2, **TEN_STEPS)
    np.testing.assert_allclose(chief['losses'], single['losses'], rtol=1e-5)
    assert largest_difference(chief, single) <= TOLERANCE
    for name in chief:  # bit for bit, or the workers would diverge
        np.testing.assert_array_equal(chief[name], worker[name], name)
    # Ten steps change the loss by more than the tolerance.
    assert abs(single['losses'][9] - single['losses'][0]) > 0.01


@pytest.mark.slow
def test_batch_norm_uses_the_images_of_each_worker(tmp_path):
    """As with slim's clones, the moving averages are the chief's."""
    chief, worker = run_steps(tmp_path, 2, steps=1, batch=8)
    single, = run_steps(tmp_path, 0, steps=1, batch=4)  # the chief's images are the first 4
    average = 'InceptionV2/Conv2d_2b_1x1/BatchNorm/moving_mean'
    np.testing.assert_allclose(chief[average], single[average], rtol=1e-4, atol=1e-6)
    assert np.abs(worker[average] - single[average]).max() > 1e-3
    weights = 'InceptionV2/Logits/Conv2d_1c_1x1/weights'
    np.testing.assert_array_equal(chief[weights], worker[weights])


@pytest.mark.slow
def test_two_clones_equal_one_network_with_all_images(single, tmp_path):
    clones, = run_steps(tmp_path, 0, num_clones=2, **TEN_STEPS)
    assert single['regularizers'] == clones['regularizers'] > 0
    np.testing.assert_allclose(clones['losses'], single['losses'], rtol=1e-5)
    assert largest_difference(clones, single) <= TOLERANCE


def build_clones(num_clones):
    """Returns a step, and the names of the variables and of batch norm's updates."""
    with tf.Graph().as_default():
        step = training.build_step(
            tf.zeros((4, 64, 64, 3)), tf.zeros((4,), tf.int64), 3, network='inception_v2',
            depth_multiplier=0.05, min_depth=4, moving_average_decay=0, num_clones=num_clones)
        variables = [variable.op.name for variable in tf.global_variables()]
        updates = [update.name for update in tf.get_collection(tf.GraphKeys.UPDATE_OPS)]
        return step, variables, updates


@pytest.mark.slow
def test_clones_share_variables_and_have_their_own_name_scopes():
    _, single_variables, _ = build_clones(1)
    step, variables, updates = build_clones(2)
    graph = step.train.graph
    assert sorted(variables) == sorted(single_variables)
    scopes = {op.name.split('/')[0] for op in graph.get_operations()}
    assert {'clone_0', 'clone_1'} <= scopes
    # The step runs only the first clone's updates of the moving averages.
    subgraph = tf.graph_util.extract_sub_graph(graph.as_graph_def(), [step.train.op.name])
    executed = {node.name for node in subgraph.node}
    executed_updates = [name for name in updates if name in executed]
    assert executed_updates and all(name.startswith('clone_0/') for name in executed_updates)
    assert any(name.startswith('clone_1/') for name in updates)


def test_group_of_one_without_tf_config():
    workers = join_cluster(None, {}, timeout=5, wait_minutes=1, log=None)
    assert (workers.index, workers.count, workers.is_chief) == (0, 1, True)
    tensor = object()
    assert workers.all_reduce_mean(tensor) is tensor and workers.all_reduce_sum([1, 2]) == [1, 2]
    assert workers.all_gather(lambda: {'a': 1}) == [{'a': 1}]


@pytest.mark.slow
def test_command_trains_and_resumes_with_workers_on_this_machine(dataset, tmp_path):
    folder = tmp_path / 'train'
    commands = {2: train_command(dataset, folder), 4: ['train', '--train-dir', folder, '--resume']}
    for last, command in commands.items():
        result = subprocess.run(
            [sys.executable, '-m', 'inception_slim', *command, '--workers', '2', '--steps',
             str(last)], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        lines = [line for line in result.stdout.splitlines() if not line.startswith('Waiting')]
        if last == 4:
            assert lines[0] == f'Resuming from {folder}/model.ckpt-2'
        assert f'Wrote {folder}/model.ckpt-{last}: step' in result.stdout
        errors = [line for line in result.stderr.splitlines() if ': Waiting for ' not in line]
        assert errors == [
            f'worker 1: Finished after step {last}; the chief wrote the checkpoint']
        assert checkpoint.read(folder)[0].global_step == last


@pytest.mark.slow
def test_workers_evaluate_together_and_repeat_their_losses(dataset, tmp_path):
    """Two runs with one seed; each worker evaluates its part of the images held out."""
    runs = []
    for name in ('first', 'second'):
        command = train_command(dataset, tmp_path / name, '--steps', '4', '--seed', '1',
                                '--validation', '0.5', '--eval-every', '2')
        results = run_cluster(fork_server.command, [command] * 2, cluster_environments(2))
        assert [result.returncode for result in results] == [0, 0], results[1].stderr
        runs.append([re.sub(r', [\d.]+ images/s', '', line) for line in
                     results[0].stdout.splitlines() if line.startswith(('step', 'validation'))])
    assert runs[0] == runs[1] and len(runs[0]) == 6
    best = json.loads((tmp_path / 'first' / 'best' / 'validation.json').read_text())
    count = data.open_dataset(dataset).hold_out(0.5)[1].num_examples
    assert best['accuracy'] * count == pytest.approx(round(best['accuracy'] * count))


def train_with_two_workers(dataset, folder, *options, steps=4):
    """Trains with a checkpoint after each step; returns what the chief prints."""
    command = train_command(dataset, folder, '--steps', str(steps), '--seed', '1',
                            '--save-minutes', '0.00001', *options)
    results = run_cluster(fork_server.command, [command] * 2, cluster_environments(2))
    assert [(result.returncode, result.stderr.count('Traceback')) for result in results] == [
        (0, 0)] * 2, [result.stderr for result in results]
    return re.sub(r', [\d.]+ images/s', '', results[0].stdout).splitlines()


def weights_at(folder, step):
    reader = tf.train.load_checkpoint(str(folder / f'model.ckpt-{step}'))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
            if name.endswith('weights')}


@pytest.fixture
def imbalanced(dataset, tmp_path):
    """Four images of red, two of green and one of blue."""
    for name, count in (('red', 4), ('green', 2), ('blue', 1)):
        (tmp_path / 'data' / name).mkdir(parents=True)
        for path in sorted((dataset / name).iterdir())[:count]:
            (tmp_path / 'data' / name / path.name).write_bytes(path.read_bytes())
    return tmp_path / 'data'


@pytest.mark.slow
class TestOptionsWithTwoWorkers:

    def test_freezes_all_but_the_heads(self, dataset, tmp_path):
        """Half an epoch of 12 images is 1.5 steps of 2 images in each worker."""
        lines = train_with_two_workers(dataset, tmp_path, '--freeze-epochs', '0.5', steps=3)
        assert 'step 3: all layers are trained from here on' in lines
        one, two, three = (weights_at(tmp_path, step) for step in (1, 2, 3))
        for name in one:
            assert (one[name] != two[name]).any() == ('/Logits/' in name), name
            assert (two[name] != three[name]).any(), name

    def test_balances_classes_by_the_images_of_all_workers(self, imbalanced, tmp_path):
        """The same losses as with the weights 7 / (3 x 1), 7 / (3 x 2) and 7 / (3 x 4)."""
        weights = tmp_path / 'weights.csv'
        weights.write_text(f'class,weight\nblue,{7 / 3}\ngreen,{7 / 6}\nred,{7 / 12}\n')
        balanced, given = ([line for line in train_with_two_workers(
            imbalanced, tmp_path / str(number), '--class-weights', option, steps=1)
            if line.startswith('step')] for number, option in enumerate(('balanced', str(weights))))
        assert balanced == given and len(given) == 1

    def test_draws_by_class_and_stops(self, imbalanced, dataset, tmp_path):
        """Only batch norm's averages change, by chance; both stop when that does not help."""
        lines = train_with_two_workers(
            imbalanced, tmp_path / 'dir', '--balanced-sampling', '--validation', f'{dataset}/',
            '--eval-every', '1', '--patience', '1', '--learning-rate', '1e-12',
            '--batch-norm-decay', '0.5', steps=12)
        scores = [(float(match[2]), -float(match[3])) for line in lines if (match := re.match(
            r'validation at step (\d+): accuracy ([\d.]+)%.*, loss ([\d.]+)', line))]
        step = len(scores)
        assert scores[:-1] == sorted(scores[:-1]) and scores[-1] <= scores[-2] and step < 12
        assert any(line.startswith(f'Stopped at step {step}: no better evaluation since step '
                                   f'{step - 1}') for line in lines)

    @pytest.mark.parametrize('kind', ['table', 'records'])
    def test_several_labels(self, dataset, tmp_path, kind):
        """The evaluation of both workers' images is that of the checkpoint in one process."""
        labels = {'red': [0, 1, 1], 'green': [1, 0, 0], 'blue': [0, 0, 0]}
        images = [(path, labels[path.parent.name]) for path in sorted(dataset.glob('*/*.png'))]
        if kind == 'table':
            source = tmp_path / 'labels.csv'
            source.write_text('path,green,red,warm\n' + ''.join(
                f'{path},{",".join(map(str, row))}\n' for path, row in images))
            options = ['--validation', str(source)]
        else:
            source = tmp_path / 'records'
            for split in ('train', 'validation'):
                data.write_tfrecords(source, 'x', split, [
                    (path.read_bytes(), row) for path, row in images],
                    ['green', 'red', 'warm'], num_shards=3)
            options = ['--split', 'train', '--validation', 'validation']
        train_with_two_workers(source, tmp_path / 'dir', '--class-weights', 'balanced',
                               '--focal-gamma', '1', '--eval-every', '2', '--freeze-epochs', '0.5',
                               *options)
        best = json.loads((tmp_path / 'dir/best/validation.json').read_text())
        assert checkpoint.inspect(tmp_path / 'dir').head.activation == 'sigmoid'
        opened = data.open_dataset(source, 'validation' if kind == 'records' else None)
        with inference.load(tmp_path / 'dir' / 'best', image_size=64) as predictor:
            batch, = data.as_numpy_batches(lambda: data.batches(opened, 12, image_size=64))
            logits = predictor.logits(batch['image'])
        losses = np.logaddexp(0, logits) - batch['label'] * logits
        assert best['loss'] == pytest.approx(losses.mean(), rel=1e-4)
        # Rounding may change the order of two of the twelve images.
        assert best['mean_average_precision'] == pytest.approx(
            average_precision_score(batch['label'], logits), abs=0.03)


@pytest.mark.slow
def test_rejects_workers_with_different_options(dataset, tmp_path):
    commands = [train_command(dataset, tmp_path / 'train', *arguments)
                for arguments in ([], ['--learning-rate', '0.5'])]
    for result in run_cluster(fork_server.command, commands, cluster_environments(2)):
        assert (result.returncode, result.stderr.count('\n')) == (1, 1), result.stderr
        assert (') has learning_rate=0.5, but the chief has 0.01; start all workers with the same '
                'options.') in result.stderr
    assert not (tmp_path / 'train').exists()


def test_rejects_a_port_in_use():
    with socket.socket() as listener:
        listener.bind(('', 0))
        listener.listen()
        address = f'127.0.0.1:{listener.getsockname()[1]}'
        config = make_tf_config(['127.0.0.1:1', address], 1)
        with pytest.raises(TrainingError, match=f'Cannot listen on port .* of {address} '
                           '.Address already in use.'):
            join_cluster(config, {}, timeout=5, wait_minutes=1, log=None)


def test_rejects_workers_option_with_tf_config(dataset, tmp_path):
    result = fork_server.command(*train_command(dataset, tmp_path, '--workers', '2'),
                                 **cluster_environments(1)[0])
    assert result.returncode == 1
    assert result.stderr.startswith('inception-slim: --workers starts workers on this machine, but')
