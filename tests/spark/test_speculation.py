"""Writes with speculative execution, where two attempts of one task run at once."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.spark import speculative_write

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("applications")]


def test_rows_are_written_once(tmp_path):
    attempts = tmp_path / "attempts"
    attempts.mkdir()
    command = [sys.executable, speculative_write.__file__, str(tmp_path / "t"), str(attempts)]
    root = str(Path(__file__).parents[2])
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": root}
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.split() == [str(speculative_write.ROWS)] * 2
    assert (attempts / "0-1").exists()  # the second attempt, while the first one slept
    ids = Counter(pq.read_table(tmp_path / "t")["id"].to_pylist())
    assert ids == dict.fromkeys(range(speculative_write.ROWS), 2)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
