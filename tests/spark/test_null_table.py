"""The README's table of null, absent and undeclared columns: ``write``, cell by cell.

tests/laws/test_null_table.py proves the columns of ``check`` and ``score``.
"""

from __future__ import annotations

import math

import pytest

import sparksig
from sparksig import Code, ColSpec, ContractError, OutputRefusedError, Schema

pytestmark = pytest.mark.once

MODEL = Schema([ColSpec("long", "id"), ColSpec("double", "x", required=False)])
DDL = "id bigint not null, x double"
NUMBERS = Schema([ColSpec("long", "id"), ColSpec("double", "x")])

NO_X = "1L as id, double(null) as x"
NO_ID = "bigint(null) as id, 1D as x"
LENIENT = {"strict_nulls": False}

WRITTEN = {
    "null, optional column: model": (NO_X, MODEL, {}),
    "null, optional column: table": (NO_X, DDL, {}),
    "null, required double, lenient: model": (NO_X, NUMBERS, LENIENT),
    "null, required double, lenient: table": (NO_X, "id bigint, x double not null", LENIENT),
    "NaN": ("1L as id, double('NaN') as x", NUMBERS, {}),
    "absent, optional column, allowed": ("1L as id", DDL, {"missing": "allow"}),
    "undeclared column: model": ("1L as id, 1D as x, 2L as more", MODEL, {}),
    "undeclared column: table, allowed": ("1L as id, 1D as x, 2L as more", DDL, {"extra": "allow"}),
}
REFUSED = {
    "null, required long: model": (NO_ID, MODEL, {}, Code.NULL_IN_REQUIRED),
    "null, required long, lenient: model": (NO_ID, MODEL, LENIENT, Code.NULL_IN_REQUIRED),
    "null, required long: table": (NO_ID, DDL, {}, Code.NULL_IN_REQUIRED),
    "null, required integer": (
        "int(null) as n",
        Schema([ColSpec("integer", "n")]),
        LENIENT,
        Code.NULL_IN_REQUIRED,
    ),
    "null, required boolean": (
        "boolean(null) as b",
        Schema([ColSpec("boolean", "b")]),
        LENIENT,
        Code.NULL_IN_REQUIRED,
    ),
    "null, required double: model": (NO_X, NUMBERS, {}, Code.NULL_IN_REQUIRED),
    "null, required double: table": (NO_X, "id bigint, x double not null", {}, Code.NULL_IN_REQUIRED),
    "absent, optional column: table": ("1L as id", DDL, {}, Code.MISSING_COLUMN),
    "absent, required column: model": ("1D as x", MODEL, {}, Code.MISSING_COLUMN),
    "absent, required column: table": ("1D as x", DDL, {}, Code.MISSING_COLUMN),
    "undeclared column: table": ("1L as id, 1D as x, 2L as more", DDL, {}, Code.EXTRA_COLUMN),
}


@pytest.mark.parametrize(("columns", "contract", "options"), WRITTEN.values(), ids=WRITTEN)
def test_a_row_is_written(spark, tmp_path, columns, contract, options):
    df = spark.sql(f"select {columns}")
    assert sparksig.write(df, tmp_path / "t", contract, **options).rows == 1
    [row] = spark.read.parquet(str(tmp_path / "t")).collect()
    expected = {"x": None, **df.first().asDict()}
    assert row.asDict() == pytest.approx(expected, nan_ok=True)
    assert (row.x is None) == (expected["x"] is None)
    assert row.x is None or math.isnan(row.x) == math.isnan(expected["x"])


@pytest.mark.parametrize(("columns", "contract", "options", "code"), REFUSED.values(), ids=REFUSED)
def test_a_row_is_refused(spark, tmp_path, columns, contract, options, code):
    with pytest.raises((ContractError, OutputRefusedError)) as caught:
        sparksig.write(spark.sql(f"select {columns}"), tmp_path / "t", contract, **options)
    assert [finding.code for finding in caught.value.findings] == [code]
    assert not (tmp_path / "t").exists()


def test_an_absent_optional_column_of_a_model_is_not_written(spark, tmp_path):
    assert sparksig.write(spark.sql("select 1L as id"), tmp_path / "t", MODEL).rows == 1
    assert [row.asDict() for row in spark.read.parquet(str(tmp_path / "t")).collect()] == [{"id": 1}]
