"""Callbacks: what happens between epochs."""

import inspect
from collections.abc import Callable

from fastml.attributes import Constant, Whole, positive_integer
from fastml.callback import Callback
from fastml.callback import Limit as Limit
from fastml.keras_names import MISSING
from fastml.monitors import EarlyStopping as EarlyStopping
from fastml.monitors import Monitor, check_verbose
from fastml.schedules import Schedule
from fastml.telling import missing


class History(Callback):
    """What `fit` returns: ``history`` maps each name to its values, one an epoch; ``epoch`` has the epochs' numbers.

    ``params`` is a dict with the arguments of `fit`: epochs, initial_epoch, steps an epoch, verbose, metrics, which are
    the names that are logged, validation_freq. With validation_freq, values of validation are fewer than epochs.
    ``rows`` is how many rows an epoch trains on.
    """

    rows = 0

    def __init__(self):
        self.epoch = []
        self.history = {}
        self.params = {}

    def on_epoch_end(self, epoch, logs):
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    @property
    def validated(self) -> list[int]:
        """Numbers of the epochs after which validation rows were evaluated, if there are any."""
        return list(filter(epochs_to_validate(self.params.get("validation_freq", 1)), self.epoch))

    def plot(self, name: str = "loss", **options):
        """Draws the loss, or the metric `name`, by epoch; see `fastml.plots.loss_curves` for options and result."""
        from fastml.plots.curves import loss_curves

        return loss_curves(self, name, **options)

    def __repr__(self):
        if not self.epoch:
            return "History(no epochs)"
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items())
        return f"History({len(self.epoch)} epochs, last: {last})"


def epochs_to_validate(validation_freq):
    """A function of the number of an epoch, from 0, that tells whether to validate after it."""
    if isinstance(validation_freq, (list, tuple, set, range)):
        numbers = {positive_integer("an epoch in validation_freq", number) for number in validation_freq}
        return lambda epoch: epoch + 1 in numbers
    every = positive_integer("validation_freq", validation_freq)
    return lambda epoch: (epoch + 1) % every == 0


def constant_rate(changer, optimizer):
    """The learning rate of an optimizer; ValueError where `changer`, whose name this is, cannot change it."""
    rate = getattr(optimizer, "learning_rate", None)
    if rate is None or isinstance(rate, Schedule):
        why = f"its learning rate follows {rate!r}" if rate else "it has no learning rate"
        raise ValueError(f"{changer} cannot change {optimizer!r}: {why}")
    return rate


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch to ``schedule(epoch, learning_rate)``, or to ``schedule(epoch)``.

    Epochs count from 0. `schedule` gets the rate as it is and returns a number from 0 on. A `Schedule` given to the
    optimizer goes by steps instead and needs no callback. The last rate stays after the training. With `verbose` 1 it
    prints each rate.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(f"schedule must be a function of epoch and learning rate, got {schedule!r}")
        self.schedule, self.verbose = schedule, check_verbose(verbose)
        self.alone = takes_one(schedule)

    def on_train_begin(self, logs):
        self._set(self.params.get("initial_epoch", 0))

    def load_state_dict(self, state):
        """The optimizer has the rate already."""

    def on_epoch_end(self, epoch, logs):
        self._set(epoch + 1)

    def _set(self, epoch):
        optimizer = self.model.optimizer
        rate = constant_rate(type(self).__name__, optimizer)
        optimizer.learning_rate = self.schedule(epoch) if self.alone else self.schedule(epoch, rate)
        if self.verbose:
            print(f"epoch {epoch + 1}: the learning rate is {optimizer.learning_rate:.6g}", flush=True)


def takes_one(function):
    """Whether a function takes a single positional argument, and no second one."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return True
    except ValueError:  # it does not tell
        return False
    return False


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
    verbose : 0 or 1
        Whether to print a line when it changes the rate.
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
        verbose: int = 0,
    ) -> None:
        super().__init__(monitor, min_delta, patience, mode, verbose)
        self.factor = factor
        self.cooldown = cooldown
        self.min_lr = min_lr

    def on_train_begin(self, logs):
        super().on_train_begin(logs)
        self.cooling = 0
        constant_rate(type(self).__name__, self.model.optimizer)

    def on_epoch_end(self, epoch, logs):
        if self.unseen(logs):
            return
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
                self.say(f"epoch {epoch + 1}: the learning rate becomes {optimizer.learning_rate:.6g}")
            self.cooling, self.wait = self.cooldown, 0


class LambdaCallback(Callback):
    """Calls functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))``.

    Each argument is a function with the arguments of the method of its name in `Callback`, or None.
    """

    def __init__(
        self,
        on_epoch_begin: Callable | None = None,
        on_epoch_end: Callable | None = None,
        on_train_begin: Callable | None = None,
        on_train_end: Callable | None = None,
        on_train_batch_begin: Callable | None = None,
        on_train_batch_end: Callable | None = None,
    ) -> None:
        functions = {name: value for name, value in locals().items() if name.startswith("on_") and value is not None}
        for name, function in functions.items():
            if not callable(function):
                raise TypeError(f"{name} must be a function, got {function!r}")
            setattr(self, name, function)


class TerminateOnNaN(Callback):
    """Lets a training that diverges end with a RuntimeWarning, where `fit` would raise `DivergenceError` without it.

    The model keeps the last finite weights either way, and the history the epochs that are complete.
    """

    ends_divergence = True


__getattr__ = missing("fastml.callbacks", MISSING)
