"""What happens to targets and rows around the loss: label smoothing, and weights of the rows."""

from numba import njit

from fastml.kernels.simd import elementwise
from fastml.kernels.sweeps import rowwise

smoothed = elementwise(lambda y, kept, floor: kept * y + floor)


@rowwise
def smoothed_one_hot(row, peak, floor):
    label = row.value(0)
    row.parts(lambda part: part.store(0, part.numbers().where("==", label, peak, floor)))


@rowwise
def weighed(row):
    weight = row.value(0)
    row.parts(lambda part: part.store(0, weight * part.load(0)))


@njit(inline="always", error_model="numpy")
def smooth_targets(y, label_smoothing, classes, smooth):
    """smooth = (1 - ε)·y + ε / classes, where y is the one-hot matrix if it came as class labels.

    A binary target has 2 classes, of which only one has a column. y, smooth : (n, d), or y : (n, 1) for labels,
    label_smoothing : float64. Overwrites smooth.
    """
    real = smooth.dtype.type
    kept, floor = real(1 - label_smoothing), real(label_smoothing / classes)
    if y.shape[1] == smooth.shape[1]:
        smoothed((y,), (smooth,), (kept, floor))
    else:
        smoothed_one_hot((smooth,), (y,), (kept + floor, floor))


@njit(inline="always", error_model="numpy")
def weigh_rows(w, rows):
    """rowsᵢⱼ = wᵢ · rowsᵢⱼ

    w : (n, 1), rows : (n, d). Overwrites rows.
    """
    weighed((rows,), (w,), ())
