"""Tables and models that the tests of scoring use."""

from __future__ import annotations

import sys

import cloudpickle
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import sparksig
from sparksig import ColSpec, ModelSignature, Schema
from sparksig.scoring.prepared import pin_directory, prepare_model
from sparksig.scoring.splits import ScanOptions, plan_scan
from sparksig.tables.parquet import open_parquet

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Applying(sparksig.PythonModel):
    """Returns the value of a function of its input."""

    def __init__(self, function):
        self.function = function

    def predict(self, model_input, params=None):
        return self.function(model_input)


def double_x(frame):
    return frame["x"] * 2


def save(home, function=double_x, inputs=None, outputs=None):
    """Save a model of the column x, and return its path."""
    inputs = inputs or Schema([ColSpec("double", "x")])
    outputs = outputs or Schema([ColSpec("double")])
    path = home / "model"
    sparksig.save_model(path, Applying(function), ModelSignature(inputs, outputs))
    return path


def of_numbers(rows, start=0):
    return pa.table(
        {"id": np.arange(start, start + rows), "x": np.arange(start, start + rows, dtype="float64")}
    )


def write(home, *tables, **options):
    """Write a table of one file for each of the tables, and return its path."""
    directory = home / "table"
    directory.mkdir(exist_ok=True)
    for index, table in enumerate(tables):
        pq.write_table(table, directory / f"part-{index:03d}.parquet", **options)
    return directory


def plan(source, model, **options):
    """Return the table, the prepared model and the plan of scoring it."""
    table = open_parquet(source)
    prepared = prepare_model(model, allow_pickle=True, digest=None, trusted_types=())
    pin_directory(prepared.directory)
    return table, prepared, plan_scan(table, prepared, None, None, ScanOptions(**options))


def score(home, source, model, **options):
    """Score with the local engine in this process, unless the options say otherwise."""
    options = {"processes": 1, "allow_pickle": True, "time_zone": "UTC", **options}
    return sparksig.score_files(source, model, home / "scored", **options)


def read(home):
    return pq.read_table(home / "scored")
