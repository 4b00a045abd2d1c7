"""``python -m tests.bench [NAME ...]``: the benches, side by side in one run, as tables of ratios.

What is printed is written to ``build/bench``, too, as Markdown and, with the seconds, as JSON.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import import_module
from pathlib import Path

from tests.bench.harness import Result, measure, table

BENCHES = {"infer": 5, "enforce": 7, "models": 7, "tables": 5, "engines": 3, "spark": 3}
"""Each bench, and how many rounds it takes."""

TARGET = Path("build/bench")


def main(names: list[str]) -> None:
    """Run the named benches, or all."""
    for name in names or BENCHES:
        bench = import_module(f"tests.bench.{name}")
        results = measure(bench.cases(), BENCHES[name])
        if hasattr(bench, "more"):
            results += bench.more()
        report(name, bench.__doc__, results, TARGET)


def machine() -> str:
    """What this runs on."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {system}"


def report(name: str, title: str, results: list[Result], target: Path) -> None:
    """Print the figures, and write them down."""
    shown = f"{name}: {title}\n{machine()}\n\n{table(results)}\n"
    sys.stdout.write(f"{shown}\n")
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.md").write_text(shown)
    cases = [{"case": one.case.name, "seconds": one.seconds} for one in results]
    (target / f"{name}.json").write_text(json.dumps({"machine": machine(), "cases": cases}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
