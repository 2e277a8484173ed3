"""`TF_CONFIG`: which processes train together, and which of them this one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
from typing import Any

from inception_slim.errors import TrainingError

_CHIEF = 'chief'
_WORKER = 'worker'


@dataclass(frozen=True)
class ClusterSpec:
    """Which worker this process is, of which.

    Attributes:
      addresses: `host:port` of each worker, the chief's first.
      index: of this process among them.
    """

    addresses: tuple[str, ...] = ()
    index: int = 0


def make_tf_config(addresses: Sequence[str], index: int) -> str:
    """What `TF_CONFIG` is in one of several workers."""
    return json.dumps({'cluster': {_WORKER: list(addresses)},
                       'task': {'type': _WORKER, 'index': index}})


def parse_tf_config(config: str | None) -> ClusterSpec:
    """Reads `TF_CONFIG`; no workers, where it is not set or names one process alone.

    Args:
      config: JSON such as `{"cluster": {"chief": ["a:2222"], "worker": ["b:2222", "c:2222"]},
        "task": {"type": "worker", "index": 0}}`. Without a chief, the first worker is it.

    Raises:
      TrainingError: it is not that.
    """
    if not config or not config.strip():
        return ClusterSpec()

    def wrong(what: str) -> TrainingError:
        return TrainingError(
            f'TF_CONFIG {what}; it should be like {{"cluster": {{"worker": ["host:port", '
            '"host:port"]}, "task": {"type": "worker", "index": 0}}.')
    try:
        found = json.loads(config)
    except ValueError:
        raise wrong(f'is not JSON: {config[:60]!r}') from None
    if not isinstance(found, dict):
        raise wrong(f'is not an object, but {config[:60]!r}')
    cluster = found.get('cluster')
    if cluster is None:
        return ClusterSpec()
    if not isinstance(cluster, dict):
        raise wrong('has a "cluster" that is no object')
    unknown = sorted(set(cluster) - {_CHIEF, 'master', _WORKER, 'evaluator'})
    if 'ps' in unknown:
        raise TrainingError('TF_CONFIG names parameter servers ("ps"), and there are none here: '
                            'workers average their gradients among themselves; leave "ps" out.')
    if unknown:
        raise wrong(f'names the job {unknown[0]!r}, and only "chief" and "worker" train')
    jobs = {job: cluster.get(job) or [] for job in (_CHIEF, 'master', _WORKER)}
    for job, addresses in jobs.items():
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise wrong(f'has {json.dumps(addresses)} for "{job}", not a list of "host:port"')
    chiefs = jobs[_CHIEF] + jobs['master']
    addresses = [*chiefs, *jobs[_WORKER]]
    if len(chiefs) > 1:
        raise wrong(f'names {len(chiefs)} chiefs, and one is the most')
    twice = [each for each in addresses if addresses.count(each) > 1]
    if twice:
        raise wrong(f'names {twice[0]} twice')
    if len(addresses) < 2:
        return ClusterSpec()
    task = found.get('task')
    if not isinstance(task, dict) or 'type' not in task:
        raise wrong('does not say with "task" which of the cluster this process is')
    kind, index = task['type'], task.get('index', 0)
    if kind == 'evaluator':
        raise TrainingError('TF_CONFIG says that this process is an evaluator, and train has '
                            'none; use `inception-slim evaluate` on the folder of the chief.')
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    members = {_CHIEF: chiefs, 'master': chiefs, _WORKER: jobs[_WORKER]}.get(kind, [])
    if type(index) is not int or not 0 <= index < len(members):
        raise wrong(f'says that this process is {json.dumps(kind)} {json.dumps(index)}, which is '
                    'not in its cluster')
    return ClusterSpec(tuple(addresses), addresses.index(members[index]))


def _is_address(text: Any) -> bool:
    host, _, port = str(text).rpartition(':')
    return isinstance(text, str) and bool(host) and port.isdecimal() and 0 < int(port) < 65536
