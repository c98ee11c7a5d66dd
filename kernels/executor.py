"""The compiled executor: a loop over the instructions of a program, each of which carries the address of its kernel."""

from llvmlite import ir
from numba import njit, types
from numba.core.cgutils import alloca_once
from numba.extending import intrinsic

from fastml.kernels.job import JOB, SLICE
from fastml.kernels.operation import INSTRUCTION
from fastml.kernels.random import shuffle
from fastml.kernels.simd import INDEX
from fastml.kernels.slices import begin_slice
from fastml.kernels.subnormals import flush_subnormals, restore_control
from fastml.kernels.team import WORKER, call_workers, leave, sleep_at, wait_for_all, wait_for_workers
from fastml.kernels.turns import LINE, end_turn, next_turn
from fastml.kernels.views import at_address

KERNEL = INSTRUCTION.fields["kernel"][1]  # bytes from the start of an instruction
SERVES, TURNS = -1, -2  # in place of the number of a thread
SIZE, SLICE_SIZE = INSTRUCTION.itemsize, SLICE.itemsize
BARE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # nobody calls such a function from Python by Numba
ENTRY = types.none(types.int64, types.int64, types.int64, types.DType(types.float64))  # of any dtype, as to machines


@intrinsic
def call_kernel(typingctx, job, instruction, slice_):
    """Calls the entry whose address the instruction holds, all given as addresses; nothing where it is 0."""

    def codegen(context, builder, signature, args):
        place = builder.inttoptr(builder.add(args[1], INDEX(KERNEL)), INDEX.as_pointer())
        address = builder.load(place)
        with builder.if_then(builder.icmp_signed("!=", address, INDEX(0))):
            kind = context.call_conv.get_function_type(ENTRY.return_type, ENTRY.args)
            result, error = (alloca_once(builder, kind.args[k].pointee) for k in (0, 1))
            target = builder.inttoptr(address, kind.as_pointer())
            dtype = ir.Constant(kind.args[-1], None)  # which says nothing at run time
            builder.call(target, [result, error, *args, dtype])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@njit(inline="always", error_model="numpy")
def shuffle_rows(job, age):
    """Draws the order of an epoch, of all rows or of those that are chosen. Overwrites the order."""
    order = at_address(0, job.order, job.order_size)
    shuffle(job.seed, age, order)
    if job.chosen:
        chosen = at_address(0, job.chosen, job.order_size)
        for k in range(order.size):
            order[k] = chosen[order[k]]


@njit(inline="always", error_model="numpy")
def begin_step(job, slice_):
    """The rows and the learning rate of the step; at the start of an epoch, the first thread shuffles its rows."""
    slice_.epoch, slice_.batch = slice_.step // job.steps_per_epoch, slice_.step % job.steps_per_epoch
    slice_.age = job.epoch + slice_.epoch
    slice_.begin = slice_.batch * job.batch_size
    slice_.n = job.rows - slice_.begin if slice_.batch == job.steps_per_epoch - 1 else job.batch_size
    rates = at_address(0.0, job.rates, job.rates_size)
    slice_.rate = rates[min(slice_.step - job.start, job.rates_size - 1)]
    if slice_.batch == 0 and job.shuffles:
        if slice_.thread == 0:
            shuffle_rows(job, slice_.age)
        slice_.barriers += 1
        wait_for_all(job.arrived, slice_.threads, slice_.barriers)
    begin_slice(slice_)
    slice_.batch_loss = 0.0


@njit(inline="always", error_model="numpy")
def run_program(job_address, first, size, slice_address, slice_):
    """Calls the kernels of `size` instructions from the `first` on, one after the other, or as they say."""
    instruction, end = first, first + size * SIZE
    while instruction < end:
        call_kernel(job_address, instruction, slice_address)
        instruction += SIZE
        if slice_.jump >= 0:  # rather than a counter there, which each turn would have to wait for
            instruction = first + slice_.jump * SIZE
            slice_.jump = -1


@njit(error_model="numpy", **BARE)
def run_steps(job_address, slice_address):
    """Runs the steps of a thread's slice, ``step … stop - 1``: the whole program once for each batch, without Python.

    All threads of the job must call this. Overwrites all arrays but program, rates, x, y and weights.
    """
    job, slice_ = at_address(JOB, job_address, 1)[0], at_address(SLICE, slice_address, 1)[0]
    while slice_.step < slice_.stop:
        begin_step(job, slice_)
        run_program(job_address, job.program, job.program_size, slice_address, slice_)
        if slice_.diverged:
            break
        if slice_.batch == job.steps_per_epoch - 1:
            run_program(job_address, job.ending, job.ending_size, slice_address, slice_)
        slice_.step += 1


@njit(error_model="numpy", **BARE)
def run_slice(job_address, thread):
    """Runs steps ``job.step … job.stop - 1`` as one of the job's threads, all of which must call this."""
    job = at_address(JOB, job_address, 1)[0]
    slice_address = job.slices + thread * SLICE_SIZE
    slice_ = at_address(SLICE, slice_address, 1)[0]
    slice_.thread, slice_.threads, slice_.barriers, slice_.diverged = thread, job.threads, 0, 0
    slice_.step, slice_.stop, slice_.t, slice_.loss, slice_.jump = job.step, job.stop, job.t, job.loss, -1
    run_steps(job_address, slice_address)
    slice_.barriers += 1
    wait_for_all(job.arrived, slice_.threads, slice_.barriers)  # before the job changes, every thread has read it
    if thread == 0:
        job.step, job.t, job.loss, job.diverged = slice_.step, slice_.t, slice_.loss, slice_.diverged


@njit(inline="always", error_model="numpy")
def take_turns(address):
    """Runs the jobs of the LINE at an address, one after the other, until there is none."""
    job_address = next_turn(address)
    while job_address:
        run_slice(job_address, 0)
        end_turn(address)
        job_address = next_turn(address)


def run_job(address, thread):
    """Runs a job as its first thread, with its workers, and returns when all are done; see `run_slice`.

    Or, where `thread` is SERVES, serves as the WORKER at this address, from job to job, and never returns; where it is
    TURNS, takes the turns of the LINE at this address. A worker's thread may be TURNS, too.
    """
    control = flush_subnormals()
    serves = thread == SERVES
    while True:
        work, number = address, thread
        if serves:
            worker = at_address(WORKER, address, 1)[0]
            sleep_at(worker.lock)
            work, number = worker.job, worker.thread
        if number == TURNS:
            take_turns(work)
            arrived, workers = at_address(LINE, work, 1)[0].arrived, 0
        else:
            job = at_address(JOB, work, 1)[0]
            arrived, workers = job.arrived, max(0, job.threads - 1)
            if not serves:
                call_workers(work, at_address(0, job.workers, workers), workers)
            run_slice(work, number)
        if not serves:
            wait_for_workers(arrived, workers)
            break
        leave(arrived)
    restore_control(control)
