"""Tables in files: text of any layout and Parquet, read by polars."""

import csv
import io
import os
import re
from contextlib import contextmanager
from typing import NamedTuple

import polars as pl

from fastml.commands import CommandError, alike, listing, one_line
from fastml.commands.figures import many
from fastml.commands.files.cells import AS_IT_IS, GAPS, Style
from fastml.commands.files.layout import layout_of
from fastml.commands.files.parquet import unpacked_size
from fastml.commands.files.source import EXPANSION, LEAST_LIMIT, Source, as_utf8, is_parquet, open_source

FOOTERS = 5  # lines at the end, at most, that are a remark and no row
LEAST = 10  # rows, from which on the first may be of units and the last of totals
ENDS = 5  # times that something is taken from the end, such as a remark behind totals behind an empty row
FIRST, MOSTLY = 50, 0.9  # rows that tell which columns hold numbers, and the share of them that must
TOTAL = r"(?i)^\W*(grand |sub)?-?(total|sum|summe|gesamt|insgesamt|totale|totaux|suma|somme|zwischensumme)s?\b"


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
    data = as_utf8(source, form.encoding)
    found = layout_of(source.name, data, form.separator, form.header, form.names)
    notes = [*source.notes, *found.notes]
    data = without_space_before_quotes(data, found.separator)
    try:
        frame = parsed(data, found)
    except pl.exceptions.PolarsError as error:
        told = uneven(source.name, data, found)
        raise CommandError(told) if told else error from error
    if needs_stripping(data, found.separator):
        frame = frame.with_columns(pl.all().str.strip_chars())
    blank = [c.name for c in frame.iter_columns() if (c == "").any()]
    frame = frame.with_columns(pl.col(blank).replace("", None)) if blank else frame
    frame = rows_of(frame, data, found.separator, notes)
    if form.header:
        frame = without_units(without_headers(frame, notes), notes)
    return Table(source.name, frame, found.separator, found.twice, list(dict.fromkeys(notes)))


def parsed(data, found):
    """The records behind the header as a frame of text."""
    schema = dict.fromkeys(found.names, pl.String)
    options = {"separator": found.separator, "has_header": False, "infer_schema": False, "glob": False}
    if found.first < len(found.names):  # the first row is short, from which polars would tell the width
        start = len(b"\n".join(data.split(b"\n", found.skip)[: found.skip])) + 1 if found.skip else 0
        row = found.separator.join(["-"] * len(found.names)).encode()
        return pl.read_csv(row + b"\n" + data[start:], **options, schema=schema)[1:]
    try:
        return pl.read_csv(data, **options, skip_lines=found.skip, schema=schema)
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=schema)


def without_space_before_quotes(data, separator):
    """Text in which quotes stand beside the separator, where a space stands between: to polars they would be signs."""
    before = f'{separator} "'.encode()
    return data.replace(before, before.replace(b" ", b"")) if separator != " " and before in data[: 2**20] else data


def needs_stripping(data, separator):
    """Whether a field may begin or end with a space."""
    sign = separator.encode()
    if separator != "\t" and b"\t" in data:
        return True
    if not data.isascii() and (b"\xc2\xa0" in data or b"\xe2\x80" in data):  # spaces that do not break, and others
        return True
    pairs = (b" " + sign, sign + b" ", b" \n", b"\n ", b" \r", b'" ', b' "')
    return b" " in data and (any(pair in data for pair in pairs) or data.startswith(b" ") or data.endswith(b" "))


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


def rows_of(frame, data, separator, notes):
    """The rows of a frame: without blank lines, and without what is no row at the end."""
    empty = blank(frame)
    if empty.any():
        sign = re.escape(separator.encode())
        pattern = rb"^[ \t]*" + sign + rb"[ \t" + sign + rb"]*\r?$"
        if frame.width > 1 and not re.search(pattern, data, re.MULTILINE):  # no row that is only separators
            frame = frame.filter(~empty)
    for _ in range(ENDS):
        height = frame.height
        frame = without_totals(without_footer(without_blanks(frame, separator, notes), notes), notes)
        if frame.height == height:
            break
    return frame


def blank(frame):
    """Which rows hold nothing."""
    return frame.select(pl.all_horizontal(pl.all().is_null())).to_series()


def without_blanks(frame, separator, notes):
    """A frame without rows at its end that hold nothing."""
    filled = ~blank(frame)
    last = frame.height - (filled.reverse().arg_max() or 0) if filled.any() else 0
    if frame.height > last and frame.width > 1:
        notes.append(f"{many(frame.height - last, 'empty row')} at the end left out")
    return frame.head(last)


def without_headers(frame, notes):
    """A frame without the rows that repeat the header, as where files were joined."""
    titles = [c for c in frame.columns if (frame[c] == c).any()]
    if len(titles) == frame.width > 1:
        again = frame.select(pl.all_horizontal(pl.col(c) == c for c in frame.columns)).to_series()
        if again.any():
            notes.append(f"{many(again.sum(), 'row')} that repeat the header left out")
            frame = frame.filter(~again)
    return frame


def without_units(frame, notes):
    """A frame without a first row that holds the units of columns of numbers."""
    if frame.width < 2 or frame.height < LEAST:
        return frame
    first, rest = frame.row(0), frame[1:FIRST].select(pl.all().str.contains(r"\d").mean())
    numbers = [k for k, share in enumerate(rest.row(0)) if share is not None and share > MOSTLY]
    held = [first[k] for k in numbers if first[k]]
    few = len(held) < 2 and len(list(filter(None, first))) > len(held)
    if not held or few or any(any(map(str.isdigit, text)) for text in held) or any(text in GAPS for text in held):
        return frame
    notes.append(f"the row below the header left out, as it holds units: {listing(held, 3)}")
    return frame[1:]


def without_totals(frame, notes):
    """A frame without a row of totals at its end: it has such a word, and more empty fields than most others."""
    if frame.width < 2 or frame.height < LEAST:
        return frame
    last = frame.row(-1)
    word = next((text for text in last if text), "")
    gaps = frame[:-1].select(pl.sum_horizontal(pl.all().is_null())).to_series()
    if not re.match(TOTAL, word) or last.count(None) <= gaps.quantile(0.9):
        return frame
    notes.append(f"the last row left out, as it holds totals: it begins with {word[:40]!r}")
    return frame[:-1]


def without_footer(frame, notes):
    """A frame without lines at the end that fill the first column alone, where no other row does."""
    if frame.width < 3 or frame.height < 4 * FOOTERS:
        return frame
    rest = frame.columns[1:]
    alone = frame.select(pl.all_horizontal(pl.col(rest).is_null()) & pl.col(frame.columns[0]).is_not_null()).to_series()
    count = alone.sum()
    if not 0 < count <= FOOTERS or not alone.tail(count).all():
        return frame
    notes.append(f"{many(count, 'remark')} at the end left out, such as {frame[-1, 0][:40]!r}")
    return frame.head(frame.height - count)


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
    frame = frame.fill_nan(None).with_columns(pl.col(pl.String).str.strip_chars(), pl.col(pl.Time).cast(pl.Duration))
    return Table(source.name, frame, None, (), source.notes)


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
