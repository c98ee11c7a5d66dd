"""The compiled executor: one function that trains every model, because a model is data to it."""

import numpy as np
from numba import njit

from fastml.kernels import instruction as op
from fastml.kernels.activations import activation_backward, activation_forward
from fastml.kernels.adagrad import adagrad_update
from fastml.kernels.adam import adam_update
from fastml.kernels.dense import dense_backward_inputs, dense_backward_weights, dense_forward
from fastml.kernels.dropout import dropout_backward, dropout_forward
from fastml.kernels.losses import loss_backward, loss_forward
from fastml.kernels.metrics import metric
from fastml.kernels.normalization import (
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_inference,
    batchnorm_track,
    normalize,
)
from fastml.kernels.random import shuffle
from fastml.kernels.regularization import clip_norm, clip_value, penalty_backward, penalty_forward
from fastml.kernels.rmsprop import rmsprop_update
from fastml.kernels.rows import gather_rows, store_rows
from fastml.kernels.rprop import rprop_backtrack_update, rprop_update
from fastml.kernels.sgd import momentum_update, nesterov_update, sgd_update
from fastml.kernels.targets import smooth_targets, sum_rows, weigh_rows
from fastml.kernels.views import borrowed, matrix, vector


def build_executor(digest, cache=True):
    """The executor, compiled at its first call for a dtype and then kept on disk.

    Numba's disk cache notices changes of this file only, but its key holds the values of closure variables: a digest
    of all kernel sources, closed over, makes the cache follow them. The kernels must stay globals of this module; a
    compiled function in the closure would defeat the cache. With `cache` false nothing is kept on disk.
    """

    @njit(cache=cache, nogil=True, error_model="numpy")
    def run(program, jobs, rates, params, grads, state, work, x, y, weights, order, totals, outputs):
        """Runs steps ``job.step … job.stop - 1``: the whole program once for each batch, without Python.

        program : (k,) INSTRUCTION, jobs : (1,) JOB. rates : learning rates of the steps from job.start on, the last one
        for all that follow, float64. params, grads, state, work : flat buffers of one dtype, the state as long as the
        parameters or a multiple. x : (rows, d), y : (rows, d), weights : (rows, 1) or (0, 1), outputs : (rows, d) as
        the program uses them, of the same dtype. order : (rows,) int64 to shuffle each epoch, (0,) not to. totals :
        (epochs, 1 + metrics) float64, sums over the rows of an epoch. Overwrites all but program, rates, x, y, weights.
        """
        program, job, rates = borrowed(program), borrowed(jobs)[0], borrowed(rates)
        params, grads, state, work = borrowed(params), borrowed(grads), borrowed(state), borrowed(work)
        x, y, weights, outputs = borrowed(x), borrowed(y), borrowed(weights), borrowed(outputs)
        order, totals = borrowed(order), borrowed(totals)
        job.digest = digest
        while job.step < job.stop:
            epoch = job.step // job.steps_per_epoch
            step = job.step % job.steps_per_epoch
            first = step * job.batch_size
            n = job.rows - first if step == job.steps_per_epoch - 1 else job.batch_size
            rate = rates[min(job.step - job.start, rates.size - 1)]
            if step == 0:
                shuffle(job.seed, job.epoch + epoch, order)

            loss = worse = 0.0
            for i in range(program.size):
                s = program[i]
                if s.op == op.GATHER_INPUTS or s.op == op.GATHER_TARGETS or s.op == op.GATHER_WEIGHTS:
                    data = x if s.op == op.GATHER_INPUTS else y if s.op == op.GATHER_TARGETS else weights
                    gather_rows(data, order, first, matrix(work, s.x, n, s.d_in))
                elif s.op == op.SMOOTH_TARGETS:
                    y_smooth = matrix(work, s.a, n, s.d_out)
                    smooth_targets(matrix(work, s.y, n, s.d_y), s.label_smoothing, s.size, y_smooth)

                elif s.op == op.NORMALIZE:
                    normalize(
                        matrix(work, s.x, n, s.d_in),
                        vector(params, s.mean, s.d_in),
                        vector(params, s.scale, s.d_in),
                        matrix(work, s.a, n, s.d_in),
                    )
                elif s.op == op.DENSE_FORWARD:
                    dense_forward(
                        matrix(work, s.x, n, s.d_in),
                        matrix(params, s.W, s.d_in, s.d_out),
                        vector(params, s.b, s.d_out),
                        matrix(work, s.z, n, s.d_out),
                    )
                elif s.op == op.BATCHNORM_FORWARD:
                    batchnorm_forward(
                        matrix(work, s.x, n, s.d_in),
                        vector(params, s.gamma, s.d_in),
                        vector(params, s.beta, s.d_in),
                        s.epsilon,
                        vector(work, s.batch_mean, s.d_in),
                        vector(work, s.batch_variance, s.d_in),
                        vector(work, s.inverse, s.d_in),
                        matrix(work, s.x_hat, n, s.d_in),
                        matrix(work, s.a, n, s.d_in),
                    )
                elif s.op == op.BATCHNORM_INFERENCE:
                    batchnorm_inference(
                        matrix(work, s.x, n, s.d_in),
                        vector(params, s.gamma, s.d_in),
                        vector(params, s.beta, s.d_in),
                        vector(params, s.mean, s.d_in),
                        vector(params, s.variance, s.d_in),
                        s.epsilon,
                        matrix(work, s.a, n, s.d_in),
                    )
                elif s.op == op.ACTIVATION_FORWARD:
                    z, a = matrix(work, s.z, n, s.d_out), matrix(work, s.a, n, s.d_out)
                    activation_forward(s.kind, s.alpha, z, a)
                elif s.op == op.DROPOUT_FORWARD:
                    dropout_forward(
                        job.seed,
                        step,
                        job.epoch + epoch,
                        s.layer,
                        s.rate,
                        matrix(work, s.x, n, s.d_in),
                        matrix(work, s.mask, n, s.d_in),
                        matrix(work, s.a, n, s.d_in),
                    )

                elif s.op == op.LOSS_FORWARD:
                    loss_forward(
                        s.kind,
                        s.delta,
                        matrix(work, s.z, n, s.d_out),
                        matrix(work, s.y, n, s.d_y),
                        matrix(work, s.a, n, s.d_out),
                        matrix(work, s.dz, n, s.d_out),
                        vector(work, s.losses, n),
                    )
                elif s.op == op.WEIGH_ROWS:
                    weigh_rows(matrix(work, s.w, n, 1), matrix(work, s.x, n, s.d_in))
                elif s.op == op.SUM_LOSS:
                    loss = sum_rows(vector(work, s.losses, n))
                    totals[epoch, s.total] += loss
                elif s.op == op.PENALTY_FORWARD:
                    penalty = n * penalty_forward(vector(params, s.W, s.size), s.l1, s.l2)
                    loss += penalty
                    totals[epoch, s.total] += penalty
                elif s.op == op.STOP_UNLESS_FINITE:
                    if not np.isfinite(loss):
                        job.diverged = 1
                        return
                elif s.op == op.METRIC:
                    totals[epoch, s.total] += metric(s.kind, matrix(work, s.a, n, s.d_out), matrix(work, s.y, n, s.d_y))
                elif s.op == op.LOSS_BACKWARD:
                    loss_backward(
                        s.kind,
                        s.delta,
                        matrix(work, s.a, n, s.d_out),
                        matrix(work, s.y, n, s.d_y),
                        matrix(work, s.dz, n, s.d_out),
                    )

                elif s.op == op.DROPOUT_BACKWARD:
                    mask, da = matrix(work, s.mask, n, s.d_in), matrix(work, s.da, n, s.d_in)
                    dropout_backward(mask, da, matrix(work, s.dx, n, s.d_in))
                elif s.op == op.ACTIVATION_BACKWARD:
                    activation_backward(
                        s.kind,
                        s.alpha,
                        matrix(work, s.z, n, s.d_out),
                        matrix(work, s.a, n, s.d_out),
                        matrix(work, s.da, n, s.d_out),
                        matrix(work, s.dz, n, s.d_out),
                    )
                elif s.op == op.BATCHNORM_BACKWARD:
                    batchnorm_backward(
                        matrix(work, s.da, n, s.d_in),
                        matrix(work, s.x_hat, n, s.d_in),
                        vector(params, s.gamma, s.d_in),
                        vector(work, s.inverse, s.d_in),
                        vector(grads, s.gamma, s.d_in),
                        vector(grads, s.beta, s.d_in),
                        matrix(work, s.dx, n, s.d_in),
                    )
                elif s.op == op.DENSE_BACKWARD_WEIGHTS:
                    dense_backward_weights(
                        matrix(work, s.x, n, s.d_in),
                        matrix(work, s.dz, n, s.d_out),
                        matrix(grads, s.W, s.d_in, s.d_out),
                        vector(grads, s.b, s.d_out),
                    )
                elif s.op == op.DENSE_BACKWARD_INPUTS:
                    dense_backward_inputs(
                        matrix(work, s.dz, n, s.d_out),
                        matrix(params, s.W, s.d_in, s.d_out),
                        matrix(work, s.Wt, s.d_out, s.d_in),
                        matrix(work, s.dx, n, s.d_in),
                    )
                elif s.op == op.STORE_OUTPUTS:
                    store_rows(matrix(work, s.a, n, s.d_out), first, outputs)

                elif s.op == op.BATCHNORM_TRACK:
                    batchnorm_track(
                        vector(work, s.batch_mean, s.d_in),
                        vector(work, s.batch_variance, s.d_in),
                        n,
                        s.momentum,
                        vector(params, s.mean, s.d_in),
                        vector(params, s.variance, s.d_in),
                    )
                elif s.op == op.BEGIN_UPDATE:
                    job.t += 1
                    worse = 1.0 if loss / n > job.loss else 0.0
                    job.loss = loss / n
                elif s.op != op.NOTHING:
                    W, dW = vector(params, s.W, s.size), vector(grads, s.W, s.size)
                    v = vector(state, s.W, s.size)
                    v2 = vector(state, params.size + s.W, s.size)
                    v3 = vector(state, 2 * params.size + s.W, s.size)
                    if s.op == op.PENALTY_BACKWARD:
                        penalty_backward(W, dW, s.l1, s.l2)
                    elif s.op == op.CLIP_VALUE:
                        clip_value(dW, s.clip)
                    elif s.op == op.CLIP_NORM:
                        clip_norm(dW, s.clip)
                    elif s.op == op.SGD_UPDATE:
                        sgd_update(W, dW, rate, s.weight_decay)
                    elif s.op == op.MOMENTUM_UPDATE:
                        momentum_update(W, dW, v, rate, s.weight_decay, s.momentum)
                    elif s.op == op.NESTEROV_UPDATE:
                        nesterov_update(W, dW, v, rate, s.weight_decay, s.momentum)
                    elif s.op == op.ADAM_UPDATE:
                        adam_update(W, dW, v, v2, job.t, rate, s.weight_decay, s.beta_1, s.beta_2, s.epsilon)
                    elif s.op == op.RMSPROP_UPDATE:
                        rmsprop_update(W, dW, v, rate, s.weight_decay, s.rho, s.epsilon)
                    elif s.op == op.ADAGRAD_UPDATE:
                        adagrad_update(W, dW, v, rate, s.weight_decay, s.epsilon)
                    elif s.op == op.RPROP_UPDATE:
                        rprop_update(W, dW, v, v2, s.eta_minus, s.eta_plus, s.step_min, s.step_max)
                    elif s.op == op.RPROP_BACKTRACK_UPDATE:
                        rprop_backtrack_update(W, dW, v, v2, v3, worse, s.eta_minus, s.eta_plus, s.step_min, s.step_max)
            job.step += 1

    return run
