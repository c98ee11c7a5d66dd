"""Optimizers: hyper-parameters, the state that each keeps, and the update in NumPy.

What all but Rprop take besides their own:

learning_rate : float or Schedule
    Of each update; see `fastml.schedules`.
weight_decay : float
    W → (1 - learning_rate·weight_decay)·W before each update, decoupled from the gradient as in AdamW, whatever the
    optimizer. PyTorch's SGD, RMSprop and Adagrad add weight_decay·W to the gradient instead: a penalty, `L2`.
decay_all : bool
    Whether biases and the γ, β of batch normalization decay too, as in PyTorch; if not, only weights of layers do.
clipvalue : float or None
    Cut each element of the gradient at ± this.
clipnorm : float or None
    Scale the gradient of each weight matrix, bias vector and so on by itself to this norm where it is longer.
global_clipnorm : float or None
    Scale the gradient of all parameters together to this norm where it is longer.

Clipping comes first, where several are given in this order: by value, each norm, the norm of all. A penalty counts as
part of the gradient.
"""

import math

import numpy as np

from fastml.adam import Adam, Adamax, AdamW
from fastml.attributes import Constant, Flag
from fastml.keras_names import MISSING
from fastml.optimizer import GradientDescent, Optimizer, decay
from fastml.registry import lookup
from fastml.rprop import Rprop
from fastml.schedules import Schedule
from fastml.telling import missing

__all__ = [  # what fastml itself gives of this file
    "OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Adamax", "GradientDescent", "Optimizer", "RMSprop", "Rprop",
]  # fmt: skip


class SGD(GradientDescent):
    """Gradient descent, stochastic where the batch is a sample: W -= learning_rate · dW.

    With momentum, v = momentum · v + dW and W -= learning_rate · v, as in PyTorch; with nesterov in addition
    W -= learning_rate · (dW + momentum · v) (Sutskever et al., ICML 2013). Keras has the rate inside of v: the same
    path as long as the rate is constant. See `fastml.optimizers` for weight_decay, decay_all and clipping.
    """

    momentum = Constant(0, 1)
    nesterov = Flag()

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        own = {"momentum": momentum, "nesterov": nesterov}
        self._set(learning_rate, weight_decay, decay_all, clipvalue, clipnorm, global_clipnorm, **own)

    def check(self):
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")

    @property
    def op(self):
        if not self.momentum:
            return "sgd_update"
        return "nesterov_update" if self.nesterov else "momentum_update"

    @property
    def start(self):
        return (0.0,) if self.momentum else ()

    @property
    def powers(self):
        return (1,) if self.momentum else ()

    @staticmethod
    def update(s, W, dW, state, t, rate, worse):
        real, step = W.dtype.type, dW
        if s["op"] != "sgd_update":
            v = state[0]
            v *= real(s["momentum"])
            v += dW
            step = dW + real(s["momentum"]) * v if s["op"] == "nesterov_update" else v
        decay(s, W, rate)
        W -= real(rate) * step


class RMSprop(GradientDescent):
    """Steps scaled by a running root mean square of the gradient: W -= learning_rate · dW / (√v + epsilon).

    v = rho · v + (1 - rho) · dW². Source: Tieleman & Hinton, lecture 6e, 2012. epsilon stands outside of the root, as
    in PyTorch (whose rho, "alpha", is 0.99 by default); Keras has it inside. See `fastml.optimizers` for weight_decay,
    decay_all and clipping.
    """

    rho = Constant(0, 1)
    epsilon = Constant(0, open_low=True)

    op = "rmsprop_update"
    start = (0.0,)
    bounds = ((0.0, math.inf),)
    powers = (2,)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-8,
        *,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        own = {"rho": rho, "epsilon": epsilon}
        self._set(learning_rate, weight_decay, decay_all, clipvalue, clipnorm, global_clipnorm, **own)

    @staticmethod
    def update(s, W, dW, state, t, rate, worse):
        real = W.dtype.type
        (v,) = state
        v += real(1 - s["rho"]) * (dW * dW - v)
        decay(s, W, rate)
        W -= real(rate) * dW / (np.sqrt(v) + real(s["epsilon"]))


class Adagrad(GradientDescent):
    """Steps scaled by the root of all squared gradients so far: W -= learning_rate · dW / (√v + epsilon), v += dW².

    v starts at initial_accumulator_value. Source: Duchi, Hazan & Singer, JMLR 12, 2011. epsilon stands outside of the
    root, as in PyTorch. See `fastml.optimizers` for weight_decay, decay_all and clipping.
    """

    initial_accumulator_value = Constant(0)
    epsilon = Constant(0, open_low=True)

    op = "adagrad_update"
    bounds = ((0.0, math.inf),)
    powers = (2,)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        initial_accumulator_value: float = 0.0,
        epsilon: float = 1e-10,
        *,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        own = {"initial_accumulator_value": initial_accumulator_value, "epsilon": epsilon}
        self._set(learning_rate, weight_decay, decay_all, clipvalue, clipnorm, global_clipnorm, **own)

    @property
    def start(self):
        return (self.initial_accumulator_value,)

    @staticmethod
    def update(s, W, dW, state, t, rate, worse):
        real = W.dtype.type
        (v,) = state
        v += dW * dW
        decay(s, W, rate)
        W -= real(rate) * dW / (np.sqrt(v) + real(s["epsilon"]))


OPTIMIZERS = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "adamax": Adamax,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "rprop": Rprop,
}

UPDATES = {
    "sgd_update": SGD.update,
    "momentum_update": SGD.update,
    "nesterov_update": SGD.update,
    "adam_update": Adam.update,
    "adamax_update": Adamax.update,
    "rmsprop_update": RMSprop.update,
    "adagrad_update": Adagrad.update,
    "rprop_update": Rprop.update,
    "rprop_backtrack_update": Rprop.update,
}


def resolve_optimizer(optimizer):
    """An Optimizer from a name or from itself."""
    if type(optimizer) in OPTIMIZERS.values():
        return optimizer
    if isinstance(optimizer, GradientDescent) and type(optimizer).step is not GradientDescent.step:
        base = next((kind.__name__ for kind in OPTIMIZERS.values() if isinstance(optimizer, kind)), None)
        if base:
            what = f"optimizer {type(optimizer).__name__}: its method step would not be used"
            raise TypeError(f"{what}, as {base} has an update of its own: derive it from GradientDescent")
        optimizer.trace()
        return optimizer
    if isinstance(optimizer, Optimizer) and type(optimizer) not in (Optimizer, GradientDescent):
        raise TypeError(f"optimizer {optimizer!r} needs the base GradientDescent and a method step; see docs/custom")
    if isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer {optimizer!r} is none of {', '.join(cls.__name__ for cls in OPTIMIZERS.values())}")
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        raise TypeError(f"optimizer is the class {optimizer.__name__}: pass {optimizer.__name__}() or its name")
    return lookup(OPTIMIZERS, optimizer, "optimizer")()


__getattr__ = missing("fastml.optimizers", MISSING)
