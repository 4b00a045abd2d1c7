"""Law 1 for the casting table: an accepted cast is exact in both directions, a refused one is not.

Nothing here knows the rule: NumPy, decimal and pyarrow convert there and back, and the bits are compared.
"""

from __future__ import annotations

from decimal import Context
from decimal import Decimal as Number

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.lattice import IMMEDIATE, MODEL_TYPE, Decimal, Scalar, find_upper_bounds, widens
from sparksig.types import DataType
from tests.cases import describe_case

NUMERIC = [
    name for name in IMMEDIATE if name == "bool" or (name in np.sctypeDict and np.dtype(name).kind in "iuf")
]
TARGETS = [target for target in DataType if MODEL_TYPE[target] in NUMERIC]
PAIRS = [(source, target) for source in NUMERIC for target in TARGETS]
ACCEPTED = [(source, target) for source, target in PAIRS if widens(Scalar(source), target)]
REFUSED = [(source, target) for source, target in PAIRS if not widens(Scalar(source), target)]
IDS = "{0[0]}->{0[1].name}".format


# --- values -------------------------------------------------------------------------------------------


def values(name):
    """All values of a dtype of up to 16 bits; of a wider one the edges, and random bits."""
    dtype = np.dtype(name)
    if name == "bool":
        return np.array([False, True])
    unsigned = np.dtype(f"u{dtype.itemsize}")
    if dtype.itemsize <= 2:
        return np.arange(2 ** (8 * dtype.itemsize), dtype=np.uint32).astype(unsigned).view(dtype)
    bits = np.random.default_rng(20_240_229).integers(
        0, np.iinfo(unsigned).max, 20_000, unsigned, endpoint=True
    )
    return np.concatenate([_edges(dtype), bits.view(dtype)])


def _edges(dtype):
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        powers = [s * 2**p + d for p in range(64) for d in (-1, 0, 1) for s in (-1, 1)]
        return np.array(sorted({v for v in powers if info.min <= v <= info.max}), dtype)
    info = np.finfo(dtype)
    exact = [s * 2.0**p for p in range(info.minexp, info.maxexp) for s in (-1, 1)]
    odd = [
        0.0,
        -0.0,
        info.max,
        info.min,
        info.tiny,
        info.smallest_subnormal,
        np.inf,
        -np.inf,
        np.nan,
        0.1,
        1 + info.eps,
    ]
    return np.array(exact + odd, dtype)


def changed(before, target):
    """The values that are another number in the model's type of ``target``, or other bits on the way back."""
    with np.errstate(all="ignore"):
        widened = before.astype(MODEL_TYPE[target])
        back = widened.astype(before.dtype)
        equal = before.astype(object) == widened.astype(object)  # Python compares ints and floats exactly
    if before.dtype.kind == "f":
        equal &= before.view(f"u{before.itemsize}") == back.view(f"u{before.itemsize}")
        equal |= np.isnan(before) & np.isnan(back)  # the payload of a NaN carries nothing
    else:
        equal &= before == back
    return before[~equal]


@pytest.mark.parametrize("pair", ACCEPTED, ids=IDS)
def test_what_widens_comes_back_bit_for_bit(pair):
    source, target = pair
    assert len(changed(values(source), target)) == 0


# Lossless by value, and refused deliberately:
ON_PURPOSE = {
    # a bool is never a number, and a number never a bool, not even 0 and 1
    ("bool", DataType.integer),
    ("bool", DataType.long),
    ("bool", DataType.float),
    ("bool", DataType.double),
    # a float is for measurements: 8 and 16 bits would fit into its 24, the next wider integers would not
    ("int8", DataType.float),
    ("int16", DataType.float),
    ("uint8", DataType.float),
    ("uint16", DataType.float),
}


@pytest.mark.parametrize("pair", [pair for pair in REFUSED if pair not in ON_PURPOSE], ids=IDS)
def test_what_is_refused_has_a_value_that_would_change(pair):
    source, target = pair
    assert len(changed(values(source), target)) > 0


@pytest.mark.parametrize("pair", sorted(ON_PURPOSE, key=str), ids=IDS)
def test_what_is_refused_on_purpose_is_refused_and_lossless(pair):
    source, target = pair
    assert pair in REFUSED
    assert len(changed(values(source), target)) == 0


@pytest.mark.parametrize(
    ("source", "target", "witness"),
    [
        ("int64", DataType.double, 2**53 + 1),
        ("int64", DataType.integer, 2**31),
        ("int32", DataType.float, 2**24 + 1),
        ("uint32", DataType.integer, 2**31),
        ("float64", DataType.float, 0.1),
        ("float64", DataType.long, -0.0),
        ("float32", DataType.integer, 0.5),
        ("float64", DataType.boolean, 2.0),
    ],
    ids=describe_case,
)
def test_the_witnesses_that_the_documentation_names(source, target, witness):
    assert not widens(Scalar(source), target)
    assert len(changed(np.array([witness], source), target)) == 1


@pytest.mark.parametrize("target", TARGETS, ids=describe_case)
def test_uint64_has_values_that_no_target_holds(target):
    edges = np.array([2**63, 2**64 - 1], "uint64")
    assert not widens(Scalar("uint64"), target)
    with np.errstate(all="ignore"):
        values = edges.astype(MODEL_TYPE[target]).astype(object)
    assert [int(value) for value in values] != [2**63, 2**64 - 1]


def test_the_values_reach_the_edges():
    assert len(values("int8")) == 256
    assert len(values("float16")) == len(values("uint16")) == 65_536


@pytest.mark.parametrize("name", ["int32", "int64", "uint32"])
def test_the_integers_reach_the_edges(name):
    info = np.iinfo(name)
    assert {info.min, info.max, 0, 1, 2**24 + 1} <= set(values(name).tolist())


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_the_floats_reach_the_edges(name):
    reached = values(name)
    assert np.isnan(reached).any()
    assert np.isinf(reached).any()
    assert (np.signbit(reached) & (reached == 0)).any()
    assert np.finfo(name).smallest_subnormal in reached
    assert len({round(x) for x in np.log2(np.abs(reached[np.isfinite(reached) & (reached != 0)]))}) > 250


# --- texts, bytes, times: pyarrow there and back --------------------------------------------------------

ARROW = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "binary_view": pa.binary_view(),
    "fixed_size_binary": pa.binary(3),
    "date32": pa.date32(),
    "date64": pa.date64(),
    "timestamp": pa.timestamp("ns"),
    "timestamp_tz": pa.timestamp("us", "Europe/Berlin"),
}
TEXTS = ["", "a", "ä\x00日", "nan", None, "x" * 50]
BYTES = [b"abc", b"\x00\x00\x00", b"\xff\xfe\x00", None]
EXAMPLES = {
    "string": TEXTS,
    "large_string": TEXTS,
    "string_view": TEXTS,
    "binary": [*BYTES, b"", b"x" * 50],
    "large_binary": [*BYTES, b"", b"x" * 50],
    "binary_view": [*BYTES, b"", b"x" * 50],
    "fixed_size_binary": BYTES,
    "date32": [0, -1, 18_321, None],
    "date64": [0, -86_400_000, 18_321 * 86_400_000, None],
    "timestamp": [0, -1, 2**62, None],
    "timestamp_tz": [0, -1, 2**50, None],
}


@pytest.mark.parametrize("name", [name for name in IMMEDIATE if name not in NUMERIC], ids=describe_case)
def test_what_is_no_number_widens_inside_its_family_and_comes_back(name):
    [target] = [target for target in DataType if widens(Scalar(name), target)]
    before = pa.array(EXAMPLES[name], ARROW[name])
    try:
        after = before.cast(ARROW[MODEL_TYPE[target]])
        back = after.cast(ARROW[name])
    except pa.ArrowNotImplementedError as error:  # of views, in an older pyarrow
        pytest.skip(str(error))
    assert back == before


# --- laws of the order ----------------------------------------------------------------------------------


def test_every_edge_leads_to_a_type_of_the_table():
    assert {wider for edges in IMMEDIATE.values() for wider in edges} <= IMMEDIATE.keys()
    assert set(MODEL_TYPE.values()) <= IMMEDIATE.keys()
    assert all(len(set(edges)) == len(edges) for edges in IMMEDIATE.values())


@pytest.mark.parametrize(("name", "edges"), IMMEDIATE.items(), ids=IMMEDIATE)
def test_the_order_is_reflexive_and_holds_every_edge(name, edges):
    assert {name, *edges} <= find_upper_bounds(name)


@pytest.mark.parametrize("name", IMMEDIATE, ids=describe_case)
def test_the_order_is_transitive(name):
    for wider in find_upper_bounds(name):
        assert find_upper_bounds(wider) <= find_upper_bounds(name)


@pytest.mark.parametrize("value", IMMEDIATE, ids=describe_case)
def test_the_order_is_antisymmetric_so_it_has_no_cycle(value):
    assert not [
        other for other in find_upper_bounds(value) if other != value and value in find_upper_bounds(other)
    ]


@pytest.mark.parametrize("name", IMMEDIATE, ids=describe_case)
def test_the_closure_is_no_larger_than_the_paths(name):
    reached, ahead = set(), [name]
    while ahead:
        here = ahead.pop()
        reached.add(here)
        ahead += [wider for wider in IMMEDIATE[here] if wider not in reached]
    assert find_upper_bounds(name) == reached


@pytest.mark.parametrize("name", ["uint64", "time32", "duration", "decimal", "nope", ""], ids=describe_case)
def test_what_is_not_in_the_table_has_no_bounds(name):
    assert find_upper_bounds(name) == frozenset()


# --- decimals -------------------------------------------------------------------------------------------

WIDEST = {
    target: max(p for p in range(1, 39) if widens(Decimal(p, 0), target))
    for target in (DataType.integer, DataType.long, DataType.double)
}


@st.composite
def decimals(draw, precision):
    """A scale, and the unscaled value of a decimal of that precision at most."""
    digits = draw(st.integers(1, precision))
    return draw(st.integers(0, 38)), draw(st.integers(-(10**digits) + 1, 10**digits - 1))


EXACT = Context(prec=1200)


def survives_a_double(unscaled, scale):
    value = Number(unscaled).scaleb(-scale, EXACT)
    return Number(float(value)).quantize(Number(1).scaleb(-scale), context=EXACT) == value


@given(decimals(WIDEST[DataType.double]))
def test_a_decimal_that_widens_to_double_comes_back(number):
    scale, unscaled = number
    assert widens(Decimal(WIDEST[DataType.double], scale), DataType.double)
    assert survives_a_double(unscaled, scale)


@pytest.mark.parametrize("scale", [0, 1, 2, 7, 15, 30, 38, 100, 290, -1, -20, -290], ids=describe_case)
def test_the_edges_of_decimals_come_back_from_a_double(scale):
    assert widens(Decimal(15, scale), DataType.double)
    rng = np.random.default_rng(abs(scale))
    unscaled = [10**15 - 1, 1 - 10**15, 10**14 + 1, 1, 0, *rng.integers(-(10**15) + 1, 10**15, 300).tolist()]
    assert all(survives_a_double(number, scale) for number in unscaled)


@pytest.mark.parametrize("scale", [0, 2, 5, 16])
def test_one_digit_more_has_a_decimal_that_a_double_changes(scale):
    precision = WIDEST[DataType.double] + 1
    assert not widens(Decimal(precision, scale), DataType.double)
    # Doubles are 2 apart from 2^53 on, which has 16 digits; with a fraction a witness must be looked for.
    candidates = range(10**precision - 1, 10**precision - 2000, -1)
    assert any(not survives_a_double(unscaled, scale) for unscaled in candidates)


@pytest.mark.parametrize(
    ("target", "dtype"), [(DataType.integer, "int32"), (DataType.long, "int64")], ids=["integer", "long"]
)
def test_decimals_that_widen_to_integers_fit_and_the_next_do_not(target, dtype):
    info, digits = np.iinfo(dtype), WIDEST[target]
    assert info.min <= -(10**digits - 1)
    assert 10**digits - 1 <= info.max
    assert 10 ** (digits + 1) - 1 > info.max
    assert not widens(Decimal(digits + 1, 0), target)


@given(st.integers(1, 38), st.integers(-38, 38))
@pytest.mark.parametrize(
    ("target", "dtype"), [(DataType.integer, "int32"), (DataType.long, "int64")], ids=["integer", "long"]
)
def test_a_decimal_widens_to_an_integer_only_if_all_its_values_are_integers_in_range(
    target, dtype, precision, scale
):
    largest = Number(10**precision - 1).scaleb(-scale, EXACT)
    if widens(Decimal(precision, scale), target):
        assert Number(1).scaleb(-scale) % 1 == 0
        assert largest <= np.iinfo(dtype).max


@pytest.mark.parametrize(
    "target",
    [DataType.boolean, DataType.float, DataType.string, DataType.binary, DataType.datetime],
    ids=describe_case,
)
def test_decimals_widen_to_nothing_else(target):
    assert not any(widens(Decimal(p, s), target) for p in range(1, 39) for s in range(-3, p + 1))
