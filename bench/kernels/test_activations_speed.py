"""Activation functions against their formulas in NumPy."""

import numpy as np
import pytest

from fastml import ACTIVATIONS
from fastml.kernels.operations import OPERATIONS
from fastml.program import linking


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "linear"])  # which needs no kernel
def test_activation_forward(compare, random, rival, name):
    z = random.standard_normal((64, 64), "float32")
    a = np.empty_like(z)
    forward, alpha = ACTIVATIONS[name].forward, ACTIVATIONS[name].alpha or 0.0
    run = OPERATIONS["softmax_forward" if name == "softmax" else "activation_forward"].kernel
    function, kept = ((), None) if name == "softmax" else linking.bound(name, "float32", alpha)
    first = (function,) if function else ()

    def kernel():
        run(*first, z, a)
        return (a,)

    compare(f"{name} 64x64 float32", rival, kernel, lambda: (forward(z, alpha),))
