"""Identities: parts that do nothing, parts that equal others, and what normalizing functions promise."""

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

from fastml import (
    L1L2,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    SGD,
    Activation,
    Adam,
    AdamW,
    BatchNormalization,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CosineDecay,
    CosineLog,
    Dense,
    Dropout,
    ExponentialDecay,
    OneCycle,
    PiecewiseConstantDecay,
    Rprop,
    Sequential,
    SparseCategoricalCrossentropy,
    StepDecay,
)
from fastml.program.executors import EXECUTORS

ROWS = 20
DTYPES = ["float32", "float64"]
SMOOTHED = [name for name, kind in LOSSES.items() if hasattr(kind, "label_smoothing")]
CLASSES = ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"]


def trained(layers, optimizer, executor="compiled", loss="mean_squared_error", data=None, **arguments):
    """The weights after 6 epochs of 3 batches."""
    x, y = data or make_data(loss if isinstance(loss, str) else "mean_squared_error", rows=ROWS)
    model = Sequential(layers, seed=1, dtype="float64")
    model.compile(optimizer, loss, executor=executor)
    model.fit(x, y, batch_size=7, epochs=6, verbose=0, **arguments)
    return model.get_weights()


def layers():
    return [Dense(6, "tanh"), Dense(3)]


# Steps that do nothing


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "optimizer", [kind() for kind in OPTIMIZERS.values()] + [SGD(0.1, 0.9), Rprop(backtrack=True)], ids=repr
)
def test_a_gradient_of_zero_moves_nothing(optimizer, executor):
    """Outputs of 0 for targets of 0, with fresh state; biases and γ, β among the parameters."""
    x, _ = make_data("mean_squared_error", rows=ROWS)
    parts = [Dense(6, "tanh", bias_initializer="ones"), Dense(4, "relu"), Dense(3, kernel_initializer="zeros")]
    model = Sequential(parts, input_dim=5, seed=1)
    if "weight_decay" in optimizer.constants():
        optimizer.weight_decay = 0
    model.compile(optimizer, "mean_squared_error", executor=executor)
    before = model.get_weights()
    model.fit(x, np.zeros((ROWS, 3)), batch_size=ROWS, epochs=5, verbose=0)
    assert same_bits(model.get_weights(), before)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "rate", [0, *(kind(0.0, *[1] * (kind is StepDecay)) for kind in (StepDecay, CosineDecay, OneCycle))]
)
@pytest.mark.parametrize("name", [name for name, kind in OPTIMIZERS.items() if hasattr(kind, "learning_rate")])
def test_a_rate_of_zero_moves_nothing(name, rate, executor):
    """Not by decay either, which is proportional to the rate; statistics are no parameters and do move."""
    x, y = make_data("mean_squared_error", rows=ROWS)
    model = Sequential([Dense(6, "tanh"), BatchNormalization(), Dense(3)], input_dim=5, seed=1)
    model.compile(OPTIMIZERS[name](rate, weight_decay=0.5, decay_all=True), "mean_squared_error", executor=executor)
    before = model.get_weights()
    model.fit(x, y, epochs=3, verbose=0)
    after = model.get_weights()
    assert same_bits(after[:4] + after[6:], before[:4] + before[6:])
    assert not np.array_equal(after[4], before[4]) and not np.array_equal(after[5], before[5])


# Parts that equal others


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("nesterov", [False, True])
def test_no_momentum_is_plain_descent(nesterov, executor):
    """Bit for bit, also by the kernels of momentum, with a momentum that is too small to count."""
    expected = trained(layers(), SGD(0.1), executor)
    assert same_bits(trained(layers(), SGD(0.1, 0.0), executor), expected)
    assert same_bits(trained(layers(), SGD(0.1, 1e-300, nesterov=nesterov), executor), expected)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", [name for name, kind in OPTIMIZERS.items() if hasattr(kind, "learning_rate")])
def test_clipping_beyond_reach_is_none(name, executor):
    kind = OPTIMIZERS[name]
    assert same_bits(
        trained(layers(), kind(clipvalue=1e30, clipnorm=1e30, global_clipnorm=1e30), executor),
        trained(layers(), kind(), executor),
    )


@pytest.mark.parametrize("executor", EXECUTORS)
def test_adamw_without_decay_is_adam(executor):
    assert same_bits(trained(layers(), AdamW(0.01, weight_decay=0), executor), trained(layers(), Adam(0.01), executor))
    assert same_bits(
        trained(layers(), AdamW(0.01), executor), trained(layers(), Adam(0.01, weight_decay=0.01), executor)
    )


@pytest.mark.parametrize("executor", EXECUTORS)
def test_in_plain_descent_decay_is_half_a_penalty_of_squares(executor):
    """(1 - η·λ)·W - η·g = W - η·(g + 2·(λ/2)·W); with momentum the two differ."""
    penalty = L1L2(l2=0.05)
    penalized = [Dense(6, "tanh", kernel_regularizer=penalty), Dense(3, kernel_regularizer=penalty)]
    for a, b in zip(
        trained(penalized, SGD(0.1), executor), trained(layers(), SGD(0.1, weight_decay=0.1), executor), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)
    apart = trained(penalized, SGD(0.1, 0.9), executor), trained(layers(), SGD(0.1, 0.9, weight_decay=0.1), executor)
    assert not np.allclose(apart[0][0], apart[1][0], atol=1e-4)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_penalty_of_zero_and_dropout_of_zero_are_none(executor):
    nothing = [
        Dense(6, "tanh", kernel_regularizer=L1L2(), bias_regularizer=L1L2()),
        Dropout(0),
        Dense(3, kernel_regularizer=L1L2()),
    ]
    assert same_bits(trained(nothing, "adam", executor), trained(layers(), "adam", executor))


CONSTANT = {
    "step": StepDecay(0.125, 3, decay_rate=1),
    "exponential": ExponentialDecay(0.125, 3, decay_rate=1),
    "cosine": CosineDecay(0.125, final=0.125),
    "one_cycle": OneCycle(0.125, div_factor=1, final_div_factor=1),
    "cosine_log": CosineLog(0.125, final=0.125),
    "piecewise_constant": PiecewiseConstantDecay([2, 5], [0.125] * 3),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_that_stays_is_a_number(name, executor):
    """A new schedule needs an entry above."""
    assert same_bits(trained(layers(), SGD(CONSTANT[name]), executor), trained(layers(), SGD(0.125), executor))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", SMOOTHED)
def test_no_label_smoothing_is_none(name, executor):
    parts = [Dense(6, "tanh"), Dense(3, LOSSES[name].link)]
    data = make_data(name, rows=ROWS)
    assert same_bits(
        *(trained(parts, "adam", executor, loss, data) for loss in (name, LOSSES[name](label_smoothing=0)))
    )


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", SMOOTHED)
def test_label_smoothing_is_a_mixture_of_the_targets(name, executor):
    """With the uniform distribution of the classes, 2 for each binary target."""
    parts = [Dense(6, "tanh"), Dense(3, LOSSES[name].link)]
    x, y = make_data(name, rows=ROWS)
    dense = np.eye(3)[y] if LOSSES[name].targets == "labels" else y
    classes, plain = (2, BinaryCrossentropy()) if name == "binary_crossentropy" else (3, CategoricalCrossentropy())
    smoothed = trained(parts, "adam", executor, LOSSES[name](label_smoothing=0.2), (x, y))
    mixed = trained(parts, "adam", executor, plain, (x, 0.8 * dense + 0.2 / classes))
    for a, b in zip(smoothed, mixed, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_class_numbers_are_one_hot_rows(executor):
    x, y = make_data("sparse_categorical_crossentropy", rows=ROWS)
    parts = [Dense(6, "tanh"), Dense(3, "softmax")]
    sparse = trained(parts, "adam", executor, SparseCategoricalCrossentropy(0.1), (x, y))
    for a, b in zip(
        sparse, trained(parts, "adam", executor, CategoricalCrossentropy(0.1), (x, np.eye(3)[y])), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


# Weights of classes


def classes_of(name, seed=0):
    """x, y, the class of each row, and the number of outputs."""
    x = np.random.default_rng(seed).normal(size=(ROWS, 5))
    labels = np.random.default_rng(seed + 1).choice(3, size=ROWS, p=[0.6, 0.3, 0.1])
    if name == "binary_crossentropy":
        return x, labels > 0, (labels > 0).astype(int), 1
    return x, labels if name.startswith("sparse") else np.eye(3)[labels], labels, 3


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("class_weight", [{0: 0.5, 1: 2.0}, {1: 3}, {}, {0: 0}, "balanced"], ids=repr)
def test_class_weight_is_the_sample_weight_it_means(class_weight, name, executor):
    """Bit for bit, alone and multiplied with other weights; classes that a dict lacks have weight 1."""
    x, y, classes, units = classes_of(name)
    counts = np.bincount(classes)
    table = {k: ROWS / (len(counts) * counts[k]) for k in range(len(counts))}
    meant = np.array([(table if class_weight == "balanced" else class_weight).get(k, 1.0) for k in classes])
    own = np.random.default_rng(2).random(ROWS)
    parts = [Dense(6, "tanh"), Dense(units, LOSSES[name].link)]
    for weight, product in ((None, meant), (own, own * meant)):
        by_class = trained(parts, "adam", executor, name, (x, y), class_weight=class_weight, sample_weight=weight)
        assert same_bits(by_class, trained(parts, "adam", executor, name, (x, y), sample_weight=product))


def test_class_weight_is_not_for_validation():
    x, y, _, _ = classes_of("sparse_categorical_crossentropy")
    model = make_model("sparse_categorical_crossentropy", SGD(0))
    history = model.fit(x, y, class_weight={0: 9}, validation_data=(x, y), verbose=0).history
    assert history["val_loss"][0] == model.evaluate(x, y) != history["loss"][0]


# What normalizing functions promise


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("rows", [2, 3, 64])
@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
@pytest.mark.parametrize("size, offset", [(1e-3, 0.0), (1.0, 0.0), (1e3, 0.0), (1.0, -1e4), (1e-3, 1e4)])
def test_batch_normalization_gives_mean_0_and_variance_below_1(size, offset, epsilon, rows, executor):
    """var / (var + ε) while training: told by the losses ⟨a²⟩ and ⟨(a - 1)²⟩ of the layer's output."""
    x = offset + size * np.random.default_rng(0).normal(size=(rows, 1))
    model = Sequential([BatchNormalization(epsilon=epsilon)], dtype="float64", seed=0, input_dim=1)
    model.compile("sgd", "mean_squared_error", executor=executor)
    square, around_1 = (model.gradients(x, np.full((rows, 1), y))[0] for y in (0.0, 1.0))
    mean = (square - around_1 + 1) / 2
    variance = x.var()
    assert abs(mean) < 1e-15 * max(4, 4 * abs(offset) / np.sqrt(variance + epsilon))
    assert square - mean**2 == pytest.approx(variance / (variance + epsilon), rel=1e-15 * max(4, abs(offset / size)))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_batch_normalization_hides_scale_and_bias_of_the_layer_before(executor):
    """The gradient of that bias is 0, and that of W is orthogonal to each of its columns, if ε does not count."""
    x, y = make_data("mean_squared_error", rows=ROWS)
    model = Sequential([Dense(4), BatchNormalization(epsilon=1e-30), Dense(3)], dtype="float64", seed=1)
    model.compile("sgd", "mean_squared_error", executor=executor)
    _, (dW, db, *_) = model.gradients(x, y)
    W = model.get_weights()[0]
    assert np.abs(dW).max() > 0.01
    assert np.abs(db).max() < 1e-15 and np.abs((W * dW).sum(axis=0)).max() < 1e-15


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [1, 2, 7, 33])
def test_softmax_sums_to_1_and_knows_no_shift(classes, dtype, executor):
    """Bit for bit where z + shift is exact."""
    z = np.random.default_rng(0).integers(-40, 40, size=(50, classes)) / 8
    model = Sequential([Dense(classes, kernel_initializer=np.eye(classes)), Activation("softmax")], dtype=dtype, seed=0)
    model.compile(executor=executor)
    a = model.predict(z)
    assert np.abs(a.sum(axis=1, dtype=np.float64) - 1).max() <= classes * np.finfo(dtype).eps
    assert (a >= 0).all()
    for shift in (1.0, -7.5, 1000.0):
        assert model.predict(z + shift).tobytes() == a.tobytes()
