"""Both libraries load the models of the other, with equal predictions, bit for bit."""

from __future__ import annotations

import datetime
import os
import re
import sys

import cloudpickle
import mlflow.models
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import sparksig
from sparksig import (
    ColSpec,
    ModelDamagedError,
    ModelError,
    ModelNotTrustedError,
    ModelSignature,
    ParamSchema,
    ParamSpec,
    PythonModel,
    Schema,
    TensorSpec,
    infer_signature,
)
from tests.models.helpers import (
    FRAME,
    ONE_DOUBLE,
    SIGNATURE,
    Armed,
    Doubled,
    X,
    diabetes,
    fresh,
    same_bits,
    splined,
    untrusted,
    without_type_hints,
)

# MLflow asks for an example whenever it saves a model with a signature and without one
pytestmark = pytest.mark.filterwarnings("ignore:.*An input example was not provided:UserWarning")

PARAMS = ParamSchema([ParamSpec("factor", "double", 3.0), ParamSpec("steps", "long", [1, 2], (-1,))])
WITH_PARAMS = ModelSignature(X, ONE_DOUBLE, PARAMS)
GIVEN = [None, {}, {"factor": 0.1}, {"factor": 7, "steps": [5]}]
PINNED = ["scikit-learn"]  # spares MLflow from finding out


def _scale(data, params):
    params = params or {}
    return data["x"].to_numpy() * params.get("factor", 1.0) + sum(params.get("steps", []))


def _scale_seen(data, params, context):
    return _scale(data, params) + len(context.artifacts) + len(context.model_config or {})


class Plain(PythonModel):
    def predict(self, model_input):
        return _scale(model_input, {})


class WithParams(PythonModel):
    def predict(self, model_input, params=None):
        return _scale(model_input, params)


class WithContext(PythonModel):
    def predict(self, context, model_input):
        return _scale_seen(model_input, {}, context)


class WithBoth(PythonModel):
    def predict(self, context, model_input, params=None):
        return _scale_seen(model_input, params, context)


with without_type_hints():

    class MlflowPlain(mlflow.pyfunc.PythonModel):
        def predict(self, model_input):
            return _scale(model_input, {})

    class MlflowWithParams(mlflow.pyfunc.PythonModel):
        def predict(self, model_input, params=None):
            return _scale(model_input, params)

    class MlflowWithContext(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input):
            return _scale_seen(model_input, {}, context)

    class MlflowWithBoth(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return _scale_seen(model_input, params, context)

    class MlflowFromFiles(mlflow.pyfunc.PythonModel):
        """Its prediction depends on its artifacts and its configuration, and on who loaded them."""

        def load_context(self, context):
            with open(context.artifacts["weight"]) as file:
                self.weight = float(file.read())
            self.names = sorted(os.listdir(context.artifacts["folder"]))

        def predict(self, context, model_input, params=None):
            total = context.model_config["offset"] + len(self.names) + len(context.artifacts)
            return model_input["x"].to_numpy() * self.weight + total


cloudpickle.register_pickle_by_value(sys.modules[__name__])

OURS = [Plain, WithParams, WithContext, WithBoth]
MLFLOWS = [MlflowPlain, MlflowWithParams, MlflowWithContext, MlflowWithBoth]


def _mlflow_signature(signature):
    return mlflow.models.ModelSignature.from_dict(signature.to_dict())


def _by_mlflow(path, data, params=None):
    model = mlflow.pyfunc.load_model(str(path))
    return model.predict(data) if params is None else model.predict(data, params)


def _by_sparksig(path, data, params=None, **trust):
    return sparksig.load_model(path, **(trust or {"allow_pickle": True})).predict(data, params)


# --- PythonModels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", OURS, ids=[model.__name__ for model in OURS])
def test_mlflow_loads_our_python_models(tmp_path, model):
    path = tmp_path / model.__name__
    sparksig.save_model(path, model(), WITH_PARAMS)
    for data in GIVEN:
        expected = _by_sparksig(path, FRAME, data)
        assert same_bits(_by_mlflow(path, FRAME, data), expected)
        if "Params" in model.__name__ or "Both" in model.__name__:
            used = {"factor": 3.0, "steps": [1, 2]} | (data or {})
            assert same_bits(expected, _scale(FRAME, used))


@pytest.mark.parametrize("model", MLFLOWS, ids=[model.__name__ for model in MLFLOWS])
def test_we_load_mlflows_python_models(tmp_path, model):
    path = tmp_path / model.__name__
    mlflow.pyfunc.save_model(
        str(path),
        python_model=model(),
        signature=_mlflow_signature(WITH_PARAMS),
        pip_requirements=PINNED,
    )
    assert sparksig.load_model(path, allow_pickle=True).signature == WITH_PARAMS
    for data in GIVEN:
        assert same_bits(_by_sparksig(path, FRAME, data), _by_mlflow(path, FRAME, data))


@pytest.mark.parametrize("form", range(4), ids=[model.__name__ for model in OURS])
def test_the_same_model_of_either_base_class_predicts_the_same(tmp_path, form):
    paths = [tmp_path / f"ours-{form}", tmp_path / f"theirs-{form}"]
    sparksig.save_model(paths[0], OURS[form](), WITH_PARAMS)
    mlflow.pyfunc.save_model(
        str(paths[1]),
        python_model=MLFLOWS[form](),
        signature=_mlflow_signature(WITH_PARAMS),
        pip_requirements=PINNED,
    )
    predictions = [by(path, FRAME, {"factor": 0.7}) for by in (_by_mlflow, _by_sparksig) for path in paths]
    assert all(same_bits(prediction, predictions[0]) for prediction in predictions)


def test_artifacts_and_configuration_reach_the_model(tmp_path):
    (tmp_path / "weight.txt").write_text("0.3")
    (tmp_path / "folder").mkdir()
    for name in "ab":
        (tmp_path / "folder" / name).touch()
    mlflow.pyfunc.save_model(
        str(tmp_path / "m"),
        python_model=MlflowFromFiles(),
        artifacts={"weight": str(tmp_path / "weight.txt"), "folder": str(tmp_path / "folder")},
        model_config={"offset": 100},
        signature=_mlflow_signature(SIGNATURE),
        pip_requirements=PINNED,
    )
    (tmp_path / "weight.txt").unlink()
    ours = _by_sparksig(tmp_path / "m", FRAME)
    assert same_bits(ours, FRAME["x"].to_numpy() * 0.3 + 104)
    assert same_bits(ours, _by_mlflow(tmp_path / "m", FRAME))


def test_a_function_saved_by_mlflow(tmp_path):
    def double(model_input):
        return model_input["x"].to_numpy() * 2

    with without_type_hints():
        mlflow.pyfunc.save_model(str(tmp_path / "m"), python_model=double, pip_requirements=PINNED)
    assert same_bits(_by_sparksig(tmp_path / "m", FRAME), _by_mlflow(tmp_path / "m", FRAME))


@pytest.mark.parametrize("signature", [None, SIGNATURE], ids=["no-signature", "no-params"])
def test_a_model_without_params_sees_what_mlflow_shows_it(tmp_path, signature):
    with without_type_hints():

        class Seeing(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input, params=None):
                return np.full(len(model_input), -1.0 if params is None else float(len(params)))

    path = fresh(tmp_path) / "m"
    mlflow.pyfunc.save_model(
        str(path),
        python_model=Seeing(),
        signature=signature and _mlflow_signature(signature),
        pip_requirements=PINNED,
    )
    assert same_bits(_by_sparksig(path, FRAME), _by_mlflow(path, FRAME))


@pytest.mark.parametrize(
    "data",
    [FRAME, FRAME.head(0), FRAME.assign(more="ignored"), FRAME.set_index(pd.Index(list("abc")))],
    ids=["frame", "no-rows", "more-columns", "index"],
)
def test_a_frame_comes_back_the_same_from_both(tmp_path, data):
    class Echo(PythonModel):
        def predict(self, model_input):
            return model_input.assign(y=model_input["x"] / 3)

    outputs = Schema([ColSpec("double", "x"), ColSpec("double", "y")])
    path = fresh(tmp_path) / "m"
    sparksig.save_model(path, Echo(), ModelSignature(X, outputs))
    pd.testing.assert_frame_equal(_by_sparksig(path, data), _by_mlflow(path, data), check_exact=True)


AS_CODE = """
import pathlib

import mlflow


class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        pathlib.Path({canary!r}).touch()
        offset = context.model_config["offset"] + len(params or {{}})
        return model_input["x"].to_numpy() * 2 + offset


pathlib.Path({canary!r}).touch()
mlflow.models.set_model(Model())
"""


def test_a_model_that_mlflow_keeps_as_code_loads_with_leave(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # MLflow would, into the directory
    canary = tmp_path / "canary"
    (tmp_path / "code.py").write_text(AS_CODE.format(canary=str(canary)))
    with without_type_hints():
        mlflow.pyfunc.save_model(
            str(tmp_path / "m"),
            python_model=str(tmp_path / "code.py"),
            model_config={"offset": 10},
            signature=_mlflow_signature(WITH_PARAMS),
            pip_requirements=PINNED,
        )
        canary.unlink()
        with pytest.raises(ModelNotTrustedError, match="can run any code in it"):
            sparksig.load_model(tmp_path / "m")
        assert not canary.exists()
        for trust in ({"allow_pickle": True}, {"digest": sparksig.digest(tmp_path / "m")}):
            for data in GIVEN:
                ours = _by_sparksig(tmp_path / "m", FRAME, data, **trust)
                assert same_bits(ours, _by_mlflow(tmp_path / "m", FRAME, data))
                assert same_bits(ours, FRAME["x"] * 2 + 12)
        model = sparksig.load_model(tmp_path / "m", allow_pickle=True, model_config={"offset": 1})
        assert same_bits(model.predict(FRAME), FRAME["x"] * 2 + 3)


# --- scikit-learn ---------------------------------------------------------------------------------------


def _fit(model, load, labels=None):
    data, target = load(as_frame=True, return_X_y=True)
    data, target = data.iloc[::3], target.iloc[::3]
    return model.fit(data, target if labels is None else labels[target]), data


WINES = np.array(["red", "white", "rosé"])
ESTIMATORS = {
    "linear": lambda: _fit(LinearRegression(), load_diabetes),
    "boosted": lambda: _fit(GradientBoostingRegressor(n_estimators=5, max_depth=2), load_diabetes),
    "boosted-classifier": lambda: _fit(GradientBoostingClassifier(n_estimators=2), load_iris),
    "pipeline": lambda: _fit(make_pipeline(StandardScaler(), Ridge()), load_diabetes),
    "pipeline-classifier": lambda: _fit(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)), load_breast_cancer
    ),
    "text-labels": lambda: _fit(make_pipeline(StandardScaler(), LogisticRegression()), load_wine, WINES),
    "text-labels-of-objects": lambda: _fit(
        DecisionTreeClassifier(max_depth=2), load_wine, WINES.astype(object)
    ),
}


@pytest.fixture(scope="module", params=ESTIMATORS.values(), ids=ESTIMATORS)
def fitted(request):
    """An estimator, the frame it was fitted on, its signature, and the types in it to be trusted."""
    model, data = request.param()
    return model, data, infer_signature(data, model.predict(data)), untrusted(model)


def _close(prediction, model, data):
    """Return whether it is the estimator's prediction, up to bits that depend on the memory layout."""
    expected = model.predict(data)
    if expected.dtype.kind == "f":
        return np.allclose(prediction, expected, rtol=1e-12, atol=0)
    return same_bits(prediction, expected)


def test_mlflow_loads_our_estimators(tmp_path, fitted):
    model, data, signature, types = fitted
    sparksig.save_model(tmp_path / "m", model, signature, trusted_types=types)
    theirs = _by_mlflow(tmp_path / "m", data)
    assert _close(theirs, model, data)
    assert same_bits(_by_sparksig(tmp_path / "m", data, trusted_types=types), theirs)


def test_mlflow_has_our_estimator_back_as_it_was(tmp_path, fitted):
    model, data, signature, types = fitted
    sparksig.save_model(tmp_path / "m", model, signature, trusted_types=types)
    back = mlflow.sklearn.load_model(str(tmp_path / "m"))
    assert type(back) is type(model)
    assert same_bits(back.predict(data), model.predict(data))


@pytest.mark.parametrize("form", ["skops", "pickle", "cloudpickle"])
def test_we_load_mlflows_estimators(tmp_path, fitted, form):
    model, data, signature, types = fitted
    path = tmp_path / form
    more = {"skops_trusted_types": types} if form == "skops" else {}
    mlflow.sklearn.save_model(
        model,
        str(path),
        serialization_format=form,
        signature=_mlflow_signature(signature),
        pip_requirements=PINNED,
        **more,
    )
    trust = {"trusted_types": types} if form == "skops" else {"allow_pickle": True}
    loaded = sparksig.load_model(path, **trust)
    assert loaded.signature == signature
    ours = loaded.predict(data)
    assert _close(ours, model, data)
    assert same_bits(ours, _by_mlflow(path, data))


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
def test_we_call_the_method_that_mlflow_calls(tmp_path, method):
    model, data = ESTIMATORS["boosted-classifier"]()
    mlflow.sklearn.save_model(
        model,
        str(tmp_path / method),
        serialization_format="cloudpickle",
        pyfunc_predict_fn=method,
        signature=_mlflow_signature(infer_signature(data, getattr(model, method)(data))),
        pip_requirements=PINNED,
    )
    ours = _by_sparksig(tmp_path / method, data)
    assert ours.shape == (len(data), 3)
    assert same_bits(ours, _by_mlflow(tmp_path / method, data))


def test_mlflow_takes_its_trust_from_mlmodel_where_we_ask_the_caller(tmp_path):
    model, data = splined(), diabetes()[0]
    types = untrusted(model)
    mlflow.sklearn.save_model(
        model,
        str(tmp_path / "m"),
        serialization_format="skops",
        skops_trusted_types=types,
        pip_requirements=PINNED,
    )
    assert len(_by_mlflow(tmp_path / "m", data)) == len(data)
    with pytest.raises(ModelNotTrustedError, match=re.escape(types[0])):
        sparksig.load_model(tmp_path / "m")


def test_mlflow_loads_our_ensembles_whose_types_nobody_named(tmp_path, fitted):
    model, data, signature, types = fitted
    sparksig.save_model(tmp_path / "m", model, signature)
    recorded = Model.load(str(tmp_path / "m")).flavors["sklearn"]["skops_trusted_types"]
    assert recorded == (sorted(types) or None)
    theirs = _by_mlflow(tmp_path / "m", data)
    assert same_bits(_by_sparksig(tmp_path / "m", data), theirs)
    assert same_bits(mlflow.sklearn.load_model(str(tmp_path / "m")).predict(data), model.predict(data))


# --- signatures -----------------------------------------------------------------------------------------

SCALARS = ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
SIGNATURES = {
    "scalars": ModelSignature(Schema([ColSpec(dtype, dtype) for dtype in SCALARS])),
    "optional": ModelSignature(Schema([ColSpec(dtype, dtype, required=False) for dtype in SCALARS])),
    "unnamed": ModelSignature(Schema([ColSpec("double"), ColSpec("string")]), Schema([ColSpec("long")])),
    "texts": ModelSignature(Schema([ColSpec("double", "é 'a' \"b\"\n:#"), ColSpec("double", " ")])),
    "tensors": ModelSignature(
        Schema([TensorSpec(np.dtype("float32"), (-1, 28, 28), "image")]),
        Schema([TensorSpec(np.dtype("str"), (-1,), "label"), TensorSpec(np.dtype("int64"), (-1, 2), "box")]),
    ),
    "params": ModelSignature(
        params=ParamSchema(
            [
                ParamSpec("t", "double", 0.1),
                ParamSpec("n", "long", None),
                ParamSpec("l", "string", ["a", "é"], (-1,)),
                ParamSpec("d", "datetime", datetime.datetime(2020, 1, 31, 12, 30, 0, 1)),
            ]
        )
    ),
    "no-params": ModelSignature(X, params=ParamSchema([])),
    "outputs": ModelSignature(outputs=ONE_DOUBLE),
    "all": WITH_PARAMS,
}


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_mlflow_reads_our_signature(tmp_path, signature):
    path = fresh(tmp_path) / "m"
    sparksig.save_model(path, Doubled(), signature)
    read = mlflow.models.get_model_info(str(path)).signature
    assert read == _mlflow_signature(signature)
    assert read.to_dict() == signature.to_dict()
    assert sparksig.load_model(path, allow_pickle=True).signature == signature


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_we_read_mlflows_signature(tmp_path, signature):
    path = fresh(tmp_path) / "m"
    mlflow.pyfunc.save_model(
        str(path),
        python_model=MlflowPlain(),
        signature=_mlflow_signature(signature),
        pip_requirements=PINNED,
    )
    assert sparksig.load_model(path, allow_pickle=True).signature == signature


def test_mlflow_reads_no_signature_where_there_is_none(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled())
    info = mlflow.models.get_model_info(str(tmp_path / "m"))
    assert info.signature is None
    assert same_bits(_by_mlflow(tmp_path / "m", FRAME), FRAME["x"] * 2)


def test_mlflow_can_set_another_signature(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE)
    mlflow.models.set_signature(str(tmp_path / "m"), _mlflow_signature(WITH_PARAMS))
    text = (
        "m: changed or missing since the model was sealed: 'MLmodel'. Change a signature with "
        "sparksig.set_signature, which updates the seal. If you made another change yourself, remove "
    )
    with pytest.raises(ModelDamagedError, match=f"{text}SHA256SUMS$"):
        sparksig.load_model(tmp_path / "m")
    with pytest.raises(ModelDamagedError, match=f"{text}SHA256SUMS$"):
        sparksig.load_model(tmp_path / "m", allow_pickle=True)
    pinned = sparksig.load_model(tmp_path / "m", digest=sparksig.digest(tmp_path / "m"))
    assert pinned.signature == WITH_PARAMS
    (tmp_path / "m" / "SHA256SUMS").unlink()
    assert sparksig.load_model(tmp_path / "m", allow_pickle=True).signature == WITH_PARAMS


# --- the directory --------------------------------------------------------------------------------------

ENVIRONMENT = ["MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"]
ALWAYS = ["flavors", "model_size_bytes", "model_uuid", "utc_time_created"]
WITH_SIGNATURE = ["is_signature_from_type_hint", "signature", "type_hint_from_example"]


@pytest.mark.parametrize(
    ("fixture", "model_file"), [("pickled", "python_model.pkl"), ("skopsed", "model.skops")]
)
def test_the_files_are_those_of_mlflow_and_the_seal(request, fixture, model_file):
    files = [*ENVIRONMENT, model_file, "SHA256SUMS"]
    directory = request.getfixturevalue(fixture)
    assert sorted(path.name for path in directory.iterdir()) == sorted(files)


@pytest.mark.parametrize("metadata", [None, {}, {"a": [1, "x", None]}])
@pytest.mark.parametrize("signature", [None, SIGNATURE], ids=["no-signature", "signature"])
def test_the_keys_are_those_of_mlflow(tmp_path, signature, metadata):
    home = fresh(tmp_path) / "m"
    sparksig.save_model(home, Doubled(), signature, metadata=metadata)
    text = (home / "MLmodel").read_text()
    config = yaml.safe_load(text)
    expected = [*ALWAYS, *(WITH_SIGNATURE if signature else []), *([] if metadata is None else ["metadata"])]
    assert list(config) == sorted(expected) == re.findall(r"(?m)^(\w+):", text)
    assert re.fullmatch("[0-9a-f]{32}", config["model_uuid"])
    written = datetime.datetime.strptime(config["utc_time_created"], "%Y-%m-%d %H:%M:%S.%f")
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    assert datetime.timedelta() <= now - written < datetime.timedelta(hours=1)
    other_files = [path for path in home.iterdir() if path.name not in ("MLmodel", "SHA256SUMS")]
    assert config["model_size_bytes"] == sum(path.stat().st_size for path in other_files)
    assert config.get("metadata") == metadata
    assert mlflow.models.get_model_info(str(home)).metadata == metadata


def test_two_saves_have_two_uuids(tmp_path):
    for name in "ab":
        sparksig.save_model(tmp_path / name, Doubled())
    uuids = {mlflow.models.get_model_info(str(tmp_path / name)).model_uuid for name in "ab"}
    assert len(uuids) == 2


def test_the_signature_is_json_texts_in_yaml(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled(), ModelSignature(X, params=PARAMS))
    config = yaml.safe_load((tmp_path / "m" / "MLmodel").read_text())
    assert config["signature"] == {
        "inputs": '[{"type": "double", "name": "x", "required": true}]',
        "outputs": None,
        "params": (
            '[{"name": "factor", "default": 3.0, "shape": null, "type": "double"}, '
            '{"name": "steps", "default": [1, 2], "shape": [-1], "type": "long"}]'
        ),
    }
    assert config["is_signature_from_type_hint"] is config["type_hint_from_example"] is False
    assert (
        'signature:\n  inputs: \'[{"type": "double", "name": "x", "required": true}]\'\n  outputs: null\n'
    ) in (tmp_path / "m" / "MLmodel").read_text()


def test_the_flavor_of_a_python_model_is_mlflows_but_for_the_loader(tmp_path):
    sparksig.save_model(tmp_path / "ours", Doubled())
    mlflow.pyfunc.save_model(str(tmp_path / "theirs"), python_model=MlflowPlain(), pip_requirements=PINNED)
    ours, theirs = (Model.load(str(tmp_path / name)).flavors for name in ("ours", "theirs"))
    assert list(ours) == list(theirs) == ["python_function"]
    changed = {"loader_module": "sparksig.models.flavors.python"}
    defaults = {"code": None, "streamable": False}
    assert defaults | ours["python_function"] == theirs["python_function"] | changed


def test_the_flavors_of_an_estimator_are_mlflows(tmp_path):
    model, _ = ESTIMATORS["boosted"]()
    types = untrusted(model)
    sparksig.save_model(tmp_path / "ours", model, trusted_types=types)
    mlflow.sklearn.save_model(
        model,
        str(tmp_path / "theirs"),
        serialization_format="skops",
        skops_trusted_types=types,
        pip_requirements=PINNED,
    )
    ours, theirs = (Model.load(str(tmp_path / name)).flavors for name in ("ours", "theirs"))
    assert ours == theirs


def test_the_environment_files_say_the_same_and_mlflow_reads_them(pickled):
    pins = (pickled / "requirements.txt").read_text().splitlines()
    conda = yaml.safe_load((pickled / "conda.yaml").read_text())
    python = ".".join(map(str, sys.version_info[:3]))
    assert f"numpy=={np.__version__}" in pins
    assert f"cloudpickle=={cloudpickle.__version__}" in pins
    assert f"mlflow=={mlflow.__version__}" in pins  # for its server, which runs in that environment
    assert len({pin.partition("==")[0] for pin in pins}) == len(pins)
    assert conda["dependencies"] == [f"python={python}", "pip", {"pip": pins}]
    env = mlflow.utils.environment._PythonEnv.from_yaml(str(pickled / "python_env.yaml"))
    assert (env.python, env.dependencies) == (python, ["-r requirements.txt"])
    read = mlflow.pyfunc.get_model_dependencies(str(pickled))
    with open(read) as file:
        assert file.read().splitlines() == pins


def test_metadata_with_one_list_twice_loads_from_mlflow(tmp_path):
    shared = ["a"]
    mlflow.pyfunc.save_model(
        str(tmp_path / "m"),
        python_model=MlflowPlain(),
        metadata={"one": shared, "two": shared},
        pip_requirements=PINNED,
    )
    assert same_bits(_by_sparksig(tmp_path / "m", FRAME), _by_mlflow(tmp_path / "m", FRAME))


# --- MLflow's switch ------------------------------------------------------------------------------------

SWITCH = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


@pytest.mark.parametrize("value", ["false", "False", "FALSE", "0"])
def test_mlflows_switch_keeps_mlflow_from_our_pickles(tmp_path, monkeypatch, value):
    home = fresh(tmp_path)
    sparksig.save_model(home / "m", Armed(home / "canary"), SIGNATURE)
    monkeypatch.setenv(SWITCH, value)
    with pytest.raises(ModelNotTrustedError, match="loading a pickled PythonModel can run any code in it"):
        mlflow.pyfunc.load_model(str(home / "m"))
    assert not (home / "canary").exists()


@pytest.mark.parametrize("value", ["", "no", "off", " false", "2"])
def test_a_switch_that_mlflow_does_not_understand_opens_nothing(tmp_path, monkeypatch, value):
    home = fresh(tmp_path)
    sparksig.save_model(home / "m", Armed(home / "canary"), SIGNATURE)
    monkeypatch.setenv(SWITCH, value)
    with pytest.raises((ModelError, ValueError)):
        mlflow.pyfunc.load_model(str(home / "m"))
    assert not (home / "canary").exists()


@pytest.mark.parametrize("value", ["true", "True", "1", None])
def test_mlflows_switch_lets_mlflow_load_our_pickles(tmp_path, monkeypatch, value):
    home = fresh(tmp_path)
    sparksig.save_model(home / "m", Armed(home / "canary"), SIGNATURE)
    if value is None:
        monkeypatch.delenv(SWITCH, raising=False)
    else:
        monkeypatch.setenv(SWITCH, value)
    assert same_bits(_by_mlflow(home / "m", FRAME), FRAME["x"] * 2)
    assert (home / "canary").exists()


def test_mlflows_switch_is_mlflows(tmp_path, monkeypatch):
    sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE)
    monkeypatch.setenv(SWITCH, "false")
    assert same_bits(_by_sparksig(tmp_path / "m", FRAME), FRAME["x"] * 2)
    monkeypatch.setenv(SWITCH, "true")
    with pytest.raises(ModelNotTrustedError, match="can run any code in it"):
        sparksig.load_model(tmp_path / "m")


def test_mlflows_switch_keeps_mlflow_from_our_skops_files_as_from_its_own(skopsed, monkeypatch):
    monkeypatch.setenv(SWITCH, "false")
    with pytest.raises(MlflowException, match=SWITCH):
        mlflow.pyfunc.load_model(str(skopsed))
    assert sparksig.load_model(skopsed).path == skopsed
