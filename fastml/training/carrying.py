"""What a network computes, carried over where the statistics change by which its data or its targets are normalized.

As Pop-Art does for targets (van Hasselt et al., "Learning Values Across Many Orders of Magnitude", NIPS 2016), and the
same for inputs: weights next to a normalization are rescaled, so that learning goes on from the same function. Columns
whose spread is not known well yet (`trusted`), as it is that of a few rows, keep their weights in units of that spread
instead: it may be too small by orders of magnitude, and what they compute is hardly learned.
"""

import numpy as np

from fastml.layers import Dense


def carry_inputs(engine, places, old, new, trusted):
    """Fits the first Dense layer of an engine to inputs that are normalized by new statistics.

    places : (k,) the layer's inputs of which old and new are {"mean", "scale"}, (k,)
    trusted : (k,) bool. W of these columns, in what they compute, stays; that of others stays as a number. In either
        case the biases keep what the network computes where a column has its old mean.

    A gradient of W goes with 1 / W here, whatever the loss. So do the optimizer's running means of gradients, squared
    or not, and the other way round its step sizes: the next steps are those of a network that had always been so.
    """
    position = next(k for k, layer in enumerate(engine.layers) if isinstance(layer, Dense))
    both = trusted & (old["scale"] > 0) & (new["scale"] > 0)
    factor = np.where(both, old["scale"] / np.where(both, new["scale"], 1), 1.0)
    starts = (old["scale"] == 0) & (new["scale"] > 0) & (new["reach"] > 2)
    factor = np.where(starts, 2 / np.where(starts, new["reach"], 1), factor)
    W, b = weights_of(engine, position, engine.buffers.params)
    scaled = W[places].astype(np.float64) * factor[:, None]
    b[...] = b + ((new["mean"] - old["mean"]) * new["scale"]) @ scaled
    W[places] = scaled
    size = engine.program.params_size
    for k, power in enumerate(engine.aim["optimizer"].powers):
        state, _ = weights_of(engine, position, engine.buffers.state[k * size : (k + 1) * size])
        state[places] = state[places] * factor[:, None] ** -power


def carry_outputs(engine, old, new, trusted):
    """Fits the last layer, a linear one, to targets that are normalized by new {"mean", "spread"} : (units,).

    Moments stay as they are: how gradients change depends on the loss, and the optimizer forgets what is past.
    """
    position = max(k for k, layer in enumerate(engine.layers) if isinstance(layer, Dense))
    W, b = weights_of(engine, position, engine.buffers.params)
    factor = np.where(trusted, old["spread"] / new["spread"], 1.0)
    W[...] = W * factor
    b[...] = b * factor + (old["mean"] - new["mean"]) / new["spread"]


def weights_of(engine, position, buffer):
    """Views of W and b of the Dense layer at this position, in a buffer that is laid out like the parameters."""
    found = {p.name: p.view(buffer) for p in engine.program.parameters if p.layer == position}
    return found["W"], found["b"]
