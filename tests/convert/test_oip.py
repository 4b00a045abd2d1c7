"""Signatures -> metadata of the Open Inference Protocol: its rules as properties, every loss listed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from sparksig.convert.oip import LOST_TO_OIP, PLATFORM, find_losses_in_oip, to_oip
from sparksig.errors import Code, ConversionError
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, DataType, Map, SparkMLVector
from tests.cases import describe_case
from tests.convert.helpers import codes
from tests.strategies import signatures

DATATYPES = {"BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"}
DATATYPES |= {"FP16", "FP32", "FP64", "BYTES"}


def metadata_of(signature):
    try:
        return to_oip(signature, name="m"), None
    except ConversionError as error:
        return None, error


@given(signatures())
def test_the_protocols_rules(signature):
    metadata, error = metadata_of(signature)
    if error:
        assert {finding.code for finding in error.findings} <= {Code.DUPLICATE_NAME, Code.UNSUPPORTED_TYPE}
        return
    assert list(metadata) == ["name", "platform", "inputs", "outputs"]
    for side in ("inputs", "outputs"):
        declared = getattr(signature, side)
        assert len(metadata[side]) == len(declared or [])
        for tensor in metadata[side]:
            assert list(tensor) == ["name", "datatype", "shape"]
            assert isinstance(tensor["name"], str)
            assert tensor["datatype"] in DATATYPES
            assert all(type(size) is int and size >= -1 for size in tensor["shape"])
        assert len({tensor["name"] for tensor in metadata[side]}) == len(metadata[side])


def test_a_whole_model():
    signature = ModelSignature(
        Schema([ColSpec("long", "id"), ColSpec("string", "text")]),
        Schema([TensorSpec(np.dtype("float32"), (-1, 3))]),
    )
    assert to_oip(signature, name="m", versions=["1", "2"], platform="sklearn_skops") == {
        "name": "m",
        "versions": ["1", "2"],
        "platform": "sklearn_skops",
        "inputs": [
            {"name": "id", "datatype": "INT64", "shape": [-1]},
            {"name": "text", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [{"name": "output-0", "datatype": "FP32", "shape": [-1, 3]}],
    }
    assert to_oip(signature.inputs, name="m") == {
        "name": "m",
        "platform": PLATFORM,
        "inputs": to_oip(signature, name="m")["inputs"],
        "outputs": [],
    }


EXACT = {
    DataType.boolean: "BOOL",
    DataType.integer: "INT32",
    DataType.long: "INT64",
    DataType.float: "FP32",
    DataType.double: "FP64",
    **{np.dtype(f"int{bits}"): f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{np.dtype(f"uint{bits}"): f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{np.dtype(f"float{bits}"): f"FP{bits}" for bits in (16, 32, 64)},
    np.dtype("bool"): "BOOL",
}


@pytest.mark.parametrize("dtype", EXACT, ids=describe_case)
def test_datatypes_that_lose_nothing(dtype):
    tensor = isinstance(dtype, np.dtype)
    spec = TensorSpec(dtype, (2, -1, 3), "a") if tensor else ColSpec(dtype, "a")
    signature = ModelSignature(Schema([spec]), Schema([spec]))
    [made] = to_oip(signature, name="m")["outputs"]
    assert made == {"name": "a", "datatype": EXACT[dtype], "shape": [2, -1, 3] if tensor else [-1]}
    assert find_losses_in_oip(signature) == []


def test_all_findings_at_once():
    twins = Schema([ColSpec("long", 1), ColSpec("long", "1")])
    tensors = Schema(
        [TensorSpec(np.dtype("complex128"), (-1,), "z"), TensorSpec(np.dtype("int8"), (-1,), "i")]
    )
    with pytest.raises(
        ConversionError, match="no metadata of the Open Inference Protocol: 2 findings"
    ) as error:
        to_oip(ModelSignature(twins, tensors), name="m")
    assert codes(error) == [("inputs.1", Code.DUPLICATE_NAME), ("outputs.z", Code.UNSUPPORTED_TYPE)]


def test_no_contract():
    with pytest.raises(
        ConversionError, match="to_oip: expected a ModelSignature or a Schema, got a value of type str"
    ):
        to_oip("inputs", name="m")


# --- losses -------------------------------------------------------------------------------------------------


def lost(schema):
    """Return the losses of a model that returns doubles."""
    losses = find_losses_in_oip(ModelSignature(schema, Schema([ColSpec("double", "y")])))
    return [str(finding).removesuffix(" [NOT_EXPRESSED]") for finding in losses]


def lose_types(messages, datatype="BYTES"):
    for dtype, expected in messages.items():
        tensor = isinstance(dtype, np.dtype)
        spec = TensorSpec(dtype, (-1,), "a") if tensor else ColSpec(dtype, "a")
        assert to_oip(Schema([spec]), name="m")["inputs"][0]["datatype"] == datatype
        assert lost(Schema([spec])) == [f"inputs.a: expected {expected}"]


def lose_params():
    params = ParamSchema([ParamSpec("k", "long", 3)])
    y = Schema([ColSpec("double", "y")])
    losses = find_losses_in_oip(ModelSignature(y, y, params))
    assert list(map(str, losses)) == ["params.k: expected a param, got nothing [NOT_EXPRESSED]"]


def lose_sides():
    y = Schema([ColSpec("double", "y")])
    message = "expected not declared, got no tensors [NOT_EXPRESSED]"
    assert list(map(str, find_losses_in_oip(ModelSignature(y)))) == [f"outputs: {message}"]
    assert list(map(str, find_losses_in_oip(ModelSignature(outputs=y)))) == [f"inputs: {message}"]
    message = "expected the predictions, got no tensors [NOT_EXPRESSED]"
    assert list(map(str, find_losses_in_oip(y))) == [f"outputs: {message}"]


def lose_optional():
    schema = Schema([ColSpec("long", "a", required=False)])
    assert lost(schema) == ["inputs.a: expected optional, got a required tensor"]


def lose_names():
    schema = Schema([ColSpec("long"), ColSpec("long")])
    assert lost(schema) == [f"inputs.{n}: expected no name, got the name input-{n}" for n in (0, 1)]
    assert [value["name"] for value in to_oip(schema, name="m")["inputs"]] == ["input-0", "input-1"]


def lose_integer_name():
    assert lost(Schema([ColSpec("long", 7)])) == ["inputs.7: expected an integer as name, got its digits"]


def refuse_dtypes():
    for name in ("complex64", "longdouble", "timedelta64[ns]"):
        with pytest.raises(
            ConversionError, match="1 finding\n  - a: expected a dtype that the protocol has, got"
        ):
            to_oip(Schema([TensorSpec(np.dtype(name), (-1,), "a")]), name="m")


LOSSES = {
    "params": lose_params,
    "a side that is not declared": lose_sides,
    "optional columns": lose_optional,
    "string, binary": lambda: lose_types(
        {DataType.string: "string, got BYTES: text", DataType.binary: "binary, got BYTES: bytes"}
    ),
    "datetime": lambda: lose_types({DataType.datetime: "datetime, got BYTES: ISO 8601"}),
    "Array, Object, Map, SparkML vector, Any": lambda: lose_types(
        {
            dtype: f"{dtype!r}, got BYTES: JSON"
            for dtype in (Array("long"), Map("long"), SparkMLVector(), AnyType())
        }
    ),
    "a column or tensor without a name": lose_names,
    "an integer name": lose_integer_name,
    "tensor of str, bytes, object or datetime64": lambda: lose_types(
        {
            np.dtype("str"): "str, got BYTES: text",
            np.dtype("bytes"): "bytes, got BYTES: bytes",
            np.dtype("object"): "object, got BYTES: JSON",
            np.dtype("datetime64[D]"): "datetime64[D], got BYTES: ISO 8601",
        }
    ),
    "tensor of complex, long double or timedelta": refuse_dtypes,
}


@pytest.mark.parametrize("line", LOSSES, ids=describe_case)
def test_each_line_of_the_losses(line):
    LOSSES[line]()


def test_every_loss_has_its_test():
    assert set(LOSSES) == set(LOST_TO_OIP)
