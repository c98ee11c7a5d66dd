"""Building: how a model comes from the description of its layers to an engine with weights."""

import copy
import os

from fastml import saving
from fastml.engine import Engine
from fastml.intake import Intake
from fastml.losses import name_of
from fastml.metrics import named, resolve_metric
from fastml.rest import Rest


class Buildable:
    """A model with layers, input_dim, dtype, seed, and from `compile` loss, metrics, optimizer and executor."""

    def __getstate__(self):
        """Of one moment, also while another thread trains the model: of a rest of its training."""
        with self._rest.visit():
            engine, optimizer = copy.copy(self._engine), copy.copy(self.optimizer)
            if engine and self.loss:
                engine.aim = {**engine.aim, "optimizer": optimizer}
            changing = {"optimizer": optimizer, "history": copy.deepcopy(self.history), "_engine": engine}
            return {**self.__dict__, **changing, "_rest": None}

    def __setstate__(self, state):
        self.__dict__.update(state, _rest=Rest())
        if self._engine:
            self._engine.rest = self._rest

    def save(self, path: str | os.PathLike, include_optimizer: bool = True) -> None:
        """Writes the model to a safetensors file, from which `fastml.load` makes it again.

        Layers, weights, dtype, seed and what `compile` was given are in it; with `include_optimizer` also the
        optimizer's state, from which training goes on with the same bits. An older file of the name is replaced at
        once, or kept if anything fails. Callbacks are not saved. Raises TypeError for a schedule or layer of a class
        that is not fastml's, OSError where the file cannot be written.
        """
        self._check_built("save")
        saving.save(self, path, include_optimizer)

    def _check_built(self, method):
        if not self._engine:
            if self.input_dim is None:
                raise RuntimeError(f"{method} needs weights: give input_dim, or call build(input_dim) or fit first")
            self._build(self.input_dim)

    def _check_fitted(self, method):
        if not self._engine.fitted:
            raise RuntimeError(
                f"{method} needs the statistics of Normalization, which fit takes from its rows: fit first"
            )

    def _built_layers(self):
        """The layers as the engine has copied them, once there is one."""
        return self._engine.layers if self._engine else self.layers

    def _check_layers(self):
        if not self.layers:
            raise ValueError("the model has no layers: add one, such as Dense(10)")

    def _build(self, input_dim, initialize=True):
        """Makes the engine, once the width of the data is known; its weights are 0 unless they are to have a start."""
        with self._rest.lock:
            if not self._engine:
                self._check_layers()
                engine = Engine(self.layers, input_dim, self.dtype, self.seed, self._rest, initialize)
                if self.loss:
                    self._aim(engine, self.optimizer, self.loss, self.metrics, self.executor)
                self._engine, self.input_dim = engine, input_dim

    def _aim(self, engine, optimizer, loss, metrics, executor):
        """Hands what `compile` takes to the engine."""
        metrics = [resolve_metric(name, name_of(loss), loss, engine.program.d_out) for name in metrics]
        engine.compile(loss, metrics, optimizer, executor)

    def _intake(self):
        self._check_layers()
        with self._rest.lock:  # as another thread may compile the model
            intake = Intake(self._built_layers(), self.loss, self.dtype, self.input_dim, self.metrics)
            return intake.of_data(self._engine) if self._engine else intake

    def _named(self, means, outputs=None, y=None):
        """Loss and metrics by name: from means over rows, and from all outputs and targets where there are some."""
        return named(self.metrics, self._engine.aim["metrics"], means, outputs, y)

    def _logs(self, x, y, weights, intake, prefix=""):
        """A dict from the names of loss and metrics, with a prefix, to their values for rows that an Intake has taken.

        None where another thread has compiled the model since, see `Engine.evaluate`.
        """
        found = self._engine.evaluate(x, y, weights, intake.loss)
        return found and {prefix + name: value for name, value in named(intake.metrics, *found, y).items()}
