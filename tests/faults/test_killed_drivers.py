"""A driver that is killed in any state of its outputs, and started again: every row lands once."""

from __future__ import annotations

import re
import shutil
import signal
from functools import partial

import pyarrow.parquet as pq
import pytest

from sparksig.jobs import score
from sparksig.jobs.leftovers import find_leftovers
from tests.faults.drivers import NEW_STATE, run_driver
from tests.spark import score_jobs
from tests.spark.score_jobs import BAD, table

OLD = [100, 102]
EXPECTED = [(row, x / 2) for row, x in enumerate(BAD) if x not in (13, None)]
REJECTED = [13, 14]


class Job:
    """A job in a separate directory, whose outputs can be restored to an earlier state."""

    def __init__(self, spark, model, home, engine, form, mode, quarantine, by=()):
        self.spark, self.home, self.form, self.mode = spark, home, form, mode
        home.mkdir()
        table(home / "in", BAD)
        output = {"format": form, "mode": mode, "keep": ["id", *by], "partition_by": list(by)}
        changes = {"budget": {"rows": 2}, "output": output, "engine": engine}
        if quarantine:
            changes["quarantine"] = {"path": str(home / "bad"), "format": form}
        self.configure = partial(score_jobs.config_of, model, home, **changes)
        self.config = self.configure(run_id="night")
        if mode != "error":
            self._write_old_rows()
        self.save("begin")

    def _write_old_rows(self):
        old = self.home.with_name("old")
        old.mkdir()
        table(old / "in", OLD)
        score(self.configure(run_id="old", input={"path": str(old / "in")}))

    def save(self, name):
        """Remember the state of everything but the input."""
        shutil.copytree(self.home, self.home.with_name(name), ignore=shutil.ignore_patterns("in"))

    def restore(self, name):
        """Put everything but the input back to a state."""
        for path in self.home.iterdir():
            if path.name != "in":
                shutil.rmtree(path)
        shutil.copytree(self.home.with_name(name), self.home, dirs_exist_ok=True)
        self.forget()

    def forget(self):
        """Clear the caches, which end with a killed driver."""
        if self.spark is not None:
            self.spark.catalog.clearCache()
        if self.form == "delta":
            self.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()

    def run(self, last=None):
        """Run the job in a separate driver, until an event; return the events that have happened."""
        code, events = run_driver(self.spark, self.config, self.home, last)
        self.forget()
        assert code == (0 if last is None else -signal.SIGKILL), (code, events)
        assert last is None or len(events) == last
        return events

    def read(self, name):
        """Return the ids and the predictions of all rows; None for a missing prediction."""
        if self.form == "delta":
            rows = self.spark.read.format("delta").load(str(self.home / name)).collect()
            return [(row["id"], row.asDict().get("prediction")) for row in rows]
        rows = pq.read_table(self.home / name).to_pylist()
        return [(row["id"], row.get("prediction")) for row in rows]

    def check_rows(self):
        """Compare every row of the output and of the quarantine."""
        rows = self.read("out")
        scored = [row for row in rows if row[1] is not None]
        old = [(row, x / 2) for row, x in enumerate(OLD)] if self.mode == "append" else []
        assert sorted(scored) == sorted([*EXPECTED, *old])
        rejected = self.read("bad") if self.config.quarantine else [row for row in rows if row[1] is None]
        assert sorted(rejected) == [(row, None) for row in REJECTED]

    def finish(self):
        """Start the job again: it is done, once; then it has been done, and nothing changes."""
        report = score(self.config)
        assert (report.rows_in, report.scored, report.rejected) == (20, 18, 2)
        assert report.status in ("done", "repeated")
        self.check_rows()
        files = sorted(self.home.rglob("*"))
        assert score(self.config).status == "repeated"
        assert sorted(self.home.rglob("*")) == files
        stagings = list(find_leftovers(str(self.home), 0.0))
        assert [staging.run_id for staging in stagings if staging.run_id is not None] == []
        return report


JOBS = {
    "new parquet": ("spark", "parquet", "error", False),
    "new parquet and quarantine": ("spark", "parquet", "error", True),
    "parquet append": ("spark", "parquet", "append", True),
    "parquet overwrite": ("spark", "parquet", "overwrite", False),
    "parquet overwrite and quarantine": ("spark", "parquet", "overwrite", True),
    "delta append": ("spark", "delta", "append", True),
    "delta overwrite": ("spark", "delta", "overwrite", False),
    "direct, new parquet": ("direct", "parquet", "error", True, ("color",)),
    "direct, parquet append": ("direct", "parquet", "append", True),
    "direct, parquet overwrite": ("direct", "parquet", "overwrite", False, ("color",)),
    "direct, delta append": ("direct", "delta", "append", True),
    "local, new parquet": ("local", "parquet", "error", True, ("color",)),
    "local, parquet append": ("local", "parquet", "append", True),
    "local, parquet overwrite": ("local", "parquet", "overwrite", False, ("color",)),
}


@pytest.fixture
def job(request, model, tmp_path):
    engine, form = request.param[:2]
    spark = None if engine == "local" else request.getfixturevalue("spark")
    if form == "delta":
        request.getfixturevalue("delta")
    return Job(spark, model, tmp_path / "home", *request.param)


def kill_in_each_state(job, begin, events):
    """Kill a job before each event that finds a new state on the disk, finish it, and return the reports.

    Args:
        job: the job.
        begin: the name of the state in which each run begins.
        events: the events of a run that was not killed.
    """
    reports = []
    for last in (i for i, event in enumerate(events) if event.endswith(NEW_STATE)):
        job.restore(begin)
        job.run(last)
        reports.append(job.finish())
    return reports


def count_until_scored(events):
    """Return the number of events after which a run has scored everything."""
    return 1 + next(i for i, event in enumerate(events) if re.match("move .*/scored.json", event))


ENGINES = ["spark", "direct", "local"]


@pytest.mark.parametrize(
    "job", [(engine, "parquet", "error", True) for engine in ENGINES], ids=ENGINES, indirect=True
)
def test_driver_killed_while_it_scores(job):
    events = job.run()
    reports = kill_in_each_state(job, "begin", events[: count_until_scored(events)])
    assert all("score" in report.phases for report in reports)
    assert len(reports) >= 3  # nothing; the rows; the rows, and a part of what says that they are complete


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS, indirect=True)
def test_driver_killed_while_it_publishes(job):
    until_scored = count_until_scored(job.run())
    job.check_rows()
    job.restore("begin")
    job.run(until_scored)
    job.save("scored")
    events = job.run()
    job.check_rows()
    reports = kill_in_each_state(job, "scored", events)
    assert not any("score" in report.phases for report in reports)  # the model was not asked again
    assert len(reports) >= 3
