"""Walks over signature types: their laws, and that no type is too deep for them."""

from __future__ import annotations

import pytest
from hypothesis import given

from sparksig.types import MAX_DEPTH, AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from sparksig.walks import contains, fold, transform, walk, zip_parts
from tests.core.helpers import alike_types, nested
from tests.strategies import types

REBUILD = {
    "leaf": lambda part, path: part,
    "array": Array,
    "map": Map,
    "object": lambda fields, path: Object(
        [Property(prop.name, part, prop.required) for prop, part in fields]
    ),
}


@given(types)
def test_a_fold_with_the_constructors_gives_the_type_back(dtype):
    assert fold(dtype, **REBUILD) == dtype
    assert transform(dtype, lambda part: part) == dtype


@given(types)
def test_fold_and_walk_visit_the_same_leaves_with_the_same_paths(dtype):
    leaves = []
    fold(
        dtype,
        leaf=lambda part, path: leaves.append((path, part)),
        array=lambda item: None,
        map=lambda value: None,
        object=lambda fields, path: None,
        path="root",
    )
    composites = (Array, Map, Object)
    assert leaves == [
        (path, part)
        for path, part in walk(dtype, "root")
        if isinstance(part, SparkMLVector) or not isinstance(part, composites)
    ]


@given(types)
def test_contains_finds_the_types_of_the_walk_and_no_others(dtype):
    parts = [part for _, part in walk(dtype)]
    assert all(contains(dtype, lambda part, target=part: part is target) for part in parts)
    assert not contains(dtype, lambda part: not any(part is value for value in parts))


@given(types)
def test_no_path_occurs_twice(dtype):
    paths = [path for path, _ in walk(dtype, "root")]
    assert len(paths) == len(set(paths))
    assert paths[0] == "root"


def test_paths_name_parts_as_findings_do():
    dtype = Map(Object([Property("a.b", Array("long")), Property("c", SparkMLVector())]))
    assert dict(walk(dtype)) == {
        "": dtype,
        "[]": dtype.value_type,
        "[].`a.b`": Array("long"),
        "[].`a.b`[]": DataType.long,
        "[].c": SparkMLVector(),
    }


@given(types)
def test_transform_changes_every_leaf(dtype):
    changed = transform(
        dtype, lambda part: AnyType() if isinstance(part, (DataType, SparkMLVector)) else part
    )
    assert not any(isinstance(part, (DataType, SparkMLVector)) for _, part in walk(changed))
    assert len(list(walk(changed))) == len(list(walk(dtype)))


@pytest.mark.parametrize(
    "wrap", [Array, Map, lambda part: Object([Property("a", part)])], ids=["a", "m", "o"]
)
def test_the_deepest_type_is_walked(wrap):
    deepest = nested(MAX_DEPTH - 1, wrap, DataType.long)
    assert len(list(walk(deepest))) == MAX_DEPTH
    assert transform(deepest, lambda part: part) == deepest


@given(alike_types)
def test_a_type_beside_itself_has_the_parts_of_the_walk(dtype):
    def walk_pairs(first, second, path):
        yield path, first
        for where, left, right in zip_parts(first, second, path):
            assert left == right
            yield from walk_pairs(left.dtype, right.dtype, where)

    assert dict(walk_pairs(dtype, dtype, "root")) == dict(walk(dtype, "root"))


@given(alike_types, alike_types)
def test_pairs_mirror(first, second):
    mirrored = [(path, right, left) for path, left, right in zip_parts(first, second, "root")]
    assert zip_parts(second, first, "root") == mirrored


PAIRS = {
    "array and array": (Array("long"), Array("string"), ["a[]"]),
    "vector and array": (SparkMLVector(), Array("string"), ["a[]"]),
    "vectors": (SparkMLVector(), SparkMLVector(), []),
    "map and map": (Map("long"), Map("string"), ["a[]"]),
    "array and map": (Array("long"), Map("long"), []),
    "scalar and array": (DataType.long, Array("long"), []),
    "map and object": (Map("long"), Object([Property("b", "long")]), ["a.b"]),
    "objects": (Object([Property("c", "long")]), Object([Property("b", "long")]), ["a.b", "a.c"]),
}


@pytest.mark.parametrize(("first", "second", "paths"), PAIRS.values(), ids=PAIRS)
def test_parts_of_two_types(first, second, paths):
    assert [path for path, _, _ in zip_parts(first, second, "a")] == paths
