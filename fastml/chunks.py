"""Many models on many processes or machines: chunks of them as tasks of joblib, whose backends say where."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool

from numpy.typing import ArrayLike

from fastml.attributes import positive_integer
from fastml.many import Many, check_call, train_many
from fastml.sequential import Sequential
from fastml.tasks import Result, Results, Task, text_of
from fastml.training.fitting import deadline_of
from fastml.training.progress import make_nets_progress

EACH = 4  # chunks for each worker, so that none of them waits long for the last
LOST = BrokenProcessPool, CancelledError  # what loky and Dask raise where a worker was killed, and data of it were lost
MOST = 256  # models in a chunk: what is lost with a worker


def fit_chunks(
    models: Iterable[Sequential | Task | Callable[[], Sequential]],
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    size: int | None = None,
    tries: int = 3,
    verbose: int | str = "auto",
    time_limit: float | None = None,
    **options,
) -> Results:
    """`fit_many` on other processes or machines: chunks of the models are tasks of joblib, by the backend that is set.

    That is processes of this machine, loky, if ``joblib.parallel_config`` does not say otherwise; with "dask" it is
    the cluster of the client. Each worker trains a chunk by `fit_many`, on as many threads as it is told by
    OMP_NUM_THREADS, which both set. The results have the bits of one process. A chunk whose worker was killed is done
    again. Models and functions travel by pickle to other processes; there, those that were given stay as they are. All
    CPUs are used where ``parallel_config`` says nothing of n_jobs, or 1.

    Parameters
    ----------
    models, x, y, verbose, time_limit, options
        As of `fit_many`, but `n_threads`.
    size : int
        Models in a chunk; by default four chunks for each worker, and at most 256 models.
    tries : int
        How often what is left is begun anew after a worker was killed, while no chunk gets done: then its models fail.

    Needs joblib, which comes with scikit-learn. Raises as `fit_many` does.

    Example
    -------
    >>> import fastml, joblib  # doctest: +SKIP
    >>> with joblib.parallel_config("loky", n_jobs=2):
    ...     results = fastml.fit_chunks(tasks, x, y, epochs=20)
    """
    joblib = joblib_for("fit_chunks")
    verbose = check_call("fit_chunks", models, options, verbose, options.get("then"))
    tries, deadline = positive_integer("tries", tries), deadline_of(time_limit)
    end = time.time() + (deadline - time.perf_counter())  # on the clock that other processes have, too
    models = list(models)
    if not models:
        raise ValueError("there are no models to train: models gave none")
    check_different(models)
    backend, n_jobs = joblib.parallel.get_active_backend()
    lists = "list" if not backend.supports_return_generator else "generator_unordered"
    parallel = joblib.Parallel(n_jobs=-1 if n_jobs in (None, 1) else n_jobs, return_as=lists)
    workers = joblib.effective_n_jobs(parallel.n_jobs)
    size = min(MOST, -(-len(models) // (EACH * workers))) if size is None else positive_integer("size", size)
    chunks = {first: models[first : first + size] for first in range(0, len(models), size)}
    many, progress, reason = Many({}, None, deadline), make_nets_progress(verbose, len(models)), None
    try:
        while chunks and tries:
            before = len(chunks)
            calls = [joblib.delayed(trained)(first, chunk, x, y, end, options) for first, chunk in chunks.items()]
            try:
                for first, results in parallel(calls):
                    del chunks[first]
                    many.take(results)
                    progress.update(many.done, many.rows)
            except LOST:  # with what was under way, and what was not yet taken back
                tries -= len(chunks) == before
    except KeyboardInterrupt as error:
        reason = error
    finally:
        progress.close()
    many.exhausted = not reason
    if not reason:
        many.take(killed(chunks))
    return many.conclude(models, len(models), reason, depth=3)


def killed(chunks):
    """The Results of models whose worker was killed each time."""
    for first, models in chunks.items():
        for number in range(first, first + len(models)):
            result = Result(number)
            result.error = RuntimeError(f"model {number}: the worker of its chunk was killed again and again")
            yield result


def trained(first, models, x, y, end, options):
    """A chunk in a worker: the number of its first model, and its Results."""
    left = end - time.time()
    limit = None if left == float("inf") else max(left, 1e-9)
    results = train_many(models, x, y, time_limit=limit, verbose=0, first=first, depth=None, **options)
    for result in results:
        result.error = result.error and sendable(result.error, result.number)
    return first, results


def sendable(error, number):
    """The error, or a RuntimeError with its text where it cannot travel: one that does not, would take all with it."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:
        pass
    told = f"{type(error).__name__}: {text_of(error)}"
    return RuntimeError(told if told.startswith(f"model {number}") else f"model {number}: {told}")


def check_different(models):
    """ValueError where a model is there twice; copies would train it as several."""
    seen = {}
    for number, item in enumerate(models):
        model = item.model if isinstance(item, Task) else item
        if isinstance(model, Sequential) and seen.setdefault(id(model), number) != number:
            raise ValueError(f"model {number} is the same object as model {seen[id(model)]}: make a model for each")


def joblib_for(what):
    """joblib; ImportError with a hint where it is not installed."""
    try:
        import joblib
    except ImportError as error:  # pragma: no cover - the tests run with it
        raise ImportError(f"{what} needs joblib, which comes with scikit-learn: pip install joblib") from error
    return joblib
