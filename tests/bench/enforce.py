"""Enforcement against MLflow's, which takes no Arrow: its share then includes to_pandas."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
from mlflow.models.utils import _enforce_schema as mlflow_enforce
from mlflow.types import Schema as MlflowSchema

from sparksig.engine.frames import enforce
from sparksig.schema import ColSpec, Schema
from sparksig.types import Array, Object, Property
from tests.bench.harness import Case

ITEM = Object([Property("price", "double"), Property("count", "long")])
ORDER = Object([Property("id", "long"), Property("item", ITEM), Property("note", "string", required=False)])


def cases(scale: float = 1.0) -> list[Case]:
    """Columns whose types match, that widen, and composite ones from Arrow and from pandas."""
    rows, wide = max(int(10_000 * scale), 10), max(int(1_000 * scale), 2)
    random = np.random.default_rng(0)
    ten = _doubles(random, rows, 10)
    many = _doubles(random, rows, wide)
    ints = pd.DataFrame(random.integers(0, 9, (rows, 100), dtype="int32")).add_prefix("c")
    vectors = pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(random.random(rows * 128)), 128)})
    vectors = vectors.cast(pa.schema([("v", pa.list_(pa.float64()))]))
    order = {"id": 1, "item": {"price": 1.5, "count": 2}, "note": "x"}
    orders = pa.table({"o": pa.array([order] * rows)})
    lists = pa.table({"l": pa.array([[order["item"]] * 3] * rows)})
    return [
        _frame("10 double columns, types match", ten, _declared(ten), 1),
        _arrow("10 double columns, types match, from Arrow", pa.Table.from_pandas(ten), _declared(ten), None),
        _frame("1,000 double columns, types match", many, _declared(many), 20),
        _frame("100 int32 columns declared double", ints, _declared(ints), 1),
        _arrow("array of 128 doubles, from Arrow", vectors, _one("v", Array("double")), 50),
        _arrow("nested object, from Arrow", orders, _one("o", ORDER), 500),
        _arrow("array of objects, from Arrow", lists, _one("l", Array(ITEM)), 500),
        _frame("array of 128 doubles, from pandas", vectors.to_pandas(), _one("v", Array("double")), 5),
        _frame("nested object, from pandas", orders.to_pandas(), _one("o", ORDER), 5),
        _frame("array of objects, from pandas", _python(lists), _one("l", Array(ITEM)), 5),
    ]


def _doubles(random, rows, columns):
    return pd.DataFrame(random.random((rows, columns)), columns=[f"c{i}" for i in range(columns)])


def _declared(frame):
    return Schema([ColSpec("double", name) for name in frame])


def _one(name, dtype):
    return Schema([ColSpec(dtype, name)])


def _python(table):
    return pd.DataFrame(
        {
            name: pd.Series(column.to_pylist(), dtype=object)
            for name, column in zip(table.column_names, table.columns)
        }
    )


def _frame(name, frame, schema, target):
    theirs = MlflowSchema.from_json(schema.to_json())
    return Case(name, {"sparksig": lambda: enforce(frame, schema), "MLflow": _quiet(frame, theirs)}, target)


def _arrow(name, table, schema, target):
    theirs = MlflowSchema.from_json(schema.to_json())
    return Case(
        name,
        {"sparksig": lambda: enforce(table, schema), "MLflow": lambda: _quiet(table.to_pandas(), theirs)()},
        target,
    )


def _quiet(frame, schema):
    def call():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # a nested dictionary is changed in place, so that each run needs its own
            return mlflow_enforce(frame.copy(), schema)

    return call
