"""`inception-slim bulk` on 1,797 digits, one of them damaged, with processes that are killed.

In one process; on Ray on this machine; on a Ray cluster whose hosts are killed and added, with the
driver killed too; and from S3 to S3. The output must be byte for byte that of one uninterrupted
process, which is compared with `classify`.
"""

from collections.abc import Callable
import contextlib
import csv
import filecmp
import os
import random
import socket
import subprocess
import sys
import time

from acceptance.ray_cluster import Cluster
from acceptance.test_predictor_threads import narrow_checkpoint
from inception_slim import evaluation
import numpy as np
import pytest

from scripts.benchmarks.digits import write_digits

pytestmark = pytest.mark.acceptance
COMMAND = os.path.join(os.path.dirname(sys.executable), 'inception-slim')
SHARD_SIZE = 32
DAMAGED = 1000  # the number of the damaged image
BUCKET = 'digits'
COPIES = 4  # of the images, for the cluster


def start(*arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen([COMMAND, 'bulk', *arguments], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env={**os.environ, **environment})


def wait(process: subprocess.Popen) -> str:
    """Waits for a process to end with status 0; returns its standard output."""
    output, errors = process.communicate()
    assert not process.returncode, errors
    return output


def run(*arguments: str, **environment: str) -> str:
    return wait(start(*arguments, **environment))


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


def finished_shards(output: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return [name for name in os.listdir(os.path.join(output, '_done')) if name[0] == 'p']
    return []


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    """Waits until a condition holds; fails if the process ends first."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def wait_for_shards(output: str, count: int, process: subprocess.Popen) -> None:
    wait_for(lambda: len(finished_shards(output)) >= count, process)


def assert_same_files(output: str, reference: str) -> None:
    """Both folders hold the same files with the same bytes: no row is missing or duplicated."""
    names = sorted(os.listdir(reference))
    assert sorted(os.listdir(output)) == names
    _, different, missing = filecmp.cmpfiles(reference, output, names, shallow=False)
    assert not different and not missing, (different, missing)


class Run:
    """A source of images, a checkpoint and the output of an uninterrupted run."""

    def __init__(self, folder):
        self.folder = folder
        self.source = str(folder / 'images')
        self.shards = -(-write_digits(self.source, DAMAGED) // SHARD_SIZE)
        self.checkpoint = narrow_checkpoint(folder)
        self.options = ['--shard-size', str(SHARD_SIZE)]
        self.arguments = [self.checkpoint, self.source, *self.options]
        self.reference = str(folder / 'reference')
        run(*self.arguments, '--output', self.reference)


@pytest.fixture(scope='module')
def bulk_run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp('bulk'))


def test_rows_equal_classify(bulk_run):
    duckdb = pytest.importorskip('duckdb')
    import pandas
    import pyarrow.dataset
    predictions = evaluation.classify(bulk_run.checkpoint, bulk_run.source)
    rows = pandas.read_parquet(bulk_run.reference)
    assert rows['name'].tolist() == [item.name for item in predictions.predictions]
    assert rows['class'].tolist() == [item.classes[0] for item in predictions.predictions]
    assert rows['label'].tolist() == [item.labels[0] for item in predictions.predictions]
    expected = [item.probabilities[0] for item in predictions.predictions]
    assert np.abs(rows['probability'] - expected).max() <= 1e-6
    counts = duckdb.sql(f'SELECT count(*), count(DISTINCT name), avg(len(predictions)) '
                        f"FROM '{bulk_run.reference}/*.parquet'").fetchall()[0]
    assert counts == (len(rows), len(rows), 10)
    assert pyarrow.dataset.dataset(bulk_run.reference).count_rows() == len(rows)
    with open(os.path.join(bulk_run.reference, '_unreadable.csv'), newline='') as file:
        assert [row['name'] for row in csv.DictReader(file)] == predictions.unreadable


def test_resumes_after_kills(bulk_run):
    output, before, rng = str(bulk_run.folder / 'killed'), 0, random.Random(0)
    for share in (0.1, 0.3, 0.6, 0.9):
        process = start(*bulk_run.arguments, '--output', output)
        wait_for_shards(output, int(share * bulk_run.shards), process)
        time.sleep(rng.uniform(0, 0.3))
        kill(process)
        assert len(finished_shards(output)) >= before
        before = len(finished_shards(output))
    run(*bulk_run.arguments, '--output', output)
    assert_same_files(output, bulk_run.reference)


def test_ray_replaces_a_killed_worker(bulk_run):
    output = str(bulk_run.folder / 'ray')
    process = start(*bulk_run.arguments, '--output', output, '--backend', 'ray')
    wait_for_shards(output, 8, process)
    os.kill(_ray_workers(process.pid)[0], 9)
    wait(process)
    assert_same_files(output, bulk_run.reference)


def _ray_workers(driver: int) -> list[int]:
    """The process IDs of the Ray actors, started by a driver, that hold a predictor."""
    listing = subprocess.run(['ps', '-eo', 'pid,ppid,args'], capture_output=True, text=True).stdout
    children: dict[int, list[tuple[int, str]]] = {}
    for line in listing.splitlines()[1:]:
        pid, parent, command = line.split(None, 2)
        children.setdefault(int(parent), []).append((int(pid), command))
    queue, workers = [driver], []
    while queue:
        for pid, command in children.get(queue.pop(), []):
            queue.append(pid)
            if command.startswith('ray::MapWorker'):
                workers.append(pid)
    assert workers, listing
    return workers


def test_ray_cluster_loses_and_gains_hosts(bulk_run):
    folder = bulk_run.folder
    output, reference = str(folder / 'cluster'), str(folder / 'cluster_reference')
    sources = [bulk_run.source]
    for number in range(1, COPIES):  # so that the run is long enough
        sources.append(f'{bulk_run.source}-{number}')
        os.symlink(bulk_run.source, sources[-1])
    arguments = [bulk_run.checkpoint, *sources, *bulk_run.options]
    run(*arguments, '--output', reference)
    shards = len([name for name in os.listdir(reference) if name[0] == 'p'])
    with Cluster(str(folder)) as cluster:
        cluster.add_host(1)
        cluster.add_host(1)
        command = [*arguments, '--output', output, '--backend', 'ray', '--ray-address',
                   cluster.address]
        process = start(*command, **cluster.environment)
        wait_for_shards(output, shards // 10, process)
        kill(process)
        process = start(*command, **cluster.environment)
        wait_for_shards(output, shards // 5, process)
        assert cluster.is_working(1) and cluster.is_working(2)
        cluster.kill_host(1)
        cluster.add_host(1)
        wait_for(lambda: cluster.is_working(3), process)
        wait(process)
    assert_same_files(output, reference)


@contextlib.contextmanager
def s3_server(folder: str):
    """Runs moto's S3 server; yields its URL."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    with open(os.path.join(folder, 's3.log'), 'wb') as log:
        process = subprocess.Popen(
            [os.path.join(os.path.dirname(sys.executable), 'moto_server'), '-p', str(port)],
            stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(120):
            with socket.socket() as connection:
                if not connection.connect_ex(('127.0.0.1', port)):
                    break
            time.sleep(0.5)
        yield f'http://127.0.0.1:{port}'
    finally:
        process.kill()
        process.wait()


def test_resumes_from_s3_to_s3(bulk_run):
    s3fs = pytest.importorskip('s3fs')
    import pandas
    with s3_server(str(bulk_run.folder)) as url:
        # Any account is valid for this server.
        environment = {'AWS_ENDPOINT_URL': url, 'AWS_ACCESS_KEY_ID': 'test',
                       'AWS_SECRET_ACCESS_KEY': 'test', 'AWS_DEFAULT_REGION': 'us-east-1'}
        store = s3fs.S3FileSystem(key='test', secret='test', endpoint_url=url)
        store.mkdir(BUCKET)
        store.put(bulk_run.source, f'{BUCKET}/images', recursive=True)
        command = [bulk_run.checkpoint, f's3://{BUCKET}/images', *bulk_run.options,
                   '--output', f's3://{BUCKET}/predictions']

        def five_shards() -> bool:
            store.invalidate_cache()
            return len(store.glob(f'{BUCKET}/predictions/_done/*')) >= 5

        process = start(*command, **environment)
        wait_for(five_shards, process)
        kill(process)
        run(*command, **environment)
        rows = pandas.read_parquet(f'{BUCKET}/predictions', filesystem=store)
    expected = pandas.read_parquet(bulk_run.reference)
    expected['name'] = [f's3://{BUCKET}/images' + name.removeprefix(bulk_run.source)
                        for name in expected['name']]
    assert rows.drop(columns='predictions').equals(expected.drop(columns='predictions'))
    assert np.array_equal(np.stack(rows['predictions']), np.stack(expected['predictions']))
