"""Tables of cases in one test: pytest takes longer to start a test than most cases do."""

from __future__ import annotations

import functools
import inspect

import pytest


def each(names, cases, ids=None):
    """``pytest.mark.parametrize`` as one test that goes through all cases, and then names all that failed.

    Only for tests that need no fixtures for themselves: the cases share them.
    """
    names = names.replace(" ", "").split(",") if isinstance(names, str) else list(names)

    def decorate(test):
        table = [_row(names, case) for case in cases]
        assert table
        labels = range(len(table)) if ids is None or callable(ids) else list(ids)
        assert len(labels) == len(table)

        @functools.wraps(test, updated=())
        def looped(*args, **kwargs):
            failures, first = [], None
            for label, row in zip(labels, table):
                try:
                    test(*args, **kwargs, **row)
                except (Exception, pytest.fail.Exception) as error:
                    first = first or error
                    values = ", ".join(f"{name}={value!r:.80}" for name, value in row.items())
                    failures.append(f"[{label}] {values}\n{type(error).__name__}: {error}")
            if failures:
                text = "\n\n".join(failures[:20])
                raise AssertionError(f"{len(failures)} of {len(table)} cases failed\n\n{text}") from first

        known = inspect.signature(test)
        left = [parameter for parameter in known.parameters.values() if parameter.name not in names]
        looped.__signature__ = known.replace(parameters=left)
        looped.pytestmark = list(getattr(test, "pytestmark", ()))
        return looped

    return decorate


def _row(names, case):
    if isinstance(case, type(pytest.param())):
        assert not case.marks
        case = case.values if len(names) > 1 else case.values[0]
    values = [case] if len(names) == 1 else list(case)
    assert len(values) == len(names)
    return dict(zip(names, values))
