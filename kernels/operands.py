"""What the arguments of a kernel are, written as the annotations of its parameters.

An operand says which fields an instruction has for it, by name, and how the argument is found through them: an
expression in terms of the job, its arrays, the instruction `s` and the thread's slice. Both executors read it: the
compiled one as a part of an operation's entry, the reference as plain Python.
"""

from typing import NamedTuple

from fastml.kernels.job import ARRAYS

PLACE, CONSTANT = "i8", "f8"  # kinds of fields: a place or a size, and a number


class Operand(NamedTuple):
    """An argument of a kernel.

    source : the expression that gives it. fields : of the instruction, name to kind. buffer, shape : the array it is a
    view of, and how far it goes from the place that the field `place` holds; names are sizes in the instruction.
    """

    source: str
    fields: dict
    buffer: str | None = None
    shape: tuple = ()
    place: str = ""


class Declared:
    """An operand whose argument's name is still to come."""

    def __init__(self, make):
        self.make = make

    def named(self, name):
        return self.make(name)


def places(*names):
    return dict.fromkeys(names, PLACE)


def sizes_of(*shape):
    """Those of the sizes that an instruction tells, as opposed to numbers."""
    return places(*(size for size in shape if isinstance(size, str)))


def text(*shape):
    """Sizes as they stand in an expression."""
    return ", ".join(f"s.{size}" if isinstance(size, str) else str(size) for size in shape)


def rows_of(first, count, width):
    def make(name):
        source = f"rows(work, s.{name}, {first}, {count}, {text(width)})"
        return Operand(source, places(name) | sizes_of(width), "work", ("height", width), name)

    return Declared(make)


def Rows(width):
    """(m, width): the slice's rows of a matrix in the workspace."""
    return rows_of("slice_.at", "slice_.m", width)


def BatchRows(width):
    """(n, width): all rows of the batch of a matrix in the workspace."""
    return rows_of("0", "slice_.n", width)


def SummedRows(width):
    """(count, width): the rows that a gradient of weights is summed over, of a matrix in the workspace."""
    return rows_of("slice_.source", "slice_.count", width)


def Column():
    """(m,): an element for each row of the slice, in the workspace, in which all rows of a batch have one."""
    return Declared(
        lambda name: Operand(f"vector(work, s.{name} + slice_.first, slice_.m)", places(name), "work", ("batch",), name)
    )


def BatchColumn():
    """(n,): an element for each row of the batch, in the workspace."""
    return Declared(lambda name: Operand(f"vector(work, s.{name}, slice_.n)", places(name), "work", ("batch",), name))


def Workspace(size):
    """(size,): a vector in the workspace."""
    return Declared(
        lambda name: Operand(
            f"vector(work, s.{name}, {text(size)})", places(name) | sizes_of(size), "work", (size,), name
        )
    )


def Scratch(size):
    """(size,): room in the workspace that each thread has for itself; what it holds does not last."""
    return Declared(
        lambda name: Operand(
            f"vector(work, s.{name} + slice_.thread * s.{size}, s.{size})",
            places(name, size),
            "work",
            ("threads", size),
            name,
        )
    )


def Weights(*shape):
    """A parameter, a matrix or a vector."""

    def make(name):
        view = "matrix" if len(shape) == 2 else "vector"
        return Operand(
            f"{view}(params, s.{name}, {text(*shape)})", places(name) | sizes_of(*shape), "params", shape, name
        )

    return Declared(make)


def Gradient(of, *shape):
    """The gradient of the parameter `of`: the part of it that is summed over the rows of one shard."""

    def make(name):
        view = "matrix" if len(shape) == 2 else "vector"
        source = f"{view}(grads, slice_.shard * job.params_size + s.{of}, {text(*shape)})"
        return Operand(source, places(of) | sizes_of(*shape), "params", shape, of)

    return Declared(make)


PART = "left, length = part(s.size, slice_)"  # what stands before an expression that has these names


def part_of(buffer, offset):
    """(size of the thread's part,): of neighbouring parameters, or of what belongs to them in another buffer."""

    def make(name):
        source = f"vector({buffer}, {offset}s.W + left, length)"
        return Operand(source, places("W", "size"), "params", ("size",), "W")

    return Declared(make)


def Part():
    """A thread's part of the parameters from W on, which are `size`."""
    return part_of("params", "")


def GradientPart(shard=0):
    """The gradient of a thread's part of the parameters."""
    return part_of("grads", f"{shard} * job.params_size + " if shard else "")


def StatePart(number):
    """The optimizer's state, array `number`, for a thread's part of the parameters."""
    return part_of("state", f"{number} * job.params_size + " if number else "")


def PartPlace():
    """Where a thread's part of the parameters starts among all of them."""
    return Declared(lambda name: Operand("s.W + left", places("W", "size")))


def Whole(buffer):
    """All parameters from W on, which are `size`, or what belongs to them in another buffer."""
    return Declared(
        lambda name: Operand(f"vector({buffer}, s.W, s.size)", places("W", "size"), "params", ("size",), "W")
    )


def ColumnSlice(size):
    """A pair: the first and the one behind the last of `size` columns, those that are the thread's."""
    return Declared(lambda name: Operand(f"slice_of(s.{size}, slice_.thread, slice_.threads)", places(size)))


def RowSlice(of, d_in, d_out):
    """A pair: the first and the one behind the last row of the parameter `of` that are the thread's."""
    source = f"rows_of_thread(s.size, s.{of}, s.{d_in}, s.{d_out}, slice_, job.block)"
    return Declared(lambda name: Operand(source, places("size", of, d_in, d_out)))


def Size():
    """An int64 of the instruction."""
    return Declared(lambda name: Operand(f"s.{name}", places(name)))


def Number():
    """A float64 of the instruction."""
    return Declared(lambda name: Operand(f"s.{name}", {name: CONSTANT}))


def Function():
    """An elementwise function, as `elementwise.apply` takes it: its address, and the instruction, which has alpha."""
    return Declared(lambda name: Operand("apply", {"function": PLACE, "apply": PLACE, "alpha": CONSTANT}))


def OfJob(name):
    """A field of the job, or one of its arrays."""
    return Declared(lambda _: Operand(name if name in ARRAYS else f"job.{name}", {}))


def OneOfJob(*names):
    """One of the job's arrays, which the instruction chooses by its number among these."""
    return Declared(lambda name: Operand(f"({', '.join(names)})[s.{name}]", {name: PLACE}))


def OfSlice(name):
    """A field of the slice."""
    return Declared(lambda _: Operand(f"slice_.{name}", {}))


def Job():
    """The JOB itself."""
    return Declared(lambda _: Operand("job", {}))


def Slice():
    """The SLICE itself."""
    return Declared(lambda _: Operand("slice_", {}))


def Totals():
    """(epochs · columns,) float64: sums over the rows of an epoch of the loss and of each score."""
    return Declared(lambda _: Operand("totals", {}))
