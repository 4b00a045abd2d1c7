"""Reading and writing the YAML of model directories: the safe subset, within bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

MAX_YAML_BYTES = 10 * 2**20
"""The maximal size of a YAML file. A signature of 10,000 columns needs less than 1 MiB."""

_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_YAML_DEPTH = 50
MAX_YAML_NODES = 100_000
MAX_DIGITS = 500
_NUMBER = re.compile(r"[-+0-9:._]+\Z")
"""Text that YAML may parse as a number. A number in base 60, with colons, needs quadratic time."""


class _Loader(_SAFE):  # type: ignore[misc]
    """A loader of YAML's safe subset that refuses duplicate keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            duplicate = next(key for key, _ in node.value if keys.count((key.tag, key.value)) > 1)
            raise yaml.MarkedYAMLError(
                problem=f"duplicate key {duplicate.value!r}", problem_mark=duplicate.start_mark
            )
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _check_events(data: bytes) -> None:
    """Refuse excessive nesting and aliases (YAML bombs) before anything is built.

    Aliases are allowed, because MLflow writes one for an object that occurs twice. The number of nodes is
    counted with all aliases expanded.
    """
    sizes: dict[str, int] = {}
    open_collections: list[tuple[str | None, int]] = []
    count = 0
    event: Any
    for event in yaml.parse(data, Loader=_SAFE):
        problem = ""
        if isinstance(event, yaml.CollectionStartEvent):
            open_collections.append((event.anchor, count))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, start = open_collections.pop()
            if anchor is not None:
                sizes[anchor] = count - start + 1
        elif isinstance(event, yaml.ScalarEvent) and event.anchor is not None:
            sizes[event.anchor] = 1
        if isinstance(event, yaml.AliasEvent):
            count += sizes.get(event.anchor or "", MAX_YAML_NODES)  # an open collection contains itself
        elif isinstance(event, yaml.NodeEvent):
            count += 1
        if (
            isinstance(event, yaml.ScalarEvent)
            and len(event.value) > MAX_DIGITS
            and _NUMBER.match(event.value)
        ):
            problem = f"a number of more than {MAX_DIGITS} characters"
        if count > MAX_YAML_NODES:
            problem = f"more than {MAX_YAML_NODES} values, with all aliases expanded"
        elif len(open_collections) > MAX_YAML_DEPTH:
            problem = f"nested more than {MAX_YAML_DEPTH} levels deep"
        if problem:
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def load_yaml(data: bytes) -> Any:
    """Parse a YAML document into built-in types with the safe loader, within bounds.

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
        location = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"cannot read this YAML: {location}{error.problem}") from None
    except Exception as error:  # PyYAML's constructors pass on any error of their conversions
        reason = str(error).partition("\n")[0]
        raise ValueError(f"cannot read this YAML: {reason}") from None


class _Dumper(yaml.SafeDumper):
    """A dumper without aliases: an object that occurs twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def dump_yaml(config: Mapping[Any, Any]) -> str:
    """Write a mapping as YAML in block style with sorted keys, as MLflow does.

    Values must be JSON-like, so that they can be read back.

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
        reloaded = load_yaml(text.encode())
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(str(error).partition("\n")[0] or type(error).__name__) from None
    if not _is_equal(reloaded, dict(config)):
        raise ValueError("a value cannot be written as YAML without a change, for example a tuple")
    return text


def _is_equal(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_is_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_is_equal, left, right))
    return type(left) is type(right) and (left == right or (left != left and right != right))
