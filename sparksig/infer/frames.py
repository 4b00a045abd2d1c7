"""pandas and Spark frames -> columns. Types that are known are read off, never found by a loop over values.

A pandas column is required unless it holds a null. A Spark column is required whatever Spark says of
it (as in MLflow: its nullability is seldom more than a default), a field of a struct as Spark says.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert import duplicates
from sparksig.convert.arrow import source
from sparksig.errors import Code, Finding, InferenceError, SignatureTypeError, UnsupportedError, step
from sparksig.lattice import NULL, narrowest
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
        UnsupportedError: columns of lists or dictionaries, which cannot be inferred yet.

    Example:
        >>> from_frame(pd.DataFrame({"a": [1, 2], "b": ["x", None]}))
        ['a': long (required), 'b': string (optional)]
    """
    findings: list[Finding] = []
    labels = list(frame.columns)
    for label in {label for label in labels if labels.count(label) > 1}:
        findings.append(Finding(Code.DUPLICATE_NAME, step(label), "one column of that name", "several"))
    specs = [_column(frame.iloc[:, i], label, findings) for i, label in enumerate(labels)]
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
    spec = _column(series, series.name, findings)
    if spec is not None and spec.name is None and not spec.required:
        findings.append(
            Finding(
                Code.INVALID_NAME,
                "",
                "a name for a Series with nulls",
                "none",
                "a column without a name must be required: name the Series",
            )
        )
    if findings or spec is None:
        raise InferenceError.of("no signature for this Series", findings)
    return Schema([spec])


def from_struct(struct: StructType) -> Schema:
    """The schema of a Spark DataFrame's columns, by its ``schema`` alone: no Spark job.

    Raises:
        InferenceError: no column, columns of one name, or types that no signature has; every finding.
    """
    from sparksig.convert.spark import source as spark_source

    findings: list[Finding] = []
    names = struct.names
    findings += duplicates(names)
    if not names:
        findings.append(Finding(Code.EMPTY, "", "at least one column", "none"))
    types = [narrowest(spark_source(field.dataType), step(field.name), findings) for field in struct.fields]
    if findings:
        raise InferenceError.of("no signature for this Spark DataFrame", findings)
    void = [spark_source(field.dataType) == NULL for field in struct.fields]  # holds nothing but nulls
    return Schema(
        [ColSpec(t, name, required=not v) for t, name, v in zip(types, names, void) if t is not None]
    )


def _column(column: pd.Series, label: Hashable, findings: list[Finding]) -> ColSpec | None:
    dtype = _type(column, step(label), findings)
    if dtype is None:
        return None
    try:
        return ColSpec(dtype, label, required=not bool(column.isna().any()))  # type: ignore[arg-type]
    except SignatureTypeError as error:
        findings.append(Finding(Code.INVALID_NAME, step(label), hint=error.message))
        return None


def _type(column: pd.Series, path: str, findings: list[Finding]) -> Type | None:
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _object_type(column, path, findings)
    if isinstance(dtype, pd.CategoricalDtype):
        return _type(dtype.categories.to_series(), path, findings)
    try:
        arrow = pa.array(column.iloc[:0], from_pandas=True).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        findings.append(Finding(Code.UNSUPPORTED_TYPE, path, "a type that a signature has", str(dtype)))
        return None
    return narrowest(source(arrow), path, findings)


def _object_type(column: pd.Series, path: str, findings: list[Finding]) -> Type | None:
    """The one type of a column of Python objects, as Arrow finds it without widening."""
    if column.empty:
        return DataType.string  # MLflow's reading of an object column without rows
    kinds = pd.api.types.infer_dtype(column, skipna=True)
    hint = "make all its values one type, or convert the column on purpose"
    if (
        kinds == "mixed"
        and column.dropna().map(lambda value: isinstance(value, (list, tuple, dict, np.ndarray))).any()
    ):
        raise UnsupportedError(f"{path}: columns of lists and dictionaries cannot be inferred yet")
    if kinds in ("mixed", "mixed-integer", "time", "timedelta", "period", "interval", "complex"):
        findings.append(Finding(Code.MIXED_TYPES, path, "values of one type", f"objects ({kinds})", hint))
        return None
    if kinds == "empty":
        return AnyType()
    if kinds in ("mixed-integer-float", "floating", "integer-na"):
        return DataType.double
    if kinds == "integer" and column.isna().any():
        # None beside integers is float64 for pandas; its own NA keeps them integers
        return DataType.long if column.map(lambda value: value is pd.NA).any() else DataType.double
    try:
        arrow = pa.array(column, from_pandas=True).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        findings.append(Finding(Code.MIXED_TYPES, path, "values of one type", f"objects ({kinds})", hint))
        return None
    return narrowest(source(arrow), path, findings)
