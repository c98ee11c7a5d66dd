"""Accuracy on tables, and seconds: fastml's recipes beside gradient-boosted trees and scikit-learn's networks.

Everything has its defaults. Adult has its official test rows, California every fifth row of an order by chance; the
folder with both is named by the environment variable FASTML_DATA, see below. Others are those that come with
scikit-learn, and generated ones, in five folds of which one is tested. Libraries that are not installed are left out.
Test rows are looked at once, here. Run from the root of the repository, with nothing else on the machine:

    FASTML_DATA=folder .venv/bin/python bench/tables.py

The folder holds adult.csv.gz (a column `split` is "train" or "test", the target is `income`) and california.csv.gz (the
last column is the target; numpy.random.default_rng(0).permutation(20640) has the 16 512 rows to train on first).
"""

import argparse
import os
import time
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_wine,
    make_classification,
    make_friedman1,
)
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastml import sklearn as ours

BUNDLED = {
    "breast cancer": (load_breast_cancer, True),
    "wine": (load_wine, True),
    "digits": (load_digits, True),
    "diabetes": (load_diabetes, False),
}


def adult(folder):
    frame = pd.read_csv(folder / "adult.csv.gz")
    test = (frame.pop("split") == "test").to_numpy()
    target = (frame.pop("income").str.contains(">50K")).to_numpy().astype(int)
    return frame[~test], frame[test], target[~test], target[test]


def california(folder):
    frame = pd.read_csv(folder / "california.csv.gz")
    order = np.random.default_rng(0).permutation(len(frame))
    target = frame.pop(frame.columns[-1]).to_numpy()
    train, test = order[:16_512], order[16_512:]
    return frame.iloc[train], frame.iloc[test], target[train], target[test]


def tables():
    """By name: rows and targets to train on and to test with, and whether these are classes."""
    folder = os.environ.get("FASTML_DATA")
    if folder:
        yield "Adult", adult(Path(folder)), True
        yield "California", california(Path(folder)), False
    else:
        print("FASTML_DATA is not set: Adult and California are left out")
    made = {name: (*load(return_X_y=True), classes) for name, (load, classes) in BUNDLED.items()}
    made["generated classes"] = *make_classification(8000, 20, n_informative=8, n_classes=4, random_state=0), True
    made["Friedman 1"] = *make_friedman1(8000, 10, noise=1.0, random_state=0), False
    for name, (X, y, classes) in made.items():
        parts = train_test_split(pd.DataFrame(X).add_prefix("x"), y, test_size=0.2, random_state=0)
        yield name, parts, classes


def plain(frame, network):
    """Numbers of a frame for libraries that take no text: one-hot, and standardized for a network."""
    text = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    numbers = [name for name in frame if name not in text]
    hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(frame[text].fillna("?")) if text else None
    scale = StandardScaler().fit(frame[numbers]) if network else None

    def matrix(rows):
        x = scale.transform(rows[numbers]) if network else rows[numbers].to_numpy()
        return np.hstack([x, hot.transform(rows[text].fillna("?"))]) if text else x

    return matrix


def categorical(frame):
    """The frame with text as categories, as LightGBM takes it."""
    return frame.astype({name: "category" for name in frame if not pd.api.types.is_numeric_dtype(frame[name])})


def contenders(classes, frame):
    """By name: an estimator, and a function of rows that gives what it takes; None where a library is missing."""
    kind = "Classifier" if classes else "Regressor"
    for preset in ("fast", "default", "best"):
        yield f"fastml Tabular{kind}, {preset}", getattr(ours, f"Tabular{kind}")(preset, random_state=0), lambda x: x
    yield f"fastml MLP{kind}", getattr(ours, f"MLP{kind}")(random_state=0), lambda x: x
    for module, name, options, how in (
        ("lightgbm", f"LGBM{kind}", {"verbose": -1, "random_state": 0}, categorical),
        ("xgboost", f"XGB{kind}", {"random_state": 0}, plain(frame, network=False)),
        ("catboost", f"CatBoost{kind}", {"verbose": 0, "random_seed": 0, "allow_writing_files": False}, None),
        ("sklearn.ensemble", f"HistGradientBoosting{kind}", {"random_state": 0}, plain(frame, network=False)),
        ("sklearn.neural_network", f"MLP{kind}", {"random_state": 0}, plain(frame, network=True)),
    ):
        try:
            made = getattr(import_module(module), name)(**options)
        except ImportError:
            continue
        yield f"{module.split('.')[0]} {name}", made, how or plain(frame, network=False)


def measured(estimator, how, parts, classes):
    """Scores, and seconds of fit and of predicting the test rows."""
    train, test, y, truth = parts
    start = time.perf_counter()
    estimator.fit(how(train), y)
    fitted = time.perf_counter()
    found = estimator.predict_proba(how(test)) if classes else estimator.predict(how(test))
    end = time.perf_counter()
    if classes:
        labels = np.unique(y)
        scores = accuracy_score(truth, labels[found.argmax(axis=1)]), log_loss(truth, found, labels=labels)
        told = f"{scores[0]:.4f}, log loss {scores[1]:.4f}"
        return scores[1], told, fitted - start, end - fitted
    error = root_mean_squared_error(truth, found)
    return error, f"RMSE {error:.4f}", fitted - start, end - fitted


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="tables whose names hold this")
    parser.add_argument("--without", default="", help="contenders whose names hold one of these, parted by commas")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    without, ranks = [word for word in arguments.without.split(",") if word], {}
    for name, parts, classes in tables():
        if arguments.only and arguments.only not in name:
            continue
        print(f"{name}: {len(parts[0])} rows, {parts[0].shape[1]} columns, {len(parts[1])} to test with")
        errors = {}
        for label, estimator, how in contenders(classes, parts[0]):
            if any(word in label for word in without):
                continue
            error, told, fit, predict = measured(estimator, how, parts, classes)
            errors[label.replace("Classifier", "…").replace("Regressor", "…")] = error
            print(f"  {label:42} {told:28} fit {fit:7.2f} s, predict {predict:6.3f} s", flush=True)
        for rank, label in enumerate(sorted(errors, key=errors.get), 1):
            ranks.setdefault(label, []).append(rank)
    print("mean rank by log loss and RMSE")
    for label in sorted(ranks, key=lambda label: np.mean(ranks[label])):
        print(f"  {label:42} {np.mean(ranks[label]):.2f} of {len(ranks[label])} tables")


if __name__ == "__main__":
    main()
