"""Signals that come at the worst moments: handlers are put back, and count again."""

import os
import signal

import pytest

from fastml.process.signals import HeldSignals, hold_interrupts

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent to this process")


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_signals_wait_for_the_end_of_the_block():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        with hold_interrupts():
            interrupt()
            reached.append("behind")
    assert reached == ["behind"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_pause_lets_them_count():
    with hold_interrupts() as hold:
        with pytest.raises(KeyboardInterrupt):
            with hold.pause():
                interrupt()
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            hold.check()


def test_blocks_within_one_that_holds_alone_pause_it_and_do_not_check():
    with hold_interrupts() as hold, hold.holding_alone():
        with hold_interrupts() as inner:
            interrupt()
            inner.check()
            with inner.pause():  # what has come before is for the outer one
                with pytest.raises(KeyboardInterrupt):
                    interrupt()
        with pytest.raises(KeyboardInterrupt):
            hold.check()


def test_one_that_comes_while_handlers_are_put_back(monkeypatch):
    """Handlers are back, and it counts."""
    own, calls = signal.signal, []

    def interrupted(number, handler):
        if number == signal.SIGINT and handler is signal.default_int_handler and not calls:
            calls.append("came")
            interrupt()
        return own(number, handler)

    with pytest.raises(KeyboardInterrupt):
        with hold_interrupts():
            monkeypatch.setattr(signal, "signal", interrupted)
    monkeypatch.undo()
    assert calls == ["came"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_that_comes_before_handlers_are_put_back(monkeypatch):
    """In a block within code of the user's: what it leaves behind is no handler for the block around."""
    end, armed = HeldSignals.end, []

    def interrupted(self):
        if armed and armed.pop() is not self:
            self.ended, self.holding = True, False  # as in its first line
            interrupt()
        end(self)

    monkeypatch.setattr(HeldSignals, "end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        with hold_interrupts() as outer:
            with outer.pause():
                armed.append(outer)
                with hold_interrupts():
                    pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    with hold_interrupts() as hold:
        pass
    assert hold.ended


def test_one_that_outlives_the_block_around_it_puts_nothing_back():
    """As a training that began in one block and goes on in another."""
    with hold_interrupts() as outer, outer.holding_alone():
        left = hold_interrupts()
        inner = left.__enter__()
    with inner.pause():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with hold_interrupts() as later:
        with inner.pause():
            with pytest.raises(KeyboardInterrupt):
                interrupt()
        assert signal.getsignal(signal.SIGINT) == later.keep
    left.__exit__(None, None, None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
