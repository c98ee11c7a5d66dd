"""The report of a training: one HTML page that explains what the model is worth, and what it goes by."""

import platform
import time
from importlib.metadata import version

import numpy as np
from sklearn.inspection import permutation_importance
from sklearn.metrics import precision_recall_fscore_support

from fastml.commands import page, pictures
from fastml.commands.scores import in_units, label_text, normalized, outcome
from fastml.version import __version__

MOST_CLASSES, MOST_BARS = 12, 30  # in the confusion matrix, of columns
MOST_ROWS, REPEATS = 2000, 5  # of the test rows, to measure importance with
LIBRARIES = ("numpy", "numba", "scikit-learn", "polars", "narwhals", "matplotlib")


def report(training, seed):
    """The page, a text, about a Training."""
    title = f"{training.target}, predicted from {training.source}"
    parts = [head(training, title), worth(training)]
    parts.append(classes(training) if training.task == "classification" else numbers(training))
    parts += [importance(training, seed), progress(training), columns(training), details(training)]
    return page.page(title, parts)


def head(training, title):
    """What was done, and the figures that matter most."""
    metric, ours, theirs = training.scores[0]
    rows = training.rows
    cards = [
        page.card(f"{metric.title} of the model", metric.text(ours), "on test rows it has never seen"),
        page.card("baseline", metric.text(theirs), training.baseline, plain=True),
        page.card("test rows", str(rows["test"]), f"of {sum(rows.values())} with a target", plain=True),
    ]
    notes = "".join(f"<li>{page.escape(note[:1].upper() + note[1:])}.</li>" for note in training.notes)
    return "\n".join([
        f"<header>\n<h1>{page.escape(title)}</h1>",
        page.paragraph(f"{training.task.capitalize()}, {training.why}.", "soft"),
        "</header>",
        f'<div class="cards">{"".join(cards)}</div>',
        page.paragraph(verdict(training)),
        f"<ul>{notes}</ul>" if notes else "",
    ])  # fmt: skip


def verdict(training):
    """A sentence on model and baseline."""
    metric, ours, theirs = training.scores[0]
    gained = ours - theirs if metric.larger else theirs - ours
    if not gained > 0:
        return "The model is not better than the baseline: it has found nothing in the columns that helps to predict."
    spread = ""
    if metric.title == "accuracy":
        error = np.sqrt(max(ours * (1 - ours), 0) / training.rows["test"])
        spread = f" With {training.rows['test']} test rows, its standard error is {error:.1%}."
        if gained < 2 * error:
            spread += " The advantage over the baseline is less than two of these: it may be by chance."
    word = "higher" if metric.larger else "lower"
    return f"Its {metric.title} is {word} than that of the baseline, as it should be.{spread}"


def worth(training):
    """All metrics."""
    rows = [(m.title, m.text(a), m.text(b), "more" if m.larger else "less") for m, a, b in training.scores]
    caption = f"On {training.rows['test']} test rows. Baseline: {training.baseline}."
    return page.section("What it is worth", page.table(caption, ("", "model", "baseline", "better is"), rows, (1, 2)))


def classes(training):
    """Confusion, ROC and calibration of a classifier."""
    y, p = training.truth, training.answer
    names = [label_text(label) for label in training.estimator.classes_]
    chosen = p.argmax(axis=1)
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (y, chosen), 1)
    parts = []
    if len(names) <= MOST_CLASSES:
        parts.append(page.matrix("Test rows by their true class and the one predicted.", names, counts.tolist()))
    else:
        wrong = counts - np.diag(np.diag(counts))
        worst = sorted(zip(*np.nonzero(wrong), strict=True), key=lambda at: -wrong[at])[:15]
        rows = [(names[a], names[b], wrong[a, b]) for a, b in worst]
        parts.append(page.table("The most frequent mistakes.", ("true", "predicted", "rows"), rows, (2,)))
    each = precision_recall_fscore_support(y, chosen, labels=range(len(names)), zero_division=0)
    rows = [(name, f"{a:.1%}", f"{b:.1%}", f"{c:.3f}", n) for name, a, b, c, n in zip(names, *each, strict=True)]
    caption = "Precision: how many of the rows predicted so are so. Recall: how many of the rows that are so are found."
    parts.append(page.table(caption, ("class", "precision", "recall", "F1", "test rows"), rows, (1, 2, 3, 4)))
    parts.append(f'<div class="pictures">{roc(training, names)}{calibration(training, names)}</div>')
    return page.section("Which classes it takes for which", *parts)


def roc(training, names):
    """The ROC curve of two classes."""
    y = training.truth
    if len(names) != 2 or not 0 < y.sum() < len(y):
        return ""
    area = next(ours for metric, ours, _ in training.scores if metric.title == "area under ROC")
    alt = f"ROC curve; the area below it is {area:.3f}"
    text = (
        f"Rows of {names[1]} that are found, against rows of {names[0]} that are taken for {names[1]}, for every "
        f"threshold. The area below is {area:.3f}; 0.5 is chance."
    )
    return page.figure("ROC curve", pictures.picture("roc", alt, pictures.roc, y, training.answer[:, 1]), text)


def calibration(training, names):
    """How far probabilities can be trusted: of the second of two classes, or of whichever is chosen of several."""
    y, p = training.truth, training.answer
    if len(names) == 2:
        what, right, chance = f"of {names[1]}", y, p[:, 1]
    else:
        what, right, chance = "of the class that the model chooses", p.argmax(axis=1) == y, p.max(axis=1)
    alt = "Calibration curve: " + points(*pictures.bins(right, chance)[:2])
    text = (
        f"Whether the probability {what} can be taken at its word. Each point is a group of test rows with similar "
        "probabilities; the bars are standard errors."
    )
    return page.figure("Calibration", pictures.picture("calibration", alt, pictures.calibration, right, chance), text)


def points(predicted, observed):
    """Points of a curve, in words."""
    return ", ".join(f"{a:.0%} said, {b:.0%} observed" for a, b in zip(predicted, observed, strict=True))


def numbers(training):
    """Predictions and residuals of a regressor."""
    y, p = training.truth, training.answer
    error = p - y
    low, middle, high = np.quantile(np.abs(error), (0.5, 0.9, 1))
    correlation = np.corrcoef(y, p)[0, 1] if p.std() and y.std() else 0.0
    alt = f"Predictions against true values, whose correlation is {correlation:.3f}"
    svg = pictures.picture("against", alt, pictures.against, y, p)
    parts = [page.figure("Predicted and true", svg, "Each point is a test row; the nearer to the line, the better.")]
    alt = f"Residuals by prediction; mean {error.mean():.4g}, standard deviation {error.std():.4g}"
    svg = pictures.picture("residuals", alt, pictures.residuals, y, p)
    text = "Points above the line are predicted too high. A pattern here is something that was not learned."
    parts.append(page.figure("Residuals", svg, text))
    text = f"Half of the test rows are predicted to within {in_units(low)}, nine in ten to within {in_units(middle)}; "
    text = page.paragraph(f"{text}the worst is off by {in_units(high)}.")
    return page.section("How near it comes", text, f'<div class="pictures">{"".join(parts)}</div>')


def importance(training, seed):
    """What the metric loses when a column is shuffled: `permutation_importance` on columns of the table."""
    metric, names = training.stop, training.table.columns
    rows = min(MOST_ROWS, training.table.height)
    table, truth = training.table[:rows], training.truth[:rows]

    def score(estimator, places, y):
        """The score where column k has the values of rows places[:, k]."""
        mixed = table.select(table[name].gather(places[:, k]) for k, name in enumerate(names))
        value = metric.of(y, normalized(outcome(estimator, mixed)))
        return value if metric.larger else -value

    places = np.tile(np.arange(rows)[:, None], (1, len(names)))
    found = permutation_importance(
        training.estimator, places, truth, scoring=score, n_repeats=REPEATS, random_state=seed % 2**32
    )
    order = np.argsort(-found.importances_mean, kind="stable")[:MOST_BARS]
    means, spreads = found.importances_mean, found.importances_std
    bars = [(names[k], means[k], f"{metric.text(means[k])} ± {metric.text(spreads[k])}") for k in order]
    text = (
        f"How much worse the {metric.title} becomes when the values of a column are shuffled among the test rows: mean "
        f"and standard deviation of {REPEATS} times. Columns that say the same as others have less; what matters to "
        "the model need not be a cause."
    )
    head = "column", f"{metric.title}, {'lost' if metric.larger else 'gained'}"
    table = page.bars(f"Permutation importance, on {rows} test rows.", head, bars)
    return page.section("What it goes by", page.paragraph(text), table)


def progress(training):
    """The curves."""
    estimator = training.estimator
    best = int(np.nanargmax(estimator.validation_scores_)) + 1
    loss, val_loss = estimator.history_["loss"], estimator.history_["val_loss"]
    alt = (
        f"Loss by epoch: from {loss[0]:.4g} to {loss[-1]:.4g} on the rows to learn from, from {val_loss[0]:.4g} to "
        f"{val_loss[-1]:.4g} on the others, {val_loss[best - 1]:.4g} in epoch {best}"
    )
    rows = training.rows
    text = (
        f"{estimator.n_iter_} epochs in {training.seconds:.2f} s, over {rows['train']} rows. {rows['validate']} other "
        f"rows told when to stop: epoch {best} had the best {training.stop.title} there, and its weights were kept."
    )
    svg = pictures.picture("curves", alt, pictures.curves, loss, val_loss, best)
    return page.section("How it learned", page.figure("Loss by epoch", svg, text))


def columns(training):
    """What became of each column."""
    features = training.estimator.model_.input_dim
    caption = f"{training.estimator.n_features_in_} columns of the table become {features} features of the network."
    return page.section("Columns", page.table(caption, ("column", "kind", "becomes"), training.columns))


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
    when = time.strftime("%Y-%m-%d at %H:%M")
    command = f"<p>Made by <code>{page.escape(training.command)}</code> on <time>{when}</time>.</p>"
    tables = [
        page.table("Parameters that are not as by default.", ("parameter", "value"), parameters),
        page.table("Versions.", ("library", "version"), versions),
    ]
    return page.section("Details", command, f'<div class="pictures">{"".join(tables)}</div>')
