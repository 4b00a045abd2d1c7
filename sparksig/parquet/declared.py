"""The contract of a table, in any of the forms in which people have one. No Spark."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from sparksig.contracts import (
    CONTRACT_KEY,
    Contract,
    is_signature_file,
    kept_column,
    read_signature,
    schema_of,
    side_of,
)
from sparksig.convert.arrow import TENSOR_KEY, from_arrow
from sparksig.convert.mlflow import from_mlflow
from sparksig.errors import (
    ContractError,
    ConversionError,
    SignatureError,
    TableNotFoundError,
    kind,
)
from sparksig.models.directory import ModelDirectory
from sparksig.models.features import features_of
from sparksig.models.registry import is_remote, local_path, shown, store_of
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.tables.parquet import ParquetTable, open_parquet
from sparksig.types import Array, Map, Object, Property, SparkMLVector, Type

__all__ = ["Declared", "contract_of", "declared_at", "table_schema", "table_types", "whole_contract"]

_SPARK_KEY = b"org.apache.spark.sql.parquet.row.metadata"
"""Where Spark keeps a table's schema in a Parquet file, with the metadata of its fields."""


@dataclass(frozen=True)
class Declared:
    """What a text names, as a signature.

    Attributes:
        signature: of a table or DDL, the columns as inputs.
        name: what it is called.
        form: "model", "signature", "table" or "DDL".
        features: of a model whose inputs have no names, the names of its features, if it knows them.
    """

    signature: ModelSignature
    name: str
    form: str
    features: tuple[str, ...] | None = None

    @property
    def whole(self) -> ModelSignature | Schema:
        """The signature; of a table and of DDL, their columns."""
        if self.form in ("table", "DDL"):
            assert self.signature.inputs is not None
            return self.signature.inputs
        return self.signature

    def side(self, side: str) -> Contract:
        """One side of it as a contract; a table and DDL have but one."""
        if self.form in ("table", "DDL"):
            assert self.signature.inputs is not None
            return Contract(self.signature.inputs, self.name)
        schema = side_of(self.signature, side, self.name)
        features = self.features if side == "inputs" else None
        return Contract(schema, f"{self.name.removeprefix('the ')}, {side}", features)


def contract_of(contract: Any, side: str = "inputs") -> Contract:
    """A contract in any of its forms.

    Args:
        contract: a :class:`~sparksig.ModelSignature`, a :class:`~sparksig.Schema`, a pyarrow Schema; a
            dictionary that :meth:`ModelSignature.from_dict` takes; or, as text or path, what
            :func:`declared_at` takes.
        side: of a signature: "inputs" or "outputs".

    Raises:
        ContractError: it is none of these, or has no such side.
        ModelError, TableNotFoundError, SignatureError: as :func:`declared_at`.

    Example:
        >>> contract_of("id bigint not null, note string").schema
        ['id': long (required), 'note': string (optional)]
    """
    if isinstance(contract, Contract):
        return contract
    if side not in ("inputs", "outputs"):
        raise ContractError(f"side is 'inputs' or 'outputs', not {side!r}")
    contract = from_mlflow(contract)
    if isinstance(contract, Schema):
        return Contract(contract, "schema")
    if isinstance(contract, Mapping):
        contract = ModelSignature.from_dict(contract)
    if isinstance(contract, ModelSignature):
        return Declared(contract, "the signature", "signature").side(side)
    if isinstance(contract, pa.Schema):
        return Contract(from_arrow(contract), "Arrow schema")
    if isinstance(contract, (str, os.PathLike)):
        return declared_at(contract).side(side)
    raise ContractError(
        "a contract is a ModelSignature, a Schema, an Arrow schema, DDL, a model directory, a signature's "
        f"JSON file, or a Parquet table, not {kind(contract)}"
    )


def whole_contract(contract: Any) -> tuple[ModelSignature | Schema, bool]:
    """Resolve a contract with all sides that it has.

    Args:
        contract: as of :func:`contract_of`.

    Returns:
        The signature, or the schema of a table or of DDL; and whether it is a table.

    Raises:
        ContractError, ModelError, TableNotFoundError, SignatureError: as :func:`contract_of`.
    """
    if isinstance(contract, (ModelSignature, Schema)):
        return contract, False
    if isinstance(contract, Mapping):
        return ModelSignature.from_dict(contract), False
    if isinstance(contract, (str, os.PathLike)):
        declared = declared_at(contract)
        return declared.whole, declared.form == "table"
    return contract_of(contract).schema, False


def declared_at(text: str | os.PathLike[str]) -> Declared:
    """What a text or path names, as a signature.

    Args:
        text: a model directory (or its file MLmodel, or a URI of it), a JSON file with a signature, a Parquet
            table, or, as text, DDL.

    Raises:
        ContractError: it is none of these.
        ModelError: the model directory is damaged, or has no signature (MissingSignatureError).
        TableNotFoundError: the file is no Parquet.
        SignatureError: the file's JSON is no signature.
        UnsupportedError: a Delta table, or a kind of URI that is unknown here.
    """
    told = os.fspath(text)
    if not told.strip():
        raise ContractError("a contract is not empty")
    name = shown(told)  # a URI may hold credentials
    if (directory := _model_directory(told)) is not None:
        found = ModelDirectory.read(local_path(directory))
        return Declared(found.require_signature(name), name, "model", features_of(found))
    path = None if is_remote(told) else local_path(told)
    there = path is not None and _is_there(path)
    if there and path is not None and is_signature_file(path):
        return Declared(read_signature(path), name, "signature")
    if there or path is None or not isinstance(text, str):
        return Declared(ModelSignature(table_schema(open_parquet(told))), name, "table")
    if re.fullmatch(r"\S*[/\\]\S*|\S+\.(json|parquet)", told):
        raise TableNotFoundError(f"there is no model directory, signature or table at {told!r}")
    return Declared(ModelSignature(_from_ddl(told)), "DDL", "DDL")


def _model_directory(text: str) -> str | None:
    """The model directory that a text names, if it is one."""
    if is_remote(text):
        if text.partition(":")[0].lower() in ("models", "runs", "mlflow-artifacts"):
            return text
        try:
            store, root = store_of(text)
            is_model = store.get_file_info(f"{root}/MLmodel").type is pafs.FileType.File
        except (OSError, pa.ArrowException):
            return None  # whoever reads it as a table says why that does not go
        return text if is_model else None
    path = local_path(text)
    if path.name == "MLmodel" and _is_there(path):
        return str(path.parent)
    return text if _is_there(path / "MLmodel") else None


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long a name, as DDL may be
        return False


# --- DDL and tables -----------------------------------------------------------------------------------------


def _from_ddl(text: str) -> Schema:
    from sparksig.convert.ddl import from_ddl

    try:
        return from_ddl(text)
    except (SignatureError, ConversionError) as error:
        what = "no model directory, no file, and no DDL (as 'id bigint not null, name string')"
        raise ContractError(f"{text!r} is {what}: {error.message}", error.findings) from None


def table_schema(table: ParquetTable) -> Schema:
    """The contract that a Parquet table is: the one that it was written under, if it was; else its types.

    Its columns are optional then: that a file declares some as required is no promise of other files, and
    Spark does not heed it, either.

    Raises:
        ConversionError: types that no signature has; all of them.
        ContractError: what is kept with it is no contract.
    """
    kept = _kept_metadata(table)
    known = {}
    for part in table.schema:
        metadata = kept.get(part.name, {})
        if CONTRACT_KEY in metadata:
            known[part.name] = kept_column(metadata[CONTRACT_KEY], part.name)
    if not known:
        return table_types(table.schema, table)
    rest = [part for part in table.schema if part.name not in known]  # of the run, or beyond the contract
    beyond = {spec.name: spec for spec in table_types(pa.schema(rest), table)} if rest else {}
    return schema_of([known.get(name) or beyond[name] for name in table.schema.names])


def table_types(fields: pa.Schema, table: ParquetTable) -> Schema:
    """Some columns of a table by their types alone, and as tensors where Spark has kept what they are.

    Raises:
        ConversionError: types that no signature has; all of them.
        SignatureError: there are none, or two of one name.
    """
    kept = _kept_metadata(table)
    tensors = {name: str(held[TENSOR_KEY]) for name, held in kept.items() if TENSOR_KEY in held}
    parts = [
        part.with_metadata({TENSOR_KEY: tensors[part.name]}) if part.name in tensors else part
        for part in fields
    ]
    return _all_optional(from_arrow(pa.schema(parts)))


def _kept_metadata(table: ParquetTable) -> dict[str, dict[str, Any]]:
    """The metadata that Spark has kept of each field; nothing where somebody else wrote the table."""
    try:
        fields = json.loads(table.files[0].kept.get(_SPARK_KEY, b"{}")).get("fields", [])
        return {one["name"]: one["metadata"] for one in fields if isinstance(one.get("metadata"), dict)}
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ):  # somebody else's
        return {}


def _all_optional(schema: Schema) -> Schema:
    """A schema whose columns and properties are all optional, as those of a table that promises nothing."""
    if schema.is_tensor_spec():
        return schema
    return Schema([ColSpec(_optional(spec.type), spec.name, required=False) for spec in schema])


def _optional(dtype: Type) -> Type:
    if isinstance(dtype, Array) and not isinstance(dtype, SparkMLVector):
        return Array(_optional(dtype.dtype))
    if isinstance(dtype, Map):
        return Map(_optional(dtype.value_type))
    if isinstance(dtype, Object):
        return Object(
            [Property(prop.name, _optional(prop.dtype), required=False) for prop in dtype.properties]
        )
    return dtype
