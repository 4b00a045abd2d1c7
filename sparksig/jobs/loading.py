"""A YAML file as the configuration of a job, with all findings at once, by their keys in the file."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from sparksig.errors import Code, ConfigError, ConfigNotFoundError, Finding, name_type, suggest, suggest_path
from sparksig.jobs.config_errors import build_config_error
from sparksig.jobs.config_types import Loc, find_type, format_key, is_section, list_fields
from sparksig.jobs.overrides import BY_SET, apply_override, expand_variables
from sparksig.models.safe_yaml import load_yaml

Config = TypeVar("Config", bound=BaseModel)


def load_config(path: str | Path, config_type: type[Config], overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file as a configuration of ``config_type``.

    Texts may have ``${env:NAME}`` and ``${env:NAME:-default}``; ``$${env:`` stands for ``${env:``.

    Args:
        path: the file.
        config_type: a class of :mod:`sparksig.jobs.config`.
        overrides: ``key=value`` pairs that replace values of the file. The key is a dotted path
            (``input.path``, ``output.keep[0]``), the value YAML. The last value for a key counts.

    Raises:
        ConfigNotFoundError: the file does not exist.
        ConfigError: the file is not YAML; or keys are unknown (with the most similar known key), missing or
            of a wrong type, or variables are not set. The findings have the keys of the file.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigNotFoundError(f"there is no configuration file at {str(path)!r}{suggest_path(file)}")
    try:
        data = load_yaml(file.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: the file cannot be read: {error.strerror}") from None
    if not isinstance(data, dict):
        actual = "an empty file" if data is None else name_type(data)
        hint = "`sparksig init MODEL TABLE` writes a configuration of the score job"
        raise ConfigError(f"{path}: expected a mapping of keys and values, got {actual}. {hint}")
    return build_config(data, config_type, overrides, str(path))


def build_config(data: Any, config_type: type[Config], overrides: Sequence[str], source: str) -> Config:
    """Build a configuration from a mapping; the errors are those of :func:`load_config`.

    Args:
        data: the mapping.
        config_type: a class of :mod:`sparksig.jobs.config`.
        overrides: ``key=value`` pairs.
        source: the origin of the mapping, for messages.
    """
    findings, overridden = [], []
    for override in overrides:
        data, loc, finding = apply_override(data, override, config_type)
        overridden.append(tuple(loc))
        findings += [] if finding is None else [finding]
    problems: dict[tuple[Any, ...], Finding] = {}
    data = expand_variables(data, (), problems)
    findings += [_add_source(finding, loc, overridden) for loc, finding in problems.items()]
    try:
        config = config_type.__pydantic_validator__.validate_python(data)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            loc = tuple(problem["loc"])
            if not any(loc[: len(reported)] == reported for reported in problems):
                findings.append(_add_source(_explain(problem, config_type), loc, overridden))
    if findings:
        raise ConfigError.of(f"{source}: the configuration is wrong", findings)
    return config  # type: ignore[no-any-return]


def explain_validation(error: ValidationError, config_type: type[BaseModel]) -> ConfigError:
    """Convert a pydantic error to an error of sparksig, with the keys of the file."""
    findings = [_explain(problem, config_type) for problem in error.errors(include_url=False)]
    return build_config_error(findings)


def _add_source(finding: Finding, loc: Loc, overridden: Sequence[Loc]) -> Finding:
    """Add to a finding that its value comes from --set, if it does."""
    is_deeper = finding.code is Code.UNKNOWN_KEY and any(key[: len(loc)] == loc for key in overridden)
    if is_deeper or any(key and loc[: len(key)] == key for key in overridden):
        return replace(finding, actual=f"{finding.actual or 'another'}, {BY_SET}")
    return finding


_EXPECTED = {
    "json_invalid": "JSON",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "int_type": "an integer",
    "int_from_float": "an integer",
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
"""The expected values for pydantic's errors, with the same text for all versions of pydantic."""

_ACTUAL = {
    "string_too_short": "none",
    "greater_than_equal": "less",
    "less_than_equal": "more",
    "less_than": "more",
}


def _explain(problem: Any, config_type: type[BaseModel]) -> Finding:
    """Convert a problem that pydantic reports to a finding."""
    loc, value, problem_type = tuple(problem["loc"]), problem["input"], problem["type"]
    if loc and loc[-1] == "[key]":
        loc, problem_type = loc[:-1], "invalid_key"
    path = format_key(loc)
    if problem_type == "extra_forbidden":
        keys = list(list_fields(find_type(config_type, loc[:-1])))
        hint = suggest(loc[-1], keys) or f"the keys here are {', '.join(keys)}"
        return Finding(Code.UNKNOWN_KEY, path, "a known key", "another", hint)
    if problem_type == "missing":
        description = list_fields(find_type(config_type, loc[:-1]))[loc[-1]].description
        expected = "a section" if is_section(find_type(config_type, loc)) else description or "a value"
        return Finding(Code.MISSING_KEY, path, expected, "nothing")
    if problem_type == "invalid_key":
        return Finding(Code.INVALID_VALUE, path, _EXPECTED[problem_type], "another", "write it in quotes")
    if problem_type == "literal_error":
        values = get_args(find_type(config_type, loc))
        expected = f"one of {', '.join(map(repr, values))}"
        actual, hint = (
            ("another", suggest(value, values)) if isinstance(value, str) else (name_type(value), "")
        )
        return Finding(Code.INVALID_VALUE, path, expected, actual, hint)
    if problem_type == "value_error":
        actual = "another" if isinstance(value, (str, int, float)) else name_type(value)
        actual = "" if isinstance(value, (dict, BaseModel)) else actual
        return Finding(Code.INVALID_VALUE, path, str(problem["ctx"]["error"]), actual)
    expected = _EXPECTED.get(problem_type, "").format(**problem.get("ctx", {})) or str(problem["msg"])
    scalar = isinstance(value, (bool, int, float, datetime.date))
    hint = "write it in quotes" if problem_type == "string_type" and scalar else ""
    if expected == "a section" and is_section(find_type(config_type, loc)):
        hint = f"its keys are {', '.join(list_fields(find_type(config_type, loc)))}"
    elif expected == "a list" and isinstance(value, str):
        hint = "write it in brackets: [...]"
    return Finding(Code.INVALID_VALUE, path, expected, _ACTUAL.get(problem_type) or name_type(value), hint)
