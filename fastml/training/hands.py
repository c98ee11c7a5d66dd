"""Hands: threads that take one piece of work after the other, each as a whole, while the caller looks on."""

import threading
import time
from contextlib import contextmanager

from fastml.process.signals import ended_by, hold_interrupts

LOOK = 0.05  # seconds between two looks of the caller


class Gate:
    """Lets in as many workers as there are places, or one that needs them all: who waits for that is not overtaken."""

    def __init__(self, places):
        self.places, self.free = places, places
        self.entrance, self.changed = threading.Lock(), threading.Condition()

    @contextmanager
    def taken(self, whole):
        """One place in the ``with`` block, or all."""
        count = self.places if whole else 1
        with self.entrance, self.changed:
            while self.free < count:
                self.changed.wait()
            self.free -= count
        try:
            yield
        finally:
            with self.changed:
                self.free += count
                self.changed.notify_all()


class Hands:
    """So many threads that call ``work(number, item)`` for each of the items, whose errors it keeps to itself.

    Items are drawn one at a time, when a thread is free. `known` is how many there are, None where nobody knows.
    """

    def __init__(self, items, work, threads, known=None):
        self.items, self.work, self.known = enumerate(items), work, known
        self.drawing = threading.Lock()
        self.drawn = self.done = 0
        self.exhausted = False
        self.error = None  # what the items raised instead of one
        self.ended = threading.Event()  # nobody begins anything from then on
        self.finished = threading.Semaphore(0)  # released once for each thread that is through
        self.threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(threads)]

    def last(self, others):
        """Whether, beside so many others, the item that was drawn last is all that there is left to do."""
        return self.exhausted or (self.known is not None and self.drawn + others >= self.known)

    def _draw(self):
        """The next number and item, or None where there is none."""
        with self.drawing:
            if self.exhausted or self.ended.is_set():
                return None
            try:
                found = next(self.items, None)
            except BaseException as error:
                found, self.error = None, error
                self.ended.set()
            self.exhausted = found is None
            self.drawn += not self.exhausted
            return found

    def _serve(self):
        try:
            with ended_by(self.ended):
                while drawn := self._draw():
                    self.work(*drawn)
                    self.done += 1  # for the eye alone
        except BaseException as error:
            self.error = self.error or error
            self.ended.set()
        finally:
            self.finished.release()

    def run(self, look, deadline):
        """Has all items worked on, while it calls `look()` again and again; returns what ended it early, or None.

        That is a KeyboardInterrupt, or a TimeoutError from the deadline on, by `time.perf_counter`. What the items or a
        handler of signals raise is raised here, when all threads are through.
        """
        reason = None
        with hold_interrupts() as hold:
            for thread in self.threads:
                thread.start()
            left = len(self.threads)
            while left:
                left -= self.finished.acquire(timeout=LOOK)
                try:
                    look()
                    hold.check()
                except BaseException as error:
                    reason = reason or error
                    self.ended.set()
                if reason is None and time.perf_counter() >= deadline:
                    reason = TimeoutError()
                    self.ended.set()
        for error in (self.error, reason):
            if error is not None and not isinstance(error, (KeyboardInterrupt, TimeoutError)):
                raise error
        return reason
