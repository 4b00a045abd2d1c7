"""A YAML file as a job's configuration: all that is wrong in it, at once, by its paths in the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sparksig.errors import Code, ConfigError, ConfigNotFoundError, Finding, kind, nearest, step
from sparksig.models.safe_yaml import load_yaml

__all__ = ["load_config"]

Config = TypeVar("Config", bound=BaseModel)


def load_config(path: str | Path, form: type[Config], overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file as a configuration of ``form``.

    Raises:
        ConfigNotFoundError: there is no such file.
        ConfigError: not YAML, or keys that are unknown (with the nearest known one), missing or of a wrong
            type: all of them, by their paths in the file.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigNotFoundError(f"there is no configuration file at {str(path)!r}")
    try:
        data = load_yaml(file.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a configuration is a mapping, found {kind(data)}")
    try:
        return form.model_validate(data)
    except ValidationError as error:
        findings = [_config_finding(problem, form) for problem in error.errors(include_url=False)]
        raise ConfigError.of(f"{path}: the configuration is wrong", findings) from None


def _config_finding(problem: Any, form: type[BaseModel]) -> Finding:
    *parents, last = problem["loc"]
    path = ".".join(step(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _fields(form, parents)
        hint = nearest(last, known) or f"the keys here are {', '.join(known)}"
        return Finding(Code.UNKNOWN_KEY, path, "a known key", "another", hint)
    if problem["type"] == "missing":
        field: Any = form
        for part in problem["loc"]:
            field = field.model_fields[part] if hasattr(field, "model_fields") else field
            field = getattr(field, "annotation", field) if part != last else field
        return Finding(Code.MISSING_KEY, path, getattr(field, "description", None) or "a section", "nothing")
    expected = str(problem["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return Finding(Code.INVALID_VALUE, path, expected, kind(problem["input"]))


def _fields(form: type[BaseModel], parents: Sequence[int | str]) -> list[str]:
    for part in parents:
        inner = form.model_fields[str(part)].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        form = inner
    return [field.alias or name for name, field in form.model_fields.items()]
