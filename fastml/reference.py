"""The reference executor: a program, instruction by instruction, in plain NumPy.

It is the oracle of the tests, the baseline of the benchmarks, and the text to read to see what training does. It has
the signature of the compiled executor and shares no formula with it. It also runs on complex buffers, with which
`gradient_check` differentiates.
"""

import numpy as np

from fastml.activations import ACTIVATIONS, magnitude
from fastml.interrupts import hold_interrupts
from fastml.kernels import instruction as op
from fastml.losses import LOSSES, one_hot
from fastml.metrics import METRICS
from fastml.optimizers import UPDATES
from fastml.random import dropout_mask, permutation

ACTIVATION = {entry.code: entry for entry in ACTIVATIONS.values()}
LOSS = {entry.code: entry for entry in LOSSES.values()}
METRIC = {entry.code: entry for entry in METRICS.values()}


def run(program, jobs, rates, params, grads, state, work, x, y, weights, order, totals, outputs):
    """Runs steps ``job["step"] … job["stop"] - 1`` of the program; see `fastml.kernels.instruction` for the arrays."""
    job = jobs[0]
    while job["step"] < job["stop"]:
        epoch, batch = divmod(job["step"], job["steps_per_epoch"])
        first = batch * job["batch_size"]
        last = job["rows"] if batch == job["steps_per_epoch"] - 1 else first + job["batch_size"]
        if batch == 0 and order.size:
            order[:] = permutation(job["seed"], job["epoch"] + epoch, len(order))
        rows = order[first:last] if order.size else slice(first, last)
        time = job["seed"], batch, job["epoch"] + epoch
        rate = rates[min(job["step"] - job["start"], len(rates) - 1)]
        data = x[rows], y[rows], weights[rows] if len(weights) else weights
        with hold_interrupts(), np.errstate(all="ignore"):
            finite = step(
                program, job, time, rate, params, grads, state, work, data, totals[epoch], outputs[first:last]
            )
            job["step"] += finite
        if not finite:
            job["diverged"] = 1
            return
        if job["patience"] and batch == job["steps_per_epoch"] - 1:
            loss = job["scale"] * (totals[epoch, 0] / job["rows"])
            job["waited"] = 0 if loss <= job["best"] - job["tolerance"] else job["waited"] + 1
            job["best"] = min(job["best"], loss)
            if job["waited"] >= job["patience"]:
                return


def step(program, job, time, rate, params, grads, state, work, data, totals, outputs):
    """One batch. Returns False where the loss must be finite and is not, before anything is updated."""
    x, y, weights = data
    batch, loss, worse = len(x), 0.0, False
    grads = grads.reshape(-1, len(params))  # a row for each shard
    block = job["block"] or batch
    blocks = -(-batch // block)
    shards = min(job["shards"], blocks)
    starts = {shard * blocks // shards * block: shard for shard in range(shards)}  # first row of each

    def rows(place, d):
        return work[s[place] : s[place] + n * d].reshape(n, d)

    def of_batch(place):
        return work[s[place] : s[place] + batch]

    def columns(buffer, place):
        return buffer[s[place] : s[place] + d_in]

    def codes():
        return rows("x", d_in)[:, s["column"]].real.astype(np.int64)

    first, i, shard = 0, 0, 0
    while i < len(program):
        s, n = program[i], min(block, batch - first)
        i += 1
        here = slice(first, first + n)
        shard = starts.get(first, shard)
        d_in, d_out, d_y, size = s["d_in"], s["d_out"], s["d_y"], s["size"]
        W = slice(s["W"], s["W"] + size)
        table = slice(s["W"], s["W"] + s["categories"] * s["width"]), (s["categories"], s["width"])
        vectors = slice(s["place"], s["place"] + s["width"])
        kernel = slice(s["W"], s["W"] + d_in * d_out), slice(s["b"], s["b"] + d_out)
        match s["op"]:
            case op.GATHER_INPUTS:
                rows("x", d_in)[...] = x[here]
            case op.GATHER_TARGETS:
                rows("x", d_in)[...] = y[here]
            case op.GATHER_WEIGHTS:
                rows("x", d_in)[...] = weights[here]
            case op.SMOOTH_TARGETS:
                dense = rows("y", d_y) if d_y == d_out else one_hot(rows("y", 1), d_out)
                smoothing = s["label_smoothing"]
                rows("a", d_out)[...] = (1 - smoothing) * dense + smoothing / size
            case op.NORMALIZE:
                rows("a", d_in)[...] = (rows("x", d_in) - columns(params, "mean")) * columns(params, "scale")
            case op.COPY_COLUMNS:
                rows("a", d_out)[:, vectors] = rows("x", d_in)[:, s["column"] : s["column"] + s["width"]]
            case op.EMBED_FORWARD:
                rows("a", d_out)[:, vectors] = params[table[0]].reshape(table[1])[codes()]
            case op.DENSE_FORWARD:
                weight, b = params[kernel[0]].reshape(d_in, d_out), params[kernel[1]]
                z = rows("x", d_in) @ weight + b
                rows("z", d_out)[...] = ACTIVATION[s["kind"]].forward(z, s["alpha"]) if s["kind"] else z
            case op.BATCHNORM_FORWARD:
                z = rows("x", d_in)
                mean = z[0] + (z - z[0]).mean(axis=0)
                variance = ((z - mean) ** 2).mean(axis=0)
                inverse = 1 / np.sqrt(variance + s["epsilon"])
                columns(work, "batch_mean")[...] = mean
                columns(work, "batch_variance")[...] = variance
                columns(work, "inverse")[...] = inverse
                rows("x_hat", d_in)[...] = (z - mean) * inverse
                rows("a", d_in)[...] = columns(params, "gamma") * rows("x_hat", d_in) + columns(params, "beta")
            case op.BATCHNORM_INFERENCE:
                x_hat = (rows("x", d_in) - columns(params, "mean")) / np.sqrt(
                    columns(params, "variance") + s["epsilon"]
                )
                rows("a", d_in)[...] = columns(params, "gamma") * x_hat + columns(params, "beta")
            case op.ACTIVATION_FORWARD:
                rows("a", d_out)[...] = ACTIVATION[s["kind"]].forward(rows("z", d_out), s["alpha"])
            case op.DROPOUT_FORWARD:
                rows("mask", d_in)[...] = dropout_mask(*time, s["layer"], s["rate"], (batch, d_in))[here]
                rows("a", d_in)[...] = rows("x", d_in) * rows("mask", d_in)

            case op.LOSS_FORWARD:
                losses, a = LOSS[s["kind"]].forward(s, rows("z", d_out), rows("y", d_y))
                of_batch("losses")[here] = losses
                rows("a", d_out)[...] = a
            case op.WEIGH_ROWS:
                rows("x", d_in)[...] *= rows("w", 1)
            case op.WEIGH_LOSSES:
                of_batch("losses")[here] *= rows("w", 1)[:, 0]
            case op.SUM_LOSS:
                loss = of_batch("losses").sum(dtype=totals.dtype)
                totals[s["total"]] += loss
            case op.PENALTY_FORWARD:
                weight = params[W].astype(totals.dtype)
                absolute = np.where(weight.real == 0, 0, magnitude(weight))
                penalty = batch * (s["l1"] * absolute.sum() + s["l2"] * (weight**2).sum())
                loss += penalty
                totals[s["total"]] += penalty
            case op.STOP_UNLESS_FINITE:
                if not np.isfinite(loss):
                    return False
            case op.METRIC:
                of_batch("losses")[here] = METRIC[s["kind"]].score(rows("a", d_out), rows("y", d_y))
            case op.SUM_SCORES:
                totals[s["total"]] += of_batch("losses").sum(dtype=totals.dtype)

            case op.LOSS_BACKWARD:
                dz = LOSS[s["kind"]].backward(s, rows("a", d_out), rows("y", d_y))  # of a mean over n rows
                rows("dz", d_out)[...] = dz if n == batch else dz * (n / batch)
            case op.DROPOUT_BACKWARD:
                rows("dx", d_in)[...] = rows("da", d_in) * rows("mask", d_in)
            case op.ACTIVATION_BACKWARD:
                z, a, da = rows("z", d_out), rows("a", d_out), rows("da", d_out)
                rows("dz", d_out)[...] = ACTIVATION[s["kind"]].backward(z, a, da, s["alpha"])
            case op.BATCHNORM_BACKWARD:
                da, x_hat = rows("da", d_in), rows("x_hat", d_in)
                dgamma, dbeta = (da * x_hat).sum(axis=0), da.sum(axis=0)
                columns(grads[0], "gamma")[...], columns(grads[0], "beta")[...] = dgamma, dbeta
                factor = columns(params, "gamma") * columns(work, "inverse") / n
                rows("dx", d_in)[...] = factor * (n * da - dbeta - x_hat * dgamma)
            case op.DENSE_BACKWARD_WEIGHTS:
                dz = rows("dz", d_out)
                for part, value in zip(kernel, ((rows("x", d_in).T @ dz).ravel(), dz.sum(axis=0)), strict=True):
                    grads[shard, part] = value if first in starts else grads[shard, part] + value
            case op.EMBED_BACKWARD:
                value = np.zeros(table[1], grads.dtype)
                np.add.at(value, codes(), rows("da", d_out)[:, vectors])
                value = value.ravel() if first in starts else grads[shard, table[0]] + value.ravel()
                grads[shard, table[0]] = value
            case op.DENSE_BACKWARD_INPUTS:
                dx = rows("dz", d_out) @ params[kernel[0]].reshape(d_in, d_out).T
                if s["kind"]:
                    a = rows("a", d_in)
                    dx = ACTIVATION[s["kind"]].backward(a, a, dx, 0.0)  # from the output alone
                rows("dx", d_in)[...] = dx
            case op.NEXT_BLOCK:
                if first + n < batch:
                    first, i = first + n, 0
            case op.SUM_SHARDS:
                grads[0, W] = grads[:shards, W].sum(axis=0)
            case op.STORE_OUTPUTS:
                outputs[...] = rows("a", d_out)

            case op.PENALTY_BACKWARD:
                grads[0, W] += (s["l1"] * np.sign(params[W]) + 2 * s["l2"] * params[W]).astype(grads.dtype)
            case op.BATCHNORM_TRACK:
                keep, unbiased = s["momentum"], columns(work, "batch_variance") * (n / (n - 1))
                for place, new in (("mean", columns(work, "batch_mean")), ("variance", unbiased)):
                    columns(params, place)[...] = keep * columns(params, place) + (1 - keep) * new
            case op.CLIP_VALUE:
                grads[0, W] = np.clip(grads[0, W], -s["clip"], s["clip"])
            case op.CLIP_NORM:
                norm = np.sqrt((grads[0, W].astype(np.float64) ** 2).sum())
                grads[0, W] *= params.dtype.type(s["clip"] / max(norm, s["clip"]))
            case op.BEGIN_UPDATE:
                worse = loss / batch > job["loss"]
                job["loss"] = loss / batch
                job["t"] += 1
            case update if update in UPDATES:
                arrays = [array[W] for array in state.reshape(-1, params.size)]
                UPDATES[update](s, params[W], grads[0, W], arrays, job["t"], rate, worse)
            case op.NOTHING | op.MEET:
                pass
            case unknown:
                raise ValueError(f"there is no instruction {unknown}")
    return True
