"""What stands for gaps in plain numbers: the median of each column, over all rows so far where they come in chunks.

Tables, and arrays that have gaps at fit, have encoders for that; see `fastml.data.gaps`.
"""

import numpy as np

from fastml.data.gaps import medians_of
from fastml.data.running import ROWS, Running, around
from fastml.sklearn.wide import column_blocks, running_of

QUARTILE = 0.6745  # standard deviations between the median and a quartile of a normal distribution


def begin_medians(estimator, x, whole):
    """Takes the medians of the first rows x : (rows, columns), the `whole` or a chunk; they may be sparse."""
    estimator._middle = estimator._medians = None
    if estimator.encoder_ is None:
        estimator._medians = np.concatenate([medians_of(block) for block in column_blocks(x)])
        if not whole:
            estimator._middle = running_of("minmax", True, x)


def learn_medians(estimator, x):
    """Adds complete rows x to what the medians are of, which `known_medians` computes once they are needed."""
    if estimator.encoder_ is not None or not len(x):
        return
    before = estimator._middle or (None if estimator._medians is None else assumed_middle(estimator))
    if before is not None:
        estimator._middle, estimator._medians = before.with_rows(x), None


def known_medians(estimator):
    """The medians (columns,) of an estimator, or None where it has an encoder, or is of an older version."""
    if estimator._medians is None and estimator._middle is not None:
        estimator._medians = estimator._middle.median()
    return estimator._medians


def assumed_middle(estimator):
    """The Running that stands for the rows of `fit`, of which none is kept: their medians, and about their spread."""
    inputs, medians = estimator._inputs, estimator._medians
    rows = max(ROWS, estimator.t_ // max(1, estimator.n_iter_)) if inputs is None else inputs.rows
    spread = np.zeros_like(medians) if inputs is None else inputs.spread
    low, high = around(medians, spread)
    running = Running("minmax", True, rows=rows, weight=float(rows), low=low, high=high, centre=low, spread=high - low)
    running.varied = np.where(running.constant, 0, max(rows, ROWS))
    running.assume(medians, QUARTILE * spread)
    return running
