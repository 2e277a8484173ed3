"""Shards of answers: their rows against plain computing, and runs that are killed and gone on with.

All on the narrow network and small images. Ray and S3 are in tests/acceptance/bulk_demo.py.
"""

import contextlib
import csv
import functools
import io
import json
import os
from pathlib import Path
import random
import signal
import sys

import fork_server
import fsspec
from helpers import GOLDEN, softmax
from inception_slim import bulk, cli, data, evaluation, inference
from inception_slim.bulk import manifest
from inception_slim.data import DatasetError, preprocessing
import numpy as np
from PIL import Image
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits

ELEVEN = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
OTHER = os.path.join(GOLDEN, 'checkpoints', 'trained', 'model.ckpt-3')
COUNT = 30
DAMAGED = 11
SHARD = 8

real_load = inference.load


@functools.cache
def load(checkpoint, **arguments):
    return real_load(checkpoint, **arguments)


class _Shared:
    """A predictor that others need, too."""

    def __init__(self, predictor):
        self.features, self.predict = predictor.features, predictor.predict

    def close(self):
        pass


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """The same checkpoint is loaded once for all tests, which is most of their time."""
    def loading(checkpoint, **arguments):
        if 'calibration_images' in arguments:
            return real_load(checkpoint, **arguments)
        return _Shared(load(checkpoint, **arguments))

    monkeypatch.setattr(inference, 'load', loading)


@functools.cache
def digits():
    grey = (load_digits().images[:COUNT] * 255 / 16).astype(np.uint8)
    return [np.repeat(image[..., np.newaxis], 3, axis=-1) for image in grey]


@functools.cache
def encoded():
    """PNGs, of which one is cut short."""
    found = []
    for image in digits():
        file = io.BytesIO()
        Image.fromarray(image).save(file, 'png')
        found.append(file.getvalue())
    found[DAMAGED] = found[DAMAGED][:60]
    return found


GOOD = [number for number in range(COUNT) if number != DAMAGED]


@functools.cache
def expected():
    """Features and probabilities of the good ones, computed plainly."""
    images = np.stack([preprocessing.for_evaluation(digits()[number]) for number in GOOD])
    with real_load(ELEVEN) as predictor:
        return {'features': predictor.features(images),
                'predictions': softmax(predictor.logits(images))}


def name_of(number):
    return os.path.join(f'{number // 10}', f'{number:02d}.png')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('images')
    for number, content in enumerate(encoded()):
        (path / name_of(number)).parent.mkdir(exist_ok=True)
        (path / name_of(number)).write_bytes(content)
    (path / 'labels.txt').write_text('no list when it is in a folder\n')
    return path


def table(path):
    """All shards, as any reader of Parquet folders finds them."""
    return pa.dataset.dataset(str(path)).to_table()


def run(sources, output, checkpoint=ELEVEN, **options):
    return bulk.run(checkpoint, sources, output, **{'shard_size': SHARD, **options})


def damaged(path):
    with open(os.path.join(path, '_damaged.csv'), newline='') as file:
        return list(csv.reader(file))[1:]


class TestFiles:

    @pytest.mark.parametrize('dtype', ['float32', 'float16'])
    def test_features(self, folder, tmp_path, dtype):
        found = run(folder, tmp_path / 'out', output_type='features', dtype=dtype)
        assert (found.images, found.damaged, found.shards, found.before) == (COUNT - 1, 1, 4, 0)
        rows = table(found.path)
        assert rows.schema.names == ['name', 'features']
        width = expected()['features'].shape[1]
        assert rows.schema.field('features').type == pa.list_(
            pa.from_numpy_dtype(dtype), width)
        assert rows['name'].to_pylist() == [str(folder / name_of(number)) for number in GOOD]
        values = np.stack(rows['features'].to_numpy())
        tolerance = 1e-5 if dtype == 'float32' else 2e-3 * np.abs(values).max()
        np.testing.assert_allclose(values, expected()['features'], atol=tolerance)
        (name, reason), = damaged(found.path)
        assert name == str(folder / name_of(DAMAGED)) and 'PNG' in reason

    def test_predictions(self, folder, tmp_path):
        labels = [f'name {number}' for number in range(11)]
        run(folder, tmp_path / 'out', labels=labels)
        rows = table(tmp_path / 'out')
        assert rows.schema.names == ['name', 'class', 'label', 'probability', 'predictions']
        values = np.stack(rows['predictions'].to_numpy())
        np.testing.assert_allclose(values, expected()['predictions'], atol=1e-5)
        classes = rows['class'].to_numpy()
        np.testing.assert_array_equal(classes, values.argmax(axis=1))
        np.testing.assert_array_equal(rows['probability'], values.max(axis=1))
        assert rows['label'].to_pylist() == [labels[each] for each in classes]

    def test_top5_is_what_classify_says(self, folder, tmp_path):
        run(folder, tmp_path / 'out', output_type='top5')
        rows = table(tmp_path / 'out').to_pylist()
        with load(ELEVEN) as predictor, pytest.MonkeyPatch.context() as patch:
            patch.setattr(inference, 'load', lambda *_, **__: contextlib.nullcontext(predictor))
            answers = evaluation.classify(ELEVEN, folder).predictions
        load.cache_clear()
        assert len(rows) == len(answers) == COUNT - 1
        for row, answer in zip(rows, answers):
            assert (row['name'], row['classes'], row['labels']) == (
                answer.name, answer.classes, answer.labels)
            np.testing.assert_allclose(row['probabilities'], answer.probabilities, atol=1e-6)

    @pytest.mark.parametrize('what', ['features', 'predictions', 'top5'])
    def test_npy(self, folder, tmp_path, what):
        run(folder, tmp_path / 'out', output_type=what, format='npy')
        names = sorted(each for each in os.listdir(tmp_path / 'out') if each[0] != '_')
        assert len(names) == 4 * (3 if what == 'top5' else 2)

        def joined(ending):
            return np.concatenate([np.load(tmp_path / 'out' / name) for name in names
                                   if name.partition('.')[2] == ending])

        listed = [line for name in names if name.endswith('.txt')
                  for line in (tmp_path / 'out' / name).read_text().splitlines()]
        assert listed == [str(folder / name_of(number)) for number in GOOD]
        values = joined('npy')
        assert values.dtype == np.float32
        if what == 'top5':
            wanted = -np.sort(-expected()['predictions'], axis=1)[:, :5]
            np.testing.assert_allclose(values, wanted, atol=1e-5)
            np.testing.assert_array_equal(joined('classes.npy')[:, 0],
                                          expected()['predictions'].argmax(axis=1))
        else:
            np.testing.assert_allclose(values, expected()[what], atol=1e-5)

    def test_int8(self, folder, tmp_path):
        """Calibrated on the images themselves, the same each time."""
        for name in ('one', 'two'):
            run(folder, tmp_path / name, precision='int8')
        one, two = (table(tmp_path / name) for name in ('one', 'two'))
        assert one == two and len(one) == COUNT - 1
        values = np.stack(one['predictions'].to_numpy())
        assert np.abs(values - expected()['predictions']).max() < 0.2


class TestSources:
    """The same images in other dress give the same rows."""

    @pytest.fixture(scope='class')
    @staticmethod
    def wanted(folder, tmp_path_factory):
        path = tmp_path_factory.mktemp('wanted') / 'out'
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inference, 'load', lambda checkpoint, **arguments: _Shared(
                load(checkpoint, **arguments)))
            run(folder, path)
        return np.stack(table(path)['predictions'].to_numpy())

    def check(self, wanted, source, names, tmp_path, **options):
        found = run(source, tmp_path / 'out', **options)
        rows = table(found.path)
        assert rows['name'].to_pylist() == names
        np.testing.assert_allclose(np.stack(rows['predictions'].to_numpy()), wanted, atol=1e-5)
        return damaged(found.path)

    def test_list(self, wanted, folder, tmp_path):
        lines = [name_of(number) for number in range(COUNT)]
        lines[3] = str(folder / lines[3])
        (folder / 'all.lst').write_text('\n'.join([*lines, '', 'missing.png']) + '\n')
        bad = self.check(wanted, folder / 'all.lst',
                         [str(folder / name_of(number)) for number in GOOD], tmp_path)
        assert bad[1] == [str(folder / 'missing.png'), 'it does not exist']

    def test_records(self, wanted, tmp_path):
        """Of two files, of which each fills more than a shard."""
        data.write_tfrecords(tmp_path / 'in', 'digits', 'train', [
            (content, 0) for content in encoded()], ['x'], num_shards=2)
        files = [str(tmp_path / 'in' / f'digits_train_0000{n}-of-00002.tfrecord') for n in (0, 1)]
        order = [*range(0, COUNT, 2), *range(1, COUNT, 2)]
        names = [f'{files[number % 2]}#{number // 2}' for number in order if number != DAMAGED]
        rows = wanted[[GOOD.index(number) for number in order if number != DAMAGED]]
        bad = self.check(rows, tmp_path / 'in', names, tmp_path)
        assert [name for name, _ in bad] == [f'{files[1]}#{DAMAGED // 2}']

    @pytest.mark.parametrize('column', ['binary', 'hugging face', 'named'])
    def test_parquet(self, wanted, tmp_path, column):
        content = encoded()
        names = [f'{tmp_path}/in.parquet#{number}' for number in GOOD]
        options = {}
        if column == 'hugging face':
            columns = {'image': pa.array([{'bytes': each, 'path': 'x'} for each in content]),
                       'label': pa.array(range(COUNT))}
        else:
            columns = {'jpg': pa.array(content, pa.large_binary()), 'key': pa.array(range(COUNT))}
        if column == 'named':
            columns['other'] = pa.array(content)
            options = {'image_column': 'jpg', 'name_column': 'key'}
            names = [str(number) for number in GOOD]
        pq.write_table(pa.table(columns), tmp_path / 'in.parquet', row_group_size=7)
        bad = self.check(wanted, str(tmp_path / 'in.parquet'), names, tmp_path, **options)
        assert [name for name, _ in bad] == [
            str(DAMAGED) if column == 'named' else f'{tmp_path}/in.parquet#{DAMAGED}']

    @pytest.mark.parametrize('url', ['memory://images', 'file'])
    def test_elsewhere(self, wanted, folder, tmp_path, url):
        """Folders, lists, records and Parquet of fsspec, and the output there as well."""
        root = f'file://{tmp_path}/there' if url == 'file' else url
        there, path = fsspec.core.url_to_fs(root)
        there.makedirs(path)
        for number, content in enumerate(encoded()):
            os.makedirs(f'{path}/{number // 10}', exist_ok=True) if url == 'file' else None
            there.pipe_file(f'{path}/{name_of(number)}', content)
        prefix = there.unstrip_protocol(path)
        names = [f'{prefix}/{name_of(number)}' for number in GOOD]
        bad = self.check(wanted, root, names, tmp_path)
        assert [name for name, _ in bad] == [f'{prefix}/{name_of(DAMAGED)}']
        there.pipe_file(f'{path}/list.txt', '\n'.join(
            f'{name_of(number)}' for number in range(COUNT)).encode())
        found = run(f'{root}/list.txt', f'{root}/out')
        assert found.damaged == 1 and f'{found.path}/_manifest.json'
        with there.open(f'{path}/out/part-0000000-00000.parquet', 'rb') as file:
            assert pq.read_table(file)['name'].to_pylist() == [
                f'{root}/{name_of(number)}' for number in GOOD[:SHARD]]
        again = run(f'{root}/list.txt', f'{root}/out')
        assert (again.before, again.images) == (COUNT - 1, COUNT - 1)
        data.write_tfrecords(tmp_path / 'records', 'digits', 'train', [
            (content, 0) for content in encoded()], ['x'])
        there.put(str(tmp_path / 'records' / 'digits_train_00000-of-00001.tfrecord'),
                  f'{path}/a.tfrecord')
        pq.write_table(pa.table({'image': pa.array(encoded())}), tmp_path / 'a.parquet')
        there.put(str(tmp_path / 'a.parquet'), f'{path}/a.parquet')
        for kind in ('tfrecord', 'parquet'):
            run(f'{root}/a.{kind}', tmp_path / kind)
            rows = table(tmp_path / kind)
            assert rows['name'].to_pylist() == [f'{root}/a.{kind}#{number}' for number in GOOD]
            np.testing.assert_allclose(np.stack(rows['predictions'].to_numpy()), wanted, atol=1e-5)


class TestDamage:

    def test_records(self, tmp_path):
        """A file that is cut short, and one with a byte turned: what is whole is used."""
        file, = data.write_tfrecords(tmp_path, 'digits', 'train', [
            (encoded()[number], 0) for number in GOOD[:10]], ['x'])
        content = Path(file).read_bytes()
        cut, turned = str(tmp_path / 'cut.tfrecord'), str(tmp_path / 'turned.tfrecord')
        with open(cut, 'wb') as opened:
            opened.write(content[:len(content) // 2])
        with open(turned, 'wb') as opened:
            opened.write(content[:len(content) // 2] + b'?' + content[len(content) // 2 + 1:])
        run([cut, turned], tmp_path / 'out', shard_size=3)
        names = table(tmp_path / 'out')['name'].to_pylist()
        whole = len([name for name in names if name.startswith(cut)])
        assert 0 < whole < 9
        assert names == [f'{path}#{number}' for path in (cut, turned) for number in range(whole)]
        assert [name for name, _ in damaged(tmp_path / 'out')] == [
            f'{cut}#{whole}', *(f'{turned}#{number}' for number in range(whole, 10))]

    def test_rows_without_bytes(self, tmp_path):
        images = [encoded()[0], None, b'', b'text', encoded()[1]]
        pq.write_table(pa.table({'image': images}), tmp_path / 'in.parquet')
        found = run(tmp_path / 'in.parquet', tmp_path / 'out')
        assert found.images == 2
        assert [reason for _, reason in damaged(found.path)][:2] == ['its row has no bytes'] * 2

    def test_strict(self, folder, tmp_path):
        with pytest.raises(DatasetError, match=f'{DAMAGED}.png is no image that can be read'):
            run(folder, tmp_path / 'out', strict=True)

    def test_nothing_good(self, tmp_path):
        (tmp_path / 'in').mkdir()
        for number in range(3):
            (tmp_path / 'in' / f'{number}.png').write_bytes(b'none')
        with pytest.raises(DatasetError, match='None of the 3 images can be read'):
            run(tmp_path / 'in', tmp_path / 'out')
        assert len(damaged(tmp_path / 'out')) == 3

    def test_names_that_are_no_text(self, tmp_path):
        (tmp_path / 'in').mkdir()
        name = os.fsencode(tmp_path / 'in') + b'/caf\xe9.png'
        with open(name, 'wb') as file:
            file.write(encoded()[0])
        run(tmp_path / 'in', tmp_path / 'out')
        assert table(tmp_path / 'out')['name'].to_pylist() == [f'{tmp_path}/in/caf\\xe9.png']


class Stopped(BaseException):
    """Stands for the end of a process, which nothing catches."""


class TestGoingOn:

    @pytest.fixture(scope='class')
    @staticmethod
    def wanted(folder, tmp_path_factory):
        path = tmp_path_factory.mktemp('wanted') / 'out'
        bulk.run(ELEVEN, folder, path, shard_size=1, output_type='features')
        return path

    def test_kill_9(self, folder, wanted, tmp_path):
        """A process of its own, killed at random moments of its work until one comes to its end."""
        code = """
            import os, signal, threading
            from inception_slim import bulk
            replace, files = os.replace, []

            def counted(source, target):
                files.append(target)
                if len(files) == {count}:  # some way in, and then at any moment
                    threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGKILL)).start()
                replace(source, target)

            os.replace = counted
            found = bulk.run({checkpoint!r}, {folder!r}, {output!r}, shard_size=1,
                             output_type='features')
            print(found.before, found.images)
        """
        output, chance, done, kills = str(tmp_path / 'out'), random.Random(0), {}, 0
        while True:
            process = fork_server.python(code.format(
                count=chance.randint(1, 10), delay=chance.uniform(0, 0.03), checkpoint=ELEVEN,
                folder=str(folder), output=output))
            names = os.listdir(output) if os.path.isdir(output) else []
            for name, identity in done.items():  # what was done is left as it was
                assert identity == os.stat(os.path.join(output, name)).st_ino
            if not process.returncode:
                break
            assert process.returncode == -signal.SIGKILL, process.stderr
            kills += 1
            recorded = os.listdir(os.path.join(output, '_done')) if '_done' in names else []
            for record in recorded:
                if record.startswith('part') and int(record.split('-')[1]) != DAMAGED:
                    name = record.split('.')[0].removesuffix('-end') + '.parquet'
                    done[name] = os.stat(os.path.join(output, name)).st_ino
        assert kills > 2 and process.stdout.split()[1] == str(COUNT - 1)
        assert sorted(name for name in os.listdir(output)) == sorted(os.listdir(wanted))
        assert table(output) == table(wanted) and damaged(output) == damaged(wanted)

    @pytest.mark.parametrize('format', ['parquet', 'npy'])
    def test_stopped_between_any_two_files(self, folder, tmp_path, monkeypatch, format):
        """Before each of the files that a run writes, one after another, takes its place."""
        replace, written = os.replace, []

        def stopping(source, target):
            if len(written) == allowed:
                raise Stopped
            written.append(target)
            replace(source, target)

        monkeypatch.setattr(os, 'replace', stopping)
        allowed, stops = 0, 0
        while True:
            written.clear()
            try:
                found = run(folder, tmp_path / 'out', format=format)
                break
            except Stopped:
                stops += 1
                allowed = 1 + stops % 4  # enough for a shard and its record, now and then
                assert stops < 40
        assert stops > 4
        assert (found.images, found.damaged, found.shards) == (COUNT - 1, 1, 4)
        monkeypatch.setattr(os, 'replace', replace)
        run(folder, tmp_path / 'once', format=format)
        assert sorted(os.listdir(found.path)) == sorted(os.listdir(tmp_path / 'once'))
        for name in os.listdir(found.path):
            assert ((tmp_path / 'out' / name).read_bytes()
                    == (tmp_path / 'once' / name).read_bytes()), name

    def test_within_a_file_of_records(self, tmp_path, monkeypatch):
        """What of it is done is skipped."""
        file, = data.write_tfrecords(tmp_path, 'digits', 'train', [
            (content, 0) for content in encoded()], ['x'])
        add, added = manifest.Manifest.add, []

        def stopping(self, shard):
            if len(added) == 2:
                raise Stopped
            added.append(shard.number)
            add(self, shard)

        monkeypatch.setattr(manifest.Manifest, 'add', stopping)
        with pytest.raises(Stopped):
            run(file, tmp_path / 'out')
        monkeypatch.setattr(manifest.Manifest, 'add', lambda self, shard: (
            added.append(shard.number), add(self, shard)))
        found = run(file, tmp_path / 'out')
        assert added == [0, 1, 2, 3] and found.before == 15 and found.images == COUNT - 1
        assert table(found.path)['name'].to_pylist() == [f'{file}#{number}' for number in GOOD]

    def test_finished(self, folder, wanted):
        before = os.stat(wanted / '_manifest.json').st_ino
        found = run(folder, wanted, shard_size=1, output_type='features')
        assert found.before == found.images == COUNT - 1
        assert os.stat(wanted / '_manifest.json').st_ino == before

    def test_another_command(self, folder, wanted, tmp_path):
        same = {'shard_size': 1, 'output_type': 'features'}
        for arguments, options, says in (
            (
                (folder, wanted),
                {'output_type': 'top5'},
                'begun with output_type features, but it is top5',
            ),
            ((folder, wanted), {'dtype': 'float16'}, 'with dtype float32, but it is float16'),
            ((folder, wanted), {'use_ema': True}, 'with use_ema False, but it is True'),
            ((folder, wanted, OTHER), {}, 'was begun with another checkpoint than now'),
            ((folder / '0', wanted), {}, 'other sources: 30 images then, 10 images now'),
            ((folder, folder), {}, 'holds something else, such as 0; give a folder'),
            ((folder, folder / 'labels.txt'), {}, 'is a file; give a folder'),
        ):
            with pytest.raises(DatasetError, match=says):
                run(*arguments, **{**same, **options})
        (tmp_path / 'out').mkdir()
        (tmp_path / 'out' / '_manifest.json').write_text('{"version": 1')
        with pytest.raises(DatasetError, match='_manifest.json is damaged, or of another program'):
            run(folder, tmp_path / 'out')

    def test_another_run_at_the_same_time(self, folder, tmp_path, monkeypatch):
        add = manifest.Manifest.add

        def meanwhile(self, shard):
            with pytest.raises(DatasetError, match='Another run is writing to'):
                run(folder, tmp_path / 'out')
            add(self, shard)

        monkeypatch.setattr(manifest.Manifest, 'add', meanwhile)
        assert run(folder, tmp_path / 'out').images == COUNT - 1

    def test_sources_that_change_while_they_are_read(self, tmp_path, monkeypatch):
        (tmp_path / 'in').mkdir()
        for number in range(3):
            (tmp_path / 'in' / f'{number}.png').write_bytes(encoded()[number])
        todo = manifest.Manifest.todo
        monkeypatch.setattr(manifest.Manifest, 'todo', lambda self: (
            os.remove(tmp_path / 'in' / '1.png'), todo(self))[1])
        with pytest.raises(DatasetError, match='1.png is no longer there, or not on every host'):
            run(tmp_path / 'in', tmp_path / 'out')


class TestRefuses:

    @pytest.mark.parametrize('source, says', [
        ('missing', 'missing does not exist; give images'),
        ('empty', 'empty holds no images'),
        ('text.dat', 'text.dat is no image, TFRecord or Parquet file by its name'),
        ('empty.txt', 'empty.txt holds no images'),
        ('no.parquet', 'no.parquet cannot be read as Parquet'),
        ('numbers.parquet', 'has no column of bytes; give a file that has one'),
        ('two.parquet', 'has the columns a, b of bytes; name one as image column'),
        ('nothing://x', 'nothing://x cannot be opened: Protocol not known'),
        ('memory://missing', 'memory://missing does not exist')])
    def test_sources(self, tmp_path, source, says):
        (tmp_path / 'empty').mkdir()
        for name in ('text.dat', 'no.parquet'):
            (tmp_path / name).write_text('some text')
        (tmp_path / 'empty.txt').write_text('\n')
        pq.write_table(pa.table({'a': [1]}), tmp_path / 'numbers.parquet')
        pq.write_table(pa.table({'a': [b'x'], 'b': [b'x']}), tmp_path / 'two.parquet')
        path = source if '://' in source else tmp_path / source
        with pytest.raises(DatasetError, match=says):
            run(path, tmp_path / 'out')

    def test_columns(self, tmp_path):
        pq.write_table(pa.table({'a': [b'x'], 'b': [1]}), tmp_path / 'in.parquet')
        for options, says in (
                ({'image_column': 'c'}, "has no column 'c'; it has a, b"),
                ({'image_column': 'b'}, "column 'b' of .* is int64, not the bytes of images"),
                ({'name_column': 'c'}, "has no column 'c'; it has a, b")):
            with pytest.raises(DatasetError, match=says):
                run(tmp_path / 'in.parquet', tmp_path / 'out', **options)

    def test_options(self, folder, tmp_path):
        for options, says in (({'output_type': 'all'}, 'output_type must be one of'),
                              ({'shard_size': 0}, 'shard_size must be at least 1'),
                              ({'backend': 'spark'}, 'backend must be one of local, ray')):
            with pytest.raises(ValueError, match=says):
                run(folder, tmp_path / 'out', **options)
        assert not os.path.exists(tmp_path / 'out')

    @pytest.mark.parametrize('package, options, says', [
        ('pyarrow', {}, 'To write Parquet needs pyarrow.*choose the format npy'),
        ('ray', {'backend': 'ray'}, 'Ray needs ray: pip install "inception_slim.bulk."'),
        ('fsspec', {'sources': 's3://bucket'}, 'Opening s3://bucket needs the package fsspec')])
    def test_packages_that_are_missing(self, folder, tmp_path, monkeypatch, package, options,
                                       says):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ValueError, match=says):
            run(**{'sources': folder, 'output': tmp_path / 'out', **options})


class TestCommand:

    def test_writes(self, capsys, folder, tmp_path):
        arguments = [
            'bulk',
            ELEVEN,
            str(folder),
            '--output',
            str(tmp_path / 'out'),
            '--output-type',
            'features',
            '--format',
            'npy',
            '--shard-size',
            '20',
        ]
        assert cli.main(arguments) == 0
        printed = capsys.readouterr()
        assert printed.out == f'Wrote {tmp_path}/out: 29 images in 2 shards\n'
        assert printed.err == ('Skipped unreadable images: 1, listed in '
                               f'{tmp_path}/out/_damaged.csv\n')
        assert cli.main(arguments) == 0
        assert '; 29 of them were there already\n' in capsys.readouterr().out
        with open(tmp_path / 'out' / '_manifest.json') as file:
            assert json.load(file)['finished'] == {'images': 29, 'damaged': 1, 'shards': 2}

    def test_refuses(self, capsys, folder, tmp_path):
        for arguments, wanted in (
                ([ELEVEN, folder], 2),
                ([ELEVEN, folder, '--output', tmp_path / 'out', '--output-type', 'all'], 2),
                ([ELEVEN, folder, '--output', tmp_path / 'out', '--cores', '0'], 2),
                ([ELEVEN, folder, '--output', folder], 1),
                ([tmp_path, folder, '--output', tmp_path / 'out'], 1)):
            try:
                code = cli.main(['bulk', *map(str, arguments)])
            except SystemExit as error:
                code = error.code
            printed = capsys.readouterr()
            assert code == wanted and printed.out == '' and printed.err
            assert code == 2 or len(printed.err.splitlines()) == 1, printed.err
