"""A Series of pandas or polars, or an array of pyarrow, becomes a Column. narwhals reads it, the extra ``tables``."""

import numpy as np

from fastml.data.columns import read_array, read_objects, refused


def read_series(label, series):
    """The Column in a Series of narwhals, or one that narwhals knows; TypeError for one that has no encoding."""
    import narwhals.stable.v2 as nw

    if not isinstance(series, nw.Series):
        series = nw.from_native(series, series_only=True)
    dtype = series.dtype
    if dtype.is_nested():
        raise refused(label, {str(dtype)})
    categorical = isinstance(dtype, (nw.Categorical, nw.Enum))
    zoned = isinstance(dtype, nw.Datetime) and dtype.time_zone is not None
    try:
        if "string_view" in str(getattr(series.to_native(), "dtype", "")):  # of which pandas makes nothing itself
            return read_objects(label, series.to_arrow().to_pylist())
        if objects_of(series, dtype, nw):
            return read_objects(label, series.to_list())
        if categorical:  # pyarrow gives a category where there is none, pandas makes floats of all
            missing = series.is_null().to_numpy()
            array = np.full(len(missing), None, object)
            array[~missing] = series.drop_nulls().to_numpy().astype(object)
        elif isinstance(dtype, nw.Time):
            return read_objects(label, times(series.to_native()))
        else:
            array = series.to_numpy()
    except Exception as error:
        raise TypeError(f"{label}, of {dtype}, cannot be read: {error}") from error
    return read_array(label, array, categorical, zoned)


def objects_of(series, dtype, nw):
    """Whether to read a column by its values as Python has them, which takes longer than an array.

    Integers with gaps would become float64, where large ones have no place.
    """
    if isinstance(dtype, (nw.Int128, nw.UInt128)):
        return True
    gaps = dtype.is_integer() and series.is_null().any()
    return gaps and max(abs(series.max() or 0), abs(series.min() or 0)) > 2**53


def times(native):
    """Times of day as a list; parts of microseconds, which Python's have not, are cut off."""
    if not hasattr(native, "to_list"):  # of pyarrow
        return native.cast("time64[us]", safe=False).to_pylist()
    if "time64[ns]" in str(native.dtype):  # of pandas
        native = native.astype("time64[us][pyarrow]")
    return native.to_list()
