"""The loop around an executor: determinism, interruption, divergence."""

import _thread
import copy
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

from fastml import LOSSES, OPTIMIZERS, SGD, Adam, Callback, Dense, DivergenceError, Embedding, Schedule, Sequential
from fastml.program import reference
from fastml.program.compiled import DTYPES
from fastml.program.executors import EXECUTORS
from fastml.training import run as training
from fastml.training import snapshots

# Determinism


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_seed_gives_the_same_bits(loss, executor, dtype):
    x, y = make_data(loss)
    models = [make_model(loss, "adam", dtype=dtype, executor=executor, seed=seed) for seed in (6, 6, 7)]
    histories = [m.fit(x, y, epochs=5, verbose=0).history for m in models]
    a, b, other = (m.get_weights() for m in models)
    assert same_bits(a, b) and histories[0] == histories[1]
    assert not same_bits(a, other)


def test_the_order_of_rows_follows_the_seed():
    """Two models with the same weights but other seeds see the rows in another order."""
    x, y = make_data("mean_squared_error")
    a, b = make_model(seed=1, input_dim=5), make_model(seed=2, input_dim=5)
    b.set_weights(a.get_weights())
    for model in (a, b):
        model.fit(x, y, verbose=0)
    assert not same_bits(a.get_weights(), b.get_weights())


def test_each_epoch_has_an_order_of_its_own():
    """With one row a step, an epoch that used the order of the one before would leave other weights."""
    orders = []
    x = np.arange(8.0).reshape(-1, 1)
    for epochs in (1, 2):
        model = make_model(units=1, seed=4, executor="numpy")
        gathered = []

        def spy(x, gathered=gathered, **arguments):
            reference.gather(x=x, **arguments)
            gathered.append(int(x[0, 0]))  # of the inputs, then of the targets

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(reference.FUNCTIONS, "gather", spy)
            model.fit(x, x, batch_size=1, epochs=epochs, verbose=0)
        orders.append(gathered[::2])
    first, second = orders[1][:8], orders[1][8:]
    assert orders[0] == first
    assert sorted(first) == sorted(second) == list(range(8))
    assert first != second


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("seconds", [0, 1e-4, 100])
def test_the_length_of_chunks_does_not_matter(seconds, executor, monkeypatch):
    x, y = make_data("mean_squared_error")
    usual, other = make_model(optimizer="adam", executor=executor), make_model(optimizer="adam", executor=executor)
    expected = usual.fit(x, y, batch_size=8, epochs=7, verbose=0).history
    monkeypatch.setattr(training, "CHUNK_SECONDS", seconds)
    assert other.fit(x, y, batch_size=8, epochs=7, verbose=0).history == expected
    assert same_bits(usual.get_weights(), other.get_weights())


# Interruption


class Interrupt:
    """Presses Ctrl-C after some seconds, and remembers when."""

    def __init__(self, after):
        self.after = after

    def press(self):
        self.time = time.perf_counter()
        _thread.interrupt_main()

    def __enter__(self):
        self.timer = threading.Timer(self.after, self.press)
        self.timer.start()
        return self

    def __exit__(self, *error):
        self.timer.cancel()
        self.timer.join()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_ctrl_c_stops_at_once_and_keeps_the_last_complete_step(executor):
    """In the middle of an epoch. A fresh model trained on the rows of exactly these steps has the same bits."""
    rows, batch = 200_000, 2
    x, y = np.random.default_rng(0).normal(size=(2, rows, 8)).astype(np.float32)

    def build():
        layers = [Dense(256, "tanh"), Dense(256, "tanh"), Dense(8)]
        model = Sequential(layers, seed=3)
        model.compile("adam", "mean_squared_error", executor=executor)
        return model

    model, fresh = build(), build()
    model.fit(x[:10], y[:10], verbose=0)  # loads the executor
    fresh.fit(x[:10], y[:10], verbose=0)
    before = model._engine.updates
    with Interrupt(after=0.3) as interrupt, pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=batch, epochs=100, shuffle=False, verbose=0)
    assert time.perf_counter() - interrupt.time < 0.5
    steps = model._engine.updates - before
    assert 0 < steps < rows // batch
    fresh.fit(x[: steps * batch], y[: steps * batch], batch_size=batch, shuffle=False, verbose=0)
    assert fresh._engine.updates == model._engine.updates
    assert same_bits(model.get_weights(), fresh.get_weights())
    for m in (model, fresh):
        m.fit(x[:100], y[:100], shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), fresh.get_weights()), "the optimizer's state is not that of a complete step"


def test_ctrl_c_between_many_short_epochs():
    """History holds the completed epochs, and the model goes on from there."""
    x, y = make_data("mean_squared_error")
    model, fresh = make_model(optimizer="adam"), make_model(optimizer="adam")
    model.predict(x)
    with Interrupt(after=1), pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=50, epochs=10**6, verbose=0)
    done = len(model.history.epoch)
    assert 0 < done == model._engine.updates
    fresh.fit(x, y, batch_size=50, epochs=model._engine.updates, verbose=0)
    assert same_bits(model.get_weights(), fresh.get_weights())
    assert model.history.history["loss"] == fresh.history.history["loss"][:done]
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("when", ["before", "within"])
def test_ctrl_c_in_the_middle_of_a_reference_step(when, monkeypatch):
    """Python can be interrupted between any two lines of an update: that step is finished first."""
    x, y = make_data("mean_squared_error")
    model, fresh = (make_model(optimizer="adam", executor="numpy") for _ in range(2))
    op, calls = OPTIMIZERS["adam"].op, []
    original = reference.FUNCTIONS[op]

    def interrupted(**arguments):
        calls.append(arguments)
        if len(calls) == 6 and when == "before":
            signal.raise_signal(signal.SIGINT)
        original(**arguments)
        if len(calls) == 6 and when == "within":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setitem(reference.FUNCTIONS, op, interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=50, epochs=9, shuffle=False, verbose=0)
    monkeypatch.undo()
    fresh.fit(x, y, batch_size=50, epochs=6, shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), fresh.get_weights())
    assert model._engine.updates == 6
    for m in (model, fresh):
        m.fit(x, y, batch_size=50, epochs=3, shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), fresh.get_weights())


# Divergence


def overflowing(executor="compiled", optimizer=None, rows=50):
    """A model and data with one huge number, in a column of zeros, whose weights start at 0.

    The loss of its row is finite, as the number is multiplied with 0. The gradient of that weight is beyond float32: in
    batches of 10 the fourth update makes it infinite, and only the fifth loss shows it.
    """
    x, y = make_data("mean_squared_error", rows=rows)
    x[:, 0], y[35] = 0, 1e3
    x[35, 0] = 3e38
    model = Sequential([Dense(3, kernel_initializer="zeros")], seed=1)
    model.compile(optimizer or SGD(0.01), "mean_squared_error", executor=executor)
    return model, x, y


@pytest.fixture
def restored(monkeypatch):
    """A list of the steps from which the training was taken back to its copy."""
    found, restore = [], snapshots.Snapshot.restore

    def noted(self):
        found.append(self.run.step)
        restore(self)

    monkeypatch.setattr(snapshots.Snapshot, "restore", noted)
    return found


SCHEDULE = {"batch_size": 10, "shuffle": False, "verbose": 0}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_overflowing_weights_are_taken_back_to_the_last_finite_ones(executor, restored):
    """They are those of a run over the three batches before."""
    model, x, y = overflowing(executor)
    fresh, _, _ = overflowing(executor)
    with pytest.raises(DivergenceError, match="in epoch 1 of 4"):
        model.fit(x, y, epochs=4, **SCHEDULE)
    assert restored
    fresh.fit(x[:30], y[:30], **SCHEDULE)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert model._engine.updates == 3
    assert same_bits(model.get_weights(), fresh.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("optimizer", [Adam(), SGD(0.01, momentum=0.9)], ids=repr)
def test_the_optimizer_is_taken_back_with_the_weights(optimizer, executor, restored):
    """Its moments are those of the kept step: training goes on as if the overflow had not been."""
    (model, x, y), (fresh, _, _) = (overflowing(executor, copy.deepcopy(optimizer)) for _ in range(2))
    with pytest.raises(DivergenceError):
        model.fit(x, y, **SCHEDULE)
    assert restored
    fresh.fit(x[:30], y[:30], **SCHEDULE)
    for each in (model, fresh):
        each.fit(x[:30], y[:30], **SCHEDULE)
    assert same_bits(model.get_weights(), fresh.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_loss_that_overflows_with_finite_weights_leaves_them(executor):
    x, y = make_data("mean_squared_error")
    model = make_model(executor=executor, input_dim=5)
    before = model.get_weights()
    with pytest.raises(DivergenceError, match="in epoch 1 of 3"):
        model.fit(x, 1e200 * y, epochs=3, verbose=0)
    assert same_bits(model.get_weights(), before)
    assert model._engine.updates == 0
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()


def test_the_loss_diverges_in_the_middle_of_an_epoch():
    """The third of four batches overflows: two updates are kept, and the error names the epoch."""
    x, y = make_data("mean_squared_error")
    y[40:44] = 1e200
    model, fresh = make_model(), make_model()
    with pytest.raises(DivergenceError, match="in epoch 1 of 2"):
        model.fit(x, y, batch_size=20, epochs=2, shuffle=False, verbose=0)
    fresh.fit(x[:40], y[:40], batch_size=20, shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), fresh.get_weights())


class Jump(Schedule):
    """A small rate, and one that makes weights infinite for the update of this number."""

    steps = None

    def __init__(self, last):
        self.last = last

    def at(self, step, steps):
        return np.where(step == self.last, 3e38, 0.01)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("seconds", [0, 1e9])
@pytest.mark.parametrize("chunk", [0, 1e-5, 0.05])
def test_a_replay_from_any_snapshot_ends_at_the_same_weights(seconds, chunk, executor, monkeypatch, restored):
    """Also over several epochs of shuffled batches: the replay sees the rows in the same orders."""
    x, y = make_data("mean_squared_error", rows=64)
    monkeypatch.setattr(snapshots, "SNAPSHOT_SECONDS", seconds)
    monkeypatch.setattr(training, "CHUNK_SECONDS", chunk)
    for last in (0, 1, 27, 39):
        model, fresh = (make_model(optimizer=SGD(Jump(at)), dtype="float32", executor=executor) for at in (last, -1))
        restored.clear()
        with pytest.raises(DivergenceError):
            model.fit(x, 1e3 * y, batch_size=16, epochs=10, verbose=0)
        assert restored and model._engine.updates == last
        each = EachStep()
        monkeypatch.setattr(training, "CHUNK_SECONDS", 0)
        fresh.fit(x, 1e3 * y, batch_size=16, epochs=10, verbose=0, callbacks=[each])
        monkeypatch.setattr(training, "CHUNK_SECONDS", chunk)
        assert len(each.weights) == 41 and same_bits(each.weights[last], model.get_weights())


class EachStep(Callback):
    """The weights after each step, where chunks are single steps."""

    def __init__(self):
        self.weights = []

    def on_train_begin(self, logs):
        self.on_chunk_end()

    def on_chunk_end(self):
        self.weights.append(self.model.get_weights())


@pytest.mark.parametrize("seconds", [0, 1e9])
def test_a_replay_of_shuffled_epochs_ends_before_the_overflow(seconds, monkeypatch, restored):
    """Row by row; the order says after how many rows the huge one comes."""
    monkeypatch.setattr(snapshots, "SNAPSHOT_SECONDS", seconds)
    model, x, y = overflowing()
    fresh, _, _ = overflowing()
    with pytest.raises(DivergenceError):
        model.fit(x, y, batch_size=1, epochs=3, verbose=0)
    assert restored
    order = reference.permutation(model.seed, 0, 50)
    before = order[: order.tolist().index(35)]
    assert len(before) == model._engine.updates > 0
    fresh.fit(x[before], y[before], batch_size=1, shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), fresh.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_training_that_begins_with_a_state_that_is_not_finite_ends(value, executor):
    """There is nothing to go back to, and nothing to wait for."""
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer="adam", executor=executor, input_dim=5)
    model.build()
    model._engine.buffers.state[:] = value
    with pytest.raises(DivergenceError):
        model.fit(x, y, epochs=3, verbose=0)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX systems")
@pytest.mark.parametrize("stage", ["go_back", "go_on"])
def test_ctrl_c_ends_a_replay(stage, monkeypatch, restored):
    """The weights are finite ones, of a complete step."""
    model, x, y = overflowing()
    original = getattr(snapshots.Snapshot, stage)

    def interrupted(self, failed, hold):
        signal.raise_signal(signal.SIGINT)
        original(self, failed, hold)

    monkeypatch.setattr(snapshots.Snapshot, stage, interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=4, **SCHEDULE)
    assert restored and model._engine.updates < 4
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_training_begins_with_few_steps(executor, monkeypatch):
    """However long one takes, such as with a large embedding, the first chunk and the next are known to be short."""
    lengths, advance = [], training.Run.advance

    def noted(self, stop):
        lengths.append(stop - self.step)
        return advance(self, stop)

    monkeypatch.setattr(training.Run, "advance", noted)
    model = Sequential([Embedding({0: 20_000}, 16), Dense(1)], seed=1)
    model.compile("adam", "mean_squared_error", executor=executor)
    x = np.random.default_rng(0).integers(20_000, size=(400, 1))
    model.fit(x, x[:, 0] % 2, batch_size=4, epochs=5, verbose=0)
    assert lengths[0] == 30 and len(lengths) > 2  # 50 ms, if each of the 320 000 weights took 5 ns
    assert all(after <= training.GROWTH * before for before, after in zip(lengths, lengths[1:], strict=False))


def test_a_training_that_evaluates_rows_begins_with_a_single_step(monkeypatch):
    """What comes after each epoch may be much more work than its steps."""
    lengths, advance = [], training.Run.advance

    def noted(self, stop):
        lengths.append(stop - self.step)
        return advance(self, stop)

    monkeypatch.setattr(training.Run, "advance", noted)
    x, y = make_data("mean_squared_error")
    model = make_model()
    model.fit(x, y, epochs=50, verbose=0)
    model.fit(x, y, epochs=50, verbose=0, validation_data=(x, y))
    assert lengths[0] > 1 and 1 in lengths[1:]


def test_history_keeps_the_epochs_before_the_divergence():
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer=SGD(1.5), hidden="linear", dtype="float32")
    with pytest.raises(DivergenceError) as caught:
        model.fit(x, y, epochs=1000, verbose=0)
    losses = model.history.history["loss"]
    assert len(losses) == len(model.history.epoch) > 0
    assert np.isfinite(losses).all()
    assert f"in epoch {len(losses) + 1} of 1000" in str(caught.value)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_weights_that_overflow_in_the_last_step(executor, restored):
    """No later loss would tell: `fit` itself must not end with weights that are not finite."""
    model, x, y = overflowing(executor)
    fresh, _, _ = overflowing(executor)
    with pytest.raises(DivergenceError):
        model.fit(x[:40], y[:40], **SCHEDULE)
    assert restored
    fresh.fit(x[:30], y[:30], **SCHEDULE)
    assert same_bits(model.get_weights(), fresh.get_weights())


def run_python(code, seconds=30):
    """Runs a script that must end: a hang is a failure here."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=seconds, check=False
    )


@pytest.mark.parametrize("extra", ["", "callbacks=[fastml.Callback()], ", "validation_data=(x[:9], y[:9]), "])
def test_divergence_with_a_look_at_python_after_each_epoch(extra):
    """The overflow is an epoch's last step: a callback or validation comes before the loss that shows it."""
    result = run_python(f"""
        import numpy as np, fastml
        x, y = np.random.default_rng(0).normal(size=(2, 50, 3))
        x[35] *= 1e25
        model = fastml.Sequential([fastml.Dense(3)], seed=1)
        model.compile(fastml.SGD(0.01), "mean_squared_error")
        try:
            model.fit(x, y, batch_size=50, epochs=20, {extra}verbose=0)
        except fastml.DivergenceError as error:
            print("finite" if all(np.isfinite(w).all() for w in model.get_weights()) else "not finite", error)
    """)
    assert result.stdout.startswith("finite the loss or a weight became NaN or infinite in epoch"), result.stderr


def test_a_model_fits_again_after_an_overflow_in_the_last_step():
    """Whatever the first `fit` says, the second must end."""
    result = run_python("""
        import numpy as np, fastml
        x, y = np.random.default_rng(0).normal(size=(2, 50, 3))
        x[35] *= 1e25
        model = fastml.Sequential([fastml.Dense(3)], seed=1)
        model.compile(fastml.SGD(0.01), "mean_squared_error")
        for _ in range(3):
            try:
                model.fit(x, y, batch_size=50, verbose=0)
            except fastml.DivergenceError:
                pass
        print("finite" if all(np.isfinite(w).all() for w in model.get_weights()) else "not finite")
    """)
    assert result.stdout == "finite\n", result.stderr


def test_on_train_end_is_not_called_after_a_divergence():
    class Ended(Callback):
        ended = False

        def on_train_end(self, logs):
            self.ended = True

    callback = Ended()
    x, y = make_data("mean_squared_error")
    with pytest.raises(DivergenceError):
        make_model().fit(x, 1e200 * y, callbacks=[callback], verbose=0)
    assert not callback.ended


def test_models_train_in_several_threads_at_once():
    """The executor holds no state of its own: threads get the bits that they get alone."""
    x, y = make_data("mean_squared_error")
    alone = [make_model(seed=seed) for seed in range(4)]
    together = [make_model(seed=seed) for seed in range(4)]
    for model in alone:
        model.fit(x, y, epochs=200, verbose=0)
    threads = [threading.Thread(target=m.fit, args=(x, y), kwargs={"epochs": 200, "verbose": 0}) for m in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(alone, together, strict=True):
        assert same_bits(a.get_weights(), b.get_weights())
