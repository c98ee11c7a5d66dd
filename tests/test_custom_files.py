"""Files of models with functions and classes of users: what arguments may be, and how constructors may take them."""

import functools
import math

import numpy as np
import pytest
from custom_objects import BY_NAME, Descent, softsign
from helpers import same_bits

import fastml
from fastml import Activation, Dense, GradientDescent, Layer, Sequential, Weights

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(40, 5)), RANDOM.normal(size=(40, 1))


def trained(*layers, **how):
    model = Sequential([*layers, Dense(1)], input_dim=5, seed=1)
    model.compile(**how)
    model.fit(X, Y, epochs=1, verbose=0)
    return model


def loaded(model, tmp_path, **objects):
    """The model from its file, which goes on as the model does."""
    path = tmp_path / "model.safetensors"
    with pytest.warns(UserWarning, match="not their code"):
        model.save(path)
    same = fastml.load(path, custom_objects=BY_NAME | objects)
    assert same_bits(model.get_weights(), same.get_weights())
    assert same_bits(model.predict(X), same.predict(X))
    for each in (model, same):
        each.fit(X, Y, epochs=1, verbose=0)
    assert same_bits(model.get_weights(), same.get_weights())
    return same


class Sine:
    """A function with an attribute that wrappers of fastml's also have."""

    source = "relu"

    def __call__(self, z):
        return np.sin(z)


def test_an_attribute_called_source_is_the_users(tmp_path):
    sine = Sine()
    same = loaded(trained(Dense(3, sine)), tmp_path, Sine=sine)
    assert same.layers[0].activation is sine

    class Shift(Layer):
        def __init__(self, source, **common):
            super().__init__(**common)
            self.source = source

        def call(self, x):
            return x + self.source

    assert loaded(trained(Shift(2.0)), tmp_path, Shift=Shift).layers[0].source == 2.0


class Polynomial(Layer):
    """Σ factors[k]·xᵏ, kept between bounds."""

    def __init__(self, factors, bounds=(-math.inf, math.inf), power=1, **common):
        super().__init__(**common)
        self.factors, self.bounds, self.power = factors, bounds, power

    def call(self, x):
        factors = np.ravel(self.factors).tolist()
        return np.clip(sum(f * x ** (self.power + k) for k, f in enumerate(factors)), *self.bounds)


ARGUMENTS = {
    "list": [1, 0.5],
    "list of lists": [[1, 2], [3, 4]],
    "tuple": (1, 0.5),
    "array": np.array([1, 0.5]),
    "float32": np.array([1, 0.5], np.float32),
    "matrix": np.array([[1, 2], [3, 4]]),
    "one number": np.array(0.5),
    "float32 number": np.float32(0.5),
    "int64 number": np.int64(2),
    "bool": np.bool_(True),
}


@pytest.mark.parametrize("value", ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_come_back_from_files(value, tmp_path):
    layer = loaded(trained(Polynomial(value)), tmp_path, Polynomial=Polynomial).layers[0]
    assert np.array_equal(layer.factors, value) and layer.bounds == (-math.inf, math.inf)
    if isinstance(value, (list, tuple)):
        assert type(layer.factors) is type(value) and layer.factors == value
    again = Polynomial.from_config(Polynomial(value).get_config())
    assert np.array_equal(again.factors, value) and again.bounds == (-math.inf, math.inf)


def test_numbers_beyond_json_come_back_from_files(tmp_path):
    class Between(fastml.Loss):
        def __init__(self, least, values=None):
            self.least, self.values = least, values

        def call(self, y_true, y_pred):
            return np.maximum(np.square(y_true - y_pred), self.least)

    values = np.array([[np.nan, 1.0], [np.inf, -np.inf]])
    same = loaded(trained(loss=Between(-np.inf, values)), tmp_path, Between=Between)
    assert same.loss.source.least == -np.inf and np.array_equal(same.loss.source.values, values, equal_nan=True)
    assert math.isnan(loaded(trained(loss=Between(0, math.nan)), tmp_path, Between=Between).loss.source.values)


@pytest.mark.parametrize("value", [{"a": 1}, 1j, object(), np.array([None]), {1, 2}], ids=repr)
def test_what_no_file_holds_is_told(value, tmp_path):
    class Noted(Layer):
        def __init__(self, note, **common):
            super().__init__(**common)
            self.note = note

        def call(self, x):
            return 2 * x

    model = trained(Noted(value))
    with pytest.raises(TypeError, match="Noted cannot be saved with its argument 'note': .* saved"):
        model.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_partial_functions_are_functions(tmp_path):
    def swish(z, beta):
        return z / (1 + np.exp(-beta * z))

    part = functools.partial(swish, beta=2.0)
    assert loaded(trained(Dense(3, part)), tmp_path, partial=part).layers[0].activation is part
    start = functools.partial(np.full, fill_value=0.25)
    model = Sequential([Dense(3, kernel_initializer=start)], input_dim=2)
    assert np.array_equal(model.get_weights()[0], np.full((2, 3), 0.25))
    path = tmp_path / "model.safetensors"
    checkpoint = fastml.ModelCheckpoint(path)
    model = Sequential([Dense(3, part), Dense(1)], seed=1)
    model.compile()
    with pytest.warns(UserWarning, match="'partial'"):
        model.fit(X, Y, epochs=2, callbacks=[checkpoint], verbose=0)
    again = Sequential([Dense(3, part), Dense(1)], seed=1)
    again.compile()
    with pytest.warns(UserWarning, match="'partial'"):
        again.fit(X, Y, epochs=3, callbacks=[checkpoint], resume=True, verbose=0)
    model.fit(X, Y, epochs=1, verbose=0)
    assert same_bits(model.get_weights(), again.get_weights())


class Rated(GradientDescent):
    """Takes none of the arguments that all have."""

    def __init__(self, rate):
        super().__init__(rate)
        self.rate = rate

    def step(self, W, dW, learning_rate):
        return W - learning_rate * dW


class Doubled(Descent):
    """Hands on another rate than it is given."""

    def __init__(self, learning_rate, **common):
        super().__init__(2 * learning_rate, **common)


def test_optimizers_need_not_take_what_all_have(tmp_path):
    optimizer = Rated(0.1)
    optimizer.learning_rate, optimizer.weight_decay = 0.05, 0.1
    same = loaded(trained(optimizer=optimizer), tmp_path, Rated=Rated).optimizer
    assert (same.rate, same.learning_rate, same.weight_decay) == (0.1, 0.05, 0.1)
    assert loaded(trained(optimizer=Doubled(0.01)), tmp_path, Doubled=Doubled).optimizer.learning_rate == 0.02


class Plain(Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def parameters(self, d_in):
        return [Weights("w", (d_in,), "ones", "weight")]

    def call(self, x, w):
        return self.factor * x * w


class Several(Layer):
    def __init__(self, first_factor, /, second, *factors, offset=0.0):
        super().__init__()
        self.first_factor, self.second, self.factors, self.offset = first_factor, second, factors, offset

    def call(self, x):
        return x * self.first_factor * self.second * math.prod(self.factors) + self.offset


class Sized(Layer):
    def __init__(self, input_dim, trainable=False):
        super().__init__(input_dim=input_dim, trainable=trainable)

    def call(self, x):
        return 2 * x


def test_layers_may_take_their_arguments_in_any_way(tmp_path):
    layer = Plain(2.0)
    layer.name, layer.trainable = "mine", False
    same = loaded(trained(layer), tmp_path, Plain=Plain).layers[0]
    assert (same.factor, same.name, same.trainable) == (2.0, "mine", False)
    for factors in [(), (0.5, 3.0)]:
        same = loaded(trained(Several(0.5, 1.5, *factors, offset=1.0)), tmp_path, Several=Several).layers[0]
        assert (same.first_factor, same.second, same.factors, same.offset) == (0.5, 1.5, factors, 1.0)
    same = loaded(trained(Sized(5, trainable=True)), tmp_path, Sized=Sized).layers[0]
    assert same.input_dim == 5 and same.trainable


class OwnLoss(fastml.Loss):
    def __init__(self, power=2):
        self.power = power

    def call(self, y_true, y_pred):
        return (y_true - y_pred) ** self.power


ESTIMATORS = {
    "Activation": {"activation": Activation(softsign)},
    "function": {"activation": softsign},
    "list": {"activation": [softsign, "relu"]},
    "batch normalization": {"activation": Activation(softsign), "batch_normalization": True},
    "batch normalization of a parameter": {
        "activation": [Activation("elu", 0.5), softsign],
        "batch_normalization": True,
    },
    "optimizer": {"solver": Descent(0.01)},
    "loss": {"loss": OwnLoss()},
}


@pytest.mark.parametrize("how", ESTIMATORS.values(), ids=ESTIMATORS)
def test_estimators_come_back_from_files(how, tmp_path):
    sklearn = pytest.importorskip("fastml.sklearn")
    pytest.importorskip("sklearn")
    path, objects = tmp_path / "model.safetensors", BY_NAME | {"OwnLoss": OwnLoss}
    estimator = sklearn.MLPRegressor(
        hidden_layer_sizes=(4, 3), max_iter=3, tol=0, n_iter_no_change=9, random_state=1, **how
    )
    with pytest.warns(UserWarning):  # also that it has not converged
        estimator.fit(X, Y[:, 0])
    with pytest.warns(UserWarning, match="not their code"):
        estimator.save(path)
    for load in (fastml.load, fastml.load_predictor):
        with pytest.raises(fastml.ModelFileError, match="not fastml's own: pass custom_objects"):
            load(path)
        assert same_bits(load(path, custom_objects=objects).predict(X), estimator.predict(X))
    again = fastml.load(path, objects)
    for each in (estimator, again):
        each.partial_fit(X, Y[:, 0])
    assert same_bits(again.predict(X), estimator.predict(X)) and repr(again) == repr(estimator)
    with pytest.raises(TypeError, match="custom_objects must be a dict"):
        fastml.load_predictor(path, [softsign])


def test_an_activation_serves_all_hidden_layers():
    sklearn = pytest.importorskip("fastml.sklearn")
    pytest.importorskip("sklearn")
    elu = Activation("elu", 0.5)
    estimator = sklearn.MLPRegressor(
        hidden_layer_sizes=(4, 3), activation=elu, batch_normalization=True, max_iter=2, random_state=1
    )
    with pytest.warns(UserWarning, match="converged"):
        estimator.fit(X, Y[:, 0])
    assert [layer.alpha for layer in estimator.model_.layers if isinstance(layer, Activation)] == [0.5, 0.5]


def test_arguments_called_like_those_of_fastml_are_saved(tmp_path):
    class Biased(Layer):
        def __init__(self, use_bias=False, derivative=1.0, **common):
            super().__init__(**common)
            self.use_bias, self.derivative = use_bias, derivative

        def call(self, x):
            return x + 1 if self.use_bias else x

    same = loaded(trained(Biased(True, None)), tmp_path, Biased=Biased).layers[0]
    assert same.use_bias is True and same.derivative is None


def test_a_constructor_that_cannot_be_called_again_is_told(tmp_path):
    class Shaped(Layer):
        def __init__(self, input_shape):
            super().__init__(input_shape=input_shape)

        def call(self, x):
            return 2 * x

    class Forgetful(Layer):
        def __init__(self, *factors):
            super().__init__()

        def call(self, x):
            return 2 * x

    with pytest.raises(
        TypeError, match="Shaped cannot be saved: its constructor needs 'input_shape', which no file has"
    ):
        trained(Shaped((5,))).save(tmp_path / "model.safetensors")
    with pytest.raises(TypeError, match="Forgetful cannot be described: its argument 'factors' is no attribute"):
        trained(Forgetful(1)).save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("entry", [{"class": "float", "arguments": {"value": "1"}}, {"class": "list", "arguments": {}}])
def test_a_forged_argument_is_refused(entry):
    with pytest.raises((ValueError, LookupError)):
        fastml.files.description.restore(entry)
