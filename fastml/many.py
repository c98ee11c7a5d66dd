"""Many models in one call: each trains by itself, as many at a time as there are CPUs."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike

from fastml.attributes import positive_integer
from fastml.callback import check_callbacks
from fastml.data.shared import Arrays
from fastml.process.signals import hold_interrupts
from fastml.program.threads import get_num_threads, num_threads
from fastml.sequential import Sequential
from fastml.tasks import OPTIONS, OWN, Result, Results, Task, check_options, numbered
from fastml.training.fitting import deadline_of
from fastml.training.progress import check_verbose, make_nets_progress
from fastml.training.side_by_side import SideBySide, Training

LARGE = 4_000_000  # weights, from which on a model trains alone, by all threads: two at a time would share the caches


def fit_many(
    models: Iterable[Sequential | Task | Callable[[], Sequential]],
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    rows: ArrayLike | None = None,
    validation_rows: ArrayLike | None = None,
    then: Callable[[Result], object] | None = None,
    n_threads: int | None = None,
    verbose: int | str = "auto",
    time_limit: float | None = None,
    **options,
) -> Results:
    """Trains many models, each as if alone, as many at a time as there are CPUs; returns their Results.

    Models may differ in all they are: layers, dtype, seed, loss, optimizer. Each gets the bits that `Sequential.fit`
    would give it. An error in one, such as a DivergenceError, is its result, and leaves the others alone. A model of
    some million weights trains alone, on all threads, and so does the last one that is left.

    Parameters
    ----------
    models : iterable of Sequential, Task or functions
        Compiled models; a `Task` has arguments of its own, a function without arguments makes a model when its turn
        comes. A generator is asked for the next one when there is room for it, a few for each thread.
    x, y : array-like
        As in `Sequential.fit`, for all models that are given no others. They are shared: nobody may change them.
    rows : array of int or bool
        Rows of x and y to train on: numbers, also several times as in a bootstrap sample, or a mask. All if not given.
    validation_rows : array of int or bool
        Rows of x and y to validate with after each epoch.
    then : function
        Called with the Result of each model that has finished or failed, as soon as it is there. What it returns is
        kept as `value`, and model and history are let go: for more models than there is room for.
    n_threads : int
        Threads, each of which trains one model at a time; as many as `get_num_threads` says if not given.
    verbose : 0, 1 or "auto"
        Show nothing, or a progress bar; "auto" is a bar on a terminal or in a notebook.
    time_limit : float
        Seconds after which trainings end where they are, within half a second or so, and no other begins.
    options
        Other arguments of `Sequential.fit`: epochs, batch_size, sample_weight, by rows of x, and so on. `callbacks` are
        copied for each model; those of a `Task` are not.

    A warning says how many models have failed, if some have. At a Ctrl-C, what is finished is returned, with a warning
    that says what is not. Raises ValueError or TypeError where there are no models, or for arguments that are none.

    Example
    -------
    >>> import numpy as np, fastml
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> def net(units):
    ...     model = fastml.Sequential([fastml.Dense(units, "tanh"), fastml.Dense(1)], seed=1)
    ...     model.compile("adam", "mse")
    ...     return model
    >>> results = fastml.fit_many(map(net, (2, 4, 8)), x, x[:, 0], epochs=3)
    >>> results
    Results(3 of 3 models trained)
    """
    verbose = check_call("fit_many", models, options, verbose, then)
    given = {"rows": rows, "validation_rows": validation_rows, "then": then, "n_threads": n_threads}
    return train_many(models, x, y, verbose=verbose, time_limit=time_limit, **given, **options)


def check_call(method, models, options, verbose, then):
    """`verbose` as it is; TypeError or ValueError for what no call takes."""
    check_options(method, options, OPTIONS if method == "fit_many" else OPTIONS | {"rows", "validation_rows", "then"})
    if check_verbose(verbose) == 2:
        raise ValueError("verbose must be 0, 1 or 'auto', got 2: there is a line for all models, not for each epoch")
    if then is not None and not callable(then):
        raise TypeError(f"then must be a function of a Result, got {type(then).__name__}")
    if isinstance(models, (Sequential, Task)) or not hasattr(models, "__iter__"):
        raise TypeError(f"models must be a list or another iterable of models, got {type(models).__name__}")
    if hasattr(models, "__len__") and len(models) == 0:
        raise ValueError("there are no models to train: models is empty")
    return verbose


def train_many(
    models, x, y, rows=None, validation_rows=None, then=None, n_threads=None, verbose=0, time_limit=None, first=0,
    depth=4, **options
):  # fmt: skip
    """`fit_many` with arguments that are checked. first : number of the first model; depth : of `Many.conclude`."""
    deadline, known = deadline_of(time_limit), len(models) if hasattr(models, "__len__") else None
    threads = get_num_threads() if n_threads is None else positive_integer("n_threads", n_threads)
    threads = min(threads, known or threads)
    options["callbacks"] = check_callbacks(options.get("callbacks"))
    common = {**options, "x": x, "y": y, "rows": rows, "validation_rows": validation_rows}
    many = Many(common, then, deadline, first)
    reason = many.train(models, threads, make_nets_progress(verbose, known))
    return many.conclude(models, known, reason, depth)


class Many:
    """The trainings of one call: what they share, and what has become of them."""

    def __init__(self, common, then, deadline, first=0):
        self.common, self.then, self.deadline, self.first = common, then, deadline, first
        self.results, self.seen, self.stateful = {}, WeakKeyDictionary(), WeakKeyDictionary()  # whose numbers they are
        self.arrays = Arrays()
        self.exhausted = False  # whether all models have been begun
        self.done = self.rows = 0  # models, and rows that they were trained on, those of all epochs

    def train(self, models, threads, progress):
        """Trains all models; returns the KeyboardInterrupt that has ended it, if one has."""
        with hold_interrupts() as self.hold, self.hold.holding_alone(), num_threads(threads):

            def look():
                progress.update(self.done, self.rows)
                self.hold.check()

            try:
                with SideBySide(threads, look) as side:
                    for number, item in enumerate(self.drawn(models), self.first):
                        self.begin(side, number, item)
                    side.finish()
                    look()
            except KeyboardInterrupt as error:
                return error
            finally:
                progress.close()
        return None

    def drawn(self, models):
        """The models, as long as there is time."""
        own, models = not isinstance(models, (list, tuple)), iter(models)  # whether the user's code gives them
        while time.perf_counter() < self.deadline:
            with self.hold.pause() if own else nullcontext():
                item = next(models, self)
            if item is self:
                self.exhausted = True
                return
            yield item

    def begin(self, side, number, item):
        """Begins the training of a model or Task."""
        result = self.results[number] = Result(number)
        start = time.perf_counter()

        def ended(history, error):
            result.seconds = time.perf_counter() - start
            self.end(result, history, error)

        try:
            result.model, options = self.made(number, item)
            result.callbacks = options["callbacks"]
            options = self.options_of(result.model, options)
            steps = result.model._fitting(**options)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            ended(None, error)
        else:
            large = side.threads > 1 and weights_of(result.model, options["x"]) >= LARGE
            (side.begin_alone if large else side.begin)(Training(steps, ended))

    def made(self, number, item):
        """The model of an item, and the arguments that it is trained with."""
        task = item if isinstance(item, Task) else Task(item)
        model = task.model
        if not isinstance(model, Sequential):
            with self.hold.pause():
                model = model()
        if not isinstance(model, Sequential):
            raise TypeError(f"a model must be a Sequential, got {type(model).__name__}")
        first = self.seen.setdefault(model, number)
        if first != number:
            raise ValueError(f"it is the same object as model {first}: make a model for each")
        options = self.common | task.options
        if "callbacks" in task.options:
            options["callbacks"] = check_callbacks(options["callbacks"])
            for callback in options["callbacks"]:
                self.check_alone(callback, number)
        else:
            options["callbacks"] = [copied_callback(callback) for callback in options["callbacks"]]
        return model, options

    def check_alone(self, callback, number):
        """ValueError for a callback of fastml's, which keeps a count of its own, that another model has already."""
        kind = type(callback)
        if not kind.__module__.startswith("fastml."):
            return
        first = self.stateful.setdefault(callback, number)
        if first != number:
            raise ValueError(f"its {kind.__name__} is that of model {first}, too: make one for each Task")

    def options_of(self, model, options):
        """All arguments of `fit` for a model, on its rows."""
        model._check_compiled("fit_many")
        arrays = self.arrays.of(model, options)
        options = {name: value for name, value in options.items() if name not in OWN}
        left = self.deadline - time.perf_counter()
        options["time_limit"] = None if left == math.inf else max(left, 1e-9)
        return {**options, **arrays, "verbose": 0}

    def end(self, result, history, error):
        """Takes note of what a training has returned or raised."""
        self.done += 1
        if history is not None:
            result.history, result.finished = history, time.perf_counter() < self.deadline
            result.rows = history.rows
            self.rows += result.rows * len(history.epoch)
        elif isinstance(error, KeyboardInterrupt):
            result.history = result.model.history
        else:
            result.error = numbered(error, result.number)
        if self.then is not None and (result.finished or result.error is not None):
            try:
                with self.hold.pause():
                    result.value = self.then(result)
            except Exception as error:
                result.error = result.error or numbered(error, result.number, "then, of model")
            result.model, result.history, result.callbacks = None, None, []

    def take(self, results):
        """Takes over Results that another process has got."""
        for result in results:
            self.results[result.number] = result
            self.done += 1
            if result.history is not None:
                self.rows += result.rows * len(result.history.epoch)

    def conclude(self, models, known, reason, depth):
        """The Results of all models; warnings count as those of a caller so many frames up, None is for no warnings."""
        begun = self.results
        if known is None:
            known = len(begun)
            if known == 0 and reason is None and time.perf_counter() < self.deadline:
                raise ValueError("there are no models to train: models gave none")
        numbers = range(self.first, self.first + known)
        if len(begun) < known and hasattr(models, "__getitem__"):
            for item, number in zip(models, numbers, strict=True):
                given = item.model if isinstance(item, Task) else item
                begun.setdefault(number, Result(number, given if isinstance(given, Sequential) else None))
        results = Results(begun.get(number) or Result(number) for number in numbers)
        if results.unfinished or not self.exhausted:
            results.interrupted = "Ctrl-C" if reason else "time_limit"
        if depth:
            self.tell(results, reason, depth + 1)
        return results

    def tell(self, results, reason, depth):
        """Warns of what was interrupted, and of models that failed."""
        if reason:
            told = ", ".join(map(str, results.unfinished[:10])) + " …" * (len(results.unfinished) > 10)
            told = f". Not finished are those with the numbers {told}" if told else ""
            warnings.warn(f"interrupted: {results.told() or 'no model was begun'}{told}", UserWarning, stacklevel=depth)
        if results.failed:
            first = next(result.error for result in results if result.error is not None)
            told = f"{len(results.failed)} of {len(results)} models failed, see results.failed"
            warnings.warn(f"{told}; the first by {type(first).__name__}: {first}", UserWarning, stacklevel=depth)


def weights_of(model, x):
    """About as many weights as a model has, for data like x."""
    width, count = np.shape(x)[-1] if np.ndim(x) == 2 else 0, 0
    for layer in model.layers:
        count += layer.products(width)
        width = layer.units_out(width)
    return count


def copied_callback(callback):
    """A copy of a callback for another model, which the model of an earlier training does not go along with."""
    model = getattr(callback, "model", None)
    return copy.deepcopy(callback, {id(model): model})
