"""Enforcement of a schema on data of any kind, and the frames that models receive.

:mod:`sparksig.engine.blocks` lists the dtype that a model receives for each type.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from sparksig.convert.mlflow import from_mlflow
from sparksig.engine.absent import Absent
from sparksig.engine.arrow_frames import Options, build_frame, enforce_batches
from sparksig.engine.pandas_frames import enforce_frame
from sparksig.engine.python import to_frame
from sparksig.engine.sources import exports_arrow, read_arrow_table
from sparksig.engine.text_dtypes import OBJECTS, TextDtypes
from sparksig.errors import ContractError, SignatureError
from sparksig.schema import Schema
from sparksig.signature import ModelSignature


def enforce(
    data: Any,
    contract: Schema | ModelSignature | Mapping[str, Any] | str | os.PathLike[str],
    *,
    strict_nulls: bool = False,
    extra: Literal["ignore", "forbid"] = "ignore",
    show_values: bool = False,
) -> Any:
    """Enforce a schema on data: select its columns in order, and widen each losslessly to its type.

    Names are case sensitive. An optional column that is absent stays absent.

    Args:
        data: for columns: a pandas DataFrame or Series, Arrow data (also of libraries that export Arrow, such
            as Polars), a dictionary, list, scalar or array, which :mod:`sparksig.engine.python` reads.
            For tensors: NumPy arrays, SciPy matrices, dictionaries of them, frames and tables. The data is
            never changed.
        contract: a schema; a signature, as an object or a dictionary, of which the inputs are used; the path
            of a signature's JSON file or of a model directory; or DDL.
        strict_nulls: refuse nulls in required columns and properties of every type.
        extra: "ignore" drops columns, properties and tensors that the schema does not declare, "forbid"
            refuses them.
        show_values: show some of the wrong values in findings.

    Returns:
        An Arrow table or batch for Arrow data, else a DataFrame with the dtypes that a model receives and
        the index of the data; for tensors an array, a matrix, or a dictionary of arrays.

    Raises:
        ContractError: the data does not fit (all findings, each with its path), or ``contract`` is a text
            that does not name a contract.
        SignatureError: ``contract`` is not a contract (SignatureTypeError), or ``extra`` is unknown.
        ModelError: the model directory that ``contract`` names is damaged, or has no signature.

    Example:
        >>> import pandas as pd
        >>> from sparksig.schema import ColSpec
        >>> enforce(pd.DataFrame({"x": [1], "id": [7]}, dtype="int32"), Schema([ColSpec("double", "x")]))
             x
        0  1.0
        >>> from sparksig.types import Array
        >>> enforce([{"tags": ["a"]}], Schema([ColSpec(Array("string"), "tags")]))
          tags
        0  [a]
    """
    schema = _resolve_schema(from_mlflow(contract), data)
    if extra not in ("ignore", "forbid"):
        raise SignatureError(f"extra: expected 'ignore' or 'forbid', got {extra!r}")
    options = Options(strict_nulls, extra, show_values, share=True)
    if schema.is_tensor_spec():
        from sparksig.engine.tensors import enforce_tensors

        return enforce_tensors(data, schema, forbid=extra == "forbid")
    if not exports_arrow(data):
        return _build_model_frame(data, schema, options)
    enforced = enforce_batches(read_arrow_table(data), schema, options)
    return enforced[0] if isinstance(data, pa.RecordBatch) else pa.Table.from_batches(enforced)


def _resolve_schema(contract: Any, data: Any) -> Schema:
    """Return the schema of a contract; a table's contract also judges the types of Arrow data."""
    if isinstance(contract, Schema):
        return contract
    from sparksig.tables.columns import list_arrow_columns
    from sparksig.tables.contract import resolve_contract
    from sparksig.tables.types import judge_types

    resolved = resolve_contract(contract)
    schema = resolved.require_schema()
    if resolved.is_table and exports_arrow(data):
        declared = resolve_contract(resolved, types="lossless", extra="allow")
        findings = judge_types(declared, list_arrow_columns(read_arrow_table(data).schema), fold=str)
        if findings:
            raise ContractError.of(f"the data does not fit the contract ({resolved.name})", findings)
    return schema


def validate_schema(
    data: Any, expected_schema: Schema | ModelSignature | Mapping[str, Any] | str | os.PathLike[str]
) -> None:
    """Check data against a schema as :func:`enforce` does, without returning it.

    Args:
        data: the data, as :func:`enforce` accepts it.
        expected_schema: the contract, as :func:`enforce` accepts it.

    Raises:
        ContractError: the data does not fit the schema.

    Example:
        >>> import pandas as pd
        >>> from sparksig.schema import ColSpec
        >>> schema = Schema([ColSpec("double", "x")])
        >>> validate_schema(pd.DataFrame({"x": [1.5]}), schema)
        >>> validate_schema(pd.DataFrame({"X": [1.5]}), schema)
        Traceback (most recent call last):
        sparksig.errors.ContractError: the data does not fit the schema: 1 finding
          - x: expected double, got no such column (did you mean 'X'? Names are case sensitive)
            [MISSING_COLUMN]
    """
    enforce(data, expected_schema)


def build_model_input(
    data: Any, schema: Schema, *, texts: TextDtypes = OBJECTS, absent: Absent = "omit"
) -> Any:
    """Convert data to the frame or the tensors that a model receives."""
    if schema.is_tensor_spec():
        from sparksig.engine.tensors import enforce_tensors

        return enforce_tensors(data, schema)
    return build_model_frame(data, schema, texts=texts, absent=absent)


def build_model_frame(
    data: Any, schema: Schema, *, texts: TextDtypes = OBJECTS, absent: Absent = "omit"
) -> pd.DataFrame:
    """Convert ``data`` to the frame that a model with columns receives; see :func:`build_model_input`."""
    return _build_model_frame(data, schema, Options(texts=texts, absent=absent))


def _build_model_frame(data: Any, schema: Schema, options: Options) -> pd.DataFrame:
    if exports_arrow(data):
        return build_frame(read_arrow_table(data), schema, options)
    if isinstance(data, pd.DataFrame):
        return enforce_frame(data, schema, options)
    if type(data).__module__.partition(".")[0] == "scipy":
        raise ContractError(f"expected data for the columns {schema!r}, got a sparse matrix"[:300])
    labels: list[Any] = []
    frame = to_frame(data, schema, labels)
    return enforce_frame(frame, schema, options, labels or None)
