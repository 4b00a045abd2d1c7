"""Python values -> columns: equal to those of MLflow, except for one table of differences."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig import ContractError, InferenceError, enforce
from sparksig.convert.objects import is_null
from sparksig.errors import Code
from sparksig.infer.python import from_dict, from_list, from_scalar
from sparksig.schema import ColSpec, Schema
from sparksig.types import AnyType, Array, DataType, Object, Property
from tests.cases import describe_case
from tests.infer.helpers import ANYTHING, body, find_problems, infer, theirs, within
from tests.strategies import names

NOON = datetime.datetime(2020, 1, 1, 12)
ZONED = NOON.replace(tzinfo=datetime.timezone.utc)
NAN = float("nan")


class Whole(int):
    """No more than an int, but who knows."""


class Text(str):
    """No more than a str."""


class Level(enum.IntEnum):
    low = 1


class Model(pydantic.BaseModel):
    x: int = 1


@dataclasses.dataclass
class Record:
    x: int = 1


def single_column(kind, required=True):
    return Schema([ColSpec(kind, required=required)])


# --- scalars --------------------------------------------------------------------------------------------

SCALARS = {
    "bool": (True, "boolean"),
    "numpy bool": (np.bool_(True), "boolean"),
    "int": (1, "long"),
    "the largest int": (2**63 - 1, "long"),
    "the smallest int": (-(2**63), "long"),
    "numpy int32": (np.int32(1), "integer"),
    "numpy int64": (np.int64(1), "long"),
    "float": (1.5, "double"),
    "numpy float64": (np.float64(1.5), "double"),
    "numpy float32": (np.float32(1.5), "float"),
    "str": ("x", "string"),
    "numpy str": (np.str_("x"), "string"),
    "bytes": (b"x", "binary"),
    "bytearray": (bytearray(b"x"), "binary"),
    "numpy bytes": (np.bytes_(b"x"), "binary"),
    "date": (NOON.date(), "datetime"),
    "datetime": (NOON, "datetime"),
    "zoned datetime": (ZONED, "datetime"),
    "datetime64": (np.datetime64("2020-01-01"), "datetime"),
    "datetime64 NaT": (np.datetime64("NaT"), "datetime"),
    "infinity": (float("inf"), "double"),
    "numpy NaN of 32 bits": (np.float32("nan"), "float"),
}
NULLS = {"NaN": NAN, "numpy NaN": np.float64("nan"), "NaT": pd.NaT, "NA": pd.NA}


@pytest.mark.parametrize(("value", "kind"), SCALARS.values(), ids=SCALARS)
def test_a_scalar_by_its_exact_type(value, kind):
    assert infer(value).inputs == from_scalar(value) == single_column(kind)


SCALAR_EXAMPLES = {
    "scalar": lambda value: value,
    "list": lambda value: [value],
    "list of two": lambda value: [value, value],
    "dictionary": lambda value: {"a": value},
    "nested in a record": lambda value: [{"a": {"b": [value]}}],
}


@pytest.mark.parametrize("wrap", SCALAR_EXAMPLES.values(), ids=SCALAR_EXAMPLES)
@pytest.mark.parametrize("name", SCALARS)
def test_mlflow_infers_the_same_from_scalars(name, wrap):
    example = wrap(SCALARS[name][0])
    assert infer(example).to_dict() == theirs(example).to_dict()


@pytest.mark.parametrize("value", NULLS.values(), ids=NULLS)
def test_a_null_is_anything(value):
    assert is_null(value)
    assert infer(value).inputs == infer([value]).inputs == single_column(AnyType())
    assert infer({"a": value}).inputs == Schema([ColSpec(AnyType(), "a", False)])


NULL_EXAMPLES = {
    "scalar": lambda value: value,
    "list": lambda value: [value, None],
    "dictionary": lambda value: {"a": value},
    "list in a dictionary": lambda value: {"a": [value]},
    "list beside an empty list": lambda value: [[value], []],
}


@pytest.mark.parametrize("wrap", NULL_EXAMPLES.values(), ids=NULL_EXAMPLES)
@pytest.mark.parametrize("name", NULLS)
def test_mlflow_infers_the_same_from_nulls(name, wrap):
    example = wrap(NULLS[name])
    assert infer(example).to_dict() == theirs(example).to_dict()


REFUSED = {
    "uint64": np.uint64(1),
    "Decimal": decimal.Decimal(1),
    "Level": Level.low,
    "Text": Text("x"),
    "Whole": Whole(1),
    "tuple": (1,),
    "set": {1},
    "frozenset": frozenset([1]),
    "range": range(2),
    "object": object(),
    "complex": 1j,
    "complex64": np.complex64(1),
    "timedelta": datetime.timedelta(1),
    "timedelta64": np.timedelta64(1, "s"),
    "time": datetime.time(1),
    "memoryview": memoryview(b"x"),
    "ellipsis": ...,
    "Index": pd.Index([1]),
    "Model": Model(),
}


WRAPPINGS = {
    "": lambda value: value,
    "a": lambda value: {"a": value},
    "a[]": lambda value: [{"a": [value, None]}],
    "[]": lambda value: [[], [value]],
}


@pytest.mark.parametrize(
    "path", WRAPPINGS, ids=["scalar", "dictionary", "list in a record", "list in a list"]
)
@pytest.mark.parametrize("name", REFUSED, ids=describe_case)
def test_type_that_no_signature_has_is_refused(name, path):
    example = WRAPPINGS[path](REFUSED[name])
    [finding] = find_problems(example)
    assert (finding.path, finding.code) == (path, Code.UNSUPPORTED_TYPE)
    assert f"expected a supported type, got a value of type {name}" in str(finding)
    if name not in ("object", "Model"):
        assert body(theirs(example)) == ANYTHING


WIDENED = {
    "integer": [np.int8(1), np.int16(1), np.uint8(1), np.uint16(1)],
    "long": [np.uint32(1)],
    "float": [np.float16(1)],
    "datetime": [pd.Timestamp(2020, 1, 1), pd.Timestamp(2020, 1, 1, tz="UTC")],
}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(kind, value, id=f"{kind}-{type(value).__name__}-{position}")
        for kind, values in WIDENED.items()
        for position, value in enumerate(values)
    ],
)
def test_a_scalar_is_inferred_as_a_column_of_its_dtype_is(kind, value):
    """Law 5: one verdict. MLflow infers the columns, and gives up on the scalars."""
    column = infer(pd.DataFrame({"a": [value]})).inputs
    assert column == Schema([ColSpec(kind, "a")])
    assert infer([{"a": value}]).inputs == infer({"a": value}).inputs == column
    assert infer(value).inputs == infer([value]).inputs == single_column(kind)
    assert body(theirs([value])) == ANYTHING


def test_a_generator_is_refused_and_not_consumed():
    generator = (value for value in [1, 2])
    assert str(find_problems(generator)[0]) == (
        "expected a supported type, got a value of type generator [UNSUPPORTED_TYPE]"
    )
    assert list(generator) == [1, 2]


HINTS = {
    "uint64": "convert it explicitly: no signature type has all of its values",
    "Decimal": "cast it explicitly: to double, or to an integer",
    "Text": "convert it to its base class explicitly",
    "tuple": "convert it to a list",
    "set": "convert it to a list",
    "Model": "pass the type, list[Model], or the fields as a dictionary",
    "range": "",
}


@pytest.mark.parametrize("name", HINTS, ids=describe_case)
def test_hints_of_unsupported_values(name):
    [finding] = find_problems([REFUSED[name]])
    assert finding.hint == HINTS[name]


def test_dataclasses_and_models_in_lists_are_their_types_affair():
    hint = "pass the type, list[{}], or the fields as a dictionary"
    assert [finding.hint for finding in find_problems({"a": [Record()], "b": Model()})] == [
        hint.format("Record"),
        hint.format("Model"),
    ]
    assert infer(Record()).inputs == Schema([ColSpec("long", "x")])
    assert infer(Record).inputs == infer(Record()).inputs


@pytest.mark.parametrize(
    ("path", "wrap"),
    [
        ("", lambda value: value),
        ("a", lambda value: {"a": value}),
        ("a.b[]", lambda value: [{"a": {"b": [1, value]}}]),
    ],
    ids=["scalar", "dictionary", "nested"],
)
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**70], ids=["2^63", "-2^63-1", "2^70"])
def test_ints_of_more_than_64_bits_are_refused(value, path, wrap):
    """Law 3: MLflow infers long, which cannot hold them."""
    [finding] = find_problems(wrap(value))
    assert str(finding) == (f"{path}: " if path else "") + (
        "expected integers of 64 bits, got larger integers (keep them as text, or "
        "convert them to doubles explicitly) [OUT_OF_RANGE]"
    )
    assert str(value) not in str(finding)


@pytest.mark.parametrize(
    ("path", "wrap"),
    [("", lambda text: text), ("a[]", lambda text: {"a": ["x", text]}), ("a", lambda text: [{"a": text}])],
    ids=["scalar", "list in a dictionary", "record"],
)
@pytest.mark.parametrize("text", ["\ud800", "a\udfff", np.str_("\ud800")], ids=ascii)
def test_lone_surrogate_is_refused_as_text(text, path, wrap):
    [finding] = find_problems(wrap(text))
    assert str(finding) == (f"{path}: " if path else "") + (
        "expected Unicode text, got a lone surrogate [INVALID_VALUE]"
    )


def test_pair_of_surrogates_is_text():
    assert infer("\U0001f600").inputs == single_column("string")


# --- lists ----------------------------------------------------------------------------------------------

LISTS = {
    "longs": ([1, 2], "long"),
    "NumPy's and Python's": ([np.int64(1), 2], "long"),
    "texts and None": (["a", None], "string"),
    "floats and nulls": ([1.5, None, NAN, pd.NA], "double"),
    "float32 and None": ([np.float32(1), None], "float"),
    "float32 and NaN": ([np.float32(1), NAN], "float"),
    "times and NaT": ([NOON, pd.NaT], "datetime"),
    "dates, datetimes and datetime64": ([NOON.date(), NOON, np.datetime64("2020")], "datetime"),
    "bytes and bytearrays": ([b"a", bytearray(b"b")], "binary"),
    "nothing": ([], "string"),
    "lists": ([[1, 2], [3]], Array("long")),
    "lists and None": ([[1, None], None], Array("long")),
    "empty lists": ([[]], AnyType()),
    "empty lists are neutral": ([[], [[]], [["x"]]], Array(Array("string"))),
    "nulls in lists": ([[None], [None, 1]], Array("long")),
    "dictionaries in lists": ([[{"a": 1}], []], Array(Object([Property("a", "long")]))),
    "dictionaries and None": ([{"a": 1}, None], Object([Property("a", "long", False)])),
    "empty dictionaries and None": ([{}, None], AnyType()),
    "arrays": ([np.zeros(2), np.zeros(3)], Array("double")),
    "matrices": ([np.zeros((2, 2), bool)], Array(Array("boolean"))),
    "arrays beside lists": ([np.zeros(2), [1.5]], Array("double")),
    "an empty array beside others": ([np.zeros(0), np.zeros(1, "int64"), None], Array("long")),
    "an empty array beside lists": ([np.zeros(0), ["x"]], Array("string")),
}


@pytest.mark.parametrize(("example", "kind"), LISTS.values(), ids=LISTS)
def test_a_list_is_one_unnamed_column(example, kind):
    assert infer(example).inputs == from_list(example) == single_column(kind)
    assert infer(example).to_dict() == theirs(example).to_dict()


DICTIONARIES = {
    "one row": ([{"a": 1.5, "b": "x"}], "['a': double (required), 'b': string (required)]"),
    "absent": ([{"a": 1.5}, {"b": "x"}], "['a': double (optional), 'b': string (optional)]"),
    "None": ([{"a": None}, {"a": b"x"}], "['a': binary (optional)]"),
    "nothing but None": ([{"a": None}], "['a': Any (optional)]"),
    "empty": ([{"a": []}, {"a": {}}][:1], "['a': Any (required)]"),
    "NaN beside doubles": ([{"a": 1.5}, {"a": NAN}], "['a': double (required)]"),
    "numbers as keys": ([{1: "x", "a": "y"}], "[1: string (required), 'a': string (required)]"),
    "one without keys": ([{}, {"a": True}], "['a': boolean (optional)]"),
    "first seen first": (
        [{"b": 0.5}, {"a": 0.5, "b": 0.5, "c": 0.5}],
        "['b': double (required), 'a': double (optional), 'c': double (optional)]",
    ),
    "objects": (
        [{"o": {"k": 1, "l": None}}, {"o": {"k": 2, "l": [0.5]}}],
        "['o': {k: long (required), l: Array(double) (optional)} (required)]",
    ),
    "an object beside {}": ([{"o": {"k": 1}}, {"o": {}}], "['o': {k: long (optional)} (required)]"),
    "an object beside None": ([{"o": {"k": 1}}, {"o": None}], "['o': {k: long (optional)} (optional)]"),
}


NOT_FLOATS = {
    "text": "x",
    "int": 1,
    "truth": True,
    "bytes": b"x",
    "time": NOON,
    "list": ["x"],
    "object": {"k": 1},
}


@pytest.mark.parametrize("null", [None, NAN, np.float64("nan"), np.float32("nan"), pd.NA, pd.NaT], ids=repr)
@pytest.mark.parametrize("name", NOT_FLOATS)
@pytest.mark.parametrize("null_first", [False, True], ids=["null last", "null first"])
def test_nan_among_values_other_than_floats_is_missing(null_first, name, null):
    """A column and a property are optional, as in a DataFrame."""
    values = [null, NOT_FLOATS[name]] if null_first else [NOT_FLOATS[name], null]
    rows = [{"a": value} for value in values]
    schema = infer(rows).inputs
    assert not schema.inputs[0].required
    if name != "int":  # pandas stores integers beside None as doubles
        assert schema == infer(pd.DataFrame({"a": pd.Series(values, dtype=object)})).inputs
    enforce(rows, schema)
    nested = infer([{"o": row} for row in rows]).inputs
    assert not nested.inputs[0].type.properties[0].required
    enforce([{"o": row} for row in rows], nested)


def test_nothing_but_nan_is_anything_and_optional():
    assert repr(infer([{"a": NAN}, {"a": NAN}]).inputs) == "['a': Any (optional)]"


@pytest.mark.parametrize(("example", "text"), DICTIONARIES.values(), ids=DICTIONARIES)
def test_a_list_of_dictionaries_has_a_column_for_each_key(example, text):
    assert repr(infer(example).inputs) == text
    assert infer(example).to_dict() == theirs(example).to_dict()


ONE_ROW = {
    "scalars": ({"a": 1, "b": None}, "['a': long (required), 'b': Any (optional)]"),
    "lists": ({"a": [1, None], "b": []}, "['a': Array(long) (optional), 'b': Any (required)]"),
    "objects": (
        {"o": {"k": {"l": [b"x"]}}},
        "['o': {k: {l: Array(binary) (required)} (required)} (required)]",
    ),
    "what is unknown in it": (
        {"o": {"k": None, "l": [], "m": {}, "n": NAN}},
        "['o': {k: Any (optional), l: Any (optional), m: Any (optional), n: Any (optional)} (required)]",
    ),
    "empty object": ({"o": {}}, "['o': Any (required)]"),
    "an array beside a scalar": ({"a": np.zeros((2, 2)), "b": 1}, None),
}


@pytest.mark.parametrize(("example", "text"), ONE_ROW.values(), ids=ONE_ROW)
def test_a_dictionary_is_one_row(example, text):
    assert infer(example).inputs == from_dict(example)
    assert text is None or repr(infer(example).inputs) == text
    assert infer(example).to_dict() == theirs(example).to_dict()


@pytest.mark.parametrize(
    ("example", "what"), [({}, "dictionary"), ([{}, {}], "list of dictionaries")], ids=describe_case
)
def test_no_key_is_no_column(example, what):
    text = f"^no signature for this {what}: 1 finding\n  - expected at least one column, got none"
    with pytest.raises(InferenceError, match=text):
        infer(example)


# --- what does not go together --------------------------------------------------------------------------

BY_GUESS = "make them one type explicitly: inference does not widen types"
MIXTURES = {
    "int and float": ([1, 2.5], "double and long", BY_GUESS),
    "int32 and int": ([np.int32(1), 1], "integer and long", BY_GUESS),
    "float32 and float": ([np.float32(1), 1.5], "double and float", BY_GUESS),
    "truth and number": ([True, 1], "boolean and long", ""),
    "text and bytes": (["x", b"x"], "binary and string", ""),
    "three": ([1, "x", NOON, None], "datetime, long and string", ""),
    "a number and []": ([1, []], "lists and long", ""),
    "a number and {}": ([1, {}], "dictionaries and long", ""),
    "a dictionary and []": ([{"a": 1}, []], "dictionaries and lists", ""),
    "a list and {}": ([[1], {}], "dictionaries and lists", ""),
    "a number and an array": ([1.5, np.zeros(1)], "arrays and double", ""),
    "a dictionary and an array": ([{}, np.zeros(1)], "arrays and dictionaries", ""),
}


@pytest.mark.parametrize(("values", "words", "hint"), MIXTURES.values(), ids=MIXTURES)
def test_mixtures_are_refused_in_any_order(values, words, hint):
    text = f"expected values of one type, got {words}" + (f" ({hint})" if hint else "") + " [MIXED_TYPES]"
    for order in map(list, itertools.permutations(values)):
        for path, example in {"": order, "a[]": {"a": order}, "[]": [order]}.items():
            assert [str(finding) for finding in find_problems(example)] == [
                f"{path}: {text}" if path else text
            ]


@pytest.mark.parametrize("other", [NOON, NOON.date(), np.datetime64("2020-01-01")], ids=repr)
@pytest.mark.parametrize("step", [1, -1], ids=["zone first", "zone last"])
def test_times_with_and_without_a_zone_are_refused(step, other):
    [finding] = find_problems({"a": [ZONED, other][::step]})
    assert str(finding) == (
        "a[]: expected times of one time zone, got times with and without a time zone (convert them to "
        "one zone explicitly, for example pandas.to_datetime(values, utc=True)) [MIXED_TYPES]"
    )


@pytest.mark.parametrize(
    "build",
    [
        lambda times: [{"a": time} for time in times],
        lambda times: pd.DataFrame({"a": times}, dtype=object),
    ],
    ids=["records", "frame"],
)
def test_inferring_and_enforcing_refuse_times_of_several_offsets_alike(build):
    example = build([ZONED, ZONED.astimezone(datetime.timezone(datetime.timedelta(hours=2)))])
    [finding] = find_problems(example)
    assert (finding.path, finding.actual) == ("a", "times of several UTC offsets")
    with pytest.raises(ContractError) as error:
        enforce(example, Schema([ColSpec("datetime", "a")]))
    assert error.value.findings == (finding,)


FAR = datetime.datetime(9999, 12, 31)
FAR_TIMES = {
    "datetime": ([{"t": NOON}, {"t": FAR}], "t"),
    "date": ([{"t": NOON.date()}, {"t": FAR.date()}], "t"),
    "zoned": ([{"t": ZONED}, {"t": FAR.replace(tzinfo=datetime.timezone.utc)}], "t"),
    "datetime64 of days": ([{"t": np.datetime64("2020-01-01")}, {"t": np.datetime64("9999-12-31")}], "t"),
    "datetime64 of years": ([{"t": np.datetime64("2020")}, {"t": np.datetime64("12000")}], "t"),
    "Timestamp": ([{"t": pd.Timestamp(NOON)}, {"t": pd.Timestamp(FAR).as_unit("s")}], "t"),
    "dates beside datetimes": ([{"t": NOON}, {"t": FAR.date()}], "t"),
    "one row": ({"t": FAR, "x": 1.5}, "t"),
    "list": ([NOON, FAR], "0"),
    "scalar": (FAR, "0"),
    "date scalar": (FAR.date(), "0"),
    "array cell": ([{"t": [NOON, FAR]}], "t[]"),
    "object cell": ([{"o": {"t": NOON}}, {"o": {"t": FAR}}], "o.t"),
    "NumPy cell": ([{"t": np.array(["9999-12-31"], "datetime64[D]")}], "t[]"),
    "frame of objects": (pd.DataFrame({"t": pd.Series([NOON, FAR], dtype=object)}), "t"),
    "frame of dates": (pd.DataFrame({"t": pd.Series([NOON.date(), FAR.date()], dtype=object)}), "t"),
    "frame of seconds": (pd.DataFrame({"t": np.array(["2020-01-01", "9999-12-31"], "datetime64[s]")}), "t"),
    "zoned frame": (pd.DataFrame({"t": pd.Series([FAR], dtype="M8[us]").dt.tz_localize("UTC")}), "t"),
    "Series": (pd.Series(np.array(["9999-12-31"], "datetime64[ms]"), name="t"), "t"),
    "Arrow": (pa.table({"t": pa.array([NOON, FAR], pa.timestamp("us"))}), "t"),
    "Arrow dates": (pa.table({"t": pa.array([NOON.date(), FAR.date()], pa.date32())}), "t"),
    "Arrow lists": (pa.table({"t": pa.array([[NOON], [FAR]], pa.list_(pa.timestamp("us")))}), "t[]"),
    "Arrow structs": (pa.table({"o": pa.array([{"t": NOON}, {"t": FAR}])}), "o.t"),
    "Arrow array": (pa.array([NOON, FAR], pa.timestamp("s")), "0"),
}  # fmt: skip


FAR_TYPES = {"t[]": Array("datetime"), "o.t": Object([Property("t", "datetime")])}


@pytest.mark.parametrize("name", FAR_TIMES)
def test_times_that_nanoseconds_cannot_hold_are_refused_as_they_are_when_enforced(name):
    example, path = FAR_TIMES[name]
    [finding] = find_problems(example)
    assert (finding.code, finding.path) == (Code.OUT_OF_RANGE, path)
    assert finding.expected == "timestamps from 1677-09-21 to 2262-04-11"
    assert finding.count == 1
    name = None if path == "0" else path.partition(".")[0].partition("[")[0]
    with pytest.raises(ContractError) as error:
        enforce(example, Schema([ColSpec(FAR_TYPES.get(path, DataType.datetime), name)]))
    assert error.value.findings == (finding,)


def test_tensors_keep_times_in_their_own_unit():
    days = np.array(["9999-12-31"], "datetime64[D]")
    assert enforce(days, infer(days).inputs).tolist() == days.tolist()


class DenseVector:
    """Stands for the class of pyspark, by its module and name."""

    __module__ = "pyspark.ml.linalg"

    def __init__(self, *values):
        self.values = values

    def toArray(self):
        return np.array(self.values)


class SparseVector(DenseVector):
    __module__ = "pyspark.ml.linalg"


class DenseMatrix(DenseVector):
    __module__ = "pyspark.ml.linalg"


VECTORS = {
    "frame": (pd.DataFrame({"v": [DenseVector(1.0), SparseVector(0.0)]}), "['v': SparkML vector (required)]"),
    "with None": (pd.DataFrame({"v": [DenseVector(1.0), None]}), "['v': SparkML vector (optional)]"),
    "rows": ([{"v": SparseVector(1.0, 2.0)}, {}], "['v': SparkML vector (optional)]"),
    "scalar": (DenseVector(1.0), "[SparkML vector (required)]"),
    "list": ([DenseVector(1.0)], "[SparkML vector (required)]"),
    "in arrays": ([{"v": [DenseVector(1.0)]}], "['v': Array(SparkML vector) (required)]"),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_of_spark_ml_are_inferred(name):
    example, text = VECTORS[name]
    schema = infer(example).inputs
    assert repr(schema) == text
    enforce(example, schema)


def test_vectors_beside_others_and_matrices_are_refused():
    [finding] = find_problems([DenseVector(1.0), [1.0]])
    assert finding.actual == "lists and vectors of Spark ML"
    [finding] = find_problems([DenseMatrix(1.0)])
    assert finding.actual == "a value of type DenseMatrix"


@pytest.mark.parametrize("null", [None, NAN, np.float32("nan"), pd.NA], ids=describe_case)
@pytest.mark.parametrize("value", [1, True, np.int32(1)], ids=describe_case)
def test_unnamed_column_of_these_types_refuses_nulls(value, null):
    """Law 3; MLflow says it is required, and refuses the example then."""
    [finding] = find_problems([value, null])
    assert str(finding) == (
        f"expected {from_scalar(value).input_types()[0]!r} without nulls, got nulls (name the column: "
        "an unnamed column is required, and required columns of this type refuse nulls) [NULL_IN_REQUIRED]"
    )


@pytest.mark.parametrize("value", [1, True, np.int32(1)], ids=repr)
def test_a_nan_beside_these_makes_an_optional_column(value):
    """Law 3; MLflow says it is required."""
    [spec] = infer([{"a": value}, {"a": NAN}]).inputs
    assert not spec.required
    assert theirs([{"a": value}, {"a": NAN}]).inputs.to_dict() == [spec.to_dict() | {"required": True}]


def test_all_findings_come_at_once():
    rows = [
        {"a": 1, "b.c": [1, "x"], "d": {"e": (1,), "f": [2**64]}, "g": Text("x"), "fine": [1]},
        {"a": "x", "d": {"e": 1, 3: 4}, "g": decimal.Decimal(1), "fine": []},
    ]
    with pytest.raises(InferenceError) as error:
        infer(rows)
    assert str(error.value).splitlines() == [
        "no signature for this list of dictionaries: 7 findings",
        "  - a: expected values of one type, got long and string [MIXED_TYPES]",
        "  - `b.c`[]: expected values of one type, got long and string [MIXED_TYPES]",
        "  - d.e: expected a supported type, got a value of type tuple (convert it to a list) "
        "[UNSUPPORTED_TYPE]",
        "  - d.f[]: expected integers of 64 bits, got larger integers (keep them as text, "
        "or convert them to doubles explicitly) [OUT_OF_RANGE]",
        "  - d.3: expected a string, got a value of type int [INVALID_NAME]",
        "  - g: expected a supported type, got a value of type Decimal "
        "(cast it explicitly: to double, or to an integer) [UNSUPPORTED_TYPE]",
        "  - g: expected a supported type, got a value of type Text "
        "(convert it to its base class explicitly) [UNSUPPORTED_TYPE]",
    ]


# --- keys -----------------------------------------------------------------------------------------------

KEYS = {
    "of a dictionary": ({1: "x", "a": "y"}, ["1: expected a string, got a value of type int"]),
    "of an object": (
        {"a": {1: "x", None: "y", "b": {(1,): "z"}}},
        [
            "a.1: expected a string, got a value of type int",
            "a.None: expected a string, got None",
            "a.b.(1,): expected a string, got a value of type tuple",
        ],
    ),
    "of an object in a list": ([{"a": [{1: 2}]}], ["a[].1: expected a string, got a value of type int"]),
    "of an object in lists": ([[{True: 2}]], ["[].True: expected a string, got a value of type bool"]),
    "a lone surrogate": (
        {"\ud800": 1},
        ["`\\ud800`: expected a name of Unicode text, got a lone surrogate"],
    ),
    "a lone surrogate in an object": (
        [{"a": {"\udfff": 1}}],
        ["a.`\\udfff`: expected a name of Unicode text, got a lone surrogate"],
    ),
    "a lone surrogate of rows": (
        [{"\ud800": 1}],
        ["`\\ud800`: expected a name of Unicode text, got a lone surrogate"],
    ),
    "of a list of dictionaries": (
        [{1.5: "x", "a": "y"}, {None: "x", True: "y"}],
        [
            "`1.5`: expected a string or an integer, got a value of type float",
            "None: expected a string or an integer, got None",
            "True: expected a string or an integer, got a value of type bool",
        ],
    ),
}


@pytest.mark.parametrize(("example", "lines"), KEYS.values(), ids=KEYS)
def test_keys_that_are_not_names_are_refused(example, lines):
    assert sorted(map(str, find_problems(example))) == sorted(f"{line} [INVALID_NAME]" for line in lines)


def test_keys_that_are_one_text():
    [finding] = find_problems([{1: "x", "1": "y"}])
    assert str(finding) == "1: expected one column of that name, as text, got several [DUPLICATE_NAME]"


# --- arrays in cells ------------------------------------------------------------------------------------

CELLS = {
    "bool": "boolean", "int8": "integer", "int16": "integer", "int32": "integer", "int64": "long",
    "uint8": "integer", "uint16": "integer", "uint32": "long", "float16": "float", "float32": "float",
    "float64": "double", "U3": "string", "S3": "binary", "M8[D]": "datetime", "M8[s]": "datetime",
    "M8[ns]": "datetime", ">i4": "integer", ">f8": "double", "uint64": None, "longdouble": None,
    "complex128": None, "m8[s]": None, "M8[2s]": None, "i4,f8": None, "V3": None,
}  # fmt: skip


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("dtype", CELLS, ids=describe_case)
def test_an_array_in_a_cell_counts_by_its_dtype(dtype, rank):
    example = [{"v": np.zeros((2,) * rank, dtype), "a": "x"}]
    if CELLS[dtype] is None:
        [finding] = find_problems(example)
        assert (finding.path, finding.code) == ("v" + "[]" * rank, Code.UNSUPPORTED_TYPE)
        return
    kind = DataType[CELLS[dtype]]
    for _ in range(rank):
        kind = Array(kind)
    assert infer(example).inputs == Schema([ColSpec(kind, "v"), ColSpec("string", "a")])


def test_an_array_of_objects_counts_as_a_list():
    ragged = np.array([[1], [1, 2]], dtype=object)
    assert infer([{"v": ragged}]).inputs == Schema([ColSpec(Array(Array("long")), "v")])
    [finding] = find_problems([np.array([1, "x"], dtype=object)])
    assert str(finding) == "[]: expected values of one type, got long and string [MIXED_TYPES]"


CELL_FINDINGS = {
    "masked": (
        np.ma.masked_array([1, 2], [False, True]),
        "expected arrays without masked values, got masked values "
        "(a signature has no masks: fill the masked values explicitly) [INVALID_VALUE]",
    ),
    "empty": (
        np.zeros(0),
        "expected arrays with elements, got empty arrays (give an example with at least one element) [EMPTY]",
    ),
    "rank 0": (np.array(1), "expected arrays of rank 1 or more, got an array of rank 0 [SHAPE_MISMATCH]"),
}


CELL_PATHS = {
    "a": lambda array: {"a": array, "b": 1},
    "a[]": lambda array: {"a": [array, array]},
    "": lambda array: [array],
    "a.b": lambda array: [{"a": {"b": array}}],
}


@pytest.mark.parametrize("path", CELL_PATHS, ids=["dictionary", "list in a dictionary", "list", "nested"])
@pytest.mark.parametrize(("array", "text"), CELL_FINDINGS.values(), ids=CELL_FINDINGS)
def test_arrays_that_cannot_be_cells_are_refused(array, text, path):
    findings = [str(finding) for finding in find_problems(CELL_PATHS[path](array))]
    assert findings == [f"{path}: {text}" if path else text]


def test_a_mask_that_hides_nothing_is_fine():
    assert infer([np.ma.masked_array([1, 2], [False, False])]).inputs == single_column(Array("long"))


def test_arrays_of_several_types_at_one_path():
    example = [{"a": np.zeros(1, "int32")}, {"a": np.zeros(1, "int64")}]
    [finding] = find_problems(example)
    assert (finding.path, finding.code, finding.actual) == ("a[]", Code.MIXED_TYPES, "integer and long")
    [finding] = find_problems([{"a": np.zeros(1)}, {"a": np.zeros((1, 1))}])
    assert (finding.path, finding.actual) == ("a[]", "double and Array(double)")


# --- depth and size -------------------------------------------------------------------------------------


def nested(levels, wrap):
    value = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    ("wrap", "path"), [(lambda value: [value], "[]"), (lambda value: {"a": value}, "a.")], ids=describe_case
)
def test_more_than_a_hundred_levels_are_refused(wrap, path):
    assert infer(nested(100, wrap)).inputs
    [finding] = find_problems(nested(101, wrap))
    assert finding.path.startswith(path)
    assert len(finding.path) <= 200
    assert str(finding).endswith(
        ": expected at most 100 levels of nesting, got deeper nesting [UNSUPPORTED_TYPE]"
    )


def test_arrays_count_as_their_levels():
    cell = nested(60, lambda value: [np.zeros((1,) * 30) if value == 1 else value])
    assert infer([{"a": cell}]).inputs
    [finding] = find_problems(
        [{"a": [nested(70, lambda value: [np.zeros((1,) * 30) if value == 1 else value])]}]
    )
    assert finding.code is Code.UNSUPPORTED_TYPE


def twice_in_a_list():
    cycle = []
    cycle += [cycle, cycle]
    return cycle


def twice_in_a_dictionary():
    cycle = {}
    cycle |= {"a": cycle, "b": cycle}
    return cycle


def in_each_other():
    first, other = {}, []
    first["a"] = other
    other += [first, first]
    return first


@pytest.mark.parametrize(
    "wrap",
    [lambda value: value, lambda value: [value], lambda value: {"x": value}],
    ids=["itself", "in a list", "in a dictionary"],
)
@pytest.mark.parametrize("cycle", [twice_in_a_list, twice_in_a_dictionary, in_each_other])
def test_a_cycle_is_refused_quickly(cycle, wrap):
    endless = (
        "expected values of finite depth, got a container inside itself (a signature has no recursive types) "
        "[UNSUPPORTED_TYPE]",
        "expected at most 100 levels of nesting, got deeper nesting [UNSUPPORTED_TYPE]",
    )
    with within(3):
        findings = find_problems(wrap(cycle()))
    for finding in findings:
        assert str(finding).endswith(endless)
        assert len(finding.path) <= 200


@pytest.mark.parametrize(
    "wrap", [lambda value: {"a": value, "b": value}, lambda value: [value, value]], ids=describe_case
)
def test_shared_children_are_inferred_once(wrap):
    with within(1):
        assert infer({"x": nested(16, wrap)}).inputs


SIZE = 20_000
MANY = {
    "rows with a key each": lambda: [{f"k{row}": row} for row in range(SIZE)],
    "objects with a key each": lambda: [{"a": {f"k{row}": row}} for row in range(SIZE)],
    "one row": lambda: {f"k{row}": row for row in range(SIZE)},
    "one object": lambda: {"a": {f"k{row}": row for row in range(SIZE)}},
}


@pytest.mark.parametrize("example", MANY.values(), ids=MANY)
def test_distinct_keys_take_linear_time(example):
    data = example()
    with within(5):
        assert infer(data).inputs


# --- generated data, beside MLflow ----------------------------------------------------------------------

DAYS = (
    datetime.date(1700, 1, 1),
    datetime.date(2200, 1, 1),
)  # others are refused, as nanoseconds do not hold them
LEAVES = {
    DataType.boolean: st.booleans(),
    DataType.integer: st.integers(-5, 5).map(np.int32),
    DataType.long: st.integers(-(2**63), 2**63 - 1),
    DataType.float: st.floats(width=32, allow_nan=False).map(np.float32),
    DataType.double: st.floats(allow_nan=False),
    DataType.string: st.text(st.characters(exclude_categories=["C"]), max_size=3),
    DataType.binary: st.binary(max_size=3),
    DataType.datetime: st.dates(*DAYS)
    | st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)),
}
kinds = st.recursive(
    st.sampled_from(list(LEAVES)),
    lambda inner: (
        st.builds(Array, inner)
        | st.dictionaries(names, inner, min_size=1, max_size=3).map(
            lambda fields: Object([Property(name, kind) for name, kind in fields.items()])
        )
    ),
    max_leaves=6,
)
objects = st.dictionaries(names, kinds, min_size=1, max_size=3).map(
    lambda fields: Object([Property(name, kind) for name, kind in fields.items()])
)


@st.composite
def values(draw, kind, nulls=True):
    """A value of a type; now and then a null, an absent key, or nothing in a container."""
    if nulls and not draw(st.integers(0, 6)):
        return None
    if isinstance(kind, DataType):
        return draw(LEAVES[kind])
    if isinstance(kind, Array):
        return draw(st.lists(values(kind.dtype), max_size=3))
    selected = [prop for prop in kind.properties if draw(st.integers(0, 6))]
    return {prop.name: draw(values(prop.dtype)) for prop in draw(st.permutations(selected))}


rows = objects.flatmap(lambda kind: st.lists(values(kind, nulls=False), min_size=1, max_size=4))
lists = kinds.flatmap(lambda kind: st.lists(values(kind), min_size=1, max_size=4))
single = objects.flatmap(lambda kind: values(kind, nulls=False))


def nulls_without_a_place(example):
    """The one difference (law 3): an unnamed column of such a type with nulls."""
    kinds = {type(value) for value in example} if isinstance(example, list) else set()
    return type(None) in kinds and kinds - {type(None)} in ({bool}, {int}, {np.int32})


@given(rows | lists | single)
def test_nested_data_has_mlflows_signature(example):
    expected = body(theirs(example))
    try:
        ours = body(infer(example))
    except InferenceError:
        assert nulls_without_a_place(example) or expected == ANYTHING
        return
    assert ours == expected


@given(rows | lists | single)
def test_ours_does_not_look_at_the_order_and_leaves_the_example_alone(example):
    before = copy.deepcopy(example)
    try:
        first = infer(example).inputs
    except InferenceError:
        first = None
    assert example == before
    if not isinstance(example, list) or first is None:
        return
    assert set(infer(example[::-1]).inputs) == set(first)
