"""Learning-rate schedules are PyTorch's: the rates, trainings with them, and the reduction on a plateau."""

import inspect
import math

import numpy as np
import pytest
from helpers import make_data
from torch_oracle import agree, each_dtype, each_executor, make_model, objective, torch, twin
from torch_paths import batches, our_path, rates_of, their_path, torch_optimizer

from fastml import (
    SCHEDULES,
    SGD,
    AdamW,
    Callback,
    CosineDecay,
    CosineLog,
    Dense,
    ExponentialDecay,
    OneCycle,
    PiecewiseConstantDecay,
    ReduceLROnPlateau,
    StepDecay,
)

torch_schedules = torch.optim.lr_scheduler
STEPS = 24  # updates: 27 rows in 4 batches, 6 epochs


def warm_up(optimizer, steps, warmup_steps, final):
    """PyTorch's linear warm-up followed by its cosine."""
    first = torch_schedules.LinearLR(optimizer, 1 / (warmup_steps + 1), 1.0, warmup_steps)
    second = torch_schedules.CosineAnnealingLR(optimizer, steps - warmup_steps, final)
    return torch_schedules.SequentialLR(optimizer, [first, second], [warmup_steps])


def one_cycle(optimizer, steps=STEPS, **arguments):
    return torch_schedules.OneCycleLR(optimizer, 0.3, steps, cycle_momentum=False, **arguments)


def cosine_log(optimizer, cycles=4, least=0.0):
    """Its formula as a factor of the rate: PyTorch has none of the kind."""

    def factor(t):
        turns = math.log2(1 + (2**cycles - 1) * min(1, t / STEPS))
        return least + (1 - least) * 0.5 * (1 - math.cos(2 * math.pi * turns))

    return torch_schedules.LambdaLR(optimizer, factor)


CASES = [  # of a schedule whose rate at the top is 0.3, and PyTorch's from an optimizer with the rate 0.3
    (StepDecay(0.3, 1), lambda o: torch_schedules.StepLR(o, 1)),
    (StepDecay(0.3, 7, 0.5), lambda o: torch_schedules.StepLR(o, 7, 0.5)),
    (ExponentialDecay(0.3, 1, 0.9), lambda o: torch_schedules.ExponentialLR(o, 0.9)),
    (ExponentialDecay(0.3, 5, 0.6), lambda o: torch_schedules.ExponentialLR(o, 0.6**0.2)),
    (ExponentialDecay(0.3, 5, 0.6, staircase=True), lambda o: torch_schedules.StepLR(o, 5, 0.6)),
    (ExponentialDecay(0.3, 3, 1.1), lambda o: torch_schedules.ExponentialLR(o, 1.1 ** (1 / 3))),
    (CosineDecay(0.3), lambda o: torch_schedules.CosineAnnealingLR(o, STEPS)),
    (CosineDecay(0.3, STEPS, final=0.02), lambda o: torch_schedules.CosineAnnealingLR(o, STEPS, 0.02)),
    (CosineDecay(0.3, warmup_steps=1), lambda o: warm_up(o, STEPS, 1, 0.0)),
    (CosineDecay(0.3, STEPS, 9, 0.05), lambda o: warm_up(o, STEPS, 9, 0.05)),
    (CosineDecay(0.3, warmup_steps=STEPS - 1), lambda o: warm_up(o, STEPS, STEPS - 1, 0.0)),
    (OneCycle(0.3), one_cycle),
    (
        OneCycle(0.3, STEPS, 0.5, 10.0, 50.0),
        lambda o: one_cycle(o, pct_start=0.5, div_factor=10.0, final_div_factor=50.0),
    ),
    (OneCycle(0.3, warmup=0.9), lambda o: one_cycle(o, pct_start=0.9)),
    (OneCycle(0.3, warmup=0.09), lambda o: one_cycle(o, pct_start=0.09)),
    (CosineLog(0.3, final=0.03), lambda o: cosine_log(o, least=0.1)),
    (CosineLog(0.3, STEPS, 2, 0.06), lambda o: cosine_log(o, 2, 0.2)),
    (PiecewiseConstantDecay([5, 11], [0.3, 0.03, 0.003]), lambda o: torch_schedules.MultiStepLR(o, [6, 12], 0.1)),
    (PiecewiseConstantDecay([20], [0.3, 0.6]), lambda o: torch_schedules.MultiStepLR(o, [21], 2.0)),
]
IDS = [repr(schedule) for schedule, _ in CASES]


def data():
    return make_data("mean_squared_error", rows=27)


def model_of(optimizer, dtype="float64", executor="compiled"):
    return make_model([Dense(6, "tanh"), Dense(3)], optimizer, dtype=dtype, executor=executor)


def test_every_schedule_and_option_has_an_oracle():
    """Each argument of each schedule stands in a case with two values at least."""
    for kind in SCHEDULES.values():
        cases = [vars(schedule) for schedule, _ in CASES if type(schedule) is kind]
        assert cases, f"no case of {kind.__name__}"
        for name in set(inspect.signature(kind).parameters) - {"learning_rate"}:
            assert len({case[name] for case in cases}) > 1, f"no case of {kind.__name__}({name})"


@pytest.mark.parametrize("schedule, make", CASES, ids=IDS)
def test_rates(schedule, make):
    """All of them at once, and in parts as an optimizer gives them; relative to PyTorch's."""
    expected = rates_of(make, STEPS, 0.3)
    title, ones = f"{type(schedule).__name__}, rates", np.ones(STEPS)
    agree(title, "float64", schedule.at(np.arange(STEPS), STEPS) / expected, ones)
    optimizer = SGD(schedule)
    parts = [optimizer.rates(t, 3, first=0, total=STEPS) for t in range(0, STEPS, 3)]
    agree(title, "float64", np.concatenate(parts) / expected, ones)


@each_executor
@pytest.mark.parametrize("optimizer, dtype", [(SGD, "float32"), (SGD, "float64"), (AdamW, "float64")])
@pytest.mark.parametrize("schedule, make", CASES, ids=IDS)
def test_training(schedule, make, optimizer, dtype, executor):
    """24 steps at these rates; those of AdamW also scale its decay."""
    optimizer = SGD(schedule, 0.5, weight_decay=0.1) if optimizer is SGD else AdamW(schedule)
    x, y = data()
    model = model_of(optimizer, dtype, executor)
    net = twin(model)
    made = torch_optimizer(optimizer, net, learning_rate=0.3)
    scheduler = make(made)
    ours = our_path(model, x, y, batch_size=8, epochs=6)
    theirs = their_path(net, made, objective(model, net, x, y), batches(27, 8), 6, Without(scheduler, last=STEPS))
    agree(f"{type(schedule).__name__}, training", dtype, ours, theirs)


class Without:
    """A scheduler that is not asked for a rate after the last step: OneCycleLR would raise."""

    def __init__(self, scheduler, last):
        self.scheduler, self.left = scheduler, last - 1

    def step(self):
        self.left -= 1
        if self.left >= 0:
            self.scheduler.step()


@each_executor
@each_dtype
@pytest.mark.parametrize("steps", [None, 20], ids=["each fit", "from compile"])
def test_several_fits(steps, dtype, executor):
    """Without `steps` each fit has its cosine; with it, one runs on from fit to fit, and then stays at `final`."""
    x, y = data()
    optimizer = SGD(CosineDecay(0.3, steps, final=0.01), 0.5)
    model = model_of(optimizer, dtype, executor)
    net = twin(model)
    made = torch_optimizer(optimizer, net, learning_rate=0.3)
    value, scheduler = objective(model, net, x, y), torch_schedules.CosineAnnealingLR(made, 20, 0.01)
    for epochs in (2, 3, 1):
        if steps is None:
            for group in made.param_groups:
                group["lr"] = group["initial_lr"] = 0.3
            scheduler = torch_schedules.CosineAnnealingLR(made, 4 * epochs, 0.01)
        ours = our_path(model, x, y, batch_size=8, epochs=epochs)
        theirs = their_path(
            net, made, value, batches(27, 8), epochs, scheduler if epochs > 1 or steps is None else None
        )
        agree("CosineDecay, several fits", dtype, ours, theirs)


# ReduceLROnPlateau.

PLATEAUS = [
    {"patience": 1},
    {"patience": 3, "factor": 0.5},
    {"patience": 0, "factor": 0.7},
    {"patience": 2, "factor": 0.5, "min_lr": 0.07},
    {"patience": 2, "factor": 0.5, "min_delta": 0.3},
    {"patience": 2, "factor": 0.5, "mode": "max"},
    {"patience": 2, "factor": 0.8, "mode": "max", "min_delta": 0.1, "min_lr": 0.01},
    {"patience": 2, "factor": 0.8, "cooldown": 1},
    {"patience": 1, "factor": 0.8, "cooldown": 3},
    {"patience": 3, "factor": 0.8, "cooldown": 2, "min_delta": 0.1},
]


def torch_plateau(optimizer, patience, min_delta=1e-4, cooldown=0, **arguments):
    """PyTorch reduces after more than its patience, hence one less; eps = 0 makes it take small reductions, too."""
    counts = {"patience": max(1, patience) - 1, "cooldown": cooldown}
    options = {"threshold": min_delta, "threshold_mode": "abs", "eps": 0.0}
    return torch_schedules.ReduceLROnPlateau(optimizer, **counts, **options, **arguments)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("arguments", PLATEAUS, ids=str)
def test_rates_on_plateaus(arguments, seed):
    """For 60 epochs of made-up values, which fall, rise and repeat."""
    rng = np.random.default_rng(seed)
    values = np.round(2 / (1 + 0.1 * np.arange(60)) + rng.normal(scale=0.15, size=60), 2)
    if arguments.get("mode") == "max":
        values = -values
    model = model_of(SGD(0.2))
    callback = ReduceLROnPlateau("value", **arguments)
    callback.set_model(model)
    callback.on_train_begin({})
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.2)
    scheduler = torch_plateau(optimizer, **arguments)
    ours, theirs = [], []
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {"value": float(value)})
        optimizer.step()
        scheduler.step(value)
        ours.append(model.optimizer.learning_rate)
        theirs.append(optimizer.param_groups[0]["lr"])
    assert len(set(theirs)) > 2
    agree("ReduceLROnPlateau, rates", "float64", np.array(ours), np.array(theirs))


class Rates(Callback):
    """Keeps the learning rate of each epoch's end."""

    def on_train_begin(self, logs):
        self.rates = []

    def on_epoch_end(self, epoch, logs):
        self.rates.append(self.model.optimizer.learning_rate)


@each_executor
@each_dtype
def test_plateau_in_a_training(dtype, executor):
    """By the validation loss: losses and rates of 20 epochs, and the weights at the end."""
    x, y = data()
    model = model_of(SGD(0.4, 0.5), dtype, executor)
    net = twin(model)
    made = torch.optim.SGD(net.parameters(), 0.4, momentum=0.5)
    scheduler, rates = torch_plateau(made, patience=2, min_delta=0.01, factor=0.4), Rates()
    reduce = ReduceLROnPlateau("val_loss", 0.4, 2, 0.01)
    history = model.fit(x, y, 8, 20, 0, [reduce, rates], validation_data=(x[:9], y[:9]), shuffle=False).history
    losses, validation, expected = [], [], []
    value = objective(model, net, x, y)
    for _ in range(20):
        (loss,), (weights,) = their_path(net, made, value, batches(27, 8), 1)
        validation.append(value(slice(0, 9)).item())
        scheduler.step(validation[-1])
        losses.append(loss)
        expected.append(made.param_groups[0]["lr"])
    assert len(set(expected)) > 2
    ours = [history["loss"], history["val_loss"], rates.rates, model.get_weights()]
    agree("ReduceLROnPlateau, training", dtype, ours, [losses, validation, expected, weights])
