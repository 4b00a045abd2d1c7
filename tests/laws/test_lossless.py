"""Law 1, by values: an accepted value arrives unchanged or losslessly widened, any other is refused."""

from __future__ import annotations

import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparksig.engine.plan import compile
from sparksig.errors import Code, ContractError
from sparksig.schema import ColSpec, Schema
from sparksig.types import DataType
from tests.cases import describe_case

ARRIVES_AS = {
    DataType.boolean: pa.bool_(),
    DataType.integer: pa.int32(),
    DataType.long: pa.int64(),
    DataType.float: pa.float32(),
    DataType.double: pa.float64(),
    DataType.string: pa.string(),
    DataType.binary: pa.binary(),
    DataType.datetime: pa.timestamp("ns"),
}
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
ZONES = [None, "UTC", "America/New_York", "Asia/Kathmandu", "+02:00", "-09:30"]
DAY = 24 * 3600
LAST = 2**63 - 1  # in nanoseconds


def newer(name, *args):
    """A type that the installed pyarrow may not have yet."""
    return [getattr(pa, name)(*args)] if hasattr(pa, name) else []


INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
REALS = [pa.float16(), pa.float32(), pa.float64()]
DECIMALS = [
    *(pa.decimal128(digits, 0) for digits in (1, 9, 10, 15, 16, 18, 19, 38)),
    *(pa.decimal128(digits, 3) for digits in (9, 15, 16, 18)),
    *(pa.decimal128(*arguments) for arguments in ((15, 15), (15, 22), (15, 23), (5, 37), (15, 290))),
    *(
        pa.decimal128(*arguments)
        for arguments in ((7, -2), (8, -2), (16, -2), (17, -2), (15, -22), (15, -23))
    ),
    *(
        pa.decimal256(*arguments)
        for arguments in ((9, 0), (18, 0), (15, 3), (15, 30), (3, -15), (15, -290), (76, 0))
    ),
    *newer("decimal32", 9, 0),
    *newer("decimal32", 9, 4),
    *newer("decimal64", 15, 2),
    *newer("decimal64", 18, 0),
]
TEXTS = [pa.string(), pa.large_string(), *newer("string_view")]
BYTES = [pa.binary(), pa.large_binary(), *newer("binary_view"), pa.binary(3), pa.binary(0)]
TIMES = [pa.date32(), pa.date64(), *(pa.timestamp(unit, zone) for zone in ZONES for unit in UNITS)]
PLAIN = [pa.bool_(), *INTEGERS, *REALS, *DECIMALS, *TEXTS, *BYTES, *TIMES]
ENCODED = [
    pa.bool_(), pa.int8(), pa.int32(), pa.int64(), pa.uint32(), pa.float16(), pa.float32(), pa.float64(),
    pa.decimal128(9, 0), pa.decimal128(15, 3), *TEXTS, *BYTES[:3], pa.date32(),
    pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("s", "America/New_York"),
]  # fmt: skip
DICTIONARIES = [pa.dictionary(pa.int32(), inner) for inner in ENCODED] + [
    pa.dictionary(pa.uint8(), pa.string())
]
FOREIGN = [pa.time32("s"), pa.time64("ns"), pa.duration("us"), pa.month_day_nano_interval(), pa.null()]


def values_type(dtype):
    return dtype.value_type if pa.types.is_dictionary(dtype) else dtype


# --- raw values: ints for ticks and digits, Python floats, bytes, text ----------------------------------


def numpy_float(dtype):
    return np.dtype(f"float{dtype.bit_width}")


def span(dtype):
    """Return the limits of a type that stores integers: numbers, unscaled digits, ticks."""
    if pa.types.is_decimal(dtype):
        return 1 - 10**dtype.precision, 10**dtype.precision - 1
    signed = not pa.types.is_unsigned_integer(dtype)
    return -(2 ** (dtype.bit_width - 1)) * signed, 2 ** (dtype.bit_width - signed) - 1


def per_tick(dtype):
    """Return the nanoseconds of a tick of a temporal type."""
    if pa.types.is_date(dtype):
        return DAY * 10**9 if pa.types.is_date32(dtype) else 10**6
    return 10**9 // UNITS[dtype.unit]


def corners(dtype):
    """The values of an Arrow type where conversions go wrong."""
    if dtype == pa.bool_():
        return [False, True]
    if pa.types.is_floating(dtype):
        info = np.finfo(numpy_float(dtype))
        sizes = [
            0.0,
            1.5,
            info.max,
            info.tiny,
            info.smallest_subnormal,
            info.eps,
            np.inf,
            np.nan,
            2047.0,
            1025.0,
        ]
        return [sign * float(size) for size in sizes for sign in (1, -1)]
    if dtype in TEXTS:
        return ["", "\0", "a\0", "\U0001f600" * 5, " ", "NaN", "None"]
    if dtype in BYTES:
        values = [b"", b"\0", b"a\0", b"\xff" * 20, b"abc"]
        return [b for b in values if not pa.types.is_fixed_size_binary(dtype) or len(b) == dtype.byte_width]
    low, high = span(dtype)
    values = {0, 1, low, low + 1, high - 1, high}
    values |= {2**power + step for power in (15, 24, 31, 53) for step in (-1, 0, 1)}
    if pa.types.is_temporal(dtype):
        values |= {LAST // per_tick(dtype) + step for step in (-1, 0, 1)}
    return sorted({sign * value for value in values for sign in (1, -1) if low <= sign * value <= high})


def raw_values(dtype):
    """One value of an Arrow type, as :func:`build` takes it."""
    special = st.sampled_from(corners(dtype))
    if dtype == pa.bool_():
        return special
    if pa.types.is_floating(dtype):
        return special | st.floats(width=dtype.bit_width)
    if dtype in TEXTS:
        return special | st.text(max_size=14)
    if dtype in BYTES:
        size = dtype.byte_width if pa.types.is_fixed_size_binary(dtype) else None
        return special | st.binary(min_size=size or 0, max_size=14 if size is None else size)
    if pa.types.is_temporal(dtype):  # most of what chance gives is beyond nanoseconds
        century = 100 * 365 * DAY * 10**9 // per_tick(dtype)
        return special | st.integers(-century, century)
    return special | st.integers(*span(dtype))


def build(dtype, raw, garbage=0):
    """An array of raw values; None is a null, under which fixed-width types hold ``garbage``."""
    if pa.types.is_decimal(dtype) or pa.types.is_temporal(dtype):
        filled = [garbage if value is None else value for value in raw]
        width = dtype.bit_width // 8
        data = b"".join(value.to_bytes(width, "little", signed=True) for value in filled)
    elif pa.types.is_float16(dtype):  # pyarrow 17 takes no Python floats
        data = np.array([garbage if value is None else value for value in raw], "float16").tobytes()
    else:
        return pa.array(raw, dtype)
    valid = np.packbits(np.array([value is not None for value in raw], bool), bitorder="little").tobytes()
    buffers = [pa.py_buffer(valid) if None in raw else None, pa.py_buffer(data)]
    return pa.Array.from_buffers(dtype, len(raw), buffers)


@st.composite
def columns(draw, dtype):
    """Raw values and the array that holds them: with nulls or without, perhaps a slice or a dictionary."""
    inner = values_type(dtype)
    nullable = draw(st.booleans())
    value = st.none() | raw_values(inner) if nullable else raw_values(inner)
    raw = draw(st.lists(value, max_size=6))
    before, after = draw(st.integers(0, 3)), draw(st.integers(0, 2))
    full = [raw[0] if raw else None] * before + raw + [raw[-1] if raw else None] * after
    if dtype == inner:
        return raw, build(dtype, full, garbage=draw(st.sampled_from([0, 1, -1]))).slice(before, len(raw))
    held = {repr(value): value for value in full if value is not None}  # 0.0 and -0.0 are two
    number = {text: position for position, text in enumerate(held)}
    places = pa.array([number.get(repr(value)) for value in full], dtype.index_type)
    values = build(inner, list(held.values()))
    return raw, pa.DictionaryArray.from_arrays(places, values).slice(before, len(raw))


# --- what arrived, narrowed back ------------------------------------------------------------------------


def bits(values, dtype):
    """The bits of floats in a dtype, all NaNs alike."""
    floats = np.array(values, dtype)
    return np.where(np.isnan(floats), np.array(np.nan, dtype), floats).tobytes()


def outside_nanoseconds(dtype, raw):
    """Which rows hold an instant whose wall time does not fit; the smallest integer is NaT to pandas."""
    walls = [0 if value is None else wall_time(dtype, value) for value in raw]
    return [row for row, wall in enumerate(walls) if not -LAST <= wall <= LAST]


def wall_time(dtype, tick):
    """Return the local time of a tick in the column's zone, in exact nanoseconds, by Python's zones."""
    seconds = tick * per_tick(dtype) // 10**9
    return tick * per_tick(dtype) + offset(getattr(dtype, "tz", None), seconds) * 10**9


def offset(zone, seconds):
    """Return the seconds by which a zone is ahead of UTC at a timestamp."""
    if zone is None or zone[0] in "+-":
        sign = -1 if zone and zone[0] == "-" else 1
        return sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60) if zone else 0
    if abs(seconds) > 10**10:  # beyond nanoseconds in each zone
        return 0
    instant = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(
        seconds=seconds
    )
    return int(instant.astimezone(ZoneInfo(zone)).utcoffset().total_seconds())


def assert_arrived(dtype, raw, arrived, target):
    """Every value is where it was, and narrowing it back gives the source's value to the bit."""
    assert arrived.type == ARRIVES_AS[target]
    assert arrived.null_count == raw.count(None)
    arrived.validate(full=True)
    if pa.types.is_temporal(dtype):
        arrived = arrived.cast(pa.int64())
    pairs = [(before, after) for before, after in zip(raw, arrived.to_pylist()) if before is not None]
    assert len(arrived) == len(raw)
    assert all(after is not None for _, after in pairs)
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if pa.types.is_floating(dtype):
        assert bits(before, numpy_float(dtype)) == bits(after, numpy_float(dtype))
        assert bits(before, "float64") == bits(after, "float64")
    elif pa.types.is_decimal(dtype):
        ten = Fraction(10) ** dtype.scale
        assert [round(Fraction(value) * ten) for value in after] == before
        if target is DataType.double:
            assert after == [float(value / ten) for value in before]  # the nearest double
        else:
            assert after == [value / ten for value in before]
    elif pa.types.is_temporal(dtype):
        assert after == [wall_time(dtype, value) for value in before]
    else:
        assert after == before  # Python compares ints and floats exactly


def verdict(dtype, target, required=True):
    """The plan for one column, or None where it is refused."""
    try:
        return compile(Schema([ColSpec(target, "a", required)]), pa.schema([("a", dtype)]))
    except ContractError:
        return None


def apply(plan, array):
    return plan.apply(pa.record_batch([array], ["a"])).column(0)


def assert_law(dtype, raw, array):
    """Each type that accepts the column gets all values, or findings with the right count and rows."""
    inner = values_type(dtype)
    beyond = outside_nanoseconds(inner, raw) if pa.types.is_temporal(inner) else []
    for target in DataType:
        plan = verdict(dtype, target, required=False)
        if plan is None:
            continue
        if not beyond:
            assert_arrived(inner, raw, apply(plan, array), target)
            continue
        with pytest.raises(ContractError) as error:
            apply(plan, array)
        [finding] = error.value.findings
        assert (finding.code, finding.path) == (Code.OUT_OF_RANGE, "a")
        assert (finding.count, finding.rows) == (len(beyond), tuple(beyond[:5]))


few = settings(max_examples=settings().max_examples // 4)  # for each of a hundred types


@pytest.mark.parametrize("dtype", PLAIN, ids=str)
def test_the_corners_of_a_type_arrive_and_narrow_back(dtype):
    values = corners(dtype)
    nested = values
    if pa.types.is_temporal(dtype):
        beyond = outside_nanoseconds(dtype, values)
        nested = [value for row, value in enumerate(values) if row not in beyond]
    for raw in (values, nested, [*nested, None], [None, *values, None]):
        assert_law(dtype, raw, build(dtype, raw))
        assert_law(dtype, raw[1:], build(dtype, [*raw, *raw]).slice(1, max(len(raw) - 1, 0)))


@pytest.mark.parametrize("dtype", PLAIN, ids=str)
@few
@given(st.data())
def test_what_is_accepted_arrives_and_narrows_back(dtype, data):
    assert_law(dtype, *data.draw(columns(dtype)))


@pytest.mark.parametrize("dtype", DICTIONARIES, ids=lambda dtype: f"{dtype.index_type}-{dtype.value_type}")
@few
@given(st.data())
def test_a_dictionary_arrives_as_its_values(dtype, data):
    assert_law(dtype, *data.draw(columns(dtype)))
    assert [verdict(dtype, target) is None for target in DataType] == [
        verdict(dtype.value_type, target) is None for target in DataType
    ]


# --- types that are refused for all values --------------------------------------------------------------


def harmless(dtype):
    """Batches that many a target could hold by their values: none, nulls, zeros, empty texts."""
    inner = values_type(dtype)
    yield pa.nulls(0, dtype)
    yield pa.nulls(3, dtype)
    if inner in FOREIGN:
        return
    if inner in TEXTS + BYTES:
        zero = (
            ""
            if inner in TEXTS
            else b"\0" * (inner.byte_width if pa.types.is_fixed_size_binary(inner) else 0)
        )
    else:
        zero = False if inner == pa.bool_() else 0
    for nulls in ([], [None]):
        if inner == dtype:
            yield build(dtype, [zero, zero, *nulls])
        else:
            places = pa.array([0, 0, *nulls], dtype.index_type)
            yield pa.DictionaryArray.from_arrays(places, build(inner, [zero]))


@pytest.mark.parametrize(
    ("dtype", "target", "required"),
    [
        pytest.param(
            dtype, target, required, id=f"{dtype}-{target.name}-{'required' if required else 'optional'}"
        )
        for dtype in PLAIN + DICTIONARIES + FOREIGN
        for target in DataType
        for required in (True, False)
        if verdict(dtype, target, required) is None
    ],
)
def test_a_type_is_refused_for_all_values_alike(dtype, target, required):
    texts = set()
    schema = Schema([ColSpec(target, "a", required)])
    for array in harmless(dtype):
        batch = pa.record_batch([array], ["a"])
        with pytest.raises(ContractError) as error:
            compile(schema, batch.schema).apply(batch)
        assert [finding.code for finding in error.value.findings] == [Code.TYPE_MISMATCH]
        texts.add(str(error.value))
    assert len(texts) == 1


@pytest.mark.parametrize("target", DataType, ids=describe_case)
@pytest.mark.parametrize("dtype", PLAIN + DICTIONARIES, ids=str)
def test_what_is_accepted_is_accepted_empty_and_null_as_well(dtype, target):
    plan = verdict(dtype, target, required=False)
    for array in harmless(dtype) if plan else ():
        arrived = apply(plan, array)
        assert arrived.type == ARRIVES_AS[target]
        assert arrived.is_null().to_pylist() == array.is_null().to_pylist()


def test_the_law_is_not_empty():
    reached = {target for dtype in PLAIN for target in DataType if verdict(dtype, target) is not None}
    assert reached == set(DataType)
    nowhere = [dtype for dtype in PLAIN if all(verdict(dtype, target) is None for target in DataType)]
    assert set(nowhere) == {
        pa.uint64(),
        *(dtype for dtype in DECIMALS if dtype.precision > 15 and dtype.scale > 0),
        *(dtype for dtype in DECIMALS if dtype.precision > 18 or dtype == pa.decimal128(17, -2)),
    }


# --- corners that chance seldom meets -------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Sydney"])
@pytest.mark.parametrize("year", [1850, 1900, 1950, 2007, 2024, 2037, 2038, 2050, 2250])
def test_a_wall_time_is_right_in_winter_and_in_summer_of_any_year(zone, year):
    summer, winter = (
        int(datetime.datetime(year, month, 1, 12, tzinfo=datetime.timezone.utc).timestamp())
        for month in (1, 7)
    )
    dtype = pa.timestamp("s", zone)
    assert_law(dtype, [summer, winter], build(dtype, [summer, winter]))


@pytest.mark.parametrize("unit", UNITS, ids=describe_case)
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_zone_moves_no_instant_over_the_edge_of_nanoseconds(zone, unit):
    dtype, hours = pa.timestamp(unit, zone), 3600 * UNITS[unit]
    last = LAST // (10**9 // UNITS[unit])
    raw = [edge * last + step * hours for edge in (1, -1) for step in range(-12, 13)]
    raw = [tick for tick in raw if abs(tick) <= LAST]
    assert_law(dtype, raw, build(dtype, raw))


@pytest.mark.parametrize("target", [DataType.boolean, DataType.integer, DataType.long], ids=describe_case)
def test_a_null_among_the_values_of_a_dictionary_is_a_null(target):
    values = pa.array([True, None] if target is DataType.boolean else [1, None], ARRIVES_AS[target])
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, 1, None], pa.int8()), values)
    assert apply(verdict(array.type, target, required=False), array).null_count == 3
    with pytest.raises(ContractError) as error:
        apply(verdict(array.type, target), array)
    [finding] = error.value.findings
    assert (finding.code, finding.count, finding.rows) == (Code.NULL_IN_REQUIRED, 3, (1, 3, 4))


@pytest.mark.parametrize("dtype", [pa.decimal128(9, 2), pa.decimal128(9, 0), pa.float16()], ids=str)
def test_an_array_without_rows_may_have_no_buffer(dtype):
    array = pa.Array.from_buffers(dtype, 0, [None, None])
    assert apply(verdict(dtype, DataType.double), array) == pa.array([], pa.float64())


def test_a_dictionary_is_judged_by_the_values_in_use():
    far, near = 2**60, 0
    array = pa.DictionaryArray.from_arrays(
        pa.array([1, 1], pa.int8()), pa.array([far, near], pa.timestamp("s"))
    )
    assert apply(verdict(array.type, DataType.datetime), array) == pa.array([0, 0], pa.timestamp("ns"))


def test_values_under_a_null_are_ignored():
    dtype = pa.timestamp("s")
    array = build(dtype, [None, 1], garbage=2**62)
    assert apply(verdict(dtype, DataType.datetime), array).to_numpy(zero_copy_only=False)[1] == np.datetime64(
        1, "s"
    )
