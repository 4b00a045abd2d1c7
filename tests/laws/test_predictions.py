"""Predictions: the inferred outputs accept them, and all ways of scoring return the same."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import sparksig
from sparksig import InferenceError, PredictionError
from sparksig.engine.predictions import check, encode
from sparksig.scoring.batches import score_batches
from tests.infer.helpers import infer
from tests.predictions import FORMS, SAVED_FORMS, Model, expected, frame
from tests.strategies import names

TEXT = st.text(st.characters(exclude_categories=["C"]), max_size=3)
ROW = st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(), TEXT)


@st.composite
def inputs(draw, form, most=3):
    """Rows of a model's input; a list of NaN alone would have no type."""
    count = form.rows or draw(st.integers(1, most))
    rows = draw(st.lists(ROW, min_size=count, max_size=count))
    return [(rows[0][0], 0.5 if math.isnan(rows[0][1]) else rows[0][1], rows[0][2]), *rows[1:]]


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=15)
@given(data=st.data())
def test_inferred_outputs_accept_their_prediction_as_it_is_meant(name, data):
    rows = data.draw(inputs(FORMS[name]))
    prediction = FORMS[name].make(frame(rows))
    outputs = infer(frame(rows), prediction).outputs
    assert check(prediction, outputs, len(rows)) is None
    encoded = encode(prediction, outputs, len(rows))
    encoded.validate(full=True)
    assert repr(encoded.to_pylist()) == expected(FORMS[name], rows)


@pytest.mark.parametrize("name", SAVED_FORMS)
@settings(max_examples=2, deadline=None)
@given(data=st.data())
def test_all_ways_of_scoring_a_saved_model_agree(name, data, tmp_path_factory):
    rows = data.draw(inputs(FORMS[name]))
    example, home = frame(rows), tmp_path_factory.mktemp("law") / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sparksig.save_model(home, Model(FORMS[name].make), input_example=example)
    model = sparksig.load_model(home, allow_pickle=True)
    outputs = model.signature.outputs
    request = sparksig.load_serving_example(home)
    batch = pa.RecordBatch.from_pandas(example, preserve_index=False)
    [scored] = score_batches([batch], model.predict_raw, model.signature.inputs, outputs, {})
    for prediction in (model.predict(example), sparksig.validate_serving_input(model, request)):
        assert repr(encode(prediction, outputs, len(rows)).to_pylist()) == expected(FORMS[name], rows)
    assert repr(scored.to_pylist()) == expected(FORMS[name], rows)


@given(data=st.data())
def test_another_number_of_rows_is_refused(data):
    name = data.draw(st.sampled_from(list(FORMS)))
    rows = data.draw(inputs(FORMS[name]))
    prediction = FORMS[name].make(frame(rows))
    outputs = infer(frame(rows), prediction).outputs
    for count in (len(rows) + 1, len(rows) + 5):
        with pytest.raises(PredictionError):
            check(prediction, outputs, count)


# --- any values -------------------------------------------------------------------------------------------

SCALARS = {
    "boolean": st.booleans(),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(),
    "string": TEXT,
    "bytes": st.binary(max_size=3),
    "time": st.datetimes(pd.Timestamp(1700, 1, 1), pd.Timestamp(2200, 1, 1)),
    "int16": st.integers(-(2**15), 2**15 - 1).map(np.int16),
    "float32": st.floats(width=32).map(np.float32),
}


@st.composite
def cells(draw, leaf, depth):
    """A value of one kind: a leaf, a list or a dictionary of such; now and then a null."""
    if not draw(st.integers(0, 7)):
        return None
    form = draw(st.sampled_from(["leaf", "list", "tuple", "object"])) if depth else "leaf"
    if form == "leaf":
        return draw(SCALARS[leaf])
    if form == "object":
        return {key: draw(cells(leaf, depth - 1)) for key in draw(st.sets(st.sampled_from("abc")))}
    return [list, tuple][form == "tuple"](draw(st.lists(cells(leaf, depth - 1), max_size=2)))


@st.composite
def predictions(draw):
    """Lists of values, of dictionaries, dictionaries of columns, one dictionary; most can be inferred."""
    count = draw(st.integers(1, 3))
    leaves = draw(st.dictionaries(names, st.sampled_from(list(SCALARS)), min_size=1, max_size=3))
    columns = {name: [draw(cells(leaf, 2)) for _ in range(count)] for name, leaf in leaves.items()}
    first = next(iter(columns.values()))
    rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
    form = draw(st.sampled_from(["values", "rows", "columns", "row", "value"]))
    if form == "value" and isinstance(first[0], (list, tuple)):  # a list is as many predictions
        return first[0], len(first[0]), False
    result = {"values": first, "rows": rows, "columns": columns, "row": rows[0], "value": first[0]}[form]
    return result, 1 if form in ("row", "value") else count, form in ("row", "value")


@settings(max_examples=300)
@given(case=predictions())
def test_an_inferred_signature_accepts_its_example(case):
    prediction, rows, record = case
    example = {"x": 1.5} if record else pd.DataFrame({"x": [1.5] * rows})
    assume(prediction is not None)
    try:
        outputs = infer(example, prediction).outputs
    except InferenceError:
        return
    assert check(prediction, outputs, rows) is None
