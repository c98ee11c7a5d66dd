"""The user's data: converted where that is exact, refused by name where it is not."""

import numbers
from math import isfinite

import numpy as np

TEXTS = "; of texts, numpy.unique(…, return_inverse=True) makes numbers, and fastml.sklearn takes them as they are"


class _Alias:
    """Shares an array's memory with NumPy as writable: Numba compiles anew for arrays that are marked read-only."""

    def __init__(self, array):
        self.array = array
        address = array.__array_interface__["data"][0]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}


def as_array(values, name):
    """The values as a numeric NumPy array of any shape; TypeError or ValueError that says what came instead."""
    if type(values) is np.ndarray and values.dtype.kind in "biuf":
        return values
    if type(values).__module__.startswith("scipy.sparse"):
        raise TypeError(f"{name} is a sparse matrix; fastml takes dense arrays: pass {name}.toarray()")
    check_unmasked(values, name)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}") from None
    except Exception as error:
        raise TypeError(f"{name}, a {type(values).__name__}, cannot be read as an array: {error}") from error
    if array.dtype == object:
        for index, value in np.ndenumerate(array):
            if not isinstance(value, (numbers.Real, np.bool_)):
                where = ", ".join(map(str, index))
                raise TypeError(
                    f"{name} has dtype object and holds {type(value).__name__} {value!r} at [{where}]: "
                    "fastml takes numbers" + TEXTS * isinstance(value, str)
                )
            if isinstance(value, numbers.Integral) and not exact_in_float64(value):
                raise ValueError(f"{name} holds the integer {value}, which float64 cannot hold exactly")
        try:
            with np.errstate(over="ignore"):  # what becomes infinite is refused by `convert`
                array = array.astype(np.float64)
        except OverflowError:
            raise ValueError(f"{name} has dtype object and holds a number beyond the range of float64") from None
    if array.dtype.kind not in "biuf":
        hint = TEXTS * (array.dtype.kind in "US")
        raise TypeError(f"{name} has dtype {array.dtype}; fastml takes numbers: float, integer or bool{hint}")
    return array


def check_unmasked(values, name):
    """ValueError for a masked array with masked values, which NumPy would take as they were before."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} is a masked array with masked values: fill them first")


def as_list(values, name, what):
    """The values as a list, [] for None; TypeError where they are no list of things."""
    if values is None:
        return []
    if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} must be a list of {what}, got {type(values).__name__} {values!r}")
    return list(values)


def exact_in_float64(integer):
    try:
        return int(float(integer)) == int(integer)
    except OverflowError:
        return False


def convert(array, name, dtype, shift=None):
    """The array in `dtype`, row by row in memory; ValueError where a value has no place in that dtype.

    Integers must be exact in `dtype`; floats are rounded to it, and must be finite and within its range. From columns
    with a `shift`, float64 (columns,), that is subtracted first, in float64; 0 is none.
    """
    if shift is not None:
        return shifted(array, name, dtype, shift)
    if is_ready(array, dtype):
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        converted = np.require(array, dtype=dtype, requirements=["C", "A"])
    check_converted(array, converted, name)
    return converted if converted.flags.writeable else np.asarray(_Alias(converted))


def is_ready(array, dtype):
    """Whether an array is as `convert` would make it, told soon: a sum of squares that is finite has finite terms."""
    flags = array.flags
    return array.dtype == dtype and flags.carray and isfinite(np.vdot(array, array))


def shifted(array, name, dtype, shift):
    """The array (rows, columns) in `dtype`, a copy, less the shift of each column; ValueError as `convert` does."""
    columns, others = np.flatnonzero(shift), np.flatnonzero(shift == 0)
    with np.errstate(over="ignore", invalid="ignore"):
        converted = np.array(array, dtype=dtype, order="C")
        wide = array[:, columns].astype(np.float64)
        converted[:, columns] = wide - shift[columns]
    check_converted(array[:, others], converted[:, others], name, others)
    check_converted(array[:, columns], wide, name, columns)
    check_converted(wide, converted[:, columns], name, columns)
    return converted


def check_converted(array, converted, name, columns=None):
    """ValueError where a value of the array has no place in the dtype of what it was converted to.

    `columns` are the numbers of the array's columns, where it is but a part of what the user gave.
    """
    dtype = converted.dtype
    if array.dtype.kind in "iu":
        real = np.dtype(dtype).type
        bound = 2 ** (np.finfo(real).nmant + 1)  # up to here every integer is exact
        if int(array.max(initial=0)) > bound or int(array.min(initial=0)) < -bound:
            for value in array[(array > bound) | (array < -bound)].tolist():
                if int(real(value)) != value:
                    raise ValueError(
                        f"{name} holds the integer {value}, which {real.__name__} cannot hold exactly: "
                        f"scale {name}, or convert it to float yourself"
                    )
    finite = np.isfinite(converted)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        count = int(finite.size - np.count_nonzero(finite))
        value = array[where]
        what = "NaN" if np.isnan(value) else "infinity" if np.isinf(value) else f"{value:g}"
        column = where[1:] if columns is None else (int(columns[where[1]]),)
        place = f"row {where[0]}" + (f", column {column[0]}" if column else "")
        reason = "" if not np.isfinite(value) else f", beyond the range of {np.dtype(dtype).name}"
        raise ValueError(f"{name} holds {what} at {place}{reason} ({count} such values): expected finite numbers")


def as_matrix(x, name, width=None):
    """x as an array (rows, width), not empty, of the dtype it came in; any width if None."""
    array = as_array(x, name)
    if array.ndim != 2:
        hint = {
            1: "for one feature pass x.reshape(-1, 1), for one row x.reshape(1, -1)",
            0: "a single number is no data",
        }.get(array.ndim, "flatten each row with x.reshape(len(x), -1)")
        raise ValueError(f"{name} must have shape (rows, features), got {array.shape}: {hint}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")
    if width is not None and array.shape[1] != width:
        raise ValueError(f"{name} has {array.shape[1]} features, but the model takes {width}")
    return array


def as_features(x, name, dtype, width=None, codes=None, shift=None):
    """x as a (rows, width) array of dtype, less the shift of each column; any width if None.

    `codes` says how many categories there are in which columns: these hold 0, 1, …, and nobody else has the array.
    """
    array = as_matrix(x, name, width)
    converted = convert(array, name, dtype, shift)
    if codes:
        if max(codes) >= array.shape[1]:
            raise ValueError(
                f"{name} has {array.shape[1]} features, but Embedding is for column {max(codes)}, from 0 on"
            )
        if np.may_share_memory(converted, array):  # a kernel writes where codes point: nobody may change them later
            converted = converted.copy()
        check_codes(converted, name, codes)
    return converted


def check_codes(x, name, codes):
    """ValueError unless each of these columns of x holds whole numbers from 0 to below the number of its categories."""
    for column, categories in codes.items():
        values = x[:, column]
        right = (values >= 0) & (values < categories) & (values == np.floor(values))
        if not right.all():
            row = int(np.argmin(right))
            raise ValueError(
                f"{name} holds {values[row]:.9g} at row {row}, column {column}, but Embedding expects the codes of its "
                f"{categories} categories there, whole numbers from 0 to {categories - 1}"
            )


def as_row(x, name):
    """A single row, (features,), as a numeric array (1, features)."""
    array = as_array(x, name)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (features,), got {array.shape}: for several rows call predict")
    return array.reshape(1, -1)


def put(values, out, name):
    """Writes the values into `out`, if that is an array of their shape and dtype, and returns it; else the values."""
    if out is None:
        return values
    if not isinstance(out, np.ndarray) or out.shape != values.shape or out.dtype != values.dtype:
        got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(f"{name} must be an array of shape {values.shape} and dtype {values.dtype}, got {got}")
    if not out.flags.writeable:
        raise ValueError(f"{name} is read-only")
    out[...] = values
    return out


def as_targets(y, name, dtype, loss_name, targets, units, rows):
    """y as a (rows, units) array of dtype, or (rows, 1) for labels, checked for what the loss takes."""
    array = as_array(y, name)
    if array.size == 0:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")
    if array.ndim == 0 or len(array) != rows:
        got = "a single number" if array.ndim == 0 else f"{len(array)} rows"
        raise ValueError(f"{name} must have one row for each of the {rows} rows of x, got {got}")
    width = 1 if targets == "labels" else units
    array = as_classes(array, targets, units)
    if array.ndim == 1 and width == 1:
        array = array.reshape(-1, 1)
    if array.shape != (rows, width):
        hint = ""
        if targets == "distributions" and (array.ndim == 1 or array.shape[1:] == (1,)):
            hint = "; for class numbers use the loss 'sparse_categorical_crossentropy'"
        elif targets == "labels" and array.shape == (rows, units):
            hint = "; for one-hot rows use the loss 'categorical_crossentropy'"
        expected = f"({rows},) or ({rows}, 1)" if width == 1 else f"({rows}, {width})"
        raise ValueError(f"{name} has shape {array.shape}, but {loss_name} expects {expected}{hint}")
    if targets == "labels":
        check_labels(array, name, units)
    converted = convert(array, name, dtype)
    if targets == "labels":  # a kernel writes where they point: nobody may change them after the check
        return converted.copy()
    if targets == "counts" and (converted < 0).any():
        row, column = np.argwhere(converted < 0)[0]
        raise ValueError(f"{name} holds {array[row, column]} at row {row}, but {loss_name} expects numbers from 0 on")
    if targets in ("probabilities", "distributions"):
        outside = (converted < 0) | (converted > 1)
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise ValueError(
                f"{name} holds {array[row, column]} at row {row}, but {loss_name} expects probabilities, 0 to 1"
            )
    if targets == "distributions":
        sums = converted.sum(axis=1, dtype=np.float64)
        wrong = np.abs(sums - 1) > 1e-3
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"{name} sums to {sums[row]:g} in row {row}, but {loss_name} expects each row to be one-hot "
                "or a distribution that sums to 1"
            )
    return converted


def as_classes(array, targets, units):
    """One-hot rows for class numbers, and the reverse, where targets can be nothing else; any other array as it is."""
    if targets == "labels" and array.ndim == 2 and array.shape[1] == units > 1:
        ones = array == 1
        if (ones | (array == 0)).all() and (ones.sum(axis=1) == 1).all():
            return ones.argmax(axis=1)
    single = array.ndim == 1 or array.shape[1:] == (1,)
    if targets == "distributions" and single and units > 1:
        numbers = array.reshape(-1, 1)
        if ((numbers >= 0) & (numbers < units) & (numbers == np.floor(numbers))).all():
            return (numbers == np.arange(units)).astype(np.int8)
    return array


def check_labels(array, name, units):
    """ValueError unless the labels are whole numbers from 0 to units - 1."""
    if array.dtype.kind == "f":
        fraction = ~(array == np.floor(array))  # NaN included
        if fraction.any():
            row = int(np.argmax(fraction.any(axis=1)))
            raise ValueError(f"{name} holds {array[row, 0]} at row {row}, but class labels are whole numbers")
    outside = (array < 0) | (array >= units)
    if outside.any():
        row = int(np.argmax(outside.any(axis=1)))
        raise ValueError(
            f"{name} holds the label {array[row, 0]:g} at row {row}, but the {units} outputs of the model stand for "
            f"the labels 0 to {units - 1}"
        )


def split(arrays, share):
    """The arrays without their last rows, and these, or None where the share is 0. An array may be None."""
    if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0 <= share < 1:
        raise ValueError(f"validation_split must be a share of the rows, from 0 to below 1, got {share!r}")
    if share == 0:
        return arrays, None
    share, rows = float(share), len(arrays[0])
    kept = int(round(rows * (1 - share), 9))  # 10 · (1 - 0.9) is a little less than 1
    if not 0 < kept < rows:
        raise ValueError(f"validation_split {share} of {rows} rows leaves nothing to train on or to validate with")
    first = tuple(None if array is None else array[:kept] for array in arrays)
    return first, tuple(None if array is None else array[kept:] for array in arrays)
