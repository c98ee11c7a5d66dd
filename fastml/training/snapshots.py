"""Snapshots of weights: back to the last finite ones when a training has made some that are not."""

import time
from math import isfinite

import numpy as np

from fastml.process.signals import hold_interrupts

SNAPSHOT_SECONDS = 1.0  # between two copies of the weights, from which training is replayed if it diverges


def finite(array):
    """Whether all is finite: soon, where the sum of squares is."""
    return isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


class Snapshot:
    """A copy of weights, optimizer state and job, from which a diverged run is replayed up to its last finite step.

    Steps are a function of these alone, so the replay gives the same bits. That costs a copy each second instead of a
    check of all weights in each step.
    """

    def __init__(self, run):
        self.run = run
        self.copies = []
        self.take()

    def live(self):
        buffers, run = self.run.buffers, self.run
        found = [buffers.params, buffers.state, run.jobs.view(np.int64), run.limit.view(np.int64), run.data.order]
        return found if run.kept is None else [*found, run.kept]

    def finite(self):
        buffers = self.run.buffers
        return finite(buffers.params) and finite(buffers.state)

    def take(self):
        live = self.live()
        self.copies += map(np.empty_like, live[len(self.copies) :])
        for array, copy in zip(live, self.copies, strict=True):
            copy[...] = array
        self.step, self.epoch = self.run.step, self.run.epochs
        self.sums = self.run.data.totals[self.epoch : self.epoch + 1].copy()
        self.time = time.perf_counter()

    def take_when_due(self):
        if time.perf_counter() - self.time > SNAPSHOT_SECONDS and self.finite():
            self.take()

    def restore(self):
        self.run.own()
        for array, copy in zip(self.live(), self.copies, strict=True):
            array[...] = copy
        self.run.data.totals[self.epoch : self.epoch + 1] = self.sums
        self.run.data.totals[self.epoch + 1 :] = 0
        if self.run.following:
            self.run.following.forget(self.epoch)

    def replay(self):
        """Takes a run back to the last step after which weights and optimizer state were finite.

        A Ctrl-C meanwhile ends it, at the copy or later.
        """
        with hold_interrupts() as hold:
            if self.finite():
                return
            failed = self.run.step
            try:
                self.go_back(failed, hold)
                self.go_on(failed, hold)
            except BaseException:
                if not self.finite():
                    self.restore()
                raise

    def go_back(self, failed, hold):
        """To a finite step: ever farther back from the one that failed, at the farthest to the copy itself."""
        back = 1
        while not self.finite():
            self.restore()
            if failed - back <= self.step:
                return
            for stop in self.run.chunks(failed - back):
                self.run.advance(stop)
                hold.check()
            back *= 2

    def go_on(self, failed, hold):
        """Step by step, up to the last finite one."""
        while self.run.step < failed and not self.run.diverged:
            hold.check()
            self.take()
            self.run.advance(self.run.step + 1)
            if not self.finite():
                self.restore()
                return
