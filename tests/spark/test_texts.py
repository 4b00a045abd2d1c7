"""Missing strings on Spark are those that the model saw when it was saved."""

from __future__ import annotations

import sys

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import sparksig

cloudpickle.register_pickle_by_value(sys.modules[__name__])

CITIES = ["Oslo", None, "Rome"]
OUTPUT = sparksig.infer_signature(CITIES[:1], ["text"]).outputs


def describe(model_input):
    return [f"{model_input['city'].dtype} {type(cell).__name__}" for cell in model_input["city"]]


def cities(dtype):
    return pd.DataFrame({"city": pd.Series(CITIES, dtype=dtype)})


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (None, "object NoneType"),
        (cities(object), "object NoneType"),
        (cities(object).fillna(np.nan), "object float"),
        (cities("string[python]"), "string NAType"),
    ],
    ids=["no example", "object example", "object example with NaN", "nullable example"],
)
def test_a_missing_string_is_the_one_of_the_example(spark, frame_of, tmp_path, example, expected):
    inputs = sparksig.infer_signature(cities(object)).inputs
    signature = sparksig.ModelSignature(inputs, OUTPUT)
    sparksig.save_model(tmp_path / "m", describe, signature, input_example=example)
    df = frame_of(pa.table({"city": CITIES})).coalesce(1)
    scored = sparksig.score(df, tmp_path / "m", allow_pickle=True, keep=["city"])
    lenient = sparksig.score(df, tmp_path / "m", allow_pickle=True, keep=["city"], on_error="null")
    called = df.select(
        "city", sparksig.spark_udf(spark, tmp_path / "m", allow_pickle=True)("city").alias("prediction")
    )
    for result in (scored, lenient, called):
        kinds = {row.city: row.prediction for row in result.collect()}
        assert kinds == {
            "Oslo": f"{expected.split()[0]} str",
            None: expected,
            "Rome": f"{expected.split()[0]} str",
        }


@pytest.mark.parametrize("missing", [None, np.nan], ids=repr)
def test_an_encoder_meets_the_missing_string_of_its_training(spark, frame_of, tmp_path, missing):
    data = pd.DataFrame({"city": pd.Series(["Oslo", missing, "Rome"] * 4, dtype=object)})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(data, [1, 0, 1] * 4)
    signature = sparksig.infer_signature(data, model.predict(data))
    sparksig.save_model(tmp_path / "m", model, signature, serialization_format="cloudpickle")
    df = frame_of(pa.table({"city": pa.array(data["city"], from_pandas=True)})).coalesce(1)
    scored = sparksig.score(df, tmp_path / "m", allow_pickle=True, keep=[])
    assert [row.prediction for row in scored.collect()] == model.predict(data).tolist()
