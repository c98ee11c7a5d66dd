"""Whole numbers of 64 bits in LLVM IR, for random numbers: formulas on `Words` are plain Python that emits them."""

from llvmlite import ir


class Words:
    """A uint64 in LLVM IR, or a vector of them; a number becomes the like."""

    __array_ufunc__ = None  # so that NumPy's numbers leave the operators to this class

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    def emit(self, instruction, other):
        if not isinstance(other, Words):
            kind = self.value.type
            vector = isinstance(kind, ir.VectorType)
            copies = [ir.Constant(kind.element, int(other))] * kind.count if vector else int(other)
            other = Words(self.builder, ir.Constant(kind, copies))
        return Words(self.builder, getattr(self.builder, instruction)(self.value, other.value))

    def __add__(self, other):
        return self.emit("add", other)

    def __mul__(self, other):
        return self.emit("mul", other)

    def __and__(self, other):
        return self.emit("and_", other)

    def __xor__(self, other):
        return self.emit("xor", other)

    def __rshift__(self, other):
        return self.emit("lshr", other)

    __rmul__ = __mul__
