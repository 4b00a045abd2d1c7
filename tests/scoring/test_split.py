"""One split of a Parquet table: the rows that are read, the file that is written, and the report of both."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

import sparksig
from sparksig import ColSpec, ContractError, ModelFailedError, Schema
from sparksig.models.loading import load_model
from sparksig.scoring.part import Target
from sparksig.scoring.split import score_split
from sparksig.scoring.splits import plan_splits
from tests.scoring.helpers import of_numbers, plan, save, write


def score_all(home, source, model, **options):
    """Score a table as one split, and return the result and the rows of its file."""
    table, _, scan = plan(source, model, **options)
    [split] = plan_splits(table, scan, 1)
    (home / "out").mkdir(exist_ok=True)
    target = Target(pafs.LocalFileSystem(), str(home / "out"))
    result = score_split(split, load_model(model, allow_pickle=True), scan, target)
    [file] = result.files
    return result, pq.read_table(home / "out" / file)


def test_a_split_is_scored_into_one_file(tmp_path):
    source = write(tmp_path, of_numbers(10), of_numbers(5, 10), row_group_size=4)
    result, rows = score_all(tmp_path, source, save(tmp_path))
    assert rows.to_pydict() == {
        "id": list(range(15)),
        "x": [float(index) for index in range(15)],
        "prediction": [2.0 * index for index in range(15)],
    }
    assert (result.index, result.rows, result.scored, result.rejected) == (0, 15, 15, 0)
    assert result.findings == ()
    assert result.size == (tmp_path / "out" / result.files[0]).stat().st_size
    assert set(result.seconds) == {"read", "score", "write"}
    assert all(seconds > 0 for seconds in result.seconds.values())
    assert result.summaries[()].mean == 14.0


def test_each_attempt_writes_a_file_of_its_own(tmp_path):
    source, model = write(tmp_path, of_numbers(3)), save(tmp_path)
    first, _ = score_all(tmp_path, source, model)
    second, _ = score_all(tmp_path, source, model)
    assert first.files != second.files
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize("batch_rows", [1, 7, 100])
def test_the_model_is_given_batches_of_the_rows_that_were_asked_for(tmp_path, batch_rows):
    source = write(tmp_path, of_numbers(20), of_numbers(5), row_group_size=3)
    model = save(tmp_path, lambda frame: np.full(len(frame), len(frame), dtype="float64"))
    _, rows = score_all(tmp_path, source, model, batch_rows=batch_rows)
    batch_count, remaining = divmod(25, batch_rows)
    assert rows["prediction"].to_pylist() == [batch_rows] * batch_rows * batch_count + [remaining] * remaining


def test_small_row_groups_are_scored_together(tmp_path):
    source = write(tmp_path, *(of_numbers(10, index) for index in range(20)), row_group_size=1)
    model = save(tmp_path, lambda frame: np.full(len(frame), len(frame), dtype="float64"))
    _, rows = score_all(tmp_path, source, model)
    assert set(rows["prediction"].to_pylist()) == {200}


def test_memory_depends_on_the_batch_and_not_on_the_rows(tmp_path):
    peaks = []
    for rows in (2_000_000, 6_000_000):
        home = tmp_path / str(rows)
        home.mkdir()
        columns = {name: np.zeros(rows) for name in ("x", "a")}
        source = write(home, pa.table(columns), row_group_size=rows)
        del columns
        model, received, before = save(home), [], pa.total_allocated_bytes()
        table, _, scan = plan(source, model)
        [split] = plan_splits(table, scan, 1)[:1]
        loaded = load_model(model, allow_pickle=True)
        predict = loaded._predictor
        loaded._predictor = lambda data, params, predict=predict, received=received: (
            received.append(pa.total_allocated_bytes()),
            predict(data, params),
        )[1]
        score_split(split, loaded, scan, Target(pafs.LocalFileSystem(), str(home)))
        peaks.append(max(received) - before)
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 150e6


def test_only_the_needed_columns_are_read(tmp_path):
    table = of_numbers(3).append_column("unreadable", pa.array([1, 2, 3], pa.time64("us")))
    source, model = write(tmp_path, table), save(tmp_path)
    _, rows = score_all(tmp_path, source, model, keep=["id"])
    assert rows.column_names == ["id", "prediction"]
    with pytest.raises(
        sparksig.UnsupportedError, match=r"^unreadable is time64\[us\], which only Spark reads"
    ):
        score_all(tmp_path, source, model)


def test_names_with_dots_are_names(tmp_path):
    table = pa.table({"x": [1.0], "a.b": [1], "a": [{"b": 2}]})
    _, rows = score_all(tmp_path, write(tmp_path, table), save(tmp_path), keep=["a.b", "x"])
    assert rows.to_pydict() == {"a.b": [1], "x": [1.0], "prediction": [2.0]}


# --- rows that cannot be scored -----------------------------------------------------------------------------


def fail_on_seven(frame):
    if (frame["x"] == 7).any():
        raise ValueError("seven is secret")
    return frame["x"] * 2


def test_rejected_rows_have_findings(tmp_path):
    source = write(tmp_path, of_numbers(20), row_group_size=6)
    result, rows = score_all(tmp_path, source, save(tmp_path, fail_on_seven), lenient=True, findings="why")
    assert (result.scored, result.rejected) == (19, 1)
    assert [row["id"] for row in rows.to_pylist() if row["why"] is not None] == [7]
    assert rows["prediction"].null_count == 1
    [finding] = result.findings
    assert (finding.code, finding.count) == (sparksig.Code.PREDICTION_FAILED, 1)
    assert "secret" not in str(finding)
    assert "secret" in rows["why"][7].as_py()[0]["detail"]


def test_a_row_that_fails_leaves_no_file(tmp_path):
    source = write(tmp_path, of_numbers(20))
    message = (
        r"^the model raised ValueError: seven is secret\n[\s\S]*row: 7 of part-000\.parquet, counted from 0$"
    )
    with pytest.raises(ModelFailedError, match=message):
        score_all(tmp_path, source, save(tmp_path, fail_on_seven))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_file_is_named_and_leaves_no_file(tmp_path):
    source = write(tmp_path, of_numbers(1000), of_numbers(1000), use_dictionary=False, compression="NONE")
    table, _, scan = plan(source, save(tmp_path))
    [split] = plan_splits(table, scan, 1)
    damaged = source / "part-001.parquet"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    with pytest.raises(ContractError, match=r"^the file part-001.parquet cannot be read completely: "):
        score_split(
            split,
            load_model(tmp_path / "model", allow_pickle=True),
            scan,
            Target(pafs.LocalFileSystem(), str(tmp_path)),
        )
    assert list(tmp_path.glob("*.parquet")) == []


def test_nanoseconds_that_spark_cannot_hold_are_refused(tmp_path):
    times = pa.array([1_000, 1_001], pa.timestamp("ns"))
    source = write(tmp_path, pa.table({"x": [1.0, 2.0], "t": times}))
    with pytest.raises(
        ContractError, match=r"part-000.parquet cannot be read completely: Casting from timestamp"
    ):
        score_all(tmp_path, source, save(tmp_path))
    assert score_all(tmp_path, source, tmp_path / "model", keep=["x"])[0].rows == 2


# --- columns ------------------------------------------------------------------------------------------------


def test_several_outputs_are_a_struct_or_columns(tmp_path):
    outputs = Schema([ColSpec("double", "a"), ColSpec("string", "b", required=False)])
    model = save(tmp_path, lambda frame: frame.assign(a=frame["x"], b=None)[["a", "b"]], outputs=outputs)
    source = write(tmp_path, of_numbers(2))
    _, rows = score_all(tmp_path, source, model, keep=["id"])
    assert rows["prediction"].to_pylist() == [{"a": 0.0, "b": None}, {"a": 1.0, "b": None}]
    result, rows = score_all(tmp_path, source, model, keep=["id"], flatten=True, output="p")
    assert rows.column_names == ["id", "p_a", "p_b"]
    assert (result.summaries[("a",)].mean, result.summaries[("b",)].nulls) == (0.5, 2)


def test_predicted_times_are_placed_in_the_zone(tmp_path):
    noon = np.datetime64("2024-07-01T12:00", "ns")
    model = save(tmp_path, lambda frame: [noon] * len(frame), outputs=Schema([ColSpec("datetime")]))
    _, rows = score_all(tmp_path, write(tmp_path, of_numbers(1)), model, zone="Europe/Berlin")
    assert rows.schema.field("prediction").type == pa.timestamp("us", "UTC")
    assert rows["prediction"][0].as_py().hour == 10


def test_the_model_sees_the_local_time_of_the_zone(tmp_path):
    table = pa.table({"x": pa.array([1_719_835_200], pa.timestamp("s", "Asia/Tokyo"))})
    inputs = Schema([ColSpec("datetime", "x")])
    model = save(tmp_path, lambda frame: frame["x"].dt.hour.astype("float64"), inputs)
    _, rows = score_all(tmp_path, write(tmp_path, table), model, zone="America/New_York")
    assert rows["prediction"].to_pylist() == [8.0]


def test_a_model_is_not_called_without_rows(tmp_path):
    def fail(frame):
        raise AssertionError

    result, rows = score_all(tmp_path, write(tmp_path, of_numbers(0)), save(tmp_path, fail))
    assert (result.rows, rows.num_rows) == (0, 0)
    assert rows.schema.field("prediction").type == pa.float64()
