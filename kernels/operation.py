"""Operations: what an instruction of a program may be. Each is a kernel whose operands are declared once.

The annotations of a kernel's parameters (`operands`) give the layout of its instruction, and its entry: a function of
three addresses that finds the operands and calls the kernel. An instruction carries the address of its entry, and the
executor calls it. So an operation is compiled by itself, and only where a program needs it.
"""

import inspect
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import NamedTuple

import numpy as np
from numba import njit

from fastml.kernels import job as jobs
from fastml.kernels.operands import PART
from fastml.kernels.slices import part, rows_of_thread, slice_of
from fastml.kernels.views import at_address, matrix, rows, vector

HEADER = {"op": "i8", "kernel": "i8", "function": "i8", "apply": "i8", "alpha": "f8"}  # that all instructions have
WORDS = 32  # of eight bytes: four cache lines
INSTRUCTION = np.dtype([*HEADER.items(), ("words", np.int64, WORDS - len(HEADER))])
NOTHING = 0  # the number of no operation: the executor passes it over

BUFFERS = ("params", "grads", "state", "work", "x", "y", "weights", "outputs")  # of the dtype of the model
OTHERS = {"order": "0", "totals": "0.0"}  # and examples of what the others hold

OPERATIONS = {}  # fastml's, by name
CUSTOM = {}  # those of users' functions, by name
NUMBERED = {}  # all of them, by number
NUMBERS = count(1)  # which no two threads get alike


class Operation(NamedTuple):
    """A kernel, a function for Numba, and its Operands by the names of its parameters, in their order.

    number : what instructions call it; layout : dtype of its instructions; twin : the function of the reference, where
    that is not in `fastml.program.reference`
    """

    name: str
    number: int
    kernel: object
    operands: dict
    layout: np.dtype
    twin: Callable | None = None

    @property
    def fields(self):
        """The names of the fields that an instruction must give."""
        return [name for name in self.layout.names if name not in HEADER]

    @property
    def takes_function(self):
        """Whether an instruction may name an elementwise function, with its alpha."""
        return any("apply" in operand.fields for operand in self.operands.values())

    @property
    def prelude(self):
        """What stands before the arguments, where several share it."""
        return [PART] if any(holds(operand.source, "left") for operand in self.operands.values()) else []

    def entry(self):
        """The function that the executor calls, of the addresses of job, instruction and slice, and the dtype."""
        arguments = ", ".join(operand.source for operand in self.operands.values())
        arrays = [(name, "real") for name in BUFFERS] + list(OTHERS.items())
        views = [f"{name} = at_address({like}, job.{name}, job.{name}_size)" for name, like in arrays]
        needed = [view for view, (name, _) in zip(views, arrays, strict=True) if holds(arguments, name)]
        apply = ["apply = s.apply, instruction"] if self.takes_function else []
        lines = [
            "job = at_address(JOB, job_address, 1)[0]",
            "s = at_address(LAYOUT, instruction, 1)[0]",
            "slice_ = at_address(SLICE, slice_address, 1)[0]",
            *needed,
            *apply,
            *self.prelude,
            f"kernel({arguments})",
        ]
        return defined(f"def {self.name}(job_address, instruction, slice_address, real):", lines, self)

    def arguments(self):
        """The function that gives the kernel's arguments to the reference, as a tuple."""
        names = ", ".join((*BUFFERS, *OTHERS))
        arguments = "".join(f"{operand.source}, " for operand in self.operands.values())
        found = defined(
            f"def {self.name}(job, s, slice_, apply, {names}):", [*self.prelude, f"return ({arguments})"], self
        )
        found.__globals__.update(part=lambda size, slice_: (0, size))  # of one thread
        found.__globals__.update(
            slice_of=lambda size, *_: (0, size), rows_of_thread=lambda size, W, d_in, *_: (0, d_in)
        )
        return found


def holds(expression, name):
    """Whether an expression uses a name."""
    return name in compile(f"({expression},)", name, "eval").co_names


def defined(head, lines, operation):
    """The function of these lines."""
    scope = {"__name__": operation.kernel.py_func.__module__, "kernel": operation.kernel, "LAYOUT": operation.layout}
    scope |= {"JOB": jobs.JOB, "SLICE": jobs.SLICE}
    scope |= {"at_address": at_address, "matrix": matrix, "rows": rows, "vector": vector}
    scope |= {"slice_of": slice_of, "part": part, "rows_of_thread": rows_of_thread}
    exec("\n    ".join([head, *lines]), scope)
    return scope[operation.name]


def operation(kernel=None, *, name=None):
    """Decorator: makes a function, whose parameters are annotated with operands, an operation, compiled by Numba.

    Inlined by Numba into its entry, it costs no compilation of its own. Without the error model, each division would be
    checked for zero, which keeps loops from being vectorized.
    """
    if kernel is None:
        return lambda kernel: operation(kernel, name=name)
    function = kernel if hasattr(kernel, "py_func") else njit(inline="always", error_model="numpy")(kernel)
    register(name or function.py_func.__name__, function)
    return function


def named(name):
    """The Operation of a name."""
    return OPERATIONS.get(name) or CUSTOM[name]


def register(name, kernel, registry=OPERATIONS, twin=None, **instead):
    """An Operation of a kernel; `instead` has operands in place of those of its annotations.

    It replaces one of the same module and function, which has been loaded again.
    """
    if registry is OPERATIONS and name in registry and place_of(registry[name].kernel) != place_of(kernel):
        raise ValueError(f"there is an operation {name!r} already")
    declared = inspect.get_annotations(kernel.py_func) | instead
    parameters = inspect.signature(kernel.py_func).parameters
    lacking = [parameter for parameter in parameters if parameter not in declared]
    if lacking:
        raise TypeError(f"operation {name!r}: the operand {lacking[0]!r} has no annotation that says where it stands")
    operands = {parameter: declared[parameter].named(parameter) for parameter in parameters}
    number = next(NUMBERS)
    made = Operation(name, number, kernel, operands, layout_of(name, operands), twin)
    if registry is OPERATIONS:
        if registry.get(name, made).layout != made.layout:  # programs that there are would read the wrong words
            raise ValueError(f"operation {name!r} has other operands than when it was loaded first: restart Python")
        registry[name] = made
    NUMBERED[number] = made
    return registry.setdefault(name, made)  # another thread may have been there first


def place_of(kernel):
    """Where a kernel was written: module and function."""
    return kernel.py_func.__module__, kernel.py_func.__qualname__


def layout_of(name, operands):
    """The dtype of an operation's instructions: the header, and the fields of its operands, a word each."""
    fields = {}
    for operand in operands.values():
        fields |= operand.fields
    fields = HEADER | {field: kind for field, kind in fields.items() if field not in HEADER}
    if len(fields) > WORDS:
        raise TypeError(f"operation {name!r} has {len(fields) - len(HEADER)} operands, too many for an instruction")
    kinds = [np.dtype(kind) for kind in fields.values()]
    offsets = [8 * k for k in range(len(fields))]
    return np.dtype({"names": [*fields], "formats": kinds, "offsets": offsets, "itemsize": 8 * WORDS})


@cache
def fields_of(number):
    """The fields that an instruction of this operation must have, and those that it may have, two sets."""
    operation = NUMBERED[number]
    return frozenset(operation.fields), frozenset(("function", "alpha") if operation.takes_function else ())


def instruction(op, **fields):
    """An instruction as a dict, checked: TypeError where the operation lacks a field, or knows none of this name."""
    known, optional = fields_of(named(op).number)
    if fields.keys() - optional != known:
        lacking = [field for field in named(op).fields if field not in fields]
        strange = [field for field in fields if field not in known | optional]
        problem = f"has no operand {strange[0]!r}" if strange else f"lacks the operand {lacking[0]!r}"
        raise TypeError(f"the operation {op!r} {problem}")
    return {"op": op, **fields}
