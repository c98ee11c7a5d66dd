"""Tables in chunks: what `partial_fit` learns from more rows of a table, and a network that takes more features.

Numbers, dates and durations are standardized by all rows so far. A category of a one-hot column that has not been there
gets a column of its own, up to the encoder's `one_hot_limit`, and so does the flag of a column that had no gaps before.
What comes beyond the limit stays unknown, all zeros, as a new category of a column of whole numbers stays 0: its place
among the more frequent ones is not known from a chunk.
"""

import copy
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np

from fastml.data.columns import NOTHING
from fastml.data.encodings import Codes, Number, OneHot
from fastml.data.running import ROWS, Running, around
from fastml.embedding import Embedding
from fastml.files.saving import states
from fastml.layers import Dense
from fastml.training.engine import Engine

QUARTILE = 0.6745  # standard deviations between the median and a quartile of a normal distribution


def begin_table(encoder, total, whole, x=None):
    """The Running of each column that an encoder standardizes, by what it keeps of the rows at fit; None for others.

    total : the rows at fit. x : their matrix, if it is known, which tells gaps.
    Their range is not kept: one standard deviation to either side stands for it. Nor are their quartiles.
    """
    found = []
    for encoding, place in zip(encoder._encodings, encoder._places, strict=True):
        if not standardizes(encoding):
            found.append(None)
            continue
        rows = max(1, total - int(x[:, place.stop - 1].sum())) if encoding.missing and x is not None else total
        mean, spread, median = (np.array([v]) for v in (encoding.mean, encoding.std, encoding.median))
        running = Running("standard", rows=rows, weight=float(rows), centre=mean, spread=spread)
        running.low, running.high = around(mean, spread)
        running.varied = np.where(running.constant, 0, max(rows, ROWS) if whole else rows)
        running.assume(median, QUARTILE * spread)
        found.append(running)
    return found


def standardizes(encoding):
    """Whether the values of a column are standardized."""
    return isinstance(encoding, Number) and encoding.kind != "boolean"


def learn(encoder, runnings, table):
    """The encoder and the Runnings of the rows so far and those of a table, and the matrix of the table."""
    columns, new = list(encoder._columns(table)), copy.copy(encoder)
    new._told = encoder._told
    count = sum(r is not None for r in runnings)
    runnings = [r and r.with_rows(present(c), columns=count) for r, c in zip(runnings, columns, strict=True)]
    parts = zip(encoder._encodings, columns, runnings, strict=True)
    new._keep(encoder._given_names(), [learned_encoding(e, c, r, encoder.one_hot_limit) for e, c, r in parts])
    return new, runnings, new._encode(columns)


def present(column):
    """The values that a column of numbers has, (rows, 1)."""
    return np.zeros((0, 1)) if column.kind == NOTHING else column.values[~column.missing][:, None]


def learned_encoding(encoding, column, running, limit):
    """The encoding of a column after more rows."""
    gaps = bool(column.missing.any())
    if isinstance(encoding, Number):
        encoding = replace(encoding, missing=encoding.missing or gaps)
        if running is None:
            return encoding
        spread = 0.0 if running.constant[0] else float(running.spread[0])
        return replace(encoding, mean=float(running.mean[0]), std=spread, median=float(running.median()[0]))
    if not isinstance(encoding, OneHot) or column.kind == NOTHING:
        return replace(encoding, missing=True) if isinstance(encoding, OneHot) and gaps else encoding
    known = set(encoding.categories)
    counts = Counter(category for category in column.values if category is not None and category not in known)
    found = sorted(counts, key=lambda category: (-counts[category], category))
    room = max(0, limit - len(known))
    if len(found) > room:
        warnings.warn(
            f"{column.label} has more than {max(limit, len(known))} categories: those that came last, the rarest of "
            "them, are not told apart. Begin with rows that hold most of them",
            UserWarning,
            stacklevel=8,
        )
    return replace(encoding, categories=encoding.categories + sorted(found[:room]), missing=encoding.missing or gaps)


def standardized(encoder, runnings):
    """Places in the matrix of the columns that are standardized, and their {"mean", "scale", "reach"}."""
    parts = zip(encoder._encodings, encoder._places, runnings, strict=True)
    rows = [(p.start, e.mean, e.std, float(r.high[0] - r.low[0])) for e, p, r in parts if r is not None]
    places, mean, std, span = np.array(rows).reshape(-1, 4).T
    scale = np.divide(1, std, out=np.zeros_like(std), where=std > 0)
    return places.astype(int), {"mean": mean, "scale": scale, "reach": span * scale}


def places_of(old, new):
    """Where the columns of the matrix of an encoder, those with codes left out, are in that of one that knows more."""
    found = []
    for before, place, other in zip(old._encodings, old._places, new._places, strict=True):
        if isinstance(before, Codes):
            continue
        flag = before.missing  # of gaps, which stands last
        pairs = [(place.start + k, other.start + k) for k in range(before.width - flag)]
        found += pairs + [(place.stop - 1, other.stop - 1)] * flag
    return np.array([place for _, place in sorted(found)], int)


def grow(model, old, new):
    """Makes a model for the matrices of an encoder into one for those of an encoder that knows more.

    What it computes stays, as new features were 0 so far; their weights and moments begin as those of a new network.
    """
    before, width, layers = model._engine, int(new._width), list(model.layers)
    if new.embeddings:
        layers[0] = Embedding(new.embeddings)
    engine, aim = Engine(layers, width, before.dtype, before.seed, before.rest), before.aim
    engine.compile(aim["loss"], aim["metrics"], aim["optimizer"], before.executor)
    first = next(k for k, layer in enumerate(layers) if isinstance(layer, Dense))
    vectors = before.d_in - len(old.embeddings)  # where those of categories begin in the first matrix, behind features
    places, plain = places_of(old, new), width - len(new.embeddings)
    arrays, targets = ([*named(each).items(), *states(each).items()] for each in (before, engine))
    for (name, array), (_, target) in zip(arrays, targets, strict=True):  # a table is named by its column, which moves
        if name.endswith(f".{first}.W"):
            target[places], target[plain:] = array[:vectors], array[vectors:]
        else:
            target[...] = array
    engine.epochs, engine.updates, engine.loss = before.epochs, before.updates, before.loss
    model._engine, model.input_dim, model.layers = engine, width, layers


def named(engine):
    """Views of the weights of an engine by name."""
    return {f"weights.{name}": array for name, array in zip(engine.names(), engine.weights(), strict=True)}
