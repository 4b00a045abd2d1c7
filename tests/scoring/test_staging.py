"""Publishing the files of tasks."""

from __future__ import annotations

import pyarrow.fs as pafs
import pytest

from sparksig import ExecutionError
from sparksig.scoring.staging import accept_files, attempt_directory


def test_files_that_workers_wrote_elsewhere_are_an_error(tmp_path):
    store, target = pafs.LocalFileSystem(), tmp_path / "out"
    with (
        pytest.raises(ExecutionError, match="are not on this machine; nothing was published"),
        attempt_directory(store, str(target)) as attempts,
    ):
        accept_files(store, attempts, ["part-0.parquet"], str(target))
    assert list(target.iterdir()) == []
