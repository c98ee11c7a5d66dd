"""Whole programs at guard pages: the buffers of a model, each piece of the workspace, and the arrays of a job.

The trainings are those of `test_same_bits` and `test_every_instruction`, and must give the same bits there.
"""

from contextlib import contextmanager
from itertools import product

import test_every_instruction
import test_same_bits
from guard_pages import PAGE, SIDES, guarded, protect
from many_threads import use

from fastml.program import compiled, lowering, program
from fastml.program.lowering import Lowering
from fastml.program.memory import ALIGNMENT
from fastml.training import engine, inference, predictor, serving, stepping
from fastml.training.ready import Ready

THREADS = 1, 3
FEW = (
    "plain, short last batch",
    "deep, less than a line is left",
    "a single neuron, in blocks",
    "batch normalization, one row is left",
    "dropout, in blocks",
    "embedding, batches in blocks",
    "wide, one line",
    "clipped by norm, penalties, batches in blocks",
    "backtracking, embedding, full",
    "sparse_categorical_crossentropy, in blocks, weighted",
    "categorical_crossentropy, smoothed",
)


class Size(int):
    """Elements of a workspace that has forbidden pages, which start at the elements `forbidden`."""

    forbidden = ()


class Spaced(Lowering):
    """Lowers with a forbidden page on one side of each piece of the workspace, which is used only once."""

    side = "end"

    def __init__(self, *arguments):
        self.taken, self.forbidden = 0, []
        super().__init__(*arguments)

    @property
    def work_size(self):
        size = Size(self.taken)
        size.forbidden = tuple(self.forbidden)
        return size

    @work_size.setter
    def work_size(self, size):
        """Inference would begin anew where training did."""

    def workspace(self, size):
        page = PAGE * self.line // ALIGNMENT  # elements
        start, pages = self.taken, -(-size // page) * page
        self.taken += pages + page
        self.forbidden.append(start + pages if self.side == "end" else start)
        return start + pages - size if self.side == "end" else start + page


class AtPages(Ready):
    """A job that is ready, whose arrays, too, are at guard pages; outputs come back where they were wanted."""

    side, wanted = "end", None

    def __init__(self, instructions, dtype, arrays, *arguments, **counters):
        arrays = {name: at(self.side, array) if name in ("x", "outputs") else array for name, array in arrays.items()}
        super().__init__(instructions, dtype, arrays, *arguments, **counters)
        self.totals, self.rates = (at(self.side, array) for array in (self.totals, self.rates))
        super().place("totals", self.totals)
        super().place("rates", self.rates)

    def place(self, name, array):
        self.wanted = array if name == "outputs" else self.wanted
        super().place(name, at(self.side, array) if name in ("x", "y", "weights", "outputs") else array)

    def run(self, *arguments):
        for name, array in self.room.arrays.items() if self.room else ():  # what was copied there since
            self.place(name, array)
        super().run(*arguments)
        if self.wanted is not None:
            self.wanted[...], self.wanted = self.arrays["outputs"], None


def at(side, array):
    """A copy of an array at a guard page."""
    copy = guarded(array.shape, array.dtype, side)
    copy[...] = array
    return copy


@contextmanager
def everything_at(side):
    """Has all models that are made in a ``with`` block work at guard pages."""

    def zeros(size, dtype):
        array = guarded((size,), dtype, side)
        array[...] = 0
        for place in getattr(size, "forbidden", ()):
            protect(array.ctypes.data + place * array.itemsize, PAGE)
        return array

    def run(instructions, jobs, rates, params, grads, state, work, x, y, weights, order, totals, outputs, ending):
        written = jobs, order, totals, outputs
        job, numbers, sums, results = (at(side, array) for array in written)
        read = [at(side, array) for array in (instructions, rates, x, y, weights)]
        after = [{**s, "after": job[1:].ctypes.data} for s in program.disassembled(ending)]
        buffers = params, grads, state, work
        offers = compiled.run(
            read[0], job, read[1], *buffers, *read[2:], numbers, sums, results, program.assembled(after)
        )
        for array, copy in zip(written, (job, numbers, sums, results), strict=True):
            array[...] = copy
        return offers

    replaced = [(module, "aligned_zeros", zeros) for module in (program, engine, inference, predictor, serving)]
    replaced += [(lowering, "Lowering", type("Spaced", (Spaced,), {"side": side}))]
    ready = type("AtPages", (AtPages,), {"side": side})
    replaced += [(module, "Ready", ready) for module in (inference, predictor, serving, stepping)]
    before = [getattr(module, name) for module, name, _ in replaced]
    for module, name, value in replaced:
        setattr(module, name, value)
    engine.EXECUTORS["compiled"] = run
    yield
    engine.EXECUTORS["compiled"] = compiled.run
    for (module, name, _), value in zip(replaced, before, strict=True):
        setattr(module, name, value)


def same(side, results):
    """Checks that what a function computes is the same bits at guard pages."""
    expected = results(1)
    for count in THREADS:
        with everything_at(side):
            found = results(count)
        test_same_bits.assert_same_bits(found, expected, f"{count} threads")


def program_cases(dtype, few):
    """Pairs of name and function."""
    compiled.warmup(dtype)
    use(max(THREADS))
    models = {name: test_same_bits.CASES[name] for name in (FEW if few else test_same_bits.CASES)}
    for (name, case), side in product(models.items(), SIDES):
        yield (
            f"{name}, page at the {side}",
            lambda c=case, s=side: same(s, lambda n: test_same_bits.results(c, dtype, n)),
        )
    for name, side in product(() if few else test_every_instruction.CASES, SIDES):
        results = lambda count, name=name: test_every_instruction.ran.__wrapped__(name, "compiled", dtype)[1]  # noqa: E731
        yield f"{name}, page at the {side}", lambda s=side, r=results: same(s, r)
