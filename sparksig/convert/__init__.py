"""One file per neighbour; in each, ``from_x`` leads to sparksig's types and ``to_x`` back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sparksig.errors import Code, Finding, step

__all__ = ["duplicates"]


def duplicates(names: Sequence[str], expected: str = "one column of that name") -> list[Finding]:
    """One finding for each name that stands more than once.

    Example:
        >>> [finding.path for finding in duplicates(["a", "b", "a"])]
        ['a']
    """
    twins = [name for name, count in Counter(names).items() if count > 1]
    return [Finding(Code.DUPLICATE_NAME, step(name), expected, "several") for name in twins]
