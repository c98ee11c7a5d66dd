"""Optimizers: hyper-parameters, how many state arrays each keeps, and the update in NumPy."""

import math

import numpy as np

from fastml.kernels import instruction
from fastml.registry import lookup


class Constant:
    """A hyper-parameter: a float from `low`, or above it if `open_low`, to below `high`. Checked whenever it is set."""

    def __init__(self, low, high=math.inf, open_low=False):
        self.low, self.high, self.open_low = low, high, open_low

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, optimizer, owner):
        return self if optimizer is None else optimizer.__dict__[self.name]

    def __set__(self, optimizer, value):
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"{self.name} must be a number, got {type(value).__name__}")
        if not self.low <= value < self.high or (self.open_low and value == self.low):
            bracket = "(" if self.open_low else "["
            raise ValueError(f"{self.name} must be in {bracket}{self.low}, {self.high}), got {value}")
        optimizer.__dict__[self.name] = float(value)


class Optimizer:
    """How gradients change parameters. Its constants may be set at any time, also while `fit` runs."""

    op = 0  # the instruction that carries the update out
    slots = 0  # state arrays, each as long as the parameters

    learning_rate = Constant(0)

    def constants(self):
        """The hyper-parameters as fields of the update instruction."""
        return dict(self.__dict__)

    @staticmethod
    def update(s, W, dW, state, t):
        """The update in NumPy: instruction s, parameters W (changed in place), gradients dW, state (slots, size)."""
        raise NotImplementedError

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v:g}' for k, v in self.constants().items())})"


class SGD(Optimizer):
    """Gradient descent, stochastic where the batch is a sample: W -= learning_rate · dW."""

    op = instruction.SGD_UPDATE

    def __init__(self, learning_rate: float = 0.01) -> None:
        self.learning_rate = learning_rate

    @staticmethod
    def update(s, W, dW, state, t):
        W -= W.dtype.type(s["learning_rate"]) * dW


class Adam(Optimizer):
    """Steps scaled by running moments of the gradient: W -= learning_rate · m̂ / (√v̂ + epsilon).

    m and v are running means of dW and dW² with decays beta_1 and beta_2; the hats correct their start from zero.
    epsilon is added after that correction, as in the paper's algorithm 1 and PyTorch; Keras adds it before.
    Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
    """

    op = instruction.ADAM_UPDATE
    slots = 2

    beta_1 = Constant(0, 1)
    beta_2 = Constant(0, 1)
    epsilon = Constant(0, open_low=True)

    def __init__(
        self, learning_rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    @staticmethod
    def update(s, W, dW, state, t):
        real = W.dtype.type
        m, v = state
        m += real(1 - s["beta_1"]) * (dW - m)
        v += real(1 - s["beta_2"]) * (dW * dW - v)
        m_hat = m / real(1 - s["beta_1"] ** t)
        v_hat = v / real(1 - s["beta_2"] ** t)
        W -= real(s["learning_rate"]) * m_hat / (np.sqrt(v_hat) + real(s["epsilon"]))


OPTIMIZERS = {"sgd": SGD, "adam": Adam}


def resolve_optimizer(optimizer):
    """An Optimizer from a name or from itself."""
    if isinstance(optimizer, tuple(OPTIMIZERS.values())):
        return optimizer
    if isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer {optimizer!r} is none of {', '.join(cls.__name__ for cls in OPTIMIZERS.values())}")
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        raise TypeError(f"optimizer is the class {optimizer.__name__}: pass {optimizer.__name__}() or its name")
    return lookup(OPTIMIZERS, optimizer, "optimizer")()
