"""Metamorphic tests: a change of the data whose effect on the trained weights is known without an oracle."""

import inspect

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

from fastml import L2, LOSSES, OPTIMIZERS, SGD, BatchNormalization, Dense, Huber, Normalization, Rprop, Sequential
from fastml.program.executors import EXECUTORS

CLOSE = 1e-12  # float64: only the order of sums differs
ROWS = 20


def variants():
    """Each optimizer as it is, and with the options that all share; a new entry of the registry is among them."""
    chosen = [SGD(0.05, 0.9), SGD(0.05, 0.9, nesterov=True), Rprop(backtrack=True)]
    for kind in OPTIMIZERS.values():
        chosen.append(kind())
        if "global_clipnorm" in inspect.signature(kind).parameters:
            chosen.append(kind(weight_decay=0.1, clipvalue=0.02, global_clipnorm=0.05))
    return chosen


def fitted(model, x, y, epochs=15, **arguments):
    """The weights after some full batches; float64."""
    model.fit(x, y, batch_size=len(x), epochs=epochs, verbose=0, **arguments)
    return model.get_weights()


def trained(layers, start, x, y, optimizer="adam", loss="mean_squared_error", executor="compiled", **arguments):
    """The weights after training from `start`, or from the layers' own if None."""
    model = Sequential(layers, input_dim=x.shape[1], seed=1, dtype="float64")
    model.compile(optimizer, loss, executor=executor)
    if start is not None:
        model.set_weights(start)
    return fitted(model, x, y, **arguments)


def assert_close(weights, others, bound=CLOSE):
    assert len(weights) == len(others)
    for a, b in zip(weights, others, strict=True):
        assert a.shape == b.shape and np.abs(a - b).max() <= bound * max(1, np.abs(b).max())


def start_values(shapes, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


# Symmetries of the model


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error", "huber"])
@pytest.mark.parametrize("optimizer", variants(), ids=repr)
def test_negated_gradients_mirror_the_path(optimizer, loss, executor):
    """Bit for bit: -y, -W and -b of a linear model negate every gradient. FANN's Rprop fails here."""
    x, y = make_data(loss, rows=ROWS)
    W, b = start_values([(5, 3), (3,)])
    path, mirrored = (
        trained([Dense(3)], [sign * W, sign * b], x, sign * y, optimizer, loss, executor, epochs=40) for sign in (1, -1)
    )
    assert all(np.array_equal(a, -c) for a, c in zip(path, mirrored, strict=True))
    assert not np.array_equal(path[0], W)


@pytest.mark.parametrize("optimizer", variants(), ids=repr)
def test_negated_outputs_mirror_the_last_layer_only(optimizer):
    """Bit for bit: with -y, -V and -c the gradients of the hidden layer stay and those of the last are negated."""
    x, y = make_data("mean_squared_error", rows=ROWS)
    W, b, V, c = start_values([(5, 4), (4,), (4, 3), (3,)])
    layers = [Dense(4, "tanh"), Dense(3)]
    path = trained(layers, [W, b, V, c], x, y, optimizer)
    mirrored = trained(layers, [W, b, -V, -c], x, -y, optimizer)
    for got, expected in zip(mirrored, (path[0], path[1], -path[2], -path[3]), strict=True):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("optimizer", variants(), ids=repr)
def test_permuted_hidden_units_permute_parameters(optimizer, executor):
    x, y = make_data("mean_squared_error", rows=ROWS)
    W, b, gamma, beta, V, c = start_values([(5, 8), (8,), (8,), (8,), (8, 3), (3,)])
    statistics, order = [np.zeros(8), np.ones(8)], np.random.default_rng(0).permutation(8)
    layers = [Dense(8, "tanh"), BatchNormalization(), Dense(3)]
    path = trained(layers, [W, b, gamma, beta, *statistics, V, c], x, y, optimizer, executor=executor)
    permuted = [W[:, order], b[order], gamma[order], beta[order], *statistics, V[order], c]
    got = trained(layers, permuted, x, y, optimizer, executor=executor)
    W, b, *vectors, V, c = path
    assert_close(got, [W[:, order], b[order], *(v[order] for v in vectors), V[order], c])


@pytest.mark.parametrize("optimizer", variants(), ids=repr)
def test_permuted_features_permute_the_first_layers_rows(optimizer):
    x, y = make_data("mean_squared_error", rows=ROWS)
    W, *rest = start_values([(5, 8), (8,), (8, 3), (3,)])
    order = np.array([3, 0, 4, 1, 2])
    layers = [Dense(8, "silu"), Dense(3)]
    path = trained(layers, [W, *rest], x, y, optimizer)
    got = trained(layers, [W[order], *rest], x[:, order], y, optimizer)
    assert_close(got, [path[0][order], *path[1:]])


@pytest.mark.parametrize("optimizer", variants(), ids=repr)
@pytest.mark.parametrize("loss", LOSSES)
def test_permuted_classes_or_outputs_permute_the_last_layers_columns(loss, optimizer):
    x, y = make_data(loss, rows=ROWS)
    W, b, V, c = start_values([(5, 8), (8,), (8, 3), (3,)])
    order = np.array([2, 0, 1])  # the new class k is the old class order[k]
    moved = np.argsort(order)[y] if LOSSES[loss].targets == "labels" else y[:, order]
    layers = [Dense(8, "tanh"), Dense(3, LOSSES[loss].link)]
    path = trained(layers, [W, b, V, c], x, y, optimizer, loss)
    got = trained(layers, [W, b, V[:, order], c[order]], x, moved, optimizer, loss)
    assert_close(got, [*path[:2], path[2][:, order], path[3][order]])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_order_of_rows_does_not_matter_to_a_full_batch(loss, executor):
    x, y = make_data(loss, rows=ROWS)
    order = np.random.default_rng(0).permutation(ROWS)
    assert_close(
        fitted(make_model(loss, executor=executor), x[order], y[order]),
        fitted(make_model(loss, executor=executor), x, y),
    )


# Weights of the rows


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("loss", LOSSES)
def test_repeated_rows_equal_multiplied_weights(loss, executor):
    """A row that is there 0, 1, 2 or 3 times: the weights after a training, the loss, and the gradients."""
    x, y = make_data(loss, rows=ROWS)
    counts = np.arange(ROWS) % 4
    repeated, weighted = (make_model(loss, executor=executor, input_dim=5) for _ in range(2))
    more_x, more_y = np.repeat(x, counts, axis=0), np.repeat(y, counts, axis=0)
    assert weighted.evaluate(x, y, sample_weight=counts) == pytest.approx(repeated.evaluate(more_x, more_y), rel=CLOSE)
    (loss_a, a), (loss_b, b) = repeated.gradients(more_x, more_y), weighted.gradients(x, y, sample_weight=counts)
    assert loss_a == pytest.approx(loss_b, rel=CLOSE)
    assert_close(a, b)
    assert_close(fitted(weighted, x, y, sample_weight=counts), fitted(repeated, more_x, more_y))
    assert weighted.history.history["loss"] == pytest.approx(repeated.history.history["loss"], rel=CLOSE)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("batch_size", [6, ROWS])
def test_penalties_do_not_depend_on_the_weights_of_rows(batch_size, executor):
    """The loss with weights is the weighted mean plus the whole penalty, in training and evaluation."""
    x, y = make_data("mean_squared_error", rows=ROWS)
    weights = np.random.default_rng(0).random(ROWS)
    model = Sequential([Dense(3, kernel_regularizer=L2(0.3))], seed=1, dtype="float64", input_dim=5)
    model.compile(SGD(0), "mean_squared_error", executor=executor)
    rows = ((model.predict(x) - y) ** 2).mean(axis=1)
    expected = np.average(rows, weights=weights) + 0.3 * (model.get_weights()[0] ** 2).sum()
    history = model.fit(x, y, batch_size, verbose=0, sample_weight=weights).history["loss"]
    losses = history[0], model.evaluate(x, y, sample_weight=weights), model.gradients(x, y, sample_weight=weights)[0]
    assert losses == pytest.approx((expected,) * 3, rel=CLOSE)


@pytest.mark.parametrize("optimizer", variants(), ids=repr)
def test_zero_weight_equals_removal(optimizer):
    loss = "sparse_categorical_crossentropy"
    x, y = make_data(loss, rows=ROWS)
    kept = np.random.default_rng(0).random(ROWS) < 0.6
    with_zeros = fitted(make_model(loss, optimizer), x, y, sample_weight=kept * 2.5)
    assert_close(with_zeros, fitted(make_model(loss, optimizer), x[kept], y[kept]))


@pytest.mark.parametrize("loss", LOSSES)
def test_what_stands_in_a_row_of_weight_zero_does_not_matter(loss):
    """Bit for bit, and whatever the batches are."""
    x, y = make_data(loss, rows=ROWS)
    weights = np.where(np.arange(ROWS) % 3, 1.0, 0.0)
    other_x, other_y = x.copy(), y.copy()
    other_x[weights == 0], other_y[weights == 0] = 100 * x[:1], y[:1]
    models = [make_model(loss) for _ in range(2)]
    for model, rows in zip(models, ((x, y), (other_x, other_y)), strict=True):
        model.fit(*rows, batch_size=6, epochs=5, verbose=0, sample_weight=weights)
    assert same_bits(*(model.get_weights() for model in models))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("batch_size", [6, ROWS])
@pytest.mark.parametrize("loss", LOSSES)
def test_scaling_all_sample_weights_changes_nothing(loss, batch_size, executor):
    """By powers of two bit for bit; equal weights are as good as none."""
    x, y = make_data(loss, rows=ROWS)
    weights = np.random.default_rng(0).random(ROWS)

    def result(weights):
        model = make_model(loss, executor=executor)
        model.fit(x, y, batch_size=batch_size, epochs=5, verbose=0, sample_weight=weights)
        return model.get_weights()

    expected = result(weights)
    assert same_bits(result(2.0**40 * weights), expected)
    assert_close(result(1e-200 * weights), expected)
    assert_close(result(3 * weights), expected)
    assert same_bits(result(np.full(ROWS, 0.5)), result(None))
    assert_close(result(np.full(ROWS, 0.7)), result(None))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("batch_size", [1, 6, 7, ROWS])
def test_the_loss_of_an_epoch_is_the_weighted_mean_whatever_the_batches(batch_size, executor):
    x, y = make_data("mean_squared_error", rows=ROWS)
    weights = np.random.default_rng(0).random(ROWS)
    model = make_model("mean_squared_error", SGD(0), executor=executor)
    history = model.fit(x, y, batch_size, 2, verbose=0, sample_weight=weights).history["loss"]
    means = ((model.predict(x) - y) ** 2).mean(axis=1)
    assert history == pytest.approx([np.average(means, weights=weights)] * 2, rel=CLOSE)


# Scale of loss and data


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("backtrack", [False, True])
def test_rprop_is_invariant_to_the_scale_of_the_loss(backtrack, executor):
    """Bit for bit: a huber loss of large delta is half the squared error, of small delta a bit of the absolute."""
    x, y = make_data("mean_squared_error", rows=ROWS)
    for loss, other in (("mean_squared_error", Huber(1e9)), ("mean_absolute_error", Huber(2.0**-40))):
        models = [make_model(optimizer=Rprop(backtrack=backtrack), executor=executor) for _ in range(2)]
        for model, minimized in zip(models, (loss, other), strict=True):
            model.compile(model.optimizer, minimized, executor=executor)
        assert same_bits(*(fitted(model, x, y, epochs=60) for model in models))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", [name for name, kind in OPTIMIZERS.items() if hasattr(kind, "epsilon")])
def test_half_the_loss_is_twice_the_epsilon(name, executor):
    """Bit for bit, and nothing at all where epsilon is too small to count: Adam and its kin are nearly invariant."""
    x, y = make_data("mean_squared_error", rows=ROWS)

    def result(loss, epsilon):
        model = make_model(input_dim=5)
        model.compile(OPTIMIZERS[name](epsilon=epsilon), loss, executor=executor)
        return fitted(model, x, y)

    assert same_bits(result("mean_squared_error", 2e-8), result(Huber(1e9), 1e-8))
    assert not same_bits(result("mean_squared_error", 1e-8), result(Huber(1e9), 1e-8))
    assert same_bits(result("mean_squared_error", 1e-40), result(Huber(1e9), 1e-40))


@pytest.mark.parametrize("method", Normalization.METHODS)
def test_normalization_knows_the_first_training_rows_only(method):
    """Neither the rows to validate with nor those of later trainings move it."""
    x, y = make_data("mean_squared_error", rows=ROWS)

    def first_fit(x, y, **arguments):
        model = Sequential([Normalization(method), Dense(3)], seed=1, dtype="float64")
        model.compile("sgd", "mean_squared_error")
        model.fit(x, y, verbose=0, **arguments)
        return model

    expected = first_fit(x[:15], y[:15]).get_weights()[:2]
    for given in (
        first_fit(x, y, validation_split=0.25),
        first_fit(x[:15], y[:15], validation_data=(100 * x, y)),
        again := first_fit(x[:15], y[:15]),
    ):
        assert same_bits(given.get_weights()[:2], expected)
    again.fit(100 * x, y, verbose=0)
    again.compile("adam", "mean_squared_error")
    again.fit(100 * x, y, verbose=0)
    assert same_bits(again.get_weights()[:2], expected)


@pytest.mark.parametrize("method", Normalization.METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normalization_makes_the_scale_of_features_irrelevant(method, dtype):
    """Bit for bit for powers of two, which round nothing; also in predictions."""
    x, y = make_data("mean_squared_error", rows=ROWS)
    x = x.astype(dtype)
    scales = 2.0 ** np.array([-40, -3, 0, 5, 50])
    outputs = []
    for rows in (x, x * scales.astype(dtype)):
        model = Sequential([Normalization(method), Dense(6, "tanh"), Dense(3)], seed=1, dtype=dtype)
        model.compile("adam", "mean_squared_error")
        model.fit(rows, y, epochs=5, batch_size=7, verbose=0)
        outputs.append(model.predict(rows))
    assert outputs[0].tobytes() == outputs[1].tobytes()
