"""What the arguments of the command line are: types for argparse, which say in a line what they take."""

import argparse
import codecs


def whole_number(low, high):
    """A type for argparse: an int from low to high."""

    def parse(text):
        if text.isdecimal() and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, got {text!r}")

    return parse


def share(text):
    """A share of the rows, for argparse."""
    try:
        if 0 < float(text) <= 0.5:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a number above 0, up to 0.5, got {text!r}")


def sizes(text):
    """Widths of layers, for argparse: a tuple of int."""
    return tuple(map(whole_number(1, 10**5), text.replace("x", ",").split(",")))


def separator(text):
    """The sign between columns, for argparse."""
    text = {"\\t": "\t", "tab": "\t", "space": " "}.get(text, text)
    if len(text) == 1 and text.isascii() and text not in '\n\r"':
        return text
    raise argparse.ArgumentTypeError(f"must be one sign, or tab or space, got {text!r}")


def encoding(text):
    """A name of an encoding, for argparse."""
    try:
        found = codecs.lookup(text)
        if not found._is_text_encoding:
            raise LookupError
        return found.name
    except LookupError:
        raise argparse.ArgumentTypeError(
            f"must be an encoding, such as utf-8, cp1252 or utf-16, got {text!r}"
        ) from None


def names(text):
    """Names of columns, for argparse."""
    found = tuple(part.strip() for part in text.split(","))
    if all(found) and len(set(found)) == len(found):
        return found
    raise argparse.ArgumentTypeError(f"must be different names with commas between them, got {text!r}")


def split(text):
    """How to choose the test rows, for argparse."""
    if text in ("random", "time") or text.startswith("time:"):
        return text
    raise argparse.ArgumentTypeError(f"must be random, time or time:COLUMN, got {text!r}")
