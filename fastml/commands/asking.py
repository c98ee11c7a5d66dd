"""A model is asked about the rows of a table: how these are read, what it says, and what the truth is where known."""

import sys
from typing import NamedTuple

import numpy as np
import polars as pl

from fastml.commands import CommandError, listing, one_line
from fastml.commands.files.table import Table, check_finite, form_of, open_table, select
from fastml.commands.files.typed import typed
from fastml.commands.models import kinds_of, read_model, style_of_training
from fastml.commands.scores import label_text, normalized
from fastml.commands.target import detect, labels, numbers

UNSEEN = 0.05  # share of the values of a column, from which on it is said that training had none of them


class Asked(NamedTuple):
    """A model and the table that it is asked about. rows : the columns of the model, in its order."""

    estimator: object
    about: dict
    table: Table
    rows: pl.DataFrame
    target: pl.Series | None  # where the table has it
    texts: pl.Series | None  # the target as it stands in the file


def ask(options, target=None):
    """What the options of a command ask."""
    estimator = read_model(options.model)
    about = getattr(estimator, "about_", None) or {}
    kinds = kinds_of(estimator)
    form = form_of(options)
    table = open_table(options.data, form)
    target = target or about.get("target")
    target = target if target in table.frame.columns and target not in kinds else None
    names = [*kinds, *([] if target is None else [target])]
    chosen = table._replace(frame=select(table, names))
    read = typed(chosen, form.style, style_of_training(about), kinds, target)
    rows = read.frame.select(list(kinds))
    check_finite(table.name, rows)
    units = about.get("units") or {}
    for text in (*read.notes, *unseen(estimator, rows), *other_units(units, read.units, kinds)):
        remark(text)
    texts = chosen.frame[target] if target and table.separator else None
    return Asked(estimator, about, table, rows, read.frame[target] if target else None, texts)


def remark(text):
    print(f"fastml: note: {one_line(text)}", file=sys.stderr)


def unseen(estimator, rows):
    """Remarks on columns many of whose values were not there in training."""
    for column, encoding in zip(rows, estimator.encoder_._encodings if estimator.encoder_ else (), strict=False):
        known = getattr(encoding, "categories", None)
        present = column.drop_nulls()
        if known is None or not len(present):
            continue
        share = 1 - present.cast(pl.String).is_in([label_text(category) for category in known]).mean()
        if share >= UNSEEN:
            rare = "" if encoding.encoding == "one-hot" else ", or once only"
            some = present.filter(~present.cast(pl.String).is_in(known)).unique(maintain_order=True).head(3).to_list()
            yield f"{column.name}: {share:.0%} of the values were never seen in training{rare}, such as {listing(some)}"


def other_units(known, found, columns):
    """Remarks on columns of numbers whose unit is not that of the training."""
    for name in columns:
        before, now = known.get(name, ""), found.get(name, "")
        if before != now and (name in known or name in found):
            yield f"{name}: numbers are in {now or 'no unit'} here, but were in {before or 'no unit'} in training"


def answer_of(asked):
    """What the model says: probabilities (rows, classes), or predictions (rows,) or (rows, targets)."""
    estimator = asked.estimator
    try:
        return estimator.predict_proba(asked.rows) if hasattr(estimator, "classes_") else estimator.predict(asked.rows)
    except (TypeError, ValueError) as error:
        raise CommandError(f"{asked.table.name}: {one_line(error)}") from error


def compared(asked, answer):
    """Targets and what the model says, of the rows that have a target: class numbers and probabilities, or numbers."""
    estimator, column = asked.estimator, asked.target
    kept = column.is_not_null()
    if not kept.any():
        raise CommandError(f"{asked.table.name}: the target {column.name!r} has no values")
    present, answer = column.filter(kept), answer[kept.to_numpy()].astype(np.float64)
    if not hasattr(estimator, "classes_"):
        if answer.ndim > 1:
            raise CommandError("a model of several targets cannot be compared with one column")
        return numbers(present, constant=True), answer
    places = class_numbers(asked, present, None if asked.texts is None else asked.texts.filter(kept))
    return places, normalized(answer)


def class_numbers(asked, column, texts):
    """The classes of rows as numbers. CommandError where the model has no such class."""
    detect(column)
    known = {label_text(label): k for k, label in enumerate(asked.estimator.classes_)}
    different, places = np.unique(labels(column, texts), return_inverse=True)
    written = list(map(label_text, different.tolist()))
    if not any(label in known for label in written):  # the census' test rows end in a dot
        loose = {loosely(label): k for label, k in known.items()}
        if len(loose) == len(known) and all(loosely(label) in loose for label in written):
            remark(f"classes are written as {listing(written)}, and taken for {listing(known)}")
            return np.array([loose[loosely(label)] for label in written])[places]
    strange = [label for label in written if label not in known]
    if strange:
        raise CommandError(
            f"{asked.table.name}: the target {column.name!r} is {listing(strange, 5)} in some rows, "
            f"but the model knows {listing(known)}"
        )
    return np.array([known[label] for label in written])[places]


def loosely(label):
    """A class as it may be written elsewhere: in other cases, with a dot behind, 1.0 for 1."""
    return label.casefold().strip().removesuffix(".0").rstrip(".").strip()
