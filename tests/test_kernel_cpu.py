"""The width of vectors: what is set, or what the CPU has."""

import pytest
from llvmlite import binding

from fastml.kernels.cpu import vector_bits


@pytest.mark.parametrize("bits", [128, 256, 512])
def test_the_width_can_be_set(bits, monkeypatch):
    monkeypatch.setenv("FASTML_SIMD_BITS", str(bits))
    assert vector_bits() == bits


@pytest.mark.parametrize("value", ["64", "wide", "512 "])
def test_a_width_that_there_is_not(value, monkeypatch):
    monkeypatch.setenv("FASTML_SIMD_BITS", value)
    with pytest.raises(ValueError, match="FASTML_SIMD_BITS must be 128, 256 or 512, got"):
        vector_bits()


FEATURES = [({"avx512f": True, "avx2": True}, 512), ({"avx512f": False, "avx2": True}, 256), ({"avx2": False}, 128)]


@pytest.mark.parametrize("features, bits", [*FEATURES, ({}, 128)])
def test_otherwise_it_is_the_widest_of_the_cpu(features, bits, monkeypatch):
    monkeypatch.delenv("FASTML_SIMD_BITS", raising=False)
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: features)
    assert vector_bits() == bits


def test_a_cpu_that_llvm_does_not_know_has_128_bits(monkeypatch):
    def unknown():
        raise RuntimeError("failed to get host cpu features.")

    monkeypatch.delenv("FASTML_SIMD_BITS", raising=False)
    monkeypatch.setattr(binding, "get_host_cpu_features", unknown)
    assert vector_bits() == 128
