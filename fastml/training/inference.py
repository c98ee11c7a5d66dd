"""Inference: predictions and evaluations of a model, by several threads at once and beside its training."""

from fastml.program.memory import aligned_zeros
from fastml.training.predictor import Predictor
from fastml.training.ready import Ready

BLOCK = 256  # rows at a time, as they do not influence each other


class Inference:
    """A program with the aim that it was lowered for, and the workspaces that threads take for it, each one of its own.

    What is taken and given back are items of a list, which threads need no lock for.
    """

    def __init__(self, program, aim):
        self.program, self.aim = program, aim
        self.workspaces, self.predictors = [], []
        self.jobs = {"evaluation": [], "prediction": []}  # those that are ready

    def serves(self, weighted, threads):
        """Whether it is for so many threads, and for rows that have weights or have none; None if that is the same."""
        return fits(self.program, weighted, threads)

    def workspace(self, dtype):
        """A workspace for the program, to be given back to `workspaces`."""
        try:
            return self.workspaces.pop()
        except IndexError:
            return aligned_zeros(self.program.work_size, dtype)

    def job(self, name, engine, columns):
        """A Ready of these instructions, to be given back to `jobs`."""
        try:
            return self.jobs[name].pop()
        except IndexError:
            work = aligned_zeros(self.program.work_size, engine.dtype)
            return Ready(getattr(self.program, name), engine.dtype, {"work": work}, columns, seed=engine.seed)

    def predictor(self, engine):
        """A Predictor for the program, to be given back to `predictors`."""
        try:  # one that waits: the shortest way, as predictions of a row are short
            return self.predictors.pop()
        except IndexError:
            return Predictor(engine, self.program)


def fits(program, weighted, threads):
    """Whether a program has room for the rows of an inference; see `Inference.serves`."""
    room = min(program.batch, program.height) >= BLOCK and program.plan.threads >= threads
    return room and weighted in (None, program.weighted)
