"""Each format through spark_udf: the very bits of the bare model, in one query."""

from __future__ import annotations

import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine

import sparksig
from sparksig import ColSpec, ModelDamagedError, ModelNotTrustedError, ModelSignature, PythonModel, Schema
from tests.models import format_models as made
from tests.models.helpers import ONE_DOUBLE, same_bits

NAMES = {
    load_diabetes: ["linear", "xgb-missing", "lgbm-linear-trees"],
    load_iris: ["svc", "xgb-classes", "lgbm-text-labels", "onnx-sum"],
    load_wine: ["pipeline", "onnx-matrix"],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The models, each with its last method: a directory for each."""
    path = tmp_path_factory.mktemp("formats")
    for name in (name for names in NAMES.values() for name in names):
        fitted = made.fitted(name)
        method = fitted.methods[-1]
        sparksig.save_model(
            path / name, fitted.model, fitted.signature(method), method=method, trusted_types=fitted.trusted
        )
    return path


def _collected(rows, name):
    """Return a column of a result as an array of predictions: a struct of one field is its field."""
    values = [row[name] for row in rows]
    if hasattr(values[0], "asDict"):
        (field,) = values[0].asDict()
        values = [value[field] for value in values]
    return np.array(values)


def test_each_format_gives_the_bits_of_the_bare_model(spark, frame_of, home):
    """One frame with the rows of all data sets side by side, so that one query scores with all models."""
    rows = min(len(made.real(load)[0]) for load in NAMES)
    table, columns, expected = {}, [], {}
    for number, name in enumerate(name for names in NAMES.values() for name in names):
        fitted = made.fitted(name)
        data = fitted.data.head(rows)
        labels = [f"c{number}_{index}" for index in range(data.shape[1])]
        table |= {label: data.iloc[:, index].to_numpy() for index, label in enumerate(labels)}
        udf = sparksig.spark_udf(spark, home / name, trusted_types=fitted.trusted)
        columns.append(udf(*labels).alias(name))
        expected[name] = made.as_columns(fitted.bare(fitted.methods[-1], data))
    found = frame_of(pa.table(table)).coalesce(1).select(*columns).collect()
    for name, values in expected.items():
        if isinstance(values, (dict, pd.DataFrame)):
            (label,) = values
            values = np.asarray(values[label])
        exact = (
            values.astype("float64") if values.dtype.kind == "f" else values
        )  # no float is changed by that
        assert _collected(found, name).tolist() == exact.tolist(), name


cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Weighed(PythonModel):
    """A model that needs its own module, and a file."""

    def load_context(self, context):
        from brought_to_spark.inner import twice

        self.twice = twice
        self.weight = float(Path(context.artifacts["weight"]).read_text())

    def predict(self, context, model_input, params=None):
        return self.twice(model_input["x"].to_numpy() * self.weight) + context.model_config["offset"]


def test_code_files_and_artifacts_reach_the_workers_and_a_pinned_digest_is_kept(spark, frame_of, tmp_path):
    package = tmp_path / "code" / "brought_to_spark"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("def twice(values):\n    return values * 2\n")
    (tmp_path / "weight.txt").write_text("0.3")
    sparksig.save_model(
        tmp_path / "m",
        Weighed(),
        ModelSignature(Schema([ColSpec("double", "x")]), ONE_DOUBLE),
        artifacts={"weight": tmp_path / "weight.txt"},
        model_config={"offset": 1},
        code_paths=[package],
    )
    digest = sparksig.get_model_info(tmp_path / "m").digest
    with pytest.raises(ModelNotTrustedError, match="a model with code files can run any code"):
        sparksig.spark_udf(spark, tmp_path / "m")
    with pytest.raises(ModelDamagedError, match="the content differs from the pinned digest"):
        sparksig.spark_udf(spark, tmp_path / "m", digest="0" * 64)
    values = np.array([0.1, -2.5, 1e300])
    frame = frame_of(pa.table({"x": values})).coalesce(1)
    pinned = sparksig.spark_udf(spark, tmp_path / "m", digest=digest)
    allowed = sparksig.spark_udf(spark, tmp_path / "m", allow_pickle=True)
    rows = frame.select(pinned("x").alias("pinned"), allowed("x").alias("allowed")).collect()
    for name in ("pinned", "allowed"):
        assert same_bits(_collected(rows, name), values * 0.3 * 2 + 1)
