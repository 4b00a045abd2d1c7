"""pandas and Spark frames -> columns. Types that are known are read off, never found by a loop over values.

A pandas column is required unless it holds a null. A Spark column is required whatever Spark says of
it (as in MLflow: its nullability is seldom more than a default), a field of a struct as Spark says.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert import report_duplicates
from sparksig.convert.arrow import TENSOR_KEY, source
from sparksig.convert.numpy import source as numpy_source
from sparksig.convert.objects import from_objects, is_exact_double, is_vector, mixed_finding, quiet_nans
from sparksig.errors import (
    Code,
    ConversionError,
    Finding,
    InferenceError,
    SignatureTypeError,
    kind,
    step,
)
from sparksig.infer.arrow import column_type
from sparksig.infer.python import type_of
from sparksig.lattice import NULL
from sparksig.narrowing import find_narrowest_type
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, DataType, Type

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

__all__ = ["from_frame", "from_series", "from_struct"]


def from_frame(frame: pd.DataFrame) -> Schema:
    """The schema of a DataFrame's columns; the index does not count.

    Raises:
        InferenceError: no column, labels that are no names or stand twice, columns without one type;
            every finding.

    Example:
        >>> from_frame(pd.DataFrame({"a": [1, 2], "b": ["x", None]}))
        ['a': long (required), 'b': string (optional)]
    """
    labels = list(frame.columns)
    expected = "one column of that name" + ("" if len(set(labels)) < len(labels) else ", as text")
    findings = report_duplicates([str(label) for label in labels], expected)
    specs = [
        _column(frame.iloc[:, i], label, findings, alone=len(labels) == 1) for i, label in enumerate(labels)
    ]
    if not labels:
        findings.append(Finding(Code.EMPTY, "", "at least one column", "none"))
    if findings:
        raise InferenceError.of("no signature for this DataFrame", findings)
    return Schema([spec for spec in specs if spec is not None])


def from_series(series: pd.Series) -> Schema:
    """The schema of one column, by the Series' name.

    Raises:
        InferenceError: no type, or a Series with nulls but without a name (unnamed columns are required).
    """
    findings: list[Finding] = []
    spec = _column(series, series.name, findings, alone=True)
    if findings or spec is None:
        raise InferenceError.of("no signature for this Series", findings)
    return Schema([spec])


def from_struct(struct: StructType) -> Schema:
    """The schema of a Spark DataFrame's columns, by its ``schema`` alone: no Spark job.

    Raises:
        InferenceError: no column, columns of one name, or types that no signature has; every finding.
    """
    from sparksig.convert.spark import from_spark
    from sparksig.convert.spark import source as spark_source

    if any(TENSOR_KEY in (field.metadata or {}) for field in struct.fields):
        try:
            return from_spark(struct)  # the metadata describes tensors
        except ConversionError as error:
            raise InferenceError.of("no signature for this Spark DataFrame", error.findings) from None
    findings: list[Finding] = []
    names = struct.names
    findings += report_duplicates(names)
    if not names:
        findings.append(Finding(Code.EMPTY, "", "at least one column", "none"))
    types = [
        find_narrowest_type(spark_source(field.dataType), step(field.name), findings)
        for field in struct.fields
    ]
    if findings:
        raise InferenceError.of("no signature for this Spark DataFrame", findings)
    void = [spark_source(field.dataType) == NULL for field in struct.fields]  # holds nothing but nulls
    return Schema(
        [ColSpec(t, name, required=not v) for t, name, v in zip(types, names, void) if t is not None]
    )


def _column(column: pd.Series, label: Hashable, findings: list[Finding], *, alone: bool) -> ColSpec | None:
    path = step(label)
    dtype = _type(column, path, findings)
    try:
        if label is None and not alone:
            raise SignatureTypeError("a column among others needs a name: None is none")
        spec = ColSpec(AnyType() if dtype is None else dtype, label)  # type: ignore[arg-type]
    except SignatureTypeError as error:
        findings.append(
            Finding(Code.INVALID_NAME, path, "a string or an integer", kind(label), error.message)
        )
        return None
    if dtype is None:
        return None
    missing = bool((quiet_nans(column) if column.dtype == object else column).isna().any())
    if spec.name is None and missing:
        hint = "a column without a name must be required: name it"
        findings.append(Finding(Code.INVALID_NAME, "", "a name for a column with nulls", "none", hint))
        return None
    return ColSpec(dtype, spec.name, required=not missing)


def _type(column: pd.Series, path: str, findings: list[Finding]) -> Type | None:
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _object_type(column, path, findings)
    if isinstance(dtype, np.dtype):
        return find_narrowest_type(numpy_source(dtype), path, findings)
    if isinstance(dtype, pd.CategoricalDtype):
        return _type(dtype.categories.to_series(), path, findings)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return DataType.datetime
    try:
        if isinstance(dtype, pd.ArrowDtype) and pa.types.is_nested(dtype.pyarrow_dtype):
            return column_type(_chunked(column), path, findings)
        arrow = pa.array(column.iloc[:0], from_pandas=True).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, AttributeError):
        name = f"Sparse[{dtype.subtype}]" if isinstance(dtype, pd.SparseDtype) else str(dtype)
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a supported type", name))
        return None
    return find_narrowest_type(source(arrow), path, findings)


def _chunked(column: pd.Series) -> pa.ChunkedArray:
    array = pa.array(column, from_pandas=True)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


_NESTED = (list, tuple, dict, np.ndarray)


def _object_type(column: pd.Series, path: str, findings: list[Finding]) -> Type | None:
    """The one type of a column of Python objects."""
    if column.empty:
        return DataType.string  # MLflow's reading of an object column without rows
    values = column.tolist()
    forms = set(map(type, values))
    if str in forms or any(issubclass(form, _NESTED) or is_vector(form) for form in forms):
        return type_of(values, path, findings)
    array = None if Decimal in forms else from_objects(column)
    if array is None:
        dtype = type_of(values, path, findings)
        if dtype is DataType.datetime:  # out of range, or of several zones: enforcing the example says which
            return dtype
        if dtype is not None:
            findings.append(mixed_finding(values, path))
        return None
    if pa.types.is_null(array.type):
        # a NaN is a float, None and NA are of no type
        return DataType.double if any(issubclass(form, float) for form in forms) else AnyType()
    if pa.types.is_int64(array.type) and array.null_count and type(pd.NA) not in forms:
        # None beside integers is float64 for pandas, and double for MLflow; as long as none would change
        return DataType.double if is_exact_double(array) else DataType.long
    return find_narrowest_type(source(array.type), path, findings)
