"""Pictures show themselves: by pyplot where it is in use, in a notebook once; and their colours and labels."""

import subprocess
import sys

import numpy as np
import pytest
from helpers import make_data

pytest.importorskip("matplotlib", reason="needs matplotlib, the extra plots")

from matplotlib.colors import to_hex

from fastml import SGD, Adam, Dense, History, Sequential, plots
from fastml.training import progress

CROSSENTROPY = "sparse_categorical_crossentropy"


@pytest.fixture(scope="module")
def trained():
    """A model, its data, and its History with validation rows."""
    x, y = make_data(CROSSENTROPY)
    model = Sequential([Dense(6, "relu"), Dense(3, "softmax")], seed=1)
    model.compile("adam", CROSSENTROPY, ["accuracy"])
    return model, x, y, model.fit(x, y, epochs=4, verbose=0, validation_split=0.2)


@pytest.fixture
def pyplot():
    """pyplot without windows, and without figures before and after."""
    import matplotlib

    matplotlib.use("agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.close("all")
    yield pyplot
    pyplot.close("all")


def colours(ax):
    return [to_hex(line.get_color()).upper() for line in ax.lines]


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("name", ["loss", "accuracy"])
def test_training_and_validation_have_two_colours(name, trained):
    ax = trained[3].plot(name)
    assert colours(ax) == [plots.COLORS[0], plots.COLORS[1]]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert texts(ax) == ["training rows", "validation rows"]


def test_the_colours_are_those_of_the_report():
    style = pytest.importorskip("fastml.commands.report.style", reason="needs the extra train")
    assert f"--first: {plots.COLORS[0].lower()}" in style.STYLE and style.SERIES[:2] == ("first", "second")


def test_a_label_takes_the_place_of_the_words_for_training_rows(trained):
    assert texts(plots.loss_curves({"small": trained[3]})) == ["small", "validation rows"]


@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_are_numbered(kind, trained):
    model, x, y, history = trained
    ax = plots.loss_curves(kind([history, history]))
    assert texts(ax) == ["run 1", "run 2", "training rows", "validation rows"]
    assert colours(ax)[:4] == [plots.COLORS[0]] * 2 + [plots.COLORS[1]] * 2
    assert texts(plots.gradient_norms(kind([model, model]), x, y)) == ["model 1", "model 2"]
    assert texts(plots.output_spread(kind([model, model]), x)) == ["model 1", "model 2"]
    x = np.linspace(0.6, 1.4, 9)
    *axes, _ = plots.optimizer_paths(x, 1 - x, kind([SGD(0.1), Adam(0.1)]), epochs=2).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["optimizer 1", "optimizer 2"]


def test_pyplot_knows_new_figures_where_it_is_in_use(pyplot, trained):
    """So that show() shows them; a figure of the user's gets no other beside it."""
    model, x, y, history = trained
    figures = [history.plot().figure, plots.weight_histograms(model), plots.activation_functions(["relu"])]
    assert [pyplot.figure(number) for number in pyplot.get_fignums()] == figures
    pyplot.close("all")
    ax = pyplot.figure().subplots()
    history.plot(ax=ax)
    plots.gradient_norms(model, x, y, ax=ax)
    assert len(pyplot.get_fignums()) == 1


def test_without_pyplot_a_figure_is_free(monkeypatch, trained):
    """No list of pyplot's keeps it."""
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    figure = trained[3].plot().figure
    assert figure.canvas.manager is None and "matplotlib.pyplot" not in sys.modules


def test_in_a_notebook_pyplot_is_loaded_to_show_figures(monkeypatch, pyplot, trained):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot")
    monkeypatch.setattr(plots.style, "in_notebook", lambda: True)
    figure = trained[3].plot().figure
    assert figure.canvas.manager is not None and figure.number in sys.modules["matplotlib.pyplot"].get_fignums()


NOTEBOOK = """
import sys, types, warnings
warnings.simplefilter("error")
shown = []
class ZMQInteractiveShell: pass
class Shell(ZMQInteractiveShell):  # as Colab's
    events = types.SimpleNamespace(register=lambda *_: None)
    class display_formatter:
        formatters = {"image/png": lambda _: (b"picture", {"width": 5}), "text/html": lambda _: None}
shell = Shell()
ipython, kinds = types.ModuleType("IPython"), types.ModuleType("IPython.display")
ipython.get_ipython = lambda: shell
ipython.display, ipython.__version__, ipython.version_info = kinds, "9.0", (9, 0)
kinds.display = lambda data, metadata, raw: shown.append((data["image/png"], metadata, raw))
kinds.HTML = str
sys.modules |= {"IPython": ipython, "IPython.display": kinds}
import matplotlib
matplotlib.use("agg")
from fastml import plots
from fastml.training import progress
assert progress.in_notebook()
figure = plots.activation_functions(["relu"])
import matplotlib.pyplot as pyplot
assert pyplot.get_fignums() == [1]
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", NOTEBOOK + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_a_figure_that_a_cell_returns_is_shown_once():
    """What pyplot would show at the end of the cell is taken from it; shown again, the figure is there again."""
    run("""
matplotlib.get_backend = lambda: "module://matplotlib_inline.backend_inline"
for times in (1, 2):
    figure._ipython_display_()
    assert shown == [(b"picture", {"image/png": {"width": 5}}, True)] * times and pyplot.get_fignums() == []
del Shell.display_formatter.formatters["image/png"]  # where no backend has set one
figure._ipython_display_()
assert shown[-1][0].startswith(b"\\x89PNG")
""")


def test_a_figure_with_a_window_stays_there():
    run("""
figure._ipython_display_()
assert shown == [] and pyplot.get_fignums() == [1]
""")


def test_a_notebook_without_widgets_gets_a_bar_of_text():
    """On standard output, as the other is red there, and without a warning."""
    done = run("""
sys.modules["ipywidgets"] = None
bar = progress.make_progress("auto", 100, 3)
bar.update(100)
bar.epoch(1, {"loss": 0.5})
bar.finish()
bar.close()
assert not bar.notebook
""")
    assert "epoch 1/3" in done.stdout and "loss 0.5000" in done.stdout and not done.stderr


def test_elsewhere_a_bar_is_on_standard_error(capsys):
    bar = progress.make_progress(1, 100, 3)
    bar.update(100)
    bar.close()
    shown = capsys.readouterr()
    assert not shown.out and "epoch" in shown.err


def test_validation_stands_at_its_epochs():
    """Where fit validated after every second epoch only."""
    history = History()
    history.params = {"validation_freq": 2}
    for epoch in range(5):
        history.on_epoch_end(epoch, {"loss": 5.0 - epoch} | ({"val_loss": 1.0 + epoch} if epoch % 2 else {}))
    lines = {line.get_label(): line.get_xydata().tolist() for line in history.plot().lines}
    assert lines["training rows"] == [[1, 5], [2, 4], [3, 3], [4, 2], [5, 1]]
    assert lines["validation rows"] == [[2, 2], [4, 4]]
