"""Axes of the report's pictures fit what is drawn, numbers have one style, and captions are true."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra train")
pytest.importorskip("polars", reason="needs polars, the extra train")
pytest.importorskip("matplotlib", reason="needs matplotlib, the extra train")

from matplotlib.figure import Figure

from fastml.commands import figures
from fastml.commands.report import numbers, pictures
from fastml.commands.report.axes import Scale, limits, outside, thinned

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=500)


def test_a_far_outlier_does_not_make_the_axis():
    low, high = limits(np.append(NORMAL, 1e9))
    assert -10 < low < NORMAL.min() + 1 and 2 < high < 20
    assert outside(np.append(NORMAL, 1e9), (low, high)).sum() == 1


@pytest.mark.parametrize(
    "values", [NORMAL, NORMAL**3, np.arange(30.0), np.array([0.0, 1e6]), np.array([1.0, 2.0, 50.0])]
)
def test_values_that_belong_together_are_all_within(values):
    low, high = limits(values)
    assert low < values.min() and high > values.max() and not outside(values, (low, high)).any()


@pytest.mark.parametrize("value", [0.0, 5.0, -3e-12, 4e250])
def test_values_that_are_all_the_same_stand_in_the_middle(value):
    low, high = limits(np.full(9, value))
    assert low < value < high and (low + high) / 2 == pytest.approx(value, rel=1e-12, abs=1e-300)


def test_what_is_not_finite_is_left_out_and_what_is_huge_cut():
    assert limits(np.array([np.nan, np.inf, 1.0, 3.0])) == limits(np.array([1.0, 3.0]))
    assert limits(np.array([np.nan])) == (0, 1)
    assert np.isfinite(limits(np.array([-1.7e308, 1.7e308]))).all()


@pytest.mark.parametrize("size", [1e-300, 1e-12, 2e-4, 1.0, 9e5, 3e9, 1e200])
def test_axes_have_numbers_that_can_be_read(size):
    """From 0.001 to a million as they are; others over a power of 1000, which the name of the axis tells."""
    scale = Scale.of(-size, size)
    assert 1e-3 <= scale(size) < 1e6 and scale(0) == 0
    assert (scale.words == "") == (1e-3 <= size < 1e6)
    assert float(scale(size)) * 10.0**scale.exponent == pytest.approx(size)


def test_small_differences_of_large_numbers_are_drawn():
    scale = Scale.of(1e9, 1e9 + 3)
    assert scale.offset == 1e9 and scale([1e9, 1e9 + 3]).tolist() == [0, 3] and scale.words == " − 1e+09"


@pytest.mark.parametrize("draw", [pictures.against, pictures.residuals])
@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e15])
def test_points_take_up_their_picture(draw, unit):
    """In any unit, and with a prediction that has gone astray."""
    y = unit * NORMAL
    p = y + 0.1 * unit * np.roll(NORMAL, 1)
    p[7] = 1e6 * unit
    ax = Figure().subplots()
    draw(ax, y, p)
    points = ax.collections[0].get_offsets()
    for k, (low, high) in enumerate((ax.get_xlim(), ax.get_ylim())):
        inside = np.sort(points[:, k])[1:-1]
        assert inside[0] >= low and inside[-1] <= high and np.ptp(inside) > 0.3 * (high - low)


def test_constant_targets_can_be_drawn():
    y, p = np.full(40, 3.0), np.full(40, 3.0)
    for name, draw, arguments in (("a", pictures.against, (y, p)), ("r", pictures.residuals, (y, p))):
        assert "NaN" not in pictures.picture(name, "a", draw, *arguments)
    assert "NaN" not in pictures.picture("h", "h", pictures.histogram, p - y)


def test_losses_that_fall_far_get_a_logarithmic_axis():
    def axis(loss):
        ax = Figure().subplots()
        pictures.curves(ax, np.array(loss), np.array(loss), 1)
        return ax.get_yscale(), ax.get_ylim()

    assert axis([1e4, *[0.5] * 9])[0] == "log"
    assert axis([1.0, 0.5, 0.4])[0] == "linear" and axis([1.0, 0.5, 0.4])[1][0] == 0
    assert axis([1e4, *[0.0] * 9])[0] == "linear"  # whose logarithm there is none
    assert axis([1.0, np.inf, 0.5])[1][1] < 2


def test_captions_tell_what_is_drawn():
    """1000 of 40 000 points, one of each row where there are less, and those beyond the axes."""
    y = RNG.normal(size=40_000)
    drawn, off = pictures.beyond(y, y)[0]
    assert (drawn, off) == (1000, 0)
    assert numbers.points(40_000, drawn, off) == "Each of the 1,000 points is a test row of 40,000, chosen evenly."
    p = y[:300].copy()
    p[5] = 1e7
    (drawn, off), (_, off_too) = pictures.beyond(y[:300], p)
    assert (drawn, off, off_too) == (299, 1, 1)
    assert numbers.points(300, drawn, off) == "Each of the 299 points is a test row; 1 test row lies beyond the axes."


def test_curves_of_many_points_keep_their_shape():
    x = np.linspace(0, 1, 50_000)
    y = (x > 0.5).astype(float)
    a, b = thinned(x, y)
    assert len(a) <= 302 and (a[0], a[-1]) == (0, 1) and (np.diff(a) >= 0).all()
    assert np.abs(np.interp(x, a, b) - y)[np.abs(x - 0.5) > 0.01].max() < 1e-9
    assert thinned(x[:5], y[:5])[0] is not a and len(thinned(x[:5], y[:5])[0]) == 5


SHARES = [(0, "0.0%"), (1, "100.0%"), (0.5, "50.0%"), (0.9997, "99.97%"), (0.99999, "99.999%"), (4e-5, "0.004%")]


@pytest.mark.parametrize("share, text", SHARES)
def test_shares_that_are_not_all_do_not_look_so(share, text):
    assert figures.percent(share) == text


@pytest.mark.parametrize("value, text", [(1, "1.000"), (0.99996, "0.99996"), (-1e-17, "0.000"), (-0.0004, "-0.0004")])
def test_scores_that_are_not_perfect_do_not_look_so(value, text):
    assert figures.plain(value) == text


def test_what_is_not_known_is_a_dash():
    for text in (figures.percent, figures.plain, figures.in_units, figures.points):
        assert text(float("nan")) == "–"
    assert figures.span(figures.plain, float("nan"), 1) == "–"


def test_numbers_of_a_column_have_the_same_digits():
    assert figures.alike([3, 5.8, 7.05]) == ["3.00", "5.80", "7.05"]
    assert figures.alike([3.0, 5.0]) == ["3", "5"] and figures.alike([]) == []
    assert figures.alike([12345.6, 2]) == ["12,346", "2"] and figures.alike([1e-9]) == ["1e-09"]


UNITS = [(0, "0"), (5, "5.000"), (999.96, "1,000"), (12345.6, "12,346"), (-0.01234567, "-0.01235"), (1e12, "1.000e+12")]


@pytest.mark.parametrize("value, text", UNITS)
def test_numbers_in_units(value, text):
    assert figures.in_units(value) == text


def test_the_minus_of_print_stands_before_numbers_alone():
    assert (
        figures.typeset("-3 to -4.5, x-3, 2020-01-02, 1e-05, --epochs")
        == "−3 to −4.5, x-3, 2020-01-02, 1e-05, --epochs"
    )
