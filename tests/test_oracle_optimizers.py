"""Optimizers take PyTorch's path, with every option: losses and weights after each epoch of 24 steps and more."""

import inspect

import numpy as np
import pytest
from helpers import make_data
from torch_oracle import agree, distance, each_dtype, each_executor, make_model, objective, torch, twin
from torch_paths import batches, both_paths, our_path, their_path, torch_optimizer

from fastml import L1L2, L2, OPTIMIZERS, SGD, Adagrad, Adam, Adamax, AdamW, Dense, RMSprop, Rprop
from fastml.optimizers import GradientDescent
from fastml.program.compiled import DTYPES

OWN = {
    "sgd": [
        {"learning_rate": 0.3},
        {"learning_rate": 0.1, "momentum": 0.9},
        {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True},
    ],
    "adam": [{}, {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}],
    "adamw": [{}, {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}],
    "adamax": [{}, {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}],
    "rmsprop": [{"learning_rate": 0.005}, {"learning_rate": 0.01, "rho": 0.99, "epsilon": 1e-3}],
    "adagrad": [{}, {"learning_rate": 0.1, "initial_accumulator_value": 0.1, "epsilon": 1e-3}],
    "rprop": [
        {},
        {"initial_step": 0.1, "eta_minus": 0.3, "eta_plus": 1.5},
        {"initial_step": 0.02, "step_min": 0.008, "step_max": 0.03},
    ],
}
SHARED = [
    {"weight_decay": 0.3},
    {"weight_decay": 0.3, "decay_all": True},
    {"clipvalue": 0.01},
    {"clipnorm": 0.02},
    {"global_clipnorm": 0.05},
    {"weight_decay": 0.3, "clipvalue": 0.02, "global_clipnorm": 0.05},
]
NO_ORACLE = {"rprop": {"backtrack"}}  # PyTorch has no iRprop+

CASES = [OPTIMIZERS[name](**own) for name in OPTIMIZERS for own in OWN[name]]
WITH_SHARED = [
    (OPTIMIZERS[name](**own), OPTIMIZERS[name](**own | shared))
    for name, kind in OPTIMIZERS.items()
    if issubclass(kind, GradientDescent)
    for own in OWN[name]
    for shared in SHARED
]


def test_every_optimizer_and_option_has_an_oracle():
    """Each argument of each optimizer stands in a case with a value that is not its default."""
    for name, kind in OPTIMIZERS.items():
        parameters = inspect.signature(kind).parameters
        shared = SHARED if issubclass(kind, GradientDescent) else []
        varied = {key for case in OWN[name] + shared for key, value in case.items() if value != parameters[key].default}
        missing = set(parameters) - varied - NO_ORACLE.get(name, set())
        assert not missing, f"{kind.__name__}: no case of {missing}"


def title(optimizer):
    """The name of an optimizer and its options beyond the optimizer's own."""
    constants = optimizer.constants()
    options = [name for name in ("weight_decay", "clipvalue", "clipnorm", "global_clipnorm") if constants.get(name)]
    options += ["decay_all"] * optimizer.decay_all
    return ", ".join([type(optimizer).__name__, *options])


def with_dtypes(cases):
    """The cases in float64, and descent, the last of a case, in float32: there the others follow what is rounding."""
    return [(*case, dtype) for case in cases for dtype in DTYPES if dtype == "float64" or isinstance(case[-1], SGD)]


@each_executor
@pytest.mark.parametrize("optimizer, dtype", with_dtypes([(case,) for case in CASES]), ids=repr)
def test_path(optimizer, dtype, executor):
    agree(title(optimizer), dtype, *both_paths(optimizer, dtype, executor))


@each_executor
@pytest.mark.parametrize("plain, optimizer, dtype", with_dtypes(WITH_SHARED), ids=repr)
def test_path_with_decay_or_clipping(plain, optimizer, dtype, executor):
    """Decoupled decay, of weights or of all, and clipping, each of which changes the path."""
    ours, theirs = both_paths(optimizer, dtype, executor)
    agree(title(optimizer), dtype, ours, theirs)
    if dtype == "float64":
        (_, path), _ = both_paths(plain, dtype, executor)
        assert distance(ours[1], path) > 1e-5


COUPLED = [  # optimizers, and PyTorch's, whose weight_decay is the penalty
    (SGD(0.1, 0.9, True), lambda groups: torch.optim.SGD(groups, 0.1, momentum=0.9, nesterov=True)),
    (Adam(0.01), lambda groups: torch.optim.Adam(groups, 0.01)),
    (Adamax(0.01), lambda groups: torch.optim.Adamax(groups, 0.01)),
    (RMSprop(0.01), lambda groups: torch.optim.RMSprop(groups, 0.01, alpha=0.9)),
    (Adagrad(0.1), lambda groups: torch.optim.Adagrad(groups, 0.1)),
]


@each_executor
@each_dtype
@pytest.mark.parametrize("optimizer, coupled", COUPLED, ids=lambda value: getattr(type(value), "__name__", ""))
def test_l2_penalty_is_weight_decay_of_pytorch(optimizer, coupled, dtype, executor):
    """Its weight_decay is 2·l2, in the gradient, here with one number for the weights and one for the biases."""

    def made(net):
        (W, b), others = net[0].parameters(), net[2].parameters()
        return coupled([{"params": W, "weight_decay": 0.1}, {"params": b, "weight_decay": 0.04}, {"params": others}])

    penalties = {"kernel_regularizer": L2(0.05), "bias_regularizer": L2(0.02)}
    (_, ours), (_, theirs) = both_paths(optimizer, dtype, executor, made, **penalties)
    agree(f"{type(optimizer).__name__}, L2 penalty", dtype, ours, theirs)


@each_executor
@each_dtype
@pytest.mark.parametrize("optimizer", [*(kind() for kind in OPTIMIZERS.values())], ids=repr)
def test_penalties_by_automatic_differentiation(optimizer, dtype, executor):
    """L1 and L2 of weights and biases as part of the loss, and of the gradient that is clipped: losses and paths."""
    if not optimizer.full_batch:
        optimizer = type(optimizer)(optimizer.learning_rate, global_clipnorm=0.3)

    def penalty(net):
        return sum(0.003 * p.abs().sum() + 0.02 * p.square().sum() for p in net[0].parameters())

    ours = L1L2(0.003, 0.02)
    regularizers = {"kernel_regularizer": ours, "bias_regularizer": ours}
    paths = both_paths(optimizer, dtype, executor, penalty=penalty, **regularizers)
    agree(f"{type(optimizer).__name__}, L1 and L2 penalties", dtype, *paths)


@each_executor
@each_dtype
@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9), AdamW(0.01), Rprop()], ids=repr)
def test_state_lasts_from_fit_to_fit(optimizer, dtype, executor):
    """Several calls of fit are one path, with moments, velocities, steps and the count of updates going on."""
    x, y = make_data("mean_squared_error", rows=27)
    model = make_model([Dense(6, "tanh"), Dense(3)], optimizer, dtype=dtype, executor=executor)
    net, size = twin(model), 27 if optimizer.full_batch else 8
    made = torch_optimizer(optimizer, net)
    for epochs in (1, 3, 2, 8):
        ours = our_path(model, x, y, batch_size=size, epochs=epochs)
        theirs = their_path(net, made, objective(model, net, x, y), batches(27, size), epochs)
        agree(f"{type(optimizer).__name__}, several fits", dtype, ours, theirs)


@each_executor
@each_dtype
def test_rprop_on_mini_batches_warns_and_goes_on(dtype, executor):
    """The path is PyTorch's all the same."""
    x, y = make_data("mean_squared_error", rows=27)
    model = make_model([Dense(6, "tanh"), Dense(3)], Rprop(), dtype=dtype, executor=executor)
    net = twin(model)
    with pytest.warns(UserWarning, match="batch_size=27"):
        ours = our_path(model, x, y, batch_size=8, epochs=6)
    theirs = their_path(net, torch_optimizer(Rprop(), net), objective(model, net, x, y), batches(27, 8), 6)
    agree("Rprop, mini-batches", dtype, ours, theirs)


@pytest.mark.parametrize("own", OWN["rprop"], ids=str)
def test_the_paths_of_rprop_turn(own):
    """Steps grow and shrink on them, weights rest, and where the bounds are narrow, both are reached."""
    (_, path), _ = both_paths(Rprop(**own))
    flat = np.array([np.concatenate([w.ravel() for w in weights]) for weights in path])
    sizes = np.unique(np.abs(np.diff(flat, axis=0)).round(12))
    assert sizes[0] == 0
    assert sizes[1] < Rprop(**own).initial_step < sizes[-1]
    if "step_max" in own:
        assert (sizes[1], sizes[-1]) == (own["step_min"], own["step_max"])
