"""Linking: each instruction of a program gets the address of its kernel, which is then compiled, or loaded from disk.

What no program needs is not compiled. On a machine, a kernel is compiled once for each dtype.
"""

import ctypes
import sys
from functools import cache, partial

import numpy as np
from numba import njit, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from fastml.kernels import elementwise, operation
from fastml.kernels.cpu import BITS
from fastml.kernels.elementwise import FUNCTIONS, emit
from fastml.kernels.executor import BARE, run_job
from fastml.kernels.operation import INSTRUCTION, NOTHING
from fastml.kernels.operations import OPERATIONS
from fastml.kernels.simd import real_type
from fastml.process import forks
from fastml.process.signals import hold_interrupts
from fastml.program import sources
from fastml.program.code_cache import CodeCache

sources.KERNELS.confirm()  # all of them are imported

DTYPES = ("float32", "float64")
REALS = {"float32": types.float32, "float64": types.float64}
EXECUTOR = "executor"  # its name among those of the operations, without a dtype
ERASED = "\x1b[K"  # for terminals: the line is empty from here on
CUSTOM_KEPT = 256  # files of users' functions, which share one name

_addresses = {}  # of what is compiled, by name and dtype
_sources = {}  # the operations and functions that they are of: another one after a reload
_kept = []  # what the addresses are in: it must not be freed
compiled = []  # names and dtypes of what was compiled in this process, rather than loaded
_lock, _numba_lock = forks.Lock(), forks.Lock(global_compiler_lock._lock)  # in the order in which they are taken


def version():
    """A text that changes with any source file of the kernels and with the width of vectors; None where unsure."""
    digest = sources.KERNELS.digest()
    return None if digest is None else f"{digest} {BITS}"


def check_dtype(dtype):
    """The name of a dtype that there is code for; ValueError for others."""
    try:
        name = None if dtype is None else np.dtype(dtype).name
    except TypeError:
        name = None
    if name not in DTYPES:
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return name


def compiled_entry(name, dtype):
    """The library with the entry of an operation, compiled by Numba, and its symbol there."""
    entry = njit(error_model="numpy", **BARE)(operation.named(name).entry())
    entry.compile(types.void(types.int64, types.int64, types.int64, types.DType(REALS[dtype])))
    (result,) = entry.overloads.values()
    return result.library, result.fndesc.llvm_func_name


@global_compiler_lock
def compiled_function(name, dtype):
    """The library with an elementwise function, compiled by LLVM alone, and its symbol there."""
    symbol = f"fastml_{name}_{dtype}"
    library = cpu_target.target_context.codegen().create_library(symbol)
    library.enable_object_caching()
    module = library.create_ir_module(symbol)
    emit(module, symbol, real_type(REALS[dtype]), elementwise.named(name).formula)
    library.add_ir_module(module)
    library.finalize()
    return library, symbol


def compiled_executor():
    """The library with the executor, and its symbol there. It knows no dtype."""
    run = njit(error_model="numpy", **BARE)(run_job)
    run.compile(types.void(types.int64, types.int64))
    (result,) = run.overloads.values()
    return result.library, result.fndesc.llvm_func_name


def code_of(name):
    """Where the code of the executor, an operation or an elementwise function is kept."""
    if is_custom(name):
        return CodeCache(emit, version, "custom", CUSTOM_KEPT)
    kernel = run_job if name == EXECUTOR else OPERATIONS[name].kernel.py_func if name in OPERATIONS else emit
    return CodeCache(kernel, version, name)


def is_custom(name):
    return name in operation.CUSTOM or name in elementwise.CUSTOM


def source_of(name):
    """The Operation or Function of a name, None for the executor."""
    registries = OPERATIONS, operation.CUSTOM, FUNCTIONS, elementwise.CUSTOM
    return next((registry[name] for registry in registries if name in registry), None)


def key_of(name, dtype):
    """The key that code is kept under."""
    return (name, dtype) if is_custom(name) else dtype


def stored(name, dtype):
    """Whether compiled code is on disk."""
    return code_of(name).has(key_of(name, dtype))


def announce(name):
    """Says in the line of the progress bar, on a terminal, what is compiled, as it is not on the disk."""
    if sys.stderr.isatty():
        shown = "a function of your own" if is_custom(name) else name
        print(f"\r{ERASED}fastml: compiling {shown}, once on this machine …", end="", file=sys.stderr, flush=True)


def conclude():
    """Takes the line of `announce` away."""
    if sys.stderr.isatty():
        print(f"\r{ERASED}", end="", file=sys.stderr, flush=True)


def build(name, dtype):
    """The address of the executor, an operation's entry or an elementwise function, loaded from disk or compiled."""

    def compile_here():
        announce(name)
        if name == EXECUTOR:
            return compiled_executor()
        is_operation = name in OPERATIONS or name in operation.CUSTOM
        return (compiled_entry if is_operation else compiled_function)(name, dtype)

    library, symbol, anew = code_of(name).library(key_of(name, dtype), compile_here)
    if anew:
        compiled.append((name, dtype))
    _kept.append(library)
    return library.get_pointer_to_function(symbol)


@cache
def executor(alone=False):
    """The executor as a function of the address of a job, or of a worker, and of 0 or -1; see `run_job`.

    Other threads of Python run meanwhile, unless it is to be alone: to change over to them takes longer than a short
    job. The first arguments are room for a result and an error, of which a compiled function of Numba's has none here.
    """
    kind = ctypes.PYFUNCTYPE if alone else ctypes.CFUNCTYPE
    function = kind(ctypes.c_int32, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2)(address(EXECUTOR, None))
    room = (ctypes.c_void_p * 2)()
    _kept.append(room)
    places = [ctypes.addressof(room) + 8 * k for k in range(2)]
    return partial(function, *places)


def lacking(wanted):
    """Those of some names with dtypes that are not ready."""
    return [pair for pair in wanted if pair not in _addresses or _sources.get(pair) is not source_of(pair[0])]


def ready(wanted):
    """Has names of operations and elementwise functions ready, pairs with dtypes: compiled or loaded from disk."""
    missing = lacking(wanted)
    if not missing:
        return
    before = len(compiled)
    with _lock, hold_interrupts(), global_compiler_lock:
        for pair in missing:
            source = source_of(pair[0])
            if pair not in _addresses or _sources.get(pair) is not source:
                _addresses[pair], _sources[pair] = build(*pair), source
    if len(compiled) > before:
        conclude()


def everything(dtype):
    """The names of all that there is for a dtype, as pairs."""
    return [(EXECUTOR, None), *((name, dtype) for name in (*OPERATIONS, *FUNCTIONS))]


def needed_by(instructions, dtype):
    """What a program needs, as pairs of name and dtype."""
    found = {operation.NUMBERED[op].name for op in instructions["op"].tolist() if op != NOTHING}
    found |= {elementwise.NUMBERED[number].name for number in instructions["function"].tolist() if number}
    return [(EXECUTOR, None), *((name, dtype) for name in sorted(found))]


def linked(instructions):
    """Whether the instructions of a program have the addresses of their kernels."""
    return not ((instructions["kernel"] == 0) & (instructions["op"] != NOTHING)).any()


def link_if_ready(instructions, dtype):
    """`link` where nothing has to be compiled or loaded for it."""
    if not linked(instructions) and not lacking(needed_by(instructions, dtype)):
        link(instructions, dtype)


def link(instructions, dtype):
    """Writes addresses into the instructions of a program, if one has none.

    Those of kernels last: another thread that finds them all there goes on with the program at once.
    """
    if linked(instructions):
        return
    op = instructions["op"]
    ready(needed_by(instructions, dtype))
    for field, numbers, known in (
        ("apply", instructions["function"], elementwise.NUMBERED),
        ("kernel", op, operation.NUMBERED),
    ):
        instructions[field] = [_addresses[known[number].name, dtype] if number else 0 for number in numbers.tolist()]


def address(name, dtype):
    """The address of the code of an operation or an elementwise function, which is compiled or loaded if need be."""
    ready([(name, dtype)])
    return _addresses[name, dtype]


def bound(name, dtype, alpha=0.0):
    """An elementwise function as kernels take it outside of a program: a pair of addresses, and what must outlive them.

    The pair is its own address, and that of an instruction that has its alpha.
    """
    instruction = np.zeros(1, INSTRUCTION)
    instruction["alpha"] = alpha
    return (address(name, dtype), instruction.ctypes.data), instruction
