"""Dataclasses become schemas, as they do in MLflow where MLflow can."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, ClassVar, Dict, List, Optional, Union  # noqa: UP035  the old spellings are tested

import pytest
from mlflow.types.schema import convert_dataclass_to_schema

from sparksig.convert.hints import from_dataclass
from sparksig.errors import ConversionError, SignatureError
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from sparksig.types import Array, Object, Property
from tests.core.helpers import places
from tests.tables import each

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
    assert from_dataclass(Order) == Schema(ORDER)


def test_inherited_fields_are_columns_too():
    assert from_dataclass(Gift) == Schema(
        [*ORDER[:1], ColSpec("string", "note"), *ORDER[2:], ColSpec("boolean", "wrapped")]
    )


@pytest.mark.parametrize("build", [Order, Order(1, None, [], Item("a", None, []))], ids=["class", "instance"])
def test_a_signature_takes_the_class_or_an_instance(build):
    assert ModelSignature(inputs=build).inputs == Schema(ORDER)


@each(("hint", "name"), SCALARS, ids=NAMES)
@each(
    "spell",
    [lambda h: Optional[h], lambda h: Union[None, h], lambda h: h | None],  # noqa: UP045
    ids=["Optional", "Union", "bar"],
)
def test_scalars_plain_optional_and_listed(hint, name, spell):
    schema = from_dataclass(of(a=hint, b=spell(hint), c=list[hint], d=spell(List[hint])))  # noqa: UP006
    assert schema == Schema(
        [
            ColSpec(name, "a"),
            ColSpec(name, "b", required=False),
            ColSpec(Array(name), "c"),
            ColSpec(Array(name), "d", required=False),
        ]
    )


MLFLOW_INNER = of(x=int, y=Optional[str], z=list[float])  # noqa: UP045


@each(
    "made",
    [
        *(of(a=hint, b=Optional[hint], c=list[hint]) for hint, _ in SCALARS if hint is not datetime.datetime),  # noqa: UP045
        of(a=MLFLOW_INNER, b=Optional[MLFLOW_INNER], c=list[MLFLOW_INNER]),  # noqa: UP045
        of(b=int, a=of(b=MLFLOW_INNER, a=MLFLOW_INNER | None)),
    ],
    ids=[*NAMES[:-1], "nested", "nested-twice"],
)
def test_mlflow_makes_the_same_schema(made):
    ours, theirs = from_dataclass(made), convert_dataclass_to_schema(made)
    assert repr(ours) == repr(theirs)
    assert ours.to_json() == theirs.to_json()


@each(
    "hint",
    [
        dict, Dict[str, int], Any, tuple, list, tuple[int, ...], set[int], complex, None, object,  # noqa: UP006
        Union[int, str], int | str | None, list[Optional[int]], list[int | str], list[dict], int | list,  # noqa: UP045
    ],
    ids=str,
)  # fmt: skip
def test_what_no_type_covers_is_refused(hint):
    text = (
        "^no signature for the dataclass Made: 1 finding\n"
        r".*\(use bool, int, float, str, bytes, date, datetime, list\[...\], a dataclass, "
        r"or Optional of these\) \[UNSUPPORTED_TYPE\]$"
    )
    with pytest.raises(ConversionError, match=text) as caught:
        from_dataclass(of(a=int, b=hint))
    listed = "[]" if str(hint).startswith("list[") else ""
    assert places(caught.value) == [("UNSUPPORTED_TYPE", f"b{listed}")]


def test_all_unsupported_fields_are_reported_at_once():
    inner = of(ok=int, x=dict, y=list[Any])
    with pytest.raises(
        ConversionError, match=r"^no signature for the dataclass Made: 6 findings\n"
    ) as caught:
        from_dataclass(of(a=complex, b=inner, c=list[Optional[inner]], d=list[inner], e=str))  # noqa: UP045
    assert places(caught.value) == [
        ("UNSUPPORTED_TYPE", "a"),
        ("UNSUPPORTED_TYPE", "b.x"),
        ("UNSUPPORTED_TYPE", "b.y[]"),
        ("UNSUPPORTED_TYPE", "c[]"),
        ("UNSUPPORTED_TYPE", "d[].x"),
        ("UNSUPPORTED_TYPE", "d[].y[]"),
    ]


@dataclasses.dataclass
class Node:
    value: int
    children: list[Node]
    parent: Optional[Node] = None  # noqa: UP045


def test_a_dataclass_inside_itself_is_refused():
    text = "found the dataclass Node inside itself (a signature has no recursive types) [UNSUPPORTED_TYPE]"
    with pytest.raises(
        ConversionError, match=r"^no signature for the dataclass Node: 2 findings\n"
    ) as caught:
        from_dataclass(Node)
    assert places(caught.value) == [("UNSUPPORTED_TYPE", "children[]"), ("UNSUPPORTED_TYPE", "parent")]
    assert str(caught.value).count(text) == 2


def test_a_dataclass_may_be_used_twice():
    assert from_dataclass(of(a=Item, b=Item)) == Schema([ColSpec(ITEM, "a"), ColSpec(ITEM, "b")])


@dataclasses.dataclass
class Unresolved:
    a: Nowhere  # noqa: F821


@dataclasses.dataclass
class Broken:
    a: int
    b: int | datetime.nowhere


@pytest.mark.parametrize("cls", [Unresolved, Broken], ids=["name", "attribute"])
def test_an_annotation_that_cannot_be_resolved_is_named(cls):
    text = f"^an annotation of the dataclass {cls.__name__} cannot be resolved: .*no.*where"
    with pytest.raises(ConversionError, match=f"(?i){text}"):
        from_dataclass(cls)


def test_a_dataclass_without_fields_is_refused():
    text = "^the dataclass Made has no field: a schema needs at least one column$"
    with pytest.raises(SignatureError, match=text):
        from_dataclass(of())


@pytest.mark.parametrize(
    "wrap", [lambda h: h, lambda h: h | None, lambda h: list[h]], ids=["plain", "optional", "list"]
)
def test_a_field_that_has_no_type_is_never_dropped(wrap):
    with pytest.raises(ConversionError, match=r"^no signature for the dataclass Made: 1 finding\n") as caught:
        from_dataclass(of(a=int, b=wrap(of())))
    assert [path for _, path in places(caught.value)] in (["b"], ["b[]"])


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_a_signature_refuses_a_dataclass_as_from_dataclass_does(side):
    with pytest.raises(ConversionError, match=r"^no signature for the dataclass Made: 1 finding\n") as caught:
        ModelSignature(**{side: of(a=complex)})
    assert places(caught.value) == [("UNSUPPORTED_TYPE", "a")]
