"""`make compare` times contestants and omits those that fail or disagree."""

import json
import os
from types import SimpleNamespace

import fork_server
import pytest

from scripts.benchmarks import compare
from scripts.benchmarks.worker_process import WorkerFailed

SCRIPT = 'scripts.benchmarks.compare'
ROOT = os.path.join(os.path.dirname(__file__), '..', '..')


@pytest.mark.slow
def test_writes_json_and_chart(tmp_path):
    figures, chart = tmp_path / 'figures.json', tmp_path / 'chart.png'
    process = fork_server.module(SCRIPT, '--quick', '--network', 'inception_v1', '--only',
                        'tf_slim.nets,inception_slim float32,inception_slim int8',
                        '--json', figures, '--chart', chart)
    assert (process.returncode, process.stderr) == (0, '')
    written = json.loads(figures.read_text())
    assert written['network'] == 'inception_v1' and min(written['gop_per_second'].values()) > 0
    names = ['original graph', 'tf_slim.nets', 'inception_slim float32', 'inception_slim int8']
    assert [row['name'] for row in written['rows']] == names
    for row in written['rows']:
        assert row['name'] in process.stdout
        assert row['difference'] <= (0.5 if 'int8' in row['name'] else 1e-4)
        assert bool(row['engine']) == row['name'].startswith('inception_slim')
        assert set(row['batches']) == {'1', '8', '32'}
        for values in row['batches'].values():
            low, high = values['speedup_quartiles']
            assert 0 < values['median_seconds'] <= values['p95_seconds']
            assert 0 < low <= values['speedup'] <= high and values['share_of_peak'] > 0
    assert written['rows'][0]['batches']['8']['speedup'] == 1
    assert chart.read_bytes().startswith(b'\x89PNG')
    assert sorted(os.listdir(tmp_path)) == ['chart.png', 'figures.json']


@pytest.mark.parametrize('flags, message', [
    (['--only', 'nobody'], "there is no contestant 'nobody'"),
    (['--json', 'no/such/folder/file'], 'There is no folder'),
    (['--network', 'resnet'], "invalid choice: 'resnet'"),
])
def test_rejects_bad_usage(flags, message):
    process = fork_server.module(SCRIPT, *flags, folder=ROOT)
    assert process.returncode == 2 and message in process.stderr
    assert 'Traceback' not in process.stderr


@pytest.mark.parametrize('worker, message', [
    ('raise OSError("no disk")', 'ended with status 1: OSError: no disk$'),
    ('import os; os.kill(os.getpid(), 9)', r'killed by SIGKILL \(perhaps out of memory\)'),
    ('import sys; print("cause", file=sys.stderr); sys.exit(3)', 'ended with status 3: cause'),
])
def test_reports_why_a_contestant_failed(tmp_path, monkeypatch, worker, message):
    (tmp_path / 'compare_worker.py').write_text(
        f'import sys\nprint("Could not find cuda drivers", file=sys.stderr)\n{worker}\n')
    monkeypatch.setattr(compare, 'HERE', str(tmp_path))
    with pytest.raises(WorkerFailed, match=message):
        compare.Contestant('original graph', 'inception_v3', 'model.ckpt', 'images.npy')


def test_omits_a_contestant_that_fails_while_it_is_timed(tmp_path, monkeypatch, capsys):
    (tmp_path / 'compare_worker.py').write_text(
        'import sys\nprint(\'{"size": 1}\', flush=True)\n'
        'for turn, _ in enumerate(sys.stdin):\n'
        '    assert turn < 2 or sys.argv[1] != "PyTorch", "no memory"\n'
        '    print([1.0], flush=True)\n')
    monkeypatch.setattr(compare, 'HERE', str(tmp_path))
    started = [compare.Contestant(name, 'inception_v3', 'model.ckpt', 'images.npy')
               for name in ('original graph', 'PyTorch')]
    contestants = list(started)
    compare.measure(contestants, {1: 3, 8: 1}, SimpleNamespace(kernels=[]), 'float32')
    assert contestants == started[:1] and started[1].process.poll() == 1
    assert started[0].durations == {1: [[1.0]] * 3, 8: [[1.0]]}
    assert capsys.readouterr().out == (
        'PyTorch: omitted, ended with status 1: AssertionError: no memory\n')
    started[0].close()


def test_reports_the_error_of_the_worker(tmp_path):
    import numpy as np

    images = tmp_path / 'images.npy'
    np.save(images, np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(WorkerFailed, match="KeyError: 'nobody'$"):
        compare.Contestant('nobody', 'inception_v3', 'model.ckpt', str(images))
