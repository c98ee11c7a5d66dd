"""Rows and values of a table, chosen and written for a report."""

from datetime import datetime, time

import numpy as np

from fastml.commands.figures import UNKNOWN, alike
from fastml.commands.scores import label_text


def chosen_rows(rows, most, seed):
    """Numbers of so many rows at most, by chance, in their order."""
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False)) if rows > most else np.arange(rows)


def short(value, most=40):
    """A value of a table as a text that is not long."""
    if isinstance(value, bool):
        return label_text(value)
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    text = alike([value])[0] if isinstance(value, float) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def texts(column):
    """The values of a column as texts, numbers in one style."""
    values = column.to_list()
    if column.dtype.is_float():
        present = iter(alike([value for value in values if value is not None]))
        return [UNKNOWN if value is None else next(present) for value in values]
    return [UNKNOWN if value is None else short(value) for value in values]
