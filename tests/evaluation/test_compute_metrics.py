"""All metrics in one pass: the golden values of ADM's evaluator, kinds of inputs, and protocols.

`golden/generative_metrics.npz` holds drawn features and what OpenAI's evaluator computed of them on
TensorFlow 1.15.5 and a processor.
"""

import json
import os

import fork_server
from helpers import GOLDEN, golden_arrays
import inception_slim
from inception_slim import evaluation, inception_v3_arg_scope, inception_v3_base, inference
from inception_slim.errors import CheckpointError, DatasetError, InceptionSlimError
from inception_slim.evaluation import generative_metrics, manifold
import numpy as np
from PIL import Image
import pyarrow
from pyarrow import parquet
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

NARROW = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')


@pytest.fixture(scope='module')
def golden():
    return golden_arrays('generative_metrics')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The same images as PNG files and as an array, and other images as a reference."""
    folder = tmp_path_factory.mktemp('sets')
    random = np.random.RandomState(0)
    arrays = {'samples': random.randint(0, 256, (24, 40, 56, 3)).astype(np.uint8),
              'reference': random.randint(60, 200, (20, 64, 64, 3)).astype(np.uint8)}
    for name, images in arrays.items():
        np.savez(folder / f'{name}.npz', images)
        (folder / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / name / f'{number:03d}.png')
    return folder


@pytest.fixture(scope='module')
def predictor():
    with inference.load(NARROW, spatial=True) as predictor:
        yield predictor


def statistics(features):
    moments = generative_metrics.RunningMoments()
    moments.add(features)
    return moments.statistics()


class TestGolden:

    def test_distances(self, golden):
        for name, kind in (('fid', ''), ('sfid', '_spatial')):
            actual = generative_metrics.frechet_distance(
                statistics(golden[f'sample{kind}']), statistics(golden[f'reference{kind}']))
            assert actual == pytest.approx(float(golden[name]), rel=1e-5)

    def test_inception_score_of_splits_in_order(self, golden):
        logits = golden['sample'] @ golden['classifier']
        mean, _ = generative_metrics.inception_score_of_logits(logits, seed=None, split_size=100)
        assert mean == pytest.approx(float(golden['inception_score']), rel=1e-5)

    def test_precision_and_recall_in_float16(self, golden):
        """Equal to the last image, and to the last bit of the radii."""
        np.testing.assert_array_equal(
            manifold.squared_radii(golden['reference'], 3, 'float16'), golden['radii_reference'])
        actual = evaluation.precision_recall(golden['reference'], golden['sample'], 3, 'float16')
        assert actual.precision == float(golden['precision'])
        assert actual.recall == float(golden['recall'])

    def test_precision_and_recall_in_float32(self, golden):
        """In exact arithmetic two of 420 and two of 500 images are on the other side."""
        actual = evaluation.precision_recall(golden['reference'], golden['sample'])
        assert actual.precision == pytest.approx(float(golden['precision']), abs=2.5 / 420)
        assert actual.recall == pytest.approx(float(golden['recall']), abs=2.5 / 500)


class TestManifold:

    def brute_force(self, first, second):
        return ((first[:, None].astype(np.float64) - second[None]) ** 2).sum(axis=2)

    def test_equals_the_definition(self, monkeypatch):
        monkeypatch.setattr(manifold, '_BLOCK', 16)  # several blocks
        monkeypatch.setattr(manifold, '_ROWS', 7)
        random = np.random.RandomState(1)
        real, fake = random.normal(size=(50, 6)), random.normal(0.4, size=(37, 6))
        within = np.sort(self.brute_force(real, real), axis=1)
        between = self.brute_force(real, fake)
        radii = np.sort(self.brute_force(fake, fake), axis=1)[:, 3]
        actual = evaluation.precision_recall(real, fake)
        assert actual.precision == (between <= within[:, 3, None]).any(axis=0).mean()
        assert actual.recall == (between <= radii).any(axis=1).mean()
        balls = evaluation.density_coverage(real, fake)
        inside = between < within[:, 5, None]
        assert balls.density == pytest.approx(inside.sum() / (5 * 37))
        assert balls.coverage == inside.any(axis=1).mean()

    def test_float16_falls_back_to_float32(self):
        random = np.random.RandomState(2)
        real, fake = random.normal(size=(20, 8)) * 200, random.normal(size=(20, 8)) * 200
        np.testing.assert_allclose(manifold.squared_radii(real, 3, 'float16'),
                                   np.sort(self.brute_force(real, real), axis=1)[:, 3], rtol=1e-3)
        assert evaluation.precision_recall(real, fake, 3, 'float16') == (
            evaluation.precision_recall(real, fake))

    def test_rounds_as_numpy(self):
        values = np.concatenate([
            np.random.RandomState(0).normal(size=2000) * 10.0 ** np.arange(-10, 10).repeat(100),
            [0, 65519, 65520, -65520, 2.0**-24, 2.0**-25, 1.5 * 2.0**-24]]).astype(np.float32)
        with tf.Graph().as_default(), tf.Session() as session:
            actual = session.run(manifold._round_to_float16(tf.constant(values)))
        with np.errstate(over='ignore'):
            np.testing.assert_array_equal(actual, values.astype(np.float16).astype(np.float32))

    @pytest.mark.parametrize('shapes, message', [
        (((9, 4), (9, 5)), 'The reference has 4 features an image, the samples 5'),
        (((3, 4), (9, 4)), 'There are 3 images in a set, but the distance to neighbour 3')])
    def test_bad_input(self, shapes, message):
        with pytest.raises(DatasetError, match=message):
            evaluation.precision_recall(*(np.zeros(shape) for shape in shapes))


class TestInputs:

    @pytest.mark.slow
    def test_arrays_equal_files(self, folder, predictor):
        results = [evaluation.compute_metrics(
            predictor, folder / f'samples{suffix}', folder / f'reference{suffix}',
            metrics=['fid', 'sfid', 'kid', 'isc', 'prc', 'dc'], kid_subset_size=10, splits=3)
            for suffix in ('', '.npz')]
        first, second = (result.to_dict() for result in results)
        for name, value in first.items():
            if isinstance(value, float):
                assert second[name] == pytest.approx(value, rel=1e-4), name
        assert (first['sample_count'], first['reference_count']) == (24, 20)
        assert first['fid'] > 0 and first['sfid'] > 0 and first['inception_score'] >= 1
        assert any('fewer than the 101 features' in note for note in first['notes'])

    @pytest.mark.slow
    def test_a_file_with_statistics_and_images_is_used_for_both(self, folder, predictor, tmp_path):
        path = tmp_path / 'statistics.npz'
        evaluation.compute_statistics(predictor, folder / 'reference', path, spatial=True)
        with np.load(path) as file:
            assert file['sigma_s'].shape == (2023, 2023)
            # Statistics of more images than are stored, as in the files of ADM.
            np.savez(tmp_path / 'both.npz', np.load(folder / 'reference.npz')['arr_0'][:12],
                     **{name: file[name] for name in file.files})
        actual = evaluation.compute_metrics(predictor, folder / 'samples', tmp_path / 'both.npz',
                                           metrics=['fid', 'sfid', 'prc'])
        expected = evaluation.compute_metrics(
            predictor, folder / 'samples', folder / 'reference', metrics=['fid', 'sfid'])
        assert actual.fid == pytest.approx(expected.fid, rel=1e-4)
        assert actual.sfid == pytest.approx(expected.sfid, rel=1e-4)
        assert actual.reference_count == 12 and actual.precision is not None

    def test_stored_features(self, folder, predictor, tmp_path):
        result = evaluation.features(predictor, folder / 'samples', tmp_path / 'features.npy')
        # Other pixels than those of the metrics, whose images are not cropped.
        table = pyarrow.table({'features': pyarrow.FixedSizeListArray.from_arrays(
            pyarrow.array(result.features.ravel()), 101)})
        parquet.write_table(table, tmp_path / 'part-0.parquet')
        expected = evaluation.precision_recall(result.features[:12], result.features[12:])
        parquet.write_table(table.slice(0, 12), tmp_path / 'half.parquet')
        os.mkdir(tmp_path / 'bulk')
        parquet.write_table(table.slice(12), tmp_path / 'bulk' / 'part-0.parquet')
        actual = evaluation.compute_metrics(NARROW, tmp_path / 'bulk', tmp_path / 'half.parquet',
                                           metrics=['prc', 'fid'])
        assert (actual.precision, actual.recall) == (expected.precision, expected.recall)
        assert evaluation.compute_metrics(NARROW, tmp_path / 'features.npy',
                                          tmp_path / 'part-0.parquet', metrics=['fid']).fid == 0
        note = 'Only one of the sets is stored features'
        assert not any(line.startswith(note) for line in actual.notes)
        mixed = evaluation.compute_metrics(predictor, folder / 'samples.npz',
                                           tmp_path / 'half.parquet', metrics=['fid'])
        assert any(line.startswith(note) for line in mixed.notes)

    @pytest.mark.slow
    def test_streaming(self, folder, predictor):
        images = np.load(folder / 'samples.npz')['arr_0']
        accumulator = evaluation.MetricAccumulator(predictor, folder / 'reference.npz',
                                                   metrics=['fid', 'sfid', 'isc', 'prc'])
        for part in np.split(images, 4):
            accumulator.update(part)
        actual = accumulator.compute()
        expected = evaluation.compute_metrics(
            predictor, folder / 'samples.npz', folder / 'reference.npz',
            metrics=['fid', 'sfid', 'isc', 'prc'])
        for name in ('fid', 'sfid', 'inception_score', 'precision', 'recall'):
            assert getattr(actual, name) == pytest.approx(getattr(expected, name), rel=1e-4)
        accumulator.reset()
        with pytest.raises(DatasetError, match='needs at least two images, but there is 0'):
            accumulator.compute()
        with pytest.raises(ValueError, match='images must be uint8'):
            accumulator.update(images.astype(np.float32))

    def test_notes_on_sizes(self, folder, predictor, tmp_path):
        for number, size in enumerate(((64, 48), (299, 299))):
            Image.new('RGB', size).save(tmp_path / f'{number}.png')
        for paths, note in (
                (tmp_path, 'The samples have several sizes, such as 64x48 and 299x299'),
                ([tmp_path / '1.png'] * 2, 'The samples are 299x299, an input size of these')):
            notes = evaluation.compute_metrics(predictor, paths, metrics=['isc'], splits=1).notes
            assert len(notes) == 1 and notes[0].startswith(note)

    def test_without_a_choice_all_that_is_possible(self, folder, predictor, tmp_path):
        actual = evaluation.compute_metrics(predictor, folder / 'samples')
        assert actual.inception_score is not None and actual.fid is None and not actual.notes
        actual = evaluation.compute_metrics(predictor, folder / 'samples', folder / 'reference')
        assert actual.fid is not None and actual.precision is not None and actual.sfid is None
        assert actual.notes[0] == (f'KID left out: {folder}/samples has 24 images, but a subset '
                                   'has 1,000.')

    @pytest.mark.parametrize('array, message', [
        (np.zeros((2, 8, 8, 3), np.float32), 'but images are uint8'),
        (np.zeros((2, 8, 8, 1), np.uint8), 'but images are uint8'),
        (np.zeros((0, 8, 8, 3), np.uint8), 'but images are uint8')])
    def test_arrays_that_are_no_images(self, tmp_path, array, message):
        np.savez(tmp_path / 'x.npz', array)
        with pytest.raises(DatasetError, match=message):
            evaluation.compute_metrics(NARROW, tmp_path / 'x.npz')

    def test_bad_choices(self, folder, tmp_path):
        samples = folder / 'samples.npz'
        np.savez(tmp_path / 'statistics.npz', mu=np.zeros(101), sigma=np.eye(101))
        for arguments, kind, message in (
                ({'metrics': ['fid']}, DatasetError, 'FID cannot be computed: it needs a ref'),
                ({'reference': tmp_path / 'statistics.npz', 'metrics': ['sfid']}, DatasetError,
                 'sFID cannot be computed: .* neither images nor statistics of spatial'),
                ({'metrics': ['lpips']}, InceptionSlimError, 'There is no metric lpips'),
                ({'protocol': 'x'}, InceptionSlimError, "There is no protocol 'x'; choose one of"),
                ({'splits': 0}, InceptionSlimError, 'splits must be at least 1')):
            with pytest.raises(kind, match=message):
                evaluation.compute_metrics(NARROW, samples, **arguments)

    def test_other_networks_have_no_spatial_features(self):
        with pytest.raises(InceptionSlimError, match="need the engine 'session'"):
            inference.load(NARROW, spatial=True, engine='openvino')
        with pytest.raises(RuntimeError, match='loaded with spatial=True'), inference.load(
                NARROW) as predictor:
            predictor.features_and_spatial(np.zeros((1, 299, 299, 3), np.float32))
        assert issubclass(CheckpointError, InceptionSlimError)


def test_spatial_features_are_of_the_layer(predictor):
    """The first seven channels of Mixed_6d, after its ReLU, from the graph of the library."""
    images = np.random.RandomState(3).uniform(-1, 1, (2, 299, 299, 3)).astype(np.float32)
    features, spatial = predictor.features_and_spatial(images)
    np.testing.assert_allclose(features, predictor.features(images), rtol=1e-5)
    info = predictor.info
    with tf.Graph().as_default(), tf.Session() as session, slim.arg_scope(
            inception_v3_arg_scope()), slim.arg_scope([slim.batch_norm], is_training=False):
        inputs = tf.placeholder(tf.float32, images.shape)
        layer, _ = inception_v3_base(inputs, final_endpoint='Mixed_6d', scope='InceptionV3',
                                     depth_multiplier=info.depth_multiplier,
                                     min_depth=info.min_depth)
        tf.train.Saver(slim.get_model_variables()).restore(session, NARROW)
        expected = session.run(layer, {inputs: images})[..., :7]
    np.testing.assert_allclose(spatial.reshape(expected.shape), expected, atol=1e-4)


class TestOrigin:

    @pytest.fixture(scope='class')
    def path(self, folder, predictor):
        path = folder / 'statistics.npz'
        evaluation.compute_statistics(predictor, folder / 'reference.npz', path)
        return path

    def test_the_file_says_what_it_is_of(self, folder, predictor, path):
        with np.load(path) as file:
            origin = json.loads(str(file['origin']))
        assert origin == {
            'network': 'inception_v3', 'weights': predictor.weights_digest,
            'layer': 'pre-logits', 'input_range': 'inception', 'resize': 'original',
            'precision': 'float32', 'count': 20, 'version': inception_slim.__version__}
        result = evaluation.compute_metrics(
            predictor, folder / 'samples.npz', path, metrics=['fid_infinity'])
        assert result.reference_count == 20 and 0 < result.fid_infinity != result.fid
        assert not any('not known' in note for note in result.notes)

    @pytest.mark.parametrize('name, value', [
        ('network', 'inception_v4'), ('weights', 'f' * 16), ('layer', 'embedding'),
        ('resize', 'clean')])
    def test_a_difference_is_an_error_unless_forced(self, path, tmp_path, name, value):
        with np.load(path) as file:
            arrays = dict(file)
        origin = {**json.loads(str(arrays['origin'])), name: value}
        other = tmp_path / 'other.npz'
        np.savez(other, **{**arrays, 'origin': np.array(json.dumps(origin))})
        with pytest.raises(DatasetError, match=f'statistics.npz has the {name} .*other.npz {value}'
                           ': compute both alike, or give force'):
            evaluation.fid(NARROW, path, other)
        result = evaluation.fid(NARROW, path, other, force=True)
        assert result.fid == 0 and 'so the values say little' in result.notes[0]

    def test_other_weights_than_those_of_the_samples(self, folder, path):
        other = os.path.join(GOLDEN, 'legacy_scripts')
        with pytest.raises(DatasetError, match='samples.npz has the weights .*statistics.npz'):
            evaluation.fid(other, folder / 'samples.npz', path)

    def test_files_of_other_programs_and_damaged_records(self, path, tmp_path):
        with np.load(path) as file:
            arrays = {name: file[name] for name in ('mu', 'sigma')}
        np.savez(tmp_path / 'other.npz', **arrays)
        process = fork_server.command('fid', NARROW, str(path), str(tmp_path / 'other.npz'))
        assert process.stdout.splitlines() == [
            'FID  0', f'Note: It is not known what {tmp_path}/other.npz was computed of: its '
            'network and resizing must be those of the other set.',
            'Note: 20 samples are fewer than the 101 features: FID is too high, and can only be '
            'compared with that of as many. FID-infinity is less biased.']
        for text in ('{', '{}', '[1]'):
            np.savez(tmp_path / 'damaged.npz', **arrays, origin=np.array(text))
            with pytest.raises(DatasetError, match='damaged record of what it was computed of'):
                evaluation.fid(NARROW, path, tmp_path / 'damaged.npz')


class TestProtocols:

    @pytest.mark.slow
    def test_splits_and_resizing(self, folder, predictor):
        results = {name: evaluation.compute_metrics(
            predictor, folder / 'samples.npz', folder / 'reference.npz', protocol=name)
            for name in ('adm', 'ttur', 'pytorch-fid', 'tfgan')}
        assert results['adm'].sfid is not None and results['adm'].precision is not None
        assert results['adm'].inception_score_deviation == 0  # one split of 24
        assert results['ttur'].fid == pytest.approx(results['adm'].fid, rel=1e-4)
        assert results['pytorch-fid'].inception_score is None
        assert results['pytorch-fid'].fid != pytest.approx(results['ttur'].fid, rel=1e-3)
        assert results['pytorch-fid'].resize == 'pytorch'
        # With biases; the narrow network has almost none.
        assert results['tfgan'].inception_score != results['adm'].inception_score

    @pytest.mark.slow
    def test_command(self, folder):
        process = fork_server.command('metrics', NARROW, str(folder / 'samples'),
                                      str(folder / 'reference.npz'), '--protocol', 'ttur')
        assert process.returncode == 0, process.stderr
        assert process.stdout.startswith(
            'As the first code of FID and of the Inception Score, which uses '
            'classify_image_graph_def.pb; resizing: original\n24 samples and 20 reference images\n'
            'FID              ')
        assert 'Note: 24 samples are fewer than the 101 features' in process.stdout
        process = fork_server.command('metrics', NARROW, str(folder / 'samples'), '--isc',
                                      '--json', '--splits', '2')
        values = json.loads(process.stdout)
        assert values['inception_score'] >= 1 and values['fid'] is None
