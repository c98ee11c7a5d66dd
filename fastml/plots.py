"""Pictures of training: loss curves, activation functions, paths of optimizers, gradients and signals by layer.

Needs matplotlib, which the extra ``plots`` installs. Every function draws into the `ax` or `figure` that it is given,
or into a new figure, and returns it; ``savefig(path)`` of a Figure, or of the ``figure`` of Axes, writes a file. pyplot
and its global settings are left alone. Things to compare come as a dict from label to thing; each has a colour, from a
palette for colour-blind eyes too (Okabe & Ito, 2008), and a marker.

Functions that build classifiers take x : (rows, features) and y : (rows,), class numbers from 0 on; `depth` and `units`
are number and width of the hidden layers. They raise what `Sequential` raises: TypeError or ValueError for data that
cannot be used, DivergenceError where a training diverges. ImportError says how to install matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastml.activations import ACTIVATIONS
from fastml.callbacks import Callback, History
from fastml.data import as_list
from fastml.layers import Activation, BatchNormalization, Dense, Dropout
from fastml.losses import Loss, resolve_loss
from fastml.metrics import more_is_better
from fastml.optimizers import SGD, Adam, Optimizer, Rprop
from fastml.registry import lookup
from fastml.sequential import Sequential

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def loss_curves(
    histories: History | dict[str, History], name: str = "loss", *, log: bool | None = None, ax: Axes | None = None
) -> Axes:
    """The loss, or the metric `name`, by epoch: training rows solid, validation rows dashed in the same colour.

    `histories` is what `fit` returned. The axis is logarithmic with `log`, which is the default for all but accuracies,
    auc and their like, and values that are not above 0. Raises ValueError for a name that a history lacks, TypeError
    for what is no History.
    """
    histories = _labelled(histories, History, "histories")
    for history in histories.values():
        lookup(history.history, f"val_{name}" if f"val_{name}" in history.history else name, "curve")
    ax = ax or _figure(6.4, 4.2).subplots()
    for k, (label, history) in enumerate(histories.items()):
        epochs = np.array(history.epoch) + 1
        values, every = history.history.get(name, np.nan * epochs), max(1, len(epochs) // 10)
        ax.plot(epochs, values, label=label, markevery=every, **_look(k))
        if f"val_{name}" in history.history:
            ax.plot(epochs, history.history[f"val_{name}"], color=_look(k)["color"], linestyle="--")
    if any(f"val_{name}" in history.history for history in histories.values()):
        ax.plot([], [], color="0.4", label="training rows")
        ax.plot([], [], color="0.4", linestyle="--", label="validation rows")
    positive = all(
        min(values) > 0
        for history in histories.values()
        for key, values in history.history.items()
        if key.removeprefix("val_") == name
    )
    if log or (log is None and not more_is_better(name) and positive):
        ax.set_yscale("log")
    words = name.replace("_", " ")
    return _finish(ax, f"{words[0].upper()}{words[1:]} by epoch", "epoch", words)


def activation_functions(names: Iterable[str] | None = None, *, figure: Figure | None = None) -> Figure:
    """Activation functions and their derivatives, one small picture for each name; all of `ACTIVATIONS` by default.

    Those of whole rows, as softmax, are drawn for rows (z, 0): the first output, and its derivative by z. Raises
    ValueError for an unknown name.
    """
    names = as_list(names, "names", "names") or ACTIVATIONS
    functions = {name: lookup(ACTIVATIONS, name, "activation") for name in names}
    columns = min(5, len(functions))
    lines = -(-len(functions) // columns)
    figure = figure or _figure(2.2 * columns + 0.4, 2.1 * lines + 0.2)
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    z = np.linspace(-4, 4, 401)
    rows = np.stack([z, np.zeros_like(z)], axis=1)
    for ax, (name, function) in zip(axes, functions.items(), strict=False):
        a = function.forward(rows, function.alpha)
        dz = function.backward(rows, a, np.broadcast_to([1.0, 0.0], rows.shape), function.alpha)
        alone = np.array_equal(a[:, :1], function.forward(rows[:, :1], function.alpha))
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.axvline(0, color="0.6", linewidth=0.8)
        drawn = ax.plot(z, a[:, 0], color=COLORS[0], linewidth=2.2)
        drawn += ax.plot(z, dz[:, 0], color=COLORS[1], linewidth=1.6, linestyle="--")
        ax.set_ylim(-1.9, 3.1)
        _finish(ax, name if alone else f"{name} of (z, 0)", "", "")
    figure.legend(drawn, ["f(z)", "its derivative f′(z)"], loc="outside lower right", ncols=2, frameon=False)
    for ax in axes[len(functions) :]:
        ax.remove()
    return figure


class _Path(Callback):
    """Weight and bias of a neuron at the start and after each epoch."""

    def on_train_begin(self, logs):
        self.points = []
        self.on_epoch_end(0, logs)

    def on_epoch_end(self, epoch, logs):
        self.points.append([weights.item() for weights in self.model.get_weights()])


def optimizer_paths(
    x: ArrayLike,
    y: ArrayLike,
    optimizers: Optimizer | dict[str, Optimizer] | None = None,
    *,
    start: tuple[float, float] = (0.0, 0.0),
    epochs: int = 100,
    loss: str | Loss = "mean_squared_error",
    figure: Figure | None = None,
) -> Figure:
    """The ways of optimizers down the loss of a single neuron: the plane is its weight and bias, the height its loss.

    x : (rows,) is its only feature, y : (rows,) its targets; `start` is the weight and bias that all begin with. Each
    epoch is one update, over all rows. Contours of the loss are drawn at heights that grow by a constant factor; the
    last picture compares the losses. The optimizers are SGD, momentum, Nesterov, Adam and Rprop if none are given, with
    rates for features around 1. A feature whose mean is large beside its spread makes the loss a ravine.
    """
    x = np.asarray(x)
    if x.ndim != 1:
        raise ValueError(f"x must be one feature, of shape (rows,), got the shape {x.shape}")
    optimizers = optimizers or {
        "SGD": SGD(0.4),
        "Momentum": SGD(0.1, momentum=0.8),
        "Nesterov": SGD(0.1, momentum=0.8, nesterov=True),
        "Adam": Adam(0.3),
        "Rprop": Rprop(0.1),
    }
    loss, paths, histories = resolve_loss(loss), {}, {}
    for label, optimizer in _labelled(optimizers, Optimizer, "optimizers").items():
        neuron = Dense(1, loss.link, kernel_initializer=start[0], bias_initializer=start[1])
        model = Sequential([neuron], dtype="float64", seed=0)
        model.compile(optimizer, loss)
        path = _Path()
        histories[label] = model.fit(x[:, None], y, len(x), epochs, 0, [path])
        paths[label] = np.array(path.points)

    columns = min(3, len(paths) + 1)
    lines = -(-(len(paths) + 1) // columns)
    figure = figure or _figure(3.6 * columns, 3.2 * lines)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    surface = _surface(model, x, y, np.concatenate(list(paths.values())))
    for k, (ax, (label, path)) in enumerate(zip(axes, paths.items(), strict=False)):
        ax.contourf(*surface, colors=[str(grey) for grey in np.linspace(0.75, 1, len(surface[-1]) - 1)])
        ax.contour(*surface, colors="0.7", linewidths=0.6)
        ax.plot(*path.T, **(_look(k) | {"markersize": 3, "linewidth": 1.2}))
        ax.plot(*start, "*", color="black", markersize=12, zorder=5)
        _finish(ax, label, "weight", "bias", grid=False)
    _finish(loss_curves(histories, ax=axes[len(paths)]), "Loss", "update", "loss")
    for ax in axes[len(paths) + 1 :]:
        ax.remove()
    return figure


def _surface(model, x, y, points):
    """Weights, biases, the losses of the neuron there and levels for contours, around the points : (n, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2, np.maximum(0.6 * (high - low), 1e-3)
    weights, biases = np.linspace(middle - half, middle + half, 61).T

    def loss_at(weight, bias):
        model.set_weights([[[weight]], [bias]])
        return model.evaluate(x[:, None], y)

    losses = np.array([[loss_at(weight, bias) for weight in weights] for bias in biases])
    return weights, biases, losses, losses.min() + np.ptp(losses) * np.append(0, np.geomspace(1e-3, 1, 13))


def gradient_norms(
    models: Sequential | dict[str, Sequential], x: ArrayLike, y: ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """The norm of the gradient of each Dense layer's weights W, of models that are compiled, trained or not.

    x and y, rows and targets, are as for `Sequential.gradients`. The axis of the norms is logarithmic.
    """
    models = _labelled(models, Sequential, "models")
    ax = ax or _figure(6.4, 4.2).subplots()
    for k, (label, model) in enumerate(models.items()):
        _, gradients = model.gradients(x, y)
        norms = [np.linalg.norm(dW.astype(np.float64)) for dW in gradients if dW.ndim == 2]
        ax.plot(np.arange(len(norms)) + 1, norms, label=label, **_look(k))
    ax.set_yscale("log")
    return _finish(ax, "Gradient by layer", "layer, from input to output", "norm of the gradient of W")


def vanishing_gradient(
    x: ArrayLike, y: ArrayLike, *, depth: int = 10, units: int = 64, seed: int = 0, ax: Axes | None = None
) -> Axes:
    """`gradient_norms` of deep classifiers at their start: sigmoid and tanh by Glorot, relu by Glorot and by He."""
    models = {}
    for start in ("sigmoid glorot_uniform", "tanh glorot_uniform", "relu glorot_uniform", "relu he_normal"):
        models[start] = _classifier([Dense(units, *start.split()) for _ in range(depth)], y, SGD(), seed)
    ax = gradient_norms(models, x, y, ax=ax)
    return _finish(ax, f"Gradient by layer, {depth} hidden layers, before training", ax.get_xlabel(), ax.get_ylabel())


def output_spread(models: Sequential | dict[str, Sequential], x: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """How much of the rows' differences reaches each hidden layer: the standard deviation of its outputs over rows.

    A hidden layer goes from one Dense layer to before the next, with what stands between them. The line is the median
    of its outputs, the band holds 80 % of them; the axis is logarithmic. x : (rows, features). Raises ValueError for a
    model without a hidden layer.
    """
    models = _labelled(models, Sequential, "models")
    ax = ax or _figure(6.4, 4.2).subplots()
    for k, (label, model) in enumerate(models.items()):
        model.predict(x)  # which makes its weights, if it has none yet
        ends = [i for i, layer in enumerate(model.layers) if isinstance(layer, Dense)][1:]
        if not ends:
            raise ValueError(f"output_spread needs a hidden layer, got {model!r}")
        bands = []
        for end in ends:
            part = Sequential(model.layers[:end], input_dim=model.input_dim, dtype=model.dtype, seed=0)
            part.set_weights(model.get_weights()[: len(part.get_weights())])
            bands.append(np.quantile(part.predict(x).std(axis=0, dtype=np.float64), (0.1, 0.5, 0.9)))
        low, median, high = np.transpose(bands)
        layers = np.arange(len(ends)) + 1
        ax.plot(layers, median, label=label, **_look(k))
        ax.fill_between(layers, low, high, color=_look(k)["color"], alpha=0.2, linewidth=0)
    ax.set_yscale("log")
    return _finish(ax, "Signal by layer", "hidden layer", "spread of outputs over the rows")


def dropout_effect(
    x: ArrayLike,
    y: ArrayLike,
    validation_data: tuple[ArrayLike, ArrayLike],
    *,
    rate: float = 0.5,
    units: int = 128,
    epochs: int = 100,
    seed: int = 0,
    figure: Figure | None = None,
) -> Figure:
    """A classifier of two relu layers, trained by Adam without dropout and with dropout of this rate after both.

    Left the losses, right how sure the nets are where they are wrong: the probability of the class that they choose,
    for the validation rows of another class. The effect shows where training rows are few or noisy.
    """

    def hidden(*rates):
        return [layer for _ in range(2) for layer in (Dense(units, "relu", "he_normal"), *map(Dropout, rates))]

    models = {"plain": hidden(), f"dropout {rate:g}": hidden(rate)}
    models = {label: _classifier(layers, y, Adam(), seed) for label, layers in models.items()}
    figure, histories, left, right = _train(models, x, y, validation_data, epochs, figure)
    left.set_ylim(0, 3 * min(min(history.history["val_loss"]) for history in histories))
    x, y = validation_data
    for k, (label, model) in enumerate(models.items()):
        p = model.predict(x)
        wrong = p.argmax(axis=1) != np.asarray(y)
        look = {"color": (COLORS[k], 0.25), "edgecolor": COLORS[k], "linewidth": 1.2}
        right.hist(p.max(axis=1)[wrong], np.linspace(0, 1, 21), label=f"{label}: {wrong.mean():.1%} wrong", **look)
    _finish(right, "Wrong answers, by how sure they are", "probability of the class chosen", "validation rows")
    return figure


def batchnorm_effect(
    x: ArrayLike,
    y: ArrayLike,
    validation_data: tuple[ArrayLike, ArrayLike],
    *,
    activation: str = "sigmoid",
    depth: int = 8,
    units: int = 64,
    epochs: int = 60,
    seed: int = 0,
    figure: Figure | None = None,
) -> Figure:
    """A deep classifier, trained by SGD without batch normalization and with it before each activation.

    Left the losses, right the `output_spread` of the trained nets over the validation rows.
    """

    def hidden(*kinds):
        blocks = ((Dense(units), *(kind() for kind in kinds), Activation(activation)) for _ in range(depth))
        return [layer for block in blocks for layer in block]

    models = {"plain": hidden(), "batch normalization": hidden(BatchNormalization)}
    models = {label: _classifier(layers, y, SGD(0.02), seed) for label, layers in models.items()}
    figure, _, left, right = _train(models, x, y, validation_data, epochs, figure)
    left.set_ylim(bottom=0)
    output_spread(models, validation_data[0], ax=right)
    return figure


def _classifier(hidden, y, optimizer, seed):
    """A compiled classifier with these hidden layers for the class numbers y."""
    model = Sequential([*hidden, Dense(int(np.max(y)) + 1, "softmax")], seed=seed)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def _train(models, x, y, validation_data, epochs, figure):
    """Trains the models; returns a figure, the histories, and the figure's two Axes, the losses drawn in the first."""
    figure = figure or _figure(10.4, 4.2)
    arguments = {"epochs": epochs, "verbose": 0, "validation_data": validation_data}
    histories = {label: model.fit(x, y, **arguments) for label, model in models.items()}
    left, right = figure.subplots(1, 2)
    return figure, list(histories.values()), loss_curves(histories, log=False, ax=left), right


def _labelled(things, kind, argument):
    """The things as a dict from labels; a single one gets the empty label, which legends leave out."""
    things = things if isinstance(things, dict) else {"": things}
    for thing in things.values():
        if not isinstance(thing, kind):
            raise TypeError(f"{argument} must be one {kind.__name__} or a dict of them, got {type(thing).__name__}")
    if not things:
        raise ValueError(f"{argument} must not be empty")
    return things


def _figure(width, height):
    """A new figure, unknown to pyplot."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("fastml.plots needs matplotlib: pip install 'fastml-cpu[plots]'") from error
    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def _look(k):
    """Colour, marker and line of the k-th thing in a picture."""
    look = {"color": COLORS[k % len(COLORS)], "marker": MARKERS[k % len(MARKERS)]}
    return look | {"markersize": 4.5, "linewidth": 1.6}


def _finish(ax, title, xlabel, ylabel, grid=True):
    """Texts, frame and legend, the same in all pictures; returns the Axes."""
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold")
    ax.set(xlabel=xlabel, ylabel=ylabel, axisbelow=True)
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(color="0.9", linewidth=0.7)
    if any(ax.get_legend_handles_labels()[1]):
        ax.legend(frameon=False, fontsize=9)
    return ax
