"""The two executors agree: compiled kernels and NumPy reference train the same weights from the same program."""

import numpy as np
import pytest
from helpers import TOLERANCE, batch_for, deviation, make_data, make_model, metric_for, metrics_for

from fastml import ACTIVATIONS, LOSSES, OPTIMIZERS, SGD, Dense, Sequential
from fastml.program.compiled import DTYPES

MODELS = [(hidden, loss, LOSSES[loss].link) for hidden in ACTIVATIONS for loss in LOSSES]
MODELS += [("tanh", loss, "linear") for loss in LOSSES if LOSSES[loss].link != "linear"]
MODELS += [("tanh", "mean_squared_error", output) for output in ACTIVATIONS if output != "linear"]


PIECEWISE = {"linear", "relu", "leaky_relu", "hard_sigmoid"}  # whose slopes are a few numbers


def all_cases():
    """Each model with one of the optimizers in turn, so that each of these meets every activation and every loss.

    In float32 the optimizer is SGD: the others make steps of gradients that are rounding alone. So does Rprop in
    float64 where slopes are a few numbers, whose sum over the rows may be 0: there the loss is another.
    """
    losses, optimizers = list(LOSSES), list(OPTIMIZERS)
    assert len(losses) >= len(optimizers) and len(ACTIVATIONS) >= len(optimizers)
    cases = []
    for hidden, loss, output in MODELS:
        turn = list(ACTIVATIONS).index(hidden) + losses.index(loss)
        optimizer = optimizers[turn % len(optimizers)]
        rounding = optimizer == "rprop" and loss == "mean_absolute_error" and hidden in PIECEWISE
        cases.append((hidden, "mean_squared_error" if rounding else loss, output, optimizer, "float64"))
        cases.append((hidden, loss, output, "sgd", "float32"))
    return cases


CASES = all_cases()


@pytest.mark.parametrize("hidden, loss, output, optimizer, dtype", CASES)
def test_executors_agree_after_20_steps(hidden, loss, output, optimizer, dtype):
    """50 rows in shuffled batches of 16, the last of 2, through 5 epochs: weights and all logs are equal.

    Rprop makes its 20 steps on all rows.
    """
    x, y = make_data(loss, rows=50)
    compiled, reference = (
        make_model(loss, optimizer, hidden, output, dtype=dtype, metrics=metrics_for(loss), executor=executor)
        for executor in ("compiled", "numpy")
    )
    if hidden == "exponential":  # an exponential of exponentials overflows soon
        x = 0.1 * x
        for model in (compiled, reference):
            model.build(5)
            model.set_weights([0.2 * w for w in model.get_weights()])
    batch_size = batch_for(optimizer, 50, 16)
    run = {"batch_size": batch_size, "epochs": 20 if batch_size == 50 else 5, "verbose": 0}
    histories = [m.fit(x, y, **run).history for m in (compiled, reference)]
    for got, expected in zip(compiled.get_weights(), reference.get_weights(), strict=True):
        assert got.dtype == expected.dtype == dtype
        assert deviation(got, expected) <= TOLERANCE[dtype]
    assert list(histories[0]) == list(histories[1]) == ["loss", *metrics_for(loss)]
    for name in histories[0]:
        assert deviation(*(np.array(history[name]) for history in histories)) <= TOLERANCE[dtype]


def test_every_optimizer_meets_every_activation_and_every_loss():
    pairs = {(optimizer, name) for hidden, loss, _, optimizer, _ in CASES for name in (hidden, loss)}
    assert pairs == {(optimizer, name) for optimizer in OPTIMIZERS for name in (*ACTIVATIONS, *LOSSES)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("widths", [(1, 1, 1), (1, 17, 2), (33, 3, 16), (64, 65, 5), (100, 31, 1)])
def test_executors_agree_for_odd_widths(widths, dtype):
    """Widths beside every multiple of a vector, with gradients that flow through two layers."""
    d_in, hidden, units = widths
    x, y = make_data("mean_squared_error", rows=37, d_in=d_in, units=units)
    weights = []
    for executor in ("compiled", "numpy"):
        layers = [Dense(hidden, "tanh"), Dense(hidden, "sigmoid"), Dense(units)]
        model = Sequential(layers, seed=3, dtype=dtype)
        model.compile(SGD(0.1), "mean_squared_error", executor=executor)
        model.fit(x, y, batch_size=10, epochs=5, verbose=0)
        weights.append(model.get_weights())
    for got, expected in zip(*weights, strict=True):
        assert np.abs(got - expected).max() <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_predict_evaluate_and_gradients_agree(loss, dtype):
    x, y = make_data(loss)
    models = [make_model(loss, metrics=[metric_for(loss)], dtype=dtype, executor=e) for e in ("compiled", "numpy")]
    atol = TOLERANCE[dtype]
    np.testing.assert_allclose(*(m.predict(x) for m in models), rtol=0, atol=atol)
    np.testing.assert_allclose(*(m.evaluate(x, y) for m in models), rtol=0, atol=atol)
    (loss_a, grads_a), (loss_b, grads_b) = (m.gradients(x, y) for m in models)
    assert loss_a == pytest.approx(loss_b, rel=0, abs=atol)
    for got, expected in zip(grads_a, grads_b, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=atol)
