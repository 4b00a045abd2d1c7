"""Models whose rows are records of Python: saved, loaded, served; here and in MLflow."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import json
import typing
import uuid
import warnings
from decimal import Decimal
from typing import Annotated, NamedTuple

import mlflow.pyfunc
import numpy as np
import pyarrow as pa
import pydantic
import pytest
from typing_extensions import NotRequired, TypedDict

import sparksig
from sparksig import ConversionError, InferenceError, PredictionError, PythonModel, infer_signature
from sparksig.convert.annotations import parse_input_hint
from sparksig.engine.hints import check_rows
from sparksig.scoring.batches import score_batches
from tests.differences import differs
from tests.models.helpers import fresh


class Kind(str, enum.Enum):
    BUS = "bus"
    TRAM = "tram"


@dataclasses.dataclass
class Stop:
    name: str
    seats: int | None = None


@dataclasses.dataclass
class Trip:
    distance: float
    kind: Kind
    stops: tuple[Stop, ...]
    price: Annotated[Decimal, pydantic.Field(max_digits=9, decimal_places=2)]
    id: uuid.UUID | None = None


class Leg(NamedTuple):
    miles: float
    stop: Stop
    note: str = ""


class Ride(TypedDict):
    miles: float
    leg: Leg
    note: NotRequired[str]


class Order(pydantic.BaseModel):
    kind: Kind
    leg: Leg
    pair: tuple[int, int]


ID = uuid.UUID("123e4567-e89b-12d3-a456-426614174000")


class Trips(PythonModel):
    def predict(self, model_input: list[Trip]) -> list[str]:
        return [
            f"{type(trip).__name__} {trip.distance!r} {trip.kind.name} {trip.stops!r} {trip.price} {trip.id}"
            for trip in model_input
        ]


class Legs(PythonModel):
    def predict(self, model_input: list[Leg]) -> list[Leg]:
        return [leg._replace(miles=leg.miles * 2) for leg in model_input]


class Rides(PythonModel):
    def predict(self, model_input: list[Ride]) -> list[Ride]:
        return [{**ride, "miles": ride["miles"] + ride["leg"].miles} for ride in model_input]


class Orders(PythonModel):
    def predict(self, model_input: list[Order]) -> list[Order]:
        return model_input


class Kinds(PythonModel):
    def predict(self, model_input: list[Kind]) -> list[Kind]:
        return [Kind.TRAM if kind is Kind.BUS else Kind.BUS for kind in model_input]


class Identifiers(PythonModel):
    def predict(self, model_input: list[uuid.UUID]) -> list[uuid.UUID]:
        return model_input


class Pairs(PythonModel):
    def predict(self, model_input: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(last, first) for first, last in model_input]


TRIP = {"distance": 2, "kind": "tram", "stops": [{"name": "a"}, {"name": "b", "seats": 3}], "price": 9.5}
STOPS = pa.list_(pa.struct([("name", pa.string()), ("seats", pa.int64())]))
LEG = {"miles": 1.5, "stop": {"name": "a"}}
MODELS = {
    "dataclass": (
        Trips,
        [TRIP, {**TRIP, "id": str(ID)}],
        [
            f"Trip 2.0 TRAM (Stop(name='a', seats=None), Stop(name='b', seats=3)) 9.50 {value}"
            for value in (None, ID)
        ],
    ),
    "NamedTuple": (Legs, [LEG, {**LEG, "note": "x"}], [Leg(3.0, Stop("a")), Leg(3.0, Stop("a"), "x")]),
    "TypedDict": (
        Rides,
        [{"miles": 1, "leg": LEG}, {"miles": 1.5, "leg": LEG, "note": "x"}],
        [{"miles": 2.5, "leg": Leg(1.5, Stop("a"))}, {"miles": 3.0, "leg": Leg(1.5, Stop("a")), "note": "x"}],
    ),
    "pydantic": (
        Orders,
        [{"kind": "bus", "leg": LEG, "pair": [1, 2]}],
        [Order(kind=Kind.BUS, leg=Leg(1.5, Stop("a")), pair=(1, 2))],
    ),
    "Enum": (Kinds, ["bus", "tram"], [Kind.TRAM, Kind.BUS]),
    "UUID": (Identifiers, [str(ID)], [ID]),
    "tuple": (Pairs, [[1, 2.5]], [(2.5, 1.0)]),
}


@pytest.mark.parametrize(("model", "rows", "expected"), MODELS.values(), ids=MODELS)
def test_a_model_receives_instances_everywhere(tmp_path, model, rows, expected):
    path = fresh(tmp_path) / "m"
    assert model().predict(rows) == expected
    sparksig.save_model(path, model(), input_example=rows)
    loaded = sparksig.load_model(path, allow_pickle=True)
    assert loaded.predict(rows) == expected
    assert sparksig.validate_serving_input(loaded, json.dumps({"inputs": rows})) == expected
    assert sparksig.validate_serving_input(loaded, sparksig.load_serving_example(path)) == expected
    assert loaded.predict(sparksig.load_input_example(path)) == expected
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, of the example
        assert mlflow.pyfunc.load_model(str(path)).predict(rows) == expected


@differs(
    "Enforcing",
    "a type hint whose rows are dataclasses, TypedDicts, NamedTuples, members of an Enum, or UUIDs",
    mlflow="warns and validates nothing; the model receives what the caller passed",
    sparksig="the rows are validated, and the model receives instances",
)
@pytest.mark.parametrize(
    ("hint", "row"), [(Stop, {"name": "a"}), (Leg, LEG), (Kind, "bus"), (uuid.UUID, str(ID))]
)
def test_rows_of_classes(hint, row):
    def predict(self, model_input):
        return model_input

    predict.__annotations__ = {"model_input": list[hint]}
    ours = type("Ours", (PythonModel,), {"predict": predict})
    with pytest.warns(UserWarning, match="Unsupported type hint"):
        theirs = type("Theirs", (mlflow.pyfunc.PythonModel,), {"predict": predict})
    assert [type(value) for value in ours().predict([row])] == [hint]
    assert theirs().predict([row]) == [row]


def instances(model, rows):
    hint = typing.get_type_hints(inspect.unwrap(model.predict), globals(), include_extras=True)["model_input"]
    return check_rows(rows, parse_input_hint(hint))


@pytest.mark.parametrize(("model", "rows", "expected"), MODELS.values(), ids=MODELS)
def test_an_example_may_be_of_instances(tmp_path, model, rows, expected):
    path = fresh(tmp_path) / "m"
    example = instances(model, rows)
    sparksig.save_model(path, model(), input_example=example)
    loaded = sparksig.load_model(path, allow_pickle=True)
    assert loaded.predict(example) == expected
    assert loaded.predict(sparksig.load_input_example(path)) == expected
    assert sparksig.validate_serving_input(loaded, sparksig.load_serving_example(path)) == expected


BATCHES = {
    "dataclass": (
        Trips,
        pa.array([TRIP], pa.struct([("distance", pa.float64()), ("kind", pa.string()), ("stops", STOPS),
                                    ("price", pa.float64())])),
        ["Trip 2.0 TRAM (Stop(name='a', seats=None), Stop(name='b', seats=3)) 9.50 None"],
    ),
    "NamedTuple": (
        Legs,
        pa.array([{**LEG, "note": "x"}]),
        [{"miles": 3.0, "stop": {"name": "a", "seats": None}, "note": "x"}],
    ),
    "TypedDict": (
        Rides,
        pa.array([{"miles": 1.5, "leg": {**LEG, "note": ""}, "note": None}]),
        [{"miles": 3.0, "leg": {**LEG, "stop": {"name": "a", "seats": None}, "note": ""}, "note": None}],
    ),
    "Enum": (Kinds, pa.array(["bus", "tram"]), ["tram", "bus"]),
    "UUID": (Identifiers, pa.array([str(ID)]), [str(ID)]),
    "tuple": (Pairs, pa.array([[1.0, 2.5]]), [[2.5, 1.0]]),
}  # fmt: skip


@pytest.mark.parametrize(("model", "column", "expected"), BATCHES.values(), ids=BATCHES)
def test_arrow_batches_become_instances_and_instances_arrow(tmp_path, model, column, expected):
    path = fresh(tmp_path) / "m"
    sparksig.save_model(path, model())
    loaded = sparksig.load_model(path, allow_pickle=True)
    batch = pa.record_batch([column], ["0"])
    signature = loaded.signature
    [scored] = score_batches([batch], loaded.predict_raw, signature.inputs, signature.outputs, {})
    assert scored.to_pylist() == expected


def test_a_prediction_that_is_no_instance_of_the_output_hint_is_refused(tmp_path):
    class Wrong(PythonModel):
        def predict(self, model_input: list[int]) -> list[Leg]:
            return [Leg("x", Stop("a")) for _ in model_input]

    sparksig.save_model(tmp_path / "m", Wrong())
    loaded = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    with pytest.raises(PredictionError, match=r"0\.miles: expected double, got a value of type str"):
        loaded.predict([1])


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (Decimal, "expected a Decimal of at most 15 digits"),
        (datetime.time, "no signature type holds a time of day"),
        (set[int], r"use list\[int\]"),
        (tuple[int, str], "expected a tuple of elements of one type"),
        (np.int64, "expected a supported type, got int64"),
    ],
    ids=["Decimal", "time", "set", "tuple", "NumPy"],
)
@pytest.mark.parametrize(
    "build",
    [
        lambda hint: dataclasses.make_dataclass("Row", [("field", hint)]),
        lambda hint: NamedTuple("Row", [("field", hint)]),
        lambda hint: TypedDict("Row", {"field": hint}),
        lambda hint: pydantic.create_model(
            "Row", __config__={"arbitrary_types_allowed": True}, field=(hint, ...)
        ),
    ],
    ids=["dataclass", "NamedTuple", "TypedDict", "pydantic"],
)
def test_a_field_without_a_signature_type_is_refused_when_the_model_is_defined(hint, text, build):
    def predict(self, model_input):
        return model_input

    predict.__annotations__ = {"model_input": list[build(hint)]}
    text = rf"^Refused: .* cannot be used as a contract.*\n.*\[\]\.field: .*{text}"
    with pytest.raises(ConversionError, match=text):
        type("Refused", (PythonModel,), {"predict": predict})


def test_an_example_of_instances_names_the_hint_to_use():
    with pytest.raises(InferenceError, match=r"pass the type, list\[Leg\], or the fields as a dict"):
        infer_signature([Leg(1.5, Stop("a"))])
    signature = infer_signature(list[Leg])
    assert [prop.name for prop in signature.inputs.inputs[0].type.properties] == ["miles", "note", "stop"]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (Kind.BUS, "pass its value"),
        (ID, r"convert it to text: str\(value\)"),
        (frozenset(), "convert it to a list"),
    ],
)
def test_a_value_of_a_scalar_class_is_no_example(value, hint):
    with pytest.raises(InferenceError, match=hint):
        infer_signature([value])
