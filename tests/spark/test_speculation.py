"""Writes with speculative execution, where two attempts of one task run at once."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from tests.spark import speculative_writes
from tests.spark.speculative_writes import ROWS

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.xdist_group("applications")]

SPARK = Path(pyspark.__file__).parent
DEPLOY = "org.apache.spark.deploy"


@pytest.fixture
def environment():
    root = str(Path(__file__).parents[2])
    return {**os.environ, "SPARK_HOME": str(SPARK), "PYTHONPATH": root, "PYSPARK_PYTHON": sys.executable}


@pytest.fixture
def cluster(tmp_path, environment):
    """The address of a cluster with workers on two hosts, which are addresses of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"spark://127.0.0.1:{port}"
    ports = ["--webui-port", "0"]
    commands = [[f"{DEPLOY}.master.Master", "--host", "127.0.0.1", "--port", str(port), *ports]]
    for host in ("127.0.0.2", "127.0.0.3"):
        work = ["--cores", "2", "--memory", "1g", "--work-dir", str(tmp_path / host), address]
        commands.append([f"{DEPLOY}.worker.Worker", "--host", host, *ports, *work])
    with contextlib.ExitStack() as stack:
        for number, command in enumerate(commands):
            log = stack.enter_context(open(tmp_path / f"{number}.log", "w"))
            program = [str(SPARK / "bin" / "spark-class"), *command]
            settings = {**environment, "SPARK_LOCAL_IP": command[2], "SPARK_DAEMON_MEMORY": "256m"}
            process = stack.enter_context(
                subprocess.Popen(program, stdout=log, stderr=subprocess.STDOUT, env=settings)
            )
            stack.callback(process.terminate)
        yield address


def test_each_row_is_written_once(cluster, environment, tmp_path):
    attempts = tmp_path / "attempts"
    command = [
        sys.executable,
        speculative_writes.__file__,
        cluster,
        str(tmp_path / "t" / "table"),
        str(attempts),
    ]
    environment = {**environment, "SPARK_LOCAL_IP": "127.0.0.1"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.splitlines() == [
        f"error {ROWS} {ROWS} {ROWS}",
        f"append {ROWS} {2 * ROWS} {ROWS}",
        f"overwrite {ROWS} {ROWS} {ROWS}",
    ]
    for mode in ("error", "append", "overwrite"):
        assert sorted(path.name for path in (attempts / mode).iterdir()) == ["0", "1"]
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["table"]
