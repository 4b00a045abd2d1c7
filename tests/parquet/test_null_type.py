"""Columns of the null type: what pandas writes where every value of a day is missing."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sparksig
from sparksig import ColSpec, Schema
from sparksig.jobs.input_checks import find_schemas_with_null_types
from tests.parquet_tables import check_parquet, infer_parquet

NOTES = pa.table({"id": [1, 2], "note": ["late", None]})
SILENT = pa.table({"id": [3, 4], "note": pa.nulls(2)})
OPTIONAL = Schema([ColSpec("long", "id"), ColSpec("string", "note", required=False)])
REQUIRED = Schema([ColSpec("long", "id"), ColSpec("string", "note")])


def write_days(folder, *days):
    for index, day in enumerate(days):
        pq.write_table(day, folder / f"day-{index}.parquet")
    return folder


DAYS = pytest.mark.parametrize(
    "days",
    [
        pytest.param([SILENT], id="alone"),
        pytest.param([SILENT, NOTES], id="first"),
        pytest.param([NOTES, SILENT], id="later"),
        pytest.param([SILENT, SILENT, NOTES], id="twice"),
    ],
)


@DAYS
@pytest.mark.parametrize("mode", ["schema", "sample", "full"])
def test_the_null_type_fits_an_optional_column(tmp_path, days, mode):
    report = check_parquet(write_days(tmp_path, *days), OPTIONAL, mode)
    assert report.findings == ()
    assert [sparksig.enforce(day, OPTIONAL).num_rows for day in days] == [2] * len(days)


@DAYS
def test_the_null_type_does_not_fit_a_required_column(tmp_path, days):
    report = check_parquet(write_days(tmp_path, *days), REQUIRED)
    assert [(finding.path, finding.code.value) for finding in report.findings] == [("note", "TYPE_MISMATCH")]
    assert "null" in report.findings[0].actual


def test_other_types_differ_still(tmp_path):
    numbers = pa.table({"id": [5], "note": [7]})
    report = check_parquet(write_days(tmp_path, SILENT, NOTES, numbers), OPTIONAL)
    [finding] = report.findings
    assert (finding.path, finding.actual) == ("note", "int64 in day-2.parquet")


def test_a_column_is_inferred_from_the_files_that_have_values(tmp_path):
    sampled = infer_parquet(write_days(tmp_path, SILENT, NOTES))
    assert sampled.signature.inputs == OPTIONAL


def test_footers_say_which_columns_have_the_null_type(tmp_path):
    actual = find_schemas_with_null_types(f"file:{write_days(tmp_path, SILENT, NOTES)}")
    assert {name: str(schema.field("note").type) for name, schema in actual.items()} == {
        "day-0.parquet": "null",
        "day-1.parquet": "string",
    }
    assert list(find_schemas_with_null_types(f"file:{tmp_path / 'day-0.parquet'}")) == [""]
    (tmp_path / "day-0.parquet").unlink()
    assert find_schemas_with_null_types(f"file:{tmp_path}") == {}
