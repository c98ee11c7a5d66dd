"""Where PyTorch does otherwise, and on purpose; and the defaults: which are PyTorch's, and which are not."""

import inspect

import numpy as np
import pytest
from helpers import make_data
from torch_oracle import F, agree, distance, each_dtype, make_model, objective, tensors, torch, twin
from torch_paths import batches, both_paths, our_path, rates_of, their_path

from fastml import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BatchNormalization,
    CosineDecay,
    Dense,
    Huber,
    OneCycle,
    ReduceLROnPlateau,
    RMSprop,
    Rprop,
    SparseCategoricalCrossentropy,
    StepDecay,
)

schedulers = torch.optim.lr_scheduler


def biases(path):
    """Of the weights after each epoch those of the biases."""
    return [weights[1::2] for weights in path]


def coupled(kind, weight_decay, **arguments):
    """A maker of PyTorch's optimizer with this weight_decay for the weights, and none for the biases, of a twin."""

    def made(net):
        W, b = [net[0].weight, net[2].weight], [net[0].bias, net[2].bias]
        return kind([{"params": W, "weight_decay": weight_decay}, {"params": b}], **arguments)

    return made


def length(weights, others):
    return np.sqrt(sum(((w - o) ** 2).sum() for w, o in zip(weights, others, strict=True)))


def test_clipping_to_a_norm_is_exact():
    """A step of SGD(1) has the length 0.01; PyTorch multiplies by 0.01 / (norm + 1e-6) and falls short."""
    norms = []

    def made(net):
        sgd, clip = torch.optim.SGD(net.parameters(), 1.0), torch.nn.utils.clip_grad_norm_
        sgd.register_step_pre_hook(lambda *_: norms.append(clip(net.parameters(), 0.01).item()))
        return sgd

    (_, start), _ = both_paths(SGD(0.0), epochs=1, size=27)
    (_, ours), (_, theirs) = both_paths(SGD(1.0, global_clipnorm=0.01), made=made, epochs=1, size=27)
    assert norms[0] > 0.1
    assert length(ours[0], start[0]) == pytest.approx(0.01, rel=1e-12)
    assert length(theirs[0], start[0]) == pytest.approx(0.01 * norms[0] / (norms[0] + 1e-6), rel=1e-12)
    assert length(ours[0], start[0]) - length(theirs[0], start[0]) > 1e-9


def test_a_gradient_shorter_than_the_norm_is_not_clipped():
    ours, theirs = both_paths(SGD(0.3, global_clipnorm=100.0), made=lambda net: torch.optim.SGD(net.parameters(), 0.3))
    agree("SGD, global_clipnorm", "float64", ours, theirs)


def test_adamw_of_pytorch_decays_biases_too():
    """That is decay_all; without it the biases go elsewhere."""

    def made(net):
        return torch.optim.AdamW(net.parameters(), 0.01, weight_decay=0.5)

    ours, theirs = both_paths(AdamW(0.01, weight_decay=0.5), made=made)
    assert distance(biases(ours[1]), biases(theirs[1])) > 1e-3
    paths = both_paths(AdamW(0.01, weight_decay=0.5, decay_all=True), made=made)
    agree("AdamW, weight_decay, decay_all", "float64", *paths)


DECAYS = [
    (SGD(0.1, 0.9, weight_decay=0.1), coupled(torch.optim.SGD, 0.1, lr=0.1, momentum=0.9)),
    (Adam(0.01, weight_decay=0.1), coupled(torch.optim.Adam, 0.1, lr=0.01)),
    (RMSprop(0.01, weight_decay=0.1), coupled(torch.optim.RMSprop, 0.1, lr=0.01, alpha=0.9)),
    (Adagrad(0.1, weight_decay=0.1), coupled(torch.optim.Adagrad, 0.1, lr=0.1)),
]


@pytest.mark.parametrize("optimizer, made", DECAYS, ids=lambda value: getattr(type(value), "__name__", ""))
def test_weight_decay_of_pytorchs_others_is_a_penalty(optimizer, made):
    """Ours is decoupled whatever the optimizer: with momentum or adaptive steps another path."""
    (_, ours), (_, theirs) = both_paths(optimizer, made=made)
    assert distance(ours, theirs) > 1e-3


@each_dtype
def test_without_momentum_decay_and_penalty_are_the_same(dtype):
    """(1 - lr·λ)·W - lr·dW = W - lr·(dW + λ·W)"""
    paths = both_paths(SGD(0.1, weight_decay=0.3), dtype, made=coupled(torch.optim.SGD, 0.3, lr=0.1))
    agree("SGD, weight_decay", dtype, *paths)


def test_class_weight_with_label_smoothing_weighs_rows():
    """By the weight of the row's class; PyTorch weighs the smoothed part of the targets class by class."""
    x, y = make_data("sparse_categorical_crossentropy", rows=30)
    by_class = np.array([0.5, 3.0, 1.2])
    model = make_model([Dense(3)], SGD(1.0), SparseCategoricalCrossentropy(label_smoothing=0.2))
    net, other = twin(model), twin(model)
    _, ours = our_path(model, x, y, batch_size=30, class_weight=dict(enumerate(by_class)))
    value = objective(model, net, x, y, by_class[y])
    _, rows = their_path(net, torch.optim.SGD(net.parameters(), 1.0), value, batches(30, 30), 1)
    agree("class_weight with label_smoothing", "float64", ours, rows)
    inputs, targets = tensors(model, x, y)
    value = F.cross_entropy(other(inputs), targets, torch.tensor(by_class), label_smoothing=0.2)
    _, classes = their_path(other, torch.optim.SGD(other.parameters(), 1.0), lambda rows: value, batches(30, 30), 1)
    assert distance(ours, classes) > 1e-3


def test_a_cosine_stays_down():
    """Beyond its steps PyTorch's rises again."""
    ours = CosineDecay(0.3, 10, final=0.1).at(np.arange(15), 10)
    theirs = rates_of(lambda optimizer: schedulers.CosineAnnealingLR(optimizer, 10, 0.1), 15, 0.3)
    agree("CosineDecay, rates", "float64", ours[:11], theirs[:11])
    assert (ours[11:] == 0.1).all()
    assert theirs[14] > 0.15


def test_one_cycle_without_warm_up_starts_at_the_top():
    """PyTorch's then starts a step later."""
    ours = OneCycle(0.3, warmup=0.0).at(np.arange(20), 20)
    theirs = rates_of(lambda o: schedulers.OneCycleLR(o, 0.3, 20, pct_start=0.0, cycle_momentum=False), 20, 0.3)
    assert ours[0] == 0.3
    assert theirs[0] < 0.3 - 1e-3
    assert ours[-1] == pytest.approx(theirs[-1], rel=1e-10)


def test_patience_is_an_epoch_shorter_and_cooldown_the_same():
    """With equal numbers, on values that never improve: ours reduces at the 2nd bad epoch, as Keras's, PyTorch's at the
    3rd; then both leave out two epochs."""
    model = make_model([Dense(1)], SGD(1.0))
    callback = ReduceLROnPlateau("value", 0.5, patience=2, cooldown=2)
    callback.set_model(model)
    callback.on_train_begin({})
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    scheduler = schedulers.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, cooldown=2)
    ours, theirs = [], []
    for epoch in range(9):
        callback.on_epoch_end(epoch, {"value": 1.0})
        optimizer.step()
        scheduler.step(1.0)
        ours.append(model.optimizer.learning_rate)
        theirs.append(optimizer.param_groups[0]["lr"])
    assert ours == [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert theirs == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25]


def default(kind, argument):
    return inspect.signature(kind).parameters[argument].default


def defaults(kind):
    return kind([torch.zeros(1)]).defaults


def test_defaults_of_optimizers_that_are_pytorchs():
    adam, adamw, adagrad, rprop = (defaults(getattr(torch.optim, k)) for k in ("Adam", "AdamW", "Adagrad", "Rprop"))
    for ours, theirs in ((Adam(), adam), (AdamW(), adamw)):
        assert (ours.learning_rate, ours.beta_1, ours.beta_2) == (theirs["lr"], *theirs["betas"])
        assert (ours.epsilon, ours.weight_decay) == (theirs["eps"], theirs["weight_decay"])
    assert RMSprop().epsilon == defaults(torch.optim.RMSprop)["eps"]
    assert Adagrad().learning_rate == adagrad["lr"]
    assert Adagrad().epsilon == adagrad["eps"]
    assert Adagrad().initial_accumulator_value == adagrad["initial_accumulator_value"]
    assert Rprop().initial_step == rprop["lr"]
    assert (Rprop().eta_minus, Rprop().eta_plus) == rprop["etas"]
    assert (Rprop().step_min, Rprop().step_max) == rprop["step_sizes"]


def test_defaults_of_optimizers_that_are_not():
    """They are Keras's."""
    assert RMSprop().rho == 0.9 != defaults(torch.optim.RMSprop)["alpha"]
    assert RMSprop().learning_rate == 0.001 != defaults(torch.optim.RMSprop)["lr"]
    assert SGD().learning_rate == 0.01 != defaults(torch.optim.SGD)["lr"]


def test_other_defaults_that_are_pytorchs():
    """The momentum of batch normalization is PyTorch's share of the new as a share of the old."""
    norm, one_cycle = torch.nn.BatchNorm1d(1), OneCycle(1.0)
    assert BatchNormalization().epsilon == norm.eps
    assert BatchNormalization().momentum == 1 - norm.momentum
    assert Huber().delta == default(F.huber_loss, "delta")
    assert StepDecay(1.0, 1).decay_rate == default(schedulers.StepLR, "gamma")
    assert CosineDecay(1.0).final == default(schedulers.CosineAnnealingLR, "eta_min")
    assert one_cycle.warmup == default(schedulers.OneCycleLR, "pct_start")
    for name in ("div_factor", "final_div_factor"):
        assert getattr(one_cycle, name) == default(schedulers.OneCycleLR, name)
    for ours, theirs in (("min_delta", "threshold"), *((n, n) for n in ("factor", "patience", "cooldown", "min_lr"))):
        assert getattr(ReduceLROnPlateau(), ours) == default(schedulers.ReduceLROnPlateau, theirs)
