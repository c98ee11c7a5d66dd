"""Activation functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from fastml.activations import ACTIVATIONS
from fastml.data.arrays import as_list
from fastml.plots.style import COLORS, finished, grid_of_axes
from fastml.registry import lookup

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def activation_functions(names: Iterable[str] | None = None, *, figure: Figure | None = None) -> Figure:
    """Activation functions and their derivatives, one small picture for each name; all of `ACTIVATIONS` by default.

    Those of whole rows, as softmax, are drawn for rows (z, 0): the first output, and its derivative by z. Raises
    ValueError for an unknown name.
    """
    names = as_list(names, "names", "names") or ACTIVATIONS
    functions = {name: lookup(ACTIVATIONS, name, "activation") for name in names}
    figure, axes = grid_of_axes(len(functions), 5, (2.2, 2.1), figure, margin=(0.4, 0.2), sharey=True)
    z = np.linspace(-4, 4, 401)
    rows = np.stack([z, np.zeros_like(z)], axis=1)
    for ax, (name, function) in zip(axes, functions.items(), strict=True):
        a = function.forward(rows, function.alpha)
        dz = function.backward(rows, a, np.broadcast_to([1.0, 0.0], rows.shape), function.alpha)
        alone = np.array_equal(a[:, :1], function.forward(rows[:, :1], function.alpha))
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.axvline(0, color="0.6", linewidth=0.8)
        drawn = ax.plot(z, a[:, 0], color=COLORS[0], linewidth=2.2)
        drawn += ax.plot(z, dz[:, 0], color=COLORS[1], linewidth=1.6, linestyle="--")
        ax.set_ylim(-1.9, 3.1)
        finished(ax, name if alone else f"{name} of (z, 0)", "", "")
    figure.legend(drawn, ["f(z)", "its derivative f′(z)"], loc="outside lower right", ncols=2, frameon=False)
    return figure
