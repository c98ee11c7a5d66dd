"""Ctrl-C where it would do harm."""

import signal
import threading
from contextlib import contextmanager


class Hold:
    """A Ctrl-C that comes while this is installed is kept until `check` or the end."""

    def __init__(self, handler):
        self.handler, self.held = handler, []

    def install(self):
        signal.signal(signal.SIGINT, self.keep)

    def keep(self, *arguments):
        self.held.append(arguments)

    def check(self):
        """Raises the KeyboardInterrupt that was held back, if one was."""
        if self.held:
            arguments = self.held.pop()
            if callable(self.handler):
                self.handler(*arguments)
            else:  # the system's own, which is installed again by now
                signal.raise_signal(signal.SIGINT)

    @contextmanager
    def pause(self):
        """Lets a Ctrl-C count at once, as in code of the user's, which may take its time."""
        signal.signal(signal.SIGINT, self.handler)
        try:
            self.check()
            yield
        finally:
            self.install()


class NoHold:
    """In place of a Hold where nothing is held back."""

    def check(self):
        pass

    @contextmanager
    def pause(self):
        yield


@contextmanager
def hold_interrupts(any_handler=False):
    """Lets a Ctrl-C count only at the end of the block, or where it asks for it: gives a Hold.

    A step of the reference executor must be whole, as one of the compiled executor is, and threads that meet must all
    come. Where Python happens to be in a callback, of LLVM while it compiles or of a weak reference that the garbage
    collector found, it would drop the exception, and the Ctrl-C with it. Only Python's own handler is held back, unless
    `any_handler`: who has installed another has their reasons. Other threads than the main one get no Ctrl-C.
    """
    handler = signal.getsignal(signal.SIGINT)
    outer = getattr(handler, "__self__", None)
    if isinstance(outer, Hold):  # this block is within another, whose Ctrl-C counts here as well
        yield outer
        outer.check()
        return
    held_back = any_handler or handler is signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or not held_back:
        yield NoHold()
        return
    hold = Hold(handler)
    hold.install()
    try:
        yield hold
    finally:
        signal.signal(signal.SIGINT, handler)
        hold.check()
