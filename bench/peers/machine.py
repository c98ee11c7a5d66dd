"""The machine: its CPU, and how many multiply-adds it can do: what no library can surpass."""

import multiprocessing
import platform
import time
from pathlib import Path

import numpy as np

from bench.peers.worker import pin, usable_cores
from fastml.kernels.cpu import BITS
from fastml.kernels.peak import CHAINS, chains

TURNS = 1_000_000
BURSTS = 15


def gflops(dtype, core):
    """Multiply-adds count twice. The median of bursts of some milliseconds, on this core."""
    pin([core])
    real = np.dtype(dtype).type
    arguments = real(0.001), real(0.999), TURNS
    chains(*arguments)
    rates = []
    for _ in range(BURSTS):
        start = time.perf_counter()
        chains(*arguments)
        seconds = time.perf_counter() - start
        rates.append(2 * CHAINS * BITS // (8 * real(0).itemsize) * TURNS / seconds / 1e9)
    return float(np.median(rates))


def measure_peak(rounds=3):
    """GFLOP/s by dtype and number of processes at once, 1 and one a core: {"float32": {1: …, 2: …}, …}.

    The best of some rounds: other programs only ever take away.
    """
    cores = usable_cores()
    peak = {}
    with multiprocessing.get_context("spawn").Pool(len(cores)) as pool:
        pool.starmap(gflops, [("float32", core) for core in cores], chunksize=1)  # to import and compile
        for dtype in ("float32", "float64"):
            alone = max(pool.starmap(gflops, [(dtype, cores[-1])])[0] for _ in range(rounds))
            together = [pool.starmap(gflops, [(dtype, c) for c in cores], chunksize=1) for _ in range(rounds)]
            peak[dtype] = {1: alone, len(cores): max(map(sum, together))} if len(cores) > 1 else {1: alone}
    return peak


def better(peak, other):
    """The larger of two measurements, number by number."""
    return {dtype: {n: max(rate, other[dtype][n]) for n, rate in rates.items()} for dtype, rates in peak.items()}


def cpu_name():
    """The name that the CPU gives itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def describe():
    """What goes into the head of the results."""
    return {
        "cpu": cpu_name(),
        "cores": len(usable_cores()),
        "vector_bits": BITS,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
