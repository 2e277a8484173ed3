"""Instruction sets of processors, as /proc/cpuinfo describes them."""

from inception_slim.inference import cpu_features
import pytest

_AVX512 = 'fpu avx2 avx512f avx512_vnni'
# Vendor and flags; whether it is fast in bfloat16; the summary.
PROCESSORS = {
    'AMD Zen 3': ('AuthenticAMD', 'fpu avx2', False, 'AVX2'),
    'AMD Zen 4': ('AuthenticAMD', f'{_AVX512} avx512_bf16', True, 'AVX-512, VNNI, bfloat16'),
    'Intel Cascade Lake': ('GenuineIntel', _AVX512, False, 'AVX-512, VNNI'),
    'Intel Sapphire Rapids': (
        'GenuineIntel', f'{_AVX512} avx512_bf16 avx512_fp16 amx_bf16 amx_tile', True,
        'AVX-512, VNNI, bfloat16, AMX'),
    'Intel Sapphire Rapids without AMX': (
        'GenuineIntel', f'{_AVX512} avx512_bf16 avx512_fp16', False,
        'AVX-512, VNNI, slow bfloat16'),
    'unknown': ('', '', False, 'instructions unknown'),
}


@pytest.fixture
def cpuinfo(monkeypatch, tmp_path):
    """Returns a function that makes a processor this one, by its vendor and flags."""
    path = tmp_path / 'cpuinfo'
    monkeypatch.setattr(cpu_features, '_CPUINFO', str(path))
    monkeypatch.delenv('ONEDNN_MAX_CPU_ISA', raising=False)

    def write(vendor, flags):
        path.write_text(''.join(
            f'processor\t: {index}\nvendor_id\t: {vendor}\nflags\t\t: {flags}\nvmx flags\t: ept\n\n'
            for index in range(2)))
        clear()

    def clear():
        for function in vars(cpu_features).values():
            if hasattr(function, 'cache_clear'):
                function.cache_clear()

    yield write
    clear()


@pytest.mark.parametrize('name', PROCESSORS)
def test_processors(cpuinfo, name):
    vendor, flags, is_fast, summary = PROCESSORS[name]
    cpuinfo(vendor, flags)
    assert cpu_features.has_fast_bfloat16() == is_fast
    assert cpu_features.cpu_summary() == summary
    assert cpu_features.cpu_flags() == sorted(flags.split())


def test_no_cpuinfo(monkeypatch, cpuinfo, tmp_path):
    cpuinfo('', '')
    monkeypatch.setattr(cpu_features, '_CPUINFO', str(tmp_path / 'missing'))
    assert cpu_features.cpu_summary() == 'instructions unknown'


@pytest.mark.parametrize('limit, is_fast, summary', [
    ('AVX2', False, 'AVX2'),
    ('avx512_core_vnni', False, 'AVX-512, VNNI'),
    ('AVX512_CORE_FP16', False, 'AVX-512, VNNI, slow bfloat16'),
    ('AVX512_CORE_BF16', False, 'AVX-512, VNNI, slow bfloat16'),
    ('AVX512_CORE_AMX', True, 'AVX-512, VNNI, bfloat16, AMX')])
def test_limits_of_onednn(cpuinfo, monkeypatch, limit, is_fast, summary):
    cpuinfo(*PROCESSORS['Intel Sapphire Rapids'][:2])
    monkeypatch.setenv('ONEDNN_MAX_CPU_ISA', limit)
    assert cpu_features.has_fast_bfloat16() == is_fast
    assert cpu_features.cpu_summary() == summary
