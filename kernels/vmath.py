"""Functions on vectors as polynomials: eˣ, log, tanh, sigmoid, erf, the normal law and what is made of them.

A bound in ulp (units in the last place) holds for all arguments whose results are normal numbers, in float32 and
float64; the tests hold each function to it over its whole range. Unless the docstring says otherwise, infinities and
NaN give what mathematics gives, and the sign of 0 is kept where f(0) = 0.
"""

import math

from llvmlite import ir

from fastml.kernels.coefficients import (
    ERF,
    ERFC_ABOVE,
    ERFC_BELOW,
    EXP,
    LOG,
    LOG1P_32,
    LOG1P_ABOVE_64,
    LOG1P_BELOW_64,
    SINE,
    TANH,
)

LN2 = math.log(2)
LN2_REST = -1.9046542999577678805e-9, 2.3190468138462996155e-17  # ln 2 less itself rounded to float32, to float64


def by_dtype(x, single, double):
    """What of the two belongs to the dtype of this vector."""
    return single if isinstance(x.real, ir.FloatType) else double


def layout(x):
    """(bits of the mantissa, bias of the exponent) of this vector's dtype."""
    return by_dtype(x, (23, 127), (52, 1023))


def horner(x, coefficients):
    """Σₖ coefficientsₖ·xᵏ"""
    *others, second, first = coefficients
    total = x.fma(first, second)
    for coefficient in reversed(others):
        total = total.fma(x, coefficient)
    return total


def polynomial(x, table):
    """Σₖ coefficientsₖ·xᵏ with the table's row for this dtype."""
    return horner(x, by_dtype(x, *table))


def at_most(x, bound):
    """min(x, bound), a NaN stays one."""
    return x.where(">", bound, bound, x)


def at_least(x, bound):
    """max(x, bound), a NaN stays one."""
    return x.where("<", bound, bound, x)


def reduced(x, unit=LN2, offset=0):
    """(k, r, bits) with x = k·unit + r, |r| ≤ unit / 2, k whole; the last bits of `bits` are the integer k + offset.

    Adding 1.5·2^(bits of the mantissa) rounds to a whole number. r is exact but for what `unit` loses when rounded.
    """
    magic = 1.5 * 2.0 ** layout(x)[0] + offset
    bits = x.fma(1 / unit, magic)
    k = bits - magic
    return k, k.fma(-unit, x), bits


def exponential(x, offset=0):
    """(q, bits) with eˣ = q·2ᵏ, √½ ≤ q ≤ √2, and bits as in `reduced`."""
    k, r, bits = reduced(x, offset=offset)
    rest = by_dtype(x, *LN2_REST)
    r = k.fma(-rest, r)
    return polynomial(r, EXP).fma(r, 1.0).fma(r, 1.0), bits


def power_of_two(bits):
    """2ᵏ where the last bits are k + the bias of the exponent; 0 for the lowest k, infinity for the highest."""
    mantissa, _ = layout(bits)
    return bits.bits(lambda b, integers, splat: b.shl(integers, splat(mantissa)))


def exp(x):
    """eˣ, to 1 ulp; 0 where it is not a normal number.

    k is added to the exponent of q: the product with 2ᵏ would overflow before eˣ does.
    """
    lowest, highest = by_dtype(x, (-87.33654022216797, 88.72283172607422), (-708.3964185322641, 709.782712893384))
    mantissa, _ = layout(x)
    q, bits = exponential(x)
    shift = bits.bits(lambda b, integers, splat: b.shl(integers, splat(mantissa)))
    power = q.bits(lambda b, integers, splat: b.add(integers, b.bitcast(shift.value, integers.type)))
    return x.where("<=", highest, x.where("<", lowest, 0.0, power), x * math.inf)


def exp_nonpositive(x):
    """eˣ for x ≤ 0, to 1 ulp; 0 below 2^-126.5 in float32 and 2^-1022.5 in float64."""
    q, bits = exponential(at_least(x, by_dtype(x, -88.0, -709.0)), layout(x)[1])
    return power_of_two(bits) * q


def sigmoid(x):
    """1 / (1 + e⁻ˣ), to 2.5 ulp; 0 below 2^-127.5 in float32 and 2^-1023.5 in float64."""
    low, high = by_dtype(x, (-89.0, 88.0), (-710.0, 709.0))  # of these, 2ᵏ is infinite or 0
    q, bits = exponential(-at_most(at_least(x, low), high), layout(x)[1])
    return 1.0 / power_of_two(bits).fma(q, 1.0)


def tanh(x):
    """tanh x, to 2.5 ulp, and at most 1.

    |x| = ½k·ln 2 + r and h = tanh r give (2ᵏ·(1 + h) - (1 - h)) / (2ᵏ·(1 + h) + (1 - h)), here with 2ᵏ ± 1 in front,
    as 2ᵏ - 1 = 0 for small x, which keep their digits. The series of h in r² has half the terms of that of eʳ.
    """
    size = at_most(abs(x), by_dtype(x, 9.1, 19.1))  # from here on it is 1, rounded
    k, r, bits = reduced(size, LN2 / 2, layout(x)[1])
    if isinstance(x.real, ir.DoubleType):  # float32 happens to round ln 2 well enough
        r = k.fma(-LN2_REST[1] / 2, r)
    scale = power_of_two(bits)
    square = r * r
    h = polynomial(square, TANH).fma(square * r, r)
    more, less = scale + 1.0, scale - 1.0
    return (h.fma(more, less) / h.fma(less, more)).call("copysign", x)


def expm1_scaled(x, offset=0):
    """2^offset·(eˣ - 1) for x ≥ -40 and 2^(k + offset) finite.

    = 2ᵏ·(eʳ - 1) + (2ᵏ - 1), summed so that the exact r comes before what was rounded, eʳ - 1 - r.
    """
    k, r, bits = reduced(x, offset=layout(x)[1] + offset)
    rest = by_dtype(x, *LN2_REST)
    scale = power_of_two(bits)
    near = k.fma(-rest, r)
    small = k.fma(-rest, polynomial(near, EXP) * (near * near))
    return scale.fma(small, scale.fma(r, scale - 2.0**offset))


def expm1(x):
    """eˣ - 1, to 1.3 ulp. Half of it is computed, as 2ᵏ would overflow before it does."""
    half = expm1_scaled(at_most(at_least(x, -40.0), by_dtype(x, 89.0, 710.0)), -1)
    return (half + half).call("copysign", x)


def expm1_nonpositive(x):
    """eˣ - 1 for x ≤ 0, to 1.3 ulp; of -0, it is 0."""
    return expm1_scaled(at_least(x, -40.0))


def split(x):
    """(k, m, exponent) with x = m·2ᵏ, √½ ≤ m < √2, for positive normal x; the integers `exponent` are k + bias."""
    mantissa, bias = layout(x)
    one, root = bias << mantissa, by_dtype(x, 0x3F3504F3, 0x3FE6A09E667F3BCD)  # the bits of 1 and of √½
    moved = x.bits(lambda b, bits, splat: b.add(bits, splat(one - root)))
    m = moved.bits(lambda b, bits, splat: b.add(b.and_(bits, splat((1 << mantissa) - 1)), splat(root)))
    whole = (bias + mantissa) << mantissa  # the bits of 2^mantissa, to whose last place the exponent is moved
    exponent = moved.bits(lambda b, bits, splat: b.or_(b.lshr(bits, splat(mantissa)), splat(whole)))
    return exponent - (2.0**mantissa + bias), m, exponent


def log_of_parts(k, f, extra=0.0):
    """k·ln 2 + log(1 + f) + extra for √½ - 1 ≤ f ≤ √2 - 1, where extra is little.

    log(1 + f) = 2·artanh(s) = f - s·(f - R), with s = f / (2 + f) and R = (2·artanh(s) - 2·s) / s.
    """
    s = f / (f + 2.0)
    square = s * s
    rest = by_dtype(k, *LN2_REST)
    less = s * (f - square * polynomial(square, LOG)) - extra
    return k.fma(LN2, f - k.fma(-rest, less))


def at_the_ends_of_log(x, result):
    """The result for 0 < x < ∞; else log x."""
    return x.where(">", 0.0, x.where("<", math.inf, result, x), x.where("==", 0.0, -math.inf, math.nan))


def log(x):
    """log x, to 1 ulp, also of numbers that are not normal."""
    mantissa, bias = layout(x)
    smallest = 2.0 ** (1 - bias)
    k, m, _ = split(x.where("<", smallest, x * 2.0**mantissa, x))
    k = k - x.where("<", smallest, float(mantissa), 0.0)
    return at_the_ends_of_log(x, log_of_parts(k, m - 1.0))


def log1p(x):
    """log(1 + x), to 1.25 ulp.

    What 1 + x loses when rounded is exactly the lesser of 1 and x minus (the sum minus the greater). In the scale of
    the mantissa m it is `extra`, and adds extra / m ≈ extra·(1 - f) to log m; 2⁻ᵏ is made four times as large, so that
    it is normal for the largest x, too.
    """
    mantissa, bias = layout(x)
    total = x + 1.0
    lost = at_most(x, 1.0) - (total - at_least(x, 1.0))
    k, m, exponent = split(total)
    scale = exponent.bits(lambda b, bits, splat: b.shl(b.sub(splat(2 * bias + 2), bits), splat(mantissa)))
    f, extra = m - 1.0, lost * scale * 0.25
    result = log_of_parts(k, f, (-f).fma(extra, extra))
    return at_the_ends_of_log(total, result).call("copysign", x)


def log1p_unit(u):
    """log(1 + u) for 0 ≤ u ≤ 1, to 2 ulp: u, and u² times the rest."""
    if isinstance(u.real, ir.FloatType):
        rest = horner(u, LOG1P_32)
    else:
        rest = horner(u, LOG1P_ABOVE_64) / horner(u, LOG1P_BELOW_64)
    return rest.fma(u * u, u)


def softplus(x):
    """log(1 + eˣ), to 2.5 ulp: max(x, 0) + log(1 + e^-|x|)."""
    return at_least(x, 0.0) + log1p_unit(exp_nonpositive(-abs(x)))


def scaled_erfc(t):
    """exp(t²)·erfc(t) for t ≥ 0; from where exp(-t²) = 0 on, constant."""
    t = at_most(t, by_dtype(t, 9.5, 27.0))
    return polynomial(t, ERFC_ABOVE) / polynomial(t, ERFC_BELOW)


def erf(x):
    """The error function, to 1.5 ulp, and at most 1: a series in x² up to |x| = 1, then 1 - erfc |x|."""
    size = at_most(abs(x), 6.0)  # from 5.93 on it is 1, rounded
    square = size * size
    near = polynomial(square, ERF).fma(size, size)
    far = 1.0 - exp_nonpositive(-square) * scaled_erfc(size)
    return size.where("<", 1.0, near, far).call("copysign", x)


def normal(x):
    """Cumulative distribution Φ(x) and density φ(x) of the standard normal law, Φ also in its tail to 8 ulp.

    Φ(-|x|) = ½·erfc(t) with t = |x| / √2; the rounding of x² is put right in exp(-x² / 2) to first order.
    """
    size = at_most(abs(x), by_dtype(x, 13.5, 38.0))
    half_square = size * size * 0.5
    lost = (size * 0.5).fma(size, -half_square)
    bell = exp_nonpositive(-half_square)
    bell = (-lost).fma(bell, bell)
    tail = bell * scaled_erfc(size * math.sqrt(0.5)) * 0.5
    return x.where("<", 0.0, tail, 1.0 - tail), bell * (1 / math.sqrt(2 * math.pi))


def fraction(x):
    """x less the next whole number, in ±½; of numbers that have no fractions any more, somewhere in there."""
    magic = 1.5 * 2.0 ** layout(x)[0]
    return at_most(at_least(x - ((x + magic) - magic), -0.5), 0.5)


def sine_of_quarter(s):
    """sin(2πs) for |s| ≤ ¼."""
    return s * polynomial(s * s, SINE)


def sin_turns(x):
    """sin(2πx), to an absolute error of 2 ulp of 1; of infinity, NaN."""
    r = fraction(x)
    size = abs(r)
    return sine_of_quarter(size.where(">", 0.25, 0.5 - size, size).call("copysign", r))


def cos_turns(x):
    """cos(2πx), to an absolute error of 2 ulp of 1; of infinity, NaN."""
    return sine_of_quarter(0.25 - abs(fraction(x)))
