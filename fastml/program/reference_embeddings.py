"""The reference executor: the layers that put vectors in the place of columns."""

import numpy as np


def copy_columns(x, column, width, place, a):
    a[:, place : place + width] = x[:, column : column + width]


def embed_forward(x, column, W, place, a):
    a[:, place : place + W.shape[1]] = W[x[:, column].real.astype(np.int64)]


def embed_backward(x, column, da, place, bounds, fresh, dW):
    value = np.zeros_like(dW)
    np.add.at(value, x[:, column].real.astype(np.int64), da[:, place : place + dW.shape[1]])
    dW[...] = value if fresh else dW + value


def periodic(x, column, w, b, V, c):
    """Angles and waves (n, count, frequencies), and V by column, of the columns that are embedded."""
    angles = 2 * np.pi * x[:, column : column + len(w), None] * w + b
    return angles, np.cos(angles), V.reshape(len(w), -1, c.shape[1])


def periodic_forward(x, column, w, b, V, c, relu, place, a, room):
    _, waves, V = periodic(x, column, w, b, V, c)
    value = np.einsum("nck,cku->ncu", waves, V) + c
    a[:, place : place + c.size] = (value * (value.real > 0) if relu else value).reshape(len(a), c.size)


def periodic_slopes(x, column, w, b, V, c, relu, a, da, place):
    """The waves, what comes to their vectors (n, count, width), and to their angles (n, count, frequencies)."""
    angles, waves, V = periodic(x, column, w, b, V, c)
    g = da[:, place : place + c.size].reshape(len(da), *c.shape)
    if relu:
        g = g * (a[:, place : place + c.size].reshape(g.shape).real > 0)
    return waves, g, -np.sin(angles) * np.einsum("ncu,cku->nck", g, V)


def periodic_backward(x, column, w, b, V, c, relu, a, da, place, bounds, fresh, dw, db, dV, dc, room):
    waves, g, slopes = periodic_slopes(x, column, w, b, V, c, relu, a, da, place)
    found = {
        "w": (dw, 2 * np.pi * (slopes * x[:, column : column + len(w), None]).sum(axis=0)),
        "b": (db, slopes.sum(axis=0)),
        "V": (dV, np.einsum("nck,ncu->cku", waves, g).reshape(dV.shape)),
        "c": (dc, g.sum(axis=0)),
    }
    for gradient, value in found.values():
        gradient[...] = value if fresh else gradient + value


def periodic_backward_inputs(x, column, w, b, V, c, relu, a, da, place, keep, dx, room):
    _, _, slopes = periodic_slopes(x, column, w, b, V, c, relu, a, da, place)
    part, value = dx[:, column : column + len(w)], 2 * np.pi * (slopes * w).sum(axis=2)
    part[...] = part + value if keep else value
