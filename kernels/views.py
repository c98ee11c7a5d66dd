"""Views into the flat buffers. They own nothing and count no references, so a step touches no shared counter."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array, populate_array


def vector(buffer, offset, size):
    """View of ``size`` elements of the C-contiguous ``buffer`` from ``offset``: shape (size,)."""
    return buffer.ravel()[offset : offset + size]


def matrix(buffer, offset, n, d):
    """View of ``n * d`` elements of the C-contiguous ``buffer`` from ``offset``, row by row: shape (n, d)."""
    return buffer[offset : offset + n * d].reshape(n, d)


def rows(buffer, offset, first, n, d):
    """View of n rows from number ``first`` of the matrix of width d that starts at ``offset``: shape (n, d)."""
    return matrix(buffer, offset + first * d, n, d)


def at_address(example, address, size):
    """The array of ``size`` elements at an address, of the dtype of the example, a number or a dtype."""
    raise NotImplementedError("only compiled code has addresses")


def nothing(array):
    """An empty vector of the array's dtype: shape (0,)."""
    return array.ravel()[:0]


@intrinsic
def _at_address(typingctx, example, address, size):
    view = types.Array(example.dtype if isinstance(example, types.DType) else example, 1, "C")

    def codegen(context, builder, signature, args):
        element = context.get_data_type(view.dtype)
        itemsize = ir.Constant(args[2].type, context.get_abi_sizeof(element))
        array = make_array(view)(context, builder)
        data = builder.inttoptr(args[1], element.as_pointer())
        populate_array(array, data=data, shape=[args[2]], strides=[itemsize], itemsize=itemsize, meminfo=None)
        return array._getvalue()

    return view(example, types.int64, types.int64), codegen


@intrinsic
def _view(typingctx, buffer, offset, shape):
    """An array over ``buffer[offset:]`` without an owner (a slice would carry an atomic reference count)."""
    view = types.Array(buffer.dtype, len(shape), "C")

    def codegen(context, builder, signature, args):
        base = make_array(signature.args[0])(context, builder, args[0])
        itemsize = context.get_abi_sizeof(context.get_data_type(buffer.dtype))
        lengths = cgutils.unpack_tuple(builder, args[2], len(shape))
        strides = [ir.Constant(lengths[0].type, itemsize)]
        for length in reversed(lengths[1:]):
            strides.insert(0, builder.mul(strides[0], length))
        array = make_array(view)(context, builder)
        data = builder.gep(base.data, [args[1]])
        populate_array(array, data=data, shape=lengths, strides=strides, itemsize=itemsize, meminfo=None)
        return array._getvalue()

    return view(buffer, types.intp, shape), codegen


@overload(vector)
def _vector(buffer, offset, size):
    return lambda buffer, offset, size: _view(buffer, offset, (size,))


@overload(matrix)
def _matrix(buffer, offset, n, d):
    return lambda buffer, offset, n, d: _view(buffer, offset, (n, d))


@overload(rows)
def _rows(buffer, offset, first, n, d):
    return lambda buffer, offset, first, n, d: _view(buffer, offset + first * d, (n, d))


@overload(at_address)
def _at_address_of(example, address, size):
    return lambda example, address, size: _at_address(example, address, size)


@overload(nothing)
def _nothing(array):
    return lambda array: _view(array, 0, (0,))
