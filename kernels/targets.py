"""What happens to targets and rows before and after the loss: label smoothing, and weights of the rows."""

from numba import njit


@njit(inline="always", error_model="numpy")
def smooth_targets(y, label_smoothing, classes, smooth):
    """smooth = (1 - ε)·y + ε / classes, where y is the one-hot matrix if it came as class labels.

    A binary target has 2 classes, of which only one has a column. y, smooth : (n, d), or y : (n, 1) for labels,
    label_smoothing : float64. Overwrites smooth.
    """
    n, d = smooth.shape
    real = smooth.dtype.type
    kept, floor = real(1 - label_smoothing), real(label_smoothing / classes)
    if y.shape[1] == d:
        for i in range(n):
            for j in range(d):
                smooth[i, j] = kept * y[i, j] + floor
    else:
        for i in range(n):
            for j in range(d):
                smooth[i, j] = floor
            smooth[i, int(y[i, 0])] += kept


@njit(inline="always", error_model="numpy")
def weigh_rows(w, rows):
    """rowsᵢⱼ = wᵢ · rowsᵢⱼ

    w : (n, 1), rows : (n, d). Overwrites rows.
    """
    n, d = rows.shape
    for i in range(n):
        for j in range(d):
            rows[i, j] *= w[i, 0]


@njit(inline="always", error_model="numpy")
def sum_rows(losses):
    """Σᵢ lossesᵢ in float64.

    losses : (n,).
    """
    total = 0.0
    for i in range(losses.size):
        total += losses[i]
    return total
