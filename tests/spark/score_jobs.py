"""Helpers for the tests of score jobs: a model, tables, configurations."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sparksig.jobs import ScoreConfig
from tests.spark import models


def halves(frame, params):
    """Return half of x; raise an error where x is 13, which is reported without its text."""
    if (frame["x"] == 13).any():
        raise ValueError("13 is a secret")
    return frame["x"] / 2


def save_model(path, does=None):
    """Save a model with a required long column x; by default it returns half of x."""
    return models.save_python(path, does or models.Returning(halves), {"x": "long"}, {"y": "double"})


def config_of(model, path, /, **changes):
    """The configuration of a job in a place, with changes of its sections."""
    config = {
        "model": {"path": model, "allow_pickle": True},
        "input": {"path": str(path / "in")},
        "output": {"path": str(path / "out"), "keep": ["id"]},
    }
    for name, value in changes.items():
        config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
    return ScoreConfig.model_validate(config)


def table(path, x, **more):
    """A table of Parquet: id, x, a color, in as many files as there are tens of rows."""
    path.mkdir()
    rows = len(x)
    table = pa.table(
        {"id": range(rows), "x": pa.array(x, pa.int64()), "color": ["red", "blue"] * (rows // 2), **more}
    )
    for at in range(0, rows, 10):
        pq.write_table(table.slice(at, 10), path / f"{at}.parquet")


def read(path):
    """Return the files that other readers see in a directory of Parquet."""
    return pd.read_parquet(path).sort_values("id", ignore_index=True)


def left(path):
    """Hidden directories that were left over."""
    return [child.name for child in path.iterdir() if child.name.startswith(".") and "sparksig" in child.name]


BAD = [*range(13), 13, None, *range(15, 20)]
"""Twenty values: the model refuses one of them, the contract another."""
