"""The roofline of the kernels: how close each comes to what the machine allows on one core.

No kernel can be faster than its arithmetic at the peak of multiply-adds, or than its memory at the bandwidth of the
level of memory that holds its arrays; both are measured first. Run from the root of the repository, with nothing else
on the machine:

    .venv/bin/python -m bench.kernels.roofline
"""

import time
from functools import partial

import numpy as np
from numba import njit

from bench.peers.machine import cpu_name, gflops, usable_cores
from fastml.kernels.activations import activation_forward, softmax_forward
from fastml.kernels.adam import adam_update
from fastml.kernels.dense import NONE, dense_backward_inputs, dense_backward_weights, dense_forward
from fastml.kernels.dropout import dropout_forward
from fastml.kernels.losses import sparse_categorical_crossentropy_forward
from fastml.kernels.normalization import batchnorm_backward, batchnorm_forward
from fastml.kernels.rows import copied, gather_rows
from fastml.kernels.rprop import rprop_update
from fastml.kernels.sgd import nesterov_update, sgd_update
from fastml.kernels.tiling import SCRATCH
from fastml.program import linking

SECONDS = 0.02  # of a burst
BURSTS = 9
SIZES = {"first level": 2**12, "second level": 2**17, "beyond": 2**24}  # elements of float32 in all arrays together


def compiled(kernel):
    """The kernel as a function that runs it a number of times."""

    @njit(error_model="numpy")
    def repeat(times, arguments):
        for _ in range(times):
            kernel(*arguments)

    return repeat


def seconds_of(repeat, arguments):
    """The median time of one run."""
    repeat(1, arguments)
    start = time.perf_counter()
    repeat(1, arguments)
    times = max(1, int(SECONDS / max(time.perf_counter() - start, 1e-7)))
    found = []
    for _ in range(BURSTS):
        start = time.perf_counter()
        repeat(times, arguments)
        found.append((time.perf_counter() - start) / times)
    return float(np.median(found))


def numbers(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def bandwidth(elements):
    """Bytes a second of a copy whose two arrays have so many elements together; each is counted once."""
    source, target = numbers(elements // 2), numbers(elements // 2)
    return 4 * elements / seconds_of(compiled(njit(lambda x, y: copied((x,), (y,), ()))), (source, target))


def products(n, d_in, d_out):
    """The three products of a dense layer: name, kernel, arguments, FLOP, bytes."""
    x, W, b, z, dx = numbers(n, d_in), numbers(d_in, d_out), numbers(d_out), numbers(n, d_out), numbers(n, d_in)
    dW, room = numbers(d_in, d_out), numbers(SCRATCH)
    flop, size = 2 * n * d_in * d_out, 4 * (x.size + W.size + z.size)
    shape = f"{n} x {d_in} x {d_out}"
    forward = njit(lambda x, W, b, z, room: dense_forward(x, W, b, NONE, z, z, room))
    weights = njit(lambda x, z, dW, b, room: dense_backward_weights(x, z, (0, x.shape[1]), True, dW, b, room))
    inputs = njit(lambda z, W, x, dx, room: dense_backward_inputs(z, W, NONE, x, dx, room))
    yield f"x·W + b    {shape}", forward, (x, W, b, z, room), flop, size
    yield f"xᵀ·dz      {shape}", weights, (x, z, dW, b, room), flop, size
    yield f"dz·Wᵀ      {shape}", inputs, (z, W, x, dx, room), flop, size


def sweeps(n, d):
    """Kernels that go over memory once: name, kernel, arguments, FLOP (not counted: 0), bytes."""
    x, a, da, mask, order = (
        numbers(n, d),
        numbers(n, d),
        numbers(n, d),
        numbers(n, d),
        np.random.default_rng(1).permutation(n),
    )
    columns, labels, rows = [numbers(d) for _ in range(7)], np.zeros((n, 1), np.float32), numbers(n)
    W, dW, m, v = (numbers(n * d) for _ in range(4))
    size = 4 * n * d

    for name in ("relu", "tanh", "sigmoid", "elu", "gelu"):
        function, kept = linking.bound(name, "float32")
        yield name, njit(lambda f, z, a: activation_forward(f, z, a)), (function, x, a), 0, 2 * size
        del kept
    yield "softmax", njit(lambda z, a: softmax_forward(z, a)), (x, a), 0, 2 * size
    entropy = njit(lambda z, y, a, t, rows: sparse_categorical_crossentropy_forward(z, y, a, t, rows))
    yield "cross-entropy", entropy, (x, labels, a, da, rows), 0, 2 * size
    yield "gather", njit(lambda x, o, a: gather_rows(x, o, 0, a)), (x.ravel(), order, a), 0, 2 * size
    drop = njit(lambda x, mask, a: dropout_forward(1, 0, 0, 0, 0.5, 0, x, mask, a))
    yield "dropout", drop, (x, mask, a), 0, 3 * size
    forward = njit(lambda x, c, h, a: batchnorm_forward(x, c[0], c[1], 1e-5, (0, x.shape[1]), c[2], c[3], c[4], h, a))
    yield "batch norm", forward, (x, tuple(columns), mask, a), 0, 3 * size
    backward = njit(lambda da, h, c, dx: batchnorm_backward(da, h, c[0], c[4], (0, da.shape[1]), c[5], c[6], dx))
    yield "batch norm backward", backward, (da, mask, tuple(columns), a), 0, 3 * size
    yield "sgd", njit(lambda W, dW: sgd_update(W, dW, 1e-9, 0.0)), (W, dW), 0, 3 * size
    yield "nesterov", njit(lambda W, dW, v: nesterov_update(W, dW, v, 1e-9, 0.0, 0.9)), (W, dW, v), 0, 5 * size
    adam = njit(lambda W, dW, m, v: adam_update(W, dW, m, v, 9, 1e-9, 0.0, 0.9, 0.999, 1e-8))
    yield "adam", adam, (W, dW, m, v), 0, 7 * size
    rprop = njit(lambda W, dW, m, v: rprop_update(W, dW, m, v, 0.5, 1.2, 1e-9, 1e-6))
    yield "rprop", rprop, (W, dW, m, v), 0, 7 * size


def main():
    peak = 1e9 * gflops("float32", usable_cores()[-1])
    bandwidths = {level: bandwidth(elements) for level, elements in SIZES.items()}
    print(f"{cpu_name()}, one core, float32: {peak / 1e9:.0f} GFLOP/s; a copy moves", end=" ")
    print(", ".join(f"{rate / 1e9:.0f} GB/s ({level})" for level, rate in bandwidths.items()))
    print(f"\n{'kernel':<32} {'arrays in':<13} {'µs':>10} {'GFLOP/s':>8} {'GB/s':>6} {'of the roof':>12}")
    line = partial("{:<32} {:<13} {:>10.2f} {:>8} {:>6.0f} {:>11.0%}".format)
    for n, d_in, d_out in (
        (16, 4, 16),
        (32, 64, 32),
        (64, 64, 64),
        (100, 300, 300),
        (128, 512, 512),
        (512, 2048, 2048),
    ):
        for name, kernel, arguments, flop, size in products(n, d_in, d_out):
            seconds = seconds_of(compiled(kernel), arguments)
            level = next((level for level, most in SIZES.items() if size <= 4 * most), "beyond")
            roof = max(flop / peak, size / bandwidths[level])
            print(line(name, level, seconds * 1e6, f"{flop / seconds / 1e9:.0f}", size / seconds / 1e9, roof / seconds))
    for level, elements in SIZES.items():
        for name, kernel, arguments, _, size in sweeps(elements // 4 // 64, 64):
            seconds = seconds_of(compiled(kernel), arguments)
            rate = size / seconds
            print(line(name, level, seconds * 1e6, "", rate / 1e9, rate / bandwidths[level]))


if __name__ == "__main__":
    main()
