"""The contract of a model: what it takes, gives, and can be told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sparksig.errors import SignatureError, SignatureTypeError, below, kind, step
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import Schema, TensorSpec
from sparksig.types import Array, Map, Object, SparkMLVector, Type

__all__ = ["ModelSignature"]


class ModelSignature:
    """What a model takes (inputs), gives (outputs) and can be told (params).

    Args:
        inputs: a :class:`Schema`; or a dataclass, TypedDict or NamedTuple (a class or an instance) whose
            fields are the columns.
        outputs: likewise.
        params: a :class:`ParamSchema`; an empty one counts as none.

    Raises:
        SignatureError: there is none of the three.
        ConversionError: a class has fields that no type covers.
        SignatureTypeError: an argument is of the wrong kind.

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
            raise SignatureTypeError(f"params must be a ParamSchema or None, not {kind(params)}")
        self._inputs = _side(inputs, "inputs")
        self._outputs = _side(outputs, "outputs")
        self._params = params or None  # MLflow, too, writes no params where there is none
        if inputs is None and outputs is None and not params:
            raise SignatureError("a signature has inputs, outputs or params: there are none of them")
        # How MLflow came by a signature; kept beside it in MLmodel, no part of the contract.
        self._is_signature_from_type_hint = False
        self._is_type_hint_from_example = False

    @property
    def inputs(self) -> Schema | None:
        """What the model takes."""
        return self._inputs

    @property
    def outputs(self) -> Schema | None:
        """What the model gives."""
        return self._outputs

    @property
    def params(self) -> ParamSchema | None:
        """What the model can be told."""
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
        """The signature as aligned lines for people: names, types, what is required, defaults.

        An object that is long, or has odd names, takes a line for each of its properties, named by its path
        as findings name it. Names that would be taken for more than a name stand in backticks.

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
        from sparksig.views import aligned

        lines: list[str] = []
        for title, rows in self._sides():
            lines += [title, *aligned(rows or [("none",)])]
        return "\n".join(lines)

    def _sides(self) -> list[tuple[str, list[Sequence[str]]]]:
        """What :meth:`to_text` shows: each side's title, and its lines."""
        sides = [("inputs", self._inputs), ("outputs", self._outputs)]
        shown = [(title, _rows(side) if side else []) for title, side in sides]
        return shown + ([("params", [*map(_param_row, self._params)])] if self._params else [])

    def _repr_html_(self) -> str:
        return self._rendered(whole=False)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the signature as one page of HTML that needs nothing else.

        Args:
            path: of the file; one that is there is replaced.

        Raises:
            MissingDependencyError: jinja2 is not installed.
            OSError: the file cannot be written.
        """
        Path(path).write_text(self._rendered(whole=True), encoding="utf-8")

    def _rendered(self, *, whole: bool) -> str:
        from sparksig.views import render

        return render("signature.html", sides=self._sides(), whole=whole)

    def to_dict(self) -> dict[str, str | None]:
        """Three JSON texts (None for what is not there), as MLmodel files hold them.

        Raises:
            SignatureError: a default is NaN or infinite, which JSON cannot say.
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
            SignatureError: a default is NaN or infinite, which JSON cannot express.
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
            signature_dict: with the keys ``inputs``, ``outputs`` and ``params``; others are ignored. Each is
                JSON text, as :meth:`to_dict` and MLflow write it, or the list that :meth:`to_json` writes.

        Raises:
            SignatureError: malformed; ``findings`` has every place.
            SignatureTypeError: not a mapping of JSON texts or lists.

        Example:
            >>> ModelSignature.from_dict({"inputs": [{"type": "long", "name": "a"}]}).inputs
            ['a': long (required)]
        """
        if not isinstance(signature_dict, Mapping):
            raise SignatureTypeError(f"a signature is read from a dictionary, not {kind(signature_dict)}")
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


def _side(side: Any, name: str) -> Schema | None:
    if side is None or isinstance(side, Schema):
        return side
    from sparksig.convert.hints import from_record
    from sparksig.convert.mlflow import from_mlflow
    from sparksig.convert.records import is_record

    side = from_mlflow(side)
    if isinstance(side, Schema):
        return side
    cls = side if isinstance(side, type) else type(side)
    if is_record(cls):
        return from_record(cls)
    expected = "a Schema, a dataclass, a TypedDict, a NamedTuple or None"
    raise SignatureTypeError(f"{name} must be {expected}, not {kind(side)}")


# --- a signature as people read it -------------------------------------------------------------------

ONE_LINE = 60
"""An object whose type is longer than this takes a line for each property."""


def _rows(schema: Schema) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for index, spec in enumerate(schema):
        name = f"({'tensor' if schema.is_tensor_spec() else f'column {index}'})"
        name = name if spec.name is None else step(spec.name)
        if isinstance(spec, TensorSpec):
            rows.append((name, f"tensor of {spec.type.name}, shape {spec.shape}", "required"))
        else:
            path = str(index) if spec.name is None else name
            [(_, *first), *more] = _column_rows(path, spec.type, spec.required, 0)
            rows += [(name, *first), *more]
    return rows


def _column_rows(path: str, dtype: Type, required: bool, depth: int) -> Iterator[Sequence[str]]:
    """The line of a column or property; then, unless it is short, those of the properties in it."""
    shown, record, inner = _spelled(dtype)
    whole = _one_line(dtype)
    if record is None or (whole is not None and len(whole) <= ONE_LINE):
        shown, record = whole or shown, None
    yield "  " * depth + path, shown, "required" if required else "optional"
    for prop in record.properties if record else ():
        yield from _column_rows(below(path + inner, prop.name), prop.dtype, prop.required, depth + 1)


def _spelled(dtype: Type) -> tuple[str, Object | None, str]:
    """A type in words, without the properties of the object in it; that object; its path from here."""
    if isinstance(dtype, Object):
        return "object", dtype, ""
    if isinstance(dtype, SparkMLVector):
        return repr(dtype), None, ""
    if isinstance(dtype, (Array, Map)):
        text, record, path = _spelled(dtype.dtype if isinstance(dtype, Array) else dtype.value_type)
        return (f"Array({text})" if isinstance(dtype, Array) else f"Map(str -> {text})"), record, f"[]{path}"
    return repr(dtype), None, ""


def _one_line(dtype: Type) -> str | None:
    """A type with everything in it; None if an odd name could be taken for something else."""
    text, record, _ = _spelled(dtype)
    if record is None:
        return text
    fields = []
    for prop in record.properties:
        inner = _one_line(prop.dtype)
        if inner is None or step(prop.name) != prop.name or set(":,{}()").intersection(prop.name):
            return None
        fields.append(f"{prop.name}: {inner}" + ("" if prop.required else " (optional)"))
    head, tail = text.split("object")
    return f"{head}{{{', '.join(fields)}}}{tail}"


def _param_row(spec: ParamSpec) -> Sequence[str]:
    shown = _one_line(spec.dtype) or "object"
    if spec.default is None:
        return step(spec.name), shown, "default none"
    default = json.dumps(spec.default, default=lambda instant: instant.isoformat(), ensure_ascii=False)
    if not default.isprintable():
        default = json.dumps(spec.default, default=lambda instant: instant.isoformat())
    return step(spec.name), f"list of {shown}" if spec.shape else shown, f"default {default}"
