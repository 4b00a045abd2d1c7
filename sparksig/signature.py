"""The signature of a model: inputs, outputs and params."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sparksig.errors import SignatureError, SignatureTypeError, below, name_type, quote
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import Schema, TensorSpec
from sparksig.types import Array, Map, Object, SparkMLVector, Type


class ModelSignature:
    """The signature of a model: the data it accepts, the predictions it returns, and its params.

    Args:
        inputs: a :class:`Schema`; or a dataclass, TypedDict or NamedTuple (a class or an instance) whose
            fields are the columns.
        outputs: likewise.
        params: a :class:`ParamSchema`; an empty one counts as None.

    Raises:
        SignatureError: all three are missing.
        ConversionError: a class has fields that no type covers.
        SignatureTypeError: an argument is of the wrong type.

    Example:
        >>> ModelSignature(inputs=Schema.from_json('[{"type": "long", "name": "a"}]'))
        inputs:
          ['a': long (required)]
        outputs:
          None
        params:
          None
        <BLANKLINE>
    """

    __slots__ = (
        "_inputs",
        "_is_signature_from_type_hint",
        "_is_type_hint_from_example",
        "_outputs",
        "_params",
    )

    def __init__(
        self,
        inputs: Schema | Any | None = None,
        outputs: Schema | Any | None = None,
        params: ParamSchema | None = None,
    ) -> None:
        if params is not None and not isinstance(params, ParamSchema):
            from sparksig.convert.mlflow import from_mlflow

            params = from_mlflow(params)
        if params is not None and not isinstance(params, ParamSchema):
            raise SignatureTypeError(f"params: expected a ParamSchema or None, got {name_type(params)}")
        self._inputs = _to_schema(inputs, "inputs")
        self._outputs = _to_schema(outputs, "outputs")
        self._params = params or None  # as in MLflow's files
        if inputs is None and outputs is None and not params:
            raise SignatureError("a signature needs inputs, outputs or params")
        # Flags of MLflow about the origin of a signature: MLmodel files have them, the contract does not.
        self._is_signature_from_type_hint = False
        self._is_type_hint_from_example = False

    @property
    def inputs(self) -> Schema | None:
        """The schema of the data that the model accepts."""
        return self._inputs

    @property
    def outputs(self) -> Schema | None:
        """The schema of the predictions that the model returns."""
        return self._outputs

    @property
    def params(self) -> ParamSchema | None:
        """The params that the model can be configured with."""
        return self._params

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelSignature) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return (self._inputs, self._outputs, self._params)

    def __repr__(self) -> str:
        return f"inputs: \n  {self._inputs!r}\noutputs: \n  {self._outputs!r}\nparams: \n  {self._params!r}\n"

    def to_text(self) -> str:
        """Format the signature as aligned lines: names, types, whether a column is required, defaults.

        A long object has one line per property, with the property's path. Names that contain characters of
        paths are in backticks.

        Example:
            >>> from sparksig import ColSpec, ParamSpec
            >>> price = ColSpec("double", "price", required=False)
            >>> params = ParamSchema([ParamSpec("stop", "string", ["."], (-1,))])
            >>> print(ModelSignature(Schema([ColSpec("long", "id"), price]), params=params).to_text())
            inputs
              id     long    required
              price  double  optional
            outputs
              none
            params
              stop  list of string  default ["."]
        """
        from sparksig.views import align_cells

        lines: list[str] = []
        for title, rows in self._format_sides():
            lines += [title, *align_cells(rows or [("none",)])]
        return "\n".join(lines)

    def _format_sides(self) -> list[tuple[str, list[Sequence[str]]]]:
        """Return the title and the rows of cells of each side."""
        schemas = [("inputs", self._inputs), ("outputs", self._outputs)]
        sides = [(title, _format_schema(schema) if schema else []) for title, schema in schemas]
        return sides + ([("params", [*map(_format_param, self._params)])] if self._params else [])

    def _repr_html_(self) -> str:
        return self._render(is_page=False)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the signature as a self-contained page of HTML.

        Args:
            path: the file to write; an existing file is replaced.

        Raises:
            MissingDependencyError: jinja2 is not installed.
            OSError: the file cannot be written.
        """
        Path(path).write_text(self._render(is_page=True), encoding="utf-8")

    def _render(self, *, is_page: bool) -> str:
        from sparksig.views import render

        return render("signature.html", sides=self._format_sides(), is_page=is_page)

    def to_dict(self) -> dict[str, str | None]:
        """Return the JSON text of each side, or None, as in MLmodel files.

        Raises:
            SignatureError: a default is NaN or infinite, which JSON cannot represent.
        """
        return {
            "inputs": self._inputs.to_json() if self._inputs else None,
            "outputs": self._outputs.to_json() if self._outputs else None,
            "params": self._params.to_json() if self._params else None,
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the signature as JSON: an object of inputs, outputs and params, each a list or null.

        Args:
            path: a file to write the text to, as well; an existing file is replaced.

        Returns:
            The text, as ``sparksig infer -o`` writes it; :func:`sparksig.load_signature` reads the file.

        Raises:
            SignatureError: a default is NaN or infinite, which JSON cannot represent.
            OSError: the file cannot be written.

        Example:
            >>> text = ModelSignature(Schema.from_json('[{"type": "long", "name": "a"}]')).to_json()
            >>> ModelSignature.from_dict(json.loads(text)).inputs
            ['a': long (required)]
        """
        sides = {
            "inputs": self._inputs and self._inputs.to_dict(),
            "outputs": self._outputs and self._outputs.to_dict(),
            "params": self._params and self._params.to_dict(),
        }
        text = json.dumps(sides, indent=2, allow_nan=False)
        if path is not None:
            Path(path).write_text(f"{text}\n", encoding="utf-8")
        return text

    @classmethod
    def from_dict(cls, signature_dict: Mapping[str, Any]) -> ModelSignature:
        """Read a dictionary of inputs, outputs and params; an absent key is None.

        Args:
            signature_dict: with the keys ``inputs``, ``outputs`` and ``params``; other keys are ignored. Each
                value is JSON text, as :meth:`to_dict` and MLflow write it, or the list that :meth:`to_json`
                writes.

        Raises:
            SignatureError: malformed; ``findings`` lists every problem.
            SignatureTypeError: not a mapping of JSON texts or lists.

        Example:
            >>> ModelSignature.from_dict({"inputs": [{"type": "long", "name": "a"}]}).inputs
            ['a': long (required)]
        """
        if not isinstance(signature_dict, Mapping):
            raise SignatureTypeError(
                f"expected a dictionary with inputs, outputs and params, got {name_type(signature_dict)}"
            )
        readers: dict[str, type[Schema] | type[ParamSchema]] = {
            "inputs": Schema,
            "outputs": Schema,
            "params": ParamSchema,
        }
        sides: dict[str, Any] = {}
        findings, messages = [], []
        for side, reader in readers.items():
            part = signature_dict.get(side)
            try:
                if isinstance(part, list):
                    sides[side] = reader._from_entries(part)
                else:
                    sides[side] = None if part is None else reader.from_json(part)
            except SignatureError as error:
                findings += [finding.below(side) for finding in error.findings]
                messages += [] if error.findings else [f"{side}: {error.message}"]
        if messages:
            raise SignatureError("; ".join(messages), findings)
        if findings:
            raise SignatureError.of("malformed signature JSON", findings)
        return cls(**sides)


def _to_schema(side: Any, name: str) -> Schema | None:
    if side is None or isinstance(side, Schema):
        return side
    from sparksig.convert.annotations import from_record
    from sparksig.convert.mlflow import from_mlflow
    from sparksig.convert.records import is_record

    side = from_mlflow(side)
    if isinstance(side, Schema):
        return side
    cls = side if isinstance(side, type) else type(side)
    if is_record(cls):
        return from_record(cls)
    expected = "a Schema, a dataclass, a TypedDict, a NamedTuple or None"
    raise SignatureTypeError(f"{name}: expected {expected}, got {name_type(side)}")


# --- signatures as text ------------------------------------------------------------------------------

ONE_LINE = 60
"""The maximum length of an object's type on one line; longer objects have one line per property."""


def _format_schema(schema: Schema) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for index, spec in enumerate(schema):
        name = f"({'tensor' if schema.is_tensor_spec() else f'column {index}'})"
        name = name if spec.name is None else quote(spec.name)
        if isinstance(spec, TensorSpec):
            rows.append((name, f"tensor of {spec.type.name}, shape {spec.shape}", "required"))
        else:
            path = str(index) if spec.name is None else name
            [(_, *cells), *property_rows] = _format_column(path, spec.type, spec.required, 0)
            rows += [(name, *cells), *property_rows]
    return rows


def _format_column(path: str, dtype: Type, required: bool, depth: int) -> Iterator[Sequence[str]]:
    """Yield the row of a column or property, then those of its properties, unless they fit into one line."""
    text, record, inner_path = _format_type(dtype)
    line = _format_one_line(dtype)
    if record is None or (line is not None and len(line) <= ONE_LINE):
        text, record = line or text, None
    yield "  " * depth + path, text, "required" if required else "optional"
    for prop in record.properties if record else ():
        yield from _format_column(below(path + inner_path, prop.name), prop.dtype, prop.required, depth + 1)


def _format_type(dtype: Type) -> tuple[str, Object | None, str]:
    """Return a type's text without properties, the object in the type, and the path from one to the other."""
    if isinstance(dtype, Object):
        return "object", dtype, ""
    if isinstance(dtype, (Array, Map)) and not isinstance(dtype, SparkMLVector):
        text, record, path = _format_type(dtype.dtype if isinstance(dtype, Array) else dtype.value_type)
        return (f"Array({text})" if isinstance(dtype, Array) else f"Map(str -> {text})"), record, f"[]{path}"
    return repr(dtype), None, ""


def _format_one_line(dtype: Type) -> str | None:
    """Return a type's text with all properties; None if a name contains characters of the notation."""
    text, record, _ = _format_type(dtype)
    if record is None:
        return text
    fields = []
    for prop in record.properties:
        field = _format_one_line(prop.dtype)
        if field is None or quote(prop.name) != prop.name or set(":,{}()").intersection(prop.name):
            return None
        fields.append(f"{prop.name}: {field}" + ("" if prop.required else " (optional)"))
    head, tail = text.split("object")
    return f"{head}{{{', '.join(fields)}}}{tail}"


def _format_param(spec: ParamSpec) -> Sequence[str]:
    dtype = _format_one_line(spec.dtype) or "object"
    if spec.default is None:
        return quote(spec.name), dtype, "default none"
    default = json.dumps(spec.default, default=lambda date: date.isoformat(), ensure_ascii=False)
    if not default.isprintable():
        default = json.dumps(spec.default, default=lambda date: date.isoformat())
    return quote(spec.name), f"list of {dtype}" if spec.shape else dtype, f"default {default}"
