"""What goes through tables of cases runs each of them, and names each that failed."""

from __future__ import annotations

import inspect

import pytest

from tests.tables import each


def test_every_case_runs_and_every_failure_is_named():
    seen = []

    @each("text", ["a", "b"])
    @each(("one", "other"), [(1, 1), (1, 2), pytest.param(3, 4, id="any")], ids=["same", "twin", "third"])
    def table(fixture, text, one, other):
        seen.append((fixture, text, one, other))
        assert one == other, text

    assert list(inspect.signature(table).parameters) == ["fixture"]
    with pytest.raises(AssertionError, match=r"^2 of 2 cases failed") as caught:
        table(fixture=0)
    assert seen == [(0, text, *pair) for text in "ab" for pair in ((1, 1), (1, 2), (3, 4))]
    told = str(caught.value)
    assert told.count("2 of 3 cases failed") == told.count("[twin] one=1, other=2") == 2
    assert "[same]" not in told


def test_a_call_that_should_have_failed_is_a_failure():
    @each("value", [1, "x"])
    def table(value):
        with pytest.raises(ValueError, match="x"):
            int(value)

    with pytest.raises(AssertionError, match=r"^1 of 2 cases failed"):
        table()


def test_a_table_has_cases():
    with pytest.raises(AssertionError):
        each("value", [])(lambda value: None)
