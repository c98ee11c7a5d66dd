"""Paths of optimizers over the loss of a neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastml.callbacks import Callback
from fastml.layers import Dense
from fastml.losses import Loss, resolve_loss
from fastml.optimizers import SGD, Adam, Optimizer, Rprop
from fastml.plots.curves import loss_curves
from fastml.plots.style import finished, grid_of_axes, labelled, look
from fastml.sequential import Sequential

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    optimizers: Optimizer | list[Optimizer] | dict[str, Optimizer] | None = None,
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
    for label, optimizer in labelled(optimizers, Optimizer, "optimizers").items():
        neuron = Dense(1, loss.link, kernel_initializer=start[0], bias_initializer=start[1])
        model = Sequential([neuron], dtype="float64", seed=0)
        model.compile(optimizer, loss)
        path = _Path()
        histories[label] = model.fit(x[:, None], y, len(x), epochs, 0, [path])
        paths[label] = np.array(path.points)

    figure, axes = grid_of_axes(len(paths) + 1, 3, (3.6, 3.2), figure)
    surface = _surface(model, x, y, np.concatenate(list(paths.values())))
    for k, (ax, (label, path)) in enumerate(zip(axes, paths.items(), strict=False)):
        ax.contourf(*surface, colors=[str(grey) for grey in np.linspace(0.75, 1, len(surface[-1]) - 1)])
        ax.contour(*surface, colors="0.7", linewidths=0.6)
        ax.plot(*path.T, **(look(k) | {"markersize": 3, "linewidth": 1.2}))
        ax.plot(*start, "*", color="black", markersize=12, zorder=5)
        finished(ax, label, "weight", "bias", grid=False)
    finished(loss_curves(histories, ax=axes[-1]), "Loss", "update", "loss")
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
