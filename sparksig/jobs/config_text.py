"""The text of a commented configuration file, written from the fields of a configuration class."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sparksig.jobs.config_types import is_section, list_fields, strip_type


def write_config(config_type: type[BaseModel], values: Mapping[str, Any], examples: Mapping[str, Any]) -> str:
    """Return a configuration file with a comment for each key.

    Keys without a value are commented out by a ``#``; removing it leaves a valid line.

    Args:
        config_type: a class of :mod:`sparksig.jobs.config`.
        values: the values to set, a mapping for each section.
        examples: values for keys that are commented out, by dotted keys; other keys have their defaults.

    Example:
        >>> from sparksig.jobs.config import BudgetSection
        >>> print(write_config(BudgetSection, {"rows": 10}, {"share": 0.001}))
        # the number of rows that may fail
        rows: 10
        <BLANKLINE>
        # the share of the rows that may fail; 0.01 is 1 %
        #share: 0.001
    """
    return "\n".join(_list_lines(config_type, values, examples, "", ""))


def _list_lines(
    config_type: type[BaseModel],
    values: Mapping[str, Any] | None,
    examples: Mapping[str, Any],
    before: str,
    indent: str,
) -> Iterator[str]:
    """Return the lines of a section; a section without values is commented out."""
    fields = list_fields(config_type)
    if not before:  # required sections first
        fields = dict(sorted(fields.items(), key=lambda item: not item[1].is_required()))
    for key, field in fields.items():
        path, is_set = f"{before}{key}", values is not None and key in values
        sign = "" if values is not None else "#"
        inner = strip_type(field.annotation)
        if not before and path != next(iter(fields)):
            yield ""
        yield from _comment(field, f"{sign}{indent}")
        if is_section(inner):
            yield f"{'' if is_set else '#'}{indent}{key}:"
            section = values[key] if values is not None and is_set else None
            yield from _list_lines(inner, section, examples, f"{path}.", f"{indent}  ")
        elif values is not None and is_set:
            yield from _format_value(key, values[key], indent)
        else:
            # a section's "#" is in the first column, so that its keys stay aligned
            mark, inset = ("#", indent) if sign else (f"{indent}#", "")
            lines = _format_value(key, examples.get(path, _get_default(field)), inset)
            yield from (f"{mark}{line}" for line in lines)


def _comment(field: FieldInfo, prefix: str) -> Iterator[str]:
    inner = strip_type(field.annotation)
    text = field.description or ""
    if get_origin(inner) is Literal and not all(f"{choice}" in text for choice in get_args(inner)):
        text = f"{text}; one of {', '.join(get_args(inner))}"
    for line in textwrap.wrap(text, 100 - len(prefix)):
        yield f"{prefix}# {line}"


def _get_default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.default


def _format_value(key: str, value: Any, indent: str) -> list[str]:
    """Return the lines of a key with its value."""
    if isinstance(value, (list, dict)) and not value:
        text = f"{key}: {'[]' if isinstance(value, list) else '{}'}"
    else:
        text = yaml.safe_dump({key: value}, allow_unicode=True, sort_keys=False, width=10_000).rstrip("\n")
    return [f"{indent}{line}" for line in text.split("\n")]
