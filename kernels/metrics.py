"""Metrics: how good predictions a are, a score for each row."""

import math

from fastml.kernels.activations import largest_of
from fastml.kernels.operands import Column, Rows
from fastml.kernels.operation import operation
from fastml.kernels.simd import Vec
from fastml.kernels.sweeps import rowwise


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


Predictions, Targets, Scores = Rows("d_out"), Rows("d_y"), Column()


@operation
def binary_accuracy(a: Predictions, y: Targets, scores: Scores):
    """The share of outputs for which a and y are on the same side of ½. a, y : (n, d). Overwrites scores : (n,)."""
    binary_hits((a, y), (scores,), (a.dtype.type(a.shape[1]),))


@operation
def categorical_accuracy(a: Predictions, y: Targets, scores: Scores):
    """1 where a is largest where y is, else 0. a, y : (n, d). Overwrites scores : (n,)."""
    class_hits((a, y), (scores,), ())


@operation
def sparse_categorical_accuracy(a: Predictions, y: Targets, scores: Scores):
    """1 where a is largest at the class number y, else 0. a : (n, d), y : (n, 1). Overwrites scores : (n,)."""
    label_hits((a,), (scores, y), ())


@operation
def mean_squared_error(a: Predictions, y: Targets, scores: Scores):
    """The mean of (a - y)² over the outputs. a, y : (n, d). Overwrites scores : (n,)."""
    squared_errors((a, y), (scores,), (a.dtype.type(a.shape[1]),))


@operation
def mean_absolute_error(a: Predictions, y: Targets, scores: Scores):
    """The mean of |a - y| over the outputs. a, y : (n, d). Overwrites scores : (n,)."""
    absolute_errors((a, y), (scores,), (a.dtype.type(a.shape[1]),))
