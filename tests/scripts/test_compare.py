"""`make compare` sets contestants side by side, and leaves out what does not agree."""

import json
import os

import forks
import pytest

SCRIPT = 'scripts.benchmarks.compare'
ROOT = os.path.join(os.path.dirname(__file__), '..', '..')


@pytest.mark.slow
def test_compare(tmp_path):
    figures, chart = tmp_path / 'figures.json', tmp_path / 'chart.png'
    done = forks.module(SCRIPT, '--quick', '--network', 'inception_v1', '--only',
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
        assert set(row['batches']) == {'1', '8', '32'}
        for each in row['batches'].values():
            assert 0 < each['median_seconds'] <= each['p95_seconds'] and each['times_as_fast'] > 0
    assert written['rows'][0]['batches']['8']['times_as_fast'] == 1
    assert chart.read_bytes().startswith(b'\x89PNG')
    assert sorted(os.listdir(tmp_path)) == ['chart.png', 'figures.json']


@pytest.mark.parametrize('flags, says', [
    (['--only', 'nobody'], "there is no contestant 'nobody'"),
    (['--json', 'no/such/folder/file'], 'there is no folder for no/such/folder/file'),
    (['--network', 'resnet'], "invalid choice: 'resnet'"),
])
def test_refuses(flags, says):
    done = forks.module(SCRIPT, *flags, folder=ROOT)
    assert done.returncode == 2 and says in done.stderr and 'Traceback' not in done.stderr
