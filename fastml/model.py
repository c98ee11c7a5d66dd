"""Building: how a model comes from the description of its layers to an engine with weights."""

from __future__ import annotations

import copy
import os
from threading import get_ident

import numpy as np

from fastml.attributes import positive_integer
from fastml.data.adapter import DataAdapter
from fastml.files import saving
from fastml.layers import method_of
from fastml.losses import name_of
from fastml.metrics import named, resolve_metric
from fastml.training.engine import Engine
from fastml.training.rest import Rest

TRIES = 100  # to use rows while other threads change what they were checked for


class BaseModel:
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
        names = []
        for layer in self.layers:
            if not layer._models:  # else it is a shallow copy, with the layers of the other model
                layer._join(self, names)
            names.append(layer.name)

    @property
    def _takes(self):
        """The dtype in which rows best come: double where something far from 0 is subtracted before they are cast."""
        return np.dtype(np.float64 if self._engine.shift is not None else self.dtype)

    def build(self, input_dim: int | tuple[None, int] | None = None) -> None:
        """Makes the start values of the weights, for data of this width, or of Keras's shape (None, width)."""
        if isinstance(input_dim, (tuple, list)) and len(input_dim) == 2:  # rows, which do not matter, and features
            input_dim = input_dim[1]
        if input_dim is not None:
            input_dim = positive_integer("input_dim", input_dim)
            if self.input_dim not in (None, input_dim):
                raise ValueError(f"input_dim is {self.input_dim} already, got {input_dim}")
        elif self.input_dim is None:
            raise ValueError("the width of the data is not known yet: give input_dim, or fit or predict first")
        self._build(input_dim or self.input_dim)

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

    def _check_idle(self, method):
        if self._rest.trainer == get_ident():
            raise RuntimeError(f"{method} cannot be called while fit runs, that is, by a callback")

    def _freeze(self):
        """Has training change the layers that are to be trained, and no others."""
        with self._rest.turn:
            if self._engine:
                self._engine.freeze([layer.trainable for layer in self.layers])

    def _check_layers(self):
        if not self.layers:
            raise ValueError("the model has no layers: add one, such as Dense(10)")

    def _build(self, input_dim, initialize=True):
        """Makes the engine, once the width of the data is known; its weights are 0 unless they are to have a start."""
        with self._rest.lock:
            if not self._engine:
                self._check_layers()
                self._check_widths(input_dim)
                compiled = self.optimizer, self.loss, self.metrics, self.executor
                aim = self._aim(input_dim, *compiled) if self.loss else None
                engine = Engine(self.layers, input_dim, self.dtype, self.seed, self._rest, initialize, aim)
                self._engine, self.input_dim = engine, input_dim

    def _check_widths(self, width):
        """ValueError where a layer was told another input_dim than it gets."""
        for layer in self.layers:
            if layer.input_dim not in (None, width):
                raise ValueError(f"input_dim of {layer!r} is {layer.input_dim}, but it gets {width} columns")
            width = layer.units_out(width)

    def _aim(self, width, optimizer, loss, metrics, executor):
        """What `compile` takes, as an engine for data of this width does."""
        units = DataAdapter(self.layers, loss, self.dtype, width).units(width)
        metrics = [resolve_metric(name, name_of(loss), loss, units) for name in metrics]
        return {"loss": loss, "metrics": metrics, "optimizer": optimizer, "executor": executor}

    def _adapter(self):
        self._check_layers()
        with self._rest.lock:  # as another thread may compile the model
            engine, loss, metrics = self._engine, self.loss, self.metrics
            adapter = engine and engine.adapter
            if not adapter or adapter.loss is not loss or adapter.metrics is not metrics:
                adapter = DataAdapter(self._built_layers(), loss, self.dtype, self.input_dim, metrics)
            if engine:
                if method_of(adapter.layers):  # its statistics change
                    return adapter.of_data(engine)
                engine.adapter = adapter = adapter.checked(self.input_dim) if loss else adapter
            return adapter

    def _named(self, means, outputs=None, y=None):
        """Loss and metrics by name: from means over rows, and from all outputs and targets where there are some."""
        return named(self.metrics, self._engine.aim["metrics"], means, outputs, y)

    def _logs(self, x, y, weights, adapter):
        """A dict from the names of loss and metrics to their values for rows that an DataAdapter has taken.

        None where another thread has compiled the model since, see `Engine.evaluate`.
        """
        found = self._engine.evaluate(x, y, weights, adapter.loss)
        return found and named(adapter.metrics, *found, y)

    def _logs_soon(self, x, y):
        """`_logs` for rows as the user gives them, or None where they need a closer look."""
        engine = self._engine
        found = engine.evaluate_soon(x, y) if engine and type(x) is np.ndarray and x.ndim else None
        with self._rest.lock:  # as another thread may compile the model
            return self._named(found[1]) if found and engine.aim is found[0] else None

    def _on_rows(self, method, rows, use):
        """What `use` gives for the rows, which the function `rows` takes from an DataAdapter, x first.

        Once more where another thread has meanwhile changed what is subtracted from the data at first, or the loss, for
        which `use` gives None.
        """
        for _ in range(TRIES):
            adapter = self._adapter()
            found = rows(adapter)
            self._build(found[0].shape[1])
            self._check_fitted(method)
            result = use(*found)
            if result is not None and self._engine.shift is adapter.shift:
                return result
        raise RuntimeError(f"{method}: the loss of the model is not the one that it was compiled for; call compile")

    def _check_compiled(self, method):
        if self.loss is None:
            raise RuntimeError(f"call compile(optimizer, loss) before {method}")
