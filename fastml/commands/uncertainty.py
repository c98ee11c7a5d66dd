"""How far scores on some test rows can be from those on all rows there could be: 95 % intervals.

Accuracy and other shares have Wilson's interval (1927), the difference of two accuracies on the same rows Newcombe's
(1998, method 10). All other metrics have a Bayesian bootstrap (Rubin 1981): the rows get random weights with the mean
1, again and again, and the interval holds the middle 95 % of the scores. For errors its ends are those of Student's t
where rows are few (Hesterberg 2015), and as far up as down, as a factor, for a few rows tend to lack the large ones.
Where no row has been wrong yet the next one can be: metrics that count classes or rank rows get made-up rows beside the
real ones, of the total weight 1, half of them wrong, as Jeffreys' interval of a share has; what is the wider interval
counts, with them or without.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm, t

LEVEL, SURE = 0.95, 1.959963984540054  # of intervals, and as standard deviations of a normal distribution
MOST_ROWS = 20_000  # to draw weights for; beyond, intervals shrink by the root of the number of rows
DRAWS, MOST_WEIGHTS, CHUNK = 2000, 10**7, 10**6  # draws of a weight for each row; weights in all, and at a time


class Interval(NamedTuple):
    """The ends of what holds the true value in 95 of 100 cases; NaN where the rows cannot tell."""

    low: float
    high: float


NOTHING = Interval(float("nan"), float("nan"))


def wilson(hits, rows):
    """The interval of a share, of which `hits` of so many rows were found; arrays give arrays."""
    hits, rows = np.asarray(hits, float), np.asarray(rows, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = hits / rows
        middle = (share + SURE**2 / (2 * rows)) / (1 + SURE**2 / rows)
        half = SURE * np.sqrt(share * (1 - share) / rows + SURE**2 / (4 * rows**2)) / (1 + SURE**2 / rows)
    low, high = np.minimum(middle - half, share), np.maximum(middle + half, share)
    return Interval(*(end.item() if end.ndim == 0 else end for end in (low, high)))


def newcombe(first, second):
    """The interval of the difference of two shares of the same rows, first and second : (rows,) of bool."""
    both, neither = (first & second).sum(), (~first & ~second).sum()
    one, other, rows = (first & ~second).sum(), (~first & second).sum(), len(first)
    (a, a_low, a_high), (b, b_low, b_high) = (
        (hits.mean(), *wilson(hits.sum(), rows)) for hits in (np.asarray(first), np.asarray(second))
    )
    product = float(both + one) * float(other + neither) * float(both + other) * float(one + neither)
    cross = float(both) * float(neither) - float(one) * float(other)
    cross = max(cross - rows / 2, 0) if cross > 0 else cross
    phi = cross / np.sqrt(product) if product else 0.0
    low = (a - a_low) ** 2 - 2 * phi * (a - a_low) * (b_high - b) + (b_high - b) ** 2
    high = (a_high - a) ** 2 - 2 * phi * (a_high - a) * (b - b_low) + (b - b_low) ** 2
    return Interval(a - b - np.sqrt(max(low, 0)), a - b + np.sqrt(max(high, 0)))


def intervals(scores, y, p, q, seed=0):
    """For each metric the Interval of its value for p, and of how much it is larger than that for q, {title: pair}.

    `scores` are triples of a Metric and its values for p and q; y : (rows,), p and q : (rows,) or (rows, classes), as
    metrics take them.
    """
    rng, rows, found = np.random.default_rng(seed), len(y), {}
    kept = np.sort(rng.choice(rows, MOST_ROWS, replace=False)) if rows > MOST_ROWS else np.arange(rows)
    chosen = y[kept], p[kept], q[kept]
    for metric, *exact in scores:
        if metric.title == "accuracy":
            right = [answer.argmax(axis=1) == y for answer in (p, q)]
            found[metric.title] = wilson(right[0].sum(), rows), newcombe(*right)
        elif np.isfinite(exact).all():
            found[metric.title] = bootstrap(metric, exact, chosen, rows, rng)
        else:
            found[metric.title] = NOTHING, NOTHING
    return found


def bootstrap(metric, exact, chosen, rows, rng):
    """The Interval of a metric, and of a difference, by random weights.

    `exact` holds the values for all `rows`, `chosen` the y, p and q of those to draw weights for.
    """
    y, p, q = chosen
    columns, counts_classes = COLUMNS[metric.title]
    made_up = 0
    if counts_classes:
        y, p, q, made_up = with_made_up(y, p, q)
    real = np.arange(len(y)) < len(y) - made_up
    (first, ours), (second, theirs) = (columns(y, answer, real) for answer in (p, q))
    held, width = np.hstack([first, second]), first.shape[1]
    moves = []
    for means in zip(*draw(held, made_up, rng), strict=True):
        means = np.concatenate([held[real].mean(axis=0)[None], *means])
        a, b = ours(means[:, :width]), theirs(means[:, width:])
        moves.append([(a[1:], a[0]), (a[1:] - b[1:], a[0] - b[0])])
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2] if counts_classes else tails(len(chosen[0]))
    shrink = np.sqrt(len(chosen[0]) / rows)
    gain = exact[0] - exact[1]
    if counts_classes:
        return tuple(hull(v, [pairs[k] for pairs in moves], ends, shrink) for k, v in enumerate((exact[0], gain)))
    mine, more = (
        as_factor(exact[0], *moves[0][0], ends, shrink, int(metric.larger)),
        hull(gain, [moves[0][1]], ends, shrink),
    )
    if metric.larger:  # R², of which the baseline has about 0
        more = Interval(min(more.low, mine.low - exact[1]), max(more.high, mine.high - exact[1]))
    return mine, more


def hull(value, drawn, ends, shrink):
    """The Interval around a value that holds the middle of all pairs `drawn`: values (draws,), and their centre."""
    moves = [shrink * (np.nanquantile(values, ends) - centre) for values, centre in drawn]
    return Interval(
        float(value + min(0, *(low for low, _ in moves))), float(value + max(0, *(high for _, high in moves)))
    )


def as_factor(value, drawn, centre, ends, shrink, best):
    """The Interval around a value whose distance to the best one is an error, by the factor that this varies by."""
    if value == best or centre == best:
        return Interval(float(value), float(value))
    factor = np.exp(shrink * np.abs(np.log(np.nanquantile((drawn - best) / (centre - best), ends))).max())
    return Interval(*(float(end) for end in sorted((best + (value - best) * factor, best + (value - best) / factor))))


def tails(rows):
    """Which shares of the draws lie below the ends of an interval."""
    low = norm.cdf(-np.sqrt((rows + 1) / (rows - 1)) * t.ppf((1 + LEVEL) / 2, rows - 1))
    return [low, 1 - low]


def draw(columns, made_up, rng):
    """Parts of the weighted means (draws, columns) of columns : (rows, columns), in pairs where some are made up.

    First those of the real rows alone, second with the last rows, which are made up.
    """
    real = len(columns) - made_up
    draws = int(np.clip(MOST_WEIGHTS // real, 500, DRAWS))
    size = max(1, CHUNK // real)
    for start in range(0, draws, size):
        count = min(size, draws - start)
        weights = rng.standard_exponential((count, real))
        sums, total = weights @ columns[:real], weights.sum(axis=1)[:, None]
        parts = [sums / total]
        if made_up:
            more = rng.standard_gamma(1 / made_up, (count, made_up))
            parts.append((sums + more @ columns[real:]) / (total + more.sum(axis=1)[:, None]))
        yield parts


def with_made_up(y, p, q):
    """y, p and q with four made-up rows of each class, right and wrong by both; and how many these are.

    What is the same for all rows is so for these.
    """
    kinds = np.unique(y)
    others = np.roll(kinds, -1) if len(kinds) > 1 else (kinds + 1) % p.shape[1]
    right, wrong = np.eye(p.shape[1])[kinds], np.eye(p.shape[1])[others]
    p, constant = np.concatenate([p, right, right, wrong, wrong]), (q == q[0]).all()
    q = np.concatenate([q, *([q[:1].repeat(4 * len(kinds), axis=0)] if constant else [right, wrong, right, wrong])])
    return np.concatenate([y, *[kinds] * 4]), p, q, 4 * len(kinds)


# For each metric: columns (rows, columns), and `whole`, which turns their weighted means (draws, columns) into values
# (draws,), from y, p and `real` : (rows,) of bool, which rows are not made up.


def shares(y, p, _):
    """Columns of balanced accuracy: rows of each class, and those that are recognised."""
    there = y[:, None] == np.arange(p.shape[1])
    hits = there & (p.argmax(axis=1) == y)[:, None]

    def whole(means):
        rows, hits = np.split(means, 2, axis=1)
        return np.nanmean(ratio(hits, rows), axis=1)

    return np.hstack([there, hits]).astype(float), whole


def overlaps(y, p, _):
    """Columns of F1: rows of each class and rows taken for it, and those of both."""
    there, taken = (values[:, None] == np.arange(p.shape[1]) for values in (y, p.argmax(axis=1)))

    def whole(means):
        rows, hits = np.split(means, 2, axis=1)
        return np.nanmean(ratio(hits, rows), axis=1)

    return np.hstack([(there + 0.0 + taken) / 2, there & taken]), whole


def ranks(y, p, real):
    """Columns of the area under ROC, which is nearly the mean of its placements: DeLong, DeLong & Clarke-Pearson, 1988.

    A row of a class has the share of the other rows that it stands above; one of the others that of the class above it.
    """
    classes = [1] if p.shape[1] == 2 else [k for k in range(p.shape[1]) if 0 < (y[real] == k).sum() < real.sum()]
    columns, areas = [], []
    for k in classes:
        there, place = y == k, np.empty(len(y))
        for side, sign in ((there, 1), (~there, -1)):
            others = np.sort(sign * p[~side & real, k])
            low, high = (np.searchsorted(others, sign * p[side, k], which) for which in ("left", "right"))
            place[side] = (low + high) / 2 / len(others)
        areas.append(place[there & real].mean())
        columns += [there, there * place, ~there, ~there * place]
    areas = np.array(areas)

    def whole(means):
        parts = means.reshape(len(means), -1, 4)
        return (ratio(parts[..., 1], parts[..., 0]) + ratio(parts[..., 3], parts[..., 2]) - areas).mean(axis=1)

    return np.stack(columns, axis=1).astype(float), whole


def ratio(part, whole):
    """A quotient, NaN where it has none."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def surprise(y, p, _):
    """The column of the log loss."""
    chance = np.clip(p[np.arange(len(y)), y], np.finfo(p.dtype).eps, 1)
    return -np.log(chance)[:, None], lambda means: means[:, 0]


def explained(y, p, _):
    """Columns of R²."""
    scale = np.std(y)
    z = (y - np.mean(y)) / scale
    return np.stack([z, z**2, ((y - p) / scale) ** 2], axis=1), lambda m: 1 - ratio(m[:, 2], m[:, 1] - m[:, 0] ** 2)


def squares(y, p, _):
    """The column of the root mean squared error."""
    scale = np.abs(y - p).max() or 1.0
    return ((y - p) / scale)[:, None] ** 2, lambda means: scale * np.sqrt(means[:, 0])


def distances(y, p, _):
    """The column of the mean absolute error."""
    return np.abs(y - p)[:, None], lambda means: means[:, 0]


COLUMNS = {  # by the title of a metric; and whether it counts classes or ranks rows
    "balanced accuracy": (shares, True),
    "F1, mean of classes": (overlaps, True),
    "area under ROC": (ranks, True),
    "log loss": (surprise, False),
    "R²": (explained, False),
    "root mean squared error": (squares, False),
    "mean absolute error": (distances, False),
}
