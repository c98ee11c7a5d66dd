"""What this CPU can do: how wide its vectors are, and whether it estimates inverses."""

import os

from llvmlite import binding


def cpu_features():
    """What this CPU can do, as LLVM names it, as a dict from feature to whether it has it."""
    try:
        return binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this CPU
        return {}


def vector_bits():
    """Bits in a vector register: FASTML_SIMD_BITS (128, 256 or 512), or the widest that this CPU has."""
    forced = os.environ.get("FASTML_SIMD_BITS")
    if forced:
        if forced not in ("128", "256", "512"):
            raise ValueError(f"FASTML_SIMD_BITS must be 128, 256 or 512, got {forced!r}")
        return int(forced)
    features = cpu_features()
    return 512 if features.get("avx512f") else 256 if features.get("avx2") else 128


BITS = vector_bits()
ESTIMATES = bool(cpu_features().get("avx512f"))
