"""What of a model's engine serves others, also while it trains: predictions, evaluations and gradients."""

from contextlib import contextmanager

import numpy as np

from fastml.data.arrays import put
from fastml.metrics import columns_of
from fastml.program import linking
from fastml.program.executors import EXECUTORS
from fastml.program.lowering import lower
from fastml.program.memory import aligned_zeros
from fastml.program.plan import WHOLE, make_plan
from fastml.training.inference import BLOCK, Inference, fits
from fastml.training.ready import SHORT, Ready
from fastml.training.room import MOST, Room
from fastml.training.run import Data, Run


class Backward:
    """The program of the gradients for so many rows at once, and jobs of it that are ready."""

    def __init__(self, base, key, program):
        self.base, self.key, self.program, self.jobs = base, key, program, []
        self.weighted = key[1]


class Serving:
    """The part of an `Engine` that reads its parameters, as `rest` gives them."""

    backward = None  # a Backward, from the first gradients on

    def inference_for(self, weighted, threads):
        """The Inference of the model as it is, for so many threads, and for rows that have weights or have none."""
        with self.rest.lock:
            if not (self.inference and self.inference.serves(weighted, threads)):
                program = self.program
                if not fits(program, weighted, threads):
                    aim = {**self.aim, "weighted": bool(weighted), "plan": WHOLE._replace(threads=threads)}
                    program = lower(self.layers, self.d_in, BLOCK, self.dtype, **aim)
                self.inference = Inference(program, self.aim)
            return self.inference

    @contextmanager
    def reading(self):
        """Parameters that nobody changes in the ``with`` block; during a training, those of its last chunk."""
        params = self.rest.read(self)
        try:
            yield params
        finally:
            self.rest.give_back(params)

    def evaluate(self, x, y, weights, loss):
        """The metrics, means of loss and scores over the rows, and the predictions if a metric needs them all, or None.

        None instead where another thread has compiled the model since these rows were checked for a loss.
        """
        plan = self._plan_inference(len(x))
        inference = self.inference
        if weights is None and inference and inference.program.weighted:
            weights = np.ones((len(x), 1), self.dtype)  # rather than another program
        inference = self.inference_for(weights is not None, plan.threads)
        if inference.aim["loss"] is not loss:
            return None
        metrics = inference.aim["metrics"]
        columns = columns_of(metrics)
        whole = columns <= len(metrics)
        outputs = np.empty((len(x), inference.program.d_out), self.dtype) if whole else None
        means = self._infer(inference, "evaluation", plan, columns, x, y, weights, outputs)
        return metrics, means, outputs

    def evaluate_soon(self, x, y):
        """The aim and the means of its loss and scores, for rows as the user gives them.

        None where these need a closer look, or are the first.
        """
        inference = self.inference
        if not inference or not inference.jobs["evaluation"] or self.shift is not None or not self.fitted:
            return None
        job, rows = inference.job("evaluation", self, columns_of(inference.aim["metrics"])), len(x)
        if job.room is None or len(job.room.x) != rows:
            job.room = Room(self, rows, inference.program.weighted) if rows * self.d_in <= MOST else None
        try:
            if not job.room or not job.room.takes(x, y):
                return None
            means = self._means_of(job, {"params": self.rest.read(self), **job.room.arrays}, rows)
            return (inference.aim, means) if self.shift is None else None  # another thread may have changed it
        finally:
            inference.jobs["evaluation"].append(job)

    def predict(self, x):
        """The outputs for the rows of x."""
        plan = self._plan_inference(len(x))
        inference = self.inference_for(None, plan.threads)
        outputs = np.empty((len(x), inference.program.d_out), self.dtype)
        self._infer(inference, "prediction", plan, 1, x, outputs=outputs)
        return outputs

    def _infer(self, inference, name, plan, columns, x, y=None, weights=None, outputs=None):
        """Runs instructions of the inference's program over all rows; returns the means of loss and scores."""
        work = len(x) * self.program.flops / 3
        if plan.threads == 1 and work <= SHORT and self.executor == "compiled":
            return self._infer_at_once(
                inference, name, columns, {"x": x, "y": y, "weights": weights, "outputs": outputs}
            )
        work = inference.workspace(self.dtype)
        data = Data(self.dtype, x, y, weights, outputs, columns=columns)
        try:
            with self.reading() as params:
                buffers = self.buffers._replace(params=params, work=work)
                run = self._once(getattr(inference.program, name), data, min(BLOCK, data.rows), buffers, plan)
                return run.means(0, 1)[0]
        finally:
            inference.workspaces.append(work)

    def _infer_at_once(self, inference, name, columns, arrays):
        """`_infer` for so few rows that nobody looks in before all are done."""
        job, arrays = inference.job(name, self, columns), {k: array for k, array in arrays.items() if array is not None}
        try:
            return self._means_of(job, {"params": self.rest.read(self), **arrays}, len(arrays["x"]))
        finally:
            job.let_go(*arrays)
            inference.jobs[name].append(job)

    def _means_of(self, job, arrays, rows):
        """Runs a job over so many rows of arrays; returns the means of loss and scores. Gives the parameters back."""
        try:
            for key, array in arrays.items():
                job.place(key, array)
            job.run(rows, min(BLOCK, rows), rows * self.program.flops / 3)
            return (job.totals[0] / rows).tolist()
        finally:
            self.rest.give_back(arrays["params"])
            job.let_go("params")

    def few(self, method, *arguments):
        """What a Predictor's method returns, or None where it cannot be used."""
        inference = self.inference
        if not (inference and inference.predictors):  # there is none that waits
            if self.executor != "compiled" or not self.fitted:
                return None
            linking.ready(linking.needed_by(self.program.prediction, self.dtype))
            inference = self.inference_for(None, 1)
        predictor = inference.predictor(self)
        params = self.rest.read(self)
        try:
            if predictor.shift is not self.shift:  # another thread has just changed it
                return None
            predictor.use(params)
            return method(predictor, *arguments)
        finally:
            self.rest.give_back(params)
            inference.predictors.append(predictor)

    def gradients(self, x, y, weights, loss, out=None):
        """Loss over all rows, as training sees it, and gradients, shaped like the weights; or None as in `evaluate`.

        `out`, arrays of these shapes, is written to where it is given.
        """
        plan, aim, rows = self._plan(len(x), once=True), self.aim, len(x)
        if aim["loss"] is not loss:
            return None
        backward = self._backward(rows, weights is not None, plan)
        program = backward.program
        if plan.threads == 1 and rows * program.flops <= SHORT and self.executor == "compiled":
            job = self._backward_job(backward)
            job.room.put(x, y, weights)
            return self._gradients_at_once(backward, job, out)
        with self.reading() as params:
            buffers = self.buffers.with_work(program)._replace(params=params)  # all rows at once may need much
            run = self._once(program.gradient, Data(self.dtype, x, y, weights), rows, buffers, plan)
        return run.means(0, 1)[0][0], given([p.view(buffers.grads) for p in program.parameters], out)

    def gradients_soon(self, x, y, out=None):
        """`gradients` for rows as the user gives them, where the last ones were as many and these need no closer look.

        None otherwise.
        """
        backward = self.backward
        if not backward or backward.base is not self.program or backward.weighted or not backward.jobs:
            return None
        if self.shift is not None or not self.fitted:
            return None
        job = self._backward_job(backward)
        if not job.room.takes(x, y):
            backward.jobs.append(job)
            return None
        found = self._gradients_at_once(backward, job, out)
        return found if self.shift is None else None  # another thread may have changed it

    def _backward(self, rows, weighted, plan):
        """The Backward for so many rows; that of the last call serves as long as the model is the same."""
        backward, key = self.backward, (rows, weighted, plan)
        if not backward or backward.base is not self.program or backward.key != key:
            base, height = self.program, plan.block * plan.threads or rows
            aim = {**self.aim, "weighted": weighted, "height": height, "plan": plan}
            backward = Backward(base, key, lower(self.layers, self.d_in, rows, self.dtype, **aim))
            self.backward = backward
        return backward

    def _backward_job(self, backward):
        """A job that computes the gradients for the rows in its room; to be given back to `backward.jobs`."""
        try:
            return backward.jobs.pop()
        except IndexError:
            program, (rows, weighted, _) = backward.program, backward.key
            size = program.params_size * program.plan.shards
            own = {"grads": aligned_zeros(size, self.dtype), "work": aligned_zeros(program.work_size, self.dtype)}
            room = Room(self, rows, weighted)
            own |= room.arrays
            job = Ready(program.gradient, self.dtype, own, plan=program.plan, seed=self.seed)
            job.room, job.found = room, [p.view(own["grads"]) for p in program.parameters]
            return job

    def _gradients_at_once(self, backward, job, out):
        """Loss and gradients for the rows in the room of a job, which it gives back."""
        rows = len(job.room.x)
        with self.reading() as params:
            job.place("params", params)
            job.run(rows, rows, rows * backward.program.flops)
            job.let_go("params")
        mean, out = job.totals[0, 0].item() / rows, given(job.found, out)
        backward.jobs.append(job)
        return mean, out

    def _plan_inference(self, rows):
        """The Plan of an evaluation or prediction, which is a third of the work and goes BLOCK rows at a time."""
        rows = min(rows, BLOCK)
        return make_plan(rows, 1, 1, self.program.flops / 3, alone=False, once=True)

    def _once(self, instructions, data, batch_size, buffers, plan):
        """Runs instructions over all rows, batch by batch."""
        steps = -(-data.rows // batch_size)
        execute = EXECUTORS[self.executor]
        run = Run(execute, instructions, buffers, data, steps, batch_size, plan=plan, seed=self.seed)
        run.finish(steps)
        return run


def given(arrays, out):
    """Copies of arrays, in the list `out` if that is given; ValueError where it has others."""
    if out is None:
        return [array.copy() for array in arrays]
    if not isinstance(out, list) or len(out) != len(arrays):
        got = f"a list of {len(out)}" if isinstance(out, list) else type(out).__name__
        raise ValueError(f"out must be a list of {len(arrays)} arrays, one for each of get_weights, got {got}")
    for k, (target, array) in enumerate(zip(out, arrays, strict=True)):
        put(array, target, f"out[{k}]")
    return out
