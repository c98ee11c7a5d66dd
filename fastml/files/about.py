"""What a model file tells about itself besides the model: a dict of plain values, which whoever saves it has chosen."""

import json
import math

import numpy as np

MOST_TEXT = 2**20  # characters of JSON
MOST_PARTS = 10**4  # dicts and lists
DEEPEST = 20  # of dicts and lists in each other


def plain(about, name="about_"):
    """A copy of a dict as JSON holds it, with lists for tuples and Python's numbers for NumPy's.

    Raises TypeError or ValueError, with the way to the entry, for what JSON does not hold, as NaN, and for a dict that
    is larger than a description should be.
    """
    if type(about) is not dict:
        raise TypeError(f"{name} must be a dict of plain values, got {type(about).__name__}")
    parts = [0]
    copied = plain_part(about, name, 0, parts)
    length = len(json.dumps(copied, allow_nan=False))
    if length > MOST_TEXT:
        raise ValueError(f"{name} takes {length} characters of JSON, at most {MOST_TEXT} are kept")
    return copied


def plain_part(value, name, depth, parts):
    """A copy of a part of the dict, which `name` leads to; `parts` holds the number of dicts and lists so far."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is str:
        return checked_text(value, name)
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}, which JSON does not hold: expected a finite number or None")
        return value
    if type(value) not in (dict, list, tuple):
        raise TypeError(
            f"{name} is {type(value).__name__}: expected None, a bool, a number, text, or a list or dict of such"
        )
    parts[0] += 1
    if parts[0] > MOST_PARTS or depth == DEEPEST:
        raise ValueError(f"{name}: at most {MOST_PARTS} lists and dicts are kept, {DEEPEST} of them in each other")
    if type(value) is not dict:
        return [plain_part(item, f"{name}[{k}]", depth + 1, parts) for k, item in enumerate(value)]
    for key in value:
        if type(key) is not str:
            raise TypeError(f"{name} has the key {key!r}: expected text")
        checked_text(key, f"a key of {name}")
    return {key: plain_part(item, f"{name}[{key!r}]", depth + 1, parts) for key, item in value.items()}


def checked_text(text, name):
    """The text; ValueError where it holds half of a character, which no file can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} cannot be written as UTF-8: {error}") from None
    return text
