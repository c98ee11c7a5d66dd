"""Callbacks that watch one of the logs, first of all the one that ends a training early."""

import math
import operator

from fastml.attributes import Constant, Finite, Flag, Whole
from fastml.callback import Callback, Limit
from fastml.keras_names import canonical
from fastml.metrics import more_is_better
from fastml.set_metrics import SET_METRICS


class Monitor(Callback):
    """Watches one of the logs: whether it has become better than ever, by more than min_delta."""

    min_delta = Constant(0)
    patience = Whole(0)
    remembered = {"best": (float, int), "wait": int}  # attributes that a resumed training needs, and their types

    def __init__(self, monitor, min_delta, patience, mode, verbose=0):
        self.verbose = check_verbose(verbose)
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

    def unseen(self, logs):
        """Whether this epoch has no such value, as `fit` validates only some of them."""
        validates = self.params.get("validation_freq", 1) != 1
        return validates and self.monitor not in logs and self.monitor in self.params.get("metrics", ())

    def say(self, text):
        """Prints what it does, if it is to."""
        if self.verbose:
            print(text, flush=True)

    def improved(self, logs):
        """Whether this epoch's value is the best so far; ValueError where nobody logs it."""
        if self.monitor not in logs:
            hint = "; give fit validation_data or validation_split" if self.monitor.startswith("val_") else ""
            if canonical(self.monitor, SET_METRICS) in SET_METRICS:
                hint = f"; {self.monitor} is of validation rows alone: watch 'val_{self.monitor}'"
            raise ValueError(f"{type(self).__name__} watches '{self.monitor}', but there are: {', '.join(logs)}{hint}")
        value = logs[self.monitor]
        if not self.beats(value, self.best):
            return False
        self.best = value
        return True

    def beats(self, value, other):
        """Whether a value is better than another by more than min_delta; a NaN never is."""
        better = operator.lt if self.mode == "min" else operator.gt
        return better(value + (self.min_delta if self.mode == "min" else -self.min_delta), other)


def check_verbose(verbose):
    """0 or 1: whether a callback says what it does."""
    if verbose not in (0, 1):
        raise ValueError(f"verbose of a callback must be 0 or 1, got {verbose!r}")
    return int(verbose)


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
    baseline : float or None
        Epochs whose value is not better than this count as those without a better value.
    verbose : 0 or 1
        Whether to print a line when it ends the training.

    After the training, ``best`` is the best value, ``best_epoch`` its epoch, ``stopped_epoch`` the epoch of the early
    end or None; epochs are counted from 0.
    """

    best_now = None  # a function that gives the weights of the best epoch, where the executor keeps them
    restore_best_weights = Flag()
    start_from_epoch = Whole(0)
    baseline = Finite()
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
        baseline: float | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(monitor, min_delta, patience, mode, verbose)
        self.restore_best_weights = restore_best_weights
        self.baseline = baseline
        self.start_from_epoch = start_from_epoch

    @property
    def limit(self):
        """What the executor can look at by itself, while no epoch is to be left out and nothing else to be beaten."""
        if self.start_from_epoch or self.baseline is not None or type(self) is not EarlyStopping:
            return None
        sign = 1.0 if self.mode == "min" else -1.0
        limit = Limit(max(1, self.patience), self.wait, sign * self.best, self.min_delta, sign, self.monitor)
        return limit._replace(strict=True, keeps=self.restore_best_weights)

    def on_train_begin(self, logs):
        super().on_train_begin(logs)
        self.best_epoch = self.stopped_epoch = self.best_weights = self.best_now = None

    def load_state_dict(self, state):
        super().load_state_dict(state)
        if self.best_weights is not None:  # a file may be forged
            self.best_weights = self.model._engine.checked(self.best_weights)

    def on_epoch_end(self, epoch, logs):
        if epoch < self.start_from_epoch or self.unseen(logs):
            return
        better = self.improved(logs)
        if better:
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.best_now() if self.best_now else self.model.get_weights()
        if better and (self.baseline is None or self.beats(self.best, self.baseline)):
            self.wait = 0
            return
        self.wait += 1
        if self.wait >= max(1, self.patience):
            self.stopped_epoch = epoch
            self.model.stop_training = True
            which = "no epoch" if self.best_epoch is None else f"epoch {self.best_epoch + 1}, {self.best:.6g}"
            self.say(f"epoch {epoch + 1}: {self.monitor} no longer becomes better, training ends; the best was {which}")

    def on_train_end(self, logs):
        self.best_now = None
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
            self.best_weights = None
