"""Forms in which numbers come, and what is no good as numbers: for tests that try them on all that takes data.

Each is a function of a good array of float64. Those of `FORMS` hold the same whole numbers 0 and 1.
"""

import re
import tempfile
from decimal import Decimal
from fractions import Fraction

import numpy as np


def in_file(array, kind="r+"):
    """The array in a memory-mapped file."""
    with tempfile.TemporaryFile() as file:
        file.write(array.tobytes())
        file.flush()
        return np.memmap(file, array.dtype, kind, shape=array.shape)


def strided(array):
    wide = np.full([2 * size for size in array.shape], 7.0)
    inner = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    inner[...] = array
    return inner


def backwards(array):
    every = tuple(slice(None, None, -1) for _ in array.shape)
    return array[every].copy()[every]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    raw[...] = array
    return raw


def objects(kind):
    def form(array):
        values = np.empty(array.shape, object)
        for index, value in np.ndenumerate(array):
            values[index] = kind(int(value))
        return values

    return form


FORMS = {name: (lambda a, dtype=name: a.astype(dtype)) for name in ("float16", "float32", "longdouble", "bool")}
FORMS |= {name: (lambda a, dtype=name: a.astype(dtype)) for name in (">f8", ">f4", ">f2", ">i2", "<u4", ">u8")}
FORMS |= {name: (lambda a, dtype=name: a.astype(dtype)) for name in ("int8", "int64", "uint8", "uint64")}
FORMS |= {
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "negative strides": backwards,
    "negative strides, big-endian": lambda a: backwards(a.astype(">f8")),
    "Fortran order, float32": lambda a: np.asfortranarray(a.astype(np.float32)),
    "read-only": read_only,
    "read-only, big-endian": lambda a: read_only(a.astype(">f4")),
    "unaligned": unaligned,
    "unaligned, big-endian": lambda a: unaligned(a.astype(">f8")),
    "memory-mapped": in_file,
    "memory-mapped, read-only": lambda a: in_file(a, kind="r"),
    "memory-mapped, float32": lambda a: in_file(a.astype(np.float32), kind="c"),
    "masked array, nothing masked": np.ma.array,
    "masked array with a mask of False": lambda a: np.ma.array(a, mask=np.zeros(a.shape, bool)),
    "objects of float": objects(float),
    "objects of int": objects(int),
    "objects of bool": objects(bool),
    "objects of fractions": objects(Fraction),
    "objects of float32": objects(np.float32),
    "lists": lambda a: a.tolist(),
    "tuples of arrays": tuple,
    "lists of int and bool": lambda a: a.astype(int).tolist()[:-1] + a.astype(bool).tolist()[-1:],
    "a subclass": lambda a: a.view(type("Sub", (np.ndarray,), {})),
    "negative zeros": lambda a: np.where(a == 0, -0.0, a),
}


def state(value):
    """What must not change: bytes, strides, flags; of lists, what they hold."""
    if isinstance(value, np.ndarray):
        return value.tobytes(), value.dtype, value.shape, value.strides, value.flags.writeable
    return repr(value)


def spoiled(value, dtype=None):
    """Puts a value into the last place."""

    def form(array):
        array = array.astype(dtype or np.result_type(array, np.asarray(value)))
        array.flat[-1] = value
        return array

    return form


def ragged(array):
    rows = array.tolist()
    return [*rows[:-1], [rows[-1], 1.0]]


class Opaque:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach() first")


BAD = {
    "NaN": spoiled(np.nan),
    "infinity": spoiled(np.inf),
    "minus infinity": spoiled(-np.inf),
    "NaN in float16": spoiled(np.nan, np.float16),
    "infinity in big-endian": spoiled(np.inf, ">f4"),
    "NaN in longdouble": spoiled(np.nan, np.longdouble),
    "NaN among objects": spoiled(float("nan"), object),
    "beyond float64, in longdouble": spoiled(np.longdouble("1e400"), np.longdouble),
    "2**53 + 1": spoiled(2**53 + 1, np.int64),
    "-(2**53) - 1, big-endian": spoiled(-(2**53) - 1, ">i8"),
    "2**64 - 1": spoiled(2**64 - 1, np.uint64),
    "2**53 + 1 among objects": spoiled(2**53 + 1, object),
    "10**400 among objects": spoiled(10**400, object),
    "beyond float64, among objects": spoiled(np.longdouble("1e400"), object),
    "a fraction beyond float64": spoiled(Fraction(10) ** 400, object),
    "a decimal": spoiled(Decimal(1), object),
    "complex": lambda a: a.astype(complex),
    "complex among objects": spoiled(1j, object),
    "text of numbers": lambda a: a.astype(int).astype(str),
    "bytes of numbers": lambda a: a.astype(int).astype("S"),
    "text among objects": spoiled("1", object),
    "None among objects": spoiled(None, object),
    "a list among objects": spoiled([1.0], object),
    "dates": lambda a: a.astype("datetime64[s]"),
    "durations": lambda a: a.astype("timedelta64[s]"),
    "records": lambda a: np.zeros(a.shape, [("a", float), ("b", int)]),
    "masked values": lambda a: np.ma.masked_equal(a, 1),
    "a ragged list": ragged,
    "a single number": lambda a: 1.0,
    "0-d": lambda a: np.array(1.0),
    "3-d": lambda a: np.stack([np.atleast_2d(a)] * 2),
    "4-d": lambda a: a.reshape(*a.shape, *[1] * (4 - a.ndim)),
    "no rows": lambda a: a[:0],
    "no columns": lambda a: a[..., None][..., :0] if a.ndim == 1 else a[:, :0],
    "an empty list": lambda a: [],
    "a row too many": lambda a: np.concatenate([a, a[-1:]]),
    "a column too many": lambda a: np.stack([a, a, a], axis=-1) if a.ndim == 1 else np.concatenate([a, a], axis=1),
    "a dict": lambda a: {"a": 1},
    "a set": lambda a: {1.0, 2.0},
    "a string": lambda a: "numbers",
    "a function": lambda a: np.sum,
    "a generator": lambda a: (row for row in a),
    "what cannot be read": lambda a: Opaque(),
}


def assert_names(name, error):
    assert re.search(rf"(^|[^\w]){re.escape(name)}([^\w]|$)", str(error)), f"{name!r} is not in: {error}"
