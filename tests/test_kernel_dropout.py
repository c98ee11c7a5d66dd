"""Kernels of dropout: the masks of the NumPy generator bit for bit, and their products."""

from itertools import product

import numpy as np
import pytest
from guards import Guards

from fastml.kernels.dropout import dropout_backward, dropout_forward
from fastml.kernels.random import DROPOUT
from fastml.program.compiled import DTYPES
from fastml.program.random import dropout_mask, philox

SIZES = [0, 1, 2, 3, 15, 16, 17, 31, 33, 47, 48, 49, 63, 64, 65, 79, 80, 127, 128, 129, 200, 1000, 1024]
RATES = [0.0, 1e-9, 0.1, 1 / 3, 0.5, 0.75, 0.9, 0.999999]


def forward(shape, dtype, seed=1, step=2, epoch=3, layer=4, rate=0.5, first=0):
    """x, mask and a of the kernel, in guarded arrays, for rows from number first of the batch on."""
    guards = Guards(dtype)
    values = np.random.default_rng(0).normal(size=shape)
    x, mask, a = guards.arrays(values, np.full(shape, np.nan), np.full(shape, np.nan))
    kept = x.copy()
    dropout_forward(np.uint64(seed), step, epoch, layer, rate, first, x, mask, a)
    assert guards.unharmed() and np.array_equal(x, kept)
    return x, mask, a


def assert_same_bits(got, expected):
    assert got.dtype == expected.dtype and got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", RATES)
def test_the_mask_is_that_of_the_reference(rate, dtype):
    """For sizes beside every multiple of 16 words and of the 64 that 16 counters give."""
    for size in SIZES:
        x, mask, a = forward((1, size), dtype, rate=rate)
        assert_same_bits(mask, dropout_mask(1, 2, 3, 4, rate, (1, size)).astype(dtype))
        assert_same_bits(a, x * mask)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (3, 5), (16, 16), (17, 33), (64, 3), (2, 100), (0, 5)])
def test_rows_and_columns(shape, dtype):
    """The numbers follow row by row, without gaps."""
    _, mask, _ = forward(shape, dtype)
    assert_same_bits(mask, dropout_mask(1, 2, 3, 4, 0.5, shape).astype(dtype))
    assert_same_bits(mask.ravel(), forward((1, mask.size), dtype)[1].ravel())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 3, 5, 16, 17, 33, 64, 100])
@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 48])
def test_some_rows_of_a_batch_get_their_own_part_of_the_mask(n, d, dtype):
    """Whichever number they start at, and how many there are."""
    whole = dropout_mask(1, 2, 3, 4, 0.5, (160 + n, d)).astype(dtype)
    for first in (0, 16, 32, 48, 64, 80, 128, 160):
        x, mask, a = forward((n, d), dtype, first=first)
        assert_same_bits(mask, whole[first : first + n])
        assert_same_bits(a, x * mask)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_argument_counts_in_all_of_its_words(dtype):
    """Both halves of the seed, and counters up to 32 bits."""
    seeds, counters = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1], [0, 1, 2**31, 2**32 - 1]
    drawn = set()
    for seed, step, epoch, layer in product(seeds, counters, counters[:2], [0, 1, 2**24 - 1]):
        _, mask, _ = forward((1, 65), dtype, seed, step, epoch, layer)
        assert_same_bits(mask, dropout_mask(seed, step, epoch, layer, 0.5, (1, 65)).astype(dtype))
        drawn.add(mask.tobytes())
    assert len(drawn) == len(seeds) * len(counters) * 2 * 3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", RATES)
def test_the_share_that_is_kept(rate, dtype):
    """Within 5 standard deviations; the factor of what is kept makes the mean stay."""
    size = 300_000
    _, mask, _ = forward((300, 1000), dtype, seed=7, rate=rate)
    kept = np.count_nonzero(mask)
    assert abs(kept - (1 - rate) * size) <= 5 * np.sqrt(size * rate * (1 - rate))
    assert set(np.unique(mask)) <= {0, np.dtype(dtype).type(1 / (1 - rate))}


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_number_that_is_the_rate_is_kept(dtype):
    """A uniform number of 32 bits is below the rate or not: the rates from 0 to 1 have their probabilities exactly."""
    words = philox(1, np.arange(16), 2, 3, DROPOUT + 4).ravel()
    for place in (0, 15, 16, 63):
        for rate, kept in ((int(words[place]) / 2**32, True), ((int(words[place]) + 1) / 2**32, False)):
            _, mask, _ = forward((1, 64), dtype, rate=rate)
            assert (mask[0, place] > 0) == kept


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_rate_of_0_keeps_everything(dtype):
    x, mask, a = forward((9, 33), dtype, rate=0.0)
    assert (mask == 1).all()
    assert_same_bits(a, x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_backward_is_the_product_with_the_mask(size, dtype):
    _, mask, _ = forward((1, size), dtype)
    guards = Guards(dtype)
    mask, da, dx = guards.arrays(mask, np.random.default_rng(1).normal(size=(1, size)), np.full((1, size), np.nan))
    kept = mask.copy(), da.copy()
    dropout_backward(mask, da, dx)
    assert_same_bits(dx, kept[0] * kept[1])
    assert_same_bits(mask, kept[0])
    assert_same_bits(da, kept[1])
    dropout_backward(mask, da, da)
    assert_same_bits(da, dx)
    assert guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_in_place_is_the_same(dtype):
    x, mask, a = forward((7, 19), dtype)
    again = np.empty_like(mask)
    dropout_forward(np.uint64(1), 2, 3, 4, 0.5, 0, x, again, x)
    assert_same_bits(x, a)
    assert_same_bits(again, mask)
