"""Publishing by the engine local: on object stores, on several file systems, and by attempts that died."""

from __future__ import annotations

import contextlib
import errno
import os

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from sparksig import ContractError, OutputRefusedError
from sparksig.jobs import score
from sparksig.scoring.folder import Folder
from sparksig.tables.contract import RUN_COLUMN
from tests.jobs.test_local_engine import configure, home, names, write_table
from tests.scoring.helpers import read
from tests.spark.score_jobs import BAD

__all__ = ["home"]

QUARANTINE = {"budget": {"rows": 3}}


@pytest.fixture
def object_store(monkeypatch):
    """Move files one by one, as object stores do."""
    monkeypatch.setattr(Folder, "renames_at_once", False)


@pytest.mark.usefixtures("object_store")
def test_an_overwrite_on_an_object_store_is_done_once(home):
    score(configure(home))
    config = configure(home, run_id="monday", output={"mode": "overwrite"})
    assert [score(config).status, score(config).status] == ["done", "repeated"]
    assert read(home).num_rows == 20


@pytest.mark.usefixtures("object_store")
@pytest.mark.parametrize("calls", range(6))
@pytest.mark.parametrize("method", ["move_file_to", "delete"])
def test_an_overwrite_that_died_on_an_object_store_is_completed(home, monkeypatch, method, calls):
    score(configure(home))
    output = {"mode": "overwrite", "keep": ["id", "color"], "partition_by": ["color"]}
    config = configure(home, run_id="monday", output=output)
    original, count = getattr(Folder, method), iter(range(calls))

    def die(folder, *arguments):
        if next(count, None) is None:
            raise KeyboardInterrupt
        original(folder, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, method, die)
        with contextlib.suppress(KeyboardInterrupt):
            score(config)
    score(config)
    assert sorted(read(home)["id"].to_pylist()) == [*range(20)]


def test_the_quarantine_may_be_on_another_device(home, monkeypatch):
    write_table(home, BAD)
    rename = os.rename

    def refuse_across(source, target):
        if ("/bad/" in str(source)) == ("/bad/" in str(target)):
            return rename(source, target)
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse_across)
    score(configure(home, **QUARANTINE, run_id="monday", quarantine={"path": str(home / "bad")}))
    assert pq.read_table(home / "bad").num_rows == 2
    assert names(home / "bad") == {f"{RUN_COLUMN}=monday"}
    assert names(home) == {"model", "table", "scored", "bad"}


@pytest.mark.parametrize("move", [Folder.move_to, Folder.move_file_to], ids=["directory", "file"])
def test_files_move_to_another_file_system(tmp_path, move):
    local = Folder(pafs.LocalFileSystem(), str(tmp_path / "source"), "file:source")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "part").write_text("rows")
    (tmp_path / "bucket").mkdir()
    bucket = Folder(
        pafs.SubTreeFileSystem(str(tmp_path / "bucket"), pafs.LocalFileSystem()), "home", "b:home"
    )
    if move is Folder.move_file_to:
        move(local / "part", bucket / "part")
    else:
        move(local, bucket)
    assert [path.read_text() for path in (tmp_path / "bucket" / "home").iterdir()] == ["rows"]
    assert not (tmp_path / "source" / "part").exists()
    assert names(tmp_path / "bucket") == {"home"}


@pytest.mark.parametrize("kind", ["rejected", "filtered"])
def test_runs_are_appended_after_one_without_rows(home, kind):
    output = {"mode": "append", "keep": ["id", "color"], "partition_by": ["color"]}
    nothing = {"input": {"filter": "id > 1000"}}
    if kind == "rejected":
        write_table(home, [13] * 20)
        nothing = {"budget": {"share": 1}, "quarantine": {"path": str(home / "bad")}}
    score(configure(home, run_id="monday", output=output, **nothing))
    write_table(home, range(20, 40))
    score(configure(home, run_id="tuesday", output=output))
    assert read(home).num_rows == 20


def write_colors(home, name, colors):
    for file in (home / "table").iterdir():
        file.unlink()
    table = {"id": range(len(colors)), "x": range(20, 20 + len(colors)), name: colors}
    pq.write_table(pa.table(table), home / "table" / "0.parquet")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("ü" * 150, "at most 255 bytes, got one of 306 bytes"), ("a\0b", "texts without NUL")],
    ids=["long", "NUL"],
)
def test_texts_that_no_directory_can_have_as_name_are_refused(home, text, reason):
    write_colors(home, "color", [text, "red"])
    with pytest.raises(ContractError, match=reason):
        score(configure(home, output={"keep": ["id", "color"], "partition_by": ["color"]}))


def test_days_after_those_of_python_name_directories(home):
    write_colors(home, "day", pa.array([4_000_000], pa.date32()))
    score(configure(home, output={"keep": ["id", "day"], "partition_by": ["day"]}))
    assert "day=12921-08-18" in {name.lstrip("+") for name in names(home / "scored")}


def test_a_directory_that_readers_would_skip_is_refused(home):
    write_colors(home, ".color", ["red", "blue"])
    with pytest.raises(OutputRefusedError, match="readers skip such directories"):
        score(configure(home, output={"keep": ["id", ".color"], "partition_by": [".color"]}))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("prediction", ContractError, "prediction: expected no kept column of the output's name, got one"),
        ("Prediction", ContractError, "prediction: expected no kept column of the output's name, got one"),
        ("findings", OutputRefusedError, "findings: expected one column of that name, got several"),
        ("run_id", OutputRefusedError, "run_id: expected one column of that name, got several"),
    ],
    ids=["prediction", "another case", "findings", "run_id"],
)
def test_columns_with_names_that_the_job_adds_are_refused(home, name, error, message):
    write_colors(home, name, ["red", "blue"])
    config = configure(home, **QUARANTINE, quarantine={"path": str(home / "bad")}, output={"keep": "*"})
    with pytest.raises(error, match=message):
        score(config)
    assert names(home) == {"model", "table"}


def test_a_partition_has_one_file_though_each_batch_has_rows_of_it(home):
    write_colors(home, "color", [f"color {number % 100}" for number in range(2000)])
    output = {"keep": ["id", "color"], "partition_by": ["color"]}
    model = {"batch_rows": 200}
    score(configure(home, model=model, output=output))
    assert len(list((home / "scored").rglob("*.parquet"))) == 100
    assert read(home).num_rows == 2000
