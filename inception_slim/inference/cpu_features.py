"""What this processor multiplies in, as far as the system tells."""

from __future__ import annotations

import functools
import os

_BFLOAT16 = ('avx512_bf16', 'amx_bf16', 'avx_ne_convert')
_VNNI = ('avx512_vnni', 'avx_vnni')
# What oneDNN may use of them where ONEDNN_MAX_CPU_ISA says so; other values of it take none away.
_WITHIN = {
    'SSE41': (),
    'AVX': (),
    'AVX2': ('avx2',),
    'AVX2_VNNI': ('avx2', 'avx_vnni'),
    'AVX2_VNNI_2': ('avx2', 'avx_vnni', 'avx_ne_convert'),
    'AVX512_CORE': ('avx2', 'avx512f'),
    'AVX512_CORE_VNNI': ('avx2', 'avx512f', 'avx512_vnni', 'avx_vnni'),
}


@functools.cache
def _flags() -> frozenset[str]:
    """Of the processor, without those that oneDNN was told to leave alone when it was loaded."""
    limit = os.environ.get('ONEDNN_MAX_CPU_ISA', '').upper()
    return _all_flags().intersection(_WITHIN[limit]) if limit in _WITHIN else _all_flags()


def _all_flags() -> frozenset[str]:
    try:
        with open('/proc/cpuinfo') as file:
            for line in file:
                if line.startswith(('flags', 'Features')):
                    return frozenset(line.split(':', 1)[1].split())
    except OSError:
        pass
    return frozenset()


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 numbers in hardware, as far as it tells."""
    return not _flags().isdisjoint(_BFLOAT16)


def has_vnni() -> bool:
    """Whether this processor adds products of bytes in 32 bits, as far as it tells."""
    return not _flags().isdisjoint(_VNNI)


def has_avx512() -> bool:
    """Whether this processor has registers of 512 bits, as far as it tells."""
    return 'avx512f' in _flags()


def cpu_summary() -> str:
    """In a few words, for the heading of a table: 'AVX-512, VNNI, bfloat16', 'AVX2'."""
    words = ['AVX-512' if has_avx512() else 'AVX2' if 'avx2' in _flags() else '']
    words += ['VNNI' if has_vnni() else '', 'bfloat16' if has_bfloat16() else '']
    return ', '.join(filter(None, words)) or 'instructions unknown'


def available_cores() -> int:
    """Those that this process may use, where the system says."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
