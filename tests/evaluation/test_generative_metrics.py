"""FID, KID and the Inception Score, compared with pytorch-fid, torch-fidelity and clean-fid."""

import json
import os
import resource
import sys

import fork_server
from golden.reference_metrics import images, vectors
from helpers import GOLDEN
from inception_slim import data, evaluation, inference
from inception_slim.checkpoint import read
from inception_slim.data import DatasetError, preprocessing
from inception_slim.evaluation import generative_metrics
import numpy as np
from PIL import Image
import pytest
from sklearn.datasets import load_digits
import tensorflow as tf

NARROW = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
REFERENCE = np.load(os.path.join(GOLDEN, 'measures.npz'))


def compute_statistics(values, batch=32):
    moments = generative_metrics.RunningMoments()
    for at in range(0, len(values), batch):
        moments.add(values[at:at + batch])
    return moments.statistics()


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Two folders of digits, and the first as TFRecords."""
    folder = tmp_path_factory.mktemp('measured')
    digits = load_digits().images
    for name, some_digits in (('first', digits[:40]), ('second', digits[500:530])):
        (folder / name).mkdir()
        for number, digit in enumerate(some_digits):
            Image.fromarray((digit * 15).astype(np.uint8)).convert('RGB').resize((64, 48)).save(
                folder / name / f'{number:03d}.png')
    data.write_tfrecords(folder / 'records', 'digits', 'test', [
        (path.read_bytes(), 0) for path in sorted((folder / 'first').iterdir())], ['digit'])
    return folder


def check_equals_numpy(statistics, values):
    assert statistics.count == len(values)
    np.testing.assert_allclose(statistics.mu, values.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(statistics.sigma, np.cov(values.astype(np.float64), rowvar=False),
                               rtol=1e-7, atol=1e-7)
    np.testing.assert_array_equal(statistics.sigma, statistics.sigma.T)


def test_running_moments_equal_numpy():
    """Also for values far from zero."""
    first, _ = vectors()
    for values in (first, first.astype(np.float64) + 1e6):
        check_equals_numpy(compute_statistics(values), values)
    with pytest.raises(DatasetError, match='at least two images, but there is 1'):
        compute_statistics(first[:1])


@pytest.mark.parametrize('batch', [1, 7, 512, 513, 2000])
def test_running_moments_of_any_batch_size(batch):
    values = np.random.default_rng(0).normal(3, 2, (1200, 6)).astype(np.float32)
    check_equals_numpy(compute_statistics(values, batch), values)


def test_running_moments_go_on_after_a_result():
    values = np.random.default_rng(0).normal(3, 2, (700, 6)).astype(np.float32)
    moments = generative_metrics.RunningMoments()
    for begin, end in ((0, 10), (10, 600), (600, 700)):
        given = values[begin:end].copy()
        moments.add(given)
        given[:] = 0  # the caller may use its memory again
        check_equals_numpy(moments.statistics(), values[:end])


def test_merged_moments_equal_those_of_one_process():
    values = np.random.default_rng(0).normal(3, 2, (1100, 6)).astype(np.float32)
    merged = generative_metrics.RunningMoments()
    merged.add(values[:30])
    for begin, end in ((30, 31), (31, 700), (700, 1100)):
        part = generative_metrics.RunningMoments()
        part.add(values[begin:end])
        count, mean, scatter = part.moments()
        before = scatter.copy()
        merged.merge(count, mean, scatter)
        assert merged.count == end
        np.testing.assert_array_equal(scatter, before)
    check_equals_numpy(merged.statistics(), values)


def test_frechet_distance():
    first, second = map(compute_statistics, vectors())
    found = generative_metrics.frechet_distance(first, second)
    assert found == pytest.approx(float(REFERENCE['fid']), rel=1e-3)  # pytorch-fid
    assert found == pytest.approx(float(REFERENCE['fid']), rel=1e-7)
    assert generative_metrics.frechet_distance(second, first) == pytest.approx(found)
    with pytest.raises(DatasetError, match='has 24 channels, the other 5'):
        generative_metrics.frechet_distance(first, compute_statistics(np.ones((3, 5))))


def test_fid_infinity_is_nearer_to_the_distance_of_the_distributions():
    random = np.random.RandomState(0)
    samples = random.normal(0.1, size=(3000, 60))
    reference = generative_metrics.Statistics(np.zeros(60), np.eye(60))
    expected = 60 * 0.1 ** 2
    fid = generative_metrics.frechet_distance(compute_statistics(samples), reference)
    infinity = np.mean([generative_metrics.fid_infinity(samples, reference, seed=seed)
                        for seed in range(5)])
    assert abs(infinity - expected) < 0.2 * (fid - expected)
    with pytest.raises(DatasetError, match='at least four samples, but there are 3'):
        generative_metrics.fid_infinity(samples[:3], reference)
    with pytest.raises(DatasetError, match='has 60 channels, the other 5'):
        generative_metrics.fid_infinity(samples[:, :5], reference)


def test_moments_that_are_not_finite():
    with pytest.raises(DatasetError, match='of the features is not finite'):
        compute_statistics(np.array([[1.0], [np.inf]]))


def test_frechet_distance_is_zero_for_equal_statistics():
    values = vectors()[0]
    # With fewer vectors than channels, the covariance is singular.
    for part in (values, values[:10]):
        statistics = compute_statistics(part)
        assert generative_metrics.frechet_distance(statistics, statistics) == 0
        assert generative_metrics.frechet_distance(statistics, compute_statistics(part)) == 0
        # Rounding errors of another batch size give a small distance, which is not negative.
        other = compute_statistics(part, batch=7)
        assert 0 <= generative_metrics.frechet_distance(statistics, other) < 1e-4


def test_kernel_inception_distance():
    found = generative_metrics.kernel_inception_distance(*vectors(), subsets=20, subset_size=100)
    np.testing.assert_allclose(found, REFERENCE['kid'], rtol=1e-4)  # torch-fidelity
    with pytest.raises(DatasetError, match='cannot be drawn from 250; set the subset size'):
        generative_metrics.kernel_inception_distance(*vectors())


def test_inception_score():
    found = generative_metrics.inception_score_of_logits(vectors()[0], 7)
    np.testing.assert_allclose(found, REFERENCE['score'], rtol=1e-4)  # torch-fidelity
    # Confident predictions of four equally frequent classes give 4; equal predictions give 1.
    confident = 1e4 * np.eye(4)[np.arange(400) % 4]
    assert generative_metrics.inception_score_of_logits(confident, 1) == pytest.approx((4, 0))
    equal = generative_metrics.inception_score_of_logits(np.ones((30, 4)), 3)
    assert equal == pytest.approx((1, 0))
    with pytest.raises(DatasetError, match='2 images cannot be divided into 10 splits'):
        generative_metrics.inception_score_of_logits(np.ones((2, 4)))


@pytest.mark.parametrize('number', range(3))
def test_resizing_equals_reference(number):
    image = images()[number]
    original = (preprocessing.resize_tf1(image).numpy() + 1) * 127.5
    np.testing.assert_allclose(original[::23, ::23], REFERENCE[f'original_{number}'], atol=2e-3)
    clean = (preprocessing.resize_antialiased(image).numpy() + 1) * 127.5
    np.testing.assert_allclose(clean[::23, ::23], REFERENCE[f'clean_{number}'], atol=2e-2)


@pytest.mark.slow
def test_metrics_of_images(folders, tmp_path):
    """Folders, TFRecords and statistics, compared with direct computation."""
    expected = {}
    with inference.load(NARROW) as predictor:
        for name in ('first', 'second'):
            shown = np.stack([preprocessing.resize_tf1(tf.io.decode_png(path.read_bytes()))
                              for path in sorted((folders / name).iterdir())])
            expected[name] = predictor.features(shown)
    found = evaluation.fid(NARROW, folders / 'first', folders / 'second', kid=True,
                           kid_subset_size=30, batch_size=7)
    assert (found.counts, found.unreadable) == ((40, 30), [])
    distance = generative_metrics.frechet_distance(*map(compute_statistics, expected.values()))
    assert found.fid == pytest.approx(distance, rel=1e-3) and found.fid > 1e-3
    assert found.kid == pytest.approx(
        generative_metrics.kernel_inception_distance(*expected.values(), 100, 30)[0], rel=1e-3)
    written = evaluation.compute_statistics(NARROW, folders / 'records', tmp_path / 'first.npz')
    np.testing.assert_allclose(written.mu, expected['first'].mean(axis=0), rtol=1e-4, atol=1e-6)
    same = evaluation.fid(NARROW, tmp_path / 'first.npz', folders / 'second')
    assert same.fid == pytest.approx(found.fid, rel=1e-6) and same.counts == (40, 30)
    clean = evaluation.fid(NARROW, tmp_path / 'first.npz', folders / 'second', resize='clean',
                           force=True)
    assert clean.fid != pytest.approx(found.fid, rel=1e-3)
    scored = evaluation.inception_score(NARROW, folders / 'first', splits=4)
    classifier = read(NARROW)[1]['Logits/Conv2d_1c_1x1/weights'][0, 0]
    assert scored.mean == pytest.approx(generative_metrics.inception_score_of_logits(
        expected['first'] @ classifier, 4)[0], rel=1e-5)


def test_rejects_bad_input(folders, tmp_path):
    first = folders / 'first'
    for name, content in (('text.npz', b'not one'), ('empty.npz', b'')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match='is not an .npz file of numbers'):
            evaluation.fid(NARROW, first, tmp_path / name)
    np.savez(tmp_path / 'other.npz', a=np.ones(3))
    np.savez(tmp_path / 'square.npz', mu=np.ones(3), sigma=np.ones((3, 4)))
    np.savez(tmp_path / 'pickle.npz', mu=np.array([{}], object), sigma=np.ones((1, 1)))
    np.savez(tmp_path / 'infinite.npz', mu=np.full(101, np.inf), sigma=np.eye(101))
    np.savez(tmp_path / 'good.npz', mu=np.zeros(101), sigma=np.eye(101))
    for name, says in (('other', 'contains a, but statistics are mu and sigma'),
                       ('square', 'are not a mean and a covariance'),
                       ('pickle', 'is not an .npz file'),
                       ('infinite', 'mu or sigma with values that are not finite'),
                       ('missing', 'cannot be read: No such file')):
        with pytest.raises(DatasetError, match=says):
            evaluation.fid(NARROW, first, tmp_path / f'{name}.npz')
    for call, says in (
        (lambda: evaluation.fid(NARROW, first, tmp_path / 'good.npz', kid=True),
         'KID cannot be computed: .* has statistics only'),
        (lambda: evaluation.fid(NARROW, first, first, kid=True),
         'has 40 images, but a subset has 1,000'),
        (lambda: evaluation.inception_score(NARROW, tmp_path / 'good.npz'),
         'The Inception Score cannot be computed: .* has statistics only'),
        (lambda: evaluation.compute_statistics(NARROW, first, tmp_path / 'x.npy'), 'end in .npz'),
        (lambda: evaluation.fid(NARROW, first, first, resize='lanczos'), 'original, clean'),
    ):
        with pytest.raises(ValueError, match=says):
            call()


def test_running_moments_use_constant_memory():
    """The peak is the same for 20 times as many vectors."""
    rng = np.random.RandomState(0)
    batch = rng.normal(size=(64, 256)).astype(np.float32)

    def peak(count):
        moments = generative_metrics.RunningMoments()
        for _ in range(count):
            moments.add(batch)
        moments.statistics()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = peak(10)
    unit = 2**20 if sys.platform == 'darwin' else 2**10
    assert peak(200) - before < 4 * unit  # 200 batches are 12 MiB


@pytest.mark.slow
def test_loaded_predictor(folders, tmp_path):
    first = folders / 'first'
    with inference.load(NARROW) as predictor:
        assert evaluation.fid(predictor, first, first).fid == 0
        statistics = evaluation.compute_statistics(predictor, first, tmp_path / 'first.npz')
        assert evaluation.fid(predictor, tmp_path / 'first.npz', first).fid == pytest.approx(
            0, abs=1e-6)
        score = evaluation.inception_score(predictor, first, splits=4)
        with pytest.raises(ValueError, match='precision has no effect on a predictor'):
            evaluation.fid(predictor, first, first, precision='int8')
    assert statistics.count == 40
    assert score.mean == evaluation.inception_score(NARROW, first, splits=4).mean


@pytest.mark.slow
def test_commands(folders, tmp_path):
    done = fork_server.command('fid-statistics', NARROW, folders / 'first', '--output',
                               tmp_path / 'first.npz')
    assert done.stdout == (f'Wrote {tmp_path}/first.npz: mean and covariance of 101 features of 40 '
                           'images\n')
    done = fork_server.command(
        'fid', NARROW, tmp_path / 'first.npz', folders / 'second', '--json'
    )
    assert done.returncode == 0 and json.loads(done.stdout)['fid'] > 0, done.stderr
    done = fork_server.command('inception-score', NARROW, folders / 'first', '--splits', 4)
    assert done.stdout.startswith('Inception Score  ') and done.returncode == 0
    done = fork_server.command('fid', NARROW, tmp_path / 'none.npz', folders / 'second')
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert fork_server.command('fid', NARROW, folders / 'first').returncode == 2
