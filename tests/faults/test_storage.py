"""Full disks, read-only targets, lost inputs, killed workers: exact rows, now or after a rerun."""

from __future__ import annotations

import json
import os
import re
import subprocess
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparksig.jobs import run
from sparksig.scoring import local, splits
from tests.jobs.test_failures import check_message
from tests.spark import models, score_jobs

ROWS = 20_000


def write_table(path, x, files=1):
    """Write a table of Parquet with the columns id and x."""
    path.mkdir()
    for part in range(files):
        rows = np.arange(part, len(x), files)
        pq.write_table(pa.table({"id": rows, "x": x[rows]}), path / f"{part}.parquet")


@pytest.fixture
def mount(tmp_path):
    """A function that mounts a small file system, or changes the one that it has mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = []

    def call(options):
        options = f"remount,{options}" if mounted else options
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine mounts no file systems: {done.stderr.strip()}")
        mounted.append(disk)
        return disk

    yield call
    if mounted:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def job(request, model, tmp_path, capfd):
    """A function that runs the job with changes: its exit code, its message, its report."""

    def call(home, model_path=model, engine="spark", **changes):
        if engine != "local":
            request.getfixturevalue("spark")
        report = tmp_path / "report.json"
        changes["input"] = {"path": str(tmp_path / "in"), **changes.get("input", {})}
        paths = {"report": {"json": str(report)}, "engine": engine}
        config = score_jobs.config_of(model_path, home, **paths, **changes)
        (tmp_path / "job.yaml").write_text(config.model_dump_json(by_alias=True, exclude_defaults=True))
        capfd.readouterr()
        code = run("score", ["--config", str(tmp_path / "job.yaml")])
        message = re.sub(r"^\w+: \d+ %, .*\n", "", capfd.readouterr().err, flags=re.MULTILINE)  # progress
        return code, message, json.loads(report.read_text())

    return call


def read(path):
    frame = pd.read_parquet(path)
    return sorted(zip(frame["id"].tolist(), frame["prediction"].tolist()))


# --- full disks ---------------------------------------------------------------------------------------------

FULL = {
    "while it scores": (100, False, "spark"),
    "while it publishes": (300, True, "spark"),
    "while tasks score": (100, False, "direct"),
    "while processes score": (100, False, "local"),
}


@pytest.mark.parametrize("mode", ["append", "overwrite"])
@pytest.mark.parametrize(("size", "publishes", "engine"), FULL.values(), ids=FULL)
def test_full_disk(job, mount, tmp_path, mode, size, publishes, engine):
    job = partial(job, engine=engine)
    disk = mount(f"size={size}k")
    write_table(tmp_path / "old", np.array([100, 102]))
    output = {"output": {"mode": mode}}
    assert job(disk, run_id="old", input={"path": str(tmp_path / "old")}, **output)[0] == 0
    old = read(disk / "out")
    x = np.random.default_rng(0).integers(0, 2**40, ROWS) * 20  # which no encoding makes small, and no 13
    write_table(tmp_path / "in", x)
    code, message, report = job(disk, run_id="night", **output)
    assert code == 1, message
    check_message(message, "disk is full, or a quota is used up. Free space")
    assert ("publish" in report["phases"], report["written"]) == (publishes, {})
    assert read(disk / "out") == old == [(0, 50.0), (1, 51.0)]
    mount("size=20m")
    code, message, report = job(disk, run_id="night", **output)
    assert code == 0, message
    assert ("score" in report["phases"]) != publishes
    rows = [(row, value / 2) for row, value in enumerate(x.tolist())]
    assert read(disk / "out") == sorted([*rows, *(old if mode == "append" else [])])
    assert report["written"] == {str(disk / "out"): ROWS}


# --- targets that cannot be written -------------------------------------------------------------------------


READ_ONLY = {
    "new": ("spark", "error"),
    "append": ("spark", "append"),
    "overwrite": ("spark", "overwrite"),
    "direct append": ("direct", "append"),
    "local overwrite": ("local", "overwrite"),
}


@pytest.mark.parametrize(("engine", "mode"), READ_ONLY.values(), ids=READ_ONLY)
def test_read_only_target(job, mount, tmp_path, engine, mode):
    job = partial(job, engine=engine)
    write_table(tmp_path / "in", np.arange(20, 40))
    disk = mount("size=5m")
    if mode != "error":
        assert job(disk, run_id="old", output={"mode": mode})[0] == 0
    before = sorted(disk.rglob("*"))
    mount("ro")
    code, message, report = job(disk, run_id="night", output={"mode": mode})
    assert code == 6, message
    check_message(message, "cannot be created|Read-only file system|access was denied")
    assert report["written"] == {}
    assert sorted(disk.rglob("*")) == before
    mount("rw")
    assert job(disk, run_id="night", output={"mode": mode})[0] == 0
    rows = [(row, (row + 20) / 2) for row in range(20)]
    assert read(disk / "out") == sorted(rows * (2 if mode == "append" else 1))


# --- inputs and workers -------------------------------------------------------------------------------------


def remove_files(path, frame, params):
    for file in path.iterdir():
        file.unlink(missing_ok=True)
    return frame["x"] / 2


def change_first_file(path, frame, params):
    os.utime(path / "0.parquet", (0, 0))
    return frame["x"] / 2


def end_first_worker(path, frame, params):
    import signal

    try:
        (path / "first").unlink()
    except FileNotFoundError:
        return frame["x"] / 2
    return os.kill(os.getpid(), signal.SIGKILL)


VANISHED = r"the file \S+.parquet vanished while the table was read"
CHANGED = "the input changed while it was read: 1 file"
EVENTS = {
    "input that vanishes": ("spark", remove_files, 9, VANISHED),
    "input that changes": ("spark", change_first_file, 1, CHANGED),
    "killed worker": ("spark", end_first_worker, 1, "a Python worker or an executor ended unexpectedly"),
    "direct, input that vanishes": ("direct", remove_files, 9, VANISHED),
    "direct, input that changes": ("direct", change_first_file, 1, CHANGED),
    "direct, killed worker": (
        "direct",
        end_first_worker,
        1,
        "a Python worker or an executor ended unexpectedly",
    ),
    "local, input that vanishes": ("local", remove_files, 9, VANISHED),
    "local, input that changes": ("local", change_first_file, 1, CHANGED),
    "local, killed process": (
        "local",
        end_first_worker,
        1,
        "the process that scored .* was killed by SIGKILL",
    ),
}


@pytest.fixture
def task_for_each_file(request, monkeypatch):
    """Divide the table by its files, with every engine."""
    monkeypatch.setattr(splits, "_FEWEST_BYTES", 1)
    monkeypatch.setattr(local, "_PROCESS_BYTES", 1)
    if request.getfixturevalue("engine") == "local":
        yield
        return
    spark, name = request.getfixturevalue("spark"), "spark.sql.files.openCostInBytes"
    before = spark.conf.get(name)
    spark.conf.set(name, "134217728")
    yield
    spark.conf.set(name, before)


@pytest.mark.usefixtures("task_for_each_file")
@pytest.mark.parametrize(("engine", "event", "expected", "pattern"), EVENTS.values(), ids=EVENTS)
def test_event_while_the_job_scores(job, tmp_path, engine, event, expected, pattern):
    job = partial(job, engine=engine)
    write_table(tmp_path / "in", np.arange(20, 60), files=4)
    flag = tmp_path / "flags"
    flag.mkdir()
    path = flag if event is end_first_worker else tmp_path / "in"
    model = score_jobs.save_model(tmp_path / "m", models.Returning(partial(event, path)))
    (flag / "first").touch()
    changes = {"run_id": "night", "model_path": model, "output": {"mode": "append"}}
    code, message, report = job(tmp_path, **changes)
    assert code == expected, message
    check_message(message, pattern)
    assert (report["written"], (tmp_path / "out").exists()) == ({}, False)
    write_table(tmp_path / "again", np.arange(20, 60), files=4)
    for file in (tmp_path / "again").iterdir():
        file.replace(tmp_path / "in" / file.name)
    if event is not end_first_worker:
        changes["model_path"] = score_jobs.save_model(tmp_path / "sound")
    code, message, report = job(tmp_path, **changes)
    assert code == 0, message
    assert read(tmp_path / "out") == [(row, (row + 20) / 2) for row in range(40)]
    assert [path.name for path in tmp_path.glob(".out*")] == []
