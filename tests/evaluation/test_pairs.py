"""Verification of pairs of faces, compared with FaceNet's own program and with the definitions."""

import json

from golden.weights import pairs
from helpers import golden_arrays
from inception_slim import cli, evaluation
from inception_slim.errors import DatasetError
from inception_slim.evaluation.pairs import _measure, read_pairs
import numpy as np
from PIL import Image
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn import metrics

SLIM_V2 = 'tests/golden/checkpoints/slim_v2'


def distances_of(embeddings):
    return np.sum((embeddings[0::2] - embeddings[1::2]) ** 2, axis=1)


def test_figures_are_those_of_facenet():
    embeddings, same = pairs()
    result = _measure(distances_of(embeddings), same, 10, [])
    expected = golden_arrays('facenet_pairs')
    np.testing.assert_allclose(
        [result.accuracy, result.accuracy_deviation],
        [expected['accuracy'].mean(), expected['accuracy'].std()], atol=1e-12)
    np.testing.assert_allclose([result.validation_rate, result.validation_rate_deviation,
                                result.false_accept_rate], expected['val'], atol=1e-12)
    np.testing.assert_allclose([result.auc, result.eer], [expected['auc'], expected['eer']],
                               atol=1e-9)


@pytest.mark.parametrize('count, noise', [(407, 0.5), (600, 1.5), (1000, 3.0)])
def test_figures_by_their_definitions(count, noise):
    """Folds of unequal sizes, and distributions that overlap more or less."""
    random = np.random.RandomState(count)
    same = np.arange(count) % 2 == 0
    distances = np.clip(np.where(same, 1, 2) + random.randn(count) * noise / 4, 0, 3.95)
    result = _measure(distances, same, 10, [])
    folds = np.array_split(np.arange(count), 10)
    accuracies, rates, curves = [], [], []
    for fold in folds:
        train = np.setdiff1d(np.arange(count), fold)

        def accuracy(threshold, part):
            return np.mean((distances[part] < threshold) == same[part])

        def accepted(threshold, part, kind):
            return np.mean(distances[part][kind[part]] < threshold)

        best = max(np.arange(0, 4, 0.01), key=lambda threshold: accuracy(threshold, train))
        accuracies.append(accuracy(best, fold))
        fine = np.arange(0, 4, 0.001)
        threshold = interp1d([accepted(value, train, ~same) for value in fine], fine)(1e-3)
        rates.append([accepted(threshold, fold, same), accepted(threshold, fold, ~same)])
        curves.append([[accepted(value, fold, kind) for value in np.arange(0, 4, 0.01)]
                       for kind in (~same, same)])
    fpr, tpr = np.mean(curves, axis=0)
    np.testing.assert_allclose([result.accuracy, result.accuracy_deviation],
                               [np.mean(accuracies), np.std(accuracies)], atol=1e-12)
    np.testing.assert_allclose([result.validation_rate, result.false_accept_rate],
                               np.mean(rates, axis=0), atol=1e-12)
    assert result.validation_rate_deviation == pytest.approx(np.std([rate[0] for rate in rates]))
    assert result.auc == pytest.approx(metrics.auc(fpr, tpr))
    assert result.eer == pytest.approx(brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1))


class TestCommand:

    @pytest.fixture
    def faces(self, tmp_path):
        random = np.random.RandomState(0)
        for person in ('Ada', 'Bob', 'Cy'):
            folder = tmp_path / 'faces' / person
            folder.mkdir(parents=True)
            base = random.randint(0, 255, (8, 8, 3))
            for number, suffix in ((1, 'jpg'), (2, 'png')):
                pixels = np.clip(base + random.randint(-20, 20, base.shape), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).resize((80, 80)).save(
                    folder / f'{person}_{number:04d}.{suffix}')
        block = 'Ada\t1\t2\nBob\t1\t2\nAda\t1\tBob\t2\nBob 1 Cy 1\n'
        (tmp_path / 'pairs.txt').write_text('10\t2\n' + block * 10 + 'Cy 1 7\n')
        return tmp_path

    @pytest.mark.slow
    def test_evaluate_pairs(self, faces, capsys):
        arguments = ['evaluate', SLIM_V2, str(faces / 'faces'), '--pairs', str(faces / 'pairs.txt')]
        assert cli.main([*arguments, '--json']) == 0
        result = json.loads(capsys.readouterr().out)
        assert (result['num_pairs'], result['skipped']) == (40, ['Cy 1 Cy 7'])
        # The same from the features that are written to a file.
        vectors = evaluation.features(SLIM_V2, faces / 'faces', normalize=True)
        rows = {name.rsplit('/', 1)[1][:-4]: row for name, row in
                zip(vectors.names, vectors.features)}
        distances = [np.sum((rows[first] - rows[second]) ** 2) for first, second in (
            ('Ada_0001', 'Ada_0002'), ('Bob_0001', 'Bob_0002'), ('Ada_0001', 'Bob_0002'),
            ('Bob_0001', 'Cy_0001'))]
        expected = _measure(np.array(distances * 10), np.array([True, True, False, False] * 10),
                            10, [])
        for name, value in expected.to_dict().items():
            if name != 'skipped':
                assert result[name] == pytest.approx(value), name
        assert cli.main([*arguments, '--strict']) == 1
        assert 'has no image Cy 7' in capsys.readouterr().err

    def test_errors(self, faces, capsys):
        with pytest.raises(SystemExit) as stopped:
            cli.main(['evaluate', SLIM_V2, str(faces), '--pairs', 'pairs.txt', '--csv', 'a.csv'])
        assert stopped.value.code == 2
        assert '--csv is for classes' in capsys.readouterr().err
        with pytest.raises(DatasetError, match=r'has none of the images .* Ada/Ada_0001\.jpg'):
            evaluation.evaluate_pairs(SLIM_V2, faces, faces / 'pairs.txt')
        with pytest.raises(DatasetError, match='part 1 has only one kind'):
            _measure(np.arange(4) / 4, np.array([True, True, False, False]), 2, [])


@pytest.mark.parametrize('content, message', [
    ('10 300\nAda 1\n', "line 2, is not a pair: 'Ada 1'"), ('Ada 1 x\n', 'is not a pair'),
    ('10 300\n', 'has no pairs')])
def test_bad_lists_are_refused(tmp_path, content, message):
    (tmp_path / 'pairs.txt').write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_pairs(tmp_path / 'pairs.txt')
