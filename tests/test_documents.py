"""What the documents show runs as it stands there."""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import same_bits

import fastml
from fastml import Dense, Sequential


def examples(name="README.md"):
    text = (Path(__file__).parent.parent / name).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_examples_of_the_readme(capsys):
    first, _, last = examples()
    exec(first, names := {})
    assert names["accuracy"] > 0.9
    assert "the first one is a 0" in capsys.readouterr().out
    exec(last, names := {})
    assert max(names["model"].history.history["val_accuracy"]) > 0.9
    check = capsys.readouterr().out
    assert "gradient check of" in check and "complex step" in check


@pytest.mark.filterwarnings("ignore:the training has not converged")
def test_the_example_with_a_table(capsys, monkeypatch, tmp_path):
    for module, extra in (("sklearn", "sklearn"), ("narwhals", "tables"), ("pandas", "frames")):
        pytest.importorskip(module, reason=f"needs {module}, the extra {extra}")
    monkeypatch.chdir(tmp_path)
    exec(examples()[1], names := {})
    assert names["model"].score(names["guests"].drop(columns="comes"), names["guests"]["comes"]) == 1
    first, second = names["model"].predict_proba(names["guests"][["age", "city", "member"]][:2])
    assert first[1] > 0.5 > second[1]  # yes, then no
    assert "[[" in capsys.readouterr().out


def test_the_example_of_a_training_that_is_started_again(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (code,) = examples("docs/promises.md")
    x, y = np.eye(4), np.arange(4.0)
    models = [Sequential([Dense(1)], seed=seed) for seed in (1, 2)]
    for model in models:
        model.compile()
        exec(code.replace("epochs=1000", "epochs=20"), {"fastml": fastml, "model": model, "x": x, "y": y})
    assert same_bits(*(model.get_weights() for model in models)), "the second has nothing left to do"
    assert len(models[1].history.epoch) == 20


@pytest.mark.filterwarnings("ignore:the training has not converged")
def test_the_examples_of_many_models(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    first, folds, second, ensemble, estimator, optuna, chunks = examples("docs/many.md")
    exec(first.replace("range(200)", "range(6)"), names := {})
    assert len(names["results"].finished) == 30 and names["scores"].max() > 0.9
    assert "Results(30 of 30 models trained); the best has 9" in capsys.readouterr().out
    exec(folds, names)
    assert (names["unseen"] == names["y"]).mean() > 0.95 and len(names["least"]) == 5
    exec(ensemble, names)
    assert (names["unseen"] == names["y"]).mean() > 0.95
    assert repr(fastml.load("digits.safetensors")) == "Ensemble(20 models, 64 features, 10 outputs)"
    pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")
    exec(second.replace("space, random", "space, n_iter=2, random"), names)
    assert names["search"].best_score_ > 0.9
    exec(chunks, names)
    assert "Results(30 of 30 models trained)" in capsys.readouterr().out
    exec(estimator, names)
    assert names["model"].oob_score_ > 0.95
    pytest.importorskip("optuna", reason="needs optuna, the extra optuna")
    exec(optuna.replace("n_trials=50", "n_trials=4"), names)
    assert names["study"].best_value > 0.8


@pytest.mark.parametrize("name", ["many", "ensemble", "sequential"])
def test_the_examples_of_modules(name):
    result = doctest.testmod(importlib.import_module(f"fastml.{name}"))
    assert result.attempted > 0 and result.failed == 0


@pytest.mark.parametrize("name", ["classifier", "regressor", "tabular"])
def test_the_examples_of_the_estimators(name):
    pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")
    result = doctest.testmod(importlib.import_module(f"fastml.sklearn.{name}"))
    assert result.attempted > 0 and result.failed == 0
