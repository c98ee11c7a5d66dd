"""The table that `Sequential.summary` prints."""

import numpy as np


def format_summary(model):
    """The layers of a model with output width and parameters, as aligned text."""
    weights = model.get_weights() if model.input_dim else []
    parameters = model._engine.program.parameters if weights else []
    rows, width = [("layer", "output", "parameters")], model.input_dim
    for position, layer in enumerate(model.layers):
        width = layer.units_out(width) if width else getattr(layer, "units", None)
        shapes = [p.shape for p in parameters if p.layer == position]
        count = sum(int(np.prod(shape)) for shape in shapes)
        output = f"(rows, {width})" if width else "(rows, ?)"
        rows.append((repr(layer), output, f"{count:,}" if weights else "?"))
    lengths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [f"{a:<{lengths[0]}}  {b:<{lengths[1]}}  {c:>{lengths[2]}}" for a, b, c in rows]
    rule = "─" * len(lines[0])
    total = sum(w.size for w in weights)
    size = total * np.dtype(model.dtype).itemsize
    footer = (
        f"{total:,} parameters, {size / 1024:,.1f} KiB as {model.dtype}"
        if weights
        else ("width of the data not known yet: the parameters are counted at the first fit")
    )
    return "\n".join([lines[0], rule, *lines[1:], rule, footer])
