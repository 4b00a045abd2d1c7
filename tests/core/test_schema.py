"""Columns, tensors and schemas: JSON, reprs, constructor checks, and what malformed JSON answers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import types as T

from sparksig.errors import ConversionError, SignatureError, SignatureTypeError
from sparksig.schema import ColSpec, Schema, TensorSpec, parse_tensor_metadata
from sparksig.types import MAX_DEPTH, AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from tests.cases import describe_case
from tests.core.helpers import attempt, copies, json_entries, json_values, nested, places
from tests.strategies import column_schemas, schemas, tensor_dtypes, tensor_schemas

F8 = np.dtype("float64")
OBJECT = Object([Property("x", "long"), Property("y", "string", required=False)])
OBJECT_JSON = (
    '{"type": "object", "properties": {"x": {"type": "long", "required": true}, '
    '"y": {"type": "string", "required": false}}'
)

# --- columns ------------------------------------------------------------------------------------------

COLUMNS = [
    (ColSpec("string"), "string (required)", '{"type": "string", "required": true}'),
    (ColSpec("long", "a"), "'a': long (required)", '{"type": "long", "name": "a", "required": true}'),
    (
        ColSpec("long", "a", required=False),
        "'a': long (optional)",
        '{"type": "long", "name": "a", "required": false}',
    ),
    (ColSpec("long", 0), "0: long (required)", '{"type": "long", "name": 0, "required": true}'),
    (ColSpec("long", ""), "'': long (required)", '{"type": "long", "name": "", "required": true}'),
    (ColSpec("long", "cls"), "'cls': long (required)", '{"type": "long", "name": "cls", "required": true}'),
    (
        ColSpec("long", "it's"),
        '"it\'s": long (required)',
        '{"type": "long", "name": "it\'s", "required": true}',
    ),
    (
        ColSpec("long", "ä"),
        "'ä': long (required)",
        '{"type": "long", "name": "\\u00e4", "required": true}',
    ),
    (
        ColSpec(Array("long"), "a"),
        "'a': Array(long) (required)",
        '{"type": "array", "items": {"type": "long"}, "name": "a", "required": true}',
    ),
    (
        ColSpec(OBJECT, "o", required=False),
        "'o': {x: long (required), y: string (optional)} (optional)",
        OBJECT_JSON + ', "name": "o", "required": false}',
    ),
    (
        ColSpec(Map("long"), "m"),
        "'m': Map(str -> DataType.long) (required)",
        '{"type": "map", "values": {"type": "long"}, "name": "m", "required": true}',
    ),
    (ColSpec(AnyType(), "x"), "'x': Any (required)", '{"type": "any", "name": "x", "required": true}'),
    (
        ColSpec(SparkMLVector(), "v"),
        "'v': SparkML vector (required)",
        '{"type": "sparkml_vector", "name": "v", "required": true}',
    ),
]


@pytest.mark.parametrize(("spec", "text", "data"), COLUMNS, ids=[text for _, text, _ in COLUMNS])
def test_a_column_has_its_repr_and_its_json(spec, text, data):
    assert repr(spec) == text
    assert json.dumps(spec.to_dict()) == data
    assert ColSpec.from_json_dict(**json.loads(data)) == spec
    assert Schema.from_json(f"[{data}]").inputs == ([spec] if spec.required or spec.name is not None else [])
    assert [other for other, _, _ in COLUMNS if other == spec] == [spec]
    assert len({spec, *copies(spec)}) == 1


def test_a_column_is_its_type_name_and_required():
    spec = ColSpec("long")
    assert (spec.type, spec.name, spec.required) == (DataType.long, None, True)
    assert ColSpec(DataType.long, name="a", required=False) == ColSpec("long", "a", False)
    assert ColSpec("long", "a") != ColSpec("long", "a", required=False)
    assert ColSpec("long", "a") != ColSpec("long", "b")
    assert ColSpec("long", 0) != ColSpec("long", "0")
    assert ColSpec("long", "a") != ColSpec("integer", "a")
    assert ColSpec("long", "a") != Property("a", "long")


@pytest.mark.parametrize("number", [np.int64(7), np.uint8(7)], ids=["int64", "uint8"])
@pytest.mark.parametrize(
    "build",
    [lambda name: ColSpec("long", name), lambda name: TensorSpec(F8, (1,), name)],
    ids=["column", "tensor"],
)
def test_numbers_of_numpy_are_names_as_numbers_of_python_are(build, number):
    spec = build(number)
    assert spec.name == 7
    assert type(spec.name) is int


@pytest.mark.parametrize("spec", [ColSpec("long", "a"), TensorSpec(F8, (1,), "a")], ids=["column", "tensor"])
def test_specs_cannot_be_changed(spec):
    with pytest.raises(FrozenInstanceError):
        spec.name = "b"
    with pytest.raises(FrozenInstanceError):
        del spec.type


@pytest.mark.parametrize("required", [None, 1, 0, "yes", np.True_], ids=repr)
def test_required_is_true_or_false(required):
    with pytest.raises(SignatureTypeError, match=r"^column 'a': required: expected True or False, got "):
        ColSpec("long", "a", required)


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: ColSpec("x", "a"), SignatureError, "^unknown type 'x': use one of boolean, "),
        (lambda: ColSpec("array", "a"), SignatureError, "^unknown type 'array': "),
        (lambda: ColSpec(1, "a"), SignatureTypeError, "^a type: expected .*, got a value of type int$"),
        (lambda: ColSpec(None, "a"), SignatureTypeError, "^a type: expected .*, got None$"),
    ],
    ids=["x", "array", "1", "None"],
)
def test_a_column_needs_a_type(build, error, text):
    with pytest.raises(error, match=text):
        build()


@pytest.mark.parametrize(
    "name",
    [("a", "b"), 1.5, True, np.True_, b"a", ["a"], np.datetime64("2020-01-01"), np.float64(1)],
    ids=describe_case,
)
@pytest.mark.parametrize(
    "build",
    [lambda name: ColSpec("long", name), lambda name: TensorSpec(F8, (1,), name)],
    ids=["column", "tensor"],
)
def test_a_name_is_a_string_or_an_integer(build, name):
    text = (
        "^a column's name: expected a string or an integer, "
        f"got a value of type {type(name).__name__}. Rename the column$"
    )
    with pytest.raises(SignatureTypeError, match=text):
        build(name)


# --- tensors ------------------------------------------------------------------------------------------

TENSORS = [
    (
        TensorSpec(F8, (-1, 3)),
        "Tensor('float64', (-1, 3))",
        '{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}',
    ),
    (
        TensorSpec(np.dtype("str"), [-1], "a"),
        "'a': Tensor('str', (-1,))",
        '{"name": "a", "type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}',
    ),
    (
        TensorSpec(np.dtype("bytes"), (), 0),
        "0: Tensor('bytes', ())",
        '{"name": 0, "type": "tensor", "tensor-spec": {"dtype": "bytes", "shape": []}}',
    ),
    (
        TensorSpec(np.dtype(object), (0, -1), "cls"),
        "'cls': Tensor('object', (0, -1))",
        '{"name": "cls", "type": "tensor", "tensor-spec": {"dtype": "object", "shape": [0, -1]}}',
    ),
    (
        TensorSpec(np.dtype("M8[s]"), (-1,)),
        "Tensor('datetime64[s]', (-1,))",
        '{"type": "tensor", "tensor-spec": {"dtype": "datetime64[s]", "shape": [-1]}}',
    ),
]


@pytest.mark.parametrize(("spec", "text", "data"), TENSORS, ids=[text for _, text, _ in TENSORS])
def test_a_tensor_has_its_repr_and_its_json(spec, text, data):
    assert repr(spec) == text
    assert json.dumps(spec.to_dict()) == data
    assert TensorSpec.from_json_dict(**json.loads(data)) == spec
    assert Schema.from_json(f"[{data}]").inputs == [spec]
    assert [other for other, _, _ in TENSORS if other == spec] == [spec]
    assert len({spec, *copies(spec)}) == 1


def test_a_tensor_is_its_dtype_shape_and_name_and_always_required():
    spec = TensorSpec(F8, [-1, 3], "a")
    assert (spec.type, spec.shape, spec.name, spec.required) == (F8, (-1, 3), "a", True)
    assert isinstance(spec.shape, tuple)
    assert spec != TensorSpec(F8, (-1, 3))
    assert spec != TensorSpec(F8, (-1, 4), "a")
    assert spec != TensorSpec(np.dtype("float32"), (-1, 3), "a")
    data = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [1]}, "required": True}
    assert TensorSpec.from_json_dict(**data) == TensorSpec(F8, (1,))
    with pytest.raises(SignatureError, match="required: expected true, got another value") as caught:
        TensorSpec.from_json_dict(**(data | {"required": False}))
    assert places(caught.value) == [("INVALID_VALUE", "required")]


def test_sizes_of_numpy_are_sizes_as_those_of_python_are():
    shape = np.zeros((3, 4)).shape
    spec = TensorSpec(F8, (np.int64(-1), np.uint8(3), *shape))
    assert spec.shape == (-1, 3, 3, 4)
    assert all(type(size) is int for size in spec.shape)
    assert json.dumps(spec.to_dict()).endswith('"shape": [-1, 3, 3, 4]}}')


@pytest.mark.parametrize("code", ["i2", "i4", "u8", "f2", "f4", "f8", "c16", "M8[ns]", "m8[s]"])
def test_byte_order_is_no_part_of_the_contract(code):
    little, big = (TensorSpec(np.dtype(order + code), (-1,)) for order in "<>")
    assert little == big
    assert hash(little) == hash(big)
    assert big.type.isnative
    assert Schema.from_json(Schema([big]).to_json()) == Schema([little])


@given(tensor_dtypes)
def test_every_dtype_comes_back_by_its_name(dtype):
    spec = TensorSpec(dtype, (-1,))
    assert spec.type == dtype
    assert TensorSpec.from_json_dict(**spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (float, "^a tensor's type: expected a NumPy dtype, got a value of type type$"),
        ("float64", "^a tensor's type: expected a NumPy dtype, got a value of type str$"),
        (np.float64, "^a tensor's type: expected a NumPy dtype, got a value of type type$"),
        (DataType.double, "^a tensor's type: expected a NumPy dtype, got a value of type DataType$"),
        (None, "^a tensor's type: expected a NumPy dtype, got None$"),
    ],
    ids=["float", "str", "np.float64", "double", "None"],
)
def test_a_tensor_needs_a_dtype(dtype, text):
    with pytest.raises(SignatureTypeError, match=text):
        TensorSpec(dtype, (-1,))


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("U10", r"^strings of a tensor have no fixed size: use np\.dtype\('str'\)$"),
        (">U1", r"^strings of a tensor have no fixed size: use np\.dtype\('str'\)$"),
        ("S10", r"^strings of a tensor have no fixed size: use np\.dtype\('bytes'\)$"),
        (
            [("a", "i4"), ("b", "f8")],
            r"^JSON cannot represent the NumPy dtype .*'a'.*$",
        ),
        ("V8", r"^JSON cannot represent the NumPy dtype .*V8$"),
        ("(2,3)f4", "^JSON cannot represent the NumPy dtype .*$"),
        pytest.param(
            "T",
            "^JSON cannot represent the NumPy dtype StringDType.*$",
            marks=pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="came with NumPy 2"),
        ),
    ],
    ids=["U10", "big-endian-U1", "S10", "structured", "void", "subarray", "StringDType"],
)
def test_a_dtype_without_a_name_is_refused(dtype, text):
    with pytest.raises(SignatureError, match=text):
        TensorSpec(np.dtype(dtype), (-1,))


@pytest.mark.parametrize(
    ("shape", "error", "text"),
    [
        (3, SignatureTypeError, "^a tensor's shape: expected a tuple or a list, got a value of type int$"),
        (None, SignatureTypeError, "^a tensor's shape: expected a tuple or a list, got None$"),
        ("12", SignatureTypeError, "^a tensor's shape: expected a tuple or a list, got a value of type str$"),
        (np.array([1]), SignatureTypeError, "a tuple or a list, got a value of type ndarray$"),
        (("a", None), SignatureError, r"^a tensor's shape: expected integers, got \['a', None\]$"),
        ((1.0,), SignatureError, r"^a tensor's shape: expected integers, got \[1\.0\]$"),
        ((-2,), SignatureError, r"^a tensor's shape: expected sizes, or -1 for any size, got \[-2\]$"),
        (
            (True, 2),
            SignatureError,
            r"^a tensor's shape: expected sizes, or -1 for any size, got \[True, 2\]$",
        ),
    ],
    ids=["int", "None", "str", "ndarray", "junk", "float", "-2", "bool"],
)
def test_a_shape_is_made_of_sizes(shape, error, text):
    with pytest.raises(error, match=text):
        TensorSpec(F8, shape)


# --- schemas ------------------------------------------------------------------------------------------

NAMED = Schema([ColSpec("long", "a"), ColSpec("string", "b", required=False), ColSpec("double", "")])
UNNAMED = Schema([ColSpec("long"), ColSpec(Array("string"))])
TENSOR = Schema([TensorSpec(F8, (-1, 3))])
TENSORS_NAMED = Schema([TensorSpec(F8, (-1,), "x"), TensorSpec(np.dtype("str"), (-1,), "y")])


def test_the_json_of_a_schema():
    assert Schema([ColSpec("long", "a")]).to_json() == '[{"type": "long", "name": "a", "required": true}]'
    assert UNNAMED.to_json() == (
        '[{"type": "long", "required": true}, '
        '{"type": "array", "items": {"type": "string"}, "required": true}]'
    )
    assert TENSOR.to_dict() == [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]


def test_the_repr_of_a_schema_is_that_of_its_list():
    assert repr(NAMED) == "['a': long (required), 'b': string (optional), '': double (required)]"
    assert repr(TENSOR) == "[Tensor('float64', (-1, 3))]"


@pytest.mark.parametrize(
    ("schema", "tensors", "named", "names", "required", "optional"),
    [
        (NAMED, False, True, ["a", "b", ""], ["a", ""], ["b"]),
        (UNNAMED, False, False, [0, 1], [0, 1], []),
        (TENSOR, True, False, [0], [0], []),
        (TENSORS_NAMED, True, True, ["x", "y"], ["x", "y"], []),
    ],
    ids=["named", "unnamed", "tensor", "named-tensors"],
)
def test_what_a_schema_says_of_itself(schema, tensors, named, names, required, optional):
    assert schema.is_tensor_spec() is tensors
    assert schema.has_input_names() is named
    assert schema.input_names() == names
    assert schema.required_input_names() == required
    assert schema.optional_input_names() == optional
    assert len(schema) == len(schema.inputs) == len(names)
    assert list(schema) == schema.inputs
    assert schema.input_types() == [spec.type for spec in schema]


def test_the_dictionaries_of_a_schema():
    assert NAMED.input_dict() == {"a": NAMED.inputs[0], "b": NAMED.inputs[1], "": NAMED.inputs[2]}
    assert NAMED.input_types_dict() == {"a": DataType.long, "b": DataType.string, "": DataType.double}
    assert TENSORS_NAMED.input_types_dict() == {"x": F8, "y": np.dtype("str")}


@pytest.mark.parametrize("schema", [UNNAMED, TENSOR], ids=["columns", "tensor"])
@pytest.mark.parametrize("method", ["input_dict", "input_types_dict"])
def test_a_schema_without_names_has_no_dictionary(schema, method):
    with pytest.raises(
        SignatureError, match=r"^the columns have no names: use the list inputs of the schema$"
    ):
        getattr(schema, method)()


SCALARS = Schema([ColSpec(dtype, dtype.name) for dtype in DataType])


def test_numpy_and_pandas_types():
    names = ["bool", "int32", "int64", "float32", "float64", "str", "bytes", "datetime64[ns]"]
    assert SCALARS.numpy_types() == [np.dtype(name) for name in names]
    objects = [name if name not in ("str", "bytes") else "object" for name in names]
    assert SCALARS.pandas_types() == [np.dtype(name) for name in objects]
    assert TENSORS_NAMED.numpy_types() == [F8, np.dtype("str")]


@pytest.mark.parametrize("method", ["numpy_types", "pandas_types"])
def test_all_columns_without_a_dtype_are_reported_at_once(method):
    columns = {"a.b": Array("string"), "c": "long", "d": AnyType(), "e": Map("long")}
    schema = Schema([ColSpec(dtype, name) for name, dtype in columns.items()])
    with pytest.raises(ConversionError, match=r"^no dtype for some columns: 3 findings\n") as caught:
        getattr(schema, method)()
    assert places(caught.value) == [("UNSUPPORTED_TYPE", path) for path in ("`a.b`", "d", "e")]
    assert "NumPy has no dtype for Array(string): only scalar types have one" in str(caught.value)


def test_a_tensor_has_no_dtype_in_pandas():
    with pytest.raises(
        ConversionError, match=r"a tensor is not a column: pandas has no dtype for it"
    ) as caught:
        TENSORS_NAMED.pandas_types()
    assert places(caught.value) == [("UNSUPPORTED_TYPE", "x"), ("UNSUPPORTED_TYPE", "y")]


def test_as_spark_schema():
    spark = [
        T.BooleanType(), T.IntegerType(), T.LongType(), T.FloatType(), T.DoubleType(), T.StringType(),
        T.BinaryType(), T.TimestampType(),
    ]  # fmt: skip
    table = SCALARS.as_spark_schema()
    assert [field.dataType for field in table] == spark
    assert table.names == [dtype.name for dtype in DataType]
    assert [field.nullable for field in NAMED.as_spark_schema()] == [False, True, False]
    assert Schema([ColSpec("long")]).as_spark_schema() == T.LongType()
    assert isinstance(Schema([ColSpec("long", "a")]).as_spark_schema(), T.StructType)
    assert UNNAMED.as_spark_schema().names == ["0", "1"]
    nested_types = Schema([ColSpec(Array(OBJECT), "a"), ColSpec(Map("long"), "m")]).as_spark_schema()
    assert nested_types["a"].dataType.elementType.names == ["x", "y"]
    assert nested_types["m"].dataType.keyType == T.StringType()


def test_a_schema_is_a_value():
    again = Schema.from_json(NAMED.to_json())
    assert again == NAMED
    assert hash(again) == hash(NAMED)
    assert Schema(NAMED.inputs[::-1]) != NAMED
    assert NAMED.inputs != NAMED
    assert Schema(NAMED.inputs[:2]) != NAMED


def test_a_schema_cannot_be_changed():
    inputs = NAMED.inputs
    schema = Schema(inputs)
    inputs.append(ColSpec("long", "z"))
    schema.inputs.clear()
    assert schema == NAMED
    with pytest.raises(
        AttributeError, match=r"^a Schema is immutable: cannot set 'inputs'\. Create a new Schema$"
    ):
        schema.inputs = []
    with pytest.raises(AttributeError, match="cannot set '_inputs'"):
        schema._inputs = ()


@pytest.mark.parametrize(
    ("inputs", "error", "text"),
    [
        (None, SignatureTypeError, "^Schema: expected a list of ColSpec or TensorSpec, got None$"),
        ((ColSpec("long"),), SignatureTypeError, "list of ColSpec or TensorSpec, got a value of type tuple$"),
        (ColSpec("long"), SignatureTypeError, "list of ColSpec or TensorSpec, got a value of type ColSpec$"),
        ([], SignatureError, "^a Schema needs at least one column or tensor$"),
        (
            [ColSpec("long"), "long"],
            SignatureTypeError,
            "^Schema: expected a list of ColSpec or TensorSpec, got a value of type str at position 1$",
        ),
        ([None], SignatureTypeError, "got None at position 0$"),
        (
            [ColSpec("long", "a"), TensorSpec(F8, (1,), "b")],
            SignatureError,
            "^a Schema has columns or tensors, not both$",
        ),
        (
            [ColSpec("long", "a"), ColSpec("long"), ColSpec("long", "")],
            SignatureError,
            "^either all specs of a Schema have names, or none: 1 of 3 have no name$",
        ),
        (
            [TensorSpec(F8, (1,)), TensorSpec(F8, (2,))],
            SignatureError,
            "^several tensors need names: only a single tensor can be unnamed$",
        ),
        (
            [ColSpec("long"), ColSpec("long", required=False)],
            SignatureError,
            "^an unnamed column must be required: give it a name to make it optional$",
        ),
    ],
    ids=[
        "none", "tuple", "spec", "empty", "str-element", "none-element", "mixed", "half-named", "tensors",
        "unnamed-optional",
    ],
)  # fmt: skip
def test_what_is_no_schema_is_refused(inputs, error, text):
    with pytest.raises(error, match=text):
        Schema(inputs)


@pytest.mark.parametrize(
    "build",
    [lambda name: ColSpec("long", name), lambda name: TensorSpec(F8, (1,), name)],
    ids=["columns", "tensors"],
)
def test_duplicate_names_are_refused_each_as_a_finding(build):
    names = ["b", "a", "b", "x.y", 0, "a", "x.y", "c", 0, "b"]
    with pytest.raises(SignatureError, match=r"^a Schema has duplicate names: 4 findings\n") as caught:
        Schema([build(name) for name in names])
    paths = [path for _, path in places(caught.value)]
    assert sorted(paths) == ["0", "`x.y`", "a", "b"]
    assert {code for code, _ in places(caught.value)} == {"DUPLICATE_NAME"}
    assert "expected one column of that name, got several [DUPLICATE_NAME]" in str(caught.value)


def test_names_differ_by_case_and_kind():
    assert Schema([ColSpec("long", name) for name in ("a", "A", "0", 0, "")]).input_names() == [
        "a", "A", "0", 0, "",
    ]  # fmt: skip


# --- JSON that is not as it should be -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "data"), [(spec, data) for spec, _, data in COLUMNS if spec.required], ids=lambda v: ""
)
@pytest.mark.parametrize("required", [{}, {"required": None}], ids=["absent", "null"])
def test_a_column_is_required_unless_the_json_says_otherwise(spec, data, required):
    entry = {key: value for key, value in json.loads(data).items() if key != "required"} | required
    assert Schema.from_json(json.dumps([entry])) == Schema([spec])
    assert ColSpec.from_json_dict(**entry) == spec


@pytest.mark.parametrize(
    "entry",
    [json.loads(data) for _, _, data in [*COLUMNS, *TENSORS]],
    ids=[text for _, text, _ in [*COLUMNS, *TENSORS]],
)
def test_unknown_keys_are_refused(entry):
    if "name" in entry or entry.get("required", True):
        strange = entry | {"doc": "x", "cls": 1, "defualt": None}
        with pytest.raises(SignatureError, match=r"^malformed signature JSON: 3 findings") as caught:
            Schema.from_json(json.dumps([strange]))
        assert [finding.path.rpartition(".")[2] for finding in caught.value.findings] == [
            "doc",
            "cls",
            "defualt",
        ]


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            {"type": "long", "name": "a", "requierd": False},
            "a.requierd: expected one of the keys type, required, optional, name, got an unknown key "
            "(did you mean 'required'?) [UNKNOWN_KEY]",
        ),
        (
            {"type": "array", "items": {"type": "long", "name": "b"}, "name": "a"},
            "a[].name: expected one of the keys type, got an unknown key [UNKNOWN_KEY]",
        ),
        (
            {"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [1], "shpae": [2]}, "name": "t"},
            "t.tensor-spec.shpae: expected one of the keys dtype, shape, got an unknown key "
            "(did you mean 'shape'?) [UNKNOWN_KEY]",
        ),
        (
            {"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [1]}, "nmae": "t"},
            "[0].nmae: expected one of the keys type, tensor-spec, name, required, got an unknown key "
            "(did you mean 'name'?) [UNKNOWN_KEY]",
        ),
    ],
    ids=["column", "items", "tensor-spec", "tensor"],
)
def test_an_unknown_key_is_named_with_the_key_most_like_it(entry, line):
    with pytest.raises(SignatureError) as caught:
        Schema.from_json(json.dumps([entry]))
    assert str(caught.value) == f"malformed signature JSON: 1 finding\n  - {line}"


@pytest.mark.parametrize(
    ("spec", "data"), [(spec, data) for spec, _, data in COLUMNS if spec.name is not None], ids=lambda v: ""
)
@pytest.mark.parametrize("optional", [True, False])
def test_optional_columns_of_mlflow_2_5_to_2_9_are_optional(spec, data, optional):
    entry = {key: value for key, value in json.loads(data).items() if key != "required"}
    read = Schema.from_json(json.dumps([entry | {"optional": optional}]))
    assert read == Schema([ColSpec(spec.type, spec.name, required=not optional)])
    assert "optional" not in read.to_json()


@pytest.mark.parametrize(
    ("entry", "place", "text"),
    [
        (3, ("INVALID_VALUE", "[0]"), "expected a JSON object, got a value of type int"),
        (None, ("INVALID_VALUE", "[0]"), "expected a JSON object, got None"),
        ({}, ("MISSING_KEY", "[0]"), 'expected the key "type", got keys []'),
        ({"name": "a"}, ("MISSING_KEY", "a"), "a: expected the key \"type\", got keys ['name']"),
        ({"name": "a.b"}, ("MISSING_KEY", "`a.b`"), 'the key "type"'),
        ({"name": "a", "type": "x"}, ("INVALID_VALUE", "a"), "expected one of boolean, integer, "),
        ({"name": "a", "type": "long", "required": 1}, ("INVALID_VALUE", "a.required"), "true or false"),
        ({"name": 1.5, "type": "long"}, ("INVALID_VALUE", "`1.5`"), "a column's name: expected a string or"),
        ({"name": ["a"], "type": "long"}, ("INVALID_VALUE", "`['a']`"), "got a value of type list"),
        ({"name": True, "type": "long"}, ("INVALID_VALUE", "True"), "got a value of type bool"),
        (
            {"name": "a", "type": "array", "items": {"type": "map", "values": {}}},
            ("MISSING_KEY", "a[][]"),
            'the key "type"',
        ),
        (
            {"type": "tensor"},
            ("INVALID_VALUE", "[0]"),
            'expected "type": "tensor" and a "tensor-spec" with dtype and shape, got something else',
        ),
        ({"type": "tensor", "tensor-spec": [], "name": "t"}, ("INVALID_VALUE", "t"), "something else"),
        ({"type": "tensor", "tensor-spec": {"dtype": "int8"}}, ("INVALID_VALUE", "[0]"), "something else"),
        ({"type": "tensor", "tensor-spec": {"shape": [1]}}, ("INVALID_VALUE", "[0]"), "something else"),
        (
            {"type": "tensor", "tensor-spec": {"dtype": "nope", "shape": [1]}, "name": "t"},
            ("INVALID_VALUE", "t"),
            "t: expected the name of a NumPy dtype, got 'nope'",
        ),
        (
            {"type": "tensor", "tensor-spec": {"dtype": None, "shape": [1]}},
            ("INVALID_VALUE", "[0]"),
            "expected the name of a NumPy dtype, got None",
        ),
        (
            {"type": "tensor", "tensor-spec": {"dtype": "void32", "shape": [1]}},
            ("INVALID_VALUE", "[0]"),
            "the name of a NumPy dtype, got 'void32'",
        ),
        (
            {"type": "tensor", "tensor-spec": {"dtype": "i4,f8", "shape": [1]}},
            ("INVALID_VALUE", "[0]"),
            "expected the name of a NumPy dtype, got 'i4,f8'",
        ),
        (
            {"type": "tensor", "tensor-spec": {"dtype": "U5", "shape": [1]}},
            ("INVALID_VALUE", "[0]"),
            "expected the name of a NumPy dtype, got 'U5'",
        ),
        (
            {"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": 3}, "name": "t"},
            ("INVALID_VALUE", "t"),
            "a tensor's shape: expected a tuple or a list, got a value of type int",
        ),
        (
            {"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [1.5]}},
            ("INVALID_VALUE", "[0]"),
            "a tensor's shape: expected integers, got [1.5]",
        ),
    ],
    ids=lambda v: json.dumps(v) if not isinstance(v, (str, tuple)) else "",
)
def test_a_malformed_entry_is_a_finding_with_its_path(entry, place, text):
    with pytest.raises(SignatureError, match=r"^malformed signature JSON: 1 finding\n") as caught:
        Schema.from_json(json.dumps([entry]))
    assert places(caught.value) == [place]
    assert text in str(caught.value)


def test_all_malformed_entries_are_reported_at_once():
    entries = [
        {"name": "a", "type": "x"},
        {"name": "b", "type": "long"},
        {"type": "object", "properties": {"p": {"type": "y"}, "q": {}}, "name": "c"},
        None,
        {"type": "tensor", "name": "t"},
        {"name": "d", "type": "long", "required": "no"},
        {"name": {}, "type": "long"},
    ]
    with pytest.raises(SignatureError, match=r"^malformed signature JSON: 7 findings\n") as caught:
        Schema.from_json(json.dumps(entries))
    assert places(caught.value) == [
        ("INVALID_VALUE", "a"),
        ("INVALID_VALUE", "c.p"),
        ("MISSING_KEY", "c.q"),
        ("INVALID_VALUE", "[3]"),
        ("INVALID_VALUE", "t"),
        ("INVALID_VALUE", "d.required"),
        ("INVALID_VALUE", "{}"),
    ]


def test_a_column_can_be_wrong_in_two_ways_at_once():
    with pytest.raises(SignatureError) as caught:
        Schema.from_json('[{"name": "a", "type": "x", "required": 1}]')
    assert places(caught.value) == [("INVALID_VALUE", "a"), ("INVALID_VALUE", "a.required")]


@pytest.mark.parametrize(
    ("build", "place"),
    [
        (lambda: ColSpec.from_json_dict(), ("MISSING_KEY", "")),
        (lambda: ColSpec.from_json_dict(type="x"), ("INVALID_VALUE", "")),
        (lambda: ColSpec.from_json_dict(type="long", required=1), ("INVALID_VALUE", "required")),
        (lambda: TensorSpec.from_json_dict(), ("INVALID_VALUE", "")),
        (lambda: TensorSpec.from_json_dict(type="long"), ("INVALID_VALUE", "")),
        (
            lambda: TensorSpec.from_json_dict(
                **{"type": "tensor", "tensor-spec": {"dtype": 1, "shape": [1]}}
            ),
            ("INVALID_VALUE", ""),
        ),
    ],
    ids=["nothing", "unknown-type", "required", "no-tensor", "column-as-tensor", "dtype"],
)
def test_from_json_dict_refuses(build, place):
    with pytest.raises(SignatureError, match=r"^malformed signature JSON: 1 finding\n") as caught:
        build()
    assert places(caught.value) == [place]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", SignatureError, "^invalid JSON of a schema: Expecting value"),
        ("[", SignatureError, "^invalid JSON of a schema: Expecting value"),
        ("[{]", SignatureError, "^invalid JSON of a schema: Expecting property name"),
        (b"\xff\xff", SignatureError, "^invalid JSON of a schema: 'utf-"),
        ("1" * 5000, SignatureError, "^invalid JSON of a schema: Exceeds the limit"),
        ("{}", SignatureError, "^the JSON of a schema: expected a list, got a value of type dict$"),
        ("null", SignatureError, "^the JSON of a schema: expected a list, got None$"),
        ('"a"', SignatureError, "^the JSON of a schema: expected a list, got a value of type str$"),
        ("NaN", SignatureError, "^the JSON of a schema: expected a list, got a value of type float$"),
        (None, SignatureTypeError, "^the JSON of a schema: expected a string, got None$"),
        ([], SignatureTypeError, "^the JSON of a schema: expected a string, got a value of type list$"),
        ("[]", SignatureError, "^a Schema needs at least one column or tensor$"),
        (
            '[{"type": "long", "name": "a"}, '
            '{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": []}, "name": "b"}]',
            SignatureError,
            "^a Schema has columns or tensors, not both$",
        ),
        (
            '[{"type": "long", "name": "a"}, {"type": "long", "name": "a"}]',
            SignatureError,
            "^a Schema has duplicate names: 1 finding\n  - a: expected one column",
        ),
        (
            '[{"type": "any", "required": false}]',
            SignatureError,
            "^an unnamed column must be required",
        ),
    ],
    ids=[
        "empty-text", "cut", "not-json", "not-utf8", "huge-number", "dict", "null", "str", "nan", "None",
        "python-list", "empty", "mixed", "duplicates", "unnamed-optional",
    ],
)  # fmt: skip
def test_text_that_is_no_schema_is_refused(text, error, message):
    with pytest.raises(error, match=message):
        Schema.from_json(text)


def test_bytes_are_read_as_text():
    assert Schema.from_json(NAMED.to_json().encode()) == NAMED


@pytest.mark.parametrize("levels", [10_000, 100_000])
@pytest.mark.parametrize(
    ("head", "tail"),
    [
        ("[", "]"),
        ('{"type": "array", "items": ', "}"),
        ('{"type": "map", "values": ', "}"),
        ('{"type": "object", "properties": {"a": ', "}}"),
    ],
    ids=["lists", "array", "map", "object"],
)
def test_json_nested_without_end_is_refused_without_a_crash(head, tail, levels):
    text = "[" + head * levels + '{"type": "long"}' + tail * levels + "]"
    with pytest.raises(SignatureError, match=r"^invalid JSON of a schema: nested too deeply$"):
        Schema.from_json(text)


@pytest.mark.parametrize("levels", [MAX_DEPTH, 300])
def test_types_nested_too_deep_are_a_finding(levels):
    data = nested(levels, lambda inner: {"type": "array", "items": inner}, {"type": "long"})
    with pytest.raises(SignatureError, match="at most 100 levels of nesting, got more") as caught:
        Schema.from_json(json.dumps([data | {"name": "a"}, {"name": "b", "type": "x"}]))
    assert places(caught.value) == [("INVALID_VALUE", "a" + "[]" * 100), ("INVALID_VALUE", "b")]


# What np.dtype makes of a text is not for texts from outside: it evaluates, warns, and even crashes.
@pytest.mark.parametrize(
    "dtype",
    [
        "a", "a5", "\ud800", "\x00", "i4,(", "(,)", "(1", "(-1,)f4", "(999999999999,)f8", "01n", "8)n",
        "1[a}", "datetime64[ns/3]", "M8[0s]", "datetime64[", "T", "StringDType()", ",", "=", "", "float64 ",
        "{'names': ['a'], 'formats': ['i4']}", "U99999999999",
    ],
    ids=ascii,
)  # fmt: skip
def test_the_name_of_a_dtype_may_be_hostile(dtype):
    entry = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [1]}}
    with pytest.raises(SignatureError) as caught:
        Schema.from_json(json.dumps([entry]))
    assert places(caught.value) == [("INVALID_VALUE", "[0]")]


@pytest.mark.parametrize("dtype", ["M8[s/0]", "2T"])
def test_the_name_of_a_dtype_may_crash_numpy_but_not_us(dtype):
    entry = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [1]}}
    code = (
        "import sys\n"
        "from sparksig.errors import SignatureError\n"
        "from sparksig.schema import Schema\n"
        "try:\n"
        "    Schema.from_json(sys.argv[1])\n"
        "except SignatureError:\n"
        "    print('refused')\n"
    )
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-c", code, json.dumps([entry])],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stdout.strip()) == (0, "refused"), child.stderr


# --- tensors in the metadata of a field ---------------------------------------------------------------


@given(tensor_dtypes, st.sampled_from(["a", "", "a.b", "cls"]))
def test_a_tensor_is_read_from_the_metadata_of_a_field(dtype, name):
    text = json.dumps(TensorSpec(dtype, (-1, 3)).to_dict())
    assert parse_tensor_metadata(text, name) == TensorSpec(dtype, (-1, 3), name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "expected the JSON of a tensor in the field's metadata, got something else"),
        (5, "expected the JSON of a tensor in the field's metadata, got something else"),
        ("{", "expected the JSON of a tensor in the field's metadata, got something else"),
        ("[" * 10_000, "expected the JSON of a tensor in the field's metadata, got something else"),
        ("[]", "expected the JSON of a tensor in the field's metadata, got something else"),
        (
            json.dumps(TensorSpec(F8, (1,), "b").to_dict()),
            "expected the JSON of a tensor in the field's metadata, got something else",
        ),
        ("{}", 'expected "type": "tensor" and a "tensor-spec" with dtype and shape, got something else'),
        (
            '{"type": "tensor", "tensor-spec": {"dtype": "nope", "shape": [1]}}',
            "expected the name of a NumPy dtype, got 'nope'",
        ),
        (
            '{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": 3}}',
            "got an invalid entry (a tensor's shape: expected a tuple or a list, got a value of type int",
        ),
        (
            '{"type": "tensor", "tensor-spec": {"dtype": "U5", "shape": [3]}}',
            "expected the name of a NumPy dtype, got 'U5'",
        ),
    ],
    ids=["none", "int", "cut", "deep", "list", "named", "empty", "dtype", "shape", "sized"],
)
def test_metadata_that_describes_no_tensor_is_refused(text, message):
    with pytest.raises(SignatureError, match=r"^malformed .*: 1 finding\n") as caught:
        parse_tensor_metadata(text, "a.b")
    assert places(caught.value) == [("INVALID_VALUE", "`a.b`")]
    assert message in str(caught.value)


# --- laws ---------------------------------------------------------------------------------------------


@given(schemas)
def test_json_round_trip(schema):
    read = Schema.from_json(schema.to_json())
    assert read == schema
    assert hash(read) == hash(schema)
    assert repr(read) == repr(schema)
    assert json.loads(schema.to_json()) == schema.to_dict()
    for spec in schema:
        assert type(spec).from_json_dict(**spec.to_dict()) == spec


@given(schemas)
def test_copies_are_equal(schema):
    for copied in [*copies(schema), Schema(schema.inputs)]:
        assert copied == schema
        assert repr(copied) == repr(schema)


@given(st.one_of(column_schemas(), tensor_schemas()))
def test_names_are_required_or_optional(schema):
    required, optional = schema.required_input_names(), schema.optional_input_names()
    assert [name for name in schema.input_names() if name in required] == required
    assert [name for name in schema.input_names() if name in optional] == optional
    assert len(required) + len(optional) == len(schema)
    assert schema.has_input_names() or not optional


@given(st.one_of(json_values, st.lists(st.one_of(json_entries(), json_values), max_size=3)))
def test_only_signature_errors_come_out_of_hostile_json(data):
    result = attempt(Schema.from_json, json.dumps(data))
    if not isinstance(result, SignatureError):
        assert Schema.from_json(result.to_json()) == result


def test_a_schema_is_read_from_ddl():
    schema = Schema.from_ddl("id bigint NOT NULL, tags array<string>, `odd name` double")
    assert repr(schema) == (
        "['id': long (required), 'tags': Array(string) (optional), 'odd name': double (optional)]"
    )
    with pytest.raises(SignatureError, match="malformed DDL"):
        Schema.from_ddl("id bigint not")
    with pytest.raises(ConversionError, match="no signature for this DDL"):
        Schema.from_ddl("id bignit")
