"""A backend of joblib that runs the trainings of fastml's estimators side by side, in the process that asks for them.

Each task is a call in a thread of its own. One that comes to train leaves that to the thread which asked for the tasks,
and waits until it is done. That thread prepares the trainings, and workers in machine code run them
(`fastml.training.side_by_side`).
"""

import threading
import time
from collections import deque
from contextlib import contextmanager

from joblib import parallel_config, register_parallel_backend
from joblib.parallel import ParallelBackendBase, SequentialBackend

from fastml.process.signals import hold_interrupts
from fastml.program.threads import get_num_threads, num_threads
from fastml.training.fitting import deadline_of
from fastml.training.run import completed_by
from fastml.training.side_by_side import AHEAD, SideBySide, Training

NAME = "fastml"
PATIENCE = 0.02  # seconds for a task to come back, until another goes on beside it
MOST = 32  # tasks that do so
FAREWELL = 0.5  # seconds for all tasks to end when they are told to; what they compute cannot be ended


class Task:
    """A call in a thread that goes on only when it is told to, until it is over or wants something completed."""

    def __init__(self, call, callback):
        self.call, self.callback = call, callback
        self.go, self.back = threading.Semaphore(0), threading.Semaphore(0)
        self.over = self.told = False  # and whether that has been taken note of
        self.result = self.error = None
        self.steps = None  # a generator that it wants completed
        self.outcome = None  # what that has returned and raised
        self.thread = None

    def start(self):
        """Lets the call go on, or begin."""
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, daemon=True)
            self.thread.start()
        self.go.release()

    def _run(self):
        self.go.acquire()
        try:
            with completed_by(self._completed):
                if self.outcome:  # it is told to end before it has begun
                    raise self.outcome[1]
                self.result = self.call()
        except BaseException as error:
            self.error = error
        self.over = True
        self.back.release()

    def _completed(self, steps):
        """What a generator returns or raises once somebody has completed it."""
        if self.outcome is None:
            self.steps = steps
            self.back.release()
            self.go.acquire()
        value, error = self.outcome
        if not isinstance(error, KeyboardInterrupt):  # which is the last word
            self.outcome = None
        if error is not None:
            raise error
        return value


class SideBySideBackend(ParallelBackendBase):
    """Runs tasks, and the trainings in them side by side, whenever the result of one is asked for."""

    supports_inner_max_num_threads = False

    def __init__(self, time_limit=None, tasks=None, **options):
        super().__init__(**options)
        self.deadline, self.tasks = deadline_of(time_limit), tasks
        self.ready, self.under_way, self.begun = deque(), [], []  # tasks that may go on, do, and have not ended
        self.side = None

    def effective_n_jobs(self, n_jobs):
        """As many tasks as keep the threads busy. 1 is for none at a time but one, as everywhere."""
        return 1 if n_jobs == 1 else self.tasks or AHEAD * get_num_threads()

    def submit(self, func, callback=None):
        """Takes a task, which begins when a result is asked for."""
        task = Task(func, callback)
        self.ready.append(task)
        return task

    apply_async = submit

    def retrieve_result(self, task, timeout=None):
        """Goes on with all tasks until this one is over; returns its result, or raises its error."""
        with hold_interrupts() as hold, hold.holding_alone():
            if self.side is None:
                self.side = SideBySide(get_num_threads(), lambda: None)
                self.side.__enter__()
            self.side.look = hold.check
            while not task.told:
                if time.perf_counter() >= self.deadline:
                    self.side.refusal = late
                self.turn()
        if task.error is not None:
            raise task.error
        return task.result

    def turn(self):
        """Goes on with a task, if one may, or with trainings; looks at the tasks that are under way.

        One at a time, as they would fight for Python's lock, unless it takes its time: it may wait for another.
        """
        wait = PATIENCE
        if self.ready and len(self.under_way) < MOST:
            task = self.ready.popleft()
            self.under_way.append(task)
            if task not in self.begun:
                self.begun.append(task)
            task.start()
        elif self.side.under_way:
            self.side.turn()
            wait = 0
        self.side.look()
        for task in [*self.under_way]:
            if task.back.acquire(timeout=wait if task is self.under_way[-1] else 0):
                self.under_way.remove(task)
                self.come_back(task)

    def come_back(self, task):
        """Takes note of the end of a task, or begins the training that it then waits for."""
        if task.over:
            self.begun.remove(task)
            task.told = True
            task.callback(task)
            return
        steps, task.steps = task.steps, None

        def ended(value, error):
            task.outcome = value, error
            self.ready.append(task)

        self.side.begin(Training(steps, ended))

    def stop_call(self):
        """Ends the workers, which others may want."""
        side, self.side = self.side, None
        if side is not None:
            side.__exit__(None, None, None)

    terminate = stop_call

    def abort_everything(self, ensure_ready=True):
        """Ends all trainings, and all tasks with a KeyboardInterrupt, those under way once they come to train."""
        side, self.side = self.side, None
        error = KeyboardInterrupt()
        if side is not None:
            side.__exit__(KeyboardInterrupt, error, None)
        for task in self.begun:
            task.outcome = None, error
            task.go.release()
        end = time.perf_counter() + FAREWELL
        for task in self.begun:
            task.thread.join(max(0.0, end - time.perf_counter()))
        self.ready.clear(), self.under_way.clear(), self.begun.clear()

    def get_nested_backend(self):
        """Tasks within a task run one after the other."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None


def late():
    return TimeoutError("there was no time left for this training, by time_limit")


register_parallel_backend(NAME, SideBySideBackend)


@contextmanager
def side_by_side(n_threads=None, time_limit=None):
    """Has scikit-learn, and all that uses joblib, run the trainings of fastml's estimators side by side in the block.

    So cross-validations, searches, bagging and the like take the time of their steps, on all cores: whole trainings
    run beside each other, without processes that would have to be started and sent the data. Results have the bits that
    one after the other would give. It counts where `n_jobs` is not given, or is not 1.

    Parameters
    ----------
    n_threads : int
        Threads to use; as many as `fastml.get_num_threads` says if not given.
    time_limit : float
        Seconds after which trainings end with a TimeoutError, and others do not begin: those of a search count as
        failed, so that the best of those that are complete is chosen.

    Example
    -------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from fastml.sklearn import MLPClassifier, side_by_side
    >>> X, y = load_iris(return_X_y=True)
    >>> with side_by_side():
    ...     scores = cross_val_score(MLPClassifier(max_iter=300, random_state=0), X, y)
    >>> scores.shape
    (5,)
    """
    with num_threads(n_threads), parallel_config(backend=NAME, n_jobs=-1, time_limit=time_limit):
        yield
