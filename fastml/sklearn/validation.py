"""Rows to validate with: how they are split off, and the score of an estimator for them."""

import copy
import math

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state


def split_off(X, y, weights, share, random_state, strata):
    """The rows to train on and a share to validate with, by chance, as X, y and weights; ValueError for less than 2."""
    arrays = [X, y] if weights is None else [X, y, weights]
    seed = check_random_state(random_state).randint(2**31)
    found = train_test_split(*arrays, random_state=seed, test_size=share, stratify=strata)
    train, rest = found[::2], found[1::2]
    if rest[0].shape[0] < 2:
        raise ValueError(
            f"The validation set is too small: {rest[0].shape[0]} rows. Raise validation_fraction, or give more rows"
        )
    return (*train, *[None] * (3 - len(train))), (*rest, *[None] * (3 - len(rest)))


def make_score(estimator, X, y, weights):
    """A function that gives the score of these rows, larger is better, with the weights as they are.

    NaN where outputs are not finite, which scorers refuse, or make of what they like.
    """
    if estimator.scoring is None:
        return lambda: estimator._score(X, y, weights)
    scorer = check_scoring(estimator, estimator.scoring)
    blind = copy.copy(estimator)  # to names of columns, which these rows have lost
    vars(blind).pop("feature_names_in_", None)
    blind.encoder_, blind.n_features_in_ = None, X.shape[1]
    routed = {} if weights is None else {"sample_weight": weights}

    def score():
        outputs = estimator._outputs(X)
        if not estimator._finite(outputs):
            return math.nan
        blind._known_outputs = X, outputs
        with np.errstate(over="ignore", invalid="ignore"):
            return float(scorer(blind, X, y, **routed))

    return score
