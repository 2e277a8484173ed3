"""Stops runs that replace an output before each of their file operations, alone and in pairs.

`python kill_table.py FOLDER TARGET EVERY` prints the number of stop points and of pairs as JSON; of
the stop points of the second run it takes each EVERYth. It does not import TensorFlow, so that it
can fork for each run.
"""

import builtins
import contextlib
import hashlib
import json
import os
import shutil
import sys

from inception_slim import _atomic_write
from inception_slim._atomic_write import atomic_write, recover, replace_together

OPERATIONS = 'mkdir rename replace rmdir unlink remove fsync open'
COUNT = 2  # files in a folder


class Stop:
    """Ends the process, as `kill -9` does, before its file operation number `at`."""

    def __init__(self, at):
        self.left = at

    def count(self):
        if self.left == 0:
            os._exit(9)
        self.left -= 1

    def install(self):
        for module, names in ((os, OPERATIONS.split()), (builtins, ['open']),
                              (_atomic_write, ['_exchange'])):
            for name in names:
                setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, function):
        def counted(*arguments, **settings):
            self.count()
            return function(*arguments, **settings)

        return counted


def content(version):
    return hashlib.sha256(version.encode()).hexdigest() * 50


def write(file, version, stop):
    text = f'{version} {content(version)}'.encode()
    file.write(text[:1000])
    file.flush()
    stop.count()
    file.write(text[1000:])


def read(path):
    """The version of a file; fails if the file is not complete."""
    with open(path) as file:
        version, _, rest = file.read().partition(' ')
    assert rest == content(version), f'{path} is not complete'
    return version


def same(versions):
    versions = set(versions)
    assert len(versions) == 1, f'a mixture of {versions}'
    return versions.pop()


class File:
    names = {'target'}
    needs_recovery = False

    def write(self, version, stop):
        with atomic_write('target') as file:
            write(file, version, stop)

    def read(self):
        return read('target') if os.path.exists('target') else None


class Folder(File):

    def write(self, version, stop):
        with replace_together('target') as folder:
            os.mkdir(f'{folder}/target')
            for number in range(COUNT):
                with open(f'{folder}/target/{number}', 'wb') as file:
                    write(file, version, stop)

    def read(self):
        if not os.path.exists('target'):
            return None
        assert len(os.listdir('target')) == COUNT
        return same(read(f'target/{number}') for number in range(COUNT))


class FolderWithoutExchange(Folder):
    needs_recovery = True

    def write(self, version, stop):
        _atomic_write._exchange = lambda first, second: False
        super().write(version, stop)


class Files(File):
    names = {'target.npy', 'target.jsonl'}
    needs_recovery = True

    def write(self, version, stop):
        with replace_together('target') as folder:
            for name in self.names:
                with open(f'{folder}/{name}', 'wb') as file:
                    write(file, version, stop)

    def read(self):
        if not any(map(os.path.exists, self.names)):
            return None
        return same(map(read, self.names))


class Checkpoint(File):
    """Data files with names of their own, and an index that is moved last."""

    names = {'target.index', 'target.data'}

    def existing(self):
        return [name for name in os.listdir() if name.startswith('target.')]

    def write(self, version, stop):
        old = []
        with replace_together('target', obsolete=old) as folder:
            old += self.existing()
            number = max([int(name[-1]) for name in old if 'data' in name], default=0) + 1
            for name in (f'target.data-{number}', 'target.index'):
                with open(f'{folder}/{name}', 'wb') as file:
                    write(file, version, stop)

    def read(self):
        if not os.path.exists('target.index'):
            return None
        version = read('target.index')
        assert version in map(read, [name for name in self.existing() if 'data' in name])
        return version


def run(target, version, at):
    """Writes a version; returns whether it was finished before the stop."""
    child = os.fork()
    if not child:
        status = 1
        try:
            stop = Stop(at)
            stop.install()
            target.write(version, stop)
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9), status
    return status == 0


@contextlib.contextmanager
def copy_of(folder, name):
    before, copy = os.getcwd(), f'{folder}.{name}'
    shutil.copytree(folder, copy)
    os.chdir(copy)
    yield copy
    os.chdir(before)
    shutil.rmtree(copy)


def check(folder, target, versions, without_recovery):
    """The version that is read after recovery, one of `versions`."""
    with copy_of(folder, 'read'):
        if not target.needs_recovery:
            assert target.read() in (*versions, without_recovery)
        recover('target')
        version = target.read()
    assert version in versions, f'{version}, not one of {versions}'
    return version


def check_clean(target, version):
    assert target.read() == version
    names = {name.partition('-')[0] for name in os.listdir()}
    assert names == target.names and len(os.listdir()) == len(names), os.listdir()


def check_all(folder, target, old, every):
    singles, pairs, finished = 0, 0, False
    start = os.path.join(folder, 'start')
    os.mkdir(start)
    os.chdir(start)
    if old:
        run(target, old, -1)
        check_clean(target, old)
    while not finished:
        with copy_of(start, 'first') as first:
            finished = run(target, 'first', singles)
            seen = check(first, target, (old, 'first'), old)
            if finished:
                check_clean(target, 'first')
            singles += 1
            second_finished, at = False, singles % every
            while not second_finished:
                with copy_of(first, 'second') as second:
                    second_finished = run(target, 'second', at)
                    if second_finished:
                        check_clean(target, 'second')
                    else:
                        check(second, target, (seen, 'first', 'second'), old)
                        assert run(target, 'third', -1)
                        check_clean(target, 'third')
                    at += every
                    pairs += 1
    shutil.rmtree(start)
    return singles, pairs


if __name__ == '__main__':
    place, name, step = sys.argv[1:]
    print(json.dumps([check_all(os.path.abspath(place), globals()[name](), old, int(step))
                      for old in (None, 'old')]))
