"""classify, features and evaluate: results compared with direct computation; and as commands."""

import csv
import dataclasses
import functools
import json
import os
import shutil

import fork_server
from golden.weights import weights_for
from helpers import GOLDEN, NARROW, build, quick_session, softmax
from inception_slim import checkpoint, cli, data, evaluation, inference
from inception_slim.checkpoint.class_names import match_classes, resolve_class_names
from inception_slim.data import DatasetError, preprocessing
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.evaluate import class_ranks
import numpy as np
from PIL import Image
import pytest
from sklearn.datasets import load_digits
import tensorflow.compat.v1 as tf
import tf_slim as slim

ELEVEN = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
AVERAGED = os.path.join(GOLDEN, 'checkpoints', 'trained', 'model.ckpt-3')
COUNT = 36
UNREADABLE = 5


@functools.cache
def load(checkpoint):
    return inference.load(checkpoint)


@pytest.fixture(scope='module')
def eleven():
    """A predictor of `ELEVEN`, because loading takes longer than most tests."""
    return load(ELEVEN)


@functools.cache
def digits():
    """Real images, scikit-learn's: [8, 8, 3] uint8, and the labels, in the order of the files."""
    dataset = load_digits()
    order = np.argsort(dataset.target[:COUNT], kind='stable')
    grey = (dataset.images[:COUNT][order] * 255 / 16).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=-1), dataset.target[:COUNT][order]


def encode(image):
    return tf.io.encode_png(image).numpy()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The digits as eleven classes, of which the last is empty; one image is truncated."""
    path = tmp_path_factory.mktemp('digits')
    (path / 'x').mkdir()
    for number, (image, label) in enumerate(zip(*digits())):
        (path / str(label)).mkdir(exist_ok=True)
        content = encode(image)
        (path / str(label) / f'{number:02d}.png').write_bytes(
            content[:60] if number == UNREADABLE else content)
    return path


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    path = tmp_path_factory.mktemp('records')
    data.write_tfrecords(path, 'digits', 'validation', [
        (encode(image), int(label)) for image, label in zip(*digits())],
        [*map(str, range(10)), 'x'], num_shards=2)
    return path


@functools.cache
def expected(checkpoint=ELEVEN, readable=True):
    """Logits, features and labels of the digits, computed directly."""
    images = np.stack([preprocessing.for_evaluation(image) for image in digits()[0]])
    predictor = load(checkpoint)
    logits, features = predictor.logits(images), predictor.features(images)
    chosen = np.arange(COUNT) != UNREADABLE if readable else slice(None)
    return logits[chosen], features[chosen], digits()[1][chosen]


@pytest.fixture(scope='module')
def imagenet(tmp_path_factory):
    """A narrow network of 1,001 classes."""
    path = str(tmp_path_factory.mktemp('imagenet') / 'model.ckpt')
    info, weights = checkpoint.read(ELEVEN)
    weights = {name: value for name, value in weights.items() if 'AuxLogits' not in name}
    for name in ('Logits/Conv2d_1c_1x1/weights', 'Logits/Conv2d_1c_1x1/biases'):
        weights[name] = weights_for(f'InceptionV3/{name}', (*weights[name].shape[:-1], 1001))
    checkpoint.write_network(info, weights, path)
    return path


@pytest.mark.slow
def test_batch_statistics(folder, tmp_path):
    """The labels are what TF-Slim predicts in training mode; all images are in one batch."""
    images = np.stack([preprocessing.for_evaluation(image) for image in digits()[0]])
    images = np.delete(images, UNREADABLE, axis=0)
    with tf.Graph().as_default(), quick_session() as session:
        inputs, logits, _ = build(images.shape, is_training=True, dropout_keep_prob=1.0,
                                  create_aux_logits=False, **NARROW)
        checkpoint.restore(session, ELEVEN)
        # The biases of the golden weights are so far apart that all images get one class.
        values = session.run(logits, {inputs: images})
        biases, = [variable for variable in tf.model_variables()
                   if variable.op.name == 'InceptionV3/Logits/Conv2d_1c_1x1/biases']
        biases.load(session.run(biases) - values.mean(axis=0), session)
        tf.train.Saver(tf.model_variables()).save(session, str(tmp_path / 'model.ckpt'))
    dataset = data.open_dataset(folder)
    files = sorted(dataset.files, key=os.path.basename)
    del files[UNREADABLE]
    labels = (values - values.mean(axis=0)).argmax(axis=1).tolist()
    assert len(set(labels)) > 3
    dataset = dataclasses.replace(dataset, files=files, labels=labels, num_examples=len(files))
    found = evaluation.evaluate(tmp_path, dataset, batch_size=COUNT, batch_statistics=True)
    assert found.top_1 < 0.9 < found.batch_statistics_top_1
    with pytest.raises(InceptionSlimError, match='needs the path of the checkpoint'):
        evaluation.evaluate(load(ELEVEN), folder, batch_statistics=True)


class TestClassify:

    def test_probabilities(self, folder, eleven):
        found = evaluation.classify(eleven, folder, top=3, batch_size=8)
        logits, _, _ = expected()
        assert len(found.predictions) == COUNT - 1 and found.warning is None
        assert [os.path.basename(name) for name in found.unreadable] == [f'{UNREADABLE:02d}.png']
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = exponents / exponents.sum(axis=1, keepdims=True)
        for prediction, row in zip(found.predictions, probabilities):
            np.testing.assert_allclose(prediction.probabilities, np.sort(row)[::-1][:3], atol=1e-5)
            np.testing.assert_allclose(row[prediction.classes], prediction.probabilities, atol=1e-5)
            assert prediction.labels == [f'class {number}' for number in prediction.classes]

    def test_threshold(self, folder, eleven, tmp_path):
        """All classes from a threshold on; the best of some images is below it."""
        everything = evaluation.classify(eleven, folder, top=11)
        bests = [prediction.probabilities[0] for prediction in everything.predictions]
        threshold = float(np.median(bests))
        found = evaluation.classify(eleven, folder, threshold=threshold,
                                    report=tmp_path / 'report.html')
        for prediction, all_classes in zip(found.predictions, everything.predictions):
            count = sum(value >= threshold for value in all_classes.probabilities)
            assert prediction.classes == all_classes.classes[:count]
        assert 0 < sum(not prediction.classes for prediction in found.predictions) < COUNT - 1
        with pytest.raises(InceptionSlimError, match='threshold must be at least 0 and at most 1'):
            evaluation.classify(eleven, folder, threshold=1.5)

    def test_outside_eager_mode_and_inside_a_graph(self, folder, eleven):
        with tf.Graph().as_default():
            found = evaluation.classify(ELEVEN, folder / '1', engine=eleven.engine)
        assert found.predictions == evaluation.classify(eleven, [folder / '1']).predictions

    def test_labels(self, folder, tmp_path, eleven):
        file = tmp_path / 'labels.txt'
        names = [f'name {number}' for number in range(11)]
        for lines in (names, [f'{number}:{name}' for number, name in enumerate(names)]):
            file.write_text('\n'.join(lines))
            for labels in (file, names):
                prediction = evaluation.classify(eleven, folder / '0', labels=labels).predictions[0]
                assert prediction.labels == [names[number] for number in prediction.classes]
        with pytest.raises(DatasetError, match='has 10 names, but the checkpoint has 11 classes'):
            evaluation.classify(eleven, folder, labels=names[:10])
        found = evaluation.classify(eleven, folder / '0', labels=['background', *names])
        assert found.predictions[0].labels == prediction.labels
        assert "'background', the first name, is left out" in found.warning

    @pytest.mark.slow
    def test_background_class(self, folder, imagenet):
        found = evaluation.classify(imagenet, folder / '0', top=1001)
        prediction = found.predictions[0]
        assert prediction.labels[prediction.classes.index(0)] == 'background'
        assert prediction.labels[prediction.classes.index(282)] == 'tabby, tabby cat'
        assert 'class 0 is taken for the background' in found.warning
        same = evaluation.classify(imagenet, folder / '0', labels='imagenet', top=1001)
        assert same.predictions[0].labels == prediction.labels
        names = [f'name {number}' for number in range(1000)]
        found = evaluation.classify(imagenet, folder / '0', labels=names)
        assert found.predictions[0].labels == [f'name {number - 1}'
                                           for number in found.predictions[0].classes]
        assert '1,001 classes and labels 1,000 names' in found.warning
        found = evaluation.classify(imagenet, folder / '0', labels=['none', *names])
        assert found.warning is None

    def test_class_names_of_2015(self):
        """Numbers from the map that was published with the network of December 2015."""
        info = dataclasses.replace(checkpoint.inspect(ELEVEN), num_classes=1008, path='/no/file')
        names, note = resolve_class_names(info, None)
        assert len(names) == 1008 and names[0] == 'background' and 'December 2015' in note
        for number, synset in ((449, 'n01440764'), (450, 'n01443537'), (169, 'n02510455'),
                               (889, 'n15075141'), (429, 'n02012849'), (545, 'n03126707')):
            assert names[number] == dict(data.imagenet_classes())[synset]
        assert set(names[1:1001]) == {name for _, name in data.imagenet_classes()}
        assert resolve_class_names(info, 'imagenet') == (names, None)

    @pytest.mark.slow
    def test_moving_averages(self, folder):
        plain, averaged = (evaluation.classify(AVERAGED, folder / '0', use_ema=use_ema)
                           for use_ema in (False, True))
        assert plain.predictions[0].probabilities != averaged.predictions[0].probabilities

    def test_strict(self, folder, eleven):
        message = f'{UNREADABLE:02d}.png is unreadable: it is not an image'
        with pytest.raises(DatasetError, match=message):
            evaluation.classify(eleven, folder, strict=True)

    def test_rejects_bad_arguments(self, folder, eleven):
        with pytest.raises(ValueError, match='top must be at least 1'):
            evaluation.classify(eleven, folder, top=0)
        with pytest.raises(DatasetError, match='holds no images'):
            evaluation.classify(eleven, folder / 'x')


class TestFeatures:

    def test_written_files(self, folder, eleven, tmp_path):
        found = evaluation.features(eleven, folder, tmp_path / 'new.npy')
        vectors = np.load(found.path)
        assert vectors.dtype == np.float32 and vectors.shape == found.shape
        np.testing.assert_allclose(vectors, expected()[1], atol=1e-5)
        names, read = evaluation.read_features(found.path)
        np.testing.assert_array_equal(read, vectors)
        assert names == [file for file in data.image_files(folder) if file not in found.unreadable]
        assert len(found.unreadable) == 1
        assert sorted(os.listdir(tmp_path)) == ['new.jsonl', 'new.npy']

    def test_list_of_an_earlier_version(self, tmp_path):
        np.save(tmp_path / 'old.npy', np.eye(2))
        (tmp_path / 'old.txt').write_text('a.png\nb.png\n')
        assert evaluation.read_features(tmp_path / 'old.npy')[0] == ['a.png', 'b.png']
        (tmp_path / 'old.txt').write_text('a.png\nb\n.png\n')
        with pytest.raises(DatasetError, match=r'old.npy has the shape \[2, 2\], but .* 3 names'):
            evaluation.read_features(tmp_path / 'old.npy')

    def test_without_output(self, folder, eleven):
        found = evaluation.features(eleven, folder / '0')
        assert found.path is None and found.shape == (len(found.names), 101)
        first = np.flatnonzero(expected()[2] == 0)
        np.testing.assert_allclose(found.features, expected()[1][first], atol=1e-5)

    def test_rejects_bad_arguments(self, folder, tmp_path, eleven):
        for path, says in ((tmp_path / 'new.txt', 'must end in .npy'),
                           (tmp_path / 'no' / 'new.npy', 'There is no folder .* make it first')):
            with pytest.raises(DatasetError, match=says):
                evaluation.features(eleven, folder, path)
        (tmp_path / 'new.npy').write_text('old')
        with pytest.raises(DatasetError):
            evaluation.features(eleven, folder, tmp_path / 'new.npy', strict=True)
        assert (tmp_path / 'new.npy').read_text() == 'old'


class TestEvaluate:

    @pytest.mark.parametrize('kind', ['folder', 'records'])
    def test_accuracy_and_confusion(self, request, eleven, tmp_path, kind):
        file = tmp_path / 'confusion.csv'
        found = evaluation.evaluate(eleven, request.getfixturevalue(kind), batch_size=8,
                                    confusion=file)
        if kind == 'records':
            assert found.unreadable == []
            logits, _, labels = expected(readable=False)
        else:
            assert len(found.unreadable) == 1
            logits, _, labels = expected()
        assert found.num_examples == len(labels) and found.warning is None
        assert found.top_1 == (logits.argmax(axis=1) == labels).mean()
        top = np.argsort(-logits, axis=1)[:, :5]
        assert found.top_5 == (top == labels[:, np.newaxis]).any(axis=1).mean()
        wanted = np.zeros((11, 11), int)
        for label, prediction in zip(labels, logits.argmax(axis=1)):
            wanted[label, prediction] += 1
        np.testing.assert_array_equal(found.confusion, wanted)
        rows = list(csv.reader(open(file)))
        assert rows[0] == ['class', *map(str, range(10)), 'x']
        assert [row[0] for row in rows[1:]] == rows[0][1:]
        np.testing.assert_array_equal([row[1:] for row in rows[1:]], wanted.astype(str))
        three = found.per_class[3]
        images = int((labels == 3).sum())
        assert three == {'label': 3, 'name': '3', 'images': images, 'correct': wanted[3, 3],
                         'accuracy': wanted[3, 3] / images,
                         'top_5_accuracy': found.top_5_correct[3] / images}
        assert found.top_5_correct.sum() == round(found.top_5 * found.num_examples)
        assert found.per_class[10]['accuracy'] is None

    def test_top_5_equals_tf_slim_recall(self):
        """`slim.metrics.streaming_recall_at_k`, in which ties count as correct."""
        logits = np.random.RandomState(0).randint(0, 6, (200, 11)).astype(np.float32)
        labels = np.random.RandomState(1).randint(0, 11, 200)
        ours = (class_ranks(logits, labels) <= 5).mean()
        with tf.Graph().as_default(), tf.Session() as session:
            recall, update = slim.metrics.streaming_recall_at_k(logits, tf.constant(labels), 5)
            session.run(tf.local_variables_initializer())
            session.run(update)
            assert ours == pytest.approx(session.run(recall))

    def test_confusion_plot(self, eleven, records, tmp_path):
        evaluation.evaluate(eleven, records, confusion=tmp_path / 'confusion.png')
        assert Image.open(tmp_path / 'confusion.png').size > (400, 300)
        assert os.listdir(tmp_path) == ['confusion.png']

    @pytest.mark.slow
    def test_background_class(self, imagenet, tmp_path):
        """1,000 classes without, 1,001 with: the labels move by one."""
        logits, _, _ = expected(imagenet, readable=False)
        names = [f'{number:03d}' for number in range(1000)]
        # The labels are the predictions, so that all are correct.
        labels = np.maximum(logits.argmax(axis=1) - 1, 0).tolist()
        data.write_tfrecords(tmp_path, 'made', 'test', zip(map(encode, digits()[0]), labels),
                             names)
        found = evaluation.evaluate(imagenet, tmp_path)
        assert found.top_1 == (logits.argmax(axis=1) > 0).mean() > 0
        assert found.confusion.shape == (1000, 1001) and found.prediction_names[-1] == 'background'
        assert 'class 0 of the checkpoint is taken for the background class' in found.warning
        data.write_tfrecords(tmp_path, 'made', 'test', zip(map(encode, digits()[0]), [
            label + 1 for label in labels]), ['background', *names])
        same = evaluation.evaluate(imagenet, tmp_path)
        assert same.top_1 == found.top_1 and same.warning is None

    def test_background_class_of_the_dataset_only(self, tmp_path, eleven):
        logits, _, _ = expected(readable=False)
        data.write_tfrecords(tmp_path, 'made', 'test', zip(
            map(encode, digits()[0]), (logits.argmax(axis=1) + 1).tolist()),
            ['background', *map(str, range(11))])
        found = evaluation.evaluate(eleven, tmp_path)
        assert found.top_1 == found.top_5 == 1 and found.confusion.shape == (12, 12)
        assert ("label 0 of the dataset, 'background', is not a class of the checkpoint"
                in found.warning)

    @pytest.mark.slow
    def test_int8(self, folder):
        """Calibrated on the images themselves."""
        exact = evaluation.evaluate(ELEVEN, folder)
        found = evaluation.evaluate(ELEVEN, folder, precision='int8')
        assert found.num_examples == exact.num_examples and len(found.unreadable) == 1
        assert abs(found.top_5 - exact.top_5) < 0.2

    def test_rejects_bad_arguments(self, folder, imagenet, tmp_path, eleven):
        for arguments, says in (
                ((imagenet, folder), "has 11 classes and .* 1,001, and 'x' is not the name"),
                ((eleven, tmp_path), 'holds no data')):
            with pytest.raises(DatasetError, match=says):
                evaluation.evaluate(*arguments)
        with pytest.raises(DatasetError, match='must end in .csv, or in .png for a plot'):
            evaluation.evaluate(eleven, folder, confusion='confusion.txt')


class TestSubset:
    """Datasets of some of the checkpoint's classes."""

    @pytest.fixture
    def subset(self, folder, tmp_path):
        """Three classes, in another order than that of the checkpoint."""
        for name, label in (('cat', 7), ('dog', 0), ('owl', 3)):
            shutil.copytree(folder / str(label), tmp_path / 'subset' / name)
        return tmp_path / 'subset', [
            'dog', *'12', 'owl, bird of Minerva', *'456', 'cat', *'89', 'x']

    @pytest.mark.parametrize('candidates', ['all', 'dataset'])
    def test_equals_direct_computation(self, eleven, subset, tmp_path, candidates):
        path, labels = subset
        found = evaluation.evaluate(eleven, path, labels=labels, candidates=candidates,
                                    predictions=tmp_path / 'predictions.csv')
        logits, _, targets = expected()
        classes = np.array([7, 0, 3])
        rows = np.concatenate([np.flatnonzero(targets == number) for number in classes])
        probabilities = softmax(logits[rows].astype(np.float64))
        if candidates == 'dataset':
            chosen = np.zeros((1, 11))
            chosen[:, classes] = 1
            probabilities = probabilities * chosen / (probabilities * chosen).sum(1, keepdims=True)
        best, own = probabilities.argmax(1), probabilities[np.arange(len(rows)), targets[rows]]
        assert found.top_1 == (best == targets[rows]).mean()
        ranks = 1 + (probabilities > own[:, np.newaxis]).sum(1)
        assert found.top_5 == (ranks <= 5).mean()
        wanted = np.zeros((3, 4), int)
        for label, number in zip(targets[rows], best):
            wanted[list(classes).index(label), [*classes, number].index(number)] += 1
        assert found.confusion.shape[1] == (4 if candidates == 'all' else 3)
        np.testing.assert_array_equal(found.confusion, wanted[:, :found.confusion.shape[1]])
        assert ('candidates="dataset"' in found.warning) == (candidates == 'all')
        if candidates == 'all':
            assert found.prediction_names[-1] == 'other class'
        table = list(csv.DictReader(open(tmp_path / 'predictions.csv')))
        assert [os.path.basename(row['image']) for row in table] == [
            f'{number + (number >= UNREADABLE):02d}.png' for number in rows]
        assert [row['class'] for row in table] == [
            ('cat', 'dog', 'owl')[list(classes).index(label)] for label in targets[rows]]
        assert [int(row['prediction']) for row in table] == best.tolist()
        assert [row['predicted_class'] for row in table] == [labels[number] for number in best]
        assert [int(row['rank']) for row in table] == ranks.tolist()
        for column, values in (('probability', probabilities.max(1)), ('class_probability', own)):
            np.testing.assert_allclose([float(row[column]) for row in table], values, atol=1e-5)

    @pytest.mark.slow
    def test_command(self, subset, tmp_path, capsys):
        path, labels = subset
        (tmp_path / 'labels.txt').write_text('\n'.join(labels))
        command = ['evaluate', ELEVEN, str(path), '--labels', str(tmp_path / 'labels.txt'),
                   '--candidates', 'dataset', '--json']
        assert cli.main(command) == 0
        (tmp_path / 'before.json').write_text(capsys.readouterr().out)
        report = tmp_path / 'report.html'
        assert cli.main([*command, '--compare', str(tmp_path / 'before.json'), '--report',
                         str(report), '--predictions', str(tmp_path / 'all.csv')]) == 0
        assert 'Comparison with' in report.read_text() and '+0.00' in report.read_text()
        assert len((tmp_path / 'all.csv').read_text().splitlines()) == 1 + json.loads(
            capsys.readouterr().out)['num_examples']
        with pytest.raises(SystemExit):
            cli.main([*command, '--compare', str(tmp_path / 'before.json')])
        assert 'add --report FILE.html' in capsys.readouterr().err

    @pytest.mark.parametrize('count', [1000, 1001, 1008])
    @pytest.mark.parametrize('names, synsets', [
        (['n01440764', 'n03888257', 'n02979186'], ['n01440764', 'n03888257', 'n02979186']),
        (['goldfish', 'Tench', 'great_white_shark'], ['n01443537', 'n01440764', 'n01484850']),
        (['0', '1', '10', '999'], ['n01440764', 'n01443537', 'n01530575', 'n15075141']),
        (['n02012849', 'n03126707'], ['n02012849', 'n03126707'])])  # both are named crane
    def test_imagenet(self, count, names, synsets):
        """Imagenette's ids, synonyms of WordNet, and ImageNet-V2's numbers."""
        info = imagenet_info(count)
        classes, warning = match_classes(info, image_folder(names))
        ids = [synset for synset, _ in data.imagenet_classes()]
        numbers = {1000: ids, 1001: ['', *ids]}.get(count)
        if numbers is None:
            labels = data.inception_2015_labels()
            assert [labels[number] for number in classes] == [
                dict(data.imagenet_classes())[synset] for synset in synsets]
        else:
            assert classes.tolist() == [numbers.index(synset) for synset in synsets]
        assert 'found by their names, WordNet ids or numbers' in warning

    def test_all_of_imagenet_by_numbers(self):
        """Sorted by name, '10' comes before '2'."""
        names = sorted(map(str, range(1000)))
        for count, first in ((1000, 0), (1001, 1)):
            classes, _ = match_classes(imagenet_info(count), image_folder(names))
            assert classes.tolist() == [int(name) + first for name in names]

    def test_order_of_equally_many_classes(self):
        info = checkpoint.inspect(ELEVEN)
        names = sorted(map(str, range(11)))
        assert match_classes(info, image_folder(names))[0].tolist() == list(range(11))
        for kind, order in (('folder', [int(name) for name in names]),
                            ('tfrecord', list(range(11)))):
            classes, warning = match_classes(info, image_folder(names, kind),
                                             [str(number) for number in range(11)])
            assert classes.tolist() == order and warning is None

    @pytest.mark.parametrize('names, message', [
        (['n01440764', 'tench'], "the class 'tench, Tinca tinca' twice"),
        (['n01440764', 'no such fish'], "'no such fish' is not the name, WordNet id or number"),
        (['crane', 'tench'], "'crane' is not the name"), (['1000'], "'1000' is not the name")])
    def test_classes_that_are_not_found(self, names, message):
        with pytest.raises(DatasetError, match=message):
            match_classes(imagenet_info(1000), image_folder(names))


def imagenet_info(count):
    return dataclasses.replace(checkpoint.inspect(ELEVEN), num_classes=count,
                               has_background_class=count == 1001)


def image_folder(names, kind='folder'):
    return data.Dataset('folder', kind, [], names, 0)


class TestPredictor:
    """A loaded predictor in place of the checkpoint."""

    def test_stays_open(self, eleven, folder):
        first, second = (evaluation.classify(eleven, folder / '1') for _ in range(2))
        assert first.predictions == second.predictions

    @pytest.mark.parametrize('option, value', [
        ('use_ema', True), ('checkpoint_scope', 'scope'), ('precision', 'int8'),
        ('engine', 'session'), ('cache', 'folder')])
    def test_rejects_options_for_loading(self, eleven, folder, option, value):
        for function in (evaluation.classify, evaluation.features, evaluation.evaluate):
            with pytest.raises(InceptionSlimError, match=f'{option} has no effect on a predictor'):
                function(eleven, folder, **{option: value})

    def test_rejects_heatmaps(self, eleven, folder, tmp_path):
        for function in (evaluation.classify, evaluation.evaluate):
            with pytest.raises(InceptionSlimError, match='give the path of the checkpoint'):
                function(eleven, folder, report=tmp_path / 'a.html', heatmap=True)


class TestCommands:
    """One in a process of its own; the others in this process."""

    @pytest.fixture
    def call(self, capsys):
        def calling(*arguments):
            capsys.readouterr()
            try:
                code = cli.main([str(argument) for argument in arguments])
            except SystemExit as error:
                code = error.code
            printed = capsys.readouterr()
            return code, printed.out, printed.err
        return calling

    @pytest.mark.slow
    def test_classify(self, folder, tmp_path):
        (tmp_path / 'labels.txt').write_text('\n'.join(f'{n}:name {n}' for n in range(11)))
        done = fork_server.command('classify', ELEVEN, folder / '0', folder / '1', '--top', 2,
                   '--labels', tmp_path / 'labels.txt')
        assert done.returncode == 0
        lines = done.stdout.splitlines()
        assert lines[0] == str(folder / '0' / '00.png')
        best = expected()[0][0].argmax()
        assert lines[1].endswith(f'%  name {best}') and len(lines) % 3 == 0
        assert done.stderr == ('Skipped unreadable images: 1\n'
                               f'  {data.image_files(folder)[UNREADABLE]}\n')

    def test_classify_json(self, call, folder):
        code, out, err = call('classify', ELEVEN, folder / '2', '--json')
        assert (code, err) == (0, '')
        found = json.loads(out)
        assert found['unreadable'] == [] and len(found['predictions'][0]['classes']) == 5

    def test_features(self, call, folder, tmp_path):
        code, out, err = call('features', ELEVEN, folder / '2', '--output', tmp_path / 'new.npy')
        assert (code, err) == (0, '')
        rows, columns = np.load(tmp_path / 'new.npy').shape
        assert out == (f'Wrote {tmp_path}/new.npy: features of {rows} images, {columns} each; '
                       f'their names are in {tmp_path}/new.jsonl\n')

    def test_evaluate(self, call, records, tmp_path):
        code, out, err = call('evaluate', ELEVEN, records, '--split', 'validation',
                              '--confusion', tmp_path / 'new.csv')
        assert (code, err) == (0, '')
        right = int((expected(readable=False)[0].argmax(axis=1) == digits()[1]).sum())
        assert f'top-1 accuracy     {right / COUNT:.2%}\n' in out
        assert out.startswith(f'images             {COUNT} of 11 classes; 0 unreadable\n')
        assert os.path.exists(tmp_path / 'new.csv')
        code, out, err = call('evaluate', ELEVEN, records, '--json')
        assert json.loads(out)['top_1'] == right / COUNT

    def test_rejects_bad_arguments(self, call, folder, tmp_path):
        for arguments, wanted in (
                (['classify', ELEVEN], 2),
                (['classify', ELEVEN, folder, '--top', '0'], 2),
                (['classify', ELEVEN, tmp_path], 1),
                (['classify', ELEVEN, folder, '--strict'], 1),
                (['evaluate', tmp_path, folder], 1)):
            code, out, err = call(*arguments)
            assert code == wanted and out == '' and err
            assert code == 2 or len(err.splitlines()) == 1, err
