"""Other models on the same rows, to compare with: a linear one of scikit-learn, and LightGBM where it is installed.

They get what the network gets, the encoded columns, and stay at their defaults. On large tables they learn from a part
of the rows, and LightGBM ends after some seconds: they are there for a comparison, not to be at their best.
"""

import time
import warnings
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from fastml.commands.figures import count, many
from fastml.commands.scores import normalized
from fastml.data.encodings import Codes

MOST_ROWS, MOST_CELLS = 100_000, 10**7  # that they learn from; cells of the linear model are rows × features × classes
ITERATIONS, SECONDS, LEAST_ROUNDS = 200, 8.0, 20  # of the logistic regression; of LightGBM
MOST_CODES = 100  # categories of a column that have a feature of their own in the linear model


class Rival(NamedTuple):
    """A model beside the network. answer : predictions of the test rows, as metrics take them."""

    name: str
    what: str
    answer: np.ndarray


def rivals(training, seed):
    """The Rivals of a Training that has its rows to learn from (`known`), and a list of remarks."""
    table, y = training.known
    encoder, classes = training.estimator.encoder_, getattr(training.estimator, "classes_", None)
    found, remarks = [], []
    x_test = encoder.transform(training.table)
    for name, fit, most in (("linear", linear, linear_rows(encoder, classes)), ("LightGBM", lightgbm, MOST_ROWS)):
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(len(y), most, replace=False)) if most < len(y) else np.arange(len(y))
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of convergence and names, which change nothing here
                told = fit(encoder, encoder.transform(table[rows]), y[rows], x_test, classes, seed)
        except (ArithmeticError, MemoryError, TypeError, ValueError) as error:
            remarks.append(f"the {name} model to compare with failed: {error}")
            continue
        if told is not None:
            part = f"{count(len(rows))} of the {count(len(y))}" if len(rows) < len(y) else f"the same {count(len(y))}"
            what, answer = told
            seconds = time.perf_counter() - start
            what = f"{what}; learned from {part} rows that the network had, in {seconds:.2f} s"
            found.append(Rival(name, what, normalized(answer)))
    return found, remarks


def linear_rows(encoder, classes):
    """How many rows the linear model may learn from."""
    width = sum(min(len(e.categories), MOST_CODES) if isinstance(e, Codes) else e.width for e in encoder._encodings)
    outputs = 1 if classes is None or len(classes) == 2 else len(classes)
    return min(MOST_ROWS, max(1000, MOST_CELLS // (width * outputs)))


def linear(encoder, x, y, x_test, classes, seed):
    """What it is, and predictions, of a logistic regression or ridge regression."""
    x, x_test = (spread_codes(encoder, part) for part in (x, x_test))
    if classes is None:
        return "ridge regression (scikit-learn's Ridge)", Ridge().fit(x, y).predict(x_test)
    model = LogisticRegression(max_iter=ITERATIONS).fit(x, y)
    return "logistic regression (scikit-learn's LogisticRegression)", all_classes(model, x_test, classes)


def spread_codes(encoder, x):
    """Encoded rows with a column of 0 and 1 for each of the most frequent categories in the place of their codes."""
    parts, start, codes = [], 0, False
    for encoding in encoder._encodings:
        part = x[:, start : start + encoding.width]
        start += encoding.width
        if isinstance(encoding, Codes):
            codes, number = True, part[:, 0].astype(int)
            rows = np.flatnonzero((number > 0) & (number <= MOST_CODES))
            shape = len(x), min(len(encoding.categories), MOST_CODES) or 1
            part = sparse.csr_matrix((np.ones(len(rows)), (rows, number[rows] - 1)), shape=shape)
        parts.append(part)
    return sparse.hstack([sparse.csr_matrix(part) for part in parts], format="csr") if codes else x


def lightgbm(encoder, x, y, x_test, classes, seed):
    """What it is, and predictions, of LightGBM; None where it is not installed."""
    try:
        from lightgbm import LGBMClassifier, LGBMRegressor
        from lightgbm.callback import EarlyStopException
    except (ImportError, OSError):  # the latter without its OpenMP library
        return None
    places = np.cumsum([0, *(e.width for e in encoder._encodings)])
    codes = [int(k) for k, e in zip(places, encoder._encodings, strict=False) if isinstance(e, Codes)]
    end = time.perf_counter() + SECONDS

    def stop(state):
        if time.perf_counter() > end:
            raise EarlyStopException(state.iteration, [])

    # More threads wait for each other by turning in circles, which takes ten times as long where other programs work.
    kind = LGBMRegressor if classes is None else LGBMClassifier
    model = kind(verbose=-1, n_jobs=1, random_state=seed % 2**31, deterministic=True)
    model.fit(x, y, callbacks=[stop], categorical_feature=codes or "auto")
    rounds = model.booster_.current_iteration()
    cut = rounds < model.n_estimators and time.perf_counter() > end
    if cut and rounds < LEAST_ROUNDS:
        raise ValueError(f"it came to {many(rounds, 'round')} only in {SECONDS:g} s")
    what = f"gradient boosting (LightGBM, {many(rounds, 'round')}"
    what += f" of {model.n_estimators}, as it ends after {SECONDS:g} s: not at its best)" if cut else ")"
    return what, model.predict(x_test) if classes is None else all_classes(model, x_test, classes)


def all_classes(model, x, classes):
    """Probabilities (rows, classes), also where the model has not met all of the classes."""
    p = np.full((x.shape[0], len(classes)), 0.0)
    p[:, model.classes_.astype(int)] = model.predict_proba(x)
    return p
