"""Callbacks: what happens between epochs."""

import math
import operator
from collections.abc import Callable
from typing import NamedTuple

from fastml.constants import Constant, Flag, Whole
from fastml.data import as_list
from fastml.metrics import more_is_better
from fastml.schedules import Schedule
from fastml.set_metrics import SET_METRICS


class Limit(NamedTuple):
    """Where training ends by its loss alone: after `patience` epochs whose loss, times `scale`, made no progress.

    Progress is to be at least `tolerance` below the `best` before; `waited` epochs had none. patience 0 is no limit.
    """

    patience: int
    waited: int = 0
    best: float = math.inf
    tolerance: float = 0.0
    scale: float = 1.0


class Callback:
    """Called while `fit` runs. Any object with some of these methods will do; this class only lists them.

    `fit` gives the model first. A callback may set ``model.stop_training = True`` to end the training after the epoch.
    Where the only one has a Limit as its `limit`, epochs pass until that is reached: it is told of them one after the
    other, when the weights are those of the last. It costs less than to stop after each.
    """

    limit = None

    def set_model(self, model):
        self.model = model

    def on_train_begin(self, logs: dict) -> None:
        """Before the first epoch; `logs` is an empty dict."""

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        """After each epoch, counted from 0; `logs` maps loss, metrics and their val_ twins to floats."""

    def on_chunk_end(self) -> None:
        """Some twenty times a second, between two steps, after all callbacks have seen the epochs that have ended."""

    def on_exception(self, exception: BaseException) -> None:
        """Where an error or Ctrl-C ends the training between two steps; the model has the weights of the last one.

        Not where it comes while an epoch is validated or told to callbacks, nor in a divergence.
        """

    def on_train_end(self, logs: dict) -> None:
        """After the last epoch, with its logs; not called when an error or Ctrl-C ends the training."""

    def state_dict(self) -> dict:
        """What this callback has to remember where a training is resumed: numbers, texts, arrays, lists and dicts."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Takes back what `state_dict` gave, in place of `on_train_begin`, where a training is resumed."""
        self.on_train_begin({})


class History(Callback):
    """What `fit` returns: ``history`` maps each name to its values, one an epoch; ``epoch`` counts them."""

    def __init__(self):
        self.epoch = []
        self.history = {}

    def on_epoch_end(self, epoch, logs):
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def plot(self, name: str = "loss", **options):
        """Draws the loss, or the metric `name`, by epoch; see `fastml.plots.loss_curves` for options and result."""
        from fastml.plots import loss_curves

        return loss_curves(self, name, **options)

    def __repr__(self):
        if not self.epoch:
            return "History(no epochs)"
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items())
        return f"History({len(self.epoch)} epochs, last: {last})"


class Monitor(Callback):
    """Watches one of the logs: whether it has become better than ever, by more than min_delta."""

    min_delta = Constant(0)
    patience = Whole(0)
    remembered = {"best": (float, int), "wait": int}  # attributes that a resumed training needs, and their types

    def __init__(self, monitor, min_delta, patience, mode):
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a loss or metric, got {monitor!r}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        self.monitor, self.min_delta, self.patience = monitor, min_delta, patience
        self.mode = ("max" if more_is_better(monitor) else "min") if mode == "auto" else mode

    def on_train_begin(self, logs):
        """Forgets what an earlier training had as its best."""
        self.best = math.inf if self.mode == "min" else -math.inf
        self.wait = 0

    def state_dict(self):
        return {name: getattr(self, name) for name in self.remembered}

    def load_state_dict(self, state):
        self.on_train_begin({})
        for name, types in self.remembered.items():
            if name in state:
                if not isinstance(state[name], types):
                    raise TypeError(f"{name} is {state[name]!r}")
                setattr(self, name, state[name])

    def improved(self, logs):
        """Whether this epoch's value is the best so far; ValueError where nobody logs it."""
        if self.monitor not in logs:
            hint = "; give fit validation_data or validation_split" if self.monitor.startswith("val_") else ""
            if self.monitor in SET_METRICS:
                hint = f"; {self.monitor} is of validation rows alone: watch 'val_{self.monitor}'"
            raise ValueError(f"{type(self).__name__} watches '{self.monitor}', but there are: {', '.join(logs)}{hint}")
        value = logs[self.monitor]
        better = operator.lt if self.mode == "min" else operator.gt
        margin = self.min_delta if self.mode == "min" else -self.min_delta
        if not better(value + margin, self.best):  # a NaN is never better
            return False
        self.best = value
        return True


class EarlyStopping(Monitor):
    """Ends the training when the monitored value has not become better for `patience` epochs.

    Parameters
    ----------
    monitor : str
        A name in the logs: val_loss, val_accuracy, loss, …
    min_delta : float
        What counts as better: more than this much, in the units of the value.
    patience : int
        Epochs without a better value before the end; 0 ends at the first.
    mode : "auto", "min" or "max"
        Which way is better; "auto" is "max" for accuracies, auc, precision, recall, f1 and r2, "min" for all else.
    restore_best_weights : bool
        Whether the model gets the weights of its best epoch when the training ends, also where it ends because all
        epochs are done; not after Ctrl-C or an error. Keras has False as its default.
    start_from_epoch : int
        Epochs at the start that do not count.

    After the training, ``best`` is the best value, ``best_epoch`` its epoch, ``stopped_epoch`` the epoch of the early
    end or None; epochs are counted from 0.
    """

    restore_best_weights = Flag()
    start_from_epoch = Whole(0)
    remembered = Monitor.remembered | {
        "best_epoch": (int, type(None)),
        "stopped_epoch": (int, type(None)),
        "best_weights": (list, type(None)),
    }

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 10,
        mode: str = "auto",
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, min_delta, patience, mode)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch

    def on_train_begin(self, logs):
        super().on_train_begin(logs)
        self.best_epoch = self.stopped_epoch = self.best_weights = None

    def load_state_dict(self, state):
        super().load_state_dict(state)
        if self.best_weights is not None:  # a file may be forged
            self.best_weights = self.model._engine.checked(self.best_weights)

    def on_epoch_end(self, epoch, logs):
        if epoch < self.start_from_epoch:
            return
        if self.improved(logs):
            self.best_epoch, self.wait = epoch, 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
        else:
            self.wait += 1
            if self.wait >= max(1, self.patience):
                self.stopped_epoch = epoch
                self.model.stop_training = True

    def on_train_end(self, logs):
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
            self.best_weights = None


def constant_rate(changer, optimizer):
    """The learning rate of an optimizer; ValueError where `changer`, whose name this is, cannot change it."""
    rate = getattr(optimizer, "learning_rate", None)
    if rate is None or isinstance(rate, Schedule):
        why = f"its learning rate follows {rate!r}" if rate else "it has no learning rate"
        raise ValueError(f"{changer} cannot change {optimizer!r}: {why}")
    return rate


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch to ``schedule(epoch, learning_rate)``, epochs counted from 0.

    `schedule` gets the rate as it is and returns a number from 0 on. A `Schedule` given to the optimizer goes by steps
    instead and needs no callback. The last rate stays after the training.
    """

    def __init__(self, schedule: Callable[[int, float], float]) -> None:
        if not callable(schedule):
            raise TypeError(f"schedule must be a function of epoch and learning rate, got {schedule!r}")
        self.schedule = schedule

    def on_train_begin(self, logs):
        self._set(0)

    def load_state_dict(self, state):
        """The optimizer has the rate already."""

    def on_epoch_end(self, epoch, logs):
        self._set(epoch + 1)

    def _set(self, epoch):
        optimizer = self.model.optimizer
        optimizer.learning_rate = self.schedule(epoch, constant_rate(type(self).__name__, optimizer))


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when the monitored value has not become better for `patience` epochs.

    PyTorch's scheduler of the name waits one epoch longer, and by default compares relatively; Keras's has a cooldown
    that is one epoch shorter. The rate is set on the model's optimizer, and stays there after the training.

    Parameters
    ----------
    monitor, min_delta, patience, mode
        As in `EarlyStopping`.
    factor : float
        From above 0 to below 1.
    cooldown : int
        Epochs after a reduction that do not count.
    min_lr : float
        The rate does not fall below this.
    """

    factor = Constant(0, 1, open_low=True)
    min_lr = Constant(0)
    cooldown = Whole(0)
    remembered = Monitor.remembered | {"cooling": int}

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        mode: str = "auto",
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, min_delta, patience, mode)
        self.factor = factor
        self.cooldown = cooldown
        self.min_lr = min_lr

    def on_train_begin(self, logs):
        super().on_train_begin(logs)
        self.cooling = 0
        constant_rate(type(self).__name__, self.model.optimizer)

    def on_epoch_end(self, epoch, logs):
        better, cooling = self.improved(logs), self.cooling > 0
        self.cooling = max(0, self.cooling - 1)
        if better or cooling:
            self.wait = 0
            return
        self.wait += 1
        if self.wait >= max(1, self.patience):
            optimizer = self.model.optimizer
            if optimizer.learning_rate > self.min_lr:
                optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
            self.cooling, self.wait = self.cooldown, 0


HOOKS = ("on_train_begin", "on_epoch_end", "on_chunk_end", "on_exception", "on_train_end")


def check_callbacks(callbacks):
    """The callbacks as a list; TypeError for what is none."""
    if any(hasattr(callbacks, hook) for hook in HOOKS):
        raise TypeError("callbacks must be a list of callbacks, got a single one")
    callbacks = as_list(callbacks, "callbacks", "callbacks")
    for callback in callbacks:
        if isinstance(callback, type) or not any(hasattr(callback, hook) for hook in HOOKS):
            raise TypeError(f"a callback is an object with one of {', '.join(HOOKS)}; got {callback!r}")
    return callbacks


def call(callbacks, method, *args):
    """Calls the method of each callback that has it."""
    for callback in callbacks:
        hook = getattr(callback, method, None)
        if hook is not None:
            hook(*args)


def watches_chunks(callback):
    """Whether a callback has an `on_chunk_end` of its own."""
    hook = getattr(callback, "on_chunk_end", None)
    return hook is not None and getattr(hook, "__func__", hook) is not Callback.on_chunk_end
