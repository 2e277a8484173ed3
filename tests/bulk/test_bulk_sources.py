"""The sources of bulk: the same images from any source give the same rows."""

import os
from pathlib import Path
import shutil

from bulk_images import (
    COUNT,
    READABLE,
    SHARD_SIZE,
    UNREADABLE,
    encoded_images,
    file_name,
    read_table,
    read_unreadable,
    run,
)
import fsspec
from inception_slim import data
from inception_slim.bulk.readers import Columns
from inception_slim.bulk.sources import work_units
from inception_slim.errors import DatasetError
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope='module')
def reference(image_folder, tmp_path_factory):
    """The predictions of the readable images, from the folder of files."""
    path = tmp_path_factory.mktemp('reference') / 'out'
    run(image_folder, path)
    return np.stack(read_table(path)['predictions'].to_numpy())


def check(reference, source, names, tmp_path, **options):
    """Runs bulk on a source and compares the rows; returns the unreadable images."""
    result = run(source, tmp_path / 'out', **options)
    rows = read_table(result.path)
    assert rows['name'].to_pylist() == names
    np.testing.assert_allclose(np.stack(rows['predictions'].to_numpy()), reference, atol=1e-5)
    return read_unreadable(result.path)


def write_records(folder, contents, num_shards=1):
    return data.write_tfrecords(folder, 'digits', 'train', [(content, 0) for content in contents],
                                ['x'], num_shards=num_shards)


def test_list_of_files(reference, image_folder, tmp_path):
    lines = [file_name(number) for number in range(COUNT)]
    lines[3] = str(image_folder / lines[3])
    (image_folder / 'all.lst').write_text('\n'.join([*lines, '', 'missing.png']) + '\n')
    unreadable = check(reference, image_folder / 'all.lst',
                       [str(image_folder / file_name(number)) for number in READABLE], tmp_path)
    assert unreadable[1] == [str(image_folder / 'missing.png'), 'it does not exist']


@pytest.mark.parametrize('suffix', ['zip', 'tar'])
def test_archives(reference, image_folder, tmp_path, suffix):
    path = shutil.make_archive(tmp_path / 'in', suffix, image_folder)
    names = sorted(f'{path}/{file_name(number)}' for number in READABLE)
    result = run(path, tmp_path / 'out')
    rows = read_table(result.path)
    assert sorted(rows['name'].to_pylist()) == names
    order = np.argsort(rows['name'].to_pylist())
    np.testing.assert_allclose(np.stack(rows['predictions'].to_numpy())[order], reference,
                               atol=1e-5)
    assert [name for name, _ in read_unreadable(result.path)] == [
        f'{path}/{file_name(UNREADABLE)}']


def test_tfrecords(reference, tmp_path):
    """Two files, each with more images than a shard."""
    write_records(tmp_path / 'in', encoded_images(), num_shards=2)
    files = [str(tmp_path / 'in' / f'digits_train_0000{n}-of-00002.tfrecord') for n in (0, 1)]
    order = [number for number in (*range(0, COUNT, 2), *range(1, COUNT, 2))
             if number != UNREADABLE]
    names = [f'{files[number % 2]}#{number // 2}' for number in order]
    rows = reference[[READABLE.index(number) for number in order]]
    unreadable = check(rows, tmp_path / 'in', names, tmp_path)
    assert [name for name, _ in unreadable] == [f'{files[1]}#{UNREADABLE // 2}']


@pytest.mark.parametrize('column', ['binary', 'hugging face', 'named', 'dotted'])
def test_parquet(reference, tmp_path, column):
    content = encoded_images()
    names = [f'{tmp_path}/in.parquet#{number}' for number in READABLE]
    options = {}
    if column == 'hugging face':
        columns = {'image': pa.array([{'bytes': item, 'path': 'x'} for item in content]),
                   'label': pa.array(range(COUNT))}
    elif column == 'dotted':
        columns = {'raw.bytes': pa.array(content)}
    else:
        columns = {'jpg': pa.array(content, pa.large_binary()), 'key': pa.array(range(COUNT))}
    if column == 'named':
        columns['other'] = pa.array(content)
        options = {'image_column': 'jpg', 'name_column': 'key'}
        names = [str(number) for number in READABLE]
    pq.write_table(pa.table(columns), tmp_path / 'in.parquet', row_group_size=7)
    unreadable = check(reference, str(tmp_path / 'in.parquet'), names, tmp_path, **options)
    assert [name for name, _ in unreadable] == [
        str(UNREADABLE) if column == 'named' else f'{tmp_path}/in.parquet#{UNREADABLE}']


@pytest.mark.parametrize('scheme', ['memory', 'file'])
def test_remote_folder(reference, tmp_path, scheme):
    root, filesystem, path = make_remote_folder(tmp_path, scheme)
    prefix = filesystem.unstrip_protocol(path)
    names = [f'{prefix}/{file_name(number)}' for number in READABLE]
    unreadable = check(reference, root, names, tmp_path)
    assert [name for name, _ in unreadable] == [f'{prefix}/{file_name(UNREADABLE)}']


@pytest.mark.parametrize('scheme', ['memory', 'file'])
def test_remote_list_and_output(tmp_path, scheme):
    root, filesystem, path = make_remote_folder(tmp_path, scheme)
    filesystem.pipe_file(f'{path}/list.txt', '\n'.join(
        file_name(number) for number in range(COUNT)).encode())
    result = run(f'{root}/list.txt', f'{root}/out')
    assert result.unreadable == 1
    assert filesystem.exists(f'{path}/out/_manifest.json')
    assert not filesystem.exists(f'{path}/out/_done')
    with filesystem.open(f'{path}/out/part-0000000-00000.parquet', 'rb') as file:
        assert pq.read_table(file)['name'].to_pylist() == [
            f'{root}/{file_name(number)}' for number in READABLE[:SHARD_SIZE]]
    again = run(f'{root}/list.txt', f'{root}/out')
    assert (again.resumed_images, again.images) == (COUNT - 1, COUNT - 1)


@pytest.mark.parametrize('scheme', ['memory', 'file'])
@pytest.mark.parametrize('kind', ['tfrecord', 'parquet'])
def test_remote_files_of_many_images(reference, tmp_path, scheme, kind):
    root, filesystem, path = make_remote_folder(tmp_path, scheme)
    if kind == 'tfrecord':
        local, = write_records(tmp_path / 'records', encoded_images())
    else:
        local = str(tmp_path / 'a.parquet')
        pq.write_table(pa.table({'image': pa.array(encoded_images())}), local)
    filesystem.put(local, f'{path}/a.{kind}')
    check(reference, f'{root}/a.{kind}', [f'{root}/a.{kind}#{number}' for number in READABLE],
          tmp_path)


def make_remote_folder(tmp_path, scheme):
    """Writes the images to a URL; returns it, its file system, and the path in that."""
    root = f'file://{tmp_path}/remote' if scheme == 'file' else f'memory:/{tmp_path}'
    filesystem, path = fsspec.core.url_to_fs(root)
    for number, content in enumerate(encoded_images()):
        filesystem.makedirs(f'{path}/{number // 10}', exist_ok=True)
        filesystem.pipe_file(f'{path}/{file_name(number)}', content)
    return root, filesystem, path


def test_truncated_and_corrupted_tfrecords(tmp_path):
    """The records before the damage are used."""
    file, = write_records(tmp_path, [encoded_images()[number] for number in READABLE[:10]])
    content = Path(file).read_bytes()
    middle = len(content) // 2
    truncated, corrupted = tmp_path / 'truncated.tfrecord', tmp_path / 'corrupted.tfrecord'
    truncated.write_bytes(content[:middle])
    corrupted.write_bytes(content[:middle] + b'?' + content[middle + 1:])
    run([truncated, corrupted], tmp_path / 'out', shard_size=3)
    names = read_table(tmp_path / 'out')['name'].to_pylist()
    complete = len([name for name in names if name.startswith(str(truncated))])
    assert 0 < complete < 9
    assert names == [f'{path}#{number}' for path in (truncated, corrupted)
                     for number in range(complete)]
    assert [name for name, _ in read_unreadable(tmp_path / 'out')] == [
        f'{truncated}#{complete}',
        *(f'{corrupted}#{number}' for number in range(complete, 10))]


def test_parquet_rows_without_bytes(tmp_path):
    images = [encoded_images()[0], None, b'', b'text', encoded_images()[1]]
    pq.write_table(pa.table({'image': images}), tmp_path / 'in.parquet')
    result = run(tmp_path / 'in.parquet', tmp_path / 'out')
    assert result.images == 2
    reasons = [reason for _, reason in read_unreadable(result.path)]
    assert reasons[:2] == ['its row has no bytes'] * 2 and len(reasons) == 3


def test_strict_stops_at_an_unreadable_image(image_folder, tmp_path):
    with pytest.raises(DatasetError, match=f'{UNREADABLE}.png is unreadable: '):
        run(image_folder, tmp_path / 'out', strict=True)


def test_rejects_sources_without_a_readable_image(tmp_path):
    (tmp_path / 'in').mkdir()
    for number in range(3):
        (tmp_path / 'in' / f'{number}.png').write_bytes(b'none')
    with pytest.raises(DatasetError, match='None of the 3 images is readable'):
        run(tmp_path / 'in', tmp_path / 'out')
    assert len(read_unreadable(tmp_path / 'out')) == 3


@pytest.mark.parametrize('source, message', [
    ('missing', 'missing does not exist; give images'),
    ('empty', 'empty contains no images'),
    ('text.dat', 'text.dat has no known file type; give images'),
    ('empty.txt', 'empty.txt contains no images'),
    ('no.parquet', 'no.parquet cannot be read as Parquet'),
    ('numbers.parquet', 'has no column of image bytes'),
    ('two.parquet', 'has several columns of bytes .a, b.; choose one'),
    ('nothing://x', 'nothing://x cannot be opened: Protocol not known'),
    ('memory://missing', 'memory://missing does not exist')])
def test_rejects_bad_sources(tmp_path, source, message):
    (tmp_path / 'empty').mkdir()
    for name in ('text.dat', 'no.parquet'):
        (tmp_path / name).write_text('some text')
    (tmp_path / 'empty.txt').write_text('\n')
    pq.write_table(pa.table({'a': [1]}), tmp_path / 'numbers.parquet')
    pq.write_table(pa.table({'a': [b'x'], 'b': [b'x']}), tmp_path / 'two.parquet')
    path = source if '://' in source else str(tmp_path / source)
    with pytest.raises(DatasetError, match=message):
        list(work_units([path], SHARD_SIZE, Columns()))


@pytest.mark.parametrize('columns, message', [
    (Columns(image='c'), "has no column 'c'; its columns are a, b"),
    (Columns(image='b'), "column 'b' of .* has the type int64; give a column of image bytes"),
    (Columns(name='c'), "has no column 'c'; its columns are a, b")])
def test_rejects_bad_columns(tmp_path, columns, message):
    pq.write_table(pa.table({'a': [b'x'], 'b': [1]}), tmp_path / 'in.parquet')
    with pytest.raises(DatasetError, match=message):
        list(work_units([str(tmp_path / 'in.parquet')], SHARD_SIZE, columns))


def test_magic_bytes_of_files_without_suffix(tmp_path):
    (tmp_path / 'image').write_bytes(encoded_images()[0])
    unit, = work_units([str(tmp_path / 'image')], SHARD_SIZE, Columns())
    assert unit == {'kind': 'files', 'images': 1, 'files': [
        (str(tmp_path / 'image'), os.path.getsize(tmp_path / 'image'))]}
