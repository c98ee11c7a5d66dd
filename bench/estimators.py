"""The estimators of `fastml.sklearn` beside scikit-learn's own, on the data sets that come with scikit-learn.

Both have their defaults, scikit-learn's behind a StandardScaler. First it is checked that scikit-learn's network
computes the same from fastml's weights. Then 5-fold scores (accuracy or R²) and the times of the same fits, in turns:
the median over folds and repetitions, and of the ratios of neighbours. fastml is warm: its compilation, once on a
machine, is not in. Run from the root of the repository, with nothing else on the machine:

    .venv/bin/python bench/estimators.py
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_linnerud, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastml import sklearn as ours

DATA = {
    "iris": load_iris,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
    "digits": load_digits,
    "diabetes": load_diabetes,
    "linnerud": load_linnerud,
}
REGRESSIONS = ("diabetes", "linnerud")


def models(name, seed, dtype="auto"):
    """fastml's estimator and scikit-learn's pipeline, as makers of new ones."""
    kind = "MLPRegressor" if name in REGRESSIONS else "MLPClassifier"
    theirs = MLPRegressor if name in REGRESSIONS else MLPClassifier
    return (
        lambda: getattr(ours, kind)(random_state=seed, dtype=dtype),
        lambda: make_pipeline(StandardScaler(), theirs(random_state=seed)),
    )


def check_equality(name, X, y):
    """scikit-learn's network with our weights must predict what ours does."""
    mine, _ = (make() for make in models(name, 0))
    mine.fit(X, y)
    theirs = (MLPRegressor if name in REGRESSIONS else MLPClassifier)(max_iter=1, random_state=0).fit(X, y)
    theirs.coefs_, theirs.intercepts_ = mine.coefs_, mine.intercepts_
    method = "predict" if name in REGRESSIONS else "predict_proba"
    found, expected = getattr(mine, method)(X), getattr(theirs, method)(X)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def compare(name, repetitions, dtype):
    """Scores of all folds and seconds of all fits, arrays (2, fits): fastml, then scikit-learn; epochs likewise."""
    X, y = DATA[name](return_X_y=True)
    check_equality(name, X, y)
    split = KFold if name in REGRESSIONS else StratifiedKFold
    scores, seconds, epochs = ([], []), ([], []), ([], [])
    for seed in range(repetitions):
        for train, test in split(5, shuffle=True, random_state=seed).split(X, y):
            for k, make in enumerate(models(name, seed, dtype)):
                model = make()
                start = time.perf_counter()
                model.fit(X[train], y[train])
                seconds[k].append(time.perf_counter() - start)
                scores[k].append(model.score(X[test], y[test]))
                epochs[k].append((model if k == 0 else model[-1]).n_iter_)
    return np.array(scores), np.array(seconds), np.array(epochs)


def main():
    parser = argparse.ArgumentParser(description="Compares the estimators with scikit-learn's.")
    parser.add_argument("--repetitions", type=int, default=3, help="seeds of folds and weights; default: %(default)s")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA), help="default: all")
    parser.add_argument("--dtype", default="auto", help="of fastml's estimators; default: %(default)s, float64 here")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| data | score: fastml | scikit-learn | fit, ms: fastml | scikit-learn | ratio | epochs | scikit-learn |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: |")
    for name in arguments.data:
        scores, seconds, epochs = compare(name, arguments.repetitions, arguments.dtype)
        mine, theirs = 1e3 * np.median(seconds, axis=1)
        ratio = np.median(seconds[1] / seconds[0])
        cells = [f"{score:.4f}" for score in scores.mean(axis=1)] + [f"{mine:.1f}", f"{theirs:.0f}", f"{ratio:.1f}×"]
        print(f"| {name} | {' | '.join(cells)} | {' | '.join(f'{count:.0f}' for count in np.median(epochs, axis=1))} |")


if __name__ == "__main__":
    main()
