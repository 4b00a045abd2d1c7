"""``sparksig sweep``: lists abandoned staging directories, and removes them on request."""

from __future__ import annotations

import json

import pytest

from sparksig.cli import cli
from tests.cli.runner import runner
from tests.jobs.test_staging import JOB, WRITE, make


def sweep(*arguments, code=0):
    done = runner().invoke(cli, ["sweep", *map(str, arguments)], prog_name="sparksig")
    assert done.exit_code == code, done.output
    return done.stdout + done.stderr


def test_directories_are_listed_and_nothing_is_removed(tmp_path):
    make(tmp_path, JOB, "scored.json")
    assert sweep(tmp_path) == (
        f"{tmp_path}/{JOB} (run nightly, 1.0 kB, 2 days old)\nnothing was removed: --delete removes them\n"
    )
    assert (tmp_path / JOB).exists()


def test_delete_removes_all_but_those_with_an_only_copy(tmp_path):
    make(tmp_path, JOB, "scored.json")
    make(tmp_path, WRITE, "old/part.parquet")
    lines = sweep(tmp_path, "--delete").splitlines()
    assert lines[0] == f"removed {tmp_path}/{JOB} (run nightly, 1.0 kB, 2 days old)"
    assert "kept, it has the only copy of the table" in lines[1]
    assert [path.name for path in tmp_path.iterdir()] == [WRITE]


def test_older_than_changes_the_age(tmp_path):
    make(tmp_path, JOB, "scored.json", age=7300)
    in_use = f"{tmp_path}/{JOB} (run nightly, 1.0 kB, 2 hours old): kept, it may be in use\n"
    assert sweep(tmp_path) == sweep(tmp_path, "--older-than", "3h", "--delete") == in_use
    assert sweep(tmp_path, "--older-than", "2h", "--delete").startswith("removed ")
    assert sweep(tmp_path) == "no staging directories\n"


def test_json_says_what_was_removed(tmp_path):
    make(tmp_path, JOB, "scored.json")
    (body,) = json.loads(sweep(tmp_path, "--json"))["stagings"]
    assert (body["run_id"], body["removed"], body["bytes"]) == ("nightly", False, 1000)
    (body,) = json.loads(sweep(tmp_path, "--json", "--delete"))["stagings"]
    assert body["removed"]


@pytest.mark.parametrize("age", ["1", "1w", "d", "-1d", "1.5d"])
def test_wrong_age_is_refused(tmp_path, age):
    assert "expected a number of days, hours, minutes or seconds" in sweep(
        tmp_path, f"--older-than={age}", code=2
    )


def test_missing_directory_has_its_exit_code(tmp_path):
    assert "there is no directory at" in sweep(tmp_path / "none", code=9)
