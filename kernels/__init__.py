"""Kernels: the numerical loops of fastml, compiled by Numba. In machine code there are no objects, no strings, no
allocation and no checks.

Notation, everywhere in this folder
-----------------------------------
x       (n, d_in)       rows that enter a layer
W, b    (d_in, d_out), (d_out,)   its weights and biases
z       (n, d_out)      pre-activation, ``z = x·W + b``
a       (n, d_out)      output of the activation, or the predictions of the model
y       (n, d_out)      targets; (n, 1) where they are class labels
w       (n, 1)          weights of the rows in the loss
mask    (n, d)          factors of dropout: 0, or 1 / (1 - rate)
x_hat   (n, d)          rows normalized by their batch, before γ (gamma) and β (beta), both (d,)
d…      as its name     gradient of the loss with respect to what the name says: dx, dW, db, dz, da
n                       rows in the batch
d_in, d_out             width before and after a layer
m, v    as the weights  first and second moment, or momentum v: the optimizer's state
t                       updates made so far, this one included

Naming: ``<op>_forward`` stands beside ``<op>_backward``; an optimizer's step is ``<name>_update``. Outputs are
arguments and are overwritten. Scalars enter in the dtype of the arrays: a float64 among float32 halves the speed.

A kernel says ``@operation`` and by annotations where its operands stand (``operands.py``): from these come its
instruction's layout and its entry, which is compiled by itself, when a program first needs it. What kernels share is
``@njit(inline="always", error_model="numpy")``: a function apart costs a compilation, a wrapper and machine code of its
own, and without the error model each division is checked for zero, which keeps loops from being vectorized.

Formulas, on vectors as wide as the CPU's registers (``cpu.py``), are given to ``elementwise`` (``simd.py``), or to
``rowwise`` and ``columnwise`` (``sweeps.py``) where they sum along rows or columns, or to ``summed`` (``sums.py``);
``vmath.py`` has the functions in them. The products of ``dense.py`` are those of ``gemm.py``, which copies large
operands with ``packing.py``, in parts whose sizes ``tiling.py`` has, and applies to its results any function of
``elementwise.py`` by its address, such as those of ``activations.py``.

Threads all run the same program; ``slices.py`` says who does what, ``team.py`` how they come, wait for each other and
go. A kernel works on what it is given and knows nothing of them: some rows, some columns, some elements.

Where to look: ``executor.py`` runs a ``job.py``: for each step all instructions of a program, each of which carries the
address of its entry (``operation.py``). ``operations.py`` knows all of them, as it imports every file here. This
package imports nothing of fastml outside itself, and is imported only by its name ``fastml.kernels``.
"""
