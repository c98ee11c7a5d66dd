"""The learning-rate finder: it suggests a rate that trains, and leaves the model alone."""

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

from fastml import SGD, Adam, CosineDecay, Dense, Normalization, Sequential, find_learning_rate


def digits_like(rows=400):
    """Rows whose class is that of the largest of three sums."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 8))
    return x, (x @ random.normal(size=(8, 3))).argmax(axis=1)


def model_for(optimizer):
    model = Sequential([Dense(16, "relu"), Dense(3, "softmax")], input_dim=8, seed=1)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_the_suggestion_trains_better_than_rates_far_from_it(kind):
    x, y = digits_like()
    found = find_learning_rate(model_for(kind()), x, y)
    losses = []
    for rate in (found.suggestion / 1000, found.suggestion, found.suggestion * 1000):
        model = model_for(kind(rate))
        try:
            losses.append(model.fit(x, y, epochs=5, verbose=0).history["loss"][-1])
        except ArithmeticError:
            losses.append(np.inf)
    assert losses[1] < 0.7 * losses[0] and losses[1] < 0.7 * losses[2]


def test_rates_grow_and_the_worst_is_left_out():
    x, y = digits_like()
    found = find_learning_rate(model_for("sgd"), x, y, start=1e-4, stop=1e4, steps=80)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-4, 1e4, 80)[: len(found.rates)])
    assert 3 <= len(found.losses) == len(found.rates) < 80 and np.isfinite(found.losses).all()
    assert found.rates[0] <= found.suggestion <= found.rates[-1]
    assert float(found) == found.suggestion and f"{found.suggestion:.2g}" in repr(found)


def test_the_model_stays_as_it_was_and_the_result_is_the_same_again():
    x, y = digits_like()
    model = model_for("adam")
    model.fit(x, y, verbose=0)
    before, updates = model.get_weights(), model._engine.updates
    first, second = (find_learning_rate(model, x, y) for _ in range(2))
    assert same_bits(model.get_weights(), before) and model._engine.updates == updates
    assert model.optimizer.learning_rate == 0.001 and same_bits([first.losses], [second.losses])


def test_data_are_normalized_by_all_rows():
    """Not by those of the first step: the losses are those of a model that knows the statistics."""
    x, y = digits_like()
    x = 100 + 50 * x
    fresh, fitted = (Sequential([Normalization(), Dense(3, "softmax")], input_dim=8, seed=1) for _ in range(2))
    for model in (fresh, fitted):
        model.compile(SGD(0.0), "sparse_categorical_crossentropy")
    fitted.fit(x, y, verbose=0)
    losses = [find_learning_rate(model, x, y, batch_size=8, steps=10).losses for model in (fresh, fitted)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_a_batch_of_more_rows_than_there_are():
    x, y = digits_like(rows=20)
    assert len(find_learning_rate(model_for("sgd"), x, y, batch_size=1000, stop=0.1, steps=10).rates) == 10


def test_mistakes():
    x, y = make_data("mean_squared_error")
    with pytest.raises(RuntimeError, match="compile"):
        find_learning_rate(Sequential([Dense(1)]), x, y)
    with pytest.raises(ValueError, match="find_learning_rate cannot change.*CosineDecay"):
        find_learning_rate(make_model(optimizer=SGD(CosineDecay(0.1))), x, y)
    with pytest.raises(ValueError, match="start must be less than stop"):
        find_learning_rate(make_model(), x, y, start=1, stop=0.1)
    with pytest.raises(ValueError, match="steps must be at least 10"):
        find_learning_rate(make_model(), x, y, steps=3)
    with pytest.raises(ValueError, match="batch_size"):
        find_learning_rate(make_model(), x, y, batch_size=0)
    with pytest.raises(ValueError, match="y must have one row for each of the 50 rows"):
        find_learning_rate(make_model(), x, y[:-1])
    with pytest.raises(ValueError, match="scale the data"):
        find_learning_rate(make_model(), 1e30 * x, y, start=1e10, stop=1e20)
