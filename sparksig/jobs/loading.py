"""A YAML file as a job's configuration: all that is wrong in it, at once, by its paths in the file."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from sparksig.errors import Code, ConfigError, ConfigNotFoundError, Finding, kind, nearest
from sparksig.jobs.forms import Loc, at, fields_of, is_section, shown
from sparksig.jobs.given import BY_SET, expanded, override
from sparksig.models.safe_yaml import load_yaml

__all__ = ["config_of", "explain_validation", "load_config"]

Config = TypeVar("Config", bound=BaseModel)


def load_config(path: str | Path, form: type[Config], overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file as a configuration of ``form``.

    Texts may hold ``${env:NAME}`` and ``${env:NAME:-default}``; ``$${env:`` stands for ``${env:``. Nothing
    else is expanded.

    Args:
        path: the file.
        form: a class of :mod:`sparksig.jobs.config`.
        overrides: ``key=value`` in place of what the file says: the key a dotted path (``input.path``,
            ``output.keep[0]``), the value YAML. Of two for one key, the later.

    Raises:
        ConfigNotFoundError: there is no such file.
        ConfigError: not YAML, or keys that are unknown (with the nearest known one), missing or of a wrong
            type, or variables that are not set: all of them, by their paths in the file.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigNotFoundError(f"there is no configuration file at {str(path)!r}")
    try:
        data = load_yaml(file.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be read: {error.strerror}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a configuration is a mapping, got {kind(data)}")
    return config_of(data, form, overrides, str(path))


def config_of(data: Any, form: type[Config], overrides: Sequence[str], place: str) -> Config:
    """What was read as a configuration of ``form``; arguments and errors as of :func:`load_config`.

    Args:
        data: a mapping.
        form: a class of :mod:`sparksig.jobs.config`.
        overrides: in place of what it says.
        place: where it comes from, as errors tell it.
    """
    findings, places = [], []
    for given in overrides:
        data, loc, finding = override(data, given, form)
        places.append(tuple(loc))
        findings += [] if finding is None else [finding]
    problems: dict[tuple[Any, ...], Finding] = {}
    data = expanded(data, (), problems)
    findings += [_sourced(finding, loc, places) for loc, finding in problems.items()]
    try:
        config = form.__pydantic_validator__.validate_python(data)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            loc = tuple(problem["loc"])
            if not any(loc[: len(known)] == known for known in problems):  # which is told already
                findings.append(_sourced(_finding(problem, form), loc, places))
    if findings:
        raise ConfigError.of(f"{place}: the configuration is wrong", findings)
    return config  # type: ignore[no-any-return]


def explain_validation(error: ValidationError, form: type[BaseModel]) -> ConfigError:
    """Return the error that reports what pydantic found, by the keys of the file."""
    findings = [_finding(problem, form) for problem in error.errors(include_url=False)]
    return ConfigError.of("the configuration is wrong", findings)


def _sourced(finding: Finding, loc: Loc, places: Sequence[Loc]) -> Finding:
    """The finding, saying so where what is wrong was not in the file."""
    deeper = finding.code is Code.UNKNOWN_KEY and any(place[: len(loc)] == loc for place in places)
    if deeper or any(place and loc[: len(place)] == place for place in places):
        return replace(finding, actual=f"{finding.actual or 'another'}, {BY_SET}")
    return finding


_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a section",
    "model_type": "a section",
    "model_attributes_type": "a section",
    "invalid_key": "a key that is text",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le:g} or less",
    "less_than": "less than {lt}",
}
"""What pydantic's kinds of errors ask for, in words that stay the same over its versions."""

_FOUND = {
    "string_too_short": "none",
    "greater_than_equal": "less",
    "less_than_equal": "more",
    "less_than": "more",
}


def _finding(problem: Any, form: type[BaseModel]) -> Finding:
    loc, value, what = tuple(problem["loc"]), problem["input"], problem["type"]
    if loc and loc[-1] == "[key]":
        loc, what = loc[:-1], "invalid_key"
    path = shown(loc)
    if what == "extra_forbidden":
        known = list(fields_of(at(form, loc[:-1])))
        hint = nearest(loc[-1], known) or f"the keys here are {', '.join(known)}"
        return Finding(Code.UNKNOWN_KEY, path, "a known key", "another", hint)
    if what == "missing":
        described = fields_of(at(form, loc[:-1]))[loc[-1]].description
        wanted = "a section" if is_section(at(form, loc)) else described or "a value"
        return Finding(Code.MISSING_KEY, path, wanted, "nothing")
    if what == "invalid_key":
        return Finding(Code.INVALID_VALUE, path, _EXPECTED[what], "another", "write it in quotes")
    if what == "literal_error":
        values = get_args(at(form, loc))
        wanted = f"one of {', '.join(map(repr, values))}"
        found, hint = ("another", nearest(value, values)) if isinstance(value, str) else (kind(value), "")
        return Finding(Code.INVALID_VALUE, path, wanted, found, hint)
    if what == "value_error":
        found = "another" if isinstance(value, (str, int, float)) else kind(value)
        found = "" if isinstance(value, (dict, BaseModel)) else found
        return Finding(Code.INVALID_VALUE, path, str(problem["ctx"]["error"]), found)
    wanted = _EXPECTED.get(what, "").format(**problem.get("ctx", {})) or str(problem["msg"])
    scalar = isinstance(value, (bool, int, float, datetime.date))
    hint = "write it in quotes" if what == "string_type" and scalar else ""
    return Finding(Code.INVALID_VALUE, path, wanted, _FOUND.get(what) or kind(value), hint)
