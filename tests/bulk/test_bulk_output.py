"""The output of bulk: columns, files, dtypes, and the command."""

import json
import os
import sys

from bulk_images import (
    CHECKPOINT,
    COUNT,
    READABLE,
    UNREADABLE,
    encoded_images,
    expected,
    file_name,
    load,
    read_table,
    read_unreadable,
    run,
)
from inception_slim import cli, data, evaluation, inference
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.generative_metrics import load_statistics
import numpy as np
import pyarrow as pa
import pytest


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_features(image_folder, tmp_path, dtype):
    result = run(image_folder, tmp_path / 'out', output_type='features', dtype=dtype)
    assert (result.images, result.unreadable, result.shards) == (COUNT - 1, 1, 4)
    assert result.resumed_images == 0
    rows = read_table(result.path)
    assert rows.schema.names == ['name', 'features']
    width = expected()['features'].shape[1]
    assert rows.schema.field('features').type == pa.list_(pa.from_numpy_dtype(dtype), width)
    assert rows['name'].to_pylist() == [
        str(image_folder / file_name(number)) for number in READABLE]
    values = np.stack(rows['features'].to_numpy())
    tolerance = 1e-5 if dtype == 'float32' else 2e-3 * np.abs(values).max()
    np.testing.assert_allclose(values, expected()['features'], atol=tolerance)
    (name, reason), = read_unreadable(result.path)
    assert name == str(image_folder / file_name(UNREADABLE)) and 'PNG' in reason


@pytest.mark.parametrize('resize', ['clean', pytest.param('original', marks=pytest.mark.slow)])
def test_statistics_equal_those_of_compute_statistics(image_folder, tmp_path, resize):
    result = run(image_folder, tmp_path / 'out', output_type='statistics', resize=resize)
    assert (result.images, result.unreadable, result.shards) == (COUNT - 1, 1, 4)
    expected = evaluation.compute_statistics(CHECKPOINT, image_folder, tmp_path / 'expected.npz',
                                             resize=resize)
    actual = load_statistics(os.path.join(result.path, 'statistics.npz'))
    np.testing.assert_allclose(actual.mu, expected.mu, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(actual.sigma, expected.sigma, rtol=1e-3, atol=1e-7)
    assert actual.origin == expected.origin and actual.count == COUNT - 1


def test_predictions(image_folder, tmp_path):
    labels = [f'name {number}' for number in range(11)]
    run(image_folder, tmp_path / 'out', labels=labels)
    rows = read_table(tmp_path / 'out')
    assert rows.schema.names == ['name', 'class', 'label', 'probability', 'predictions']
    values = np.stack(rows['predictions'].to_numpy())
    np.testing.assert_allclose(values, expected()['predictions'], atol=1e-5)
    classes = rows['class'].to_numpy()
    np.testing.assert_array_equal(classes, values.argmax(axis=1))
    np.testing.assert_array_equal(rows['probability'], values.max(axis=1))
    assert rows['label'].to_pylist() == [labels[index] for index in classes]


def test_top5_equals_classify(image_folder, tmp_path, monkeypatch):
    run(image_folder, tmp_path / 'out', output_type='top5')
    rows = read_table(tmp_path / 'out').to_pylist()
    monkeypatch.setattr(inference, 'load', load)
    predictions = evaluation.classify(CHECKPOINT, image_folder).predictions
    assert len(rows) == len(predictions) == COUNT - 1
    for row, prediction in zip(rows, predictions):
        assert (row['name'], row['classes'], row['labels']) == (
            prediction.name, prediction.classes, prediction.labels)
        np.testing.assert_allclose(row['probabilities'], prediction.probabilities, atol=1e-6)


@pytest.mark.parametrize('output_type', ['features', 'predictions', 'top5'])
def test_npy(image_folder, tmp_path, output_type):
    output = tmp_path / 'out'
    run(image_folder, output, output_type=output_type, format='npy')
    files = sorted(name for name in os.listdir(output) if name[0] != '_')
    assert len(files) == 4 * (3 if output_type == 'top5' else 2)

    def read_all(suffix):
        return np.concatenate([np.load(output / name) for name in files
                               if name.partition('.')[2] == suffix])

    names = [line for name in files if name.endswith('.jsonl')
             for line in data.read_names(output / name)]
    assert names == [str(image_folder / file_name(number)) for number in READABLE]
    values = read_all('npy')
    assert values.dtype == np.float32
    if output_type == 'top5':
        probabilities = -np.sort(-expected()['predictions'], axis=1)[:, :5]
        np.testing.assert_allclose(values, probabilities, atol=1e-5)
        np.testing.assert_array_equal(read_all('classes.npy')[:, 0],
                                      expected()['predictions'].argmax(axis=1))
    else:
        np.testing.assert_allclose(values, expected()[output_type], atol=1e-5)


@pytest.mark.slow
def test_int8_is_reproducible(image_folder, tmp_path):
    """It is calibrated on a sample of the images, the same in each run."""
    for name in ('one', 'two'):
        run(image_folder, tmp_path / name, precision='int8')
    one, two = (read_table(tmp_path / name) for name in ('one', 'two'))
    assert one == two and len(one) == COUNT - 1
    values = np.stack(one['predictions'].to_numpy())
    assert np.abs(values - expected()['predictions']).max() < 0.2


@pytest.mark.parametrize('format', ['parquet', 'npy'])
def test_any_file_name_survives(tmp_path, format):
    (tmp_path / 'in').mkdir()
    names = [f'{tmp_path}/in/{name}.png' for name in (
        '"\x1b', '-1', 'a\nb', 'a\rb', 'a\\xe9', 'caf\udce9')]
    for name in names:
        with open(name, 'wb') as file:
            file.write(encoded_images()[0])
        with open(name.replace('.png', '_damaged.png'), 'wb') as file:
            file.write(encoded_images()[UNREADABLE])
    output = tmp_path / 'out'
    run(tmp_path / 'in', output, format=format, output_type='features', shard_size=99)
    assert data.read_names(output / '_unreadable.csv') == [
        name.replace('.png', '_damaged.png') for name in names]
    file, = output.glob('part-*.jsonl' if format == 'npy' else 'part-*.parquet')
    assert data.read_names(file) == names
    if format == 'npy':
        assert evaluation.read_features(file.with_suffix('.npy'))[0] == names
    else:
        assert read_table(output)['name'].to_pylist()[-1] == f'{tmp_path}/in/caf\\xe9.png'


def test_rejects_options_out_of_range(image_folder, tmp_path):
    for options, message in (
            ({'output_type': 'all'}, 'output_type must be one of'),
            ({'shard_size': 0}, 'shard_size must be at least 1'),
            ({'backend': 'spark'}, 'backend must be one of local, ray')):
        with pytest.raises(InceptionSlimError, match=message):
            run(image_folder, tmp_path / 'out', **options)
    assert not os.path.exists(tmp_path / 'out')


def test_rejects_a_file_as_output(image_folder):
    with pytest.raises(DatasetError, match='is a file; give a folder'):
        run(image_folder, image_folder / 'labels.txt')


@pytest.mark.parametrize('package, options, message', [
    ('pyarrow', {}, "'parquet' .there is 'npy' too. needs the package pyarrow"),
    ('ray', {'backend': 'ray'}, "The backend 'ray' needs the package ray"),
    ('fsspec', {'sources': 's3://bucket'}, 'Opening s3://bucket needs the package fsspec')])
def test_names_missing_packages(image_folder, tmp_path, monkeypatch, package, options, message):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InceptionSlimError, match=message):
        run(**{'sources': image_folder, 'output': tmp_path / 'out', **options})


def test_command_prints_summary(capsys, image_folder, tmp_path):
    arguments = ['bulk', CHECKPOINT, str(image_folder), '--output', str(tmp_path / 'out'),
                 '--output-type', 'features', '--format', 'npy', '--shard-size', '20']
    assert cli.main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.out == f'Wrote {tmp_path}/out: 29 images in 2 shards\n'
    assert printed.err == ('Skipped unreadable images: 1, listed in '
                           f'{tmp_path}/out/_unreadable.csv\n')
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == (
        f'Wrote {tmp_path}/out: 29 images (29 by earlier runs) in 2 shards\n')
    with open(tmp_path / 'out' / '_manifest.json') as file:
        assert json.load(file)['finished'] == {'images': 29, 'unreadable': 1, 'shards': 2,
                                             'rotated': 0}


def test_command_rejects_bad_arguments(capsys, image_folder, tmp_path):
    output = ['--output', tmp_path / 'out']
    for arguments, exit_code in (
            ([CHECKPOINT, image_folder], 2),
            ([CHECKPOINT, image_folder, *output, '--output-type', 'all'], 2),
            ([CHECKPOINT, image_folder, *output, '--cores', '0'], 2),
            ([CHECKPOINT, image_folder, '--output', image_folder], 1),
            ([tmp_path, image_folder, *output], 1)):
        try:
            code = cli.main(['bulk', *map(str, arguments)])
        except SystemExit as error:
            code = error.code
        printed = capsys.readouterr()
        assert code == exit_code and printed.out == '' and printed.err
        assert code == 2 or len(printed.err.splitlines()) == 1, printed.err
