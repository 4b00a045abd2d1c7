"""Batches in, predictions out: lazily, never an empty batch for the model; models loaded once per process."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparksig
from sparksig.engine import plan as plans
from sparksig.errors import (
    ContractError,
    ModelDamagedError,
    ModelFailedError,
    ModelNotFoundError,
    PredictionError,
)
from sparksig.models.flavors.interface import LoadOptions
from sparksig.models.seal import digest
from sparksig.models.trust import Trust
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.scoring.batches import score_batches
from sparksig.scoring.cache import CACHE, CacheInfo, ModelCache
from sparksig.scoring.failures import score_leniently
from sparksig.types import Array, Map
from tests.cases import describe_case

INPUTS = Schema([ColSpec("double", "x"), ColSpec("long", "n", False)])
OUTPUTS = Schema([ColSpec("double")])
TENSOR = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])


def batch(*values, dtype=None):
    return pa.record_batch(
        {"x": pa.array(values, dtype or pa.float64()), "n": pa.array([1] * len(values), pa.int64())}
    )


def double(frame, params):
    return frame["x"] * 2


# --- score_batches --------------------------------------------------------------------------------------


def test_one_array_for_each_batch():
    scored = list(score_batches([batch(1.0, 2.0), batch(3.0)], double, INPUTS, OUTPUTS, {}))
    assert scored == [pa.array([2.0, 4.0]), pa.array([6.0])]


@given(st.lists(st.lists(st.floats(-1e9, 1e9), max_size=4), max_size=5))
def test_rows_in_are_rows_out(sizes):
    received = []

    def predict(frame, params):
        received.append(len(frame))
        return np.column_stack([frame["x"], -frame["x"]])

    scored = list(score_batches([batch(*values) for values in sizes], predict, INPUTS, TENSOR, {}))
    assert [len(array) for array in scored] == [len(values) for values in sizes]
    assert received == [len(values) for values in sizes if values]
    assert [array.to_pylist() for array in scored] == [[[x, -x] for x in values] for values in sizes]
    assert {array.type for array in scored} <= {pa.list_(pa.float64())}


@pytest.mark.parametrize(
    ("outputs", "dtype"),
    [(OUTPUTS, pa.float64()), (TENSOR, pa.list_(pa.float64()))],
    ids=["column", "tensor"],
)
def test_the_model_is_not_called_without_rows(outputs, dtype):
    def predict(frame, params):
        raise AssertionError("an empty batch reached the model")

    empty = [batch(), batch(1.0).slice(1)]
    assert list(score_batches(empty, predict, INPUTS, outputs, {})) == [pa.array([], dtype)] * 2
    assert list(score_batches([], predict, INPUTS, outputs, {})) == []


def test_it_is_lazy():
    log = []

    def batches():
        for number in (1.0, 2.0):
            log.append(f"batch {number}")
            yield batch(number)

    def predict(frame, params):
        log.append("predict")
        return frame["x"]

    scored = score_batches(batches(), predict, INPUTS, OUTPUTS, {})
    assert log == []
    assert next(scored) == pa.array([1.0])
    assert log == ["batch 1.0", "predict"]
    assert next(scored) == pa.array([2.0])
    assert log == ["batch 1.0", "predict", "batch 2.0", "predict"]
    assert list(scored) == []


def test_what_the_model_gets():
    calls = []

    def predict(frame, params):
        calls.append((frame, params))
        return frame["x"]

    params = {"threshold": 0.5}
    data = pa.record_batch({"extra": ["?"], "n": pa.array([None], pa.int32()), "x": pa.array([1], pa.int8())})
    assert next(score_batches([data], predict, INPUTS, OUTPUTS, params)) == pa.array([1.0])
    [(frame, received)] = calls
    assert isinstance(frame, pd.DataFrame)
    assert [str(dtype) for dtype in frame.dtypes] == ["float64", "Int64"]
    assert list(frame.columns) == ["x", "n"]
    assert received is params


def test_batches_may_come_in_different_types():
    mixed = [batch(1.0), batch(2, dtype=pa.int32()), batch(3.0, dtype=pa.float32())]
    assert [array.to_pylist() for array in score_batches(mixed, double, INPUTS, OUTPUTS, {})] == [
        [2.0],
        [4.0],
        [6.0],
    ]


def test_the_model_may_write_into_its_frame():
    data = batch(1.0, 2.0)

    def predict(frame, params):
        frame["x"] = 0.0
        frame.iloc[0, 0] = 7.0
        return frame["x"]

    assert list(score_batches([data, data], predict, INPUTS, OUTPUTS, {})) == [pa.array([7.0, 0.0])] * 2
    assert data.column(0).to_pylist() == [1.0, 2.0]


def test_a_plan_serves_all_batches_of_a_schema():
    inputs = Schema([ColSpec("double", "served once")])
    first = pa.record_batch({"served once": [1.0]})
    plan = plans.compile(inputs, first.schema)
    list(score_batches([first] * 3, lambda frame, params: frame.iloc[:, 0], inputs, OUTPUTS, {}))
    assert plans.compile(inputs, first.schema) is plan


def test_findings_come_when_their_batch_does():
    wrong = batch("x", dtype=pa.string())
    scored = score_batches([batch(1.0), wrong], double, INPUTS, OUTPUTS, {})
    assert next(scored) == pa.array([2.0])
    with pytest.raises(ContractError, match="x: expected double, got string"):
        next(scored)


def test_a_wrong_prediction_is_a_finding():
    scored = score_batches([batch(1.0)], lambda frame, params: [1.0, 2.0], INPUTS, OUTPUTS, {})
    with pytest.raises(PredictionError, match="expected one prediction for 1 row, got 2"):
        next(scored)


def test_exception_of_the_model_is_described_with_its_first_row():
    def predict(frame, params):
        if (frame["x"] > 6).any():
            raise ZeroDivisionError("mine")
        return frame["x"]

    batches = [batch(1.0, 2.0, 3.0), batch(4.0, 5.0, 6.0, 7.0, 8.0)]
    scored = score_batches(batches, predict, INPUTS, OUTPUTS, {}, first_row=1000, source=" of partition 2")
    next(scored)
    with pytest.raises(ModelFailedError, match=r"^the model raised ZeroDivisionError: mine\n") as error:
        next(scored)
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    _, frame, row = str(error.value).split("\n")
    assert re.fullmatch(r"  at .*test_scoring\.py, line \d+, in predict", frame)
    assert row == "  first failing row: 1,006 of partition 2, counted from 0"


def test_exception_of_a_batch_has_no_failing_row():
    def predict(frame, params):
        if len(frame) > 1:
            raise ValueError("one at a time")
        return frame["x"]

    with pytest.raises(ModelFailedError, match="first failing row: unknown; 0 rows were scored before"):
        next(score_batches([batch(1.0, 2.0)], predict, INPUTS, OUTPUTS, {}))


def test_exception_of_a_library_is_described_by_the_frames_of_the_model():
    def parse(text):
        return json.loads(text)

    with pytest.raises(ModelFailedError) as error:
        next(score_batches([batch(1.0)], lambda frame, params: parse("{"), INPUTS, OUTPUTS, {}))
    assert [line.rpartition(" ")[2] for line in str(error.value).split("\n")[1:-1]] == ["<lambda>", "parse"]


def test_composites_go_in_and_out():
    inputs = Schema([ColSpec(Array("double"), "a")])
    outputs = Schema([ColSpec(Map("double"))])

    def ends(frame, params):
        return [
            None if row is None or not len(row) else {"first": row[0], "last": row[-1]} for row in frame["a"]
        ]

    rows = pa.record_batch({"a": pa.array([[1.0, 2.0], [], None], pa.list_(pa.float32()))})
    [array] = score_batches([rows], ends, inputs, outputs, {})
    assert array.type == pa.map_(pa.string(), pa.float64())
    assert array.to_pylist() == [[("first", 1.0), ("last", 2.0)], None, None]


def test_a_batch_of_another_composite_is_refused_before_the_model_is_asked():
    inputs = Schema([ColSpec(Array("double"), "a")])
    rows = pa.record_batch({"a": pa.array([["x"]])})
    with pytest.raises(ContractError, match=r"a\[\]: expected double, got string"):
        next(score_batches([rows], lambda frame, params: 1 / 0, inputs, OUTPUTS, {}))


# --- ModelCache -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Save three linear models: for each factor, its directory, its digest and its loading options."""
    import skops.io
    from sklearn.linear_model import LinearRegression

    saved = []
    for factor in (2.0, 3.0, 5.0):
        model = LinearRegression().fit(pd.DataFrame({"x": [0.0, 1.0]}), [0.0, factor])
        trusted = tuple(skops.io.get_untrusted_types(data=skops.io.dumps(model)))
        path = tmp_path_factory.mktemp("models") / f"times{factor:.0f}"
        signature = sparksig.ModelSignature(Schema([ColSpec("double", "x")]), OUTPUTS)
        sparksig.save_model(path, model, signature, trusted_types=trusted)
        saved.append((path, digest(path), LoadOptions(Trust(trusted_types=trusted))))
    return saved


def get(cache, model):
    path, pinned, loading = model
    return cache.get(pinned, lambda: path, loading)


def test_a_model_is_loaded_once(models):
    cache = ModelCache()
    assert cache.info() == CacheInfo(0, 0, 0.0, 0)
    first = get(cache, models[0])
    assert first.predict(pd.DataFrame({"x": [1.0, 4.0]})).round(9).tolist() == [2.0, 8.0]
    assert all(get(cache, models[0]) is first for _ in range(3))
    info = cache.info()
    assert (info.loads, info.hits, info.size) == (1, 3, 1)
    assert info.seconds > 0


def test_a_loaded_model_scores_batches(models):
    model = get(ModelCache(), models[1])
    inputs, outputs = model.signature.inputs, model.signature.outputs
    [scored] = score_batches([pa.record_batch({"x": [1.0, 2.0]})], model.predict_raw, inputs, outputs, {})
    assert np.round(scored.to_numpy(), 9).tolist() == [3.0, 6.0]


def test_a_hit_does_not_look_for_the_directory(models):
    _, pinned, loading = models[0]
    cache = ModelCache()
    model = get(cache, models[0])

    def locate():
        raise AssertionError("looked for a model that is there")

    assert cache.get(pinned, locate, loading) is model


def test_the_least_recently_used_model_goes_first(models):
    cache = ModelCache(limit=2)
    first, second = get(cache, models[0]), get(cache, models[1])
    assert get(cache, models[0]) is first
    get(cache, models[2])  # the second goes
    assert cache.info().size == 2
    assert get(cache, models[0]) is first
    assert get(cache, models[1]) is not second
    info = cache.info()
    assert (info.loads, info.hits, info.size) == (4, 2, 2)


def test_another_trust_is_another_entry(models):
    path, pinned, loading = models[0]
    cache = ModelCache()
    first = cache.get(pinned, lambda: path, loading)
    more = LoadOptions(Trust(trusted_types=(*loading.trust.trusted_types, "some.other.Type")))
    assert cache.get(pinned, lambda: path, more) is not first
    assert cache.info().size == 2


def test_what_fails_to_load_is_not_kept(models):
    path, pinned, loading = models[0]
    cache = ModelCache()
    with pytest.raises(ModelDamagedError, match="the content differs from the pinned digest"):
        cache.get("0" * 64, lambda: path, loading)
    with pytest.raises(ModelNotFoundError):
        cache.get(pinned, lambda: path / "nowhere", loading)
    assert cache.info() == CacheInfo(0, 0, 0.0, 0)
    assert cache.get(pinned, lambda: path, loading).path == path.resolve()


def test_threads_share_one_load(models):
    threads, cache, located = 8, ModelCache(), []
    start = threading.Barrier(threads)

    def ask(number):
        path, pinned, trust = models[number % 2]
        start.wait()
        return cache.get(pinned, lambda: located.append(path) or path, trust)

    with ThreadPoolExecutor(threads) as pool:
        loaded = list(pool.map(ask, range(threads)))
    assert sorted(located) == sorted(path for path, _, _ in models[:2])
    assert len({id(model) for model in loaded}) == 2
    assert all(loaded[number] is loaded[number % 2] for number in range(threads))
    info = cache.info()
    assert (info.loads, info.hits, info.size) == (2, threads - 2, 2)


def test_threads_keep_the_bound(models):
    threads, cache = 8, ModelCache(limit=1)
    start = threading.Barrier(threads)

    def ask(number):
        start.wait()
        frame = pd.DataFrame({"x": [1.0]})
        return [get(cache, models[(number + turn) % 3]).predict(frame).round(9)[0] for turn in range(3)]

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(ask, range(threads)))
    assert answers == [
        [(2.0, 3.0, 5.0)[(number + turn) % 3] for turn in range(3)] for number in range(threads)
    ]
    info = cache.info()
    assert (info.loads + info.hits, info.size) == (3 * threads, 1)


def test_the_process_has_one_bounded_cache():
    assert isinstance(CACHE, ModelCache)
    assert isinstance(CACHE.info(), CacheInfo)


@pytest.mark.parametrize(
    ("outputs", "shape"),
    [
        (Schema([ColSpec("double")]), ()),
        (Schema([TensorSpec(np.dtype("float64"), (-1,))]), ()),
        (Schema([TensorSpec(np.dtype("float64"), (-1, 2))]), (2,)),
        (Schema([TensorSpec(np.dtype("float64"), (-1, 2, 3))]), (2, 3)),
        (Schema([ColSpec(Array("double"))]), (2,)),
        (Schema([ColSpec("double", "a"), ColSpec("double", "b")]), (2,)),
        (Schema([ColSpec("float")]), ()),
        (Schema([TensorSpec(np.dtype("float32"), (-1,))]), ()),
    ],
    ids=str,
)
def test_a_model_may_write_into_its_prediction_again(outputs, shape):
    """Two call sites of one model: the first result is read only after the second call."""
    dtype = "float32" if "float" in str(outputs) and "64" not in str(outputs) else "float64"
    array = np.zeros((2, *shape), dtype)

    def predict(frame, params):
        array[:] = frame["x"].to_numpy()[0]
        return array

    inputs = Schema([ColSpec("double", "x")])
    batches = [pa.record_batch([pa.array([value, 0.0])], ["x"]) for value in (1.0, 2.0)]
    first, second = score_batches(batches, predict, inputs, outputs, {})
    assert "2" not in str(first.to_pylist())
    assert "1" not in str(second.to_pylist())


@pytest.mark.parametrize(
    "inputs",
    [
        Schema([ColSpec("double", "x")]),
        Schema([ColSpec("double", "x"), ColSpec("string", "s")]),
    ],
    ids=describe_case,
)
def test_what_a_model_does_to_the_labels_of_its_frame_is_gone_in_the_next_batch(inputs):
    received = []

    def predict(frame, params):
        received.append((list(frame.columns), frame.columns.name))
        frame.columns.name = "mine"
        frame["y"] = 0
        return frame["x"]

    received.clear()
    record = pa.record_batch([pa.array([1.0]), pa.array(["a"])], ["x", "s"])
    list(score_batches([record, record], predict, inputs, Schema([ColSpec("double")]), {}))
    assert received == [(inputs.input_names(), None)] * 2


def test_a_model_may_write_into_its_frame_of_predictions_again():
    held = pd.DataFrame({"p": np.zeros(4), "i": pd.array([0] * 4, "Int64")})

    def predict(frame, params):
        x = frame["x"].to_numpy()
        if (x == 3).any():
            raise ValueError("three")
        held.iloc[: len(x), 0] = x * 10
        held.iloc[: len(x), 1] = x.astype(int)
        return held.iloc[: len(x)]

    inputs, outputs = Schema([ColSpec("double", "x")]), Schema([ColSpec("double", "p"), ColSpec("long", "i")])
    batch = pa.record_batch([pa.array([1.0, 2.0, 3.0, 4.0])], ["x"])
    [(scored, _)] = score_leniently([batch], predict, inputs, outputs, {})
    rows = [None if row is None else (row["p"], row["i"]) for row in scored.to_pylist()]
    assert rows == [(10.0, 1), (20.0, 2), None, (40.0, 4)]
