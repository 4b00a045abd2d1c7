"""An application on Sail, a Spark Connect server that refuses files; it prints its results as JSON.

Usage: python -m tests.spark.sail FOLDER
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np

from tests.spark.sail_server import start_sail


def main(folder):
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(start_sail()).getOrCreate()
    results = {name: attempt(function, spark, folder) for name, function in CHECKS.items()}
    sys.stdout.write(json.dumps(results))
    sys.stdout.flush()
    spark.stop()


def attempt(function, spark, folder):
    """Return the result of a check, or the first line of its error."""
    try:
        return function(spark, folder)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def doubles(spark):
    from pyspark.sql import functions as F

    return spark.range(0, 10, 1, 2).select("id", F.col("id").cast("double").alias("x"))


def save(folder, function, name="model"):
    import sparksig

    if not (folder / name).exists():
        sparksig.save_model(folder / name, function, input_example={"x": 1.5})
    return folder / name


def twice(model_input):
    return model_input["x"] * 2


def shipped_inline(spark, folder):
    """The server refuses files, so a small model is sent with the query, and a warning says so."""
    import sparksig

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        udf = sparksig.spark_udf(spark, save(folder, twice), allow_pickle=True)
    texts = [str(warning.message) for warning in caught if warning.category.__name__ == "ShippingWarning"]
    return [udf.shipping, len(texts), "the server refuses files" in texts[0]]


def files_are_refused(spark, folder):
    import sparksig

    return sparksig.spark_udf(spark, save(folder, twice), allow_pickle=True, shipping="files").shipping


def checks(spark, folder):
    import sparksig

    contract, table = "id bigint not null, x double", doubles(spark)
    fits = [sparksig.check(table, contract, mode).ok for mode in ("schema", "sample", "full")]
    return [*fits, sparksig.check(table.selectExpr("nullif(id, 3) as id", "x"), contract, "full").ok]


def split_rows(spark, folder):
    import sparksig

    good, bad = sparksig.split(
        doubles(spark).selectExpr("nullif(id, 3) as id", "x"), "id bigint not null, x double"
    )
    return [good.count(), bad.count()]


def written(spark, folder):
    """Append to a table, and overwrite it."""
    import sparksig

    def write(table, mode):
        report = sparksig.write(table, path, format="parquet", mode=mode)
        return [report.rows, spark.read.parquet(path).count()]

    path = str(folder / "table")
    return [
        write(doubles(spark), "error"),
        write(doubles(spark), "append"),
        write(doubles(spark).limit(3), "overwrite"),
    ]


def writes_are_refused(spark, folder):
    """An existing table, another type, and nulls; the table stays as it was."""
    import sparksig

    path, contract = str(folder / "refusing"), "id bigint not null, x double"
    sparksig.write(doubles(spark), path, contract, format="parquet")

    def refuse(mode, *expressions):
        table = doubles(spark).selectExpr(*expressions)
        try:
            sparksig.write(table, path, contract, format="parquet", mode=mode)
        except sparksig.SparksigError as error:
            return str(error).splitlines()[-1].rpartition("[")[2].rstrip("]")

    codes = [
        refuse("error", "id", "x"),
        refuse("append", "id", "string(x) as x"),
        refuse("append", "nullif(id, 3) as id", "x"),
    ]
    return [*codes, spark.read.parquet(path).count()]


def score_job(spark, folder):
    """The tasks of the server read, score and write Parquet files; the job publishes them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from sparksig.jobs import ScoreConfig, score

    pq.write_table(pa.table({"id": range(10), "x": np.arange(10.0)}), folder / "rows.parquet")
    sections = {
        "model": {"path": str(save(folder, twice)), "allow_pickle": True, "shipping": "path"},
        "input": {"path": str(folder / "rows.parquet")},
        "output": {"path": str(folder / "scored"), "keep": ["id"]},
        "spark": {"spark.sql.session.timeZone": "Asia/Tokyo"},
    }
    report = score(ScoreConfig.model_validate(sections))
    predictions = pq.read_table(folder / "scored", columns=["prediction"])["prediction"].to_pylist()
    return [report.engine, report.scored, sum(predictions)]


def observed_counts(spark, folder):
    from pyspark.sql import Observation

    import sparksig

    model = save(folder, twice)
    options = {"allow_pickle": True, "shipping": "inline", "observation": Observation()}
    return sparksig.score(doubles(spark), model, **options).count()


def local_hours(spark, folder):
    """The hours that a model sees in two time zones of the session, of timestamps and of local times."""
    import sparksig
    from sparksig import ColSpec, ModelSignature, Schema

    def hours(model_input):
        return model_input["t"].dt.hour.astype("float64")

    signature = ModelSignature(Schema([ColSpec("datetime", "t")]), Schema([ColSpec("double")]))
    sparksig.save_model(folder / "hours", hours, signature)

    def see_hour(spark, column):
        table = spark.sql(f"select {column} as t")
        options = {"allow_pickle": True, "shipping": "inline"}
        return sparksig.score(table, folder / "hours", **options).collect()[0].prediction

    results = []
    for zone in ("America/New_York", "UTC"):
        spark.conf.set("spark.sql.session.timeZone", zone)
        for column in ("timestamp_ntz'2024-07-01 08:00:00'", "timestamp'2024-07-01T12:00:00Z'"):
            results.append(attempt(see_hour, spark, column))
    return results


CHECKS = {
    function.__name__: function
    for function in (
        shipped_inline, files_are_refused, checks, split_rows, written, writes_are_refused, score_job,
        observed_counts, local_hours,
    )
}  # fmt: skip

EXPECTED = {
    "shipped_inline": ["inline", 1, True],
    "files_are_refused": "UnsupportedError: the server refuses files: handle add artifacts. Pass "
    "shipping='inline', or shipping='path' for a path that the workers can read",
    "checks": [True, True, True, False],
    "split_rows": [9, 1],
    "written": [[10, 10], [10, 20], [3, 3]],
    "writes_are_refused": ["INVALID_VALUE", "TYPE_MISMATCH", "NULL_IN_REQUIRED", 10],
    "score_job": ["direct", 10, 90.0],
    # a gap of the server: it has no observations
    "observed_counts": "UnsupportedOperationException: collect metrics",
    # a gap: casts of timestamps to local times ignore the session's time zone
    "local_hours": [
        8.0,
        "UnsupportedError: the server does not cast timestamps to the local time of the session's time zone. "
        "Set spark.sql.session.timeZone to 'UTC', or cast the columns to timestamp_ntz",
        8.0,
        12.0,
    ],
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
