"""JAX: many epochs are one compiled call, a lax.scan over their batches; the state is donated.

The permutations are drawn by NumPy within the time that is measured, as jax.random.permutation sorts and is slower.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bench.peers.nets import BINARY, CLASSES
from bench.peers.session import Session

STEPS_IN_A_CALL = 4096  # more for small nets would not show; less is taken where they last
CALL_MFLOP = 5000
ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}


def loss_of(net, weights, x, y):
    a = x
    for k in range(len(net.layers)):
        z = a @ weights[2 * k] + weights[2 * k + 1]
        a = ACTIVATIONS[net.hidden](z)
    if net.loss == CLASSES:
        return -(jax.nn.one_hot(y, net.widths[-1], dtype=z.dtype) * jax.nn.log_softmax(z)).sum(axis=1).mean()
    if net.loss == BINARY:
        return (jax.nn.softplus(z) - z * y).mean()
    return ((z - y) ** 2).mean()


def adam(weights, slopes, state):
    """Adam with epsilon behind the correction, as PyTorch and fastml have it."""
    t, first, second = state
    t = t + 1
    correction, correction_2 = 1 - 0.9**t, 1 - 0.999**t
    first = [m + 0.1 * (dW - m) for m, dW in zip(first, slopes, strict=True)]
    second = [v + 0.001 * (dW * dW - v) for v, dW in zip(second, slopes, strict=True)]
    moved = zip(weights, first, second, strict=True)
    weights = [W - 0.001 * (m / correction) / (jnp.sqrt(v / correction_2) + 1e-8) for W, m, v in moved]
    return weights, (t, first, second)


def rprop(weights, slopes, state):
    """iRprop-, with the constants of PyTorch."""
    t, steps, previous = state
    turned = [jnp.sign(dW) * jnp.sign(p) for dW, p in zip(slopes, previous, strict=True)]
    factors = [jnp.where(s > 0, 1.2, jnp.where(s < 0, 0.5, 1.0)).astype(s.dtype) for s in turned]
    steps = [jnp.clip(step * f, 1e-6, 50.0) for step, f in zip(steps, factors, strict=True)]
    slopes = [jnp.where(s < 0, 0.0, dW).astype(dW.dtype) for s, dW in zip(turned, slopes, strict=True)]
    weights = [W - jnp.sign(dW) * step for W, dW, step in zip(weights, slopes, steps, strict=True)]
    return weights, (t, steps, slopes)


def gradient(weights, slopes, state):
    """No update: the gradients are kept; weights that add 0 of them keep the loop from being computed once only.

    The 0 is t, an argument at run time, so that the compiler does not know it.
    """
    t, _, second = state
    return [W + t * dW for W, dW in zip(weights, slopes, strict=True)], (t, slopes, second)


class Scan(Session):
    @staticmethod
    def library(threads):
        return f"JAX {jax.__version__}"

    def __init__(self, net, x, y, start):
        jax.config.update("jax_enable_x64", net.dtype == "float64")
        super().__init__(net, x, y, start)
        self.x, self.y = jnp.asarray(x), jnp.asarray(y, np.int32 if net.loss == CLASSES else net.dtype)
        self.random = np.random.default_rng(1)
        calls = min(STEPS_IN_A_CALL, max(1.0, CALL_MFLOP / net.mflop))
        self.stride = max(1, math.floor(calls / net.steps))
        update = {"adam": adam, "rprop": rprop, "gradient": gradient}[net.optimizer]
        slopes_of = jax.grad(lambda weights, x, y: loss_of(net, weights, x, y))

        def run(carry, x, y, orders, steps):
            def step(carry, rows):
                weights, state = carry
                batch = (x, y) if net.full_batch else (take(x, rows), take(y, rows))
                return update(weights, slopes_of(weights, *batch), state), None

            return lax.scan(step, carry, orders, length=steps)[0]

        self.run = jax.jit(run, donate_argnums=0, static_argnums=4)
        self.restart()
        self.train(self.stride + 1)  # compiles both lengths
        self.restart()

    def restart(self):
        first = 0.01 if self.net.optimizer == "rprop" else 0.0
        slots = [[jnp.full_like(values, fill) for values in self.start] for fill in (first, 0.0)]
        self.carry = [jnp.array(values) for values in self.start], (jnp.zeros((), self.net.dtype), *slots)

    def train(self, epochs, shuffle=True):
        while epochs:
            count = self.stride if epochs >= self.stride else 1
            net, orders = self.net, None
            if not net.full_batch:
                draw = self.random.permutation if shuffle else np.arange
                orders = np.concatenate([draw(net.rows) for _ in range(count)])
                orders = orders.astype(np.int32).reshape(-1, net.batch)
            self.carry = self.run(self.carry, self.x, self.y, orders, count * net.steps)
            epochs -= count
        jax.block_until_ready(self.carry)

    def weights(self):
        weights, state = self.carry
        return [np.array(values) for values in (state[1] if self.net.optimizer == "gradient" else weights)]


def take(array, rows):
    """The rows of an array, without a check of the indices."""
    return array.at[rows].get(mode="promise_in_bounds")
