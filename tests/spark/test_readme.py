"""The code of the README and of the other pages runs with a session, and prints the documented output."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT, find_blocks, pages, run_page

pytestmark = pytest.mark.once


@pytest.mark.filterwarnings("ignore")  # of the libraries that the pages show together
@pytest.mark.parametrize("name", pages(with_session=True))
def test_page_runs_and_prints_what_it_shows(name, spark, tmp_path, monkeypatch):
    run_page(name, tmp_path, monkeypatch, spark=spark)


COMMANDS = [
    line
    for path in PAGES.values()
    for _, block in find_blocks(path.read_text(), "sh")
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("spark-submit")
]


@pytest.fixture(scope="module")
def submit_flags():
    """The flags that spark-submit knows."""
    script = "import pyspark, os; print(os.path.dirname(pyspark.__file__))"
    home = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    submit = Path(home.stdout.strip()) / "bin" / "spark-submit"
    usage = subprocess.run([str(submit), "--help"], capture_output=True, text=True, timeout=600)
    return set(re.findall(r"--[a-z-]+", usage.stdout + usage.stderr))


@pytest.mark.parametrize("command", COMMANDS)
def test_command_for_a_cluster_has_known_flags_and_existing_files(command, submit_flags):
    words = shlex.split(command)
    script = next(index for index, word in enumerate(words) if word.endswith(".py"))
    assert {word for word in words[1:script] if word.startswith("--")} <= submit_flags
    assert (ROOT / "jobs" / Path(words[script]).name).is_file()
    assert "--config" in words[script:]
    for file in (word for word in words if word.startswith("conf/")):
        assert (ROOT / file).is_file()
