"""The same rows in other batches, and rows that cannot be scored told from the others. No JVM."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.errors import (
    BudgetExceededError,
    Code,
    ContractError,
    Finding,
    ModelFailedError,
    PredictionError,
)
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.scoring.batches import regroup_batches, score_batches
from sparksig.scoring.failures import FINDINGS, score_leniently
from sparksig.scoring.limits import EXTRA_ROWS, RejectionCount, RejectionLimit, count_rejections
from sparksig.types import Array, Object, Property

LONG = Schema([ColSpec("long", "x")])
DOUBLE = Schema([ColSpec("double")])


def batch(values, dtype=None):
    return pa.record_batch([pa.array(values, dtype or pa.int64())], ["x"])


def values(batches):
    return [batch_.column(0).to_pylist() for batch_ in batches]


# --- regroup_batches --------------------------------------------------------------------------------------

SIZES = st.lists(st.integers(0, 7), max_size=8)


def parts(sizes):
    start, slices = 0, []
    for size in sizes:
        slices.append(batch(list(range(start, start + size))))
        start += size
    return slices, list(range(start))


@given(SIZES, st.integers(1, 12))
def test_every_batch_but_the_last_has_exactly_so_many_rows(sizes, rows):
    batches, table = parts(sizes)
    result = list(regroup_batches(iter(batches), rows))
    assert [x for part in values(result) for x in part] == table
    counts = [part.num_rows for part in result]
    assert counts == [rows] * (len(table) // rows) + ([len(table) % rows] if len(table) % rows else [])


@given(SIZES, st.integers(1, 200))
def test_without_a_number_of_rows_batches_are_cut_only_and_those_without_rows_kept(sizes, size):
    batches, table = parts(sizes)
    result = list(regroup_batches(iter(batches), None, size))
    assert [x for part in values(result) for x in part] == table
    assert all(part.num_rows < 2 or part.nbytes <= size for part in result)
    assert sum(part.num_rows == 0 for part in result) == sizes.count(0)
    assert sum(part.num_rows > 0 for part in result) >= len(sizes) - sizes.count(0)


@pytest.mark.parametrize(("rows", "expected"), [
    (1, [[0], [1], [2], [3], [4]]), (4, [[0, 1, 2, 3], [4]]), (5, [[0, 1, 2, 3, 4]]), (6, [[0, 1, 2, 3, 4]]),
])  # fmt: skip
def test_batches_are_sliced_and_joined(rows, expected):
    assert values(regroup_batches([batch([0, 1]), batch([]), batch([2, 3, 4])], rows)) == expected


def test_nothing_comes_of_nothing():
    assert (
        list(regroup_batches([]))
        == list(regroup_batches([], 3))
        == list(regroup_batches([batch([])], 3))
        == []
    )


def test_it_takes_no_more_than_it_needs():
    consumed = []

    def source():
        for number in range(5):
            consumed.append(number)
            yield batch([number, number])

    result = regroup_batches(source(), 3)
    assert consumed == []
    next(result)
    assert consumed == [0, 1]
    next(result)
    assert consumed == [0, 1, 2]


def test_large_rows_go_one_by_one_and_sizes_count_what_a_slice_holds():
    wide = pa.record_batch([pa.array(["x" * 1000] * 10)], ["x"])
    assert [part.num_rows for part in regroup_batches([wide], None, 10)] == [1] * 10
    assert [part.num_rows for part in regroup_batches([wide], None, 5500)] == [5, 5]
    assert [part.num_rows for part in regroup_batches([wide.slice(2, 3)], None, 5500)] == [3]
    assert [part.num_rows for part in regroup_batches([wide], 8, 5500)] == [5, 3, 2]


def test_joined_batches_keep_nulls_and_nested_values():
    dtype = pa.list_(pa.struct([("n", pa.int64())]))
    rows = [[{"n": 2**53 + 1}, None], None, [], [{"n": None}]]
    [joined] = regroup_batches([batch([row], dtype) for row in rows], 9)
    assert joined.column(0).to_pylist() == rows
    assert joined.schema == batch([], dtype).schema


# --- score_leniently --------------------------------------------------------------------------------------


def leniently(batches, predict, inputs=LONG, outputs=DOUBLE, **options):
    """Predictions and findings of all rows: a list of values, and {row: [(code, path)]}."""
    results = list(score_leniently(batches, predict, inputs, outputs, {}, **options))
    assert [len(scored) for scored, _ in results] == [len(findings) for _, findings in results]
    assert all(findings.type == FINDINGS for _, findings in results)
    scored = [value for array, _ in results for value in array.to_pylist()]
    findings = [finding for _, array in results for finding in array.to_pylist()]
    codes = {
        row: [(finding["code"], finding["path"]) for finding in rows]
        for row, rows in enumerate(findings)
        if rows is not None
    }
    return scored, codes


def raising(bad):
    def predict(frame, params):
        if bad & set(frame["x"].tolist()):
            raise ValueError("bad rows")
        return frame["x"] / 2

    return predict


@given(st.lists(st.integers(0, 30) | st.none(), max_size=40), st.sets(st.integers(0, 30)))
def test_exactly_the_guilty_rows_have_findings_and_all_others_predictions(rows, bad):
    scored, codes = leniently([batch(rows)], raising(bad))
    assert scored == [None if x is None or x in bad else x / 2 for x in rows]
    assert codes == {
        i: [("NULL_IN_REQUIRED", "x")] if x is None else [("PREDICTION_FAILED", "")]
        for i, x in enumerate(rows) if x is None or x in bad
    }  # fmt: skip


def test_a_batch_without_bad_rows_is_scored_at_once_and_a_guilty_row_is_found_by_halving():
    calls = []

    def predict(frame, params):
        calls.append(len(frame))
        return raising({700})(frame, params)

    leniently([batch(list(range(500)))], predict)
    assert calls == [500]
    calls.clear()
    scored, codes = leniently([batch(list(range(1024)))], predict)
    assert codes == {700: [("PREDICTION_FAILED", "")]}
    assert len(calls) <= 2 + 2 * math.log2(1024)
    assert sum(value is None for value in scored) == 1


def test_rows_with_forbidden_nulls_never_reach_the_model():
    received = []

    def predict(frame, params):
        received.append((frame["x"].tolist(), str(frame["x"].dtype)))
        return frame["x"] * 1.0

    scored, codes = leniently([batch([None, 2**53 + 1, None]), batch([None]), batch([])], predict)
    assert received == [([2**53 + 1], "int64")]
    assert scored == [None, float(2**53), None, None]
    assert list(codes) == [0, 2, 3]


def test_nulls_that_are_allowed_reach_the_model():
    inputs = Schema([ColSpec("long", "x", False)])
    scored, codes = leniently([batch([None, 3])], lambda frame, params: frame["x"].isna() * 1.0, inputs)
    assert (scored, codes) == ([1.0, 0.0], {})


def test_all_rows_bad_or_no_rows():
    scored, codes = leniently([batch([1, 2, 3]), batch([])], raising({1, 2, 3}))
    assert scored == [None] * 3
    assert list(codes) == [0, 1, 2]
    assert leniently([], raising(set())) == ([], {})
    [(scored, findings)] = score_leniently([batch([])], raising(set()), LONG, DOUBLE, {})
    assert (scored.type, len(scored), findings.type, len(findings)) == (pa.float64(), 0, FINDINGS, 0)


@pytest.mark.parametrize("rows", [[3, 4], [4, 3], [3], [3, 3], [4, 4, 3, 4]])
def test_a_prediction_that_breaks_the_outputs_is_of_its_row(rows):
    def predict(frame, params):
        return [0.5 if x == 4 else "text" for x in frame["x"].tolist()]

    scored, codes = leniently([batch(rows)], predict)
    assert codes == {i: [("TYPE_MISMATCH", "0")] for i, x in enumerate(rows) if x == 3}
    assert [value is None for value in scored] == [x == 3 for x in rows]


def test_nulls_inside_composites_are_of_their_rows():
    inputs = Schema([ColSpec(Array("long"), "a"), ColSpec(Object([Property("n", "long")]), "o")])
    data = pa.record_batch(
        [pa.array([[1], [1, None], [], [2]]), pa.array([{"n": 1}, {"n": 2}, {"n": None}, {"n": 2**53 + 1}])],
        ["a", "o"],
    )
    scored, codes = leniently(
        [data], lambda frame, params: [record["n"] for record in frame["o"]], inputs, LONG
    )
    assert (scored, list(codes)) == ([1, 2, None, 2**53 + 1], [2])
    assert codes[2] == [("NULL_IN_REQUIRED", "o.n")]


def test_several_outputs_and_tensors_have_null_rows():
    outputs = Schema([ColSpec("double", "p"), ColSpec(Array("long"), "q")])

    def several(frame, params):
        return {"p": raising({2})(frame, params), "q": [[x] for x in frame["x"].tolist()]}

    scored, codes = leniently([batch([1, 2, None])], several, LONG, outputs)
    assert scored == [{"p": 0.5, "q": [1]}, None, None]
    pair = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    tensor = lambda frame, params: np.column_stack([raising({2})(frame, params)] * 2)  # noqa: E731
    scored, codes = leniently([batch([2, 1])], tensor, LONG, pair)
    assert (scored, list(codes)) == ([None, [0.5, 0.5]], [0])


def test_what_is_done_to_predictions_at_last_may_refuse_rows():
    def finish(scored):
        if 1.0 in scored.to_pylist():
            first = Finding(Code.OUT_OF_RANGE, "", "no ones", "others", "", 3, (0, 1))
            raise PredictionError.of("no ones", [first])
        return scored.cast(pa.float32())

    results = list(score_leniently([batch([2, 4])], raising(set()), LONG, DOUBLE, {}, finish))
    [(scored, findings)] = results
    assert (scored.type, scored.to_pylist()) == (pa.float32(), [None, 2.0])
    # of a row by itself: neither how many there are nor where they are
    assert findings.to_pylist() == [
        [{"code": "OUT_OF_RANGE", "path": "", "detail": "expected no ones, got others [OUT_OF_RANGE]"}],
        None,
    ]  # fmt: skip


def test_the_model_may_not_change_what_the_next_try_sees():
    def predict(frame, params):
        frame["x"] = frame["x"] + 1
        if len(frame) > 1:
            raise ValueError("too many")
        return frame["x"] * 1.0

    data = batch([1, 2, 3])
    assert leniently([data], predict) == ([2.0, 3.0, 4.0], {})
    assert data.column(0).to_pylist() == [1, 2, 3]


def test_types_that_do_not_widen_are_no_matter_of_rows():
    with pytest.raises(ContractError, match="x: expected long, got string"):
        leniently([batch(["a"], pa.string())], raising(set()))


class WordlessError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [WordlessError, SystemExit, KeyboardInterrupt, RecursionError, MemoryError])
def test_odd_exceptions_of_a_model_are_findings_of_their_row(error):
    def predict(frame, params):
        if 2 in frame["x"].tolist():
            raise error
        return frame["x"] / 2

    [(scored, findings)] = score_leniently([batch([0, 2, 4])], predict, LONG, DOUBLE, {})
    assert scored.to_pylist() == [0.0, None, 2.0]
    [finding] = findings.to_pylist()[1]
    assert finding["code"] == "PREDICTION_FAILED"
    assert error.__name__ in finding["detail"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_model_cannot_end_the_process(error):
    def predict(frame, params):
        raise error

    with pytest.raises(ModelFailedError, match=f"the model raised {error.__name__}"):
        list(score_batches([batch([1])], predict, LONG, DOUBLE, {}))


OF_THE_MODEL = {
    "mean instead of a value for each row": (lambda frame: [frame["x"].mean()], "ROW_COUNT"),
    "no row": (lambda frame: np.zeros(0), "ROW_COUNT"),
    "booleans": (lambda frame: np.ones(len(frame), bool), "TYPE_MISMATCH"),
    "timestamps": (lambda frame: np.zeros(len(frame), "M8[ns]"), "TYPE_MISMATCH"),
}


@pytest.mark.parametrize("name", OF_THE_MODEL)
def test_an_output_of_the_wrong_form_is_not_the_fault_of_a_row(name):
    predict, code = OF_THE_MODEL[name]
    with pytest.raises(PredictionError, match=code):
        leniently([batch(list(range(8)))], lambda frame, params: predict(frame))


def test_a_missing_library_is_not_the_fault_of_a_row():
    def predict(frame, params):
        import a_library_of_another_machine  # noqa: F401

    with pytest.raises(
        ModelFailedError, match=r"(?s)a_library_of_another_machine.*\n  install it for .*python"
    ):
        leniently([batch([1, 2])], predict)


def test_integers_with_a_missing_value_are_rejected_row_by_row():
    outputs = Schema([ColSpec("long")])
    missing = {2: None}
    scored, codes = leniently(
        [batch([1, 2, 3])], lambda frame, _: pd.Series([missing.get(x, x) for x in frame["x"]]), LONG, outputs
    )
    assert (scored, list(codes)) == ([1, None, 3], [1])


@pytest.mark.parametrize(("rows", "size"), [(1000, 1000), (1000, 50), (10_000, 10_000)])
def test_a_broken_model_is_called_few_times(rows, size):
    calls = 0

    def predict(frame, params):
        nonlocal calls
        calls += 1
        raise RuntimeError("no connection")

    batches = list(regroup_batches([batch(list(range(rows)))], size))
    scored, codes = leniently(batches, predict)
    assert scored == [None] * rows
    assert set(map(tuple, codes.values())) == {(("PREDICTION_FAILED", ""),)}
    assert calls <= 32 + rows / size * (2 + math.log2(size))


@pytest.mark.parametrize(
    ("budget", "bad", "most"),
    [(0, range(1000), 44), (10, range(1, 1000, 2), 480)],
    ids=["broken model", "every second row"],
)
def test_model_is_not_called_any_more_once_the_budget_is_spent(budget, bad, most):
    calls = 0

    def predict(frame, params):
        nonlocal calls
        calls += 1
        return raising(set(bad))(frame, params)

    batches = [batch(list(range(1000)))] * 2
    text = rf"(?s)at least [\d,]+ rows cannot be scored, and the budget is {budget} rows; .*bad rows"
    with pytest.raises(BudgetExceededError, match=text):
        list(score_leniently(batches, predict, LONG, DOUBLE, {}, count=RejectionCount(budget)))
    assert calls <= most


@pytest.mark.parametrize("budget", [0, 2])
def test_small_numbers_of_rejected_rows_are_counted_exactly(budget):
    count = RejectionCount(budget)
    [(scored, _)] = score_leniently([batch([1, 2, 3])], raising({1, 3}), LONG, DOUBLE, {}, count=count)
    assert scored.null_count == 2


def test_forbidden_nulls_spend_the_budget_before_the_model_is_called():
    def predict(frame, params):
        raise AssertionError("the model was called")

    rows = batch([1, *[None] * 102])
    with pytest.raises(BudgetExceededError, match=r"at least 102 rows .* the budget is 1 row;"):
        list(score_leniently([rows], predict, LONG, DOUBLE, {}, count=RejectionCount(1)))


def test_attempts_of_one_task_are_counted_once():
    limit, finding = RejectionLimit(5), Finding(Code.PREDICTION_FAILED, "", "a prediction", "an error")
    for attempt in range(3):
        count_rejections(limit, stage=1, partition=0, attempt=attempt).add(EXTRA_ROWS, finding)
    count_rejections(limit, stage=2, partition=1, attempt=7).add(
        EXTRA_ROWS + 5, finding
    )  # another pass over the rows
    count_rejections(limit, stage=2, partition=1, attempt=7)  # the next batch of the same attempt
    with pytest.raises(BudgetExceededError, match="at least 106 rows"):
        count_rejections(limit, stage=2, partition=2, attempt=8).add(1, finding)


def test_rows_that_were_not_tried_alone_say_so():
    [(_, findings)] = score_leniently([batch(list(range(500)))], raising(set(range(500))), LONG, DOUBLE, {})
    details = [row[0]["detail"] for row in findings.to_pylist()]
    assert "not tried alone" not in details[0]
    assert "not tried alone" in details[300]
    assert "bad rows" in details[300]


@pytest.mark.parametrize("good", [{499}, {250}, set(range(100, 500)), set(range(0, 500, 2))], ids=str)
def test_good_rows_after_many_failures_are_scored(good):
    """A model that has succeeded once is called down to the single rows: no good row is lost from then on."""
    bad = set(range(500)) - good
    scored, codes = leniently([batch([5000]), batch(list(range(500)))], raising(bad))
    assert [x for x, value in enumerate(scored[1:]) if value is not None] == sorted(good)
    assert len(codes) == len(bad)


def test_the_findings_of_a_model_error_are_bounded_and_named():
    class OwnError(Exception):
        pass

    def predict(frame, params):
        raise OwnError("x" * 10_000)

    [(_, findings)] = score_leniently([batch([1])], predict, LONG, DOUBLE, {})
    [[finding]] = findings.to_pylist()
    assert finding["code"] == "PREDICTION_FAILED"
    assert finding["detail"].startswith("expected a prediction, got OwnError: xxx")
    assert len(finding["detail"]) < 1100


def test_predictions_by_position_in_a_frame_with_an_index_of_its_own_stay_with_their_rows():
    def predict(frame, params):
        return pd.Series(raising({3})(frame, params).to_numpy(), index=range(100, 100 + len(frame)))

    assert leniently([batch([1, 3, None, 5])], predict)[0] == [0.5, None, None, 2.5]


@pytest.mark.parametrize("rows", [[1, 4], [4, 1], [4], [4, 4], [4, 3], [3, 4, 4]], ids=str)
def test_a_nan_stays_a_nan_beside_other_predictions(rows):
    """Halving makes batches of any size: what comes of a row may not depend on them."""

    def predict(frame, params):
        return [{1: 0.5, 3: "text", 4: float("nan")}[x] for x in frame["x"].tolist()]

    scored, codes = leniently([batch(rows)], predict)
    assert [repr(value) for value in scored] == [{1: "0.5", 3: "None", 4: "nan"}[x] for x in rows]
    assert list(codes) == [i for i, x in enumerate(rows) if x == 3]
