"""The evaluation of other rows after each epoch of a training, without Python in between."""

import numpy as np

from fastml.kernels.job import ARRAYS
from fastml.metrics import columns_of, means_over_rows
from fastml.program import compiled, linking
from fastml.program.memory import address_of, aligned_zeros
from fastml.training.inference import BLOCK

FOLLOWS = 2e9  # floating-point operations, some tens of milliseconds, for which a Ctrl-C may wait: it has to be whole


def can_follow(engine, x, y, weights, chosen):
    """Whether the executor can evaluate by itself: where all metrics are means over rows, and it does not take long."""
    metrics, rows = engine.aim["metrics"], len(x) if chosen is None else len(chosen)
    return len(means_over_rows(metrics)) == len(metrics) and rows * engine.program.flops / 3 <= FOLLOWS


class Following:
    """The job that follows each epoch of another one's, over rows x, y and weights or None, for so many epochs.

    `chosen` are the numbers of those rows that it is for, (rows,) int64, None for all.
    """

    def __init__(self, engine, x, y, weights, chosen, epochs, threads):
        if weights is None and engine.inference and engine.inference.program.weighted:
            weights = np.ones((len(x), 1), engine.dtype)  # rather than another program
        inference = engine.inference_for(weights is not None, threads)
        program, dtype = inference.program, engine.dtype
        if engine.executor == "compiled":
            linking.link(program.evaluation, dtype)
        order = np.zeros(0, np.int64) if chosen is None else chosen
        empty, self.rows, self.seed = np.zeros((0, 1), dtype), len(order) or len(x), engine.seed
        self.totals = np.zeros((epochs, columns_of(engine.aim["metrics"])))
        own = {"program": program.evaluation, "rates": np.zeros(1), "order": order}
        own |= {"work": aligned_zeros(program.work_size, dtype), "totals": self.totals, "x": x, "y": y}
        self.arrays = dict.fromkeys(ARRAYS, empty) | own | ({} if weights is None else {"weights": weights})

    def enter(self, job, params):
        """Writes itself into a JOB, an array of one, for these parameters."""
        self.arrays["params"] = params
        compiled.point_to(job, [*self.arrays.values()])
        job["rows"], job["batch_size"] = self.rows, min(BLOCK, self.rows)
        job["steps_per_epoch"], job["shards"], job["seed"] = -(-self.rows // BLOCK), 1, self.seed

    def use(self, job, params):
        """Takes these parameters from now on, also where the job is one of before, which had others."""
        self.arrays["params"] = params
        job["params"] = address_of(params)

    def means(self, first, last):
        """Loss and scores after the epochs first … last - 1: lists of floats, the means over the rows."""
        return (self.totals[first:last] / self.rows).tolist()

    def forget(self, epoch):
        """Makes ready for a training that goes on from this epoch again."""
        self.totals[epoch:] = 0
