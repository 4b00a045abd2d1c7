"""Score jobs of the engine local: no Spark, the same runs, outputs, quarantines and reports."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
import textwrap
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparksig import BudgetExceededError, ColSpec, ConfigError, ContractError, OutputRefusedError, Schema
from sparksig.cli import cli
from sparksig.jobs import ScoreConfig, plan_score, score
from tests.cli.runner import runner
from tests.scoring.helpers import read, save
from tests.spark.score_jobs import BAD


def fail_on_thirteen(frame):
    if (frame["x"] == 13).any():
        raise ValueError("unlucky")
    return frame["x"] / 2


@pytest.fixture
def home(tmp_path):
    """A model that fails for 13, and a table of twenty rows in two files."""
    inputs = Schema([ColSpec("long", "x")])
    save(tmp_path, fail_on_thirteen, inputs)
    write_table(tmp_path, range(20, 40))
    return tmp_path


def write_table(home, values):
    (home / "table").mkdir(exist_ok=True)
    values = list(values)
    table = pa.table(
        {
            "id": range(len(values)),
            "x": pa.array(values, pa.int64()),
            "color": ["red", "blue"] * (len(values) // 2),
        }
    )
    for start in range(0, len(values), 10):
        pq.write_table(table.slice(start, 10), home / "table" / f"{start}.parquet")


def configure(home, **changes):
    sections = {
        "engine": "local",
        "model": {"path": str(home / "model"), "allow_pickle": True},
        "input": {"path": str(home / "table")},
        "output": {"path": str(home / "scored"), "keep": ["id"]},
    }
    for name, value in changes.items():
        sections[name] = {**sections.get(name, {}), **value} if isinstance(value, dict) else value
    return ScoreConfig.model_validate(sections)


def names(home):
    return {path.name for path in home.iterdir()}


def test_a_table_is_scored_and_reported(home):
    report = score(configure(home, input={"filter": "id >= 5"}))
    assert (report.status, report.engine, report.rows_in, report.rejected) == ("done", "local", 15, 0)
    rows = read(home).sort_by("id")
    assert rows.column_names == ["id", "prediction"]
    assert rows["prediction"].to_pylist() == [value / 2 for value in range(25, 40)]
    assert report.written == {str(home / "scored"): 15}
    assert report.input["files"] == 2
    assert "engine           local" in str(report)
    assert names(home) == {"model", "table", "scored"}


BUDGET = {"budget": {"rows": 2}}


def test_rejected_rows_go_to_the_quarantine(home):
    write_table(home, BAD)
    quarantine = {"quarantine": {"path": str(home / "bad")}, "run_id": "monday"}
    report = score(configure(home, **BUDGET, **quarantine))
    assert (report.rows_in, report.scored, report.rejected) == (20, 18, 2)
    assert report.written == {str(home / "scored"): 18, str(home / "bad"): 2}
    bad = pq.read_table(home / "bad").sort_by("id")
    assert bad.column_names == ["id", "x", "findings", "run_id"]
    assert bad["id"].to_pylist() == [13, 14]
    assert read(home).column_names == ["id", "prediction"]
    assert {(finding.code.value, finding.count) for finding in report.findings} == {
        ("PREDICTION_FAILED", 1),
        ("NULL_IN_REQUIRED", 1),
    }


def test_without_a_quarantine_rejected_rows_are_in_the_output(home):
    write_table(home, BAD)
    assert score(configure(home, **BUDGET)).rejected == 2
    rows = read(home).sort_by("id")
    assert rows.column_names == ["id", "prediction", "findings"]
    assert [row["id"] for row in rows.to_pylist() if row["findings"] is not None] == [13, 14]


def test_a_budget_that_is_exceeded_leaves_nothing(home):
    write_table(home, BAD)
    with pytest.raises(BudgetExceededError, match="2 of 20 rows cannot be scored"):
        score(configure(home, budget={"rows": 1}, quarantine={"path": str(home / "bad")}))
    assert names(home) == {"model", "table"}


def test_a_budget_that_is_far_exceeded_ends_the_run_early(home):
    write_table(home, [13] * 1000)
    config = configure(home, budget={"rows": 1})
    with pytest.raises(
        BudgetExceededError, match=r"^at least [\d,]+ rows cannot be scored, and the budget is 1"
    ):
        score(config)
    assert names(home) == {"model", "table"}


def test_a_row_that_fails_names_its_file_and_leaves_nothing(home):
    write_table(home, BAD[:14] + [1] * 6)
    with pytest.raises(Exception, match=r"first failing row: 3 of 10\.parquet, counted from 0"):
        score(configure(home))
    assert names(home) == {"model", "table"}


@pytest.mark.parametrize("mode", ["error", "append", "overwrite"])
def test_a_run_is_done_once(home, mode):
    config = configure(home, run_id="monday", output={"mode": mode})
    assert score(config).status == "done"
    assert score(config).status == "repeated"
    assert read(home).num_rows == 20


def test_runs_are_appended(home):
    for run_id in ("monday", "tuesday"):
        score(configure(home, run_id=run_id, output={"mode": "append"}))
    assert read(home).num_rows == 40
    assert names(home / "scored") == {"run_id=monday", "run_id=tuesday"}


def test_an_overwrite_replaces_all_rows(home):
    for first in (5, 15):
        config = configure(home, input={"filter": f"id >= {first}"}, output={"mode": "overwrite"})
        score(config)
    assert read(home).num_rows == 5
    assert names(home) == {"model", "table", "scored"}


def test_outputs_are_partitioned(home):
    score(configure(home, output={"keep": ["id", "color"], "partition_by": ["color"]}))
    assert {name for name in names(home / "scored") if "=" in name} == {"color=blue", "color=red"}
    assert read(home).num_rows == 20


def test_an_attempt_that_died_while_publishing_is_completed(home, monkeypatch):
    from sparksig.jobs import staged_tables

    write_table(home, BAD)
    config = configure(home, **BUDGET, quarantine={"path": str(home / "bad")}, run_id="monday")
    with monkeypatch.context() as patch:

        def die(*arguments, **options):
            raise KeyboardInterrupt

        patch.setattr(staged_tables, "move_directory", die)
        with pytest.raises(KeyboardInterrupt):
            score(config)
    assert score(config).status == "done"
    assert read(home).num_rows == 18
    assert pq.read_table(home / "bad").num_rows == 2
    assert names(home) == {"model", "table", "scored", "bad"}


def test_an_output_that_was_refused_is_published_with_its_quarantine_later(home, monkeypatch):
    from sparksig.jobs import staged_tables

    write_table(home, BAD)
    config = configure(home, **BUDGET, quarantine={"path": str(home / "bad")}, run_id="monday")
    move = staged_tables.move_directory

    def arrive_first(staging, source, target, **options):
        (home / "scored").mkdir()
        (home / "scored" / "part").touch()
        move(staging, source, target, **options)

    with monkeypatch.context() as patch:
        patch.setattr(staged_tables, "move_directory", arrive_first)
        with pytest.raises(OutputRefusedError, match="already exists"):
            score(config)
    assert not list((home / "bad").rglob("*.parquet"))
    (home / "scored" / "part").unlink()
    assert score(config).status == "done"
    assert read(home).num_rows == 18
    assert pq.read_table(home / "bad").num_rows == 2


def test_a_table_that_does_not_fit_is_refused_by_the_plan(home):
    pq.write_table(pa.table({"id": [1], "x": ["text"]}), home / "table" / "0.parquet")
    (home / "table" / "10.parquet").unlink()
    with pytest.raises(ContractError, match="x: expected long"):
        score(configure(home))


def test_the_plan_says_what_would_be_done(home):
    plan = plan_score(configure(home))
    assert (plan.engine, plan.columns) == ("local", (("id", "bigint"), ("prediction", "double")))
    assert "create" in str(plan)
    assert json.loads(plan.to_json())["write"]["ok"]
    assert names(home) == {"model", "table"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input": {"filter": "abs(id) > 1"}}, "the filter calls the function abs"),
        ({"input": {"select": {"y": "x + 1"}}}, "input.select computes columns"),
        ({"input": {"path": None, "table": "t"}}, "the input is a table of the catalog"),
        ({"output": {"format": "delta"}}, "the output is a Delta table"),
        (
            {"check": {"mode": "full"}, "input": {"filter": "id > 1"}},
            "the values of filtered rows, or of a Delta table, are checked by Spark",
        ),
    ],
    ids=["filter", "select", "table", "delta", "check"],
)
def test_what_needs_spark_is_a_configuration_error(home, changes, reason):
    with pytest.raises(ConfigError) as info:
        score(configure(home, **changes))
    [finding] = info.value.findings
    assert (finding.path, finding.expected, finding.actual) == ("engine", "auto, direct or spark", "local")
    assert finding.hint == reason


@pytest.mark.parametrize("text", ["ids > 1", "id", "x = 1 or nope"])
def test_a_wrong_filter_is_reported_on_its_key(home, text):
    with pytest.raises(ConfigError) as info:
        score(configure(home, input={"filter": text}))
    [finding] = info.value.findings
    assert (finding.path, finding.expected) == ("input.filter", "a condition in SQL")


@pytest.mark.parametrize("text", ["x = current_date", "id > 1 and user = 'me'"])
def test_a_function_without_parentheses_needs_spark(home, text):
    with pytest.raises(ConfigError, match="engine: expected auto, direct or spark, got local"):
        score(configure(home, input={"filter": text}))


def test_values_are_checked_before_anything_is_scored(home):
    write_table(home, BAD)
    with pytest.raises(ContractError, match="NULL_IN_REQUIRED"):
        score(configure(home, check={"mode": "full"}))


@pytest.mark.parametrize(
    ("existing", "code"),
    [
        pytest.param({"id": [1], "prediction": ["a"]}, "TYPE_MISMATCH", id="type"),
        pytest.param({"id": [1]}, "EXTRA_COLUMN", id="column"),
        pytest.param({"id": [1], "prediction": [1.0], "z": [1]}, "MISSING_COLUMN", id="missing"),
    ],
)
def test_rows_of_other_columns_are_not_appended(home, existing, code):
    (home / "scored" / "run_id=old").mkdir(parents=True)
    pq.write_table(pa.table(existing), home / "scored" / "run_id=old" / "part.parquet")
    with pytest.raises(OutputRefusedError, match=code):
        score(configure(home, output={"mode": "append"}))


def test_rows_are_not_appended_to_a_table_without_run_ids(home):
    score(configure(home))
    text = (
        r"partition_by: expected no partitions, got run_id \(the table was written without run ids: append "
        r"to a new path, or set mode: overwrite\)"
    )
    with pytest.raises(OutputRefusedError, match=text):
        score(configure(home, output={"mode": "append"}))


def test_dates_and_null_partitions_are_read_back(home):
    days = pa.array([dt.date(2026, 1, 1), None] * 5)
    pq.write_table(pa.table({"id": range(10), "x": range(10), "day": days}), home / "table" / "0.parquet")
    (home / "table" / "10.parquet").unlink()
    score(configure(home, output={"keep": ["id", "day"], "partition_by": ["day"]}))
    assert read(home).num_rows == 10


def append_by(home, column, run_id):
    """Append the rows in partitions by a column."""
    output = {"mode": "append", "keep": ["id", column], "partition_by": [column]}
    return score(configure(home, run_id=run_id, output=output))


def write_zips(home, zips):
    pq.write_table(pa.table({"id": [1], "x": [2], "zip": zips}), home / "table" / "0.parquet")
    (home / "table" / "10.parquet").unlink(missing_ok=True)


def test_texts_are_appended_to_partitions_that_they_read_as(home):
    for run_id, text in {"monday": "7", "tuesday": "8"}.items():
        write_zips(home, [text])
        append_by(home, "zip", run_id)
    write_zips(home, ["v9"])
    with pytest.raises(ContractError, match="zip: expected texts that read as int32, got others"):
        append_by(home, "zip", "wednesday")
    assert names(home / "scored") == {"run_id=monday", "run_id=tuesday"}
    assert read(home)["zip"].to_pylist() == [7, 8]


def test_partitions_of_another_type_are_not_appended(home):
    write_zips(home, [7])
    append_by(home, "zip", "monday")
    write_zips(home, pa.array([dt.date(2026, 1, 1)]))
    text = r"zip: expected int32, got date32.*as the table's partitions are read"
    with pytest.raises(OutputRefusedError, match=text):
        append_by(home, "zip", "tuesday")


@pytest.mark.parametrize(
    ("columns", "code"),
    [(["color", "color"], "DUPLICATE_NAME"), (["id", "color", "prediction"], "INVALID_VALUE")],
    ids=["twice", "all"],
)
def test_partitions_leave_other_columns(home, columns, code):
    with pytest.raises(OutputRefusedError, match=code) as info:
        score(configure(home, output={"keep": ["id", "color"], "partition_by": columns}))
    assert "partition_by" in {finding.path for finding in info.value.findings}


def test_partitions_that_would_change_texts_are_refused_before_anything_is_published(home):
    texts = ["", "007", "v1", None, "7"] * 4
    pq.write_table(pa.table({"id": range(20), "x": range(20, 40), "t": texts}), home / "table" / "0.parquet")
    (home / "table" / "10.parquet").unlink()
    config = configure(home, output={"keep": ["id", "t"], "partition_by": ["t"]}, run_id="monday")
    for _ in range(2):  # an attempt that has scored already, too
        with pytest.raises(ContractError, match=r"empty texts, which would be null, 4 times") as caught:
            score(config)
        assert [finding.path for finding in caught.value.findings] == ["t", "t"]
        assert not (home / "scored").exists()
    score(configure(home, output={"keep": ["id", "t"]}, run_id="tuesday"))
    assert read(home).column("t").to_pylist() == texts


def test_the_command_takes_the_engine(home):
    arguments = ["score", *map(str, (home / "model", home / "table", home / "scored")), "--keep", "id"]
    options = ["--engine", "local", "--set", "model.allow_pickle=true"]
    done = runner().invoke(cli, [*arguments, *options], prog_name="sparksig")
    assert done.exit_code == 0, done.output
    assert "engine           local" in done.output
    assert read(home).num_rows == 20


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes ignore it
sys.modules["pyspark"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "pyspark" else find(name, *rest)
from sparksig.jobs import run
sys.exit(run("score", ["--config", {config!r}]))
"""


def start(home, **changes):
    """Start the job in a separate process without pyspark."""
    config = configure(home, engine="auto", **changes).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    (home / "score.yaml").write_text(json.dumps(config))
    script = textwrap.dedent(SCRIPT.format(config=str(home / "score.yaml")))
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_engine_is_the_default_where_spark_is_not_installed(home):
    process = start(home)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "engine           local: Spark is not installed" in out
    assert read(home).num_rows == 20


def test_the_local_engine_does_not_import_spark(home):
    paths = tuple(map(str, (home / "model", home / "table", home / "scored")))
    arguments = ["score", *paths, "--engine", "local", "--keep", "id", "--set", "model.allow_pickle=true"]
    code = (
        "import sys\nfrom sparksig.cli import cli\n"
        f"cli.main({arguments!r}, standalone_mode=False)\n"
        "print('pyspark' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert read(home).num_rows == 20


def test_an_interrupt_leaves_nothing(tmp_path):
    def wait(frame):
        (tmp_path / "started").touch()
        time.sleep(60)

    save(tmp_path, wait, Schema([ColSpec("long", "x")]))
    write_table(tmp_path, range(20))
    process = start(tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert names(tmp_path) == {"model", "table", "started", "score.yaml"}
