"""The part of a report on classes: which are taken for which, at which threshold, and how sure."""

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from fastml.commands.figures import UNKNOWN, count, many, percent, plain, span
from fastml.commands.report import page, pictures
from fastml.commands.scores import area, label_text
from fastml.commands.uncertainty import wilson

MOST_CLASSES, MOST_MISTAKES = 12, 15  # in the confusion matrix; pairs of classes where there are more
LEAST_ROWS = 50  # of the test, for a calibration curve
THRESHOLDS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def section(training):
    """Confusion, curves and calibration of a classifier."""
    y, p = training.truth, training.answer
    names = [label_text(label) for label in training.estimator.classes_]
    tables = [confusion(y, p.argmax(axis=1), names), each(y, p.argmax(axis=1), names)]
    if len(names) == 2 and 0 < y.sum() < len(y):
        tables.append(thresholds(y, p[:, 1], names[1]))
    return page.section(
        "Which classes it takes for which",
        page.side_by_side(*(page.block(*tables[:2]), tables[2]) if len(tables) > 2 else tables),
        page.side_by_side(*curves(y, p, names), calibration(y, p, names), kind="pictures"),
    )


def confusion(y, chosen, names):
    """The confusion matrix, or the most frequent mistakes where it would be large."""
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (y, chosen), 1)
    if len(names) <= MOST_CLASSES:
        caption = f"{many(len(y), 'test row')} by their true class and the one predicted."
        return page.matrix(caption, names, counts.tolist())
    wrong = counts - np.diag(np.diag(counts))
    pairs = sorted(zip(*np.nonzero(wrong), strict=True), key=lambda at: -wrong[at])
    rows = [(names[a], names[b], count(wrong[a, b])) for a, b in pairs[:MOST_MISTAKES]]
    part = (
        f"The {len(rows)} most frequent of {count(len(pairs))} kinds of mistakes"
        if len(pairs) > len(rows)
        else "All mistakes"
    )
    return page.table(f"{part}, in {many(len(y), 'test row')}.", ("true", "predicted", "rows"), rows, (2,))


def each(y, chosen, names):
    """Precision, recall and F1 of each class; a dash where there are no rows to tell by."""
    precision, recall, f1, counts = precision_recall_fscore_support(
        y, chosen, labels=range(len(names)), zero_division=0
    )
    rows = []
    for k, name in enumerate(names):
        predicted, hits = (chosen == k).sum(), ((chosen == k) & (y == k)).sum()
        rows.append((
            name,
            percent(precision[k]) if predicted else UNKNOWN,
            percent(recall[k]) if counts[k] else UNKNOWN,
            span(percent, *wilson(hits, counts[k])) if counts[k] else UNKNOWN,
            plain(f1[k]) if counts[k] or predicted else UNKNOWN,
            count(counts[k]),
        ))  # fmt: skip
    caption = "Precision: how many of the rows predicted so are so. Recall: how many of the rows that are so are found."
    head = ("class", "precision", "recall", "95% interval", "F1", "test rows")
    return page.table(caption, head, rows, range(1, 6))


def curves(y, p, names):
    """ROC and precision–recall curves: of the second of two classes, or of some classes against the others."""
    classes = [1] if len(names) == 2 else range(len(names))
    areas = {k: area(y == k, p[:, k]) for k in classes if 0 < (y == k).sum() < len(y)}
    if not areas:
        return [page.paragraph("There are no ROC and precision–recall curves, as the test rows are of one class.")]
    shown = sorted(areas, key=areas.get)[: len(pictures.LINES)]
    pairs = [(y == k, p[:, k]) for k in shown]
    average = {k: average_precision_score(y == k, p[:, k]) for k in shown}
    if len(names) == 2:
        rows, others, what = int(y.sum()), int(len(y) - y.sum()), names[1]
        legends = [], []
        told = f"From {many(rows, 'row')} of {what} and {count(others)} of {names[0]}"
    else:
        some = f"the {len(shown)} with the smallest area of {len(areas)}" if len(shown) < len(areas) else "each"
        legends = [[f"{names[k]}: {plain(found[k])}" for k in shown] for found in (areas, average)]
        what, told = "a class", f"Classes against all others, {some}, with the area below; from {many(len(y), 'row')}"
    roc_text = (
        f"{told}. Rows of {what} that are found, against the others that are taken for it, for every threshold. "
        + (f"The area below is {plain(areas[1])}; " if len(names) == 2 else "")
        + "0.5 is chance."
    )
    recall_text = (
        "Precision by recall for every threshold. "
        + (
            f"The mean precision is {plain(average[1])}; "
            if len(names) == 2
            else "Beside each name its mean precision. "
        )
        + f"{'c' if len(names) == 2 else 'C'}hance has the share of the class, dotted."
    )
    told = ", ".join(f"{plain(areas[k])}" for k in shown)
    svg = pictures.picture("roc", f"ROC curve; the area below it is {told}", pictures.roc, pairs)
    roc = page.figure("ROC curve", svg, roc_text, legends[0])
    told = ", ".join(f"{plain(average[k])}" for k in shown)
    alt = f"Precision-recall curve; the mean precision is {told}"
    svg = pictures.picture("recall", alt, pictures.precision_recall, pairs)
    return [roc, page.figure("Precision and recall", svg, recall_text, legends[1])]


def calibration(y, p, names):
    """How far probabilities can be trusted: of the second of two classes, or of whichever is chosen of several."""
    if len(y) < LEAST_ROWS:
        text = f"{many(len(y), 'test row')} are too few to tell how far the probabilities can be trusted."
        return f"<div><h3>Calibration</h3>{page.paragraph(text)}</div>"
    if len(names) == 2:
        what, right, chance = f"of {names[1]}", y, p[:, 1]
    else:
        what, right, chance = "of the class that the model chooses", p.argmax(axis=1) == y, p.max(axis=1)
    alt = "Calibration curve: " + points(*pictures.bins(right, chance)[:2])
    text = (
        f"Whether the probability {what} can be taken at its word. Each point is a group of test rows with similar "
        "probabilities; the bars are 95% intervals."
    )
    return page.figure("Calibration", pictures.picture("calibration", alt, pictures.calibration, right, chance), text)


def points(predicted, observed):
    """Points of a curve, in words."""
    return ", ".join(f"{a:.0%} said, {b:.0%} observed" for a, b in zip(predicted, observed, strict=True))


def thresholds(y, p, name):
    """What comes of other thresholds than 0.5 for the second of two classes, y : (rows,) of 0 and 1."""
    order = np.argsort(-p, kind="stable")
    hits, places = np.append(0, np.cumsum(y[order])), np.arange(len(y) + 1)
    least = p[order]  # of the first rows by probability: a threshold can stand where the next differs
    cuts = np.flatnonzero(np.append(least[:-1] > least[1:], True)) + 1
    best = cuts[(2 * hits[cuts] / (places[cuts] + y.sum())).argmax()]
    lowest = (least[best - 1] + (least[best] if best < len(y) else 0)) / 2
    chosen = sorted({*THRESHOLDS, float(lowest)})
    rows = []
    for threshold in chosen:
        taken = int((p > threshold).sum())
        found = int(hits[taken])
        rows.append((
            f"{threshold:.4g}",
            percent(taken / len(y)),
            percent(found / taken) if taken else UNKNOWN,
            span(percent, *wilson(found, taken)) if taken else UNKNOWN,
            percent(found / y.sum()),
            percent((taken - found) / (len(y) - y.sum())),
            plain(2 * found / (taken + y.sum())),
        ))  # fmt: skip
    caption = (
        f"Rows whose probability of {name} is above the threshold are taken for {name}: the share of all rows, "
        "how many of them rightly (precision), which share of the rows to be found (recall), and of the others (false "
        f"alarms). Shaded: 0.5, which predictions use, and {lowest:.4g}, which has the largest F1 on these rows, and "
        "somewhat less on others."
    )
    head = ("threshold", "taken", "precision", "95% interval", "recall", "false alarms", "F1")
    marked = {chosen.index(0.5), chosen.index(float(lowest))}
    return page.table(caption, head, rows, range(7), marked)
