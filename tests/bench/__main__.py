"""``python -m tests.bench [NAME ...] [--scale X]``: the benches, side by side, as tables of ratios.

The benches ``engines``, ``files`` and ``scale`` are short by default; ``--scale 1`` is the full size.

What is printed is written to ``build/bench``, too, as Markdown and, with the seconds, as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import import_module
from pathlib import Path

from tests.bench.harness import Result, measure, table

BENCHES = {"infer": 5, "enforce": 7, "models": 7, "tables": 5, "spark": 3}
"""The benches of cases, with the number of their rounds."""

REPORTS = ("engines", "files", "scale")
"""The benches that measure processes of their own, and return a table."""

TARGET = Path("build/bench")


def main(arguments: list[str]) -> None:
    """Run the named benches, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*BENCHES, *REPORTS]))
    parser.add_argument("--scale", type=float, help="the share of the rows; 1 is the full size")
    options = parser.parse_args(arguments)
    for name in options.names or [*BENCHES, *REPORTS]:
        bench = import_module(f"tests.bench.{name}")
        scale = {} if options.scale is None else {"scale": options.scale}
        if name in REPORTS:
            write_report(name, bench.__doc__, bench.report(**scale), TARGET)
            continue
        results = measure(bench.cases(**scale), BENCHES[name])
        if hasattr(bench, "more"):
            results += bench.more(**scale)
        report(name, bench.__doc__, results, TARGET)


def machine() -> str:
    """What this runs on."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {system}"


def report(name: str, title: str, results: list[Result], target: Path) -> None:
    """Print the figures of cases, and write them to files."""
    write_report(name, title, table(results), target)
    cases = [{"case": result.case.name, "seconds": result.seconds} for result in results]
    (target / f"{name}.json").write_text(json.dumps({"machine": machine(), "cases": cases}, indent=2) + "\n")


def write_report(name: str, title: str, figures: str, target: Path) -> None:
    """Print a table, and write it to a file."""
    text = f"{name}: {title}\n{machine()}\n\n{figures}\n"
    sys.stdout.write(f"{text}\n")
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.md").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
