"""Dataclasses become schemas, as they do in MLflow where MLflow can."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from decimal import Decimal
from typing import Any, ClassVar, Dict, List, Literal, Optional, Union  # noqa: UP035  the old spellings are tested

import pytest
from mlflow.types.schema import convert_dataclass_to_schema

from sparksig.convert.annotations import from_record
from sparksig.errors import ConversionError, SignatureError
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.types import AnyType, Array, Map, Object, Property
from tests.core.helpers import places

SCALARS = [
    (bool, "boolean"),
    (int, "long"),
    (float, "float"),
    (str, "string"),
    (bytes, "binary"),
    (datetime.date, "datetime"),
    (datetime.datetime, "datetime"),
]
NAMES = [hint.__name__ for hint, _ in SCALARS]


class Size(enum.Enum):
    SMALL = "small"


@dataclasses.dataclass
class Item:
    sku: str
    price: float | None
    tags: list[str]


@dataclasses.dataclass
class Order:
    id: int
    note: str | None
    items: list[Item]
    first: Item
    last: Optional[Item] = None  # noqa: UP045
    days: List[datetime.date] = dataclasses.field(default_factory=list)  # noqa: UP006
    matrix: list[list[float]] | None = None
    counter: ClassVar[int] = 0


@dataclasses.dataclass
class Gift(Order):
    note: str  # overridden: no longer optional
    wrapped: bool = True


ITEM = Object(
    [Property("sku", "string"), Property("price", "float", False), Property("tags", Array("string"))]
)
ORDER = [
    ColSpec("long", "id"),
    ColSpec("string", "note", required=False),
    ColSpec(Array(ITEM), "items"),
    ColSpec(ITEM, "first"),
    ColSpec(ITEM, "last", required=False),
    ColSpec(Array("datetime"), "days"),
    ColSpec(Array(Array("float")), "matrix", required=False),
]


def of(**hints):
    """A dataclass with real types as annotations, as in a file that does not postpone them."""
    return dataclasses.make_dataclass("Made", hints.items())


def test_fields_become_columns_in_their_order():
    assert from_record(Order) == Schema(ORDER)


def test_inherited_fields_are_columns_too():
    assert from_record(Gift) == Schema(
        [*ORDER[:1], ColSpec("string", "note"), *ORDER[2:], ColSpec("boolean", "wrapped")]
    )


@pytest.mark.parametrize("build", [Order, Order(1, None, [], Item("a", None, []))], ids=["class", "instance"])
def test_a_signature_takes_the_class_or_an_instance(build):
    assert ModelSignature(inputs=build).inputs == Schema(ORDER)


@pytest.mark.parametrize(("hint", "name"), SCALARS, ids=NAMES)
@pytest.mark.parametrize(
    "spell",
    [lambda h: Optional[h], lambda h: Union[None, h], lambda h: h | None],  # noqa: UP045
    ids=["Optional", "Union", "bar"],
)
def test_scalars_plain_optional_and_listed(hint, name, spell):
    schema = from_record(of(a=hint, b=spell(hint), c=list[hint], d=spell(List[hint])))  # noqa: UP006
    assert schema == Schema(
        [
            ColSpec(name, "a"),
            ColSpec(name, "b", required=False),
            ColSpec(Array(name), "c"),
            ColSpec(Array(name), "d", required=False),
        ]
    )


MLFLOW_INNER = of(x=int, y=Optional[str], z=list[float])  # noqa: UP045


@pytest.mark.parametrize(
    "schema",
    [
        *(of(a=hint, b=Optional[hint], c=list[hint]) for hint, _ in SCALARS if hint is not datetime.datetime),  # noqa: UP045
        of(a=MLFLOW_INNER, b=Optional[MLFLOW_INNER], c=list[MLFLOW_INNER]),  # noqa: UP045
        of(b=int, a=of(b=MLFLOW_INNER, a=MLFLOW_INNER | None)),
    ],
    ids=[*NAMES[:-1], "nested", "nested-twice"],
)
def test_mlflow_makes_the_same_schema(schema):
    ours, theirs = from_record(schema), convert_dataclass_to_schema(schema)
    assert repr(ours) == repr(theirs)
    assert ours.to_json() == theirs.to_json()


COMPOSITES = {
    "dict": (Dict[str, int], Map("long")),  # noqa: UP006
    "dict of floats": (dict[str, float], Map("float")),
    "Any": (Any, AnyType()),
    "tuple": (tuple[float, ...], Array("float")),
    "Union": (Union[int, str], AnyType()),
    "Optional elements": (list[Optional[int]], Array("long")),  # noqa: UP045
    "Enum": (Size, "string"),
    "Literal": (Literal[1, 2], "long"),
    "UUID": (uuid.UUID, "string"),
}


@pytest.mark.parametrize(("hint", "dtype"), COMPOSITES.values(), ids=COMPOSITES)
def test_fields_have_the_types_of_hints(hint, dtype):
    assert from_record(of(a=int, b=hint)) == Schema([ColSpec("long", "a"), ColSpec(dtype, "b")])


@pytest.mark.parametrize(
    "hint",
    [dict, tuple, list, set[int], complex, None, object, list[dict], int | list, tuple[int, str], Decimal],
    ids=str,
)
def test_what_no_type_covers_is_refused(hint):
    text = r"^no signature for the dataclass Made: 1 finding\n  - b(\[\])?: expected .*, got .*"
    with pytest.raises(ConversionError, match=text) as caught:
        from_record(of(a=int, b=hint))
    listed = "[]" if str(hint).startswith("list[") else ""
    assert [path for _, path in places(caught.value)] == [f"b{listed}"]


def test_all_unsupported_fields_are_reported_at_once():
    inner = of(ok=int, x=dict, y=list[object])
    with pytest.raises(
        ConversionError, match=r"^no signature for the dataclass Made: 7 findings\n"
    ) as caught:
        from_record(of(a=complex, b=inner, c=list[Optional[inner]], d=list[inner], e=str))  # noqa: UP045
    assert places(caught.value) == [
        ("UNSUPPORTED_TYPE", "a"),
        ("INVALID_VALUE", "b.x"),
        ("UNSUPPORTED_TYPE", "b.y[]"),
        ("INVALID_VALUE", "c[].x"),
        ("UNSUPPORTED_TYPE", "c[].y[]"),
        ("INVALID_VALUE", "d[].x"),
        ("UNSUPPORTED_TYPE", "d[].y[]"),
    ]


@dataclasses.dataclass
class Node:
    value: int
    children: list[Node]
    parent: Optional[Node] = None  # noqa: UP045


def test_a_dataclass_inside_itself_is_refused():
    text = "got the dataclass Node inside itself (a signature has no recursive types) [INVALID_VALUE]"
    with pytest.raises(
        ConversionError, match=r"^no signature for the dataclass Node: 2 findings\n"
    ) as caught:
        from_record(Node)
    assert places(caught.value) == [("INVALID_VALUE", "children[]"), ("INVALID_VALUE", "parent")]
    assert str(caught.value).count(text) == 2


def test_a_dataclass_may_be_used_twice():
    assert from_record(of(a=Item, b=Item)) == Schema([ColSpec(ITEM, "a"), ColSpec(ITEM, "b")])


@dataclasses.dataclass
class Unresolved:
    a: Nowhere  # noqa: F821


@dataclasses.dataclass
class Broken:
    a: int
    b: int | datetime.nowhere


@pytest.mark.parametrize("cls", [Unresolved, Broken], ids=["name", "attribute"])
def test_an_annotation_that_cannot_be_resolved_is_named(cls):
    text = f"got the dataclass {cls.__name__} with an annotation that cannot be resolved: .*no.*where"
    with pytest.raises(ConversionError, match=f"(?i){text}"):
        from_record(cls)


def test_a_dataclass_without_fields_is_refused():
    text = "^the dataclass Made has no field: a schema needs at least one column$"
    with pytest.raises(SignatureError, match=text):
        from_record(of())


@pytest.mark.parametrize(
    "wrap", [lambda h: h, lambda h: h | None, lambda h: list[h]], ids=["plain", "optional", "list"]
)
def test_a_field_that_has_no_type_is_never_dropped(wrap):
    with pytest.raises(ConversionError, match=r"^no signature for the dataclass Made: 1 finding\n") as caught:
        from_record(of(a=int, b=wrap(of())))
    assert [path for _, path in places(caught.value)] in (["b"], ["b[]"])


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_a_signature_refuses_a_dataclass_as_from_record_does(side):
    with pytest.raises(ConversionError, match=r"^no signature for the dataclass Made: 1 finding\n") as caught:
        ModelSignature(**{side: of(a=complex)})
    assert places(caught.value) == [("UNSUPPORTED_TYPE", "a")]
