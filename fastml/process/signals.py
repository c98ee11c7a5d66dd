"""Signals where the exceptions of their handlers would do harm: Ctrl-C, alarms of time limits, a polite end.

Python calls a handler in the main thread between any two lines, and what it raises unwinds from there.
"""

import signal
import threading
from _signal import getsignal  # that of `signal` makes an enumeration of each answer, which takes thirty times as long
from contextlib import contextmanager, nullcontext
from threading import get_ident

# Those that come from outside or from a clock. The rest is the processor's word on a fault, or ends the process.
NAMES = "INT TERM ALRM HUP QUIT USR1 USR2 BREAK VTALRM PROF CHLD CONT TSTP TTIN TTOU PIPE IO PWR URG WINCH XCPU XFSZ"
SIGNALS = [getattr(signal, f"SIG{name}") for name in NAMES.split() if hasattr(signal, f"SIG{name}")]


def ends_process(handler):
    """Marks a handler that raises nothing but ends the process: it need not wait, see `hold_interrupts`."""
    handler.ends_process = True
    return handler


class HeldSignals:
    """Signals that have a handler in Python are kept, while `holding`, until `check` or the end."""

    def __init__(self, every):
        self.every, self.thread = every, get_ident()
        self.holding, self.handlers, self.held = True, {}, {}  # by number of the signal
        self.alone = self.ended = False  # whether blocks within this one leave signals to it

    def install(self):
        """Takes the place of the handlers as they are now, also of those that somebody has set in between."""
        for number in SIGNALS:
            handler = getsignal(number)
            if handler == self.keep or type(handler) is int:  # is none of Python's, as most
                continue
            while (left := kept_by(handler)) and left.ended:  # by a block that an exception has kept from tidying up
                handler = left.handlers[number]
                signal.signal(number, handler)
            if not callable(handler) or handler == self.keep:
                continue
            if self.every or not getattr(handler, "ends_process", False):
                self.handlers[number] = handler
                signal.signal(number, self.keep)

    @property
    def here(self):
        """Whether it holds signals back in this thread, the main one; a fork may have made another that."""
        return self.holding and self.thread == get_ident()

    def keep(self, number, frame):
        if self.here:
            self.held[number] = frame
        else:
            self.handlers[number](number, frame)

    def check(self):
        """Calls the handlers of the signals that were kept, all of them, and raises what they do."""
        if self.held:
            number, frame = self.held.popitem()
            try:
                self.handlers[number](number, frame)
            finally:
                self.check()

    @contextmanager
    def holding_alone(self):
        """Has blocks within this one leave signals to it, also those that outlive it: there, nothing is checked."""
        before, self.alone = self.alone, True
        try:
            yield
        finally:
            self.alone = before

    @contextmanager
    def pause(self, check=True):
        """Lets signals count at once, as in code of the user's, which may take its time."""
        self.holding = False
        try:
            if check:
                self.check()
            yield
        finally:
            if not self.ended:
                self.holding = True
                self.install()

    def end(self):
        """Puts the handlers back and calls those that are due. From the first line on, signals count again."""
        self.ended, self.holding = True, False
        left, raised = list(self.handlers.items()), None
        while left:
            try:
                while left:
                    number, handler = left[-1]
                    if getsignal(number) == self.keep:
                        signal.signal(number, handler)
                    left.pop()
            except BaseException as error:  # of a handler, as a signal has come in between
                raised = error
        try:
            self.check()
        finally:
            if raised is not None:
                raise raised


def kept_by(handler):
    """The HeldSignals whose handler it is, or None."""
    owner = getattr(handler, "__self__", None)
    return owner if isinstance(owner, HeldSignals) else None


class Left:
    """In place of a HeldSignals where signals are left to a block around, or, in other threads, where there are none.

    It may outlive that block, and come to be within another.
    """

    held = {}

    def check(self):
        pass

    @contextmanager
    def pause(self, check=True):
        outer = kept_by(getsignal(signal.SIGINT))
        with outer.pause(check=False) if outer and outer.here else nullcontext():
            yield

    @contextmanager
    def holding_alone(self):
        yield


@contextmanager
def hold_interrupts(every=False):
    """Lets signals count only at the end of the block, or where it asks for it: gives a HeldSignals.

    A step of the reference executor must be whole, as one of the compiled executor is, and so must a copy of the
    weights. Where Python happens to be in a callback, of LLVM while it compiles or of a weak reference that the garbage
    collector found, it would drop the exception, and the Ctrl-C with it. A handler that only ends the process need not
    wait, unless `every` is to. Threads other than the main one have no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Left()
        return
    outer = kept_by(getsignal(signal.SIGINT))
    if outer and outer.here:  # this block is within another, whose signals count here as well
        if outer.alone:
            yield Left()
            return
        yield outer
        outer.check()
        return
    hold = HeldSignals(every)
    try:
        hold.install()
        yield hold
    finally:
        hold.end()
