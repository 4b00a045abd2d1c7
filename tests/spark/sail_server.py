"""Sail, a server of Spark Connect without a JVM, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SERVER = """
import sys

from pysail.spark import SparkConnectServer

server = SparkConnectServer(port=0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
server.stop()
"""


def start_sail() -> str:
    """Start a server that ends with this process; return its address.

    A server inside this process would keep it from ending. Its time zone is neither this process's nor UTC.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        env={**os.environ, "TZ": "Pacific/Auckland", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return f"sc://localhost:{process.stdout.readline().strip()}"
