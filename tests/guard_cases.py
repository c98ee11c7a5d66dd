"""Calls of every kernel that the executor makes, at sizes beside every vector, tile, panel, block and run.

A case is a label, a kernel and its arguments, in which arrays are plain ones: whoever runs it puts copies of them where
it likes. An array that stands twice is meant to be one.
"""

from functools import partial
from itertools import product

import numpy as np
from functions import FUSED, function
from numba import njit
from test_kernel_gemm import PACKED, PRODUCTS, shapes_of

from fastml import LOSSES, METRICS
from fastml.kernels import regularization, rows, sums
from fastml.kernels.clock import clock
from fastml.kernels.cpu import BITS
from fastml.kernels.dense import NONE
from fastml.kernels.job import SLICE
from fastml.kernels.operations import OPERATIONS
from fastml.kernels.packing import CHUNK
from fastml.kernels.random import shuffle
from fastml.kernels.sums import SUMS
from fastml.kernels.team import wait_for_all
from fastml.kernels.tiling import HEIGHT, LARGE, ROWS, SCRATCH, TERMS, VECTORS, scratch_size

# Operations that know no arrays, or put together others that have cases of their own
NO_ARRAYS = {"begin_block", "next_block", "follow", "watch", "stop_unless_finite", "begin_update", "barrier"}
NO_ARRAYS |= {"add_loss", "add_score", "add_penalty", "add_shards", "measure_norm"}  # sum_rows, penalty_forward, add, …
NO_ARRAYS |= {"gather", "store_outputs"}  # gather_rows and store_rows
# Kernels that are no operations: parts of some, and what the executor calls itself
PARTS = {
    "gather_rows": rows.gather_rows,
    "store_rows": rows.store_rows,
    "add": sums.add,
    "sum_rows": sums.sum_rows,
    "penalty_forward": regularization.penalty_forward,
    "norm_factor": regularization.norm_factor,
    "shuffle": shuffle,
}
RATE = 0.01


class Cases:
    """The cases for a dtype, by kernel; only some of the sizes if `few`."""

    def __init__(self, dtype, few=False):
        self.dtype, self.few, self.rng = np.dtype(dtype), few, np.random.default_rng(0)
        self.width = BITS // (8 * self.dtype.itemsize)
        self.vectors, self.rows, self.columns = self.sizes()
        self.room = np.empty(SCRATCH, dtype)

    def sizes(self):
        """Lengths of vectors, and rows and columns of matrices."""
        width = self.width
        if self.few:
            columns = [1, 3, width - 1, width, width + 1, 4 * width + 1]
            return [0, 1, *columns[1:]], [0, 1, width - 1, width + 1], sorted({*columns} - {0})
        beside = [k * width + more for k in (1, 2, 3, SUMS, 2 * SUMS) for more in (-1, 0, 1)]
        vectors = {0, 1, 2, 3, 5, 7, 11, 13, 61, 251, 1009, *beside}
        rows = {0, 1, 2, 3, 7, width - 1, width, width + 1, 2 * width, 2 * width + 1, 37}
        return sorted(vectors), sorted(rows), sorted({1, 2, 3, 5, 7, *beside} - {0})

    def array(self, *shape):
        """Positive numbers, of which whatever a kernel computes is finite."""
        return self.rng.uniform(0.1, 0.9, shape).astype(self.dtype)

    def arrays(self, *shapes):
        return [self.array(*shape) for shape in shapes]

    def shapes(self):
        return product(self.rows, self.columns)

    def by_kernel(self):
        """All cases: from the name of a kernel to a list of pairs of label and arguments."""
        makers = {name.removeprefix("of_"): getattr(self, name) for name in dir(self) if name.startswith("of_")}
        makers |= {f"{name}_forward": partial(self.loss_forward, name) for name in LOSSES}
        makers |= {f"{name}_backward": partial(self.loss_backward, name) for name in LOSSES}
        makers |= {entry.operation: partial(self.metric, entry) for entry in METRICS.values()}
        return {kernel: [(str(label), args) for label, *args in make()] for kernel, make in makers.items()}

    # Layers

    def of_dense_forward(self):
        for n, d_in, d_out in self.products():
            x, W, b, z, a = self.arrays((n, d_in), (d_in, d_out), (d_out,), (n, d_out), (n, d_out))
            for name in self.fused(n):
                f = function(name, self.dtype)
                yield (n, d_in, d_out, name), x, W, b, f, z, a, self.room
                yield (n, d_in, d_out, name, "in place"), x, W, b, f, z, z, self.room

    def of_dense_backward_inputs(self):
        for n, d_in, d_out in self.products():
            dz, W, u, dx = self.arrays((n, d_out), (d_in, d_out), (n, d_in), (n, d_in))
            for name in self.fused(n):
                f = function(name and f"{name}_slope", self.dtype)
                yield (n, d_in, d_out, name), dz, W, f, u, dx, self.room

    def of_dense_backward_weights(self):
        for n, d_in, d_out in self.products():
            if n == 0:
                continue
            x, dz, dW, db = self.arrays((n, d_in), (n, d_out), (d_in, d_out), (d_out,))
            spans = {(0, d_in), (0, d_in // 2), (d_in // 2, d_in), (d_in, d_in), (max(0, d_in - 1), d_in)}
            for (first, last), accumulate in product(sorted(spans), (False, True)):
                yield (n, d_in, d_out, first, last, accumulate), x, dz, (first, last), not accumulate, dW, db, self.room

    def fused(self, n):
        """Activations that a product applies: some for some sizes, as the others go the same way, none for others."""
        return ["relu", "tanh", "gelu", None] if n in (1, 7) else [None]

    def products(self):
        """n, d_in, d_out beside tiles and vectors, and large ones that are packed."""
        w = self.width
        if self.few:
            yield from [(0, 3, 5), (1, 1, 1), (7, w + 1, 1), (ROWS + 1, 3, w - 1), (ROWS - 1, 5, VECTORS * w + 1)]
            yield from [(1, w, w), (13, 2 * w + 1, 3 * w - 1), (HEIGHT + 1, TERMS + 1, 2 * VECTORS * w + 3)]
            return
        heights = [0, 1, ROWS // 2, ROWS // 2 + 1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS, 31]
        across = [k * w + more for k in (1, 2, VECTORS, VECTORS + 1, 2 * VECTORS) for more in (-1, 0, 1)]
        across = sorted({1, 2, 3, *across} - {0})
        yield from product(heights, [1, 2, w - 1, w, w + 1, 23], across)
        yield from product([1, 7, 33], across, [1, 2, 5])
        yield from product([1, 9], [TERMS - 1, TERMS, TERMS + 1], [1, 5, VECTORS * w + 1])
        yield from [(n, k, d) for n, k, d in PACKED]

    def of_activation_forward(self):
        for name, (n, d) in product(FUSED, self.shapes()):
            (z, a), f = self.arrays((n, d), (n, d)), function(name, self.dtype, 0.3)
            yield (name, n, d), f, z, a
            yield (name, n, d, "in place"), f, z, z

    def of_activation_backward(self):
        for name, (n, d) in product(FUSED, self.shapes()):
            (u, da, dz), f = self.arrays(*[(n, d)] * 3), function(f"{name}_slope", self.dtype, 0.3)
            yield (name, n, d), f, u, da, dz
            yield (name, n, d, "in place"), f, u, da, da

    def of_softmax_forward(self):
        for n, d in self.shapes():
            z, a = self.arrays((n, d), (n, d))
            yield (n, d), z, a
            yield (n, d, "in place"), z, z

    def of_softmax_backward(self):
        for n, d in self.shapes():
            a, da, dz = self.arrays(*[(n, d)] * 3)
            yield (n, d), a, da, dz
            yield (n, d, "in place"), a, da, da

    def of_dropout_forward(self):
        for (n, d), first in product(self.shapes(), (0, 16, 48)):
            x, mask, a = self.arrays(*[(n, d)] * 3)
            yield (n, d, first), np.uint64(1), 2, 3, 4, 0.5, first, x, mask, a
        for size in (15, 16, 17, 63, 64, 65, 128, 1009):  # beside runs of words
            x, mask = self.arrays((1, size), (1, size))
            yield (1, size, "in place"), np.uint64(1), 2, 3, 4, 0.5, 16, x, mask, x

    def of_dropout_backward(self):
        for size in self.vectors:
            mask, da, dx = self.arrays(*[(1, size)] * 3)
            yield size, mask, da, dx

    def of_normalize(self):
        for n, d in self.shapes():
            x, mean, scale, a = self.arrays((n, d), (d,), (d,), (n, d))
            yield (n, d), x, mean, scale, a

    def of_batchnorm_forward(self):
        for n, d in self.shapes():
            if n == 0:
                continue
            x, x_hat, a, gamma, beta, *vectors = self.arrays(*[(n, d)] * 3, *[(d,)] * 5)
            for first, last in self.spans(d):
                yield (n, d, first, last), x, gamma, beta, 1e-3, (first, last), *vectors, x_hat, a

    def of_batchnorm_backward(self):
        for n, d in self.shapes():
            da, x_hat, dx, gamma, inverse, dgamma, dbeta = self.arrays(*[(n, d)] * 3, *[(d,)] * 4)
            for first, last in self.spans(d):
                yield (n, d, first, last), da, x_hat, gamma, inverse, (first, last), dgamma, dbeta, dx

    def spans(self, d):
        """Shares of columns that threads may have: they start at multiples of 16."""
        return sorted({(0, d), (0, min(16, d)), (d // 16 * 16, d), (d, d)})

    def of_batchnorm_inference(self):
        for n, d in self.shapes():
            x, a, *vectors = self.arrays(*[(n, d)] * 2, *[(d,)] * 4)
            yield (n, d), x, *vectors, 1e-3, a

    def of_batchnorm_track(self):
        for d in self.columns:
            batch_mean, batch_variance, mean, variance = self.arrays(*[(d,)] * 4)
            for share in self.spans(d):
                yield (d, share), batch_mean, batch_variance, 5, 0.9, share, mean, variance

    def of_layernorm_forward(self):
        for n, d in self.shapes():
            x, a, gamma, beta = self.arrays(*[(n, d)] * 2, *[(d,)] * 2)
            yield (n, d), x, gamma, beta, 1e-3, a

    def of_layernorm_backward(self):
        for n, d in self.shapes():
            x, da, dx, terms, gamma = self.arrays(*[(n, d)] * 4, (d,))
            yield (n, d), x, gamma, 1e-3, da, dx, terms

    def of_sum_terms(self):
        for (n, d), fresh in product(self.shapes(), (True, False)):
            terms, dW = self.arrays((n, d), (d,))
            for share in self.spans(d):
                yield (n, d, share, fresh), terms, share, fresh, dW

    def of_copy_columns(self):
        for (n, d), place in product(self.shapes(), (0, 3)):
            x, a = self.arrays((n, d + 1), (n, place + d))
            yield (n, d, place), x, 1, d, place, a

    def of_embed_forward(self):
        for n, width, place, categories, x, outputs in self.embedded():
            yield (n, width, place), x, x.shape[1] - 1, self.array(categories, width), place, outputs

    def of_embed_backward(self):
        for n, width, place, categories, x, da in self.embedded():
            dW = self.array(categories, width)
            for (first, last), accumulate in product([(0, categories), (0, 5), (5, categories)], (False, True)):
                label = n, width, place, first, last, accumulate
                yield label, x, x.shape[1] - 1, da, place, (first, last), not accumulate, dW

    def embedded(self):
        """Codes in the last column, the largest in the last row; outputs whose last columns are the vectors."""
        categories = 11
        for (n, width), place in product(self.shapes(), (0, 3)):
            x = self.array(n, 3)
            x[:, -1] = self.rng.integers(categories, size=n)
            x[-1:, -1] = categories - 1
            yield n, width, place, categories, x, self.array(n, place + width)

    def of_periodic_forward(self):
        for sizes, x, weights, a, _, room in self.waves():
            yield sizes, x, 1, *weights, sizes[-1], 3, a, room

    def of_periodic_backward(self):
        for sizes, x, weights, a, da, room in self.waves():
            count, gradients = sizes[1], self.arrays(*[array.shape for array in weights])
            dw, db, dV, dc = gradients
            for bounds, fresh in product([(0, count), (0, 0), (count - 1, count)], (True, False)):
                if sizes[0]:
                    label = *sizes, bounds, fresh
                    yield label, x, 1, *weights, sizes[-1], a, da, 3, bounds, fresh, dw, db, dV, dc, room

    def of_periodic_backward_inputs(self):
        for sizes, x, weights, a, da, room in self.waves():
            (dx,) = self.arrays(x.shape)
            yield sizes, x, 1, *weights, sizes[-1], a, da, 3, sizes[-1], dx, room

    def waves(self):
        """Sizes (rows, count, frequencies, width, relu), data, weights, outputs and their gradient, and the room."""
        for n, (count, frequencies, width) in product((0, 1, 15, 37), [(1, 1, 1), (2, 5, 3), (3, 17, 9)]):
            x, a, da = self.arrays((n, count + 1), *[(n, 3 + count * width)] * 2)
            shapes = [(count, frequencies)] * 2 + [(count * frequencies, width), (count, width)]
            products = scratch_size(frequencies, [(width, n), (frequencies, n)])
            room = self.array(n * (1 + 2 * frequencies + width) + products)
            for relu in (0, 1):
                yield (n, count, frequencies, width, relu), x, self.arrays(*shapes), a, da, room

    # Losses and metrics

    def targets(self, labels, n, d):
        """Targets of a loss or metric; the label of the last row is the last class."""
        if not labels:
            return self.array(n, d)
        y = self.rng.integers(d, size=(n, 1)).astype(self.dtype)
        y[-1:] = d - 1
        return y

    def loss_forward(self, name):
        constants = [0.5] if name == "huber" else []
        for n, d in self.shapes():
            z, a, terms, losses = self.arrays(*[(n, d)] * 3, (n,))
            y = self.targets(LOSSES[name].targets == "labels", n, d)
            yield (n, d), *constants, z, y, a, terms, losses
            yield (n, d, "in place"), *constants, z, y, z, terms, losses

    def loss_backward(self, name):
        constants = [0.5] if name == "huber" else []
        for n, d in self.shapes():
            a, dz = self.arrays(*[(n, d)] * 2)
            yield (n, d), *constants, max(1, n), a, self.targets(LOSSES[name].targets == "labels", n, d), dz

    def metric(self, entry):
        for n, d in self.shapes():
            yield (n, d), self.array(n, d), self.targets(entry.labels, n, d), self.array(n)

    def of_smooth_targets(self):
        for labels, (n, d) in product((False, True), self.shapes()):
            if not labels or d > 1:
                yield (labels, n, d), self.targets(labels, n, d), 0.1, d, self.array(n, d)

    def of_weigh_rows(self):
        for n, d in self.shapes():
            yield (n, d), self.array(n, 1), self.array(n, d)

    def of_weigh_losses(self):
        for size in self.vectors:
            yield size, self.array(size, 1), self.array(size)

    # Rows and sums

    def of_gather_rows(self):
        for n, d in self.shapes():
            order = np.arange(n + 2)[::-1].copy()
            for first, numbers in product((0, 2), (order, order[:0].copy())):
                yield (n, d, first, len(numbers)), self.array((n + 2) * d), numbers, first, self.array(n, d)

    def of_store_rows(self):
        for (n, d), first in product(self.shapes(), (0, 2)):
            yield (n, d, first), self.array(n, d), first, self.array((n + 2) * d)

    def of_shuffle(self):
        for size in self.vectors:
            yield size, np.uint64(1), 2, np.zeros(size, np.int64)

    def of_add(self):
        return self.updates(1)

    def of_sum_rows(self):
        return self.updates(0)

    def of_wait_for_all(self):
        """Of two threads, the other of which is there."""
        yield "two", np.array([1, 0])

    def of_clock(self):
        yield "first", np.array([0, 5, 7])
        yield "later", np.array([1, 5, 7])

    # What works on parameters

    def updates(self, others, *scalars):
        """A vector W and so many others of its size, and scalars behind them."""
        for size in self.vectors:
            yield size, *self.arrays(*[(size,)] * (1 + others)), *scalars

    def of_penalty_forward(self):
        return self.updates(0, 0.1, 0.2)

    def of_penalty_backward(self):
        return self.updates(1, 0.1, 0.2)

    def of_clip_value(self):
        return self.updates(0, 0.5)

    def of_norm_factor(self):
        return self.updates(0, 0.5)

    def of_scale(self):
        return self.updates(0, 0.5)

    def of_sgd_update(self):
        return self.updates(1, RATE, 0.1)

    def of_momentum_update(self):
        return self.updates(2, RATE, 0.1, 0.9)

    def of_nesterov_update(self):
        return self.updates(2, RATE, 0.1, 0.9)

    def of_adam_update(self):
        return self.updates(3, 3, RATE, 0.1, 0.9, 0.999, 1e-7)

    def of_adamax_update(self):
        return self.updates(3, 3, RATE, 0.1, 0.9, 0.999, 1e-7)

    def of_rmsprop_update(self):
        return self.updates(2, RATE, 0.1, 0.9, 1e-7)

    def of_adagrad_update(self):
        return self.updates(2, RATE, 0.1, 1e-7)

    def of_rprop_update(self):
        return self.updates(3, 0.5, 1.2, 1e-6, 50.0)

    def of_rprop_backtrack_update(self):
        return self.updates(4, 1.0, 0.5, 1.2, 1e-6, 50.0)


@njit
def _wait_for_all(address):
    wait_for_all(address, 2, 1)


@njit
def _clock(slices, marks, marks_size, number):
    clock(slices[0], marks, marks_size, number)


def kernel(name):
    """The function that takes the arguments of a case."""
    if name == "wait_for_all":
        return lambda arrived: _wait_for_all(arrived.ctypes.data)
    if name == "clock":
        return lambda marks: _clock(np.zeros(1, SLICE), marks.ctypes.data, marks.size, marks.size - 1)
    return PARTS[name] if name in PARTS else OPERATIONS[name].kernel


def product_cases(dtype, few, room):
    """The products of `gemm.py` themselves, with columns of a on both sides of those that count."""
    rng, width = np.random.default_rng(1), BITS // (8 * np.dtype(dtype).itemsize)
    shapes = [(1, 1, 1), (ROWS + 1, 3, width + 1), (0, 2, 3), (2, 3, 0)]
    if not few:
        heights = (1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 1)
        shapes += product(heights, (1, CHUNK + 1, width + 1), (1, width, VECTORS * width - 1, (VECTORS + 1) * width))
        shapes += PACKED
    for kind, (n, k, d) in product(PRODUCTS, shapes):
        sizes = *shapes_of(kind, n, k, d), (d,), (n, d), (n, d)
        a, b, bias, u, c = (rng.uniform(0.1, 0.9, size).astype(dtype) for size in sizes)
        first = (a.shape[1] - n) if kind == "columns" else 0
        starts = [(bias, False), (bias[:0].copy(), False), (bias[:0].copy(), True)]
        for start, accumulate in starts if n * k * d < LARGE else starts[:1]:
            label = kind, n, k, d, len(start), accumulate
            yield str(label), PRODUCTS[kind], [a, first, b, start, accumulate, c, NONE, u, c, room]
