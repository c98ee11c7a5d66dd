"""Curves by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from fastml.metrics import more_is_better
from fastml.plots.style import VALIDATION, count_along, finished, labelled, look, new_figure
from fastml.registry import lookup

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@runtime_checkable
class History(Protocol):
    """What `fit` returns, a `fastml.callbacks.History`, which itself draws curves."""

    epoch: list
    history: dict


def loss_curves(
    histories: History | list[History] | dict[str, History],
    name: str = "loss",
    *,
    log: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The loss, or the metric `name`, by epoch: training rows solid, validation rows dashed.

    `histories` is what `fit` returned. A single one is blue for training rows and orange for validation rows; several
    have a colour each. The axis is logarithmic with `log`, which is the default for all but accuracies, auc and their
    like, and values that are not above 0. A single epoch is a dot, and a circle for validation rows. Raises ValueError
    for a name that a history lacks, TypeError for what is no History.
    """
    histories = labelled(histories, History, "histories")
    for history in histories.values():
        lookup(history.history, f"val_{name}" if f"val_{name}" in history.history else name, "curve")
    ax = ax or new_figure(6.4, 4.2).subplots()
    validated = any(f"val_{name}" in history.history for history in histories.values())
    alone = len(histories) == 1
    for k, (label, history) in enumerate(histories.items()):
        epochs = np.array(history.epoch) + 1
        values, every = history.history.get(name, np.nan * epochs), max(1, len(epochs) // 10)
        label = label or ("training rows" if validated and name in history.history else "")
        ax.plot(epochs, values, label=label, markevery=every, **look(k))
        if f"val_{name}" in history.history:
            style = {"color": VALIDATION if alone else look(k)["color"], "linestyle": "--"}
            style |= {"label": "validation rows"} if alone else {}
            style |= {"marker": look(k)["marker"], "markerfacecolor": "none"} if len(epochs) == 1 else {}
            ax.plot(np.array(history.validated) + 1, history.history[f"val_{name}"], **style)
    if validated and not alone:
        point = {"marker": "o"} if max(len(history.epoch) for history in histories.values()) == 1 else {}
        ax.plot([], [], color="0.4", label="training rows", **point)
        ax.plot([], [], color="0.4", linestyle="--", label="validation rows", markerfacecolor="none", **point)
    positive = all(
        min(values) > 0
        for history in histories.values()
        for key, values in history.history.items()
        if key.removeprefix("val_") == name
    )
    if log or (log is None and not more_is_better(name) and positive):
        ax.set_yscale("log")
    count_along(ax)
    words = name.replace("_", " ")
    return finished(ax, f"{words[0].upper()}{words[1:]} by epoch", "epoch", words)
