"""Type hints become schemas: MLflow's where both agree, the differences in a table, refusals all at once."""

# ruff: noqa: UP006, UP035, UP045  the old spellings are tested

from __future__ import annotations

import datetime
import re
import types
from typing import (
    Annotated,
    Any,
    Dict,
    Generic,
    List,
    Literal,
    NewType,
    Optional,
    TypeVar,
    Union,
    get_args,
)

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.types.type_hints import _infer_schema_from_list_type_hint as mlflow_schema
from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model
from scipy.sparse import csc_matrix, csr_matrix

from sparksig import infer_signature
from sparksig.convert import hint_tree as hints
from sparksig.convert.annotations import from_hint, parse_hint, parse_input_hint
from sparksig.convert.hint_tree import format_hint, get_type, is_frame
from sparksig.errors import Code, ConversionError
from sparksig.schema import ColSpec, Schema
from sparksig.types import MAX_DEPTH, AnyType, Array, Map, Object, Property
from tests.convert.helpers import codes
from tests.core.helpers import nested

ADVICE = (
    "(use bool, int, float, str, bytes, date, datetime, UUID, Decimal, an Enum, list[...], tuple[X, ...], "
    "dict[str, ...], a pydantic model, a dataclass, a TypedDict, a NamedTuple, or Optional, Union or Any of "
    "these) [UNSUPPORTED_TYPE]"
)
T = TypeVar("T")
UserId = NewType("UserId", int)


class Item(BaseModel):
    sku: str
    price: Optional[float] = None
    tags: list[str] = []


class Order(BaseModel):
    id: int
    note: Optional[str] = None
    items: list[Item]
    by_name: dict[str, Item]
    first: Item
    at: datetime.datetime
    raw: bytes = b""
    anything: Any
    either: Union[int, str]
    maybe: Optional[Union[int, str]] = None
    amount: Annotated[float, Field(gt=0)] = 1.0
    rank: int = Field(default=1, ge=1, description="from 1")
    limited: Annotated[Optional[int], Field(ge=0)] = None
    matrix: list[list[float]] = Field(default_factory=list)


class Gift(Order):
    note: str = ""  # overridden: no longer optional
    wrapped: bool = True


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    unit_price: float = Field(alias="unitPrice")
    unit_name: str = Field(validation_alias="unitName", serialization_alias="name")


class Page(BaseModel, Generic[T]):
    of: T
    rest: list[T]


class Empty(BaseModel):
    pass


class Node(BaseModel):
    value: int
    next: Optional[Node] = None


class Tree(BaseModel):
    children: list[Tree]


class Left(BaseModel):
    right: Optional[Right] = None


class Right(BaseModel):
    lefts: dict[str, Left]


Left.model_rebuild()


class Numbers(RootModel[list[int]]):
    pass


class Early(BaseModel):
    late: Late  # which pydantic resolves on the first use


class Late(BaseModel):
    a: int


def of(**fields):
    """A model; a field is its type, or that and a default."""
    return create_model("Made", **{k: v if isinstance(v, tuple) else (v, ...) for k, v in fields.items()})


def refused(hint, parser=parse_input_hint):
    with pytest.raises(ConversionError, match=r"^the type hint .* cannot be used as a contract: ") as caught:
        parser(hint)
    return [str(finding) for finding in caught.value.findings]


ITEM = Object(
    [Property("sku", "string"), Property("price", "double", False), Property("tags", Array("string"))]
)

# --- as MLflow ------------------------------------------------------------------------------------------

AGREED = {
    "int": (int, "long"),
    "str": (str, "string"),
    "bool": (bool, "boolean"),
    "float": (float, "double"),
    "bytes": (bytes, "binary"),
    "datetime": (datetime.datetime, "datetime"),
    "list": (list[int], Array("long")),
    "List": (List[List[str]], Array(Array("string"))),
    "dict": (dict[str, float], Map("double")),
    "Dict": (Dict[str, Dict[str, bytes]], Map(Map("binary"))),
    "list of dicts": (list[dict[str, list[bool]]], Array(Map(Array("boolean")))),
    "Any": (Any, AnyType()),
    "list of Any": (list[Any], Array(AnyType())),
    "dict of Any": (dict[str, Any], Map(AnyType())),
    "Union": (Union[int, str], AnyType()),
    "bar": (int | str, AnyType()),
    "list of unions": (list[Union[int, str]], Array(AnyType())),
    "Optional in a list": (list[Optional[int]], Array("long")),
    "bar None in a list": (list[int | None], Array("long")),
    "Optional in lists": (list[list[Optional[int]]], Array(Array("long"))),
    "Optional in a dict": (dict[str, Optional[Item]], Map(ITEM)),
    "Optional union in a list": (list[Union[int, str, None]], Array(AnyType())),
    "model": (Item, ITEM),
    "list of models": (list[Item], Array(ITEM)),
    "dict of models": (dict[str, Item], Map(ITEM)),
    "Union of models": (Union[Item, Aliased], AnyType()),
    "aliases": (Aliased, Object([Property("unit_price", "double"), Property("unit_name", "string")])),
    "generic": (Page[int], Object([Property("of", "long"), Property("rest", Array("long"))])),
    "generic of a model": (Page[Item], Object([Property("of", ITEM), Property("rest", Array(ITEM))])),
    "a default is not optional": (of(a=(int, 1)), Object([Property("a", "long")])),
    "a model used twice": (of(a=Item, b=Item), Object([Property("a", ITEM), Property("b", ITEM)])),
}


@pytest.mark.parametrize("spell", [lambda h: list[h], lambda h: List[h]], ids=["list", "List"])
@pytest.mark.parametrize(("hint", "expected"), AGREED.values(), ids=AGREED)
def test_mlflow_makes_the_same_schema(hint, expected, spell):
    ours, theirs = from_hint(spell(hint)), mlflow_schema(spell(hint))
    assert ours == Schema([ColSpec(expected)])
    assert ours.to_json() == theirs.to_json()
    assert repr(ours) == repr(theirs)
    assert get_type(parse_hint(hint)) == ours.inputs[0].type


@pytest.mark.parametrize("model", [Order, Gift], ids=["nested", "inherited"])
def test_mlflow_makes_the_same_object_of_a_model_with_everything(model):
    properties = {
        "id": ("long", True),
        "note": ("string", model is Gift),
        "items": (Array(ITEM), True),
        "by_name": (Map(ITEM), True),
        "first": (ITEM, True),
        "at": ("datetime", True),
        "raw": ("binary", True),
        "anything": (AnyType(), True),
        "either": (AnyType(), True),
        "maybe": (AnyType(), False),
        "amount": ("double", True),
        "rank": ("long", True),
        "limited": ("long", False),
        "matrix": (Array(Array("double")), True),
    }
    if model is Gift:
        properties["wrapped"] = ("boolean", True)
    expected = Object([Property(name, *form) for name, form in properties.items()])
    assert from_hint(list[model]) == Schema([ColSpec(expected)])
    assert from_hint(list[model]).to_json() == mlflow_schema(list[model]).to_json()


_leaves = st.sampled_from([int, str, bool, float, bytes, datetime.datetime, Any, Item])


def _optional(hint):
    return type(None) in get_args(hint)


def _wrap(inner):
    # pydantic reserves other names
    fields = st.dictionaries(st.sampled_from(["a", "b", "cls", "type", "c_1", "ä"]), inner, min_size=1)
    return st.one_of(
        inner.map(lambda h: list[h]),
        inner.map(lambda h: dict[str, h]),
        inner.map(lambda h: Optional[h]),
        st.tuples(inner, inner).map(lambda pair: Union[pair]),
        fields.map(lambda found: of(**{k: (h, None if _optional(h) else ...) for k, h in found.items()})),
    )


any_hint = st.recursive(_leaves, _wrap, max_leaves=8)


@given(any_hint.filter(lambda hint: not _optional(hint)))
def test_any_hint_becomes_what_mlflow_makes_of_it(hint):
    assert from_hint(list[hint]).to_json() == mlflow_schema(list[hint]).to_json()


@given(any_hint)
def test_a_schema_of_a_hint_is_a_signature_document(hint):
    schema = from_hint(list[list[hint]])
    assert Schema.from_json(schema.to_json()) == schema
    assert infer_signature(list[list[hint]]).inputs == schema


# --- not as MLflow --------------------------------------------------------------------------------------

ACCEPTED_HERE = {
    "date": (datetime.date, "datetime"),  # as in a dataclass
    "date in a model": (of(day=datetime.date), Object([Property("day", "datetime")])),
    "Literal of texts": (Literal["a", "b"], "string"),
    "Literal of ints": (Literal[1, 2], "long"),
    "Literal of bools": (Literal[True], "boolean"),
    "Literal in a model": (of(kind=Literal["a"]), Object([Property("kind", "string")])),
    "Optional Literal": (
        of(kind=(Optional[Literal["a"]], None)),
        Object([Property("kind", "string", False)]),
    ),
    "Annotated": (Annotated[int, Field(gt=0)], "long"),
    "Annotated in a list": (list[Annotated[str, "any metadata"]], Array("string")),
    "Annotated model": (Annotated[Item, Field(description="one")], ITEM),
    "Annotated inside Optional": (list[Optional[Annotated[int, Field(gt=0)]]], Array("long")),
}


@pytest.mark.parametrize(("hint", "expected"), ACCEPTED_HERE.values(), ids=ACCEPTED_HERE)
def test_hints_that_mlflow_does_not_infer_from(hint, expected):
    assert from_hint(list[hint]) == Schema([ColSpec(expected)])
    with pytest.raises(MlflowException, match="Unsupported type hint"):
        mlflow_schema(list[hint])


@pytest.mark.parametrize(
    "hint",
    [Numbers, Node, Tree, Right],
    ids=["a root model, whose values are no objects", "recursion", "through a list", "mutual"],
)
def test_hints_that_only_mlflow_takes_or_crashes_on(hint):
    refused(list[hint])
    if hint is Numbers:
        assert mlflow_schema(list[hint]).to_dict()[0]["type"] == "object"
    else:
        with pytest.raises(RecursionError):
            mlflow_schema(list[hint])


# --- refusals -------------------------------------------------------------------------------------------

NO_DEFAULT = (
    "expected a default for an Optional field "
    "(an optional property may be absent: give it the default None) [INVALID_VALUE]"
)
NOT_OPTIONAL = (
    "[]: expected elements that are not Optional (an unnamed column must be required: use a "
    "pydantic model with an optional field) [INVALID_VALUE]"
)
CONTRADICTIONS = {
    "list": (list, "expected list[...], got a bare list (add the type of its elements) [INVALID_VALUE]"),
    "List": (List, "expected list[...], got a bare list (add the type of its elements) [INVALID_VALUE]"),
    "list of two": (
        list[int, str],
        "expected list[...], got list with 2 types (add the type of its elements) [INVALID_VALUE]",
    ),
    "list of a list": (
        list[list],
        "[]: expected list[...], got a bare list (add the type of its elements) [INVALID_VALUE]",
    ),
    "list of a dict": (
        list[dict],
        "[]: expected dict[str, ...], got a bare dict (add the type of its elements) [INVALID_VALUE]",
    ),
    "list of a Dict": (
        list[Dict],
        "[]: expected dict[str, ...], got a bare dict (add the type of its elements) [INVALID_VALUE]",
    ),
    "dict of one": (
        list[dict[str]],
        "[]: expected dict[str, ...], got dict with 1 types (add the type of its elements) [INVALID_VALUE]",
    ),
    "dict of three": (
        list[dict[str, int, int]],
        "[]: expected dict[str, ...], got dict with 3 types (add the type of its elements) [INVALID_VALUE]",
    ),
    "keys": (
        list[dict[int, str]],
        "[]: expected dict[str, ...], got keys of type int (use str: JSON has no other keys) [INVALID_VALUE]",
    ),
    "Union": (list[Union], "[]: expected a union of types, got a bare Union [INVALID_VALUE]"),
    "Optional elements": (list[Optional[int]], NOT_OPTIONAL),
    "Optional elements by bar": (list[Item | None], NOT_OPTIONAL),
    "Optional unions": (list[Union[int, str, None]], NOT_OPTIONAL),
    "an Optional field": (list[of(a=Optional[int])], f"[].a: {NO_DEFAULT}"),
    "an Optional field deep inside": (
        list[dict[str, list[of(a=of(b=Union[int, str, None]))]]],
        f"[][][].a.b: {NO_DEFAULT}",
    ),
}


@pytest.mark.parametrize(("hint", "line"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_hints_that_say_nothing_or_contradict_themselves_are_refused(hint, line):
    assert refused(hint) == [line]
    with pytest.raises(MlflowException):
        mlflow_schema(hint)


UNSUPPORTED = {
    "object": (object, "object"),
    "None": (None, "None"),
    "int64": (np.int64, "int64"),
    "ndarray": (np.ndarray, "ndarray"),
    "DataFrame": (pd.DataFrame, "DataFrame"),
    "Timestamp": (pd.Timestamp, "Timestamp"),
    "TypeVar": (T, "~T"),
    "RootModel": (Numbers, "Numbers"),
    "plain class": (types.SimpleNamespace, "SimpleNamespace"),
}


@pytest.mark.parametrize(("hint", "name"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_types_that_no_signature_has_are_refused(hint, name):
    line = f"expected a supported type, got {name} {ADVICE}"
    assert refused(list[hint]) == [f"[]: {line}"]
    assert refused(list[dict[str, list[hint]]]) == [f"[][][]: {line}"]
    assert refused(hint, parse_hint) == [line]


@pytest.mark.parametrize("hint", [int, str, dict[str, int], Item, Optional[list[int]], tuple[int]], ids=str)
def test_rows_are_the_elements_of_a_list(hint):
    line = (
        f"expected list[...], got {format_hint(hint)} "
        "(the rows are the elements of a list: wrap it in list[...]) [UNSUPPORTED_TYPE]"
    )
    assert refused(hint) == refused(hint, from_hint) == [line]


def test_a_model_without_fields_is_refused():
    line = "expected at least one field, got the model Empty, which has no field [UNSUPPORTED_TYPE]"
    assert refused(list[Empty]) == [f"[]: {line}"]
    assert refused(list[of(a=Empty)]) == [f"[].a: {line}"]


@pytest.mark.parametrize(
    ("model", "path", "name"),
    [
        (Node, "[].next", "Node"),
        (Tree, "[].children[]", "Tree"),
        (Left, "[].right.lefts[]", "Left"),
        (Right, "[].lefts[].right", "Right"),
        (of(a=Tree), "[].a.children[]", "Tree"),
    ],
    ids=["directly", "through a list", "mutually", "the other way round", "in another model"],
)
def test_a_model_inside_itself_is_refused(model, path, name):
    assert refused(list[model]) == [
        f"{path}: expected a type of finite depth, got the model {name} inside itself "
        "(a signature has no recursive types) [INVALID_VALUE]"
    ]


def test_a_literal_of_none_alone_is_refused():
    line = "[]: expected a Literal of values, got only None [UNSUPPORTED_TYPE]"
    assert refused(list[Literal[None]]) == [line]


def test_all_that_is_wrong_is_said_at_once():
    inner = of(ok=int, bad=tuple, odd=Optional[set])
    model = of(
        a=datetime.time,
        b=list,
        c=dict[int, tuple[int, str]],
        d=inner,
        e=list[inner],
        f=Union[int, object, bytes],
    )
    with pytest.raises(
        ConversionError, match=r"^the type hint list\[.*Made\] cannot be used as a contract: 9 findings\n"
    ) as caught:
        from_hint(list[model])
    assert codes(caught) == [
        ("[].a", Code.UNSUPPORTED_TYPE),
        ("[].b", Code.INVALID_VALUE),
        ("[].c", Code.INVALID_VALUE),
        ("[].c[]", Code.MIXED_TYPES),
        ("[].d.bad", Code.UNSUPPORTED_TYPE),
        ("[].d.odd", Code.UNSUPPORTED_TYPE),
        ("[].e[].bad", Code.UNSUPPORTED_TYPE),
        ("[].e[].odd", Code.UNSUPPORTED_TYPE),
        ("[].f", Code.UNSUPPORTED_TYPE),
    ]


def test_names_of_fields_other_than_identifiers_are_quoted():
    model = create_model("Made", **{"a.b": (object, ...)})
    assert refused(list[model]) == [f"[].`a.b`: expected a supported type, got object {ADVICE}"]


@pytest.mark.parametrize("wrap", [lambda h: list[h], lambda h: dict[str, h]], ids=["list", "dict"])
def test_nesting_ends_at_the_limit_of_types(wrap):
    deepest = list[nested(MAX_DEPTH - 1, wrap, int)]
    assert Schema.from_json(from_hint(deepest).to_json()) == from_hint(deepest)
    (line,) = refused(list[nested(MAX_DEPTH + 1, wrap, list[int])])
    assert re.fullmatch(r"(\[\]){100}: expected at most 100 levels, got more \[INVALID_VALUE\]", line)


def test_a_bare_optional_says_as_little_as_a_bare_union():
    with pytest.raises(ConversionError) as caught:
        parse_input_hint(list[Optional])
    assert codes(caught) == [("[]", Code.INVALID_VALUE)]


def test_optional_elements_are_refused_within_annotated_as_well():
    assert refused(list[Annotated[Optional[int], Field(gt=0)]]) == [NOT_OPTIONAL]


def test_a_model_may_name_one_that_is_defined_after_it():
    inner = Object([Property("a", "long")])
    assert from_hint(list[Early]) == Schema([ColSpec(Object([Property("late", inner)]))])


# --- the tree -------------------------------------------------------------------------------------------


def test_the_tree_of_a_hint():
    leaf = hints.ScalarHint(get_type(parse_hint(int)), int)
    assert parse_input_hint(list[int]) == hints.ListHint(leaf)
    assert parse_hint(dict[str, Optional[int]]) == hints.DictHint(hints.UnionHint((leaf,), nullable=True))
    assert parse_hint(Any) == hints.AnyHint()
    assert parse_hint(Literal[2, 1]) == hints.ScalarHint(leaf.dtype, int, (2, 1))
    assert parse_hint(Aliased) == hints.ModelHint(
        Aliased,
        (
            hints.FieldHint("unit_price", ("unitPrice",), parse_hint(float), required=True),
            hints.FieldHint("unit_name", ("unitName",), parse_hint(str), required=True),
        ),
    )


def test_the_name_of_a_hint_is_as_one_writes_it():
    named = [int, list[int], Optional[int], Any, Item, dict[str, List[float]], Page[int]]
    assert [format_hint(hint) for hint in named] == [
        "int", "list[int]", "Optional[int]", "Any", "Item", "dict[str, List[float]]", "Page[int]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (pd.DataFrame, True),
        (pd.Series, True),
        (np.ndarray, True),
        (csr_matrix, True),
        (csc_matrix, True),
        (pd.Timestamp, False),
        (list[int], False),
        (None, False),
        (Item, False),
    ],
    ids=str,
)
def test_frames_are_known_by_their_names(hint, expected):
    assert is_frame(hint) is expected


# --- in signatures --------------------------------------------------------------------------------------


def test_hints_make_a_signature():
    signature = infer_signature(list[Item], list[float], {"top": 1.5})
    assert signature.inputs == Schema([ColSpec(ITEM)])
    assert signature.outputs == Schema([ColSpec("double")])
    assert "{price: double (optional), sku: string (required), tags: Array(string) (required)}" in repr(
        signature.inputs
    )


@pytest.mark.parametrize("hint", [int, list, list[tuple], dict[str, int], Optional[list[int]]], ids=str)
def test_a_hint_without_a_schema_makes_no_signature(hint):
    with pytest.raises(ConversionError, match=r"cannot be used as a contract: 1 finding\n"):
        infer_signature(hint)
    with pytest.raises(ConversionError, match=r"cannot be used as a contract: 1 finding\n"):
        infer_signature(list[int], hint)
