"""Activations, losses and weights of the rows are PyTorch's: values, gradients, and steps where weights matter."""

import numpy as np
import pytest
from helpers import make_data, outputs_for
from torch_oracle import (
    FUNCTIONS,
    LOSS_FUNCTIONS,
    F,
    agree,
    distance,
    each_dtype,
    each_executor,
    gradients_of,
    make_model,
    objective,
    row_losses,
    tensors,
    torch,
    twin,
    without_link,
)
from torch_paths import batches, our_path, their_path

from fastml import ACTIVATIONS, L1L2, LOSSES, SGD, Activation, Dense
from fastml.losses import name_of

ALPHAS = (None, 0.0, 0.3, 1.7)
SHAPES = [(name, alpha) for name, entry in ACTIVATIONS.items() for alpha in (ALPHAS if entry.alpha else (None,))]
OPTIONS = {"delta": (0.3, 2.5), "label_smoothing": (0.1, 0.6)}
VARIANTS = [LOSSES[name]() for name in LOSSES]
VARIANTS += [
    LOSSES[name](**{option: value})
    for name in LOSSES
    for option in LOSSES[name]().constants()
    for value in OPTIONS.get(option, ())
]


def test_every_activation_and_loss_has_an_oracle():
    assert set(FUNCTIONS) == set(ACTIVATIONS)
    assert set(LOSS_FUNCTIONS) == set(LOSSES)
    assert {option for kind in LOSSES.values() for option in kind().constants()} == set(OPTIONS)


@each_executor
@each_dtype
@pytest.mark.parametrize("name, alpha", SHAPES)
def test_activation_on_a_grid(name, alpha, dtype, executor):
    """From -20 to 20, and 0, where several have a kink: output and gradient. alpha may be PyTorch's default."""
    z = np.random.default_rng(0).permutation(np.linspace(-20, 20, 31 * 7)).reshape(31, 7)
    z[3, 2], z[8, 5] = 0.0, -0.0
    y = np.random.default_rng(1).normal(size=z.shape)
    model = make_model([Dense(7, Activation(name, alpha))], dtype=dtype, executor=executor, d_in=31)
    model.set_weights([z, np.zeros(7)])  # with the unit matrix as its input, z is W
    inputs, targets = tensors(model, np.eye(31), y)
    net = twin(model)
    if alpha is None:
        net[1].function = FUNCTIONS[name]
    outputs = net(inputs)
    agree(f"{name}, output", dtype, model.predict(np.eye(31)), outputs)
    (z.size * F.mse_loss(outputs, targets)).backward()
    gradients = [z.size * g for g in model.gradients(np.eye(31), y)[1]]
    agree(f"{name}, gradient", dtype, gradients, gradients_of(net))


@each_executor
@each_dtype
@pytest.mark.parametrize("name, alpha", SHAPES)
def test_activation_in_hidden_layers(name, alpha, dtype, executor):
    """In a dense layer and as a layer of its own, behind another activation: the gradients of all weights."""
    layers = [Dense(6, Activation(name, alpha)), Activation("tanh"), Activation(name, alpha), Dense(3)]
    model = make_model(layers, dtype=dtype, executor=executor)
    x, y = make_data("mean_squared_error", rows=12)
    net = twin(model)
    value = objective(model, net, x, y)(slice(None))
    value.backward()
    agree(f"{name}, hidden", dtype, list(model.gradients(x, y)), [value, gradients_of(net)])


@each_executor
@each_dtype
@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("loss", VARIANTS, ids=repr)
def test_loss(loss, weighted, units, dtype, executor):
    """Behind its own activation and behind none: loss of `gradients` and `evaluate`, gradients, predictions."""
    name = name_of(loss)
    if units == 1 and loss.link == "softmax":
        units = 2
    x, y = make_data(name, rows=23, units=units)
    weights = np.random.default_rng(2).uniform(0, 3, 23) if weighted else None
    options = [option for option in loss.constants() if repr(loss) != repr(type(loss)())]
    oracle = ", ".join([name, *options, *["weighted"] * weighted])
    for output in outputs_for(name):
        model = make_model([Dense(6, "tanh"), Dense(units, output)], loss=loss, dtype=dtype, executor=executor)
        net = twin(model)
        value = objective(model, net, x, y, weights)(slice(None))
        value.backward()
        loss_value, gradients = model.gradients(x, y, sample_weight=weights)
        agree(oracle, dtype, [loss_value, gradients], [value, gradients_of(net)])
        agree(oracle, dtype, model.evaluate(x, y, sample_weight=weights), value)
        agree(oracle, dtype, model.predict(x), net(tensors(model, x, y)[0]))


@each_executor
@each_dtype
@pytest.mark.parametrize("delta", [0.25, 1.0])
def test_huber_and_absolute_error_at_their_kinks(delta, dtype, executor):
    """Errors of 0 and of exactly ± delta, which have the slopes 0 and ± delta."""
    errors = np.array([[0.0, delta, -delta, 2 * delta, -2 * delta]])
    for loss in (LOSSES["huber"](delta), LOSSES["mean_absolute_error"]()):
        model = make_model([Dense(5)], loss=loss, dtype=dtype, executor=executor, d_in=1)
        model.set_weights([np.zeros((1, 5)), np.zeros(5)])
        net = twin(model)
        value = objective(model, net, [[1.0]], -errors)(slice(None))
        value.backward()
        agree("kinks of losses", dtype, list(model.gradients([[1.0]], -errors)), [value, gradients_of(net)])


@each_executor
@each_dtype
@pytest.mark.parametrize("penalty", [L1L2(l1=0.02), L1L2(l2=0.03), L1L2(0.01, 0.02)], ids=repr)
def test_penalties(penalty, dtype, executor):
    """Of weights and of biases, by automatic differentiation; a weight of 0 has the slope 0 in both."""
    layers = [Dense(6, "tanh", kernel_regularizer=penalty), Dense(3, bias_regularizer=penalty)]
    model = make_model(layers, dtype=dtype, executor=executor)
    weights = model.get_weights()
    weights[0][2, 3] = 0
    model.set_weights(weights)
    x, y = make_data("mean_squared_error", rows=12)
    net = twin(model)
    value = objective(model, net, x, y)(slice(None))
    for w in (net[0].weight, net[2].bias):
        value = value + penalty.l1 * w.abs().sum() + penalty.l2 * (w**2).sum()
    value.backward()
    agree("penalties", dtype, list(model.gradients(x, y)), [value, gradients_of(net)])
    agree("penalties", dtype, model.evaluate(x, y), value)


@each_executor
@each_dtype
@pytest.mark.parametrize("class_weight", [{0: 0.5, 1: 3.0, 2: 1.2}, {1: 0.0}, "balanced"], ids=str)
def test_class_weight_in_full_batches(class_weight, dtype, executor):
    """20 steps are those of PyTorch's losses with a weight for each class, which divide by the sum of the weights."""
    x, labels = make_data("sparse_categorical_crossentropy", rows=30)
    if class_weight == "balanced":
        by_class = 30 / (3 * np.bincount(labels))
    else:
        by_class = np.array([class_weight.get(k, 1.0) for k in range(3)])
    for loss, y in (("sparse_categorical_crossentropy", labels), ("categorical_crossentropy", np.eye(3)[labels])):
        model = make_model([Dense(6, "tanh"), Dense(3, "softmax")], SGD(0.3), loss, dtype, executor)
        net = twin(model)
        inputs, targets = tensors(model, x, labels)
        w = torch.tensor(by_class, dtype=inputs.dtype)
        path = our_path(model, x, y, batch_size=30, epochs=20, class_weight=class_weight)
        sgd = torch.optim.SGD(net.parameters(), 0.3)
        theirs = their_path(
            net,
            sgd,
            lambda rows, n=net, i=inputs, t=targets, w=w: F.cross_entropy(n[:-1](i), t, w),
            batches(30, 30),
            20,
        )
        agree("class_weight, full batch", dtype, path, theirs)


@each_executor
@each_dtype
def test_class_weight_of_two_classes(dtype, executor):
    """One sigmoid output, with sample_weight in addition: 20 full-batch steps, where rows weigh the products."""
    x, y = make_data("mean_squared_error", rows=30, units=1)
    y, rows = (y[:, 0] > 0).astype(float), np.random.default_rng(4).uniform(0, 2, 30)
    model = make_model([Dense(6, "tanh"), Dense(1, "sigmoid")], SGD(0.3), "binary_crossentropy", dtype, executor)
    net = twin(model)
    value = objective(model, net, x, y.reshape(-1, 1), rows * np.where(y > 0, 4.0, 0.7))
    arguments = {"class_weight": {0: 0.7, 1: 4.0}, "sample_weight": rows}
    path = our_path(model, x, y, batch_size=30, epochs=20, **arguments)
    theirs = their_path(net, torch.optim.SGD(net.parameters(), 0.3), value, batches(30, 30), 20)
    agree("class_weight and sample_weight", dtype, path, theirs)


@each_executor
@each_dtype
@pytest.mark.parametrize("loss", LOSSES)
def test_weights_in_mini_batches(loss, dtype, executor):
    """24 steps: a batch's weighted sum over its rows and the mean weight of ALL rows. PyTorch's way, over the batch's
    own sum, differs, and by much."""
    x, y = make_data(loss, rows=30)
    weights = np.random.default_rng(5).uniform(0, 3, 30)
    model = make_model([Dense(6, "tanh"), Dense(3, LOSSES[loss].link)], SGD(0.1), loss, dtype, executor)
    ours, theirs = twin(model), twin(model)
    inner = without_link(model, ours)
    inputs, targets = tensors(model, x, y)
    w = torch.tensor(weights / weights.mean(), dtype=inputs.dtype)
    path = our_path(model, x, y, batch_size=8, epochs=6, sample_weight=weights)
    mean = their_path(
        ours,
        torch.optim.SGD(ours.parameters(), 0.1),
        lambda rows: (w[rows] * row_losses(model.loss, inner(inputs[rows]), targets[rows])).mean(),
        batches(30, 8),
        6,
    )
    agree("weights, mini-batches", dtype, path, mean)
    own_sum = objective(model, theirs, x, y, weights)
    _, other = their_path(theirs, torch.optim.SGD(theirs.parameters(), 0.1), own_sum, batches(30, 8), 6)
    assert distance(path[1], other) > 1e-3
