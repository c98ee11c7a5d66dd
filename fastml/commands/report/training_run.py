"""The part of a report on the training: its curves, what became of the columns, and how it was done."""

import platform
import time
from importlib.metadata import version

import numpy as np

from fastml.commands.figures import many, typeset
from fastml.commands.report import page, pictures
from fastml.version import __version__

LIBRARIES = ("numpy", "numba", "scikit-learn", "polars", "narwhals", "matplotlib")


def section(training):
    """The curves, and why the training ended."""
    estimator, rows = training.estimator, training.rows
    best = estimator.best_epoch_
    loss, val_loss = (np.array(estimator.history_[name]) for name in ("loss", "val_loss"))
    alt = (
        f"Loss by epoch: from {loss[0]:.4g} to {loss[-1]:.4g} on the rows to learn from, from {val_loss[0]:.4g} to "
        f"{val_loss[-1]:.4g} on the others, {val_loss[best - 1]:.4g} in epoch {best}"
    )
    svg = pictures.picture("curves", alt, pictures.curves, loss, val_loss, best)
    text = "That of the rows to learn from is a mean over the epoch, while the weights change."
    told = [
        f"{many(estimator.n_iter_, 'epoch')} in {training.seconds:.2f} s, over {many(rows['train'], 'row')}. "
        f"It ended as {training.ended}.",
        f"{many(rows['validate'], 'other row')} told when to stop: epoch {best} had the best {training.stop.title} "
        "there, and its weights were kept."
        if rows["validate"]
        else f"Before, folds of these rows told for how many epochs: {best} had the best {training.stop.title} on the "
        "rows of a fold that were left out, as the mean; the curve of the others is theirs.",
    ]
    if best == estimator.n_iter_ == estimator.max_iter:
        told.append("The last epoch was the best one: more of them, by --epochs, may make a better model.")
    told = page.block(*map(page.paragraph, told))
    return page.section("How it learned", page.side_by_side(page.figure("Loss by epoch", svg, text), told))


def columns(training):
    """What became of each column."""
    used, features = training.estimator.n_features_in_, training.estimator.model_.input_dim
    become = "becomes" if used == 1 else "become"
    caption = f"{many(used, 'column')} of the table {become} {many(features, 'feature')} of the network."
    rows = [(name, kind, typeset(becomes)) for name, kind, becomes in training.columns]
    return page.section("Columns", page.table(caption, ("column", "kind", "becomes"), rows))


def details(training):
    """Parameters, versions and how to use the model."""
    estimator = training.estimator
    defaults = {**type(estimator)().get_params(), "scoring": estimator.scoring, "verbose": estimator.verbose}
    parameters = [
        (k, f"{v:.6g}" if isinstance(v, float) else repr(v))
        for k, v in sorted(estimator.get_params().items())
        if v != defaults[k]
    ]
    parameters = [("estimator", type(estimator).__name__), ("stopped by", training.stop.title), *parameters]
    versions = [("fastml", __version__), ("python", platform.python_version())]
    versions += [(name, version(name)) for name in LIBRARIES]
    versions += [("lightgbm", version("lightgbm"))] if any(r.name == "LightGBM" for r in training.rivals) else []
    when = time.strftime("%Y-%m-%d at %H:%M")
    command = f"<p>Made by <code>{page.escape(training.command)}</code> on <time>{when}</time>.</p>"
    tables = [
        page.table("Parameters that are not as by default.", ("parameter", "value"), parameters),
        page.table("Versions.", ("library", "version"), versions),
    ]
    return page.section("Details", command, *tables)
