"""Numbers as text, in one style, for the terminal and the report."""

import math
import re

UNKNOWN = "–"


def percent(value):
    """A share: 91.5%. What is not quite all, or not quite nothing, does not look like it: 99.97%, 0.004%."""
    return f"{precise(100 * value, (0, 100), 1)}%" if math.isfinite(value) else UNKNOWN


def plain(value):
    """A number without a unit: 0.962, and 0.9998 rather than 1.000."""
    return precise(value, (0, 1), 3) if math.isfinite(value) else UNKNOWN


def precise(value, ends, digits):
    """A number with so many digits behind the point, or up to four more where it would else look like one of `ends`."""
    texts = [f"{value:.{more}f}" for more in range(digits, digits + 5)]
    true = (text for text in texts if float(text) not in ends or abs(value - float(text)) < 1e-9)
    text = next(true, texts[0])
    return text.removeprefix("-") if float(text) == 0 else text


def in_units(value):
    """A number in the units of the target, with four digits at least: 0.01234, 1.500, 12,346, 1.200e+12."""
    if value == 0 or not math.isfinite(value):
        return UNKNOWN if value else "0"
    return f"{value:,.0f}" if 999.95 <= abs(value) < 1e9 else f"{value:#.4g}"


def count(number):
    """How many there are: 40,000."""
    return f"{number:,}"


def many(number, one, more=None):
    """How many there are of something: 1 row, 40,000 rows."""
    return f"{count(number)} {one if number == 1 else more or one + 's'}"


def span(text, low, high):
    """An interval, `text` being the style of its ends."""
    return f"{text(low)} to {text(high)}" if math.isfinite(low) and math.isfinite(high) else UNKNOWN


def signed(text, value):
    """A difference, with its sign."""
    return ("+" if value > 0 else "") + text(value)


def typeset(text):
    """A text with the minus sign of print before its numbers."""
    return re.sub(r"(?<![\w.-])-(?=[\d.])", "−", text)


def points(value):
    """A difference of two shares, in points of a percent."""
    return f"{100 * value:.1f}".replace("-0.0", "0.0") + " points" if math.isfinite(value) else UNKNOWN


def gap(text, value):
    """A difference with its sign, of values that `text` writes."""
    return signed(points if text is percent else text, value)


def gaps(text, low, high):
    """An interval of differences of values that `text` writes."""
    told = span(points if text is percent else text, low, high)
    return told.replace(" points to", " to")


def alike(values):
    """Numbers of a column as texts with equally many digits behind the point, at least four where they have them."""
    values = [float(value) for value in values]
    size = max(map(abs, values), default=0.0)
    if not 1e-3 <= size < 1e9:
        return [f"{value:.4g}" for value in values]
    most = max(0, 3 - math.floor(math.log10(size)))
    texts = [f"{value:,.{most}f}" for value in values]
    while "." in texts[0] and all(text.endswith("0") for text in texts):
        texts = [text[:-1].removesuffix(".") for text in texts]
    return texts
