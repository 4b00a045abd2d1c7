"""``python -m tests.bench [NAME ...]``: the benches, side by side in one run, as tables of ratios."""

from __future__ import annotations

import sys
from importlib import import_module

from tests.bench.harness import measure, table

BENCHES = {"infer": 5, "enforce": 7, "models": 7}
"""Each bench, and how many rounds it takes."""


def main(names: list[str]) -> None:
    """Run the named benches, or all."""
    for name in names or BENCHES:
        bench = import_module(f"tests.bench.{name}")
        shown = table(measure(bench.cases(), BENCHES[name]))
        sys.stdout.write(f"{name}: {bench.__doc__}\n\n{shown}\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
