"""The finding of a wrong number of predictions, which columns and tensors share."""

from __future__ import annotations

from sparksig.errors import Code, Finding

__all__ = ["build_row_count_finding"]

_FEWER = (
    "return one prediction for each input row; a text vectorizer that is given a DataFrame iterates over its "
    "column names: pass it one column, for example with a ColumnTransformer"
)


def build_row_count_finding(path: str, rows: int | None, actual: int | None) -> Finding:
    """Return the finding of a wrong number of predictions; ``actual`` is None for a single value."""
    expected = f"one prediction for each of {rows} rows"
    if rows is None or rows == 1:
        expected = "one prediction for each row" if rows is None else "one prediction for 1 row"
    found = "a single value" if actual is None else str(actual)
    fewer = actual is not None and rows is not None and actual < rows
    return Finding(Code.ROW_COUNT, path, expected, found, _FEWER if fewer else "")
