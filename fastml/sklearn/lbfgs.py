"""L-BFGS over all rows at once: SciPy's minimizer on the compiled gradient."""

import time

import numpy as np
from scipy.optimize import minimize

from fastml.program.executors import EXECUTORS
from fastml.program.lowering import lower
from fastml.training.run import Data, Run


class LossOfWeights:
    """The loss of a compiled model over all rows, and its gradient, as a function of all trained weights."""

    def __init__(self, model, x, y, weights):
        self.engine = engine = model._engine
        plan = engine._plan(len(x), once=True)
        aim = {**engine.aim, "weighted": weights is not None, "height": plan.block * plan.threads or len(x)}
        self.program = lower(engine.layers, engine.d_in, len(x), engine.dtype, **aim, plan=plan)
        self.buffers = engine.buffers.with_work(self.program)._replace(params=engine.buffers.params.copy())
        self.data = Data(engine.dtype, x, y, weights)
        self.plan, self.seed = plan, engine.seed
        self.trained = [p for p in self.program.parameters if p.role != "statistic"]

    def start(self):
        return np.concatenate([p.view(self.buffers.params).ravel() for p in self.trained]).astype(np.float64)

    def put(self, values):
        at = 0
        for parameter in self.trained:
            view = parameter.view(self.buffers.params)
            view[...] = values[at : at + view.size].reshape(view.shape)
            at += view.size

    def finish(self, values):
        """Gives these weights to the model."""
        self.put(values)
        pairs = zip(self.program.parameters, self.engine.weights(), strict=True)
        self.engine.set_weights([w if p.role == "statistic" else p.view(self.buffers.params) for p, w in pairs])

    def __call__(self, values):
        self.put(values)
        steps = {"steps_per_epoch": 1, "batch_size": self.data.rows, "plan": self.plan, "seed": self.seed}
        self.data.totals[...] = 0
        run = Run(EXECUTORS["compiled"], self.program.gradient, self.buffers, self.data, **steps)
        run.advance(1)
        slopes = [p.view(self.buffers.grads).ravel() for p in self.trained]
        return run.means(0, 1)[0][0], np.concatenate(slopes).astype(np.float64)


class Late(Exception):
    """There is no time left."""


def minimize_loss(model, x, y, weights, factor, tol, max_iter, max_fun, verbose, deadline=np.inf):
    """Trains a compiled model; returns iterations, final loss, which is `factor` times its own, and what to tell."""
    objective = LossOfWeights(model, x, y, weights)

    def scaled(values):
        loss, slopes = objective(values)
        return factor * loss, factor * slopes

    latest = []  # iteration: how many, the weights, and their loss

    def report(intermediate_result):
        if verbose:
            print(f"loss = {intermediate_result.fun:.8f}")
        latest[:] = len(latest) and latest[0] + 1 or 1, intermediate_result.x.copy(), float(intermediate_result.fun)
        if time.perf_counter() >= deadline:
            raise Late

    options = {"maxfun": max_fun, "maxiter": max_iter, "gtol": tol}
    callback = report if verbose or deadline < np.inf else None
    try:
        found = minimize(scaled, objective.start(), method="L-BFGS-B", jac=True, options=options, callback=callback)
    except Late:
        iterations, values, loss = latest
        objective.finish(values)
        return iterations, loss, None
    objective.finish(found.x)
    told = None
    if found.status != 0:
        told = f"lbfgs ended before it converged, after {found.nit} iterations: {found.message}. Raise max_iter or "
        told += "max_fun, or scale the data"
    return min(found.nit, max_iter), float(found.fun), told
