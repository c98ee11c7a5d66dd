"""The report of ``fastml train``: a page that needs nothing but itself, and that holds names as they are."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra train")
pytest.importorskip("narwhals", reason="needs narwhals, the extra train")
pytest.importorskip("polars", reason="needs polars, the extra train")
pytest.importorskip("matplotlib", reason="needs matplotlib, the extra train")

from table_files import flats, people, write_csv

from fastml import cli
from fastml.commands.report import page, pictures

EVIL = "<script>alert('1')</script> & \"$x_1$\""
EMPTY = {"meta", "link", "img", "br", "hr", "input", "use", "path"}


class Page(HTMLParser):
    """Elements, ids and text of a page; checks that elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.ids, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data.strip())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def make(folder, rows, target, *options):
    """The report of a training, as text and as a Page."""
    path, out = write_csv(folder / "data.csv", rows), folder / "report.html"
    line = ["train", path, "--target", target, "--report", str(out), "--model", str(folder / "m.safetensors")]
    assert cli.main([*line, "--epochs", "5", "--hidden", "8", *options]) == 0
    text = out.read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module", params=["classes", "numbers", "several", "crowd", "evil"])
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    rng = np.random.default_rng(0)
    if request.param == "numbers":
        return request.param, *make(folder, flats(), "price")
    if request.param == "classes":
        return request.param, *make(folder, people(), "leaves")
    if request.param == "evil":
        rows = [{EVIL: f"{EVIL}{k % 3}", "n": f"{rng.random():.3f}", f"y{EVIL}": f"{EVIL}{k % 2}"} for k in range(60)]
        return request.param, *make(folder, rows, f"y{EVIL}", "--metric", "f1")
    classes = 3 if request.param == "several" else 15
    rows = [{"a": f"{k % classes + rng.normal():.3f}", "kind": f"kind {k % classes}"} for k in range(300)]
    return request.param, *make(folder, rows, "kind")


def test_it_needs_nothing_but_itself(made):
    _, text, page = made
    for tag in ("script", "link", "img", "iframe", "object", "embed"):
        assert not page.all(tag)
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on") and name not in ("src", "srcset", "action", "data")
            assert name not in ("href", "xlink:href") or value.startswith("#"), (tag, value)
    assert not re.search(r"https?://|@import|url\((?!#)", text)


def test_ids_are_unique_and_what_is_used_is_there(made):
    _, text, page = made
    assert len(page.ids) == len(set(page.ids))
    used = re.findall(r"url\(#([^)]+)\)", text) + [a["href"].removeprefix("#") for a in page.all("use")]
    assert used and set(used) <= set(page.ids)


def test_pictures_say_what_they_show(made):
    kind, _, page = made
    pictures = page.all("svg")
    labels = " ".join(svg["aria-label"] for svg in pictures)
    expected = {
        "classes": ("ROC curve", "Precision-recall curve", "Partial dependence", "Loss by epoch"),
        "numbers": ("Predictions against true", "Residuals by", "Histogram of residuals", "Partial", "Loss by epoch"),
        "several": ("ROC curve", "Precision-recall curve", "Calibration", "Loss by epoch"),
        "crowd": ("ROC curve", "Precision-recall curve", "Calibration", "Loss by epoch"),
        "evil": ("ROC curve", "Precision-recall curve", "Loss by epoch"),
    }
    for word in expected[kind]:
        assert word in labels
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 20 for svg in pictures)
    assert page.elements[0] == ("html", {"lang": "en"}) and len(page.all("h1")) == 1
    assert len(page.all("caption")) == len(page.all("table"))


def test_pictures_stand_side_by_side_where_there_is_room(made):
    """In grids whose columns take a screen of 31rem each, and one alone where it is narrower."""
    _, text, page = made
    assert ".grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(31rem, 100%), 1fr))" in text
    grids = [attributes for _, attributes in page.elements if "grid" in (attributes.get("class") or "").split()]
    assert grids and {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")


def test_colours_are_those_of_the_page(made):
    _, text, _ = made
    body = text[text.index("<main>") :]
    assert not re.search(r"#0[1-9a]0[2-9a]0[3-9a]", body) and set(re.findall(r"#[0-9a-f]{6}\b", body)) <= {"#000000"}


def test_it_holds_what_matters(made):
    kind, _, page = made
    text = " ".join(page.text)
    for word in ("baseline", "Permutation importance", "Loss by epoch", "Columns", "Versions", "random_state"):
        assert word in text
    expected = {
        "classes": [
            "accuracy of the model",
            "true \\ predicted",
            "ROC curve",
            "Calibration",
            "threshold",
            "'id' is left",
        ],
        "numbers": ["R² of the model", "Predicted and true", "Residuals", "nine in ten to within", "ridge regression"],
        "several": ["true \\ predicted", "of the class that the model chooses", "kind 2"],
        "crowd": ["most frequent of", "kinds of mistakes", "kind 14"],
        "evil": [EVIL, "F1, mean of classes of the model"],
    }
    for word in expected[kind]:
        assert word in text


def test_names_are_escaped(made):
    kind, text, page = made
    if kind == "evil":
        assert "<script" not in text and "&lt;script&gt;" in text
        assert [word for word in page.text if word == EVIL]  # in a cell, as it is


def test_pictures_are_the_same_each_time():
    values = [1.0, 0.5], [1.1, 0.7], 2
    first, second = (pictures.picture("p", 'a "curve"', pictures.curves, *values) for _ in range(2))
    assert first == second and first.startswith("<svg viewBox=") and 'aria-label="a &quot;curve&quot;"' in first


def test_bins_of_a_calibration():
    p = np.linspace(0, 1, 100)
    predicted, observed, low, high = pictures.bins(p > 0.5, p)
    assert len(predicted) == 4 and observed.tolist() == [0, 0, 1, 1] and predicted.tolist() == sorted(predicted)
    assert (low <= observed).all() and (observed <= high).all() and (high - low > 0.1).all()


def test_bars_have_their_uncertainty():
    """From 0 on, a bar to the value, and a line as long as low and high are apart, on one scale for all."""
    rows = [("a", 2.0, 1.5, 2.5, "2 ± 0.5"), ("b", -0.5, -0.5, -0.5, "-0.5")]
    text = page.bars("c", ("column", "loss"), rows)
    assert re.findall(r"<i style=\"left:([\d.]+)%;width:([\d.]+)%", text) == [("16.7", "66.7"), ("0.0", "16.7")]
    assert re.findall(r"<u style=\"left:([\d.]+)%;width:([\d.]+)%", text) == [("66.7", "33.3")]
    assert "2 ± 0.5" in text and "−0.5" in text
