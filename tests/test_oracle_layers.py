"""Layers are PyTorch's: each in training, step by step, and in inference."""

import numpy as np
import pytest
from helpers import coded, make_data
from torch_oracle import (
    F,
    Mask,
    agree,
    distance,
    each_dtype,
    each_executor,
    gradients_of,
    make_model,
    objective,
    tensors,
    torch,
    twin,
)
from torch_paths import batches, our_path, their_path, torch_optimizer

import fastml
from fastml import (
    SGD,
    Activation,
    Adam,
    AdamW,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    Layer,
    LayerNormalization,
    Normalization,
    PeriodicEmbedding,
    RMSprop,
    Sequential,
)
from fastml.program.random import dropout_mask

MODELS = {  # at least one for each kind of layer, in the middle of others; `twin` refuses a layer that it does not know
    "Dense": [Dense(7, "tanh"), Dense(4, "sigmoid"), Dense(3)],
    "Activation": [Dense(6), Activation("tanh"), Dense(3), Activation("softplus")],
    "Dropout": [Dropout(0.2), Dense(9, "relu"), Dropout(0.5), Dense(6, "gelu"), Dropout(0.05), Dense(3)],
    "BatchNormalization": [
        BatchNormalization(),
        Dense(6, "tanh"),
        BatchNormalization(0.6, 1e-3),
        Dense(4),
        BatchNormalization(0.0, 0.1),
        Activation("silu"),
        Dense(3),
        BatchNormalization(0.99),
    ],
    "LayerNormalization": [LayerNormalization(), Dense(6, "tanh"), LayerNormalization(1e-3), Dense(3)],
    "Embedding": [Embedding({0: 3, 2: 20}, {0: 2, 2: 17}), Dropout(0.2), Dense(6, "tanh"), Dense(3)],
    "Normalization": [Normalization(), Dense(6, "tanh"), Dense(3)],
    "PeriodicEmbedding": [PeriodicEmbedding([4, 0, 1], 5, 3, 0.1, keep=False), Dense(6, "tanh"), Dense(3)],
    "PeriodicEmbedding behind": [Dense(3, "tanh"), PeriodicEmbedding(None, 4, 2, 0.1, relu=True), Dense(3)],
    "all layers": [Normalization(), Dense(8), BatchNormalization(), Activation("elu"), Dropout(0.3), Dense(3)],
}


def model_of(name, dtype, executor, optimizer=None):
    return make_model(MODELS[name], optimizer or SGD(0.2), dtype=dtype, executor=executor)


def data_of(name, rows):
    x, y = make_data("mean_squared_error", rows=rows)
    return coded(x, MODELS[name]), y


def test_every_layer_has_an_oracle():
    kinds = {kind for kind in vars(fastml).values() if isinstance(kind, type) and issubclass(kind, Layer)}
    assert {kind.__name__ for kind in kinds - {Layer}} == set(MODELS) - {"all layers", "PeriodicEmbedding behind"}


@each_executor
@each_dtype
@pytest.mark.parametrize("name", MODELS)
def test_training(name, dtype, executor):
    """24 steps with a short last batch: the losses, and all weights and running statistics after each epoch."""
    x, y = data_of(name, 30)
    model = model_of(name, dtype, executor)
    net = twin(model)
    sgd = torch.optim.SGD(net.parameters(), 0.2)
    losses, path = our_path(model, x, y, batch_size=8, epochs=6)
    expected, their = their_path(net, sgd, objective(model, net, x, y), batches(30, 8), 6)
    statistics = model.get_weights()[:2] if isinstance(model.layers[0], Normalization) else []
    agree(f"{name}, training", dtype, [losses, path], [expected, [[*statistics, *weights] for weights in their]])


@each_executor
@each_dtype
@pytest.mark.parametrize("name", MODELS)
def test_gradients(name, dtype, executor):
    """Of all rows at once, with the masks of the first step for dropout and the rows' own statistics."""
    x, y = data_of(name, 20)
    model = model_of(name, dtype, executor)
    net = twin(model)
    value = objective(model, net, x, y)(slice(None))
    value.backward()
    loss, gradients = model.gradients(x, y)
    fixed = 2 * isinstance(model.layers[0], Normalization)
    assert not any(g.any() for g in gradients[:fixed])
    agree(f"{name}, gradients", dtype, [loss, gradients[fixed:]], [value, gradients_of(net)])


@each_executor
@each_dtype
@pytest.mark.parametrize("name", MODELS)
def test_inference(name, dtype, executor):
    """predict and evaluate after a training: running statistics, no dropout."""
    x, y = data_of(name, 30)
    model = model_of(name, dtype, executor)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    net = twin(model).eval()
    inputs, targets = tensors(model, x, y)
    agree(f"{name}, inference", dtype, model.predict(x), net(inputs))
    agree(f"{name}, inference", dtype, model.evaluate(x, y), F.mse_loss(net(inputs), targets))


@each_executor
@each_dtype
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_by_a_probe(rate, dtype, executor):
    """The mask is read out of a model. It is the one that `dropout_mask` tells, and its values are PyTorch's."""
    rows, units = 40, 33
    model = make_model([Dense(units), Dropout(rate), Dense(units)], dtype=dtype, executor=executor, d_in=rows)
    model.set_weights([np.ones((rows, units)), np.zeros(units), np.eye(units), np.zeros(units)])
    _, gradients = model.gradients(np.eye(rows), np.full((rows, units), -1.0))  # the first: (m + 1)·m·2 / size
    read = (np.sqrt(1 + 2 * rows * units * gradients[0].astype(np.float64)) - 1) / 2
    mask = dropout_mask(model.seed, 0, 0, 1, rate, (rows, units))
    agree("dropout mask by a probe", dtype, read.astype(dtype), mask)
    torch.manual_seed(0)
    theirs = F.dropout(torch.ones(rows, units, dtype=torch.float64), rate)
    assert set(np.unique(mask)) == set(np.unique(theirs.numpy()))


OPTIMIZERS = {
    "momentum": SGD(0.05, momentum=0.9),
    "adam": Adam(0.01),
    "adamw": AdamW(0.01, weight_decay=0.1),
    "rmsprop": RMSprop(0.01, global_clipnorm=0.1),
}


@each_executor
@each_dtype
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_tables_are_weights_like_others(optimizer, dtype, executor):
    """Vectors whose categories no batch has move all the same: by what the optimizer remembers, and by decay."""
    x, y = data_of("Embedding", 30)
    model = model_of("Embedding", dtype, executor, OPTIMIZERS[optimizer])
    net = twin(model)
    start = model.get_weights()[1]
    ours = our_path(model, x, y, batch_size=8, epochs=6)
    value = objective(model, net, x, y)
    theirs = their_path(net, torch_optimizer(OPTIMIZERS[optimizer], net), value, batches(30, 8), 6)
    agree(f"Embedding, {optimizer}", dtype, ours, theirs)
    absent = [code for code in range(20) if code not in x[:, 2]]
    assert absent and (model.get_weights()[1][absent] == start[absent]).all() == (optimizer != "adamw")


@each_dtype
def test_dropout_draws_anew_in_each_step_and_epoch(dtype):
    """PyTorch with the same mask in all steps goes elsewhere: the training test above would notice a frozen mask."""
    x, y = make_data("mean_squared_error", rows=30)
    model = model_of("Dropout", dtype, "compiled")
    net = twin(model)
    for module in net:
        if isinstance(module, Mask):
            module.forward = frozen(module)
    sgd = torch.optim.SGD(net.parameters(), 0.2)
    _, path = our_path(model, x, y, batch_size=10, epochs=2)
    _, their = their_path(net, sgd, objective(model, net, x, y), batches(30, 10), 2)
    assert distance(path, their) > 1e-2


def frozen(module):
    """The module's forward, always with the mask of the first step."""

    def forward(x):
        module.step = module.epoch = 0
        return Mask.forward(module, x)

    return forward


@each_executor
@each_dtype
def test_a_single_last_row_joins_the_batch_before_it(dtype, executor):
    """Where PyTorch refuses: with batch normalization 31 rows in batches of 10 are 10, 10 and 11."""
    x, y = make_data("mean_squared_error", rows=31)
    model = model_of("BatchNormalization", dtype, executor)
    net = twin(model)
    value, sgd = objective(model, net, x, y), torch.optim.SGD(net.parameters(), 0.2)
    with pytest.raises(ValueError, match="more than 1 value"):
        value(slice(30, 31))
    net = twin(model)
    value, sgd = objective(model, net, x, y), torch.optim.SGD(net.parameters(), 0.2)
    path = our_path(model, x, y, batch_size=10, epochs=7)
    theirs = their_path(net, sgd, value, [slice(0, 10), slice(10, 20), slice(20, 31)], 7)
    agree("BatchNormalization, single last row", dtype, path, theirs)


@each_executor
@each_dtype
def test_batch_normalization_of_shifted_data(dtype, executor):
    """Columns with means up to 300 standard deviations from 0: output in training mode by PyTorch in float64."""
    x = np.random.default_rng(0).normal(size=(64, 5)) + np.array([0, 1, -10, 100, 300])
    x = x.astype(dtype)
    layers = [BatchNormalization(), Dense(5)]
    model = make_model(layers, dtype=dtype, executor=executor)
    model.set_weights([np.ones(5), np.zeros(5), np.zeros(5), np.ones(5), np.eye(5), np.zeros(5)])
    normalized = F.batch_norm(torch.tensor(x, dtype=torch.float64), None, None, training=True)
    _, gradients = model.gradients(x, np.zeros((64, 5)))
    gamma, beta = (2 / 5 * (normalized**k).mean(dim=0) for k in (2, 1))
    agree("BatchNormalization, shifted data", dtype, gradients[:2], [gamma, beta])


def standard(x):
    return x.mean(dim=0), 1 / x.std(dim=0, correction=0)


def minmax(x):
    low, high = torch.aminmax(x, dim=0)
    return low, 1 / (high - low)


def robust(x):
    quarter, median, rest = torch.quantile(x, torch.tensor([0.25, 0.5, 0.75], dtype=x.dtype), dim=0)
    low, high = torch.aminmax(x, dim=0)
    return median, 1 / torch.where(rest > quarter, rest - quarter, (high - low) / 2)


STATISTICS = {"standard": standard, "minmax": minmax, "robust": robust}


@each_executor
@each_dtype
@pytest.mark.parametrize("rows", [30, 37])
@pytest.mark.parametrize("method", Normalization.METHODS)
def test_normalization(method, rows, dtype, executor):
    """Mean, scale and output from the training rows; a column without a middle spread; a constant one becomes 0."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(rows, 5)) * [1, 0.1, 3, 1, 1] + [0, 2, -4, 1, 3]
    x[:, 3] = 1.5
    x[2, 3], x[:, 4] = 9.5, 0.1
    x, y = x.astype(dtype), rng.normal(size=(rows, 5))
    model = Sequential([Normalization(method), Dense(5)], input_dim=5, dtype=dtype)
    model.compile(SGD(0.0), executor=executor)
    model.fit(x, y, verbose=0)
    mean, scale, *_ = model.get_weights()
    centre, factor = STATISTICS[method](torch.tensor(x, dtype=torch.float64))
    factor[4] = 0
    agree(f"Normalization, {method}", dtype, [mean, scale], [centre, factor])
    model.set_weights([mean, scale, np.eye(5), np.zeros(5)])
    new = rng.normal(size=(8, 5))
    agree(f"Normalization, {method}", dtype, model.predict(new), (torch.tensor(new) - centre) * factor)


@each_dtype
def test_normalization_is_what_batch_normalization_does_first(dtype):
    """Of all rows, with epsilon 0: PyTorch's batch norm in training mode."""
    x = np.random.default_rng(0).normal(size=(30, 5)) * 3 + 1
    model = Sequential([Normalization(), Dense(5)], input_dim=5, dtype=dtype)
    model.compile(SGD(0.0))
    model.fit(x, np.zeros((30, 5)), verbose=0)
    model.set_weights([*model.get_weights()[:2], np.eye(5), np.zeros(5)])
    expected = F.batch_norm(torch.tensor(x), None, None, training=True, eps=1e-30)
    agree("Normalization, standard", dtype, model.predict(x), expected)
