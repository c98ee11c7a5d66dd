"""Programs that were lowered before are those that a lowering gives, and of nothing else."""

import itertools
import threading

import numpy as np
import pytest

import fastml
from fastml import (
    Activation,
    Adam,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    Layer,
    LayerNormalization,
    Sequential,
)  # fmt: skip
from fastml.layers import copied
from fastml.losses import resolve_loss
from fastml.metrics import resolve_metric
from fastml.program import lowered as module
from fastml.program.lowered import Unknown, description, lowered
from fastml.program.lowering import lower
from fastml.program.plan import Plan
from fastml.program.program import disassembled

ARRAYS = ("training", "gradient", "value", "evaluation", "prediction")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(module, "_known", {})


def aim(loss="mean_squared_error", optimizer=None, **others):
    return {"loss": resolve_loss(loss), "optimizer": optimizer or Adam(), **others}


def metric(name, loss="mean_squared_error"):
    return [resolve_metric(name, loss, resolve_loss(loss), 1)]


# What differs from the first in one thing each: layers, width, rows, dtype and the rest.
CASES = [
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", {}),
    ([Dense(9, "relu"), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "tanh"), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, Activation("elu", alpha=0.5)), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, Activation("elu", alpha=0.25)), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu", use_bias=False), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu", trainable=False), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu", kernel_regularizer=fastml.L2(0.1)), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu", kernel_regularizer=fastml.L2(0.2)), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu", kernel_initializer="he_normal"), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu", bias_initializer=0.5), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu"), Dropout(0.1), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu"), Dropout(0.2), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu"), BatchNormalization(), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu"), BatchNormalization(momentum=0.5), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu"), LayerNormalization(), Dense(1)], 3, 32, "float32", {}),
    ([Embedding({0: 3}, 2), Dense(1)], 3, 32, "float32", {}),
    ([Embedding({0: 4}, 2), Dense(1)], 3, 32, "float32", {}),
    ([Dense(8, "relu"), Dense(1)], 4, 32, "float32", {}),
    ([Dense(8, "relu"), Dense(1)], 3, 33, "float32", {}),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float64", {}),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim("mean_absolute_error")),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(fastml.losses.Huber(2.0))),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(fastml.losses.Huber(3.0))),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(optimizer=Adam(0.1))),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(optimizer=Adam(beta_1=0.5))),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(optimizer=Adam(weight_decay=0.5))),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(optimizer=Adam(clipnorm=0.5))),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(optimizer=fastml.SGD(0.1, momentum=0.9))),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(optimizer=fastml.SGD(0.1, momentum=0.9, nesterov=True))),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(metrics=metric("mae"))),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(metrics=metric("r2_score"))),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(weighted=True)),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(height=64)),
    ([Dense(8, "relu"), Dense(1)], 3, 32, "float32", aim(plan=Plan(16, 2, 2))),
]  # fmt: skip


def of(case, function):
    *arguments, options = case
    return function(*arguments, **(options or aim()))


def same(one, other):
    """Whether two programs are alike, but for the addresses of kernels, which one of them may have already."""
    assert all(disassembled(getattr(one, name)) == disassembled(getattr(other, name)) for name in ARRAYS)
    return one._replace(**dict.fromkeys(ARRAYS)) == other._replace(**dict.fromkeys(ARRAYS))


def test_whatever_was_lowered_before_a_program_is_its_own():
    for _ in range(2):  # none is known, and then all are
        for case in CASES:
            assert same(of(case, lowered), of(case, lower))
    assert len(module._known) == len(CASES) - 2  # an array is not compared, and a rate is in no instruction


def test_what_is_lowered_alike_is_told_by_the_values(monkeypatch):
    """Two models of one description, made apart, are lowered once."""
    calls = itertools.count()
    monkeypatch.setattr(module, "lower", lambda *arguments: (next(calls), lower(*arguments))[1])
    for name in ("one", "other"):
        layers = [Dense(8, "relu", kernel_regularizer=fastml.L2(0.1), name=name), Dropout(0.5), Dense(1)]
        lowered(layers, 3, 32, "float32", **aim(optimizer=Adam(0.01)))
    assert next(calls) == 1


def test_training_instructions_are_not_shared():
    """As an optimizer's constants are written into them."""
    one, other = of(CASES[0], lowered), of(CASES[0], lowered)
    one.training[:] = 0
    assert same(other, of(CASES[0], lower)) and same(of(CASES[0], lowered), other)


class Text(str):
    __module__ = "fastml.somewhere"


class Pair(tuple):
    __module__ = "fastml.somewhere"


class Table(dict):
    __module__ = "fastml.somewhere"


class Own(Dense):
    """A class of the user's, whose `lower` may do as it likes."""


def test_values_are_told_apart():
    """Also those whose class is a subclass of one of Python's, which has no attributes."""
    assert description(0.0) != description(-0.0) and description(1) != description(1.0) != description(True)
    for kind, one, other in ((Text, "1", "2"), (Pair, (1,), (2,)), (type(Adam().learning_rate), 1, 2)):
        assert description(kind(one)) == description(kind(one)) != description(kind(other))
    for unknown in (Table(a=1), np.ones(1), np.float32(1), print, Own, {1}, b"1", complex(1)):
        with pytest.raises(Unknown):
            description(unknown)


@pytest.mark.parametrize(
    "layer", [Own(8), Dense(8, lambda z: z * 2.0), Dense(8, kernel_initializer=lambda shape, random: np.ones(shape))]
)
def test_what_is_a_users_is_lowered_each_time(layer):
    model = Sequential([layer, Dense(1)], input_dim=3)
    model.compile("adam", "mean_squared_error")
    model.build()
    assert not module._known


def test_an_initializer_that_is_an_array_is_not_compared():
    layers = [Dense(1, kernel_initializer=np.ones((3, 1)))]
    model = Sequential(layers, input_dim=3)
    model.build()
    assert not module._known and model.get_weights()[0].tolist() == [[1.0]] * 3


def test_there_is_an_end_to_what_is_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST", 5)
    for case in CASES:
        of(case, lowered)
    assert len(module._known) == 5
    assert same(of(CASES[0], lowered), of(CASES[0], lower))


def test_models_of_one_description_train_apart():
    """With other rates, changed at any time, and each with its own optimizer's state."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(64, 3)), random.normal(size=(64, 1))

    def made():
        model = Sequential([Dense(8, "relu"), Dense(1)], input_dim=3, seed=1)
        model.compile(Adam(0.01), "mean_squared_error")
        return model

    alone, first, second = made(), made(), made()
    alone.fit(x, y, epochs=3, verbose=0)
    first.fit(x, y, epochs=1, verbose=0)
    second.build()
    second.optimizer.learning_rate, second.optimizer.beta_1 = 0.5, 0.1
    second.fit(x, y, epochs=1, verbose=0)
    first.fit(x, y, epochs=1, verbose=0)
    first.fit(x, y, epochs=1, verbose=0)
    for ours, theirs in zip(first.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.allclose(second.get_weights()[0], alone.get_weights()[0], atol=1e-2)


def test_notes_on_an_optimizer_may_come_back_to_it():
    """A model, the optimizer itself, a long list: notes are free, and nobody looks through them for long."""
    for note in (lambda o, m: m, lambda o, m: o, lambda o, m: {"parent": [o]}, lambda o, m: [0] * 10**6):
        optimizer, model = Adam(0.01), Sequential([Dense(4, "relu"), Dense(1)], input_dim=2, seed=1)
        optimizer.note = note(optimizer, model)
        model.compile(optimizer, "mean_squared_error")
        model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0)
        assert not module._known
        model.compile(optimizer, "mean_squared_error")
        model.fit(np.ones((4, 2)), np.ones(4), verbose=0)


def test_programs_are_lowered_by_several_threads(monkeypatch):
    """While others are forgotten, as there is room for few."""
    monkeypatch.setattr(module, "MOST", 5)
    errors = []

    def work():
        try:
            for units in range(1, 60):
                assert lowered([Dense(units), Dense(1)], 3, 32, "float32", **aim()).parameters[0].shape == (3, units)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(module._known) <= 5 + len(threads)


def test_layers_that_know_each_other_are_copied_together():
    """A layer of the user's that looks at another one sees the engine's copy of it, as a freezing reaches that."""

    class Looks(Layer):
        def __init__(self, other, **common):
            super().__init__(**common)
            self.other = other

        def call(self, x):
            return x * 1.0

    first = Dense(4)
    model = Sequential([first, Looks(first), Dense(1)], input_dim=2)
    model.build()
    copies = model._engine.layers
    assert copies[1].other is copies[0] is not first
    plain = copied([Dense(3, "relu", name="one"), Dropout(0.5, trainable=False)])
    assert [repr(layer) for layer in plain] == [repr(Dense(3, "relu", name="one")), repr(Dropout(0.5, trainable=False))]
