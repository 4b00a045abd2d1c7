"""The pages of documentation, and a runner for their code.

Each page is run in its own directory and namespace, from top to bottom.
In the pages, ``/data`` stands for this directory.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FOLDERS = ("jobs", "sparksig", "tests")
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in [README, *(page for folder in FOLDERS for page in sorted((ROOT / folder).rglob("*.md")))]
}
LANGUAGES = {"python", "console", "sh", "yaml", "text"}


def find_blocks(text: str, *languages: str) -> list[tuple[str, str]]:
    """Return the language and the code of each block in one of the languages."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(language, code) for language, code in blocks if language in languages]


def needs_session(name: str) -> bool:
    """Return whether the code of a page uses a Spark session."""
    code = "\n".join(code for _, code in find_blocks(PAGES[name].read_text(), "python"))
    return re.search(r"\bspark\.(sql|createDataFrame|range)\b|\bplan_score\b", code) is not None


def pages(*, with_session: bool) -> list[str]:
    """Return the names of the pages with code that runs."""
    runnable = [name for name, path in PAGES.items() if find_blocks(path.read_text(), "python", "console")]
    return [name for name in runnable if needs_session(name) == with_session]


def run_page(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **names: Any) -> None:
    """Run the Python code and the commands of a page, and compare the output."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    text = PAGES[name].read_text().replace("/data/", f"{folder}/")
    for language, block in find_blocks(text, "python", "console"):
        if language == "console":
            _run_commands(block)
        elif ">>>" in block:
            test = doctest.DocTestParser().get_doctest(block, names, name, name, 0)
            test.globs = names  # blocks build on each other
            report: list[str] = []
            runner.run(test, out=report.append, clear_globs=False)
            assert runner.summarize(verbose=False).failed == 0, "".join(report)
        else:
            exec(block, names)


def _run_commands(block: str) -> None:
    """Run each command after a dollar sign, and compare its output."""
    for text in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = text.partition("\n")
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=600)
        assert "Traceback" not in done.stderr, done.stderr
        is_equal = doctest.OutputChecker().check_output(expected, done.stdout, doctest.ELLIPSIS)
        assert is_equal, f"{command}\n{done.stdout}{done.stderr}"
