"""Training: TensorFlow 1.15.5's three steps, and runs that are stopped, killed and gone on with.

All on narrow networks and small images: what counts is what is written, and when.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import fork_server
from golden.weights import patchwork
from helpers import (
    GOLDEN,
    NARROW,
    golden_arrays,
    load_golden_weights,
    quick_session,
    replaced_by_a_shallow_network,
    some_slow,
)
from inception_slim import checkpoint, training
from inception_slim.errors import InceptionSlimError
from inception_slim.nets import registry
from inception_slim.training import TrainingError
from inception_slim.training.checkpoint_dir import CheckpointDir, save
from inception_slim.training.options import StepOptions
from inception_slim.training.step import decayed_learning_rate, variables_to_train
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

SMALL = {'depth_multiplier': 0.05, 'min_depth': 4, 'image_size': 110, 'batch_size': 4, 'seed': 1}
SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')


@pytest.fixture(scope='module', params=some_slow(['inception_v2', 'inception_v3'], 1))
def trained(request, dataset, tmp_path_factory):
    """Two steps from a checkpoint of other classes: the folder, the answer, the lines, ...

    Of the golden checkpoint of Inception V3, or of a shallow Inception V2.
    """
    folder, network = tmp_path_factory.mktemp('trained'), registry.NETWORKS[request.param]
    lines = []
    with contextlib.ExitStack() as stack:
        if network.name == 'inception_v3':
            start, options = SLIM_V2, {**SMALL, 'image_size': 299}
        else:
            options = stack.enter_context(replaced_by_a_shallow_network())
            with tf.Graph().as_default(), tf.Session() as session:
                training.build_step(tf.zeros((2, 32, 32, 3)), tf.zeros((2,), tf.int64), 11,
                                    network=network.name, moving_average_decay=0)
                session.run(tf.global_variables_initializer())
                start = tf.train.Saver().save(session, str(tmp_path_factory.mktemp('start') / 'm'))
        options = {**options, 'network': network.name, 'summary_steps': 1}
        done = training.train(dataset, folder, checkpoint=start, steps=2, log=lines.append,
                              trainable_scopes=['Logits', 'InceptionV3/AuxLogits'][
                                  :len(network.heads)], **options)
    return SimpleNamespace(folder=folder, done=done, lines=lines, start=start, options=options,
                           network=network)


@pytest.mark.slow
def test_golden_steps():
    """Losses and variables of three steps; in float64, where rounding is some 1e-12 of them."""
    golden = golden_arrays('training_steps')
    images = patchwork(24).astype(np.float64)
    with tf.Graph().as_default(), quick_session() as session:
        inputs = tf.placeholder(tf.float64, (8, 150, 150, 3))
        labels = tf.placeholder(tf.int64, (8,))
        with slim.arg_scope([slim.batch_norm], fused=False):  # fused knows no float64
            step = training.build_step(inputs, labels, dropout_keep_prob=1.0, decay_steps=2,
                                       clip_gradients=0.5, **NARROW)
        session.run(tf.global_variables_initializer())
        load_golden_weights(session)
        session.run(step.init_averages)
        losses = []
        for i in range(3):
            feeds = {inputs: images[8 * i:8 * i + 8], labels: np.arange(8) + i}
            before = session.run({**step.losses, 'rate': step.learning_rate}, feeds)
            losses.append([before[name] for name in (
                'total', 'logits', 'aux_logits', 'regularization', 'rate')])
            assert session.run(step.train, feeds) == pytest.approx(before['total'], rel=1e-12)
        assert session.run(step.global_step) == 3
        named = {each.op.name: each for each in tf.global_variables()}
        kept = sorted(set(golden) - {'losses'})
        found = session.run([named[name] for name in kept])
    # 1e-7 is float32's own rounding: of the decays, rates and factors that both keep in it.
    np.testing.assert_allclose(losses, golden['losses'], rtol=1e-6)
    for name, value in zip(kept, found):
        np.testing.assert_allclose(value, golden[name], rtol=1e-6, atol=1e-7, err_msg=name)


def tensors(prefix):
    reader = tf.train.load_checkpoint(prefix)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.mark.slow
def test_whole_numbers(graph):
    """TensorFlow and tf-slim take 0.0 and 1.0 alone for some of these."""
    images, labels = tf.zeros((2, 110, 110, 3)), tf.zeros((2,), tf.int64)
    step = training.build_step(images, labels, weight_decay=0, learning_rate=1, decay_factor=1,
                               clip_gradients=2, dropout_keep_prob=1, **NARROW)
    with quick_session() as session:
        session.run(tf.global_variables_initializer())
        losses, rate = session.run((step.losses, step.learning_rate))
        session.run(step.train)
    assert losses['regularization'] == 0
    assert losses['total'] == pytest.approx(losses['logits'] + losses['aux_logits'])
    assert rate == 1


class TestTrain:

    def test_what_it_writes(self, trained):
        folder, done, lines = trained.folder, trained.done, trained.lines
        assert done.checkpoint == str(folder / 'model.ckpt-2')
        assert (done.step, done.started_at, done.interrupted, done.unreadable) == (2, 0, False, [])
        assert lines[0] == (f'{trained.start} has 11 classes and the dataset 3: '
                            f'{" and ".join(trained.network.heads)} start from random weights')
        assert [re.sub(r'[\d.]+ images', 'N images', line) for line in lines][-1] == (
            f'step 2 of 2: loss {done.loss:.4f}, N images/s')
        info = checkpoint.inspect(folder)
        assert (info.naming, info.scope, info.format) == ('TF-Slim', trained.network.scope, 'V2')
        assert (info.num_classes, info.global_step, info.optimizer) == (3, 2, 'RMSProp')
        assert info.has_moving_averages
        assert info.has_aux_logits == (trained.network.name == 'inception_v3')
        assert (folder / 'labels.txt').read_text() == '0:blue\n1:green\n2:red\n'
        assert 'model.ckpt-2' in (folder / 'checkpoint').read_text()
        assert str(folder) not in (folder / 'checkpoint').read_text()  # it may be moved
        assert (folder / 'loss.png').read_bytes().startswith(b'\x89PNG')

    def test_what_it_trains(self, trained):
        """The weights of the checkpoint, but for what was excluded and what was trained."""
        before, after = tensors(trained.start), tensors(trained.done.checkpoint)
        v3 = trained.network.name == 'inception_v3'
        body = [name for name in before if name.endswith(('weights', 'beta')) and (
            'Logits' not in name)]
        assert len(body) == 2 * (94 if v3 else 2)
        for name in body:
            np.testing.assert_array_equal(after[name], before[name])
            np.testing.assert_allclose(after[name + checkpoint.MOVING_AVERAGE], before[name],
                                       rtol=1e-6)
        layer = 'Conv2d_1a_3x3' if v3 else 'Conv2d_2b_1x1'
        moving = f'{trained.network.scope}/{layer}/BatchNorm/moving_mean'
        assert (after[moving] != before[moving]).all()
        slots = {name.split('/RMSProp')[0] for name in after if '/RMSProp' in name}
        assert slots and all('Logits' in name for name in slots)

    def test_summaries(self, trained):
        folder = trained.folder
        events = [name for name in os.listdir(folder) if 'tfevents' in name]
        assert len(events) == 1
        tags = {value.tag for event in tf.train.summary_iterator(str(folder / events[0]))
                for value in event.summary.value}
        assert {'learning_rate', 'losses/total', 'losses/regularization', 'losses/logits',
                'images_per_second'} <= tags
        assert ('losses/aux_logits' in tags) == (trained.network.name == 'inception_v3')

    def test_another_number_of_classes(self, trained, tmp_path):
        shutil.copytree(trained.folder, tmp_path / 'dir')
        name = trained.network.name
        for label in 'ab':
            (tmp_path / 'two' / label).mkdir(parents=True)
            (tmp_path / 'two' / label / 'one.png').write_bytes(b'')
        with pytest.raises(TrainingError, match=f'with 3 classes, not of {name} with 2; give'):
            training.train(tmp_path / 'two', tmp_path / 'dir', **trained.options)

    @pytest.mark.slow
    @pytest.mark.parametrize('trained', ['inception_v3'], indirect=True)
    def test_goes_on_past_a_save_cut_short_until_a_signal(self, trained, dataset, tmp_path):
        """In this process: from the second step on, until SIGINT after the third."""
        folder = tmp_path / 'moved'
        shutil.copytree(trained.folder, folder)
        # Only a part of the index of the fourth step is there.
        whole = (folder / 'model.ckpt-2.index').read_bytes()
        (folder / 'model.ckpt-4.index').write_bytes(whole[:100])
        (folder / 'model.ckpt-4_temp').mkdir()
        lines = []

        def interrupt(line):
            lines.append(line)
            if line.startswith('step 3 '):
                os.kill(os.getpid(), signal.SIGINT)

        handler = signal.getsignal(signal.SIGINT)
        done = training.train(dataset, folder, steps=1000, summary_steps=1, log=interrupt,
                              trainable_scopes=['Logits', 'AuxLogits'],
                              **{**SMALL, 'image_size': 299})
        assert signal.getsignal(signal.SIGINT) is handler
        assert lines[0] == f'Resuming from {folder}/model.ckpt-2'
        assert (done.started_at, done.step, done.interrupted) == (2, 3, True)
        assert checkpoint.inspect(folder).global_step == 3
        assert not (folder / 'model.ckpt-4_temp').exists()
        before, after = tensors(trained.done.checkpoint), tensors(done.checkpoint)
        name = 'InceptionV3/Logits/Conv2d_1c_1x1/weights'
        assert np.abs(after[name] - before[name]).max() < 0.1
        assert (after[name + '/RMSProp'] != before[name + '/RMSProp']).any()


class TestSchedule:

    @pytest.mark.slow
    def test_heads_before_all_layers(self, shallow_network, dataset, tmp_path):
        """Two thirds of an epoch of 12 images are two steps of 4."""
        lines = []
        first = training.train(dataset, tmp_path, steps=2, freeze_epochs=2 / 3, log=lines.append,
                               save_minutes=1e-6, **shallow_network)
        training.resume(tmp_path, steps=3, log=lines.append)
        names = [name for name in tensors(first.checkpoint)
                 if name.endswith('weights') and 'Average' not in name]
        assert len(names) == 3
        one, two, three = ({name: tensors(tmp_path / f'model.ckpt-{step}')[name] for name in names}
                           for step in (1, 2, 3))
        for name in names:
            assert (one[name] != two[name]).any() == ('Logits' in name), name
            assert (two[name] != three[name]).any(), name
        assert 'step 3: all layers are trained from here on' in lines

    @pytest.mark.slow
    @pytest.mark.parametrize('interrupted', [1, 3])
    def test_resumes_while_the_layers_are_frozen(self, shallow_network, dataset, tmp_path,
                                                 interrupted):
        """As without an interruption, but for rounding: each step uses all images, in any order."""
        options = {**shallow_network, 'batch_size': 12, 'freeze_epochs': 3, 'distort': False,
                   'dropout_keep_prob': 1.0, 'batch_norm_decay': 0.5, 'learning_rate': 0.1}
        whole = training.train(dataset, tmp_path / 'whole', steps=5, **options)
        training.train(dataset, tmp_path / 'parts', steps=interrupted, **options)
        lines = []
        parts = training.resume(tmp_path / 'parts', steps=5, log=lines.append)
        assert (parts.started_at, parts.step) == (interrupted, 5)
        assert 'step 4: all layers are trained from here on' in lines
        expected, resumed = tensors(whole.checkpoint), tensors(parts.checkpoint)
        assert set(resumed) == set(expected)
        for name, value in resumed.items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)

    @pytest.mark.parametrize('options, expected', [
        ({'learning_rate_decay': 'cosine', 'warmup_steps': 2},
         {0: 0.5, 1: 1, 2: 1, 7: 0.55, 12: 0.1, 20: 0.1}),
        ({'learning_rate_decay': 'cosine'}, {0: 1, 6: 0.55, 12: 0.1}),
        ({'learning_rate_decay': 'polynomial'}, {0: 1, 5: 0.55, 10: 0.1, 11: 0.1}),
        ({'learning_rate_decay': 'exponential'}, {0: 1, 9: 1, 10: 0.5, 20: 0.25, 90: 0.1}),
        ({'learning_rate_decay': 'fixed', 'warmup_steps': 4}, {0: 0.25, 3: 1, 90: 1})])
    def test_learning_rate(self, options, expected):
        options = StepOptions(learning_rate=1.0, end_learning_rate=0.1, decay_steps=10,
                              decay_factor=0.5, total_steps=12, **options)
        with tf.Graph().as_default(), tf.Session() as session:
            step = tf.placeholder(tf.int64, ())
            rate = decayed_learning_rate(options, step)
            for number, value in expected.items():
                assert session.run(rate, {step: number}) == pytest.approx(value)


class TestBatchNorm:

    def test_hardly_updated_averages_are_named(self, shallow_network, dataset, tmp_path):
        """After two steps with a decay of 0.9; `auto` forgets the initial values."""
        problem = ("Batch norm's moving averages are 81% of their values before the training, "
                   'after 2 steps with a decay of 0.9, so that')
        result = training.train(dataset, tmp_path / 'slow', steps=2, batch_norm_decay=0.9,
                                **shallow_network)
        assert result.warning.startswith(problem)
        assert checkpoint.inspect(tmp_path / 'slow').notes == (result.warning,)
        result = training.train(dataset, tmp_path / 'auto', steps=2, batch_norm_decay='auto',
                                **shallow_network)
        assert result.warning is None and checkpoint.inspect(tmp_path / 'auto').notes == ()
        variance = 'InceptionV2/Conv2d_2b_1x1/BatchNorm/moving_variance'
        slow, auto = (tensors(tmp_path / name / 'model.ckpt-2')[variance]
                      for name in ('slow', 'auto'))
        assert (slow > 0.81).all() and (slow < 0.9).any() and (auto < 0.81).any()

    def test_averages_that_were_never_updated(self, shallow_network, tmp_path):
        with tf.Graph().as_default(), tf.Session() as session:
            training.build_step(tf.zeros((2, 32, 32, 3)), tf.zeros((2,), tf.int64), 3,
                                network='inception_v2', moving_average_decay=0)
            session.run(tf.global_variables_initializer())
            tf.train.Saver().save(session, str(tmp_path / 'model.ckpt'))
        note, = checkpoint.inspect(tmp_path / 'model.ckpt').notes
        assert note.startswith("Batch norm's moving averages were never updated in 2 of 2 layers")

    @pytest.mark.parametrize('decay', ['fast', 1.0, -0.1])
    def test_wrong_decay(self, dataset, tmp_path, decay):
        with pytest.raises(TrainingError, match='batch_norm_decay must be'):
            training.train(dataset, tmp_path, batch_norm_decay=decay)


class TestResume:

    def test_options_of_the_run(self, shallow_network, dataset, tmp_path):
        """Half an epoch of 12 images is 1.5 steps of 4; then a third step with the same options."""
        folder = tmp_path / 'dir'
        options = {**shallow_network, 'image_size': 40}
        first = training.train(dataset, folder, epochs=0.5, trainable_scopes=('Logits',), **options)
        stored = json.loads((folder / 'training.json').read_text())
        assert first.step == 2
        assert (stored['dataset'], stored['num_classes']) == (str(dataset), 3)
        assert stored['options'].items() >= {**options, 'epochs': 0.5, 'steps': None,
                                             'trainable_scopes': ['Logits']}.items()
        with pytest.raises(TrainingError, match="network is 'inception_v2' in .*training.json and "
                                                "cannot become 'inception_v3'; give another"):
            training.resume(folder, network='inception_v3')
        second = training.resume(folder, steps=3)
        assert (second.started_at, second.step) == (2, 3)
        stored = json.loads((folder / 'training.json').read_text())['options']
        assert stored.items() >= {**options, 'epochs': None, 'steps': 3}.items()
        for name in ('a', 'b'):
            (tmp_path / 'two' / name).mkdir(parents=True)
            (tmp_path / 'two' / name / 'one.png').write_bytes(b'')
        with pytest.raises(TrainingError, match='with 3 classes, not of inception_v2 with 2; give'):
            training.resume(folder, tmp_path / 'two')

    @pytest.mark.parametrize('content, message', [
        (None, 'cannot be read .No such file or directory.; give the dataset and the options'),
        ('[1]', 'is not a file of training options'), ('{', 'is not a file of training options')])
    def test_no_options(self, tmp_path, content, message):
        if content is not None:
            (tmp_path / 'training.json').write_text(content)
        with pytest.raises(TrainingError, match=message):
            training.resume(tmp_path)

    def test_unknown_option(self, tmp_path):
        with pytest.raises(TypeError, match="train has no option 'stepz'"):
            training.resume(tmp_path, stepz=3)


@pytest.mark.slow
def test_same_seed_gives_the_same_losses(shallow_network, dataset, tmp_path):
    def losses(name, seed):
        folder = tmp_path / name
        training.train(dataset, folder, steps=3, **{**shallow_network, 'seed': seed})
        events, = folder.glob('*tfevents*')
        return [value.simple_value for event in tf.train.summary_iterator(str(events))
                for value in event.summary.value if value.tag == 'losses/total']

    first = losses('first', 5)
    assert len(first) == 3 and losses('second', 5) == first
    assert losses('third', 6) != first


class TestFolder:

    def test_the_newest_that_is_whole(self, trained, tmp_path):
        for step in (2, 5, 30):
            for suffix in ('.index', '.data-00000-of-00001'):
                shutil.copy(f'{trained.done.checkpoint}{suffix}',
                            tmp_path / f'model.ckpt-{step}{suffix}')
        name = trained.network.name

        def newest():
            return os.path.basename(CheckpointDir(str(tmp_path), name, 3).newest)

        assert newest() == 'model.ckpt-30'
        data = tmp_path / 'model.ckpt-30.data-00000-of-00001'
        content = bytearray(data.read_bytes())
        data.write_bytes(content[:len(content) // 2])
        assert newest() == 'model.ckpt-5'
        os.remove(tmp_path / 'model.ckpt-5.data-00000-of-00001')
        assert newest() == 'model.ckpt-2'
        (tmp_path / 'model.ckpt-2.index').write_bytes(b'')
        assert CheckpointDir(str(tmp_path), name, 3).newest is None
        # One that was listed as written is worth a word, and is not trained over.
        shutil.copy(trained.folder / 'checkpoint', tmp_path)
        with pytest.raises(TrainingError, match='No readable checkpoint in'):
            CheckpointDir(str(tmp_path), name, 3)

    @pytest.mark.parametrize('name, shape', [
        ('InceptionV3/Conv2d_1a_3x3/weights', (3, 3, 3, 8)), ('InceptionV3/Mixed_8/weights', (1,))])
    @pytest.mark.slow
    @pytest.mark.parametrize('trained', ['inception_v3'], indirect=True)
    def test_other_options(self, trained, graph, name, shape):
        """A width that is not the checkpoint's; a variable that it does not have."""
        with tf.variable_scope('', use_resource=True):
            variable = tf.get_variable(name, shape, initializer=tf.ones_initializer())
        folder = CheckpointDir(str(trained.folder), 'inception_v3', 3)
        with tf.Session() as session:
            session.run(variable.initializer)
            with pytest.raises(
                TrainingError, match='with other options .depth multiplier, image size'
            ):
                folder.restore(session, tf.train.Saver())
            np.testing.assert_array_equal(session.run(variable), np.ones(shape))

    def test_not_a_folder(self, dataset, tmp_path):
        (tmp_path / 'file').touch()
        with pytest.raises(TrainingError, match='cannot be written .*; give another folder'):
            training.train(dataset, tmp_path / 'file', **SMALL)
        with pytest.raises(TrainingError, match='cannot be written'):
            training.train(dataset, '/proc/nowhere', **SMALL)

    def test_a_save_that_fails_leaves_the_others(self, tmp_path):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.get_variable('x', (), tf.float32)
            session.run(tf.global_variables_initializer())
            saver = tf.train.Saver()
            first = save(session, saver, str(tmp_path), 1)
            before = sorted(os.listdir(tmp_path))
            # Where the data should go there is a folder with something in it.
            (tmp_path / 'model.ckpt-2.data-00000-of-00001' / 'full').mkdir(parents=True)
            with pytest.raises(
                TrainingError, match='model.ckpt-2 cannot be written .*free disk space'
            ):
                save(session, saver, str(tmp_path), 2)
            assert sorted(os.listdir(tmp_path)) == before
            assert tensors(first)


@pytest.mark.parametrize('arguments, message', [
    ({'steps': 0}, 'steps must be at least 1'), ({'epochs': 0}, 'epochs must be greater than 0'),
    ({'steps': 1, 'epochs': 1}, 'steps and epochs both say how long'),
    ({'network': 'resnet'}, 'network must be one of inception_v1, .*, not .resnet.'),
    ({'learning_rate': 0}, 'learning_rate must be greater than 0'),
    ({'label_smoothing': 1}, 'label_smoothing must be at least 0 and less than 1'),
    ({'learning_rate': float('nan')}, 'learning_rate'), ({'dropout_keep_prob': 0}, 'dropout')])
def test_rejects_options_out_of_range(tmp_path, arguments, message):
    with pytest.raises(TrainingError, match=message):
        training.train(tmp_path, tmp_path / 'dir', **arguments)
    assert not (tmp_path / 'dir').exists()


def test_rejects_images_too_small_for_the_network(dataset, tmp_path):
    with pytest.raises(InceptionSlimError, match='80x80 are too small; .* 107x107'):
        training.train(dataset, tmp_path / 'dir', **{**SMALL, 'image_size': 80})


def test_trainable_scopes():
    known = registry.NETWORKS['inception_v3']
    with tf.Graph().as_default():
        for name in ('Logits/x', 'LogitsToo/x', 'Mixed_7c/x'):
            tf.get_variable('InceptionV3/' + name, ())

        def names(scopes):
            return [each.op.name for each in variables_to_train(known, scopes)]

        assert names(['Logits']) == names(['InceptionV3/Logits/']) == ['InceptionV3/Logits/x']
        assert len(names(None)) == len(names(['InceptionV3'])) == 3
        for scopes, says in ((['Logit'], 'No trainable variable'), ('Logits', 'write trainable'),
                             ([], 'is empty')):
            with pytest.raises(TrainingError, match=says):
                names(scopes)


@pytest.mark.slow
def test_killed_outright_and_interrupted_as_a_command(dataset, tmp_path):
    """kill -9 after a checkpoint; then the same command goes on, and Ctrl-C ends it with 0."""
    command = [sys.executable, '-m', 'inception_slim', 'train', str(dataset), '--train-dir',
               str(tmp_path / 'dir'), '--steps', '100000', '--batch-size', '4', '--image-size',
               '110', '--depth-multiplier', '0.05', '--min-depth', '4', '--summary-steps', '1',
               '--save-minutes', '0.005']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True)
    while not list((tmp_path / 'dir').glob('model.ckpt-*.index')):
        assert process.stdout.readline()
    process.kill()
    process.communicate()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    going_on = process.stdout.readline()
    assert going_on.startswith(f'Resuming from {tmp_path}/dir/model.ckpt-')
    assert process.stdout.readline().startswith('step ')
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=150)
    assert (process.returncode, errors) == (0, '')
    stopped = re.search(r'Stopped at step ([\d,]+); the same command resumes from (.*)\n', output)
    step = int(stopped[1].replace(',', ''))
    assert checkpoint.inspect(stopped[2]).global_step == step > int(going_on.split('-')[-1])


def test_train_refuses_in_a_sentence(tmp_path):
    for arguments, code in ((['train', str(tmp_path)], 2),
                            (['train', str(tmp_path / 'no'), '--train-dir', str(tmp_path)], 1),
                            (['train', str(tmp_path), '--train-dir', 'gs://bucket/model'], 1)):
        done = fork_server.module('inception_slim', *arguments)
        assert done.returncode == code and done.stdout == '' and 'Traceback' not in done.stderr
        assert code == 2 or len(done.stderr.splitlines()) == 1
