"""Pictures of a report, as SVG text that stands in a page: it takes the page's fonts and its colours, light or dark.

No text of the user's gets into a picture: names of columns and classes stand in the page around it.
"""

import io
import re
from html import escape

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from fastml.commands.report.axes import Scale, limits, outside, thinned
from fastml.commands.report.style import SERIES as VARIABLES_OF_LINES
from fastml.commands.uncertainty import wilson

# Colours to draw with, and what they are replaced with: variables of the page.
INK, FAINT = "#010203", "#040506"
LINES = ("#070809", "#0a0b0c", "#0a0b0d", "#0a0b0e", "#0a0b0f", "#0a0b10")
FIRST, SECOND = LINES[:2]
VARIABLES = {INK: "--ink", FAINT: "--line"} | {
    colour: f"--{name}" for colour, name in zip(LINES, VARIABLES_OF_LINES, strict=True)
}
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))  # lines are told apart without colours, too
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fastml",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
}
LEGENDS = {"roc": "lower right", "precision_recall": "lower left", "calibration": "upper left"}
SIZE = 4.6, 3.3  # inches
MOST_POINTS = 1000


def picture(name, alt, draw, *arguments):
    """An <svg> element that `draw(ax, *arguments)` fills; `name` makes its ids unique, `alt` says what it shows."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        ax = figure.subplots()
        draw(ax, *arguments)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(linewidth=0.7)
        ax.set_axisbelow(True)
        if ax.get_legend_handles_labels()[1]:
            ax.legend(frameon=False, loc=LEGENDS.get(draw.__name__, "best"))
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(held := io.StringIO(), format="svg", transparent=True, metadata=nothing)
    text = held.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    box = re.search(r'viewBox="[^"]*"', text)[0]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    return f'<svg {box} role="img" aria-label="{escape(alt)}">{body}'


def curves(ax, loss, val_loss, best):
    """Losses by epoch, and the epoch whose weights were kept; the axis is log where the first dwarf the others."""
    epochs = np.arange(len(loss)) + 1
    both = np.concatenate([loss, val_loss])
    seen = both[np.isfinite(both)]
    point = {"marker": "o"} if len(loss) == 1 else {}
    ax.plot(epochs, np.where(np.isfinite(loss), loss, np.nan), color=FIRST, label="rows to learn from", **point)
    val_loss = np.where(np.isfinite(val_loss), val_loss, np.nan)
    ax.plot(epochs, val_loss, color=SECOND, linestyle="--", label="rows to tell when to stop", **point)
    ax.axvline(best, color=INK, linewidth=0.8, linestyle=":", label=f"kept: epoch {best}")
    ax.set(xlabel="epoch", ylabel="loss")
    if len(seen) and seen.min() > 0 and seen.max() > 20 * np.median(seen):
        ax.set_yscale("log")
    elif len(seen):
        ax.set_ylim(0, 1.05 * seen.max() or 1)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def roc(ax, pairs):
    """ROC curves of pairs of y : (rows,) of bool and p : (rows,)."""
    ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="by chance")
    for k, (y, p) in enumerate(pairs):
        false, true, _ = roc_curve(y, p)
        ax.plot(*thinned(false, true), **line(k))
    ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def precision_recall(ax, pairs):
    """Precision by recall of pairs of y : (rows,) of bool and p : (rows,), and what chance would have."""
    for k, (y, p) in enumerate(pairs):
        precision, recall, _ = precision_recall_curve(y, p)
        ax.plot(*thinned(recall, precision), **line(k), drawstyle="steps-post")
        ax.axhline(np.mean(y), color=LINES[k], linewidth=0.8, linestyle=":", label="" if k else "by chance")
    ax.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def line(k):
    """The look of the k-th line."""
    return {"color": LINES[k], "linestyle": DASHES[k], "linewidth": 1.6}


def calibration(ax, right, p):
    """How often things happen, right : (rows,) of 0 and 1, that the model says to have probability p."""
    predicted, observed, low, high = bins(right, p)
    ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="perfect")
    error = np.stack([observed - low, high - observed])
    style = {"color": FIRST, "marker": "o", "markersize": 4, "linewidth": 1.6, "elinewidth": 1, "label": "model"}
    ax.errorbar(predicted, observed, error, **style)
    ends = (-0.02, 1.02)
    ax.set(xlabel="probability that the model gives", ylabel="share of rows where it is so", xlim=ends, ylim=ends)


def bins(right, p):
    """Mean probability, share and the ends of its interval, for groups of about as many rows, by probability."""
    order = np.argsort(p, kind="stable")
    groups = np.array_split(order, int(np.clip(len(p) // 25, 1, 10)))
    predicted, observed = (np.array([values[rows].mean() for rows in groups]) for values in (p, right))
    count = np.array([len(rows) for rows in groups])
    return predicted, observed, *wilson(observed * count, count)


def some(count):
    """Numbers of rows to draw, spread over all."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))


def beyond(y, p):
    """Pairs for `against` and `residuals`: how many points are drawn, and how many rows lie beyond the axes."""
    rows, found = some(len(y)), []
    for pair in ((y, p), (p, p - y)):
        ends = [limits(*pair)] * 2 if pair[0] is y else [limits(values) for values in pair]
        off = outside(pair[0], ends[0]) | outside(pair[1], ends[1])
        found.append((len(rows) - int(off[rows].sum()), int(off.sum())))
    return found


def against(ax, y, p):
    """Predictions p by true values y."""
    ends, rows = limits(y, p), some(len(y))
    scale = Scale.of(*ends)
    ax.scatter(scale(y[rows]), scale(p[rows]), 9, FIRST, alpha=0.55, linewidths=0)
    ax.plot(scale(ends), scale(ends), color=INK, linewidth=0.8, linestyle=":", label="perfect")
    ax.set(xlabel=f"true value{scale.words}", ylabel=f"prediction{scale.words}", xlim=scale(ends), ylim=scale(ends))
    ax.locator_params(nbins=5)


def residuals(ax, y, p):
    """What predictions p are too high by, by prediction."""
    rows, (across, up) = some(len(y)), (limits(p), limits(p - y))
    x, z = Scale.of(*across), Scale.of(*up)
    ax.scatter(x(p[rows]), z((p - y)[rows]), 9, FIRST, alpha=0.55, linewidths=0)
    ax.axhline(z(0), color=INK, linewidth=0.8, linestyle=":")
    ax.set(xlabel=f"prediction{x.words}", ylabel=f"prediction − true value{z.words}", xlim=x(across), ylim=z(up))
    ax.locator_params(nbins=5)


def histogram(ax, error):
    """How many rows are predicted too high by how much."""
    ends = limits(error)
    scale = Scale.of(*ends)
    shown = scale(error[~outside(error, ends)])
    ax.hist(shown, int(np.clip(np.sqrt(len(shown)), 5, 40)) | 1, range=tuple(scale(ends)), color=FIRST, alpha=0.8)
    ax.axvline(scale(0), color=INK, linewidth=0.8, linestyle=":")
    ax.set(xlabel=f"prediction − true value{scale.words}", ylabel="test rows", xlim=scale(ends))
    ax.locator_params(nbins=5)
    ax.yaxis.get_major_locator().set_params(integer=True)


def dependence(ax, values, means, ends, shares):
    """Mean predictions, means : (lines, values), by the values of a column; `shares` tells that they are probabilities.

    `ends` are those of the axis of predictions.
    """
    x, y = Scale.of(*limits(values)), Scale() if shares else Scale.of(*ends)
    for k, mean in enumerate(means):
        ax.plot(x(values), y(mean), **line(k), marker="o", markersize=3)
    what = "mean probability" if shares else f"mean prediction{y.words}"
    ax.set(xlabel=f"value of the column{x.words}", ylabel=what, ylim=y(ends))
    ax.locator_params(nbins=5)
