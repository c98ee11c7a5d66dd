"""Histograms by layer: of weights, and of outputs with the units that are dead or saturated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastml.layers import Activation, Dropout
from fastml.plots.signals import layer_outputs, network
from fastml.plots.style import COLORS, finished, grid_of_axes
from fastml.sequential import Sequential

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREEK = {"gamma": "γ", "beta": "β"}
FLAT = 0.05  # of the steepest slope, where an output counts as saturated

# Where outputs pass on no gradient, or hardly any; what such outputs are called, and units that have no others.
IDLE = {
    "relu": (lambda a: a == 0, "zero", "dead"),
    "tanh": (lambda a: 1 - a**2 < FLAT, "saturated", "always"),
    "sigmoid": (lambda a: 4 * a * (1 - a) < FLAT, "saturated", "always"),
}


def weight_histograms(model: Sequential, *, figure: Figure | None = None) -> Figure:
    """The weights that are trained, a picture for each array: W and b of Dense layers, γ and β of BatchNormalization, …

    `model` is a Sequential or a fitted estimator of fastml.sklearn. Titles have the layer's number, counted from 1 in
    the order of `summary`, and the shape. Statistics, which are not trained, are left out. Raises TypeError for what is
    no model, RuntimeError where the width of the data is not known yet, ValueError where there is nothing to train.
    """
    model = network(model)
    arrays = model.get_weights()
    pairs = zip(model._engine.program.parameters, arrays, strict=True)
    pairs = [(parameter, array) for parameter, array in pairs if parameter.role != "statistic"]
    if not pairs:
        raise ValueError("the model has no weights to train: add a Dense layer")
    figure, axes = grid_of_axes(len(pairs), 4, (2.6, 1.9), figure)
    for ax, (parameter, array) in zip(axes, pairs, strict=True):
        array = array.astype(np.float64)
        ax.hist(array.ravel(), _bins(array), **_look(0))
        ax.locator_params(axis="y", integer=True)
        layer = type(model._built_layers()[parameter.layer]).__name__
        name, shape = GREEK.get(parameter.name, parameter.name), " × ".join(map(str, array.shape))
        _finish(ax, f"{parameter.layer + 1}: {layer} {name} ({shape})", "count")
    return figure


def activation_histograms(model: Sequential, x: ArrayLike, *, figure: Figure | None = None) -> Figure:
    """The outputs of each layer for the rows of x : (rows, features), a picture for each; bars are shares of them.

    `model` is a Sequential or a fitted estimator of fastml.sklearn, x what its `predict` takes. Titles have the layer's
    number, counted from 1 in the order of `summary`. Below them stands, in the colour of the bars that it is about:

    - relu: the share of outputs that are exactly 0, and how many units are dead, that is, 0 for all of these rows;
    - tanh and sigmoid: the share that is saturated, where the slope is below 5 % of the steepest, and how many units
      are so for all rows. A sigmoid that is fused with its loss learns all the same: there it only tells how sure the
      model is;
    - else mean and standard deviation.

    Dropout does nothing to predictions, and has no picture. Raises TypeError for what is no model, ValueError where a
    layer puts out numbers that are not finite, else what `Sequential.predict` raises.
    """
    encoder = getattr(model, "encoder_", None)  # of an estimator that was fitted to a table of other than numbers
    model, x = network(model), x if encoder is None else encoder.transform(x)
    outputs = enumerate(layer_outputs(model, x), 1)
    shown = [(number, layer, a) for number, (layer, a) in outputs if not isinstance(layer, Dropout)]
    if not shown:
        raise ValueError(f"activation_histograms needs a layer other than Dropout, got {model!r}")
    lines = -(-len(shown) // 4)
    figure, axes = grid_of_axes(len(shown), -(-len(shown) // lines), (3.0, 2.2), figure)
    for ax, (number, layer, a) in zip(axes, shown, strict=True):
        _draw_outputs(ax, number, layer, a.astype(np.float64))
    return figure


def _draw_outputs(ax, number, layer, a):
    """The outputs a : (rows, units) of the layer with this number."""
    activation = getattr(layer, "activation", None)
    words = [] if isinstance(layer, Activation) else [type(layer).__name__]
    title = f"{number}: {' '.join([*words, *[activation] * (activation is not None)])}"
    mean, spread = a.mean(), a.std()
    note, color = f"mean {mean if abs(mean) > spread / 100 else 0:.2g}, spread {spread:.2g}", COLORS[0]
    idle = np.zeros(a.shape, bool)
    if activation in IDLE:
        where, share_of, unit_is = IDLE[activation]
        idle, color = where(a), COLORS[1]
        note = f"{idle.mean():.1%} {share_of}, {idle.all(axis=0).sum()} of {a.shape[1]} units {unit_is}"
    bins, start = _bins(a), 0
    for k, part in enumerate((a[idle], a[~idle])):
        heights = np.histogram(part, bins)[0] / a.size
        if len(part):
            ax.stairs(start + heights, bins, baseline=start, fill=True, **_look(1 - k))
        start = start + heights
    ax.yaxis.set_major_formatter(lambda share, position: f"{100 * share:g}%")
    _finish(ax, title, "share of outputs", note.replace("-", "−"), color)


def _bins(values):
    """Edges of bins for the values, more for more of them; values that hardly differ are in the middle of them."""
    low, high = values.min(), values.max()
    if high - low <= 1e-9 * max(-low, high):
        middle, half = (low + high) / 2, max(1, high, -low) / 2
        low, high = middle - half, middle + half
    return np.linspace(low, high, 1 + (int(np.clip(np.sqrt(values.size), 6, 40)) | 1))


def _look(k):
    """Bars in the k-th colour."""
    return {"facecolor": (COLORS[k], 0.25), "edgecolor": COLORS[k], "linewidth": 0.8}


def _finish(ax, title, ylabel, note="", color=None):
    """Texts of a small picture, with a note below its title; the label stands in the first column alone."""
    finished(ax, title, "", ylabel if ax.get_subplotspec().is_first_col() else "")
    ax.set_title(title, loc="left", fontsize=9.5, fontweight="bold", pad=18 if note else None)
    ax.tick_params(labelsize=8)
    ax.locator_params(nbins=5)
    for axis in (ax.xaxis, ax.yaxis):
        axis.offsetText.set_fontsize(8)
    ax.annotate(note, (0, 1), (0, 5), "axes fraction", "offset points", fontsize=8, color=color)
