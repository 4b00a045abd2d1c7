"""The score job by spark-submit, in separate processes: killed, and without the package installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import cloudpickle
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import sparksig
from sparksig.jobs import RunReport
from tests.spark import conftest, everywhere, models

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers have no tests

pytestmark = [pytest.mark.xdist_group("applications"), pytest.mark.once]
ROOT = Path(__file__).parents[2]
ROWS = 16


def slowly(frame, params):
    """Twice x, in its own time; an error for 5."""
    time.sleep(0.3)
    if (frame["x"] == 5).any():
        raise ValueError("five")
    return frame["x"] * 2


def prepared(path, **more):
    """A model, a table of a file for each row, and the configuration of a job in its place."""
    model = models.save_python(path / "m", models.Returning(slowly), {"x": "long"}, {"y": "long"})
    (path / "in").mkdir()
    for row in range(ROWS):
        pq.write_table(pa.table({"id": [row], "x": [row]}), path / "in" / f"{row:02}.parquet")
    config = {
        "model": {"path": model, "allow_pickle": True},
        "input": {"path": str(path / "in")},
        "output": {"path": str(path / "out"), "keep": ["id"]},
        "report": {"json": str(path / "report.json"), "html": str(path / "report.html")},
        "budget": {"rows": 1},
        "quarantine": {"path": str(path / "bad")},
        "spark": {
            "spark.sql.files.openCostInBytes": 134217728,  # a task for each file
            "spark.sql.shuffle.partitions": 1,
            "spark.sql.codegen.wholeStage": False,
        },
        **more,
    }
    (path / "score.yaml").write_text(yaml.safe_dump(config))


def command(path, *flags):
    """The command that runs the job, in a JVM that is soon there."""
    flags = ["--driver-java-options=-XX:+UseSerialGC -XX:TieredStopAtLevel=1", *flags]
    quiet = [f"--conf=spark.{key}" for key in ("ui.enabled=false", "log.level=ERROR")]
    return ["spark-submit", *quiet, *flags, str(ROOT / "jobs/score.py"), "--config", str(path / "score.yaml")]


def environment(path, **more):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK", "PY"))}
    return inherited | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(path),
        "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", **more,
    }  # fmt: skip


def test_the_exit_codes_reach_the_shell(tmp_path):
    prepared(tmp_path)
    for flags, code in (([], 0), (["--set", "inptu=x"], 2)):
        done = subprocess.run(
            [*command(tmp_path), *flags],
            env=environment(tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stderr[-2000:]
        assert (f"rows in          {ROWS}" in done.stdout) == (code == 0)
    assert len(pd.read_parquet(tmp_path / "out")) == ROWS - 1


def killed_when(path, flags, seen):
    """Run the job, and kill driver and JVM at once as soon as something is to be seen."""
    with open(path / "log", "w") as log:
        job = subprocess.Popen(
            command(path, *flags),
            env=environment(path),
            cwd=path,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 200
            while not seen():
                assert job.poll() is None, (path / "log").read_text()[-3000:]
                assert time.monotonic() < deadline
                time.sleep(0.005)
        finally:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()


@pytest.mark.fault
def test_a_driver_that_is_killed_and_started_again_loses_and_doubles_nothing(tmp_path):
    """Once while it scores, once between scoring and publishing; into Delta, where there is Delta."""
    jars = conftest._delta()
    flags, form = ["--master=local[2]"], "parquet"
    if jars:
        form = "delta"
        flags += ["--jars", jars.pop("spark.jars"), *(f"--conf={key}={value}" for key, value in jars.items())]
    output = {"path": str(tmp_path / "out"), "keep": ["id"], "format": form}
    prepared(tmp_path, run_id="r", engine="spark", output=output)
    staging = tmp_path / ".out.sparksig-r"
    killed_when(tmp_path, flags, lambda: len(list(staging.glob("data-*/_temporary/0/task_*"))) >= 3)
    first = {path.name for path in staging.iterdir()}
    assert not (staging / "scored.json").exists()
    killed_when(tmp_path, flags, (staging / "scored.json").exists)
    second = {path.name for path in staging.iterdir()}
    assert first & second == {"lock"}  # it was scored again
    done = subprocess.run(
        command(tmp_path, *flags),
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = RunReport.from_json((tmp_path / "report.json").read_text())
    assert (report.rows_in, report.scored, report.rejected) == (ROWS, ROWS - 1, 1)
    assert "score" not in report.phases  # it continued with the scored rows
    if form == "parquet":
        out = pd.read_parquet(tmp_path / "out")
    else:
        from deltalake import DeltaTable

        out = DeltaTable(tmp_path / "out").to_pandas()
    assert sorted(out.itertuples(index=False, name=None)) == [
        (row, 2 * row) for row in range(ROWS) if row != 5
    ]
    assert pd.read_parquet(tmp_path / "bad").id.tolist() == [5]
    assert not staging.exists()


def test_a_cluster_that_has_no_sparksig_gets_it_by_py_files(tmp_path):
    """Neither the driver nor the executors find the installed one; templates come out of the file, too."""
    prepared(tmp_path)
    (tmp_path / "hiding").mkdir()
    (tmp_path / "hiding" / "sitecustomize.py").write_text(everywhere.HIDING)
    worker = tmp_path / "python"
    worker.write_text(everywhere.WORKER.format(hiding=tmp_path / "hiding", python=sys.executable))
    worker.chmod(0o755)
    root = Path(sparksig.__file__).parent
    with zipfile.ZipFile(tmp_path / "sparksig.zip", "w") as packed:
        for file in root.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                packed.write(file, Path("sparksig") / file.relative_to(root))
    soon = "--conf=spark.executor.extraJavaOptions=-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
    flags = ["--master=local-cluster[2,1,1024]", soon, "--py-files", str(tmp_path / "sparksig.zip")]
    hidden = {
        "PYTHONPATH": str(tmp_path / "hiding"), "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_PYTHON": str(worker), "SPARK_HOME": str(everywhere.linked_spark(tmp_path / "spark")),
    }  # fmt: skip
    completed = subprocess.run(
        [sys.executable, "-c", "import sparksig"],
        env=environment(tmp_path, **hidden),
        cwd=tmp_path,
        capture_output=True,
    )
    assert b"this node has no sparksig" in completed.stderr
    done = subprocess.run(
        command(tmp_path, *flags),
        env=environment(tmp_path, **hidden),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["rows_in"], report["scored"], report["rejected"]) == (ROWS, ROWS - 1, 1)
    assert "<html" in (tmp_path / "report.html").read_text()
    assert len(pd.read_parquet(tmp_path / "out")) == ROWS - 1
