"""Plans: what compiling reports and applying verifies, and that neither copies or tells too much."""

from __future__ import annotations

import datetime
import decimal
import re
import traceback

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given

from sparksig.engine.frames import enforce, validate_schema
from sparksig.engine.plan import Plan, compile
from sparksig.engine.predictions import encode
from sparksig.errors import Code, ContractError, Finding, SparksigError, UnsupportedError
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.strategies import column_schemas, scalar_types

ARROW = {
    DataType.boolean: pa.bool_(),
    DataType.integer: pa.int32(),
    DataType.long: pa.int64(),
    DataType.float: pa.float32(),
    DataType.double: pa.float64(),
    DataType.string: pa.string(),
    DataType.binary: pa.binary(),
    DataType.datetime: pa.timestamp("ns"),
}


def schema_of(**types):
    """Required columns by name."""
    return Schema([ColSpec(dtype, name) for name, dtype in types.items()])


def findings(call):
    """Return the findings of a call that must fail."""
    with pytest.raises(ContractError) as error:
        call()
    return error.value.findings


def lines(call):
    return [str(finding) for finding in findings(call)]


def apply(schema, batch, **options):
    return compile(schema, batch.schema, **options).apply(batch)


# --- by types alone -------------------------------------------------------------------------------------


def test_all_type_findings_come_at_once():
    schema = schema_of(
        long="double", wide="integer", real="float", whole="integer", text="double", number="string",
        flag="long", huge="long", length="long", exact="long", digits="double", hour="datetime",
        nothing="double", many="double", amount="double", fine="double",
    )  # fmt: skip
    arrow = pa.schema(
        {
            "long": pa.int64(), "wide": pa.int64(), "real": pa.float64(), "whole": pa.float64(),
            "text": pa.string(), "number": pa.int32(), "flag": pa.bool_(), "huge": pa.uint64(),
            "length": pa.duration("us"), "exact": pa.decimal128(9, 2), "digits": pa.decimal128(16, 2),
            "hour": pa.time64("us"), "nothing": pa.null(), "many": pa.list_(pa.float64()),
            "amuont": pa.float64(), "fine": pa.float32(),
        }
    )  # fmt: skip
    with pytest.raises(ContractError) as error:
        compile(schema, arrow)
    assert str(error.value).splitlines() == [
        "the data does not fit the schema: 15 findings",
        "  - long: expected double, got int64 (beyond 2^53 a double loses digits: cast it explicitly, "
        "or declare it long) [TYPE_MISMATCH]",
        "  - wide: expected integer, got int64 (it would be narrowed: cast it explicitly, "
        "or declare it long) [TYPE_MISMATCH]",
        "  - real: expected float, got double (it would be narrowed: cast it explicitly, "
        "or declare it double) [TYPE_MISMATCH]",
        "  - whole: expected integer, got double (cast it explicitly, or declare it double) "
        "[TYPE_MISMATCH]",
        "  - text: expected double, got string (strings are not converted to or from other types: cast "
        "it explicitly) [TYPE_MISMATCH]",
        "  - number: expected string, got int32 (strings are not converted to or from other types: cast "
        "it explicitly) [TYPE_MISMATCH]",
        "  - flag: expected long, got bool (cast it explicitly, or declare it boolean) [TYPE_MISMATCH]",
        "  - huge: expected long, got uint64 (values beyond 2^63 fit no signature type: "
        "cast it explicitly) [TYPE_MISMATCH]",
        "  - length: expected long, got duration[us] (duration[us] has no counterpart in a signature: "
        "cast it explicitly, or drop it) [TYPE_MISMATCH]",
        "  - exact: expected long, got decimal(9,2) (it has a fraction: cast it explicitly, "
        "or declare it double (up to 15 digits)) [TYPE_MISMATCH]",
        "  - digits: expected double, got decimal(16,2) (double holds 15 digits exactly: "
        "cast it explicitly, or reduce the precision) [TYPE_MISMATCH]",
        "  - hour: expected datetime, got time64[us] (time64[us] has no counterpart in a signature: "
        "cast it explicitly, or drop it) [TYPE_MISMATCH]",
        "  - nothing: expected double, got null (it holds only nulls: declare it optional, "
        "or cast the column to its type) [TYPE_MISMATCH]",
        "  - many: expected double, got list<double> [TYPE_MISMATCH]",
        "  - amount: expected double, got no such column (did you mean 'amuont'?) [MISSING_COLUMN]",
    ]  # fmt: skip


def test_a_finding_is_data():
    [finding] = findings(lambda: compile(schema_of(a="double"), pa.schema({"a": pa.int64()})))
    hint = "beyond 2^53 a double loses digits: cast it explicitly, or declare it long"
    assert finding == Finding(Code.TYPE_MISMATCH, "a", "double", "int64", hint)


def test_columns_are_found_by_name_and_come_in_the_schemas_order():
    batch = pa.record_batch({"b": [1.5], "x": [b"?"], "a": [7]})
    plan = compile(schema_of(a="long", b="double"), batch.schema)
    assert plan.apply(batch).to_pydict() == {"a": [7], "b": [1.5]}
    assert [spec.name for spec in plan.specs] == ["a", "b"]
    assert (plan.extra, plan.in_place) == (("x",), False)


def test_a_batch_with_the_declared_types_is_returned_itself():
    batch = pa.record_batch({"a": [7], "b": [[1.5]]})
    plan = compile(schema_of(a="long", b=Array("double")), batch.schema)
    assert plan.in_place
    assert plan.apply(batch) is batch
    assert not compile(Schema([ColSpec("long", "z", False)]), batch.schema).in_place


@pytest.mark.parametrize(
    ("a", "schema"),
    [
        (pa.array([7]), schema_of(b=Array("double"), a="long")),
        (pa.array([7]), schema_of(a="long")),
        (pa.array([1.5], pa.float32()), schema_of(a="double", b=Array("double"))),
        (pa.array([7]), Schema([ColSpec("long"), ColSpec(Array("double"))])),
    ],
    ids=["another order", "fewer columns", "wider type", "unnamed columns"],
)
def test_a_batch_that_must_be_changed_is_not_returned_itself(a, schema):
    batch = pa.record_batch({"a": a, "b": pa.array([[1.5]])})
    assert compile(schema, batch.schema).apply(batch) is not batch


@pytest.mark.parametrize(
    "dtype", [Map("long"), Object([Property("k", "long", required=False)])], ids=["map", "object"]
)
def test_a_map_that_has_a_key_twice_is_refused(dtype):
    """A dictionary would lose a value."""
    array = pa.array([[("k", 1)], None, [("k", 1), ("j", 2), ("k", 3)]], pa.map_(pa.string(), pa.int64()))
    batch = pa.record_batch({"m": array})
    twice = "m: expected unique keys, got duplicate keys, once, first in row 2 [DUPLICATE_NAME]"
    schema = schema_of(m=dtype)
    assert lines(lambda: apply(schema, batch)) == [twice]
    assert apply(schema, batch.slice(0, 2)).num_rows == 2


def test_extra_column_of_an_unhashable_type_is_accepted():
    class Own(pa.ExtensionType):
        def __init__(self):
            super().__init__(pa.int64(), "tests.own")

        def __arrow_ext_serialize__(self):
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage, serialized):
            return cls()

    column = pa.ExtensionArray.from_storage(Own(), pa.array([1]))
    batch = pa.record_batch([column, pa.array([1.5])], ["own", "x"])
    assert apply(schema_of(x="double"), batch).to_pydict() == {"x": [1.5]}


@pytest.mark.parametrize(
    ("existing", "hint"),
    [
        ("amuont", "did you mean 'amuont'?"),
        ("Amount", "did you mean 'Amount'? Names are case sensitive"),
        ("something else", ""),
    ],
    ids=describe_case,
)
def test_a_missing_column_offers_the_nearest_name(existing, hint):
    [finding] = findings(lambda: compile(schema_of(amount="double"), pa.schema({existing: pa.float64()})))
    assert finding == Finding(Code.MISSING_COLUMN, "amount", "double", "no such column", hint)


def test_an_absent_optional_column_stays_absent():
    schema = Schema([ColSpec("long", "a"), ColSpec("long", "b", required=False)])
    batch = pa.record_batch({"a": [1]})
    plan = compile(schema, batch.schema)
    assert plan.apply(batch).to_pydict() == {"a": [1]}
    assert plan.specs == (schema.inputs[0],)


def test_rows_are_counted_where_no_declared_column_is_there():
    schema = Schema([ColSpec("long", "a", required=False)])
    batch = pa.record_batch({"x": [1, 2, 3]})
    enforced = apply(schema, batch)
    assert (enforced.num_columns, enforced.num_rows) == (0, 3)


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
def test_duplicate_name_of_a_declared_column_is_refused(required):
    arrow = pa.schema(
        [("a", pa.int64()), ("b", pa.int64()), ("a", pa.int64()), ("b", pa.int64()), ("c", pa.int64())]
    )
    schema = Schema([ColSpec("long", "a", required), ColSpec("long", "c")])
    assert lines(lambda: compile(schema, arrow)) == [
        "a: expected one column of that name, got 2 [DUPLICATE_NAME]"
    ]
    assert compile(schema_of(c="long"), arrow).extra == ("a", "b", "a", "b")


def test_unnamed_columns_go_by_position():
    schema = Schema([ColSpec("double"), ColSpec("string")])
    batch = pa.record_batch([pa.array([1], pa.int32()), pa.array(["x"])], ["b", "a"])
    plan = compile(schema, batch.schema)
    assert plan.apply(batch).to_pydict() == {"0": [1.0], "1": ["x"]}
    assert plan.extra == ()
    assert lines(lambda: compile(schema, batch.schema.set(0, pa.field("b", pa.string())))) == [
        "0: expected double, got string (strings are not converted to or from other types: cast "
        "it explicitly) [TYPE_MISMATCH]"
    ]


@pytest.mark.parametrize(
    ("columns", "message"), [(0, "0 columns"), (1, "1 column"), (3, "3 columns")], ids=describe_case
)
def test_unnamed_columns_are_counted(columns, message):
    arrow = pa.schema([(f"c{index}", pa.int64()) for index in range(columns)])
    [finding] = findings(lambda: compile(Schema([ColSpec("long"), ColSpec("long")]), arrow))
    hint = "select exactly these: columns without names are matched by position"
    assert finding == Finding(Code.COLUMN_COUNT, "", "2 columns", message, hint)


def test_an_integer_name_is_found_as_text():
    batch = pa.record_batch({"-3": [3], "0": [0]})
    schema = Schema([ColSpec("long", 0), ColSpec("long", -3)])
    assert apply(schema, batch).to_pydict() == {"0": [0], "-3": [3]}
    assert [finding.path for finding in findings(lambda: compile(schema, pa.schema([])))] == ["0", "-3"]


NAMES = {
    "dots": ("a.b", "`a.b`"),
    "backticks": ("`x`", "```x```"),
    "spaces": ("mean radius", "mean radius"),
    "unicode": ("日本 ä", "日本 ä"),
    "empty": ("", "``"),
    "brackets": ("a[0]", "`a[0]`"),
    "newline": ("a\nb", r"`a\nb`"),
    "quotes": ("\"'", "\"'"),
}


@pytest.mark.parametrize(("name", "path"), NAMES.values(), ids=NAMES)
def test_any_name_works_and_is_one_step_of_a_path(name, path):
    batch = pa.record_batch([pa.array([1, None])], [name])
    assert apply(Schema([ColSpec("long", name, False)]), batch).to_pydict() == {name: [1, None]}
    schema = Schema([ColSpec("long", name)])
    assert [finding.path for finding in findings(lambda: apply(schema, batch))] == [path]
    assert [finding.path for finding in findings(lambda: compile(schema, pa.schema([])))] == [path]
    assert [
        finding.path for finding in findings(lambda: compile(Schema([ColSpec("string", name)]), batch.schema))
    ] == [path]


@given(column_schemas(scalar_types))
def test_what_a_schema_declares_is_handed_on_as_it_is(schema):
    arrow = pa.schema([(str(name), ARROW[spec.type]) for name, spec in zip(schema.input_names(), schema)])
    if len(set(arrow.names)) == len(arrow.names):
        plan = compile(schema, arrow)
        batch = pa.RecordBatch.from_pylist([], arrow)
        named = schema.has_input_names()
        assert plan.in_place or not named
        assert (plan.apply(batch) is batch) == plan.in_place
        assert plan.specs == tuple(schema.inputs)
        assert plan.apply(pa.RecordBatch.from_pylist([], arrow)).schema.types == arrow.types


TENSORS = {
    "one": Schema([TensorSpec(np.dtype("float64"), (-1, 3))]),
    "named": Schema([TensorSpec(np.dtype("int8"), (-1,), "a.b"), TensorSpec(np.dtype("str"), (-1, 2), "c")]),
}


@pytest.mark.parametrize("schema", TENSORS.values(), ids=TENSORS)
def test_schema_of_tensors_is_not_compiled(schema):
    text = "cannot compile a schema of tensors: pass it to sparksig.enforce"
    with pytest.raises(UnsupportedError, match=f"^{re.escape(text)}$"):
        compile(schema, pa.schema([]))


COMPOSITE = {
    "array": (Array("long"), [[1, None], []], pa.list_(pa.int64())),
    "object": (Object([Property("x", "long", False)]), [{"x": 1}, {"x": 2}], pa.struct([("x", pa.int64())])),
    "map": (Map("long"), [[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
    "any": (AnyType(), [1, None], pa.uint64()),
    "vector": (SparkMLVector(), [[1.5], []], pa.list_(pa.float64())),
}


@pytest.mark.parametrize(("dtype", "values", "actual_type"), COMPOSITE.values(), ids=COMPOSITE)
def test_columns_of_every_type_compile(dtype, values, actual_type):
    batch = pa.record_batch([pa.array(values, actual_type)], ["a"])
    assert apply(schema_of(a=dtype), batch) is batch


# --- undeclared columns ---------------------------------------------------------------------------------

INNER = pa.struct([("p", pa.int64()), ("z", pa.int64())])
DECLARED = Object([Property("p", "long")])
UNDECLARED = {
    "column": ({"a": pa.int64(), "b.c": pa.int64()}, DataType.long, ["`b.c`"]),
    "struct": ({"a": INNER}, DECLARED, ["a.z"]),
    "list": ({"a": pa.list_(INNER)}, Array(DECLARED), ["a[].z"]),
    "fixed list": ({"a": pa.list_(INNER, 2)}, Array(DECLARED), ["a[].z"]),
    "map": ({"a": pa.map_(pa.string(), pa.large_list(INNER))}, Map(Array(DECLARED)), ["a[][].z"]),
    "dictionary": ({"a": pa.dictionary(pa.int8(), INNER)}, DECLARED, ["a.z"]),
    "struct in struct": (
        {"a": pa.struct([("o", INNER), ("y", pa.int8())])},
        Object([Property("o", DECLARED)]),
        ["a.o.z", "a.y"],
    ),
    "struct as map": ({"a": pa.struct([("k", INNER)])}, Map(DECLARED), ["a.k.z"]),
    "map as struct": ({"a": pa.map_(pa.string(), INNER)}, Object([Property("k", DECLARED)]), ["a.k.z"]),
    "nothing": ({"a": INNER}, Map("long"), []),
    "any": ({"a": INNER}, AnyType(), []),
}


@pytest.mark.parametrize(("actual_type", "dtype", "extra"), UNDECLARED.values(), ids=UNDECLARED)
def test_undeclared_columns_are_listed_or_forbidden(actual_type, dtype, extra):
    schema, arrow = schema_of(a=dtype), pa.schema(list(actual_type.items()))
    assert compile(schema, arrow).extra == tuple(extra)
    if not extra:
        assert compile(schema, arrow, extra="forbid").extra == ()
        return
    columns = [path for path in extra if not path.startswith("a")]
    assert lines(lambda: compile(schema, arrow, extra="forbid")) == [
        f"{path}: expected only declared columns, got an undeclared column [EXTRA_COLUMN]"
        if path in columns
        else f"{path}: expected only declared fields, got an undeclared field [UNKNOWN_KEY]"
        for path in extra
    ]


def test_forbidden_columns_are_reported_with_all_other_findings():
    arrow = pa.schema({"b": pa.int64(), "a": INNER, "c": pa.int64()})
    refusals = findings(lambda: compile(schema_of(a=DECLARED, c="string"), arrow, extra="forbid"))
    assert [(finding.code, finding.path) for finding in refusals] == [
        (Code.UNKNOWN_KEY, "a.z"),
        (Code.TYPE_MISMATCH, "c"),
        (Code.EXTRA_COLUMN, "b"),
    ]
    assert compile(schema_of(a=DECLARED), arrow).extra == ("b", "c", "a.z")


# --- by values: nulls and instants ----------------------------------------------------------------------


def nulls_at(rows, dtype, size=100):
    return pa.array([None if row in rows else 0 for row in range(size)]).cast(dtype)


def test_nulls_in_required_columns_are_counted_all_at_once():
    batch = pa.record_batch(
        {
            "flag": nulls_at({3}, pa.bool_()),
            "small": nulls_at({0, 99}, pa.int8()),
            "big": nulls_at(set(range(50, 57)), pa.int64()),
            "real": nulls_at({1}, pa.float64()),
            "text": nulls_at({1}, pa.string()),
        }
    )
    schema = schema_of(flag="boolean", small="integer", big="long", real="double", text="string")
    with pytest.raises(ContractError) as error:
        apply(schema, batch)
    assert str(error.value).splitlines() == [
        "a batch of 100 rows breaks the contract: 3 findings",
        "  - flag: expected boolean without nulls, got nulls, once, first in row 3 (declare it optional) "
        "[NULL_IN_REQUIRED]",
        "  - small: expected integer without nulls, got nulls, 2 times, first in rows 0, 99 "
        "(declare it optional, or double) [NULL_IN_REQUIRED]",
        "  - big: expected long without nulls, got nulls, 7 times, first in rows 50, 51, 52, 53, 54 "
        "(declare it optional, or double) [NULL_IN_REQUIRED]",
    ]


@pytest.mark.parametrize("dtype", DataType, ids=describe_case)
def test_null_is_governed_by_required(dtype):
    batch = pa.record_batch([pa.nulls(3, ARROW[dtype])], ["a"])
    optional, required = Schema([ColSpec(dtype, "a", False)]), schema_of(a=dtype)
    assert apply(optional, batch).equals(batch)
    assert apply(optional, batch, strict_nulls=True).equals(batch)
    codes = [finding.code for finding in findings(lambda: apply(required, batch, strict_nulls=True))]
    assert codes == [Code.NULL_IN_REQUIRED]
    if dtype in (DataType.boolean, DataType.integer, DataType.long):
        assert [finding.code for finding in findings(lambda: apply(required, batch))] == [
            Code.NULL_IN_REQUIRED
        ]
    else:
        assert apply(required, batch).equals(batch)


def test_nulls_of_a_slice_are_counted_from_its_start():
    batch = pa.record_batch({"a": nulls_at({3, 40}, pa.int32())}).slice(35, 10)
    [finding] = findings(lambda: apply(schema_of(a="long"), batch))
    assert (finding.count, finding.rows) == (1, (5,))


def test_timestamps_out_of_range_are_counted():
    times = [datetime.datetime(year, 1, 1) for year in (2000, 1, 2500, 9999)]
    batch = pa.record_batch(
        {
            "t": pa.array([*times, None], pa.timestamp("us")),
            "z": pa.array([*times[:2], None, None, None], pa.timestamp("s", "UTC")),
            "d": pa.array([time.date() for time in times] + [None], pa.date32()),
            "n": pa.array([0] * 4 + [None], pa.int64()),
        }
    )
    hint = "replace them or filter the rows: models receive timestamps in nanoseconds"
    far, text = (
        "expected timestamps from 1677-09-21 to 2262-04-11, got timestamps outside this range",
        f"({hint}) [OUT_OF_RANGE]",
    )
    assert lines(lambda: apply(schema_of(t="datetime", z="datetime", d="datetime", n="long"), batch)) == [
        f"t: {far}, 3 times, first in rows 1, 2, 3 {text}",
        f"z: {far}, once, first in row 1 {text}",
        f"d: {far}, 3 times, first in rows 1, 2, 3 {text}",
        "n: expected long without nulls, got nulls, once, first in row 4 (declare it optional, or double) "
        "[NULL_IN_REQUIRED]",
    ]


def test_unknown_zone_is_a_finding():
    batch = pa.record_batch([pa.array([0], pa.timestamp("us", "Mars/Olympus"))], ["a"])
    with pytest.raises(ContractError):
        apply(schema_of(a="datetime"), batch)


# --- costs ----------------------------------------------------------------------------------------------


def addresses(array):
    return [buffer.address if buffer is not None else 0 for buffer in array.buffers()]


@pytest.mark.parametrize("dtype", DataType, ids=describe_case)
@pytest.mark.parametrize("null", [False, True], ids=["full", "nulls"])
def test_a_column_of_its_type_is_handed_on_as_it_is(dtype, null):
    values = [0, 1, 2, None if null else 3]
    array = pa.array(values, pa.int64())
    array = (
        array.cast(pa.string()).cast(ARROW[dtype]) if dtype is DataType.binary else array.cast(ARROW[dtype])
    )
    array = array.slice(1)
    [enforced] = apply(Schema([ColSpec(dtype, "a", False)]), pa.record_batch([array], ["a"])).columns
    assert addresses(enforced) == addresses(array)
    assert (enforced.offset, len(enforced)) == (array.offset, len(array))


def test_nothing_is_allocated_where_nothing_is_converted():
    rows = 1_000_000
    batch = pa.record_batch({"a": np.arange(rows), "b": np.ones(rows), "t": np.zeros(rows, "datetime64[ns]")})
    plan = compile(schema_of(a="long", b="double", t="datetime"), batch.schema)
    before = pa.total_allocated_bytes()
    enforced = plan.apply(batch)
    assert pa.total_allocated_bytes() - before < rows
    assert enforced.num_rows == rows


def test_only_what_is_converted_is_copied():
    batch = pa.record_batch({"a": np.arange(5), "b": np.arange(5, dtype="int32")})
    enforced = apply(schema_of(b="double", a="long"), batch)
    assert addresses(enforced.column(1)) == addresses(batch.column(0))
    assert enforced.column(0).to_pylist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_the_batch_itself_is_left_alone():
    batch = pa.record_batch({"a": pa.array([1, None], pa.int8()), "t": pa.array([0, 1], pa.timestamp("s"))})
    twin = pa.RecordBatch.from_pydict(batch.to_pydict(), schema=batch.schema)
    apply(Schema([ColSpec("long", "a", False), ColSpec("datetime", "t")]), batch)
    assert batch.equals(twin)


def test_a_plan_is_compiled_once():
    def again(dtype="long", arrow="int32", metadata=None, **options):
        schema = pa.schema([pa.field("cached", arrow, metadata=metadata)], metadata=metadata)
        return compile(schema_of(cached=dtype), schema, **options)

    plan = again()
    assert isinstance(plan, Plan)
    assert again() is plan
    assert again(strict_nulls=False) is plan
    assert again(metadata={"comment": "of no effect"}) is plan
    other_plans = [
        again(strict_nulls=True),
        again(extra="forbid"),
        again(dtype="double"),
        again(arrow="int16"),
    ]
    assert all(other is not plan for other in other_plans)
    assert again() is plan


# --- no value of the data in any text -------------------------------------------------------------------

SECRET = 471147114711
TEXT = f"secret-{SECRET}"
INSTANT = datetime.datetime(2900, 4, 7, 11, 47, 11)


def column(*values, dtype=object):
    return pd.DataFrame({"a": pd.Series(list(values), dtype=dtype)})


LEAKS = {
    "text for a number": lambda: validate_schema(column(TEXT), schema_of(a="double")),
    "number for text": lambda: validate_schema(column(SECRET), schema_of(a="string")),
    "null beside it": lambda: validate_schema(column(SECRET, None, dtype="Int64"), schema_of(a="long")),
    "mixed objects": lambda: validate_schema(column(TEXT, SECRET), schema_of(a="string")),
    "mixed the other way": lambda: validate_schema(column(SECRET, TEXT), schema_of(a="long")),
    "beyond 64 bits": lambda: validate_schema(column(SECRET**3), schema_of(a="long")),
    "inexact beside a float": lambda: validate_schema(column(SECRET**2, 0.5), schema_of(a="double")),
    "decimal": lambda: validate_schema(column(decimal.Decimal(SECRET**3)), schema_of(a="double")),
    "instant": lambda: validate_schema(column(INSTANT, dtype="datetime64[us]"), schema_of(a="datetime")),
    "category": lambda: validate_schema(column(TEXT, dtype="category"), schema_of(a="double")),
    "sparse": lambda: validate_schema(
        pd.DataFrame({"a": pd.arrays.SparseArray([SECRET] * 3, fill_value=SECRET)}), schema_of(a="string")
    ),
    "dictionary": lambda: validate_schema(column({"key": TEXT}), schema_of(a="string")),
    "lists": lambda: validate_schema(column([TEXT]), schema_of(a="string")),
    "half a character": lambda: validate_schema(column(TEXT + "\ud800"), schema_of(a="string")),
    "whole numbers and NaN": lambda: validate_schema(
        column(SECRET, np.nan, dtype=float), schema_of(a="long")
    ),
    "arrow": lambda: enforce(pa.table({"a": [TEXT]}), schema_of(a="double")),
    "prediction": lambda: encode([TEXT], schema_of(a="double"), 1),
    "predictions of two kinds": lambda: encode([TEXT, SECRET], schema_of(a="double"), 2),
    "tensor": lambda: encode(np.array([TEXT]), Schema([TensorSpec(np.dtype("float64"), (-1,))]), 1),
    "single value": lambda: encode(SECRET, schema_of(a="string"), 1),
    "other names": lambda: encode({"b": [SECRET]}, schema_of(a="long"), 1),
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_errors_do_not_show_values(leak):
    with pytest.raises(SparksigError) as error:
        leak()
    texts = [
        str(error.value),
        repr(error.value),
        *(str(finding.to_dict()) for finding in error.value.findings),
    ]
    texts += traceback.format_exception(error.value)
    for text in texts:
        assert str(SECRET) not in text
        assert str(INSTANT.date()) not in text


@pytest.mark.parametrize("required", [True, False])
def test_a_name_that_no_arrow_column_can_have_is_missing(required):
    schema = Schema([ColSpec("long", "\ud800", required=required), ColSpec("long", "a")])
    table = pa.table({"a": [1]})
    if not required:
        assert (
            compile(schema, table.schema).columns
            == compile(Schema([ColSpec("long", "a")]), table.schema).columns
        )
        return
    with pytest.raises(ContractError, match="expected long, got no such column"):
        compile(schema, table.schema)
