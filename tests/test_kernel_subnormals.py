"""Numbers next to 0: 0 while the executor runs, themselves before and after, in every thread."""

import numpy as np
import pytest
from many_threads import LITTLE
from numba import njit

from fastml import SGD, BatchNormalization, Dense, DivergenceError, Sequential
from fastml.kernels.subnormals import flush_subnormals, restore_control
from fastml.optimizers import OPTIMIZERS
from fastml.program.compiled import DTYPES


@njit
def halved(values, flushed):
    """Half of each value, with subnormal numbers as 0 if `flushed`."""
    out = np.empty_like(values)
    control = flush_subnormals() if flushed else 0
    for k in range(values.size):
        out[k] = values[k] / 2
    if flushed:
        restore_control(control)
    return out


@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_results_and_operands_are_0(dtype):
    tiny = np.finfo(dtype).tiny
    values = np.array([1.0, 4 * tiny, 1.5 * tiny, tiny / 2, tiny / 4], dtype)
    np.testing.assert_array_equal(halved(values, True), np.where(values >= 2 * tiny, values / 2, 0))
    np.testing.assert_array_equal(halved(values, False), values / 2)
    assert (halved(values, False) > 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_python_keeps_its_subnormal_numbers(dtype):
    """After a training, a prediction and one that did not end well, in the thread that called."""
    model = Sequential([Dense(1)], input_dim=1, dtype=dtype, seed=1)
    model.compile(SGD(0.1))
    tiny, x, y = np.finfo(dtype).tiny, np.ones((4, 1)), np.ones(4)

    def keeps():
        return (np.array([tiny], dtype) / 4 > 0).all() and 5e-324 > 0

    model.fit(x, y, verbose=0)
    assert keeps()
    model.predict(x)
    assert keeps()
    model.optimizer.learning_rate = 1e38
    with pytest.raises(DivergenceError):
        model.fit(x, 2 * y, epochs=50, verbose=0)
    assert keeps()


TURNS = [(dtype, name, 1 + (i + k) % 3) for i, dtype in enumerate(DTYPES) for k, name in enumerate(OPTIMIZERS)]


@pytest.mark.parametrize("dtype, name, threads", TURNS)
def test_a_training_that_has_nothing_left_to_learn_makes_no_subnormal_number(dtype, name, threads, monkeypatch):
    """Whichever thread computes: its steps would take many times as long."""
    monkeypatch.setattr("fastml.program.threads.available", lambda: threads)
    monkeypatch.setattr("fastml.program.plan.SHARED", LITTLE)
    rng, tiny = np.random.default_rng(0), np.finfo(dtype).tiny
    x = rng.normal(size=(96, 5)) * 10.0 ** rng.integers(-30 if dtype == "float32" else -200, 1, size=(96, 1))
    model = Sequential([Dense(17, "tanh"), BatchNormalization(), Dense(1)], input_dim=5, dtype=dtype, seed=1)
    model.compile(name)
    model.fit(x, 0 * x[:, 0], batch_size=96, epochs=300, verbose=0)
    buffers = model._engine.buffers
    for array in (buffers.params, buffers.grads, buffers.state, buffers.work):
        finite = array[np.isfinite(array)]
        assert ((finite == 0) | (np.abs(finite) >= tiny)).all()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_and_gradients_next_to_0_are_0_in_every_thread(dtype, threads, monkeypatch):
    """Also where no update follows that flushes them: the executor does, from its beginning to its end."""
    monkeypatch.setattr("fastml.program.threads.available", lambda: threads)
    monkeypatch.setattr("fastml.program.plan.SHARED", LITTLE)
    small = np.sqrt(np.finfo(dtype).tiny) / 4  # its square is subnormal
    model = Sequential([Dense(4)], input_dim=4, dtype=dtype, seed=1)
    model.compile(SGD(0.0))
    model.set_weights([small * np.eye(4), np.zeros(4)])
    x = np.full((96, 4), small)
    assert (np.array(small, dtype) ** 2 > 0).all(), "subnormal in Python"
    assert (model.predict(x) == 0).all()
    model.fit(x, np.full((96, 4), -small), batch_size=96, verbose=0)
    tiny = np.finfo(dtype).tiny
    for array in (model._engine.buffers.grads, model._engine.buffers.work):
        assert ((array == 0) | (np.abs(array) >= tiny)).all()


AVERAGES = [name for name in OPTIMIZERS if name not in ("sgd", "adagrad", "rprop")]  # these keep none that shrinks


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*AVERAGES, "momentum", "nesterov"])
def test_moments_behind_a_dead_unit_become_0(name, dtype):
    """And stay in none of the states that make arithmetic slow."""
    model = Sequential([Dense(2, "relu", bias_initializer=[1.0, -1e3]), Dense(1)], input_dim=2, dtype=dtype, seed=1)
    model.compile(SGD(0.01, momentum=0.9, nesterov=name == "nesterov") if name.endswith(("mentum", "rov")) else name)
    x = np.random.default_rng(0).normal(size=(16, 2))
    model.fit(x, x[:, 0], batch_size=16, epochs=1, verbose=0)
    state, tiny = model._engine.buffers.state, np.finfo(dtype).tiny
    before = state.copy()
    state[state == 0] = 1.5 * tiny
    model.fit(x, x[:, 0], batch_size=16, epochs=1000, verbose=0)
    assert (before == 0).any() and not (state[before == 0] == 1.5 * tiny).all()
    assert ((state == 0) | (np.abs(state) >= tiny)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_running_statistics_of_a_dead_unit_become_0(dtype):
    model = Sequential([Dense(2), BatchNormalization(), Dense(1)], input_dim=2, dtype=dtype, seed=1)
    model.compile(SGD(0.0))
    tiny = np.finfo(dtype).tiny
    W, b, gamma, beta, mean, variance, *rest = model.get_weights()
    model.set_weights([0 * W, b, gamma, beta, mean + 1.5 * tiny, variance * 1.5 * tiny, *rest])
    model.fit(np.ones((16, 2)), np.ones(16), batch_size=16, epochs=20, verbose=0)
    assert not np.any(model.get_weights()[4:6])
