"""The compiled executor: one function that trains every model, because a model is data to it."""

from numba import njit

from fastml.kernels import instruction as op
from fastml.kernels.steps import run_steps
from fastml.kernels.subnormals import flush_subnormals, restore_control
from fastml.kernels.team import WORKER, call_workers, leave, sleep_at, wait_for_workers
from fastml.kernels.views import at_address


def build_executor():
    """The executor, compiled at its first call for a dtype; `fastml.compiled` keeps it on disk."""

    @njit(nogil=True, error_model="numpy")
    def run(address, thread, zero):
        """Runs a job as its first thread, with its workers, and returns when all are done; see `run_steps`.

        Or, where `thread` is -1, serves as the WORKER at this address, from job to job, and never returns.
        """
        control = flush_subnormals()
        serves = thread < 0
        while True:
            job_address, number = address, 0
            if serves:
                worker = at_address(WORKER, address, 1)[0]
                sleep_at(worker.lock)
                job_address, number = worker.job, worker.thread
            job = at_address(op.JOB, job_address, 1)[0]
            workers = max(0, job.threads - 1)
            if not serves:
                call_workers(job_address, at_address(0, job.workers, workers), workers)
            run_steps(job_address, number, zero)
            if not serves:
                wait_for_workers(job.arrived, workers)
                break
            leave(job.arrived)
        restore_control(control)

    return run
