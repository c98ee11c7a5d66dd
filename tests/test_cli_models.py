"""What a model file remembers: its target, how its table was written, its scores; `predict`, `evaluate` and `info`."""

import gzip
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra train")
pytest.importorskip("narwhals", reason="needs narwhals, the extra train")
pytest.importorskip("polars", reason="needs polars, the extra train")

import polars as pl
from table_files import flats, people, write_csv

import fastml
from fastml import cli
from fastml.sklearn import MLPClassifier

FAST = ("--epochs", "3", "--hidden", "8")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A function that runs a command line in an empty folder and returns its exit code and texts."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = cli.main(list(map(str, arguments)))
        except SystemExit as end:
            code = end.code
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.fixture
def refused(run):
    def refused(*arguments):
        code, _, err = run(*arguments)
        assert code == cli.FAILED and err.startswith("fastml") and err.count("\n") == 1
        return err

    return refused


def rows(count=80, **columns):
    """Rows of a table: the column n, and others by functions of it."""
    return [{"n": k} | {name: of(k) for name, of in columns.items()} for k in range(count)]


def letters(k):
    return "abc"[k * k % 3]


# A model is not replaced by one of another target


def test_a_model_of_another_target_is_kept(run, refused):
    write_csv("t.csv", rows(a=letters, b=lambda k: "xy"[k % 2]))
    assert run("train", "t.csv", "--target", "a", *FAST)[0] == 0
    assert "t.safetensors is a model of 'a': give another name with --model" in refused(
        "train", "t.csv", "--target", "b"
    )
    assert fastml.load("t.safetensors").about_["target"] == "a"
    code, out, _ = run("train", "t.csv", "--target", "a", *FAST)
    assert code == 0 and "written to t.safetensors, in place of an older one" in out
    assert run("train", "t.csv", "--target", "b", "--overwrite", *FAST)[0] == 0
    assert fastml.load("t.safetensors").about_["target"] == "b"


@pytest.mark.parametrize("content", ["network", "estimator", "nothing"])
def test_a_file_that_no_command_has_written_is_kept(content, run, refused):
    x, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    if content == "estimator":
        MLPClassifier((4,), max_iter=500, tol=0.5).fit(x, y).save("t.safetensors")
    elif content == "network":
        model = fastml.Sequential([fastml.Dense(1)], input_dim=2)
        model.build()
        model.save("t.safetensors")
    else:
        Path("t.safetensors").touch()
    write_csv("t.csv", rows(a=letters))
    before = Path("t.safetensors").read_bytes()
    assert "a file that this command has not written" in refused("train", "t.csv", "--target", "a", *FAST)
    assert Path("t.safetensors").read_bytes() == before


@pytest.mark.parametrize("name, model", [("old.sales.csv", "old.sales"), ("sales.csv.gz", "sales"), ("sales", "sales")])
def test_names_of_models(name, model, run):
    content = Path(write_csv("t", rows(a=letters))).read_bytes()
    with open(name, "wb") as file:
        file.write(gzip.compress(content) if name.endswith("gz") else content)
    assert f"written to {model}.safetensors" in run("train", name, "--target", "a", *FAST)[1]


# Targets


def test_a_target_that_is_there_twice_is_refused(refused):
    with open("t.csv", "w") as file:
        file.write("a,y,y\n" + "1,u,u\n2,v,v\n" * 20)
    assert "has several columns called 'y': give each a name of its own" in refused("train", "t.csv", "--target", "y")


def test_a_target_or_a_column_that_is_there_twice_later_is_refused(run, refused):
    """In what is predicted or evaluated, unless the training had it twice, too."""
    with open("t.csv", "w") as file:
        file.write("a,y\n" + "1,u\n2,v\n" * 20)
    run("train", "t.csv", "--target", "y", "--model", "m.safetensors", "--epochs", "2")
    for name, text in (("y", "a,y,y\n1,u,v\n2,v,u\n"), ("a", "a,a,y\n1,2,u\n2,1,v\n")):
        with open("u.csv", "w") as file:
            file.write(text)
        for command in ("predict", "evaluate"):
            assert f"has several columns called {name!r}" in refused(command, "m.safetensors", "u.csv")
    with open("t.csv", "w") as file:
        file.write("a,a,y\n" + "1,3,u\n2,4,v\n" * 20)
    run("train", "t.csv", "--target", "y", "--model", "n.safetensors", "--epochs", "2")
    run("predict", "n.safetensors", "t.csv")


TWICE = {
    "a space before": "a,y, y\n" + "1,u,v\n2,v,u\n" * 20,
    "quotes": 'a,"y",y\n' + "1,u,v\n2,v,u\n" * 20,
    "semicolons": "a;y;y\n" + "1;u;v\n2;v;u\n" * 20,
    "three times": "y,a,y,y\n" + "u,1,u,u\nv,2,v,v\n" * 20,
    "behind a title": "Sales of today,,\na,y,y\n" + "1,u,v\n2,v,u\n" * 20,
}


@pytest.mark.parametrize("kind", TWICE)
def test_a_target_that_is_there_twice_in_any_layout(kind, refused):
    Path("t.csv").write_text(TWICE[kind])
    assert "has several columns called 'y'" in refused("train", "t.csv", "--target", "y", *FAST)
    assert [path.name for path in Path().iterdir()] == ["t.csv"]


@pytest.mark.parametrize("name", ["Y", "y again"])
def test_a_column_that_is_the_target_is_left_out(name, run):
    write_csv("t.csv", [row | {name: row["y"]} for row in rows(y=letters)])
    code, out, _ = run("train", "t.csv", "--target", "y", *FAST)
    assert code == 0 and f"column '{name}' is left out: it is the same as the target 'y'" in out


CLASSES = {
    "zeros in front": ["01", "02", "07"],
    "one is None": ["None", "some", "all"],
    "truth": ["TRUE", "FALSE", "TRUE"],
    "with a point": ["1.0", "2.0", "3.0"],
    "signs": ["+1", "-1", "+1"],
    "percent": ["10%", "20%", "30%"],
    "dashes": ["-", "+", "?!"],
}


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_stay_as_they_are_written(kind, run):
    names = CLASSES[kind]
    write_csv("t.csv", rows(y=lambda k: names[k % 3]))
    code, out, _ = run("train", "t.csv", "--target", "y", "--task", "classification", *FAST)
    assert code == 0 and "without a target" not in out
    assert fastml.load("t.safetensors").classes_.tolist() == sorted(set(names))
    code, out, _ = run("predict", "t.safetensors", "t.csv")
    assert set(pl.read_csv(io.StringIO(out), infer_schema=False)["prediction"]) <= set(names)
    code, out, _ = run("evaluate", "t.safetensors", "t.csv")
    assert code == 0 and "80 rows with 'y'" in out


@pytest.mark.parametrize("name", ["none", "nil", "-", ".", "unknown", "missing"])
def test_words_that_may_be_gaps_elsewhere_are_classes(name, run):
    write_csv("t.csv", rows(y=lambda k: [name, "u", "v"][k % 3]))
    code, out, _ = run("train", "t.csv", "--target", "y", *FAST)
    assert code == 0 and "without a target" not in out
    assert fastml.load("t.safetensors").classes_.tolist() == sorted([name, "u", "v"])


@pytest.mark.parametrize("name", ["null", "NaN", "N/A", "?", "<NA>", "#N/A"])
def test_signs_of_a_gap_are_told_and_may_be_classes(name, run):
    write_csv("t.csv", rows(y=lambda k: [name, "u", "v"][k % 3]))
    code, out, _ = run("train", "t.csv", "--target", "y", *FAST)
    assert code == 0 and f"27 rows without a target left out, where it is '{name}'; --na tells" in out
    assert run("train", "t.csv", "--target", "y", "--na", "gone", *FAST)[0] == 0
    assert fastml.load("t.safetensors").classes_.tolist() == sorted([name, "u", "v"])


def test_signs_of_a_gap_in_the_target_are_told(run):
    write_csv("t.csv", rows(y=lambda k: ["NA", "u", "v"][k % 3]))
    code, out, _ = run("train", "t.csv", "--target", "y", *FAST)
    assert code == 0 and "27 rows without a target left out, where it is 'NA'; --na tells other signs of a gap" in out
    assert run("train", "t.csv", "--target", "y", "--na", "-", *FAST)[0] == 0
    assert fastml.load("t.safetensors").classes_.tolist() == ["NA", "u", "v"]


RARE = ["roc_auc", "f1", "balanced_accuracy", "log_loss", "accuracy"]


@pytest.mark.parametrize("metric", RARE)
@pytest.mark.parametrize("positives", [2, 5, 7])
def test_any_metric_of_a_rare_class(metric, positives, run, refused):
    """A model, or one line."""
    write_csv("t.csv", rows(1000, y=lambda k: "yes" if k < positives else "no", a=lambda k: k * 7 % 31))
    line = "train", "t.csv", "--target", "y", "--metric", metric, "--drop", "n"
    if positives < 5:
        assert "the target 'y' has fewer than 5 rows of 'yes'" in refused(*line)
    else:
        code, out, err = run(*line, *FAST)
        assert code == 0 and not err and "written to t.safetensors" in out


# Files as they come


PADDED = {
    "a space after each comma": lambda cells: ", ".join(cells),
    "spaces on both sides": lambda cells: ",".join(f" {cell} " for cell in cells),
    "tabs": lambda cells: ",\t".join(cells),
    "spaces that do not break": lambda cells: ",".join(f"\u00a0{cell}" for cell in cells),
    "columns of one width": lambda cells: ";".join(f"{cell:>12}" for cell in cells),
    "within quotes": lambda cells: ",".join(f'" {cell} "' for cell in cells),
}


@pytest.mark.parametrize("kind", PADDED)
def test_spaces_around_fields_do_not_matter(kind, run):
    """To neither side: learned with them and used without them, and the other way round."""
    cells = [["age", "work", "income"]]
    cells += [[str(20 + k % 40), ["Private", "State-gov", "?"][k % 3], "<=50K" if k % 3 else ">50K"] for k in range(90)]
    for name, join in (("padded.csv", PADDED[kind]), ("plain.csv", ",".join)):
        Path(name).write_text("\n".join(map(join, cells)) + "\n", encoding="utf-8")
    for learned, used in (("padded", "plain"), ("plain", "padded")):
        line = "train", f"{learned}.csv", "--target", "income", *FAST
        code, out, _ = run(*line)
        assert code == 0 and "number  standardized" in out and "one-hot: 2 categories and missing" in out
        model = fastml.load(f"{learned}.safetensors")
        assert model.classes_.tolist() == ["<=50K", ">50K"]
        code, out, err = run("predict", f"{learned}.safetensors", f"{used}.csv")
        assert code == 0 and "never seen" not in err and "of 90 rows: accuracy" in err
        assert out == run("predict", f"{learned}.safetensors", f"{learned}.csv")[1]


NEW = {"all": (1, "100%"), "half": (2, "50%"), "a tenth": (10, "10%")}


@pytest.mark.parametrize("share", NEW)
def test_values_that_were_never_seen_are_told(share, run):
    write_csv("t.csv", rows(y=letters, kind=lambda k: "pq"[k % 2], place=lambda k: "rst"[k % 3]))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    every, told = NEW[share]
    write_csv("new.csv", rows(40, kind=lambda k: "p" if k % every else "new", place=lambda k: "r"))
    code, _, err = run("predict", "t.safetensors", "new.csv")
    assert code == 0
    assert err == f"fastml: note: kind: {told} of the values were never seen in training, such as 'new'\n"


LAST = {
    "nothing": "",
    "a blank line": "\n",
    "blank lines": "\n\n\n",
    "of Windows": "\r\n\r\n",
    "spaces": "\n   \n",
    "separators": "\n,,\n",
    "spaces and separators": "\n , , \n",
    "the end of a file of old": "\n\x1a",
    "an unended last line": "\n80,p,u",
}


@pytest.mark.parametrize("end", LAST)
def test_as_many_predictions_as_there_are_rows(end, run):
    content = "n,kind,y\n" + "\n".join(f"{k},{'pq'[k % 2]},{'uv'[k % 2]}" for k in range(80))
    Path("t.csv").write_text(content + "\n")
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    Path("new.csv").write_bytes((content + LAST[end]).encode())
    code, out, err = run("predict", "t.safetensors", "new.csv")
    count = 81 if end == "an unended last line" else 80
    assert code == 0 and len(out.splitlines()) == 1 + count and f"of {count} rows: accuracy" in err
    assert run("evaluate", "t.safetensors", "new.csv")[1].count(f"{count} rows with 'y'") == 1


TOLD = {  # options, and a table that says the same without them
    "--sep tab": "n\tp\ty\n" + "".join(f"{k}\t{k / 8}\t{'uv'[k % 2]}\n" for k in range(60)),
    "--sep space": "n p y\n" + "".join(f"{k} {k / 8} {'uv'[k % 2]}\n" for k in range(60)),
    "--sep :": "n:p:y\n" + "".join(f"{k}:{k / 8}:{'uv'[k % 2]}\n" for k in range(60)),
    "--sep ;": "n;p;y\n" + "".join(f"{k};{k / 8};{'uv'[k % 2]}\n" for k in range(60)),
    "--decimal ,": "n;p;y\n" + "".join(f"{k};{f'{k / 8:.3f}'.replace('.', ',')};{'uv'[k % 2]}\n" for k in range(60)),
    "--decimal .": "n;p;y\n" + "".join(f"{k};{k / 8:.3f};{'uv'[k % 2]}\n" for k in range(60)),
    "--encoding utf-16-le": "n,p,y\n" + "".join(f"{k},{k / 8},{'uv'[k % 2]}\n" for k in range(60)),
    "--encoding cp1250": "n,p,y\n" + "".join(f"{k},{k / 8},{'uv'[k % 2]}\n" for k in range(60)),
    "--no-header --names n,p,y": "".join(f"{k},{k / 8},{'uv'[k % 2]}\n" for k in range(60)),
    "--names n,p,y": "a,b,c\n" + "".join(f"{k},{k / 8},{'uv'[k % 2]}\n" for k in range(60)),
}


@pytest.mark.parametrize("options", TOLD)
def test_what_cannot_be_guessed_is_told(options, run):
    encoding = options.split()[1] if options.startswith("--encoding") else "utf-8"
    Path("told.csv").write_bytes(TOLD[options].encode(encoding))
    write_csv("plain.csv", rows(60, p=lambda k: k / 8, y=lambda k: "uv"[k % 2]))
    found = []
    for name, more in (("told", options.split()), ("plain", [])):
        assert run("train", f"{name}.csv", "--target", "y", "--seed", "1", *more, *FAST)[0] == 0
        code, out, _ = run("predict", f"{name}.safetensors", f"{name}.csv", *more)
        assert code == 0
        found.append(out)
    assert found[0] == found[1]


@pytest.mark.parametrize("sign", ["-999", "n.b.", "keine"])
def test_signs_of_a_gap_are_remembered(sign, run):
    write_csv("t.csv", rows(y=letters, p=lambda k: sign if k % 4 == 0 else k / 8))
    assert run("train", "t.csv", "--target", "y", "--na", sign, *FAST)[0] == 0
    write_csv("new.csv", [{"n": 1, "p": sign}, {"n": 1, "p": ""}])
    _, out, err = run("predict", "t.safetensors", "new.csv")
    assert not err and out.splitlines()[1] == out.splitlines()[2]


def census(dot, first=""):
    """Rows as the census of UCI has them: no header, spaces after commas, gaps as question marks, a blank last line."""
    work = ["Private", "State-gov", "?"]
    lines = [
        f"{20 + k % 40}, {work[k % 3]}, {k * 7 % 11}, {'>50K' if k % 40 > 18 else '<=50K'}{dot}" for k in range(120)
    ]
    return "\n".join([*filter(None, [first]), *lines, "", ""])


def test_the_census_as_it_was_written(run):
    with open("adult.data", "w") as data, open("adult.test", "w") as test:
        data.write(census(""))
        test.write(census(".", "|1x3 Cross validator"))
    reading = "--no-header", "--names", "age,work,n,income"
    code, out, _ = run("train", "adult.data", *reading, "--target", "income", "--epochs", "60", "--hidden", "16")
    assert code == 0 and "adult.data: 120 rows, 4 columns" in out and "2 categories and missing" in out
    code, out, err = run("evaluate", "adult.safetensors", "adult.test", *reading)
    assert code == 0 and "120 rows with 'income'" in out
    assert "1 line before the header passed over" in err
    assert "classes are written as '<=50K.', '>50K.', and taken for '<=50K', '>50K'" in err
    code, out, err = run("predict", "adult.safetensors", "adult.test", *reading)
    assert len(out.splitlines()) == 121 and "by the answers in column 'income', of 120 rows: accuracy" in err
    write_csv("new.csv", [{"work": "Private", "age": 30, "n": 1}, {"work": "never met", "age": 31, "n": 2}])
    code, out, err = run("predict", "adult.safetensors", "new.csv")
    assert (
        code == 0 and err == "fastml: note: work: 50% of the values were never seen in training, such as 'never met'\n"
    )


def test_without_a_header_columns_have_numbers(run, refused):
    with open("t.csv", "w") as file:
        file.writelines(f"{k},{k % 7},{'uv'[k % 2]}\n" for k in range(60))
    assert "if the first line is a row already, say --no-header" in refused("train", "t.csv", "--target", "y")
    code, out, _ = run("train", "t.csv", "--no-header", "--target", "3", *FAST)
    assert code == 0 and "60 rows, 3 columns" in out


def test_a_european_sensor_is_predicted_as_it_was_trained(run):
    """In the new file alone, 20,125 could be twenty thousand."""
    lines = [f"{1 + k % 28:02}.03.2021 {k % 24:02}:30;{20 + k / 8:.3f};{k % 5};{3 * k / 8:.1f}" for k in range(90)]
    content = "\n".join(["Zeit;Temperatur;Kanal;Leistung", *lines])
    content = "\n".join(
        ";".join([line.split(";")[0], *(part.replace(".", ",") for part in line.split(";")[1:])])
        for line in content.splitlines()
    )
    with open("sensor.csv", "w", encoding="cp1252") as file:
        file.write(content)
    code, out, _ = run("train", "sensor.csv", "--target", "Leistung", *FAST)
    assert code == 0 and "Zeit        date" in out and "Temperatur  number" in out
    with open("new.csv", "w") as file:
        file.write("Zeit;Temperatur;Kanal\n01.03.2021 00:30;20,125;1\n01.03.2021 00:30;20,250;1\n")
    _, new, err = run("predict", "sensor.safetensors", "new.csv")
    assert not err
    with open("plain.csv", "w") as file:
        file.write("Zeit,Temperatur,Kanal\n2021-03-01 00:30,20.125,1\n2021-03-01 00:30,20.250,1\n")
    assert run("predict", "sensor.safetensors", "plain.csv")[1] == new


def test_an_american_spreadsheet(run):
    lines = [
        f'{k:05},"${1000 + 37 * k:,.2f}",{k % 12 + 1}/{k % 28 + 1}/2021,{k % 50}%,{"NY" if k % 3 else "CA"}'
        for k in range(90)
    ]
    with open("sales.csv", "w", newline="") as file:
        file.write("\r\n".join(["Zip,Amount,Sold on,Margin,State", *lines, ",,,,", "Total,,,,", ""]))
    code, out, _ = run("train", "sales.csv", "--target", "State", *FAST)
    assert code == 0 and "sales.csv: 9" in out
    for line in ("Amount   number", "Sold on  date", "Margin   number"):
        assert line in out
    assert "column 'Zip' is left out: 7" in out, "a name, not a number"


def test_text_is_kept_as_it_was(run):
    write_csv("t.csv", rows(y=letters, id=lambda k: f"{k:06}"))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    _, out, _ = run("predict", "t.safetensors", "t.csv", "--keep", "id")
    assert out.splitlines()[1].startswith("000000,")


def test_units_that_are_others_than_in_training_are_told(run):
    write_csv("t.csv", rows(y=letters, share=lambda k: f"{k}%"))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    write_csv("new.csv", [{"n": 1, "share": 0.5}, {"n": 2, "share": 0.25}])
    code, _, err = run("predict", "t.safetensors", "new.csv")
    assert code == 0 and "share: numbers are in no unit here, but were in % in training" in err


def test_standard_input(run, monkeypatch):
    content = Path(write_csv("t.csv", people())).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    code, out, _ = run("train", "-", "--target", "leaves", *FAST)
    assert code == 0 and "standard input: 200 rows" in out and "written to model.safetensors" in out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    code, out, _ = run("predict", "model.safetensors", "-")
    assert code == 0 and len(out.splitlines()) == 201


def packed(content):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("t.csv", content)
    return held.getvalue()


PIPES = {
    "gzip": gzip.compress,
    "zip": packed,
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "semicolons": lambda content: content.replace(b",", b";"),
    "Latin-1": lambda content: content.replace(b"plus", b"pl\xfcs"),
}


@pytest.mark.parametrize("kind", PIPES)
def test_standard_input_of_any_kind(kind, run, monkeypatch):
    content = PIPES[kind](Path(write_csv("t.csv", people())).read_bytes())

    def piped(*arguments):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return run(*arguments)

    assert piped("train", "-", "--target", "leaves", *FAST)[0] == 0
    code, out, err = piped("predict", "model.safetensors", "-")
    assert code == 0 and len(out.splitlines()) == 201 and "of 200 rows: accuracy" in err
    assert "200 rows with 'leaves'" in piped("evaluate", "model.safetensors", "-")[1]


# Evaluate and info


ANSWERS = {  # the target in the file to predict, and what is told of it
    "classes": (letters, letters, "by the answers in column 'y', of 80 rows: accuracy"),
    "numbers": (lambda k: k / 8 + 0.5, lambda k: k / 8 + 0.5, "by the answers in column 'y', of 80 rows: R²"),
    "some answers": (letters, lambda k: letters(k) if k % 2 else "", "by the answers in column 'y', of 40 rows: acc"),
    "no answers": (letters, lambda k: "", None),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_predict_gives_the_score_where_the_target_is(kind, run):
    learned, given, told = ANSWERS[kind]
    write_csv("t.csv", rows(y=learned))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    write_csv("new.csv", rows(y=given))
    code, out, err = run("predict", "t.safetensors", "new.csv")
    assert code == 0 and len(out.splitlines()) == 81
    assert told in err if told else "by the answers" not in err
    write_csv("new.csv", rows())
    assert run("predict", "t.safetensors", "new.csv")[1:] == (out, "")


LIGHT = """
import sys
from fastml import cli
try:
    code = cli.main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(code, sorted({"sklearn", "matplotlib", "pandas", "lightgbm"} & set(sys.modules)))
"""
COMMANDS = ["predict t.safetensors t.csv -o out.csv", "evaluate t.safetensors t.csv", "info t.safetensors", "--help"]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_that_only_use_a_model_import_no_scikit_learn(line, run):
    write_csv("t.csv", rows(y=letters))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    done = subprocess.run([sys.executable, "-c", LIGHT, *line.split()], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_evaluate_has_the_figures_of_the_training(run):
    """On the very rows that it was tested with, by the same seed, a model has the scores that its file tells."""
    write_csv("flats.csv", flats())
    assert run("train", "flats.csv", "--target", "price", "--epochs", "40")[0] == 0
    told = fastml.load("flats.safetensors").about_
    code, out, _ = run("evaluate", "flats.safetensors", "flats.csv")
    assert code == 0 and "200 rows with 'price'" in out
    table = pl.read_csv("flats.csv")
    model = fastml.load("flats.safetensors")
    line = next(line for line in out.splitlines() if line.startswith("R²"))
    assert float(line.split()[1]) == pytest.approx(
        model.score(table.drop("price"), table["price"].to_numpy()), abs=5e-4
    )
    assert float(line.split()[-1]) == pytest.approx(told["scores"]["R²"]["model"], abs=5e-4)


def test_what_cannot_be_evaluated(run, refused):
    write_csv("t.csv", rows(y=letters))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    write_csv("new.csv", rows(z=letters))
    assert "has no column 'y'" in refused("evaluate", "t.safetensors", "new.csv")
    write_csv("new.csv", rows(y=lambda k: "dxy"[k % 3]))
    assert "the target 'y' is 'd', 'x', 'y' in some rows, but the model knows" in refused(
        "evaluate", "t.safetensors", "new.csv"
    )
    write_csv("new.csv", rows(y=lambda k: ""))
    assert "the target 'y' has no values" in refused("evaluate", "t.safetensors", "new.csv")
    MLPClassifier((4,), max_iter=500, tol=0.5).fit(pl.DataFrame({"n": range(40)}), [0, 1] * 20).save("p.safetensors")
    assert "does not say what it predicts: give the column with --target" in refused(
        "evaluate", "p.safetensors", "t.csv"
    )


def test_a_column_that_the_model_goes_by_is_no_answer(run, refused):
    write_csv("t.csv", rows(y=letters))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    line = refused("evaluate", "t.safetensors", "t.csv", "--target", "n")
    assert "'n' is a column that the model goes by, not what it predicts" in line


def test_rows_that_are_not_like_those_of_the_training_are_told(run):
    write_csv("t.csv", rows(y=letters, kind=lambda k: "pq"[k % 2], size=lambda k: k / 8 if k % 9 else ""))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    new = [{"n": 1, "kind": "p", "size": 1e6}, {"n": "", "kind": "", "size": ""}, {"n": -5000, "kind": "p", "size": 3}]
    write_csv("new.csv", new)
    code, out, err = run("predict", "t.safetensors", "new.csv")
    assert code == 0 and len(out.splitlines()) == 4
    assert "1 row without any value, such as row 2" in err
    assert "size: 1 value far from those of the training, such as 1e+06" in err
    assert "n: 1 value far from those of the training, such as -5000" in err
    write_csv("new.csv", rows(3, kind=lambda k: "q", size=lambda k: 2.5))
    assert run("predict", "t.safetensors", "new.csv")[2] == ""


def test_names_that_are_nearly_right_are_proposed(run, refused):
    write_csv("t.csv", rows(y=letters, Size=lambda k: k % 7))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    write_csv("new.csv", rows(size=lambda k: 1, other=lambda k: 2))
    line = refused("predict", "t.safetensors", "new.csv")
    assert "lacks the column 'Size', which the model needs: did you mean 'size'?" in line
    write_csv("new.csv", rows(Size=lambda k: 1, other=lambda k: 2))
    assert "has no column 'y', which would hold the answers" in refused("evaluate", "t.safetensors", "new.csv")


@pytest.mark.parametrize("names", [(), ("--names", "a,b,c")])
def test_a_file_without_a_header_is_known_again(names, run, refused, monkeypatch):
    lines = [f"{k},{'pq'[k % 2]},{'uv'[k % 2]}\n" for k in range(60)]
    Path("t.csv").write_text("".join(lines))
    target = "c" if names else "3"
    assert run("train", "t.csv", "--no-header", *names, "--target", target, *FAST)[0] == 0
    code, first, err = run("predict", "t.safetensors", "t.csv")
    assert code == 0 and len(first.splitlines()) == 61
    assert "it has no header; its columns are taken to be those of the training" in err
    Path("new.csv").write_text("".join(line.rsplit(",", 1)[0] + "\n" for line in lines))
    assert run("predict", "t.safetensors", "new.csv")[1] == first
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("new.csv").read_bytes())))
    assert run("predict", "t.safetensors", "-")[1] == first
    Path("named.csv").write_text(("a,b\n" if names else "1,2\n") + Path("new.csv").read_text())
    assert run("predict", "t.safetensors", "named.csv")[1:] == (first, "")
    Path("other.csv").write_text("2,1,3,4\n5,6,7,8\n")
    line = refused("predict", "t.safetensors", "other.csv")
    assert "has 4 columns and no header, but the file that the model was trained with had 3" in line


def test_info_tells_what_a_model_is(run, refused):
    write_csv("people.csv", people())
    assert run("train", "people.csv", "--target", "leaves", *FAST)[0] == 0
    code, out, err = run("info", "people.safetensors")
    assert code == 0 and not err
    for text in (
        "people.safetensors: a classifier with",
        "classification of 'leaves', from people.csv",
        "144 to learn from, 16 to tell when to stop, 40 to test",
        "Classes 'no', 'yes'",
        "  plan: text, one-hot: 3 categories",
        "  accuracy: 0.",
        "by fastml train people.csv --target leaves",
        f"fastml {fastml.__version__}, python 3.",
    ):
        assert text in out
    model = fastml.Sequential([fastml.Dense(1)], input_dim=2)
    model.build()
    model.save("plain.safetensors")
    assert "plain.safetensors: a network with 3 weights" in run("info", "plain.safetensors")[1]
    assert "cannot be read: No such file" in refused("info", "none.safetensors")


def test_a_single_row_is_evaluated(run):
    write_csv("t.csv", rows(y=letters))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    write_csv("one.csv", rows(1, y=letters))
    code, out, _ = run("evaluate", "t.safetensors", "one.csv")
    assert code == 0 and "1 row with 'y'" in out and "–" in out


def test_units_of_the_target_are_compared(run):
    write_csv("t.csv", rows(y=lambda k: f"{k / 8:.2f}%"))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    write_csv("new.csv", rows(y=lambda k: f"{k / 800:.4f}"))
    assert "y: numbers are in no unit here, but were in % in training" in run("evaluate", "t.safetensors", "new.csv")[2]


def test_columns_of_all_kinds_are_kept(run):
    write_csv("t.csv", rows(y=letters))
    assert run("train", "t.csv", "--target", "y", *FAST)[0] == 0
    time = pl.Series([0, 3600 * 10**9]).cast(pl.Time)
    new = pl.DataFrame({"n": [1, 2], "t": time, "d": pl.Series([1, 2]).cast(pl.Duration), "l": [[1], [2, 3]]})
    new.write_parquet("new.parquet")
    code, out, _ = run("predict", "t.safetensors", "new.parquet", "--keep", "t", "--keep", "t", "--keep", "d")
    assert code == 0 and out.splitlines()[2].startswith("01:00:00,")
    code, _, err = run("predict", "t.safetensors", "new.parquet", "--keep", "l")
    assert code == cli.FAILED and "column 'l' holds List(Int64), which CSV does not: write a .parquet file" in err
    assert run("predict", "t.safetensors", "new.parquet", "--keep", "l", "-o", "out.parquet")[0] == 0
    assert pl.read_parquet("out.parquet")["l"].to_list() == [[1], [2, 3]]


@pytest.mark.parametrize("gap", ["", "None", "NA", "?"])
def test_parquet_and_text_make_the_same_of_gaps(gap, run):
    values = [gap if k % 3 == 0 else "pq"[k % 2] for k in range(60)]
    frame = pl.DataFrame({"c": values, "y": ["u", "v"] * 30})
    frame.write_parquet("t.parquet")
    frame.write_csv("t.csv")
    assert run("train", "t.parquet", "--target", "y", *FAST)[0] == 0
    assert run("predict", "t.safetensors", "t.parquet")[1] == run("predict", "t.safetensors", "t.csv")[1]
    frame.with_columns(c=pl.concat_list("c")).write_parquet("list.parquet")
    code, _, err = run("predict", "t.safetensors", "list.parquet")
    assert code == cli.FAILED and "column 'c' holds List(String), which no model takes" in err


OPTIONS = [
    ("--sep ab", "must be one sign, or tab or space"),
    ("--encoding latin-99", "must be an encoding"),
    ("--encoding hex", "must be an encoding"),
    ("--decimal ;", "invalid choice"),
    ("--names a,,b", "must be different names"),
    ("--names a,a", "must be different names"),
    ("--day-first maybe", "invalid choice"),
]


@pytest.mark.parametrize("line, message", OPTIONS)
def test_mistakes_in_options_of_text_files(line, message, refused):
    assert message in refused("train", "t.csv", "--target", "y", *line.split())


@pytest.mark.parametrize(
    "text, layers", [("64x32", (64, 32)), ("8,4,2", (8, 4, 2)), ("16x8x4", (16, 8, 4)), ("5", (5,))]
)
def test_layers_are_those_that_are_written(text, layers, run):
    write_csv("t.csv", rows(y=letters))
    assert run("train", "t.csv", "--target", "y", "--epochs", "2", "--hidden", text)[0] == 0
    assert tuple(np.ravel(fastml.load("t.safetensors").hidden_layer_sizes)) == layers


@pytest.mark.parametrize("text", ["8x", "x8", "8xx4", "0x4", "8*4", "8x4.5"])
def test_layers_that_are_none_are_told_in_a_line(text, refused):
    assert "argument --hidden: must be a whole number from 1" in refused("train", "t.csv", "--hidden", text)


def test_layers_may_be_written_with_an_x(run):
    write_csv("t.csv", rows(y=letters))
    assert "Model   1-8x4" not in run("train", "t.csv", "--target", "y", "--epochs", "2", "--hidden", "8x4")[1]
    assert fastml.load("t.safetensors").hidden_layer_sizes == (8, 4)
