"""Sparse matrices become dense once, in the dtype of the network; statistics are taken of blocks of columns."""

import warnings

import numpy as np

from fastml.data.running import Running

NUMBERS = 2**22  # of a block
LARGE = 10**8  # bytes of a dense matrix, from where on there is a note


def column_blocks(x):
    """x : (rows, columns) itself, or a sparse one in dense blocks of its columns."""
    if not hasattr(x, "tocsc"):
        return [x]
    x, width = x.tocsc(), max(2, NUMBERS // max(1, x.shape[0]))
    ends = np.linspace(0, x.shape[1], 1 + -(-x.shape[1] // width)).astype(int).tolist()
    blocks = (x[:, start:end].toarray() for start, end in zip(ends, ends[1:], strict=False))
    return map(np.ascontiguousarray, blocks)  # row by row, and no column alone, as sums depend on the order


def running_of(method, quantiles, x, weights=None, dtype=np.float64):
    """The Running of rows x, which may be sparse."""
    blocks = column_blocks(x)
    return joined([Running(method, quantiles).with_rows(b, weights, dtype, columns=x.shape[1]) for b in blocks])


def joined(parts):
    """The Running of all columns, of those of blocks of them, which are of the same rows."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    kept = {name: vars(first)[name] for name in ("rows", "weight", "weights", "keys") if name in vars(first)}
    for name in ("low", "high", "centre", "spread", "varied", "sample"):
        if vars(first).get(name) is not None:
            kept[name] = np.concatenate([vars(part)[name] for part in parts], axis=-1)
    return Running(first.method, first.quantiles, **kept)


def dense(x, dtype=None):
    """x as a dense array, row by row in memory; a sparse one in this dtype, where its numbers have a place there."""
    if not hasattr(x, "tocsc"):
        return np.ascontiguousarray(x)
    dtype = np.dtype(dtype or x.dtype)
    if x.nnz and np.abs(x.data).max() > np.finfo(dtype).max:
        dtype = x.dtype  # of which others say what is wrong
    size = x.shape[0] * x.shape[1] * dtype.itemsize
    if size > LARGE:
        warnings.warn(
            f"X is a sparse matrix of shape {x.shape}, which becomes a dense one of {size / 1e6:.0f} MB"
            + ("; with dtype='float32' it takes half of that" if dtype == np.float64 else ""),
            UserWarning,
            stacklevel=8,
        )
    x, found, height = x.tocsr(), np.empty(x.shape, dtype), max(1, NUMBERS // max(1, x.shape[1]))
    for start in range(0, x.shape[0], height):
        found[start : start + height] = x[start : start + height].toarray()
    return found
