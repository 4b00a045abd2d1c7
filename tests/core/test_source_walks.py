"""Walks over types of data: their laws, and how two types are paired and merged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.lattice import Decimal, Field, ListOf, MapOf, Scalar, Struct
from sparksig.source_walks import list_parts, merge_sources, rebuild_source, walk_source, zip_sources

LEAVES = st.sampled_from(
    [Scalar("int8"), Scalar("string", max_length=5), Decimal(9, 2), Struct((), "variant")]
)


def wrap(inner):
    fields = st.lists(
        st.builds(Field, st.sampled_from(["a", "b", "c.d"]), inner, st.booleans()),
        min_size=1,
        max_size=3,
        unique_by=lambda field: field.name,
    )
    lists = st.builds(ListOf, inner, st.none(), st.booleans())
    maps = st.builds(MapOf, inner, inner, st.booleans())
    return st.one_of(lists, maps, fields.map(lambda parts: Struct(tuple(parts))))


SOURCES = st.recursive(LEAVES, wrap, max_leaves=6)


def show(source):
    """Write a type with everything that equality leaves out."""
    return repr(source)


@given(SOURCES)
def test_rebuilding_unchanged_parts_gives_the_type_back(source):
    assert show(rebuild_source(source, lambda part: part)) == show(source)


@given(SOURCES)
def test_walk_visits_the_parts_of_each_part(source):
    visited = dict(walk_source(source, "root"))
    assert visited["root"] is source
    for path, part in visited.items():
        assert [where for where, _ in list_parts(part, path)] == [
            where for where, inner in list_parts(part, path) if visited[where] is inner.source
        ]


@given(SOURCES)
def test_keys_of_maps_are_visited_on_request_alone(source):
    maps = [part for _, part in walk_source(source, keys=True) if isinstance(part, MapOf)]
    with_keys = [part for _, part in walk_source(source, keys=True)]
    assert all(any(part is visited.key for part in with_keys) for visited in maps)
    if not maps:
        assert with_keys == [part for _, part in walk_source(source)]


@given(SOURCES)
def test_a_type_shares_all_parts_with_itself(source):
    assert [(where, part) for where, part, _ in zip_sources(source, source, "root")] == list_parts(
        source, "root"
    )
    assert all(part == other for _, part, other in zip_sources(source, source))


@given(SOURCES, SOURCES)
def test_types_merged_with_others_keep_what_is_not_merged(source, other):
    assert show(merge_sources(source, other, lambda part, _: part)) == show(source)


@pytest.mark.parametrize(
    ("first", "second", "paths"),
    [
        (ListOf(Scalar("int8")), ListOf(Scalar("bool")), ["x[]"]),
        (ListOf(Scalar("int8")), MapOf(Scalar("string"), Scalar("int8")), []),
        (
            Struct((Field("a", Scalar("int8")), Field("b", Scalar("int8")))),
            Struct((Field("b", Scalar("bool")),)),
            ["x.b"],
        ),
        (Scalar("int8"), Scalar("int8"), []),
    ],
    ids=["lists", "list and map", "structs", "scalars"],
)
def test_parts_in_common(first, second, paths):
    assert [where for where, _, _ in zip_sources(first, second, "x")] == paths


def test_merged_parts_come_from_the_part_of_the_same_name_and_kind():
    source = Struct((Field("a", Scalar("int8")), Field("m", MapOf(Scalar("string"), Scalar("int8")))))
    other = Struct(
        (Field("m", MapOf(Scalar("binary"), Scalar("bool"), nullable=False)), Field("z", Scalar("bool")))
    )

    def take_other(part, other_part):
        return replace(part, source=merge_sources(other_part.source, part.source, lambda mine, _: mine))

    assert merge_sources(source, other, take_other) == Struct(
        (Field("a", Scalar("int8")), Field("m", other.fields[0].source))
    )
