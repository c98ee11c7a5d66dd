"""What only rare use reaches: numbers beyond every dtype, schedules that are wrong, calls out of turn, reprs."""

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

import fastml
from fastml import SGD, Activation, Callback, Dense, DivergenceError, Dropout, Normalization, Schedule, Sequential
from fastml.program.compiled import DTYPES
from fastml.program.executors import EXECUTORS
from fastml.program.program import assembled


def test_an_integer_beyond_float64():
    """Not only rounded but beyond its range."""
    model = Sequential([Dense(1)], seed=1)
    with pytest.raises(ValueError, match="x holds the integer 1000*, which float64 cannot hold exactly"):
        model.predict([[10**400, 1]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_of_rows_that_are_farthest_apart(dtype):
    """Their sum would overflow, and so would a ratio; what is left is the heaviest row."""
    x, y = make_data("mean_squared_error", rows=4)
    models = [make_model(dtype=dtype) for _ in range(2)]
    for model, weights in zip(models, ([1e308, 1e-308, 1, 1e308], [1, 0, 0, 1]), strict=True):
        model.fit(x, y, sample_weight=weights, verbose=0)
    assert same_bits(*(model.get_weights() for model in models))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("row", range(11))
def test_an_overflow_that_the_loss_never_shows(row, executor):
    """A bias of -infinity makes a neuron dead, not the loss infinite. Its step is undone in the end.

    The neuron is active for one row only, whose step takes its bias below all numbers of float32.
    """
    x, y = np.full((11, 1), -1.0), np.arange(11.0)
    x[row] = 0
    models = [Sequential([Dense(1, "relu"), Dense(1)], dtype="float32", seed=1, input_dim=1) for _ in range(2)]
    for model in models:
        model.compile(SGD(10.0), "mean_absolute_error", executor=executor)
        model.set_weights([[[1]], [0.1], [[3e38]], [0]])
    model, twin = models
    with pytest.raises(DivergenceError, match="the model keeps its last finite weights"):
        model.fit(x, y, batch_size=1, shuffle=False, verbose=0)
    if row:
        twin.fit(x[:row], y[:row], batch_size=1, shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


class Rates(Schedule):
    """Gives what it is made with."""

    steps = None

    def __init__(self, rates):
        self.rates = rates

    def at(self, step, steps):
        return self.rates(step)

    def __repr__(self):
        return "Rates()"


WRONG_RATES = {
    "a NaN": lambda step: np.where(step == 3, np.nan, 0.1),
    "infinity": lambda step: np.full(step.shape, np.inf),
    "below 0": lambda step: 0.1 - step,
    "one for all": lambda step: np.array(0.1),
    "one too many": lambda step: np.full(step.size + 1, 0.1),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("kind", WRONG_RATES)
def test_a_schedule_of_the_users_own_that_is_wrong(kind, executor):
    """The error names it and says what is expected; weights stay finite."""
    x, y = make_data("mean_squared_error", rows=40)
    model = make_model(optimizer=SGD(Rates(WRONG_RATES[kind])), executor=executor)
    with pytest.raises(ValueError, match=r"Rates\(\) must give a finite rate from 0 on for each step"):
        model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("method, arguments", [("fit", 2), ("compile", 0)])
def test_a_callback_cannot_train_or_compile(method, arguments):
    data = make_data("mean_squared_error", rows=8)

    class Meddler(Callback):
        def on_epoch_end(self, epoch, logs):
            getattr(self.model, method)(*data[:arguments])

    model = make_model()
    with pytest.raises(RuntimeError, match=f"{method} cannot be called while fit runs"):
        model.fit(*data, epochs=3, verbose=0, callbacks=[Meddler()])
    model.fit(*data, verbose=0)  # and the model can be used as before


def test_counts_have_no_accuracy():
    model = Sequential([Dense(2, "exponential")], seed=1)
    with pytest.raises(ValueError, match="metric 'accuracy' is for classes, but poisson takes counts"):
        model.compile("sgd", "poisson", ["accuracy"])


def test_reprs_can_be_read_back():
    """Layers say what they are, with what is not the default."""
    layers = [Normalization(), Normalization("robust"), Activation("relu"), Activation("elu", alpha=2), Dropout(0.25)]
    for layer in layers:
        twin = eval(repr(layer), vars(fastml))
        assert type(twin) is type(layer) and vars(twin) == vars(layer)
    assert repr(Activation("elu")) == "Activation('elu')"
    assert repr(fastml.History()) == "History(no epochs)"


def test_the_reference_refuses_an_instruction_that_there_is_not():
    buffer, rows = np.zeros(1), np.zeros((1, 1))
    job = np.zeros(1, fastml.kernels.job.JOB)
    for name in ("stop", "steps_per_epoch", "batch_size", "rows", "shards", "threads"):
        job[name] = 1
    arguments = [np.zeros(1), *(buffer,) * 4, *(rows,) * 3, np.zeros(0, np.int64), np.zeros((1, 1)), rows]
    unknown = assembled([{"op": None}])
    unknown["op"] = 999
    with pytest.raises(ValueError, match="there is no operation 999"):
        EXECUTORS["numpy"](unknown, job, *arguments)
