"""``python -m tests.bench [NAME ...] [--scale X]``: the benches, side by side, as tables of ratios.

The benches ``engines``, ``files``, ``isolation`` and ``scale`` are short by default; ``--scale 1`` is the
full size. They print each figure when it is measured. ``--only linear,direct,mlflow`` selects workloads and
engines of ``engines`` and ``isolation``.

What is printed is written to ``build/bench``, too, as Markdown and, with the seconds, as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable
from importlib import import_module
from itertools import chain
from pathlib import Path

from tests.bench.harness import Result, measure, table

BENCHES = {"infer": 5, "enforce": 7, "models": 7, "tables": 5, "spark": 3}
"""The benches of cases, with the number of their rounds."""

REPORTS = ("engines", "files", "isolation", "scale")
"""The benches that measure processes of their own, and yield the lines of a table."""

SELECTIVE = ("engines", "isolation")
"""The benches that measure selected workloads and engines."""

TARGET = Path("build/bench")


def main(arguments: list[str]) -> None:
    """Run the named benches, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*BENCHES, *REPORTS]))
    parser.add_argument("--scale", type=float, help="the share of the rows; 1 is the full size")
    parser.add_argument(
        "--only", default="", help=f"workloads and engines of {' and '.join(SELECTIVE)}, with commas"
    )
    options = parser.parse_args(arguments)
    for name in options.names or [*BENCHES, *REPORTS]:
        bench = import_module(f"tests.bench.{name}")
        scale = {} if options.scale is None else {"scale": options.scale}
        if name in REPORTS:
            selected = {"only": options.only.split(",")} if options.only and name in SELECTIVE else {}
            write_report(name, bench.__doc__, bench.report(**scale, **selected), TARGET)
            continue
        results = measure(bench.cases(**scale), BENCHES[name])
        if hasattr(bench, "more"):
            results += bench.more(**scale)
        report(name, bench.__doc__, results, TARGET)


def machine() -> str:
    """Describe the machine and the interpreter."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {system}"


def report(name: str, title: str, results: list[Result], target: Path) -> None:
    """Print the figures of cases, and write them to files."""
    write_report(name, title, table(results).splitlines(), target)
    cases = [{"case": result.case.name, "seconds": result.seconds} for result in results]
    (target / f"{name}.json").write_text(json.dumps({"machine": machine(), "cases": cases}, indent=2) + "\n")


def write_report(name: str, title: str, lines: Iterable[str], target: Path) -> None:
    """Print each line of a table when it comes, and write all of them to a file."""
    target.mkdir(parents=True, exist_ok=True)
    with (target / f"{name}.md").open("w", encoding="utf-8") as file:
        for line in chain((f"{name}: {title}", machine(), ""), lines):
            for stream in (sys.stdout, file):
                stream.write(f"{line}\n")
                stream.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
