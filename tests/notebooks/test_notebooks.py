"""The notebooks run from the first cell to the last, and show what they say."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.spark,
    pytest.mark.xdist_group("notebooks"),
    pytest.mark.filterwarnings("ignore"),  # of Jupyter's own
]


def test_the_quickstart_runs_and_shows_what_it_says(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="Jupyter is in the development environment only")
    import nbformat

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    notebook = nbformat.read(HERE / "quickstart.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    shown = ["".join(map(str, map(_text, cell.get("outputs", [])))) for cell in notebook.cells]
    whole = "\n".join(shown)
    assert "'age': double (required)" in whole
    assert "the table does not fit the model's input schema: 2 findings" in whole
    assert "age: expected double, found string" in whole
    assert "did you mean 'BMI'?" in whole
    [same] = [text for cell, text in zip(notebook.cells, shown) if cell.source.endswith("\nsame")]
    assert same == "0"
    [lenient] = [text for text in shown if "PREDICTION_FAILED" in text]
    assert "NULL_IN_REQUIRED" in lenient
    assert "3.5" in lenient


def _text(output):
    if output.output_type == "stream":
        return output.text if output.name == "stdout" else ""
    return output.get("data", {}).get("text/plain", "")
