"""A model is asked about the rows of a table: how these are read, what it says, and what the truth is where known."""

import sys
from typing import NamedTuple

import numpy as np
import polars as pl

from fastml.commands import CommandError, check_column, listing, one_line
from fastml.commands.figures import many
from fastml.commands.files.source import open_source
from fastml.commands.files.style import Style
from fastml.commands.files.table import check_finite, check_single, form_of, open_table, select
from fastml.commands.files.typed import typed
from fastml.commands.models import read_model
from fastml.commands.scores import label_text, normalized
from fastml.commands.target import detect, labels, numbers

FAR = 10  # standard deviations from the mean of the training, beyond which it is said
UNSEEN = 0.05  # share of the values of a column, from which on it is said that training had none of them


class Asked(NamedTuple):
    """A model and the table that it is asked about.

    name, columns : of the table; rows : the columns of the model, in its order; kept : those to be copied
    """

    estimator: object
    about: dict
    name: str
    columns: list
    rows: pl.DataFrame
    kept: pl.DataFrame
    target: pl.Series | None  # where the table has it
    texts: pl.Series | None  # the target as it stands in the file


def kinds_of(estimator):
    """What the columns of an estimator hold, {name: kind of an encoder}."""
    names = map(str, estimator.feature_names_in_)
    if estimator.encoder_ is None:
        return dict.fromkeys(names, "number")
    return {name: encoding.kind for name, encoding in zip(names, estimator.encoder_._encodings, strict=True)}


def style_of_training(about):
    """The Style of the file that a model was trained with."""
    known = about.get("style") or {}
    gaps = known.get("gaps")
    signs = known.get("decimal"), known.get("day_first"), None if gaps is None else tuple(gaps)
    return Style(*signs, known.get("separator"))


def ask(options, target=None, keep=()):
    """What the options of a command ask. `keep` : names of columns of the table that are to be copied as they are."""
    estimator = read_model(options.model)
    about = getattr(estimator, "about_", None) or {}
    kinds = kinds_of(estimator)
    form = form_of(options)
    table = opened(options, form, about.get("headerless"), kinds)
    for name in keep:
        check_column(table.name, table.frame, name)
    columns, kept = table.frame.columns, table.frame.select(keep)
    target = target or about.get("target")
    target = target if target in table.frame.columns and target not in kinds else None
    names = [*kinds, *([] if target is None else [target])]
    for name in names:
        if name == target or f"{name} (2)" not in kinds:  # else the training had it twice, too
            check_single(table, name)
    table = table._replace(frame=select(table, names))
    read = typed(table, form.style, style_of_training(about), kinds, target)
    rows = read.frame.select(list(kinds))
    check_finite(table.name, rows)
    units = about.get("units") or {}
    for text in (*read.notes, *strange(estimator, rows), *other_units(units, read, names)):
        remark(text)
    texts = table.frame[target] if target and table.separator else None
    # The texts of the other columns end here, as their memory is needed.
    return Asked(estimator, about, table.name, columns, rows, kept, read.frame[target] if target else None, texts)


def opened(options, form, headerless, kinds):
    """The Table that the options of a command name.

    Where the model was trained with a file without a header, whose columns were called `headerless`, and this file has
    no names that fit either, it is one of that sort.
    """
    source = open_source(options.data)
    try:
        table = open_table(source, form)
    except CommandError:  # a single row, which was taken for a header
        if not headerless or not form.header or form.names:
            raise
        table = open_table(source, form._replace(header=False))
        table = table._replace(frame=table.frame.rename(lambda name: f"column {name}"))
    found, few = table.frame.columns, [name for name in headerless or () if name in kinds]
    numbered = headerless and headerless[0] == "1"  # a row may be numbers, too
    fits = found in (headerless, few) if numbered else set(found).issuperset(kinds)
    if not headerless or not form.header or form.names or fits:
        return table
    table = open_table(source, form._replace(header=False))
    names = headerless if table.frame.width == len(headerless) else few
    if table.frame.width != len(names):
        raise CommandError(
            f"{table.name} has {table.frame.width} columns and no header, but the file that the model was trained with "
            f"had {len(headerless)}: give them names with --no-header --names"
        )
    notes = [*table.notes, "it has no header; its columns are taken to be those of the training"]
    return table._replace(frame=table.frame.rename(dict(zip(table.frame.columns, names, strict=True))), notes=notes)


def strange(estimator, rows):
    """Remarks on rows and columns that are not like those of the training."""
    empty = rows.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if empty.any():
        yield f"{many(empty.sum(), 'row')} without any value, such as row {empty.arg_max() + 1}"
    encodings = estimator.encoder_._encodings if estimator.encoder_ else ()
    for column, encoding in zip(rows, encodings, strict=False):
        if column.len() and column.null_count() < len(column):
            yield from unseen(column, encoding) if hasattr(encoding, "categories") else far(column, encoding)


def far(column, encoding):
    """A remark on a column of numbers some of which are far from those of the training."""
    if column.dtype.is_numeric() and getattr(encoding, "std", 0):
        distance = (column.cast(pl.Float64) - encoding.mean).abs() / encoding.std
        count = (distance > FAR).sum()
        if count:
            value = column[distance.arg_max()]
            yield f"{column.name}: {many(count, 'value')} far from those of the training, such as {value:g}"


def remark(text):
    print(f"fastml: note: {one_line(text)}", file=sys.stderr)


def unseen(column, encoding):
    """A remark on a column of categories many of whose values were not there in training."""
    known, present = list(map(label_text, encoding.categories)), column.drop_nulls()
    new = present.filter(~present.cast(pl.String).is_in(known))
    if len(new) >= UNSEEN * len(present):
        rare = "" if encoding.encoding == "one-hot" else ", or once only"
        share, some = len(new) / len(present), listing(new.unique(maintain_order=True).head(3))
        yield f"{column.name}: {share:.0%} of the values were never seen in training{rare}, such as {some}"


def other_units(known, read, columns):
    """Remarks on columns of numbers, the target too, whose unit is not that of the training."""
    for name in columns:
        before, now = known.get(name, ""), read.units.get(name, "")
        if before != now and read.frame[name].count():
            yield f"{name}: numbers are in {now or 'no unit'} here, but were in {before or 'no unit'} in training"


def answer_of(asked):
    """What the model says: probabilities (rows, classes), or predictions (rows,) or (rows, targets)."""
    estimator = asked.estimator
    try:
        return estimator.predict_proba(asked.rows) if hasattr(estimator, "classes_") else estimator.predict(asked.rows)
    except (TypeError, ValueError) as error:
        raise CommandError(f"{asked.name}: {one_line(error)}") from error


def compared(asked, answer):
    """Targets and what the model says, of the rows that have a target: class numbers and probabilities, or numbers."""
    estimator, column = asked.estimator, asked.target
    kept = column.is_not_null()
    if not kept.any():
        raise CommandError(f"{asked.name}: the target {column.name!r} has no values")
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
            f"{asked.name}: the target {column.name!r} is {listing(strange, 5)} in some rows, "
            f"but the model knows {listing(known)}"
        )
    return np.array([known[label] for label in written])[places]


def loosely(label):
    """A class as it may be written elsewhere: in other cases, with a dot behind, 1.0 for 1."""
    return label.casefold().strip().removesuffix(".0").rstrip(".").strip()
