"""Files, folders and sets of files are replaced together, whenever a run is killed."""

import json
import os
import subprocess
import sys
import tempfile
import threading

from inception_slim import _atomic_write
from inception_slim._atomic_write import (
    atomic_write,
    check_replaceable,
    recover,
    replace_together,
)
from inception_slim.errors import CheckpointError, DatasetError
import pytest

TARGETS = ('File', 'Folder', 'FolderWithoutExchange', 'Files', 'Checkpoint')


@pytest.fixture
def memory_folder():
    """In memory where the system has a folder for it: only processes are stopped, and not the
    machine, so that a disk would only take time for each `fsync`."""
    shared = '/dev/shm'
    with tempfile.TemporaryDirectory(
            dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield folder


def kill_table(folder, target, every):
    script = os.path.join(os.path.dirname(__file__), 'kill_table.py')
    done = subprocess.run([sys.executable, script, folder, target, str(every)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize('target', TARGETS)
def test_a_stop_leaves_the_old_or_the_new(memory_folder, target):
    """Every stop point of the first run, with a few of the second one."""
    for singles, pairs in kill_table(memory_folder, target, 13):
        assert singles > 15 and pairs >= singles


@pytest.mark.slow
@pytest.mark.parametrize('target', TARGETS)
def test_two_stops_leave_the_old_or_the_new(memory_folder, target):
    for singles, pairs in kill_table(memory_folder, target, 1):
        assert singles > 15 and pairs > 15 * singles


def write_files(path, text):
    with replace_together(path) as folder:
        for name in ('a', 'b'):
            with open(os.path.join(folder, name), 'w') as file:
                file.write(text)


def test_a_run_that_is_alive_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(_atomic_write, '_LOCK_WAIT', 0.1)
    target = str(tmp_path / 'target')
    with replace_together(target) as folder:
        with pytest.raises(CheckpointError, match='Another run is writing to .*target; wait until'):
            with replace_together(target, CheckpointError):
                pass
        recover(target)
        assert os.path.isdir(folder)
    assert os.listdir(tmp_path) == []


def test_a_run_waits_for_another_one(tmp_path):
    target = str(tmp_path / 'target')
    with replace_together(target) as folder:
        with open(os.path.join(folder, 'a'), 'w') as file:
            file.write('first')
        thread = threading.Thread(target=write_files, args=(target, 'second'))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join()
    assert (tmp_path / 'a').read_text() == (tmp_path / 'b').read_text() == 'second'
    assert sorted(os.listdir(tmp_path)) == ['a', 'b']


def test_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(_atomic_write, 'fcntl', None)
    target = str(tmp_path / 'target')
    for text in ('old', 'new'):
        write_files(target, text)
    with pytest.raises(KeyError), replace_together(target):
        raise KeyError
    assert (tmp_path / 'b').read_text() == 'new' and sorted(os.listdir(tmp_path)) == ['a', 'b']


@pytest.mark.skipif(sys.platform != 'linux', reason='renameat2 is a call of Linux')
def test_folders_are_exchanged(tmp_path):
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert _atomic_write._exchange(str(tmp_path / 'a'), str(tmp_path / 'b'))
    assert os.listdir(tmp_path / 'a') == ['b'] and os.listdir(tmp_path / 'b') == ['a']
    with pytest.raises(FileNotFoundError):
        _atomic_write._exchange(str(tmp_path / 'a'), str(tmp_path / 'none'))


def test_an_error_between_renames_is_mended_by_the_next_run(tmp_path, monkeypatch):
    target = str(tmp_path / 'target')
    write_files(target, 'old')
    replace = os.replace

    def fail(source, destination):
        if destination.endswith('/b'):
            raise OSError(28, 'No space left on device')
        replace(source, destination)

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(DatasetError, match='target cannot be written: No space left on device'):
        write_files(target, 'new')
    monkeypatch.undo()
    recover(target)
    assert (tmp_path / 'a').read_text() == (tmp_path / 'b').read_text() == 'new'
    assert sorted(os.listdir(tmp_path)) == ['a', 'b']


def test_a_link_is_written_through(tmp_path):
    (tmp_path / 'link').symlink_to('file')
    with atomic_write(str(tmp_path / 'link')) as file:
        file.write(b'new')
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'file').read_bytes() == b'new'
    assert sorted(os.listdir(tmp_path)) == ['file', 'link']


def test_special_files_are_not_replaced(tmp_path):
    (tmp_path / 'link').symlink_to('file')
    os.mkfifo(tmp_path / 'pipe')
    for name, kind in (('link', 'a symbolic link'), ('pipe', 'a named pipe')):
        with pytest.raises(CheckpointError, match=f'{name} is {kind}, which is not replaced'):
            check_replaceable(str(tmp_path / name), CheckpointError)
    with pytest.raises(DatasetError, match='/dev/null is a device'):
        check_replaceable('/dev/null')
    check_replaceable(str(tmp_path / 'none'))


@pytest.mark.parametrize('link', ['.target.swap', '.target.swap/complete'])
def test_links_of_others_are_not_recovered(tmp_path, link):
    """A folder of unknown origin cannot have files of another folder moved."""
    (tmp_path / 'mine' / 'complete').mkdir(parents=True)
    for folder in ('mine', 'mine/complete'):
        (tmp_path / folder / 'secret').touch()
    (tmp_path / 'folder' / link).parent.mkdir(parents=True)
    (tmp_path / 'folder' / link).symlink_to(tmp_path / 'mine', target_is_directory=True)
    target = str(tmp_path / 'folder' / 'target')
    recover(target)
    with pytest.raises(DatasetError, match='cannot be written'):
        write_files(target, 'new')
    assert (tmp_path / 'mine' / 'secret').exists()
    assert (tmp_path / 'mine' / 'complete' / 'secret').exists()
    assert not (tmp_path / 'folder' / 'secret').exists()
