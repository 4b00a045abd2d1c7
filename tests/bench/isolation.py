"""Models in an environment of their own: without isolation, with it, and with MLflow's env_manager.

Each row scores Parquet files in processes of its own. "first" is the first run from the start of the process:
imports, Spark, loading the model; the environments were built before. "rows/s" is that of the best later run;
there are many, because Spark's runs become faster for a minute.
The last columns compare with the same engine without isolation. MLflow predicts in a server for each task;
uv has built its environment of the same packages.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import cloudpickle
import pyarrow.parquet as pq

import sparksig
from tests.bench import engines
from tests.bench.engines import Scorer, make_files_scorer, make_mlflow_scorer, make_spark_scorer

WORKLOADS = {
    "linear": "linear model, 4 M rows of 10 doubles",
    "boosting": "gradient boosting, 500,000 rows of 30 doubles",
}
_ROUNDS = 8
_PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy")
_OWN: dict[str, Any] = {"environment": "model", "allow_install": True}

ENGINES: dict[str, Callable[[Path], Scorer]] = {
    "local": functools.partial(make_files_scorer, engine="local"),
    "local isolated": functools.partial(make_files_scorer, engine="local", **_OWN),
    "direct": functools.partial(make_files_scorer, engine="direct"),
    "direct isolated": functools.partial(make_files_scorer, engine="direct", **_OWN),
    "spark": make_spark_scorer,
    "spark isolated": functools.partial(make_spark_scorer, **_OWN),
    "mlflow isolated": functools.partial(make_mlflow_scorer, model="mlflow", env_manager="uv"),
}


def report(scale: float = 0.04, only: Sequence[str] = ()) -> Iterator[str]:
    """Measure engines with and without isolation, and yield the lines of a table.

    Args:
        scale: the share of the rows.
        only: names of WORKLOADS and of ENGINES; all workloads, or all engines, without one of them.
    """
    engines.refuse_unknown_names(only, [*WORKLOADS, *ENGINES])
    yield f"{scale:g} of the rows, {engines.PROCESSES} processes"
    yield ""
    yield "| workload | engine | first s | rows/s | CPU s | throughput | by CPU |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for workload in [name for name in WORKLOADS if name in only] or WORKLOADS:
        home = Path(tempfile.mkdtemp(prefix="sparksig-bench-"))
        try:
            engines.make_workload(home, workload, scale / 4)
            save_with_requirements(home)
            selected = [name for name in ENGINES if name in only] or list(ENGINES)
            yield from _measure_engines(home, WORKLOADS[workload], selected)
        finally:
            shutil.rmtree(home, ignore_errors=True)


def save_with_requirements(home: Path) -> None:
    """Save the estimator of a workload with the packages that it needs: with sparksig, and with MLflow."""
    import mlflow.sklearn

    pins = [f"{name}=={metadata.version(name)}" for name in (*_PACKAGES, "skops", "mlflow")]
    signature = sparksig.load_signature(home / "model")
    estimator = cloudpickle.loads((home / "estimator").read_bytes())
    shutil.rmtree(home / "model")
    sparksig.save_model(home / "model", estimator, signature, pip_requirements=pins[:-1])
    mlflow.sklearn.save_model(
        estimator,
        home / "mlflow",
        signature=mlflow.models.ModelSignature.from_dict(signature.to_dict()),
        pip_requirements=pins,
        skops_trusted_types=["sklearn.tree._tree.Tree"],
    )


def _measure_engines(home: Path, title: str, names: Sequence[str]) -> Iterator[str]:
    rows = sum(pq.read_metadata(file).num_rows for file in (home / "table").iterdir())
    plain: dict[str, dict[str, float]] = {}
    for engine in names:
        name, _, isolated = engine.partition(" ")
        if isolated:
            engines.measure(home, engine, __name__, rounds=1)  # builds the environment
        rounds = 1 if name == "mlflow" else _ROUNDS  # MLflow's run takes minutes
        result = engines.measure(home, engine, __name__, rounds)
        ratios = ["", ""]
        reference = plain.get("spark" if name == "mlflow" else name)
        if reference is not None:
            ratios = [f"{reference[key] / max(result[key], 0.01):.2f}x" for key in ("warm", "cpu")]
        else:
            plain[name] = result
        speed = rows / result["warm"]
        cells = [title, engine, f"{result['cold']:.1f}", f"{speed:,.0f}", f"{result['cpu']:.1f}", *ratios]
        yield f"| {' | '.join(cells)} |"
