"""Predictions in every form come back from Spark as they do from predict."""

from __future__ import annotations

import pyarrow as pa
import pytest

import sparksig
from tests.predictions import FORMS, SAVED_FORMS, Model, expected, frame

ROWS = [(2**53 + 1, 0.1, "a"), (-1, -0.0, "")]
CHOSEN = [
    "tuple",
    "nullable integers",
    "Categorical",
    "array of text objects",
    "Series in cells",
    "Arrow table",
    "dictionaries",
    "dictionaries of one key",
    "dataclasses",
    "columns as arrays",
    "columns of rank 2",
    "dictionary",
]
TYPED = {
    "dictionaries of one key": "bigint",
    "DataFrame": "label string, rank bigint",
    "columns as lists": "struct<label: string, rank: bigint>",
    "list": "double",
    "pydantic": "label string, ranks array<bigint>",
    "array of rank 2": "array<double>",
}
TYPED = {name: result_type for name, result_type in TYPED.items() if name in SAVED_FORMS}


def rows_of(name):
    return ROWS[: FORMS[name].rows]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A model directory for each form, by the form's name."""
    home = tmp_path_factory.mktemp("forms")
    for name in {*CHOSEN, *TYPED}:
        sparksig.save_model(home / name, Model(FORMS[name].make), input_example=frame(rows_of(name)))
    return home


def plain(value):
    """A value of a Row as Python has it without Spark."""
    if hasattr(value, "asDict"):
        return {key: plain(item) for key, item in value.asDict().items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [1, 2])
def test_all_forms_come_back_by_row(spark, frame_of, home, count):
    cases = [(name, None) for name in CHOSEN] + list(TYPED.items())
    cases = [(name, kind) for name, kind in cases if FORMS[name].rows in (None, count)]
    columns = [
        sparksig.spark_udf(spark, home / name, result_type=kind, allow_pickle=True)("n", "x", "t").alias(
            str(index)
        )
        for index, (name, kind) in enumerate(cases)
    ]
    collected = frame_of(pa.Table.from_pandas(frame(ROWS[:count]))).coalesce(1).select(*columns).collect()
    for index, (name, kind) in enumerate(cases):
        predictions = repr([plain(row[index]) for row in collected])
        assert predictions == expected(FORMS[name], ROWS[:count]), (name, kind)


def test_score_gives_one_row_its_dictionary(frame_of, home):
    df = frame_of(pa.Table.from_pandas(frame(ROWS))).repartition(2).where("n = -1")
    [row] = sparksig.score(df, home / "dictionary", allow_pickle=True).collect()
    assert plain(row.prediction) == {"label": "", "ranks": [-1, -1]}
