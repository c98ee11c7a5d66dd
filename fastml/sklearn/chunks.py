"""What `partial_fit` takes from its rows before it trains on them: the statistics of all rows so far.

They change with every call, and the weights beside them with them, so that learning goes on from the same function:
see `fastml.training.carrying`.
"""

import numpy as np

from fastml.data.running import ROWS, Running, around
from fastml.process.signals import hold_interrupts
from fastml.sklearn.growth import begin_table, grow, standardized
from fastml.sklearn.wide import running_of
from fastml.training.carrying import carry_inputs, carry_outputs


def begin(method, x, weights, dtype, whole):
    """The Running of the first rows. If they are the `whole` of what a network learns from, it is trusted.

    Then it keeps none of these rows: their median and quartiles stand for them beside later ones.
    """
    running = running_of(method, False if whole else None, x, weights, dtype)
    if whole:
        running.varied = np.where(running.constant, 0, np.maximum(running.varied, ROWS))
        if method == "robust":
            running.assume(running.centre, running.spread / 2)
    return running


def spread_of(running):
    """What targets are divided by: their standard deviation, or 1 where it is 0."""
    return np.where(running.spread > 0, running.spread, 1.0)


class Step:
    """The statistics of an estimator before and after more rows; `take` fits its network to the latter.

    Those of x are of the rows that are `complete`, without gaps.
    """

    def __init__(self, estimator, before, x, y, weights, complete=slice(None)):
        self.estimator, self.model, self.saved = estimator, estimator.model_, None
        self.encoder, self.inputs, self.targets = (before[name] for name in ("encoder_", "_inputs", "_targets"))
        if self.inputs is not None and self.encoder is None:
            estimator._inputs = self.inputs.with_rows(
                x[complete], None if weights is None else weights[complete], self.model.dtype
            )
        if self.targets is not None:
            estimator._take_target_statistics(self.targets.with_rows(as_columns(y), weights))

    def take(self):
        """Changes the network."""
        model, engine = self.model, self.model._engine
        numbers = engine.buffers.params.copy(), engine.buffers.state.copy(), engine.shift
        self.saved = (engine, model.input_dim, model.layers), engine.updates, numbers
        with hold_interrupts(), model._rest.visit():
            engine.own()
            if self.encoder is None:
                self._take_inputs()
            else:
                self._take_table()
            self._take_targets()

    def undo(self):
        """Takes the network back to where it was, unless it has been trained since; returns whether it is there."""
        if self.saved is None:  # `take` has not come to change it
            return True
        model, ((engine, *rest), updates, numbers) = self.model, self.saved
        if model._engine.updates != updates:
            return False
        with model._rest.visit():
            model._engine, model.input_dim, model.layers = engine, *rest
            engine.own()
            engine.buffers.params[:], engine.buffers.state[:], engine.shift = numbers
            engine.inference = None
        return True

    def _take_inputs(self):
        old, new, engine = self.inputs, self.estimator._inputs, self.model._engine
        if new is old:
            return
        known = {name: values.copy() for name, values in engine.statistics().items()}
        engine.adapt(new.statistics(engine.dtype))
        if learned(old):
            found = engine.statistics() | {"reach": new.reach(engine.dtype)}
            carry_inputs(engine, np.arange(engine.d_in), known, found, old.trusted)

    def _take_table(self):
        old, new = (self.encoder, self.inputs), (self.estimator.encoder_, self.estimator._inputs)
        if new[0]._width != old[0]._width:
            grow(self.model, old[0], new[0])
        (_, known), (places, found) = standardized(*old), standardized(*new)
        runnings = [running for running in old[1] if running is not None]
        if any(learned(running) for running in runnings):
            carry_inputs(self.model._engine, places, known, found, np.array([r.trusted[0] for r in runnings]))

    def _take_targets(self):
        old, new = self.targets, self.estimator._targets
        if new is not old and learned(old):
            known, found = ({"mean": r.mean, "spread": spread_of(r)} for r in (old, new))
            carry_outputs(self.model._engine, known, found, old.trusted)


def learned(running):
    """Whether a network has seen enough rows for what it computes to be worth keeping."""
    return running.rows >= ROWS or running.trusted.any()


def as_columns(y):
    """Targets (rows,) or (rows, outputs) as float64 (rows, outputs)."""
    y = np.asarray(y, np.float64)
    return y.reshape(len(y), -1)


def assumed_of(estimator):
    """The Running of inputs and targets of an estimator from a file that has none."""
    rows = max(ROWS, estimator.t_ // max(1, estimator.n_iter_))
    known, targets = estimator.model_._engine.statistics(), None
    if getattr(estimator, "_target_mean", None) is not None:
        mean, spread = (np.reshape(values, -1) for values in (estimator._target_mean, estimator._target_spread))
        targets = assumed("standard", mean, spread, rows)
        estimator._take_target_statistics(targets)
    if estimator.encoder_ is not None:
        return {"_inputs": begin_table(estimator.encoder_, rows, True), "_targets": targets}
    if known is None:
        return {"_inputs": None, "_targets": targets}
    scale = known["scale"].astype(np.float64)
    spread = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    return {"_inputs": assumed(estimator.normalization, known["mean"], spread, rows), "_targets": targets}


def assumed(method, mean, spread, rows):
    """The Running that a file of an older version may have meant: so many rows with this centre and spread."""
    low, high = around(mean, spread)
    low = mean if method == "minmax" else low
    running = Running(method, rows=rows, weight=float(rows), low=low, high=high, centre=mean, spread=spread)
    running.varied = np.where(running.constant, 0, max(rows, ROWS))
    if running.quantiles:
        running.assume(mean, spread / 2)
    return running
