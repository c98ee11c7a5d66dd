"""Optimizers: hyper-parameters, how many state arrays each keeps, and the update in NumPy."""

import math

import numpy as np

from fastml.kernels import instruction
from fastml.registry import lookup


def number(name, value, low, high=math.inf, open_low=False):
    """The value as a float within [low, high), or (low, high); ValueError or TypeError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not low <= value < high or (open_low and value == low):
        raise ValueError(f"{name} must be in {'(' if open_low else '['}{low}, {high}), got {value}")
    return float(value)


class Optimizer:
    """How gradients change parameters. `learning_rate` may be changed at any time, also while `fit` runs."""

    op = 0  # the instruction that carries the update out
    slots = 0  # state arrays, each as long as the parameters

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate

    @property
    def learning_rate(self):
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self._learning_rate = number("learning_rate", value, 0)

    def constants(self):
        """The hyper-parameters as fields of the update instruction."""
        return {"learning_rate": self.learning_rate}

    @staticmethod
    def update(s, W, dW, state, t):
        """The update in NumPy: instruction s, parameters W (changed in place), gradients dW, state (slots, size)."""
        raise NotImplementedError

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v:g}' for k, v in self.constants().items())})"


class SGD(Optimizer):
    """Gradient descent, stochastic where the batch is a sample: W -= learning_rate · dW."""

    op = instruction.SGD_UPDATE

    def __init__(self, learning_rate=0.01):
        super().__init__(learning_rate)

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

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        super().__init__(learning_rate)
        self.beta_1 = number("beta_1", beta_1, 0, 1)
        self.beta_2 = number("beta_2", beta_2, 0, 1)
        self.epsilon = number("epsilon", epsilon, 0)

    def constants(self):
        return {**super().constants(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

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
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        raise TypeError(f"optimizer is the class {optimizer.__name__}: pass {optimizer.__name__}() or its name")
    return lookup(OPTIMIZERS, optimizer, "optimizer")()
