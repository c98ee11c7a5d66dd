"""What `Sequential.fit` does before its engine trains: arguments are checked, rows are taken in."""

import math
import numbers
import time
from functools import partial

import numpy as np

from fastml.attributes import check_batch_size, positive_integer
from fastml.callback import call, check_callbacks
from fastml.callbacks import History, epochs_to_validate
from fastml.data.arrays import as_array
from fastml.files.description import custom_objects
from fastml.layers import method_of
from fastml.metrics import Metric
from fastml.monitors import EarlyStopping
from fastml.program.plan import batches
from fastml.training.feeding import Feed, collected, holds_batches, parts_of, repeated
from fastml.training.following import can_follow
from fastml.training.progress import check_verbose, make_progress
from fastml.training.resume import find

MOST_EPOCHS = 10**8


class Fit:
    """The arguments of one `fit` that go by epochs, checked."""

    def __init__(
        self, epochs, initial_epoch, validation_freq, steps_per_epoch, verbose, shuffle, callbacks, time_limit=None
    ):
        self.deadline = deadline_of(time_limit)
        self.initial = positive_integer("initial_epoch", initial_epoch, most=MOST_EPOCHS, least=0)
        self.last = positive_integer("epochs", epochs, most=MOST_EPOCHS)
        if self.initial >= self.last:
            raise ValueError(
                f"epochs is the number of the last epoch: got {epochs}, with initial_epoch={initial_epoch}"
            )
        self.epochs = self.last - self.initial
        self.validated = epochs_to_validate(validation_freq)
        self.validation_freq = validation_freq
        self.steps = None if steps_per_epoch is None else positive_integer("steps_per_epoch", steps_per_epoch)
        self.verbose = check_verbose(verbose)
        if not isinstance(shuffle, (bool, np.bool_)):
            raise TypeError(f"shuffle must be True or False, got {shuffle!r}")
        self.shuffle = bool(shuffle)
        self.callbacks = check_callbacks(callbacks)
        self.feed = None

    def take(self, x, y, sample_weight, batch_size, resume, split, model):
        """x, y, sample_weight and batch_size as arrays to begin with, and `feed` where each epoch has others."""
        if y is None:
            if not holds_batches(x):
                raise TypeError("y is None: pass numbers, fit(x, y), or x as batches (x, y)")
            if sample_weight is not None or split:
                raise ValueError("with batches, sample_weight is their third entry, and validation_split does not go")
            if hasattr(x, "__next__"):
                if self.steps is None:
                    raise ValueError("steps_per_epoch is needed with an iterator: how many batches make an epoch?")
                self.feed = Feed(x, self.steps)
            elif not len(x):
                raise ValueError("x gave no batches")
            elif not isinstance(x, (list, tuple)):  # a Sequence, a DataLoader: what it gives may change
                self.feed = Feed(repeated(x), self.steps or len(x))
            elif self.steps not in (None, len(x)):
                self.feed = Feed(repeated(x), self.steps)
            else:
                self.shuffle = False
                rows, batch_size = collected(x)
                return *rows, batch_size
        else:
            if hasattr(x, "__next__"):
                raise TypeError("y must be left out where x is an iterator of batches (x, y)")
            if self.steps is None or (hasattr(x, "__len__") and self.steps == -(-len(x) // batch_size)):
                return x, y, sample_weight, batch_size
            if split:
                raise ValueError("give validation_data rather than validation_split with steps_per_epoch")
            named = {"x": x, "y": y, "sample_weight": sample_weight}
            arrays = [None if values is None else as_array(values, name) for name, values in named.items()]
            if arrays[1].ndim == 0 or arrays[0].ndim == 0 or len(arrays[0]) != len(arrays[1]):
                raise ValueError(f"y must have one row for each row of x: shapes {arrays[0].shape}, {arrays[1].shape}")
            batch_size = min(batch_size, len(arrays[0]))
            self.feed = Feed(parts_of(*arrays, batch_size, self.shuffle and model), self.steps)
        if resume:
            raise ValueError("resume needs all rows in each epoch: not with steps_per_epoch or an iterator of batches")
        self.shuffle = False
        rows = self.feed.epoch()
        return *rows, self.feed.batch_size


def deadline_of(time_limit):
    """When so many seconds will have passed, by `time.perf_counter`; never, for None."""
    if time_limit is None:
        return math.inf
    if isinstance(time_limit, bool) or not isinstance(time_limit, numbers.Real):
        raise TypeError(f"time_limit must be a number of seconds, got {type(time_limit).__name__} {time_limit!r}")
    if not time_limit > 0:
        raise ValueError(f"time_limit must be more than 0 seconds, got {time_limit}")
    try:
        return time.perf_counter() + float(time_limit)
    except OverflowError:
        return math.inf


def training(
    model, sequential, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle,
    class_weight, sample_weight, resume, initial_epoch, steps_per_epoch, validation_freq, validation_batch_size,
    time_limit, chosen=None
):  # fmt: skip
    """`Sequential.fit`, `sequential` being its class, as a generator like `fastml.training.loop.train`.

    chosen : numbers of the rows of x to train on, (rows,) int64 or None for all, and of those to validate with, or None
    for none; or None for neither, as it must be with class_weight, other rows to validate with, steps_per_epoch,
    resume, Normalization and Embedding.
    """
    model._check_compiled("fit")
    with model._rest.turn:
        model._check_idle("fit")
        batch_size = 32 if batch_size is None else positive_integer("batch_size", batch_size)
        check_batch_size(validation_batch_size, "validation_batch_size")
        args = Fit(epochs, initial_epoch, validation_freq, steps_per_epoch, verbose, shuffle, callbacks, time_limit)
        rows, validation = (x, y, sample_weight, batch_size), (validation_data, validation_split)
        return (yield from trained(model, args, *rows, validation, class_weight, resume, sequential, chosen))


def trained(model, args, x, y, weights, batch_size, validation, class_weight, resume, sequential, chosen):
    """Trains a compiled model, whose turn is taken, by a `Fit`; returns its History."""
    callbacks = args.callbacks
    resumed = find(resume, callbacks, sequential, custom_objects(model) if resume else None)
    x, y, weights, batch_size = args.take(x, y, weights, batch_size, resume, validation[1], model)
    adapter = model._adapter()
    if resumed:
        adapter = adapter._replace(d_in=resumed.model.input_dim).of_data(resumed.model._engine)
    if args.feed and method_of(adapter.layers) and not adapter.known:
        raise ValueError("Normalization takes its statistics from all rows: fit first on arrays, then on batches")
    fed, weighted = adapter, weights is not None
    if chosen:
        (x, y, weights, chosen), validation, found = *adapter.chosen(x, y, weights, *chosen), None
    else:
        (x, y, weights), validation, found = adapter.training(x, y, weights, class_weight, *validation)
        validation = validation and (*validation, None)
    rows = len(x) if chosen is None else len(chosen)
    if args.feed and found:
        raise ValueError("columns of x that were constant now vary: fit on arrays, so that Normalization can tell how")
    if args.feed and weights is None and (class_weight is not None or weighted):
        weights = np.ones((len(x), 1), model.dtype)  # those of later epochs may differ
    adapter.check_batches(rows, batch_size, model.optimizer)
    if resumed:
        resumed.check(
            model, callbacks, args.epochs, args.initial, (x, y, weights), min(batch_size, len(x)), args.shuffle
        )
    model._build(x.shape[1])
    if model._engine.frozen:
        raise ValueError("all layers are frozen, trainable=False: there is nothing to train")
    model.stop_training = False
    model.history = History()
    model.history.rows = rows
    model.history.params = params_of(model, args, rows, batch_size, validation)
    if resumed:
        resumed.enter_model(model)
    call(callbacks, "set_params", model.history.params)
    call(callbacks, "set_model", model)
    show = partial(make_progress, args.verbose, initial=args.initial)
    loop = {"name": model._named, "history": model.history, "callbacks": callbacks, "initial": args.initial}
    loop["deadline"] = args.deadline
    loop["statistics"] = None if resumed else found
    alone = not callbacks or (len(callbacks) == 1 and type(callbacks[0]) is EarlyStopping)  # nobody looks at the model
    if validation and alone and args.validation_freq == 1 and can_follow(model._engine, *validation):
        loop["validation"], validation = validation, None
    loop["validate"] = validation and partial(validated, model, args, rows_of(*validation), adapter)
    loop["stopped"] = lambda: model.stop_training
    loop["refill"] = args.feed and partial(
        refill, feed=args.feed, adapter=fed._replace(d_in=x.shape[1]), class_weight=class_weight
    )
    arrays = x, y, weights, chosen
    yield from model._engine.training(*arrays, batch_size, args.epochs, args.shuffle, show, resumed, **loop)
    return model.history


def params_of(model, args, rows, batch_size, validation):
    """What callbacks get to know of the call."""
    metrics = zip(model.metrics, model._engine.aim["metrics"], strict=True)
    every, names = ["loss", *model.metrics], ["loss", *(name for name, metric in metrics if isinstance(metric, Metric))]
    return {
        "epochs": args.last,
        "initial_epoch": args.initial,
        "steps": args.steps or batches(rows, min(batch_size, rows), model._engine._alone())[0],
        "verbose": args.verbose,
        "metrics": names + [f"val_{name}" for name in every] if validation else names,
        "validation_freq": args.validation_freq,
    }


def rows_of(x, y, weights, chosen):
    """The rows to validate with, as x, y and weights."""
    if chosen is None:
        return x, y, weights
    return x[chosen], y[chosen], None if weights is None else weights[chosen]


def validated(model, args, validation, adapter, epoch):
    """The logs of the validation rows after an epoch, or none where it is not its turn."""
    if not args.validated(epoch):
        return {}
    call(args.callbacks, "on_test_begin", {})
    logs = model._logs(*validation, adapter)
    call(args.callbacks, "on_test_end", dict(logs))
    return {f"val_{name}": value for name, value in logs.items()}


def refill(data, feed, adapter, class_weight):
    """Puts the rows of the next epoch in the place of those of the last."""
    x, y, weights = feed.epoch()
    x, y, weights = adapter.weighted(*adapter.rows(x, y, weights), class_weight)
    data.x[...], data.y[...] = x, y
    if weights is not None and not len(data.weights):
        raise ValueError("a batch of x has a sample_weight, but those of the first epoch had none")
    if len(data.weights):
        data.weights[...] = 1 if weights is None else weights
    data.fingerprint = None
