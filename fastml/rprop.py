"""The optimizer that goes by the signs of the gradient alone."""

import math

import numpy as np

from fastml.attributes import Constant, Flag
from fastml.optimizer import Optimizer


class Rprop(Optimizer):
    """Resilient backpropagation: of the gradient only the signs count, and each weight has a step of its own.

    While the sign of a weight's slope stays, its step grows by the factor eta_plus; where it turns, the step shrinks by
    eta_minus and the weight rests once (iRprop-). With `backtrack`, where it turned and the loss grew, the last move is
    taken back as well (iRprop+). Steps start at initial_step (PyTorch's lr) and stay from step_min to step_max.

    For full batches, ``fit(…, batch_size=len(x))``: the sign of a slope on a sample of the rows is mostly noise, and a
    warning says so. Source: Riedmiller & Braun, 1993; Igel & Hüsken, "Improving the Rprop Learning Algorithm", 2000.
    """

    eta_minus = Constant(0, 1, open_low=True)
    eta_plus = Constant(1, open_low=True)
    initial_step = Constant(0, open_low=True)
    step_min = Constant(0)
    step_max = Constant(0, open_low=True)

    backtrack = Flag()

    full_batch = True

    def __init__(
        self,
        initial_step: float = 0.01,
        eta_minus: float = 0.5,
        eta_plus: float = 1.2,
        step_min: float = 1e-6,
        step_max: float = 50.0,
        backtrack: bool = False,
    ) -> None:
        self.initial_step = initial_step
        self.eta_minus = eta_minus
        self.eta_plus = eta_plus
        self.step_min = step_min
        self.step_max = step_max
        self.backtrack = backtrack
        self.check()

    def check(self):
        if not self.step_min <= self.initial_step <= self.step_max:
            bounds = f"step_min to step_max, {self.step_min} to {self.step_max}"
            raise ValueError(f"initial_step must be from {bounds}, got {self.initial_step}")

    @property
    def op(self):
        return "rprop_backtrack_update" if self.backtrack else "rprop_update"

    @property
    def powers(self):
        return (1, -1, -1)[: len(self.start)]

    @property
    def start(self):
        return (0.0, self.initial_step, 0.0) if self.backtrack else (0.0, self.initial_step)

    @property
    def bounds(self):
        steps = self.step_min, self.step_max
        return tuple(steps if k == 1 else (-math.inf, math.inf) for k in range(len(self.start)))

    def rates(self, t, count, first, total):
        return np.array([math.nan])  # nobody reads it

    @staticmethod
    def update(s, W, dW, state, t, rate, worse):
        real = W.dtype.type
        previous, step = state[:2]
        turned = np.sign(dW) * np.sign(previous)
        step[turned > 0] = np.minimum(step[turned > 0] * real(s["eta_plus"]), real(s["step_max"]))
        step[turned < 0] = np.maximum(step[turned < 0] * real(s["eta_minus"]), real(s["step_min"]))
        previous[:] = np.where(turned < 0, 0, dW)
        move = -np.sign(previous) * step
        if s["op"] == "rprop_backtrack_update":
            move = np.where(turned < 0, -state[2] if worse else 0, move)
            state[2][:] = move
        W += move
