"""The commands that work on tables, and what they share. `fastml.cli` imports each when it is called."""

import difflib
import importlib

LIBRARIES = {"polars": "polars", "narwhals": "narwhals", "sklearn": "scikit-learn", "matplotlib": "matplotlib"}


class CommandError(Exception):
    """What a user can mend: the command ends with this text, in one line, and exit code 2."""


def one_line(text):
    """A text, such as another library's message, as one line."""
    return " ".join(str(text).split())


def require(*modules):
    """CommandError unless these modules can be imported."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            raise CommandError(f"{LIBRARIES[module]} is missing: pip install 'fastml-cpu[train]'") from None


def listing(names, most=10):
    """Names as text, the first of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(str(name)) for name in list(names)[:most]) + more


def alike(name, names):
    """Those of some names that are like a name, the most alike first."""
    folded = {other.casefold().strip(): other for other in names}
    return [folded[close] for close in difflib.get_close_matches(name.casefold().strip(), folded, 3, 0.6)]


def check_column(path, table, name):
    """CommandError, with names that are like it, unless the table has the column."""
    if name in table.columns:
        return
    close = alike(name, table.columns)
    hint = f"did you mean {listing(close)}?" if close else f"it has {listing(table.columns)}"
    if not close and any(column.replace(".", "", 1).isdecimal() for column in table.columns):
        hint += "; if the first line is a row already, say --no-header"
    raise CommandError(f"{path} has no column {name!r}: {hint}")
