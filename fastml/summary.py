"""The table of a model that `Sequential.summary` prints and notebooks show."""

import html
from math import prod

import numpy as np

from fastml.program.lowering import lower

HEAD = ("layer", "output", "parameters", "memory", "FLOP per row")


def table(layers, d_in, dtype):
    """Head and rows of the table, tuples of text, and a line on the whole; d_in is None while it is not known.

    FLOP counts the multiplications and additions of matrix products in a prediction; a training step has three times as
    many, less those for the gradient of the data.
    """
    parameters = lower(layers, d_in, 1, dtype).parameters if d_in and layers else []
    itemsize, rows, width, flop = np.dtype(dtype).itemsize, [], d_in, 0
    for position, layer in enumerate(layers):
        work = 2 * layer.products(width) if width else 0
        width = layer.units_out(width) if width else getattr(layer, "units", None)
        count = sum(prod(p.shape) for p in parameters if p.layer == position)
        flop += work
        known = (f"{count:,}", size(count * itemsize), f"{work:,}") if d_in else ("?",) * 3
        rows.append((repr(layer), f"(rows, {width or '?'})", *known))
    if not layers:
        return rows, "no layers yet"
    if not d_in:
        return rows, "width of the data not known yet: the parameters are counted at the first fit"
    total = sum(prod(p.shape) for p in parameters)
    fixed = sum(p.size for p in parameters if p.role == "statistic")
    frozen = sum(p.size for p in parameters if p.frozen)
    told = [f"{n:,} are {what}" for n, what in ((fixed, "statistics"), (frozen, "frozen")) if n]
    statistics = f", of which {' and '.join(told)}" if told else ""
    return rows, f"{total:,} parameters{statistics}, {size(total * itemsize)} as {dtype}; {flop:,} FLOP per row"


def size(count):
    """Bytes as text, in the unit that suits them."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.{0 if unit == 'B' else 1}f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


def format_summary(layers, d_in, dtype):
    """The table as aligned text."""
    rows, footer = table(layers, d_in, dtype)
    rows = [HEAD, *rows]
    lengths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    lines = [
        "  ".join(f"{cell:{'<' if k < 2 else '>'}{lengths[k]}}" for k, cell in enumerate(row)).rstrip() for row in rows
    ]
    rule = "─" * (sum(lengths) + 2 * (len(HEAD) - 1))
    return "\n".join([lines[0], rule, *lines[1:], rule, footer])


def html_summary(layers, d_in, dtype):
    """The table in HTML, for notebooks."""
    rows, footer = table(layers, d_in, dtype)

    def line(cells, kind):
        style = [' style="text-align:left"', ' style="text-align:left"', *[' style="text-align:right"'] * 3]
        return (
            "<tr>"
            + "".join(f"<{kind}{s}>{html.escape(c)}</{kind}>" for c, s in zip(cells, style, strict=True))
            + "</tr>"
        )

    body = "".join(line(row, "td") for row in rows)
    caption = f'<caption style="caption-side:bottom;text-align:left;padding:0.5em">{html.escape(footer)}</caption>'
    return f"<table>{caption}<thead>{line(HEAD, 'th')}</thead><tbody>{body}</tbody></table>"
