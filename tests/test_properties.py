"""Any model on any shape of data: the executors agree, and training is a function of the seed."""

import pytest
from helpers import TOLERANCE, batch_for, deviation, make_data, same_bits
from hypothesis import given, settings
from hypothesis import strategies as some

from fastml import ACTIVATIONS, INITIALIZERS, LOSSES, OPTIMIZERS, Dense, DivergenceError, Sequential
from fastml.compiled import DTYPES

SIZES = some.sampled_from([1, 2, 3, 7, 8, 13, 16, 17, 31, 33, 48, 49, 65])


@some.composite
def trainings(draw):
    """What it takes to train a model twice in the same way.

    In float32 by SGD alone: the other optimizers scale gradients to one size, also those that are rounding alone.
    """
    loss = draw(some.sampled_from(sorted(LOSSES)))
    dtype = draw(some.sampled_from(DTYPES))
    units = draw(SIZES.filter(lambda size: size > 1 or LOSSES[loss].link != "softmax"))
    hidden = some.tuples(SIZES, some.sampled_from(sorted(ACTIVATIONS)), some.sampled_from(sorted(INITIALIZERS)))
    return {
        "loss": loss,
        "hidden": draw(some.lists(hidden, max_size=3)),
        "units": units,
        "optimizer": draw(some.sampled_from(sorted(OPTIMIZERS) if dtype == "float64" else ["sgd"])),
        "dtype": dtype,
        "seed": draw(some.integers(0, 2**64 - 1)),
        "data": make_data(loss, rows=draw(SIZES), d_in=draw(SIZES), units=units, seed=draw(some.integers(0, 99))),
        "batch_size": draw(SIZES),
    }


def trained(case, executor):
    layers = [Dense(width, activation, kernel_initializer=start) for width, activation, start in case["hidden"]]
    layers.append(Dense(case["units"], LOSSES[case["loss"]].link))
    model = Sequential(layers, dtype=case["dtype"], seed=case["seed"])
    model.compile(case["optimizer"], case["loss"], executor=executor)
    x, y = case["data"]
    model.fit(x, y, batch_for(case["optimizer"], len(x), case["batch_size"]), epochs=2, verbose=0)
    return model


@settings(max_examples=150, deadline=None, derandomize=True)
@given(trainings())
def test_executors_agree_and_repeat(case):
    try:
        model = trained(case, "compiled")
    except DivergenceError:  # such as by an exponential of exponentials
        with pytest.raises(DivergenceError):
            trained(case, "numpy")
        return
    reference = trained(case, "numpy")
    x, _ = case["data"]
    for got, expected in zip(model.get_weights(), reference.get_weights(), strict=True):
        assert deviation(got, expected) <= TOLERANCE[case["dtype"]]
    assert deviation(model.predict(x), reference.predict(x)) <= TOLERANCE[case["dtype"]]
    assert same_bits(model.get_weights(), trained(case, "compiled").get_weights())
