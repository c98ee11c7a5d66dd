"""Normalization of columns: by stored statistics, and by those of the batch (batch normalization).

Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network Training", ICML 2015.
"""

from fastml.kernels.columns import columnwise
from fastml.kernels.operands import BatchRows, ColumnSlice, Gradient, Number, OfSlice, Rows, Weights, Workspace
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise
from fastml.kernels.views import vector


@columnwise
def scale_columns(columns):
    mean, scale = columns.vector(0), columns.vector(1)
    columns.rows(lambda i: columns.store(1, i, (columns.load(0, i) - mean) * scale))


@columnwise
def normalize_columns(columns, n, epsilon):
    gamma, beta, zero = columns.vector(0), columns.vector(1), columns.constant(0.0)
    first = columns.load(0, columns.first)  # a sum of differences keeps its digits beside a large mean
    (total,) = columns.rows(lambda i, total: [total + (columns.load(0, i) - first)], zero)
    mean = first + total / n

    def deviation(i, squares):
        x_hat = columns.load(0, i) - mean
        columns.store(1, i, x_hat)
        return [x_hat.fma(x_hat, squares)]

    (squares,) = columns.rows(deviation, zero)
    variance = squares / n
    inverse = 1.0 / (variance + epsilon).sqrt()

    def scaled(i):
        x_hat = columns.load(1, i) * inverse
        columns.store(1, i, x_hat)
        columns.store(2, i, x_hat.fma(gamma, beta))

    columns.rows(scaled)
    for k, vec in ((2, mean), (3, variance), (4, inverse)):
        columns.put(k, vec)


@columnwise
def infer_columns(columns, epsilon):
    gamma, beta, mean, variance = (columns.vector(k) for k in range(4))
    inverse = 1.0 / (variance + epsilon).sqrt()
    columns.rows(lambda i: columns.store(1, i, ((columns.load(0, i) - mean) * inverse).fma(gamma, beta)))


@columnwise
def differentiate_columns(columns, n):
    gamma, inverse, zero = columns.vector(0), columns.vector(1), columns.constant(0.0)

    def sums(i, dgamma, dbeta):
        da = columns.load(0, i)
        return [da.fma(columns.load(1, i), dgamma), dbeta + da]

    dgamma, dbeta = columns.rows(sums, zero, zero)
    columns.put(2, dgamma)
    columns.put(3, dbeta)
    factor, slope, shift = gamma * inverse, dgamma / n, dbeta / n
    columns.rows(lambda i: columns.store(2, i, factor * (columns.load(0, i) - columns.load(1, i).fma(slope, shift))))


track = elementwise(lambda running, batch, kept, new: batch.fma(new, kept * running))


@operation
def normalize(x: Rows("d_in"), mean: Weights("d_in"), scale: Weights("d_in"), a: Rows("d_in")):
    """aᵢⱼ = (xᵢⱼ - meanⱼ) · scaleⱼ

    x, a : (n, d), mean, scale : (d,). Overwrites a, which may be x.
    """
    scale_columns((x, a), (mean, scale), (), 0, x.shape[1])


@operation
def batchnorm_forward(
    x: BatchRows("d_in"),
    gamma: Weights("d_in"),
    beta: Weights("d_in"),
    epsilon: Number(),
    bounds: ColumnSlice("d_in"),
    batch_mean: Workspace("d_in"),
    batch_variance: Workspace("d_in"),
    inverse: Workspace("d_in"),
    x_hat: BatchRows("d_in"),
    a: BatchRows("d_in"),
):
    """a = γ·x̂ + β,  x̂ = (x - mean)·inverse,  inverse = 1 / √(variance + ε), with mean and biased variance of the batch.

    x, x_hat, a : (n, d), gamma, beta, batch_mean, batch_variance, inverse : (d,), epsilon : float64. Overwrites of the
    last five the columns in `bounds`, the first and the one behind the last; a may be x. Two passes: Σx² - (Σx)² / n
    would lose a small variance beside a large mean.
    """
    real = x.dtype.type
    vectors, scalars = (gamma, beta, batch_mean, batch_variance, inverse), (real(x.shape[0]), real(epsilon))
    normalize_columns((x, x_hat, a), vectors, scalars, *bounds)


@operation
def batchnorm_inference(
    x: Rows("d_in"),
    gamma: Weights("d_in"),
    beta: Weights("d_in"),
    mean: Weights("d_in"),
    variance: Weights("d_in"),
    epsilon: Number(),
    a: Rows("d_in"),
):
    """a = γ·(x - mean) / √(variance + ε) + β, with the statistics that training has tracked.

    x, a : (n, d), gamma, beta, mean, variance : (d,), epsilon : float64. Overwrites a, which may be x.
    """
    infer_columns((x, a), (gamma, beta, mean, variance), (x.dtype.type(epsilon),), 0, x.shape[1])


@operation
def batchnorm_backward(
    da: BatchRows("d_in"),
    x_hat: BatchRows("d_in"),
    gamma: Weights("d_in"),
    inverse: Workspace("d_in"),
    bounds: ColumnSlice("d_in"),
    dgamma: Gradient("gamma", "d_in"),
    dbeta: Gradient("beta", "d_in"),
    dx: BatchRows("d_in"),
):
    """dβ = Σᵢ daᵢ,  dγ = Σᵢ daᵢ·x̂ᵢ,  dx = γ·inverse·(da - (dβ + x̂·dγ) / n), as mean and variance depend on x, too.

    da, x_hat, dx : (n, d), gamma, inverse, dgamma, dbeta : (d,). Overwrites of dgamma, dbeta and
    dx, which may be da, the columns in `bounds`, the first and the one behind the last.
    """
    scalars = (da.dtype.type(da.shape[0]),)
    differentiate_columns((da, x_hat, dx), (gamma, inverse, dgamma, dbeta), scalars, *bounds)


@operation
def batchnorm_track(
    batch_mean: Workspace("d_in"),
    batch_variance: Workspace("d_in"),
    n: OfSlice("n"),
    momentum: Number(),
    bounds: ColumnSlice("d_in"),
    mean: Weights("d_in"),
    variance: Weights("d_in"),
):
    """mean = momentum · mean + (1 - momentum) · batch_mean, and so the variance, with the batch's unbiased one.

    All (d,), n : int64, the rows of the batch, more than 1, momentum : float64. Overwrites the elements
    of mean and variance in `bounds`, the first and the one behind the last.
    """
    (first, last), real = bounds, mean.dtype.type
    batch_mean, mean = vector(batch_mean, first, last - first), vector(mean, first, last - first)
    batch_variance, variance = vector(batch_variance, first, last - first), vector(variance, first, last - first)
    track((mean, batch_mean), (mean,), (real(momentum), real(1 - momentum)))
    track((variance, batch_variance), (variance,), (real(momentum), real((1 - momentum) * n / (n - 1))))
