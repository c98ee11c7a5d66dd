"""When a model may be looked at while a thread trains it: between two chunks, when the training rests."""

import threading
from contextlib import contextmanager
from threading import get_ident

from fastml.process import forks


class Rest:
    """The locks of a model, and its weights as of the last chunk, for threads that do not train it.

    A training is at work (`busy`) but for short rests between chunks and for the time that callbacks take. A guest
    waits for a rest and keeps the training from going on until it is done. A reader does not: it gets the parameters as
    they were at the last rest, an array that nobody changes any more. Only the first reader of some time waits for one.
    """

    def __init__(self):
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.turn = threading.RLock()  # of the trainings of this model
        self.trainer = None  # the thread that trains, if one does
        self.busy = False
        self.guests = set()  # who waits for a rest, or has it
        self.published = None  # parameters as of the last rest, where readers asked for them
        self.asked = self.waiting = 0  # readers since the last rest, and those who wait for one
        self.touched = False  # whether somebody changed the weights, whom a training must not go back behind
        self.lent = {}  # arrays that are read, with the number of readers, by id
        forks.join(self)

    # For the thread that trains

    @contextmanager
    def training(self, end):
        """A training in this thread, at work from the start. At its end it calls `end()`, also in a forked process.

        To be entered where signals are held: an exception in between would leave the model at work for ever.
        """
        self.touched, self.end = False, end
        try:
            self._work(get_ident())
            yield
        finally:
            self._end()

    def _end(self):
        with self.lock:
            self.end()
            self.trainer, self.busy, self.published = None, False, None
            self.changed.notify_all()

    def _work(self, trainer):
        with self.lock:
            self.trainer, self.busy = trainer, True

    @contextmanager
    def resting(self):
        """A longer rest, for code of the user's."""
        with self.lock:
            self.busy, self.published = False, None
            self.changed.notify_all()
        try:
            yield
        finally:
            self._work(self.trainer)

    def pause(self, params):
        """A short rest, with these parameters: guests have it now, and readers get them from now on."""
        with self.lock:
            self.published = params if self.asked or self.waiting else None  # who asks once will ask again
            self.asked = 0
            guests = set(self.guests)  # those who come from now on wait for the next one
            if guests or self.waiting:
                self.busy = not guests
                self.changed.notify_all()
                while guests & self.guests:
                    self.changed.wait()
                self.busy = True

    # For others

    @contextmanager
    def visit(self):
        """A rest of the training, in which this thread alone looks at the model or changes it."""
        with self.lock:
            guest = object()
            try:
                self.guests.add(guest)
                while self.busy and self.trainer != get_ident():
                    self.changed.wait()
                yield
            finally:
                self.guests.discard(guest)
                self.changed.notify_all()

    def read(self, engine):
        """What a reader may read: the parameters of an engine, or those of the last rest of its training.

        To be given back with `give_back`.
        """
        with self.lock:
            array = engine.buffers.params
            if self.busy and self.trainer != get_ident():
                published = self._published()
                array = engine.buffers.params if published is None else published
            entry = self.lent.get(id(array))
            if entry:
                entry[1] += 1
            else:
                self.lent[id(array)] = [array, 1]
            return array

    def _published(self):
        """The parameters of the last rest, once there are some, or None where the training rests by then."""
        self.waiting += 1
        try:
            while self.busy and self.published is None:
                self.changed.wait()
        finally:
            self.waiting -= 1
        self.asked += self.busy
        return self.published if self.busy else None

    def give_back(self, array):
        """Ends the reading of what `read` gave."""
        with self.lock:
            entry = self.lent[id(array)]
            entry[1] -= 1
            if not entry[1]:
                del self.lent[id(array)]

    def shares(self, params):
        """Whether somebody reads these parameters, or may at any moment."""
        return id(params) in self.lent or self.published is params

    # For forks

    def before_fork(self):
        with self.visit():
            self.lock.acquire()

    def after_fork(self, in_child):
        self.lock.release()
        if in_child:
            self.changed = threading.Condition(self.lock)  # nobody waits any more
            self.guests, self.waiting = set(), 0
            if self.trainer != get_ident():
                self.turn = threading.RLock()
                if self.trainer is not None:
                    self._end()
