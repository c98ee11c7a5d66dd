"""Jobs that stay set up, for calls whose work takes less time than the set-up of a run: only their rows change."""

import numpy as np

from fastml.kernels.job import ARRAYS, JOB
from fastml.program import compiled, linking
from fastml.program.memory import address_of
from fastml.program.plan import WHOLE

SHORT = 1e8  # floating-point operations, some milliseconds, for which a Ctrl-C may wait
ALONE = 2e6  # some tens of microseconds, for which other threads of Python may wait


class Ready:
    """Instructions of a program as a job of one thread, to be run by one thread of Python at a time.

    `arrays` are given by their names in `fastml.kernels.job.ARRAYS`; the job has their addresses only, so that each
    stays until `place` puts another there. `counters` are fields of the job. `found` may hold views of what it writes,
    and `room` arrays that it reads.
    """

    found, room = (), None

    def __init__(self, instructions, dtype, arrays, columns=1, plan=WHOLE, **counters):
        linking.link(instructions, dtype)
        empty, self.totals, self.rates = np.zeros((0, 1), dtype), np.zeros((1, columns)), np.zeros(1)
        own = {"program": instructions, "rates": self.rates, "totals": self.totals, "order": np.zeros(0, np.int64)}
        self.arrays = dict.fromkeys(ARRAYS, empty) | own | arrays
        self.jobs = np.zeros(1, JOB)
        for name, value in (*counters.items(), *plan._replace(threads=1)._asdict().items()):
            self.jobs[name] = value
        compiled.point_to(self.jobs, [*self.arrays.values()])
        self.numbers, self.reals = self.jobs.view(np.int64), self.jobs.view(np.float64)
        self.slices = compiled.new_slices(self.jobs, 1)
        self.address = address_of(self.jobs)

    def place(self, name, array):
        """Puts an array in the place of another; it must be C-contiguous."""
        if self.arrays[name] is not array:
            self.arrays[name] = array
            place, size = PLACES[name]
            self.numbers[place], self.numbers[size] = address_of(array), array.size

    def let_go(self, *names):
        """Keeps arrays no longer, which are placed anew before the next run."""
        for name in names:
            self.arrays[name] = None

    def run(self, rows, batch, work):
        """Runs over so many rows, in one epoch of batches, which is so much work; the totals are its sums."""
        self.totals[...] = 0
        numbers, steps = self.numbers, -(-rows // batch)
        numbers[STEP], numbers[STOP], numbers[STEPS], numbers[BATCH], numbers[ROWS] = 0, steps, steps, batch, rows
        linking.executor(work <= ALONE)(self.address, 0)


def word(name):
    """Where a field stands in a JOB, in words of eight bytes."""
    return JOB.fields[name][1] // 8


PLACES = {name: (word(name), word(f"{name}_size")) for name in ARRAYS}  # of addresses and sizes
STEP, STOP, STEPS, BATCH, ROWS = map(word, ("step", "stop", "steps_per_epoch", "batch_size", "rows"))
