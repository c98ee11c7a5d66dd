"""Metrics: how good predictions a are, a score for each row."""

import math

from numba import njit

from fastml.kernels.activations import largest_of
from fastml.kernels.simd import Vec
from fastml.kernels.sweeps import rowwise

BINARY_ACCURACY = 1
CATEGORICAL_ACCURACY = 2
SPARSE_CATEGORICAL_ACCURACY = 3
MEAN_SQUARED_ERROR = 4
MEAN_ABSOLUTE_ERROR = 5


def mean_over_outputs(score):
    """The kernel of a row's score (1/d) Σⱼ score(aⱼ, yⱼ)."""

    @rowwise
    def scores(row, d):
        a, y = 0, 1
        (total,) = row.parts(
            lambda part, total: [total + part.only(score(part.load(a), part.load(y)), 0.0)], row.constant(0.0)
        )
        row.put(0, row.across(total, Vec.__add__) / d)

    return scores


def agreement(a, y):
    """1 where both are above ½ or neither is, else 0."""
    above, wanted = a.where(">", 0.5, 1.0, 0.0), y.where(">", 0.5, 1.0, 0.0)
    return above.where("==", wanted, 1.0, 0.0)


squared_errors = mean_over_outputs(lambda a, y: (a - y) * (a - y))
absolute_errors = mean_over_outputs(lambda a, y: abs(a - y))
binary_hits = mean_over_outputs(agreement)


def place_of_largest(row, a):
    """Copies of the number of the column in which a row is largest, the first of several that are."""
    top = largest_of(row, a)

    def first(part, place):
        number = part.load(a).where("==", top, part.numbers(), math.inf)
        return [place.where("<", part.only(number, math.inf), place, part.only(number, math.inf))]

    (place,) = row.parts(first, row.constant(math.inf))
    return row.across(place, lambda p, q: p.where("<", q, p, q))


@rowwise
def class_hits(row):
    """1 where the largest prediction stands where the largest target does, else 0."""
    row.put(0, place_of_largest(row, 0).where("==", place_of_largest(row, 1), 1.0, 0.0))


@rowwise
def label_hits(row):
    """1 where the largest prediction stands at the class number, else 0."""
    row.put(0, place_of_largest(row, 0).where("==", row.value(1), 1.0, 0.0))


@njit(inline="always", error_model="numpy")
def metric(kind, a, y, scores):
    """scoresᵢ = score(aᵢ, yᵢ), where kind names the metric: 1 or 0 for a hit, or a mean over the outputs.

    a : (n, d), y : (n, d) or, for class labels, (n, 1), scores : (n,). Overwrites scores.
    """
    d = a.dtype.type(a.shape[1])
    if kind == SPARSE_CATEGORICAL_ACCURACY:
        label_hits((a,), (scores, y), ())
    elif kind == CATEGORICAL_ACCURACY:
        class_hits((a, y), (scores,), ())
    elif kind == MEAN_SQUARED_ERROR:
        squared_errors((a, y), (scores,), (d,))
    elif kind == MEAN_ABSOLUTE_ERROR:
        absolute_errors((a, y), (scores,), (d,))
    else:
        binary_hits((a, y), (scores,), (d,))
