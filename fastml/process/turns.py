"""Processes that need the same: one makes it, the others wait for that."""

import os
import sys
import time
from contextlib import suppress

from fastml.process.signals import hold_interrupts

try:
    import fcntl
except ImportError:  # Windows, where each process makes its own
    fcntl = None

PATIENCE = 300  # seconds; a busy machine may take as long to compile


class Turn:
    """A lock on a file of this path, which the system takes from a process that ends. The file is removed with it."""

    def __init__(self, path):
        self.path, self.file, self.mine = path, None, False

    def wait(self):
        """Waits while another process has the lock, but not for ever. Whether it had; if not, this one has it now.

        Where there can be no lock there is none, and nobody waits.
        """
        waited, end = False, time.monotonic() + PATIENCE
        try:
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666) if fcntl else None
            with hold_interrupts() as hold:
                while fcntl and not self._take():
                    if not waited and sys.stderr.isatty():
                        print("\rfastml: waiting for another process, which compiles the same …", file=sys.stderr)
                    waited = True
                    if time.monotonic() > end:  # it may have been stopped
                        break
                    hold.check()
                    time.sleep(0.05)
        except OSError:  # a folder that cannot be written to, a file system without locks
            self.end()
        except BaseException:
            self.end()
            raise
        return waited

    def _take(self):
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.mine = True
        except BlockingIOError:
            pass
        return self.mine

    def end(self):
        """Lets the others go on, if it is this one's turn."""
        if self.file is None:
            return
        with suppress(OSError):
            if self.mine:
                self.path.unlink()
                fcntl.flock(self.file, fcntl.LOCK_UN)  # a child process may have the file open, too
        with suppress(OSError):
            os.close(self.file)
        self.file, self.mine = None, False
