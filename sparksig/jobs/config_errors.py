"""Errors of a job's configuration, with the keys of its file."""

from __future__ import annotations

from collections.abc import Iterable

from sparksig.errors import Code, ConfigError, Finding


def build_config_error(findings: Iterable[Finding]) -> ConfigError:
    """Return the error of a configuration with these findings."""
    return ConfigError.of("the configuration is wrong", findings)


def build_value_error(key: str, expected: str, actual: str = "another", hint: str = "") -> ConfigError:
    """Return the error for a key with a wrong value."""
    return build_config_error([Finding(Code.INVALID_VALUE, key, expected, actual, hint)])
