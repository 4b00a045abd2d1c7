"""Resolution of contracts: signatures, schemas, DDL, paths and names of tables."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa
import pyarrow.fs as pafs

from sparksig.convert.arrow import from_arrow
from sparksig.convert.fields import TENSOR_KEY
from sparksig.convert.mlflow import from_mlflow
from sparksig.errors import (
    Code,
    ContractError,
    ConversionError,
    Finding,
    UnsupportedError,
    name_type,
    quote,
)
from sparksig.lattice import Field, ListOf, MapOf, Source, Struct
from sparksig.models.directory import ModelDirectory
from sparksig.models.features import find_features
from sparksig.models.registry import fetch_model, fetch_path, is_remote, open_store, redact_uri
from sparksig.narrowing import find_narrowest_type
from sparksig.options import Extra, Missing, TypeRule
from sparksig.schema import ColSpec, Schema, TensorSpec, parse_tensor_metadata
from sparksig.signature import ModelSignature
from sparksig.source_walks import merge_sources
from sparksig.tables.columns import (
    Column,
    build_declared_column,
    format_type,
    list_arrow_columns,
    list_spark_columns,
)
from sparksig.tables.signatures import is_signature_file, read_signature
from sparksig.types import AnyType, Array, Map, Object, Type

if TYPE_CHECKING:
    from pyspark.sql import types as T

    from sparksig.tables.readers import Reader, TableSchema

CONTRACT_KEY = "sparksig.column"
"""The metadata key under which a field of a written table stores its declaration in the contract."""

RUN_COLUMN = "run_id"
"""The partition column for the runs of Parquet tables. Contracts ignore it."""

_OPTIONS = {"types": get_args(TypeRule), "missing": get_args(Missing), "extra": get_args(Extra)}


@dataclass(frozen=True)
class Contract:
    """A resolved contract.

    Attributes:
        kind: "model" (judged by the casting table) or "table" (judged by the declared types).
        name: the name of the contract in reports.
        schema: the columns of a model's contract. For a table's contract, the nearest signature types; Any
            for a declared type without one.
        columns: the declared columns of a table's contract, with their exact types.
        features: the names of the model's features, if the model's inputs have no names and it knows them.
        types: "exact" or "lossless", for a table's contract.
        missing: "forbid" or "allow" absent columns. A model's required columns and a table's NOT NULL columns
            are never allowed to be absent.
        extra: "forbid", "allow" or "warn" for columns that the contract does not declare.
        partitions: columns whose types the table's directories do not store; only their presence is checked.
        filled: the columns that a Delta table fills itself, and how: "default", "generated", "identity" or
            "always".
        declares_nulls: whether NOT NULL counts. It does not in Parquet files, which declare all columns
            nullable, unless this package has written them.
        is_delta: whether it is a Delta table, in which a field of a null struct breaks NOT NULL.

    Example:
        >>> contract = resolve_contract("total decimal(10,2) not null")
        >>> contract.kind, contract.types, contract.columns[0].text
        ('table', 'exact', 'decimal(10,2)')
    """

    kind: str
    name: str
    schema: Schema
    columns: tuple[Column, ...] = ()
    features: tuple[str, ...] | None = None
    types: str = "exact"
    missing: str = "forbid"
    extra: str = "forbid"
    partitions: frozenset[str] = frozenset()
    filled: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    declares_nulls: bool = True
    is_delta: bool = False

    @property
    def is_table(self) -> bool:
        """True for the contract of a table."""
        return self.kind == "table"

    @property
    def options(self) -> dict[str, str]:
        """The options that apply to this kind of contract."""
        names = ("types", "missing", "extra") if self.is_table else ("missing", "extra")
        return {name: getattr(self, name) for name in names}

    @property
    def names(self) -> list[str]:
        """The declared names; empty for a contract of columns without names."""
        if self.is_table:
            return [column.name for column in self.columns]
        return list(map(str, self.schema.input_names())) if self.schema.has_input_names() else []

    @property
    def required_names(self) -> set[str]:
        """The names that a table must have with values."""
        if self.is_table:
            return {column.name for column in self.columns if not column.field.nullable}
        return {str(spec.name) for spec in self.schema if isinstance(spec, TensorSpec) or spec.required}

    def require_schema(self) -> Schema:
        """Return the signature of the contract.

        Raises:
            ConversionError: it declares types that signatures do not have.
        """
        findings: list[Finding] = []
        for column in self.columns:
            find_narrowest_type(column.field.source, quote(column.name), findings)
        if findings:
            raise ConversionError.of(f"no signature for the contract ({self.name})", findings)
        return self.schema


# --- resolving ----------------------------------------------------------------------------------------------


def resolve_contract(
    source: Any,
    *,
    side: str = "inputs",
    reader: Reader | None = None,
    types: str | None = None,
    missing: str | None = None,
    extra: str | None = None,
) -> Contract:
    """Resolve a contract.

    Args:
        source: a :class:`~sparksig.ModelSignature`, a :class:`~sparksig.Schema`, a signature's dictionary, an
            Arrow schema, a StructType; as text or path: a model directory, a JSON file with a signature, a
            table, or DDL. A :class:`Contract` is returned with the passed options.
        side: the side of a signature: "inputs" or "outputs".
        reader: reads tables and DDL; None for a reader without Spark.
        types: for a table's contract: "exact" (default) or "lossless".
        missing: "forbid" (default for tables) or "allow" (default for models).
        extra: "forbid" (default for tables), "allow" (default for models) or "warn".

    Raises:
        ContractError: ``source`` is not a contract, or an option is wrong.
        ModelError: the model directory is damaged, or has no signature (MissingSignatureError).
        TableNotFoundError: there is no table at a path.
        SignatureError: the file's JSON is not a signature.
        UnsupportedError: a Delta table without Spark, or an unknown kind of URI.

    Example:
        >>> resolve_contract("id bigint not null, note string").schema
        ['id': long (required), 'note': string (optional)]
    """
    if side not in ("inputs", "outputs"):
        raise ContractError(f"side: expected 'inputs' or 'outputs', got {side!r}")
    arguments = {"types": types, "missing": missing, "extra": extra}
    options: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    for name, value in options.items():
        if value not in _OPTIONS[name]:
            choices = ", ".join(map(repr, _OPTIONS[name]))
            raise ContractError(f"{name}: expected one of {choices}, got {value!r}")
    contract = _resolve_source(source, reader)
    if isinstance(contract, _Signed):
        contract = contract.choose(side)
    if types is not None and not contract.is_table:
        raise ContractError(
            f"types={types!r} applies to a table's contract only, and {contract.name} is a model's contract: "
            "omit types="
        )
    return replace(contract, **options) if options else contract


def resolve_sides(source: Any, *, reader: Reader | None = None) -> ModelSignature | Schema | Contract:
    """Resolve a contract with both sides of a signature.

    Args:
        source: as in :func:`resolve_contract`.
        reader: as in :func:`resolve_contract`.

    Returns:
        The signature, or the schema, of a model's contract; the contract of a table.

    Raises:
        SparksigError: as in :func:`resolve_contract`.
    """
    loaded = _resolve_source(source, reader)
    if isinstance(loaded, _Signed):
        return loaded.signature
    return loaded if loaded.is_table else loaded.schema


@dataclass(frozen=True)
class _Signed:
    """A signature before one of its sides is chosen."""

    signature: ModelSignature
    name: str = "the signature"
    features: tuple[str, ...] | None = None

    def choose(self, side: str) -> Contract:
        """Return the contract of the inputs or of the outputs.

        Raises:
            ContractError: the signature does not have that side.
        """
        schema = self.signature.inputs if side == "inputs" else self.signature.outputs
        if schema is None:
            raise ContractError(f"{self.name} has no {side}")
        features = self.features if side == "inputs" else None
        return build_model_contract(schema, f"{self.name.removeprefix('the ')}, {side}", features)


def _resolve_source(source: Any, reader: Reader | None) -> Contract | _Signed:
    source = source if isinstance(source, Contract) else from_mlflow(source)
    if isinstance(source, Contract):
        return source
    if isinstance(source, Schema):
        return build_model_contract(source, "schema")
    if isinstance(source, Mapping):
        source = ModelSignature.from_dict(source)
    if isinstance(source, ModelSignature):
        return _Signed(source)
    if isinstance(source, pa.Schema):
        if any(TENSOR_KEY.encode() in (part.metadata or {}) for part in source):
            return build_model_contract(from_arrow(source), "Arrow schema")
        return _resolve_columns(list_arrow_columns(source), {}, "Arrow schema")
    if type(source).__name__ == "StructType" and type(source).__module__.startswith("pyspark."):
        return _resolve_struct_type(source)
    if isinstance(source, (str, os.PathLike)):
        from sparksig.tables.readers import FileReader

        return _resolve_text(source, reader or FileReader())
    hint = ". Pass its schema: df.schema" if hasattr(type(source), "schema") else ""
    raise ContractError(
        "contract: expected a ModelSignature, a Schema, a dictionary of a signature, a StructType, an Arrow "
        f"schema, DDL, a model directory, a JSON file with a signature, or a table, "
        f"got {name_type(source)}{hint}"
    )


def _resolve_struct_type(table: T.StructType) -> Contract:
    from sparksig.convert.spark import from_spark

    metadata = {part.name: part.metadata or {} for part in table.fields}
    if any(TENSOR_KEY in marks for marks in metadata.values()) and len(set(table.names)) == len(table.names):
        return build_model_contract(from_spark(table), "StructType")
    return _resolve_columns(list_spark_columns(table), metadata, "StructType")


def build_model_contract(
    schema: Schema, name: str, features: Sequence[str] | None = None, *, missing: str = "allow"
) -> Contract:
    """Return the contract of a model with the default options of models.

    Args:
        schema: the columns that the model declares.
        name: the name of the contract in reports.
        features: the names of the model's features; None if it knows none.
        missing: "forbid" or "allow".
    """
    known_features = None if features is None else tuple(features)
    return Contract("model", name, schema, features=known_features, missing=missing, extra="allow")


def _resolve_text(source: str | os.PathLike[str], reader: Reader) -> Contract | _Signed:
    text = os.fspath(source)
    if not text.strip():
        raise ContractError("the contract is an empty text")
    name = redact_uri(text)  # a URI may hold credentials
    if (model := _find_model_directory(text)) is not None:
        directory = ModelDirectory.read(fetch_model(model))
        return _Signed(directory.require_signature(name), name, find_features(directory))
    path = None if is_remote(text) else fetch_path(text)
    if path is not None and path_exists(path) and is_signature_file(path):
        return _Signed(read_signature(path), name)
    table = reader.read_table(text, is_path=not isinstance(source, str))
    if table is not None:
        return build_table_contract(table, name)
    fields = reader.read_ddl(text)
    return _resolve_columns([build_declared_column(part) for part in fields], {}, "DDL")


def _find_model_directory(text: str) -> str | None:
    """Return the model directory that a text names, if it names one."""
    if is_remote(text):
        if text.partition(":")[0].lower() in ("models", "runs", "mlflow-artifacts"):
            return text
        try:
            store, root = open_store(text)
            is_model = store.get_file_info(f"{root}/MLmodel").type is pafs.FileType.File
        except (OSError, pa.ArrowException, UnsupportedError):
            return None  # the reader of tables reports the reason
        return text if is_model else None
    path = fetch_path(text)
    if path.name == "MLmodel" and path_exists(path):
        return str(path.parent)
    return text if path_exists(path / "MLmodel") else None


def path_exists(path: Path) -> bool:
    """Return whether a path exists; DDL may be too long for a path."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


# --- tables -------------------------------------------------------------------------------------------------


def build_table_contract(table: TableSchema, name: str, *, tensors: bool = True) -> Contract:
    """Build the contract of an existing table: its types, and the declarations that its writer has stored.

    Args:
        table: its schema.
        name: the name of the contract in reports.
        tensors: whether columns that were written as tensors become tensors.
    """
    columns = [column for column in table.columns if column.name != RUN_COLUMN]
    contract = _resolve_columns(columns, table.metadata, name, tensors=tensors)
    declares_nulls = table.declares_nulls or any(CONTRACT_KEY in marks for marks in table.metadata.values())
    contract = replace(contract, partitions=table.partitions, filled=table.filled)
    return replace(contract, declares_nulls=declares_nulls, is_delta=table.declares_nulls)


def _resolve_columns(
    columns: Sequence[Column],
    metadata: Mapping[str, Mapping[str, Any]],
    name: str,
    *,
    tensors: bool = True,
) -> Contract:
    """Return the contract of columns, with the declarations in their metadata."""
    findings: list[Finding] = []
    specs: list[ColSpec | TensorSpec] = []
    declared = []
    counts = Counter(column.name for column in columns)
    for column in columns:
        if counts[column.name] > 1:
            expected = "one column of that name"
            findings.append(Finding(Code.DUPLICATE_NAME, quote(column.name), expected, "several"))
        marks = metadata.get(column.name, {})
        promised = _restore_declaration(column.field, marks.get(CONTRACT_KEY))
        if "char(" in (text := format_type(promised.source)):
            column = replace(column, text=text)
        column = replace(column, field=promised)
        tensor = _read_tensor(column, marks) if tensors else None
        declared.append(column)
        dtype = find_narrowest_type(column.field.source, quote(column.name), []) or AnyType()
        specs.append(tensor or ColSpec(dtype, column.name, required=not column.field.nullable))
    if findings:
        raise ContractError.of(f"{name} is not a contract", list(dict.fromkeys(findings)))
    if not specs:
        raise ContractError(f"{name} declares no columns")
    if any(isinstance(spec, TensorSpec) for spec in specs):  # the table of a schema of tensors
        return build_model_contract(Schema([spec for spec in specs if isinstance(spec, TensorSpec)]), name)
    return Contract("table", name, Schema(specs), tuple(declared))


def _read_tensor(column: Column, metadata: Mapping[str, Any]) -> TensorSpec | None:
    """Return the tensor that a column's metadata describes."""
    text = metadata.get(TENSOR_KEY)
    promised = metadata.get(CONTRACT_KEY)
    if text is None and isinstance(promised, str) and json.loads(promised).get("type") == "tensor":
        text = promised
    return None if text is None else parse_tensor_metadata(text, column.name)


def build_contract_metadata(contract: Contract) -> dict[str, dict[str, str]]:
    """Return the metadata with which the columns of a written table store its contract."""
    from sparksig.convert.spark_json import write_spark_field

    if contract.is_table:
        bodies: dict[str, Any] = {
            column.name: {"field": write_spark_field(column.field)} for column in contract.columns
        }
    elif contract.schema.has_input_names():
        bodies = {str(spec.name): spec.to_dict() for spec in contract.schema}
    else:
        return {}
    return {
        name: {CONTRACT_KEY: json.dumps({key: value for key, value in body.items() if key != "name"})}
        for name, body in bodies.items()
    }


def _restore_declaration(actual: Field, text: object) -> Field:
    """Return a field of a written table with the declaration of its contract.

    The types come from the table; nullability and the lengths of char and varchar come from the contract.

    Raises:
        ContractError: the metadata is not that of a contract.
    """
    if text is None:
        return actual
    from sparksig.convert.spark_json import read_spark_field

    try:
        body = json.loads(text) if isinstance(text, str) else None
        if not isinstance(body, dict):
            raise ValueError("not an object")
        if "field" in body:
            return _merge_declarations(actual, read_spark_field(body["field"]))
        if body.get("type") == "tensor":
            parse_tensor_metadata(text, actual.name)
            return actual
        spec = ColSpec.from_json_dict(**{**body, "name": actual.name})
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ContractError(
            f"{quote(actual.name)}: the metadata key {CONTRACT_KEY} cannot be read as a column of a "
            "contract. Pass the contract, or write the table again."
        ) from None
    source = _merge_required(actual.source, spec.type)
    return replace(actual, source=source, nullable=not spec.required)


def _merge_declarations(actual: Field, declared: Field) -> Field:
    source = merge_sources(actual.source, declared.source, _merge_declarations)
    if getattr(declared.source, "max_length", None) is not None and source == declared.source:
        source = declared.source
    return replace(actual, source=source, nullable=declared.nullable)


def _merge_required(source: Source, declared: Type) -> Source:
    """Return a table's type, in which the required properties of a signature's type are not nullable."""
    if isinstance(source, ListOf) and isinstance(declared, Array):
        return replace(source, item=_merge_required(source.item, declared.dtype))
    if isinstance(source, MapOf) and isinstance(declared, Map):
        return replace(source, value=_merge_required(source.value, declared.value_type))
    if isinstance(source, Struct) and isinstance(declared, Object):
        properties = {prop.name: prop for prop in declared.properties}
        parts = []
        for part in source.fields:
            if (prop := properties.get(part.name)) is not None:
                inner = _merge_required(part.source, prop.dtype)
                part = replace(part, source=inner, nullable=not prop.required)
            parts.append(part)
        return replace(source, fields=tuple(parts))
    return source
