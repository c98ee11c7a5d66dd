"""Which rows `fastml train` tests with: by chance, or the latest; and hints where that is too easy."""

import datetime

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra train")
pytest.importorskip("narwhals", reason="needs narwhals, the extra train")
pytest.importorskip("polars", reason="needs polars, the extra train")

import polars as pl
from table_files import people, write_csv

from fastml import cli
from fastml.commands import CommandError, sharing

FAST = ("--epochs", "3", "--hidden", "8")
KINDS = {
    "dates": lambda k: datetime.date(2024, 1, 1) + datetime.timedelta(days=int(k)),
    "times": lambda k: datetime.datetime(2024, 1, 1) + datetime.timedelta(minutes=int(k)),
    "numbers": lambda k: float(k) / 7,
    "whole numbers": lambda k: int(k),
}


def options(*more):
    return cli.make_parser().parse_args(["train", "t.csv", "--target", "y", *more])


@pytest.mark.parametrize("kind", KINDS)
def test_the_latest_rows_test(kind):
    """Whatever order they come in."""
    order = np.random.default_rng(0).permutation(100)
    column = pl.Series("when", [KINDS[kind](k) for k in order])
    shares = sharing.by_time(column, np.arange(100) % 2, 0.2, True)
    assert sorted(order[shares.test]) == list(range(80, 100)) and sorted(order[shares.train]) == list(range(80))
    assert (np.diff(shares.test) > 0).all() and np.ceil(shares.validation * 80) == 8 and shares.notes == []
    assert shares.how.startswith("the latest by 'when', from ")


def test_rows_of_the_same_time_stay_together():
    column = pl.Series("year", np.repeat([2019, 2020, 2021, 2022], [40, 30, 28, 2]))
    shares = sharing.by_time(column, np.arange(100.0), 0.2, False)
    assert set(column[shares.test]) == {2021, 2022} and set(column[shares.train]) == {2019, 2020}
    assert "30.0% of the rows test, as many share a value of 'year'" in shares.notes


def test_rows_without_a_time_are_learned_from():
    shares = sharing.by_time(pl.Series("t", [None, *range(99)]), np.arange(100.0), 0.2, False)
    assert 0 in shares.train and len(shares.test) == 20
    assert shares.notes == ["1 row without a value of 't' counts as the earliest"]


def test_classes_that_come_up_late_are_told():
    y = np.array(["a", "b"] * 40 + ["a", "new"] * 10)
    shares = sharing.by_time(pl.Series("t", range(100)), y, 0.2, True)
    assert (
        set(y[shares.test]) == {"a"}
        and "10 rows of classes with fewer than 2 earlier rows are left out" in shares.notes
    )


NOT = [
    ({"t": ["x"] * 30}, "time:t", "the column holds String, neither dates nor numbers"),
    ({"t": [1] * 30}, "time:t", "no value parts the rows into enough earlier and later ones"),
    ({"t": range(30)}, "time", "has no column of dates: name the column with --split time:COLUMN"),
    ({"t": range(30)}, "time:y", "this is the target"),
    ({"t": range(30)}, "time:T", "did you mean 't'"),
    (
        {"t": [datetime.date(2024, 1, 1)] * 30, "u": [datetime.date(2024, 1, 1)] * 30},
        "time",
        "several columns of dates",
    ),
]


@pytest.mark.parametrize("columns, split, message", NOT)
def test_what_tells_no_time_is_refused(columns, split, message):
    table = pl.DataFrame({**columns, "y": [k % 2 for k in range(30)]})
    goal = sharing_goal(table["y"].to_numpy())
    with pytest.raises(CommandError, match=message):
        sharing.share(options("--split", split), table, goal)


def sharing_goal(y):
    from fastml.commands.target import Target

    return Target("classification", "", y, np.ones(len(y), bool), [])


@pytest.mark.parametrize("word", ["Random", "date", "", "time-of-day"])
def test_other_words_are_refused_in_a_line(word, capsys):
    with pytest.raises(SystemExit):
        options("--split", word)
    assert f"must be random, time or time:COLUMN, got '{word}'" in capsys.readouterr().err


def test_the_only_column_of_dates_and_names_with_colons():
    table = pl.DataFrame({"a:b": range(3), "d": [datetime.date(2024, 1, k) for k in (1, 2, 3)], "y": [1, 2, 1]})
    assert sharing.time_column(options("--split", "time"), table) == "d"
    assert sharing.time_column(options("--split", "time:a:b"), table) == "a:b"


def test_the_command_tests_on_the_latest_rows(tmp_path, monkeypatch, capsys):
    """Also by a column that is not learned from; a model that knows the past only is worse where things change."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [{"t": k, "a": rng.integers(2), "b": rng.normal()} for k in range(400)]
    write_csv("t.csv", [{**row, "y": row["a"] if row["t"] < 300 else 1 - row["a"]} for row in rows])
    accuracy = {}
    for split in ("random", "time:t"):
        line = ["train", "t.csv", "--target", "y", "--drop", "t", "--split", split, "--epochs", "40"]
        assert cli.main(line) == 0
        out = capsys.readouterr().out
        accuracy[split] = float(
            next(line.split()[1] for line in out.splitlines() if line.startswith("accuracy")).rstrip("%")
        )
    assert "80 to test with, the latest by 't', from 320 on" in out
    assert accuracy["random"] > 60 and accuracy["time:t"] < 20


def hints(table, *more):
    y = np.arange(table.height) % 2
    shares = sharing.Shares(np.arange(0, table.height, 2), np.arange(1, table.height, 2), 0.1, [], "")
    return sharing.hints(options(*more), table, y, shares)


def test_what_makes_a_random_choice_too_easy_is_told():
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=k) for k in range(60)]
    noise = np.random.default_rng(0).normal(size=60)
    dates, ids = pl.DataFrame({"d": days, "a": noise}), pl.DataFrame({"the id": range(60), "a": noise})
    assert "'d' holds dates" in hints(dates)[0] and "--split time:d " in hints(dates)[0]
    assert "'the id' rises from row to row" in hints(ids)[0] and "--split 'time:the id'" in hints(ids)[0]
    assert hints(dates, "--split", "time:d") == [] == hints(pl.DataFrame({"a": noise}))
    assert hints(pl.DataFrame({"n": [*range(59), 3], "a": noise})) == []


def test_rows_that_are_on_both_sides_are_counted():
    """With the same target, value by value, missing ones too."""
    table = pl.DataFrame({"a": np.repeat(np.arange(40), 2), "b": [None] * 80})
    assert hints(table) == []  # the same values, but the other class
    table = pl.DataFrame({"a": np.repeat(np.arange(20), 4) + 0.5, "b": [None] * 80})
    y = np.zeros(80)
    shares = sharing.Shares(np.arange(0, 80, 2), np.arange(1, 80, 2), 0.1, [], "")
    assert "40 test rows of 40 are also among the rows to learn from" in sharing.hints(options(), table, y, shares)[0]
    apart = sharing.Shares(np.arange(40), np.arange(40, 80), 0.1, [], "")
    assert sharing.hints(options(), table, y, apart) == []


def test_the_report_says_how_rows_were_chosen(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib, the extra train")
    path, report = write_csv(tmp_path / "t.csv", people()), tmp_path / "r.html"
    line = ["train", path, "--target", "leaves", "--model", str(tmp_path / "m.safetensors"), "--report", str(report)]
    assert cli.main([*line, *FAST, "--split", "time:since"]) == 0
    text = report.read_text(encoding="utf-8")
    assert "the latest by &#x27;since&#x27;, from 20" in text and "too easy" not in text
    assert cli.main([*line, *FAST]) == 0
    text = report.read_text(encoding="utf-8")
    assert "drawn by chance, as many of each class as its share" in text and "too easy" in text
