"""Periodic embeddings: waves of some frequencies of a number, and a small matrix that makes a vector of them.

For each embedded column j, with t = xᵢⱼ:  hₖ = cos(2π·wⱼₖ·t + bⱼₖ),  aᵤ = cⱼᵤ + Σₖ hₖ·Vⱼₖᵤ, or 0 where a `relu` is to
make it that. Everything is computed for one column at a time, in `room`, where rows are neighbours: t (n,),
h (frequencies, n), and its like for the way back.
"""

import math

from numba import njit

from fastml.kernels import vmath
from fastml.kernels.dense import NONE, multiply, multiply_columns, multiply_transposed
from fastml.kernels.embedding import fill
from fastml.kernels.operands import Gradient, OfSlice, Rows, RowSlice, Scratch, Size, SummedRows, Weights
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise
from fastml.kernels.sums import sum_rows
from fastml.kernels.views import matrix, nothing, vector

TURN = 2 * math.pi

wave = elementwise(lambda t, w, b: vmath.cos_turns(t.fma(w, b)))
slope = elementwise(lambda t, e, w, b: -e * vmath.sin_turns(t.fma(w, b)))
moment = elementwise(lambda t, e, turn: turn * t * e)
add_scaled = elementwise(lambda total, e, w: e.fma(w, total))


@njit(inline="always", error_model="numpy")
def places(room, n, frequencies, width):
    """t, h, e and g in the room: (n,), twice (frequencies, n), (width, n); and what is left for products."""
    size = frequencies * n
    h, e = matrix(room, n, frequencies, n), matrix(room, n + size, frequencies, n)
    end = n + 2 * size + width * n
    return vector(room, 0, n), h, e, matrix(room, n + 2 * size, width, n), vector(room, end, room.size - end)


@njit(inline="always", error_model="numpy")
def waves(x, column, w, b, j, t, h):
    """t and h of column number j of those that are embedded."""
    n = x.shape[0]
    for i in range(n):
        t[i] = x[i, column + j]
    for k in range(w.shape[1]):
        wave((t,), (vector(h, k * n, n),), (w[j, k], b[j, k] * t.dtype.type(1 / TURN)))


@njit(inline="always", error_model="numpy")
def slopes(a, da, w, b, V, relu, place, j, t, e, g, scratch):
    """g, the gradient of the vector of column j, and with it e, that of the angles."""
    n, width = da.shape[0], g.shape[0]
    for i in range(n):
        for u in range(width):
            at = place + j * width + u
            g[u, i] = da[i, at] if not relu or a[i, at] > 0 else 0
    part = matrix(V, j * w.shape[1] * width, w.shape[1], width)
    multiply(part, 0, g, nothing(t), False, e, NONE, e, e, scratch)
    for k in range(w.shape[1]):
        row = vector(e, k * n, n)
        slope((t, row), (row,), (w[j, k], b[j, k] * t.dtype.type(1 / TURN)))


@operation
def periodic_forward(
    x: Rows("d_in"),
    column: Size(),
    w: Weights("count", "frequencies"),
    b: Weights("count", "frequencies"),
    V: Weights("terms", "width"),
    c: Weights("count", "width"),
    relu: Size(),
    place: Size(),
    a: Rows("d_out"),
    room: Scratch("size_of_room"),
):
    """Columns place … place + count·width - 1 of a are the vectors of columns column … column + count - 1 of x.

    x : (n, d_in), w, b : (count, frequencies), V : (count·frequencies, width), c : (count, width), a : (n, d_out).
    Overwrites these columns of a, and the room.
    """
    n, frequencies, width = x.shape[0], w.shape[1], c.shape[1]
    if n == 0:
        return
    t, h, _, g, scratch = places(room, n, frequencies, width)
    for j in range(w.shape[0]):
        waves(x, column, w, b, j, t, h)
        part = matrix(V, j * frequencies * width, frequencies, width)
        multiply_columns(part, 0, h, nothing(t), False, g, NONE, g, g, scratch)
        for i in range(n):
            for u in range(width):
                value = g[u, i] + c[j, u]
                a[i, place + j * width + u] = 0 if relu and value <= 0 else value


@operation
def periodic_backward(
    x: SummedRows("d_in"),
    column: Size(),
    w: Weights("count", "frequencies"),
    b: Weights("count", "frequencies"),
    V: Weights("terms", "width"),
    c: Weights("count", "width"),
    relu: Size(),
    a: SummedRows("d_out"),
    da: SummedRows("d_out"),
    place: Size(),
    bounds: RowSlice("w", "count", "frequencies"),
    fresh: OfSlice("fresh"),
    dw: Gradient("w", "count", "frequencies"),
    db: Gradient("b", "count", "frequencies"),
    dV: Gradient("V", "terms", "width"),
    dc: Gradient("c", "count", "width"),
    room: Scratch("size_of_room"),
):
    """The gradients of w, b, V and c, added to what is there unless it is `fresh`; n ≥ 1.

    Overwrites what belongs to the columns in `bounds`, the first and the one behind the last of those that are
    embedded, and the room. Shapes as in `periodic_forward`.
    """
    n, frequencies, width, accumulate = x.shape[0], w.shape[1], c.shape[1], not fresh
    t, h, e, g, scratch = places(room, n, frequencies, width)
    for j in range(bounds[0], bounds[1]):
        waves(x, column, w, b, j, t, h)
        slopes(a, da, w, b, V, relu, place, j, t, e, g, scratch)
        part = matrix(dV, j * frequencies * width, frequencies, width)
        multiply_transposed(h, 0, g, nothing(t), accumulate, part, NONE, part, part, scratch)
        for u in range(width):
            dc[j, u] = (dc[j, u] if accumulate else 0) + sum_rows(vector(g, u * n, n))
        for k in range(frequencies):
            row = vector(e, k * n, n)
            db[j, k] = (db[j, k] if accumulate else 0) + sum_rows(row)
            moment((t, row), (row,), (t.dtype.type(TURN),))
            dw[j, k] = (dw[j, k] if accumulate else 0) + sum_rows(row)


@operation
def periodic_backward_inputs(
    x: Rows("d_in"),
    column: Size(),
    w: Weights("count", "frequencies"),
    b: Weights("count", "frequencies"),
    V: Weights("terms", "width"),
    c: Weights("count", "width"),
    relu: Size(),
    a: Rows("d_out"),
    da: Rows("d_out"),
    place: Size(),
    keep: Size(),
    dx: Rows("d_in"),
    room: Scratch("size_of_room"),
):
    """dxᵢⱼ = 2π·Σₖ wⱼₖ·eₖ, e the gradient of the angles, added to what is there if it is to `keep` that.

    dx : (n, d_in), other shapes as in `periodic_forward`. Overwrites these columns of dx, and the room.
    """
    n, frequencies = x.shape[0], w.shape[1]
    if n == 0:
        return
    t, _, e, g, scratch = places(room, n, frequencies, c.shape[1])
    for j in range(w.shape[0]):
        for i in range(n):
            t[i] = x[i, column + j]
        slopes(a, da, w, b, V, relu, place, j, t, e, g, scratch)
        fill((t,), (t,), (t.dtype.type(0),))
        for k in range(frequencies):
            add_scaled((t, vector(e, k * n, n)), (t,), (t.dtype.type(TURN) * w[j, k],))
        for i in range(n):
            dx[i, column + j] = (dx[i, column + j] if keep else 0) + t[i]
