"""What a model is worth, and how sure that is: its scores with intervals, beside those of others."""

from typing import NamedTuple

from fastml.commands.figures import many
from fastml.commands.scores import Metric
from fastml.commands.uncertainty import Interval, intervals

FEW_TESTS, FEW_CHECKS = 100, 30  # rows, below which it is told that they are few


class Score(NamedTuple):
    """A metric on the test rows: of the model with its interval, of the baseline, of the rivals in their order.

    `gain` is the interval of how much larger the value of the model is than that of the baseline.
    """

    metric: Metric
    ours: float
    theirs: float
    interval: Interval
    gain: Interval
    others: tuple

    def better(self, than):
        """By how much the model is better than another value; negative where it is worse."""
        return self.ours - than if self.metric.larger else than - self.ours

    def surely(self, interval):
        """1 where an interval of differences is on the better side, -1 on the worse, 0 where it tells neither."""
        low, high = interval if self.metric.larger else (-interval.high, -interval.low)
        return 1 if low > 0 else -1 if high < 0 else 0


def measure(training, naive, metrics, seed):
    """The Scores of a Training that has its answers, `naive` being those of the baseline."""
    y, p = training.truth, training.answer
    values = [(metric, metric.of(y, p), metric.of(y, naive)) for metric in metrics]
    found = intervals(values, y, p, naive, seed)
    others = {metric.title: tuple(metric.of(y, rival.answer) for rival in training.rivals) for metric in metrics}
    return [Score(m, a, b, *found[m.title], others[m.title]) for m, a, b in values]


def against(training, rival, seed):
    """The Interval of how much larger the first score of the model is than that of a rival."""
    score, y = training.scores[0], training.truth
    theirs = score.metric.of(y, rival.answer)
    return intervals([(score.metric, score.ours, theirs)], y, training.answer, rival.answer, seed)[score.metric.title][
        1
    ]


def few(rows):
    """Remarks where few rows test, or tell when to stop."""
    found = []
    if rows["test"] < FEW_TESTS:
        found.append(
            f"only {many(rows['test'], 'row')} test: others would give other scores, see the intervals; another --seed "
            "shows some"
        )
    if 0 < rows["validate"] < FEW_CHECKS:
        found.append(f"only {many(rows['validate'], 'row')} tell when to stop: the epoch that is kept is partly chance")
    return found
