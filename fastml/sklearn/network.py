"""From the parameters of an estimator to a model, and from a model back to the weights of a plain network."""

import copy
from typing import NamedTuple

import numpy as np

from fastml.activations import ACTIVATIONS
from fastml.attributes import Constant, Whole
from fastml.data.statistics import shift_of
from fastml.embedding import Embedding
from fastml.files.description import CLASSES
from fastml.layers import Activation, BatchNormalization, Dense, Dropout, Normalization
from fastml.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, Rprop
from fastml.regularizers import L2
from fastml.schedules import Schedule
from fastml.sequential import Sequential

NAMES = {"identity": "linear", "logistic": "sigmoid"}  # scikit-learn's, where they are not ours
SOLVERS = ("lbfgs", *OPTIMIZERS)


class Aim(NamedTuple):
    """What a network is to minimize: the Loss, its output activation, the outputs, and a factor.

    The loss that users see is `factor` times ours, as scikit-learn defines it: it sums over outputs where ours is their
    mean, and halves squares.
    """

    loss: object
    link: str
    units: int
    factor: float = 1.0


def activation_of(link):
    """scikit-learn's name of an output activation."""
    return {ours: theirs for theirs, ours in NAMES.items()}.get(link, "exp" if link == "exponential" else link)


class InverseScaling(Schedule):
    """scikit-learn's "invscaling": learning_rate / (rows seen + 1)^power; rows count by whole epochs."""

    steps = float("inf")
    learning_rate, power = Constant(0), Constant(0)
    seen, rows, steps_per_epoch = Whole(0), Whole(1), Whole(1)

    def __init__(self, learning_rate, power, seen, rows, steps_per_epoch):
        self.learning_rate, self.power, self.seen = learning_rate, power, seen
        self.rows, self.steps_per_epoch = rows, steps_per_epoch

    def at(self, step, steps):
        return self.learning_rate / (self.seen + step // self.steps_per_epoch * self.rows + 1.0) ** self.power


CLASSES[InverseScaling.__name__] = InverseScaling  # so that model files may hold it


def sizes_of(hidden_layer_sizes):
    """The widths of the hidden layers, a list of int; ValueError where one is not a whole number above 0."""
    several = np.ndim(hidden_layer_sizes) > 0
    sizes = list(hidden_layer_sizes) if several else [hidden_layer_sizes]
    if not all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be whole numbers > 0, got {hidden_layer_sizes}")
    return [int(size) for size in sizes]


def each(value, count, name):
    """A value for each of `count` hidden layers: the value itself for all, or a list with one for each."""
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} entries for {count} hidden layers")
    return list(value)


def make_layers(estimator, aim, penalty):
    """The layers of an estimator's network. Tables are normalized by their encoder.

    ValueError for what lbfgs cannot train, as it takes no steps: running statistics and dropout.
    """
    sizes = sizes_of(estimator.hidden_layer_sizes)
    activations = each(estimator.activation, len(sizes), "activation")
    rates = each(estimator.dropout, len(sizes), "dropout")
    if estimator.solver == "lbfgs" and (estimator.batch_normalization or any(rates)):
        raise ValueError("batch_normalization and dropout need a solver that goes in steps, which lbfgs does not")
    regularizer = L2(penalty) if penalty else None
    encoder, layers = estimator.encoder_, []
    if encoder is None and estimator.normalization:
        layers = [Normalization(estimator.normalization)]
    elif encoder is not None and encoder.embeddings:
        layers = [Embedding(encoder.embeddings)]
    layers += estimator._embedding_layers()
    for size, activation, rate in zip(sizes, activations, rates, strict=True):
        if isinstance(activation, str):
            activation = NAMES.get(activation, activation)
            if activation not in ACTIVATIONS:
                known = ", ".join([*NAMES, *ACTIVATIONS])
                raise ValueError(f"activation {activation!r} is unknown; there are: {known}")
        if estimator.batch_normalization:
            layers += [Dense(size, kernel_regularizer=regularizer), BatchNormalization()]
            layers += [copy.copy(activation) if isinstance(activation, Activation) else Activation(activation)]
        else:
            layers += [Dense(size, activation, kernel_regularizer=regularizer)]
        layers += [Dropout(rate)] if rate else []
    return [*layers, Dense(aim.units, aim.link, kernel_regularizer=regularizer)]


def make_optimizer(estimator, factor, rows, steps_per_epoch):
    """The Optimizer that an estimator's parameters describe, for our loss, of which theirs is `factor` times."""
    solver, rate = estimator.solver, estimator.learning_rate_init
    if isinstance(solver, Optimizer):
        return solver
    if solver == "rprop":
        return Rprop()
    if solver in ("adam", "adamw"):
        kind = Adam if solver == "adam" else AdamW
        return kind(rate, estimator.beta_1, estimator.beta_2, estimator.epsilon / factor)
    if solver != "sgd":
        return OPTIMIZERS[solver](rate)
    if estimator.learning_rate != "constant" and isinstance(rate, Schedule):
        raise ValueError(
            f"learning_rate={estimator.learning_rate!r} changes a number, but learning_rate_init is {rate!r}"
        )
    if estimator.learning_rate == "invscaling":
        rate = InverseScaling(rate * factor, estimator.power_t, estimator.t_, rows, steps_per_epoch)
    elif not isinstance(rate, Schedule):
        rate = rate * factor
    return SGD(rate, estimator.momentum, estimator.nesterovs_momentum and estimator.momentum > 0)


def make_model(estimator, aim, penalty, width, dtype, generator):
    """A built model with new weights, drawn by a RandomState.

    The penalty is theirs, ½·penalty·Σ W², and not yet scaled to our loss.
    """
    layers = make_layers(estimator, aim, 0.5 * penalty / aim.factor)
    model = Sequential(layers, input_dim=width, dtype=dtype, seed=int(generator.randint(2**31)))
    model.build()
    spread_biases(model, generator)
    return model


def spread_biases(model, generator):
    """Draws biases of dense layers as the weights above them, as scikit-learn does: where epochs are few, it helps."""
    engine = model._engine
    for name, weights in zip(engine.names(), engine.weights(), strict=True):
        if not isinstance(engine.layers[int(name.split(".")[0])], Dense):
            continue
        if name.endswith(".W"):
            bound = np.sqrt(6 / sum(weights.shape))
        elif name.endswith(".b"):
            weights[...] = generator.uniform(-bound, bound, weights.shape)


def plain_weights(model, scale=None, shift=None):
    """Matrices and biases of the network without its normalizations: each layer is f(x·W + b) of the one before.

    Normalization of the data, batch normalization with its running statistics, and ``scale · output + shift`` are
    folded into the weights next to them, in float64; the results have the model's dtype, unless that would lose digits
    of means far from 0.
    """
    engine = model._engine
    weights = dict(zip(engine.names(), (array.astype(np.float64) for array in engine.weights()), strict=True))
    matrices, biases, before = [], [], None
    for position, layer in enumerate(engine.layers):
        own = {name: weights[f"{position}.{name}"] for name in ("W", "b", "mean", "scale", "variance", "gamma", "beta")
               if f"{position}.{name}" in weights}  # fmt: skip
        if isinstance(layer, Normalization):
            before = own
        elif isinstance(layer, Dense):
            W, b = own["W"], own["b"]
            if before:
                b = b - (before["mean"] * before["scale"]) @ W
                W, before = before["scale"][:, None] * W, None
            matrices.append(W)
            biases.append(b)
        elif isinstance(layer, BatchNormalization):
            factor = own["gamma"] / np.sqrt(own["variance"] + layer.epsilon)
            matrices[-1] = matrices[-1] * factor
            biases[-1] = (biases[-1] - own["mean"]) * factor + own["beta"]
    if scale is not None:
        matrices[-1], biases[-1] = matrices[-1] * scale, biases[-1] * scale + shift
    far = engine.shift is not None or (scale is not None and shift_of(shift, 1 / scale, model.dtype) is not None)
    dtype = np.float64 if far else model.dtype
    return [[array.astype(dtype) for array in arrays] for arrays in (matrices, biases)]
