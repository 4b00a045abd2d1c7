"""Values of a configuration from --set, and from environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from sparksig.errors import Code, Finding, name_type
from sparksig.jobs.config_types import Loc, accepts_text, find_type, format_key
from sparksig.models.safe_yaml import load_yaml

BY_SET = "by --set"

_STEP = re.compile(r"(?:\[(\d+)\]|([^.\[\]]+))(?:\.(?=.)|(?=\[)|$)")


def apply_override(data: Any, override: str, config_type: Any) -> tuple[Any, Loc, Finding | None]:
    """Apply a ``key=value`` to a configuration.

    The key is a dotted path as findings name it; after a mapping with free keys, such as ``spark``, the
    remaining path is a single key. The value is YAML; unquoted text needs no escapes where only text is
    allowed.

    Returns:
        The new configuration, the position of the value, and the finding if it cannot be applied.
    """
    key, equals, text = override.partition("=")
    loc = _parse_key(key, config_type)
    if not equals or loc is None:
        path, actual = (f"--set {key}", "another") if equals else ("--set", "no =")
        return data, (), Finding(Code.INVALID_VALUE, path, "KEY=VALUE, the key a dotted path", actual)
    try:
        value = _parse_value(text, find_type(config_type, loc))
    except ValueError as error:
        reason = str(error).removeprefix("cannot read this YAML: ")
        path, actual = format_key(loc), f"another, {BY_SET}"
        return data, loc, Finding(Code.INVALID_VALUE, path, "a value in YAML", actual, reason)
    finding = _find_obstacle(data, loc)
    return (data if finding else _set_value(data, loc, value)), loc, finding


def _parse_key(key: str, config_type: Any) -> Loc | None:
    """Parse a dotted path; return None for other text."""
    loc: list[Any] = []
    while key:
        dtype = find_type(config_type, loc)
        if get_origin(dtype) is dict:
            quoted = re.fullmatch(r"`((?:[^`]|``)+)`", key)
            return [*loc, quoted[1].replace("``", "`") if quoted else key]
        step = _STEP.match(key)
        if step is None:
            return None
        is_list = list in (get_origin(dtype), *map(get_origin, get_args(dtype)))
        number = step[1] or (step[2] if is_list and step[2].isdecimal() else None)
        loc.append(step[2] if number is None else int(number))
        key = key[step.end() :]
    return loc or None


def _parse_value(text: str, config_type: Any) -> Any:
    """Parse a value of the command line as YAML, or as text where only text is allowed."""
    texts = accepts_text(config_type)
    try:
        value = load_yaml(text.encode())
    except ValueError:
        if texts == "no":
            raise
        return text
    return text if texts == "only" and not (value is None or isinstance(value, str)) else value


def _find_obstacle(data: Any, loc: Loc) -> Finding | None:
    """Report a value in the file that cannot contain the new value."""
    for depth, part in enumerate(loc):
        path, container = format_key(loc[:depth]), list if type(part) is int else dict
        if data is not None and not isinstance(data, container):
            expected = f"{'a list' if container is list else 'a section'} to set {format_key(loc)} in"
            return Finding(Code.INVALID_VALUE, path, expected, name_type(data))
        if container is list:
            if part > len(data or []):
                most = f"an index up to {len(data or [])}"
                return Finding(
                    Code.INVALID_VALUE, format_key(loc[: depth + 1]), most, f"a larger one, {BY_SET}"
                )
            data = data[part] if data and part < len(data) else None
        else:
            data = data.get(part) if isinstance(data, dict) else None
    return None


def _set_value(data: Any, loc: Loc, value: Any) -> Any:
    """Return a copy with a value at a position; other parts, which YAML aliases may share, do not change."""
    if not loc:
        return value
    part, inner = loc[0], loc[1:]
    if type(part) is int:
        items = list(data or [])
        current = items[part] if part < len(items) else None
        return [*items[:part], _set_value(current, inner, value), *items[part + 1 :]]
    return {**(data or {}), part: _set_value((data or {}).get(part), inner, value)}


# --- the environment --------------------------------------------------------------------------------------

_MARK = re.compile(r"(\$)?\$\{env:(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?", re.ASCII)


def expand_variables(data: Any, loc: Loc, problems: dict[tuple[Any, ...], Finding]) -> Any:
    """Replace the environment variables in the texts of a configuration.

    ``${env:NAME}`` is the variable, ``${env:NAME:-default}`` uses the default if it is not set or empty, and
    ``$${env:`` is the text ``${env:``. Findings are added to ``problems`` by position, without values.
    """
    if isinstance(data, Mapping):
        return {key: expand_variables(value, (*loc, key), problems) for key, value in data.items()}
    if isinstance(data, list):
        return [expand_variables(value, (*loc, index), problems) for index, value in enumerate(data)]
    if not isinstance(data, str):
        return data

    def replace_mark(mark: re.Match[str]) -> str:
        escape, name, default = mark.groups()
        if escape:
            return mark[0][1:]
        if name is None:
            expected = "${env:NAME} or ${env:NAME:-default}"
            problems[tuple(loc)] = Finding(Code.INVALID_VALUE, format_key(loc), expected, "another mark")
            return mark[0]
        value = os.environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            hint = f"set it, or give a default: ${{env:{name}:-...}}"
            problems[tuple(loc)] = Finding(
                Code.MISSING_KEY, format_key(loc), f"the environment variable {name}", "none", hint
            )
            return mark[0]
        return value

    return _MARK.sub(replace_mark, data)
