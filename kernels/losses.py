"""Losses: the negative log-likelihood of the targets, and its gradient.

A forward kernel takes what enters the loss, z, and writes the predictions a and the loss of each row. The backward
kernel gives the gradient of the MEAN over the rows, dz, from the predictions. The cross-entropies and poisson are fused
with the function that makes a probability or rate of their z, so that the gradient is (a - y) / n whatever the size of
z. In place is allowed: a may be z, and dz may be a.
"""

from numba import njit

from fastml.kernels import vmath
from fastml.kernels.activations import largest_of, softmax_of
from fastml.kernels.simd import Vec, elementwise
from fastml.kernels.sweeps import rowwise
from fastml.kernels.views import vector

MEAN_SQUARED_ERROR = 1
MEAN_ABSOLUTE_ERROR = 2
HUBER = 3
POISSON = 4
BINARY_CROSSENTROPY = 5
CATEGORICAL_CROSSENTROPY = 6
SPARSE_CATEGORICAL_CROSSENTROPY = 7

scaled_difference = elementwise(lambda a, y, scale: scale * (a - y))


@elementwise
def squared_errors(z, y):
    """(z - y)², without the ½ of some texts;  a = z"""
    error = z - y
    return error * error, z


@elementwise
def absolute_errors(z, y):
    """|z - y|;  a = z"""
    return abs(z - y), z


@elementwise
def absolute_slopes(a, y, scale):
    """The sign of a - y, 0 where they are equal."""
    error = a - y
    return scale * error.where(">", 0.0, 1.0, error.where("<", 0.0, -1.0, error))


@elementwise
def huber_errors(z, y, delta):
    """½·e² for |e| ≤ δ, else δ·(|e| - ½·δ), with e = z - y;  a = z"""
    size = abs(z - y)
    near = size.where(">", delta, delta, size)
    return near * (size - 0.5 * near), z


@elementwise
def huber_slopes(a, y, scale, delta):
    """a - y, cut at ±δ."""
    error = a - y
    return scale * error.where(">", delta, delta, error.where("<", -delta, -delta, error))


@elementwise
def poisson_errors(z, y):
    """eᶻ - y·z, which is -log of Poisson(y; eᶻ) but for log y!, which does not depend on z;  a = eᶻ"""
    rate = vmath.exp(z)
    return rate - y * z, rate


@elementwise
def bernoulli_errors(z, y):
    """max(z, 0) - z·y + log(1 + e^-|z|), which is -log of Bernoulli(y; sigmoid z);  a = sigmoid z"""
    return vmath.softplus(z) - z * y, vmath.sigmoid(z)


@rowwise
def categorical_errors(row):
    """Σⱼ yⱼ·(log Σₖ exp zₖ - zⱼ), which is -log of Categorical(y; softmax z);  a = softmax z

    The rows of y sum to 1, so that z may be shifted.
    """
    z, y, a, losses, sums = 0, 1, 2, 0, 1
    top = largest_of(row, z)
    (likelihood,) = row.parts(lambda p, sum_: [p.load(y).fma(p.load(z) - top, sum_)], row.constant(0.0))
    likelihood = row.across(likelihood, Vec.__add__)
    row.put(losses, -likelihood)
    row.put(sums, softmax_of(row, z, a, top))


@rowwise
def sparse_categorical_errors(row):
    """log Σₖ exp zₖ - z of the class: categorical_errors with the class number as its target."""
    z, a, losses, sums, labels = 0, 1, 0, 1, 2
    top = largest_of(row, z)
    likelihood = row.element(z, row.value(labels)) - top
    row.put(losses, -likelihood)
    row.put(sums, softmax_of(row, z, a, top))


# Once for all rows: the logarithm of a vector costs no more than that of a number.
add_logarithms = elementwise(lambda losses, sums: vmath.log(sums) + losses)


@rowwise
def sparse_categorical_slopes(row, scale):
    """scale·a, less scale at the class."""
    a, dz, label = 0, 1, row.value(0)
    row.parts(lambda p: p.store(dz, scale * (p.load(a) - p.numbers().where("==", label, 1.0, 0.0))))


@rowwise
def mean_rows(row, d):
    """Σⱼ termsⱼ / d"""
    (total,) = row.parts(lambda part, total: [total + part.load(0)], row.constant(0.0))
    row.put(0, row.across(total, Vec.__add__) / d)


@njit(inline="always", error_model="numpy")
def loss_forward(kind, delta, z, y, a, terms, losses):
    """lossesᵢ = loss(zᵢ, yᵢ), where kind names the loss: the mean over the outputs, or a cross-entropy of classes.

    z, a, terms : (n, d), y : (n, d) or, for class labels, (n, 1), losses : (n,), delta : float64, of huber. Overwrites
    a with the predictions, losses, and terms, which is room for the loss of each output, or for Σₖ exp zₖ of each row.
    """
    real = z.dtype.type
    if kind == SPARSE_CATEGORICAL_CROSSENTROPY or kind == CATEGORICAL_CROSSENTROPY:
        sums = vector(terms, 0, losses.size)
        if kind == SPARSE_CATEGORICAL_CROSSENTROPY:
            sparse_categorical_errors((z, a), (losses, sums, y), ())
        else:
            categorical_errors((z, y, a), (losses, sums), ())
        add_logarithms((losses, sums), (losses,), ())
        return
    if kind == BINARY_CROSSENTROPY:
        bernoulli_errors((z, y), (terms, a), ())
    elif kind == POISSON:
        poisson_errors((z, y), (terms, a), ())
    elif kind == HUBER:
        huber_errors((z, y), (terms, a), (real(delta),))
    elif kind == MEAN_ABSOLUTE_ERROR:
        absolute_errors((z, y), (terms, a), ())
    else:
        squared_errors((z, y), (terms, a), ())
    mean_rows((terms,), (losses,), (real(z.shape[1]),))


@njit(inline="always", error_model="numpy")
def loss_backward(kind, delta, n, a, y, dz):
    """dz = ∂(mean over the rows of the loss) / ∂z, where kind names the loss.

    (a - y) / n for the cross-entropies of classes, with one-hot y for labels; (a - y) / (n·d) for binary_crossentropy
    and poisson; 2·(a - y), sign(a - y) and a - y cut at ±delta, over n·d, for squared error, absolute error and huber.
    n : rows of the batch, of which these are some or all. a, dz : (…, d), y : (…, d) or, for class labels, (…, 1),
    delta : float64. Overwrites dz.
    """
    d = a.shape[1]
    real = a.dtype.type
    if kind == SPARSE_CATEGORICAL_CROSSENTROPY:
        sparse_categorical_slopes((a, dz), (y,), (real(1.0 / n),))
    elif kind == MEAN_ABSOLUTE_ERROR:
        absolute_slopes((a, y), (dz,), (real(1.0 / (n * d)),))
    elif kind == HUBER:
        huber_slopes((a, y), (dz,), (real(1.0 / (n * d)), real(delta)))
    else:
        scale = 1.0 / n
        if kind != CATEGORICAL_CROSSENTROPY:
            scale /= d
        if kind == MEAN_SQUARED_ERROR:
            scale *= 2
        scaled_difference((a, y), (dz,), (real(scale),))
