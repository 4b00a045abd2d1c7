"""YAML as model directories hold it: the safe subset, within bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

__all__ = ["dump_yaml", "load_yaml"]

MAX_YAML_BYTES = 10 * 2**20
"""Larger YAML files are refused; a signature of 10,000 columns takes under 1 MiB."""

_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_YAML_DEPTH = 50
MAX_YAML_NODES = 100_000
MAX_DIGITS = 500
_NUMBER = re.compile(r"[-+0-9:._]+\Z")
"""What YAML may take for a number: one of base 60, with colons, takes time by the square of its length."""


class _Loader(_SAFE):  # type: ignore[misc]
    """YAML's safe subset, without doubled keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            twin = next(key for key, _ in node.value if keys.count((key.tag, key.value)) > 1)
            raise yaml.MarkedYAMLError(
                problem=f"the key {twin.value!r} stands twice", problem_mark=twin.start_mark
            )
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _check_events(data: bytes) -> None:
    """Refuse what YAML bombs are made of before anything is built: nesting, and aliases, without end.

    MLflow itself writes an alias where one object stands in two places; what counts is how many nodes the
    document has when all of them are written out.
    """
    sizes: dict[str, int] = {}
    outer: list[tuple[str | None, int]] = []
    count = 0
    event: Any
    for event in yaml.parse(data, Loader=_SAFE):
        problem = ""
        if isinstance(event, yaml.CollectionStartEvent):
            outer.append((event.anchor, count))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = outer.pop()
            if anchor is not None:
                sizes[anchor] = count - before + 1
        elif isinstance(event, yaml.ScalarEvent) and event.anchor is not None:
            sizes[event.anchor] = 1
        if isinstance(event, yaml.AliasEvent):
            count += sizes.get(event.anchor or "", MAX_YAML_NODES)  # one that is still open contains itself
        elif isinstance(event, yaml.NodeEvent):
            count += 1
        if (
            isinstance(event, yaml.ScalarEvent)
            and len(event.value) > MAX_DIGITS
            and _NUMBER.match(event.value)
        ):
            problem = f"a number of more than {MAX_DIGITS} characters"
        if count > MAX_YAML_NODES:
            problem = f"more than {MAX_YAML_NODES} values, with all aliases written out"
        elif len(outer) > MAX_YAML_DEPTH:
            problem = f"nested more than {MAX_YAML_DEPTH} levels deep"
        if problem:
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def load_yaml(data: bytes) -> Any:
    """One YAML document as built-ins, by the safe loader, within bounds.

    Raises:
        ValueError: not YAML (with line and column), larger than 10 MiB or (all aliases written out) than
            100,000 values, nested too deeply, or with a key twice.

    Example:
        >>> load_yaml(b"a: [1, 2]")
        {'a': [1, 2]}
    """
    if len(data) > MAX_YAML_BYTES:
        raise ValueError(f"more than {MAX_YAML_BYTES // 2**20} MiB of YAML")
    try:
        _check_events(data)
        return yaml.load(data, Loader=_Loader)  # noqa: S506  a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"this is not YAML as it is taken here: {where}{error.problem}") from None
    except Exception as error:  # PyYAML's constructors raise whatever their conversion raises
        reason = str(error).partition("\n")[0]
        raise ValueError(f"this is not YAML as it is taken here: {reason}") from None


class _Dumper(yaml.SafeDumper):
    """YAML without aliases: what stands in two places is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def dump_yaml(config: Mapping[Any, Any]) -> str:
    """A mapping as YAML in block style with sorted keys, as MLflow writes it.

    Raises:
        ValueError: something in it is not JSON-like, so that it could not be read back.

    Example:
        >>> print(dump_yaml({"b": [1], "a": None}), end="")
        a: null
        b:
        - 1
    """
    try:
        text: str = yaml.dump(
            dict(config), Dumper=_Dumper, sort_keys=True, default_flow_style=False, allow_unicode=True
        )
        found = load_yaml(text.encode())
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(str(error).partition("\n")[0] or type(error).__name__) from None
    if not _is_equal(found, dict(config)):
        raise ValueError("something in it comes back as another: a tuple, say, or text of control characters")
    return text


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_equal, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))
