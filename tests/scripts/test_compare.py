"""`make compare` sets contestants side by side, and leaves out what does not agree."""

import json
import os

import fork_server
import pytest

from scripts.benchmarks import compare

SCRIPT = 'scripts.benchmarks.compare'
ROOT = os.path.join(os.path.dirname(__file__), '..', '..')


@pytest.mark.slow
def test_compare(tmp_path):
    figures, chart = tmp_path / 'figures.json', tmp_path / 'chart.png'
    done = fork_server.module(SCRIPT, '--quick', '--network', 'inception_v1', '--only',
                        'tf_slim.nets,inception_slim float32,inception_slim int8',
                        '--json', figures, '--chart', chart)
    assert (done.returncode, done.stderr) == (0, '')
    written = json.loads(figures.read_text())
    assert written['network'] == 'inception_v1' and min(written['gop_per_second'].values()) > 0
    names = ['listing', 'tf_slim.nets', 'inception_slim float32', 'inception_slim int8']
    assert [row['name'] for row in written['rows']] == names
    for row in written['rows']:
        assert row['name'] in done.stdout
        assert row['difference'] <= (0.5 if 'int8' in row['name'] else 1e-4)
        assert bool(row['engine']) == row['name'].startswith('inception_slim')
        assert set(row['batches']) == {'1', '8', '32'}
        for each in row['batches'].values():
            low, high = each['times_as_fast_quartiles']
            assert 0 < each['median_seconds'] <= each['p95_seconds']
            assert 0 < low <= each['times_as_fast'] <= high and each['part_of_limit'] > 0
    assert written['rows'][0]['batches']['8']['times_as_fast'] == 1
    assert chart.read_bytes().startswith(b'\x89PNG')
    assert sorted(os.listdir(tmp_path)) == ['chart.png', 'figures.json']


@pytest.mark.parametrize('flags, says', [
    (['--only', 'nobody'], "there is no contestant 'nobody'"),
    (['--json', 'no/such/folder/file'], 'there is no folder for no/such/folder/file'),
    (['--network', 'resnet'], "invalid choice: 'resnet'"),
])
def test_refuses(flags, says):
    done = fork_server.module(SCRIPT, *flags, folder=ROOT)
    assert done.returncode == 2 and says in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.parametrize('worker, says', [
    # Its own word, whatever it wrote to standard error before.
    ('print(\'{"error": "OSError: no disk\\\\nmore"}\', flush=True)', 'OSError: no disk$'),
    ('import os; os.kill(os.getpid(), 9)', 'killed by SIGKILL, as where memory runs out'),
    ('import sys; print("cause", file=sys.stderr); sys.exit(3)', 'ended with status 3: cause'),
])
def test_names_why_a_contestant_failed(tmp_path, monkeypatch, worker, says):
    (tmp_path / 'compare_worker.py').write_text(
        f'import sys\nprint("Could not find cuda drivers", file=sys.stderr)\n{worker}\n')
    monkeypatch.setattr(compare, 'HERE', str(tmp_path))
    with pytest.raises(RuntimeError, match=says):
        compare.Contestant('listing', 'inception_v3', 'model.ckpt', 'images.npy')


def test_the_worker_says_its_own_error(tmp_path):
    import numpy as np

    images = tmp_path / 'images.npy'
    np.save(images, np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(RuntimeError, match="^KeyError: 'nobody'$"):
        compare.Contestant('nobody', 'inception_v3', 'model.ckpt', str(images))
