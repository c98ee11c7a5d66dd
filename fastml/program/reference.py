"""The reference executor: a program, instruction by instruction, in plain NumPy.

It is the oracle of the tests, the baseline of the benchmarks, and the text to read to see what training does. Each
function below is an operation; what it is given, its kernel in `fastml.kernels` says. The formulas of activations,
losses, metrics and updates stand beside their names, in `fastml.activations` and so on. No formula is shared with the
compiled executor, whose signature this one has. It also runs on complex buffers, with which `gradient_check`
differentiates.
"""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np

from fastml.activations import magnitude, softmax
from fastml.kernels.job import ARRAYS, JOB
from fastml.kernels.operation import INSTRUCTION
from fastml.kernels.operation import named as operation_named
from fastml.kernels.operations import OPERATIONS
from fastml.losses import one_hot
from fastml.process.signals import hold_interrupts
from fastml.program import reference_embeddings, reference_flow
from fastml.program.memory import address_of
from fastml.program.program import NONE, disassembled
from fastml.program.random import dropout_mask, permutation
from fastml.program.reference_flow import array_at
from fastml.program.registered import REGISTERED, elementwise

OTHERS = {"program": INSTRUCTION, "rates": np.float64, "order": np.int64, "totals": np.float64}  # dtypes


def run(
    program, jobs, rates, params, grads, state, work, x, y, weights, order, totals, outputs, ending=NONE,
    hold=hold_interrupts,
):  # fmt: skip
    """Runs steps ``job.step … job.stop - 1`` of the program; see `fastml.kernels.job` for the arrays.

    ending : the instructions that come after each epoch; hold : what holds signals back until a step is whole.
    """
    record, arrays = jobs[0], (params, grads, state, work, x, y, weights, outputs, order, totals.reshape(-1))
    job = SimpleNamespace(**{name: record[name].item() for name in record.dtype.names})
    job.params, job.params_size, job.columns = address_of(params), params.size, totals.shape[1]
    steps, endings = ([bound(s) for s in disassembled(part) if s["op"]] for part in (program, ending))
    here = SimpleNamespace(thread=0, threads=1, at=0, source=0, real=params.dtype)
    here.step, here.t, here.loss, here.worse = job.step, job.t, job.loss, 0.0
    while here.step < job.stop:
        begin_step(job, here, rates, order)
        with hold(), np.errstate(all="ignore"):
            call_all(job, here, steps, arrays)
            if not here.diverged and here.batch == job.steps_per_epoch - 1:
                call_all(job, here, endings, arrays)
            here.step += not here.diverged
            record["step"], record["t"], record["loss"] = here.step, here.t, here.loss
        if here.diverged:
            record["diverged"] = 1
            return


def bound(fields):
    """An instruction as its function, the function that finds its arguments, their names, and what it says itself."""
    operation, apply = operation_named(fields["op"]), fields.get("function")
    apply = apply and elementwise(apply, fields["alpha"])
    function = operation.twin or FUNCTIONS[operation.name]
    return function, arguments_of(operation), [*operation.operands], SimpleNamespace(**fields), apply


def begin_step(job, here, rates, order):
    """The rows and the learning rate of a step; at the start of an epoch the rows are shuffled."""
    here.epoch, here.batch = divmod(here.step, job.steps_per_epoch)
    here.age, here.begin = job.epoch + here.epoch, here.batch * job.batch_size
    here.n = job.rows - here.begin if here.batch == job.steps_per_epoch - 1 else job.batch_size
    here.rate = rates[min(here.step - job.start, len(rates) - 1)]
    if here.batch == 0 and job.shuffles:
        order[:] = permutation(job.seed, here.age, len(order))
        if job.chosen:
            order[:] = array_at(job.chosen, np.int64, len(order))[order]
    here.first, here.m, here.count, here.blocks, here.shard, here.fresh = 0, here.n, here.n, 0, 0, True
    here.diverged, job.batch_loss = False, 0.0


def call_all(job, here, instructions, arrays):
    """Calls all instructions, one after the other, or as they say; none after one that says that the loss diverges."""
    here.next = 0
    while here.next < len(instructions) and not here.diverged:
        function, arguments, names, s, apply = instructions[here.next]
        here.next += 1
        function(**dict(zip(names, arguments(job, s, here, apply, *arrays), strict=True)))


# An epoch of another job; the rest of the flow stands in `reference_flow`.


def follow(slice_, after):
    jobs = array_at(after, JOB, 1)
    job = jobs[0]
    arrays = {name: array_at(job[name], OTHERS.get(name, slice_.real), job[f"{name}_size"]) for name in ARRAYS}
    arrays["totals"] = arrays["totals"].reshape(-1, job["columns"])
    job["step"], job["stop"] = (epoch * job["steps_per_epoch"] for epoch in (slice_.epoch, slice_.epoch + 1))
    run(arrays.pop("program"), jobs, *arrays.values(), hold=nullcontext)  # as the step that it follows holds them


# Rows in and out.


def gather(data, order, begin, first, x):
    rows = slice(begin + first, begin + first + len(x))
    x[...] = data.reshape(-1, x.shape[1])[order[rows] if order.size else rows]


def store_outputs(a, begin, first, outputs):
    outputs[begin + first : begin + first + len(a)] = a


# Layers; those that embed columns of the data stand in `reference_embeddings`.


def normalize(x, mean, scale, a):
    a[...] = (x - mean) * scale


def dense_forward(x, W, b, function, z, a, scratch):
    z[...] = x @ W + b
    if function:
        a[...] = function(z, z)


def dense_backward_weights(x, dz, bounds, fresh, dW, db, scratch):
    for gradient, value in ((dW, x.T @ dz), (db, dz.sum(axis=0))):
        gradient[...] = value if fresh else gradient + value


def dense_backward_inputs(dz, W, function, u, dx, scratch):
    value = dz @ W.T
    dx[...] = function(u, value) if function else value


def activation_forward(function, z, a):
    a[...] = function(z, z)


def activation_backward(function, u, da, dz):
    dz[...] = function(u, da)


def softmax_forward(z, a):
    a[...] = softmax(z)


def softmax_backward(a, da, dz):
    dz[...] = a * (da - (da * a).sum(axis=1, keepdims=True))


def dropout_forward(seed, step, epoch, layer, rate, first, x, mask, a):
    mask[...] = dropout_mask(seed, step, epoch, layer, rate, (first + len(x), x.shape[1]))[first:]
    a[...] = x * mask


def dropout_backward(mask, da, dx):
    dx[...] = da * mask


def batchnorm_forward(x, gamma, beta, epsilon, bounds, batch_mean, batch_variance, inverse, x_hat, a):
    batch_mean[...] = x[0] + (x - x[0]).mean(axis=0)
    batch_variance[...] = ((x - batch_mean) ** 2).mean(axis=0)
    inverse[...] = 1 / np.sqrt(batch_variance + epsilon)
    x_hat[...] = (x - batch_mean) * inverse
    a[...] = gamma * x_hat + beta


def batchnorm_inference(x, gamma, beta, mean, variance, epsilon, a):
    a[...] = gamma * ((x - mean) / np.sqrt(variance + epsilon)) + beta


def batchnorm_backward(da, x_hat, gamma, inverse, bounds, dgamma, dbeta, dx):
    dgamma[...], dbeta[...] = (da * x_hat).sum(axis=0), da.sum(axis=0)
    dx[...] = gamma * inverse / len(da) * (len(da) * da - dbeta - x_hat * dgamma)


def batchnorm_track(batch_mean, batch_variance, n, momentum, bounds, mean, variance):
    for running, new in ((mean, batch_mean), (variance, batch_variance * (n / (n - 1)))):
        running[...] = momentum * running + (1 - momentum) * new


def layernorm_forward(x, gamma, beta, epsilon, a):
    centred = x - x.mean(axis=1, keepdims=True)
    a[...] = gamma * centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon) + beta


def layernorm_backward(x, gamma, epsilon, da, dx, terms):
    centred = x - x.mean(axis=1, keepdims=True)
    inverse = 1 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon)
    x_hat, g = centred * inverse, da * gamma
    product = (g * x_hat).mean(axis=1, keepdims=True)
    dx[...], terms[...] = inverse * (g - g.mean(axis=1, keepdims=True) - x_hat * product), da * x_hat


# Around the loss.


def smooth_targets(y, label_smoothing, classes, smooth):
    dense = y if y.shape == smooth.shape else one_hot(y, smooth.shape[1])
    smooth[...] = (1 - label_smoothing) * dense + label_smoothing / classes


def weigh_rows(w, rows):
    rows *= w


def weigh_losses(w, losses):
    losses *= w[:, 0]


def add_loss(job, slice_, losses, total, totals):
    loss = losses.sum(dtype=totals.dtype)
    job.batch_loss += loss
    totals[slice_.epoch * job.columns + total] += loss


def add_score(job, slice_, scores, total, totals):
    totals[slice_.epoch * job.columns + total] += scores.sum(dtype=totals.dtype)


# Penalties, clipping, and what sums up the gradient.


def add_penalty(job, slice_, W, l1, l2, total, totals):
    W = W.astype(totals.dtype)
    penalty = slice_.n * (l1 * np.where(W.real == 0, 0, magnitude(W)).sum() + l2 * (W**2).sum())
    job.batch_loss += penalty
    totals[slice_.epoch * job.columns + total] += penalty


def penalty_backward(W, dW, l1, l2):
    dW += (l1 * np.sign(W) + 2 * l2 * W).astype(dW.dtype)


def sum_terms(terms, bounds, fresh, dW):
    value = terms.sum(axis=0)
    dW[...] = value if fresh else dW + value


def add_shards(job, slice_, dW, place, grads):
    shards = min(job.shards, -(-slice_.n // job.block))
    dW[...] = grads.reshape(-1, job.params_size)[:shards, place : place + dW.size].sum(axis=0)


def clip_value(dW, clip):
    dW[...] = np.clip(dW, -clip, clip)


def measure_norm(slice_, dW, clip):
    slice_.factor = clip / max(np.sqrt((dW.astype(np.float64) ** 2).sum()), clip)


def scale(dW, factor):
    dW *= dW.dtype.type(factor)


ALL = vars(reference_flow) | vars(reference_embeddings) | globals()
FUNCTIONS = {name: f for name, f in ALL.items() if name in OPERATIONS} | REGISTERED

_arguments = {}  # of operations, once they have been asked for


def arguments_of(operation):
    """The function that finds an operation's arguments; see `Operation.arguments`."""
    if operation.name not in _arguments:
        _arguments[operation.name] = operation.arguments()
    return _arguments[operation.name]
