"""Jobs that write one output at once: each lands completely, or is refused with the reason."""

from __future__ import annotations

import json
import re
import sys
import threading
import time

import cloudpickle
import pyarrow.parquet as pq
import pytest

from sparksig.errors import OutputRefusedError
from sparksig.jobs import score
from tests.faults.drivers import start_driver, wait_for
from tests.spark import models, score_jobs
from tests.spark.score_jobs import BAD, table

cloudpickle.register_pickle_by_value(sys.modules[__name__])

FIRST = (100, 200, 300)


@pytest.fixture
def run_at_once(spark, model, tmp_path):
    """A function that runs three jobs at once, and returns their reports or errors by their first x."""
    for first in FIRST:
        (tmp_path / str(first)).mkdir()
        table(tmp_path / str(first) / "in", [first + 2 * row for row in range(20)])

    def call(run_ids, **output):
        barrier, outcomes = threading.Barrier(len(FIRST)), {}

        def work(first, run_id):
            source = {"path": str(tmp_path / str(first) / "in")}
            config = score_jobs.config_of(model, tmp_path, input=source, output=output, run_id=run_id)
            barrier.wait(60)
            try:
                outcomes[first] = score(config)
            except Exception as error:
                outcomes[first] = error

        jobs = [threading.Thread(target=work, args=pair) for pair in zip(FIRST, run_ids)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join(240)
        assert outcomes.keys() == set(FIRST)
        return outcomes

    return call


def rows_of(first):
    return [(row, first / 2 + row) for row in range(20)]


def landed(outcomes):
    """Return the first x of each job that has landed; check that the others say why they have not."""
    refused = [outcome for outcome in outcomes.values() if isinstance(outcome, Exception)]
    assert all(isinstance(error, OutputRefusedError) for error in refused), refused
    assert all(re.search("exists|already|another writer", str(error)) for error in refused), refused
    return [first for first, outcome in outcomes.items() if not isinstance(outcome, Exception)]


@pytest.mark.parametrize("form", ["parquet", "delta"])
@pytest.mark.parametrize("mode", ["error", "append", "overwrite"])
def test_jobs_of_several_runs(request, spark, run_at_once, tmp_path, form, mode):
    if form == "delta":
        request.getfixturevalue("delta")
    outcomes = run_at_once(["a", "b", "c"], format=form, mode=mode)
    firsts = landed(outcomes)
    frame = spark.read.format(form).load(str(tmp_path / "out"))
    rows = sorted((row.id, row.prediction) for row in frame.collect())
    if mode == "append":
        assert rows == sorted(row for first in firsts for row in rows_of(first))
    else:
        assert rows in [rows_of(first) for first in firsts]
    if mode == "error":
        assert len(firsts) == 1
    if (form, mode) == ("parquet", "append"):
        assert len(firsts) == 3
    assert all(outcomes[first].scored == 20 for first in firsts)


def test_jobs_of_one_run_with_other_inputs(spark, run_at_once, tmp_path):
    """One job is done. The others are another run, which needs another run id."""
    outcomes = run_at_once(["a", "a", "a"], mode="append")
    [done] = [first for first, outcome in outcomes.items() if not isinstance(outcome, Exception)]
    refused = [str(outcome) for first, outcome in outcomes.items() if first != done]
    assert all(re.search("with another configuration", message) for message in refused), refused
    rows = sorted((row.id, row.prediction) for row in spark.read.parquet(str(tmp_path / "out")).collect())
    assert rows == rows_of(done)


# --- attempts at one run, in processes of their own ---------------------------------------------------------


def halve_slowly(frame, params):
    """Half of x, slowly enough for attempts to meet; an error where x is 13."""
    time.sleep(0.5)
    return score_jobs.halves(frame, params)


@pytest.mark.parametrize("mode", ["error", "append", "overwrite"])
@pytest.mark.parametrize("engine", ["spark", "direct", "local"])
def test_attempts_at_one_run_publish_it_once(request, tmp_path, engine, mode):
    spark = None if engine == "local" else request.getfixturevalue("spark")
    home = tmp_path / "home"
    home.mkdir()
    table(home / "in", BAD)
    model = score_jobs.save_model(tmp_path / "model", models.Returning(halve_slowly))
    drivers = []
    for number in range(3):
        report = {"json": str(tmp_path / f"{number}.json")}
        changes = {"engine": engine, "report": report, "output": {"mode": mode}, "run_id": "night"}
        limits = {"budget": {"rows": 2}, "quarantine": {"path": str(home / "bad")}}
        config = score_jobs.config_of(model, home, **changes, **limits)
        drivers.append(start_driver(spark, config, home, log=tmp_path / f"{number}.events"))
    wait_for(*drivers)
    reports = [json.loads((tmp_path / f"{number}.json").read_text()) for number in range(3)]
    assert [driver.exitcode for driver in drivers] == [0, 0, 0], [report["error"] for report in reports]
    assert sorted(report["status"] for report in reports) == ["done", "repeated", "repeated"]
    assert {(report["rows_in"], report["scored"], report["rejected"]) for report in reports} == {(20, 18, 2)}
    rows = pq.read_table(home / "out")
    assert sorted(zip(rows["id"].to_pylist(), rows["prediction"].to_pylist())) == [
        (row, x / 2) for row, x in enumerate(BAD) if x not in (13, None)
    ]
    assert sorted(pq.read_table(home / "bad")["id"].to_pylist()) == [13, 14]
    assert sorted(path.name for path in home.iterdir()) == ["bad", "in", "out"]
