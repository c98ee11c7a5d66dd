"""Experiments: classifiers with and without a remedy, trained and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastml.layers import Activation, BatchNormalization, Dense, Dropout
from fastml.optimizers import SGD, Adam
from fastml.plots.curves import loss_curves
from fastml.plots.signals import gradient_norms, output_spread
from fastml.plots.style import COLORS, finished, new_figure
from fastml.sequential import Sequential

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def vanishing_gradient(
    x: ArrayLike, y: ArrayLike, *, depth: int = 10, units: int = 64, seed: int = 0, ax: Axes | None = None
) -> Axes:
    """`gradient_norms` of deep classifiers at their start: sigmoid and tanh by Glorot, relu by Glorot and by He."""
    models = {}
    for start in ("sigmoid glorot_uniform", "tanh glorot_uniform", "relu glorot_uniform", "relu he_normal"):
        models[start] = _classifier([Dense(units, *start.split()) for _ in range(depth)], y, SGD(), seed)
    ax = gradient_norms(models, x, y, ax=ax)
    return finished(ax, f"Gradient by layer, {depth} hidden layers, before training", ax.get_xlabel(), ax.get_ylabel())


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
    finished(right, "Wrong answers, by how sure they are", "probability of the class chosen", "validation rows")
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
    figure = figure or new_figure(10.4, 4.2)
    arguments = {"epochs": epochs, "verbose": 0, "validation_data": validation_data}
    histories = {label: model.fit(x, y, **arguments) for label, model in models.items()}
    left, right = figure.subplots(1, 2)
    return figure, list(histories.values()), loss_curves(histories, log=False, ax=left), right
