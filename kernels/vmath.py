"""Functions on vectors, as polynomials: what activations and losses need of exp and tanh."""

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
