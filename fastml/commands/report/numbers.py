"""The part of a report on numbers: how near predictions come."""

import numpy as np

from fastml.commands.figures import count, in_units, many
from fastml.commands.report import page, pictures

ENOUGH = 20  # test rows, to tell what nine in ten are within


def section(training):
    """Predictions and residuals of a regressor."""
    y, p = training.truth, training.answer
    error = p - y
    half, most, worst = np.quantile(np.abs(error), (0.5, 0.9, 1))
    correlation = np.corrcoef(y, p)[0, 1] if p.std() and y.std() else 0.0
    (drawn, off), (drawn_too, off_too) = pictures.beyond(y, p)
    alt = f"Predictions against true values, whose correlation is {correlation:.3f}"
    svg = pictures.picture("against", alt, pictures.against, y, p)
    text = f"{points(len(y), drawn, off)} The nearer to the line, the better."
    parts = [page.figure("Predicted and true", svg, text)]
    alt = f"Residuals by prediction; mean {error.mean():.4g}, standard deviation {error.std():.4g}"
    svg = pictures.picture("residuals", alt, pictures.residuals, y, p)
    text = f"{points(len(y), drawn_too, off_too)} Above the line are predictions that are too high. A pattern here is "
    parts.append(page.figure("Residuals", svg, f"{text}something that was not learned."))
    off = int(pictures.outside(error, pictures.limits(error)).sum())
    alt = f"Histogram of residuals; mean {error.mean():.4g}, standard deviation {error.std():.4g}"
    text = f"All {many(len(y), 'test row')} by how much their prediction is too high"
    text += f", but {count(off)} beyond the axis." if off else "."
    text += f" Mean {in_units(error.mean())}, standard deviation {in_units(error.std())}."
    parts.append(
        page.figure("Histogram of residuals", pictures.picture("errors", alt, pictures.histogram, error), text)
    )
    text = f"Half of the test rows are predicted to within {in_units(half)}, "
    text += f"nine in ten to within {in_units(most)}, " if len(y) >= ENOUGH else ""
    return page.section(
        "How near it comes",
        page.paragraph(f"{text}all to within {in_units(worst)}."),
        page.side_by_side(*parts, kind="pictures"),
    )


def points(rows, drawn, off):
    """What the points of a picture are: `drawn` ones of so many rows, of which `off` lie beyond the axes."""
    shown = f"Each of the {count(drawn)} points is a test row"
    if drawn + off < rows:
        shown += f" of {count(rows)}, chosen evenly"
    return shown + (f"; {many(off, 'test row')} {'lies' if off == 1 else 'lie'} beyond the axes." if off else ".")
