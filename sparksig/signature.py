"""The contract of a model: what it takes, gives, and can be told."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparksig.errors import SignatureError, SignatureTypeError, kind
from sparksig.params import ParamSchema
from sparksig.schema import Schema

__all__ = ["ModelSignature"]


class ModelSignature:
    """What a model takes (inputs), gives (outputs) and can be told (params).

    Args:
        inputs: a :class:`Schema`, or a dataclass (class or instance) whose fields are the columns.
        outputs: likewise.
        params: a :class:`ParamSchema`; an empty one counts as none.

    Raises:
        SignatureError: there is none of the three.
        ConversionError: a dataclass has fields that no type covers.
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

    def _repr_html_(self) -> str:
        return self._rendered(whole=False)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the signature as one page of HTML that needs nothing else.

        Raises:
            MissingDependencyError: jinja2 is not installed.
            OSError: the file cannot be written.
        """
        Path(path).write_text(self._rendered(whole=True), encoding="utf-8")

    def _rendered(self, *, whole: bool) -> str:
        from sparksig.report import render
        from sparksig.types import describe

        def described(spec: Any) -> str:
            if hasattr(spec, "shape") and not hasattr(spec, "default"):
                return f"Tensor({spec.type.name!r}, {spec.shape!r})"
            shape = getattr(spec, "shape", None)
            return describe(getattr(spec, "type", None) or spec.dtype) + (f", shape {shape}" if shape else "")

        return render("signature.html", signature=self, described=described, whole=whole)

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

    @classmethod
    def from_dict(cls, signature_dict: Mapping[str, Any]) -> ModelSignature:
        """Read what :meth:`to_dict` gave, here or in MLflow; an absent key is None.

        Raises:
            SignatureError: malformed; ``findings`` has every place.
            SignatureTypeError: not a mapping of JSON texts.
        """
        if not isinstance(signature_dict, Mapping):
            raise SignatureTypeError(f"a signature is read from a dictionary, not {kind(signature_dict)}")
        readers = {"inputs": Schema.from_json, "outputs": Schema.from_json, "params": ParamSchema.from_json}
        sides: dict[str, Any] = {}
        findings, messages = [], []
        for side, read in readers.items():
            text = signature_dict.get(side)
            try:
                sides[side] = None if text is None else read(text)
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
    if dataclasses.is_dataclass(side):
        from sparksig.convert.hints import from_dataclass

        return from_dataclass(side if isinstance(side, type) else type(side))
    raise SignatureTypeError(f"{name} must be a Schema, a dataclass or None, not {kind(side)}")
