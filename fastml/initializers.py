"""Initializers: start values that keep the size of signals from layer to layer.

Each takes a random stream and the shape, (d_in, d_out) for weights, and returns float64. For biases, (units,), d_in and
d_out are both units, as in Keras. Normals are not truncated, as in PyTorch; Keras truncates at two standard deviations.

Where an initializer is asked for, a number means that value everywhere, and an array of the parameter's shape itself.
"""

import inspect

import numpy as np

from fastml.custom import called
from fastml.data.arrays import as_array
from fastml.keras_names import MISSING
from fastml.registry import Wrapper, lookup
from fastml.telling import constructors, missing


def zeros(random, shape):
    """All zero: the usual start of biases."""
    return np.zeros(shape)


def ones(random, shape):
    """All one: the start of a scale."""
    return np.ones(shape)


def uniform(random, shape, variance):
    """Uniform around 0 with this variance: in ±√(3·variance)."""
    return np.sqrt(3 * variance) * (2 * random.uniform(shape) - 1)


def random_uniform(random, shape):
    """Uniform in ±0.05, whatever the shape: the start of embeddings, as in Keras."""
    return uniform(random, shape, 0.05**2 / 3)


def glorot_uniform(random, shape):
    """Uniform in ±√(6 / (d_in + d_out)): variance 2 / (d_in + d_out), for tanh and sigmoid (Xavier; Glorot & Bengio,
    AISTATS 2010)."""
    return uniform(random, shape, 2 / (shape[0] + shape[-1]))


def glorot_normal(random, shape):
    """Normal with variance 2 / (d_in + d_out), for tanh and sigmoid (Xavier; Glorot & Bengio, AISTATS 2010)."""
    return np.sqrt(2 / (shape[0] + shape[-1])) * random.normal(shape)


def he_uniform(random, shape):
    """Uniform in ±√(6 / d_in): variance 2 / d_in, for relu and its family (He et al., ICCV 2015)."""
    return uniform(random, shape, 2 / shape[0])


def he_normal(random, shape):
    """Normal with variance 2 / d_in, for relu and its family (He et al., ICCV 2015)."""
    return np.sqrt(2 / shape[0]) * random.normal(shape)


def lecun_uniform(random, shape):
    """Uniform in ±√(3 / d_in): variance 1 / d_in, for selu (LeCun et al., "Efficient BackProp", 1998)."""
    return uniform(random, shape, 1 / shape[0])


def lecun_normal(random, shape):
    """Normal with variance 1 / d_in, for selu (LeCun et al., "Efficient BackProp", 1998)."""
    return np.sqrt(1 / shape[0]) * random.normal(shape)


def orthogonal(random, shape):
    """Orthonormal columns, or rows where there are fewer of them, uniformly distributed (Saxe et al., ICLR 2014).

    The Q of the QR factors of a normal matrix, with the signs that make R's diagonal positive (Mezzadri, 2007). A
    vector gets length 1.
    """
    rows, columns = shape[0], int(np.prod(shape[1:]))
    q, r = np.linalg.qr(random.normal((max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0, -1, 1)
    return (q if rows >= columns else q.T).reshape(shape)


INITIALIZERS = {
    "zeros": zeros,
    "ones": ones,
    "random_uniform": random_uniform,
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "orthogonal": orthogonal,
}


class Given:
    """The values that the user gave, for every element or as an array."""

    def __init__(self, values, argument):
        self.values, self.argument = values, argument

    def __call__(self, random, shape):
        if self.values.ndim and self.values.shape != shape:
            raise ValueError(f"{self.argument} has shape {self.values.shape}, but the parameter has {shape}")
        return np.broadcast_to(self.values, shape)


class Law:
    """A law of a layer's own: a function of a random stream, a shape and these numbers."""

    def __init__(self, draw, *numbers):
        self.draw, self.numbers = draw, numbers

    def __call__(self, random, shape):
        return self.draw(random, shape, *self.numbers)


class CustomInitializer(Wrapper):
    """A user's function of a shape and, if it has a second argument, a numpy.random.Generator that the seed sets.

    Of a second argument that has a default, it gets one only in place of None or of a Generator.
    """

    def __init__(self, source, argument):
        self.source, self.argument = source, argument
        try:
            parameters = inspect.signature(source).parameters.values()
        except (TypeError, ValueError):
            parameters = ()
        places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        second = places[1] if len(places) > 1 and places[1].name != "dtype" else None  # which Keras passes there
        default = second and second.default
        given = default is None or default is inspect.Parameter.empty or isinstance(default, np.random.Generator)
        self.draws = second is not None and given

    def __call__(self, random, shape):
        what = f"{self.argument} '{called(self.source)}'"
        try:
            values = np.asarray(self.source(shape, random.generator()) if self.draws else self.source(shape), float)
        except Exception as error:
            raise ValueError(f"{what}: {type(error).__name__}: {error}") from error
        if values.shape != tuple(shape):
            raise ValueError(f"{what} must give an array of shape {tuple(shape)}, got {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"{what} gives a value that is not finite")
        return values


def resolve_initializer(initializer, argument):
    """A function of a random stream and a shape, from a name, a number, an array or a user's function."""
    if isinstance(initializer, (CustomInitializer, Given, Law)):
        return initializer
    if callable(initializer) and any(initializer is known for known in INITIALIZERS.values()):
        return initializer
    if initializer is None or isinstance(initializer, type):
        raise TypeError(f"{argument} must be a name, a number, an array or a function, got {initializer!r}")
    if callable(initializer):
        return CustomInitializer(initializer, argument)
    if isinstance(initializer, str):
        return lookup(INITIALIZERS, initializer, argument)
    values = np.array(as_array(initializer, argument), dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{argument} holds a value that is not finite")
    return Given(values, argument)


__getattr__ = missing("fastml.initializers", MISSING, constructors(INITIALIZERS, INITIALIZERS.get))
