"""Losses: the negative log-likelihood of the targets, and its gradient.

A forward kernel takes what enters the loss, z, and writes the predictions a and the loss of each row. `terms` is room
for the loss of each output, or for Σₖ exp zₖ of each row. The backward kernel gives the gradient of the MEAN over the
n rows of the batch, dz, from the predictions. The cross-entropies and poisson are fused with the function that makes a
probability or rate of their z, so that the gradient is (a - y) / n whatever the size of z.

z, a, terms, dz : (…, d), y : (…, d) or, for class labels, (…, 1), losses : (…,). In place is allowed: a may be z, and
dz may be a.
"""

from numba import njit

from fastml.kernels import vmath
from fastml.kernels.activations import largest_of, softmax_of
from fastml.kernels.operands import Column, Number, OfSlice, Rows
from fastml.kernels.operation import operation
from fastml.kernels.simd import Vec, elementwise
from fastml.kernels.sweeps import rowwise
from fastml.kernels.views import vector

Outputs, Targets, Losses, BatchSize = Rows("d_out"), Rows("d_y"), Column(), OfSlice("n")

scaled_difference = elementwise(lambda a, y, scale: scale * (a - y))


@rowwise
def mean_rows(row, d):
    """Σⱼ termsⱼ / d"""
    (total,) = row.parts(lambda part, total: [total + part.load(0)], row.constant(0.0))
    row.put(0, row.across(total, Vec.__add__) / d)


@njit(inline="always", error_model="numpy")
def mean_over_outputs(terms, losses):
    """lossesᵢ = the mean of termsᵢ. terms : (n, d), losses : (n,). Overwrites losses."""
    mean_rows((terms,), (losses,), (terms.dtype.type(terms.shape[1]),))


@elementwise
def squared_errors(z, y):
    error = z - y
    return error * error, z


@operation
def mean_squared_error_forward(z: Outputs, y: Targets, a: Outputs, terms: Outputs, losses: Losses):
    """The mean of (z - y)² over the outputs, without the ½ of some texts;  a = z. Overwrites a, terms and losses."""
    squared_errors((z, y), (terms, a), ())
    mean_over_outputs(terms, losses)


@operation
def mean_squared_error_backward(n: BatchSize, a: Outputs, y: Targets, dz: Outputs):
    """dz = 2·(a - y) / (n·d). Overwrites dz."""
    scaled_difference((a, y), (dz,), (a.dtype.type(1.0 / n / a.shape[1] * 2),))


@elementwise
def absolute_errors(z, y):
    return abs(z - y), z


@elementwise
def absolute_slopes(a, y, scale):
    error = a - y
    return scale * error.where(">", 0.0, 1.0, error.where("<", 0.0, -1.0, error))


@operation
def mean_absolute_error_forward(z: Outputs, y: Targets, a: Outputs, terms: Outputs, losses: Losses):
    """The mean of |z - y| over the outputs;  a = z. Overwrites a, terms and losses."""
    absolute_errors((z, y), (terms, a), ())
    mean_over_outputs(terms, losses)


@operation
def mean_absolute_error_backward(n: BatchSize, a: Outputs, y: Targets, dz: Outputs):
    """dz = sign(a - y) / (n·d), 0 where they are equal. Overwrites dz."""
    absolute_slopes((a, y), (dz,), (a.dtype.type(1.0 / (n * a.shape[1])),))


@elementwise
def huber_errors(z, y, delta):
    size = abs(z - y)
    near = size.where(">", delta, delta, size)
    return near * (size - 0.5 * near), z


@elementwise
def huber_slopes(a, y, scale, delta):
    error = a - y
    return scale * error.where(">", delta, delta, error.where("<", -delta, -delta, error))


@operation
def huber_forward(delta: Number(), z: Outputs, y: Targets, a: Outputs, terms: Outputs, losses: Losses):
    """The mean over the outputs of ½·e² for |e| ≤ δ, else δ·(|e| - ½·δ), with e = z - y;  a = z.

    Overwrites a, terms and losses.
    """
    huber_errors((z, y), (terms, a), (z.dtype.type(delta),))
    mean_over_outputs(terms, losses)


@operation
def huber_backward(delta: Number(), n: BatchSize, a: Outputs, y: Targets, dz: Outputs):
    """dz = (a - y, cut at ±δ) / (n·d). Overwrites dz."""
    real = a.dtype.type
    huber_slopes((a, y), (dz,), (real(1.0 / (n * a.shape[1])), real(delta)))


@elementwise
def log_cosh_errors(z, y):
    """log cosh e = |e| + log(1 + (e^(-2·|e|) - 1) / 2), which keeps its digits where e is little."""
    size = abs(z - y)
    return size + vmath.log1p(vmath.expm1_nonpositive(size * -2.0) * 0.5), z


log_cosh_slopes = elementwise(lambda a, y, scale: scale * vmath.tanh(a - y))


@operation
def log_cosh_forward(z: Outputs, y: Targets, a: Outputs, terms: Outputs, losses: Losses):
    """The mean of log cosh(z - y) over the outputs;  a = z. Overwrites a, terms and losses."""
    log_cosh_errors((z, y), (terms, a), ())
    mean_over_outputs(terms, losses)


@operation
def log_cosh_backward(n: BatchSize, a: Outputs, y: Targets, dz: Outputs):
    """dz = tanh(a - y) / (n·d). Overwrites dz."""
    log_cosh_slopes((a, y), (dz,), (a.dtype.type(1.0 / (n * a.shape[1])),))


@elementwise
def poisson_errors(z, y):
    rate = vmath.exp(z)
    return rate - y * z, rate


@operation
def poisson_forward(z: Outputs, y: Targets, a: Outputs, terms: Outputs, losses: Losses):
    """The mean over the outputs of eᶻ - y·z, which is -log of Poisson(y; eᶻ) but for log y!, in which is no z;  a = eᶻ.

    Overwrites a, terms and losses.
    """
    poisson_errors((z, y), (terms, a), ())
    mean_over_outputs(terms, losses)


@operation
def poisson_backward(n: BatchSize, a: Outputs, y: Targets, dz: Outputs):
    """dz = (a - y) / (n·d). Overwrites dz."""
    scaled_difference((a, y), (dz,), (a.dtype.type(1.0 / n / a.shape[1]),))


@elementwise
def bernoulli_errors(z, y):
    return vmath.softplus(z) - z * y, vmath.sigmoid(z)


@operation
def binary_crossentropy_forward(z: Outputs, y: Targets, a: Outputs, terms: Outputs, losses: Losses):
    """The mean over the outputs of max(z, 0) - z·y + log(1 + e^-|z|), -log of Bernoulli(y; sigmoid z);  a = sigmoid z.

    Overwrites a, terms and losses.
    """
    bernoulli_errors((z, y), (terms, a), ())
    mean_over_outputs(terms, losses)


@operation
def binary_crossentropy_backward(n: BatchSize, a: Outputs, y: Targets, dz: Outputs):
    """dz = (a - y) / (n·d). Overwrites dz."""
    scaled_difference((a, y), (dz,), (a.dtype.type(1.0 / n / a.shape[1]),))


@rowwise
def categorical_errors(row):
    """The rows of y sum to 1, so that z may be shifted."""
    z, y, a, losses, sums = 0, 1, 2, 0, 1
    top = largest_of(row, z)
    (likelihood,) = row.parts(lambda p, sum_: [p.load(y).fma(p.load(z) - top, sum_)], row.constant(0.0))
    likelihood = row.across(likelihood, Vec.__add__)
    row.put(losses, -likelihood)
    row.put(sums, softmax_of(row, z, a, top))


# Once for all rows: the logarithm of a vector costs no more than that of a number.
add_logarithms = elementwise(lambda losses, sums: vmath.log(sums) + losses)


@operation
def categorical_crossentropy_forward(z: Outputs, y: Targets, a: Outputs, terms: Outputs, losses: Losses):
    """Σⱼ yⱼ·(log Σₖ exp zₖ - zⱼ), which is -log of Categorical(y; softmax z);  a = softmax z.

    Overwrites a, terms and losses.
    """
    sums = vector(terms, 0, losses.size)
    categorical_errors((z, y, a), (losses, sums), ())
    add_logarithms((losses, sums), (losses,), ())


@operation
def categorical_crossentropy_backward(n: BatchSize, a: Outputs, y: Targets, dz: Outputs):
    """dz = (a - y) / n. Overwrites dz."""
    scaled_difference((a, y), (dz,), (a.dtype.type(1.0 / n),))


@rowwise
def sparse_categorical_errors(row):
    z, a, losses, sums, labels = 0, 1, 0, 1, 2
    top = largest_of(row, z)
    likelihood = row.element(z, row.value(labels)) - top
    row.put(losses, -likelihood)
    row.put(sums, softmax_of(row, z, a, top))


@rowwise
def sparse_categorical_slopes(row, scale):
    a, dz, label = 0, 1, row.value(0)
    row.parts(lambda p: p.store(dz, scale * (p.load(a) - p.numbers().where("==", label, 1.0, 0.0))))


@operation
def sparse_categorical_crossentropy_forward(z: Outputs, y: Targets, a: Outputs, terms: Outputs, losses: Losses):
    """log Σₖ exp zₖ - z of the class: the categorical one with the class number as its target;  a = softmax z.

    Overwrites a, terms and losses.
    """
    sums = vector(terms, 0, losses.size)
    sparse_categorical_errors((z, a), (losses, sums, y), ())
    add_logarithms((losses, sums), (losses,), ())


@operation
def sparse_categorical_crossentropy_backward(n: BatchSize, a: Outputs, y: Targets, dz: Outputs):
    """dz = (a - y) / n, with y as one-hot rows. Overwrites dz."""
    sparse_categorical_slopes((a, dz), (y,), (a.dtype.type(1.0 / n),))
