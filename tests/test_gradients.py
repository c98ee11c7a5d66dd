"""`gradients` against central differences, in float64, for every activation and loss."""

import numpy as np
import pytest
from helpers import make_data, make_model, outputs_for

from fastml import ACTIVATIONS, LOSSES, Activation, Dense, Sequential

STEP = 1e-5
BOUND = 1e-8  # of the largest gradient: the differences themselves err by about STEP² and 1e-16 / STEP

MODELS = [(hidden, loss, output) for hidden in ACTIVATIONS for loss in LOSSES for output in outputs_for(loss)]
MODELS += [("tanh", "mean_squared_error", output) for output in ACTIVATIONS if output != "linear"]


def central_differences(model, x, y):
    """The gradient of the loss with respect to each weight, from two evaluations each."""
    weights = model.get_weights()
    gradients = [np.zeros_like(w) for w in weights]
    for w, gradient in zip(weights, gradients, strict=True):
        for index in np.ndindex(w.shape):
            value, losses = w[index], []
            for moved in (value + STEP, value - STEP):
                w[index] = moved
                model.set_weights(weights)
                losses.append(model.evaluate(x, y))
            w[index] = value
            gradient[index] = (losses[0] - losses[1]) / (2 * STEP)
    model.set_weights(weights)
    return gradients


def scale(*activations):
    """Of the weights: the exponential of an exponential leaves the reach of a difference quotient soon."""
    return 0.1 if "exponential" in activations else 1.0


def nearest_to_zero(model, x):
    """The smallest |z| of all layers and rows: relu and its family have a kink at 0."""
    weights, a, smallest = model.get_weights(), x, np.inf
    for layer, W, b in zip(model.layers, weights[::2], weights[1::2], strict=True):
        z = a @ W + b
        smallest = min(smallest, np.abs(z).min())
        a = ACTIVATIONS[layer.activation].forward(z, ACTIVATIONS[layer.activation].alpha)
    return smallest


@pytest.mark.parametrize("executor", ["compiled", "numpy"])
@pytest.mark.parametrize("hidden, loss, output", MODELS)
def test_gradients_are_central_differences(hidden, loss, output, executor):
    x, y = make_data(loss, rows=6, d_in=3)
    model = make_model(loss, hidden=hidden, output=output, input_dim=3, executor=executor)
    rng = np.random.default_rng(8)
    model.set_weights([scale(hidden) * rng.normal(size=w.shape) for w in model.get_weights()])
    assert nearest_to_zero(model, x) > 100 * STEP, "choose another seed: a weight's move may cross a kink"

    value, gradients = model.gradients(x, y)
    assert value == pytest.approx(model.evaluate(x, y), rel=1e-13)
    expected = central_differences(model, x, y)
    largest = max(np.abs(g).max() for g in expected)
    for got, wanted in zip(gradients, expected, strict=True):
        assert got.shape == wanted.shape
        assert np.abs(wanted).max() > 0
        assert np.abs(got - wanted).max() <= BOUND * max(1, largest)


def test_gradients_change_nothing():
    x, y = make_data("mean_squared_error")
    model, twin = make_model(optimizer="adam"), make_model(optimizer="adam")
    model.gradients(x, y)
    for m in (model, twin):
        m.fit(x, y, epochs=2, verbose=0)
    for got, expected in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert np.array_equal(got, expected)


def test_gradients_are_copies():
    x, y = make_data("mean_squared_error")
    model = make_model()
    _, first = model.gradients(x, y)
    kept = [g.copy() for g in first]
    model.gradients(2 * x, y)
    assert all(np.array_equal(g, k) for g, k in zip(first, kept, strict=True))


def test_a_gradient_step_is_what_sgd_does():
    """One full-batch step of SGD moves the weights by -learning_rate times `gradients`."""
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer="sgd")
    _, gradients = model.gradients(x, y)
    before = model.get_weights()
    model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0)
    for w, old, g in zip(model.get_weights(), before, gradients, strict=True):
        np.testing.assert_allclose(w, old - 0.01 * g, rtol=0, atol=1e-15)


@pytest.mark.parametrize("executor", ["compiled", "numpy"])
@pytest.mark.parametrize("second", ACTIVATIONS)
@pytest.mark.parametrize("first", ACTIVATIONS)
def test_gradients_through_activations_in_a_row(first, second, executor):
    """Each has the output of the one before as its input, and all outputs are needed on the way back."""
    x, y = make_data("mean_squared_error", rows=6, d_in=3)
    layers = [Activation("tanh"), Dense(5, first), Activation(second), Activation("tanh"), Dense(3, second)]
    model = Sequential([*layers, Activation(first)], seed=1, dtype="float64", input_dim=3)
    model.compile("sgd", "mean_squared_error", executor=executor)
    rng = np.random.default_rng(8)
    model.set_weights([scale(first, second) * rng.normal(size=w.shape) for w in model.get_weights()])
    _, gradients = model.gradients(x, y)
    expected = central_differences(model, x, y)
    largest = max(np.abs(g).max() for g in expected)
    for got, wanted in zip(gradients, expected, strict=True):
        assert np.abs(got - wanted).max() <= BOUND * max(1, largest)


def test_prediction_and_evaluation_agree_behind_a_linear_activation():
    """A linear layer behind the softmax does not hide it from the loss."""
    x, y = make_data("sparse_categorical_crossentropy")
    layers = [Dense(3, "softmax"), Activation("linear")]
    model = Sequential(layers, seed=1, dtype="float64")
    model.compile("sgd", "sparse_categorical_crossentropy")
    likelihood = model.predict(x)[np.arange(len(y)), y]
    assert model.evaluate(x, y) == pytest.approx(-np.log(likelihood).mean(), rel=1e-12)
