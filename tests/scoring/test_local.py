"""The local engine: processes, publication, and files that remain after failures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sparksig
from sparksig import (
    ColSpec,
    ContractError,
    ModelDamagedError,
    ModelFailedError,
    ModelNotTrustedError,
    OutputRefusedError,
    Schema,
    SparksigError,
    TableNotFoundError,
    UnsupportedError,
)
from sparksig.scoring import local
from sparksig.scoring import splits as planning
from tests.models import servers
from tests.scoring.helpers import of_numbers, read, save, score, write


@pytest.fixture(autouse=True)
def without_least_size(monkeypatch):
    """Divide small tables, too."""
    monkeypatch.setattr(planning, "_FEWEST_BYTES", 1)


def is_clean(home):
    """Return whether nothing is beside the table and the model, hidden or not."""
    return {path.name for path in home.iterdir()} == {"table", "model"}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_table_is_scored_and_published(tmp_path, processes):
    source = write(tmp_path, of_numbers(100), of_numbers(50, 100), row_group_size=30)
    report = score(tmp_path, source, save(tmp_path), processes=processes)
    rows = read(tmp_path).sort_by("id")
    assert rows["prediction"].to_pylist() == [2.0 * index for index in range(150)]
    assert (report.rows, report.scored, report.rejected, report.engine) == (150, 150, 0, "local")
    assert report.files == len(list((tmp_path / "scored").iterdir())) > 1
    assert report.size == sum(file.stat().st_size for file in (tmp_path / "scored").iterdir())
    assert report.predictions["prediction"].rows == 150
    assert report.digest == sparksig.digest(tmp_path / "model")
    assert set(report.seconds) == {
        "start",
        "model",
        "plan",
        "run",
        "publish",
        "load",
        "read",
        "score",
        "write",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"table", "model", "scored"}


def test_findings_of_all_processes_are_summed(tmp_path):
    table = pa.table({"x": pa.array([1.0] * 20), "n": pa.array([None, 1] * 10)})
    source = write(tmp_path, table, row_group_size=5)
    inputs = Schema([ColSpec("double", "x"), ColSpec("long", "n")])
    report = score(tmp_path, source, save(tmp_path, inputs=inputs), on_error="null", processes=2)
    assert (report.scored, report.rejected) == (10, 10)
    [finding] = report.findings
    assert (finding.code, finding.path, finding.count) == (sparksig.Code.NULL_IN_REQUIRED, "n", 10)


def test_each_process_loads_the_model_once(tmp_path):
    log = tmp_path / "log"

    class Logging(sparksig.PythonModel):
        def load_context(self, context):
            with log.open("a") as lines:
                lines.write(f"{os.getpid()}\n")

        def predict(self, model_input, params=None):
            return model_input["x"]

    source = write(tmp_path, of_numbers(100), row_group_size=5)
    example = pa.table({"x": [1.0]}).to_pandas()
    sparksig.save_model(tmp_path / "model", Logging(), sparksig.infer_signature(example, [1.0]))
    log.unlink(missing_ok=True)
    score(tmp_path, source, tmp_path / "model", processes=2)
    processes = log.read_text().split()
    assert len(processes) == len(set(processes)) in (1, 2)  # the first may be done before the second starts
    assert str(os.getpid()) not in processes


@pytest.mark.parametrize(("size", "count"), [(2**26, 1), (1, 2)], ids=["small", "large"])
def test_a_process_starts_where_the_table_is_worth_it(tmp_path, monkeypatch, size, count):
    monkeypatch.setattr(local, "_PROCESS_BYTES", size)
    monkeypatch.setattr(local, "count_cores", lambda: 2)

    def predict(frame):
        return np.full(len(frame), os.getpid(), dtype="float64")

    source = write(tmp_path, of_numbers(100), row_group_size=10)
    score(tmp_path, source, save(tmp_path, predict), processes=None)
    processes = set(read(tmp_path)["prediction"].to_pylist())
    assert (os.getpid() in processes) == (count == 1)
    assert len(processes) <= count


def test_a_script_needs_no_guard(tmp_path):
    source, model = write(tmp_path, of_numbers(100), row_group_size=10), save(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import sparksig
        from sparksig.scoring import splits
        splits._FEWEST_BYTES = 1
        report = sparksig.score_files({str(source)!r}, {str(model)!r}, {str(tmp_path / "scored")!r},
            allow_pickle=True, processes=2)
        print(report.rows)
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=_environment())
    assert (done.stdout, done.returncode) == ("100\n", 0), done.stderr


def _environment():
    return {**os.environ, "PYTHONPATH": str(Path(sparksig.__file__).parents[1])}


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_the_model_names_the_file(tmp_path, processes):
    def fail(frame):
        if (frame["x"] == 77).any():
            raise ValueError("no such price")
        return frame["x"]

    source = write(tmp_path, *(of_numbers(10, start) for start in range(0, 100, 10)))
    model = save(tmp_path, fail)
    message = r"^the model raised ValueError: no such price\n[\s\S]*part-007"
    with pytest.raises(ModelFailedError, match=message):
        score(tmp_path, source, model, processes=processes)
    assert is_clean(tmp_path)


def test_a_killed_process_is_an_error_that_names_the_file(tmp_path):
    def die(frame):
        if (frame["x"] == 77).any():
            os.kill(os.getpid(), 9)
        return frame["x"]

    source = write(tmp_path, *(of_numbers(10, start) for start in range(0, 100, 10)))
    model = save(tmp_path, die)
    message = (
        r"^the process that scored .*part-007.* was killed by SIGKILL; nothing was written. It may have run"
    )
    with pytest.raises(SparksigError, match=message):
        score(tmp_path, source, model, processes=2)
    assert is_clean(tmp_path)


def test_a_process_that_exits_is_an_error(tmp_path):
    source = write(tmp_path, of_numbers(100), row_group_size=10)
    model = save(tmp_path, lambda frame: os._exit(3))
    with pytest.raises(
        SparksigError, match=r"^the process that scored part-000.parquet exited with status 3"
    ):
        score(tmp_path, source, model, processes=2)
    assert is_clean(tmp_path)


def test_an_exception_that_cannot_be_sent_is_described(tmp_path):
    def fail(frame):
        class StrangeError(ImportError):
            def __reduce__(self):
                raise TypeError("never")

        raise StrangeError("lost")

    source = write(tmp_path, of_numbers(100), row_group_size=10)
    with pytest.raises(ModelFailedError, match=r"^the model raised StrangeError: lost\n"):
        score(tmp_path, source, save(tmp_path, fail), processes=2)
    assert is_clean(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("on_error", ["fail", "null"])
@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_leaves_nothing_behind(tmp_path, processes, on_error):
    started = tmp_path.parent / f"{tmp_path.name}-started"

    def wait(frame):
        started.touch()
        time.sleep(60)
        return frame["x"]

    source, model = write(tmp_path, of_numbers(100), row_group_size=10), save(tmp_path, wait)
    code = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes ignore it
import sparksig
from sparksig.scoring import splits
splits._FEWEST_BYTES = 1
sparksig.score_files({str(source)!r}, {str(model)!r}, {str(tmp_path / "scored")!r},
    allow_pickle=True, processes={processes}, on_error={on_error!r})
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=_environment()) as process:
        deadline = time.monotonic() + 60
        while not started.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        children = _children(process.pid)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert len(children) == (2 if processes == 2 else 0)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert is_clean(tmp_path)


@pytest.mark.slow
def test_processes_end_with_their_parent(tmp_path):
    started = tmp_path.parent / f"{tmp_path.name}-started"

    def wait(frame):
        started.touch()
        time.sleep(3)
        return frame["x"]

    source, model = write(tmp_path, of_numbers(100), row_group_size=10), save(tmp_path, wait)
    code = f"""
import sparksig
from sparksig.scoring import splits
splits._FEWEST_BYTES = 1
sparksig.score_files({str(source)!r}, {str(model)!r}, {str(tmp_path / "scored")!r},
    allow_pickle=True, processes=2)
"""
    with subprocess.Popen([sys.executable, "-c", code], env=_environment()) as process:
        deadline = time.monotonic() + 60
        while not started.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        children = _children(process.pid)
        process.kill()
    deadline = time.monotonic() + 20
    while any(_is_running(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(children) == 2
    assert not [child for child in children if _is_running(child)]


def _children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- the output ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_an_output_that_exists_is_refused_before_scoring(tmp_path, kind):
    source, model = write(tmp_path, of_numbers(3)), save(tmp_path)
    output = tmp_path / "scored"
    if kind == "file":
        output.touch()
    else:
        output.mkdir()
        (output / "a").touch()
    with pytest.raises(OutputRefusedError, match="scored exists already; nothing was written"):
        score(tmp_path, source, model)


def test_an_empty_directory_is_no_output(tmp_path):
    source, model = write(tmp_path, of_numbers(3)), save(tmp_path)
    (tmp_path / "scored").mkdir()
    assert score(tmp_path, source, model).rows == 3
    assert read(tmp_path).num_rows == 3


def test_an_output_that_appears_meanwhile_is_left_alone(tmp_path):
    output = tmp_path / "scored"

    def predict(frame):
        output.mkdir()
        (output / "other").touch()
        return frame["x"]

    source, model = write(tmp_path, of_numbers(3)), save(tmp_path, predict)
    with pytest.raises(OutputRefusedError, match="scored exists already"):
        score(tmp_path, source, model)
    assert [path.name for path in output.iterdir()] == ["other"]
    assert {path.name for path in tmp_path.iterdir()} == {"table", "model", "scored"}


@pytest.mark.parametrize("inside", ["", "below"])
def test_an_output_in_the_input_is_refused(tmp_path, inside):
    source, model = write(tmp_path, of_numbers(3)), save(tmp_path)
    with pytest.raises(OutputRefusedError, match="is inside the table that is read; nothing was written"):
        sparksig.score_files(source, model, source / inside, allow_pickle=True)
    assert [path.name for path in source.iterdir()] == ["part-000.parquet"]


def test_parent_directories_are_made(tmp_path):
    source, model = write(tmp_path, of_numbers(3)), save(tmp_path)
    sparksig.score_files(source, model, tmp_path / "a" / "b", allow_pickle=True)
    assert pq.read_table(tmp_path / "a" / "b").num_rows == 3


# --- arguments ----------------------------------------------------------------------------------------------


def test_data_in_memory_names_the_functions_that_score_it(tmp_path):
    text = r"input: expected the path of a Parquet table, got .* DataFrame\. load_model\(model\)\.predict\("
    with pytest.raises(ContractError, match=text):
        sparksig.score_files(pd.DataFrame({"x": [1.0]}), tmp_path / "m", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"on_error": "skip"}, ContractError, "on_error: expected 'fail' or 'null', got 'skip'"),
        ({"engine": "fast"}, ContractError, "engine: expected 'auto', 'local' or 'direct', got 'fast'"),
        ({"filter": "abs(x) > 1"}, UnsupportedError, "the filter calls the function abs"),
        ({"batch_rows": 0}, ContractError, "batch_rows: expected an integer of 1 or more, or None"),
        ({"processes": True}, ContractError, "processes: expected an integer of 1 or more, or None"),
        ({"time_zone": "Mars/Base"}, ContractError, "time_zone: expected a name of the IANA database"),
        ({"result_type": "decimal(9,2)"}, UnsupportedError, "predictions cannot be decimals"),
        ({"result_type": "dbl"}, ContractError, "result_type 'dbl' is not a Spark type"),
        ({"result_type": 1}, ContractError, "result_type: expected DDL such as 'double', got"),
        ({"method": "transform"}, UnsupportedError, "method: expected one of predict, got .transform."),
        ({"allow_pickle": False}, ModelNotTrustedError, "allow_pickle"),
        ({"digest": "0" * 64}, ModelDamagedError, "the content differs from the pinned digest"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_arguments_that_are_refused(tmp_path, options, error, message):
    source, model = write(tmp_path, of_numbers(3)), save(tmp_path)
    with pytest.raises(error, match=message):
        score(tmp_path, source, model, **options)
    assert is_clean(tmp_path)


def test_a_missing_table_is_reported(tmp_path):
    with pytest.raises(TableNotFoundError, match="there is no Parquet table at"):
        score(tmp_path, tmp_path / "nothing", save(tmp_path))


def test_params_reach_the_model(tmp_path):
    class Scaling(sparksig.PythonModel):
        def predict(self, model_input, params=None):
            return model_input["x"] * params["factor"]

    example = pa.table({"x": [1.0]}).to_pandas()
    signature = sparksig.infer_signature(example, [1.0], params={"factor": 2.0})
    sparksig.save_model(tmp_path / "model", Scaling(), signature)
    score(tmp_path, write(tmp_path, of_numbers(3)), tmp_path / "model", params={"factor": 10.0})
    assert read(tmp_path)["prediction"].to_pylist() == [0.0, 10.0, 20.0]


def test_the_time_zone_of_the_machine_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    table = pa.table({"x": pa.array([0], pa.timestamp("s", "UTC"))})
    inputs = Schema([ColSpec("datetime", "x")])
    model = save(tmp_path, lambda frame: frame["x"].dt.hour.astype("float64"), inputs)
    score(tmp_path, write(tmp_path, table), model, time_zone=None)
    assert read(tmp_path)["prediction"].to_pylist() == [9.0]


@pytest.mark.server
def test_tables_and_outputs_in_an_object_store(tmp_path, monkeypatch):
    for name, value in servers.KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    source, model = write(tmp_path, of_numbers(10), of_numbers(5, 10)), save(tmp_path)
    with servers.bucket() as store:
        store.upload(source, "a/t")
        report = sparksig.score_files(
            store.uri("a/t"), model, store.uri("a/scored"), allow_pickle=True, processes=2
        )
        assert (report.rows, report.files) == (15, 2)
        again = sparksig.score_files(
            store.uri("a/scored"), model, tmp_path / "again", allow_pickle=True, column="p"
        )
        assert again.rows == 15
        with pytest.raises(OutputRefusedError, match="exists already"):
            sparksig.score_files(store.uri("a/t"), model, store.uri("a/scored"), allow_pickle=True)
