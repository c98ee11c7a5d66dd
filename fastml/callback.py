"""The base of all callbacks: what is called when, while `fit` runs."""

import math
from typing import NamedTuple

from fastml.data.arrays import as_list
from fastml.telling import Told


class Limit(NamedTuple):
    """Where training ends by a value of its logs alone: after `patience` epochs in which it made no progress.

    Progress, of the value times `scale`, is to be at least `tolerance` below the `best` before, or more than it if
    `strict`, when only progress makes a new best; `waited` epochs had none. patience 0 is no limit. The value is that
    of `monitor`; `keeps` tells whether the callback wants the weights of the best epoch, which its attribute
    `best_now`, a function, then gives.
    """

    patience: int
    waited: int = 0
    best: float = math.inf
    tolerance: float = 0.0
    scale: float = 1.0
    monitor: str = "loss"
    strict: bool = False
    keeps: bool = False


class Callback(Told):
    """Called while `fit` runs. Any object with some of these methods will do; this class only lists them.

    `fit` first gives `params`, a dict, and the model. A callback may set ``model.stop_training = True`` to end the
    training after the epoch, or after the step where it does so between two. Epochs and batches count from 0.

    A callback with a hook for batches has the training stop after each step, which costs small nets much of their
    speed. Where the only one has a Limit as its `limit`, epochs pass until that is reached: it is told of them one
    after the other, when the weights are those of the last. It costs less than to stop after each.
    """

    limit = None
    params: dict = {}  # of the fit under way: epochs, initial_epoch, steps, verbose, metrics, validation_freq

    def set_params(self, params: dict) -> None:
        """Gets what `fit` was called with, before all else."""
        self.params = params

    def set_model(self, model):
        self.model = model

    def on_train_begin(self, logs: dict) -> None:
        """Before the first epoch; `logs` is an empty dict."""

    def on_epoch_begin(self, epoch: int, logs: dict) -> None:
        """Before each epoch; `logs` is an empty dict. Not where a training is resumed within the epoch."""

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        """After each epoch; `logs` maps loss, metrics and their val_ twins to floats."""

    def on_train_batch_begin(self, batch: int, logs: dict) -> None:
        """Before each step; `logs` is an empty dict. Also under the name on_batch_begin."""

    def on_train_batch_end(self, batch: int, logs: dict) -> None:
        """After each step; `logs` has loss and metrics, means over the rows of the epoch so far, as in Keras."""

    def on_test_begin(self, logs: dict) -> None:
        """Before the validation rows are evaluated; `logs` is an empty dict."""

    def on_test_end(self, logs: dict) -> None:
        """After the validation rows were evaluated; `logs` has their loss and metrics, without val_ in front."""

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


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
BEGIN, END = ("on_train_batch_begin", "on_batch_begin"), ("on_train_batch_end", "on_batch_end")
NEVER = ("on_test_batch_begin", "on_test_batch_end")  # hooks of Keras's that nothing here would call


def check_callbacks(callbacks):
    """The callbacks as a list; TypeError for what is none."""
    hooks = (*HOOKS, BEGIN[1], END[1])
    if any(hasattr(callbacks, hook) for hook in hooks):
        raise TypeError("callbacks must be a list of callbacks, got a single one")
    callbacks = as_list(callbacks, "callbacks", "callbacks")
    for callback in callbacks:
        for hook in NEVER:
            if hasattr(callback, hook):
                raise TypeError(
                    f"{type(callback).__name__} has {hook}, which would never be called, as validation rows are "
                    "evaluated as a whole: use on_test_begin or on_test_end"
                )
        if isinstance(callback, type) or not any(hasattr(callback, hook) for hook in hooks):
            raise TypeError(f"a callback is an object with one of {', '.join(HOOKS)}; got {callback!r}")
    return callbacks


def call(callbacks, method, *args):
    """Calls the method of each callback that has it."""
    for callback in callbacks:
        hook = getattr(callback, method, None)
        if hook is not None:
            hook(*args)


def watches(callback, *hooks):
    """Whether a callback has one of these methods of its own."""
    for name in hooks:
        hook = getattr(callback, name, None)
        if hook is not None and getattr(hook, "__func__", hook) is not getattr(Callback, name, None):
            return True
    return False
