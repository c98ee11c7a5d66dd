"""Rows that come in batches: lists, iterators and generators of these, and parts of arrays as epochs."""

from itertools import islice

import numpy as np

from fastml.program.random import permutation

KINDS = "a tuple (x, y) or (x, y, sample_weight) of arrays"


class Feed:
    """Rows of one epoch after the other, each of as many steps, from an endless or long enough stream of batches.

    `stream` gives tuples (x, y) or (x, y, weights) of arrays. All batches of all epochs must have as many rows as the
    first, but the last one of an epoch, which may have fewer if it always has as many.
    """

    def __init__(self, stream, steps):
        self.stream, self.steps = iter(stream), steps
        self.drawn = 0
        self.batch_size = self.rows = None

    def epoch(self):
        """x, y and weights or None of the next epoch, arrays; ValueError where there are no more or others."""
        found = [as_batch(batch, self.drawn + k) for k, batch in enumerate(islice(self.stream, self.steps))]
        self.drawn += len(found)
        if len(found) < self.steps:
            raise ValueError(f"x ended after {self.drawn} batches, in the middle of an epoch of {self.steps}")
        rows = merged(found)
        sizes = len(found[0][0]), len(rows[0])
        if sizes != (self.batch_size or sizes[0], self.rows or sizes[1]):
            raise ValueError(
                f"each epoch must have batches of the same size: the first had {self.rows} rows in batches of "
                f"{self.batch_size}, a later one {sizes[1]} in batches of {sizes[0]}"
            )
        self.batch_size, self.rows = sizes
        return rows


def as_batch(batch, number):
    """A batch as a tuple of arrays x, y, weights or None."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        raise ValueError(f"batch {number} of x must be {KINDS}, got {type(batch).__name__}")
    arrays = [np.asarray(part) for part in batch if part is not None]
    if any(array.ndim == 0 or len(array) != len(arrays[0]) for array in arrays) or not len(arrays[0]):
        raise ValueError(f"batch {number} of x must be {KINDS} with the same rows, got {[a.shape for a in arrays]}")
    return (*arrays, None) if len(arrays) == 2 else tuple(arrays)


def merged(batches):
    """The rows of all batches; ValueError where they do not fit together."""
    sizes = [len(batch[0]) for batch in batches]
    for k, size in enumerate(sizes):
        if size != sizes[0] and not (k == len(sizes) - 1 and size < sizes[0]):
            raise ValueError(f"batch {k} has {size} rows, but the first has {sizes[0]}: only the last may have fewer")
    if len({batch[2] is None for batch in batches}) > 1:
        raise ValueError("some batches have a sample_weight and others have none")
    try:
        return tuple(None if parts[0] is None else np.concatenate(parts) for parts in zip(*batches, strict=True))
    except ValueError as error:
        raise ValueError(f"the batches of x do not fit together: {error}") from None


def parts_of(x, y, weights, batch_size, model):
    """An endless stream of batches of so many rows from arrays, which goes through all rows again and again.

    Each time in a new order, as epochs of the model have it, or in their order if it is False. What is left at the end
    of the rows goes into a batch with the next ones.
    """
    left, passes = np.zeros(0, np.int64), model._engine.epochs if model and model._engine else 0
    while True:
        while len(left) < batch_size:
            order = permutation(model.seed, passes, len(x)) if model else np.arange(len(x))
            left, passes = np.concatenate([left, order]), passes + 1
        rows, left = left[:batch_size], left[batch_size:]
        yield x[rows], y[rows], None if weights is None else weights[rows]


def repeated(batches):
    """The batches of what can be gone through again and again, without end: a list, a Sequence, a DataLoader."""
    while True:
        count = 0
        for batch in batches if hasattr(batches, "__iter__") else (batches[k] for k in range(len(batches))):
            count += 1
            yield batch
        if not count:
            raise ValueError("x gave no batches")


def holds_batches(x):
    """Whether x, which came without y, is made of batches."""
    if hasattr(x, "__next__"):
        return True
    if isinstance(x, (list, tuple)):
        return len(x) > 0 and all(isinstance(batch, tuple) for batch in x)
    array = any(hasattr(x, name) for name in ("dtype", "dtypes", "columns", "__array__", "keys"))
    return hasattr(x, "__len__") and not array and not isinstance(x, (str, bytes))


def collected(x):
    """The rows of a list or an iterator of batches, as one tuple of x, y, weights or None, and the size of a batch."""
    batches = [as_batch(batch, k) for k, batch in enumerate(x)]
    if not batches:
        raise ValueError("x gave no batches")
    return merged(batches), len(batches[0][0])
