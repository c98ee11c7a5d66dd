"""The histograms of fastml.plots: each value is counted once, and dead and saturated units are told."""

import importlib.util
import warnings

import numpy as np
import pytest
from helpers import make_data

from fastml import Activation, BatchNormalization, Dense, Dropout, Embedding, Normalization, Sequential, plots

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None,
    reason="matplotlib is not installed: pip install 'fastml-cpu[plots]'",
)
RELU, TANH, SIGMOID = 2, 5, 7


def model_of_all_kinds():
    """Trained for some epochs, and its rows x (50, 5)."""
    x, y = make_data("binary_crossentropy", units=1)
    layers = [Normalization(), Dense(6, "relu"), BatchNormalization(), Dropout(0.5), Dense(5, "tanh"), Dense(1)]
    model = Sequential([*layers, Activation("sigmoid")], seed=1, dtype="float64")
    model.compile("adam", "binary_crossentropy")
    model.fit(x, y, epochs=3, verbose=0)
    return model, x


def outputs_by_hand(model, x):
    """The outputs of each layer but Dropout."""
    mean, scale, W1, b1, gamma, beta, running_mean, running_variance, W2, b2, W3, b3 = model.get_weights()
    first = (x - mean) * scale
    second = np.maximum(first @ W1 + b1, 0)
    third = gamma * (second - running_mean) / np.sqrt(running_variance + 1e-5) + beta
    fourth = np.tanh(third @ W2 + b2)
    fifth = fourth @ W3 + b3
    return {1: first, 2: second, 3: third, 5: fourth, 6: fifth, 7: 1 / (1 + np.exp(-fifth))}


def title(ax):
    return ax.get_title(loc="left")


def note(ax):
    return ax.texts[0].get_text()


def panels(figure):
    """The Axes by the number of the layer."""
    return {int(title(ax).split(":")[0]): ax for ax in figure.axes}


def stairs(ax):
    """Heights and edges of the bars, and their colours, from the axis upwards."""
    return [(*patch.get_data()[:2], patch.get_data().baseline, patch.get_edgecolor()) for patch in ax.patches]


def test_weight_histograms_count_each_trained_weight_once():
    """W and b of Dense, γ and β of BatchNormalization; the statistics have no picture."""
    model, _ = model_of_all_kinds()
    axes = plots.weight_histograms(model).axes
    kinds = ["Dense W (5 × 6)", "Dense b (6)", "BatchNormalization γ (6)", "BatchNormalization β (6)"]
    kinds = [f"2: {kinds[0]}", f"2: {kinds[1]}", f"3: {kinds[2]}", f"3: {kinds[3]}", "5: Dense W (6 × 5)"]
    assert [title(ax) for ax in axes] == [*kinds, "5: Dense b (5)", "6: Dense W (5 × 1)", "6: Dense b (1)"]
    arrays = model.get_weights()
    for ax, array in zip(axes, [*arrays[2:6], *arrays[8:]], strict=True):
        heights = [bar.get_height() for bar in ax.containers[0]]
        edges = [bar.get_x() for bar in ax.containers[0]] + [
            ax.containers[0][-1].get_x() + ax.containers[0][-1].get_width()
        ]
        assert sum(heights) == array.size
        np.testing.assert_allclose(heights, np.histogram(array, len(heights), (edges[0], edges[-1]))[0])
        assert edges[0] <= array.min() and array.max() <= edges[-1] + 1e-12


def test_activation_histograms_show_the_outputs_of_each_layer():
    """Against the forward pass written out: shares in each bar, all layers but Dropout."""
    model, x = model_of_all_kinds()
    axes, expected = panels(plots.activation_histograms(model, x)), outputs_by_hand(model, x)
    names = ["Normalization", "Dense relu", "BatchNormalization", "Dense tanh", "Dense linear", "sigmoid"]
    assert [title(ax).split(": ")[1] for ax in axes.values()] == names and list(axes) == list(expected)
    for number, outputs in expected.items():
        heights, edges, *_ = stairs(axes[number])[-1]
        np.testing.assert_allclose(edges[[0, -1]], [outputs.min(), outputs.max()], rtol=1e-9, atol=1e-12)
        shares = np.histogram(np.clip(outputs, edges[0], edges[-1]), edges)[0] / outputs.size
        np.testing.assert_allclose(heights, shares, atol=1e-12)
    for number in (1, 3, 6):
        a = expected[number]
        mean, spread = (float(word.replace("−", "-")) for word in note(axes[number])[5:].split(", spread "))
        assert spread == pytest.approx(a.std(), rel=0.06) and mean == pytest.approx(
            a.mean(), rel=0.06, abs=a.std() / 99
        )


def test_zeros_of_relu_and_dead_units_are_told():
    """Two units of three are dead by their biases; the orange bar is the zeros, the blue one above it the rest."""
    x = np.random.default_rng(0).normal(size=(40, 3))
    model = Sequential([Dense(3, "relu", np.eye(3), [-100, 0, -100])], input_dim=3, dtype="float64")
    (ax,) = plots.activation_histograms(model, x).axes
    zero = (2 + (x[:, 1] <= 0).mean()) / 3
    assert note(ax) == f"{zero:.1%} zero, 2 of 3 units dead"
    (zeros, _, _, orange), (_, _, base, blue) = stairs(ax)
    assert zeros[0] == pytest.approx(zero) and not zeros[1:].any()
    np.testing.assert_array_equal(base, zeros)
    assert orange != blue


@pytest.mark.parametrize("activation, edge", [("tanh", np.sqrt(0.95)), ("sigmoid", (1 + np.sqrt(0.95)) / 2)])
def test_saturated_units_are_told(activation, edge):
    """The slope is below 5 % of the steepest where the output is beyond the edge, on either side."""
    x = np.random.default_rng(0).normal(size=(40, 2))
    model = Sequential([Dense(2, activation, 3 * np.eye(2), [1000, 0])], input_dim=2, dtype="float64")
    a = model.predict(x)
    low = -edge if activation == "tanh" else 1 - edge
    share = ((a > edge) | (a < low)).mean()
    (ax,) = plots.activation_histograms(model, x).axes
    assert 0.5 < share < 1 and note(ax) == f"{share:.1%} saturated, 1 of 2 units always"


@pytest.mark.parametrize("value", [0.0, -3.0, 1e20, 1e-30, 1 - 2**-53])
def test_values_that_are_equal_or_almost_so_stand_in_the_middle(value):
    """Also where the floats between them are fewer than bins."""
    layer = Dense(2, "linear", 0.0, [value, np.nextafter(value, 2) if value else 0.0])
    model = Sequential([layer], input_dim=1, dtype="float64")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plots.activation_histograms(model, [[1.0]])
        plots.weight_histograms(model)
        figure.draw_without_rendering()
    ((heights, edges, *_),) = stairs(figure.axes[0])
    assert heights[len(heights) // 2] == 1 == heights.sum()
    assert edges[0] < value < edges[-1]


def test_fitted_estimators_are_shown_as_their_network():
    sklearn = pytest.importorskip("fastml.sklearn", reason="needs scikit-learn, the extra sklearn")
    x, y = make_data("sparse_categorical_crossentropy")
    estimator = sklearn.MLPClassifier(hidden_layer_sizes=(4,), random_state=0, solver="lbfgs", tol=0.1)
    with pytest.raises(TypeError, match="Sequential, or a fitted estimator of fastml.sklearn, got MLPClassifier"):
        plots.weight_histograms(estimator)
    estimator.fit(x, y)
    ours, same = plots.activation_histograms(estimator, x), plots.activation_histograms(estimator.model_, x)
    assert [(title(ax), note(ax)) for ax in ours.axes] == [(title(ax), note(ax)) for ax in same.axes]
    assert [title(ax)[:7] for ax in plots.weight_histograms(estimator).axes] == [
        "2: Dens",
        "2: Dens",
        "3: Dens",
        "3: Dens",
    ]


def test_embeddings_and_estimators_of_tables_are_shown():
    model = Sequential([Embedding({0: 3}, 2), Dense(4, "relu")], input_dim=2, seed=0)
    axes = plots.activation_histograms(model, [[0, 1.5], [2, -1.0]]).axes
    assert [title(ax) for ax in axes] == ["1: Embedding", "2: Dense relu"]
    titles = [title(ax) for ax in plots.weight_histograms(model).axes]
    assert titles == ["1: Embedding table_0 (3 × 2)", "2: Dense W (3 × 4)", "2: Dense b (4)"]

    pandas = pytest.importorskip("pandas", reason="needs pandas, the extra frames")
    sklearn = pytest.importorskip("fastml.sklearn", reason="needs scikit-learn, the extra sklearn")
    table = pandas.DataFrame({"colour": ["red", "blue"] * 10, "size": np.arange(20.0)})
    estimator = sklearn.MLPRegressor(hidden_layer_sizes=(4,), random_state=0, solver="lbfgs", tol=0.1)
    axes = plots.activation_histograms(estimator.fit(table, table["size"]), table).axes
    assert len(axes) == len(estimator.model_.layers)


def test_a_figure_that_is_given_is_drawn_into():
    from matplotlib.figure import Figure

    model, x = model_of_all_kinds()
    parts = Figure(layout="constrained").subfigures(1, 2)
    assert plots.weight_histograms(model, figure=parts[0]) is parts[0]
    assert plots.activation_histograms(model, x, figure=parts[1]) is parts[1]
    assert len(parts[0].axes) == 8 and len(parts[1].axes) == 6


def test_histograms_refuse_what_they_cannot_draw():
    x = np.ones((2, 3))
    with pytest.raises(TypeError, match="model must be a Sequential"):
        plots.activation_histograms([Dense(1)], x)
    with pytest.raises(RuntimeError, match="needs weights"):
        plots.weight_histograms(Sequential([Dense(1)]))
    with pytest.raises(ValueError, match="no weights to train"):
        plots.weight_histograms(Sequential([Activation("relu")], input_dim=3))
    with pytest.raises(ValueError, match="a layer other than Dropout"):
        plots.activation_histograms(Sequential([Dropout(0.5)]), x)
    with pytest.raises(ValueError, match="x has 3 features, but the model takes 4"):
        plots.activation_histograms(Sequential([Dense(1)], input_dim=4), x)
    huge = Sequential([Dense(1, "linear", 1e38), Dense(1, "linear", 1e38)])
    with pytest.raises(
        ValueError, match=r"layer 2, Dense\(1, activation='linear'\), puts out numbers that are not finite"
    ):
        plots.activation_histograms(huge, x)
