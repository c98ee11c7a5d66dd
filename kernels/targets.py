"""What happens to targets and rows around the loss: label smoothing, and weights of the rows."""

from fastml.kernels.operands import Column, Number, Rows, Size
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise
from fastml.kernels.sweeps import rowwise
from fastml.kernels.views import matrix

smoothed = elementwise(lambda y, kept, floor: kept * y + floor)


@rowwise
def smoothed_one_hot(row, peak, floor):
    label = row.value(0)
    row.parts(lambda part: part.store(0, part.numbers().where("==", label, peak, floor)))


@rowwise
def weighed(row):
    weight = row.value(0)
    row.parts(lambda part: part.store(0, weight * part.load(0)))


@operation
def smooth_targets(y: Rows("d_y"), label_smoothing: Number(), classes: Size(), smooth: Rows("d_out")):
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


@operation
def weigh_rows(w: Rows(1), rows: Rows("width")):
    """rowsᵢⱼ = wᵢ · rowsᵢⱼ

    w : (n, 1), rows : (n, d). Overwrites rows.
    """
    weighed((rows,), (w,), ())


@operation
def weigh_losses(w: Rows(1), losses: Column()):
    """lossesᵢ = wᵢ · lossesᵢ

    w : (n, 1), losses : (n,). Overwrites losses.
    """
    weighed((matrix(losses, 0, losses.size, 1),), (w,), ())
