"""The local engine against Spark's: the same tables and models give the same rows, types and findings."""

from __future__ import annotations

import datetime as dt
import sys
from collections import Counter
from decimal import Decimal

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import functions as F
from pyspark.sql import types as T
from sklearn.linear_model import LinearRegression, LogisticRegression

import sparksig
from sparksig import (
    Array,
    ColSpec,
    Map,
    ModelSignature,
    Object,
    Property,
    Schema,
    TensorSpec,
    UnsupportedError,
)

cloudpickle.register_pickle_by_value(sys.modules[__name__])

ZONE = "America/New_York"  # the session's
ARROW = hasattr(F, "arrow_udf")
needs_arrow = pytest.mark.skipif(not ARROW, reason="composite predictions of this kind need Spark 4.1")

TIMES = [
    dt.datetime(2024, 7, 1, 12, 30, 15, 123456),
    None,
    dt.datetime(1950, 1, 1),
    dt.datetime(2060, 2, 3, 4),
]


class Returning(sparksig.PythonModel):
    """Returns the value of a function of its input."""

    def __init__(self, function):
        self.function = function

    def predict(self, model_input, params=None):
        return self.function(model_input)


def save(home, function, inputs, outputs):
    path = str(home / "model")
    sparksig.save_model(path, Returning(function), ModelSignature(inputs, outputs))
    return path


def columns(**types):
    """A schema of columns, optional where the type is in a list."""
    specs = []
    for name, dtype in types.items():
        required = not isinstance(dtype, list)
        specs.append(ColSpec(dtype if required else dtype[0], name, required=required))
    return Schema(specs)


def compare(spark, home, model, *, engine="local", **options):
    """Score the table with Spark's engine and another one, compare the tables, and return its report."""
    [report] = compare_engines(spark, home, model, engines=[engine], **options)
    return report


def compare_engines(
    spark, home, model, *, engines=("direct", "local"), column="prediction", pickle=True, **options
):
    """Score the table with Spark's engine and others, compare the tables, and return the other reports."""
    source = str(home / "table")
    scored = sparksig.score(spark.read.parquet(source), model, column=column, allow_pickle=pickle, **options)
    scored.write.parquet(str(home / "spark"))
    expected = spark.read.parquet(str(home / "spark"))
    reports = []
    for engine in engines:
        report = sparksig.score_files(
            source,
            model,
            home / engine,
            column=column,
            allow_pickle=pickle,
            engine=engine,
            spark=spark,
            time_zone=ZONE,
            processes=1,
            **options,
        )
        _require_same(spark, expected, home / engine, report)
        reports.append(report)
    return reports


def _require_same(spark, expected, output, report):
    actual = spark.read.parquet(str(output))
    assert actual.schema == expected.schema
    assert [field.metadata for field in actual.schema] == [field.metadata for field in expected.schema]
    assert rows_of(actual) == rows_of(expected)
    assert report.rows == report.scored + report.rejected == expected.count()
    if "findings" in expected.columns:
        rejected = expected.where("findings is not null").select(F.explode("findings").alias("finding"))
        by_kind = Counter((row.finding.code, row.finding.path) for row in rejected.collect())
        assert {(finding.code.value, finding.path): finding.count for finding in report.findings} == by_kind


def rows_of(df):
    """The rows as text that tells NaN from null and 1 from 1.0, sorted."""
    return sorted(map(repr, df.collect()))


def write(home, *tables, **options):
    directory = home / "table"
    directory.mkdir()
    for index, table in enumerate(tables):
        pq.write_table(table, directory / f"part-{index}.parquet", **options)


def of_numbers(rows, start=0):
    numbers = np.arange(start, start + rows, dtype="float64")
    return pa.table(
        {"id": pa.array(range(start, start + rows), pa.int64()), "x": numbers, "y": numbers * 0.5 - 3}
    )


# --- sources ------------------------------------------------------------------------------------------------


def double_x(frame):
    return frame["x"] * 2


X_TO_DOUBLE = {"function": double_x, "inputs": columns(x="double"), "outputs": Schema([ColSpec("double")])}


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param([of_numbers(100)], id="one file"),
        pytest.param([of_numbers(10), of_numbers(1, 10), of_numbers(50, 11)], id="several files"),
        pytest.param([of_numbers(0)], id="no rows"),
        pytest.param([of_numbers(0), of_numbers(3)], id="an empty file first"),
    ],
)
@pytest.mark.parametrize("row_group_size", [1, 1000])
def test_files_and_row_groups(spark, tmp_path, tables, row_group_size):
    write(tmp_path, *tables, row_group_size=row_group_size)
    report = compare(spark, tmp_path, save(tmp_path, **X_TO_DOUBLE))
    assert report.rows == sum(table.num_rows for table in tables)


KEPT = {
    "bool": pa.array([True, None, False, True]),
    "int8": pa.array([1, None, -3, 4], pa.int8()),
    "int16": pa.array([1, None, -3, 4], pa.int16()),
    "int32": pa.array([1, None, -3, 4], pa.int32()),
    "int64": pa.array([2**53 + 1, None, -3, 4]),
    "uint8": pa.array([255, None, 3, 4], pa.uint8()),
    "uint16": pa.array([65535, None, 3, 4], pa.uint16()),
    "uint32": pa.array([2**32 - 1, None, 3, 4], pa.uint32()),
    "uint64": pa.array([2**64 - 1, None, 3, 4], pa.uint64()),
    "float32": pa.array([0.1, None, float("nan"), float("inf")], pa.float32()),
    "float64": pa.array([0.1, None, float("nan"), -0.0]),
    "decimal(9,2)": pa.array([Decimal("1.25"), None, Decimal("-3.00"), Decimal(0)], pa.decimal128(9, 2)),
    "decimal(38,10)": pa.array([Decimal("1.25"), None, Decimal(10) ** 27, Decimal(0)], pa.decimal128(38, 10)),
    "string": pa.array(["a", None, "", "ü"]),
    "large_string": pa.array(["a", None, "", "ü"], pa.large_string()),
    "dictionary": pa.array(["a", None, "a", "ü"]).dictionary_encode(),
    "binary": pa.array([b"a", None, b"", b"\xff"]),
    "fixed binary": pa.array([b"ab", None, b"cd", b"\xff\x00"], pa.binary(2)),
    "date32": pa.array([0, None, 20000, -30000], pa.int32()).cast(pa.date32()),
    "date64": pa.array([0, None, 20000, -30000], pa.int32()).cast(pa.date32()).cast(pa.date64()),
    "timestamp": pa.array(TIMES, pa.timestamp("us")),
    "timestamp in a zone": pa.array(TIMES, pa.timestamp("us", "Asia/Tokyo")),
    "timestamp in ms": pa.array([0, None, 1, -1], pa.timestamp("ms", "UTC")),
    "list": pa.array([[1, None], None, [], [4]]),
    "list of times": pa.array([[TIMES[0]], None, [], [None]], pa.list_(pa.timestamp("us", "UTC"))),
    "fixed list": pa.array([[1, 2], [5, 6], [3, 4], [7, 8]], pa.list_(pa.int32(), 2)),
    "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}, {"a": 3, "b": ""}]),
    "struct of times": pa.array([{"a": TIMES[0]}, None, {"a": None}, {"a": TIMES[2]}]),
    "map": pa.array([[("k", 1)], None, [], [("k", None)]], pa.map_(pa.string(), pa.int64())),
    "map of unsigned": pa.array([[("k", 1)], None, [], [("k", None)]], pa.map_(pa.string(), pa.uint16())),
    "null": pa.nulls(4),
}


@pytest.mark.parametrize("kind", KEPT)
def test_kept_columns_are_as_spark_writes_them(spark, tmp_path, kind):
    write(tmp_path, pa.table({"id": pa.array(range(4)), "kept": KEPT[kind], "x": [1.0, 2.0, 3.0, 4.0]}))
    compare(spark, tmp_path, save(tmp_path, **X_TO_DOUBLE), keep=["kept", "id"])


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        pytest.param(["1", "2"], "int", id="int"),
        pytest.param(["1", "3000000000"], "bigint", id="bigint"),
        pytest.param(["1", "0.5"], "double", id="double"),
        pytest.param(["a/b", "c=d"], "string", id="string"),
        pytest.param(["2024-01-31", "2024-02-01"], "date", id="date"),
        pytest.param(["2024-07-01 12:00:00", "2024-01-01 00:00:00"], "timestamp", id="timestamp"),
        pytest.param(["1", None], "int", id="null"),
    ],
)
def test_partition_columns_have_the_types_of_spark(spark, tmp_path, values, dtype):
    frames = [
        spark.createDataFrame([(float(i), value) for i in range(3)], "x double, part string")
        for value in values
    ]
    frames[0].union(frames[1]).write.partitionBy("part").parquet(str(tmp_path / "table"))
    compare(spark, tmp_path, save(tmp_path, **X_TO_DOUBLE))
    assert dict(spark.read.parquet(str(tmp_path / "local")).dtypes)["part"] == dtype


def test_a_partition_column_feeds_the_model(spark, tmp_path):
    frame = spark.createDataFrame([(1.0, 3), (2.0, 4)], "x double, part int")
    frame.write.partitionBy("part").parquet(str(tmp_path / "table"))
    inputs = columns(part="integer", x="double")
    function = lambda frame: frame["part"] + frame["x"]  # noqa: E731
    compare(spark, tmp_path, save(tmp_path, function, inputs, Schema([ColSpec("double")])), keep=["x"])


@pytest.mark.parametrize("written", ["INT96", "TIMESTAMP_MICROS", "TIMESTAMP_MILLIS"])
def test_timestamps_of_spark_are_read_as_spark_reads_them(spark, tmp_path, written):
    setting = "spark.sql.parquet.outputTimestampType"
    spark.conf.set(setting, written)
    try:
        times = [(1, time and time.replace(tzinfo=dt.timezone.utc)) for time in TIMES]
        spark.createDataFrame(times, "id int, c timestamp").write.parquet(str(tmp_path / "table"))
    finally:
        spark.conf.unset(setting)
    model = save(tmp_path, describe_values, columns(c=["datetime"]), Schema([ColSpec("string")]))
    compare(spark, tmp_path, model)


def test_metadata_and_vectors_of_spark_stay(spark, tmp_path):
    number = T.StructField("x", T.DoubleType(), metadata={"comment": "a number"})
    schema = T.StructType([number, T.StructField("v", VectorUDT())])
    rows = [(1.0, Vectors.dense([1.0, 2.0])), (2.0, Vectors.sparse(3, [1], [5.0]))]
    spark.createDataFrame(rows, schema).write.parquet(str(tmp_path / "table"))
    compare(spark, tmp_path, save(tmp_path, **X_TO_DOUBLE))


@pytest.mark.parametrize("absent", [None, "null", "omit"])
@pytest.mark.filterwarnings("ignore::sparksig.AbsentColumnWarning")
def test_absent_optional_columns_are_the_same(spark, tmp_path, absent):
    write(tmp_path, of_numbers(3))
    function = lambda frame: [",".join(frame.columns)] * len(frame)  # noqa: E731
    model = save(tmp_path, function, columns(x="double", z=["long"]), Schema([ColSpec("string")]))
    compare(spark, tmp_path, model, absent=absent)


def test_a_null_type_column_feeds_an_optional_column(spark, tmp_path):
    write(tmp_path, pa.table({"x": [1.0, 2.0], "s": pa.nulls(2)}))
    function = lambda frame: frame["x"] + frame["s"].isna()  # noqa: E731
    model = save(tmp_path, function, columns(x="double", s=["string"]), Schema([ColSpec("double")]))
    compare(spark, tmp_path, model, keep=["x"])


# --- models -------------------------------------------------------------------------------------------------


def test_an_estimator_of_a_frame(spark, tmp_path):
    frame = of_numbers(40).to_pandas()[["x", "y"]]
    estimator = LinearRegression().fit(frame, frame["x"] * 3)
    sparksig.save_model(str(tmp_path / "model"), estimator, input_example=frame)
    write(tmp_path, of_numbers(1000))
    compare(spark, tmp_path, str(tmp_path / "model"), pickle=False)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_an_estimator_of_a_tensor_finds_its_features_by_name(spark, tmp_path):
    frame = of_numbers(40).to_pandas()[["x", "y"]]
    estimator = LogisticRegression().fit(frame, frame["x"] > 20)
    tensors = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    signature = ModelSignature(tensors, Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))
    sparksig.save_model(str(tmp_path / "model"), estimator, signature, method="predict_proba")
    write(tmp_path, of_numbers(50).select(["y", "id", "x"]))
    compare(spark, tmp_path, str(tmp_path / "model"), pickle=False)


def test_an_array_column_is_a_tensor(spark, tmp_path):
    write(tmp_path, pa.table({"v": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}))
    inputs = Schema([TensorSpec(np.dtype("float64"), (-1, 3))])
    model = save(tmp_path, lambda tensor: tensor * 2, inputs, inputs)
    compare(spark, tmp_path, model)


def test_columns_are_chosen_for_a_model_without_names(spark, tmp_path):
    write(tmp_path, of_numbers(5))
    inputs = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    model = save(tmp_path, lambda tensor: tensor[:, 0] - tensor[:, 1], inputs, Schema([ColSpec("double")]))
    compare(spark, tmp_path, model, columns=["y", "x"])


OUTPUTS = {
    "integer": (columns(a="integer"), lambda frame: frame["x"].astype("int32")),
    "string": (Schema([ColSpec("string")]), lambda frame: frame["x"].astype(str)),
    "datetime": (
        Schema([ColSpec("datetime")]),
        lambda frame: pd.Series(pd.Timestamp("2024-07-01 12:00") + pd.to_timedelta(frame["x"], unit="h")),
    ),
    "uint8 tensor": (
        Schema([TensorSpec(np.dtype("uint8"), (-1,))]),
        lambda frame: frame["x"].to_numpy("uint8"),
    ),
    "uint32 tensor": (
        Schema([TensorSpec(np.dtype("uint32"), (-1, 2))]),
        lambda frame: np.stack([frame["x"].to_numpy("uint32")] * 2, axis=1),
    ),
    "float16 tensor": (
        Schema([TensorSpec(np.dtype("float16"), (-1,))]),
        lambda frame: frame["x"].to_numpy("float16"),
    ),
    "several": (
        columns(a="double", b=["string"]),
        lambda frame: pd.DataFrame({"a": frame["x"], "b": [None] * len(frame)}),
    ),
    "array": (Schema([ColSpec(Array("double"))]), lambda frame: [[value] * 2 for value in frame["x"]]),
    "object": (
        Schema([ColSpec(Object([Property("a", "double"), Property("b", "string", required=False)]))]),
        lambda frame: [{"a": value} for value in frame["x"]],
    ),
    "map": (Schema([ColSpec(Map("double"))]), lambda frame: [{"a": value} for value in frame["x"]]),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_predictions_have_the_types_of_spark(spark, tmp_path, kind):
    outputs, function = OUTPUTS[kind]
    write(tmp_path, of_numbers(6))
    compare(spark, tmp_path, save(tmp_path, function, columns(x="double"), outputs), keep=["id"])


RESULT_TYPES = ["double", "bigint", "string", "tinyint", "date", "timestamp", "timestamp_ntz", "array<float>"]
RESULT_TYPES += ["a int, b string", "struct<a: double>", "map<string, double>"]


@pytest.mark.parametrize("result_type", RESULT_TYPES)
def test_declared_result_types_are_the_same(spark, tmp_path, result_type):
    noon = pd.Timestamp("2024-07-01")
    functions = {
        "string": lambda frame: frame["x"].astype(str),
        "bigint": lambda frame: frame["x"].astype("int64"),
        "tinyint": lambda frame: frame["x"].astype("int8"),
        "date": lambda frame: [noon] * len(frame),
        "timestamp": lambda frame: [noon] * len(frame),
        "timestamp_ntz": lambda frame: [noon] * len(frame),
        "array<float>": lambda frame: [np.array([value], "float32") for value in frame["x"]],
        "a int, b string": lambda frame: pd.DataFrame({"a": frame["x"].astype("int32"), "b": "b"}),
        "struct<a: double>": lambda frame: pd.DataFrame({"a": frame["x"]}),
        "map<string, double>": lambda frame: [{"k": value} for value in frame["x"]],
    }
    write(tmp_path, of_numbers(3))
    function = functions.get(result_type, double_x)
    model = save(tmp_path, function, columns(x="double"), Schema([ColSpec("double")]))
    if not ARROW and result_type not in ("double", "bigint", "string"):
        pytest.skip("Spark 4.1 is needed to return these as they are")
    compare(spark, tmp_path, model, keep=["id"], result_type=result_type)


def test_another_method_needs_a_result_type(spark, tmp_path):
    frame = of_numbers(40).to_pandas()[["x", "y"]]
    estimator = LogisticRegression().fit(frame, frame["x"] > 20)
    sparksig.save_model(str(tmp_path / "model"), estimator, input_example=frame)
    write(tmp_path, of_numbers(50))
    how = {"method": "predict_proba", "result_type": "array<double>", "pickle": False}
    compare(spark, tmp_path, str(tmp_path / "model"), **how)


def test_several_outputs_become_columns(spark, tmp_path):
    outputs, function = OUTPUTS["several"]
    write(tmp_path, of_numbers(6))
    model = save(tmp_path, function, columns(x="double"), outputs)
    compare(spark, tmp_path, model, column="p", flatten=True, keep=["id"])


INPUTS = {
    "integer": (["integer"], pa.array([1, None, 3], pa.int32())),
    "uint16 as integer": ("integer", pa.array([1, 2, 3], pa.uint16())),
    "long": (["long"], pa.array([2**53 + 1, None, -1])),
    "decimal as double": (
        "double",
        pa.array([Decimal("0.1"), Decimal("123456.789"), None], pa.decimal128(15, 9)),
    ),
    "boolean": (["boolean"], pa.array([True, None, False])),
    "string": (["string"], pa.array(["a", None, ""])),
    "binary": (["binary"], pa.array([b"a", None, b""])),
    "date": (["datetime"], pa.array([0, None, 20000], pa.int32()).cast(pa.date32())),
    "timestamp": (["datetime"], pa.array(TIMES[:3], pa.timestamp("us"))),
    "timestamp in a zone": (["datetime"], pa.array(TIMES[:3], pa.timestamp("us", "Asia/Tokyo"))),
    "array": ([Array("long")], pa.array([[1, 2], None, []])),
    "array of times": (
        [Array("datetime")],
        pa.array([TIMES[:2], None, []], pa.list_(pa.timestamp("us", "UTC"))),
    ),
    "map": ([Map("double")], pa.array([[("k", 1.5)], None, []], pa.map_(pa.string(), pa.float64()))),
    "object": (
        [Object([Property("a", "long"), Property("t", "datetime", required=False)])],
        pa.array(
            [{"a": 1, "t": TIMES[0], "more": 1}, None, {"a": 2, "t": None, "more": 2}],
            pa.struct([("a", pa.int64()), ("t", pa.timestamp("us", "UTC")), ("more", pa.int8())]),
        ),
    ),
}


def describe_values(frame):
    """One text a row: the value that the model saw, and its dtype."""
    return [f"{frame['c'].dtype} {type(value).__name__} {value!r}" for value in frame["c"]]


@pytest.mark.parametrize("kind", INPUTS)
def test_the_model_sees_the_same_values(spark, tmp_path, kind):
    dtype, array = INPUTS[kind]
    write(tmp_path, pa.table({"id": pa.array(range(len(array))), "c": array}))
    model = save(tmp_path, describe_values, columns(c=dtype), Schema([ColSpec("string")]))
    if not ARROW and pa.types.is_nested(array.type):
        pytest.skip("composite columns need Spark 4.1 to arrive as they are")
    compare(spark, tmp_path, model, keep=["id"])


def test_rows_are_the_objects_of_a_model_without_names(spark, tmp_path):
    spec = ColSpec(Object([Property("x", "double"), Property("id", "long")]))
    write(tmp_path, of_numbers(4))
    function = lambda frame: [value["x"] + value["id"] for value in frame.iloc[:, 0]]  # noqa: E731
    compare(spark, tmp_path, save(tmp_path, function, Schema([spec]), Schema([ColSpec("double")])))


# --- rows that cannot be scored -----------------------------------------------------------------------------


def fail_on_thirteen(frame):
    if (frame["x"] == 13).any():
        raise ValueError("unlucky")
    return frame["x"] * 2


def test_rejected_rows_have_the_same_findings(spark, tmp_path):
    ids = pa.array([None if index % 7 == 0 else index for index in range(40)])
    write(tmp_path, pa.table({"n": ids, "x": np.arange(40.0)}), row_group_size=15)
    inputs = columns(n="long", x="double")
    model = save(tmp_path, fail_on_thirteen, inputs, Schema([ColSpec("double")]))
    report = compare(spark, tmp_path, model, on_error="null")
    assert (report.scored, report.rejected) == (33, 7)
    assert sum(finding.count for finding in report.findings) == 7


def test_a_table_that_does_not_fit_has_the_same_findings(spark, tmp_path):
    write(tmp_path, pa.table({"x": ["a"], "y": pa.array([1]), "Z": [1.0]}))
    model = save(tmp_path, double_x, columns(x="double", y="double", z="double"), Schema([ColSpec("double")]))
    source = str(tmp_path / "table")
    with pytest.raises(sparksig.ContractError, match="does not fit") as by_spark:
        sparksig.score(spark.read.parquet(source), model, allow_pickle=True)
    with pytest.raises(sparksig.ContractError, match="does not fit") as local:
        sparksig.score_files(source, model, tmp_path / "local", allow_pickle=True)
    kinds = [[(finding.code, finding.path) for finding in info.value.findings] for info in (by_spark, local)]
    assert kinds[0] == kinds[1]


def test_predicted_times_that_the_zone_lacks_are_the_same_finding(spark, tmp_path):
    write(tmp_path, pa.table({"x": [0.0, 1.0, 2.0]}))
    start = pd.Timestamp("2024-03-10 01:30")  # 02:30 does not exist in New York
    function = lambda frame: pd.Series(start + pd.to_timedelta(frame["x"], unit="h"))  # noqa: E731
    model = save(tmp_path, function, columns(x="double"), Schema([ColSpec("datetime")]))
    assert compare(spark, tmp_path, model, on_error="null").rejected == 1


# --- jobs that only Spark can run ---------------------------------------------------------------------------


@needs_arrow
def test_variants_are_left_to_spark(spark, tmp_path):
    spark.sql("select 1.0D x, parse_json('[1]') v").write.parquet(str(tmp_path / "table"))
    model = save(tmp_path, **X_TO_DOUBLE)
    with pytest.raises(UnsupportedError, match=r"^v is "):
        sparksig.score_files(tmp_path / "table", model, tmp_path / "local", allow_pickle=True)
    report = sparksig.score_files(
        tmp_path / "table", model, tmp_path / "local", allow_pickle=True, keep=["x"], processes=1
    )
    assert report.rows == 1


def test_intervals_are_left_to_spark(spark, tmp_path):
    spark.sql("select 1.0D x, interval '1' month i").write.parquet(str(tmp_path / "table"))
    model = save(tmp_path, **X_TO_DOUBLE)
    with pytest.raises(UnsupportedError, match=r"^i is stored as int32, and Spark declares it as interval"):
        sparksig.score_files(tmp_path / "table", model, tmp_path / "local", allow_pickle=True)


@pytest.mark.parametrize("day", ["1500-01-01", "1900-01-01"])
def test_legacy_dates_are_left_to_spark_if_they_are_ancient(spark, tmp_path, day):
    setting = "spark.sql.parquet.datetimeRebaseModeInWrite"
    spark.conf.set(setting, "LEGACY")
    try:
        spark.sql(f"select 1.0D x, date'{day}' d").write.parquet(str(tmp_path / "table"))
    finally:
        spark.conf.unset(setting)
    model = save(tmp_path, **X_TO_DOUBLE)
    if day == "1900-01-01":
        compare(spark, tmp_path, model)
        return
    with pytest.raises(UnsupportedError, match=r"^d holds ancient dates of the calendar"):
        sparksig.score_files(tmp_path / "table", model, tmp_path / "local", allow_pickle=True)
