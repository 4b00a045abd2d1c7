"""What a configuration is given beside its file: by --set, and by the environment where it is marked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from sparksig.errors import Code, Finding, kind
from sparksig.jobs.forms import Loc, at, shown, takes_text
from sparksig.models.safe_yaml import load_yaml

__all__ = ["BY_SET", "expanded", "override"]

BY_SET = "by --set"

_STEP = re.compile(r"(?:\[(\d+)\]|([^.\[\]]+))(?:\.(?=.)|(?=\[)|$)")


def override(data: Any, given: str, form: Any) -> tuple[Any, Loc, Finding | None]:
    """A configuration with one ``key=value`` more, where that stands, and what is wrong with it.

    The key is a dotted path as findings name it; below a mapping with keys of the user's own, such as
    ``spark``, the rest of it is one key. The value is YAML; where only text can stand, what is no quoted
    text is text as it is.
    """
    key, equals, text = given.partition("=")
    loc = _located(key, form)
    if not equals or loc is None:
        path, wrong = (f"--set {key}", "another") if equals else ("--set", "no =")
        return data, (), Finding(Code.INVALID_VALUE, path, "KEY=VALUE, the key a dotted path", wrong)
    try:
        value = _read(text, at(form, loc))
    except ValueError as error:
        reason = str(error).removeprefix("cannot read this YAML: ")
        return (
            data,
            loc,
            Finding(Code.INVALID_VALUE, shown(loc), "a value in YAML", f"another, {BY_SET}", reason),
        )
    finding = _obstacle(data, loc)
    return (data if finding else _with(data, loc, value)), loc, finding


def _located(key: str, form: Any) -> Loc | None:
    loc: list[Any] = []
    while key:
        here = at(form, loc)
        if get_origin(here) is dict:
            quoted = re.fullmatch(r"`((?:[^`]|``)+)`", key)
            return [*loc, quoted[1].replace("``", "`") if quoted else key]
        step = _STEP.match(key)
        if step is None:
            return None
        is_list = get_origin(here) is list or any(get_origin(one) is list for one in get_args(here))
        number = step[1] or (step[2] if is_list and step[2].isdecimal() else None)
        loc.append(step[2] if number is None else int(number))
        key = key[step.end() :]
    return loc or None


def _read(text: str, form: Any) -> Any:
    """A value of the command line, as YAML, or as text where only that can be."""
    texts = takes_text(form)
    try:
        value = load_yaml(text.encode())
    except ValueError:
        if texts == "no":
            raise
        return text
    return text if texts == "only" and not (value is None or isinstance(value, str)) else value


def _obstacle(data: Any, loc: Loc) -> Finding | None:
    """What stands in the file where a value on the way should be set."""
    for depth, part in enumerate(loc):
        path, wanted = shown(loc[:depth]), list if type(part) is int else dict
        if data is not None and not isinstance(data, wanted):
            what = "a list" if wanted is list else "a section"
            return Finding(Code.INVALID_VALUE, path, f"{what} to set {shown(loc)} in", kind(data))
        if wanted is list:
            if part > len(data or []):
                most = f"an index up to {len(data or [])}"
                return Finding(Code.INVALID_VALUE, shown(loc[: depth + 1]), most, f"a larger one, {BY_SET}")
            data = data[part] if data and part < len(data) else None
        else:
            data = data.get(part) if isinstance(data, dict) else None
    return None


def _with(data: Any, loc: Loc, value: Any) -> Any:
    """A copy with a value in its place; what YAML's aliases share stays as it is elsewhere."""
    if not loc:
        return value
    part, rest = loc[0], loc[1:]
    if type(part) is int:
        items = list(data or [])
        held = items[part] if part < len(items) else None
        return [*items[:part], _with(held, rest, value), *items[part + 1 :]]
    return {**(data or {}), part: _with((data or {}).get(part), rest, value)}


# --- the environment --------------------------------------------------------------------------------------

_MARK = re.compile(r"(\$)?\$\{env:(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?", re.ASCII)


def expanded(data: Any, loc: Loc, problems: dict[tuple[Any, ...], Finding]) -> Any:
    """A configuration with variables of the environment in its texts, where they are marked.

    ``${env:NAME}`` is the variable, ``${env:NAME:-default}`` the default where it is not set or empty, and
    ``$${env:`` the text ``${env:``. What is wrong goes into ``problems``, by its place; no value does.
    """
    if isinstance(data, Mapping):
        return {key: expanded(value, (*loc, key), problems) for key, value in data.items()}
    if isinstance(data, list):
        return [expanded(value, (*loc, index), problems) for index, value in enumerate(data)]
    if not isinstance(data, str):
        return data

    def put(mark: re.Match[str]) -> str:
        escape, name, default = mark.groups()
        if escape:
            return mark[0][1:]
        if name is None:
            forms = "${env:NAME} or ${env:NAME:-default}"
            problems[tuple(loc)] = Finding(Code.INVALID_VALUE, shown(loc), forms, "another mark")
            return mark[0]
        value = os.environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            hint = f"set it, or give a default: ${{env:{name}:-...}}"
            problems[tuple(loc)] = Finding(
                Code.MISSING_KEY, shown(loc), f"the environment variable {name}", "none", hint
            )
            return mark[0]
        return value

    return _MARK.sub(put, data)
