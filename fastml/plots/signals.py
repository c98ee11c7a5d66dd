"""How gradients and signals pass from layer to layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastml.data.arrays import as_features
from fastml.layers import Dense
from fastml.plots.style import count_along, finished, labelled, look, new_figure
from fastml.sequential import Sequential

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def network(model):
    """The Sequential itself, or that of a fitted estimator of fastml.sklearn; TypeError for what is neither."""
    found = getattr(model, "model_", model)
    if not isinstance(found, Sequential):
        raise TypeError(f"model must be a Sequential, or a fitted estimator of fastml.sklearn, got {model!r}")
    return found


def gradient_norms(
    models: Sequential | list[Sequential] | dict[str, Sequential], x: ArrayLike, y: ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """The norm of the gradient of each Dense layer's weights W, of models that are compiled, trained or not.

    x and y, rows and targets, are as for `Sequential.gradients`. The axis of the norms is logarithmic.
    """
    models = labelled(models, Sequential, "models")
    ax = ax or new_figure(6.4, 4.2).subplots()
    for k, (label, model) in enumerate(models.items()):
        _, gradients = model.gradients(x, y)
        norms = [np.linalg.norm(dW.astype(np.float64)) for dW in gradients if dW.ndim == 2]
        ax.plot(np.arange(len(norms)) + 1, norms, label=label, **look(k))
    ax.set_yscale("log")
    count_along(ax)
    return finished(ax, "Gradient by layer", "layer, from input to output", "norm of the gradient of W")


def output_spread(
    models: Sequential | list[Sequential] | dict[str, Sequential], x: ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """How much of the rows' differences reaches each hidden layer: the standard deviation of its outputs over rows.

    A hidden layer goes from one Dense layer to before the next, with what stands between them. The line is the median
    of its outputs, the band holds 80 % of them; the axis is logarithmic. x : (rows, features). Raises ValueError for a
    model without a hidden layer.
    """
    models = labelled(models, Sequential, "models")
    ax = ax or new_figure(6.4, 4.2).subplots()
    for k, (label, model) in enumerate(models.items()):
        spreads = [np.quantile(a.std(axis=0, dtype=np.float64), (0.1, 0.5, 0.9)) for _, a in layer_outputs(model, x)]
        ends = [i for i, layer in enumerate(model.layers) if isinstance(layer, Dense)][1:]
        if not ends:
            raise ValueError(f"output_spread needs a hidden layer, got {model!r}")
        low, median, high = np.transpose([spreads[end - 1] for end in ends])
        layers = np.arange(len(ends)) + 1
        ax.plot(layers, median, label=label, **look(k))
        ax.fill_between(layers, low, high, color=look(k)["color"], alpha=0.2, linewidth=0)
    ax.set_yscale("log")
    count_along(ax)
    return finished(ax, "Signal by layer", "hidden layer", "spread of outputs over the rows")


def layer_outputs(model, x):
    """Pairs of a layer and its outputs (rows, units) for the rows of x : (rows, features), from input to output.

    They are those of predictions: dropout drops nothing, batch normalization takes its running statistics. Raises what
    `Sequential.predict` raises, and ValueError where a layer puts out numbers that are not finite.
    """
    model.predict(x)  # which makes its weights, if it has none yet, and refuses what it cannot use
    a, weights = as_features(x, "x", "float64", model.input_dim), iter(model.get_weights())
    for position, layer in enumerate(model._built_layers(), 1):
        part = Sequential([layer], input_dim=a.shape[1], dtype=model.dtype, seed=0)
        part.set_weights([next(weights) for _ in part.get_weights()])
        a = part.predict(a)
        if not np.isfinite(a).all():
            raise ValueError(f"layer {position}, {layer!r}, puts out numbers that are not finite")
        yield layer, a
