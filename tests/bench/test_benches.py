"""Every bench runs, at a thousandth of its size; its contenders agree on the result where they can."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from sparksig.models.node_cache import CACHE_VARIABLE
from tests.bench import engines, files, isolation
from tests.bench.__main__ import BENCHES, write_report
from tests.bench.harness import Case, Result, measure, table


@pytest.mark.parametrize("name", [name for name in BENCHES if name not in ("spark", "tables")])
def test_a_bench_runs(name):
    cases = import_module(f"tests.bench.{name}").cases(scale=0.001)
    text = table(measure(cases, rounds=1))
    assert len(text.splitlines()) == 2 + sum(len(case.contenders) for case in cases)
    assert all(case.name in text for case in cases)


@pytest.mark.spark
@pytest.mark.xdist_group("bench")
def test_the_bench_of_tables_runs():
    code = (
        "from tests.bench import tables, harness; "
        "print(harness.table(harness.measure(tables.cases(0.001), 1)))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "all rows of a Spark table" in done.stdout


@pytest.mark.spark
@pytest.mark.once
@pytest.mark.xdist_group("bench")
@pytest.mark.filterwarnings("ignore")
def test_the_bench_of_spark_runs_and_is_written_down(tmp_path):
    """In a process of its own: it has a session of its own. Cold starts are more of the same."""
    code = (
        "from pathlib import Path; from tests.bench import spark, __main__ as run; "
        "results = [*run.measure(spark.cases(0.0002), 1), spark.many_parts(0.0002, 1)]; "
        f"run.report('spark', spark.__doc__, results, Path({str(tmp_path)!r}))"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads((tmp_path / "spark.json").read_text())
    assert len(figures["cases"]) == 9
    assert all(case["seconds"]["sparksig"] > 0 for case in figures["cases"])
    assert (tmp_path / "spark.md").read_text() in f"{done.stdout}\n"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sparksig.IntegerColumnWarning")
@pytest.mark.parametrize("workload", ["mixed", "embeddings"])
def test_engines_without_spark_are_measured(workload):
    lines = list(engines.report(0.0001, [workload, "local", "loop"]))[4:]
    assert [line.split(" | ")[1] for line in lines] == ["local", "loop"]
    assert all(float(line.split(" | ")[4]) > 0 for line in lines)


@pytest.mark.spark
@pytest.mark.once
@pytest.mark.xdist_group("bench")
@pytest.mark.skipif(find_spec("pysail") is None, reason="pysail is not installed")
def test_sail_is_measured():
    *_, line = engines.report(0.0001, ["linear", "sail"])
    assert [line.split(" | ")[1], float(line.split(" | ")[2]) > 0] == ["sail", True]


@pytest.mark.slow
@pytest.mark.once
def test_isolation_is_measured(monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(Path(__file__).parents[2] / "build" / "cache"))
    lines = list(isolation.report(0.0001, ["linear", "local", "local isolated"]))[4:]
    cells = [line.strip("| ").split(" | ") for line in lines]
    assert [row[1] for row in cells] == ["local", "local isolated"]
    assert float(cells[1][5].rstrip("x")) > 0


def test_an_unknown_engine_is_refused_before_anything_is_measured():
    with pytest.raises(SystemExit, match=r"^unknown: flink\. Choose from linear, boosting"):
        next(engines.report(only=["linear", "flink"]))
    with pytest.raises(SystemExit, match=r"^unknown: sail\. Choose from linear, boosting, local"):
        next(isolation.report(only=["sail"]))


def test_lines_of_a_report_are_printed_when_they_come(tmp_path, capsys):
    shown = []

    def measure_slowly():
        for number in range(2):
            yield f"line {number}"
            shown.append(capsys.readouterr().out.splitlines()[-1])

    write_report("slow", "a bench", measure_slowly(), tmp_path)
    assert shown == ["line 0", "line 1"]
    assert (tmp_path / "slow.md").read_text().splitlines()[-2:] == shown


def test_a_table_of_many_files_is_planned():
    assert files.plan_many_files(50)["files"] == 50


def test_inference_is_of_the_same_schema():
    for case in import_module("tests.bench.infer").cases(scale=0.001):
        ours, theirs = (call() for call in case.contenders.values())
        assert ours.to_dict() == theirs.to_dict(), case.name


def test_the_table_shows_ratios_and_targets():
    case = Case("wait", {"sparksig": lambda: None, "other": lambda: None}, target=2)
    assert table([Result(case, {"sparksig": 0.001, "other": 0.0035})]).splitlines()[2:] == [
        "| wait | sparksig | 1.00 |  |  |",
        "|  | other | 3.50 | 3.5x | 2x |",
    ]
