"""Which lines of a text file are rows: not blank ones, repeated headers, units, totals or remarks at the end."""

import re

import polars as pl

from fastml.commands import listing
from fastml.commands.figures import many
from fastml.commands.files.cells import GAPS, NOTHINGS, VALUE_GAPS

NO_UNITS = {*GAPS, *NOTHINGS, *VALUE_GAPS}
FOOTERS = 5  # lines at the end, at most, that are a remark and no row
LEAST = 10  # rows, from which on the first may be of units and the last of totals
ENDS = 5  # times that something is taken from the end, such as a remark behind totals behind an empty row
FIRST, MOSTLY = 50, 0.9  # rows that tell which columns hold numbers, and the share of them that must
TOTAL = r"(?i)^\W*(grand |sub)?-?(total|sum|summe|gesamt|insgesamt|totale|totaux|suma|somme|zwischensumme)s?\b"


def rows_of(frame, data, separator, notes):
    """The rows of a frame: without blank lines, and without what is no row at the end."""
    empty = blank(frame)
    if frame.width == 1 and data.rstrip().endswith(b'""'):  # a gap, as pandas and R write it, and no blank line
        return frame.head(frame.height - (~empty).reverse().arg_max() + 1) if not empty.all() else frame.head(1)
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


def without_rule(frame, notes):
    """A frame without a first row of dashes alone, which clients of databases write below the header."""
    if frame.width < 2 or frame.height < 2 or not all(text and set(text) == {"-"} for text in frame.row(0)):
        return frame
    notes.append("the row of dashes below the header left out")
    return frame[1:]


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
    if not held or few or any(any(map(str.isdigit, text)) for text in held) or any(text in NO_UNITS for text in held):
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
    first = frame[frame.columns[0]]
    if (
        not first.tail(count).str.contains(" ").any()
        or first.head(len(first) - count).is_in(first.tail(count).to_list()).any()
    ):
        return frame  # it may be a row whose other values are missing
    notes.append(f"{many(count, 'remark')} at the end left out, such as {frame[-1, 0][:40]!r}")
    return frame.head(frame.height - count)
