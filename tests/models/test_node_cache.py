"""Directories that each machine makes once: built by one of several processes, and never left half built."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparksig.errors import ModelError
from sparksig.models.node_cache import CACHE_VARIABLE, build_once

BUILD = """
import os, sys, time
from sparksig.models.node_cache import build_once

def build(home):
    home.mkdir()
    (home / "first").touch()
    with open(sys.argv[1], "a") as log:
        log.write(f"{os.getpid()}\\n")
    time.sleep(float(sys.argv[2]))
    (home / "second").touch()

home = build_once("environments", "key", build)
print(sorted(file.name for file in home.iterdir()))
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """A function that starts a process, which builds a directory slowly and notes that it does."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}

    def start_process(seconds):
        command = [sys.executable, "-c", BUILD, str(tmp_path / "log"), str(seconds)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    return start_process


def test_processes_that_need_a_directory_at_once_build_it_once(start, tmp_path):
    processes = [start(0.5) for _ in range(3)]
    assert {process.communicate()[0] for process in processes} == {"['.complete', 'first', 'second']\n"}
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_directory_of_a_killed_process_is_built_again(start, tmp_path):
    killed = start(60)
    deadline = time.monotonic() + 60
    while not (tmp_path / "log").exists() or not (tmp_path / "log").read_text():
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    waiting = start(0)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert waiting.communicate()[0] == "['.complete', 'first', 'second']\n"
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_failed_build_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))

    def fail(home):
        home.mkdir()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        build_once("models", "key", fail)
    assert not [path for path in tmp_path.glob("models/key*") if path.is_dir()]


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A cache on a disk of 8 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=8k,mode=700", "tmpfs", str(disk)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine mounts no file systems: {done.stderr.strip()}")
    monkeypatch.setenv(CACHE_VARIABLE, str(disk))
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_full_disk(small_disk):
    def write_too_much(home):
        home.mkdir()
        (home / "large").write_bytes(bytes(2**20))

    with pytest.raises(ModelError, match=r"key: the disk is full\. Free some space, or set SPARKSIG_CACHE"):
        build_once("models", "key", write_too_much)
    assert not list(small_disk.glob("models/key/*"))


def test_full_disk_while_an_environment_is_built(small_disk):
    from sparksig.models.requirements import Requirements
    from sparksig.models.virtualenvs import build_environment

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(ModelError, match="the disk is full"):
        build_environment(Requirements((), version), ["--no-index"])
    assert not list(small_disk.glob("environments/*/bin"))
