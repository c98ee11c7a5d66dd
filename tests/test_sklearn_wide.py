"""Sparse matrices: the same bits as the dense ones, and the memory of one dense matrix."""

import tracemalloc
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")

from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from fastml.sklearn import MLPClassifier, MLPRegressor, wide
from fastml.sklearn.medians import known_medians

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


def rows(n=80, d=50, share=0.1):
    X = sparse.random_array((n, d), density=share, rng=np.random.default_rng(0), format="csr")
    return X, np.arange(n) % 2


def bits(model):
    return [w.tobytes() for w in model.model_.get_weights()]


@pytest.fixture
def narrow(monkeypatch):
    """Blocks of a few columns and rows."""
    monkeypatch.setattr(wide, "NUMBERS", 600)
    monkeypatch.setattr("fastml.trained.BLOCK", 600)


@pytest.mark.parametrize("normalization", ["standard", "minmax", "robust", None])
@pytest.mark.parametrize("dtype", ["float32", "float64", "auto"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_bits_as_the_dense_matrix(normalization, dtype, weighted, narrow):
    X, y = rows()
    weights = np.random.default_rng(1).integers(0, 3, len(y)).astype(float) if weighted else None
    models = [MLPClassifier(normalization=normalization, dtype=dtype, **SMALL) for _ in range(2)]
    for model, x in zip(models, (X, X.toarray()), strict=True):
        model.fit(x, y, weights)
        model.partial_fit(x, y, weights)
        np.testing.assert_array_equal(known_medians(model), np.median(X.toarray(), axis=0))
    assert bits(models[0]) == bits(models[1])
    np.testing.assert_array_equal(models[0].predict_proba(X), models[1].predict_proba(X.toarray()))


@pytest.mark.parametrize("normalization", ["standard", "robust", None])
def test_chunks(normalization, narrow):
    X, y = rows()
    models = [MLPRegressor(normalization=normalization, **SMALL) for _ in range(2)]
    for model, x in zip(models, (X, X.toarray()), strict=True):
        for start in range(0, 80, 20):
            model.partial_fit(x[start : start + 20], y[start : start + 20])
    assert bits(models[0]) == bits(models[1])
    np.testing.assert_array_equal(known_medians(models[0]), known_medians(models[1]))


@pytest.mark.parametrize("form", ["csc", "coo", "lil", "dok", "bsr"])
def test_other_forms(form, narrow):
    X, y = rows()
    expected = bits(MLPClassifier(early_stopping=True, **SMALL).fit(X, y))
    assert bits(MLPClassifier(early_stopping=True, **SMALL).fit(X.asformat(form), y)) == expected


def test_columns_far_from_zero_and_numbers_beyond_the_dtype(narrow):
    X, y = rows()
    far = sparse.csr_array(X.toarray() + 1.7e9)
    models = [MLPRegressor(dtype="float32", **SMALL).fit(x, y) for x in (far, far.toarray())]
    assert bits(models[0]) == bits(models[1]) and models[0].model_._engine.shift is not None
    huge = X.copy()
    huge.data[3] = 1e300
    for x in (huge, huge.toarray()):
        with pytest.raises(ValueError, match=r"1e\+300 at row .*, beyond the range of float32"):
            MLPRegressor(dtype="float32", normalization=None, **SMALL).fit(x, y)


@pytest.mark.parametrize("dtype, size", [("float32", 4), ("float64", 8)])
def test_wide_text_takes_the_memory_of_the_matrix_once(dtype, size):
    X, y = rows(600, 30_000, 0.002)
    model = MLPClassifier(dtype=dtype, **SMALL)
    MLPClassifier(dtype=dtype, **SMALL).fit(*rows())
    tracemalloc.start()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit(X, y)
    fitted, dense = tracemalloc.get_traced_memory()[1], 600 * 30_000 * size
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    model.predict(X)
    predicted = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    blocks = 150e6  # of 34 MB each, and what a net of so many inputs has of weights, statistics and workspaces
    assert fitted < dense + blocks and predicted < 100e6 + blocks
    told = [str(w.message) for w in told if w.category is not ConvergenceWarning]
    note = (
        "X is a sparse matrix of shape (600, 30000), which becomes a dense one of 144 MB; with dtype='float32' it takes"
    )
    assert told == ([] if dtype == "float32" else [f"{note} half of that"])
