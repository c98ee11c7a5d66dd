"""fastml.plots: what the lines in the pictures show, and what examples/lecture.py writes."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import make_data

from fastml import (
    ACTIVATIONS,
    OPTIMIZERS,
    SGD,
    Adam,
    BatchNormalization,
    Dense,
    DivergenceError,
    Dropout,
    History,
    Normalization,
    Sequential,
    load_digits,
    plots,
)

ROOT = Path(__file__).parent.parent
CROSSENTROPY = "sparse_categorical_crossentropy"
drawing = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None,
    reason="matplotlib is not installed: pip install 'fastml-cpu[plots]'",
)


def figure(**arguments):
    from matplotlib.figure import Figure

    return Figure(**arguments)


def trained(epochs=5, **arguments):
    """A model that was fitted with validation rows, its data and its History."""
    x, y = make_data(CROSSENTROPY)
    model = Sequential([Dense(6, "relu", "he_normal"), Dense(3, "softmax")], seed=1, dtype="float64")
    model.compile("adam", CROSSENTROPY, ["accuracy"])
    return model, x, y, model.fit(x, y, epochs=epochs, verbose=0, **{"validation_split": 0.2, **arguments})


def curves(ax):
    """The lines that hold data, by label; those without one are numbered."""
    lines = [line for line in ax.lines if len(line.get_xdata())]
    return {str(k) if line.get_label().startswith("_") else line.get_label(): line for k, line in enumerate(lines)}


def title(ax):
    return ax.get_title(loc="left")


def neuron_data():
    """A feature that makes a ravine, targets that a neuron cannot meet exactly, and the best weight and bias."""
    x = np.linspace(0.6, 1.4, 21)
    y = 1 - 0.8 * x + 0.1 * np.sin(20 * x)
    return x, y, np.polyfit(x, y, 1)


@drawing
def test_a_history_draws_itself():
    """As `loss_curves` draws it."""
    history = trained()[3]
    ours, same = history.plot("accuracy"), plots.loss_curves(history, "accuracy")
    assert [line.get_ydata().tolist() for line in ours.lines] == [line.get_ydata().tolist() for line in same.lines]
    assert history.plot(log=False, ax=ours) is ours


@drawing
@pytest.mark.parametrize("name", ["loss", "accuracy"])
def test_loss_curves_show_the_history(name):
    """Solid is training, dashed in the same colour validation; colours differ; only losses are logarithmic."""
    histories = {"a": trained()[3], "b": trained(epochs=8)[3]}
    ax = plots.loss_curves(histories, name)
    assert [len(line.get_xdata()) for line in ax.lines] == [5, 5, 8, 8, 0, 0]
    for k, history in enumerate(histories.values()):
        solid, dashed = ax.lines[2 * k : 2 * k + 2]
        np.testing.assert_array_equal(solid.get_xdata(), np.arange(len(history.epoch)) + 1)
        np.testing.assert_array_equal(solid.get_ydata(), history.history[name])
        np.testing.assert_array_equal(dashed.get_ydata(), history.history[f"val_{name}"])
        assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
        assert solid.get_color() == dashed.get_color()
    assert ax.lines[0].get_color() != ax.lines[2].get_color()
    assert ax.get_yscale() == ("log" if name == "loss" else "linear")
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["a", "b", "training rows", "validation rows"]


@drawing
def test_loss_curves_of_a_single_history_without_validation_need_no_legend():
    ax = plots.loss_curves(trained(validation_split=0.0)[3], log=False)
    assert len(ax.lines) == 1 and ax.get_legend() is None and ax.get_yscale() == "linear"


@drawing
def test_a_metric_of_validation_rows_alone():
    """A dashed line, and none for training rows."""
    x, y = make_data(CROSSENTROPY)
    model = Sequential([Dense(3, "softmax")], seed=1)
    model.compile("adam", CROSSENTROPY, ["auc"])
    history = model.fit(x, y, epochs=5, verbose=0, validation_split=0.5)
    ax = history.plot("auc")
    solid, dashed = ax.lines[:2]
    assert np.isnan(solid.get_ydata()).all() and ax.get_yscale() == "linear"
    np.testing.assert_array_equal(dashed.get_ydata(), history.history["val_auc"])


@drawing
def test_a_few_epochs_are_marked_as_whole_numbers_and_a_single_one_as_points():
    ticks = plots.loss_curves(trained(epochs=3)[3]).get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))
    ax = plots.loss_curves(trained(epochs=1)[3])
    assert [line.get_marker() for line in ax.lines] == ["o"] * 2
    assert ax.lines[1].get_markerfacecolor() == "none" != ax.lines[0].get_markerfacecolor()
    assert np.count_nonzero((ax.get_xticks() > 0) & (ax.get_xticks() < 2)) == 1


@drawing
def test_loss_curves_refuse_what_they_cannot_draw():
    *_, history = trained()
    with pytest.raises(ValueError, match="unknown curve 'acuracy'. Did you mean 'accuracy'"):
        plots.loss_curves(history, "acuracy")
    with pytest.raises(TypeError, match="histories must be one History, or a list or dict of them, got list"):
        plots.loss_curves([[history]])
    with pytest.raises(TypeError, match="got dict"):
        plots.loss_curves({"a": history.history})
    for nothing in ({}, []):
        with pytest.raises(ValueError, match="histories must not be empty"):
            plots.loss_curves(nothing)
    with pytest.raises(ValueError, match="unknown curve"):
        plots.loss_curves(History())


@drawing
def test_each_activation_is_drawn_with_its_derivative():
    """The solid line is what a Dense layer puts out, the dashed one its central difference away from kinks."""
    axes = plots.activation_functions().axes
    assert [title(ax).split()[0] for ax in axes] == list(ACTIVATIONS)
    assert [title(ax) for ax in axes if title(ax) not in ACTIVATIONS] == ["softmax of (z, 0)"]
    for name, ax in zip(ACTIVATIONS, axes, strict=True):
        f, df = (line for line in ax.lines if len(line.get_xdata()) > 2)
        model = Sequential([Dense(2, name, kernel_initializer=[[1, 0]])], input_dim=1, dtype="float64")

        def outputs(z, model=model):
            return model.predict(z[:, None])[:, 0]

        z = f.get_xdata()
        np.testing.assert_allclose(f.get_ydata(), outputs(z), rtol=1e-12, atol=1e-14, err_msg=name)
        smooth = np.abs(np.abs(z)[:, None] - [0, 3]).min(axis=1) > 1e-3  # away from kinks
        slope = (outputs(z + 1e-6) - outputs(z - 1e-6)) / 2e-6
        np.testing.assert_allclose(df.get_ydata()[smooth], slope[smooth], atol=1e-7, rtol=1e-7, err_msg=name)


@drawing
def test_chosen_activations_and_wrong_names():
    assert [title(ax) for ax in plots.activation_functions(["relu", "gelu"]).axes] == ["relu", "gelu"]
    with pytest.raises(ValueError, match="unknown activation 'reluu'. Did you mean 'relu'"):
        plots.activation_functions(["reluu"])
    with pytest.raises(TypeError, match="names must be a list of names"):
        plots.activation_functions("relu")


@drawing
def test_the_paths_start_together_and_descend_to_the_minimum():
    """Each of the five begins at the start and ends near the least squares solution, at almost its loss."""
    x, y, best = neuron_data()
    *axes, losses = plots.optimizer_paths(x, y, start=(1.5, 1.0), epochs=400).axes
    assert [title(ax) for ax in axes] == list(curves(losses)) == ["SGD", "Momentum", "Nesterov", "Adam", "Rprop"]
    lowest = np.mean((np.polyval(best, x) - y) ** 2)
    for ax in axes:
        path = np.transpose(ax.lines[0].get_data())
        assert path.shape == (401, 2) and tuple(path[0]) == (1.5, 1.0)
        assert np.linalg.norm(path[-1] - best) < 0.05 * np.linalg.norm(path[0] - best), title(ax)
        height = curves(losses)[title(ax)].get_ydata()
        mine = np.mean((path[:-1, :1] * x + path[:-1, 1:] - y) ** 2, axis=1)
        np.testing.assert_allclose(height, mine, rtol=1e-11)
        assert height[-1] - lowest < 1e-3 * (height[0] - lowest), title(ax)


@drawing
def test_the_path_of_gradient_descent_is_the_one_by_hand():
    x, y, _ = neuron_data()
    (ax, _) = plots.optimizer_paths(x, y, SGD(0.3), start=(1.5, 1.0), epochs=20).axes
    expected = [np.array([1.5, 1.0])]
    for _ in range(20):
        w, b = expected[-1]
        error = w * x + b - y
        expected.append(expected[-1] - 0.3 * 2 * np.array([np.mean(error * x), np.mean(error)]))
    np.testing.assert_allclose(np.transpose(ax.lines[0].get_data()), expected, rtol=0, atol=1e-13)


@drawing
def test_the_contours_lie_where_the_loss_has_their_level():
    """Up to what a grid of 60 x 60 cells rounds; all paths lie inside."""
    x, y, _ = neuron_data()
    (ax, _) = plots.optimizer_paths(x, y, SGD(0.3), start=(1.5, 1.0), epochs=20).axes
    lines = ax.collections[-1]
    assert len(lines.levels) == 14
    np.testing.assert_allclose(np.diff(np.log(np.diff(lines.levels)[1:])), np.log(1000) / 12, rtol=1e-6)
    reached = 0
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        if len(path.vertices):
            weights, biases = path.vertices.T
            loss = np.mean((weights[:, None] * x + biases[:, None] - y) ** 2, axis=1)
            assert np.abs(loss - level).max() < 2e-3 * (lines.levels[-1] - lines.levels[0])
            reached += 1
    assert reached >= 12
    path = np.transpose(ax.lines[0].get_data())
    assert (path > [ax.get_xlim()[0], ax.get_ylim()[0]]).all() and (path < [ax.get_xlim()[1], ax.get_ylim()[1]]).all()


@drawing
def test_every_optimizer_and_another_loss_can_be_drawn():
    """A logistic neuron: each optimizer of the registry lowers the cross-entropy from log 2."""
    x, _, _ = neuron_data()
    optimizers = {name: optimizer() for name, optimizer in OPTIMIZERS.items()}
    axes = plots.optimizer_paths(x, x > 0.9, optimizers, epochs=30, loss="binary_crossentropy").axes
    assert len(axes) == len(OPTIMIZERS) + 1
    for name, line in curves(axes[-1]).items():
        assert line.get_ydata()[0] == pytest.approx(np.log(2), rel=1e-14)
        assert line.get_ydata()[-1] < line.get_ydata()[0], name


@drawing
def test_optimizer_paths_refuse_what_they_cannot_draw():
    x, y, _ = neuron_data()
    with pytest.raises(ValueError, match=r"x must be one feature, of shape \(rows,\), got the shape \(21, 1\)"):
        plots.optimizer_paths(x[:, None], y)
    with pytest.raises(ValueError, match="y"):
        plots.optimizer_paths(x, y[1:])
    with pytest.raises(TypeError, match="optimizers must be one Optimizer, or a list or dict of them, got str"):
        plots.optimizer_paths(x, y, "adam")
    with pytest.raises(DivergenceError):
        plots.optimizer_paths(x, y, SGD(1e9), epochs=200)


@drawing
def test_gradient_norms_are_those_of_the_dense_weights():
    """Biases, batch normalization and the statistics of Normalization are left out."""
    x, y = make_data(CROSSENTROPY)
    layers = [Normalization(), Dense(6, "tanh"), BatchNormalization(), Dense(3, "softmax")]
    model = Sequential(layers, seed=1, dtype="float64")
    model.compile("adam", CROSSENTROPY)
    model.fit(x, y, verbose=0)
    _, gradients = model.gradients(x, y)
    expected = [np.sqrt((gradients[k] ** 2).sum()) for k in (2, 8)]
    ax = plots.gradient_norms({"mine": model}, x, y)
    np.testing.assert_array_equal(curves(ax)["mine"].get_xdata(), [1, 2])
    np.testing.assert_allclose(curves(ax)["mine"].get_ydata(), expected, rtol=1e-14)
    with pytest.raises(RuntimeError, match="call compile"):
        plots.gradient_norms(Sequential([Dense(1)]), x, y)


@drawing
def test_sigmoid_loses_the_gradient_and_relu_with_he_keeps_it():
    """By a factor of 2 or more in each of ten layers, against less than 3 in all."""
    x, y = load_digits()
    lines = curves(plots.vanishing_gradient(x[:300], y[:300], seed=3))
    norms = {label: line.get_ydata() for label, line in lines.items()}
    assert all(len(values) == 11 for values in norms.values())
    sigmoid, relu, tanh = (norms[s] for s in ("sigmoid glorot_uniform", "relu he_normal", "tanh glorot_uniform"))
    assert (sigmoid[:-1] < sigmoid[1:] / 2).all() and sigmoid[0] < 1e-5 * sigmoid[-1]
    assert relu.max() < 3 * relu.min() and tanh.max() < 3 * tanh.min()
    assert (norms["relu glorot_uniform"] < relu / 20).all()


@drawing
def test_output_spread_is_that_of_the_layers_by_hand():
    """A trained net with all kinds of layers, against its forward pass written out."""
    x, y = make_data(CROSSENTROPY)
    layers = [Normalization(), Dense(6, "tanh"), BatchNormalization(), Dropout(0.5), Dense(5, "relu")]
    model = Sequential([*layers, Dense(3, "softmax")], seed=1, dtype="float64")
    model.compile("adam", CROSSENTROPY)
    model.fit(x, y, epochs=3, verbose=0)
    mean, scale, W1, b1, gamma, beta, running_mean, running_variance, W2, b2, *_ = model.get_weights()
    first = np.tanh((x - mean) * scale @ W1 + b1)
    first = gamma * (first - running_mean) / np.sqrt(running_variance + 1e-5) + beta
    second = np.maximum(first @ W2 + b2, 0)
    ax = plots.output_spread({"mine": model}, x)
    expected = [np.median(outputs.std(axis=0)) for outputs in (first, second)]
    np.testing.assert_allclose(curves(ax)["mine"].get_ydata(), expected, rtol=1e-12)
    (band,) = ax.collections
    for layer, outputs in enumerate((first, second), 1):
        edges = band.get_paths()[0].vertices
        edges = np.unique(edges[edges[:, 0] == layer, 1])
        np.testing.assert_allclose(edges, np.quantile(outputs.std(axis=0), (0.1, 0.9)), rtol=1e-12)
    with pytest.raises(ValueError, match="needs a hidden layer"):
        plots.output_spread(Sequential([Dense(3)]), x)


@drawing
def test_the_effect_of_dropout():
    """Only without it are noisy digits known by heart; the histogram counts every wrong answer of those nets."""
    x, y = load_digits()
    x = x + np.random.default_rng(0).normal(scale=0.3, size=x.shape)
    train, validation = (x[:300], y[:300]), (x[300:900], y[300:900])
    left, right = plots.dropout_effect(*train, validation, units=64, epochs=80, seed=2).axes
    plain, plain_validation, dropout, dropout_validation = (line.get_ydata() for line in left.lines[:4])
    assert plain[-1] < 0.05 < dropout[-1]
    assert plain_validation[-1] > 1.1 * plain_validation.min()
    assert dropout_validation[-1] < plain_validation[-1]

    model = Sequential([Dense(64, "relu", "he_normal"), Dense(64, "relu", "he_normal"), Dense(10, "softmax")], seed=2)
    model.compile(Adam(), CROSSENTROPY)
    history = model.fit(*train, epochs=80, verbose=0)
    np.testing.assert_array_equal(plain, history.history["loss"])
    p = model.predict(validation[0])
    sure = p.max(axis=1)[p.argmax(axis=1) != validation[1]]
    heights = [bar.get_height() for bar in right.containers[0]]
    np.testing.assert_array_equal(heights, np.histogram(sure, np.linspace(0, 1, 21))[0])
    assert right.get_legend().get_texts()[0].get_text() == f"plain: {len(sure) / 600:.1%} wrong"


@drawing
def test_the_effect_of_batch_normalization():
    """Eight sigmoid layers learn with it only, because only then does the signal reach the last layer."""
    x, y = load_digits()
    left, right = plots.batchnorm_effect(x[:600], y[:600], (x[600:900], y[600:900]), epochs=30).axes
    plain, _, normalized, normalized_validation = (line.get_ydata() for line in left.lines[:4])
    assert plain[-1] == pytest.approx(np.log(10), rel=0.02)
    assert normalized[-1] < 0.8 and normalized_validation[-1] < 0.8
    plain, normalized = (curves(right)[label].get_ydata() for label in ("plain", "batch normalization"))
    assert plain[-1] < 1e-3 * plain[0] and normalized[-1] > 0.5 * normalized[0]


@drawing
def test_axes_and_figures_that_are_given_are_drawn_into():
    model, x, y, history = trained()
    ax = figure().subplots()
    assert plots.loss_curves(history, ax=ax) is ax
    assert plots.gradient_norms(model, x, y, ax=ax) is ax
    assert plots.output_spread(model, x, ax=ax) is ax
    assert len(ax.lines) == 4  # two curves, one line each of the others
    given = figure(layout="constrained")
    parts = given.subfigures(1, 2)
    assert plots.activation_functions(["relu"], figure=parts[0]) is parts[0]
    assert plots.optimizer_paths(*neuron_data()[:2], SGD(0.1), epochs=2, figure=parts[1]) is parts[1]
    assert len(given.axes) == 3


@drawing
def test_nothing_global_is_touched(tmp_path):
    """In a fresh process: matplotlib is loaded by drawing only, pyplot never, and settings stay."""
    code = """
import sys
from fastml import plots
assert not any(name.startswith("matplotlib") for name in sys.modules)
import matplotlib
def settings():
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}
before = settings()
plots.activation_functions().savefig(sys.argv[1])
assert settings() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "activations.png")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "activations.png").exists()


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "fastml.plots.figure", raising=False)
    with pytest.raises(ImportError, match=re.escape("pip install 'fastml-cpu[plots]'")):
        plots.activation_functions()


def lecture():
    """examples/lecture.py as a module."""
    spec = importlib.util.spec_from_file_location("lecture", ROOT / "examples" / "lecture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@drawing
def test_the_lecture_writes_its_pictures(tmp_path, capsys):
    """In quick mode: a PNG for each, as small as promised, the same when drawn again."""
    module = lecture()
    module.main(["--quick", "--output", str(tmp_path / "a" / "b")])
    printed = capsys.readouterr().out
    files = sorted((tmp_path / "a" / "b").iterdir())
    assert [file.stem for file in files] == sorted(picture.__name__ for picture in module.PICTURES)
    for file in files:
        assert str(file) in printed
        assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") and 5_000 < file.stat().st_size < 150_000
    module.save(module.vanishing_gradient(module.digits(), 2), again := tmp_path / "again.png")
    assert again.read_bytes() == (tmp_path / "a" / "b" / "vanishing_gradient.png").read_bytes()


def test_the_document_shows_each_picture_of_the_lecture_once():
    text = (ROOT / "docs" / "lecture.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[.+?\]\(lecture/(\w+)\.png\)", text)
    assert shown == [picture.__name__ for picture in lecture().PICTURES]
    for name in shown:
        assert 5_000 < (ROOT / "docs" / "lecture" / f"{name}.png").stat().st_size < 150_000


@drawing
def test_the_examples_of_the_readme_run(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(code, {})
    names = {"loss", "accuracy", "gradients", "weights", "outputs", "displays"}
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in names}
