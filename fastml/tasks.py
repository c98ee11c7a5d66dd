"""What goes into `fit_many`, and what comes out of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from difflib import get_close_matches

from fastml.sequential import Sequential

OPTIONS = {  # of `Sequential.fit` that models may have each its own
    "batch_size", "epochs", "callbacks", "validation_split", "validation_data", "shuffle", "class_weight",
    "sample_weight", "initial_epoch", "steps_per_epoch", "validation_freq", "validation_batch_size",
}  # fmt: skip
OWN = {"x", "y", "rows", "validation_rows"}


class Task:
    """A model for `fit_many`, and arguments in which it differs from the others.

    Parameters
    ----------
    model : Sequential, or function
        A compiled model, or a function without arguments that makes it when its turn has come.
    options
        Arguments of `fit_many` that are this model's own: x, y, rows, validation_rows, and those of `Sequential.fit`
        but verbose, time_limit and resume. Callbacks are taken as they are: make some for each Task.
    """

    def __init__(self, model: Sequential | Callable[[], Sequential], **options) -> None:
        if not isinstance(model, Sequential) and not callable(model):
            raise TypeError(f"a model must be a Sequential or a function that makes one, got {type(model).__name__}")
        check_options("Task", options, OPTIONS | OWN)
        self.model, self.options = model, options

    def __repr__(self):
        return f"Task({', '.join([repr(self.model), *self.options])})"


class Result:
    """What has become of a model of `fit_many`.

    Attributes
    ----------
    number : int
        Which of the models it is, from 0.
    model : Sequential or None
        The model, trained as far as it has come.
    history : History or None
        That of its training.
    error : Exception or None
        What its training raised; the message names the number.
    finished : bool
        Whether it has trained to its end, by epochs, callback or early stopping.
    seconds : float
        From its begin to its end; others trained meanwhile.
    rows : int
        Rows that it was trained on in each epoch.
    callbacks : list
        Those of its training: copies of what `fit_many` was given, or the Task's own; none where `then` is given.
    value
        What `then` gave.
    """

    def __init__(self, number, model=None):
        self.number, self.model = number, model
        self.history = self.error = self.value = None
        self.callbacks = []
        self.finished, self.seconds, self.rows = False, 0.0, 0

    def __repr__(self):
        state = repr(self.error) if self.error else "finished" if self.finished else "not finished"
        return f"Result({self.number}, {state}, {self.seconds:.3g} s)"


class Results(list):
    """A list with the Result of each model, in the order of the models.

    `interrupted` is None, or "Ctrl-C" or "time_limit" where that has ended the call before all were trained.
    """

    interrupted = None

    @property
    def models(self) -> list:
        """The models."""
        return [result.model for result in self]

    @property
    def finished(self) -> list[int]:
        """Numbers of the models that have trained to their end, without an error."""
        return [result.number for result in self if result.finished and result.error is None]

    @property
    def failed(self) -> list[int]:
        """Numbers of the models whose training raised an error."""
        return [result.number for result in self if result.error is not None]

    @property
    def unfinished(self) -> list[int]:
        """Numbers of the models that were interrupted, or not begun."""
        return [result.number for result in self if not result.finished and result.error is None]

    def check(self) -> Results:
        """These results; raises the error of the first model that has one."""
        for result in self:
            if result.error is not None:
                raise result.error
        return self

    def __getitem__(self, number):
        found = super().__getitem__(number)
        return Results(found) if isinstance(number, slice) else found

    def __repr__(self):
        return f"Results({self.told()})"

    def told(self):
        """How many models have come how far, as text."""
        parts = f"{len(self.finished)} of {len(self)} models trained", f"{len(self.failed)} failed"
        parts += (f"{len(self.unfinished)} not finished",)
        return ", ".join(part for part in parts if not part.startswith("0 "))


def check_options(owner, options, known):
    """TypeError for an argument that is none of those known."""
    for name in options:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"; did you mean '{close[0]}'?" if close else f": there are: {', '.join(sorted(known))}"
            raise TypeError(f"{owner} has no argument '{name}'{hint}")


def numbered(error, number, what="model"):
    """An error like this one whose message names the model; a RuntimeError that it caused, where it has no text."""
    told = f"{what} {number}"
    try:
        if type(error).__str__ in (BaseException.__str__, KeyError.__str__):  # others make their message of attributes
            first, *rest = error.args or ("",)
            text = f"{told}: {first}" if first != "" else told
            made = copied(error)
            made.args = (text, *rest) if isinstance(first, str) else (told, first, *rest)
            return made
    except Exception:  # of a class of the user's
        pass
    made = RuntimeError(f"{told}: {type(error).__name__}: {text_of(error)}")
    made.__cause__ = error
    return made


def copied(error):
    """A copy of an error, as others may have raised the same; or itself, where its class has no copies."""
    try:
        made = copy.copy(error)
    except Exception:
        return error
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made.with_traceback(error.__traceback__)


def text_of(error):
    """The message of an error, also of one that has none."""
    try:
        return str(error)
    except Exception:
        return "its message cannot be told"
