"""The type of predictions that a caller declares by DDL, without Spark."""

from __future__ import annotations

import pyarrow as pa

from sparksig.convert.ddl import from_ddl
from sparksig.convert.variant import is_variant
from sparksig.errors import ContractError, ConversionError, SignatureError, UnsupportedError, name_type
from sparksig.schema import ColSpec, Schema
from sparksig.scoring.results import LOCAL_TIME
from sparksig.tables.exact import source_to_arrow
from sparksig.tables.readers import FileReader
from sparksig.types import Object


def read_result_type(text: str) -> tuple[Schema, pa.DataType]:
    """Read a type as DDL: the outputs that a model must return, and the Arrow type of predictions.

    Args:
        text: a type such as "array<float>", or columns such as "a int, b string".

    Raises:
        ContractError: the text is not DDL, or signatures do not have the type.
        UnsupportedError: predictions cannot have the type.

    Example:
        >>> read_result_type("smallint")
        (['prediction': integer (optional)], DataType(int16))
    """
    if not isinstance(text, str):
        raise ContractError(f"result_type: expected DDL such as 'double', got {name_type(text)}")
    for ddl in (f"prediction {text}", text):
        try:
            fields, outputs = FileReader().read_ddl(ddl), from_ddl(ddl)
        except (ContractError, ConversionError, SignatureError) as error:
            failure = error
            continue
        declared = {str(spec.name): spec.type for spec in outputs if isinstance(spec, ColSpec)}
        types = [remove_zones(source_to_arrow(field.source, field.name, [])) for field in fields]
        dtype = pa.struct(list(zip(declared, types))) if ddl is text else types[0]
        if ddl is not text and isinstance(declared["prediction"], Object):  # which has columns, as DDL has
            known = {prop.name: prop.dtype for prop in declared["prediction"].properties}
            declared = {part.name: known[part.name] for part in dtype}
        return Schema([ColSpec(part, name, required=False) for name, part in declared.items()]), dtype
    raise ContractError(f"result_type {text!r} is not a Spark type: {failure.message}")


def remove_zones(dtype: pa.DataType) -> pa.DataType:
    """Return a type with local times in place of timestamps, as predictions have them before a zone is set.

    Raises:
        UnsupportedError: predictions cannot have the type.
    """
    if is_variant(dtype):
        return dtype
    if pa.types.is_struct(dtype):
        parts = [dtype.field(index) for index in range(dtype.num_fields)]
        return pa.struct([pa.field(part.name, remove_zones(part.type)) for part in parts])
    if pa.types.is_list(dtype):
        return pa.list_(remove_zones(dtype.value_type))
    if pa.types.is_map(dtype):
        return pa.map_(remove_zones(dtype.key_type), remove_zones(dtype.item_type))
    if pa.types.is_decimal(dtype):
        raise UnsupportedError(
            "predictions cannot be decimals. Use double or bigint as result_type, and cast the predictions"
        )
    if pa.types.is_timestamp(dtype):
        return LOCAL_TIME if dtype.tz is None else pa.timestamp("ns")
    return dtype
