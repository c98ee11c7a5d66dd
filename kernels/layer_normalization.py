"""Layer normalization: each row by its own mean and variance (Ba, Kiros & Hinton, "Layer Normalization", 2016)."""

from fastml.kernels.operands import Number, Rows, Weights
from fastml.kernels.operation import operation
from fastml.kernels.simd import Vec
from fastml.kernels.sweeps import rowwise


def normalized(row, x, d, epsilon):
    """Mean and 1 / √(variance + ε) of a row, the variance in a second pass."""
    (total,) = row.parts(lambda part, total: [total + part.load(x)], row.constant(0.0))
    mean = row.across(total, Vec.__add__) / d

    def squares(part, total):
        centred = part.only(part.load(x) - mean, 0.0)
        return [centred.fma(centred, total)]

    (total,) = row.parts(squares, row.constant(0.0))
    variance = row.across(total, Vec.__add__) / d
    return mean, 1.0 / (variance + epsilon).sqrt()


def normalize(row, d, epsilon):
    x, gamma, beta, a = range(4)
    mean, inverse = normalized(row, x, d, epsilon)
    row.parts(lambda p: p.store(a, ((p.load(x) - mean) * inverse).fma(p.load(gamma), p.load(beta))))


def differentiate(row, d, epsilon):
    """With g = da·γ: dx = inverse · (g - mean g - x̂ · mean(g·x̂)), as mean and variance depend on x, too."""
    x, gamma, da, dx, dgamma = range(5)
    mean, inverse = normalized(row, x, d, epsilon)

    def sums(part, total, product):
        g = part.load(da) * part.load(gamma)
        return [total + g, ((part.load(x) - mean) * inverse).fma(g, product)]

    total, product = (row.across(s, Vec.__add__) / d for s in row.parts(sums, *[row.constant(0.0)] * 2))

    def slopes(part):
        x_hat, slope = (part.load(x) - mean) * inverse, part.load(da)
        part.store(dgamma, slope * x_hat)
        part.store(dx, inverse * (slope * part.load(gamma) - total - x_hat * product))

    row.parts(slopes)


normalize_rows, differentiate_rows = rowwise(normalize, flat=(1, 2)), rowwise(differentiate, flat=(1,))


@operation
def layernorm_forward(
    x: Rows("d_in"), gamma: Weights("d_in"), beta: Weights("d_in"), epsilon: Number(), a: Rows("d_in")
):
    """a = γ·(x - mean) / √(variance + ε) + β, with mean and biased variance of each row.

    x, a : (n, d), gamma, beta : (d,), epsilon : float64. Overwrites a, which may be x.
    """
    real = x.dtype.type
    normalize_rows((x, gamma, beta, a), (), (real(x.shape[1]), real(epsilon)))


@operation
def layernorm_backward(
    x: Rows("d_in"), gamma: Weights("d_in"), epsilon: Number(), da: Rows("d_in"), dx: Rows("d_in"), terms: Rows("d_in")
):
    """The gradient with respect to x, and what each row adds to that of γ, da·x̂.

    x, da, dx, terms : (n, d), gamma : (d,), epsilon : float64. Overwrites dx and terms.
    """
    real = x.dtype.type
    differentiate_rows((x, gamma, da, dx, terms), (), (real(x.shape[1]), real(epsilon)))
