"""Pictures of a report, as SVG text that stands in a page: it takes the page's fonts and its colours, light or dark.

No text of the user's gets into a picture: names of columns and classes stand in the page around it.
"""

import io
import re
from html import escape

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

# Colours to draw with, and what they are replaced with: variables of the page.
INK, FAINT, FIRST, SECOND = "#010203", "#040506", "#070809", "#0a0b0c"
VARIABLES = {INK: "--ink", FAINT: "--line", FIRST: "--first", SECOND: "--second"}
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
            ax.legend(frameon=False)
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
    """Losses by epoch, and the epoch whose weights were kept."""
    epochs = np.arange(len(loss)) + 1
    ax.plot(epochs, loss, color=FIRST, label="rows to learn from")
    ax.plot(epochs, val_loss, color=SECOND, linestyle="--", label="rows to tell when to stop")
    ax.axvline(best, color=INK, linewidth=0.8, linestyle=":", label=f"kept: epoch {best}")
    ax.set(xlabel="epoch", ylabel="loss")
    ax.set_ylim(bottom=0)


def roc(ax, y, p):
    """The ROC curve for y : (rows,) of 0 and 1."""
    false, true, _ = roc_curve(y, p)
    ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="by chance")
    ax.plot(false, true, color=FIRST, linewidth=1.8, label="model")
    ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")


def calibration(ax, right, p):
    """How often things happen, right : (rows,) of 0 and 1, that the model says to have probability p."""
    predicted, observed, error = bins(right, p)
    ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="perfect")
    ax.errorbar(
        predicted, observed, error, color=FIRST, marker="o", markersize=4, linewidth=1.6, elinewidth=1, label="model"
    )
    ax.set(xlabel="probability that the model gives", ylabel="share of rows where it is so", xlim=(0, 1), ylim=(0, 1))


def bins(right, p):
    """Mean probability, share and its standard error for groups of rows of about the same size, by probability."""
    order = np.argsort(p, kind="stable")
    groups = np.array_split(order, int(np.clip(len(p) // 25, 1, 10)))
    predicted = np.array([p[rows].mean() for rows in groups])
    observed = np.array([right[rows].mean() for rows in groups])
    count = np.array([len(rows) for rows in groups])
    smooth = (observed * count + 1) / (count + 2)  # so that no error is 0
    return predicted, observed, np.sqrt(smooth * (1 - smooth) / count)


def some(count):
    """Numbers of rows to draw, spread over all."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))


def against(ax, y, p):
    """Predictions p by true values y."""
    rows = some(len(y))
    ends = [min(y.min(), p.min()), max(y.max(), p.max())]
    ax.scatter(y[rows], p[rows], 9, FIRST, alpha=0.55, linewidths=0)
    ax.plot(ends, ends, color=INK, linewidth=0.8, linestyle=":", label="perfect")
    ax.set(xlabel="true value", ylabel="prediction")
    tidy(ax)


def residuals(ax, y, p):
    """What predictions p are too high by, by prediction."""
    rows = some(len(y))
    ax.scatter(p[rows], (p - y)[rows], 9, FIRST, alpha=0.55, linewidths=0)
    ax.axhline(0, color=INK, linewidth=0.8, linestyle=":")
    ax.set(xlabel="prediction", ylabel="prediction − true value")
    tidy(ax)


def tidy(ax):
    """Few ticks, as large numbers are long."""
    ax.locator_params(nbins=5)
    ax.ticklabel_format(style="plain" if max(map(abs, (*ax.get_xlim(), *ax.get_ylim()))) < 1e7 else "sci")
