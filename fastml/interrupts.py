"""Ctrl-C where it would do harm."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def hold_interrupts():
    """Lets a Ctrl-C count only at the end of the block.

    A step of the reference executor must be whole, as one of the compiled executor is, and threads that meet must all
    come. Where Python happens to be in a callback, of LLVM while it compiles or of a weak reference, it would drop the
    exception, and the Ctrl-C with it. Only Python's own handler is held back: who has installed another
    has their reasons. Other threads than the main one get no Ctrl-C.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is not signal.default_int_handler:
        yield
        return
    held = []
    signal.signal(signal.SIGINT, lambda *arguments: held.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held:
            handler(*held[0])
