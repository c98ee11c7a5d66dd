"""Adam, with decoupled weight decay AdamW, and with the largest gradient Adamax."""

import math

import numpy as np

from fastml.attributes import Constant
from fastml.optimizer import GradientDescent, decay
from fastml.schedules import Schedule


class Adam(GradientDescent):
    """Steps scaled by running moments of the gradient: W -= learning_rate · m̂ / (√v̂ + epsilon).

    m and v are running means of dW and dW² with decays beta_1 and beta_2; the hats correct their start from zero.
    epsilon is added after that correction, as in the paper's algorithm 1 and PyTorch; Keras adds it before.
    Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015. See `fastml.optimizers` for
    weight_decay, decay_all and clipping.
    """

    beta_1 = Constant(0, 1)
    beta_2 = Constant(0, 1)
    epsilon = Constant(0, open_low=True)

    op = "adam_update"
    start = (0.0, 0.0)
    bounds = ((-math.inf, math.inf), (0.0, math.inf))
    powers = (1, 2)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        self._set(learning_rate, weight_decay, decay_all, clipvalue, clipnorm, global_clipnorm, **own)

    @staticmethod
    def update(s, W, dW, state, t, rate, worse):
        real = W.dtype.type
        m, v = state
        m += real(1 - s["beta_1"]) * (dW - m)
        v += real(1 - s["beta_2"]) * (dW * dW - v)
        m_hat = m / real(1 - s["beta_1"] ** t)
        v_hat = v / real(1 - s["beta_2"] ** t)
        decay(s, W, rate)
        W -= real(rate) * m_hat / (np.sqrt(v_hat) + real(s["epsilon"]))


class AdamW(Adam):
    """Adam with decoupled weight decay, 0.01 if not given (Loshchilov & Hutter, ICLR 2019), of weights only.

    PyTorch's AdamW decays biases as well: that is decay_all=True.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        weight_decay: float = 0.01,
        decay_all: bool = False,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        self._set(learning_rate, weight_decay, decay_all, clipvalue, clipnorm, global_clipnorm, **own)


class Adamax(GradientDescent):
    """Adam with the largest gradient of late in place of the root of a mean: W -= learning_rate · m̂ / u.

    m = beta_1 · m + (1 - beta_1) · dW, whose start from zero m̂ = m / (1 - beta_1ᵗ) corrects, and
    u = max(beta_2 · u, |dW| + epsilon): epsilon stands where PyTorch has it, Keras adds it to u. Source: Kingma & Ba,
    "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 2. See `fastml.optimizers` for weight_decay,
    decay_all and clipping.
    """

    beta_1 = Constant(0, 1)
    beta_2 = Constant(0, 1)
    epsilon = Constant(0, open_low=True)

    op = "adamax_update"
    start = (0.0, 0.0)
    bounds = ((-math.inf, math.inf), (0.0, math.inf))
    powers = (1, 1)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        self._set(learning_rate, weight_decay, decay_all, clipvalue, clipnorm, global_clipnorm, **own)

    @staticmethod
    def update(s, W, dW, state, t, rate, worse):
        real = W.dtype.type
        m, u = state
        m += real(1 - s["beta_1"]) * (dW - m)
        np.maximum(real(s["beta_2"]) * u, np.abs(dW) + real(s["epsilon"]), out=u)
        decay(s, W, rate)
        W -= real(rate / (1 - s["beta_1"] ** t)) * m / u
