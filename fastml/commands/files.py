"""Tables in files: CSV and Parquet, read by polars, and places for what is written."""

import io
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from fastml.atomic import write_atomically
from fastml.commands import CommandError, listing, one_line
from fastml.commands.parquet import unpacked_size
from fastml.interrupts import hold_interrupts

TEXT, PARQUET = (".csv", ".tsv", ".txt"), (".parquet", ".pq")
SEPARATORS = ",;\t|"
GAPS = [
    "NA",
    "N/A",
    "n/a",
    "NaN",
    "nan",
    "null",
    "NULL",
    "None",
    "?",
]  # what stands for a missing value, beside nothing
PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x78\x01", b"\x78\x9c", b"\x78\xda")  # which polars would unpack
MOST_COLUMNS, LONGEST = 10**5, 2**24  # of a text file; and bytes of it in which to look for the end of the first line
LEAST_LIMIT, EXPANSION = 2**28, 100  # bytes in memory that any Parquet file may take, and for each byte of a larger one
COMMA = r"^\s*[-+]?\d+(,\d+)?\s*$"  # a number where semicolons separate columns


def read_table(path, text=()):
    """The table in a file, as a DataFrame whose missing values are null. `text` names columns that hold text."""
    path = Path(path)
    if path.is_dir():
        raise CommandError(f"{path} is a folder, not a file")
    kind = check_suffix(path, TEXT + PARQUET)
    try:
        with open(path, "rb") as file:
            start = file.read(1 << 16)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    if not start.strip():
        raise CommandError(f"{path} is empty")
    try:
        with unprinted_panics():
            table = (read_text(path, start, text) if kind in TEXT else read_parquet(path)).fill_nan(None)
    except CommandError:
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError) as error:
        raise CommandError(
            f"{path} cannot be read as {'Parquet' if kind in PARQUET else 'CSV'}: {shortened(error)}"
        ) from error
    if not table.height:
        raise CommandError(f"{path} has columns, but no rows")
    return table


@contextmanager
def unprinted_panics():
    """Keeps polars, where it breaks down over a damaged file, from printing so: it raises PanicException as well."""
    try:
        shown = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    try:
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)


def check_suffix(path, suffixes):
    """The suffix of a path, in small letters; CommandError unless it is one of these."""
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        listed = " or ".join(filter(None, [", ".join(suffixes[:-1]), suffixes[-1]]))
        raise CommandError(f"{path}: expected a name that ends in {listed}")
    return suffix


def shortened(error):
    """What an error of polars says before it gives advice for programmers."""
    return one_line(str(error).split("\n\n")[0])[:200]


def read_text(path, start, text):
    """The table in a text file whose first bytes are `start`."""
    if b"\0" in start or start.startswith(PACKED):
        raise CommandError(f"{path} is not a text file")
    header = start.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n")[0].decode(errors="replace")
    separator = separator_of(header)
    check_width(path, separator)
    options = {"separator": separator, "null_values": GAPS, "infer_schema_length": None, "glob": False}
    kinds = {name.replace('"', '""'): pl.String for name in text}  # polars leaves quotes in names doubled
    table = pl.read_csv(path, **options, schema_overrides=kinds, try_parse_dates=True)
    table.columns = [name.replace('""', '"') for name in table.columns]
    if separator == ",":
        return table
    strings = [name for name, dtype in table.schema.items() if dtype == pl.String and name not in text]
    numbers = [name for name in strings if table[name].count() and table[name].str.contains(COMMA).all()]
    return table.with_columns(pl.col(numbers).str.strip_chars().str.replace(",", ".").cast(pl.Float64))


def read_parquet(path):
    """The table in a Parquet file, unless it takes much more memory than its size lets one expect."""
    most = max(LEAST_LIMIT, EXPANSION * path.stat().st_size)
    try:
        size = unpacked_size(path)
    except ValueError as error:
        raise CommandError(f"{path} cannot be read as Parquet: {error}") from error
    if size <= most:
        table = pl.read_parquet(path, glob=False)
        texts = table.select(pl.col(pl.String, pl.Categorical, pl.Enum).cast(pl.String).str.len_bytes().sum())
        size = sum(filter(None, texts.row(0))) if texts.width else 0
    if size > most:
        raise CommandError(f"{path} would take {size / 1e9:.1f} GB of memory, which is too much for a file of its size")
    return table


def check_width(path, separator):
    """CommandError where the first line of a text file names very many columns, each of which takes a kilobyte."""
    with open(path, "rb") as file:
        signs = np.frombuffer(file.read(LONGEST), np.uint8)
    bare = np.cumsum(signs == ord('"'), dtype=np.uint8) % 2 == 0  # outside of quotes
    ends = bare & (signs == ord("\n"))
    header = slice(int(np.argmax(ends)) if ends.any() else len(signs))
    columns = 1 + np.count_nonzero(bare[header] & (signs[header] == ord(separator)))
    if columns > MOST_COLUMNS:
        raise CommandError(f"{path} has more than {MOST_COLUMNS} columns")


def separator_of(header):
    """What separates the columns of a line of names: the sign that is most often there, outside of quotes."""
    bare = "".join(header.split('"')[::2])
    return max(SEPARATORS, key=bare.count)


def check_finite(path, table):
    """CommandError where a value is infinite."""
    for column in table.iter_columns():
        if column.dtype.is_float():
            infinite = column.is_infinite().fill_null(False)
            if infinite.any():
                row = infinite.arg_max() + 1
                raise CommandError(f"{path}: column {column.name!r} holds an infinite value, in row {row} of the data")


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


def write_table(path, table):
    """Writes a table to a file, as its suffix says."""
    if Path(path).suffix.lower() in PARQUET:
        table.write_parquet(held := io.BytesIO())
        write(path, held.getvalue())
    else:
        write(path, table.write_csv(separator="\t" if Path(path).suffix.lower() == ".tsv" else ",").encode())


def select(path, table, names):
    """These columns of a table, in this order; CommandError that names those that it lacks."""
    missing = [name for name in names if name not in table.columns]
    if missing:
        word = "the column" if len(missing) == 1 else "the columns"
        raise CommandError(f"{path} lacks {word} {listing(missing)}, which the model needs")
    return table.select(names)
