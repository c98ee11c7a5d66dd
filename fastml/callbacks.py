"""Callbacks: what happens between epochs."""

from fastml.data import as_list


class Callback:
    """Called while `fit` runs. Any object with some of these methods will do; this class only lists them.

    `fit` gives the model first. A callback may set ``model.stop_training = True`` to end the training after the epoch.
    """

    def set_model(self, model):
        self.model = model

    def on_train_begin(self, logs: dict) -> None:
        """Before the first epoch; `logs` is an empty dict."""

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        """After each epoch, counted from 0; `logs` maps loss, metrics and their val_ twins to floats."""

    def on_train_end(self, logs: dict) -> None:
        """After the last epoch, with its logs; not called when an error or Ctrl-C ends the training."""


class History(Callback):
    """What `fit` returns: ``history`` maps each name to its values, one an epoch; ``epoch`` counts them."""

    def __init__(self):
        self.epoch = []
        self.history = {}

    def on_epoch_end(self, epoch, logs):
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self):
        if not self.epoch:
            return "History(no epochs)"
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items())
        return f"History({len(self.epoch)} epochs, last: {last})"


HOOKS = ("on_train_begin", "on_epoch_end", "on_train_end")


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
