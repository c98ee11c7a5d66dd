"""Functions on vectors, as polynomials: what activations and losses need of exp, log1p, tanh and the normal law."""

import math

from llvmlite import ir


def lowest(x):
    """A bound below which eˣ may not be a normal number."""
    return -87.0 if isinstance(x.real, ir.FloatType) else -708.0


def powers_of_two(x):
    """(scale, p) with eˣ = scale·p + scale, for x ≤ 0 or NaN.

    x = k·ln 2 + r with |r| ≤ ½ ln 2, scale = 2ᵏ, p = eʳ - 1 by its Taylor series, so that p is exact to about 1 ulp
    also near 0. Adding 1.5·2^(mantissa bits) rounds x / ln 2 to a whole number that stands in the lowest bits; shifted
    into the exponent they make 2ᵏ. x below `lowest` counts as that.
    """
    single = isinstance(x.real, ir.FloatType)
    mantissa, bias, terms = (23, 127, 7) if single else (52, 1023, 13)
    ln2_high, ln2_low = (
        (0.693359375, -2.1219444005469057e-4) if single else (0.6931471803691238, 1.9082149292705877e-10)
    )
    x = x.where("<", lowest(x), lowest(x), x)
    shifted = x.fma(1 / math.log(2), 1.5 * 2.0**mantissa)
    k = shifted - 1.5 * 2.0**mantissa
    r = k.fma(-ln2_low, k.fma(-ln2_high, x))
    scale = shifted.bits(lambda b, bits, splat: b.add(b.shl(bits, splat(mantissa)), splat(bias << mantissa)))
    p = r * (1 / math.factorial(terms)) + 1 / math.factorial(terms - 1)
    for n in range(terms - 2, 0, -1):
        p = p.fma(r, 1 / math.factorial(n))
    return scale, p * r


def exp_nonpositive(x):
    """eˣ for x ≤ 0 or NaN, to about 1 ulp; 0 for x below -87 (float32) or -708 (float64)."""
    scale, p = powers_of_two(x)
    return x.where("<", lowest(x), 0.0, scale.fma(p, scale))


def sigmoid(x):
    """1 / (1 + e⁻ˣ), with the exponential of a number that is not positive, so that it cannot overflow."""
    e = exp_nonpositive(-abs(x))
    return x.where(">=", 0.0, 1.0, e) / (e + 1.0)


def tanh(x):
    """(1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x; through eʳ - 1, so that small x keep their digits."""
    scale, p = powers_of_two(abs(x) * -2.0)
    difference = -scale.fma(p, scale - 1.0)
    return (difference / (2.0 - difference)).call("copysign", x)


def exp(x):
    """eˣ, to about 1 ulp; 0 below -87 (float32) or -708 (float64), infinity above 88.37 or 709.43."""
    highest = 88.37 if isinstance(x.real, ir.FloatType) else 709.43
    scale, p = powers_of_two(x.where(">", highest, highest, x))
    return x.where(">", highest, math.inf, x.where("<", lowest(x), 0.0, scale.fma(p, scale)))


def expm1_nonpositive(x):
    """eˣ - 1 for x ≤ 0 or NaN, to about 2 ulp."""
    scale, p = powers_of_two(x)
    return scale.fma(p, scale - 1.0)


def log1p_unit(u):
    """log(1 + u) for 0 ≤ u ≤ 1 or NaN, to about 2 ulp.

    = 2·artanh(s), s = u / (2 + u), as a series in s². From ½ on, log(1 + u) = log 2 + log(1 + (u - 1) / 2) keeps s
    small; both that shift and its difference are exact.
    """
    terms = 6 if isinstance(u.real, ir.FloatType) else 13
    v = u.where(">", 0.5, (u - 1.0) * 0.5, u)
    s = v / (v + 2.0)
    square = s * s
    series = square * (1 / (2 * terms + 1)) + 1 / (2 * terms - 1)
    for n in range(terms - 2, 0, -1):
        series = series.fma(square, 1 / (2 * n + 1))
    return (s * 2.0).fma(series * square, u.where(">", 0.5, math.log(2), 0.0) + s * 2.0)


def softplus(x):
    """log(1 + eˣ), that is max(x, 0) + log(1 + e^-|x|)."""
    return x.where("<", 0.0, 0.0, x) + log1p_unit(exp_nonpositive(-abs(x)))


# (1 + 2t)·exp(t²)·erfc(t) for t ≥ 0, as a polynomial in (t - 3) / (t + 3): the Chebyshev series, cut where its terms
# fall below the precision, and summed in powers. The idea is Shepherd & Laframboise's ("Chebyshev approximation of
# (1 + 2x)exp(x²)erfc x", Mathematics of Computation 36, 1981), the coefficients are computed anew.
SCALED_ERFC_32 = (
    1.253008056,
    -0.1356210694,
    -0.04756215693,
    0.1296441143,
    -0.1192752753,
    0.06831656777,
    -0.02376357644,
    0.00249911687,
    0.001875079124,
    -7.26453679e-4,
    -9.254516687e-5,
    7.731024224e-5,
)
SCALED_ERFC_64 = (
    1.25300805826972965,
    -0.135621106124581155,
    -0.0475622943534491442,
    0.129645158702759035,
    -0.119273663415389102,
    0.0683080273440195456,
    -0.0237705149171168775,
    0.0025293918155757472,
    0.00188869034444234602,
    -7.79832268859977582e-4,
    -1.0515971626370842e-4,
    1.25099339239086796e-4,
    4.94918422837470011e-6,
    -2.01005339864771656e-5,
    -7.30797853796637835e-7,
    3.47235711965629081e-6,
    3.55711999609301801e-7,
    -6.16586227540068446e-7,
    -1.40424850601232542e-7,
    1.01826169147412673e-7,
    4.10295448898218379e-8,
    -1.33090925708533236e-8,
    -8.20445638047478946e-9,
    9.85621792034358957e-10,
    8.37191036457406223e-10,
)


def normal(x):
    """Cumulative distribution Φ(x) and density φ(x) of the standard normal law, Φ also in its tail to 8 ulp.

    Φ(-|x|) = ½·erfc(t) with t = |x| / √2; the rounding of x² is put right in exp(-x² / 2) to first order.
    """
    coefficients = SCALED_ERFC_32 if isinstance(x.real, ir.FloatType) else SCALED_ERFC_64
    half_square = x * x * 0.5
    lost = (x * 0.5).fma(x, -half_square)
    bell = exp_nonpositive(-half_square)
    bell = half_square.where("<=", -lowest(x), (-lost).fma(bell, bell), bell)  # beyond, lost may be NaN
    t = abs(x) * math.sqrt(0.5)
    u = 1.0 - 6.0 / (t + 3.0)
    polynomial = u * coefficients[-1] + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        polynomial = polynomial.fma(u, coefficient)
    tail = bell * polynomial / (t * 4.0 + 2.0)
    return x.where("<", 0.0, tail, 1.0 - tail), bell * (1 / math.sqrt(2 * math.pi))
