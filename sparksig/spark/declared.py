"""The contract that a table is checked against, in any of the forms in which people have one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from sparksig.contracts import (
    CONTRACT_KEY,
    Contract,
    is_signature_file,
    kept_column,
    read_signature,
    schema_of,
    side_of,
)
from sparksig.convert.mlflow import from_mlflow
from sparksig.convert.spark import from_spark
from sparksig.errors import ContractError, TableNotFoundError, kind
from sparksig.models.directory import ModelDirectory
from sparksig.models.features import features_of
from sparksig.models.registry import local_path
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature

__all__ = ["CONTRACT_KEY", "Contract", "contract_of"]


def contract_of(spark: SparkSession, contract: Any, side: str = "inputs") -> Contract:
    """A contract in any of its forms; arguments and errors as of :func:`check`."""
    if side not in ("inputs", "outputs"):
        raise ContractError(f"side is 'inputs' or 'outputs', not {side!r}")
    contract = from_mlflow(contract)
    if isinstance(contract, Schema):
        return Contract(contract, "schema")
    if isinstance(contract, ModelSignature):
        return Contract(side_of(contract, side, "the signature"), f"signature, {side}")
    if isinstance(contract, T.StructType):
        return Contract(_from_table(contract), "StructType")
    if isinstance(contract, (str, os.PathLike)):
        return _from_text(spark, os.fspath(contract), side, is_path=isinstance(contract, os.PathLike))
    raise ContractError(
        "a contract is a ModelSignature, a Schema, a StructType, DDL, a model directory, a signature's JSON "
        f"file, or a table, not {kind(contract)}"
    )


def _from_text(spark: SparkSession, text: str, side: str, *, is_path: bool) -> Contract:
    if not text.strip():
        raise ContractError("a contract is not empty")
    path = Path(text.removeprefix("file://"))
    if _is_there(path) and is_signature_file(path):
        return Contract(side_of(read_signature(path), side, text), f"{text}, {side}")
    if _is_there(path / "MLmodel") or text.startswith(("models:/", "runs:/")):
        directory = ModelDirectory.read(local_path(text))
        features = features_of(directory) if side == "inputs" else None
        return Contract(side_of(directory.require_signature(text), side, text), f"{text}, {side}", features)
    if is_path or _is_there(path) or re.fullmatch(r"\S*/\S*", text):
        return Contract(_from_table(_table_at(spark, text)), text)
    if _is_table(spark, text):
        return Contract(_from_table(spark.table(text).schema), text)
    return Contract(_from_table(_from_ddl(spark, text)), "DDL")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long a name, as DDL may be
        return False


def _is_table(spark: SparkSession, text: str) -> bool:
    if not re.fullmatch(r"[^\s:,<>()]+", text):  # which DDL has
        return False
    try:
        return bool(spark.catalog.tableExists(text))
    except Exception:  # a parser's: it is no name
        return False


def _table_at(spark: SparkSession, path: str) -> T.StructType:
    local = _is_there(Path(path.removeprefix("file://")))
    forms = ["delta"] if _is_there(Path(path.removeprefix("file://")) / "_delta_log") else ["parquet"]
    forms = forms if local else ["delta", "parquet"]
    for form in forms:
        try:
            return spark.read.format(form).load(path).schema
        except Exception as error:  # Spark's, of a class that depends on the session
            reason = str(error).strip().partition("\n")[0]
    raise TableNotFoundError(f"{path}: no table ({' or '.join(forms)}) can be read there: {reason}")


def _from_ddl(spark: SparkSession, text: str) -> T.StructType:
    try:
        return spark.createDataFrame([], text).schema
    except Exception as error:  # a parser's
        reason = str(error).strip().partition("\n")[0]
        raise ContractError(
            f"{text!r} is no model directory, no table, and no DDL (as 'id bigint not null, name string'): "
            f"{reason}"
        ) from None


def _from_table(table: T.StructType) -> Schema:
    """The contract that a table's schema is; of one that was written under a contract, that contract."""
    if not any(CONTRACT_KEY in (field.metadata or {}) for field in table.fields):
        return from_spark(table)
    specs: list[ColSpec | TensorSpec] = []
    for field in table.fields:
        kept = (field.metadata or {}).get(CONTRACT_KEY)
        if kept is None:  # of the run, of partitions, or beyond the contract
            specs += list(from_spark(T.StructType([field])))
        else:
            specs.append(kept_column(kept, field.name))
    return schema_of(specs)
