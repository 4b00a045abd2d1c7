"""Columns of Python objects -> Arrow, without changing a value.

An object column has no type of its own: its values decide. What they have in common is found by pandas
and by the set of their Python types; where that is nothing (text beside numbers, times of several zones),
there is no array, instead of one in which something was converted.
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

__all__ = [
    "from_objects",
    "from_times",
    "is_exact_double",
    "is_missing",
    "is_null",
    "is_sparse",
    "is_vector",
    "mixed_finding",
    "quiet_nans",
    "to_series",
]

_PLAIN: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "string": pa.string(),
    "bytes": pa.binary(),
}
_TIMES = frozenset({datetime.date, datetime.datetime, pd.Timestamp, np.datetime64})
_NUMBERS = ("integer", "integer-na", "floating", "mixed-integer-float")


def from_objects(column: pd.Series, target: Type | None = None) -> pa.Array | None:
    """The values of an object column as one Arrow array; None if no one type holds them as they are.

    Args:
        column: of dtype object. None, NaN, NA and NaT are nulls.
        target: what the contract declares, where it is known: Python numbers carry no width, so an int
            reaches a double, or 32 bits, if it fits.

    Example:
        >>> from_objects(pd.Series([1, None], dtype=object), DataType.double).type
        DataType(double)
    """
    column = quiet_nans(column)
    forms = set(map(type, column))
    # pandas takes NaT for a time, and a NaN of 32 bits for a number, whatever stands beside them
    if type(pd.NaT) in forms or (forms & _NARROW and forms - _NARROW - _SILENT):
        column = pd.Series([None if _is_silent(value) else value for value in column], dtype=object)
    if column.isna().all() and column.map(is_null).all():  # the first is quick, and seldom true
        return pa.nulls(len(column), to_arrow(target) if isinstance(target, DataType) else pa.null())
    if forms & _NARROW and forms <= _NARROW | _SILENT and column.isna().all():
        return _floats(column, DataType.float)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    try:
        if kind in _NUMBERS:
            return _numbers(column, target)
        if kind in ("date", "datetime", "datetime64", "mixed") and _types(column) <= _TIMES:
            return _from_times(column)
        if kind in _PLAIN:
            return pa.array(column.to_numpy(), _PLAIN[kind], from_pandas=True)
        if kind == "decimal":
            return pa.array(column.to_numpy(), from_pandas=True)
        if kind == "mixed" and all(issubclass(form, (bytes, bytearray)) for form in _types(column)):
            values = [None if missing else bytes(value) for value, missing in zip(column, column.isna())]
            return pa.array(values, pa.binary())
    except (
        pa.ArrowInvalid,
        pa.ArrowNotImplementedError,
        OverflowError,
        TypeError,
        ValueError,
    ):
        return None
    return None


_NARROW = frozenset({np.float16, np.float32})
_SILENT = frozenset({float, np.float64, type(None), type(pd.NA), type(pd.NaT)})


def _is_silent(value: Any) -> bool:
    return value is pd.NaT or (type(value) in _NARROW and bool(np.isnan(value)))


def quiet_nans(column: pd.Series) -> pd.Series:
    """Return an object column with quiet NaNs for signalling ones, whose comparison raises an exception.

    Example:
        >>> quiet_nans(pd.Series([decimal.Decimal("sNaN")], dtype=object)).isna().tolist()
        [True]
    """
    if not any(issubclass(form, decimal.Decimal) for form in set(map(type, column))):
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
    """A column of pandas' datetimes; of those with a zone, the wall time that they show."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_localize(None)
    values = column.to_numpy()
    return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))


def _has_multiples(column: pd.Series) -> bool:
    """Whether some time counts in multiples of a unit, or finer than nanoseconds: pandas misreads both."""
    units = {np.datetime_data(value.dtype) for value in column if isinstance(value, np.datetime64)}
    return any(count != 1 or unit in ("ps", "fs", "as") for unit, count in units)


def _from_times(column: pd.Series) -> pa.Array | None:
    """Return times of any Python types as one array; None for several zones, or times out of range."""
    if _types(column) == {datetime.date}:
        return pa.array(column.to_numpy(), pa.date32(), from_pandas=True)
    if not _has_multiples(column):
        times = column.infer_objects()
        if times.dtype != object:
            return from_times(times)
    nanoseconds = []
    for value in column:
        if isinstance(value, np.datetime64) and value == value:
            exact = value.astype("datetime64[ns]")
            if exact.astype(value.dtype) != value:  # it was rounded, or wrapped around
                return None
            value = exact
        missing = is_missing(value, DataType.datetime)
        time = None if missing else pd.Timestamp(value).as_unit("ns")  # a date is its midnight
        if time is not None and time.tz is not None:
            return None
        nanoseconds.append(None if time is None else time.value)
    return pa.array(nanoseconds, pa.int64()).cast(pa.timestamp("ns"))


ZONE_HINT = "convert them to one zone explicitly, for example pandas.to_datetime(values, utc=True)"


def mixed_finding(values: Iterable[Any], path: str) -> Finding:
    """Return the finding that the values at a path have no type in common."""
    held = [value for value in values if not is_null(value)]
    forms = set(map(type, held))
    if forms <= _TIMES and (zones := {getattr(value, "tzinfo", None) for value in held}) != {None}:
        actual = "times with and without a time zone" if None in zones else "times of several UTC offsets"
        return Finding(Code.MIXED_TYPES, path, "times of one time zone", actual, ZONE_HINT)
    actual = " and ".join(sorted(form.__name__ for form in forms))
    hint = "make all its values one type, or convert the column explicitly"
    return Finding(Code.MIXED_TYPES, path, "values of one type", actual, hint)


def _types(column: pd.Series) -> set[type]:
    return set(map(type, column[~column.map(is_null).astype(bool)]))


def is_null(value: Any) -> bool:
    """Whether a value says nothing: None, NA, NaT, or a NaN of 64 bits."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def is_missing(value: Any, dtype: Type | None) -> bool:
    """Return whether a value is missing from data of a type: NaN is a value of floats and doubles alone.

    Example:
        >>> is_missing(float("nan"), DataType.string), is_missing(float("nan"), DataType.double)
        (True, False)
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    if dtype in (DataType.float, DataType.double):
        return False
    return isinstance(value, (float, np.floating, np.datetime64)) and bool(value != value)


def is_vector(form: type) -> bool:
    """Return whether a Python type is a vector of Spark ML, dense or sparse; pyspark is not imported."""
    return form.__module__.startswith("pyspark.") and form.__name__ in ("DenseVector", "SparseVector")


def is_sparse(value: Any) -> bool:
    """Return whether a value is a sparse matrix of SciPy: a dok_matrix is a dictionary as well."""
    return type(value).__module__.partition(".")[0] == "scipy" and hasattr(value, "toarray")


def _numbers(column: pd.Series, target: Type | None) -> pa.Array | None:
    missing = column.isna().to_numpy()
    held = column[~missing].tolist()
    forms = set(map(type, held))
    if len(forms) == 1 and issubclass(form := forms.pop(), np.number):
        return _filled(np.array(held, dtype=form), missing)
    if any(issubclass(form, (bool, np.bool_, np.longdouble)) for form in forms):
        return None
    ints = [int(value) for value in held if not isinstance(value, (float, np.floating))]
    largest = max(map(abs, ints), default=0)
    real = target if target in EXACT_INTEGERS else DataType.double
    if target is real or len(ints) < len(held):
        if largest <= EXACT_INTEGERS[real]:
            return _floats(column, target)
        if len(ints) < len(held):
            return None
    limit = 2 ** INTEGER_BITS[DataType.integer]
    fits = target is DataType.integer and all(-limit <= value < limit for value in ints)
    return _filled(np.array(ints, dtype=np.int32 if fits else np.int64), missing)


def _floats(column: pd.Series, target: Type | None) -> pa.Array:
    """Beside floats, a NaN is a value, as None and NA are not."""
    missing = np.array([value is None or value is pd.NA or value is pd.NaT for value in column], dtype=bool)
    held = np.array(column[~missing].tolist(), dtype=np.float64)
    if target is DataType.float:
        with np.errstate(over="ignore"):
            narrow = held.astype(np.float32)
        if np.array_equal(narrow.astype(np.float64), held, equal_nan=True):
            return _filled(narrow, missing)
    return _filled(held, missing)


def _filled(held: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]) -> pa.Array:
    values = np.zeros(len(missing), dtype=held.dtype)
    values[~missing] = held
    return pa.array(values, mask=missing, from_pandas=False)


def is_exact_double(array: pa.Array) -> bool:
    """Whether all integers of an array are doubles as well.

    Example:
        >>> is_exact_double(pa.array([2**53 + 1]))
        False
    """
    span = pc.min_max(array).as_py()
    return span["min"] is None or max(map(abs, span.values())) <= EXACT_INTEGERS[DataType.double]
