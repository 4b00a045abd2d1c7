"""Lossless conversion of pandas columns of Python objects to Arrow.

The type of an object column is inferred from its values. If the values have no common type (such as strings
and numbers, or times of several zones), the column is not converted.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.convert.arrow import to_arrow
from sparksig.errors import Code, Finding
from sparksig.scalars import EXACT_INTEGERS, INTEGER_BITS
from sparksig.types import DataType, Type

_PLAIN: dict[str, pa.DataType] = {"boolean": pa.bool_(), "string": pa.string(), "bytes": pa.binary()}
_TIMES = frozenset({datetime.date, datetime.datetime, pd.Timestamp, np.datetime64})
_NUMBERS = ("integer", "integer-na", "floating", "mixed-integer-float")


def from_objects(column: pd.Series, target: Type | None = None) -> pa.Array | None:
    """Convert an object column to an Arrow array; return None if no single type holds its values exactly.

    Python numbers have no width: if the declared type is given, ints that fit become doubles, or integers of
    32 bits.

    Example:
        >>> from_objects(pd.Series([1, None], dtype=object), DataType.double).type
        DataType(double)
    """
    column = quiet_nans(column)
    classes = set(map(type, column))
    # pandas infers times from NaT, and numbers from a NaN of 32 bits, for any other values
    if type(pd.NaT) in classes or (classes & _NARROW and classes - _NARROW - _NULL_CLASSES):
        column = pd.Series([None if _is_typed_null(value) else value for value in column], dtype=object)
    if column.isna().all() and column.map(is_null).all():  # the first condition is fast and rarely true
        return pa.nulls(len(column), to_arrow(target) if isinstance(target, DataType) else pa.null())
    if classes & _NARROW and classes <= _NARROW | _NULL_CLASSES and column.isna().all():
        return _convert_floats(column, DataType.float)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    try:
        if kind in _NUMBERS:
            return _convert_numbers(column, target)
        if kind in ("date", "datetime", "datetime64", "mixed") and _get_value_types(column) <= _TIMES:
            return _convert_times(column)
        if kind in _PLAIN:
            return pa.array(column.to_numpy(), _PLAIN[kind], from_pandas=True)
        if kind == "decimal":
            return pa.array(column.to_numpy(), from_pandas=True)
        if kind == "mixed" and all(issubclass(cls, (bytes, bytearray)) for cls in _get_value_types(column)):
            values = [None if missing else bytes(value) for value, missing in zip(column, column.isna())]
            return pa.array(values, pa.binary())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError, TypeError, ValueError):
        return None
    return None


_NARROW = frozenset({np.float16, np.float32})
_NULL_CLASSES = frozenset({float, np.float64, type(None), type(pd.NA), type(pd.NaT)})


def _is_typed_null(value: Any) -> bool:
    return value is pd.NaT or (type(value) in _NARROW and bool(np.isnan(value)))


def quiet_nans(column: pd.Series) -> pd.Series:
    """Replace signalling NaNs in an object column by quiet NaNs: comparing signalling NaNs raises an error.

    Example:
        >>> quiet_nans(pd.Series([decimal.Decimal("sNaN")], dtype=object)).isna().tolist()
        [True]
    """
    if not any(issubclass(cls, decimal.Decimal) for cls in set(map(type, column))):
        return column
    values = [
        decimal.Decimal("NaN") if isinstance(value, decimal.Decimal) and value.is_snan() else value
        for value in column
    ]
    return pd.Series(values, index=column.index, name=column.name, dtype=object)


def to_series(values: pd.Series | pd.Index | pd.api.extensions.ExtensionArray) -> pd.Series:
    """Return an index or an array of pandas as a series; a MultiIndex as its tuples."""
    return pd.Series(values.to_flat_index() if isinstance(values, pd.MultiIndex) else values)


def from_times(column: pd.Series) -> pa.Array:
    """Convert a column of pandas datetimes; those with a time zone become local times."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_localize(None)
    values = column.to_numpy()
    return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))


def _has_multiples(column: pd.Series) -> bool:
    """Return whether times count multiples of a unit, or are finer than nanoseconds: pandas misreads both."""
    units = {np.datetime_data(value.dtype) for value in column if isinstance(value, np.datetime64)}
    return any(count != 1 or unit in ("ps", "fs", "as") for unit, count in units)


def _convert_times(column: pd.Series) -> pa.Array | None:
    """Convert times of any Python types; return None for several zones, or times out of range."""
    if _get_value_types(column) == {datetime.date}:
        return pa.array(column.to_numpy(), pa.date32(), from_pandas=True)
    if not _has_multiples(column):
        times = column.infer_objects()
        if times.dtype != object:
            return from_times(times)
    nanoseconds = []
    for value in column:
        if isinstance(value, np.datetime64) and value == value:
            exact = value.astype("datetime64[ns]")
            if exact.astype(value.dtype) != value:  # it was rounded, or has wrapped around
                return None
            value = exact
        missing = is_missing(value, DataType.datetime)
        time = None if missing else pd.Timestamp(value).as_unit("ns")  # a date is its midnight
        if time is not None and time.tz is not None:
            return None
        nanoseconds.append(None if time is None else time.value)
    return pa.array(nanoseconds, pa.int64()).cast(pa.timestamp("ns"))


ZONE_HINT = "convert them to one zone explicitly, for example pandas.to_datetime(values, utc=True)"


def build_mixed_finding(values: Iterable[Any], path: str) -> Finding:
    """Build the finding that the values at a path have no common type."""
    values = [value for value in values if not is_null(value)]
    classes = set(map(type, values))
    if classes <= _TIMES and (zones := {getattr(value, "tzinfo", None) for value in values}) != {None}:
        actual = "times with and without a time zone" if None in zones else "times of several UTC offsets"
        return Finding(Code.MIXED_TYPES, path, "times of one time zone", actual, ZONE_HINT)
    actual = " and ".join(sorted(cls.__name__ for cls in classes))
    hint = "make all its values one type, or convert the column explicitly"
    return Finding(Code.MIXED_TYPES, path, "values of one type", actual, hint)


def _get_value_types(column: pd.Series) -> set[type]:
    return set(map(type, column[~column.map(is_null).astype(bool)]))


def is_null(value: Any) -> bool:
    """Return whether a value is None, NA, NaT, or a NaN of 64 bits."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def is_missing(value: Any, dtype: Type | None) -> bool:
    """Return whether a value is missing in data of a type; for floats and doubles, NaN is not missing.

    Example:
        >>> is_missing(float("nan"), DataType.string), is_missing(float("nan"), DataType.double)
        (True, False)
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    if dtype in (DataType.float, DataType.double):
        return False
    return isinstance(value, (float, np.floating, np.datetime64)) and bool(value != value)


def is_vector(cls: type) -> bool:
    """Return whether a Python type is a vector of Spark ML, dense or sparse; pyspark is not imported."""
    return cls.__module__.startswith("pyspark.") and cls.__name__ in ("DenseVector", "SparseVector")


def is_sparse(value: Any) -> bool:
    """Return whether a value is a sparse matrix of SciPy: a dok_matrix is a dictionary as well."""
    return type(value).__module__.partition(".")[0] == "scipy" and hasattr(value, "toarray")


def _convert_numbers(column: pd.Series, target: Type | None) -> pa.Array | None:
    is_null = column.isna().to_numpy()
    numbers = column[~is_null].tolist()
    classes = set(map(type, numbers))
    if len(classes) == 1 and issubclass(cls := classes.pop(), np.number):
        return _insert_nulls(np.array(numbers, dtype=cls), is_null)
    if any(issubclass(cls, (bool, np.bool_, np.longdouble)) for cls in classes):
        return None
    integers = [int(number) for number in numbers if not isinstance(number, (float, np.floating))]
    largest = max(map(abs, integers), default=0)
    float_type = target if target in EXACT_INTEGERS else DataType.double
    if target is float_type or len(integers) < len(numbers):
        if largest <= EXACT_INTEGERS[float_type]:
            return _convert_floats(column, target)
        if len(integers) < len(numbers):
            return None
    limit = 2 ** INTEGER_BITS[DataType.integer]
    fits = target is DataType.integer and all(-limit <= number < limit for number in integers)
    return _insert_nulls(np.array(integers, dtype=np.int32 if fits else np.int64), is_null)


def _convert_floats(column: pd.Series, target: Type | None) -> pa.Array:
    """Convert floats; None and NA are nulls, but NaN is a value."""
    is_null = np.array([value is None or value is pd.NA or value is pd.NaT for value in column], dtype=bool)
    doubles = np.array(column[~is_null].tolist(), dtype=np.float64)
    if target is DataType.float:
        with np.errstate(over="ignore"):
            floats = doubles.astype(np.float32)
        if np.array_equal(floats.astype(np.float64), doubles, equal_nan=True):
            return _insert_nulls(floats, is_null)
    return _insert_nulls(doubles, is_null)


def _insert_nulls(numbers: np.ndarray[Any, Any], is_null: np.ndarray[Any, Any]) -> pa.Array:
    values = np.zeros(len(is_null), dtype=numbers.dtype)
    values[~is_null] = numbers
    return pa.array(values, mask=is_null, from_pandas=False)


def is_exact_double(array: pa.Array) -> bool:
    """Return whether a double represents each integer of an array exactly.

    Example:
        >>> is_exact_double(pa.array([2**53 + 1]))
        False
    """
    span = pc.min_max(array).as_py()
    return span["min"] is None or max(map(abs, span.values())) <= EXACT_INTEGERS[DataType.double]
