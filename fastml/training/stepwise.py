"""Training, testing and predicting batch by batch, by Keras's names."""

from __future__ import annotations

from numpy.typing import ArrayLike, NDArray

from fastml.layers import method_of
from fastml.schedules import Schedule
from fastml.telling import told


class Stepwise:
    """The part of `Sequential` that takes single batches."""

    @told
    def train_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | dict[str, float]:
        """One step on these rows, all at once; returns loss and metrics as `evaluate` does, from before the update.

        `fit` is faster, as it runs many steps without Python in between. Dropout draws anew in each call. Raises as
        `fit` does; ValueError where the optimizer's schedule goes over the steps of a fit, or Normalization has no
        statistics yet.
        """
        self._check_compiled("train_on_batch")
        rate = getattr(self.optimizer, "learning_rate", None)
        if isinstance(rate, Schedule) and rate.steps is None:
            raise ValueError(f"{rate!r} goes over the steps of a fit: give it steps for train_on_batch")
        if method_of(self.layers) and not (self._engine and self._engine.fitted):
            raise ValueError("Normalization takes its statistics from all rows: fit first, then train on batches")
        with self._rest.turn:
            self._check_idle("train_on_batch")
            usual = self._engine and sample_weight is None and class_weight is None
            means = self._engine.step_soon(x, y) if usual else None
            if means:
                logs = self._named(means)
            else:
                args = x, y, sample_weight, class_weight
                logs = self._step(*args) or self._fit_once(*args)
        if return_dict:
            return logs
        return list(logs.values()) if len(logs) > 1 else logs["loss"]

    def _step(self, x, y, sample_weight, class_weight):
        """Logs of a step of the engine, or None where it needs a training's set-up."""
        engine = self._engine
        if not engine or method_of(self.layers):  # whose statistics may have to be taken anew
            return None
        adapter = self._adapter()
        found = adapter.weighted(*adapter.rows(x, y, sample_weight), class_weight)
        adapter.check_batches(len(found[0]), len(found[0]), self.optimizer)
        means = engine.step(*found)
        return means and self._named(means)

    def _fit_once(self, x, y, sample_weight, class_weight):
        """Logs of a training of one epoch, without a trace in the history."""
        before = self.history
        try:
            rows = {"batch_size": max(1, len(x)) if hasattr(x, "__len__") else 1, "shuffle": False, "verbose": 0}
            history = self.fit(x, y, **rows, sample_weight=sample_weight, class_weight=class_weight).history
        finally:
            self.history = before
        return {name: values[0] for name, values in history.items()}

    @told
    def test_on_batch(
        self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, return_dict: bool = False
    ) -> float | list[float] | dict[str, float]:
        """`evaluate` of these rows."""
        return self.evaluate(x, y, sample_weight=sample_weight, return_dict=return_dict)

    def gradients(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        out: list | None = None,
    ) -> tuple:
        """The loss over all rows at once and its gradients: a float and arrays shaped like those of `get_weights`.

        Loss and gradients are those of training: penalties count, dropout layers drop (always the same units), batch
        normalization takes the statistics of these rows. Statistics, which are not trained, have the gradient 0.
        `out`, a list of arrays such as the last call returned, is overwritten and returned if given.
        """
        self._check_compiled("gradients")
        found = self._engine.gradients_soon(x, y, out) if self._engine and sample_weight is None else None
        if found:
            return found

        def rows(adapter):
            found = adapter.weighted(*adapter.rows(x, y, sample_weight))
            adapter.check_batches(len(found[0]), len(found[0]), self.optimizer)
            return *found, adapter.loss

        return self._on_rows("gradients", rows, lambda *rows: self._engine.gradients(*rows, out))

    def predict_on_batch(self, x: ArrayLike) -> NDArray:
        """`predict` of these rows."""
        return self.predict(x)

    def __call__(self, x: ArrayLike, training: bool = False) -> NDArray:
        """`predict` of these rows, an array; ValueError for training=True, as only `fit` trains."""
        if training:
            raise ValueError("training=True: only fit and train_on_batch train; model(x) predicts")
        return self.predict(x)
