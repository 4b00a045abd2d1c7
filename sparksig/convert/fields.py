"""Conversion between the fields of Arrow or Spark schemas and columns or tensors."""

from __future__ import annotations

import json
from collections.abc import Callable

from sparksig.errors import Code, ConversionError, Finding, SignatureError, quote
from sparksig.lattice import NULL, Field, Source
from sparksig.narrowing import build_null_finding, find_narrowest_type
from sparksig.schema import ColSpec, TensorSpec, parse_tensor_metadata

TENSOR_KEY = "sparksig.tensor"
"""The metadata key of a field that is a tensor; its value is JSON with the exact dtype and shape."""


def build_tensor_metadata(spec: TensorSpec) -> dict[str, str]:
    """Return the metadata of a field that is a tensor."""
    return {TENSOR_KEY: json.dumps({key: value for key, value in spec.to_dict().items() if key != "name"})}


def read_field(
    field: Field,
    type_text: str,
    metadata: object,
    tensor_source: Callable[[TensorSpec], Source],
    findings: list[Finding],
) -> ColSpec | TensorSpec | None:
    """Read a field of a table as a column, or as the tensor that its metadata describes.

    Return None if it cannot be read, which is reported in ``findings``. ``tensor_source`` returns the type of
    one row of a tensor.
    """
    path = quote(field.name)
    if metadata is None:
        if field.source == NULL and not field.nullable:
            findings.append(build_null_finding(path))
        dtype = find_narrowest_type(field.source, path, findings)
        return None if dtype is None else ColSpec(dtype, field.name, required=not field.nullable)
    try:
        spec = parse_tensor_metadata(metadata, field.name)
        if tensor_source(spec) == field.source:
            return spec
    except (SignatureError, ConversionError) as error:
        findings += error.findings
        return None
    hint = f"the metadata {TENSOR_KEY} and the field have different types"
    findings.append(Finding(Code.TYPE_MISMATCH, path, repr(spec), type_text, hint))
    return None
