"""The finding about a wrong number of predictions, shared by columns and tensors."""

from __future__ import annotations

from sparksig.errors import Code, Finding

_FEWER = (
    "return one prediction for each input row; a text vectorizer iterates over the columns of a DataFrame: "
    "pass it one column, for example with a ColumnTransformer"
)


def build_row_count_finding(path: str, rows: int | None, actual: int | None) -> Finding:
    """Build the finding about a wrong number of predictions."""
    expected = f"one prediction for each of {rows} rows"
    if rows is None or rows == 1:
        expected = "one prediction for each row" if rows is None else "one prediction for 1 row"
    is_fewer = actual is not None and rows is not None and actual < rows
    count = "a single value" if actual is None else str(actual)
    return Finding(Code.ROW_COUNT, path, expected, count, _FEWER if is_fewer else "")
