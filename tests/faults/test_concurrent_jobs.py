"""Jobs that write one output at once: each lands completely, or is refused with the reason."""

from __future__ import annotations

import re
import threading

import pytest

from sparksig.errors import OutputRefusedError
from sparksig.jobs import score
from tests.spark import score_jobs
from tests.spark.score_jobs import table

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


def test_jobs_of_one_run(spark, model, run_at_once, tmp_path):
    """They may end each other, as they share a staging directory; the run is done once, or not yet."""
    outcomes = run_at_once(["a", "a", "a"], mode="append")
    done = [first for first, outcome in outcomes.items() if not isinstance(outcome, Exception)]
    if not done:
        done = FIRST[:1]
        source = {"path": str(tmp_path / str(FIRST[0]) / "in")}
        score(score_jobs.config_of(model, tmp_path, input=source, output={"mode": "append"}, run_id="a"))
    rows = sorted((row.id, row.prediction) for row in spark.read.parquet(str(tmp_path / "out")).collect())
    assert rows in [rows_of(first) for first in done]
