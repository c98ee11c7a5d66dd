"""The steps of a job: the whole program once for each batch, as each of the threads goes through it."""

import numpy as np
from numba import njit

from fastml.kernels import instruction as op
from fastml.kernels.activations import activation_backward, activation_forward
from fastml.kernels.adagrad import adagrad_update
from fastml.kernels.adam import adam_update
from fastml.kernels.dense import dense_backward_inputs, dense_backward_weights, dense_forward
from fastml.kernels.dropout import dropout_backward, dropout_forward
from fastml.kernels.embedding import copy_columns, embed_backward, embed_forward
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
from fastml.kernels.regularization import clip_value, norm_factor, penalty_backward, penalty_forward, scale
from fastml.kernels.rmsprop import rmsprop_update
from fastml.kernels.rows import gather_rows, store_rows
from fastml.kernels.rprop import rprop_backtrack_update, rprop_update
from fastml.kernels.sgd import momentum_update, nesterov_update, sgd_update
from fastml.kernels.sums import add, sum_rows
from fastml.kernels.targets import smooth_targets, weigh_rows
from fastml.kernels.team import (
    meet,
    shard_of,
    share,
    share_of_blocks,
    share_of_rows,
)
from fastml.kernels.tiling import ROOM
from fastml.kernels.views import at_address, matrix, rows, vector


@njit(inline="always", error_model="numpy")
def run_steps(address, thread, zero):
    """Runs steps ``job.step … job.stop - 1``: the whole program once for each batch, without Python.

    address : int64, of a JOB, which says where its arrays are. thread : its number; all threads of the job must call
    this. zero : 0 of the dtype of the arrays. Overwrites all arrays but program, rates, x, y and weights.
    """
    job = at_address(op.JOB, address, 1)[0]
    program = at_address(op.INSTRUCTION, job.program, job.program_size)
    rates, totals = at_address(0.0, job.rates, job.rates_size), at_address(0.0, job.totals, job.totals_size)
    params, grads = at_address(zero, job.params, job.params_size), at_address(zero, job.grads, job.grads_size)
    state, work = at_address(zero, job.state, job.state_size), at_address(zero, job.work, job.work_size)
    x, y = at_address(zero, job.x, job.x_size), at_address(zero, job.y, job.y_size)
    weights = at_address(zero, job.weights, job.weights_size)
    outputs, order = at_address(zero, job.outputs, job.outputs_size), at_address(0, job.order, job.order_size)
    threads, block, meeting = job.threads, job.block, 0
    step, t, last_loss, worse, diverged = job.step, job.t, job.loss, 0.0, False
    waited, best, stop = job.waited, job.best, job.stop
    while step < stop and not diverged:
        epoch, batch = step // job.steps_per_epoch, step % job.steps_per_epoch
        begin = batch * job.batch_size
        n = job.rows - begin if batch == job.steps_per_epoch - 1 else job.batch_size
        rate = rates[min(step - job.start, job.rates_size - 1)]
        if batch == 0 and job.order_size:
            if thread == 0:
                shuffle(job.seed, job.epoch + epoch, order)
            meeting += 1
            meet(job.arrived, threads, meeting)

        # This thread's rows of the batch are first … end - 1, of which m at a time stand in the workspace, from row
        # `at` on. The gradient of the weights is a sum over `count` rows from `source` on.
        if block:
            first, end = share_of_blocks(n, block, job.shards, thread, threads)
            at, m = thread * block, min(block, end - first)
            shard, fresh = shard_of(first, n, block, job.shards)
            source, count = at, m
        else:
            first, end = share(n, thread, threads)
            at, m, shard, fresh, source, count = first, end - first, 0, True, 0, n
        loss, i = 0.0, 0
        while i < program.size and not diverged:
            s = program[i]
            i += 1
            if s.op == op.GATHER_INPUTS or s.op == op.GATHER_TARGETS or s.op == op.GATHER_WEIGHTS:
                data = x if s.op == op.GATHER_INPUTS else y if s.op == op.GATHER_TARGETS else weights
                gather_rows(data, order, begin + first, rows(work, s.x, at, m, s.d_in))
            elif s.op == op.SMOOTH_TARGETS:
                y_smooth = rows(work, s.a, at, m, s.d_out)
                smooth_targets(rows(work, s.y, at, m, s.d_y), s.label_smoothing, s.size, y_smooth)

            elif s.op == op.NORMALIZE:
                normalize(
                    rows(work, s.x, at, m, s.d_in),
                    vector(params, s.mean, s.d_in),
                    vector(params, s.scale, s.d_in),
                    rows(work, s.a, at, m, s.d_in),
                )
            elif s.op == op.COPY_COLUMNS:
                inputs, a = rows(work, s.x, at, m, s.d_in), rows(work, s.a, at, m, s.d_out)
                copy_columns(inputs, s.column, s.width, s.place, a)
            elif s.op == op.EMBED_FORWARD:
                embed_forward(
                    rows(work, s.x, at, m, s.d_in),
                    s.column,
                    matrix(params, s.W, s.categories, s.width),
                    s.place,
                    rows(work, s.a, at, m, s.d_out),
                )
            elif s.op == op.DENSE_FORWARD:
                dense_forward(
                    rows(work, s.x, at, m, s.d_in),
                    matrix(params, s.W, s.d_in, s.d_out),
                    vector(params, s.b, s.d_out),
                    s.kind,
                    rows(work, s.z, at, m, s.d_out),
                    vector(work, s.room + thread * ROOM, ROOM),
                )
            elif s.op == op.BATCHNORM_FORWARD:
                left, right = share(s.d_in, thread, threads)
                batchnorm_forward(
                    rows(work, s.x, 0, n, s.d_in),
                    vector(params, s.gamma, s.d_in),
                    vector(params, s.beta, s.d_in),
                    s.epsilon,
                    left,
                    right,
                    vector(work, s.batch_mean, s.d_in),
                    vector(work, s.batch_variance, s.d_in),
                    vector(work, s.inverse, s.d_in),
                    rows(work, s.x_hat, 0, n, s.d_in),
                    rows(work, s.a, 0, n, s.d_in),
                )
            elif s.op == op.BATCHNORM_INFERENCE:
                batchnorm_inference(
                    rows(work, s.x, at, m, s.d_in),
                    vector(params, s.gamma, s.d_in),
                    vector(params, s.beta, s.d_in),
                    vector(params, s.mean, s.d_in),
                    vector(params, s.variance, s.d_in),
                    s.epsilon,
                    rows(work, s.a, at, m, s.d_in),
                )
            elif s.op == op.ACTIVATION_FORWARD:
                z, a = rows(work, s.z, at, m, s.d_out), rows(work, s.a, at, m, s.d_out)
                activation_forward(s.kind, s.alpha, z, a)
            elif s.op == op.DROPOUT_FORWARD:
                dropout_forward(
                    job.seed,
                    batch,
                    job.epoch + epoch,
                    s.layer,
                    s.rate,
                    first,
                    rows(work, s.x, at, m, s.d_in),
                    rows(work, s.mask, at, m, s.d_in),
                    rows(work, s.a, at, m, s.d_in),
                )

            elif s.op == op.LOSS_FORWARD:
                loss_forward(
                    s.kind,
                    s.delta,
                    rows(work, s.z, at, m, s.d_out),
                    rows(work, s.y, at, m, s.d_y),
                    rows(work, s.a, at, m, s.d_out),
                    rows(work, s.dz, at, m, s.d_out),
                    vector(work, s.losses + first, m),
                )
            elif s.op == op.WEIGH_ROWS:
                weigh_rows(rows(work, s.w, at, m, 1), rows(work, s.x, at, m, s.d_in))
            elif s.op == op.WEIGH_LOSSES:
                weigh_rows(rows(work, s.w, at, m, 1), rows(work, s.losses, first, m, 1))
            elif s.op == op.METRIC:
                a, targets = rows(work, s.a, at, m, s.d_out), rows(work, s.y, at, m, s.d_y)
                metric(s.kind, a, targets, vector(work, s.losses + first, m))
            elif s.op == op.SUM_LOSS or s.op == op.SUM_SCORES or s.op == op.PENALTY_FORWARD:
                if thread == 0:
                    if s.op == op.PENALTY_FORWARD:
                        value = n * penalty_forward(vector(params, s.W, s.size), s.l1, s.l2)
                    else:
                        value = sum_rows(vector(work, s.losses, n))
                    totals[epoch * job.columns + s.total] += value
                    if s.op != op.SUM_SCORES:
                        loss += value
                        job.batch_loss = loss
            elif s.op == op.STOP_UNLESS_FINITE:
                diverged = not np.isfinite(job.batch_loss)
            elif s.op == op.LOSS_BACKWARD:
                loss_backward(
                    s.kind,
                    s.delta,
                    n,
                    rows(work, s.a, at, m, s.d_out),
                    rows(work, s.y, at, m, s.d_y),
                    rows(work, s.dz, at, m, s.d_out),
                )
            elif s.op == op.DROPOUT_BACKWARD:
                mask, da = rows(work, s.mask, at, m, s.d_in), rows(work, s.da, at, m, s.d_in)
                dropout_backward(mask, da, rows(work, s.dx, at, m, s.d_in))
            elif s.op == op.ACTIVATION_BACKWARD:
                activation_backward(
                    s.kind,
                    s.alpha,
                    rows(work, s.z, at, m, s.d_out),
                    rows(work, s.a, at, m, s.d_out),
                    rows(work, s.da, at, m, s.d_out),
                    rows(work, s.dz, at, m, s.d_out),
                )
            elif s.op == op.BATCHNORM_BACKWARD:
                left, right = share(s.d_in, thread, threads)
                batchnorm_backward(
                    rows(work, s.da, 0, n, s.d_in),
                    rows(work, s.x_hat, 0, n, s.d_in),
                    vector(params, s.gamma, s.d_in),
                    vector(work, s.inverse, s.d_in),
                    left,
                    right,
                    vector(grads, s.gamma, s.d_in),
                    vector(grads, s.beta, s.d_in),
                    rows(work, s.dx, 0, n, s.d_in),
                )
            elif s.op == op.DENSE_BACKWARD_INPUTS:
                dense_backward_inputs(
                    rows(work, s.dz, at, m, s.d_out),
                    matrix(params, s.W, s.d_in, s.d_out),
                    s.kind,
                    rows(work, s.a, at, m, s.d_in),
                    rows(work, s.dx, at, m, s.d_in),
                    vector(work, s.room + thread * ROOM, ROOM),
                )
            elif s.op == op.DENSE_BACKWARD_WEIGHTS:
                left, right = 0, s.d_in
                if not block:
                    left, right = share_of_rows(s.size, s.W, s.d_in, s.d_out, thread, threads)
                dense_backward_weights(
                    rows(work, s.x, source, count, s.d_in),
                    rows(work, s.dz, source, count, s.d_out),
                    left,
                    right if count else left,
                    not fresh,
                    matrix(grads, shard * job.params_size + s.W, s.d_in, s.d_out),
                    vector(grads, shard * job.params_size + s.b, s.d_out),
                    vector(work, s.room + thread * ROOM, ROOM),
                )
            elif s.op == op.EMBED_BACKWARD:
                left, right = 0, s.categories
                if not block:
                    left, right = share_of_rows(s.size, s.W, s.categories, s.width, thread, threads)
                embed_backward(
                    rows(work, s.x, source, count, s.d_in),
                    s.column,
                    rows(work, s.da, source, count, s.d_out),
                    s.place,
                    left,
                    right if count else left,
                    not fresh,
                    matrix(grads, shard * job.params_size + s.W, s.categories, s.width),
                )
            elif s.op == op.NEXT_BLOCK:
                first += m
                if first < end:
                    m = min(block, end - first)
                    count, i = m, 0
                    shard, fresh = shard_of(first, n, block, job.shards)
            elif s.op == op.MEET:
                meeting += 1
                meet(job.arrived, threads, meeting)
            elif s.op == op.STORE_OUTPUTS:
                store_rows(rows(work, s.a, at, m, s.d_out), begin + first, outputs)

            elif s.op == op.BATCHNORM_TRACK:
                left, right = share(s.d_in, thread, threads)
                batchnorm_track(
                    vector(work, s.batch_mean + left, right - left),
                    vector(work, s.batch_variance + left, right - left),
                    n,
                    s.momentum,
                    vector(params, s.mean + left, right - left),
                    vector(params, s.variance + left, right - left),
                )
            elif s.op == op.BEGIN_UPDATE:
                t += 1
                worse = 1.0 if job.batch_loss / n > last_loss else 0.0
                last_loss = job.batch_loss / n
            elif s.op != op.NOTHING:
                # What works on parameters alone: each thread takes a part of them.
                left, right = share(s.size, thread, threads)
                start, size = s.W + left, right - left
                W, dW = vector(params, start, size), vector(grads, start, size)
                v = vector(state, start, size)
                v2 = vector(state, job.params_size + start, size)
                v3 = vector(state, 2 * job.params_size + start, size)
                if s.op == op.SUM_SHARDS:
                    for k in range(1, min(job.shards, (n + block - 1) // block)):
                        add(vector(grads, k * job.params_size + start, size), dW)
                elif s.op == op.PENALTY_BACKWARD:
                    penalty_backward(W, dW, s.l1, s.l2)
                elif s.op == op.CLIP_VALUE:
                    clip_value(dW, s.clip)
                elif s.op == op.CLIP_NORM:
                    factor = norm_factor(vector(grads, s.W, s.size), s.clip)
                    meeting += 1
                    meet(job.arrived, threads, meeting)  # before anyone changes what others measure
                    scale(dW, factor)
                elif s.op == op.SGD_UPDATE:
                    sgd_update(W, dW, rate, s.weight_decay)
                elif s.op == op.MOMENTUM_UPDATE:
                    momentum_update(W, dW, v, rate, s.weight_decay, s.momentum)
                elif s.op == op.NESTEROV_UPDATE:
                    nesterov_update(W, dW, v, rate, s.weight_decay, s.momentum)
                elif s.op == op.ADAM_UPDATE:
                    adam_update(W, dW, v, v2, t, rate, s.weight_decay, s.beta_1, s.beta_2, s.epsilon)
                elif s.op == op.RMSPROP_UPDATE:
                    rmsprop_update(W, dW, v, rate, s.weight_decay, s.rho, s.epsilon)
                elif s.op == op.ADAGRAD_UPDATE:
                    adagrad_update(W, dW, v, rate, s.weight_decay, s.epsilon)
                elif s.op == op.RPROP_UPDATE:
                    rprop_update(W, dW, v, v2, s.eta_minus, s.eta_plus, s.step_min, s.step_max)
                elif s.op == op.RPROP_BACKTRACK_UPDATE:
                    rprop_backtrack_update(W, dW, v, v2, v3, worse, s.eta_minus, s.eta_plus, s.step_min, s.step_max)
        step += not diverged
        if job.patience and batch == job.steps_per_epoch - 1 and not diverged:
            loss = job.scale * (totals[epoch * job.columns] / job.rows)
            waited = 0 if loss <= best - job.tolerance else waited + 1
            best = min(best, loss)
            stop = step if waited >= job.patience else stop

    meeting += 1
    meet(job.arrived, threads, meeting)  # before the job changes, every thread has read it
    if thread == 0:
        job.step, job.t, job.loss, job.diverged = step, t, last_loss, diverged
        job.waited, job.best = waited, best
