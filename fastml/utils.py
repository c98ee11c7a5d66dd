"""Small helpers by Keras's names."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastml.attributes import positive_integer
from fastml.data.arrays import as_array, check_labels
from fastml.keras_names import MISSING
from fastml.program.random import set_random_seed as set_random_seed
from fastml.telling import missing, told


@told
def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray:
    """Class numbers (rows,) or (rows, 1) as one-hot rows, an array (rows, num_classes) of float32.

    num_classes is one more than the largest number if not given. ValueError for what are no whole numbers from 0 to
    num_classes - 1. The cross-entropies take class numbers as they are.
    """
    array = as_array(x, "x")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not array.size:
        raise ValueError(f"x must be class numbers, shape (rows,), got {array.shape}")
    if num_classes is None:
        num_classes = int(array.max()) + 1 if np.isfinite(array).all() and array.max() >= 0 else 1
    num_classes = positive_integer("num_classes", num_classes)
    check_labels(array[:, None], "x", num_classes)
    return (array[:, None] == np.arange(num_classes)).astype(np.float32)


__getattr__ = missing("fastml.utils", MISSING)
