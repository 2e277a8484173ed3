"""Interrupted runs of bulk: killed at any moment, resumed, and refused for another request."""

import json
import os
import random
import signal

from bulk_images import (
    CHECKPOINT,
    COUNT,
    OTHER_CHECKPOINT,
    READABLE,
    UNREADABLE,
    encoded_images,
    read_table,
    read_unreadable,
    run,
)
import fork_server
from inception_slim import bulk, data
from inception_slim.bulk import manifest
from inception_slim.errors import DatasetError
import pytest


class Stopped(BaseException):
    """Stands for the end of a process: nothing catches it."""


@pytest.fixture(scope='module')
def finished(image_folder, tmp_path_factory):
    """The output of an uninterrupted run with one image per shard."""
    path = tmp_path_factory.mktemp('finished') / 'out'
    bulk.run(CHECKPOINT, image_folder, path, shard_size=1, output_type='features')
    return path


@pytest.mark.slow
def test_resumes_after_sigkill(image_folder, finished, tmp_path):
    """A process is killed at random moments, and run again until it finishes."""
    code = """
        import os, signal, threading
        from inception_slim import bulk
        replace, files = os.replace, []

        def replace_and_kill(source, target):
            files.append(target)
            if len(files) == {count}:  # after some files, and then at any moment
                threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGKILL)).start()
            replace(source, target)

        os.replace = replace_and_kill
        result = bulk.run({checkpoint!r}, {folder!r}, {output!r}, shard_size=1,
                          output_type='features')
        print(result.resumed_images, result.images)
    """
    output, rng, inodes, kills = str(tmp_path / 'out'), random.Random(0), {}, 0
    while True:
        process = fork_server.python(code.format(
            count=rng.randint(1, 10), delay=rng.uniform(0, 0.03), checkpoint=CHECKPOINT,
            folder=str(image_folder), output=output))
        for name, inode in inodes.items():  # finished shards are not written again
            assert inode == os.stat(os.path.join(output, name)).st_ino
        if not process.returncode:
            break
        assert process.returncode == -signal.SIGKILL, process.stderr
        kills += 1
        done = os.path.join(output, '_done')
        for record in os.listdir(done) if os.path.isdir(done) else []:
            if record.startswith('part') and int(record.split('-')[1]) != UNREADABLE:
                name = record.split('.')[0].removesuffix('-end') + '.parquet'
                inodes[name] = os.stat(os.path.join(output, name)).st_ino
    assert kills > 2 and process.stdout.split()[1] == str(COUNT - 1)
    assert sorted(os.listdir(output)) == sorted(os.listdir(finished))
    assert read_table(output) == read_table(finished)
    assert read_unreadable(output) == read_unreadable(finished)


@pytest.mark.parametrize('options', [
    {'format': 'parquet'}, {'format': 'npy'}, {'output_type': 'statistics'}])
def test_resumes_after_a_stop_between_any_two_files(image_folder, tmp_path, monkeypatch, options):
    replace, written = os.replace, []

    def replace_or_stop(source, target):
        if len(written) == allowed:
            raise Stopped
        written.append(target)
        replace(source, target)

    monkeypatch.setattr(os, 'replace', replace_or_stop)
    allowed, stops = 0, 0
    while True:
        written.clear()
        try:
            result = run(image_folder, tmp_path / 'out', **options)
            break
        except Stopped:
            stops += 1
            allowed = 1 + stops % 4  # now and then enough for a shard and its record
            assert stops < 40
    assert stops > 4
    assert (result.images, result.unreadable, result.shards) == (COUNT - 1, 1, 4)
    monkeypatch.setattr(os, 'replace', replace)
    run(image_folder, tmp_path / 'once', **options)
    assert sorted(os.listdir(result.path)) == sorted(os.listdir(tmp_path / 'once'))
    for name in os.listdir(result.path):
        assert ((tmp_path / 'out' / name).read_bytes()
                == (tmp_path / 'once' / name).read_bytes()), name


def test_resumes_within_a_tfrecord_file(tmp_path, monkeypatch):
    file, = data.write_tfrecords(tmp_path, 'digits', 'train', [
        (content, 0) for content in encoded_images()], ['x'])
    add, added = manifest.Manifest.add, []

    def add_two(self, shard):
        if len(added) == 2:
            raise Stopped
        added.append(shard.number)
        add(self, shard)

    monkeypatch.setattr(manifest.Manifest, 'add', add_two)
    with pytest.raises(Stopped):
        run(file, tmp_path / 'out')
    monkeypatch.setattr(manifest.Manifest, 'add', lambda self, shard: (
        added.append(shard.number), add(self, shard)))
    result = run(file, tmp_path / 'out')
    assert added == [0, 1, 2, 3]
    assert (result.resumed_images, result.images) == (15, COUNT - 1)
    assert read_table(result.path)['name'].to_pylist() == [
        f'{file}#{number}' for number in READABLE]


def test_finished_run_is_not_written_again(image_folder, finished):
    inode = os.stat(finished / '_manifest.json').st_ino
    result = run(image_folder, finished, shard_size=1, output_type='features')
    assert result.resumed_images == result.images == COUNT - 1
    assert os.stat(finished / '_manifest.json').st_ino == inode


def test_rejects_another_request(image_folder, finished):
    request = {'shard_size': 1, 'output_type': 'features'}
    for options, message in (
            ({'output_type': 'top5'}, 'a run with output_type features, not top5. Give the same'),
            ({'dtype': 'float16'}, 'a run with dtype float32, not float16'),
            ({'use_ema': True}, 'a run with use_ema False, not True'),
            ({'checkpoint': OTHER_CHECKPOINT}, 'a run with another checkpoint'),
            ({'sources': image_folder / '0'}, 'sources: 30 images before, 10 images now'),
            ({'output': image_folder}, 'contains other files, such as 0; give an empty')):
        with pytest.raises(DatasetError, match=message):
            run(**{'sources': image_folder, 'output': finished, **request, **options})


@pytest.mark.parametrize('content, message', [
    ('{"version": 2', '_manifest.json is damaged or not a manifest'),
    ('[]', '_manifest.json is damaged or not a manifest'),
    ('{"version": 5}', '_manifest.json is damaged: it has no'),
    ('{"version": 1}', 'has version 1, but this inception_slim supports only version 5')])
def test_rejects_manifests_that_it_cannot_read(image_folder, tmp_path, content, message):
    (tmp_path / '_manifest.json').write_text(content)
    with pytest.raises(DatasetError, match=message):
        run(image_folder, tmp_path)
    assert (tmp_path / '_manifest.json').read_text() == content


def test_rejects_a_second_run_at_the_same_time(image_folder, tmp_path, monkeypatch):
    add = manifest.Manifest.add

    def run_another(self, shard):
        with pytest.raises(DatasetError, match='Another run is writing to'):
            run(image_folder, tmp_path / 'out')
        add(self, shard)

    monkeypatch.setattr(manifest.Manifest, 'add', run_another)
    assert run(image_folder, tmp_path / 'out').images == COUNT - 1


def test_stops_if_a_source_file_disappears(tmp_path, monkeypatch):
    (tmp_path / 'in').mkdir()
    for number in range(3):
        (tmp_path / 'in' / f'{number}.png').write_bytes(encoded_images()[number])
    pending_tasks = manifest.Manifest.pending_tasks
    monkeypatch.setattr(manifest.Manifest, 'pending_tasks', lambda self: (
        os.remove(tmp_path / 'in' / '1.png'), pending_tasks(self))[1])
    with pytest.raises(DatasetError, match='1.png does not exist any more, or not on every host'):
        run(tmp_path / 'in', tmp_path / 'out')
    with open(tmp_path / 'out' / '_manifest.json') as file:
        assert json.load(file)['finished'] is None
