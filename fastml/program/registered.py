"""Operations that the reference takes from registries: their formulas stand beside the names of activations, losses,
metrics and optimizers.
"""

import numpy as np

from fastml.activations import ACTIVATIONS
from fastml.kernels.elementwise import CUSTOM
from fastml.losses import LOSSES
from fastml.metrics import METRICS
from fastml.optimizers import UPDATES


def elementwise(name, alpha):
    """The activation of a name, as a function of z, or its slope, as one of what it reads and of the gradient."""
    if name in CUSTOM:
        return CUSTOM[name].twin
    if name in ACTIVATIONS:
        return lambda z, _: ACTIVATIONS[name].forward(z, alpha)
    function = ACTIVATIONS[name.removesuffix("_slope")]
    return lambda u, da: function.backward(u, u, da, alpha)


def loss_forward_of(loss):
    def forward(z, y, a, terms, losses, **s):
        losses[...], a[...] = loss.forward(s, z, y)

    return forward


def loss_backward_of(loss):
    def backward(n, a, y, dz, **s):
        value = loss.backward(s, a, y)  # of a mean over these rows
        dz[...] = value if n == len(a) else value * (len(a) / n)

    return backward


def score_of(metric):
    def score(a, y, scores):
        scores[...] = metric.score(a, y)

    return score


def update_of(op, update):
    def updated(W, dW, learning_rate=0.0, t=0, worse=False, **others):
        arrays = [value for value in others.values() if isinstance(value, np.ndarray)]
        update({"op": op, **others}, W, dW, arrays, t, learning_rate, worse)

    return updated


REGISTERED = {}
for loss in LOSSES.values():
    REGISTERED[f"{loss.operation}_forward"] = loss_forward_of(loss)
    REGISTERED[f"{loss.operation}_backward"] = loss_backward_of(loss)
REGISTERED |= {metric.operation: score_of(metric) for metric in METRICS.values()}
REGISTERED |= {op: update_of(op, update) for op, update in UPDATES.items()}
