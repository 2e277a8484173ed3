"""Parsing of `TF_CONFIG`."""

import json

from inception_slim.errors import TrainingError
from inception_slim.training.tf_config import make_tf_config, parse_tf_config
import pytest

TWO = {'cluster': {'worker': ['a:1', 'b:2']}, 'task': {'type': 'worker', 'index': 1}}


@pytest.mark.parametrize('config, addresses, index', [
    (None, (), 0),
    ('', (), 0),
    ('{}', (), 0),
    (TWO, ('a:1', 'b:2'), 1),
    ({'cluster': {'chief': ['c:3'], 'worker': ['a:1', 'b:2']},
      'task': {'type': 'worker', 'index': 1}}, ('c:3', 'a:1', 'b:2'), 2),
    ({'cluster': {'worker': ['a:1'], 'master': ['c:3']},
      'task': {'type': 'master', 'index': 0}}, ('c:3', 'a:1'), 0),
    # As launchers set it for a single replica.
    ({'cluster': {'chief': ['c:3']}, 'task': {'type': 'chief', 'index': 0}}, (), 0),
    ({**TWO, 'task': {'type': 'worker', 'index': '1'}, 'environment': 'cloud'},
     ('a:1', 'b:2'), 1),
])
def test_accepts_what_launchers_write(config, addresses, index):
    cluster = parse_tf_config(
        config if isinstance(config, str) or config is None else json.dumps(config))
    assert (cluster.addresses, cluster.index) == (addresses, index)


@pytest.mark.parametrize('config, message', [
    ('{"cluster"', 'is not JSON'),
    ('[1]', 'is not a JSON object'),
    ({'cluster': ['a:1']}, 'not an object'),
    ({**TWO, 'cluster': {'worker': 'a:1'}}, 'not a list of "host:port"'),
    ({**TWO, 'cluster': {'worker': ['a', 'b:1']}}, 'not a list of "host:port"'),
    ({**TWO, 'cluster': {'worker': ['a:1', 'b:99999']}}, 'not a list of "host:port"'),
    ({**TWO, 'cluster': {'worker': ['a:1', 'a:1']}}, 'names a:1 more than once'),
    ({**TWO, 'cluster': {**TWO['cluster'], 'ps': ['p:1']}}, 'parameter servers'),
    ({**TWO, 'cluster': {**TWO['cluster'], 'boss': ['p:1']}}, "the job 'boss'"),
    ({**TWO, 'cluster': {**TWO['cluster'], 'chief': ['c:1', 'd:1']}}, '2 chiefs'),
    ({'cluster': TWO['cluster']}, 'has no "task"'),
    ({**TWO, 'task': {'type': 'worker', 'index': 2}}, 'not in the cluster'),
    ({**TWO, 'task': {'type': 'worker', 'index': -1}}, 'not in the cluster'),
    ({**TWO, 'task': {'type': 'chief', 'index': 0}}, 'not in the cluster'),
    ({**TWO, 'task': {'type': 'evaluator', 'index': 0}}, 'evaluator'),
])
def test_rejects_invalid_configs(config, message):
    with pytest.raises(TrainingError, match=message) as raised:
        parse_tf_config(config if isinstance(config, str) else json.dumps(config))
    assert '\n' not in str(raised.value)


def test_parses_its_own_configs():
    cluster = parse_tf_config(make_tf_config(['a:1', 'b:2', 'c:3'], 2))
    assert (cluster.addresses, cluster.index) == (('a:1', 'b:2', 'c:3'), 2)
