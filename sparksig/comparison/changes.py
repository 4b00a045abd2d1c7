"""All that is different between two contracts, from old to new, whether it is a reason or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sparksig.comparison.reasons import described, param_type, spec_path
from sparksig.comparison.results import Note
from sparksig.errors import Code, Finding, step
from sparksig.lattice import NEVER_NULL
from sparksig.params import ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import Property, Type, describe
from sparksig.walks import zip_parts

__all__ = ["Change", "beside", "param_changes", "schema_changes"]

_OF_TYPES = frozenset({Code.TYPE_MISMATCH, Code.SHAPE_MISMATCH})
_OF_NAMES = frozenset({Code.MISSING_COLUMN, Code.MISSING_FIELD, Code.UNKNOWN_KEY})
_GONE = {
    "inputs": "only in old: dropped, as extra columns are",
    "outputs": "only in old, where it is optional",
}
_COME = {
    "inputs": "only in new, where it is optional",
    "outputs": "only in new: who does not read it drops it",
}


@dataclass(frozen=True)
class Change:
    """A difference.

    Attributes:
        path: where it is.
        text: what it is.
        of_type: whether it is one of types, and not of what is there.
    """

    path: str
    text: str
    of_type: bool = False


def beside(changes: Iterable[Change], reasons: Iterable[Finding]) -> tuple[Note, ...]:
    """The changes that are no reasons already."""
    told = {(one.path, one.code in _OF_TYPES) for one in reasons if one.code in _OF_TYPES | _OF_NAMES}
    return tuple(Note(one.path, one.text) for one in changes if (one.path, one.of_type) not in told)


def schema_changes(old: Schema, new: Schema, side: str) -> Iterator[Change]:
    """The differences of two schemas; none, if they cannot be laid side by side, which is a reason."""
    named = old.has_input_names()
    if old.is_tensor_spec() != new.is_tensor_spec() or named != new.has_input_names():
        return
    if not named and len(old) != len(new):
        return
    first, second = (dict(zip(one.input_names(), one)) for one in (old, new))
    for name, spec in first.items():
        path = spec_path(spec, name)
        if name in second:
            yield from _spec_changes(spec, second[name], path)
        else:
            yield Change(path, _GONE[side])
    yield from (Change(step(name), _COME[side]) for name in second if name not in first)
    if [name for name in first if name in second] != [name for name in second if name in first]:
        yield Change("", "in another order, for who goes by positions")


def _spec_changes(old: Any, new: Any, path: str) -> Iterator[Change]:
    if isinstance(old, TensorSpec):
        if old != new:
            yield Change(path, f"{described(old)} -> {described(new)}", of_type=True)
        return
    yield from _requirement(old, new, new.type, path)
    yield from _type_changes(old.type, new.type, path)


def _requirement(
    old: ColSpec | Property, new: ColSpec | Property, dtype: Type, path: str
) -> Iterator[Change]:
    if new.required and not old.required:
        refused = ", which refuses nulls" if dtype in NEVER_NULL else ""
        yield Change(path, f"optional -> required{refused}")
    elif old.required and not new.required:
        yield Change(path, "required -> optional")


def _type_changes(old: Type, new: Type, path: str) -> Iterator[Change]:
    parts = zip_parts(old, new, path) if type(old) is type(new) else []
    if not parts and old != new:
        yield Change(path, f"{describe(old)} -> {describe(new)}", of_type=True)
    for where, mine, other in parts:
        if mine is None or other is None:
            yield Change(where, "only in old" if mine else "only in new")
        else:
            yield from _requirement(mine, other, other.dtype, where)
            yield from _type_changes(mine.dtype, other.dtype, where)


# --- params -----------------------------------------------------------------------------------------------


def param_changes(old: Mapping[str, ParamSpec], new: Mapping[str, ParamSpec]) -> Iterator[Change]:
    """The differences of the params of two models."""
    for name, spec in old.items():
        if name in new:
            yield from _param_changes(spec, new[name], step(name))
        else:
            yield Change(step(name), "only in old")
    for name, spec in new.items():
        if name not in old:
            yield Change(step(name), f"only in new; its default is {_shown(spec)}")


def _param_changes(old: ParamSpec, new: ParamSpec, path: str) -> Iterator[Change]:
    if old.shape != new.shape:
        yield Change(path, f"{param_type(old)} -> {param_type(new)}", of_type=True)
    else:
        yield from _type_changes(old.dtype, new.dtype, path if old.shape is None else f"{path}[]")
    if _has_another_default(old, new):
        yield Change(path, f"its default: {_shown(old)} -> {_shown(new)}")


def _has_another_default(old: ParamSpec, new: ParamSpec) -> bool:
    if (old.dtype, old.shape) == (new.dtype, new.shape):
        return old != new  # which tells NaN from others, and 1 from 1.0
    return bool(old.default != new.default) and repr(old.default) != repr(new.default)


def _shown(spec: ParamSpec) -> str:
    text = repr(spec.default)
    return text if len(text) <= 80 else f"{text[:77]}..."
