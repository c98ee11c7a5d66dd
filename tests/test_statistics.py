"""Statistics of what is drawn at random, with fixed seeds: start values, and the units that dropout drops.

Whatever is a mean of n independent numbers must be within five standard deviations of its expectation.
"""

import numpy as np
import pytest
from helpers import same_bits

from fastml import INITIALIZERS, SGD, Activation, Callback, Dense, Dropout, Sequential
from fastml.program.executors import EXECUTORS

SHAPES = [(300, 200), (40, 900), (900, 40)]
SEEDS = [0, 1, 2**64 - 1]

# Variance, or that times d_in, or times (d_in + d_out) / 2; and the law
SCALED = {
    "random_uniform": ("none", 0.05**2 / 3, "uniform"),
    "glorot_uniform": ("mean", 1, "uniform"),
    "glorot_normal": ("mean", 1, "normal"),
    "he_uniform": ("d_in", 2, "uniform"),
    "he_normal": ("d_in", 2, "normal"),
    "lecun_uniform": ("d_in", 1, "uniform"),
    "lecun_normal": ("d_in", 1, "normal"),
}
CONSTANTS = {"zeros": 0, "ones": 1}
FOURTH = {"uniform": 9 / 5, "normal": 3}  # moment over variance²
WITHIN = {"uniform": 1 / np.sqrt(3), "normal": 0.6826894921370859}  # share within one standard deviation


def start(name, shape, seed=0, dtype="float64"):
    """W and b of a layer that starts both with this initializer."""
    layer = Dense(shape[1], kernel_initializer=name, bias_initializer=name)
    return Sequential([layer], input_dim=shape[0], seed=seed, dtype=dtype).get_weights()


def variance_of(name, shape):
    fan, factor, law = SCALED[name]
    return factor / {"none": 1, "d_in": shape[0], "mean": (shape[0] + shape[-1]) / 2}[fan], law


def assert_share(hits, count, share):
    """Whether so many hits of independent trials are as many as expected; arrays element by element."""
    assert (np.abs(hits - count * share) <= 5 * np.sqrt(count * share * (1 - share))).all()


def assert_uncorrelated(a, b):
    a, b = (np.ravel(values).astype(float) for values in (a, b))
    assert abs(np.corrcoef(a, b)[0, 1]) <= 5 / np.sqrt(a.size)


def test_each_initializer_has_a_law():
    """A new initializer needs an entry above."""
    assert set(SCALED) | set(CONSTANTS) | {"orthogonal"} == set(INITIALIZERS)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SCALED)
def test_mean_variance_and_bounds(name, shape, seed):
    W, _ = start(name, shape, seed)
    variance, law = variance_of(name, shape)
    assert abs(W.mean()) <= 5 * np.sqrt(variance / W.size)
    assert abs((W**2).mean() - variance) <= 5 * variance * np.sqrt((FOURTH[law] - 1) / W.size)
    assert_share((np.abs(W) < np.sqrt(variance)).sum(), W.size, WITHIN[law])
    assert_share((W > 0).sum(), W.size, 0.5)
    if law == "uniform":
        limit = np.sqrt(3 * variance)
        assert np.abs(W).max() <= limit and W.max() > 0.999 * limit and W.min() < -0.999 * limit
    else:
        assert 3.5 * np.sqrt(variance) < np.abs(W).max() < 6.5 * np.sqrt(variance)  # not truncated


@pytest.mark.parametrize("name", SCALED)
def test_every_row_and_column_has_that_variance(name):
    """A wrong fan or a stripe of zeros would show."""
    shape = 300, 200
    W, _ = start(name, shape)
    variance, law = variance_of(name, shape)
    for axis, count in enumerate(shape):
        sigma = variance * np.sqrt((FOURTH[law] - 1) / count)
        assert (np.abs((W**2).mean(axis=axis) - variance) <= 5 * sigma).all()
        assert (np.abs(W.mean(axis=axis)) <= 5 * np.sqrt(variance / count)).all()
    assert_uncorrelated(W[:-1], W[1:])
    assert_uncorrelated(W[:, :-1], W[:, 1:])


@pytest.mark.parametrize("name", SCALED)
def test_biases_take_their_own_length_as_both_sizes(name):
    _, b = start(name, (3, 50_000))
    variance, law = variance_of(name, b.shape)
    assert abs(b.mean()) <= 5 * np.sqrt(variance / b.size)
    assert abs((b**2).mean() - variance) <= 5 * variance * np.sqrt((FOURTH[law] - 1) / b.size)


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name):
    for values in start(name, (7, 5)):
        assert (values == CONSTANTS[name]).all()


@pytest.mark.parametrize("name", [*SCALED, "orthogonal"])
def test_layers_seeds_and_biases_are_independent(name):
    layers = [Dense(150, kernel_initializer=name) for _ in range(2)]
    first, _, second, _ = Sequential(layers, input_dim=150, seed=0, dtype="float64").get_weights()
    (other,) = Sequential([layers[0]], input_dim=150, seed=1, dtype="float64").get_weights()[:1]
    assert_uncorrelated(first, second)
    assert_uncorrelated(first, other)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (30, 30), (40, 25), (25, 40)])
@pytest.mark.parametrize("seed", SEEDS)
def test_orthogonal_columns_or_rows(shape, seed):
    W, b = start("orthogonal", shape, seed)
    product = W.T @ W if shape[0] >= shape[1] else W @ W.T
    np.testing.assert_allclose(product, np.eye(min(shape)), rtol=0, atol=1e-14)
    assert np.linalg.norm(b) == pytest.approx(1, rel=1e-14)


def test_orthogonal_matrices_are_uniformly_distributed():
    """In two dimensions: the direction of the first column is, and the second is on either side as often."""
    count, sectors = 800, 8
    matrices = [start("orthogonal", (2, 2), seed)[0] for seed in range(count)]
    angles = np.array([np.arctan2(W[1, 0], W[0, 0]) for W in matrices]) / (2 * np.pi) % 1
    assert_share(np.bincount((sectors * angles).astype(int), minlength=sectors), count, 1 / sectors)
    assert_share(sum(np.linalg.det(W) > 0 for W in matrices), count, 0.5)
    W, _ = start("orthogonal", (300, 300))
    assert abs((W**2).mean() - 1 / 300) < 1e-15
    assert abs(W.mean()) <= 5 / 300 and abs((W**4).mean() * 300**2 - 3) < 0.1


# Dropout. A model that tells its masks: with one-hot rows and targets far above, the slope of the absolute error is
# -1 / (rows of the batch · units) at each output, so that a step adds the mask to W, that of each row of x to its own.

ROWS, UNITS = 64, 32


class Watch(Callback):
    def __init__(self):
        self.seen = []

    def on_epoch_end(self, epoch, logs):
        self.seen.append(self.model.get_weights()[0])


def identity():
    return Activation("leaky_relu", alpha=1)


def masks(rate, epochs=1, rows=ROWS, batch_size=ROWS, seed=0, executor="compiled", position=1, then=(), fits=1):
    """The factors that a Dropout layer of this position applies: (epochs, rows, UNITS), without shuffling."""
    layers = [Dense(UNITS, kernel_initializer="zeros"), *(identity() for _ in range(position - 1))]
    model = Sequential([*layers, Dropout(rate), *then, identity()], seed=seed, dtype="float64")
    model.compile(SGD(batch_size * UNITS), "mean_absolute_error", executor=executor)
    watch = Watch()
    for _ in range(fits):
        arguments = {"epochs": epochs // fits, "callbacks": [watch], "shuffle": False, "verbose": 0}
        model.fit(np.eye(rows), np.full((rows, UNITS), 1e9), batch_size, **arguments)
    sums = np.stack([np.zeros((rows, UNITS)), *watch.seen])
    of_batch = np.array([min(batch_size, rows - row // batch_size * batch_size) for row in range(rows)])
    return np.diff(sums, axis=0) * (of_batch / batch_size)[:, None]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rate", [0.5, 0.75, 0.1, 1 / 3, 0.9, 0.99])
def test_dropout_keeps_its_share(rate, seed):
    """In all, in each epoch, row and unit; what is kept is scaled by 1 / (1 - rate), so that the mean stays."""
    drawn = masks(rate, epochs=60, seed=seed)
    kept = drawn > 0.5
    np.testing.assert_allclose(drawn, kept / (1 - rate), rtol=1e-9, atol=1e-9)  # differences of sums
    places = [(0,)] if 0.2 < rate < 0.8 else []  # 60 draws of a rare event are far from a normal law
    for axes in [(0, 1, 2), (1, 2), (0, 2), (0, 1), *places]:
        hits = kept.sum(axis=axes)
        assert_share(hits, kept.size // hits.size, 1 - rate)


@pytest.mark.parametrize("rate", [0.5, 0.75])
def test_dropout_keeps_its_share_in_each_step(rate):
    kept = masks(rate, epochs=20, batch_size=8) > 0
    assert_share(kept.reshape(20, 8, -1).sum(axis=2), 8 * UNITS, 1 - rate)


def test_masks_are_independent():
    """Of rows, units, steps, epochs, layers and seeds, next to each other and farther away."""
    drawn = masks(0.5, epochs=40)
    for distance in (1, 2, 4, 16):
        assert_uncorrelated(drawn[:-distance], drawn[distance:])
        assert_uncorrelated(drawn[:, :-distance], drawn[:, distance:])
        assert_uncorrelated(drawn[:, :, :-distance], drawn[:, :, distance:])
    steps = masks(0.5, epochs=40, batch_size=8).reshape(40, 8, -1)
    assert_uncorrelated(steps[:, :-1], steps[:, 1:])
    assert_uncorrelated(steps[:-1, -1], steps[1:, 0])
    for other in (masks(0.5, epochs=40, position=2), masks(0.5, epochs=40, position=3), masks(0.5, epochs=40, seed=1)):
        assert_uncorrelated(drawn, other)
    for other_seed in (2**32, 2**63):
        assert_uncorrelated(drawn, masks(0.5, epochs=40, seed=other_seed))


def test_a_unit_is_kept_by_a_lower_rate_wherever_a_higher_one_keeps_it():
    """One uniform number decides: rates can be compared on the same masks."""
    low, high = masks(0.25, epochs=5) > 0, masks(0.75, epochs=5) > 0
    assert (low >= high).all() and low.sum() > high.sum()


@pytest.mark.parametrize("rate", [0.5, 0.75])
@pytest.mark.parametrize("rows, batch_size", [(64, 64), (64, 16), (50, 16), (7, 1), (1, 1)])
def test_both_executors_drop_the_same_units(rows, batch_size, rate):
    assert same_bits(
        *(list(masks(rate, 4, rows, batch_size, seed=5, executor=executor)) for executor in ("compiled", "numpy"))
    )


@pytest.mark.parametrize("executor", EXECUTORS)
def test_two_layers_multiply_their_masks(executor):
    first, second = (masks(0.5, 3, position=position, executor=executor) for position in (1, 3))
    both = masks(0.5, 3, executor=executor, then=[identity(), Dropout(0.5)])
    assert np.array_equal(both, first * second)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_mask_does_not_depend_on_how_many_rows_follow(executor):
    """Neither in a short batch nor in a longer one: numbers are drawn by step and place in the batch."""
    whole = masks(0.5, 3, executor=executor) > 0
    for rows in (1, 7, 63):
        assert np.array_equal(masks(0.5, 3, rows, executor=executor) > 0, whole[:, :rows])
    split = masks(0.5, 3, rows=40, batch_size=16, executor=executor) > 0
    assert np.array_equal(split[:, :16], whole[:, :16])
    full = masks(0.5, 3, rows=48, batch_size=16, executor=executor) > 0
    assert np.array_equal(split, full[:, :40])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_masks_go_on_from_fit_to_fit(executor):
    assert np.array_equal(masks(0.5, 6, executor=executor, fits=3), masks(0.5, 6, executor=executor))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_predictions_and_evaluations_drop_nothing(executor):
    x, y = np.random.default_rng(0).normal(size=(2, 300, 3))
    models = [Sequential([Dense(9, "tanh"), *drop, Dense(3)], seed=1) for drop in ([], [Dropout(0.9)])]
    for model in models:
        model.compile("sgd", "mean_squared_error", executor=executor)
    plain, dropped = models
    assert plain.predict(x).tobytes() == dropped.predict(x).tobytes()
    assert plain.evaluate(x, y) == dropped.evaluate(x, y)
