"""Trainings side by side: each a generator, whose chunks workers run while Python goes on with the others."""

import time

from fastml.program.crew import Crew
from fastml.training.run import unwrapped

AHEAD = 4  # trainings under way for each thread, so that there is always one whose next chunk waits
LONG = 5e-3  # seconds of a chunk, from which on no more than two wait for a worker, as at the end the others have none
NAP = 2e-4  # seconds between two looks at workers where there is nothing else to do


class Training:
    """A generator of pairs (run, stop), see `fastml.training.run.completed`, and the chunk that it waits for.

    `ended` is called at its end with what it has returned, or None, and with what it has raised, or None.
    """

    def __init__(self, steps, ended):
        self.steps, self.ended = steps, ended
        self.run = self.stop = self.kept = None

    def go_on(self, error=None):
        """Goes on to the next chunk, or throws an error in; returns whether there is one. Raises KeyboardInterrupt."""
        try:
            self.run, self.stop = self.steps.throw(error) if error else next(self.steps)
            return True
        except StopIteration as end:
            self.ended(end.value, None)
        except BaseException as raised:
            self.ended(None, unwrapped(raised))
            if isinstance(raised, KeyboardInterrupt) and raised is not error:
                raise
        return False

    def prepare(self):
        """The address of the job of the next chunk, or None where the executor is none that a worker can run."""
        if self.run.engine.executor != "compiled":
            return None
        job, self.kept = self.run.prepare(self.stop)
        return job


class SideBySide:
    """Runs Trainings on so many threads in a ``with`` block, each as a whole on one of them.

    `look` is called again and again; what it raises ends the block, and with it those that are under way.
    """

    def __init__(self, threads, look):
        self.threads, self.look = threads, look
        self.most = AHEAD * threads if threads > 1 else 1  # that are under way
        self.waiting = []  # those whose next chunk nobody runs yet
        self.under_way = 0
        self.tick = None  # seconds, once a chunk has told
        self.latest = 0.0  # seconds that the latest chunk took
        self.refusal = None  # a function that gives an error, with which trainings are to end rather than go on

    def __enter__(self):
        self.crew = Crew(self.threads)
        self.crew.__enter__()
        return self

    def __exit__(self, kind, error, traceback):
        try:
            if error is not None:
                self.end()
        finally:
            self.crew.__exit__(kind, error, traceback)

    def begin(self, training):
        """Begins a training once there is room for it, and goes on with the others meanwhile."""
        while self.under_way >= self.most:
            self.turn()
        self.under_way += 1
        self.go_on(training)
        self.hand_out()

    def finish(self):
        """Goes on until no training is under way. The last one has all threads."""
        while self.under_way:
            if self.under_way == 1 and self.waiting and self.waiting[0].run.thread_count.most > 1:
                self.alone(self.waiting.pop())
            else:
                self.turn()

    def begin_alone(self, training):
        """Trains on all threads, while no other training is under way."""
        self.finish()
        self.under_way += 1
        self.go_on(training)
        if self.waiting:
            self.alone(self.waiting.pop())

    def alone(self, training):
        """Runs the only training that is under way on all threads, up to its end."""
        self.crew.__exit__(None, None, None)
        try:
            while self.go_on_in_turn(training):
                self.look()
                self.waiting.remove(training)
        finally:
            self.crew = Crew(self.threads)
            self.crew.__enter__()

    def turn(self):
        """Takes back what is done and hands out what waits; if there was nothing to take back, runs a chunk itself."""
        self.look()
        idle = True
        for line in self.crew.lines:
            for training, ticks in line.done():
                self.latest, idle = ticks * self.tick, False
                training.run.spent = self.latest, 0
                self.go_on(training)
        self.hand_out()
        if self.waiting and idle:
            self.run_one(self.waiting.pop())
        elif idle:
            time.sleep(NAP)

    def go_on(self, training, error=None):
        """Goes on with a training to its next chunk, which then waits, or to its end."""
        if training.go_on(self.refusal() if self.refusal and not error else error):
            self.waiting.append(training)
        else:
            self.under_way -= 1

    def hand_out(self):
        """Gives waiting chunks to the workers."""
        most = 2 if self.latest > LONG else AHEAD
        for line in self.crew.lines if self.tick else ():
            while self.waiting and len(line.waiting) < most:
                training = self.waiting.pop(0)
                if not self.post(line, training):
                    self.waiting.append(training)
                    break

    def post(self, line, training):
        """Has a line run the chunk of a training, whose error in the preparation it is; returns whether it could be."""
        try:
            job = training.prepare()
        except BaseException as error:
            self.go_on(training, error)
            return True
        if job is not None:
            line.post(job, training)
        return job is not None

    def run_one(self, training):
        """Runs a chunk in this thread, and goes on with its training."""
        own, start = self.crew.own, time.perf_counter()
        if not self.post(own, training):
            return self.go_on_in_turn(training)
        if not own.waiting:  # it could not be prepared
            return None
        own.run()
        seconds = time.perf_counter() - start
        ((_, ticks),) = own.done()
        self.tick = self.tick or seconds / max(1, ticks)
        self.latest, training.run.spent = seconds, (seconds, 0)
        return self.go_on(training)

    def go_on_in_turn(self, training):
        """Runs a chunk by the executor of the model, and goes on; returns whether the training does."""
        before = self.under_way
        try:
            training.run.advance(training.stop)
        except BaseException as error:
            self.go_on(training, error)
        else:
            self.go_on(training)
        return self.under_way == before

    def end(self):
        """Ends all that is under way with a KeyboardInterrupt, at the last complete step."""
        for line in self.crew.lines:
            line.close()
            self.waiting += [training for training, _ in line.done()] + list(line.waiting)
            line.waiting.clear()
        for training in self.waiting:
            while training.go_on(KeyboardInterrupt()):  # it has caught that: no further step is run
                pass
        self.waiting = []
