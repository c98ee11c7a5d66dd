"""What the estimators take as X: tables with their encoder, and plain numbers, with names of columns that are text."""

from math import isfinite

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_X_y, validate_data

from fastml.data.arrays import check_unmasked
from fastml.data.reading import as_names, is_dicts, is_plain, is_table
from fastml.sklearn.growth import learn
from fastml.sklearn.labels import check_present

FLOATS = (np.float64, np.float32)
CHECKS = {"accept_sparse": ["csr", "csc"], "dtype": FLOATS, "ensure_all_finite": "allow-nan"}


def checked_rows(estimator, X, y, reset, learns, **checks):
    """X as numbers, and y, checked. Plain numbers may hold NaN, unless these made an encoder of arrays at fit.

    Tables that hold more than numbers are encoded, by rules that `reset` makes, and to which one that `learns` adds
    what these rows tell.
    """
    check_unmasked(X, "X")
    check_unmasked(y, "y")
    check_present(y)
    X, checks = with_text_names(X), CHECKS | checks
    if reset:
        tabular = is_dicts(X) or (is_table(X) and (estimator._encodes or not is_plain(X)))
        estimator.encoder_ = estimator._encoder("float64").fit(X) if tabular else None
    if estimator.encoder_ is not None and estimator.encoder_._named:
        X, y = check_X_y(encoded(estimator, X, learns), y, estimator=estimator, **checks)
        if reset:
            names = estimator.encoder_.feature_names_in_
            estimator.n_features_in_, estimator.feature_names_in_ = len(names), names
        return X, y
    X, y = validate_data(estimator, of_dicts(estimator, X), y, reset=reset, **checks)
    check_sparse(X)
    if reset and not sparse.issparse(X) and (estimator._encodes_arrays or np.isnan(X).any()):
        estimator.encoder_ = estimator._encoder(X.dtype.name).fit(X)
    return X if estimator.encoder_ is None else encoded(estimator, X, learns), y


def checked_numbers(estimator, X):
    """X as the numbers that the network takes, for predictions."""
    if needs_no_check(estimator, X):
        return X
    check_unmasked(X, "X")
    X = with_text_names(X)
    if estimator.encoder_ is None or not estimator.encoder_._named:
        X = validate_data(estimator, of_dicts(estimator, X), reset=False, **CHECKS)
        check_sparse(X)
    return estimator._trained().filled(X) if estimator.encoder_ is None else estimator.encoder_.transform(X)


def needs_no_check(estimator, X):
    """Whether X is a finite array as the estimator wants it, so that scikit-learn would change and say nothing."""
    if type(X) is not np.ndarray or estimator.encoder_ is not None or "feature_names_in_" in vars(estimator):
        return False
    if X.ndim != 2 or X.dtype not in FLOATS or X.shape[1] != estimator.n_features_in_ or not len(X):
        return False
    return isfinite(np.vdot(X, X))  # whose terms are, then


def encoded(estimator, X, learns):
    """The matrix of a table, by an encoder to which one that `learns` adds what it holds."""
    if not learns:
        return estimator.encoder_.transform(X)
    estimator.encoder_, estimator._inputs, X = learn(estimator.encoder_, estimator._inputs, X)
    return X


def of_dicts(estimator, X):
    """Dicts as the matrix of an estimator that was fitted to plain numbers with names; others as they are."""
    if not is_dicts(X) or "feature_names_in_" not in vars(estimator):
        return X
    from pandas import DataFrame

    return DataFrame(estimator._trained().matrix(X), columns=estimator.feature_names_in_)


def with_text_names(X):
    """A DataFrame of pandas with names as text, where some are none; one with the numbers that it has by default stays.

    scikit-learn takes names that are text, all or none of them.
    """
    if type(X).__module__.split(".")[0] != "pandas" or not hasattr(X, "columns"):
        return X
    keys = list(X.columns)
    if all(isinstance(key, str) for key in keys) or keys == list(range(len(keys))):
        return X
    X = X.copy(deep=False)
    X.columns = as_names(keys)
    return X


def check_sparse(X):
    """ValueError for a sparse matrix with NaN, of which one cannot tell whether it is a gap."""
    if sparse.issparse(X) and np.isnan(X.data).any():
        raise ValueError("X is sparse and holds NaN: make it dense, as by X.toarray(), for NaN to be gaps")
