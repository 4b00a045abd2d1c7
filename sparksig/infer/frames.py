"""Inference of columns from pandas and Spark frames. Known types are never inferred from the values.

A pandas column is required unless it contains a null. A Spark column is always required, as in MLflow: Spark
declares most columns nullable by default. A field of a struct is required unless Spark declares it nullable.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert import report_duplicates
from sparksig.convert.arrow import to_source
from sparksig.convert.fields import TENSOR_KEY
from sparksig.convert.numpy import to_source as numpy_to_source
from sparksig.convert.objects import build_mixed_finding, from_objects, is_exact_double, is_vector, quiet_nans
from sparksig.errors import (
    Code,
    ConversionError,
    Finding,
    InferenceError,
    SignatureTypeError,
    name_type,
    quote,
)
from sparksig.infer.arrow import infer_column_type
from sparksig.infer.python import infer_type
from sparksig.lattice import NULL
from sparksig.narrowing import find_narrowest_type
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, DataType, Type

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


def from_frame(frame: pd.DataFrame) -> Schema:
    """Infer the columns of a DataFrame; its index is ignored.

    Raises:
        InferenceError: there is no column, labels are not names or are duplicates, or columns do not have a
            single type; all findings.

    Example:
        >>> from_frame(pd.DataFrame({"a": [1, 2], "b": ["x", None]}))
        ['a': long (required), 'b': string (optional)]
    """
    labels = list(frame.columns)
    expected = "one column of that name" + ("" if len(set(labels)) < len(labels) else ", as text")
    findings = report_duplicates([str(label) for label in labels], expected)
    is_only = len(labels) == 1
    specs = [
        _infer_column(frame.iloc[:, i], label, findings, is_only=is_only) for i, label in enumerate(labels)
    ]
    if not labels:
        findings.append(Finding(Code.EMPTY, "", "at least one column", "none"))
    if findings:
        raise InferenceError.of("no signature for this DataFrame", findings)
    return Schema([spec for spec in specs if spec is not None])


def from_series(series: pd.Series) -> Schema:
    """Infer one column, which has the name of the Series.

    Raises:
        InferenceError: the values have no type, or an unnamed Series has nulls: unnamed columns are required.
    """
    findings: list[Finding] = []
    spec = _infer_column(series, series.name, findings, is_only=True)
    if findings or spec is None:
        raise InferenceError.of("no signature for this Series", findings)
    return Schema([spec])


def from_struct(struct: StructType) -> Schema:
    """Infer the columns of a Spark DataFrame from its ``schema``, without a Spark job."""
    from sparksig.convert.spark import from_spark
    from sparksig.convert.spark import to_source as spark_to_source

    if any(TENSOR_KEY in (field.metadata or {}) for field in struct.fields):
        try:
            return from_spark(struct)  # the metadata describes tensors
        except ConversionError as error:
            raise InferenceError.of("no signature for this Spark DataFrame", error.findings) from None
    findings = report_duplicates(struct.names)
    if not struct.names:
        findings.append(Finding(Code.EMPTY, "", "at least one column", "none"))
    specs = []
    for field in struct.fields:
        field_source = spark_to_source(field.dataType)
        dtype = find_narrowest_type(field_source, quote(field.name), findings)
        if dtype is not None:
            specs.append(ColSpec(dtype, field.name, required=field_source != NULL))
    if findings:
        raise InferenceError.of("no signature for this Spark DataFrame", findings)
    return Schema(specs)


def _infer_column(
    column: pd.Series, label: Hashable, findings: list[Finding], *, is_only: bool
) -> ColSpec | None:
    path = quote(label)
    dtype = _infer_type(column, path, findings)
    try:
        if label is None and not is_only:
            raise SignatureTypeError("name each column of a frame with several columns")
        spec = ColSpec(AnyType() if dtype is None else dtype, label)  # type: ignore[arg-type]
    except SignatureTypeError as error:
        hint = error.message if label is None else "rename the column"
        findings.append(Finding(Code.INVALID_NAME, path, "a string or an integer", name_type(label), hint))
        return None
    if dtype is None:
        return None
    has_nulls = bool((quiet_nans(column) if column.dtype == object else column).isna().any())
    if spec.name is None and has_nulls:
        hint = "name it: a column without a name must be required"
        findings.append(Finding(Code.INVALID_NAME, "", "a name for a column with nulls", "none", hint))
        return None
    return ColSpec(dtype, spec.name, required=not has_nulls)


def _infer_type(column: pd.Series, path: str, findings: list[Finding]) -> Type | None:
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _infer_object_type(column, path, findings)
    if isinstance(dtype, np.dtype):
        return find_narrowest_type(numpy_to_source(dtype), path, findings)
    if isinstance(dtype, pd.CategoricalDtype):
        return _infer_type(dtype.categories.to_series(), path, findings)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return DataType.datetime
    try:
        if isinstance(dtype, pd.ArrowDtype) and pa.types.is_nested(dtype.pyarrow_dtype):
            return infer_column_type(_to_chunked(column), path, findings)
        arrow = pa.array(column.iloc[:0], from_pandas=True).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, AttributeError):
        name = f"Sparse[{dtype.subtype}]" if isinstance(dtype, pd.SparseDtype) else str(dtype)
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a supported type", name))
        return None
    return find_narrowest_type(to_source(arrow), path, findings)


def _to_chunked(column: pd.Series) -> pa.ChunkedArray:
    array = pa.array(column, from_pandas=True)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


_NESTED = (list, tuple, dict, np.ndarray)


def _infer_object_type(column: pd.Series, path: str, findings: list[Finding]) -> Type | None:
    """Infer the type of a column of Python objects."""
    if column.empty:
        return DataType.string  # as MLflow infers from an object column without rows
    values = column.tolist()
    types = set(map(type, values))
    if str in types or any(issubclass(cls, _NESTED) or is_vector(cls) for cls in types):
        return infer_type(values, path, findings)
    array = None if Decimal in types else from_objects(column)
    if array is None:
        dtype = infer_type(values, path, findings)
        if dtype is DataType.datetime:  # out of range or of several zones: verify_times reports it
            return dtype
        if dtype is not None:
            findings.append(build_mixed_finding(values, path))
        return None
    if pa.types.is_null(array.type):
        # NaN is a float, while None and NA have no type
        return DataType.double if any(issubclass(cls, float) for cls in types) else AnyType()
    if pa.types.is_int64(array.type) and array.null_count and type(pd.NA) not in types:
        # integers with None are double in MLflow, as pandas makes them float64; long if a value would change
        return DataType.double if is_exact_double(array) else DataType.long
    return find_narrowest_type(to_source(array.type), path, findings)
