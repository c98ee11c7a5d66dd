"""Checkpoints: files of models in training, from which an interrupted one goes on with the same bits."""

import glob
import os
import re
import warnings
from pathlib import Path

import numpy as np

from fastml.callback import call
from fastml.files import saving
from fastml.files.checks import count
from fastml.files.description import describe
from fastml.files.saving import ModelFileError
from fastml.files.writers import ModelCheckpoint
from fastml.metrics import columns_of
from fastml.process.signals import hold_interrupts
from fastml.program.plan import batches
from fastml.program.random import permutation
from fastml.schedules import Schedule
from fastml.training.state import CALLBACK, decoded, fingerprint


class TrainingState:
    """A training that is to be resumed: a model as it was then, and how far it had come."""

    def __init__(self, path, sequential, custom=None):
        text, tensors = saving.read(path)
        self.path, (self.model, description) = path, saving.made(path, text, tensors, sequential, custom=custom)
        self.described = description.get("resume") if isinstance(self.model, sequential) else None
        if self.described is None:
            return
        try:
            self.take(self.described, {name: array for name, array in tensors.items() if name.startswith(CALLBACK)})
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            told = saving.shortened(repr(error))
            raise ModelFileError(f"{path} does not describe a training that can be resumed: {told}") from error

    def take(self, described, tensors):
        names = ("step", "steps_per_epoch", "epochs", "first", "began")
        self.step, self.steps_per_epoch, self.epochs, self.first, self.began = (count(described, n) for n in names)
        self.arguments = {name: described[name] for name in ("batch_size", "shuffle")}
        self.history = {name: [number(v) for v in values] for name, values in dict(described["history"]).items()}
        self.totals = np.array(described["totals"], np.float64)
        self.initial = count(described, "initial_epoch") if "initial_epoch" in described else 0
        self.stopped, self.data = described["stopped"] is True, described["data"]
        self.callbacks = [(entry["class"], decoded(entry["state"], tensors)) for entry in described["callbacks"]]
        if not all(isinstance(kind, str) for kind, _ in self.callbacks):
            raise TypeError("a callback's class is no text")
        done, batch = divmod(self.step, self.steps_per_epoch)
        lengths = set(map(len, self.history.values()))  # shorter where only some epochs were validated
        if self.step > self.epochs * self.steps_per_epoch or max(lengths, default=done) != done:
            raise ValueError(f"step {self.step} and a history of {lengths} epochs")
        if batch and self.totals.shape != (columns := columns_of(self.model._engine.aim["metrics"]),):
            raise ValueError(f"totals of shape {self.totals.shape} for {columns} columns")

    @property
    def done(self):
        """Epochs that the training had completed."""
        return self.step // self.steps_per_epoch

    def check(self, model, callbacks, epochs, initial, rows, batch_size, shuffle):
        """ValueError where this is no state of such a training, on these rows: x, y, weights; nothing is changed."""
        steps, _ = batches(len(rows[0]), batch_size, all(layer.alone for layer in self.model._built_layers()))
        arguments = {"batch_size": batch_size, "shuffle": shuffle}
        differing = [f"{name}={self.arguments[name]}, got {value}" for name, value in arguments.items()
                     if self.arguments[name] != value]  # fmt: skip
        if initial != self.initial:
            differing.append(f"initial_epoch={self.initial}, got {initial}")
        rate = rate_of(model)
        if epochs != self.epochs and isinstance(rate, Schedule) and rate.steps is None:
            differing.append(f"epochs={self.epochs}, over which {rate!r} goes, got {epochs}")
        if self.step > epochs * self.steps_per_epoch:
            differing.append(f"{self.step / self.steps_per_epoch:.3g} epochs, got epochs={epochs}")
        for name in ("dtype", "input_dim", "metrics", "executor"):
            if getattr(self.model, name) != getattr(model, name) and (name, model.input_dim) != ("input_dim", None):
                differing.append(f"{name}={getattr(self.model, name)!r}, got {getattr(model, name)!r}")
        parts = {
            "layers": lambda m: [describe(layer) for layer in m._built_layers()],
            "loss": lambda m: describe(m.loss),
            "optimizer": lambda m: (type(m.optimizer), len(m.optimizer.start)),
            "learning_rate": lambda m: describe(rate_of(m)) if isinstance(rate_of(m), Schedule) else None,
        }
        differing += [f"other {name}" for name, part in parts.items() if part(self.model) != part(model)]
        kinds = [kind for kind, _ in self.callbacks]
        if kinds != (found := [type(callback).__name__ for callback in callbacks]):
            differing.append(f"the callbacks {', '.join(kinds) or 'none'}, got {', '.join(found) or 'none'}")
        if fingerprint(*rows) != self.data or steps != self.steps_per_epoch:
            differing.append("other x, y or weights of rows")
        if differing:
            told = saving.shortened("; ".join(differing))
            raise ValueError(f"{self.path} cannot be resumed here: it is of a training with {told}")

    def enter_model(self, model):
        """Gives a built model the weights, the optimizer's state, the counters and the history."""
        engine, twin = model._engine, self.model._engine
        with hold_interrupts(), model._rest.visit():
            engine.own()
            engine.buffers.params[:], engine.buffers.state[:] = twin.buffers.params, twin.buffers.state
            engine.updates, engine.loss, engine.fitted, engine.shift = twin.updates, twin.loss, twin.fitted, twin.shift
            engine.inference = engine.stepper = engine.backward = None  # whose jobs have another seed
            engine.epochs, engine.seed, model.seed = self.began, twin.seed, self.model.seed
            vars(model.optimizer).update(vars(self.model.optimizer))  # which a callback may have changed
            model.history.epoch = list(range(self.initial, self.initial + self.done))
            model.history.history = self.history
            model.stop_training = self.stopped

    def enter_run(self, run):
        """Takes a training to where it was."""
        run.jobs["step"], run.data.fingerprint = self.step, self.data
        epoch, batch = divmod(self.step, self.steps_per_epoch)
        if batch:
            run.data.totals[epoch] = self.totals
            if run.data.order.size:
                run.data.order[:] = permutation(run.jobs["seed"][0], self.began + epoch, run.data.rows)

    def enter_callbacks(self, callbacks):
        """Gives the callbacks back what they had to remember."""
        for callback, (_, state) in zip(callbacks, self.callbacks, strict=True):
            if hasattr(callback, "load_state_dict"):
                try:
                    callback.load_state_dict(state)
                except (AttributeError, LookupError, TypeError, ValueError) as error:
                    told = saving.shortened(repr(error))
                    what = f"{type(callback).__name__} cannot go on from what it remembered: {told}"
                    raise ModelFileError(f"{self.path}: {what}") from error
            else:
                call([callback], "on_train_begin", {})


def number(value):
    """A float of a history."""
    found = decoded(value, {})
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise TypeError(f"the history holds {found!r}")
    return float(found)


def rate_of(model):
    return getattr(model.optimizer, "learning_rate", None)


def find(resume, callbacks, sequential, custom):
    """The TrainingState that `fit` is to resume, or None where it is to begin.

    `resume` is the path of a file, a folder, or a pattern as that of ModelCheckpoint; of several files it is the newest
    that can be read. True stands for those of the ModelCheckpoint among the callbacks, which need not be there yet.
    `custom` has the functions and classes of the user's own, by name.
    """
    if not resume:
        return None
    if resume is not True and os.path.isfile(resume):
        state = TrainingState(os.fspath(resume), sequential, custom)
        if state.described is None:
            raise ValueError(f"{resume} holds a model, but no training that could be resumed: fit without resume")
        return state
    failed = None
    for path in candidates(resume, callbacks):
        try:
            state = TrainingState(path, sequential, custom)
        except (ModelFileError, OSError) as error:
            warnings.warn(f"a checkpoint that cannot be read is skipped: {error}", RuntimeWarning, stacklevel=7)
            failed = error
            continue
        if state.described is not None:
            return state
    if failed:  # to begin anew would replace what may still be of use
        raise ModelFileError(f"resume: there is no checkpoint that can be read; remove what is damaged: {failed}")
    if resume is True:
        return None
    raise FileNotFoundError(f"resume: there is no checkpoint at {os.fspath(resume)}")


def candidates(resume, callbacks):
    """Paths of files that may hold a training to resume, the newest first."""
    patterns = [resume]
    if resume is True:
        patterns = [c.filepath for c in callbacks if isinstance(c, ModelCheckpoint) and c.resumable]
        if not patterns:
            raise ValueError("resume=True needs a ModelCheckpoint that saves each epoch among the callbacks")
    paths = []
    for pattern in map(os.fspath, patterns):
        if os.path.isdir(pattern):
            paths += map(str, Path(pattern).glob("*.safetensors"))
        else:  # a file, or names of logs in braces
            parts = re.split(r"\{[^}]*\}", pattern)
            paths += glob.glob("*".join(map(glob.escape, parts)))
    return sorted(paths, key=lambda path: (os.stat(path).st_mtime_ns, path), reverse=True)
