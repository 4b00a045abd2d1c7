"""Every bench runs, at a thousandth of its size; its contenders agree on the result where they can."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.bench.__main__ import BENCHES
from tests.bench.harness import Case, Result, measure, table


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_runs(name):
    cases = import_module(f"tests.bench.{name}").cases(scale=0.001)
    shown = table(measure(cases, rounds=1))
    assert len(shown.splitlines()) == 2 + sum(len(case.contenders) for case in cases)
    assert all(case.name in shown for case in cases)


def test_inference_is_of_the_same_schema():
    for case in import_module("tests.bench.infer").cases(scale=0.001):
        ours, theirs = (call() for call in case.contenders.values())
        assert ours.to_dict() == theirs.to_dict(), case.name


def test_the_table_shows_ratios_and_targets():
    case = Case("wait", {"sparksig": lambda: None, "other": lambda: None}, target=2)
    assert table([Result(case, {"sparksig": 0.001, "other": 0.0035})]).splitlines()[2:] == [
        "| wait | sparksig | 1.00 |  |  |",
        "|  | other | 3.50 | 3.5x | 2x |",
    ]
