"""`inception-slim bulk` on scikit-learn's digits, and what it does when it is killed.

1,797 real images, of which one is damaged, for a narrow network. In this process, and killed with
-9 on the way; on Ray, on this machine alone; on a cluster of real processes, of which one host is
killed in the middle and one comes in the middle, and then the driver is killed, too; and from an S3
server to an S3 server. Each time what is written is compared, byte for byte, with what one process
wrote in one go, and that with `classify`. Takes some minutes.
"""

import argparse
import contextlib
import csv
import filecmp
import os
import random
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import inception_slim  # noqa: F401  first, so that TensorFlow is imported quietly
from inception_slim import evaluation
import numpy as np
from sklearn.datasets import load_digits
import tensorflow.compat.v1 as tf

from scripts.acceptance.ray_cluster import Cluster
from scripts.acceptance.soak import narrow_checkpoint

COMMAND = os.path.join(os.path.dirname(sys.executable), 'inception-slim')
SIDE = 96  # pixels of a PNG, from the 8 of a digit
SHARD = 32
DAMAGED = 1000
BUCKET = 'digits'
COPIES = 4  # of the images, for the cluster


def write_digits(folder: str) -> int:
    """A folder a class; the images come to how many there are, good and bad."""
    found = load_digits()
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (SIDE, SIDE, 3))
        encode = session.make_callable(tf.image.encode_png(pixels), [pixels])
        for number, (digit, label) in enumerate(zip(found.images, found.target)):
            os.makedirs(os.path.join(folder, str(label)), exist_ok=True)
            grey = np.kron(digit * 255 / 16, np.ones((SIDE // 8, SIDE // 8))).astype(np.uint8)
            with open(os.path.join(folder, str(label), f'{number:04d}.png'), 'wb') as file:
                content = encode(np.repeat(grey[..., np.newaxis], 3, axis=-1))
                file.write(content[:100] if number == DAMAGED else content)
    return len(found.images)


def started(*arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen([COMMAND, 'bulk', *arguments], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env={**os.environ, **environment})


def ended(process: subprocess.Popen) -> str:
    output, errors = process.communicate()
    assert not process.returncode, errors
    print(output, errors, sep='', end='', flush=True)
    return output


def run(*arguments: str, **environment: str) -> str:
    """Prints a command, runs it, and returns what it printed."""
    print(f'$ inception-slim bulk {shlex.join(arguments)}', flush=True)
    return ended(started(*arguments, **environment))


def wait_for(output: str, shards: int, process: subprocess.Popen) -> None:
    """Until so many shards of a run are done."""
    while len(done := records(output)) < shards:
        assert process.poll() is None, f'ended with {len(done)} shards: {process.communicate()}'
        time.sleep(0.02)


def records(output: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return [name for name in os.listdir(os.path.join(output, '_done')) if name[0] == 'p']
    return []


def check_same(output: str, reference: str) -> None:
    """Byte for byte the same files, so that no row is there twice, and none is missing."""
    names = sorted(os.listdir(reference))
    assert sorted(os.listdir(output)) == names
    _, different, lost = filecmp.cmpfiles(reference, output, names, shallow=False)
    assert not different and not lost, (different, lost)
    print(f'  all {len(names)} files of {os.path.basename(output)} are those of one process in one '
          'go, byte for byte', flush=True)


def check_against_classify(checkpoint: str, source: str, output: str) -> None:
    """By pandas, DuckDB and pyarrow."""
    import duckdb
    import pandas
    import pyarrow.dataset
    answers = evaluation.classify(checkpoint, source)
    rows = pandas.read_parquet(output)
    assert rows['name'].tolist() == [answer.name for answer in answers.answers]
    assert rows['class'].tolist() == [answer.classes[0] for answer in answers.answers]
    assert rows['label'].tolist() == [answer.labels[0] for answer in answers.answers]
    difference = np.abs(rows['probability'] - [
        answer.probabilities[0] for answer in answers.answers]).max()
    assert difference <= 1e-6, difference
    counted = duckdb.sql(f'SELECT count(*), count(DISTINCT name), avg(len(predictions)) '
                         f"FROM '{output}/*.parquet'").fetchall()[0]
    assert counted == (len(rows), len(rows), 10), counted
    assert pyarrow.dataset.dataset(output).count_rows() == len(rows)
    with open(os.path.join(output, '_damaged.csv'), newline='') as file:
        assert [row['name'] for row in csv.DictReader(file)] == answers.bad
    print(f'  {len(rows):,} rows, read by pandas, DuckDB and pyarrow, are what classify says; '
          f'probabilities differ by at most {difference:.1g}', flush=True)


def kill_here(common: list[str], scratch: str, total: int, chance: random.Random) -> None:
    output, kills, before = os.path.join(scratch, 'killed'), 0, 0
    for part in (0.1, 0.3, 0.6, 0.9):
        process = started(*common, '--output', output)
        wait_for(output, int(part * total), process)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.communicate()
        kills += 1
        there = len(records(output))
        assert there >= before
        print(f'  kill -9 with {there} of {total} shards done', flush=True)
        before = there
    printed = run(*common, '--output', output)
    assert re.search(r'; [\d,]+ of them were there already', printed)
    check_same(output, os.path.join(scratch, 'here'))


def ray_alone(common: list[str], scratch: str) -> None:
    """On this machine, with the process of its predictor killed in the middle."""
    output = os.path.join(scratch, 'ray')
    command = [*common, '--output', output, '--backend', 'ray']
    print(f'$ inception-slim bulk {shlex.join(command)}', flush=True)
    process = started(*command)
    wait_for(output, 8, process)
    worker = _actors_of(process.pid)[0]
    os.kill(worker, 9)
    print(f'  kill -9 to its worker with {len(records(output))} shards done', flush=True)
    ended(process)
    check_same(output, os.path.join(scratch, 'here'))


def _actors_of(driver: int) -> list[int]:
    """The processes of Ray that a driver has started, and that hold a predictor."""
    found = subprocess.run(['ps', '-eo', 'pid,ppid,args'], capture_output=True, text=True).stdout
    children: dict[int, list[tuple[int, str]]] = {}
    for line in found.splitlines()[1:]:
        pid, parent, words = line.split(None, 2)
        children.setdefault(int(parent), []).append((int(pid), words))
    waiting, actors = [driver], []
    while waiting:
        for pid, words in children.get(waiting.pop(), []):
            waiting.append(pid)
            if words.startswith('ray::MapWorker'):
                actors.append(pid)
    assert actors, found
    return actors


def several_hosts(common: list[str], scratch: str) -> None:
    """A head and two hosts; the driver is killed, then a host, and another one comes."""
    output, reference = (os.path.join(scratch, name) for name in ('cluster', 'once'))
    checkpoint, source, *rest = common
    sources = [source]
    for number in range(1, COPIES):  # so that there is time for all this
        sources.append(f'{source}-{number}')
        os.symlink(source, sources[-1])
    run(checkpoint, *sources, *rest, '--output', reference)
    total = len([name for name in os.listdir(reference) if name[0] == 'p'])
    with Cluster(scratch) as cluster:
        cluster.add(1)
        cluster.add(1)
        command = [checkpoint, *sources, *rest, '--output', output, '--ray-address', cluster.address]
        print(f'$ inception-slim bulk {shlex.join(command)}', flush=True)
        process = started(*command, **cluster.environment)
        wait_for(output, total // 10, process)
        process.kill()
        process.communicate()
        print(f'  the driver killed with {len(records(output))} of {total} shards done; the same '
              'command again', flush=True)
        process = started(*command, **cluster.environment)
        wait_for(output, total // 5, process)
        assert cluster.works(1) and cluster.works(2)
        cluster.kill(1)
        print(f'  a host killed with {len(records(output))}', flush=True)
        cluster.add(1)
        print(f'  a host more with {len(records(output))}', flush=True)
        while not cluster.works(3):
            assert process.poll() is None, 'ended before the new host had begun'
            time.sleep(0.1)
        print(f'  which works with {len(records(output))}', flush=True)
        ended(process)
        check_same(output, reference)


@contextlib.contextmanager
def s3_server(scratch: str):
    """moto's, at the URL that is given."""
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [os.path.join(os.path.dirname(sys.executable), 'moto_server'), '-p', str(port)],
        stdout=open(os.path.join(scratch, 's3.log'), 'wb'), stderr=subprocess.STDOUT)
    try:
        for _ in range(120):
            with socket.socket() as tried:
                if not tried.connect_ex(('127.0.0.1', port)):
                    break
            time.sleep(0.5)
        yield f'http://127.0.0.1:{port}'
    finally:
        process.kill()
        process.wait()


def from_s3(common: list[str], scratch: str) -> None:
    """From S3 to S3: the same answers under other names; and an output there that goes on."""
    import pandas
    import s3fs
    with s3_server(scratch) as url:
        # What the server of a test takes for an account.
        environment = {'AWS_ENDPOINT_URL': url, 'AWS_ACCESS_KEY_ID': 'test',
                       'AWS_SECRET_ACCESS_KEY': 'test', 'AWS_DEFAULT_REGION': 'us-east-1'}
        store = s3fs.S3FileSystem(key='test', secret='test', endpoint_url=url)
        store.mkdir(BUCKET)
        source = common[1]
        store.put(source, f'{BUCKET}/images', recursive=True)
        command = [common[0], f's3://{BUCKET}/images', *common[2:],
                   '--output', f's3://{BUCKET}/answers']
        process = started(*command, **environment)
        while len(store.glob(f'{BUCKET}/answers/_done/*')) < 5:
            assert process.poll() is None, process.communicate()
            store.invalidate_cache()
            time.sleep(0.1)
        process.kill()
        process.communicate()
        printed = run(*command, **environment)
        assert 'were there already' in printed
        rows = pandas.read_parquet(f'{BUCKET}/answers', filesystem=store)
        wanted = pandas.read_parquet(os.path.join(scratch, 'here'))
        wanted['name'] = [f's3://{BUCKET}/images' + name.removeprefix(source)
                          for name in wanted['name']]
        assert rows.drop(columns='predictions').equals(wanted.drop(columns='predictions'))
        assert np.array_equal(np.stack(rows['predictions']), np.stack(wanted['predictions']))
        print(f'  {len(rows):,} rows from S3 to S3, killed on the way: the same', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seed', type=int, default=0, metavar='N')
    parser.add_argument('--parts', nargs='+', choices=('here', 'ray', 'cluster', 's3'),
                        default=('here', 'ray', 'cluster', 's3'))
    arguments = parser.parse_args()
    tf.get_logger().setLevel('ERROR')
    with tempfile.TemporaryDirectory() as scratch:
        source = os.path.join(scratch, 'images')
        total = -(-write_digits(source) // SHARD)
        checkpoint = narrow_checkpoint(scratch)
        common = [checkpoint, source, '--shard-size', str(SHARD)]
        reference = os.path.join(scratch, 'here')
        print('In one process, in one go:')
        run(*common, '--output', reference)
        check_against_classify(checkpoint, source, reference)
        if 'here' in arguments.parts:
            print('\nIn one process, killed on the way:')
            kill_here(common, scratch, total, random.Random(arguments.seed))
        if 'ray' in arguments.parts:
            print('\nOn Ray, on this machine alone:')
            ray_alone(common, scratch)
        if 'cluster' in arguments.parts:
            print('\nOn a Ray cluster, whose hosts come and go:')
            several_hosts(common, scratch)
        if 's3' in arguments.parts:
            print('\nFrom S3 to S3:')
            from_s3(common, scratch)


if __name__ == '__main__':
    main()
