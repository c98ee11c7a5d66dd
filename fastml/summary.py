"""The table that `Sequential.summary` prints."""

from math import prod

import numpy as np

from fastml.lowering import lower


def format_summary(layers, d_in, dtype):
    """The layers of a model with output width and parameters, as aligned text; d_in is None while it is not known."""
    parameters = lower(layers, d_in, 1, dtype).parameters if d_in and layers else []
    rows, width = [("layer", "output", "parameters")], d_in
    for position, layer in enumerate(layers):
        width = layer.units_out(width) if width else getattr(layer, "units", None)
        count = sum(prod(p.shape) for p in parameters if p.layer == position)
        rows.append((repr(layer), f"(rows, {width or '?'})", f"{count:,}" if d_in else "?"))
    lengths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [f"{a:<{lengths[0]}}  {b:<{lengths[1]}}  {c:>{lengths[2]}}" for a, b, c in rows]
    rule = "─" * len(lines[0])
    total = sum(prod(p.shape) for p in parameters)
    fixed = sum(p.size for p in parameters if p.role == "statistic")
    statistics = f", of which {fixed:,} are statistics" if fixed else ""
    footer = f"{total:,} parameters{statistics}, {total * np.dtype(dtype).itemsize / 1024:,.1f} KiB as {dtype}"
    if not d_in:
        footer = "width of the data not known yet: the parameters are counted at the first fit"
    return "\n".join([lines[0], rule, *lines[1:], rule, footer])
