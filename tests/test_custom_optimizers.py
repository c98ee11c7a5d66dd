"""Optimizers of users: what may be changed and when, and what is refused."""

import copy
import pickle

import numpy as np
import pytest
from custom_objects import Descent
from helpers import same_bits

import fastml
from fastml import Dense, GradientDescent, Sequential

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(40, 5)), RANDOM.normal(size=(40, 1))
EXECUTORS = ("compiled", "numpy")


class Momentum(GradientDescent):
    """SGD as fastml has it, with an option and a hyper-parameter."""

    start = (0.0,)

    def __init__(self, learning_rate=0.01, momentum=0.9, nesterov=False, **common):
        super().__init__(learning_rate, **common)
        self.momentum, self.nesterov = momentum, nesterov

    def step(self, W, dW, v, learning_rate):
        v = self.momentum * v + dW
        return W - learning_rate * (dW + self.momentum * v if self.nesterov else v), v


def compiled(optimizer, executor="compiled"):
    model = Sequential([Dense(1)], input_dim=5, seed=1, dtype="float64")
    model.compile(optimizer, executor=executor)
    return model


def trained(optimizer, executor="compiled", **how):
    model = compiled(optimizer, executor)
    model.fit(X, Y, verbose=0, **how)
    return model


class Sets(fastml.Callback):
    """Sets a hyper-parameter before an epoch."""

    def __init__(self, epoch, **values):
        self.epoch, self.values = epoch, values

    def on_epoch_begin(self, epoch, logs):
        if epoch == self.epoch:
            for name, value in self.values.items():
                setattr(self.model.optimizer, name, value)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "kind", [int, float, np.float32, np.float64, np.int64, np.int8], ids=lambda kind: kind.__name__
)
def test_callbacks_set_hyper_parameters_of_any_type_of_number(kind, executor):
    model = compiled(Descent(0.05, alpha=kind(0)), executor)
    start = model.get_weights()
    model.fit(X, Y, epochs=1, verbose=0)
    assert same_bits(start, model.get_weights())
    model.fit(X, Y, epochs=2, callbacks=[Sets(1, alpha=kind(2))], shuffle=False, verbose=0)
    expected = compiled(Descent(0.1, alpha=1.0), executor)
    expected.fit(X, Y, epochs=1, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        assert np.allclose(one, other, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_clipping_is_set_by_callbacks_of_any_type_of_number(executor):
    model = trained(Descent(0.05, clipvalue=1e9), executor, epochs=2, callbacks=[Sets(1, clipvalue=np.int64(1))])
    expected = trained(Descent(0.05, clipvalue=1e9), executor, epochs=2, callbacks=[Sets(1, clipvalue=1.0)])
    assert same_bits(model.get_weights(), expected.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_options_are_those_of_the_last_compile(executor):
    optimizer = Momentum(0.01)
    model = trained(optimizer, executor, epochs=2)
    assert np.allclose(model.get_weights()[0], trained(fastml.SGD(0.01, 0.9), executor, epochs=2).get_weights()[0])
    optimizer.nesterov = True
    fastml.gradient_check(model, X, Y, verbose=False)  # which changes nothing
    model.fit(X, Y, epochs=2, verbose=0)
    plain = trained(Momentum(0.01), executor, epochs=2)
    plain.fit(X, Y, epochs=2, verbose=0)
    assert same_bits(model.get_weights(), plain.get_weights())  # as it was compiled
    expected = trained(fastml.SGD(0.01, 0.9, nesterov=True), executor, epochs=2)
    assert np.allclose(trained(optimizer, executor, epochs=2).get_weights()[0], expected.get_weights()[0])


def test_copies_and_files_have_the_options_that_are_used(tmp_path):
    path = tmp_path / "model.safetensors"
    optimizer = Momentum(0.01)
    model = trained(optimizer)
    optimizer.nesterov, optimizer.momentum = True, 0.5
    with pytest.warns(UserWarning, match="not their code"):
        model.save(path)
    others = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model), fastml.load(path, {"Momentum": Momentum})]
    assert others[2].optimizer.nesterov is False and others[2].optimizer.momentum == 0.5
    for each in (model, *others):
        each.fit(X, Y, epochs=2, verbose=0)
    for other in others:
        assert same_bits(model.get_weights(), other.get_weights())


@pytest.mark.parametrize("value", [None, True, "a", np.array(0.5)], ids=repr)
def test_a_hyper_parameter_that_is_no_number_any_more_is_told(value, tmp_path):
    model = trained(Momentum())
    before = model.get_weights()
    model.optimizer.momentum = value
    with pytest.raises(TypeError, match="momentum of Momentum was a number when it was compiled, got .*: compile"):
        model.fit(X, Y, verbose=0)
    assert same_bits(before, model.get_weights())
    model.optimizer.momentum = 0.5
    with pytest.raises(TypeError, match="momentum of Momentum was a number when it was compiled"):
        model.fit(X, Y, callbacks=[Sets(0, momentum=value)], verbose=0)
    model.optimizer.momentum = 0.5
    model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("fewer_first", [True, False])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_hyper_parameters_that_a_formula_does_not_need_do_no_harm(fewer_first, executor):
    """Two optimizers of one formula, of which one has more numbers, whichever is compiled first."""
    factor = {"compiled": 1.25, "numpy": 1.5}[executor] + fewer_first  # a formula that no other test has

    class Fewer(Descent):
        def step(self, W, dW, learning_rate):
            return W - learning_rate * self.alpha * factor * dW

    class More(Fewer):
        def __init__(self, learning_rate=0.05, alpha=1.0, rest=2.0, **common):
            super().__init__(learning_rate, alpha, **common)
            self.rest = rest

    kinds = (Fewer, More) if fewer_first else (More, Fewer)
    first, second = (trained(kind(0.05, alpha=0.5), executor).get_weights() for kind in kinds)
    expected = trained(fastml.SGD(0.025 * factor), executor).get_weights()
    assert same_bits(first, second) and np.allclose(first[0], expected[0], rtol=1e-12)


class Late(GradientDescent):
    def __init__(self, learning_rate=0.01, states=1):
        super().__init__(learning_rate)
        self.states = states
        self.start = (0.0,) * states

    def step(self, W, dW, *state, learning_rate):
        return W - learning_rate * dW, *state


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_start_may_be_set_in_the_constructor(executor):
    plain = trained(fastml.SGD(0.01), executor).get_weights()
    for states in (0, 1, 3):
        assert np.allclose(trained(Late(states=states), executor).get_weights()[0], plain[0], rtol=1e-12)


class NoInit(GradientDescent):
    def __init__(self, rate=0.1):
        self.rate = rate

    def step(self, W, dW):
        return W - self.rate * dW


class Counted(GradientDescent):
    def __init__(self, t=1.0, **common):
        super().__init__(**common)
        self.t = t

    def step(self, W, dW):
        return W - self.t * dW


class OneStart(Descent):
    start = 0.0


class TextStart(Descent):
    start = ("a",)


class OwnSGD(fastml.SGD):
    def step(self, W, dW, learning_rate):
        return W + learning_rate * dW


class OwnAdam(fastml.Adam):
    def step(self, W, dW, m, v, learning_rate):
        return W + learning_rate * dW, m, v


def names(count):
    """The class of an optimizer with so many hyper-parameters."""
    arguments = [f"a{k}" for k in range(count)]
    lines = [f"def __init__(self, {', '.join(f'{a}=1.0' for a in arguments)}):", "    GradientDescent.__init__(self)"]
    lines += [f"    self.{a} = {a}" for a in arguments]
    lines += ["def step(self, W, dW):", f"    return W - {' * '.join(f'self.{a}' for a in arguments)} * dW"]
    exec("\n".join(lines), scope := {"GradientDescent": GradientDescent})
    return type("Many", (GradientDescent,), {"__init__": scope["__init__"], "step": scope["step"]})()


MISTAKES = {
    "no super().__init__": (
        lambda: NoInit(),
        "NoInit: its constructor must call super().__init__(learning",
    ),
    "start as a number": (lambda: OneStart(), "start must be a tuple of numbers, one for each state array, got 0.0"),
    "start as a text": (lambda: TextStart(), "start must be a tuple of numbers, one for each state array, got ('a',)"),
    "an argument t": (lambda: Counted(), "t counts updates, its argument of this name must have another one"),
    "of SGD": (lambda: OwnSGD(), "OwnSGD: its method step would not be used, as SGD has an update of its own"),
    "of Adam": (lambda: OwnAdam(), "OwnAdam: its method step would not be used, as Adam has an update of its own"),
    "too many": (lambda: names(25), "Many has 25 hyper-parameters, at most 24 can be compiled"),
}


@pytest.mark.parametrize("make, sentence", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_a_line(make, sentence):
    with pytest.raises((TypeError, ValueError)) as told:
        compiled(make())
    assert sentence in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_as_many_hyper_parameters_as_there_may_be(executor):
    plain = trained(fastml.SGD(1.0), executor).get_weights()
    assert np.allclose(trained(names(24), executor).get_weights()[0], plain[0], rtol=1e-12)


@pytest.mark.parametrize("name", ["op", "bounds", "step", "update", "constants"])
def test_names_that_all_optimizers_use_cannot_be_set(name):
    with pytest.raises(AttributeError, match=f"{name} of Descent cannot be set: all optimizers have one of their own"):
        setattr(Descent(), name, 1.0)


def test_representations_show_arrays():
    class Weighed(Descent):
        def __init__(self, factors=None, **common):
            super().__init__(**common)
            self.factors = factors

    assert repr(Weighed(np.array([1.0, 2.0]))) == "Weighed(factors=array([1., 2.]))"
    assert repr(Weighed()) == "Weighed(factors=None)"
