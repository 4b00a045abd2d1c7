"""A job's input judged by its Parquet footers, before Spark starts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparksig import ColSpec, ContractError, Schema, TensorSpec
from sparksig.jobs import ScoreConfig
from sparksig.jobs.input_checks import check_input

PAIR = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
READINGS = pa.table({"id": [1], "wind": [2.5], "rain": [0.5]})
NOTED = Schema([ColSpec("long", "id"), ColSpec("string", "note", required=False)])


def check(folder, inputs, *tables, features=None, **settings):
    for index, table in enumerate(tables):
        pq.write_table(table, folder / f"{index}.parquet")
    config = ScoreConfig.model_validate(
        {
            "model": {"path": "m"},
            "input": {"path": str(folder)},
            "output": {"path": "scored", "keep": ["id"]},
            "spark": settings,
        }
    )
    check_input(config, inputs, features)


def test_columns_of_an_unnamed_tensor_are_matched_by_features(tmp_path):
    check(tmp_path, PAIR, READINGS, features=("rain", "wind"))
    with pytest.raises(ContractError, match=r"snow: expected float64, got no such column"):
        check(tmp_path, PAIR, READINGS, features=("rain", "snow"))
    with pytest.raises(ContractError, match="id: expected float64, got int64"):
        check(tmp_path, PAIR, READINGS)


def test_types_of_tensors_are_judged(tmp_path):
    rain = Schema([TensorSpec(np.dtype("int64"), (-1,), "rain")])
    with pytest.raises(ContractError, match="rain: expected int64, got double"):
        check(tmp_path, rain, READINGS)


SILENT, NOTES = pa.table({"id": [1], "note": pa.nulls(1)}), pa.table({"id": [2], "note": ["late"]})


@pytest.mark.parametrize(
    "tables", [[SILENT], [SILENT, NOTES], [NOTES, SILENT]], ids=["alone", "first", "later"]
)
def test_the_null_type_fits_an_optional_column_only(tmp_path, tables):
    check(tmp_path, NOTED, *tables)
    with pytest.raises(ContractError, match="note: expected string"):
        check(tmp_path, Schema([ColSpec("long", "id"), ColSpec("string", "note")]), *tables)


def test_a_case_sensitive_session_has_both_columns(tmp_path):
    both = pa.table({"id": [1], "note": ["late"], "Note": [7]})
    with pytest.raises(ContractError, match="note: expected one column of that name, got note, Note"):
        check(tmp_path, NOTED, both, **{"spark.sql.caseSensitive": "false"})
    check(tmp_path, NOTED, both, **{"spark.sql.caseSensitive": "true"})
