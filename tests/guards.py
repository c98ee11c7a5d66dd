"""Arrays amid elements that a kernel must neither read nor write."""

import numpy as np

MARGIN = 61  # elements on either side: more than a vector's worth, and odd, so that nothing is aligned


class Guards:
    """Makes arrays of a dtype amid NaNs, which spoil what is computed from them, and looks after these.

    The NaNs have a payload, which no arithmetic makes.
    """

    def __init__(self, dtype):
        self.margin = np.full(MARGIN, np.nan, dtype)
        self.margin.view(f"u{self.margin.itemsize}")[...] ^= 0x5A5A5
        self.buffers = []

    def array(self, values):
        """A copy of the array amid NaNs."""
        values = np.asarray(values)
        buffer = np.concatenate([self.margin, values.ravel().astype(self.margin.dtype), self.margin])
        self.buffers.append(buffer)
        return buffer[MARGIN:-MARGIN].reshape(values.shape)

    def arrays(self, *arrays):
        return [self.array(values) for values in arrays]

    def unharmed(self):
        """Whether all elements around the arrays are as they were, bit for bit."""
        margin = self.margin.tobytes()
        return all(b[:MARGIN].tobytes() == margin == b[-MARGIN:].tobytes() for b in self.buffers)
