"""Data that comes with fastml; README.md beside this file names source and licence."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def load_digits() -> tuple[NDArray, NDArray]:
    """The 1797 handwritten digits of the UCI optical recognition set.

    Returns x : (1797, 64) float32, 8 × 8 pixels scaled to 0 … 1, and y : (1797,) int64, the digits.
    """
    with np.load(Path(__file__).parent / "digits.npz") as archive:
        return archive["x"].astype(np.float32) / 16, archive["y"].astype(np.int64)
