"""Places for what commands write: models, reports and tables of predictions."""

import io
import os
import tempfile
from pathlib import Path

import polars as pl

from fastml.commands import CommandError
from fastml.process.atomic import write_atomically
from fastml.process.signals import hold_interrupts

PARQUET = (".parquet", ".pq")


def check_suffix(path, suffixes):
    """The suffix of a path, in small letters; CommandError unless it is one of these."""
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        listed = " or ".join(filter(None, [", ".join(suffixes[:-1]), suffixes[-1]]))
        raise CommandError(f"{path}: expected a name that ends in {listed}")
    return suffix


def check_output(path, suffixes, source):
    """CommandError unless a file can be written there, which must not be the one that is read."""
    check_suffix(path, suffixes)
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise CommandError(f"{path} is a folder, not a file")
    if place == Path(os.path.realpath(source)):
        raise CommandError(f"{path} is the file that is read: give another name")
    if not place.parent.is_dir():
        raise CommandError(f"{path} cannot be written: there is no folder {place.parent}")
    try:
        with tempfile.TemporaryFile(dir=place.parent):
            pass
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


def write(path, content):
    """Writes bytes to a file, whole or not at all."""
    with hold_interrupts(every=True):
        write_atomically(path, content)


def as_csv(table, separator=","):
    """A table as text; CommandError where a column has values that CSV does not hold."""
    times = [name for name, kind in table.schema.items() if kind in (pl.Time, pl.Duration)]
    table = table.with_columns(pl.col(name).dt.to_string("iso") for name in times)
    for name, kind in table.schema.items():
        if kind.is_nested() or kind in (pl.Binary, pl.Object):
            raise CommandError(f"column {name!r} holds {kind}, which CSV does not: write a .parquet file")
    return table.write_csv(separator=separator)


def write_table(path, table):
    """Writes a table to a file, as its suffix says."""
    if Path(path).suffix.lower() in PARQUET:
        table.write_parquet(held := io.BytesIO())
        write(path, held.getvalue())
    else:
        write(path, as_csv(table, "\t" if Path(path).suffix.lower() == ".tsv" else ",").encode())
