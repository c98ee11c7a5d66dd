"""What the sections of a report say: warnings, other models, thresholds, dependence, worst rows, groups, the end."""

import datetime
import re
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra train")
pytest.importorskip("narwhals", reason="needs narwhals, the extra train")
pytest.importorskip("polars", reason="needs polars, the extra train")
pytest.importorskip("matplotlib", reason="needs matplotlib, the extra train")

import polars as pl
from table_files import flats, people, write_csv

from fastml import cli
from fastml.commands import rivals, train
from fastml.commands.report import classes, dependence, mistakes
from fastml.commands.scores import CLASSIFICATION, REGRESSION

FAST = ("--epochs", "5", "--hidden", "8")


def trained(folder, rows, target, *options):
    """The Training of a table, and the page about it as text without tags."""
    path = folder / "data.parquet"
    if isinstance(rows, pl.DataFrame):
        rows.write_parquet(path)
    else:
        path = write_csv(folder / "data.csv", rows)
    line = ["train", str(path), "--target", target, "--report", str(folder / "r.html"), *FAST, *options]
    kept, learn = [], train.learn
    train.learn = lambda *arguments: kept.append(learn(*arguments)) or kept[-1]
    try:
        assert cli.main([*line, "--model", str(folder / f"{target}.safetensors"), "--overwrite"]) == 0
    finally:
        train.learn = learn
    return kept[0], plain((folder / "r.html").read_text(encoding="utf-8"))


def plain(page):
    text = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)).replace("&#x27;", "'").replace("&gt;", ">")


@pytest.fixture(scope="module")
def leavers(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("leavers"), people(600), "leaves", "--epochs", "60")


@pytest.fixture(scope="module")
def prices(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("prices"), flats(600), "price", "--epochs", "60")


def test_few_rows_are_warned_of(tmp_path, leavers):
    """36 rows without a mistake are no proof, and four of a regression are less."""
    rows = [{"a": f"{k % 3 + 0.01 * (k % 7):.2f}", "kind": "abc"[k % 3]} for k in range(180)]
    training, text = trained(tmp_path, rows, "kind", "--epochs", "200")
    score = training.scores[0]
    assert training.rows["test"] == 36 and score.ours == 1 and score.interval.low == pytest.approx(0.9036, abs=1e-4)
    assert "100.0% 95% interval: 90.4% to 100.0%" in text and "Only 36 rows test" in text
    assert "standard error is 0" not in text and "36 test rows are too few to tell how far" in text
    assert "Only 36 rows test" not in leavers[1] and "Only 36 rows test" not in "".join(leavers[0].notes)
    training, text = trained(tmp_path, list(flats(20)), "price")
    assert "Only 4 rows test" in text and "even the intervals are rough" in text and "nine in ten" not in text


def test_what_test_rows_cannot_tell_is_said(tmp_path):
    """A target that is the same in all test rows: no R², and no verdict."""
    rows = [{"when": k, "a": k * 7 % 5, "y": f"{k * 3 % 11 + 0.5 if k < 90 else 2.5}"} for k in range(112)]
    training, text = trained(tmp_path, rows, "y", "--split", "time:when")
    assert set(training.truth) == {2.5} and np.isnan(training.scores[0].ours)
    assert "cannot tell the R²: their targets are all the same" in text and "– 95%" not in text
    assert "R² – – –" in text and "is higher than that of the baseline" not in text


def test_validation_rows_that_are_equal_still_tell_the_better_model():
    y = np.full(3, 2.0)
    model = type("Model", (), {"predict": lambda self, x: x})()
    score = train.scorer(REGRESSION["r2"])
    assert score(model, y + 0.1, y) > score(model, y + 0.5, y)


def test_other_models_learn_from_the_same_rows(leavers, prices):
    for (training, text), words in ((leavers, "logistic regression"), (prices, "ridge regression")):
        linear = training.rivals[0]
        metric = training.scores[0].metric
        assert linear.name == "linear" and words in text and "learned from the same 480 rows" in text
        assert training.scores[0].others[0] == metric.of(training.truth, linear.answer)
        assert linear.answer.shape == training.answer.shape
    assert prices[0].scores[0].others[0] > 0.9  # street by street: codes are categories to it
    assert "than the linear model" in leavers[1] or "Between it and the linear model" in leavers[1]


def test_the_linear_model_is_the_one_of_scikit_learn(leavers):
    from sklearn.linear_model import LogisticRegression

    training = leavers[0]
    table, y = training.known
    encoder = training.estimator.encoder_
    expected = LogisticRegression(max_iter=200).fit(encoder.transform(table), y)
    p = expected.predict_proba(encoder.transform(training.table))
    np.testing.assert_allclose(training.rivals[0].answer, p, atol=1e-6)


def test_without_lightgbm_there_is_the_linear_model(leavers, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    found, remarks = rivals.rivals(leavers[0], 0)
    assert [rival.name for rival in found] == ["linear"] and remarks == []


def test_lightgbm_is_beside_it_where_it_is_installed(leavers):
    pytest.importorskip("lightgbm", reason="compares with LightGBM")
    training, text = leavers
    assert [rival.name for rival in training.rivals] == ["linear", "LightGBM"]
    assert CLASSIFICATION["accuracy"].of(training.truth, training.rivals[1].answer) > 0.7
    assert "gradient boosting (LightGBM, 100 rounds)" in text


def test_a_part_of_the_rows_is_said_and_a_failure_too(leavers, monkeypatch):
    monkeypatch.setattr(rivals, "MOST_ROWS", 200)
    found, _ = rivals.rivals(leavers[0], 0)
    assert "learned from 200 of the 480 rows that the network had" in found[0].what
    monkeypatch.setattr(rivals, "linear", lambda *_: 1 / 0)
    found, remarks = rivals.rivals(leavers[0], 0)
    assert "linear" not in [rival.name for rival in found] and "linear model to compare with failed" in remarks[0]


def test_plain_training_trains_no_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "rivals", None)
    path = write_csv(tmp_path / "t.csv", people())
    assert cli.main(["train", path, "--target", "leaves", "--model", str(tmp_path / "m.safetensors"), *FAST]) == 0
    assert "linear" not in capsys.readouterr().out


def test_thresholds(leavers):
    """Each line of the table is what counting gives; 0.5 is what predictions use."""
    training, _ = leavers
    y, p = training.truth, training.answer[:, 1]
    text = classes.thresholds(y, p, "yes")
    lines = [re.findall(r"<t[dh][^>]*>([^<]*)</t", line) for line in re.findall(r"<tr.*?</tr>", text)[1:]]
    assert len(lines) in (13, 14) and text.count('<tr class="marked">') in (1, 2)
    for threshold, taken, precision, _, recall, alarms, _ in lines:
        if threshold not in map(str, classes.THRESHOLDS):
            continue
        found = p > float(threshold)
        expected = found.mean(), y[found].mean() if found.any() else np.nan, found[y == 1].mean(), found[y == 0].mean()
        for told, value in zip((taken, precision, recall, alarms), expected, strict=True):
            assert told == "–" if np.isnan(value) else float(told.rstrip("%")) == pytest.approx(100 * value, abs=0.0501)
    assert ((p > 0.5) == training.answer.argmax(axis=1)).all()


def test_a_class_that_is_never_predicted_has_no_precision():
    text = plain(classes.each(np.array([0, 0, 1, 1]), np.zeros(4, int), ["a", "b", "never"]))
    assert "b – 0.0%" in text and "never – – – – 0" in text


def test_partial_dependence_is_the_mean_of_predictions(leavers, prices):
    training, text = prices
    table = training.table
    values = pl.Series("area", [50.0, 120.0])
    means = dependence.mean_answers(training.estimator, table, "area", values)
    expected = [training.estimator.predict(table.with_columns(pl.lit(v).alias("area"))).mean() for v in values]
    np.testing.assert_allclose(means, expected, rtol=1e-6)
    assert means[1] - means[0] > 40_000 and "Partial dependence" in text
    assert "mean probability of yes" in leavers[1] and "basic" in leavers[1]


GRIDS = {
    "numbers": (list(range(100)), True, 20),
    "few": ([1, 2, 3] * 9, False, 3),
    "mostly the same": ([0] * 990 + list(range(1, 31)), True, 20),
    "text": ([*"aaab" * 5, *"cdefghijklmn"], False, 8),
    "dates": ([datetime.date(2020, 1, 1 + k) for k in range(30)], False, 8),
    "gaps": ([None, 1.5, None, 2.5], False, 2),
    "nothing": ([None, None], False, 0),
}


@pytest.mark.parametrize("kind", GRIDS)
def test_the_values_of_a_column_that_are_asked_for(kind):
    values, line, count = GRIDS[kind]
    found, numeric = dependence.grid(pl.Series("count", values))
    assert numeric == line and len(found) == count and set(found) <= set(values) and found.n_unique() == count
    if kind == "text":
        assert found[:2].to_list() == ["a", "b"]


def test_the_worst_rows_are_those_of_the_file(leavers, prices):
    for training, text in (leavers, prices):
        y, p = training.truth, training.answer
        bad = int((p[np.arange(len(y)), y] if p.ndim == 2 else -abs(p - y)).argmin())
        number = int(training.numbers[bad])
        path = (people if p.ndim == 2 else flats)(600)
        row = list(path)[number - 1]
        shown = text[text.index("Row 1 is the first of the data.") :]
        assert re.search(rf" {number} (yes|no|[\d,]+)", shown)
        name = "score" if p.ndim == 2 else "area"
        assert training.table[name][bad] == float(row[name])


GROUPS = {
    "text": (["a", "b", None, "a"], [0, 1, 2, 0], ["a", "b", "missing"]),
    "many": (list("abcdefgha"), [0, 1, 2, 3, 4, 5, 5, 5, 0], ["a", "b", "c", "d", "e", "all others"]),
    "few numbers": ([1.5, None, 10.0, 1.5], [0, 2, 1, 0], ["1.5", "10.0", "missing"]),
    "mostly the same": ([0] * 24 + list(range(1, 8)), [0] * 24 + [1] * 7, ["0", "1 to 7"]),
    "flags": ([True, False, True], [1, 0, 1], ["false", "true"]),
    "nothing": ([None, None], [0, 0], ["missing"]),
}


@pytest.mark.parametrize("name", ["count", "rows", "value", ""])
@pytest.mark.parametrize("kind", GROUPS)
def test_groups_of_a_column(kind, name):
    values, codes, labels = GROUPS[kind]
    found, told = mistakes.grouped(pl.Series(name, values))
    if kind == "flags":
        assert [told[code] for code in found] == ["true", "false", "true"]
    else:
        assert (found.tolist(), told) == (codes, labels)


def test_quarters_hold_all_rows_once():
    column = pl.Series("v", [*np.random.default_rng(0).normal(size=101), None])
    codes, labels = mistakes.grouped(column)
    assert np.bincount(codes).tolist() == [26, 25, 25, 25, 1] and labels[-1] == "missing" and len(labels) == 5


def test_why_it_ended(tmp_path, leavers):
    training, text = trained(tmp_path, people(), "leaves", "--epochs", "3")
    assert training.ended == "all 3 epochs were done" and "It ended as all 3 epochs were done" in text
    training, text = trained(tmp_path, people(), "leaves", "--epochs", "900")
    assert training.ended == "21 epochs in a row did not better the log loss by 0.0001" and training.ended in text
    estimator = training.estimator
    estimator.validation_scores_ = [*estimator.validation_scores_, np.nan]
    assert train.ending(estimator, training).startswith("its weights diverged")


def test_columns_of_all_kinds_and_awkward_names(tmp_path):
    """Categories, dates with gaps, flags, times; names that the libraries use themselves."""
    rng, rows = np.random.default_rng(0), 150
    days = [
        datetime.date(2024, 1, 1) + datetime.timedelta(days=int(k)) if k % 7 else None
        for k in rng.integers(300, size=rows)
    ]
    table = pl.DataFrame({
        "count": pl.Series(rng.choice(["x", "y", "z"], rows), dtype=pl.Categorical),
        "value": days,
        "rows": rng.integers(0, 2, rows).astype(bool),
        "": rng.normal(size=rows),
        "len": pl.Series(rng.integers(5, size=rows), dtype=pl.Int8),
        "gone": [None if k < 100 else f"t{k % 3}" for k in range(rows)],
        "y": rng.integers(2, size=rows),
    })  # fmt: skip
    _, text = trained(tmp_path, table, "y")
    for name in ("count", "value", "rows", "len", "gone"):
        assert f"By {name}." in text or f" {name} " in text
    _, text = trained(tmp_path, table.drop("y").with_columns(pl.Series("p", 1e-9 * rng.normal(size=rows))), "p")
    assert "Histogram of residuals" in text and "nan" not in text.lower().replace("nanmax", "")
