"""Batches in place of arrays: lists, iterators, Keras's Sequence and PyTorch's DataLoader; steps_per_epoch."""

import signal

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

from fastml import (
    BatchNormalization,
    Callback,
    Dense,
    DivergenceError,
    EarlyStopping,
    Embedding,
    ModelCheckpoint,
    Normalization,
    Sequential,
)
from fastml.program.executors import EXECUTORS

X, Y = make_data("mean_squared_error", rows=48)
W = np.random.default_rng(1).uniform(0.5, 2, size=48)


def cut(*arrays, size=16):
    """The rows as a list of batches."""
    return [tuple(array[k : k + size] for array in arrays) for k in range(0, len(arrays[0]), size)]


class Sequence:
    """As Keras has it: a length and items, no iterator."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, k):
        return self.batches[k]


class Loader:
    """As PyTorch has it: a length and an iterator, of other batches each time."""

    def __init__(self, batches):
        self.batches, self.passes = batches, 0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.passes += 1
        return iter(self.batches[:: 1 if self.passes % 2 else -1])


def endless(batches):
    while True:
        yield from batches


KINDS = {
    "list": (lambda b: b, {}),
    "tuple": (tuple, {}),
    "list, steps": (lambda b: b, {"steps_per_epoch": 3}),
    "generator": (endless, {"steps_per_epoch": 3}),
    "iterator": (lambda b: iter(b * 4), {"steps_per_epoch": 3}),
    "Sequence": (Sequence, {}),
    "Sequence, steps": (Sequence, {"steps_per_epoch": 3}),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_the_arrays_in_their_order(kind, optimizer, executor):
    make, arguments = KINDS[kind]
    model, twin = (make_model(optimizer=optimizer, executor=executor, metrics=["mae"]) for _ in range(2))
    history = model.fit(make(cut(X, Y)), epochs=4, verbose=0, **arguments)
    other = twin.fit(X, Y, batch_size=16, epochs=4, shuffle=False, verbose=0)
    assert history.history == other.history and same_bits(model.get_weights(), twin.get_weights())
    assert history.params["steps"] == 3


@pytest.mark.parametrize("executor", EXECUTORS)
def test_each_epoch_has_other_rows(executor):
    """Those of a generator that goes on, and of a loader that begins anew."""
    x, y = make_data("mean_squared_error", rows=96)
    for source, arguments in ((iter(cut(x, y)), {"steps_per_epoch": 2}), (Loader(cut(x[:32], y[:32])), {})):
        model, twin = (make_model(optimizer="adam", executor=executor) for _ in range(2))
        losses = model.fit(source, epochs=3, verbose=0, **arguments).history["loss"]
        expected = []
        for k in range(3):
            rows = slice(32 * k, 32 * k + 32)
            if not arguments:
                rows = slice(0, 32) if k != 1 else np.r_[16:32, 0:16]
            expected += twin.fit(x[rows], y[rows], batch_size=16, shuffle=False, verbose=0).history["loss"]
        assert losses == expected and same_bits(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_weights_of_rows_in_batches(executor):
    for source, arguments in ((cut(X, Y, W), {}), (endless(cut(X, Y, W)), {"steps_per_epoch": 3})):
        model, twin = (make_model(executor=executor) for _ in range(2))
        model.fit(source, epochs=2, verbose=0, **arguments)
        twin.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0, sample_weight=W)
        assert same_bits(model.get_weights(), twin.get_weights())
    assert model.evaluate(cut(X, Y, W)) == model.evaluate(X, Y, sample_weight=W)
    assert model.evaluate(iter(cut(X, Y))) == model.evaluate(X, Y)


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "binary_crossentropy", "categorical_crossentropy"])
def test_batches_of_other_losses_with_class_weight(loss):
    x, y = make_data(loss, rows=48, units=1 if loss[0] == "b" else 3)
    units = 1 if loss[0] == "b" else 3
    model, twin = (make_model(loss, units=units) for _ in range(2))
    arguments = {"class_weight": {0: 2.0, 1: 0.5}, "epochs": 2, "verbose": 0}
    model.fit(endless(cut(x, y)), steps_per_epoch=3, **arguments)
    twin.fit(x, y, batch_size=16, shuffle=False, **arguments)
    assert same_bits(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("steps, size", [(1, 16), (2, 16), (5, 16), (3, 10), (7, 48)])
def test_steps_per_epoch_of_arrays(steps, size, executor):
    """Epochs are parts of an endless run through the rows; without shuffling, in their order."""
    model, twin = (make_model(optimizer="adam", executor=executor) for _ in range(2))
    model.fit(X, Y, batch_size=size, steps_per_epoch=steps, epochs=3, shuffle=False, verbose=0)
    rows = np.arange(3 * steps * size) % 48
    twin.fit(X[rows], Y[rows], batch_size=size, shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


def test_steps_per_epoch_shuffles_as_epochs_do():
    """All rows come once before one comes twice; a fit goes on with other orders; the seed tells them."""
    seen = []

    class See(Callback):
        def on_epoch_begin(self, epoch, logs):
            seen.append(self.model._engine.run.data.x[:, 0].copy())

    models = [make_model(), make_model()]
    for model in models:
        for _ in range(2):
            model.fit(X, Y, batch_size=8, steps_per_epoch=2, epochs=3, verbose=0, callbacks=[See()])
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:6])
    assert sorted(first) == sorted(second) == sorted(X[:, 0]) and not np.array_equal(first, second)
    assert all(np.array_equal(a, b) for a, b in zip(seen[:6], seen[6:], strict=True))
    assert same_bits(*(model.get_weights() for model in models))


def test_as_many_steps_as_there_are_batches_is_the_usual_epoch():
    models = [make_model(), make_model()]
    models[0].fit(X, Y, batch_size=20, steps_per_epoch=3, epochs=2, verbose=0)
    models[1].fit(X, Y, batch_size=20, epochs=2, verbose=0)
    assert same_bits(*(model.get_weights() for model in models))


def test_a_shorter_last_batch():
    model, twin = make_model(), make_model()
    model.fit(cut(X, Y, size=20), epochs=2, verbose=0)
    twin.fit(X, Y, batch_size=20, epochs=2, shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_divergence_with_other_rows_in_each_epoch(executor):
    """The weights go back to the last finite ones by the rows of their own epoch."""
    bad = [(X[:16], Y[:16])] * 4 + [(X[16:32], Y[16:32] * 1e200)] * 2
    model, twin = (make_model(executor=executor) for _ in range(2))
    with pytest.raises(DivergenceError):
        model.fit(iter(bad), steps_per_epoch=2, epochs=3, verbose=0)
    twin.fit(bad[:4], verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    if model._engine.updates == 4:
        assert same_bits(model.get_weights(), twin.get_weights())


def test_ctrl_c_in_a_generator():
    """It counts at once, as in all code of the user's; the weights are those of the epochs before."""
    went_on = []

    def source():
        for k, batch in enumerate(cut(X, Y) * 2):
            if k == 4:
                signal.raise_signal(signal.SIGINT)
                went_on.append(k)
            yield batch

    model, twin = make_model(), make_model()
    with pytest.raises(KeyboardInterrupt):
        model.fit(source(), steps_per_epoch=2, epochs=3, verbose=0)
    twin.fit(cut(X, Y) + cut(X, Y)[:1], verbose=0)
    assert not went_on and same_bits(model.get_weights(), twin.get_weights()) and len(model.history.epoch) == 2


def test_arrays_of_the_user_are_not_changed():
    x, y = X.copy(), Y.copy()
    make_model().fit([(x, y)], epochs=2, verbose=0)
    make_model().fit(x, y, batch_size=48, steps_per_epoch=3, epochs=2, verbose=0)
    make_model().fit(iter([(x, y), (x + 1, y)]), steps_per_epoch=1, epochs=2, verbose=0)
    assert np.array_equal(x, X) and np.array_equal(y, Y)


def test_callbacks_and_validation_with_batches(tmp_path):
    """A checkpoint is a model to load, but no training to resume."""
    path = tmp_path / "m.safetensors"
    callbacks = [EarlyStopping("val_loss", patience=2), ModelCheckpoint(path)]
    model = make_model()
    history = model.fit(
        endless(cut(X, Y)), steps_per_epoch=2, epochs=4, validation_data=(X, Y), callbacks=callbacks, verbose=0
    )
    assert len(history.history["val_loss"]) == 4
    with pytest.raises(ValueError, match="no training that could be resumed"):
        make_model().fit(X, Y, epochs=4, callbacks=callbacks, resume=path, verbose=0)
    with pytest.raises(ValueError, match="resume needs all rows in each epoch"):
        make_model().fit(X, Y, steps_per_epoch=7, callbacks=callbacks, resume=True, verbose=0)


def test_normalization_needs_all_rows():
    def model():
        found = Sequential([Normalization(), Dense(3)], seed=1)
        found.compile()
        return found

    with pytest.raises(ValueError, match="Normalization takes its statistics from all rows: fit first on arrays"):
        model().fit(endless(cut(X, Y)), steps_per_epoch=2, verbose=0)
    fitted, twin = model(), model()
    fitted.fit(cut(X, Y), verbose=0)
    twin.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
    assert same_bits(fitted.get_weights(), twin.get_weights())
    fitted.fit(endless(cut(X, Y)), steps_per_epoch=2, epochs=2, verbose=0)
    assert same_bits(fitted.get_weights()[:2], twin.get_weights()[:2])


def test_codes_of_later_batches_are_checked():
    """A kernel writes where they point."""
    good = np.column_stack([np.arange(48) % 3, X])
    bad = good.copy()
    bad[:, 0] = 7
    model = Sequential([Embedding({0: 3}), Dense(3)], seed=1)
    model.compile()
    with pytest.raises(ValueError, match="holds 7 at row 0, column 0, but Embedding expects the codes"):
        model.fit(iter([(good, Y), (good, Y), (bad, Y)]), steps_per_epoch=1, epochs=3, verbose=0)
    assert model._engine.updates == 2


ONE = (X[:8], Y[:8])
REFUSED = {
    "an iterator without steps": (lambda: iter([ONE]), {}, "steps_per_epoch is needed with an iterator"),
    "an iterator that ends": (lambda: iter([ONE] * 3), {"steps_per_epoch": 2, "epochs": 2}, "x ended after 3 batches"),
    "an iterator with y": (lambda: iter([ONE]), {"y": Y}, "y must be left out where x is an iterator"),
    "no pair": (lambda: iter([X]), {"steps_per_epoch": 1}, r"batch 0 of x must be a tuple \(x, y\)"),
    "four parts": (lambda: [(X, Y, W, W)], {}, r"batch 0 of x must be a tuple \(x, y\)"),
    "other rows": (lambda: [ONE, (X[:8], Y[:7])], {}, "batch 1 of x must be .* with the same rows"),
    "an empty batch": (lambda: [(X[:0], Y[:0])], {}, "batch 0 of x must be .* with the same rows"),
    "sizes": (lambda: [ONE, (X[:9], Y[:9])], {}, "batch 1 has 9 rows, but the first has 8"),
    "a short one within": (lambda: [ONE, (X[:5], Y[:5]), ONE], {}, "batch 1 has 5 rows, but the first has 8"),
    "sizes of epochs": (
        lambda: iter([ONE, (X[:9], Y[:9])]),
        {"steps_per_epoch": 1, "epochs": 2},
        "each epoch must have batches of the same size",
    ),
    "widths": (lambda: [ONE, (X[:8, :3], Y[:8])], {}, "the batches of x do not fit together"),
    "widths of epochs": (
        lambda: iter([ONE, (X[:8, :3], Y[:8])]),
        {"steps_per_epoch": 1, "epochs": 2},
        "x has 3 features, but the model takes 5",
    ),
    "weights of some": (lambda: [ONE, (*ONE, W[:8])], {}, "some batches have a sample_weight"),
    "weights later": (
        lambda: iter([ONE, (*ONE, W[:8])]),
        {"steps_per_epoch": 1, "epochs": 2},
        "those of the first epoch had none",
    ),
    "sample_weight beside": (lambda: [ONE], {"sample_weight": W[:8]}, "sample_weight is their third entry"),
    "a split": (lambda: [ONE], {"validation_split": 0.5}, "validation_split does not go"),
    "a split of steps": (lambda: X, {"y": Y, "steps_per_epoch": 9, "validation_split": 0.5}, "give validation_data"),
    "nothing": (lambda: [], {}, "y is None"),
    "an empty Sequence": (lambda: Sequence([]), {}, "gave no batches"),
    "lengths": (lambda: X, {"y": Y[:7], "steps_per_epoch": 9}, "y must have one row for each row of x"),
    "NaN later": (
        lambda: iter([ONE, (X[:8] * np.nan, Y[:8])]),
        {"steps_per_epoch": 1, "epochs": 2},
        "x holds NaN",
    ),
    "batch normalization": (lambda: [(X[:1], Y[:1])], {"layers": True}, "needs batches of at least 2 rows"),
}


@pytest.mark.parametrize("make, arguments, message", list(REFUSED.values()), ids=list(REFUSED))
def test_batches_that_are_refused(make, arguments, message):
    """With a reason; weights are those after the last epoch that could be trained."""
    arguments = dict(arguments)
    model = make_model()
    if arguments.pop("layers", False):
        model = Sequential([Dense(3), BatchNormalization(), Dense(3)])
        model.compile()
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(make(), verbose=0, **arguments)


def test_a_list_of_rows_is_no_list_of_batches():
    model, twin = make_model(), make_model()
    model.fit(X.tolist(), Y.tolist(), verbose=0)
    twin.fit(X, Y, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())
    with pytest.raises(TypeError, match="y is None"):
        model.fit(X.tolist())
