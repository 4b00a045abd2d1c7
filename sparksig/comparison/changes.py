"""The differences between two contracts, from old to new, including those that break nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sparksig.comparison.reasons import describe_spec, format_param_type, format_spec_path
from sparksig.comparison.results import Note
from sparksig.errors import Code, Finding, quote, shorten
from sparksig.lattice import NEVER_NULL
from sparksig.params import ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import Property, Type, describe
from sparksig.walks import zip_parts

_TYPE_CODES = frozenset({Code.TYPE_MISMATCH, Code.SHAPE_MISMATCH})
_NAME_CODES = frozenset({Code.MISSING_COLUMN, Code.MISSING_FIELD, Code.UNKNOWN_KEY})
_REMOVED = {
    "inputs": "only in old: dropped, like every extra column",
    "outputs": "only in old, where it is optional",
}
_ADDED = {
    "inputs": "only in new, where it is optional",
    "outputs": "only in new: existing consumers can ignore it",
}


@dataclass(frozen=True)
class Change:
    """A difference between two contracts; ``of_type`` if types differ, not names or requirements."""

    path: str
    text: str
    of_type: bool = False


def exclude_reasons(changes: Iterable[Change], reasons: Iterable[Finding]) -> tuple[Note, ...]:
    """Return notes about the changes that are not reported as reasons already."""
    codes = _TYPE_CODES | _NAME_CODES
    reported = {(reason.path, reason.code in _TYPE_CODES) for reason in reasons if reason.code in codes}
    return tuple(
        Note(change.path, change.text) for change in changes if (change.path, change.of_type) not in reported
    )


def find_schema_changes(old: Schema, new: Schema, side: str) -> Iterator[Change]:
    """Yield the differences between two schemas; nothing if they cannot be compared, which is a reason."""
    is_named = old.has_input_names()
    if old.is_tensor_spec() != new.is_tensor_spec() or is_named != new.has_input_names():
        return
    if not is_named and len(old) != len(new):
        return
    first, second = (dict(zip(schema.input_names(), schema)) for schema in (old, new))
    for name, spec in first.items():
        path = format_spec_path(spec, name)
        if name in second:
            yield from _compare_specs(spec, second[name], path)
        else:
            yield Change(path, _REMOVED[side])
    yield from (Change(quote(name), _ADDED[side]) for name in second if name not in first)
    if [name for name in first if name in second] != [name for name in second if name in first]:
        yield Change("", "the order of columns changed; callers by position break")


def _compare_specs(old: Any, new: Any, path: str) -> Iterator[Change]:
    if isinstance(old, TensorSpec):
        if old != new:
            yield Change(path, f"{describe_spec(old)} -> {describe_spec(new)}", of_type=True)
        return
    yield from _compare_requirements(old, new, new.type, path)
    yield from _compare_types(old.type, new.type, path)


def _compare_requirements(
    old: ColSpec | Property, new: ColSpec | Property, dtype: Type, path: str
) -> Iterator[Change]:
    if new.required and not old.required:
        effect = ", which refuses nulls" if dtype in NEVER_NULL else ""
        yield Change(path, f"optional -> required{effect}")
    elif old.required and not new.required:
        yield Change(path, "required -> optional")


def _compare_types(old: Type, new: Type, path: str) -> Iterator[Change]:
    parts = zip_parts(old, new, path) if type(old) is type(new) else []
    if not parts and old != new:
        yield Change(path, f"{describe(old)} -> {describe(new)}", of_type=True)
    for part_path, old_part, new_part in parts:
        if old_part is None or new_part is None:
            yield Change(part_path, "only in old" if old_part else "only in new")
        else:
            yield from _compare_requirements(old_part, new_part, new_part.dtype, part_path)
            yield from _compare_types(old_part.dtype, new_part.dtype, part_path)


# --- params -----------------------------------------------------------------------------------------------


def find_param_changes(old: Mapping[str, ParamSpec], new: Mapping[str, ParamSpec]) -> Iterator[Change]:
    """Yield the differences between the params of two models."""
    for name, spec in old.items():
        if name in new:
            yield from _compare_params(spec, new[name], quote(name))
        else:
            yield Change(quote(name), "only in old")
    for name, spec in new.items():
        if name not in old:
            yield Change(quote(name), f"only in new; its default is {_format_default(spec)}")


def _compare_params(old: ParamSpec, new: ParamSpec, path: str) -> Iterator[Change]:
    if old.shape != new.shape:
        yield Change(path, f"{format_param_type(old)} -> {format_param_type(new)}", of_type=True)
    else:
        yield from _compare_types(old.dtype, new.dtype, path if old.shape is None else f"{path}[]")
    if _has_another_default(old, new):
        yield Change(path, f"its default: {_format_default(old)} -> {_format_default(new)}")


def _has_another_default(old: ParamSpec, new: ParamSpec) -> bool:
    if (old.dtype, old.shape) == (new.dtype, new.shape):
        return old != new  # the comparison of specs distinguishes 1 from 1.0, and knows NaN
    return bool(old.default != new.default) and repr(old.default) != repr(new.default)


def _format_default(spec: ParamSpec) -> str:
    return shorten(repr(spec.default))
