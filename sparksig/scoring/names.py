"""Checks of the names of the columns that scoring adds and keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sparksig.engine.features import find_misplaced_features
from sparksig.errors import HINTS, Code, ContractError, Finding, name_type, quote, suggest
from sparksig.schema import Schema


def judge_chosen_columns(
    table: Sequence[str], columns: Sequence[str] | None, inputs: Schema, features: Sequence[str] | None
) -> list[Finding]:
    """Report columns that the caller chose for a model, and that the table lacks or the model has elsewhere.

    Args:
        table: the columns of the table.
        columns: the chosen columns; None if the caller chose none.
        inputs: the model's input schema.
        features: the names of the model's features; None if it knows none.

    Raises:
        ContractError: the columns are not a list of names, or the model's columns have names.
    """
    if columns is None:
        return []
    if inputs.has_input_names():
        raise ContractError(
            "columns= applies to a model whose columns have no names, and this model's columns have names"
        )
    if isinstance(columns, str) or not all(isinstance(name, str) for name in columns):
        raise ContractError(f"columns: expected a list of names, got {name_type(columns)}")
    existing = dict.fromkeys(table)
    missing = [name for name in columns if name not in existing]
    hints = [suggest(name, existing if index < HINTS else ()) for index, name in enumerate(missing)]
    expected, actual = "a column of the table", "no such column"
    findings = [
        Finding(Code.MISSING_COLUMN, quote(name), expected, actual, hint)
        for name, hint in zip(missing, hints)
    ]
    return findings + find_misplaced_features(columns, inputs, features)


def find_name_conflicts(
    columns: Sequence[str], added: Sequence[Any], keep: str | Sequence[str], fold: Callable[[str], str]
) -> list[Finding]:
    """Report missing columns to keep, and names that the result would have twice.

    Args:
        columns: the columns of the table that is scored.
        added: the columns of predictions and findings.
        keep: the columns to keep; "*" for all.
        fold: folds names as the engine compares them.

    Example:
        >>> [finding.path for finding in find_name_conflicts(["id", "x"], ["X"], ["id", "y"], str.casefold)]
        ['y']
    """
    if isinstance(keep, str) and keep != "*":
        hint = f"keep=[{keep!r}]"
        return [Finding(Code.INVALID_VALUE, "keep", 'a list of names, or "*"', "a single string", hint)]
    if not all(isinstance(name, str) for name in [*added, *keep]):
        actual = next(name_type(name) for name in [*added, *keep] if not isinstance(name, str))
        return [Finding(Code.INVALID_VALUE, "", "names of columns, as strings", actual)]
    names = list(columns) if keep == "*" else list(keep)
    counts, table_counts = Counter(names), Counter(columns)
    twice = [name for name in names if keep != "*" and (counts[name] > 1 or table_counts[name] > 1)]
    if twice:
        return [Finding(Code.DUPLICATE_NAME, quote(twice[0]), "one column of that name to keep", "several")]
    findings = [
        Finding(
            Code.MISSING_COLUMN, quote(name), "a column to keep", "no such column", suggest(name, columns)
        )
        for name in names
        if name not in table_counts
    ]
    used_names = {fold(name) for name in names}
    for name in added:
        if fold(name) in used_names:
            hint = "choose another name for the column of predictions, or keep other columns"
            findings.append(
                Finding(Code.DUPLICATE_NAME, quote(name), "no kept column of the output's name", "one", hint)
            )
        used_names.add(fold(name))
    return findings
