"""What `partial_fit` takes from its rows before it trains on them: the statistics of all rows so far.

They change with every call, and the weights beside them with them, so that learning goes on from the same function:
see `fastml.carrying`.
"""

import numpy as np

from fastml.carrying import carry_inputs, carry_outputs
from fastml.interrupts import hold_interrupts
from fastml.running import ROWS, Running


def begin(method, x, weights, dtype, whole):
    """The Running of the first rows; if they are the `whole` of what a network learns from, it is trusted."""
    running = Running(method).with_rows(x, weights, dtype)
    if whole and running.rows:
        running.varied = np.where(running.constant, 0, np.maximum(running.varied, ROWS))
    return running


def spread_of(running):
    """What targets are divided by: their standard deviation, or 1 where it is 0."""
    return np.where(running.spread > 0, running.spread, 1.0)


class Step:
    """The statistics of an estimator before and after more rows; `take` fits its network to the latter."""

    def __init__(self, estimator, x, y, weights):
        self.estimator, self.engine = estimator, estimator.model_._engine
        self.inputs, self.targets = estimator._inputs, estimator._targets
        if self.inputs is not None:
            estimator._inputs = self.inputs.with_rows(x, weights, self.engine.dtype)
        if self.targets is not None:
            estimator._take_target_statistics(self.targets.with_rows(as_columns(y), weights))

    def take(self):
        """Changes the network, or, where this is interrupted or fails, nothing."""
        buffers, engine = self.engine.buffers, self.engine
        self.before = buffers.params.copy(), buffers.state.copy(), engine.shift, engine.updates
        with hold_interrupts():
            self._take_inputs()
            self._take_targets()

    def undo(self):
        """Takes the network back to where it was, unless it has been trained since; returns whether."""
        params, state, shift, updates = self.before
        if self.engine.updates != updates:
            return False
        self.engine.buffers.params[:], self.engine.buffers.state[:] = params, state
        self.engine.shift, self.engine.predictor = shift, None
        return True

    def _take_inputs(self):
        old, new = self.inputs, self.estimator._inputs
        if new is old:
            return
        engine = self.engine
        known = {name: values.copy() for name, values in engine.statistics().items()}
        engine.adapt(new.statistics(engine.dtype))
        if learned(old):
            found = engine.statistics() | {"reach": new.reach(engine.dtype)}
            carry_inputs(engine, np.arange(engine.d_in), known, found, old.trusted)

    def _take_targets(self):
        old, new = self.targets, self.estimator._targets
        if new is not old and learned(old):
            known, found = ({"mean": r.mean, "spread": spread_of(r)} for r in (old, new))
            carry_outputs(self.engine, known, found, old.trusted)


def learned(running):
    """Whether a network has seen enough rows for what it computes to be worth keeping."""
    return running.rows >= ROWS or running.trusted.any()


def as_columns(y):
    """Targets (rows,) or (rows, outputs) as float64 (rows, outputs)."""
    y = np.asarray(y, np.float64)
    return y.reshape(len(y), -1)


def assumed(method, mean, spread, rows):
    """The Running that a file of an older version may have meant: so many rows with this centre and spread."""
    low, high = (mean if method == "minmax" else mean - spread), mean + spread
    running = Running(method, rows=rows, weight=float(rows), low=low, high=high, centre=mean, spread=spread)
    running.varied = np.where(running.constant, 0, max(rows, ROWS))
    if running.quantiles:
        running.sample = np.stack([mean - spread / 2, mean, mean + spread / 2])
        running.weights, running.keys = np.full(3, rows / 3), np.zeros(3)
    return running
