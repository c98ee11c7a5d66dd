"""Explicit vectors. A formula on `Vec` is plain Python that emits LLVM instructions at the full width of this CPU.

Numba's own vectorizer uses half of an AVX-512 register and has no vectorized exp; and code that is given needs no type
inference, so it also compiles several times faster than the loops that it replaces.
"""

import math
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.cpu import BITS, ESTIMATES

INDEX = ir.IntType(64)


def real_type(dtype):
    """The LLVM type of a Numba float type."""
    return {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[dtype]


def lanes(real):
    """Elements in a vector of this type."""
    return BITS // (32 if isinstance(real, ir.FloatType) else 64)


class Vec:
    """A vector in LLVM IR. Operators emit instructions; a Python number becomes the vector of its copies."""

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    @property
    def real(self):
        return self.value.type.element

    @property
    def real_bits(self):
        return 32 if isinstance(self.real, ir.FloatType) else 64

    def of(self, other):
        """`other` as an LLVM value of this vector's type."""
        if isinstance(other, Vec):
            return other.value
        return ir.Constant(self.value.type, [ir.Constant(self.real, float(other))] * self.value.type.count)

    def constant(self, number):
        """The Vec of copies of a number, as wide as this one."""
        return Vec(self.builder, self.of(number))

    def emit(self, instruction, other):
        return Vec(self.builder, getattr(self.builder, instruction)(self.value, self.of(other)))

    def call(self, name, *others):
        """The LLVM intrinsic `name`, which takes vectors of this type and gives one."""
        suffix = f"v{self.value.type.count}f{32 if isinstance(self.real, ir.FloatType) else 64}"
        arguments = [self.value, *map(self.of, others)]
        function = declare(self.builder, f"llvm.{name}.{suffix}", self.value.type, [a.type for a in arguments])
        return Vec(self.builder, self.builder.call(function, arguments))

    def __add__(self, other):
        return self.emit("fadd", other)

    def __sub__(self, other):
        return self.emit("fsub", other)

    def __mul__(self, other):
        return self.emit("fmul", other)

    def __truediv__(self, other):
        return self.emit("fdiv", other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rtruediv__(self, other):
        return Vec(self.builder, self.of(other)) / self

    def __rsub__(self, other):
        return Vec(self.builder, self.of(other)) - self

    def __neg__(self):
        return Vec(self.builder, self.builder.fneg(self.value))

    def __abs__(self):
        return self.call("fabs")

    def sqrt(self):
        """√x, to 1 ulp; to 14 bits where x is not a normal number."""
        inverse = self.estimate("rsqrt14")
        if inverse is None:
            return self.call("sqrt")
        if self.real_bits == 64:  # each step doubles the digits
            inverse = inverse * (1.5 - (self * inverse) * (inverse * 0.5))
        root = self * inverse
        root = (-root).fma(root, self).fma(inverse * 0.5, root)
        return self.where("==", 0.0, self, self.where("<", math.inf, root, self))

    def inverse(self):
        """1 / x, to 1 ulp, for 0 < x ≤ infinity or NaN, if 1 / x is a normal number."""
        inverse = self.estimate("rcp14")
        if inverse is None:
            return 1.0 / self
        for _ in range(self.real_bits // 32):
            inverse = (-self).fma(inverse, 1.0).fma(inverse, inverse)
        return self.where("==", math.inf, 0.0, inverse)

    def estimate(self, name):
        """1/√x (rsqrt14) or 1/x (rcp14) to 14 bits, where the CPU has such estimates, else None.

        From them, a few multiplications are several times as fast as its own square root or division.
        """
        count, kind = self.value.type.count, self.value.type
        if not ESTIMATES or count * self.real_bits != 512:
            return None
        bits = ir.IntType(count)
        name = f"llvm.x86.avx512.{name}.{'ps' if self.real_bits == 32 else 'pd'}.512"
        function = declare(self.builder, name, kind, [kind, kind, bits])
        return Vec(self.builder, self.builder.call(function, [self.value, self.value, bits(2**count - 1)]))

    def fma(self, factor, addend):
        """self · factor + addend, rounded once."""
        return self.call("fma", factor, addend)

    def where(self, comparison, bound, yes, no):
        """`yes` in the lanes where ``self <comparison> bound``, else `no`; a NaN compares false."""
        mask = self.builder.fcmp_ordered(comparison, self.value, self.of(bound))
        return Vec(self.builder, self.builder.select(mask, self.of(yes), self.of(no)))

    def bits(self, change):
        """The vector whose bit patterns, as integers, are ``change(builder, patterns, splat)`` of this one's."""
        integer = ir.IntType(32 if isinstance(self.real, ir.FloatType) else 64)
        kind = ir.VectorType(integer, self.value.type.count)

        def splat(number):
            return ir.Constant(kind, [ir.Constant(integer, number)] * kind.count)

        patterns = change(self.builder, self.builder.bitcast(self.value, kind), splat)
        return Vec(self.builder, self.builder.bitcast(patterns, self.value.type))


def declare(builder, name, result, arguments):
    """The declaration of an LLVM intrinsic; llvmlite's own helper does not know vectors."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def broadcast(builder, scalar, width):
    """The LLVM vector of `width` copies of a scalar."""
    nothing = ir.Constant(ir.VectorType(scalar.type, width), ir.Undefined)
    first = ir.IntType(32)
    one = builder.insert_element(nothing, scalar, first(0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(first, width), [0] * width))


def splat(builder, scalar, width):
    """The Vec of `width` copies of a scalar."""
    return Vec(builder, broadcast(builder, scalar, width))


class Mask(NamedTuple):
    """The first lanes of a vector."""

    bits: ir.Value  # a vector of them, set in these lanes
    count: ir.Value  # an integer: none at or below 0, all from the width on


def mask_for(builder, count, width):
    """The Mask of the first `count` of `width` lanes.

    They are compared as integers that fill a register, which is what a mask is where it has no register of its own.
    """
    lane, most = ir.IntType(BITS // width), INDEX(width)
    least = builder.select(builder.icmp_signed("<", count, most), count, most)
    least = builder.trunc(least, lane) if lane.width < INDEX.width else least
    lane_numbers = ir.Constant(ir.VectorType(lane, width), list(range(width)))
    return Mask(builder.icmp_signed("<", lane_numbers, broadcast(builder, least, width)), count)


def size_of(real):
    """Bytes of a number of this LLVM type."""
    return 4 if isinstance(real, ir.FloatType) else 8


def load(builder, pointer, real, mask=None, width=None):
    """The Vec at a pointer to its first element; 0 in lanes outside the mask, which are not read."""
    kind = ir.VectorType(real, width or lanes(real))
    size = size_of(real)
    if mask is None:
        return Vec(builder, builder.load(builder.bitcast(pointer, kind.as_pointer()), align=size))
    name = f"llvm.masked.load.v{kind.count}f{8 * size}.p0"
    arguments = [builder.bitcast(pointer, kind.as_pointer()), ir.Constant(ir.IntType(32), size), mask.bits]
    arguments.append(ir.Constant(kind, [ir.Constant(real, 0.0)] * kind.count))
    return Vec(builder, builder.call(declare(builder, name, kind, [a.type for a in arguments]), arguments))


def settled(vec):
    """The same Vec, just loaded, to be stored where it stood.

    LLVM makes a load, a selection and a store to the same place one store under a mask, which takes more than ten turns
    of the clock where masks have no registers of their own; not through a `freeze`.
    """
    instruction = ir.instructions.Instruction(vec.builder.block, vec.value.type, "freeze", (vec.value,))
    vec.builder._insert(instruction)
    return Vec(vec.builder, instruction)


def store(builder, vec, pointer, mask=None):
    """Writes a Vec at a pointer to its first element; lanes outside the mask are not written."""
    store_all(builder, [vec], [pointer], mask)


def store_all(builder, vecs, pointers, mask=None):
    """Writes Vecs at pointers to their first elements; lanes outside the mask, which they share, are not written."""
    kind, size, pairs = vecs[0].value.type, size_of(vecs[0].real), list(zip(vecs, pointers, strict=True))
    if mask is None:
        for vec, pointer in pairs:
            builder.store(vec.value, builder.bitcast(pointer, kind.as_pointer()), align=size)
    elif BITS == 512:
        name = f"llvm.masked.store.v{kind.count}f{8 * size}.p0"
        for vec, pointer in pairs:
            target = builder.bitcast(pointer, kind.as_pointer())
            arguments = [vec.value, target, ir.Constant(ir.IntType(32), size), mask.bits]
            builder.call(declare(builder, name, ir.VoidType(), [a.type for a in arguments]), arguments)
    else:
        with builder.if_else(builder.icmp_signed(">=", mask.count, INDEX(kind.count))) as (all_, some):
            with all_:
                store_all(builder, vecs, pointers)
            with some:
                store_some(builder, [vec.value for vec in vecs], pointers, mask.count)


def store_some(builder, left, pointers, count):
    """Writes the first `count` lanes of vectors, less than all: a half, a quarter and so on, as the bits of it say.

    A store under a mask takes more than ten turns of the clock where masks have no registers of their own, these and
    their branches, which go the same way row after row, a few.
    """
    count = builder.select(builder.icmp_signed(">", count, INDEX(0)), count, INDEX(0))
    half, real = left[0].type.count // 2, left[0].type.element
    while half:
        order = ir.VectorType(ir.IntType(32), half)
        lower, upper = (
            [builder.shuffle_vector(v, v, ir.Constant(order, list(lanes_))) for v in left]
            for lanes_ in (range(half), range(half, 2 * half))
        )
        some = builder.and_(count, INDEX(half))
        has = builder.icmp_signed("!=", some, INDEX(0))
        with builder.if_then(has):
            for vector, pointer in zip(lower, pointers, strict=True):
                builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer()), align=size_of(real))
        pointers = [builder.gep(pointer, [some]) for pointer in pointers]
        left, half = [builder.select(has, u, v) for u, v in zip(upper, lower, strict=True)], half // 2


def elementwise(formula, constants_of=None):
    """``run(inputs, outputs, scalars)`` for Numba: outputs[k][i] = formula(inputs[…][i], …, scalars, …)[k].

    All are tuples: inputs and outputs of C-contiguous arrays of one dtype and size, scalars of that dtype. The formula
    takes and gives a Vec for each. Outputs may be inputs.
    """

    @intrinsic
    def run(typingctx, inputs, outputs, scalars):
        def codegen(context, builder, signature, args):
            real = real_type(inputs[0].dtype)
            width = lanes(real)
            arrays = [
                make_array(kind)(context, builder, array)
                for kinds, packed in zip((inputs, outputs), args[:2], strict=True)
                for kind, array in zip(kinds, cgutils.unpack_tuple(builder, packed, len(kinds)), strict=True)
            ]
            pointers = [array.data for array in arrays]
            numbers = cgutils.unpack_tuple(builder, args[2], len(scalars))
            copies = [splat(builder, number, width) for number in numbers]
            constants = constants_of(builder, numbers, width) if constants_of else copies

            def block(start, mask=None):
                places = [builder.gep(pointer, [start]) for pointer in pointers]
                values = [settled(load(builder, place, real, mask)) for place in places[: len(inputs)]]
                results = formula(*values, *constants)
                results = results if isinstance(results, tuple) else (results,)
                for place, result in zip(places[len(inputs) :], results, strict=True):
                    store(builder, result, place, mask)

            size = arrays[0].nitems
            whole = builder.and_(size, ir.Constant(INDEX, -width))
            with cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(width)) as (start, _):
                block(start)
            rest = builder.sub(size, whole)
            with builder.if_then(builder.icmp_signed(">", rest, INDEX(0))):
                block(whole, mask_for(builder, rest, width))
            return context.get_dummy_value()

        return types.void(inputs, outputs, scalars), codegen

    return run
