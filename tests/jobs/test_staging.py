"""Staging directories: which content is trusted, and which directories are abandoned."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest

from sparksig import Code, Finding, OutputRefusedError, SparksigError, TableNotFoundError, UnsupportedError
from sparksig.jobs import claims
from sparksig.jobs.engine import StagedCounts
from sparksig.jobs.leftovers import find_leftovers, remove_leftover
from sparksig.jobs.staging import StagedResult, StagingDirectory
from sparksig.scoring.tally import PredictionSummarizer

FINDING = Finding(Code.NULL_IN_REQUIRED, "a.b", "long without nulls", "nulls", "declare it", 3, (1, 2))
SUMMARY = PredictionSummarizer().summarize(pa.array([0.5, 2.5, None]))[()]
SUMMARIES = {(): SUMMARY, ("a", "b"): SUMMARY, ("a,b",): SUMMARY, ('["a"]',): SUMMARY}
COUNTS = StagedCounts(10, 7, 3, (FINDING,), 2, 1.5, SUMMARIES)
RESULT = StagedResult("r", "data-0123abcd", {"model": "m"}, {"place": "t", "files": 2}, COUNTS)


@dataclass(frozen=True)
class LocalDirectory:
    """A directory of this machine, as stagings need one."""

    path: Path
    owned: bool = True

    @property
    def uri(self):
        return str(self.path)

    @property
    def local(self):
        return self.path

    def __truediv__(self, name):
        return LocalDirectory(self.path / name, self.owned)

    def list_names(self):
        return sorted(os.listdir(self.path)) if self.path.exists() else []

    def is_owned(self):
        return self.owned

    def create(self):
        self.path.mkdir(exist_ok=True)

    def delete(self):
        shutil.rmtree(self.path) if self.path.is_dir() else self.path.unlink(missing_ok=True)


@pytest.fixture
def staging(tmp_path):
    staging = StagingDirectory(LocalDirectory(tmp_path / ".out.sparksig-r"), "r")
    staging.reset()
    return staging


def test_result_is_read_as_it_was_written(staging):
    assert staging.read_result() is None
    staging.write_result(RESULT)
    assert staging.read_result() == RESULT


@pytest.mark.parametrize("changes", [
    {"data": "../../private/keys"},
    {"data": "data-0123abcd/../x"},
    {"data": "data-0123abcd\n"},
    {"data": "/etc"},
    {"data": "final-0123abcd"},
    {"data": None},
    {"run_id": "another"},
    {"counts": {"rows_in": "many", "scored": 1, "rejected": 0}},
    {"fingerprints": None},
], ids=str)  # fmt: skip
def test_changed_result_is_not_trusted(staging, changes):
    staging.write_result(RESULT)
    file = staging.directory.path / "scored.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert staging.read_result() is None


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", "a\\..\\x", "a\0b", 7, None])
def test_name_of_a_file_outside_is_refused(staging, name):
    staging.note_publishing(["part.parquet", "day=1/part.parquet"])
    assert staging.read_published_files() == ["part.parquet", "day=1/part.parquet"]
    file = staging.directory.path / "publishing.json"
    file.write_text(json.dumps({"files": ["part.parquet", name]}))
    with pytest.raises(OutputRefusedError, match=r"publishing.json was changed: it names files outside"):
        staging.read_published_files()


@pytest.mark.parametrize("method", ["verify", "reset", "remove"])
def test_directory_of_another_user_is_refused(staging, method):
    staging.write_result(RESULT)
    foreign = StagingDirectory(LocalDirectory(staging.directory.path, owned=False), "r")
    with pytest.raises(OutputRefusedError, match=r"it belongs to another user\. Remove it"):
        getattr(foreign, method)()
    assert staging.read_result() == RESULT


def test_directory_with_other_files_is_refused(staging):
    (staging.directory.path / "precious").touch()
    with pytest.raises(OutputRefusedError, match="it has 'precious', which no run writes"):
        staging.remove()
    assert (staging.directory.path / "precious").exists()


# --- simultaneous attempts ----------------------------------------------------------------------------------


def start_attempt(staging):
    """Start another attempt, and return its staging and the name of its directory, which has a file."""
    attempt = StagingDirectory(staging.directory, staging.run_id)
    data = attempt.reset()
    (attempt.directory.path / data).mkdir()
    (attempt.directory.path / data / "part.parquet").touch()
    return attempt, data


def test_attempts_keep_the_rows_of_each_other(staging):
    first, rows = start_attempt(staging)
    second, others = start_attempt(staging)
    assert {rows, others} <= set(staging.directory.list_names())
    second.remove()
    assert others not in staging.directory.list_names()
    assert (staging.directory.path / rows / "part.parquet").exists()
    staging.close()
    first.remove(is_done=True)
    assert not staging.directory.path.exists()


def test_attempts_keep_the_rows_of_each_other_without_locks(staging, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(claims.fcntl, "flock", refuse)
    first, rows = start_attempt(staging)
    second, others = start_attempt(staging)
    second.remove()
    assert rows in staging.directory.list_names()
    assert others not in staging.directory.list_names()
    first.remove(is_done=True)
    assert not staging.directory.path.exists()


def test_exclusive_locks_are_of_files_that_are_open_for_writing(staging, monkeypatch):
    modes = []

    def record(descriptor, operation):
        modes.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)

    monkeypatch.setattr(claims.fcntl, "flock", record)
    start_attempt(staging)
    with staging.lock():
        assert set(modes) == {os.O_RDWR}


def test_rows_of_a_dead_attempt_are_removed_by_the_next_one(staging):
    dead, rows = start_attempt(staging)
    _, others = start_attempt(staging)
    dead.close()  # as the end of its process does
    start_attempt(staging)
    assert rows not in staging.directory.list_names()
    assert others in staging.directory.list_names()


def test_claimed_rows_of_an_earlier_attempt_stay(staging):
    dead, rows = start_attempt(staging)
    dead.close()
    assert staging.claim_rows(rows)
    start_attempt(staging)
    assert rows in staging.directory.list_names()
    assert not staging.claim_rows("data-00000000")


def test_rows_of_the_attempt_that_began_to_publish_are_published(staging):
    first, rows = start_attempt(staging)
    result, other = replace(RESULT, data=rows), replace(RESULT, data="data-76543210")
    first.write_result(result)
    with first.lock():
        assert first.begin_publishing(result) == result
    first.close()  # as the end of its process does
    second, _ = start_attempt(staging)
    second.write_result(other)
    with second.lock():
        assert second.begin_publishing(other) == result
    assert (staging.directory.path / rows / "part.parquet").exists()


def test_attempts_publish_one_after_the_other(staging, capfd):
    order, message = [], ""

    def publish():
        with StagingDirectory(staging.directory, "r").lock():
            order.append("second")

    with staging.lock():
        thread = threading.Thread(target=publish)
        thread.start()
        while not message.endswith("\n"):  # a message may come in parts
            time.sleep(0.01)
            message += capfd.readouterr().err
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    assert message == "sparksig: waiting for another attempt at the run r, which is being published\n"


# --- abandoned directories ----------------------------------------------------------------------------------

JOB, WRITE = ".out.sparksig-nightly", ".out.sparksig-write-0123456789abcdef"


def make(home, name, *files, age=200_000.0):
    """Make a directory with files that were last changed so many seconds ago."""
    changed = time.time() - age
    (home / name).mkdir(parents=True)
    for file in files:
        path = home / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
    for path in [*(home / name).rglob("*"), home / name]:
        os.utime(path, (changed, changed))


def test_abandoned_directories_are_found_with_run_size_and_age(tmp_path):
    make(tmp_path, JOB, "data-0123abcd/part.parquet", "scored.json")
    make(tmp_path, WRITE, "table/part.parquet")
    job, write = find_leftovers(str(tmp_path))
    assert str(job) == f"{tmp_path}/{JOB} (run nightly, 2.0 kB, 2 days old)"
    assert str(write) == f"{tmp_path}/{WRITE} (a write, 1.0 kB, 2 days old)"
    assert job.to_dict() == {
        "path": f"{tmp_path}/{JOB}",
        "table": "out",
        "run_id": "nightly",
        "age_seconds": pytest.approx(2e5, 0.01),
        "bytes": 2000,
        "obstacle": "",
    }


def test_path_of_a_table_finds_the_directories_beside_it(tmp_path):
    for name in (JOB, ".other.sparksig-nightly"):
        make(tmp_path, name, "scored.json")
    assert [Path(staging.path).name for staging in find_leftovers(f"{tmp_path}/out")] == [JOB]
    (tmp_path / "out").mkdir()
    assert [Path(staging.path).name for staging in find_leftovers(f"{tmp_path}/out/")] == [JOB]


@pytest.mark.parametrize(("name", "files"), [
    (JOB, ["scored.json", "precious"]),
    (WRITE, ["table/part.parquet", "scored.json"]),
    (".out.sparksig", ["scored.json"]),
    ("out.sparksig-nightly", ["scored.json"]),
    (".sparksig-nightly", ["scored.json"]),
], ids=["other file", "other file of a write", "no run", "visible", "no table"])  # fmt: skip
def test_other_directories_are_not_found(tmp_path, name, files):
    make(tmp_path, name, *files)
    assert find_leftovers(str(tmp_path)) == []


def test_directory_with_one_young_file_may_be_in_use(tmp_path):
    make(tmp_path, JOB, "data-0123abcd/a.parquet")
    (tmp_path / JOB / "data-0123abcd" / "b.parquet").write_bytes(b"x")
    assert [staging.obstacle for staging in find_leftovers(str(tmp_path))] == ["it may be in use"]
    assert [staging.obstacle for staging in find_leftovers(str(tmp_path), older_than=0)] == [""]


def test_link_to_a_directory_is_not_found(tmp_path):
    make(tmp_path / "private", "keys", "scored.json")
    (tmp_path / JOB).symlink_to(tmp_path / "private" / "keys")
    assert find_leftovers(str(tmp_path), older_than=0) == []


def test_link_in_a_directory_is_removed_and_not_followed(tmp_path):
    make(tmp_path / "private", "keys", "key.pem")
    make(tmp_path, JOB, "data-0123abcd/a.parquet")
    (tmp_path / JOB / "data-0123abcd" / "link").symlink_to(tmp_path / "private" / "keys")
    (staging,) = find_leftovers(str(tmp_path), older_than=0)
    assert staging.size == 1000
    remove_leftover(str(tmp_path), staging)
    assert not (tmp_path / JOB).exists()
    assert (tmp_path / "private" / "keys" / "key.pem").exists()


def test_only_copy_of_a_table_is_kept(tmp_path):
    make(tmp_path, WRITE, "table/part.parquet", "old/part.parquet")
    (staging,) = find_leftovers(str(tmp_path))
    assert staging.obstacle == (
        f"it has the only copy of the table: rename {tmp_path}/{WRITE}/old to {tmp_path}/out"
    )
    with pytest.raises(SparksigError, match="it was not removed"):
        remove_leftover(str(tmp_path), staging)
    (tmp_path / "out").mkdir()
    (staging,) = find_leftovers(str(tmp_path))
    assert staging.obstacle == ""


def test_rows_that_are_being_published_are_kept(tmp_path):
    make(tmp_path, JOB, "scored.json", "publishing.json")
    (staging,) = find_leftovers(str(tmp_path))
    assert str(staging).endswith("kept, its rows are being published: start the job again with this run id")


def test_directory_that_changed_since_it_was_found_is_kept(tmp_path):
    make(tmp_path, JOB, "scored.json")
    (staging,) = find_leftovers(str(tmp_path))
    (tmp_path / JOB / "publishing.json").touch()
    with pytest.raises(SparksigError, match="is in use, or has to be kept: it was not removed"):
        remove_leftover(str(tmp_path), staging)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_directory_of_another_user_is_kept(tmp_path):
    make(tmp_path, JOB, "scored.json")
    os.chown(tmp_path / JOB, 12345, 12345)
    assert find_leftovers(str(tmp_path))[0].obstacle == "it belongs to another user"


def test_path_that_does_not_exist():
    with pytest.raises(TableNotFoundError, match="there is no directory at '/nowhere/at/all'"):
        find_leftovers("/nowhere/at/all")
    with pytest.raises(UnsupportedError, match="'dbfs:/x' is on a file system that pyarrow does not know"):
        find_leftovers("dbfs:/x")
