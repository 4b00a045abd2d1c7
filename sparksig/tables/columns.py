"""The columns of a table, from Arrow or from Spark, in the types of the casting table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from sparksig.convert.arrow import to_source as arrow_to_source
from sparksig.convert.ddl_reader import read_columns
from sparksig.errors import SignatureError, quote
from sparksig.lattice import Field, ListOf, MapOf, Scalar, Source, Struct
from sparksig.source_walks import merge_sources

if TYPE_CHECKING:
    from pyspark.sql import types as T


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        field: its name, its type, and whether it may hold nulls.
        text: its type in the notation of the table's system.
        arrow: the Arrow type in which Python receives it; None if Python cannot receive it.
    """

    field: Field
    text: str
    arrow: pa.DataType | None = None

    @property
    def name(self) -> str:
        """The column's name."""
        return self.field.name


def list_arrow_columns(schema: pa.Schema) -> list[Column]:
    """Return the columns of an Arrow schema.

    Example:
        >>> [column.text for column in list_arrow_columns(pa.schema([("a", pa.list_(pa.int8()))]))]
        ['list<int8>']
    """
    sources = [arrow_to_source(part.type) for part in schema]
    return [
        Column(Field(part.name, source, part.nullable), str(source), part.type)
        for part, source in zip(schema, sources)
    ]


def list_spark_columns(table: T.StructType) -> list[Column]:
    """Return the columns of a Spark schema."""
    from sparksig.errors import UnsupportedError
    from sparksig.spark.arrow_types import to_arrow_type

    columns = []
    for part in table.fields:
        try:
            arrow = to_arrow_type(part.dataType)
        except (UnsupportedError, ValueError):  # a map whose keys are of the null type
            arrow = None
        field = convert_spark_field(part)
        text = (
            format_type(field.source)
            if _LENGTHS_KEY in (part.metadata or {})
            else part.dataType.simpleString()
        )
        columns.append(Column(field, text, arrow))
    return columns


def build_declared_column(field: Field) -> Column:
    """Return a column that only a contract declares, with its type as DDL."""
    return Column(field, format_type(field.source))


# --- text ---------------------------------------------------------------------------------------------------


def format_type(source: Source) -> str:
    """Write a type as DDL does.

    Example:
        >>> from sparksig.lattice import Decimal
        >>> format_type(ListOf(Decimal(10, 2))), format_type(Struct((Field("a", Scalar("int64", "bigint")),)))
        ('array<decimal(10,2)>', 'struct<a:bigint>')
    """
    if isinstance(source, ListOf):
        return f"array<{format_type(source.item)}>"
    if isinstance(source, MapOf):
        return f"map<{format_type(source.key)},{format_type(source.value)}>"
    if isinstance(source, Struct) and not source.kind:
        return (
            f"struct<{','.join(f'{quote(part.name)}:{format_type(part.source)}' for part in source.fields)}>"
        )
    return str(source)


# --- lengths of char and varchar ----------------------------------------------------------------------------

_LENGTHS_KEY = "__CHAR_VARCHAR_TYPE_STRING"
"""The metadata key under which Spark stores the type of char and varchar columns."""


def convert_spark_field(part: T.StructField) -> Field:
    """Return a field of a Spark schema, with the lengths of char and varchar.

    Spark stores ``varchar(5)`` as a string, and the original type in the metadata of the field.
    """
    from sparksig.convert.spark import to_source

    return restore_lengths(Field(part.name, to_source(part.dataType), part.nullable), part.metadata or {})


def list_spark_fields(table: T.StructType) -> list[Field]:
    """Return the fields of a Spark schema, with the lengths of char and varchar."""
    return [convert_spark_field(part) for part in table.fields]


def restore_lengths(field: Field, metadata: dict[str, object]) -> Field:
    """Return a field with the lengths of char and varchar that Spark has stored in its metadata."""
    text = metadata.get(_LENGTHS_KEY)
    if not isinstance(text, str):
        return field
    try:
        [declared] = read_columns(f"x {text}", [])
    except (SignatureError, ValueError):  # another system wrote the text
        return field
    return replace(field, source=_merge_lengths(field.source, declared.source))


def _merge_lengths(source: Source, declared: Source) -> Source:
    """Return a type with the lengths of another type, which must be equal except for the lengths."""
    if isinstance(declared, Scalar) and source == declared:
        return declared if declared.max_length is not None else source
    return merge_sources(
        source,
        declared,
        lambda part, other: replace(part, source=_merge_lengths(part.source, other.source)),
    )
