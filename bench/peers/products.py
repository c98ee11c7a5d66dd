"""The three products of a dense layer beside MKL's and OpenBLAS's, on one thread. From the root of the repository:

    .venv-peers/bin/python -m bench.peers.products [--dtype float64] [--bursts 25] [--sizes 48x40x24 …]

MKL is called by PyTorch's `mm`, OpenBLAS by NumPy's `matmul`. All must agree before any is timed. Bursts of some
milliseconds go in turns, on one core; the table has GFLOP/s at best, ours / theirs, and the medians of the ratios of
bursts that followed each other, as the machine's speed changes meanwhile. Sizes are rows x d_in x d_out of the layer.
"""

import argparse
import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
from numba import njit  # noqa: E402

from bench.peers.machine import cpu_name, gflops, usable_cores  # noqa: E402
from fastml.kernels.cpu import BITS  # noqa: E402
from fastml.kernels.dense import NONE, dense_backward_inputs, dense_backward_weights, dense_forward  # noqa: E402
from fastml.kernels.tiling import SCRATCH  # noqa: E402

SIZES = [
    (48, 40, 24), (72, 96, 80), (96, 320, 200), (120, 640, 384), (240, 240, 240), (80, 333, 555), (280, 1300, 1300),
    (384, 1024, 1536),
]  # fmt: skip
SECONDS = 0.008  # of a burst


@njit(error_model="numpy")
def forward(times, x, W, b, z, room):
    for _ in range(times):
        dense_forward(x, W, b, NONE, z, z, room)


@njit(error_model="numpy")
def weights(times, x, dz, dW, room):
    """With the gradient of the biases in a row behind, which the others do not compute: little beside the rest."""
    for _ in range(times):
        dense_backward_weights(x, dz, (0, x.shape[1]), True, dW[:-1], dW[-1], room)


@njit(error_model="numpy")
def inputs(times, dz, W, dx, room):
    for _ in range(times):
        dense_backward_inputs(dz, W, NONE, dx, dx, room)


def ours(x, W, dz):
    """Three pairs: a function that repeats a product, and the array of the result."""
    n, d_in, d_out, dtype = *x.shape, W.shape[1], x.dtype
    room, none = np.empty(SCRATCH, dtype), np.zeros(d_out, dtype)
    z, dW, dx = np.empty((n, d_out), dtype), np.empty((d_in + 1, d_out), dtype), np.empty((n, d_in), dtype)
    yield lambda times: forward(times, x, W, none, z, room), z
    yield lambda times: weights(times, x, dz, dW, room), dW[:-1]
    yield lambda times: inputs(times, dz, W, dx, room), dx


def mkl(x, W, dz):
    import torch

    torch.set_num_threads(1)
    x, W, dz = (torch.from_numpy(array) for array in (x, W, dz))
    for left, right in ((x, W), (x.T, dz), (dz, W.T)):
        out = torch.empty((left.shape[0], right.shape[1]), dtype=x.dtype)

        def run(times, left=left, right=right, out=out):
            for _ in range(times):
                torch.mm(left, right, out=out)

        yield run, out.numpy()


def openblas(x, W, dz):
    for left, right in ((x, W), (x.T, dz), (dz, W.T)):
        out = np.empty((left.shape[0], right.shape[1]), x.dtype)

        def run(times, left=left, right=right, out=out):
            for _ in range(times):
                np.matmul(left, right, out=out)

        yield run, out


RIVALS = {"MKL": mkl, "OpenBLAS": openblas}


def rate(run, times, flop):
    start = time.perf_counter()
    run(times)
    return times * flop / (time.perf_counter() - start) / 1e9


def compare(runs, flop, bursts):
    """GFLOP/s of each at best, and of each after the first the median ratio of the first's bursts to its own."""
    start = time.perf_counter()
    runs[0](1)
    times = max(1, int(SECONDS / (time.perf_counter() - start)))
    rates = np.array([[rate(run, times, flop) for run in runs] for _ in range(bursts)])
    return rates.max(axis=0), np.median(rates[:, :1] / rates[:, 1:], axis=0)


def parse():
    parser = argparse.ArgumentParser(prog="python -m bench.peers.products", description=__doc__.split(". ")[0] + ".")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--bursts", type=int, default=25, metavar="N", help="default: %(default)s")
    parser.add_argument("--sizes", nargs="+", metavar="SIZE", help="rows x d_in x d_out, as 48x40x24")
    return parser.parse_args()


def main():
    options, core = parse(), usable_cores()[-1]
    sizes = [tuple(map(int, size.split("x"))) for size in options.sizes or ()] or SIZES
    peak = gflops(options.dtype, core)  # which also keeps this process on that core
    print(f"{cpu_name()}, vectors of {BITS} bits, {options.dtype}, one core: {peak:.0f} GFLOP/s at the peak\n")
    print(f"| rows x d_in x d_out | product | ours | of the peak | {' | '.join(RIVALS)} | ", end="")
    print(" | ".join(f"ours / {name}, best, median" for name in RIVALS), "|\n|" + "---|" * (4 + 2 * len(RIVALS)))
    random = np.random.default_rng(0)
    for n, d_in, d_out in sizes:
        shapes = (n, d_in), (d_in, d_out), (n, d_out)
        arrays = [random.normal(size=shape).astype(options.dtype) for shape in shapes]
        every = [list(make(*arrays)) for make in (ours, *RIVALS.values())]
        for name, *same in zip(("x·W", "xᵀ·dz", "dz·Wᵀ"), *every, strict=True):
            for run, _ in same:
                run(1)
            for _, result in same[1:]:
                bound = 1e-5 if options.dtype == "float32" else 1e-13
                assert np.abs(same[0][1] - result).max() <= bound * np.abs(result).max(), (name, n, d_in, d_out)
            best, medians = compare([run for run, _ in same], 2 * n * d_in * d_out, options.bursts)
            ratios = [f"{best[0] / b:.2f}, {median:.2f}" for b, median in zip(best[1:], medians, strict=True)]
            rates = " | ".join(f"{b:.0f}" for b in best[1:])
            print(f"| {n} x {d_in} x {d_out} | {name} | {best[0]:.0f} | {best[0] / peak:.0%} | {rates} |", end=" ")
            print(" | ".join(ratios), "|", flush=True)


if __name__ == "__main__":
    main()
