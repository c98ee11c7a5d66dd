"""``fastml train`` and ``fastml predict``: what they write, say and refuse."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra train")
pytest.importorskip("narwhals", reason="needs narwhals, the extra train")
pytest.importorskip("polars", reason="needs polars, the extra train")

import polars as pl
from helpers import same_bits
from table_files import flats, people, write_csv

import fastml
from fastml import cli
from fastml.commands import columns, outputs, scores, target
from fastml.commands.files.typed import read_table
from fastml.process.signals import hold_interrupts
from fastml.sklearn import MLPClassifier, MLPRegressor

FAST = ("--epochs", "3", "--hidden", "8")


def run(capsys, *arguments):
    """Exit code, and the texts on standard output and standard error."""
    try:
        code = cli.main(list(map(str, arguments)))
    except SystemExit as end:
        code = end.code
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def refused(capsys, *arguments):
    """The line that a mistake gives."""
    code, _, err = run(capsys, *arguments)
    assert code == cli.FAILED and err.count("\n") == 1 and err.startswith("fastml")
    return err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv("people.csv", people())
    write_csv("flats.csv", flats())
    return tmp_path


def test_classes_from_the_table_to_predictions(here, capsys):
    """The model is better than the baseline, and both ways to ask it have the same answer."""
    code, out, err = run(capsys, "train", "people.csv", "--target", "leaves")
    assert code == 0 and not err
    assert "classification, as the target 'leaves' holds text, 2 different values" in out
    assert "column 'id' is left out: " in out and "column 'same' is left out" in out and "'empty' is left out" in out
    _, ours, *_, theirs = next(line.split() for line in out.splitlines() if line.startswith("accuracy"))
    assert float(ours.rstrip("%")) > float(theirs.rstrip("%")) + 10
    model = fastml.load("people.safetensors")
    assert isinstance(model, MLPClassifier) and model.classes_.tolist() == ["no", "yes"]

    code, out, err = run(capsys, "predict", "people.safetensors", "people.csv", "-o", "out.csv", "--keep", "id")
    assert code == 0 and not out and "does not use: 'same', 'empty'\n" in err
    found = pl.read_csv("out.csv")
    assert found.columns == ["id", "prediction", "probability no", "probability yes"]
    table = read_table("people.csv")
    assert found["id"].to_list() == table["id"].to_list()
    rows = table.select(model.feature_names_in_.tolist())
    assert found["prediction"].to_list() == model.predict(rows).tolist()
    np.testing.assert_allclose(found[:, 2:].to_numpy(), model.predict_proba(rows), atol=1e-7)


def test_numbers_from_the_table_to_predictions(here, capsys):
    code, out, err = run(capsys, "train", "flats.csv", "--target", "price", "--model", "m.safetensors", "--seed", "3")
    assert code == 0 and not err and "regression, as the target 'price' holds numbers" in out
    model = fastml.load("m.safetensors")
    assert isinstance(model, MLPRegressor)
    code, out, err = run(capsys, "predict", "m.safetensors", "flats.csv")
    assert (
        code == 0 and out.startswith("prediction\n") and "by the answers in column 'price', of 200 rows: R² 0.9" in err
    )
    table = read_table("flats.csv")
    expected = model.predict(table.drop("price"))
    np.testing.assert_allclose(np.array(out.split()[1:], float), expected, rtol=1e-6)
    assert model.score(table.drop("price"), table["price"].to_numpy()) > 0.9


def test_the_same_seed_gives_the_same_weights(here, capsys):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(capsys, "train", "flats.csv", "--target", "price", "--model", f"{name}.safetensors", "--seed", seed, *FAST)
    a, b, c = (fastml.load(f"{name}.safetensors").model_.get_weights() for name in "abc")
    assert same_bits(a, b) and not same_bits(a, c)


def test_gaps_and_order_may_be_others_than_in_training(here, capsys):
    """Numbers without gaps are encoded, too; text that looks like numbers stays text."""
    rows = [{"a": k % 7, "b": f"{k / 9:.3f}", "code": f"0{k % 3}" if k % 5 else "x", "y": k % 2} for k in range(80)]
    write_csv("plain.csv", rows)
    assert run(capsys, "train", "plain.csv", "--target", "y", *FAST)[0] == 0
    (here / "new.csv").write_text("code,b,a\n01,,3\n02,0.5,\n")
    code, out, err = run(capsys, "predict", "plain.safetensors", "new.csv")
    assert code == 0 and not err and len(out.splitlines()) == 3
    assert out.splitlines()[0] == "prediction,probability 0,probability 1"


@pytest.mark.parametrize("suffix", ["parquet", "tsv"])
def test_other_files(suffix, here, capsys):
    table = read_table("people.csv")
    table.write_parquet("t.parquet") if suffix == "parquet" else table.write_csv("t.tsv", separator="\t")
    assert run(capsys, "train", f"t.{suffix}", "--target", "leaves", *FAST)[0] == 0
    assert run(capsys, "predict", "t.safetensors", f"t.{suffix}", "-o", f"out.{suffix}")[0] == 0
    found = read_table(f"out.{suffix}")
    assert found.columns == ["prediction", "probability no", "probability yes"] and found.height == 200


def test_semicolons_and_decimal_commas(tmp_path):
    path = write_csv(tmp_path / "t.csv", [{"a": "1,5", "b": "x,y", "c": ""}, {"a": "-2", "b": "z", "c": "NA"}], ";")
    table = read_table(path)
    assert table["a"].to_list() == [1.5, -2] and table["b"].to_list() == ["x,y", "z"]
    assert table["c"].null_count() == 2


def test_a_target_with_gaps_and_rare_classes(here, capsys):
    rows = [{"a": k % 9, "y": ["x", "z"][k % 2]} for k in range(60)]
    rows[3]["y"], rows[4]["y"] = "", "once"
    write_csv("t.csv", rows)
    code, out, _ = run(capsys, "train", "t.csv", "--target", "y", *FAST)
    assert code == 0 and "1 row without a target left out" in out
    assert "1 row of classes with fewer than 5 left out: 'once'" in out
    assert fastml.load("t.safetensors").classes_.tolist() == ["x", "z"]


COLUMNS = [
    (["a", "b"] * 9, "classification"),
    ([True, False] * 9, "classification"),
    ([1, 2, 3] * 6, "classification"),
    ([1.0, 2.0] * 9, "classification"),
    (list(range(18)), "regression"),
    ([1.5, 2.0] * 9, "regression"),
]


@pytest.mark.parametrize("values, task", COLUMNS)
def test_the_task_is_told_by_the_target(values, task):
    found = target.read_target(pl.Series("y", values))
    assert found.task == task and found.why.startswith("as the target 'y' ") and found.kept.all()
    assert found.values.tolist() == values and found.values.dtype.kind in ("Ubi" if task == "classification" else "f")


def test_the_task_may_be_asked_for():
    found = target.read_target(pl.Series("y", [1, 2, 3] * 6), "regression")
    assert found.task == "regression" and found.why.startswith("as asked for; ")


def test_each_class_is_in_each_part():
    values = np.repeat(["a", "b", "c"], [100, 30, 6])
    train, test, validation = target.share_out(values, 0.2, True, seed=0)
    assert sorted([*train, *test]) == list(range(136)) and len(test) == 27
    assert set(values[train]) == set(values[test]) == {"a", "b", "c"}
    assert np.ceil(validation * len(train)) == 11


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1", "roc_auc", "log_loss"])
def test_metrics_of_classes(metric, here, capsys):
    code, out, _ = run(capsys, "train", "people.csv", "--target", "leaves", "--metric", metric, *FAST)
    assert code == 0 and f"the best {scores.CLASSIFICATION[metric].title} and was kept" in out


def test_metrics_are_those_of_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(0)
    p, y = rng.dirichlet(np.ones(3), 50), rng.integers(3, size=50)
    found = {name: metric.of(y, p) for name, metric in scores.CLASSIFICATION.items()}
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, p.argmax(axis=1)))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(y, p.argmax(axis=1)))
    assert found["f1"] == pytest.approx(metrics.f1_score(y, p.argmax(axis=1), average="macro"))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p))
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(y, p, multi_class="ovr"))
    a, b = rng.normal(size=(2, 50))
    found = {name: metric.of(a, b) for name, metric in scores.REGRESSION.items()}
    assert found["r2"] == pytest.approx(metrics.r2_score(a, b))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(a, b))
    assert np.isnan(scores.auc(np.zeros(4, int), p[:4, :2]))


def test_columns_that_are_left_out():
    assert columns.useless(pl.Series("c", [None, None])) == "it has no values"
    assert columns.useless(pl.Series("c", [2, 2])) == "it is always the same"
    assert columns.useless(pl.Series("c", [2, None])) is None
    assert "neither a number nor text" in columns.useless(pl.Series("c", [[1], [2]]))
    assert "40 different texts" in columns.useless(pl.Series("c", [f"name {k}" for k in range(40)]))
    assert "rises from row to row" in columns.suspicious(pl.Series("c", [1, 4, 9]))
    assert columns.suspicious(pl.Series("c", [1, 4, 3])) is None


def test_few_epochs_and_many_columns_are_noted(here, capsys):
    rows = [{f"column {c}": k * (c + 3) % 43 for c in range(40)} | {"n": k, "y": k % 2} for k in range(60)]
    write_csv("t.csv", rows)
    code, out, _ = run(capsys, "train", "t.csv", "--target", "y", "--drop", "column 0", *FAST)
    assert code == 0 and "still becoming better when it ended: --epochs 6 may help" in out
    assert "column 'n' rises from row to row" in out and "… and 10 more" in out
    assert "column 0" not in fastml.load("t.safetensors").feature_names_in_


BAD_TABLES = {
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b"\n \n", "is empty"),
    "header.csv": (b"a,y\n", "has columns, but no rows"),
    "ragged.csv": (b"a,y\n1,2\n1,2,3\n", "ragged.csv has 3 values in line 3, but 2 columns"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n\0\0", "is not a text file"),
    "bad.parquet": (b"hello", "cannot be read as Parquet"),
    "t.xlsx": (b"\xd0\xcf\x11\xe0 and so on", "is an old Excel workbook: save its sheet as CSV"),
    "one.csv": (b"y\n" + b"1\n2\n" * 20, "has no other column than 'y'"),
    "class.csv": (b"a,y\n" + b"1,x\n2,x\n" * 20, "is always 'x': there is nothing to learn"),
    "constant.csv": (b"a,y\n" + b"1,2.5\n2,2.5\n" * 20, "is always 2.5: there is nothing to learn"),
    "missing.csv": (b"a,y\n" + b"1,\n2,NA\n" * 20, "the target 'y' has no values"),
    "few.csv": (b"a,y\n" + b"1,u\n2,v\n" * 8, "there are 16 rows with a target, at least 20 are needed"),
    "rare.csv": (b"a,y\n" + b"1,u\n" * 30 + b"2,v\n", "fewer than 5 rows of 'v'"),
    "many.csv": (b"a,y\n" + b"".join(b"1,c%d\n" % (k // 2) for k in range(300)), "150 classes in 300 rows"),
    "dates.csv": (b"a,y\n" + b"1,2024-01-02\n2,2024-01-03\n" * 20, "only classes and numbers can be predicted"),
    "infinite.csv": (b"a,y\n" + b"1.5,u\ninf,v\n" * 20, "column 'a' holds an infinite value, in row 2 of the data"),
    "target.csv": (b"a,y\n" + b"1,2.5\n2,inf\n" * 20, "the target 'y' holds an infinite value"),
    "nothing.csv": (b"a,y\n" + b"1,u\n1,v\n" * 20, "has no column to learn from"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_cannot_be_used_is_told_in_a_line(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    content, message = BAD_TABLES[name]
    (tmp_path / name).write_bytes(content)
    assert message in refused(capsys, "train", name, "--target", "y")
    assert [path.name for path in tmp_path.iterdir()] == [name]


MISTAKES = [
    ("people.csv --target Leaves", "has no column 'Leaves': did you mean 'leaves'?"),
    ("people.csv --target zzz", "has no column 'zzz': it has 'age', 'plan'"),
    ("people.csv --target leaves --drop agee", "did you mean 'age'"),
    ("people.csv --target leaves --task regression", "holds no numbers, which regression needs"),
    ("flats.csv --target price --task classification", "holds numbers with fractions, which are no classes"),
    ("people.csv --target leaves --metric r2", "--metric r2 is not for classification"),
    ("people.csv --target leaves --metric best", "argument --metric: invalid choice"),
    ("people.csv --target leaves --hidden 9,x", "argument --hidden: must be a whole number from 1"),
    ("people.csv --target leaves --test-size 0.9", "argument --test-size: must be a number above 0, up to 0.5"),
    ("people.csv --target leaves --test-size half", "got 'half'"),
    ("people.csv --target leaves --model m.txt", "expected a name that ends in .safetensors"),
    ("people.csv --target leaves --model no/m.safetensors", "cannot be written: there is no folder"),
    ("people.csv --target leaves --report r.pdf", "expected a name that ends in .html or .htm"),
    ("nothing.csv --target y", "nothing.csv cannot be read: No such file or directory"),
    (". --target y", "is a folder, not a file"),
]


@pytest.mark.parametrize("line, message", MISTAKES)
def test_a_mistake_in_training_is_told_in_a_line(line, message, here, capsys, monkeypatch):
    monkeypatch.setattr(MLPClassifier, "fit", None)  # nothing is trained before
    assert message in refused(capsys, "train", *line.split())
    assert sorted(path.name for path in here.iterdir()) == ["flats.csv", "people.csv"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with model files of all kinds."""
    folder = tmp_path_factory.mktemp("models")
    write_csv(folder / "people.csv", people())
    good = folder / "good.safetensors"
    assert cli.main(["train", str(folder / "people.csv"), "--target", "leaves", "--model", str(good), *FAST]) == 0
    content = bytearray(good.read_bytes())
    content[-5] ^= 1
    (folder / "damaged.safetensors").write_bytes(content)
    (folder / "text.safetensors").write_text("hello")
    fastml.Sequential([fastml.Dense(2)], input_dim=3, seed=0).save(folder / "net.safetensors")
    x, y = np.random.default_rng(0).random((30, 2)), [0, 1] * 15
    with pytest.warns(UserWarning, match="not converged"):
        MLPClassifier(max_iter=2).fit(x, y).save(folder / "array.safetensors")
    with pytest.warns(UserWarning, match="not converged"):
        MLPClassifier(max_iter=2).fit(pl.DataFrame(x, ["u", "v"]), y).save(folder / "plain.safetensors")
    (folder / "short.csv").write_text("age,plan\n1,basic\n")
    return folder


WRONG_MODELS = [
    ("damaged.safetensors people.csv", "does not have the checksum that was stored"),
    ("text.safetensors people.csv", "is no model file, or is damaged"),
    ("people.csv people.csv", "is no model file, or is damaged"),
    ("net.safetensors people.csv", "holds a network that knows no columns of tables"),
    ("array.safetensors people.csv", "was trained with columns that have no names"),
    ("nothing.safetensors people.csv", "cannot be read: No such file or directory"),
    (". people.csv", "is a folder, not a file"),
    ("good.safetensors short.csv", "lacks the columns 'since', 'paid', 'score', which the model needs"),
    ("good.safetensors nothing.csv", "cannot be read: No such file or directory"),
    ("good.safetensors people.csv -o out.html", "expected a name that ends in .csv, .tsv, .parquet or .pq"),
    ("good.safetensors people.csv -o people.csv", "is the file that is read: give another name"),
    ("good.safetensors people.csv --keep ident", "has no column 'ident'"),
]


@pytest.mark.parametrize("line, message", WRONG_MODELS)
def test_a_mistake_in_predicting_is_told_in_a_line(line, message, models, monkeypatch, capsys):
    monkeypatch.chdir(models)
    assert message in refused(capsys, "predict", *line.split())


def test_a_column_of_another_kind_is_named(models, monkeypatch, capsys):
    monkeypatch.chdir(models)
    (models / "kinds.csv").write_text("age,plan,since,paid,score\nold,basic,2020-01-01,true,1\n")
    err = refused(capsys, "predict", "good.safetensors", "kinds.csv")
    assert "column 'age' held numbers in training, here it holds text, such as 'old' in row 1" in err


def test_an_estimator_made_in_python_predicts(models, monkeypatch, capsys):
    monkeypatch.chdir(models)
    (models / "two.csv").write_text("v,w,u\n1,2,3\n4,5,\n")
    code, out, err = run(capsys, "predict", "plain.safetensors", "two.csv")
    expected = fastml.load("plain.safetensors").predict(pl.DataFrame({"u": [3, None], "v": [1, 4]}))
    assert code == 0 and err == "fastml: note: columns that the model does not use: 'w'\n"
    assert [int(line.split(",")[0]) for line in out.splitlines()[1:]] == expected.tolist()


def test_missing_libraries_are_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "polars", None)
    for line in ("train t.csv --target y", "predict m.safetensors t.csv"):
        assert refused(capsys, *line.split()) == "fastml: polars is missing: pip install 'fastml-cpu[train]'\n"


def test_a_place_that_cannot_be_written_to_is_told_first(here, capsys, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(outputs.tempfile, "TemporaryFile", refuse)
    err = refused(capsys, "train", "people.csv", "--target", "leaves")
    assert err == "fastml: people.safetensors cannot be written: Permission denied\n"


def test_ctrl_c_in_this_process(here, capsys, monkeypatch):
    """The estimator would go on with what it has; the command ends."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastml.Sequential, "fit", interrupted)
    monkeypatch.setattr("fastml.sklearn.epochs.Epochs.run", interrupted)
    assert run(capsys, "train", "people.csv", "--target", "leaves")[::2] == (130, "\nfastml: interrupted\n")
    assert not list(here.glob("*.safetensors"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal for a process there")
def test_ctrl_c_while_it_trains(here):
    write_csv("long.csv", flats(3000))
    line = "-m fastml train long.csv --target price --epochs 1000000 --hidden 2000,2000"
    process = subprocess.Popen([sys.executable, *line.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert any(line.startswith(b"Rows") for line in process.stdout)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and err == b"\nfastml: interrupted\n"
    assert sorted(path.name for path in here.iterdir()) == ["flats.csv", "long.csv", "people.csv"]


def test_ctrl_c_waits_for_a_file_that_is_being_written(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with hold_interrupts(every=True):
            signal.raise_signal(signal.SIGINT)
            outputs.write(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
