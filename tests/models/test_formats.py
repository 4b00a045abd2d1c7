"""Every format saved and loaded, to the bit of the bare model; with MLflow both ways, and without it."""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import cloudpickle
import lightgbm
import mlflow.lightgbm
import mlflow.onnx
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import onnx
import pandas as pd
import pytest
import xgboost
import yaml
from mlflow.pyfunc.utils import pyfunc as mlflow_hinted
from onnx import TensorProto, helper
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

import sparksig
from sparksig import (
    ColSpec,
    ContractError,
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    ModelNotTrustedError,
    ModelSignature,
    ParamSchema,
    ParamSpec,
    PythonModel,
    Schema,
    SignatureError,
    UnsupportedError,
    VersionMismatchWarning,
)
from sparksig.models.flavors.interface import METHODS
from sparksig.models.flavors.onnx import PrecisionWarning
from sparksig.params import UnknownParamWarning
from tests.cases import describe_case
from tests.models import format_models as made
from tests.models.helpers import (
    FRAME,
    ONE_DOUBLE,
    SIGNATURE,
    Doubled,
    X,
    content,
    rewrite,
    rewrite_pyfunc,
    same_bits,
    splined,
    unsealed,
    untrusted,
    without_type_hints,
)

pytestmark = [
    pytest.mark.slow,
    # MLflow asks for an example whenever it saves a model with a signature and without one
    pytest.mark.filterwarnings("ignore:.*An input example was not provided:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*Saving scikit-learn models in the pickle:FutureWarning"),
]

cloudpickle.register_pickle_by_value(sys.modules[__name__])

PINNED = ["numpy"]  # spares MLflow from finding out


def _are_same(left, other):
    """Return whether two predictions have the same bits: arrays, frames, or dictionaries."""
    if isinstance(left, dict):
        return list(left) == list(other) and all(_are_same(left[key], other[key]) for key in left)
    if isinstance(left, pd.DataFrame):
        return list(left) == list(other) and all(_are_same(left[key], other[key]) for key in left)
    return same_bits(left, other)


def _by_mlflow(path, data, params=None):
    model = mlflow.pyfunc.load_model(str(path))
    return model.predict(data) if params is None else model.predict(data, params)


def _mlflow_signature(signature):
    return mlflow.models.ModelSignature.from_dict(signature.to_dict())


def _mlmodel(path):
    return yaml.safe_load((path / "MLmodel").read_text("utf-8"))


# --- every format, bit for bit ----------------------------------------------------------------------------

EVERY = [(name, method) for name in made.ALL for method in made.fitted(name).methods]
IDS = [f"{name}-{method}" for name, method in EVERY]


@pytest.mark.parametrize(("name", "method"), EVERY, ids=IDS)
def test_a_loaded_model_predicts_the_bits_of_the_bare_one_and_mlflow_as_well(tmp_path, name, method):
    fitted, path = made.fitted(name), tmp_path / f"{name}-{method}"
    sparksig.save_model(
        path, fitted.model, fitted.signature(method), method=method, trusted_types=fitted.trusted
    )
    loaded = sparksig.load_model(path, trusted_types=fitted.trusted, on_version_mismatch="fail")
    expected = made.as_columns(fitted.bare(method))
    assert loaded.signature == fitted.signature(method)
    assert _are_same(loaded.predict(fitted.data), expected)
    assert _are_same(loaded.predict(fitted.data.sample(frac=1, axis=1, random_state=0)), expected)
    if method in (fitted.methods[0], fitted.methods[-1]):
        assert _are_same(_by_mlflow(path, fitted.data), expected)


TRIED = [*made.SKLEARN, *made.ONNX, "xgb-booster", "xgb-missing", "xgb-two-targets", "xgb-classes"]
TRIED += ["lgbm-booster", "lgbm-stopped-early", "lgbm-two-text-labels", "lgbm-text-labels-of-objects"]


@pytest.mark.parametrize("name", TRIED)
def test_an_example_completes_the_contract(tmp_path, name):
    fitted = made.fitted(name)
    method, data = fitted.methods[-1], fitted.data.head(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sparksig.IntegerColumnWarning)
        sparksig.save_model(
            tmp_path / name, fitted.model, method=method, trusted_types=fitted.trusted, input_example=data
        )
    loaded = sparksig.load_model(tmp_path / name, trusted_types=fitted.trusted)
    assert loaded.signature == fitted.signature(method)
    assert _are_same(loaded.predict(fitted.data), made.as_columns(fitted.bare(method)))
    pd.testing.assert_frame_equal(sparksig.load_input_example(tmp_path / name), data, check_exact=True)
    sparksig.validate_serving_input(loaded, sparksig.load_serving_example(tmp_path / name))


@pytest.mark.parametrize("name", [name for name in made.ALL if len(made.fitted(name).methods) > 1])
def test_another_method_can_be_asked_for_when_loading(tmp_path, name):
    fitted = made.fitted(name)
    sparksig.save_model(tmp_path / name, fitted.model, fitted.signature(), trusted_types=fitted.trusted)
    for method in fitted.methods:
        loaded = sparksig.load_model(tmp_path / name, method=method, trusted_types=fitted.trusted)
        assert _are_same(loaded.predict(fitted.data), fitted.bare(method))
        assert (loaded.signature.outputs is None) is (method != "predict")
        assert loaded.signature.inputs == fitted.signature().inputs


@pytest.mark.parametrize("name", ["boosted", "pipeline", "transformer"])
@pytest.mark.parametrize("form", ["skops", "cloudpickle", "pickle"])
def test_estimators_are_kept_in_each_serialization_format(tmp_path, form, name):
    fitted, path = made.fitted(name), tmp_path / f"{form}-{name}"
    method = fitted.methods[-1]
    sparksig.save_model(
        path,
        fitted.model,
        fitted.signature(method),
        method=method,
        serialization_format=form,
        trusted_types=fitted.trusted,
    )
    trust = {"trusted_types": fitted.trusted} if form == "skops" else {"allow_pickle": True}
    assert _are_same(sparksig.load_model(path, **trust).predict(fitted.data), fitted.bare(method))
    assert _are_same(_by_mlflow(path, fitted.data), fitted.bare(method))
    if form != "skops":
        with pytest.raises(ModelNotTrustedError, match=f"loading an estimator saved by {form} can run any"):
            sparksig.load_model(path, trusted_types=fitted.trusted)


FREE = ["linear", "pipeline", "xgb-booster", "xgb-classes", "lgbm-booster", "lgbm-classes", "onnx-matrix"]


@pytest.mark.parametrize("name", FREE)
def test_formats_without_code_need_no_leave_and_a_pinned_digest_serves_any(tmp_path, name):
    fitted, path = made.fitted(name), tmp_path / name
    sparksig.save_model(path, fitted.model, fitted.signature())
    digest = sparksig.get_model_info(path).digest
    assert _are_same(
        sparksig.load_model(path, digest=digest).predict(fitted.data), made.as_columns(fitted.bare())
    )
    with pytest.raises(ModelDamagedError, match="the content differs from the pinned digest"):
        sparksig.load_model(path, digest="0" * 64)


@pytest.mark.parametrize("name", ["xgb-missing", "lgbm-classes", "onnx-matrix", "xgb-stopped-early"])
def test_saving_and_predicting_leave_the_model_as_it_was(tmp_path, name):
    fitted = made.fitted(name)
    before = made.as_columns(fitted.bare())
    sparksig.save_model(tmp_path / name, fitted.model, fitted.signature(), input_example=fitted.data.head(2))
    assert _are_same(made.as_columns(fitted.bare()), before)


# --- written by MLflow ------------------------------------------------------------------------------------

BY_MLFLOW = {
    **{
        f"{name}-{form}": (mlflow.sklearn, name, {"serialization_format": form})
        for name in ("linear", "boosted", "text-labels")
        for form in ("skops", "cloudpickle", "pickle")
    },
    "proba": (
        mlflow.sklearn,
        "boosted",
        {"serialization_format": "cloudpickle", "pyfunc_predict_fn": "predict_proba"},
    ),
    **{
        f"{name}-{form}": (mlflow.xgboost, name, {"model_format": form})
        for name in made.XGBOOST
        if name != "xgb-missing"  # which MLflow does not keep
        for form in (("json", "ubj") if name == "xgb-booster" else ("json",))
    },
    "xgb-default": (mlflow.xgboost, "xgb-classes", {}),
    **{
        f"{name}-{form}": (mlflow.lightgbm, name, {"serialization_format": form})
        for name in made.LIGHTGBM
        for form in (("skops", "cloudpickle") if name in made.KEPT_BY_SKOPS else ("cloudpickle",))
    },
    **{name: (mlflow.onnx, name, {}) for name in made.ONNX},
    "onnx-in-one-file": (mlflow.onnx, "onnx-matrix", {"save_as_external_data": False}),
}


def _save_by_mlflow(path, flavor, name, options, **more):
    fitted = made.fitted(name)
    method = options.get("pyfunc_predict_fn", "predict")
    if options.get("serialization_format") == "skops":
        options = {**options, "skops_trusted_types": untrusted(fitted.model)}
    flavor.save_model(
        copy.deepcopy(fitted.model) if flavor is mlflow.onnx else fitted.model,  # which takes the weights out
        str(path),
        signature=_mlflow_signature(fitted.signature(method)),
        pip_requirements=PINNED,
        **options,
        **more,
    )
    return fitted, method


def _trust_for(fitted, options, name):
    """Return the options that load a model of MLflow."""
    form = options.get("serialization_format")
    if form is None or name.startswith("lgbm-booster") or name == "lgbm-linear-trees":
        return {}
    return {"trusted_types": untrusted(fitted.model)} if form == "skops" else {"allow_pickle": True}


@pytest.mark.parametrize("label", BY_MLFLOW)
def test_what_mlflow_wrote_predicts_the_same_bits_here(tmp_path, label):
    flavor, name, options = BY_MLFLOW[label]
    fitted, method = _save_by_mlflow(tmp_path / label, flavor, name, options)
    loaded = sparksig.load_model(tmp_path / label, **_trust_for(fitted, options, name))
    assert loaded.signature == fitted.signature(method)
    ours = loaded.predict(fitted.data)
    assert _are_same(ours, made.as_columns(fitted.bare(method)))
    if name not in ("onnx-classifier", "onnx-matrix", "onnx-named", "onnx-columns"):
        # MLflow raises an error for these, or returns one long column
        assert _are_same(ours, _by_mlflow(tmp_path / label, fitted.data))


def test_mlflows_onnx_keeps_its_weights_beside_the_graph(tmp_path):
    fitted, _ = _save_by_mlflow(tmp_path / "m", mlflow.onnx, "onnx-matrix", {})
    graph = onnx.load(str(tmp_path / "m" / "model.onnx"), load_external_data=False).graph
    (location,) = (entry.value for entry in graph.initializer[0].external_data if entry.key == "location")
    weights = tmp_path / "m" / location
    digest = sparksig.get_model_info(tmp_path / "m").digest
    pinned = sparksig.load_model(tmp_path / "m", digest=digest)
    weights.write_bytes(bytes(weights.stat().st_size))
    assert _are_same(pinned.predict(fitted.data), fitted.bare())
    with pytest.raises(ModelDamagedError, match="the content differs from the pinned digest"):
        sparksig.load_model(tmp_path / "m", digest=digest)
    weights.unlink()
    with pytest.raises(
        ModelDamagedError, match=f"'{re.escape(weights.name)}', which MLmodel names, is missing"
    ):
        sparksig.load_model(tmp_path / "m")


@pytest.mark.parametrize("missing", [-999, -999.0, 0, np.inf, np.nan])
def test_the_number_that_means_missing_is_kept(tmp_path, missing):
    data, target = made.real(load_diabetes)
    data = data.copy()
    data.iloc[::2, :2] = missing
    model = xgboost.XGBRegressor(n_estimators=2, max_depth=2, n_jobs=1, missing=missing).fit(data, target)
    path = tmp_path / repr(missing)
    sparksig.save_model(path, model, sparksig.infer_signature(data, model.predict(data)))
    assert same_bits(sparksig.load_model(path).predict(data), model.predict(data))
    assert same_bits(_by_mlflow(path, data), model.predict(data))


# --- params of the methods --------------------------------------------------------------------------------


def _with_params(signature, *specs):
    return ModelSignature(signature.inputs, signature.outputs, ParamSchema(list(specs)))


RAW = ParamSpec("raw_score", "boolean", False)
MARGIN = ParamSpec("output_margin", "boolean", False)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("xgb-booster", MARGIN),
        ("xgb-regressor", MARGIN),
        ("lgbm-booster", RAW),
        ("lgbm-regressor", RAW),
    ],
    ids=describe_case,
)
def test_params_reach_the_method(tmp_path, name, spec):
    fitted = made.fitted(name)
    sparksig.save_model(tmp_path / name, fitted.model, _with_params(fitted.signature(), spec))
    loaded = sparksig.load_model(tmp_path / name)
    data = fitted.data if name != "xgb-booster" else xgboost.DMatrix(fitted.data)
    enabled = fitted.model.predict(data, **{spec.name: True})
    disabled = fitted.model.predict(data, **{spec.name: False})
    assert same_bits(loaded.predict(fitted.data, {spec.name: True}), enabled)
    assert same_bits(loaded.predict(fitted.data, {spec.name: False}), disabled)
    assert same_bits(loaded.predict(fitted.data), fitted.bare())


def test_params_reach_xgboost_through_mlflow_as_well(tmp_path):
    fitted = made.fitted("xgb-booster")
    signature = _with_params(fitted.signature(), MARGIN)
    sparksig.save_model(tmp_path / "ours", fitted.model, signature)
    mlflow.xgboost.save_model(
        fitted.model,
        str(tmp_path / "theirs"),
        signature=_mlflow_signature(signature),
        pip_requirements=PINNED,
    )
    margin = fitted.model.predict(xgboost.DMatrix(fitted.data), output_margin=True)
    assert not same_bits(margin, fitted.bare())
    for name in ("ours", "theirs"):
        assert same_bits(_by_mlflow(tmp_path / name, fitted.data, {"output_margin": True}), margin)
        loaded = sparksig.load_model(tmp_path / name)
        assert same_bits(loaded.predict(fitted.data, {"output_margin": True}), margin)


@pytest.mark.parametrize(("name", "library"), [("xgb-regressor", "XGBoost"), ("lgbm-regressor", "LightGBM")])
def test_a_param_that_the_method_does_not_take_is_dropped_with_a_warning(tmp_path, name, library):
    fitted = made.fitted(name)
    signature = _with_params(fitted.signature(), ParamSpec("temperature", "double", 1.0))
    sparksig.save_model(tmp_path / name, fitted.model, signature)
    loaded = sparksig.load_model(tmp_path / name)
    text = f"^params that {library}'s predict does not accept are ignored: temperature$"
    with pytest.warns(UnknownParamWarning, match=text):
        assert same_bits(loaded.predict(fitted.data), fitted.bare())


# --- graphs -----------------------------------------------------------------------------------------------


def test_a_graph_that_rounds_what_its_signature_declares_is_not_saved(tmp_path):
    graph = made.summed_graph(TensorProto.FLOAT)
    wide = ModelSignature(made.fitted("onnx-sum").signature().inputs)
    text = r"values of .* would be rounded, because the model computes in float32\. Declare them float"
    with pytest.raises(SignatureError, match=text):
        sparksig.save_model(tmp_path / "m", graph.model, wide)
    with pytest.raises(SignatureError, match="Declare them float"):
        sparksig.save_model(tmp_path / "m", graph.model, input_example=graph.data.astype("float64"))
    assert not (tmp_path / "m").exists()


def test_a_graph_of_mlflows_that_rounds_warns(tmp_path):
    graph = made.summed_graph(TensorProto.FLOAT)
    wide = graph.data.astype("float64") + 1e-12
    signature = ModelSignature(sparksig.infer_signature(wide).inputs)
    mlflow.onnx.save_model(
        graph.model, str(tmp_path / "m"), signature=_mlflow_signature(signature), pip_requirements=PINNED
    )
    with pytest.warns(
        PrecisionWarning, match=r"are rounded, because the model computes in float32\. Declare float"
    ):
        loaded = sparksig.load_model(tmp_path / "m")
    ours = loaded.predict(wide)
    assert _are_same(ours, made.as_columns(graph.bare(data=wide.astype("float32"))))
    assert _are_same(ours, _by_mlflow(tmp_path / "m", wide))


def test_integers_that_a_graph_rounds_are_reported(tmp_path):
    graph = made.summed_graph(TensorProto.FLOAT)
    longs = ModelSignature(Schema([ColSpec("long", name) for name in graph.data]))
    shorts = ModelSignature(Schema([ColSpec("float", name) for name in graph.data]))
    with pytest.raises(SignatureError, match="computes in float32"):
        sparksig.save_model(tmp_path / "longs", graph.model, longs)
    sparksig.save_model(tmp_path / "floats", graph.model, shorts)
    assert _are_same(
        sparksig.load_model(tmp_path / "floats").predict(graph.data), made.as_columns(graph.bare())
    )


def test_a_graph_without_a_signature_takes_what_onnxruntime_does(tmp_path):
    named, matrix = made.fitted("onnx-named"), made.fitted("onnx-matrix")
    sparksig.save_model(tmp_path / "named", named.model)
    sparksig.save_model(tmp_path / "matrix", matrix.model)
    loaded = sparksig.load_model(tmp_path / "named")
    arrays = {name: named.data[name].to_numpy() for name in named.data}
    assert _are_same(pd.DataFrame(loaded.predict(arrays)), pd.DataFrame(named.bare()))
    assert _are_same(loaded.predict(named.data), made.as_columns(named.bare()))
    rows = sparksig.load_model(tmp_path / "matrix")
    assert _are_same(rows.predict(matrix.data.to_numpy()), matrix.bare())
    assert _are_same(rows.predict(matrix.data.head(0)), {"Y": matrix.bare()["Y"][:0]})
    with pytest.raises(ContractError, match="n: expected int64, got nothing"):
        loaded.predict(named.data.drop(columns="n"))
    with pytest.raises(ContractError, match="n: expected int64, got float64"):
        loaded.predict(named.data.astype({"n": "float64"}))
    with pytest.raises(ContractError, match="an ONNX model with 4 inputs: expected a frame or a dictionary"):
        loaded.predict(named.data.to_numpy())


def test_a_graph_takes_tensors_by_their_names(tmp_path):
    nodes = [helper.make_node("MatMul", ["a", "b"], ["c"])]
    sides = [[("a", 11, [None, 2, 3]), ("b", 11, [None, 3, 2])], [("c", 11, [None, 2, 2])]]
    model = made.graph(nodes, *sides)
    data = {"a": np.arange(12.0).reshape(2, 2, 3), "b": np.arange(12.0).reshape(2, 3, 2) / 7}
    sparksig.save_model(tmp_path / "m", model, input_example=data)
    loaded = sparksig.load_model(tmp_path / "m")
    assert loaded.signature.inputs.is_tensor_spec()
    assert _are_same(loaded.predict(data), {"c": data["a"] @ data["b"]})
    assert _are_same(_by_mlflow(tmp_path / "m", data), {"c": data["a"] @ data["b"]})


def test_a_graph_whose_weights_are_elsewhere_is_refused(tmp_path):
    graph = made.matrix_graph()
    onnx.save_model(graph.model, str(tmp_path / "graph.onnx"), save_as_external_data=True, location="w.data")
    graph_only = onnx.load(str(tmp_path / "graph.onnx"), load_external_data=False)
    with pytest.raises(ModelError, match=r"^onnxruntime cannot load the model: "):
        sparksig.save_model(tmp_path / "m", graph_only)
    assert not (tmp_path / "m").exists()
    loaded = onnx.load(str(tmp_path / "graph.onnx"))
    sparksig.save_model(tmp_path / "m", loaded)
    fitted = made.matrix_graph()
    assert _are_same(sparksig.load_model(tmp_path / "m").predict(fitted.data), fitted.bare())


def test_lists_in_a_column_are_a_matrix_for_a_graph(tmp_path):
    fitted = made.fitted("onnx-matrix")
    data = pd.DataFrame({"X": list(fitted.data.to_numpy())})
    sparksig.save_model(tmp_path / "m", fitted.model, input_example=data)
    assert _are_same(sparksig.load_model(tmp_path / "m").predict(data), fitted.bare())


def test_a_large_graph_is_saved_with_its_weights_beside_it_and_stays_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("sparksig.models.flavors.onnx._MAX_INLINE_BYTES", 100)
    graph = made.matrix_graph()
    before = graph.model.SerializeToString()
    sparksig.save_model(tmp_path / "m", graph.model, graph.signature(), input_example=graph.data.head(3))
    assert graph.model.SerializeToString() == before
    assert (tmp_path / "m" / "model.onnx").stat().st_size < 1000
    assert _are_same(sparksig.load_model(tmp_path / "m").predict(graph.data), graph.bare())
    assert _are_same(_by_mlflow(tmp_path / "m", graph.data), graph.bare())


def test_nulls_in_optional_columns_are_refused_where_the_graph_has_none(tmp_path):
    nodes = [helper.make_node("Add", ["n", "m"], ["sum"])]
    model = made.graph(nodes, [("n", 7, [None]), ("m", 7, [None])], [("sum", 7, [None])])
    inputs = Schema([ColSpec("long", "n"), ColSpec("long", "m", required=False)])
    sparksig.save_model(tmp_path / "m", model, ModelSignature(inputs))
    loaded = sparksig.load_model(tmp_path / "m")
    full = pd.DataFrame({"n": [1, 2**53 + 1], "m": pd.array([2, 0], "Int64")})
    assert loaded.predict(full)["sum"].tolist() == [3, 2**53 + 1]
    with pytest.raises(ContractError, match="m: expected no nulls: an ONNX input has none, got nulls"):
        loaded.predict(full.assign(m=pd.array([2, None], "Int64")))


CPU = "CPUExecutionProvider"
QUIET = {
    "options": {
        "execution_mode": "sequential",
        "graph_optimization_level": 99,
        "intra_op_num_threads": 1,
        "inter_op_num_threads": 1,
    },
    "parallel": {"execution_mode": "PARALLEL"},
    "none": {},
    "nothing-said": None,
}
UNSAID = {"intra_op_num_threads": None, "execution_mode": None, "extra_session_config": None}


@pytest.mark.parametrize("label", QUIET)
def test_session_options_that_mlflow_wrote_are_followed(tmp_path, label):
    fitted = made.fitted("onnx-sum")
    if label == "nothing-said":
        sparksig.save_model(tmp_path / label, fitted.model)
        rewrite(
            tmp_path / label, lambda config: config["flavors"]["onnx"].update(onnx_session_options=UNSAID)
        )
        assert _are_same(_by_mlflow(tmp_path / label, fitted.data), made.as_columns(fitted.bare()))
    else:
        options = {"onnx_session_options": QUIET[label]}
        _save_by_mlflow(tmp_path / label, mlflow.onnx, "onnx-sum", options)
    assert _are_same(
        sparksig.load_model(tmp_path / label).predict(fitted.data), made.as_columns(fitted.bare())
    )


PROVIDERS = [
    [CPU],
    CPU,
    None,
    [],
    ["CUDAExecutionProvider", CPU],
    ["NoSuchProvider"],
    [["CUDAExecutionProvider", {"device_id": 0}], CPU],
    [[CPU, {}]],
]


@pytest.mark.parametrize("providers", PROVIDERS)
def test_providers_that_are_not_there_are_passed_over(tmp_path, providers):
    fitted, path = made.fitted("onnx-sum"), tmp_path / str(PROVIDERS.index(providers))
    sparksig.save_model(path, fitted.model)
    rewrite(path, lambda config: config["flavors"]["onnx"].update(providers=providers))
    assert _are_same(sparksig.load_model(path).predict(fitted.data), made.as_columns(fitted.bare()))


def test_other_session_options_need_leave(tmp_path):
    fitted = made.fitted("onnx-sum")
    more = {"extra_session_config": {"session.load_model_format": "ONNX"}}
    _save_by_mlflow(tmp_path / "m", mlflow.onnx, "onnx-sum", {"onnx_session_options": more})
    with pytest.raises(ModelNotTrustedError, match="an ONNX model with the session options extra_sess"):
        sparksig.load_model(tmp_path / "m")
    loaded = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert _are_same(loaded.predict(fitted.data), made.as_columns(fitted.bare()))


BAD_GRAPHS = {
    "location-outside": r"leads out of the model directory",
    "not-a-graph": r"model\.onnx is not an ONNX model",
    "options-no-mapping": r"onnx_session_options: expected a mapping",
    "mode": r"model\.onnx: onnxruntime cannot load the model: KeyError: 'WEIRD'|execution_mode",
    "level": r"model\.onnx: onnxruntime cannot load the model|graph_optimization_level",
    "no-file": r"'model\.onnx', which MLmodel names, is missing",
}


@pytest.mark.parametrize(("label", "text"), BAD_GRAPHS.items(), ids=BAD_GRAPHS)
def test_damaged_graphs_are_refused(tmp_path, label, text):
    path, fitted = tmp_path / label, made.fitted("onnx-matrix")
    sparksig.save_model(path, fitted.model)
    unsealed(path)
    if label == "location-outside":
        graph = onnx.load_model_from_string(fitted.model.SerializeToString())
        onnx.external_data_helper.convert_model_to_external_data(
            graph, location="../weights", size_threshold=0
        )
        (path / "model.onnx").write_bytes(graph.SerializeToString())
        (tmp_path / "weights").write_bytes(bytes(13 * 32 * 8))
    elif label == "not-a-graph":
        (path / "model.onnx").write_bytes(b"\xff\xff no graph")
    elif label == "no-file":
        (path / "model.onnx").unlink()
    else:
        bad = {"options-no-mapping": [1], "mode": {"execution_mode": "weird"}}
        options = bad.get(label, {"graph_optimization_level": "x"})
        rewrite(path, lambda config: config["flavors"]["onnx"].update(onnx_session_options=options))
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(path)


# --- PythonModels and functions ---------------------------------------------------------------------------


class Weighed(PythonModel):
    """Its prediction depends on its artifacts, its configuration and its params."""

    def load_context(self, context):
        self.names = sorted(context.artifacts)
        self.weights = [float(Path(context.artifacts[name]).read_text()) for name in ("one", "two")]
        self.files = sorted(os.listdir(context.artifacts["folder"]))

    def predict(self, context, model_input, params=None):
        offset = context.model_config["offset"] + context.model_config.get("more", 0)
        factor = (params or {}).get("factor", 1.0)
        total = len(self.files) + len(self.names) + sum(self.weights)
        return model_input["x"].to_numpy() * factor + offset + total


def _artifacts(home):
    """Two files of one name, and a directory with a directory in it."""
    for folder, text in (("a", "0.25"), ("b", "0.5")):
        (home / folder).mkdir(parents=True)
        (home / folder / "weight.txt").write_text(text)
    (home / "folder" / "inner").mkdir(parents=True)
    (home / "folder" / "inner" / "x.txt").write_text("x")
    (home / "folder" / "y.txt").write_text("y")
    return {"one": home / "a" / "weight.txt", "two": home / "b" / "weight.txt", "folder": home / "folder"}


FACTOR = ModelSignature(X, ONE_DOUBLE, ParamSchema([ParamSpec("factor", "double", 1.0)]))


def test_artifacts_and_configuration_reach_a_python_model(tmp_path):
    artifacts = _artifacts(tmp_path / "files")
    sparksig.save_model(
        tmp_path / "m", Weighed(), FACTOR, artifacts=artifacts, model_config={"offset": 10, "more": 1}
    )
    for path in artifacts.values():
        path.rename(path.with_suffix(".gone"))
    expected = FRAME["x"].to_numpy() * 1.0 + 11 + 5.75
    loaded = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert same_bits(loaded.predict(FRAME), expected)
    assert same_bits(loaded.predict(FRAME, {"factor": 3}), FRAME["x"].to_numpy() * 3.0 + 11 + 5.75)
    assert same_bits(_by_mlflow(tmp_path / "m", FRAME), expected)
    other = sparksig.load_model(tmp_path / "m", allow_pickle=True, model_config={"offset": 0.5})
    assert same_bits(other.predict(FRAME), FRAME["x"].to_numpy() * 1.0 + 1.5 + 5.75)
    theirs = mlflow.pyfunc.load_model(str(tmp_path / "m"), model_config={"offset": 0.5})
    assert same_bits(theirs.predict(FRAME), other.predict(FRAME))
    declared = _mlmodel(tmp_path / "m")["flavors"]["python_function"]["artifacts"]
    assert sorted(declared) == ["folder", "one", "two"]
    assert all((tmp_path / "m" / entry["path"]).exists() for entry in declared.values())


def test_artifacts_may_have_any_names(tmp_path):
    class Reading(PythonModel):
        def predict(self, context, model_input):
            return [Path(context.artifacts[name]).read_text() for name in sorted(context.artifacts)]

    for folder in "xyz":
        (tmp_path / folder).mkdir()
        for name in ("1", "2", "a b.txt"):
            (tmp_path / folder / name).write_text(f"{folder}{name}")
    artifacts = {"a": tmp_path / "x" / "1", "b": tmp_path / "y" / "1", "c": tmp_path / "x" / "2"}
    artifacts |= {"d": tmp_path / "z" / "2", "e": (tmp_path / "z" / "a b.txt").as_uri()}
    sparksig.save_model(tmp_path / "m", Reading(), artifacts=artifacts)
    prediction = sparksig.load_model(tmp_path / "m", allow_pickle=True).predict(FRAME)
    assert prediction == ["x1", "y1", "x2", "z2", "za b.txt"]


def test_artifacts_of_a_pinned_model_are_what_was_pinned_for_as_long_as_it_lives(tmp_path):
    class Late(PythonModel):
        """Opens its artifact when it predicts."""

        def predict(self, context, model_input):
            return model_input["x"].to_numpy() * float(Path(context.artifacts["one"]).read_text())

    (tmp_path / "one.txt").write_text("0.25")
    sparksig.save_model(tmp_path / "m", Late(), SIGNATURE, artifacts={"one": str(tmp_path / "one.txt")})
    digest = sparksig.get_model_info(tmp_path / "m").digest
    loaded = sparksig.load_model(tmp_path / "m", digest=digest)
    (tmp_path / "m" / "artifacts" / "one.txt").write_text("666")
    assert same_bits(loaded.predict(FRAME), FRAME["x"].to_numpy() * 0.25)


def _tripled(model_input):
    return model_input["x"].to_numpy() * 3


def _scaled(factor, model_input):
    return model_input["x"].to_numpy() * factor


def _with_context(context, model_input, params=None):
    factor = (params or {}).get("factor", 1.0)
    return model_input["x"].to_numpy() * context.model_config["scale"] * factor


def _typed(model_input: list[float]) -> list[float]:
    return [value * 3 for value in model_input]


def with_column(signature):
    """Return the signature that is inferred from a frame and a 1-D array of doubles."""
    return ModelSignature(signature.inputs, Schema([ColSpec("double")]), signature.params)


@pytest.mark.parametrize(
    ("options", "signature"),
    [({"signature": SIGNATURE}, SIGNATURE), ({"input_example": FRAME}, with_column(SIGNATURE))],
    ids=["signature", "example"],
)
@pytest.mark.parametrize(
    "function",
    [_tripled, functools.partial(_scaled, 3), lambda frame: frame["x"].to_numpy() * 3],
    ids=["function", "partial", "lambda"],
)
def test_functions_are_models(tmp_path, function, options, signature):
    expected = FRAME["x"].to_numpy() * 3
    sparksig.save_model(tmp_path / "m", function, **options)
    loaded = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert loaded.signature == signature
    assert same_bits(loaded.predict(FRAME), expected)
    assert same_bits(_by_mlflow(tmp_path / "m", FRAME), expected)


def test_a_function_may_ask_for_its_context_and_params(tmp_path):
    sparksig.save_model(tmp_path / "m", _with_context, FACTOR, model_config={"scale": 2})
    loaded = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert same_bits(loaded.predict(FRAME, {"factor": 0.1}), FRAME["x"].to_numpy() * 2 * 0.1)
    assert same_bits(_by_mlflow(tmp_path / "m", FRAME, {"factor": 0.1}), FRAME["x"].to_numpy() * 2 * 0.1)
    other = sparksig.load_model(tmp_path / "m", allow_pickle=True, model_config={"scale": 5})
    assert same_bits(other.predict(FRAME), FRAME["x"].to_numpy() * 5)


def test_a_functions_type_hint_is_its_contract(tmp_path):
    sparksig.save_model(tmp_path / "m", _typed)
    loaded = sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert loaded.signature == ModelSignature(Schema([ColSpec("double")]), Schema([ColSpec("double")]))
    assert loaded.predict([0.1, 2]) == [0.1 * 3, 6.0]
    assert _by_mlflow(tmp_path / "m", [0.1, 2.0]) == [0.1 * 3, 6.0]
    with pytest.raises(ContractError, match="expected float, got a value of type str"):
        loaded.predict(["x"])


def test_a_class_is_saved_as_an_object_of_it(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled, SIGNATURE)
    assert same_bits(sparksig.load_model(tmp_path / "m", allow_pickle=True).predict(FRAME), FRAME["x"] * 2)

    class Choosy(PythonModel):
        def __init__(self, needed):
            self.needed = needed

        def predict(self, model_input):
            return model_input

    with pytest.raises(ModelError, match=r"cannot instantiate Choosy\(\): .*needed'"):
        sparksig.save_model(tmp_path / "n", Choosy)


with without_type_hints():

    class MlflowWeighed(mlflow.pyfunc.PythonModel):
        load_context = Weighed.load_context
        predict = Weighed.predict


@pytest.mark.parametrize("compression", [None, "gzip", "bzip2", "lzma"])
def test_python_models_of_mlflow_with_all_there_is(tmp_path, monkeypatch, compression):
    if compression:
        monkeypatch.setenv("MLFLOW_LOG_MODEL_COMPRESSION", compression)
    home = tmp_path / str(compression)
    artifacts = {name: str(path) for name, path in _artifacts(home / "files").items()}
    mlflow.pyfunc.save_model(
        str(home / "m"),
        python_model=MlflowWeighed(),
        artifacts=artifacts,
        model_config={"offset": 10},
        signature=_mlflow_signature(FACTOR),
        pip_requirements=PINNED,
    )
    assert _mlmodel(home / "m")["flavors"]["python_function"].get("python_model_compression") == compression
    loaded = sparksig.load_model(home / "m", allow_pickle=True)
    theirs = _by_mlflow(home / "m", FRAME, {"factor": 0.1})
    assert same_bits(loaded.predict(FRAME, {"factor": 0.1}), theirs)
    config = {"offset": 0.5}
    ours = sparksig.load_model(home / "m", allow_pickle=True, model_config=config).predict(FRAME)
    assert same_bits(ours, mlflow.pyfunc.load_model(str(home / "m"), model_config=config).predict(FRAME))


CODE_MODEL = """
import mlflow

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["x"].to_numpy() * context.model_config.get("factor", 7)

mlflow.models.set_model(Model())
"""


def test_models_from_code_load_through_mlflow(tmp_path):
    (tmp_path / "the_model.py").write_text(CODE_MODEL)
    with without_type_hints():
        mlflow.pyfunc.save_model(
            str(tmp_path / "m"),
            python_model=str(tmp_path / "the_model.py"),
            model_config={"factor": 3},
            signature=_mlflow_signature(SIGNATURE),
            pip_requirements=PINNED,
        )
        with pytest.raises(
            ModelNotTrustedError, match=r"the loader module 'mlflow\.pyfunc\.loaders\.code_model'"
        ):
            sparksig.load_model(tmp_path / "m")
        loaded = sparksig.load_model(tmp_path / "m", allow_pickle=True)
        assert same_bits(loaded.predict(FRAME), FRAME["x"].to_numpy() * 3)
        assert same_bits(loaded.predict(FRAME), _by_mlflow(tmp_path / "m", FRAME))
        other = sparksig.load_model(tmp_path / "m", allow_pickle=True, model_config={"factor": 5})
        assert same_bits(other.predict(FRAME), FRAME["x"].to_numpy() * 5)


# --- loader modules and code files ------------------------------------------------------------------------

LOADER = """
from pathlib import Path
from {package}.inner import scale

class Model:
    def __init__(self, weight):
        self.weight = weight

    def predict(self, model_input, params=None):
        return scale(model_input["x"].to_numpy(), self.weight * (params or {{}}).get("factor", 1.0))

def _load_pyfunc(path, model_config=None):
    file = Path(path)
    file = file / "weight.txt" if file.is_dir() else file
    return Model(float(file.read_text()) + (model_config or {{}}).get("offset", 0))
"""


def _loader_package(home, package, text="return values * factor"):
    """A package whose module ``loading`` loads a number from a file."""
    (home / package).mkdir(parents=True)
    (home / package / "__init__.py").write_text("")
    (home / package / "inner.py").write_text(f"def scale(values, factor):\n    {text}\n")
    (home / package / "loading.py").write_text(LOADER.format(package=package))
    (home / "weight.txt").write_text("0.3")
    return home / package


@pytest.fixture
def forgetting():
    """Modules and paths that a test's models brought along are forgotten after it."""
    modules, paths = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if name.startswith("brought"):
            del sys.modules[name]


def test_a_loader_module_with_its_data(tmp_path, forgetting):
    package = _loader_package(tmp_path / "code", "brought_one")
    for name, data in (("file", tmp_path / "code" / "weight.txt"), ("folder", tmp_path / "data")):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / "weight.txt").write_text("0.3")
        options = {
            "loader_module": "brought_one.loading",
            "data_path": data,
            "code_paths": [package],
        }
        sparksig.save_model(tmp_path / name, signature=FACTOR, **options)
        before = content(tmp_path / name)
        sparksig.save_model(tmp_path / f"{name}-example", input_example=(FRAME, {"factor": 1.0}), **options)
        assert "brought_one" not in sys.modules or name == "folder"
        with pytest.raises(ModelNotTrustedError, match="a model with code files can run any code"):
            sparksig.load_model(tmp_path / name)
        for label in (name, f"{name}-example"):
            loaded = sparksig.load_model(tmp_path / label, allow_pickle=True)
            assert loaded.signature == (FACTOR if label == name else with_column(FACTOR))
            assert same_bits(loaded.predict(FRAME), FRAME["x"].to_numpy() * 0.3)
            assert same_bits(loaded.predict(FRAME, {"factor": 2.0}), FRAME["x"].to_numpy() * (0.3 * 2.0))
            assert same_bits(_by_mlflow(tmp_path / label, FRAME), FRAME["x"].to_numpy() * 0.3)
        other = sparksig.load_model(tmp_path / name, allow_pickle=True, model_config={"offset": 1})
        assert same_bits(other.predict(FRAME), FRAME["x"].to_numpy() * 1.3)
        assert content(tmp_path / name) == before  # no bytecode
        theirs = tmp_path / f"{name}-theirs"
        mlflow.pyfunc.save_model(
            str(theirs),
            loader_module="brought_one.loading",
            data_path=str(data),
            code_paths=[str(package)],
            signature=_mlflow_signature(FACTOR),
            pip_requirements=PINNED,
        )
        loaded = sparksig.load_model(theirs, allow_pickle=True)
        assert same_bits(loaded.predict(FRAME), FRAME["x"].to_numpy() * 0.3)


def test_models_whose_code_has_one_name_and_other_content_do_not_share_a_process(tmp_path, forgetting):
    for name, text in (
        ("a", "return values * factor"),
        ("b", "return -values"),
        ("c", "return values * factor"),
    ):
        package = _loader_package(tmp_path / f"code-{name}", "brought_two", text)
        sparksig.save_model(
            tmp_path / name,
            signature=SIGNATURE,
            loader_module="brought_two.loading",
            data_path=tmp_path / f"code-{name}" / "weight.txt",
            code_paths=[package],
        )
    expected = FRAME["x"].to_numpy() * 0.3
    first = sparksig.load_model(tmp_path / "a", allow_pickle=True)
    text = (
        r"b: its code has a module 'brought_two', but a different module of that name is loaded "
        r"already \(.*two"
    )
    with pytest.raises(ModelError, match=text):
        sparksig.load_model(tmp_path / "b", allow_pickle=True)
    again = sparksig.load_model(tmp_path / "a", allow_pickle=True)
    third = sparksig.load_model(tmp_path / "c", allow_pickle=True)
    assert all(same_bits(loaded.predict(FRAME), expected) for loaded in (first, again, third))


def test_an_installed_module_is_not_taken_for_a_models_own(tmp_path):
    (tmp_path / "json.py").write_text("loads = None\n")
    sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE, code_paths=[tmp_path / "json.py"])
    with pytest.raises(
        ModelError, match="its code has a module 'json', but a different module of that name is loaded"
    ):
        sparksig.load_model(tmp_path / "m", allow_pickle=True)
    assert json.loads("1") == 1


@pytest.mark.parametrize("name", ["linear", "xgb-regressor", "lgbm-regressor", "onnx-sum"])
def test_each_format_can_have_code_files(tmp_path, forgetting, name):
    (tmp_path / "brought_three.py").write_text("def offset():\n    return 0.5\n")
    fitted = made.fitted(name)
    code = [str(tmp_path / "brought_three.py")]
    sparksig.save_model(tmp_path / name, fitted.model, fitted.signature(), code_paths=code)
    with pytest.raises(ModelNotTrustedError, match="loading a model with code files can run any code"):
        sparksig.load_model(tmp_path / name, trusted_types=fitted.trusted)
    loaded = sparksig.load_model(tmp_path / name, allow_pickle=True)
    assert _are_same(loaded.predict(fitted.data), made.as_columns(fitted.bare()))
    assert _are_same(_by_mlflow(tmp_path / name, fitted.data), made.as_columns(fitted.bare()))


ELSEWHERE = """
import sys
import pandas
import sparksig
model = sparksig.load_model("m", allow_pickle=True, on_version_mismatch="fail")
print(model.predict(pandas.DataFrame({"x": [1.5]})).tolist(), sys.modules["brought_four"].__file__)
"""


def _run(script, cwd):
    home = str(Path(sparksig.__file__).parents[1])
    command = [sys.executable, "-W", "error", "-c", f"import sys; sys.path.append({home!r})\n{script}"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_model_imports_its_code_files_in_a_process_that_knows_nothing_of_them(
    tmp_path, monkeypatch, forgetting
):
    """The usual case: the model's class lies in a module that the pickle only names."""
    (tmp_path / "brought_four.py").write_text(
        "import sparksig\n\n"
        "class Model(sparksig.PythonModel):\n"
        "    def predict(self, model_input):\n        return model_input['x'].to_numpy() + 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import brought_four

    sparksig.save_model(
        tmp_path / "there" / "m",
        brought_four.Model(),
        input_example=FRAME,
        code_paths=[tmp_path / "brought_four.py"],
    )
    assert b"brought_four" in (tmp_path / "there" / "m" / "python_model.pkl").read_bytes()
    (tmp_path / "brought_four.py").unlink()
    done = _run(ELSEWHERE, tmp_path / "there")
    assert (done.stdout, done.stderr) == (
        f"[2.5] {tmp_path / 'there' / 'm' / 'code' / 'brought_four.py'}\n",
        "",
    )


BROKEN = {
    "no-module": ("brought_none.loading", "there is no loader module 'brought_none.loading', neither in"),
    "no-function": ("math", "the loader module 'math' has no function _load_pyfunc"),
    "no-model": (
        "brought_five",
        "the loader module returned a value of type int, which has no method 'predict'",
    ),
}


@pytest.mark.parametrize("label", BROKEN)
def test_loader_modules_that_do_not_load(tmp_path, forgetting, label):
    module, text = BROKEN[label]
    home = tmp_path / label
    home.mkdir()
    (home / "brought_five.py").write_text("def _load_pyfunc(path):\n    return 5\n")
    sparksig.save_model(home / "m", loader_module=module, code_paths=[home / "brought_five.py"])
    error = MissingDependencyError if label == "no-module" else ModelError
    with pytest.raises(error, match=re.escape(text)):
        sparksig.load_model(home / "m", allow_pickle=True)


def test_a_loader_module_that_takes_no_configuration_says_so(tmp_path, forgetting):
    (tmp_path / "brought_six.py").write_text("def _load_pyfunc(path):\n    return 5\n")
    code = [tmp_path / "brought_six.py"]
    sparksig.save_model(tmp_path / "m", loader_module="brought_six", code_paths=code)
    with pytest.raises(ModelError, match=r"the loader module 'brought_six' .*config"):
        sparksig.load_model(tmp_path / "m", allow_pickle=True, model_config={"a": 1})


def test_what_a_loader_module_misses_is_named(tmp_path, forgetting):
    text = "def _load_pyfunc(path):\n    import no_such_package\n"
    (tmp_path / "brought_seven.py").write_text(text)
    code = [tmp_path / "brought_seven.py"]
    sparksig.save_model(tmp_path / "m", loader_module="brought_seven", code_paths=code)
    text = "needs the library 'no_such_package', which is not installed: pip install -r "
    with pytest.raises(MissingDependencyError, match=text):
        sparksig.load_model(tmp_path / "m", allow_pickle=True)


# --- without MLflow ---------------------------------------------------------------------------------------

WITHOUT = """
import sys
sys.modules["mlflow"] = None
import pickle
import numpy as np
import sparksig
from sparksig import MissingDependencyError

with open("cases.pkl", "rb") as file:
    cases = pickle.load(file)
for name, (data, options, expected) in cases.items():
    found = sparksig.load_model(name, **options).predict(data)
    if hasattr(found, "columns"):
        found = {str(label): found[label].to_numpy() for label in found}
    found = found if isinstance(found, dict) else {"": np.asarray(found)}
    assert list(found) == list(expected), (name, found)
    for label, value in found.items():
        assert value.dtype == expected[label].dtype, (name, value.dtype)
        assert value.tolist() == expected[label].tolist(), (name, value)
for name in ("needs", "code"):
    try:
        sparksig.load_model(name, allow_pickle=True)
    except MissingDependencyError as error:
        print(error)
assert not [name for name in sys.modules if name.startswith("mlflow.")]
"""


def _plain_columns(prediction):
    """A prediction as arrays that a process without MLflow can be asked for."""
    prediction = made.as_columns(prediction)
    if isinstance(prediction, pd.DataFrame):
        return {str(label): prediction[label].to_numpy() for label in prediction}
    return prediction if isinstance(prediction, dict) else {"": np.asarray(prediction)}


TYPED = """
import mlflow.pyfunc
import pydantic

class Order(pydantic.BaseModel):
    price: float
    tags: list[str]

class Texts(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]

class Orders(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Order], params=None) -> list[float]:
        return [order.price * len(order.tags) for order in model_input]
"""


def _mlflow_python_models(home):
    """Save PythonModels and functions by MLflow, with and without type hints; return the predictions."""

    @mlflow_hinted
    def hinted(model_input: list[float]) -> list[float]:
        return [value * 2 for value in model_input]

    def plain(model_input):
        return model_input["x"].to_numpy() * 2

    typed = {"__name__": "__main__"}  # whose classes are pickled by value
    exec(TYPED, typed)
    typed["Order"].__pydantic_parent_namespace__ = None  # pydantic 2.7 pickles the enclosing names
    orders = [{"price": 0.1, "tags": ["a", "b"]}, {"price": 2.0, "tags": []}]
    with without_type_hints():

        class Contextual(mlflow.pyfunc.PythonModel):
            def load_context(self, context):
                self.weight = float(Path(context.artifacts["weight"]).read_text())

            def predict(self, context, model_input, params=None):
                return model_input["x"].to_numpy() * self.weight * context.model_config["scale"]

        (home / "weight.txt").write_text("0.3")
        models = {
            "texts": (typed["Texts"](), ["a", "é"], ["A", "É"], {}),
            "orders": (typed["Orders"](), orders, [0.2, 0.0], {}),
            "hinted": (hinted, [0.5, 3.0], [1.0, 6.0], {}),
            "plain": (plain, FRAME, FRAME["x"].to_numpy() * 2, {}),
            "contextual": (
                Contextual(),
                FRAME,
                FRAME["x"].to_numpy() * 0.3 * 2,
                {"artifacts": {"weight": str(home / "weight.txt")}, "model_config": {"scale": 2}},
            ),
        }
        for name, (model, _, _, options) in models.items():
            mlflow.pyfunc.save_model(str(home / name), python_model=model, pip_requirements=PINNED, **options)
    return {name: (data, expected) for name, (_, data, expected, _) in models.items()}


def test_what_mlflow_wrote_loads_and_predicts_where_mlflow_is_not_installed(tmp_path):
    cases = {}
    for name, (data, expected) in _mlflow_python_models(tmp_path).items():
        assert np.asarray(_by_mlflow(tmp_path / name, data)).tolist() == np.asarray(expected).tolist()
        cases[name] = (data, {"allow_pickle": True}, {"": np.asarray(expected)})
    several = [
        "linear-pickle",
        "boosted-skops",
        "xgb-default",
        "xgb-booster-json",
        "lgbm-classes-cloudpickle",
    ]
    for label in [*several, "lgbm-regressor-skops", "lgbm-booster-skops", *made.ONNX]:
        flavor, name, options = BY_MLFLOW[label]
        fitted, method = _save_by_mlflow(tmp_path / label, flavor, name, options)
        cases[label] = (fitted.data, _trust_for(fitted, options, name), _plain_columns(fitted.bare(method)))
    with without_type_hints():

        class Needing(mlflow.pyfunc.PythonModel):
            """Holds what only MLflow has."""

            held = mlflow.pyfunc.PyFuncModel

            def predict(self, model_input):
                return model_input

        (tmp_path / "the_model.py").write_text(CODE_MODEL)
        for name, model in (("needs", Needing()), ("code", str(tmp_path / "the_model.py"))):
            mlflow.pyfunc.save_model(str(tmp_path / name), python_model=model, pip_requirements=PINNED)
    with (tmp_path / "cases.pkl").open("wb") as file:
        cloudpickle.dump(cases, file)
    done = _run(WITHOUT, tmp_path)
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert "it refers to mlflow.pyfunc.PyFuncModel and needs the package" in first
    assert "mlflow" in second
    assert "'mlflow.pyfunc.loaders.code_model'" in second
    assert all("pip install 'sparksig[mlflow]'" in line for line in (first, second))


# --- refusals on saving -----------------------------------------------------------------------------------


def _huber(labels, predictions):
    return predictions - labels, np.ones_like(labels)


def _callable_objective(cls):
    data, target = made.real(load_diabetes)
    quiet = {"verbosity": -1, "n_jobs": 1} if cls is lightgbm.LGBMRegressor else {"n_jobs": 1}
    return cls(n_estimators=1, objective=_huber, **quiet).fit(data, target)


def _of_one_class():
    data, target = made.real(load_diabetes)
    model = lightgbm.LGBMClassifier(n_estimators=1, num_leaves=4, verbosity=-1, n_jobs=1)
    return model.fit(data, np.zeros(len(target), dtype=int))


class Wrapped(LinearRegression):
    """A class of the user's own, which skops does not know."""


def _subclassed():
    return Wrapped().fit(*made.real(load_diabetes))


REFUSED = {
    "xgb-unfitted": (lambda: xgboost.XGBClassifier(), {}, ModelError, "XGBoost cannot save the model: "),
    "lgbm-unfitted": (lambda: lightgbm.LGBMClassifier(), {}, ModelError, "LightGBM cannot save the model: "),
    "no-proba": (
        lambda: made.fitted("linear").model,
        {"method": "predict_proba"},
        ModelError,
        "LinearRegression has no prediction method 'predict_proba' (it has: predict)",
    ),
    "unknown-method": (
        lambda: made.fitted("pipeline").model,
        {"method": "score"},
        (ModelError, UnsupportedError),
        "'score'",
    ),
    "fitting-method": (
        lambda: made.fitted("linear").model,
        {"method": "fit"},
        (ModelError, UnsupportedError),
        "'fit'",
    ),
    "booster-proba": (
        lambda: made.fitted("xgb-booster").model,
        {"method": "predict_proba"},
        ModelError,
        "Booster has no prediction method 'predict_proba' (it has: predict)",
    ),
    "lgbm-transform": (
        lambda: made.fitted("lgbm-classifier").model,
        {"method": "transform"},
        ModelError,
        "LGBMClassifier has no prediction method 'transform' (it has: predict, predict_proba",
    ),
    "onnx-method": (
        lambda: made.fitted("onnx-sum").model,
        {"method": "predict_proba"},
        ModelError,
        "method: expected one of predict, got 'predict_proba'",
    ),
    "python-method": (
        lambda: Doubled(),
        {"method": "predict_proba"},
        ModelError,
        "'predict_proba'",
    ),
    "loader-method": (
        lambda: None,
        {"method": "transform", "loader_module": "math"},
        ModelError,
        "'transform'",
    ),
    "xgb-fit": (
        lambda: made.fitted("xgb-regressor").model,
        {"method": "fit"},
        (ModelError, UnsupportedError),
        "'fit'",
    ),
    "lgbm-fit": (
        lambda: made.fitted("lgbm-regressor").model,
        {"method": "fit"},
        (ModelError, UnsupportedError),
        "'fit'",
    ),
    "function-method": (lambda: _tripled, {"method": "transform"}, ModelError, "'transform'"),
    "xgb-objective": (
        lambda: _callable_objective(xgboost.XGBRegressor),
        {},
        UnsupportedError,
        "XGBoost's format cannot store an objective that is a function. Save model.get_booster()",
    ),
    "lgbm-one-class": (
        _of_one_class,
        {},
        (ModelError, UnsupportedError),
        "class",
    ),
    "lgbm-objective": (
        lambda: _callable_objective(lightgbm.LGBMRegressor),
        {},
        UnsupportedError,
        "LightGBM's format cannot store an objective that is a function. Save model.booster_",
    ),
    "sklearn-artifacts": (
        lambda: made.fitted("linear").model,
        {"artifacts": {"a": "b"}},
        ModelError,
        "artifacts= applies only to a PythonModel or a function",
    ),
    "sklearn-config": (
        lambda: made.fitted("linear").model,
        {"model_config": {}},
        ModelError,
        "model_config= applies only to a PythonModel, a function or a loader module",
    ),
    "python-serialization": (
        lambda: Doubled(),
        {"serialization_format": "pickle"},
        ModelError,
        "serialization_format= applies only to a scikit-learn estimator",
    ),
    "xgb-serialization": (
        lambda: made.fitted("xgb-regressor").model,
        {"serialization_format": "pickle"},
        ModelError,
        "serialization_format= applies only to a scikit-learn estimator",
    ),
    "serialization": (
        lambda: made.fitted("linear").model,
        {"serialization_format": "joblib"},
        ModelError,
        "serialization_format: expected one of skops, pickle, cloudpickle, got 'joblib'",
    ),
    "artifacts-list": (
        lambda: Doubled(),
        {"artifacts": ["a"]},
        ModelError,
        "artifacts: expected a mapping, got a ",
    ),
    "artifacts-missing": (
        lambda: Doubled(),
        {"artifacts": {"a": "no/such/file"}},
        ModelError,
        "there is no file or directory at 'no/such/file'",
    ),
    "artifacts-number": (
        lambda: Doubled(),
        {"artifacts": {"a": 5}},
        ModelError,
        "expected a path or a URI, got a value of type int",
    ),
    "config-list": (
        lambda: Doubled(),
        {"model_config": [1]},
        ModelError,
        "model_config: expected a mapping, got",
    ),
    "config-object": (
        lambda: Doubled(),
        {"model_config": {"a": object()}},
        ModelError,
        "cannot write MLmodel: ",
    ),
    "code-text": (
        lambda: Doubled(),
        {"code_paths": "code.py"},
        ModelError,
        "code_paths: expected a list of paths, got one path. Pass ['code.py']",
    ),
    "code-missing": (
        lambda: Doubled(),
        {"code_paths": ["no/such.py"]},
        ModelError,
        "there is no file or directory at 'no/such.py'",
    ),
    "data-alone": (
        lambda: Doubled(),
        {"data_path": "data"},
        ModelError,
        "data_path needs a loader module. Pass loader_module=",
    ),
    "both": (
        lambda: Doubled(),
        {"loader_module": "math"},
        ModelError,
        "expected either a model or a loader_module, got both. Remove one of them",
    ),
    "loader-path": (
        lambda: None,
        {"loader_module": "a/b.py"},
        ModelError,
        "loader_module: expected the name of a module, for example 'package.module'",
    ),
    "loader-data": (
        lambda: None,
        {"loader_module": "math", "data_path": "no/such"},
        ModelError,
        "there is no file or directory at 'no/such'",
    ),
    "loader-artifacts": (
        lambda: None,
        {"loader_module": "math", "artifacts": {}},
        ModelError,
        "artifacts= applies only to a PythonModel or a function",
    ),
    "requirements-text": (
        lambda: Doubled(),
        {"extra_pip_requirements": "nltk"},
        ModelError,
        "extra_pip_requirements: expected a list of requirements, for example ['nltk==3.9']",
    ),
    "types-text": (
        lambda: made.fitted("boosted").model,
        {"trusted_types": "a.B"},
        ModelError,
        "trusted_types: expected a list of names, got one value. Pass trusted_types=['a.B']",
    ),
    "untrusted": (
        splined,
        {},
        ModelNotTrustedError,
        "a Pipeline contains types that are not known to be safe: scipy.",
    ),
    "subclass": (
        _subclassed,
        {},
        ModelNotTrustedError,
        "a Wrapped contains types that are not known to be safe: ",
    ),
    "a-list": (lambda: [Doubled()], {}, UnsupportedError, "cannot save a value of type list: "),
    "nothing": (lambda: None, {}, UnsupportedError, "cannot save None: "),
    "estimator-class": (
        lambda: LinearRegression,
        {},
        UnsupportedError,
        "Pass an instance: LinearRegression()",
    ),
    "booster-class": (
        lambda: xgboost.XGBRegressor,
        {},
        UnsupportedError,
        "Pass an instance: XGBRegressor()",
    ),
    "no-parameters": (
        lambda: lambda: 5,
        {},
        ModelError,
        "<lambda> cannot be used as a model: expected a function with one required parameter",
    ),
    "many-parameters": (lambda: lambda a, b, c: 5, {}, ModelError, "got a function that requires a, b, c"),
}


@pytest.mark.parametrize("label", REFUSED)
def test_what_cannot_be_saved_is_refused_and_leaves_nothing(tmp_path, label):
    make, options, kind, text = REFUSED[label]
    home = tmp_path / label
    home.mkdir()
    with pytest.raises(kind, match=re.escape(text)):
        sparksig.save_model(home / "m", make(), **options)
    assert list(home.iterdir()) == []


def test_an_estimator_that_is_not_fitted_fails_on_its_example(tmp_path):
    with pytest.raises(
        ModelError, match=r"the model fails on its input example: NotFittedError \(see above\)"
    ):
        sparksig.save_model(tmp_path / "m", LogisticRegression(), input_example=made.real(load_iris)[0])
    assert list(tmp_path.iterdir()) == []


def test_what_a_format_does_not_keep_is_found_by_the_example(tmp_path):
    """The format does not store attributes that were set after fitting."""
    data, target = made.real(load_iris)
    model = lightgbm.LGBMClassifier(n_estimators=2, num_leaves=4, verbosity=-1, n_jobs=1).fit(data, target)
    model._class_map, model._le.classes_ = None, np.array(["x", "y", "z"])
    with pytest.raises(ModelError, match="the loaded model predicts something else for its input example"):
        sparksig.save_model(tmp_path / "m", model, input_example=data.head(3))


ONE_EACH = ["linear", "xgb-regressor", "lgbm-regressor", "onnx-sum"]


@pytest.mark.parametrize("name", ONE_EACH)
@pytest.mark.parametrize("method", ["fit", "score", "__init__", "save_model"])
def test_methods_that_do_not_predict_are_refused_on_loading(tmp_path, name, method):
    sparksig.save_model(tmp_path / name, made.fitted(name).model)
    text = f"method: expected one of predict.*, got '{method}'"
    with pytest.raises(UnsupportedError, match=text):
        sparksig.load_model(tmp_path / name, method=method)
    rewrite_pyfunc(tmp_path / name, predict_fn=method)
    with pytest.raises(UnsupportedError, match=text):
        sparksig.load_model(tmp_path / name)


@pytest.mark.parametrize("name", ONE_EACH)
def test_methods_that_a_model_lacks_are_refused_on_loading(tmp_path, name):
    sparksig.save_model(tmp_path / name, made.fitted(name).model)
    with pytest.raises((ModelError, UnsupportedError), match=r"'predict_proba'"):
        sparksig.load_model(tmp_path / name, method="predict_proba")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "name", ["lgbm-classifier", "lgbm-regressor", "xgb-classifier", "xgb-regressor", "xgb-booster"]
)
def test_each_method_that_can_be_saved_can_be_loaded(tmp_path, name, method):
    """A method that the library's model has, and its format does not give back, is refused on saving."""
    fitted = made.fitted(name)
    try:
        sparksig.save_model(tmp_path / "m", fitted.model, method=method)
    except (ModelError, UnsupportedError) as error:
        assert method in str(error)  # noqa: PT017
    else:
        assert _are_same(sparksig.load_model(tmp_path / "m").predict(fitted.data), fitted.bare(method))


def test_a_python_model_has_no_choice_of_methods(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE)
    with pytest.raises(UnsupportedError, match=r"method: expected one of predict, got 'predict_proba'$"):
        sparksig.load_model(tmp_path / "m", allow_pickle=True, method="predict_proba")


DAMAGED = {
    "xgb-bytes": ("xgb-regressor", {}, b"no model", r"model\.ubj is not an XGBoost model: "),
    "xgb-missing": ("xgb-missing", {"sparksig_missing": "x"}, None, "sparksig_missing: expected a number"),
    "lgbm-bytes": ("lgbm-regressor", {}, b"\xff\xfe", r"model\.lgb is not a LightGBM model: "),
    "lgbm-empty": ("lgbm-regressor", {}, b"", r"model\.lgb is not a LightGBM model: "),
    "lgbm-classes": (
        "lgbm-classes",
        {"sparksig_classes": [1, 2]},
        None,
        "sparksig_classes: expected two or more",
    ),
    "lgbm-objects": (
        "lgbm-classes",
        {"sparksig_classes": {"dtype": "O", "values": [1, "a", {}]}},
        None,
        "expected numbers or text",
    ),
    "lgbm-dtype": (
        "lgbm-classes",
        {"sparksig_classes": {"dtype": "no dtype", "values": [1, 2, 3]}},
        None,
        "sparksig_classes: ",
    ),
    "lgbm-fewer": (
        "lgbm-classes",
        {"sparksig_classes": {"dtype": "<i8", "values": [1, 2]}},
        None,
        "sparksig_classes",
    ),
    "onnx-bytes": ("onnx-sum", {}, b"", r"model\.onnx: onnxruntime cannot load the model"),
}


@pytest.mark.parametrize("label", DAMAGED)
def test_damaged_models_are_refused_on_loading(tmp_path, label):
    name, entries, bytes_, text = DAMAGED[label]
    sparksig.save_model(tmp_path / label, made.fitted(name).model)
    flavor = {"x": "xgboost", "l": "lightgbm", "o": "onnx"}[name[0]]
    rewrite(tmp_path / label, lambda config: config["flavors"][flavor].update(entries))
    if bytes_ is not None:
        (tmp_path / label / _mlmodel(tmp_path / label)["flavors"][flavor]["data"]).write_bytes(bytes_)
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(tmp_path / label)


@pytest.mark.parametrize("name", ["xgb-regressor", "xgb-booster"])
def test_an_empty_file_is_no_xgboost_model(tmp_path, name):
    """XGBoost 3 ends the whole process on one."""
    sparksig.save_model(tmp_path / name, made.fitted(name).model)
    (unsealed(tmp_path / name) / "model.ubj").write_bytes(b"")
    with pytest.raises(ModelDamagedError, match=r"model\.ubj is not an XGBoost model"):
        sparksig.load_model(tmp_path / name)


@pytest.mark.parametrize(
    "cls", ["os.system", "xgboost.core.DMatrix", "xgboost.sklearn.np", "tests.Booster", "Booster"]
)
def test_classes_that_are_not_xgboosts_models_are_refused(tmp_path, cls):
    path = tmp_path / cls
    sparksig.save_model(path, made.fitted("xgb-regressor").model)
    rewrite(path, lambda config: config["flavors"]["xgboost"].update(model_class=cls))
    with pytest.raises(UnsupportedError, match=r"model_class: expected a class of XGBoost, got '.*'"):
        sparksig.load_model(path)


# --- versions ---------------------------------------------------------------------------------------------


def _requiring(path, name, *lines):
    """A model's directory that says it was saved with other packages."""
    if not path.exists():
        sparksig.save_model(path, made.fitted(name).model)
    (unsealed(path) / "requirements.txt").write_text("".join(f"{line}\n" for line in lines))
    return path


def test_other_versions_are_warned_of_refused_or_ignored(tmp_path):
    path = _requiring(tmp_path / "m", "linear", "numpy==0.1", "scikit-learn>=9", "no-such-package==1.0", "")
    text = rf"with other versions than are installed: numpy 0\.1 \(installed: {re.escape(np.__version__)}\); "
    text += r"no-such-package 1\.0 \(installed: none\)$"
    with pytest.warns(VersionMismatchWarning, match=text):
        sparksig.load_model(path)
    with pytest.raises(ModelError, match=text):
        sparksig.load_model(path, on_version_mismatch="fail")
    sparksig.load_model(path, on_version_mismatch="ignore")
    info = sparksig.get_model_info(path)
    assert [mismatch.partition(" (")[0] for mismatch in info.version_mismatches] == [
        "numpy 0.1",
        "no-such-package 1.0",
    ]
    rewrite_pyfunc(path, python_version="2.7.18")
    with pytest.raises(ModelError, match=r"python 2\.7\.18 \(installed: 3\."):
        sparksig.load_model(path, on_version_mismatch="fail")


@pytest.mark.parametrize("action", ["error", "", None, "WARN", 5])
def test_unknown_ways_with_versions_are_refused(tmp_path, action):
    path = _requiring(tmp_path / "m", "linear")
    with pytest.raises(ModelError, match=r"^on_version_mismatch: expected one of warn, fail, ignore, got "):
        sparksig.load_model(path, on_version_mismatch=action)


@pytest.mark.parametrize(
    "line",
    [
        f"xgboost=={xgboost.__version__}",
        f"xgboost-cpu=={xgboost.__version__}",
        f"xgboost=={xgboost.__version__}+cu12",
        f"XGBoost == {xgboost.__version__}  # a comment",
        f"numpy[extra]=={np.__version__}",
        "numpy>=0.1",
        "numpy==0.*",
        "numpy!=0.1",
        "# numpy==0.1",
        "-r other.txt",
        "--index-url https://example.org/numpy==0.1",
        "git+https://example.org/numpy.git@1.0",
        "numpy",
    ],
)
def test_requirements_that_are_no_other_version_are_quiet(tmp_path, line):
    path = _requiring(tmp_path / "m", "xgb-regressor", line)
    sparksig.load_model(path, on_version_mismatch="fail")


@pytest.mark.parametrize("name", ["xgboost", "xgboost-cpu", "XGBoost"])
def test_builds_of_one_package_count_as_one(tmp_path, name):
    path = _requiring(tmp_path / "m", "xgb-regressor", f"{name}==0.1")
    text = rf"{name} 0\.1 \(installed: {re.escape(xgboost.__version__)}\)"
    with pytest.raises(ModelError, match=text):
        sparksig.load_model(path, on_version_mismatch="fail")


def test_names_of_packages_are_compared_as_pip_compares_them(tmp_path):
    path = _requiring(tmp_path / "m", "linear", "Scikit_Learn==0.1", "PYARROW==0.1")
    with pytest.raises(
        ModelError, match=r"Scikit_Learn 0\.1 \(installed: [1-9].*PYARROW 0\.1 \(installed: [1-9]"
    ):
        sparksig.load_model(path, on_version_mismatch="fail")


def test_mlflow_is_not_missed_by_a_model_that_it_wrote(tmp_path, monkeypatch):
    """... where it is not installed; any other package is."""
    path = _requiring(tmp_path / "m", "linear", "mlflow==3.0.0", "MLflow==3.0", "no-such-package==1.0")
    with pytest.raises(
        ModelError, match=r"installed: mlflow 3\.0\.0 \(installed: .*MLflow 3\.0 \(installed: "
    ):
        sparksig.load_model(path, on_version_mismatch="fail")
    version = importlib.metadata.version

    def absent(name):
        if name.lower() == "mlflow":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(ModelError, match=r"installed: no-such-package 1\.0 \(installed: none\)$"):
        sparksig.load_model(path, on_version_mismatch="fail")


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("linear", "scikit-learn"),
        ("xgb-regressor", "xgboost(-cpu)?"),
        ("lgbm-regressor", "lightgbm"),
        ("onnx-sum", "onnxruntime"),
    ],
    ids=["scikit-learn", "xgboost", "lightgbm", "onnxruntime"],
)
def test_a_model_requires_the_versions_that_saved_it(tmp_path, name, package):
    sparksig.save_model(tmp_path / name, made.fitted(name).model)
    pins = (tmp_path / name / "requirements.txt").read_text()
    assert sparksig.get_model_info(tmp_path / name).version_mismatches == ()
    assert re.search(r"^numpy==\d", pins, re.MULTILINE)
    assert re.search(rf"^{package}==\d", pins, re.MULTILINE)


def test_a_missing_library_is_named(tmp_path):
    """Each format's package is asked for before anything is opened."""
    libraries = {"xgb-regressor": "xgboost", "lgbm-regressor": "lightgbm", "onnx-sum": "onnxruntime"}
    for name in libraries:
        sparksig.save_model(tmp_path / name, made.fitted(name).model)
    script = textwrap.dedent(
        f"""
        import sys
        for name in {list(libraries.values())!r}:
            sys.modules[name] = None
        import sparksig
        for name in {list(libraries)!r}:
            try:
                sparksig.load_model(name)
            except sparksig.MissingDependencyError as error:
                print(error)
        """
    )
    done = _run(script, tmp_path)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line, (library, extra) in zip(
        lines, [("xgboost", "xgboost"), ("lightgbm",) * 2, ("onnxruntime", "onnx")]
    ):
        assert library in line
        assert f"pip install 'sparksig[{extra}]'" in line
