"""What all pictures share: colours, markers, frames and texts."""

import sys

from fastml.training.progress import in_notebook

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
TRAINING, VALIDATION = COLORS[:2]  # where one history is drawn, as in the report of `fastml train`
WORDS = {"histories": "run", "models": "model", "optimizers": "optimizer"}  # that number the things in a list


def labelled(things, kind, argument):
    """The things as a dict from labels; those of a list are numbered.

    A single one gets the empty label, which legends leave out.
    """
    word = WORDS[argument]
    if isinstance(things, (list, tuple)):
        things = {f"{word} {k}": thing for k, thing in enumerate(things, 1)}
    things = things if isinstance(things, dict) else {"": things}
    for thing in things.values():
        if not isinstance(thing, kind):
            expected = f"one {kind.__name__}, or a list or dict of them"
            raise TypeError(f"{argument} must be {expected}, got {type(thing).__name__}")
    if not things:
        raise ValueError(f"{argument} must not be empty")
    return things


def new_figure(width, height):
    """A new figure, known to pyplot where that is in use or this is a notebook, so that it is shown."""
    try:
        from fastml.plots.figure import Shown
    except ImportError as error:
        raise ImportError("fastml.plots needs matplotlib: pip install 'fastml-cpu[plots]'") from error
    options = {"figsize": (width, height), "dpi": 100, "layout": "constrained"}
    if in_notebook():
        import matplotlib.pyplot  # noqa: F401  (which shows its figures below the cell)
    pyplot = sys.modules.get("matplotlib.pyplot")
    return pyplot.figure(FigureClass=Shown, **options) if pyplot else Shown(**options)


def look(k):
    """Colour, marker and line of the k-th thing in a picture."""
    look = {"color": COLORS[k % len(COLORS)], "marker": MARKERS[k % len(MARKERS)]}
    return look | {"markersize": 4.5, "linewidth": 1.6}


def grid_of_axes(count, columns, size, figure=None, margin=(0, 0), **options):
    """A figure and `count` Axes in it, in lines of `columns`; each takes (width, height) inches of a new figure."""
    columns = min(columns, count)
    lines = -(-count // columns)
    figure = figure or new_figure(size[0] * columns + margin[0], size[1] * lines + margin[1])
    axes = figure.subplots(lines, columns, squeeze=False, **options).ravel()
    for ax in axes[count:]:
        ax.remove()
    return figure, axes[:count]


def count_along(ax):
    """Marks whole numbers alone on the x axis, which counts epochs or layers."""
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def finished(ax, title, xlabel, ylabel, grid=True):
    """Texts, frame and legend, the same in all pictures; returns the Axes."""
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold")
    ax.set(xlabel=xlabel, ylabel=ylabel, axisbelow=True)
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(color="0.9", linewidth=0.7)
    if any(ax.get_legend_handles_labels()[1]):
        ax.legend(frameon=False, fontsize=9)
    return ax
