"""Forks: a child process gets the memory of its parent as it is, with all locks, but only the thread that forked.

Whoever has a lock, or memory that a thread is changing, joins here. Before a fork, each member comes to rest and stays
there until the fork is over, so that the child finds nothing half done and no lock that nobody will open.
"""

import os
import threading
import weakref

_members = weakref.WeakKeyDictionary()  # in the order in which they joined
_one_at_a_time = threading.RLock()
_resting = []


def join(member):
    """From now on asks a member to come to rest: `before_fork()`, then `after_fork(in_child)` in both processes.

    Members are asked in the order in which they joined: who holds the lock of one may wait for those that joined later.
    """
    _members[member] = True


def _before():
    _one_at_a_time.acquire()
    for reference in _members.keyrefs():  # a list, which another thread that joins does not change
        member = reference()
        if member is not None:
            member.before_fork()
            _resting.append(member)


def _after_in_parent():
    while _resting:
        _resting.pop().after_fork(in_child=False)
    _one_at_a_time.release()


def _after_in_child():
    global _one_at_a_time
    while _resting:
        _resting.pop().after_fork(in_child=True)
    _one_at_a_time = threading.RLock()


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
