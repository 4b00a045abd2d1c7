"""What holds on every kind of Spark: classic local, executors that are processes, Spark Connect, Sail.

Each kind runs all checks in one separate application, ``run(kind, folder)``. The results of the checks come
back as JSON and are compared there. The workers run in another time zone than the session; where a model
is shipped they have neither the package nor, once it is shipped, the model.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
import pyspark.cloudpickle
import pytest
from pyspark.sql import Observation
from pyspark.sql import functions as F

import sparksig
from sparksig import Array, ColSpec, Map, ModelSignature, Object, Property, PythonModel, Schema, TensorSpec
from tests.models.older import VERSIONS, build_older_archive, train_older_models
from tests.spark import models
from tests.spark.archives import write_archive
from tests.spark.sail_server import start_sail

for pickler in (cloudpickle, pyspark.cloudpickle):  # models, and functions that run in workers
    pickler.register_pickle_by_value(sys.modules[__name__])

ROOT = Path(__file__).parents[2]
ARROW = hasattr(F, "arrow_udf")
"""Spark >= 4.1: structs and composites go to a column function as well."""

HAS_NEWER_PACKAGES = tuple(map(int, version("scikit-learn").split(".")[:2])) >= (1, 6)
"""The workers have newer packages than the older models, which are tested with these workers only."""

# a task that fails is tried again, as executors do; sail is a server that each application starts
MASTERS = {"local": "local[2,4]", "cluster": "local-cluster[2,1,1024]", "connect": "local[2,4]"}


@dataclass
class Place:
    """The environment of a check: a session, its kind, and a folder."""

    spark: Any
    kind: str
    folder: Path

    @property
    def ships(self):
        return self.kind != "local"

    @property
    def with_archive(self):
        """The arguments of a model with an archived environment: Sail refuses to ship that file."""
        return {"shipping": "inline"} if self.kind == "sail" else {}

    def observe(self, name):
        """Return an observation, or None on Sail, which has none."""
        return None if self.kind == "sail" else Observation(name)

    def save(self, name, model, inputs, outputs, params=None, **arguments):
        sides = [
            side if isinstance(side, Schema) else Schema([ColSpec(dtype, key) for key, dtype in side.items()])
            for side in (inputs, outputs)
        ]
        if not isinstance(model, PythonModel):
            model = models.Returning(model)
        sparksig.save_model(self.folder / name, model, ModelSignature(*sides, params), **arguments)
        return self.folder / name

    def sent(self, path, **arguments):
        """Return the model as a column function; the workers have only the shipped files."""
        udf = sparksig.spark_udf(self.spark, path, **{"allow_pickle": True} | arguments)
        if self.ships:
            shutil.rmtree(path)
        return udf

    def doubles(self, rows, partitions):
        return self.spark.range(0, rows, 1, partitions).select("id", F.col("id").cast("double").alias("x"))

    @contextlib.contextmanager
    def setting(self, key, value):
        before = self.spark.conf.get(key)
        self.spark.conf.set(key, value)
        try:
            yield
        finally:
            self.spark.conf.set(key, before)


X, Y = {"x": "double"}, {"y": "double"}
FACTOR = sparksig.ParamSchema([sparksig.ParamSpec("factor", "double", 1.0)])
ROWS_PER_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"

CHECKS: dict[str, Callable[[Place], Any]] = {}
EXPECTED: dict[str, Callable[[str], Any]] = {}
GAPS: dict[str, str] = {}
"""The checks that fail on Sail, with a pattern of the error."""


def check(expected, sail=None):
    """Register a check and its expected result: for all kinds, or by a function of the kind.

    Args:
        expected: the result, or a function from the kind to the result.
        sail: a pattern of the error on Sail, where it lacks what the check needs.
    """

    def note(function):
        CHECKS[function.__name__] = function
        if sail is not None:
            GAPS[function.__name__] = sail
        EXPECTED[function.__name__] = expected if callable(expected) else lambda kind: expected
        return function

    return note


def message_of(action):
    """Return the result of an action, or the line of its error that names the pinned digest."""
    try:
        return action()
    except Exception as error:
        pinned = "the content differs from the pinned digest"
        return pinned if pinned in str(error) else str(error)[-1000:]


INSTALLED = ("local", "sail")
"""The kinds whose workers have the package installed."""

MODES = {"cluster": ["0o700"], "connect": ["0o700"], "sail": ["0o755"]}
"""The modes of a model's directory; what is sent inline is unpacked in the user's private cache."""


# --- the workers, how often they load, and where from -----------------------------------------------------


def where_sparksig_is():
    """Installed, shipped as a file, or nowhere."""
    try:
        import sparksig as found
    except ImportError:
        return "nowhere"
    return "shipped" if ".zip" in found.__file__ else "installed"


class Counting(PythonModel):
    """A model that returns twice x, and notes each load with its path."""

    def __init__(self, log):
        self.log = log

    def load_context(self, context):
        home = next(
            parent for parent in Path(context.artifacts["note"]).parents if (parent / "MLmodel").exists()
        )
        mode = oct(home.stat().st_mode & 0o777)
        with open(self.log, "a") as log:
            log.write(f"{os.getpid()} {mode} {where_sparksig_is()}\n")

    def predict(self, model_input):
        return model_input["x"] * 2


@check(lambda kind: {
    "before": ["installed" if kind in INSTALLED else "nowhere"],
    "package": ["installed" if kind in INSTALLED else "shipped"],
    "modes": None if kind == "local" else MODES[kind],
    "sum": 159600.0,
    "loads": "1 or 2",
    "later": [159600.0, 160400.0, 159600.0],
    "each worker's": 1,
    "loads again": 0,
    "observed": kind == "sail" or [400, 400, 0, True, True, 0],
})  # fmt: skip
def each_worker_loads_a_model_once(at):
    """Very many partitions; then three call sites of the same model, out of two directories."""
    ask = F.pandas_udf(lambda column: column.map(lambda _: where_sparksig_is()), "string")
    before = at.spark.range(0, 8, 1, 4).select(ask("id").alias("found")).distinct().collect()
    log, note = at.folder / "loads", at.folder / "note"
    note.write_text("")
    path = at.save("m", Counting(str(log)), X, Y, artifacts={"note": str(note)})
    shutil.copytree(path, at.folder / "copy")

    def loads():
        return [line.split() for line in log.read_text().splitlines()]

    udf, first, second = at.sent(path), at.observe("first"), at.observe("second")
    many = 200 if at.kind in ("local", "cluster") else 40  # a task costs Spark 0.05 seconds
    scored = sparksig.score(at.doubles(400, many), udf, observation=first)
    total = scored.agg(F.sum("prediction")).collect()[0][0]
    early = loads()
    again = at.sent(at.folder / "copy")
    three = at.doubles(400, 8).select("x", udf().alias("p"), again(F.col("x") + 1).alias("q"))
    sums = sparksig.score(three, udf).agg(F.sum("p"), F.sum("q"), F.sum("prediction")).collect()[0]
    late = loads()
    sparksig.score(at.doubles(400, 8), again, observation=second).agg(F.sum("prediction")).collect()
    observed = first is None
    if not observed:
        seen = first.get
        observed = [seen[name] for name in ("rows", "scored", "rejected")]
        observed += [seen["model_loads"] == len(early), 0 < seen["model_load_seconds"] < 60]
        observed += [second.get["model_loads"]]
    return {
        "before": [row.found for row in before],
        "package": sorted({where for *_, where in late}),
        "modes": sorted({mode for _, mode, _ in late}) if at.ships else None,
        "sum": total,
        "loads": "1 or 2" if 1 <= len(early) <= 2 else early,
        "later": list(sums),
        # Spark may run another call site in another worker; each worker loads once
        "each worker's": 1 if len({pid for pid, *_ in late}) == len(late) <= 6 else late,
        "loads again": len(loads()) - len(late),
        "observed": observed,
    }


def located(shipment):
    """Eight threads of this worker ask for one model at once: where it is, and what is left beside it."""
    barrier = threading.Barrier(8)

    def locate(_):
        barrier.wait()
        home = shipment.locate()
        return str(home.resolve()), (home / "MLmodel").stat().st_ino, oct(home.stat().st_mode & 0o777)

    with ThreadPoolExecutor(8) as pool:
        places = set(pool.map(locate, range(8)))
    left = [name for home, *_ in places for name in os.listdir(Path(home).parent) if name.startswith(".")]
    time.sleep(0.2)  # so that every executor has a part in it
    return json.dumps([sorted(places), [name for name in left if "sparksig" in name]])


def spoiled(shipment):
    """Change the unpacked model on this node."""
    with open(shipment.locate() / "python_model.pkl", "ab") as file:
        file.write(b" ")
    time.sleep(0.2)
    return ""


def in_workers(at, function, shipment):
    ask = F.pandas_udf(lambda column: pd.Series([function(shipment)] * len(column)), "string")
    return [row.found for row in at.spark.range(0, 4, 1, 4).select(ask("id").alias("found")).collect()]


@check(lambda kind: {} if kind == "local" else {
    "copies": "one per node",
    "modes": MODES[kind],
    "spoiled": "the content differs from the pinned digest",
})  # fmt: skip
def concurrent_loads_unpack_a_model_once_and_verify_it(at):
    if not at.ships:  # the model is read where it is
        return {}
    udf = at.sent(at.save("m", lambda data, params: data["x"], X, Y))
    shipment = udf._work.shipment
    reports = [json.loads(text) for text in in_workers(at, located, shipment)]
    places = {tuple(place) for found, _ in reports for place in found}
    homes = {home for home, *_ in places}
    nodes = 2 if at.kind == "cluster" else 1
    in_workers(at, spoiled, shipment)
    return {
        "copies": "one per node" if len(places) == len(homes) <= nodes else sorted(places),
        "modes": sorted({mode for *_, mode in places}),
        "spoiled": message_of(lambda: str(at.doubles(8, 4).select(udf()).collect())),
    }


def ways_of(kind):
    """Return the ways of shipping; Sail refuses files."""
    return ("path", "inline") if kind == "sail" else ("files", "path", "inline")


@check(lambda kind: {
    way: [way, 56.0, "installed" if kind in INSTALLED else "shipped"] for way in ways_of(kind)
})  # fmt: skip
def a_model_is_shipped_in_the_way_that_is_asked_for(at):
    results = {}
    for way in ways_of(at.kind):
        path = at.save(f"by {way}", lambda data, params: data["x"] * 2.0, X, Y)
        udf = sparksig.spark_udf(at.spark, path, allow_pickle=True, shipping=way)
        if way != "path":
            shutil.rmtree(path)
        [total] = at.doubles(8, 2).select(F.sum(udf())).first()
        [place] = set(in_workers(at, lambda shipment: where_sparksig_is(), udf._work.shipment))
        results[way] = [udf.shipping, total, place]
    return results


# --- forms of call, types ---------------------------------------------------------------------------------


def difference(data, params):
    return data["a"] - data["b"]


@check({
    "score": 2.0, "by_name": 2.0, "by_position": -2.0, "by_keyword": 2.0, "computed": 7.0,
    "struct": 2.0 if ARROW else None, "sql": 2.0 if ARROW else None,
})  # fmt: skip
def a_model_is_called_by_name_by_position_and_by_struct(at):
    udf = at.sent(at.save("m", difference, dict.fromkeys("ab", "double"), Y))
    df = at.spark.sql("select 7L as n, 5.0D as a, 3.0D as b")
    columns = {
        "by_name": udf(), "by_position": udf("b", "a"), "by_keyword": udf(b="b", a=F.col("a")),
        "computed": udf(F.col("a") * 2, F.lit(3)), "struct": F.lit(None), "sql": F.lit(None),
    }  # fmt: skip
    if ARROW:
        at.spark.udf.register("difference", udf)
        columns |= {"struct": udf(F.struct("*")), "sql": F.expr("difference(a, b)")}
    called = [column.alias(name) for name, column in columns.items()]
    [row] = sparksig.score(df.select("*", *called), udf, column="score", keep=list(columns)).collect()
    return row.asDict()


SCALARS = {
    "b": ("boolean", "true"),
    "i": ("integer", "int('-2147483648')"),
    "l": ("long", "9007199254740993L"),
    "f": ("float", "float(0.5)"),
    "d": ("double", "double('-0.0')"),
    "s": ("string", r"'ä\0'"),
    "y": ("binary", "X'6200'"),
    "t": ("datetime", "timestamp'2024-07-01 12:30:15.123456'"),
}


@check({
    "same": [True, True],
    "sign": -1.0,
    "seen": ["b:boolean i:Int32 l:Int64 f:float32 d:float64 s:object y:object t:datetime64[ns]"],
})  # fmt: skip
def scalars_come_back_with_their_nulls(at):
    """The second row is of nulls; what pandas has no null for comes back as NaN."""

    def echo(data, params):
        return data.assign(seen=" ".join(f"{name}:{dtype}" for name, dtype in data.dtypes.items()))

    sides = [ColSpec(dtype, name, required=False) for name, (dtype, _) in SCALARS.items()]
    udf = at.sent(at.save("m", echo, Schema(sides), Schema([*sides, ColSpec("string", "seen")])))
    held = ", ".join(f"if(id = 0, {text}, null) as {name}" for name, (_, text) in SCALARS.items())
    df = at.spark.sql(f"select id, {held} from range(0, 2, 1, 1)")
    here = {
        name: f"coalesce({name}, {SCALARS[name][0]}('NaN'))" if name in "fd" else name for name in SCALARS
    }
    equal = [f"prediction.{name} <=> {value}" for name, value in here.items()]
    rows = sparksig.score(df, udf).orderBy("id").selectExpr(
        " and ".join(equal) + " as same", "prediction.seen", "prediction.d"
    ).collect()  # fmt: skip
    return {
        "same": [row.same for row in rows],
        "sign": float(np.copysign(1.0, rows[0].d)),
        "seen": sorted({row.seen for row in rows}),
    }


@check({"same": [True, True], "seen": ["[[1, None], []]", "None"]})
def composites_come_back_as_they_were(at):
    """A struct with one field too many, arrays of arrays, maps; 2**53 + 1 beside a null; a row of nulls."""

    def echo(data, params):
        def told(value):
            if value is None:
                return "None"
            return str([[None if pd.isna(item) else int(item) for item in row] for row in value])

        return data.assign(seen=[told(value) for value in data["a"]])

    inner = Object([Property("l", "long", False), Property("t", "datetime", False)])
    types = {"o": inner, "a": Array(Array("long")), "m": Map("double"), "r": Array("long")}
    sides = [ColSpec(dtype, name, required=False) for name, dtype in types.items()]
    udf = at.sent(at.save("m", echo, Schema(sides), Schema([*sides, ColSpec("string", "seen")])))
    df = at.spark.sql(
        "select 0L as id, named_struct('x', 1, 't', timestamp'2024-07-01 12:30:15.123456', "
        "'l', 9007199254740993L) as o, array(array(1L, null), array()) as a, "
        "map('k', 0.1D, 'ä', null) as m, array(9007199254740993L, null) as r "
        "union all select 1L, null, null, null, null"
    ).coalesce(1)
    same = (
        "p.o.l <=> o.l and p.o.t <=> o.t and (p.o is null) = (o is null) and p.a <=> a and p.r <=> r "
        "and map_keys(p.m) <=> map_keys(m) and map_values(p.m) <=> map_values(m) as same"
    )
    rows = sparksig.score(df, udf, column="p").orderBy("id").selectExpr(same, "p.seen").collect()
    return {"same": [row.same for row in rows], "seen": [row.seen for row in rows]}


@check({"of_array": [[3.0, 0.0], [12.0, 3.0]], "of_columns": [[3.0, 0.0], [12.0, 3.0]], "called": True})
def tensors_are_made_of_an_array_column_or_of_scalar_columns(at):
    def summed(data, params):
        return np.column_stack([data.sum(axis=1), data[:, 0]])

    three, two = (Schema([TensorSpec(np.dtype("float64"), (-1, size))]) for size in (3, 2))
    udf = at.sent(at.save("m", summed, three, two))
    df = at.spark.sql(
        "select id, double(3 * id) as c0, double(3 * id + 1) as c1, double(3 * id + 2) as c2, "
        "transform(array(3 * id, 3 * id + 1, 3 * id + 2), x -> double(x)) as v from range(0, 2, 1, 1)"
    )
    scored = sparksig.score(df, udf, column="of_array", columns=["v"])
    scored = sparksig.score(scored, udf, column="of_columns", columns=["c0", "c1", "c2"])
    if ARROW:
        scored = scored.withColumn("called", udf("v"))
    rows = scored.orderBy("id").collect()
    return {
        "of_array": [row.of_array for row in rows],
        "of_columns": [row.of_columns for row in rows],
        "called": not ARROW or [row.called for row in rows] == [row.of_array for row in rows],
    }


@check({"Asia/Tokyo": [True, "2050-06-15 21"], "America/New_York": [True, "2050-06-15 08"]})
def times_are_those_of_the_sessions_zone(at):
    """... not of the worker's environment, nor of the moment when the function was made."""

    def echo(data, params):
        return data.assign(seen=data["t"].dt.strftime("%Y-%m-%d %H"))

    udf = at.sent(at.save("m", echo, {"t": "datetime"}, {"t": "datetime", "seen": "string"}))
    results = {}
    for zone in ("Asia/Tokyo", "America/New_York"):
        with at.setting("spark.sql.session.timeZone", zone):
            df = at.spark.sql("select timestamp'2050-06-15T12:00:00Z' as t")
            [row] = df.select("t", udf().alias("p")).selectExpr("p.t = t as same", "p.seen").collect()
        results[zone] = [row.same, row.seen]
    return results


# --- kinds of models --------------------------------------------------------------------------------------


class WithFiles(PythonModel):
    """Adds what its artifact says, read by a module that came with it."""

    def load_context(self, context):
        from everywhere_offsets import offset

        self.offset = offset(Path(context.artifacts["offset"]).read_text())

    def predict(self, model_input):
        return model_input["x"] + self.offset


@check({"with files": [10.5, 11.5], "two": [[0.0, 2.0], [0.0, 3.0], [0.0, 2.0]], "skops": True})
def models_of_several_kinds_go_together(at):
    """One with code and artifacts of its own, two that differ in a number only, one of scikit-learn."""
    code, offset = at.folder / "everywhere_offsets.py", at.folder / "offset"
    code.write_text("def offset(text):\n    return float(text)\n")
    offset.write_text("10.5")
    files = {"artifacts": {"offset": str(offset)}, "code_paths": [str(code)]}
    with_files = at.sent(at.save("m", WithFiles(), X, Y, **files))
    code.unlink()
    offset.unlink()
    twice, thrice = (
        at.sent(at.save(f"times{factor}", lambda data, params, factor=factor: data["x"] * factor, X, Y))
        for factor in (2, 3)
    )
    called = [with_files(), twice(), thrice(), twice("x")]
    df = at.doubles(2, 1).select("x", *(prediction.alias(f"p{i}") for i, prediction in enumerate(called)))
    rows = df.orderBy("x").collect()
    model, frame = models.regression()
    trust = models.save_sklearn(at.folder / "skops", model, frame)
    udf = at.sent(at.folder / "skops", allow_pickle=False, **trust)
    scored = sparksig.score(at.spark.createDataFrame(frame).coalesce(1), udf, keep=[]).toPandas()
    return {
        "with files": [row.p0 for row in rows],
        "two": [[row[f"p{i}"] for row in rows] for i in (1, 2, 3)],
        "skops": bool(np.allclose(np.sort(scored["prediction"]), np.sort(model.predict(frame)), rtol=1e-12)),
    }


def inferred(kind):
    nested = {"required": kind != "sail"}  # Sail's fields of structs are nullable
    return [
        {"type": "integer", "name": "i", "required": True},
        {"type": "map", "values": {"type": "long"}, "name": "m", "required": True},
        {
            "type": "object",
            "properties": {
                "x": {"type": "datetime"} | nested,
                "y": {"type": "array", "items": {"type": "double"}} | nested,
            },
            "name": "a b",
            "required": True,
        },
    ]


@check(inferred)
def a_signature_is_inferred_of_the_schema_alone(at):
    """The schema is enough: computing the table fails."""
    df = at.spark.sql(
        "select cast(raise_error('it ran') as int) as i, map('k', 1L) as m, "
        "named_struct('x', date'2020-01-01', 'y', array(1.5D)) as `a b`"
    )
    return json.loads(sparksig.infer_signature(df).inputs.to_json())


# --- settings ---------------------------------------------------------------------------------------------


def picky(data, params):
    if (data["n"] < 0).any():
        raise ValueError("no negative numbers")
    return data["n"] * params["factor"]


@check(lambda kind: {
    "rows": [[0, 0.0, None], [1, 2.5, None], [2, 5.0, None], [3, None, ["NULL_IN_REQUIRED n"]],
             [4, None, ["PREDICTION_FAILED "]], [5, 12.5, None]],
    "detail": True,
    "counts": None if kind == "sail" else [6, 4, 2],
})  # fmt: skip
def rows_that_cannot_be_scored_are_told(at):
    udf = at.sent(at.save("m", picky, {"n": "long"}, Y, FACTOR), params={"factor": 2.5})
    observation = at.observe("counts")
    df = at.spark.range(0, 6, 1, 2).selectExpr(
        "id", "case id when 3 then null when 4 then -4 else id end as n"
    )
    scored = sparksig.score(df, udf, on_error="null", observation=observation)
    rows = scored.orderBy("id").collect()
    observed = observation and observation.get
    messages = [
        row.findings and [f"{finding.code} {finding.path}" for finding in row.findings] for row in rows
    ]
    return {
        "rows": [[row.id, row.prediction, findings] for row, findings in zip(rows, messages)],
        "detail": "ValueError: no negative numbers" in rows[4].findings[0].detail,
        "counts": observed and [observed["rows"], observed["scored"], observed["rejected"]],
    }


@check(lambda kind: {
    "sizes": [
        [4.0] * 8 + [2.0] * 2, [10.0] * 10, [1.0] * 10,
        [10.0] * 10 if kind == "sail" else [3.0] * 9 + [1.0],  # Sail ignores the setting
    ],
    "params": [7.0],
})  # fmt: skip
def batches_and_params_are_those_asked_for(at):
    def size(data, params):
        return pd.Series([float(len(data))] * len(data)) * params["factor"]

    path = at.save("m", size, X, Y, FACTOR)
    requests = [(4, None), (100, None), (1, None), (None, None), (1, {"factor": 7})]
    called = [
        sparksig.spark_udf(at.spark, path, allow_pickle=True, batch_rows=rows, params=params)()
        for rows, params in requests
    ]
    with at.setting(ROWS_PER_BATCH, "3"):
        df = at.doubles(10, 1).select(
            "id", *(prediction.alias(f"p{i}") for i, prediction in enumerate(called))
        )
        rows = df.collect()
    return {
        "sizes": [[row[f"p{i}"] for row in sorted(rows)] for i in range(4)],
        "params": sorted({row.p4 for row in rows}),
    }


@check(lambda kind: {
    "pinned": 2.0,
    "wrong pin": "the content differs from the pinned digest",
    # workers score the shipped, checked content; a changed model that is read in place is refused
    "changed": "the content differs from the pinned digest" if kind == "local" else 3.0,
})  # fmt: skip
def the_model_that_was_checked_is_scored_or_none(at):
    df = at.spark.sql("select 5.0D as a, 3.0D as b")

    def scored(udf):
        return message_of(lambda: df.select(udf().alias("y")).collect()[0].y)

    path = at.save("m", difference, dict.fromkeys("ab", "double"), Y)
    digest = sparksig.spark_udf(at.spark, path, allow_pickle=True).digest
    pinned = sparksig.spark_udf(at.spark, path, digest=digest)
    wrong = message_of(lambda: sparksig.spark_udf(at.spark, path, digest="0" * 64).digest)
    changing = at.save("n", lambda data, params: data["b"], dict.fromkeys("ab", "double"), Y)
    udf = sparksig.spark_udf(at.spark, changing, allow_pickle=True)
    with open(changing / "python_model.pkl", "ab") as file:
        file.write(b" ")
    return {"pinned": scored(pinned), "wrong pin": wrong, "changed": scored(udf)}


# --- the model's own environment, jobs ----------------------------------------------------------------------


REFUSED = "the model's environment is a file, and the server refuses files: handle add artifacts. "
"""The error on Sail, where shipping is not passed."""


@check(lambda kind: {
    "column": [0.0, 3.0, 6.0, 9.0],
    "rejected": [[3, "PREDICTION_FAILED"]],
    "died": [True, True],
    "direct": REFUSED if kind == "sail" else [4, 18.0],
})  # fmt: skip
def a_model_runs_in_an_environment_of_its_own(at):
    """A process of each worker has the packages of an archive, which is shipped; its death is an error."""

    def multiply(data, params):
        from only_in_the_archive import FACTOR

        if (data["x"] == params["refused"]).any():
            raise ValueError("refused")
        if (data["x"] == params["deadly"]).any():
            os.kill(os.getpid(), 9)
        return data["x"] * FACTOR

    never = [sparksig.ParamSpec(name, "double", -1.0) for name in ("refused", "deadly")]
    path = at.save("m", multiply, X, Y, sparksig.ParamSchema(never))
    at.doubles(4, 2).write.parquet(str(at.folder / "rows"))
    options = {
        "allow_pickle": True,
        "environment": write_archive(at.folder / "env.tar.gz", {"only_in_the_archive.py": "FACTOR = 3.0"}),
        "on_version_mismatch": "ignore",
    }

    def score_directly():
        out = at.folder / "out"
        report = sparksig.score_files(
            at.folder / "rows", path, out, engine="direct", spark=at.spark, **options
        )
        return [report.rows, sum(pd.read_parquet(out)["prediction"])]

    direct = message_of(score_directly)
    options |= at.with_archive
    refusing = sparksig.spark_udf(at.spark, path, params={"refused": 3.0}, **options)
    deadly = sparksig.spark_udf(at.spark, path, params={"deadly": 3.0}, **options)
    udf = at.sent(path, **options)
    df = at.doubles(4, 2)
    rejected = sparksig.score(df, refusing, on_error="null").where("prediction is null").collect()
    death = message_of(lambda: sparksig.score(df, deadly).collect())
    return {
        "column": sorted(row.y for row in df.select(udf().alias("y")).collect()),
        "rejected": [[row.id, row.findings[0].code] for row in rejected],
        "died": ["was killed by SIGKILL" in str(death), "It may have run out of memory" in str(death)],
        "direct": REFUSED if REFUSED in str(direct) else direct,
    }


@check(lambda kind: {
    "model": [300, True, [VERSIONS]],
    "archive": [300, True, [VERSIONS]],
    "direct": [300, True, [VERSIONS]],
    "workers": "fewer than tasks",
    "processes of each worker": [1],
    "loads": "at most 2",
} if HAS_NEWER_PACKAGES else {})  # fmt: skip
def older_packages_predict_the_same_bits_in_newer_workers(at):
    """A model runs with its own scikit-learn and NumPy: in one process for each worker, over all tasks."""
    if not HAS_NEWER_PACKAGES:
        return {}
    older, model = at.folder.parent / "older", at.folder / "model"
    shutil.copytree(older / "reporting", model)
    options = {"allow_pickle": True, "on_version_mismatch": "fail"}
    install = {"environment": "model", "allow_install": True}
    direct, first, second = at.folder / "direct", at.observe("older"), at.observe("older again")
    sparksig.score_files(
        older / "rows.parquet", model, direct, engine="direct", spark=at.spark, **install, **options
    )
    archived = sparksig.spark_udf(
        at.spark, model, environment=older / "env.tar.gz", **at.with_archive, **options
    )
    udf = at.sent(model, **install, **options)
    df = at.spark.read.parquet(str(older / "rows.parquet"))
    tables = {
        "model": sparksig.score(df.repartition(8), udf, observation=first).toPandas(),
        "archive": sparksig.score(df, archived).toPandas(),
        "direct": pd.read_parquet(direct),
    }
    sparksig.score(df.repartition(8), udf, observation=second).agg(F.sum("prediction.y")).collect()
    expected = pd.read_parquet(older / "rows.parquet").assign(expected=np.load(older / "expected.npy"))
    predictions = {name: pd.DataFrame(list(table["prediction"])) for name, table in tables.items()}
    results = {}
    for name, table in tables.items():
        scored = table.drop(columns="prediction").assign(y=predictions[name]["y"]).merge(expected)
        same = len(scored) == 300 and scored["y"].equals(scored["expected"])
        results[name] = [len(table), same, sorted(set(predictions[name]["versions"]))]
    built = pd.concat([predictions["model"], predictions["direct"]])
    processes = built.groupby("parent")["process"].nunique()
    loads = second.get["model_loads"] if second else 0  # Sail has no observations
    return results | {
        # Spark may run another call site, or another query, in another worker
        "workers": "fewer than tasks" if 1 <= len(processes) <= 6 else len(processes),
        "processes of each worker": sorted(set(processes)),
        "loads": "at most 2" if loads <= 2 else loads,
    }


@check(lambda kind: {} if kind in ("local", "cluster") else {
    "score": ["direct", "Spark Connect", 100, 99, 1, 1],
    "rows": [99, 9800.0, [[50, "NULL_IN_REQUIRED"]]],
    "again": "repeated",
    "partitioned": [3, 3],
    "spark": "the score job does not run on Spark Connect with the engine spark: Spark Connect gives no "
    "access to the file systems of its cluster",
    "delta": "engine: expected direct on a classic session, got direct on Spark Connect (the output is a "
    "Delta table, which needs a classic session: Spark Connect gives no access to file systems)",
})  # fmt: skip
def jobs_on_connect(at):
    """Classic sessions are tested at length elsewhere."""
    if at.kind in ("local", "cluster"):
        return {}
    from sparksig.jobs import ScoreConfig
    from sparksig.jobs import score as run_score

    folder = at.folder
    path = at.save("m", lambda data, params: data["x"] * 2.0, {"x": "long"}, Y)
    (folder / "rows").mkdir()
    values = [None if number == 50 else number for number in range(100)]
    pq.write_table(pa.table({"id": range(100), "x": values}), folder / "rows" / "1.parquet")
    parts = pa.table({"day": [1, 2, 2], "x": [1, 2, 3]})
    pq.write_table(parts, folder / "parts.parquet")

    def config_of(**changes):
        sections = {
            "model": {"path": str(path), "allow_pickle": True},
            "input": {"path": str(folder / "rows")},
            "output": {"path": str(folder / "out"), "keep": ["id"]},
            "budget": {"rows": 1},
            "quarantine": {"path": str(folder / "bad")},
        }
        return ScoreConfig.model_validate(sections | changes)

    report = run_score(config_of(run_id="r"))
    out, bad = (pd.read_parquet(folder / name) for name in ("out", "bad"))
    days = {"path": str(folder / "days"), "keep": ["day"], "partition_by": ["day"]}
    parts_input = {"path": str(folder / "parts.parquet")}
    partitioned = run_score(config_of(input=parts_input, output=days, budget=None, quarantine=None))
    delta = config_of(output={"path": str(folder / "delta"), "keep": ["id"], "format": "delta"})
    on_spark = config_of(engine="spark", output={"path": str(folder / "new"), "keep": ["id"]})
    counts = [report.rows_in, report.scored, report.rejected, len(bad)]
    return {
        "score": [report.engine, report.engine_reason, *counts],
        "rows": [
            len(out),
            out["prediction"].sum(),
            [[row.id, row.findings[0]["code"]] for row in bad.itertuples()],
        ],
        "again": run_score(config_of(run_id="r")).status,
        "partitioned": [partitioned.scored, len(pd.read_parquet(folder / "days"))],
        "spark": message_of(lambda: run_score(on_spark)).partition(". ")[0],
        "delta": message_of(lambda: run_score(delta)).splitlines()[-1].strip(" -").partition(" [")[0],
    }


def write_days(table):
    """Write a table of four rows, with a null, in a file for each of two days."""
    for day, values in {1: [1, None], 2: [3, 4]}.items():
        (table / f"day={day}").mkdir(parents=True)
        rows = pa.table({"id": [0, 1], "x": pa.array(values, pa.int64())})
        pq.write_table(rows, table / f"day={day}" / f"{day} %20.parquet")


def run_job(action, config, section, **changes):
    return action(config.model_validate({"input": section, **changes}))


ESCAPED_NAMES = r"%20\.parquet vanished while the table was read"
"""The error of jobs on Sail, which escapes names of files otherwise than Spark."""


def check_job(section, contract="id bigint, x bigint, day int"):
    from sparksig.jobs import CheckConfig, check

    return run_job(check, CheckConfig, section, contract=contract, mode="full")


@check(lambda kind: {} if kind in ("local", "cluster") else {
    "check": ["done", 3, True],
    "view": [4, "view"],
    "csv": 2,
    "infer": ["id: long", "x: long", "day: integer", "twice: long"],
    "plan": 4,
    "commands": [0, 3, 0],
}, sail=ESCAPED_NAMES)  # fmt: skip
def check_and_infer_jobs_on_connect(at):
    """Spark lists the files of a table, because its file systems are not accessible."""
    if at.kind in ("local", "cluster"):
        return {}
    from click.testing import CliRunner

    from sparksig.cli import cli
    from sparksig.jobs import InferConfig, infer, plan_infer
    from sparksig.jobs.inputs import digest_files

    table, signature, text = (at.folder / name for name in ("rows of a table", "signature.json", "t.csv"))
    write_days(table)
    text.write_text("id,x\n1,2\n3,4\n")
    at.spark.range(4).createOrReplaceTempView("numbers")
    source = {"path": str(table), "filter": "x is null or x > 1", "select": {"twice": "x * 2"}}
    done = check_job(source, "id bigint, x bigint, day int, twice bigint")
    files = {f"file://{quote(str(file), '/=')}": file.stat() for file in table.glob("*/*")}
    statuses = {uri: (status.st_size, status.st_mtime_ns // 10**6) for uri, status in files.items()}
    identity = {**digest_files(statuses), "format": "parquet", "place": str(table)}
    view = check_job({"table": "numbers"}, "id bigint")
    csv = check_job({"path": str(text), "format": "csv", "schema": "id int, x int"}, "id int, x int")
    run_job(infer, InferConfig, source, signature=str(signature))
    inputs = ModelSignature.from_dict(json.loads(signature.read_text())).inputs
    commands = [["check", table, signature], ["check", table, "id string"], ["infer", "numbers"]]
    runs = [CliRunner().invoke(cli, [*map(str, command), "--spark"]) for command in commands]
    return {
        "check": [done.status, done.rows_in, dict(done.input) == identity],
        "view": [view.rows_in, view.input["format"]],
        "csv": csv.rows_in,
        "infer": [f"{spec.name}: {spec.type.name}" for spec in inputs],
        "plan": len(run_job(plan_infer, InferConfig, source).signature.inputs),
        "commands": [run.exit_code for run in runs],
    }


@check(lambda kind: {} if kind in ("local", "cluster") else {
    "broken": "x: expected bigint without nulls, got nulls, once",
    "changing filter": "its value changes each time it is evaluated",
    "changing column": "its value changes each time it is evaluated",
    "delta": "input.format: expected delta, the format of the table, got parquet",
    "missing": "there is no Parquet table at ",
    "changed": "the input changed while it was read: 1 file",
    "vanished": "1 %20.parquet vanished while the table was read",
}, sail=ESCAPED_NAMES)  # fmt: skip
def check_jobs_on_connect_report_wrong_inputs(at):
    if at.kind in ("local", "cluster"):
        return {}
    from sparksig.jobs.config import InputSection
    from sparksig.jobs.inputs import open_input

    table = at.folder / "table"
    write_days(table)
    (at.folder / "lake" / "_delta_log").mkdir(parents=True)
    (at.folder / "lake" / "_delta_log" / "00000000000000000000.json").touch()
    opened = open_input(at.spark, InputSection.model_validate({"path": str(table)}))
    file = table / "day=1" / "1 %20.parquet"

    def change():
        os.utime(file, (1, 1))
        opened.check_unchanged()

    def remove():
        file.unlink()
        opened.check_unchanged()

    source = {"path": str(table)}
    actions = {
        "broken": lambda: check_job(source, "id bigint, x bigint not null, day int"),
        "changing filter": lambda: check_job(source | {"filter": "rand() > x"}),
        "changing column": lambda: check_job(source | {"select": {"r": "uuid()"}}),
        "delta": lambda: check_job({"path": str(at.folder / "lake")}),
        "missing": lambda: check_job({"path": str(at.folder / "no")}),
        "changed": change,
        "vanished": remove,
    }
    expected = EXPECTED["check_jobs_on_connect_report_wrong_inputs"](at.kind)
    messages = {name: str(message_of(action)) for name, action in actions.items()}
    return {name: expected[name] if expected[name] in text else text for name, text in messages.items()}


# --- failures ---------------------------------------------------------------------------------------------


class Dying(PythonModel):
    """Ends its process, and not by an exception, the first time that it sees the row 500."""

    def __init__(self, marker):
        self.marker = marker

    def predict(self, model_input):
        if (model_input["x"] == 500.0).any():
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
                os._exit(1)
        return model_input["x"] * 2


def count_scored(scored):
    """Count rows, distinct ids and wrong predictions, and sum the predictions."""
    wrong = F.sum(F.when(F.col("prediction") != F.col("x") * 2, 1).otherwise(0))
    [row] = scored.agg(F.count("*"), F.countDistinct("id"), F.sum("prediction"), wrong).collect()
    return list(row)


RIGHT = [1000, 1000, 999000.0, 0]


WRITTEN = Schema([ColSpec("long", "id"), ColSpec(Array("double"), "x", False)])


@check(lambda kind: {} if kind in ("local", "cluster") else {
    "rows": [[3, False], [2, False]],
    "held": 5,
    "null": "id: expected long without nulls, got nulls, once",
    "refused": ["id"],
    "again": True,
})  # fmt: skip
def tables_are_written_under_their_contract(at):
    """Classic Spark is tested at length elsewhere; Connect has no RDDs, and other errors."""
    if at.kind in ("local", "cluster"):
        return {}
    folder, df = at.folder, at.spark.range(3).selectExpr("id", "array(double(id)) as x")
    runs = [("r1", df), ("r2", df.limit(2))]
    written = [sparksig.write(frame, folder / "t", WRITTEN, mode="append", run_id=run) for run, frame in runs]
    null, text = df.selectExpr("nullif(id, 1) as id", "x"), df.selectExpr("string(id) as id", "x")
    message = message_of(lambda: sparksig.write(null, folder / "u", WRITTEN))
    return {
        "rows": [[result.rows, result.repeated] for result in written],
        "held": at.spark.read.parquet(str(folder / "t")).count(),
        "null": "id: expected long without nulls, got nulls, once" if ", once" in message else message,
        "refused": [finding.path for finding in sparksig.plan_write(text, folder / "u", WRITTEN).findings],
        "again": sparksig.check(df, folder / "t", "full").ok,
    }


@check({"died": True, "rows": RIGHT}, sail=r"StatusCode\.UNAVAILABLE")
def a_worker_that_dies_costs_no_row(at):
    if at.kind == "sail":  # the server ends with its worker, so it is a server for this check
        at = Place(session("sail"), "sail", at.folder)
        at.spark.client.set_retry_policies([])
    marker = at.folder / "marker"
    udf = at.sent(at.save("m", Dying(str(marker)), X, Y))
    rows = count_scored(sparksig.score(at.doubles(1000, 8), udf))
    return {"died": marker.exists(), "rows": rows}


class Slow(PythonModel):
    """Notes the process that its worker was forked by, and takes its time."""

    def __init__(self, log):
        self.log = log

    def predict(self, model_input):
        with open(self.log, "a") as log:
            log.write(f"{os.getppid()}\n")
        time.sleep(0.1)
        return model_input["x"] * 2


@check(lambda kind: {"killed": 1, "rows": RIGHT} if kind == "cluster" else {})
def an_executor_that_is_killed_costs_no_row(at):
    """Killed while its tasks run; a worker is forked by a daemon, which the executor has started."""
    if at.kind != "cluster":  # there is no executor but the driver
        return {}
    log, killed = at.folder / "log", []
    log.write_text("")
    udf = at.sent(at.save("m", Slow(str(log)), X, Y))

    def kill():
        deadline = time.monotonic() + 60
        while len(daemons := log.read_text().split()) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        status = Path(f"/proc/{daemons[-1]}/stat").read_text()
        executor = int(status.rpartition(")")[2].split()[1])
        if b"CoarseGrainedExecutorBackend" in Path(f"/proc/{executor}/cmdline").read_bytes():
            os.kill(executor, signal.SIGKILL)
            killed.append(executor)

    killer = threading.Thread(target=kill)
    killer.start()
    rows = count_scored(sparksig.score(at.doubles(1000, 30), udf))
    killer.join()
    return {"killed": len(killed), "rows": rows}


class Measuring(PythonModel):
    """Gives the number of the batch, and the megabytes that its process holds."""

    def __init__(self):
        self.batches = 0

    def predict(self, model_input):
        self.batches += 1
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        rows = len(model_input)
        return pd.DataFrame({"batch": [float(self.batches)] * rows, "held": [megabytes] * rows})


@check({"fail": [200, "no growth"], "null": [100, "no growth"]})
def a_workers_memory_does_not_grow_with_the_batches(at):
    """Batches of 2 MB in one partition: kept, they would be 400 MB, and 200."""
    batch_rows = 1000 if at.kind == "sail" else None  # Sail ignores Spark's setting
    path = at.save("m", Measuring(), {"x": "string"}, {"batch": "double", "held": "double"})
    udf = at.sent(path, batch_rows=batch_rows)
    results = {}
    for on_error, batches in (("fail", 200), ("null", 100)):
        df = at.spark.sql(f"select repeat(string(id % 10), 2000) as x from range(0, {batches}000, 1, 1)")
        with at.setting(ROWS_PER_BATCH, "1000"):
            scored = sparksig.score(df, udf, keep=[], on_error=on_error)
            rows = scored.groupBy("prediction.batch").agg(F.max("prediction.held").alias("held")).collect()
        megabytes = [row.held for row in sorted(rows)]
        growth = float(np.median(megabytes[-20:]) - np.median(megabytes[20:40]))
        # Sail makes batches of its own, which are cut
        count = min(len(megabytes), batches) if at.kind == "sail" else len(megabytes)
        results[on_error] = [count, "no growth" if growth < 50 else growth]
    return results


# --- the application --------------------------------------------------------------------------------------

HIDING = '''
import os
import sys
from importlib.machinery import PathFinder


class Shipped:
    """Finds sparksig in what Spark has shipped, which is a file, and nowhere else."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "sparksig":
            return None
        spec = PathFinder.find_spec(name, [entry for entry in sys.path if os.path.isfile(entry)])
        if spec is None:
            raise ModuleNotFoundError("this node has no sparksig", name=name)
        return spec


sys.meta_path.insert(0, Shipped)
'''

WORKER = """#!/bin/sh
export PYTHONPATH="{hiding}:$PYTHONPATH" TZ=Pacific/Auckland
exec "{python}" "$@"
"""

DRIVER = """
import sys

sys.path.insert(0, sys.argv[1])

from tests.spark import everywhere

everywhere.main(*sys.argv[2:])
"""


def run(kind, folder):
    """Run all checks on one kind of Spark, in a separate application; return the result of each check."""
    hiding, worker = folder / "hiding", folder / "python"
    hiding.mkdir()
    if kind not in INSTALLED:
        (hiding / "sitecustomize.py").write_text(HIDING)
    worker.write_text(WORKER.format(hiding=hiding, python=sys.executable))
    worker.chmod(0o755)
    if HAS_NEWER_PACKAGES:
        provide_older_models(folder)
    inherited = ("JAVA_HOME", "LANG", "LC_ALL", "TMPDIR")
    environment = {name: os.environ[name] for name in inherited if name in os.environ} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "SPARK_HOME": str(linked_spark(folder / "spark")),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": str(worker),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if kind == "connect":
        environment["SPARK_TESTING"] = "1"  # any free port; otherwise all servers ask for the same one
    command = [sys.executable, "-c", DRIVER, str(ROOT), kind, str(folder)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=900, cwd=folder, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    [line] = [line for line in done.stdout.splitlines() if line.startswith("got ")]
    return json.loads(line.removeprefix("got "))


def provide_older_models(home):
    """Train the older models, and put their built environments in the cache of the application's user."""
    (home / "older").mkdir()
    models = train_older_models(home / "older")
    archive, unpacked = build_older_archive(models)
    (home / "older" / "env.tar.gz").symlink_to(archive)
    cache = home / ".cache" / "sparksig" / "environments"
    for folder in (cache.parent.parent, cache.parent, cache):
        folder.mkdir(mode=0o700)
    for environment in (models.environment, unpacked):
        (cache / environment.name).symlink_to(environment)


def linked_spark(home):
    """The installed Spark by links: what executors leave behind stays in this folder."""
    home.mkdir()
    for entry in Path(pyspark.__file__).parent.iterdir():
        if entry.name != "work":
            (home / entry.name).symlink_to(entry)
    return home


def session(kind):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder
    if kind == "sail":
        session = builder.remote(start_sail()).create()
        session.conf.set("spark.sql.session.timeZone", "UTC")  # it casts timestamps in this zone only
        return session
    builder = builder.remote(MASTERS[kind]) if kind == "connect" else builder.master(MASTERS[kind])
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.session.timeZone": "America/New_York",
        "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "spark.executor.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    assert (".connect." in type(session).__module__) == (kind == "connect")
    return session


def main(kind, folder):
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    spark, results = session(kind), {}
    for name, function in CHECKS.items():
        sys.stderr.write(f"{time.perf_counter() - started:.1f} s: {name}\n")
        (own := Path(folder) / name).mkdir()
        try:
            results[name] = {"found": function(Place(spark, kind, own))}
        except Exception:
            results[name] = {"error": traceback.format_exc()[-3000:]}
    sys.stderr.write(f"{time.perf_counter() - started:.1f} s\n")
    spark.stop()
    sys.stdout.write(f"got {json.dumps(results)}\n")


def compare(name, kind, results):
    """Compare the result of a check with the expected one, or its error with that of a gap of Sail."""
    if kind == "sail" and name in GAPS:
        error = results[name].get("error", "no error")
        assert re.search(GAPS[name], error), error
        return
    if "error" in results[name]:
        pytest.fail(results[name]["error"], pytrace=False)
    found, expected = results[name]["found"], EXPECTED[name](kind)
    assert found == expected, f"found {found}, expected {expected}"
