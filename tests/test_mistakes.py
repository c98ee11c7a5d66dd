"""Mistakes with layers, losses, optimizers, schedules and weights: each is refused, and the error says why."""

import numpy as np
import pytest
from helpers import make_data

from fastml import (
    L1L2,
    L2,
    LOSSES,
    SGD,
    Activation,
    Adagrad,
    Adam,
    BatchNormalization,
    BinaryCrossentropy,
    Callback,
    CosineDecay,
    CosineLog,
    Dense,
    Dropout,
    EarlyStopping,
    ExponentialDecay,
    Huber,
    Loss,
    Normalization,
    OneCycle,
    Optimizer,
    ReduceLROnPlateau,
    Rprop,
    Sequential,
    StepDecay,
    gradient_check,
)

ROWS = 12
SPARSE = "sparse_categorical_crossentropy"
DATA = {loss: make_data(loss, rows=ROWS) for loss in LOSSES}
X, Y = DATA["mean_squared_error"]
NAN = float("nan")


def model(layers=None, optimizer="sgd", loss="mean_squared_error", **arguments):
    made = Sequential(layers or [Dense(3)], seed=0, **arguments)
    made.compile(optimizer, loss)
    return made


def fit(layers=None, optimizer="sgd", loss="mean_squared_error", data=None, **arguments):
    x, y = data or DATA[loss]
    return model(layers, optimizer, loss).fit(x, y, verbose=0, **arguments)


def classes(class_weight):
    return fit(loss=SPARSE, class_weight=class_weight)


def rows(sample_weight):
    return fit(sample_weight=sample_weight)


def normalized():
    return model([Normalization(), Dense(3)])


def batches():
    return model([BatchNormalization(), Dense(3)])


class AtEpochEnd(Callback):
    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, epoch, logs):
        self.function(self.model)


def change(**values):
    """A callback that sets hyper-parameters."""
    return AtEpochEnd(lambda model: [setattr(model.optimizer, name, value) for name, value in values.items()])


LAYERS = {
    "rate 1": (ValueError, r"rate must be in \[0, 1\), got 1", lambda: Dropout(1)),
    "rate below 0": (ValueError, r"rate must be in \[0, 1\), got -0.1", lambda: Dropout(-0.1)),
    "rate in percent": (ValueError, r"rate must be in \[0, 1\), got 50", lambda: Dropout(50)),
    "rate of words": (TypeError, "rate must be a number, got str", lambda: Dropout("x")),
    "rate later": (ValueError, "rate must be in", lambda: setattr(Dropout(0.5), "rate", 1.0)),
    "dropout last": (ValueError, "Dropout cannot be the last layer", lambda: model([Dense(3), Dropout(0.5)])),
    "dropout alone": (ValueError, "Dropout cannot be the last layer", lambda: fit([Dropout(0.5)])),
    "a layer's class": (TypeError, "a layer is expected.*Dropout", lambda: Sequential([Dropout])),
    "a layer twice": (ValueError, "in the model already", lambda: Sequential([layer := Dropout(0.5), layer])),
    "one row": (
        ValueError,
        "at least 2 rows: the variance.*got 1 rows",
        lambda: batches().fit(X[:1], Y[:1], verbose=0),
    ),
    "batches of one": (ValueError, "at least 2 rows.*batches of 1", lambda: batches().fit(X, Y, 1, verbose=0)),
    "gradient of one row": (ValueError, "at least 2 rows", lambda: batches().gradients(X[:1], Y[:1])),
    "check of one row": (ValueError, "at least 2 rows", lambda: gradient_check(batches(), X[:1], Y[:1])),
    "one row left": (ValueError, "at least 2", lambda: batches().fit(X[:2], Y[:2], validation_split=0.5, verbose=0)),
    "momentum of 1": (ValueError, r"momentum must be in \[0, 1\)", lambda: BatchNormalization(momentum=1)),
    "epsilon of 0": (ValueError, r"epsilon must be in \(0", lambda: BatchNormalization(epsilon=0)),
    "second": (ValueError, "Normalization must be the first layer", lambda: Sequential([Dense(3), Normalization()])),
    "twice": (ValueError, "Normalization must be the first", lambda: Sequential([Normalization(), Normalization()])),
    "a method": (ValueError, "unknown method 'zscore'. There are: minmax", lambda: Normalization("zscore")),
    "no method": (TypeError, "method must be a name", lambda: Normalization(None)),
    "predict": (RuntimeError, "predict needs the statistics.*fit first", lambda: normalized().predict(X)),
    "evaluate": (RuntimeError, "evaluate needs the statistics.*fit first", lambda: normalized().evaluate(X, Y)),
    "gradients": (RuntimeError, "gradients needs the statistics.*fit first", lambda: normalized().gradients(X, Y)),
    "check": (RuntimeError, "gradient_check needs the statistics", lambda: gradient_check(normalized(), X, Y)),
    "nothing to train": (ValueError, "no weights to train", lambda: fit([Normalization()], data=(X, X))),
    "alpha for relu": (
        ValueError,
        "'relu' has no alpha; these have: leaky_relu",
        lambda: Activation("relu", alpha=0.1),
    ),
    "alpha below 0": (ValueError, r"alpha must be in \[0", lambda: Activation("leaky_relu", alpha=-1)),
    "alpha of words": (TypeError, "alpha must be a number", lambda: Activation("elu", alpha="x")),
    "an activation's class": (TypeError, "activation must be a name", lambda: Dense(3, Activation)),
    "a layer as activation": (TypeError, "activation must be a name", lambda: Dense(3, Dropout(0.5))),
    "W of a wrong shape": (
        ValueError,
        r"kernel_initializer has shape \(3, 5\), but the parameter has \(5, 3\)",
        lambda: fit([Dense(3, kernel_initializer=np.ones((3, 5)))]),
    ),
    "b of a wrong shape": (ValueError, "bias_initializer has shape", lambda: fit([Dense(3, bias_initializer=[1, 2])])),
    "W of NaN": (ValueError, "kernel_initializer.*not finite", lambda: Dense(3, kernel_initializer=NAN)),
    "W of words": (TypeError, "kernel_initializer has dtype", lambda: Dense(3, kernel_initializer=[["a"]])),
    "W of ragged rows": (
        ValueError,
        "kernel_initializer is not a rect",
        lambda: Dense(3, kernel_initializer=[[1], [2, 3]]),
    ),
    "W of a class": (TypeError, "kernel_initializer must be a name", lambda: Dense(3, kernel_initializer=dict)),
    "a number as penalty": (TypeError, "kernel_regularizer must be", lambda: Dense(3, kernel_regularizer=0.01)),
    "a penalty's class": (
        TypeError,
        r"bias_regularizer is the class L2: pass L2\(",
        lambda: Dense(3, bias_regularizer=L2),
    ),
    "a penalty below 0": (ValueError, r"l2 must be in \[0", lambda: L1L2(l2=-1)),
}

WEIGHTS = {
    "of a regression": (ValueError, "class_weight does not go with mean_sq.*numbers", lambda: fit(class_weight={0: 1})),
    "balanced regression": (ValueError, "class_weight does not go with", lambda: fit(class_weight="balanced")),
    "of counts": (ValueError, "does not go with poisson", lambda: fit(loss="poisson", class_weight={0: 1})),
    "of several labels": (
        ValueError,
        "class_weight does not go with.*several labels",
        lambda: fit(loss="binary_crossentropy", class_weight={0: 1}),
    ),
    "of an unknown class": (ValueError, "class 3, but the classes are 0 to 2", lambda: classes({3: 1})),
    "of class -1": (ValueError, "class -1, but the classes are 0 to 2", lambda: classes({-1: 1})),
    "of a class by name": (ValueError, "class_weight has the class 'cat'", lambda: classes({"cat": 1})),
    "below 0": (ValueError, "class_weight of class 0 must be a number from 0 on, got -1", lambda: classes({0: -1})),
    "NaN": (ValueError, "class_weight of class 0 must be", lambda: classes({0: NAN})),
    "of words": (ValueError, "class_weight of class 0 must be", lambda: classes({0: "x"})),
    "a list": (TypeError, "class_weight must be a dict.*or 'balanced'", lambda: classes([1, 2, 3])),
    "a misspelt name": (TypeError, "class_weight must be a dict.*got 'balance'", lambda: classes("balance")),
    "all 0": (ValueError, "class_weight.*0 for every row", lambda: classes({0: 0, 1: 0, 2: 0})),
    "too few": (ValueError, r"sample_weight must have.*12 rows.*got \(11,\)", lambda: rows(np.ones(11))),
    "for each output": (ValueError, r"sample_weight must have.*got \(12, 3\)", lambda: rows(np.ones((12, 3)))),
    "one number": (ValueError, "sample_weight must have one weight for each", lambda: rows(2.0)),
    "row below 0": (ValueError, "sample_weight holds -1 at row 3", lambda: rows([1, 1, 1, -1, *[1] * 8])),
    "row of NaN": (ValueError, "sample_weight holds NaN at row 0", lambda: rows(np.full(ROWS, NAN))),
    "row of infinity": (ValueError, "sample_weight holds infinity", lambda: rows(np.full(ROWS, np.inf))),
    "rows all 0": (ValueError, "sample_weight is 0 for every row", lambda: rows(np.zeros(ROWS))),
    "rows of words": (TypeError, "sample_weight has dtype", lambda: rows("balanced")),
    "a dict for rows": (TypeError, "sample_weight.*dict", lambda: rows({0: 1})),
    "evaluate": (ValueError, "sample_weight must have", lambda: model().evaluate(X, Y, sample_weight=[1])),
    "gradients": (ValueError, "sample_weight must have", lambda: model().gradients(X, Y, sample_weight=[1])),
    "check": (ValueError, "sample_weight must have", lambda: gradient_check(model(), X, Y, sample_weight=[1])),
    "validation": (
        ValueError,
        "validation_data sample_weight holds",
        lambda: fit(validation_data=(X, Y, -np.ones(12))),
    ),
    "counts below 0": (
        ValueError,
        "y holds -1.0.*poisson.*from 0",
        lambda: fit(loss="poisson", data=(X, -np.ones((12, 3)))),
    ),
    "one class": (ValueError, "needs an output for each class", lambda: fit([Dense(1)], loss=SPARSE)),
    "wrong output": (ValueError, "'exponential'", lambda: model([Dense(3, "relu")], loss="poisson")),
}

TRAINING = {
    "loss's class": (TypeError, r"loss is the class Huber: pass Huber\(\)", lambda: model(loss=Huber)),
    "bare loss": (TypeError, "needs a method call", lambda: model(loss=Loss())),
    "no loss": (TypeError, "loss must be a name", lambda: model(loss=None)),
    "delta of 0": (ValueError, r"delta must be in \(0", lambda: Huber(0)),
    "smoothing of 1": (ValueError, r"label_smoothing must be in \[0, 1\)", lambda: BinaryCrossentropy(1)),
    "optimizer's class": (TypeError, r"optimizer is the class Adam: pass Adam\(\)", lambda: model(optimizer=Adam)),
    "bare optimizer": (TypeError, "is none of SGD", lambda: model(optimizer=Optimizer())),
    "a schedule for an optimizer": (TypeError, "optimizer must be a name", lambda: model(optimizer=CosineDecay(0.1))),
    "nesterov alone": (ValueError, "nesterov needs a momentum above 0", lambda: SGD(0.1, nesterov=True)),
    "nesterov as a number": (TypeError, "nesterov must be True or False", lambda: SGD(0.1, 0.9, nesterov=1)),
    "decay_all as a number": (TypeError, "decay_all must be True or False", lambda: Adam(decay_all=1)),
    "backtrack as a number": (TypeError, "backtrack must be True or False", lambda: Rprop(backtrack=1)),
    "least above most": (
        ValueError,
        "initial_step must be from step_min to step_max",
        lambda: Rprop(step_min=2, step_max=1),
    ),
    "eta_plus of 1": (ValueError, r"eta_plus must be in \(1", lambda: Rprop(eta_plus=1)),
    "rprop's rate": (TypeError, "learning_rate", lambda: Rprop(learning_rate=0.1)),
    "momentum from 0": (RuntimeError, "compile again", lambda: fit(callbacks=[change(momentum=0.9)], epochs=2)),
    "huge accumulator": (
        ValueError,
        "initial_accumulator_value of Adagrad.* is 1e.39, which is inf in float32",
        lambda: fit(optimizer=Adagrad(initial_accumulator_value=1e39)),
    ),
    "huge first step": (
        ValueError,
        "initial_step of Rprop.* is 1e.39, which is inf in float32",
        lambda: fit(optimizer=Rprop(initial_step=1e39, step_max=1e40)),
    ),
    "huge learning rate": (ValueError, "learning_rate of SGD.* inf in float32", lambda: fit(optimizer=SGD(1e39))),
    "tiny clipvalue": (ValueError, "clipvalue.* is 1e-50.*float32", lambda: fit(optimizer=SGD(clipvalue=1e-50))),
    "schedule's class": (TypeError, r"learning_rate is the class CosineDecay: pass", lambda: SGD(CosineDecay)),
    "schedule by name": (TypeError, "learning_rate must be a number", lambda: SGD("cosine")),
    "schedule of a schedule": (TypeError, "learning_rate must be a number", lambda: StepDecay(CosineDecay(0.1), 3)),
    "no steps": (ValueError, "decay_steps must be at least 1", lambda: StepDecay(0.1, 0)),
    "half a step": (TypeError, "decay_steps must be an integer", lambda: ExponentialDecay(0.1, 1.5)),
    "rate that vanishes": (ValueError, r"decay_rate must be in \(0", lambda: ExponentialDecay(0.1, 3, 0)),
    "staircase": (TypeError, "staircase must be True or False", lambda: ExponentialDecay(0.1, 3, 0.9, 1)),
    "warm-up of all steps": (ValueError, "warmup_steps must be fewer.*10 of 10", lambda: CosineDecay(0.1, 10, 10)),
    "warm-up as a share": (TypeError, "warmup_steps must be an integer", lambda: CosineDecay(0.1, 10, 0.1)),
    "warm-up in steps": (ValueError, r"warmup must be in \[0, 1\)", lambda: OneCycle(0.1, 10, 3)),
    "no cycle": (ValueError, "cycles must be", lambda: CosineLog(0.1, cycles=0)),
    "half a cycle": (TypeError, "cycles must be an integer", lambda: CosineLog(0.1, cycles=0.5)),
    "cycles without number": (ValueError, "cycles must be", lambda: CosineLog(0.1, cycles=100)),
    "a cycle of one": (ValueError, "steps must be at least 2", lambda: OneCycle(0.1, 1)),
    "div_factor": (ValueError, r"div_factor must be in \[1", lambda: OneCycle(0.1, div_factor=0.5)),
    "nobody logs it": (
        ValueError,
        "'val_loss'.*there are: loss; give fit valid",
        lambda: fit(callbacks=[EarlyStopping()]),
    ),
    "misspelt": (ValueError, "'acuracy'.*there are: loss", lambda: fit(callbacks=[ReduceLROnPlateau("acuracy")])),
    "monitor": (TypeError, "monitor must be the name", lambda: EarlyStopping(5)),
    "mode": (ValueError, "mode must be 'auto', 'min' or 'max'", lambda: EarlyStopping(mode="minimum")),
    "patience": (ValueError, "patience must be at least 0", lambda: EarlyStopping(patience=-1)),
    "half a patience": (TypeError, "patience must be an integer", lambda: ReduceLROnPlateau(patience=1.5)),
    "min_delta": (ValueError, "min_delta must be in", lambda: ReduceLROnPlateau(min_delta=-1)),
    "start": (ValueError, "start_from_epoch must be at least 0", lambda: EarlyStopping(start_from_epoch=-1)),
    "restore": (TypeError, "restore_best_weights must be True", lambda: EarlyStopping(restore_best_weights=1)),
    "factor": (ValueError, r"factor must be in \(0, 1\)", lambda: ReduceLROnPlateau(factor=10)),
    "cooldown": (ValueError, "cooldown must be at least 0", lambda: ReduceLROnPlateau(cooldown=-1)),
    "min_lr": (ValueError, r"min_lr must be in \[0", lambda: ReduceLROnPlateau(min_lr=-1)),
    "a callback's class": (TypeError, "a callback is an object", lambda: fit(callbacks=[EarlyStopping])),
    "a single callback": (TypeError, "callbacks must be a list", lambda: fit(callbacks=EarlyStopping())),
    "plateau and rprop": (
        ValueError,
        "ReduceLROnPlateau cannot change Rprop.*no learning rate",
        lambda: fit(optimizer="rprop", callbacks=[ReduceLROnPlateau("loss")]),
    ),
    "plateau and schedule": (
        ValueError,
        "ReduceLROnPlateau cannot change.*follows CosineDecay",
        lambda: fit(optimizer=SGD(CosineDecay(0.1)), callbacks=[ReduceLROnPlateau("loss")]),
    ),
}


def refused(table):
    """Parametrizes a test over such a table."""
    return pytest.mark.parametrize("error, message, make", list(table.values()), ids=list(table))


@refused(LAYERS)
def test_layers(error, message, make):
    with pytest.raises(error, match=message):
        make()


@refused(WEIGHTS)
def test_weights_and_targets(error, message, make):
    with pytest.raises(error, match=message):
        make()


@refused(TRAINING)
def test_losses_optimizers_schedules_and_callbacks(error, message, make):
    with pytest.raises(error, match=message):
        make()
