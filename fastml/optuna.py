"""Optuna's studies with trainings side by side: trials are asked for as threads come free, and train together.

Needs the extra ``optuna``.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterable

from fastml.attributes import positive_integer
from fastml.chunks import joblib_for
from fastml.program.threads import get_num_threads, num_threads
from fastml.training.fitting import deadline_of
from fastml.training.progress import check_verbose, make_nets_progress

__all__ = ["optimize"]


def optimize(
    study,
    objective: Callable,
    n_trials: int | None = None,
    *,
    time_limit: float | None = None,
    timeout: float | None = None,
    n_threads: int | None = None,
    catch: type[Exception] | Iterable[type[Exception]] = (Exception,),
    callbacks: Iterable[Callable] = (),
    verbose: int | str = "auto",
) -> None:
    """``study.optimize(objective, n_trials)``, with the trainings of several trials side by side on all cores.

    The objective is what Optuna takes: a function of a trial that returns a number, or one for each direction of the
    study. In it `Sequential.fit`, the estimators of `fastml.sklearn` and what scikit-learn does with these give the
    bits that they would give alone, while other trials train; a `fit_many` in it holds up the others. What else is in
    an objective or a callback may run beside others', in threads of Python. A trial is asked for when it begins, while
    up to about twice as many as threads are under way: what a sampler learns from comes later than in a sequence, and
    in an order that depends on the clock. With `n_threads=1` it is a sequence, which repeats exactly.
    Pruning goes as ever, by `trial.report` and `trial.should_prune` in a callback after each epoch; so does
    ``study.stop()``. Optuna's own lines on each trial are not written; `callbacks` may do that.

    Parameters
    ----------
    study : optuna.Study
    objective : function of an optuna.Trial
    n_trials : int
        Trials to make; without end where None, if there is a time_limit.
    time_limit : float
        Seconds after which no trial begins, and those under way end as failed.
    timeout : float
        Optuna's name of `time_limit`.
    n_threads : int
        Threads to use; as many as `fastml.get_num_threads` says if not given.
    catch : exceptions
        Those that fail a trial and let the others go on. Others end the study. There is a warning that counts them; if
        all trials failed, the first error is raised.
    callbacks : list of functions
        Called with the study and optuna's FrozenTrial after each trial.
    verbose : 0, 1 or "auto"
        Show nothing, or a progress bar; "auto" is a bar on a terminal or in a notebook.

    Example
    -------
    >>> import fastml, optuna  # doctest: +SKIP
    >>> def objective(trial):
    ...     units = trial.suggest_int("units", 8, 128, log=True)
    ...     model = fastml.Sequential([fastml.Dense(units, "relu"), fastml.Dense(10, "softmax")])
    ...     model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    ...     history = model.fit(x, y, epochs=10, validation_split=0.2, verbose=0)
    ...     return history.history["val_accuracy"][-1]
    >>> study = optuna.create_study(direction="maximize")
    >>> fastml.optuna.optimize(study, objective, n_trials=200)
    """
    if timeout is not None and time_limit is not None:
        raise ValueError("give time_limit or timeout, not both: they mean the same")
    time_limit = timeout if time_limit is None else time_limit
    if check_verbose(verbose) == 2:
        raise ValueError("verbose must be 0, 1 or 'auto', got 2: there is a line for all trials")
    threads = None if n_threads is None else positive_integer("n_threads", n_threads)
    trials = Trials(study, objective, n_trials, time_limit, catch, callbacks)
    joblib = joblib_for("fastml.optuna")
    from fastml.sklearn import backend  # which needs joblib alone

    trials.progress = make_nets_progress(verbose, n_trials, "trials")
    left = None if time_limit is None else max(trials.deadline - time.perf_counter(), 1e-9)
    try:
        with num_threads(threads):
            count = get_num_threads()
            options = {"time_limit": left, "tasks": count + 1}
            with joblib.parallel_config(backend=backend.NAME, n_jobs=-1, **options):
                calls = (joblib.delayed(trials.run)() for _ in trials.wanted())
                joblib.Parallel(pre_dispatch=1 if count == 1 else "n_jobs")(calls)
    finally:
        trials.conclude()
    trials.check()


class Trials:
    """The trials of one call."""

    def __init__(self, study, objective, n_trials, time_limit, catch, callbacks):
        try:
            import optuna
        except ImportError as error:  # pragma: no cover - the tests run with it
            raise ImportError("fastml.optuna needs optuna: pip install 'fastml-cpu[optuna]'") from error
        if not isinstance(study, optuna.study.Study):
            raise TypeError(f"study must be an optuna.Study, got {type(study).__name__}")
        if not callable(objective):
            raise TypeError(f"objective must be a function of a trial, got {type(objective).__name__}")
        if n_trials is None and time_limit is None:
            raise ValueError("give n_trials, time_limit or both: the study would have no end")
        self.most = n_trials if n_trials is None else positive_integer("n_trials", n_trials)
        self.deadline = deadline_of(time_limit)
        self.catch = (catch,) if isinstance(catch, type) else catch
        if not isinstance(self.catch, (tuple, list, set)) or not all(isinstance(kind, type) for kind in self.catch):
            raise TypeError(f"catch must be a class of exceptions or several, got {catch!r}")
        self.catch = tuple(self.catch)
        self.study, self.objective, self.callbacks, self.optuna = study, objective, list(callbacks), optuna
        self.under_way, self.done, self.errors = {}, 0, []
        self.lock = threading.Lock()  # of these

    def wanted(self):
        """Something for each trial that there is to be."""
        self.study._stop_flag = False  # of an earlier call
        count = 0
        while count != self.most and not self.over:
            count += 1
            yield

    @property
    def over(self):
        """Whether no further trial is to begin."""
        return self.study._stop_flag or time.perf_counter() >= self.deadline

    def run(self):
        """Asks for a trial, runs the objective, tells the study, and calls the callbacks."""
        if self.over:
            return
        trial = self.study.ask()
        with self.lock:
            self.under_way[trial.number] = trial
        states, raised = self.optuna.trial.TrialState, None
        self.study._thread_local.in_optimize_loop = True  # so that `study.stop` may be called
        try:
            values, state = self.objective(trial), None
        except self.optuna.TrialPruned:  # of several objectives Optuna knows no pruning
            values, state = None, states.FAIL if self.study.directions[1:] else states.PRUNED
        except Exception as error:
            values, state, raised = None, states.FAIL, error
        frozen = self.study.tell(trial, values, state=state, skip_if_finished=True)
        with self.lock:
            self.under_way.pop(trial.number, None)
            self.done += 1
        if frozen.state is states.FAIL and state is None:
            raised = ValueError(f"the objective returned {values!r}, but there must be a number for each direction")
        late = isinstance(raised, TimeoutError) and time.perf_counter() >= self.deadline
        if raised and not late:
            self.errors.append((trial.number, raised))
            if not isinstance(raised, self.catch):
                raise raised
        self.progress.update(self.done, 0)
        for callback in self.callbacks:
            callback(self.study, frozen)

    def conclude(self):
        """Fails what is still under way, where an error or a Ctrl-C has ended the study."""
        self.progress.close()
        with self.lock:
            left = list(self.under_way.values())
        for trial in left:
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL, skip_if_finished=True)

    def check(self):
        """Tells how many trials have failed; raises the first error where all have."""
        if not self.errors:
            return
        number, error = self.errors[0]
        if len(self.errors) == self.done:
            raise error
        told = f"{len(self.errors)} of {self.done} trials failed; the first, number {number}, by "
        warnings.warn(f"{told}{type(error).__name__}: {error}", UserWarning, stacklevel=3)
