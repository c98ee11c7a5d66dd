"""The compiled executor: one function that trains every model, because a model is data to it."""

import numpy as np
from numba import njit

from fastml.kernels.activations import activation_backward, activation_forward
from fastml.kernels.adam import adam_update
from fastml.kernels.dense import dense_backward_inputs, dense_backward_weights, dense_forward
from fastml.kernels.instruction import (
    ACTIVATION_BACKWARD,
    ACTIVATION_FORWARD,
    ADAM_UPDATE,
    DENSE_BACKWARD_INPUTS,
    DENSE_BACKWARD_WEIGHTS,
    DENSE_FORWARD,
    GATHER_INPUTS,
    GATHER_TARGETS,
    LOSS_BACKWARD,
    LOSS_FORWARD,
    METRIC,
    SGD_UPDATE,
    STOP_UNLESS_FINITE,
    STORE_OUTPUTS,
)
from fastml.kernels.losses import loss_backward, loss_forward
from fastml.kernels.metrics import metric
from fastml.kernels.random import shuffle
from fastml.kernels.rows import gather_rows, store_rows
from fastml.kernels.sgd import sgd_update
from fastml.kernels.views import borrowed, matrix, vector


def build_executor(digest, cache=True):
    """The executor, compiled at its first call for a dtype and then kept on disk.

    Numba's disk cache notices changes of this file only, but its key holds the values of closure variables: a digest
    of all kernel sources, closed over, makes the cache follow them. The kernels must stay globals of this module; a
    compiled function in the closure would defeat the cache. With `cache` false nothing is kept on disk.
    """

    @njit(cache=cache, nogil=True, error_model="numpy")
    def run(program, jobs, params, grads, state, work, x, y, order, totals, outputs):
        """Runs steps ``job.step … job.stop - 1``: the whole program once for each batch, without Python.

        program : (k,) INSTRUCTION, jobs : (1,) JOB. params, grads, state, work : flat buffers of one dtype, the state
        as long as the parameters or a multiple. x : (rows, d), y : (rows, d), outputs : (rows, d) as the program
        uses them, of the same dtype. order : (rows,) int64 to shuffle each epoch, (0,) not to. totals : (epochs,
        1 + metrics) float64, sums over the rows of an epoch. Overwrites all but program, x and y.
        """
        program, job = borrowed(program), borrowed(jobs)[0]
        params, grads, state, work = borrowed(params), borrowed(grads), borrowed(state), borrowed(work)
        x, y, order, totals, outputs = borrowed(x), borrowed(y), borrowed(order), borrowed(totals), borrowed(outputs)
        job.digest = digest
        while job.step < job.stop:
            epoch = job.step // job.steps_per_epoch
            first = job.step % job.steps_per_epoch * job.batch_size
            n = min(job.batch_size, job.rows - first)
            if first == 0:
                shuffle(job.seed, job.epoch + epoch, order)

            loss = 0.0
            for i in range(program.size):
                s = program[i]
                if s.op == GATHER_INPUTS:
                    gather_rows(x, order, first, matrix(work, s.x, n, s.d_in))
                elif s.op == GATHER_TARGETS:
                    gather_rows(y, order, first, matrix(work, s.y, n, s.d_y))
                elif s.op == DENSE_FORWARD:
                    dense_forward(
                        matrix(work, s.x, n, s.d_in),
                        matrix(params, s.W, s.d_in, s.d_out),
                        vector(params, s.b, s.d_out),
                        matrix(work, s.z, n, s.d_out),
                    )
                elif s.op == ACTIVATION_FORWARD:
                    activation_forward(s.kind, matrix(work, s.z, n, s.d_out), matrix(work, s.a, n, s.d_out))
                elif s.op == LOSS_FORWARD:
                    loss = loss_forward(
                        s.kind,
                        matrix(work, s.z, n, s.d_out),
                        matrix(work, s.y, n, s.d_y),
                        matrix(work, s.a, n, s.d_out),
                    )
                    totals[epoch, s.total] += loss
                elif s.op == STOP_UNLESS_FINITE:
                    if not np.isfinite(loss):
                        job.diverged = 1
                        return
                elif s.op == METRIC:
                    totals[epoch, s.total] += metric(s.kind, matrix(work, s.a, n, s.d_out), matrix(work, s.y, n, s.d_y))
                elif s.op == LOSS_BACKWARD:
                    loss_backward(
                        s.kind,
                        matrix(work, s.a, n, s.d_out),
                        matrix(work, s.y, n, s.d_y),
                        matrix(work, s.dz, n, s.d_out),
                    )
                elif s.op == ACTIVATION_BACKWARD:
                    activation_backward(
                        s.kind,
                        matrix(work, s.a, n, s.d_out),
                        matrix(work, s.da, n, s.d_out),
                        matrix(work, s.dz, n, s.d_out),
                    )
                elif s.op == DENSE_BACKWARD_WEIGHTS:
                    dense_backward_weights(
                        matrix(work, s.x, n, s.d_in),
                        matrix(work, s.dz, n, s.d_out),
                        matrix(grads, s.W, s.d_in, s.d_out),
                        vector(grads, s.b, s.d_out),
                    )
                elif s.op == DENSE_BACKWARD_INPUTS:
                    dense_backward_inputs(
                        matrix(work, s.dz, n, s.d_out),
                        matrix(params, s.W, s.d_in, s.d_out),
                        matrix(work, s.Wt, s.d_out, s.d_in),
                        matrix(work, s.dx, n, s.d_in),
                    )
                elif s.op == SGD_UPDATE:
                    job.t += 1
                    sgd_update(params, grads, s.learning_rate)
                elif s.op == ADAM_UPDATE:
                    job.t += 1
                    adam_update(
                        params,
                        grads,
                        vector(state, 0, params.size),
                        vector(state, params.size, params.size),
                        job.t,
                        s.learning_rate,
                        s.beta_1,
                        s.beta_2,
                        s.epsilon,
                    )
                elif s.op == STORE_OUTPUTS:
                    store_rows(matrix(work, s.a, n, s.d_out), first, outputs)
            job.step += 1

    return run
