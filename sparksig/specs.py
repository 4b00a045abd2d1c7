"""The base of schemas: an immutable list of specs, with JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

from sparksig.errors import Code, Finding, SignatureError, SignatureTypeError, name_type

S = TypeVar("S")
L = TypeVar("L", bound="Specs[Any]")


class Specs(Generic[S]):
    """An immutable, ordered list of specs."""

    __slots__ = ("_hash", "_specs")
    _specs: tuple[S, ...]
    _hash: int
    _kinds: ClassVar[tuple[type, ...]] = ()
    _json_name: ClassVar[str] = ""

    def __init__(self, specs: list[Any]) -> None:
        name, kinds = type(self).__name__, " or ".join(cls.__name__ for cls in self._kinds)
        if not isinstance(specs, list):
            raise SignatureTypeError(f"{name}: expected a list of {kinds}, got {name_type(specs)}")
        if not all(isinstance(spec, self._kinds) for spec in specs):
            from sparksig.convert.mlflow import from_mlflow

            specs = [from_mlflow(spec) for spec in specs]
        for index, spec in enumerate(specs):
            if not isinstance(spec, self._kinds):
                raise SignatureTypeError(
                    f"{name}: expected a list of {kinds}, got {name_type(spec)} at position {index}"
                )
        self._check(specs)
        object.__setattr__(self, "_specs", tuple(specs))
        object.__setattr__(self, "_hash", hash(self._specs))  # computed once: plans are cached by it

    def _check(self, specs: list[S]) -> None:
        """Raise a SignatureError if the specs contradict each other."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: object) -> None:
        cls = type(self).__name__
        raise AttributeError(f"a {cls} is immutable: cannot set {name!r}. Create a new {cls}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (list(self._specs),))

    def __copy__(self: L) -> L:
        return self

    def __deepcopy__(self: L, memo: object) -> L:
        return self

    def __len__(self) -> int:
        return len(self._specs)

    def __iter__(self) -> Iterator[S]:
        return iter(self._specs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._specs == other._specs

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return repr(list(self._specs))

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the specs as built-ins for JSON: a list with one entry per spec."""
        return [spec.to_dict() for spec in self._specs]  # type: ignore[attr-defined]

    def to_json(self) -> str:
        """Return the JSON text that MLmodel files hold."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls: type[L], json_str: str) -> L:
        """Read the text that :meth:`to_json` wrote, here or in MLflow.

        Raises:
            SignatureError: not JSON, or malformed; ``findings`` lists every problem.
        """
        return cls._from_entries(_parse_list(json_str, cls._json_name))

    @classmethod
    def _from_entries(cls: type[L], entries: list[Any]) -> L:
        """Read the entries that :meth:`to_dict` returns."""
        specs: list[Any] = []
        findings: list[Finding] = []
        for index, entry in enumerate(entries):
            try:
                specs.append(cls._parse_entry(entry, index))
            except SignatureError as error:
                path = cls._find_entry_path(entry, index)
                findings += error.findings or (
                    Finding(Code.INVALID_VALUE, path, actual="an invalid entry", hint=error.message),
                )
        if findings:
            raise SignatureError.of("malformed signature JSON", findings)
        return cls(specs)

    @classmethod
    def _parse_entry(cls, entry: Any, index: int) -> Any:
        """Read one spec, or raise a SignatureError."""
        raise NotImplementedError

    @staticmethod
    def _find_entry_path(entry: Any, index: int) -> str:
        """Return the path of an entry, for findings."""
        del entry
        return f"[{index}]"


def _parse_list(text: str, name: str) -> list[Any]:
    if not isinstance(text, (str, bytes)):
        raise SignatureTypeError(f"the JSON of {name}: expected a string, got {name_type(text)}")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SignatureError(f"invalid JSON of {name}: {reason}") from None
    if not isinstance(data, list):
        raise SignatureError(f"the JSON of {name}: expected a list, got {name_type(data)}")
    return data
