"""Notebooks and their outputs: ``python -m tests.notebooks.running`` runs them and stores their outputs."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def run_notebook(path: Path, folder: Path) -> Any:
    """Run a notebook in a folder, and return it with its outputs, without logs and times."""
    import nbclient
    import nbformat

    os.environ |= {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", coalesce_streams=True)
    client.execute(cwd=str(folder))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def main(names: list[str]) -> None:
    """Run the named notebooks, or all, and store their outputs."""
    import nbformat

    for path in sorted(HERE.glob("*.ipynb")):
        if not names or path.stem in names:
            with tempfile.TemporaryDirectory() as folder:
                notebook = run_notebook(path, Path(folder))
            notebook.metadata = nbformat.read(path, as_version=4).metadata
            nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
