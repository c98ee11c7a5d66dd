"""Tables in files: text of any layout and Parquet, read by polars."""

import csv
import io
import os
import re
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import polars as pl

from fastml.commands import CommandError, alike, listing, one_line
from fastml.commands.files.drawn import undrawn, without_remarks
from fastml.commands.files.layout import SPACE, layout_of, squeezed
from fastml.commands.files.parquet import unpacked_size
from fastml.commands.files.rows import blank, rows_of, without_headers, without_rule, without_units
from fastml.commands.files.source import EXPANSION, LEAST_LIMIT, Source, as_utf8, is_parquet, open_source
from fastml.commands.files.style import AS_IT_IS, Style

BLOCK = 2**22  # bytes that are looked through at a time
ESCAPED = b'\\"'  # a quote within quotes, as MySQL writes it
ESCAPES = rb'[^,;\t|\r\n]\\"[^,;\t|\r\n]'  # and not a last backslash, before the quote that ends the field


class Format(NamedTuple):
    """What the user says about a text file; None is what is to be found out."""

    separator: str | None = None
    encoding: str | None = None
    header: bool = True
    names: tuple | None = None
    style: Style = AS_IT_IS


ANY = Format()


def form_of(options):
    """The Format that the options of a command tell."""
    gaps = None if options.na is None else tuple(options.na)
    day_first = None if options.day_first is None else options.day_first == "yes"
    style = Style(options.decimal, day_first, gaps)
    return Format(options.sep, options.encoding, not options.no_header, options.names, style)


class Table(NamedTuple):
    """A table as it stands in a file.

    frame : columns of text without spaces around, None where nothing stands; for Parquet, typed columns
    separator : the sign between the columns of text, or None for Parquet
    twice : names that several columns have
    """

    name: str
    frame: pl.DataFrame
    separator: str | None
    twice: tuple
    notes: list

    def without(self, names):
        """The Table without these columns."""
        return self._replace(frame=self.frame.drop(names))


def open_table(path, form=ANY):
    """The Table at a path, or of standard input where that is "-", or in a Source."""
    source = path if isinstance(path, Source) else open_source(path)
    try:
        with unprinted_panics():
            table = read_parquet(source) if is_parquet(source) else read_text(source, form)
    except CommandError:
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError, csv.Error) as error:
        kind = "Parquet" if is_parquet(source) else "CSV"
        raise CommandError(f"{source.name} cannot be read as {kind}: {shortened(error)}") from error
    if not table.frame.height:
        raise CommandError(f"{source.name} has columns, but no rows")
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


def shortened(error):
    """What an error of polars says before it gives advice for programmers."""
    return one_line(str(error).split("\n\n")[0])[:200]


def read_text(source, form):
    """The Table in text, all of whose columns are text."""
    notes = []
    data = undrawn(unescaped(as_utf8(source, form.encoding), notes), notes)
    found = layout_of(source.name, data, form.separator, form.header, form.names)
    notes = [*source.notes, *notes, *found.notes]
    if found.separator == SPACE:
        data = squeezed(data.decode()).encode()
    data = without_remarks(without_space_before_quotes(data, found.separator), found, notes)
    try:
        frame = parsed(data, found)
    except pl.exceptions.PolarsError as error:
        told = uneven(source.name, data, found)
        if told is None and not re.search(rb"(^|\n|" + re.escape(found.separator.encode()) + rb')"', data):
            frame = parsed(data, found, quote_char=None)  # quotes are signs as others, such as inches
        else:
            raise CommandError(told) if told else error from error
    if needs_stripping(data, found.separator):
        frame = frame.with_columns(pl.all().str.strip_chars())
    blank = [c.name for c in frame.iter_columns() if (c == "").any()]
    frame = frame.with_columns(pl.col(blank).replace("", None)) if blank else frame
    if b'="' in data:  # by which spreadsheets keep 007 as it is
        frame = frame.with_columns(pl.all().str.replace(r'^="(.*)"$', "$1"))
    told = short_rows(frame, data, found)
    notes += [told] if told else []
    frame = rows_of(frame, data, found.separator, notes)
    if form.header:
        frame = without_units(without_rule(without_headers(frame, notes), notes), notes)
    return Table(source.name, frame, found.separator, found.twice, list(dict.fromkeys(notes)))


def parsed(data, found, quote_char='"'):
    """The records behind the header as a frame of text."""
    schema = dict.fromkeys(found.names, pl.String)
    options = {"quote_char": quote_char} | {
        "separator": found.separator,
        "has_header": False,
        "infer_schema": False,
        "glob": False,
    }
    if found.first < len(found.names):  # the first row is short, from which polars would tell the width
        start = len(b"\n".join(data.split(b"\n", found.skip)[: found.skip])) + 1 if found.skip else 0
        row = found.separator.join(["-"] * len(found.names)).encode()
        return pl.read_csv(row + b"\n" + data[start:], **options, schema=schema)[1:]
    try:
        return pl.read_csv(data, **options, skip_lines=found.skip, schema=schema)
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=schema)


def unescaped(data, notes):
    """Text in which quotes within quotes are doubled, also where they are written as by MySQL."""
    if ESCAPED not in data or not re.search(ESCAPES, data):
        return data
    notes.append('quotes within quotes are written as \\", as MySQL does, and read so')
    return data.replace(ESCAPED, b'""')


def without_space_before_quotes(data, separator):
    """Text in which quotes stand beside the separator, where a space stands between: to polars they would be signs."""
    before = f'{separator} "'.encode()
    if separator == " " or before not in data:
        return data
    at = data.index(before)
    lines = data[data.rfind(b"\n", 0, at) + 1 : at + 2**16].decode(errors="replace")
    reader = csv.reader(io.StringIO(lines, newline="\n"), delimiter=separator)
    try:
        outside = any(field.startswith(' "') for fields in reader for field in fields)
    except csv.Error:
        return data
    return data.replace(before, before.replace(b" ", b"")) if outside else data


def short_rows(frame, data, found):
    """A remark where rows have fewer fields than there are columns, as the number of separators tells; or None."""
    if frame.width < 2:
        return None
    sign, rows = found.separator, frame.height - blank(frame).sum()
    head = b"\n".join(data.split(b"\n", found.skip)[: found.skip])
    between = data.count(sign.encode()) - head.count(sign.encode())
    if b'"' in data:  # some may stand within quotes
        between -= sum(frame.select(pl.all().str.count_matches(sign, literal=True).sum()).row(0))
    if between >= rows * (frame.width - 1):
        return None
    return "some rows have fewer values than there are columns: the last ones are taken to be missing"


def needs_stripping(data, separator):
    """Whether a field may begin or end with a space."""
    sign = separator.encode()
    if separator != "\t" and b"\t" in data:
        return True
    if not data.isascii() and (b"\xc2\xa0" in data or b"\xe2\x80" in data):  # spaces that do not break, and others
        return True
    if b" " not in data:
        return False
    signs, ends = np.frombuffer(data, np.uint8), np.frombuffer(sign + b'\n\r"', np.uint8)
    if ord(" ") in (signs[0], signs[-1]):
        return True
    for start in range(1, len(signs) - 1, BLOCK):
        spaces = start + np.flatnonzero(signs[start : start + BLOCK] == ord(" "))
        if any((signs[spaces[spaces < len(signs) - 1] + beside, None] == ends).any() for beside in (-1, 1)):
            return True
    return False


def uneven(name, data, found):
    """The message about the first record that has more fields than there are columns, or None."""
    reader = csv.reader(io.StringIO(data.decode(), newline="\n"), delimiter=found.separator)
    for fields in reader:
        if reader.line_num > found.skip and len(fields) > len(found.names):
            return (
                f"{name} has {len(fields)} values in line {reader.line_num}, but {len(found.names)} columns: "
                "put quotes around values that hold the separator"
            )
    return None


def read_parquet(source):
    """The Table in a Parquet file, unless it takes much more memory than its size lets one expect."""
    most = max(LEAST_LIMIT, EXPANSION * len(source.data))
    try:
        size = unpacked_size(source.data)
    except ValueError as error:
        raise CommandError(f"{source.name} cannot be read as Parquet: {error}") from error
    if size <= most:
        frame = pl.read_parquet(io.BytesIO(source.data))
        texts = frame.select(pl.col(pl.String, pl.Categorical, pl.Enum).cast(pl.String).str.len_bytes().sum())
        size = sum(filter(None, texts.row(0))) if texts.width else 0
    if size > most:
        raise CommandError(
            f"{source.name} would take {size / 1e9:.1f} GB of memory, which is too much for a file of its size"
        )
    frame = frame.fill_nan(None).with_columns(pl.col(pl.String).str.strip_chars())
    return Table(source.name, frame, None, (), source.notes)


def check_single(table, name):
    """CommandError where several columns of a Table have this name."""
    if name in table.twice:
        raise CommandError(f"{table.name} has several columns called {name!r}: give each a name of its own")


def check_finite(path, table):
    """CommandError where a value is infinite."""
    for column in table.iter_columns():
        if column.dtype.is_float():
            infinite = column.is_infinite().fill_null(False)
            if infinite.any():
                row = infinite.arg_max() + 1
                raise CommandError(f"{path}: column {column.name!r} holds an infinite value, in row {row} of the data")


def select(table, names):
    """The frame of these columns of a Table, in this order; CommandError that names those that it lacks."""
    missing = [name for name in names if name not in table.frame.columns]
    if missing:
        word = "the column" if len(missing) == 1 else "the columns"
        close = alike(missing[0], [name for name in table.frame.columns if name not in names])
        hint = f": did you mean {close[0]!r}?" if close else ""
        raise CommandError(f"{table.name} lacks {word} {listing(missing)}, which the model needs{hint}")
    return table.frame.select(names)
