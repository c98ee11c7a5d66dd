"""Activation functions against their formulas in NumPy."""

import numpy as np
import pytest

from fastml import ACTIVATIONS
from fastml.kernels.activations import activation_forward


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "linear"])  # which needs no kernel
def test_activation_forward(compare, random, rival, name):
    z = random.standard_normal((64, 64), "float32")
    a = np.empty_like(z)
    code, forward = ACTIVATIONS[name].code, ACTIVATIONS[name].forward
    alpha = ACTIVATIONS[name].alpha or 0.0

    def kernel():
        activation_forward(code, alpha, z, a)
        return (a,)

    compare(f"{name} 64x64 float32", rival, kernel, lambda: (forward(z, alpha),))
