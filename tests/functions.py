"""Elementwise functions and operations as tests call them: by name, with arrays."""

import numpy as np

from fastml import ACTIVATIONS
from fastml.kernels.dense import NONE
from fastml.kernels.operations import OPERATIONS
from fastml.program import linking

FUSED = [name for name in ACTIVATIONS if name not in ("linear", "softmax")]  # what a product can apply
_instructions = []  # which must outlive the calls


def function(name, dtype, alpha=0.0):
    """What a kernel takes for an elementwise function: its address, and that of an instruction with its alpha."""
    if name is None:
        return NONE
    pair, instruction = linking.bound(name, np.dtype(dtype).name, alpha)
    _instructions.append(instruction)
    return pair


def forward(name, z, a, alpha=0.0):
    """a = f(z), by the kernels of an activation."""
    if name == "softmax":
        OPERATIONS["softmax_forward"].kernel(z, a)
    else:
        OPERATIONS["activation_forward"].kernel(function(name, z.dtype, alpha), z, a)


def backward(name, z, a, da, dz, alpha=0.0):
    """dz = da · f′(z), by the kernels of an activation."""
    if name == "softmax":
        OPERATIONS["softmax_backward"].kernel(a, da, dz)
    else:
        u = z if ACTIVATIONS[name].keeps_z else a
        OPERATIONS["activation_backward"].kernel(function(f"{name}_slope", z.dtype, alpha), u, da, dz)
