"""The reference executor: a program, instruction by instruction, in plain NumPy.

It is the oracle of the tests, the baseline of the benchmarks, and the text to read to see what training does. It has
the signature of the compiled executor and shares no formula with it.
"""

import numpy as np

from fastml.activations import ACTIVATIONS
from fastml.interrupts import hold_interrupts
from fastml.kernels import instruction as op
from fastml.losses import LOSSES
from fastml.metrics import METRICS
from fastml.optimizers import OPTIMIZERS
from fastml.random import permutation

ACTIVATION = {entry.code: entry for entry in ACTIVATIONS.values()}
LOSS = {entry.code: entry for entry in LOSSES.values()}
METRIC = {entry.code: entry for entry in METRICS.values()}
UPDATE = {entry.op: entry.update for entry in OPTIMIZERS.values()}


def run(program, jobs, params, grads, state, work, x, y, order, totals, outputs):
    """Runs steps ``job["step"] … job["stop"] - 1`` of the program; see `fastml.kernels.executor` for the arguments."""
    job = jobs[0]
    while job["step"] < job["stop"]:
        epoch, batch = divmod(job["step"], job["steps_per_epoch"])
        first = batch * job["batch_size"]
        last = min(first + job["batch_size"], job["rows"])
        if batch == 0 and order.size:
            order[:] = permutation(job["seed"], job["epoch"] + epoch, len(order))
        rows = order[first:last] if order.size else slice(first, last)
        with hold_interrupts(), np.errstate(all="ignore"):
            finite = step(program, job, params, grads, state, work, x, y, rows, last - first, totals[epoch], outputs)
            job["step"] += finite
        if not finite:
            job["diverged"] = 1
            return


def step(program, job, params, grads, state, work, x, y, rows, n, totals, outputs):
    """One batch of n rows. Returns False where the loss must be finite and is not, before anything is updated."""

    def matrix(buffer, offset, d, n=n):
        return buffer[offset : offset + n * d].reshape(n, d)

    def weights(buffer, s):
        return matrix(buffer, s["W"], s["d_out"], s["d_in"]), buffer[s["b"] : s["b"] + s["d_out"]]

    for s in program:
        d_in, d_out = s["d_in"], s["d_out"]
        match s["op"]:
            case op.GATHER_INPUTS:
                matrix(work, s["x"], d_in)[...] = x[rows]
            case op.GATHER_TARGETS:
                matrix(work, s["y"], s["d_y"])[...] = y[rows]
            case op.DENSE_FORWARD:
                W, b = weights(params, s)
                matrix(work, s["z"], d_out)[...] = matrix(work, s["x"], d_in) @ W + b
            case op.ACTIVATION_FORWARD:
                f = ACTIVATION[s["kind"]]
                matrix(work, s["a"], d_out)[...] = f.forward(matrix(work, s["z"], d_out))
            case op.LOSS_FORWARD:
                losses, a = LOSS[s["kind"]].forward(matrix(work, s["z"], d_out), matrix(work, s["y"], s["d_y"]))
                matrix(work, s["a"], d_out)[...] = a
                totals[s["total"]] += losses.sum()
            case op.STOP_UNLESS_FINITE:
                if not np.isfinite(losses.sum()):
                    return False
            case op.METRIC:
                scores = METRIC[s["kind"]].score(matrix(work, s["a"], d_out), matrix(work, s["y"], s["d_y"]))
                totals[s["total"]] += scores.sum()
            case op.LOSS_BACKWARD:
                f = LOSS[s["kind"]]
                dz = f.backward(matrix(work, s["a"], d_out), matrix(work, s["y"], s["d_y"]))
                matrix(work, s["dz"], d_out)[...] = dz
            case op.ACTIVATION_BACKWARD:
                f = ACTIVATION[s["kind"]]
                dz = f.backward(matrix(work, s["a"], d_out), matrix(work, s["da"], d_out))
                matrix(work, s["dz"], d_out)[...] = dz
            case op.DENSE_BACKWARD_WEIGHTS:
                x_, dz = matrix(work, s["x"], d_in), matrix(work, s["dz"], d_out)
                dW, db = weights(grads, s)
                dW[...], db[...] = x_.T @ dz, dz.sum(axis=0)
            case op.DENSE_BACKWARD_INPUTS:
                W, _ = weights(params, s)
                matrix(work, s["dx"], d_in)[...] = matrix(work, s["dz"], d_out) @ W.T
            case op.STORE_OUTPUTS:
                outputs[rows] = matrix(work, s["a"], d_out)
            case update if update in UPDATE:
                job["t"] += 1
                UPDATE[update](s, params, grads, state.reshape(-1, params.size), job["t"])
            case unknown:
                raise ValueError(f"there is no instruction {unknown}")
    return True
