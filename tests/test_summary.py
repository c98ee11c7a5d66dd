"""The table that `summary` prints, and notebooks show."""

import re
from html.parser import HTMLParser

from helpers import make_model

from fastml import BatchNormalization, Dense, Sequential
from fastml.summary import size


def test_summary_counts_the_parameters(capsys):
    make_model(input_dim=5).summary()
    shown = capsys.readouterr().out
    assert "Dense(7, activation='tanh')" in shown
    assert "89 parameters" in shown  # 5·7 + 7  +  7·4 + 4  +  4·3 + 3
    assert "712 B as float64" in shown


def test_summary_before_the_width_is_known(capsys):
    make_model().summary()
    assert "not known yet" in capsys.readouterr().out


def test_a_model_without_layers_says_so(capsys):
    Sequential(input_dim=3).summary()
    assert capsys.readouterr().out.splitlines()[-1] == "no layers yet" and "no layers yet" in Sequential()._repr_html_()


def test_lines_are_aligned_and_say_what_a_layer_costs(capsys):
    model = Sequential([Dense(1000, "relu"), BatchNormalization(), Dense(3)], input_dim=5)
    model.summary()
    head, rule, first, second, third, end, footer = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "layer" and head.endswith("FLOP per row") and rule == end
    assert first.split()[-5:] == ["1000)", "6,000", "23.4", "KiB", "10,000"]
    assert second.split()[-5:] == ["1000)", "4,000", "15.6", "KiB", "0"]
    assert third.split()[-5:] == ["3)", "3,003", "11.7", "KiB", "6,000"]
    assert len({len(line) for line in (rule, first, second, third, head)}) == 1
    assert footer == "13,003 parameters, of which 2,000 are statistics, 50.8 KiB as float32; 16,000 FLOP per row"


def test_sizes_have_the_unit_that_suits_them():
    assert [size(n) for n in (0, 1023, 1024, 3 * 2**20, 5 * 2**30)] == [
        "0 B",
        "1,023 B",
        "1.0 KiB",
        "3.0 MiB",
        "5.0 GiB",
    ]


class Cells(HTMLParser):
    """The texts of a table's cells; fails where tags do not match."""

    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_notebooks_show_the_same_table(capsys):
    model = make_model(input_dim=5)
    cells = Cells()
    cells.feed(model._repr_html_())
    model.summary()
    words = re.split(r"\s{2,}|\n", re.sub("─+", "", capsys.readouterr().out).strip())
    assert not cells.open and sorted(cells.texts) == sorted(word for word in words if word)
