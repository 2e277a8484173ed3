"""Parses `TF_CONFIG`, which names the workers of a cluster and this process among them."""

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
    """The workers of a cluster, and this process among them.

    Attributes:
      addresses: `host:port` of each worker, the chief's first; empty for a single process.
      index: this process's index in `addresses`.
    """

    addresses: tuple[str, ...] = ()
    index: int = 0


def make_tf_config(addresses: Sequence[str], index: int) -> str:
    """Returns the value of `TF_CONFIG` for one worker of a cluster."""
    return json.dumps({'cluster': {_WORKER: list(addresses)},
                       'task': {'type': _WORKER, 'index': index}})


def parse_tf_config(config: str | None) -> ClusterSpec:
    """Parses the value of `TF_CONFIG`.

    Args:
      config: JSON such as `{"cluster": {"chief": ["a:2222"], "worker": ["b:2222", "c:2222"]},
        "task": {"type": "worker", "index": 0}}`. Without a chief, worker 0 is the chief.

    Returns:
      The cluster; without addresses if `config` is not set or names a single process.

    Raises:
      TrainingError: `config` is invalid.
    """
    if not config or not config.strip():
        return ClusterSpec()

    def invalid(problem: str) -> TrainingError:
        return TrainingError(
            f'TF_CONFIG {problem}; expected a value such as {{"cluster": {{"worker": ["host:port", '
            '"host:port"]}, "task": {"type": "worker", "index": 0}}.')
    try:
        content = json.loads(config)
    except ValueError:
        raise invalid(f'is not JSON: {config[:60]!r}') from None
    if not isinstance(content, dict):
        raise invalid(f'is not a JSON object: {config[:60]!r}')
    cluster = content.get('cluster')
    if cluster is None:
        return ClusterSpec()
    if not isinstance(cluster, dict):
        raise invalid('has a "cluster" that is not an object')
    unknown = sorted(set(cluster) - {_CHIEF, 'master', _WORKER, 'evaluator'})
    if 'ps' in unknown:
        raise TrainingError('TF_CONFIG names parameter servers ("ps"), which are not supported: '
                            'workers average their gradients among themselves; remove "ps".')
    if unknown:
        raise invalid(f'names the job {unknown[0]!r}; supported jobs are "chief" and "worker"')
    jobs = {job: cluster.get(job) or [] for job in (_CHIEF, 'master', _WORKER)}
    for job, addresses in jobs.items():
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise invalid(f'has {json.dumps(addresses)} for "{job}", not a list of "host:port"')
    chiefs = jobs[_CHIEF] + jobs['master']
    addresses = [*chiefs, *jobs[_WORKER]]
    if len(chiefs) > 1:
        raise invalid(f'names {len(chiefs)} chiefs instead of one')
    duplicates = [address for address in addresses if addresses.count(address) > 1]
    if duplicates:
        raise invalid(f'names {duplicates[0]} more than once')
    if len(addresses) < 2:
        return ClusterSpec()
    task = content.get('task')
    if not isinstance(task, dict) or 'type' not in task:
        raise invalid('has no "task" to identify this process')
    kind, index = task['type'], task.get('index', 0)
    if kind == 'evaluator':
        raise TrainingError('TF_CONFIG makes this process an evaluator, which train does not '
                            "support; run `inception-slim evaluate` on the chief's --train-dir.")
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    members = {_CHIEF: chiefs, 'master': chiefs, _WORKER: jobs[_WORKER]}.get(kind, [])
    if type(index) is not int or not 0 <= index < len(members):
        raise invalid(f'makes this process {json.dumps(kind)} {json.dumps(index)}, which is not '
                      'in the cluster')
    return ClusterSpec(tuple(addresses), addresses.index(members[index]))


def _is_address(text: Any) -> bool:
    host, _, port = str(text).rpartition(':')
    return isinstance(text, str) and bool(host) and port.isdecimal() and 0 < int(port) < 65536
