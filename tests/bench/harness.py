"""Whole calls side by side: every contender in turn, round after round, the best time of each.

Machines are shared and noisy, so what counts is the ratio of two times of one run, never a time alone.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        name: what is done.
        contenders: from each name to a call without arguments; ours is "sparksig".
        target: at least how many times faster than each other contender, or than each that is named, we
            mean to be; None for no claim.
    """

    name: str
    contenders: dict[str, Callable[[], object]]
    target: float | Mapping[str, float] | None = None

    def goal(self, contender: str) -> float | None:
        """The target against one contender."""
        return self.target.get(contender) if isinstance(self.target, Mapping) else self.target


@dataclass(frozen=True)
class Result:
    """The best time of each contender, in seconds."""

    case: Case
    seconds: dict[str, float]

    def ratio(self, other: str) -> float:
        """How many times faster than ``other`` we were."""
        return self.seconds[other] / self.seconds["sparksig"]


def measure(cases: Sequence[Case], rounds: int) -> list[Result]:
    """Run all contenders of all cases ``rounds`` times, taking turns."""
    results = []
    for case in cases:
        best = dict.fromkeys(case.contenders, float("inf"))
        for _ in range(rounds):
            for name, call in case.contenders.items():
                gc.collect()
                started = time.perf_counter()
                call()
                best[name] = min(best[name], time.perf_counter() - started)
        results.append(Result(case, best))
    return results


def table(results: Sequence[Result]) -> str:
    """The results as a table: times, and how many times faster we were than each other contender."""
    lines = ["| case | contender | ms | ratio | target |", "|---|---|---:|---:|---:|"]
    for result in results:
        for name, seconds in result.seconds.items():
            ours = name == "sparksig"
            ratio = "" if ours else f"{result.ratio(name):.1f}x"
            goal = None if ours else result.case.goal(name)
            target = "" if goal is None else f"{goal:g}x"
            label = result.case.name if ours else ""
            lines.append(f"| {label} | {name} | {seconds * 1000:.2f} | {ratio} | {target} |")
    return "\n".join(lines)
