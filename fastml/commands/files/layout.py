"""How a text file is laid out: what separates its columns, where its header stands, and what they are called."""

import csv
import io
import re
from collections import Counter
from typing import NamedTuple

from fastml.commands import CommandError, one_line
from fastml.commands.figures import many

SEPARATORS = ",;\t|"
SPACE = " "  # which R writes between columns: only where no other separator makes columns
SPACES = re.compile(r'("[^"\n]*")|[ \t]+')  # within quotes, and outside
LINES, SAMPLE = 200, 2**18  # of the file that are looked at, in lines and bytes
LONGEST, MOST_COLUMNS = 2**24, 10**5  # bytes in which to look for the end of the header; columns
NAMELESS = "row names"  # what R leaves out of its header
TITLES, FILLED = 5, 0.75  # lines of titles at most; share of the fields of a header that have a name
ALIKE = 0.95  # share of the lines that have as many columns as most have


class Layout(NamedTuple):
    """How a file is laid out.

    separator : the sign between columns; skip : lines to pass over; first : how many fields the first row has
    names : of the columns; twice : those that several share; notes : remarks
    """

    separator: str
    skip: int
    first: int
    names: list
    twice: tuple
    notes: list


class Record(NamedTuple):
    """The fields of one record, and how many lines of the file end with it."""

    fields: list
    line: int


def layout_of(name, data, separator=None, header=True, names=None):
    """The Layout of UTF-8 text, which is looked for but for what is given.

    `separator` : one sign; `header` : whether a line names the columns; `names` : a list of their names instead.
    """
    text, given = sample(data), separator
    first = text.split("\n", 1)[0].strip(" \r").strip('"')
    skipped = 0
    if first.lower().startswith("sep=") and len(first) <= 5:  # Excel's own line
        skipped, separator = 1, separator or (first[4:] or ",")
    if separator is None:
        separator = guess_separator(text)
    text = squeezed(text) if separator == SPACE else text
    found = records(text, separator, name)
    if len(found) <= skipped:
        raise CommandError(f"{name} is empty")
    width = common_width(found[skipped:] or found)
    at = start_of(found, skipped, width) if header else first_row(found, skipped, width)
    if max(len(record.fields) for record in found) > MOST_COLUMNS:
        raise CommandError(f"{name} has more than {MOST_COLUMNS} columns")
    notes = [passed_over(found[skipped:at])] if at > skipped else []
    if given is None and separator == SPACE:
        notes.append("columns are separated by spaces")
    start = found[at - 1].line if at else 0
    lines = text.split("\n")
    if header:
        titles, twice = titled(found[at].fields, width, found[at + 1 :])
        if titles[0] == NAMELESS and len(titles) > len(found[at].fields):
            notes.append("the header lacks a name: the first column is taken for names of the rows")
        start = found[at].line
    else:
        titles, twice = [str(k + 1) for k in range(max(width, len(found[at].fields)))], ()
    while start < len(lines) and not lines[start].strip():  # polars would take the first line for all there is
        start += 1
    if names:
        if len(names) != len(titles):
            raise CommandError(f"{name} has {len(titles)} columns, but --names gives {len(names)}")
        titles, twice = list(names), ()
    if twice and not names:
        notes.append(f"several columns are called {twice[0]!r}: all but the first have a number behind their name")
    rows = found[at + header :]
    return Layout(separator, start, len(rows[0].fields) if rows else len(titles), titles, twice, notes)


def sample(data):
    """The first lines, whole ones if there is more."""
    end = SAMPLE
    if len(data) > end and data.rfind(b"\n", 0, end) < 0:
        end = LONGEST
    part = data[:end]
    if len(data) > end and b"\n" in part:
        part = part[: part.rindex(b"\n") + 1]
    return part.decode(errors="replace")


def records(text, separator, name=None):
    """The first Records of a text that are not blank. An error in quotes ends them, or is a CommandError by `name`."""
    lines = io.StringIO(text, newline="\n")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != SPACE)
    found, before = [], csv.field_size_limit(LONGEST)
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                found.append(Record(fields, reader.line_num))
            if len(found) == LINES:
                break
    except csv.Error as error:
        if name and not found:
            raise CommandError(f"{name} cannot be read as CSV: {one_line(error)}") from error
    finally:
        csv.field_size_limit(before)
    return found


def common_width(found):
    """How many fields most records have; where two numbers are as frequent, as many as the first, or more."""
    widths, first = Counter(len(record.fields) for record in found[1:] or found), len(found[0].fields)
    return max(widths, key=lambda width: (widths[width], width == first, width))


def first_row(found, skipped, width):
    """Which of the records of a file without a header is the first row: no remark of one field before several."""
    return next((k for k in range(skipped, len(found)) if width == 1 or len(found[k].fields) > 1), skipped)


def start_of(found, skipped, width):
    """Which of the records is the header: the first that has as many fields as most.

    Not a title that spreadsheets fill up with separators, before one whose fields are nearly all filled. Or one with a
    field less, where it is the first of all and a row follows: R gives the column of names none.
    """
    titles = found[skipped].fields
    if len(titles) > width and all(len(record.fields) <= len(titles) for record in found):
        if not any(map(is_number, titles)):  # the rows lack what is missing at their ends
            return skipped
    if width - 1 == len(titles) > 0 and len(found) > skipped + 1:
        row = found[skipped + 1].fields
        if len(row) == width and any(map(str.isdigit, "".join(row))):
            return skipped
    wide = [k for k in range(skipped, len(found)) if len(found[k].fields) == width]
    filled = {k: [field for field in found[k].fields if field.strip()] for k in wide[: TITLES + 1]}
    for k in wide[:TITLES]:
        later = [filled[j] for j in filled if j > k and len(filled[j]) > FILLED * width]
        if 2 * len(filled[k]) >= width or not later or 2 * sum(map(is_number, later[0])) > width:
            return k
    return wide[min(TITLES, len(wide) - 1)] if wide else skipped


def guess_separator(text):
    """The sign that makes columns: as many in nearly all lines, from as early a line on as possible."""
    best, chosen = None, ","
    for separator in SEPARATORS + SPACE:
        found = records(squeezed(text) if separator == SPACE else text, separator)
        if not found:
            continue
        width = common_width(found)
        if width < 2 or (separator == SPACE and best):
            continue
        alike = sum(len(record.fields) == width for record in found[1:] or found) / max(1, len(found) - 1)
        start = start_of(found, 0, width)
        names = len(found[start].fields)
        if separator == SPACE and not spaced(found, width, text):
            continue
        score = alike >= ALIKE, -start, names, alike
        if best is None or score > best:
            best, chosen = score, separator
    return chosen


def spaced(found, width, text):
    """Whether records that spaces separate are columns, as R writes them, and no words of a text."""
    rows, quoted = [record.fields for record in found[1:]], text.startswith('"')
    names, aligned = len(found[0].fields), "  " in text
    whole = quoted or names == width > 2 or (aligned and names == width - 1 > 1)
    return whole and all(len(fields) == width and any(map(is_number, fields)) for fields in rows)


def squeezed(text):
    """Text with one space in place of several, and none at the ends of lines: programs align columns by them."""
    one = SPACES.sub(lambda found: found[1] or " ", text) if "  " in text or "\t" in text else text
    return re.sub(r" ?(\r?\n) ?", r"\1", one).strip(" ")


def is_number(field):
    return field.replace(".", "", 1).lstrip("-").isdecimal()


def passed_over(lines):
    """A remark on lines before the header."""
    shown = one_line(" ".join(lines[0].fields))[:40]
    return f"{many(len(lines), 'line')} before the header passed over, beginning with {shown!r}"


def titled(fields, width, rows):
    """Names of columns from a header, without spaces around, none empty and none twice; and those that were twice.

    A header that is one too short lacks the name of R's row names, or a separator at its end.
    """
    titles, seen = [one_line(field.strip("\ufeff\u200b")) for field in fields], Counter()
    if len(titles) == width - 1:
        behind = all(not record.fields[-1].strip() for record in rows if len(record.fields) == width)
        titles = [*titles, ""] if behind else [NAMELESS, *titles]
    titles = [title or f"column {k}" for k, title in enumerate(titles, 1)]
    for k, title in enumerate(titles):
        seen[title] += 1
        while seen[title] > 1 and f"{title} ({seen[title]})" in titles:
            seen[title] += 1
        titles[k] = title if seen[title] == 1 else f"{title} ({seen[title]})"
    return titles, tuple(title for title, count in seen.items() if count > 1)
