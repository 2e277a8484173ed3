"""Instruction sets of this processor, from the operating system.

Read from /proc/cpuinfo, so Linux only: py-cpuinfo, which knows other systems, starts subprocesses
and takes a second, which is more than loading a small checkpoint.
"""

from __future__ import annotations

import functools
import os

_CPUINFO = '/proc/cpuinfo'
_BFLOAT16 = ('avx512_bf16', 'amx_bf16', 'avx_ne_convert')
_VNNI = ('avx512_vnni', 'avx_vnni')
# Flags that oneDNN may use under a value of ONEDNN_MAX_CPU_ISA; other values are no limit here.
_ALLOWED = {
    'SSE41': (),
    'AVX': (),
    'AVX2': ('avx2',),
    'AVX2_VNNI': ('avx2', 'avx_vnni'),
    'AVX2_VNNI_2': ('avx2', 'avx_vnni', 'avx_ne_convert'),
    'AVX512_CORE': ('avx2', 'avx512f'),
    'AVX512_CORE_VNNI': ('avx2', 'avx512f', 'avx512_vnni', 'avx_vnni'),
    'AVX512_CORE_BF16': ('avx2', 'avx512f', 'avx512_vnni', 'avx_vnni', 'avx512_bf16'),
    'AVX512_CORE_FP16': ('avx2', 'avx512f', 'avx512_vnni', 'avx_vnni', 'avx512_bf16',
                         'avx512_fp16'),
}


@functools.cache
def _flags() -> frozenset[str]:
    """Flags of the processor, without those that ONEDNN_MAX_CPU_ISA forbids.

    Cached, because oneDNN reads the variable once too.
    """
    limit = os.environ.get('ONEDNN_MAX_CPU_ISA', '').upper()
    flags = _all_flags()
    return flags.intersection(_ALLOWED[limit]) if limit in _ALLOWED else flags


def _all_flags() -> frozenset[str]:
    return frozenset((cpuinfo_field('flags') or cpuinfo_field('Features')).split())


def cpuinfo_field(name: str) -> str:
    """A field of the first processor; '' if unknown."""
    try:
        with open(_CPUINFO) as file:
            for line in file:
                key, _, value = line.partition(':')
                if key.strip() == name:
                    return value.strip()
    except OSError:
        pass
    return ''


def cpu_flags() -> list[str]:
    """The instruction sets of this processor, to recognize what was compiled for another one."""
    return sorted(_flags())


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware; False if unknown."""
    return not _flags().isdisjoint(_BFLOAT16)


@functools.cache
def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32; False if unknown.

    Intel's cores since Sapphire Rapids, recognized by AVX512-FP16, leave it to AMX, which a virtual
    machine may hide: their AVX-512 instruction for it takes twice the time of float32 (measured).
    """
    is_left_to_amx = cpuinfo_field('vendor_id') == 'GenuineIntel' and 'avx512_fp16' in _all_flags()
    return has_bfloat16() and ('amx_bf16' in _flags() or not is_left_to_amx)


def has_vnni() -> bool:
    """Whether this processor adds int8 products in 32 bits (VNNI); False if unknown."""
    return not _flags().isdisjoint(_VNNI)


def has_avx512() -> bool:
    """Whether this processor has AVX-512; False if unknown."""
    return 'avx512f' in _flags()


def enable_onednn() -> None:
    """Makes TensorFlow use oneDNN on all processors with AVX2, unless TF_ENABLE_ONEDNN_OPTS is set.

    By default it needs VNNI, bfloat16 or AMX for that. It reads the variable when it is imported.
    """
    if 'avx2' in _flags():
        os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')


def use_system_allocator() -> None:
    """Makes TensorFlow return the memory of a closed network to the system, where it uses oneDNN.

    Unless TF_ONEDNN_USE_SYSTEM_ALLOCATOR is set, which it reads when it first allocates memory. Its
    own allocator keeps freed memory for its next network.
    """
    os.environ.setdefault('TF_ONEDNN_USE_SYSTEM_ALLOCATOR', '1')


def cpu_summary() -> str:
    """A short description for table headings, such as 'AVX-512, VNNI, bfloat16' or 'AVX2'."""
    names = ['AVX-512' if has_avx512() else 'AVX2' if 'avx2' in _flags() else '',
             'VNNI' if has_vnni() else '',
             'bfloat16' if has_fast_bfloat16() else 'slow bfloat16' if has_bfloat16() else '',
             'AMX' if 'amx_tile' in _flags() else '']
    return ', '.join(filter(None, names)) or 'instructions unknown'
