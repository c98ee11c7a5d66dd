"""model.profile: every instruction of a step once, times that add up, a model that stays as it is."""

import numpy as np
import pytest
from helpers import same_bits

import fastml
from fastml import Adam, BatchNormalization, Dense, Dropout, Sequential
from fastml.kernels.cpu import BITS
from fastml.kernels.peak import CHAINS, chains
from fastml.profiling import PRODUCTS, bytes_of, peak
from fastml.program.program import disassembled


def net(executor="compiled", **options):
    layers = [Dense(40, "tanh"), Dropout(0.2), BatchNormalization(), Dense(3, "softmax")]
    model = Sequential(layers, input_dim=20, seed=1, **options)
    model.compile(Adam(0.01, global_clipnorm=1.0), "sparse_categorical_crossentropy", ["accuracy"], executor=executor)
    return model


def data(rows=200):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 20)), rng.integers(0, 3, rows)


@pytest.mark.parametrize("executor", ["compiled", "numpy"])
def test_every_instruction_has_a_line_and_the_model_stays_as_it_was(executor):
    model = net(executor)
    x, y = data()
    model.fit(x, y, verbose=0)
    before = [*model.get_weights(), model._engine.buffers.state.copy()]
    random = model.fit(x, y, verbose=0).history["loss"]
    other = net(executor)
    other.fit(x, y, verbose=0)
    profile = other.profile(x, y, batch_size=50, seconds=0.02)
    assert same_bits([*other.get_weights(), other._engine.buffers.state], before)
    assert other.fit(x, y, verbose=0).history["loss"] == random and other.stop_training is False
    ops = [s["op"] for s in disassembled(other._engine.program.training) if s["op"]]
    assert [line.op.split(",")[0] for line in profile.lines] == ["between steps", *ops]
    assert profile.batch == 50 and profile.threads == 1 and profile.steps >= 4
    assert sum(line.seconds for line in profile.lines) == pytest.approx(profile.seconds)
    assert sum(line.share for line in profile.lines) == pytest.approx(1)
    assert all(line.seconds >= 0 for line in profile.lines)
    assert profile.flop == 2 * 50 * (20 * 40 * 2 + 3 * 40 * 3)  # no gradient of the data
    rates = {line.op.split(",")[0]: (line.gflops > 0, line.layer) for line in profile.lines if line.sizes}
    assert all(rates[op][0] == (op in PRODUCTS) for op in rates)
    assert rates["dense_forward"][1] == "3. Dense" and rates["adam_update"][1] == ""


def test_it_prints_as_a_table():
    model = net()
    text = str(model.profile(*data(), seconds=0.01)).split("\n")
    assert text[0].split() == ["operation", "layer", "sizes", "µs", "share", "GFLOP/s", "of", "the", "peak", "GB/s"]
    assert "dense_forward, tanh" in text[3 + 0] or any("dense_forward, tanh" in line for line in text)
    assert "32 x 20 x 40" in "\n".join(text) and "µs a step of 32 rows, one thread" in text[-1]


def test_times_are_those_of_the_instructions(monkeypatch):
    """An update of many weights takes the larger part of a step of one row, and the step what fit takes."""
    model = Sequential([Dense(2000), Dense(2000)], input_dim=500)
    model.compile("adam", "mse")
    x, y = np.ones((4, 500)), np.ones((4, 2000))
    profile = model.profile(x, y, batch_size=1, seconds=0.3)
    longest = max(profile.lines, key=lambda line: line.seconds)
    assert longest.op in ("adam_update", "dense_backward_weights", "barrier")
    moved = {line.op: line for line in profile.lines}["adam_update"]
    assert moved.seconds > 1e-4 and 0 < moved.gbytes < 1000


@pytest.mark.parametrize("weights", [None, "rows", "classes"])
def test_weights_of_rows_are_taken(weights):
    model, (x, y) = net(), data()
    options = {"rows": {"sample_weight": np.ones(len(x))}, "classes": {"class_weight": "balanced"}}.get(weights, {})
    ops = [line.op for line in model.profile(x, y, seconds=0.01, **options).lines]
    assert ("gather, weights" in ops) == (weights is not None)


def test_bytes_count_each_array_once():
    s = {"op": "adam_update", "W": 0, "size": 100}
    assert bytes_of(s, 7, "float32") == 4 * 4 * 100  # W, dW, m, v
    s = {
        "op": "dense_forward",
        "x": 0,
        "W": 0,
        "b": 5000,
        "z": 900,
        "a": 900,
        "scratch": 0,
        "room": 640,
        "d_in": 20,
        "d_out": 40,
    }
    assert bytes_of(s, 7, "float64") == 8 * (7 * 20 + 20 * 40 + 40 + 7 * 40)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_peak(dtype):
    """What the multiply-adds give is their sum, so that none is left out; the rate is one that a CPU can have."""
    real = np.dtype(dtype).type
    lanes = BITS // (8 * real(0).itemsize)
    assert lanes and chains(real(1), real(0), 5) == CHAINS  # v = 0·v + 1 in each chain
    assert chains(real(0.5), real(1), 4) == sum(0.5 * (k + 1) + 4 * 0.5 for k in range(CHAINS))
    assert 1 < peak(dtype) < 2000


def test_bad_arguments():
    model, (x, y) = net(), data()
    with pytest.raises(ValueError, match=r"seconds must be in \(0, inf\), got 0"):
        model.profile(x, y, seconds=0)
    with pytest.raises(TypeError, match="seconds must be a number"):
        model.profile(x, y, seconds="long")
    with pytest.raises(ValueError, match="y must have one row for each row of x|rows"):
        model.profile(x, y[:5])
    with pytest.raises(RuntimeError, match="call compile"):
        Sequential([Dense(1)]).profile(x, y)


def test_threads(monkeypatch):
    """Times are means of the threads, and products are shared out."""
    if fastml.get_num_threads() < 2:
        pytest.skip("one CPU")
    model = Sequential([Dense(256, "relu"), Dense(256, "relu"), Dense(1)], input_dim=256)
    model.compile("adam", "mse")
    x = np.ones((512, 256))
    profile = model.profile(x, x[:, :1], batch_size=256, seconds=0.1)
    assert profile.threads == 2 and "2 threads" in str(profile)
    assert sum(line.op == "barrier" for line in profile.lines) >= 2
