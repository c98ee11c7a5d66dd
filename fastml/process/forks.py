"""Forks: a child process gets the memory of its parent as it is, with all locks, but only the thread that forked.

Whoever has a lock, or memory that a thread is changing, joins here. Before a fork, each member comes to rest and stays
there until the fork is over, so that the child finds nothing half done and no lock that nobody will open.
"""

import _thread
import os
import threading
import time
import weakref

from fastml.process.signals import hold_interrupts

# Weak references to them in the order in which they joined. They call nothing when a member is gone, as those of a
# WeakKeyDictionary do: there an exception from a signal's handler, and the Ctrl-C with it, would be lost.
_members = []
LEAST = 16
_pruned = LEAST  # how many there were when the dead were last removed, or LEAST
_one_at_a_time = threading.RLock()
_resting = {}  # members, in the order in which they came to rest
_hold = None  # what holds signals back during a fork


def join(member):
    """From now on asks a member to come to rest: `before_fork()`, then `after_fork(in_child)` in both processes.

    Members are asked in the order in which they joined: who holds the lock of one may wait for those that joined later.
    """
    global _pruned
    with _one_at_a_time:
        _members.append(weakref.ref(member))
        if len(_members) > 2 * _pruned:
            _members[:] = [ref for ref in _members if ref() is not None]
            _pruned = max(LEAST, len(_members))


def _before():
    """Brings all members to rest. What a hook raises is lost, and the fork goes on: so signals wait for its end."""
    global _hold
    hold = hold_interrupts()
    entered = hold.__enter__()
    _one_at_a_time.acquire()
    _hold = hold, entered
    while waiting := [member for ref in _members if (member := ref()) and member not in _resting]:
        for member in waiting:
            _resting[member] = True
            member.before_fork()


def _after(in_child):
    for member in reversed(_resting):
        member.after_fork(in_child)
    _resting.clear()


def _after_in_parent():
    _after(in_child=False)
    hold, entered = _hold
    _one_at_a_time.release()
    missed, entered.held = dict(entered.held), {}
    hold.__exit__(None, None, None)
    if missed:  # their handlers may raise, which would be lost here, too
        _thread.start_new_thread(_send_again, (missed,))


def _send_again(numbers):
    time.sleep(0.005)
    for number in numbers:
        os.kill(os.getpid(), number)


def _after_in_child():
    global _one_at_a_time
    _after(in_child=True)
    hold, entered = _hold
    _one_at_a_time, entered.held = threading.RLock(), {}
    hold.__exit__(None, None, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


class Lock:
    """A lock, usable in a ``with`` block by one thread at a time and again by the same, that a fork waits for."""

    def __init__(self, lock=None):
        self.lock = lock or threading.RLock()
        join(self)

    def __enter__(self):
        return self.lock.__enter__()

    def __exit__(self, *error):
        return self.lock.__exit__(*error)

    def before_fork(self):
        self.lock.acquire()

    def after_fork(self, in_child):
        self.lock.release()  # the child's only thread is the one that has acquired it
