"""Descriptions of model directories are those of MLflow, and do not load the models."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
import re
import warnings
from importlib import metadata

import lightgbm
import mlflow.lightgbm
import mlflow.models
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pandas as pd
import pytest
import xgboost
import yaml
from hypothesis import given

import sparksig
from sparksig import (
    AnyType,
    Array,
    Code,
    ColSpec,
    DataType,
    Map,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    ModelSignature,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
    UnsupportedError,
    VersionMismatchWarning,
)
from sparksig.errors import SignatureTypeError
from sparksig.models.safe_yaml import dump_yaml
from tests import strategies
from tests.cases import describe_case
from tests.models.helpers import SIGNATURE, Armed, Doubled, content, diabetes, linear, rewrite, unsealed

EXAMPLE = pd.DataFrame({"bmi": [0.01, -0.02], "bp": [0.03, 0.0]})
PINNED = ["scikit-learn"]  # spares MLflow from finding out
SAME = [
    "model_uuid",
    "utc_time_created",
    "mlflow_version",
    "run_id",
    "model_id",
    "saved_input_example_info",
    "metadata",
]


def _forest():
    data, target = diabetes()
    return lightgbm.LGBMRegressor(n_estimators=1, num_leaves=2, n_jobs=1, verbosity=-1).fit(data, target)


def _trees():
    data, target = diabetes()
    return xgboost.XGBRegressor(n_estimators=1, max_depth=1, n_jobs=1).fit(data, target)


def _doubled(model_input: list[float]) -> list[float]:
    return [value * 2 for value in model_input]


def _ours(model, **more):
    def save(path):
        sparksig.save_model(path, model(), **more)

    return save


def _theirs(module, model, **more):
    def save(path):
        getattr(mlflow, module).save_model(model(), str(path), pip_requirements=PINNED, **more)

    return save


def _their_function(path):
    mlflow.pyfunc.save_model(
        str(path), python_model=_doubled, pip_requirements=["numpy"], input_example=[1.5]
    )


def _logged(path):
    """A model as a run or a registry returns it."""
    _ours(linear, input_example=EXAMPLE)(path)
    more = {"run_id": "0" * 32, "artifact_path": "model", "mlflow_version": "3.17.2"}
    rewrite(path, lambda config: config.update(more))


DIRECTORIES = {
    "ours-python": _ours(lambda: Doubled(), signature=SIGNATURE, metadata={"a": [1, {"b": None}], "é": 2.5}),
    "ours-function": _ours(lambda: _doubled, input_example=[1.5]),
    "ours-sklearn": _ours(linear, input_example=(EXAMPLE)),
    "ours-xgboost": _ours(_trees, input_example=EXAMPLE.astype("float64")),
    "ours-lightgbm": _ours(_forest),
    "theirs-python": _their_function,
    "theirs-sklearn": _theirs(
        "sklearn", linear, metadata={"owner": "me"}, serialization_format="cloudpickle"
    ),
    "theirs-xgboost": _theirs("xgboost", _trees),
    "theirs-lightgbm": _theirs("lightgbm", _forest),
    "logged": _logged,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    home = tmp_path_factory.mktemp("info")
    for name, save in DIRECTORIES.items():
        with warnings.catch_warnings(record=True):  # most warnings are MLflow's own
            save(home / name)
    return home


@pytest.fixture
def model(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE)
    return unsealed(tmp_path / "m")


# --- as MLflow says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIRECTORIES, ids=DIRECTORIES)
def test_a_directory_is_what_mlflow_says_it_is(saved, name):
    ours = sparksig.get_model_info(saved / name)
    theirs = mlflow.models.get_model_info(str(saved / name))
    raw = yaml.safe_load((saved / name / "MLmodel").read_text())
    assert {name: getattr(ours, name) for name in SAME} == {name: getattr(theirs, name) for name in SAME}
    assert ours.flavors == theirs.flavors == raw["flavors"]
    if theirs.signature is None:
        assert ours.signature is None
    else:
        assert ours.signature.to_dict() == theirs.signature.to_dict()
    assert ours.loader_module == raw["flavors"]["python_function"]["loader_module"]
    assert ours.model_size_bytes == raw["model_size_bytes"]
    assert ours.model_uri == str(saved / name)
    assert ours.version_mismatches == ()
    assert ours.digest == sparksig.digest(saved / name)


def test_a_description_marks_a_signature_from_a_type_hint(saved):
    assert not sparksig.get_model_info(saved / "ours-python").signature._is_signature_from_type_hint


@pytest.mark.parametrize("name", ["ours-function", "theirs-python"])
def test_a_signature_from_a_type_hint_is_marked(saved, name):
    assert sparksig.get_model_info(saved / name).signature._is_signature_from_type_hint


@pytest.mark.parametrize(
    "uri",
    ["{}/ours-sklearn", "ours-sklearn", "file://{}/ours-sklearn"],
    ids=["absolute path", "relative path", "URI"],
)
def test_a_directory_is_described_under_the_name_of_the_call(saved, monkeypatch, uri):
    monkeypatch.chdir(saved)
    uri = uri.format(saved)
    info = sparksig.get_model_info(saved / "ours-sklearn")
    assert sparksig.get_model_info(uri) == dataclasses.replace(info, model_uri=uri)


def test_model_info_is_printed_and_frozen(saved):
    info = sparksig.get_model_info(saved / "ours-sklearn")
    assert f"model    {saved}/ours-sklearn\nflavors  python_function, sklearn\n" in repr(info)
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.model_uri = "x"


def test_a_logged_model_has_an_identity(model):
    rewrite(model, lambda config: config.update(model_id="m-0123"))
    assert sparksig.get_model_info(model).model_id == "m-0123"


def test_asking_runs_nothing_and_writes_nothing(tmp_path):
    sparksig.save_model(tmp_path / "m", Armed(tmp_path / "canary"), SIGNATURE)
    before = content(tmp_path)
    assert sparksig.get_model_info(tmp_path / "m").signature == SIGNATURE
    assert content(tmp_path) == before


def test_asking_needs_none_of_the_models_files(model):
    (model / "python_model.pkl").unlink()
    (model / "requirements.txt").unlink()
    info = sparksig.get_model_info(model)
    assert (info.signature, info.version_mismatches) == (SIGNATURE, ())


def test_what_a_directory_does_not_say_is_none(tmp_path):
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: a.b}}\n")
    info = sparksig.get_model_info(tmp_path)
    assert (info.loader_module, info.version_mismatches) == ("a.b", ())
    names = {"model_uri", "flavors", "loader_module", "version_mismatches", "digest"}
    other_names = {field.name for field in dataclasses.fields(info)} - names
    assert {getattr(info, name) for name in other_names} == {None}


# --- malformed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["metadata", "saved_input_example_info"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [([1], "a value of type list"), ("x", "a value of type str"), (5, "a value of type int")],
)
def test_a_value_other_than_a_mapping_is_damage(model, name, value, kind):
    before = (model / "MLmodel").read_text()
    rewrite(model, lambda config: config.update({name: value}))
    with pytest.raises(ModelDamagedError, match=f"m: {name}: expected a mapping, got {kind}$"):
        sparksig.get_model_info(model)
    (model / "MLmodel").write_text(before)


@pytest.mark.parametrize("size", ["5", None, 5.5, [5], True])
def test_a_size_other_than_a_number_is_none(model, size):
    rewrite(model, lambda config: config.update(model_size_bytes=size))
    assert sparksig.get_model_info(model).model_size_bytes is None


def test_texts_that_yaml_took_for_something_else_are_texts(model):
    text = "\nutc_time_created: 2020-01-02 03:04:05.000006\nmodel_uuid: 00012345\nmlflow_version: 3.1\n"
    config = yaml.safe_load((model / "MLmodel").read_text())
    for name in ("utc_time_created", "model_uuid"):
        del config[name]
    (model / "MLmodel").write_text(yaml.safe_dump(config) + text)
    info = sparksig.get_model_info(model)
    assert info.utc_time_created == "2020-01-02 03:04:05.000006"
    assert isinstance(info.model_uuid, str)
    assert info.mlflow_version == "3.1"


BROKEN = {
    "no-flavors": (b"a: 1\n", "expected a mapping with the key 'flavors', got something else"),
    "a-flavor-that-is-none": (
        b"flavors: {python_function: 5}\n",
        "flavor 'python_function': expected a mapping, got",
    ),
    "signature": (b"flavors: {python_function: {}}\nsignature: {inputs: '['}\n", "MLmodel: signature: "),
    "no-yaml": (b"flavors: [", "cannot read this YAML"),
    "no-loader": (b"flavors: {python_function: {data: x}}\n", "loader_module: expected the name of a module"),
}


@pytest.mark.parametrize(("data", "text"), BROKEN.values(), ids=BROKEN)
def test_a_malformed_mlmodel_is_damage(tmp_path, data, text):
    (tmp_path / "MLmodel").write_bytes(data)
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.get_model_info(tmp_path)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"numpy==1\n\xff\n", r"'requirements\.txt' is not text"),
        (b"\xff\xfen\0", r"'requirements\.txt' is not text"),
    ],
)
def test_requirements_that_are_no_text_are_damage(model, data, text):
    (model / "requirements.txt").write_bytes(data)
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.get_model_info(model)


@pytest.mark.parametrize(
    ("model", "error", "text"),
    [
        ("nothing", ModelNotFoundError, "there is no model directory"),
        (".", ModelNotFoundError, "it has no file MLmodel"),
        (5, ModelError, "the model: expected a path or a URI, got a value of type int"),
        ("ftp://h/m", UnsupportedError, "cannot fetch models from ftp: URIs. Pass a path, or one of file:/"),
    ],
    ids=["missing", "another directory", "integer", "unknown scheme"],
)
def test_a_model_that_does_not_exist_is_an_error(tmp_path, monkeypatch, model, error, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=text):
        sparksig.get_model_info(model)


def test_a_model_with_links_has_no_digest_and_no_info(model):
    (model / "link").symlink_to("MLmodel")
    with pytest.raises(ModelDamagedError, match="expected a file or a directory"):
        sparksig.get_model_info(model)


# --- versions ---------------------------------------------------------------------------------------------

NUMPY = metadata.version("numpy")
REQUIREMENTS = {
    "same": (f"numpy=={NUMPY}", []),
    "same-local": (f"numpy=={NUMPY}+cpu", []),
    "spaces": (f"  numpy == {NUMPY}  # as installed", []),
    "extras": (f"numpy[x,y]=={NUMPY}", []),
    "other": ("numpy==0.1", [f"numpy 0.1 (installed: {NUMPY})"]),
    "other-case": ("NumPy==0.1", [f"NumPy 0.1 (installed: {NUMPY})"]),
    "windows": ("numpy==0.1\r\npandas==0.2\r\n", [f"numpy 0.1 (installed: {NUMPY})"]),
    "not-installed": ("no-such_package==1.0", ["no-such_package 1.0 (installed: none)"]),
    "lower-bound": ("numpy>=0.1\nnumpy~=0.1\nnumpy!=0.1\nnumpy", []),
    "marker": ("numpy==0.1; python_version < '3'", []),
    "star": ("numpy==0.*", []),
    "comments": ("# numpy==0.1\n\n-r other.txt\n--index-url x\ngit+https://x/y==0.1", []),
    "two-pins": ("numpy==0.1,<2", []),
    "build": (f"xgboost=={xgboost.__version__}", []),
    "other-build": (f"xgboost-cpu=={xgboost.__version__}", []),
    "other-version-of-a-build": ("xgboost==0.1", [f"xgboost 0.1 (installed: {xgboost.__version__})"]),
    "mlflow": ("mlflow==0.1", [f"mlflow 0.1 (installed: {metadata.version('mlflow')})"]),
}


@pytest.mark.parametrize(("text", "expected"), REQUIREMENTS.values(), ids=REQUIREMENTS)
def test_other_versions_are_reported(model, text, expected):
    (model / "requirements.txt").write_text(text)
    mismatches = sparksig.get_model_info(model).version_mismatches
    assert list(mismatches)[: len(expected)] == expected
    assert bool(mismatches) == bool(expected)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sparksig.load_model(model, allow_pickle=True)
    assert [warning.category for warning in caught] == [VersionMismatchWarning] * bool(expected)


@pytest.mark.parametrize(
    ("python", "equal"),
    [
        (platform.python_version(), True),
        (".".join(platform.python_version().split(".")[:2]), True),
        (f"{'.'.join(platform.python_version().split('.')[:2])}.99", True),
        ("2.7.18", False),
        (None, True),
        ("", True),
        (3.5, False),
        ([3], False),
    ],
)
def test_another_python_is_reported(model, python, equal):
    rewrite(model, lambda config: config["flavors"]["python_function"].update(python_version=python))
    mismatches = sparksig.get_model_info(model).version_mismatches
    assert mismatches == (() if equal else (f"python {python} (installed: {platform.python_version()})",))


def test_other_versions_end_in_what_the_caller_says(model):
    (model / "requirements.txt").write_text("numpy==0.1\nno-such==2\n")
    mismatches = f"numpy 0.1 (installed: {NUMPY}); no-such 2 (installed: none)"
    text = f"m: saved with other versions than are installed: {mismatches}"
    with pytest.raises(ModelError, match=f"{re.escape(text)}$"):
        sparksig.load_model(model, allow_pickle=True, on_version_mismatch="fail")
    with pytest.warns(VersionMismatchWarning, match=f"{re.escape(text)}$") as caught:
        sparksig.load_model(model, allow_pickle=True)
    assert [warning.filename for warning in caught] == [__file__]
    sparksig.load_model(model, allow_pickle=True, on_version_mismatch="ignore")
    with pytest.raises(
        ModelError, match=r"^on_version_mismatch: expected one of warn, fail, ignore, got 'x'$"
    ):
        sparksig.load_model(model, allow_pickle=True, on_version_mismatch="x")


# --- registrable ------------------------------------------------------------------------------------------

FINE = Schema(
    [ColSpec("double", "x"), ColSpec(Array(Array("long")), "y"), ColSpec(Map("string"), "z", False)]
)
ANY = AnyType()
TENSORS = Schema([TensorSpec(np.dtype("float32"), (-1, 3), "a"), TensorSpec(np.dtype("str"), (-1,), "b")])
ABSTRACT = {
    "any": (ANY, "x"),
    "array": (Array(ANY), "x[]"),
    "deep-array": (Array(Array(Array(ANY))), "x[][][]"),
    "map": (Map(ANY), "x[]"),
    "object": (Object([Property("a", DataType.long), Property("b", ANY)]), "x.b"),
    "odd-name": (Object([Property("a b", ANY)]), "x.a b"),
    "all": (Array(Object([Property("a", Map(Array(Object([Property("b", ANY, False)]))))])), "x[].a[][].b"),
}


def _paths(signature):
    findings = sparksig.registrable(signature)
    assert {finding.code for finding in findings} <= {Code.UNSUPPORTED_TYPE, Code.MISSING_KEY}
    return [finding.path for finding in findings]


@pytest.mark.parametrize("outputs", [FINE, TENSORS], ids=describe_case)
@pytest.mark.parametrize(
    "inputs",
    [FINE, TENSORS, Schema([ColSpec("double")]), Schema([TensorSpec(np.dtype("bool"), (-1,))])],
    ids=describe_case,
)
def test_concrete_types_on_both_sides_are_registrable(inputs, outputs):
    params = ParamSchema([ParamSpec("k", "long", 3)])
    assert sparksig.registrable(ModelSignature(inputs, outputs)) == []
    assert sparksig.registrable(ModelSignature(inputs, outputs, params)) == []


def test_a_missing_side_is_reported():
    assert _paths(None) == ["inputs", "outputs"]
    assert _paths(ModelSignature(FINE)) == ["outputs"]
    assert _paths(ModelSignature(outputs=FINE)) == ["inputs"]
    assert _paths(ModelSignature(params=ParamSchema([ParamSpec("k", "long", 3)]))) == ["inputs", "outputs"]
    (finding,) = sparksig.registrable(ModelSignature(FINE))
    assert str(finding) == (
        "outputs: expected a schema, got nothing (infer one: infer_signature(data, prediction)) [MISSING_KEY]"
    )


@pytest.mark.parametrize(("dtype", "path"), ABSTRACT.values(), ids=ABSTRACT)
def test_any_is_found_wherever_it_is(dtype, path):
    schema = Schema([ColSpec("long", "n"), ColSpec(dtype, "x")])
    assert _paths(ModelSignature(schema, FINE)) == [f"inputs.{path}"]
    assert _paths(ModelSignature(FINE, schema)) == [f"outputs.{path}"]
    unnamed = Schema([ColSpec(dtype)])
    assert _paths(ModelSignature(unnamed, schema)) == [f"inputs[0]{path[1:]}", f"outputs.{path}"]


def test_tensors_of_objects_are_reported():
    objects = Schema(
        [TensorSpec(np.dtype("float64"), (-1,), "a"), TensorSpec(np.dtype("object"), (-1,), "b")]
    )
    outputs = Schema([TensorSpec(np.dtype("object"), (-1,))])
    findings = sparksig.registrable(ModelSignature(objects, outputs))
    reason = "expected a concrete type, got a tensor of objects (declare its type) [UNSUPPORTED_TYPE]"
    assert [str(finding) for finding in findings] == [f"inputs.b: {reason}", f"outputs[0]: {reason}"]


def test_each_any_is_a_finding_of_its_own():
    row = Object([Property("a", ANY), Property("b", Array(ANY)), Property("c", DataType.long)])
    schema = Schema([ColSpec(row, "r"), ColSpec(ANY, "s")])
    expected = ["r.a", "r.b[]", "s"]
    assert _paths(ModelSignature(schema, schema)) == [
        f"{side}.{path}" for side in ("inputs", "outputs") for path in expected
    ]


@given(strategies.signatures())
def test_what_is_registrable_has_no_any_and_both_sides(signature):
    text = str(signature.to_dict())
    whole = signature.inputs is not None and signature.outputs is not None
    abstract = '"type": "any"' in text or '"dtype": "object"' in text
    assert (sparksig.registrable(signature) == []) == (whole and not abstract)


@pytest.mark.parametrize("wrong", [5, "x", FINE, {}, SIGNATURE.to_dict()])
def test_what_is_no_signature_is_not_registrable(wrong):
    text = f"^signature must be a ModelSignature or None, not a value of type {type(wrong).__name__}$"
    with pytest.raises(SignatureTypeError, match=text):
        sparksig.registrable(wrong)


# --- the digest -------------------------------------------------------------------------------------------


def test_the_digest_is_the_one_that_is_pinned(model):
    pinned = sparksig.digest(model)
    assert re.fullmatch("[0-9a-f]{64}", pinned)
    assert sparksig.digest(str(model)) == pinned == sparksig.get_model_info(model).digest
    assert sparksig.load_model(model, digest=pinned).signature == SIGNATURE


def test_the_digest_is_defined_by_names_and_contents_alone(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"2")
    (tmp_path / "MLmodel").write_bytes(b"1")
    (tmp_path / "SHA256SUMS").write_bytes(b"left out")
    lines = [
        f"{len(name)}:{name}={hashlib.sha256(data).hexdigest()}\n"
        for name, data in [("MLmodel", b"1"), ("sub/b", b"2")]
    ]
    assert sparksig.digest(tmp_path) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_digest_of_nothing_is_told(tmp_path):
    with pytest.raises(ModelNotFoundError, match="there is no model directory at"):
        sparksig.digest(tmp_path / "nothing")


def test_another_environment_is_another_digest(model):
    before = sparksig.digest(model)
    (model / "conda.yaml").write_text(dump_yaml({"a": 1}))
    assert sparksig.digest(model) != before


# --- without the flavor python_function ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flavors", "listed"), [({"mleap": {}, 5: {}}, "5, mleap"), ({}, "none")], ids=["two", "none"]
)
def test_a_directory_without_python_function_is_described_and_not_loaded(tmp_path, flavors, listed):
    (tmp_path / "SHA256SUMS").unlink(missing_ok=True)
    config = {"flavors": flavors, "signature": SIGNATURE.to_dict(), "model_uuid": "u"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(config))
    (tmp_path / "requirements.txt").write_text("numpy==0.1\n")
    info = sparksig.get_model_info(tmp_path)
    assert (info.loader_module, info.flavors, info.model_uuid) == (None, flavors, "u")
    assert info.signature == SIGNATURE
    assert [mismatch.partition(" ")[0] for mismatch in info.version_mismatches] == ["numpy"]
    text = f"no flavor 'python_function' \\(it has: {listed}\\), so sparksig cannot load it"
    with pytest.raises(UnsupportedError, match=text):
        sparksig.load_model(tmp_path)
    with pytest.raises(UnsupportedError, match=text):
        sparksig.validate_serving_input(tmp_path, "{}")
    sparksig.set_signature(tmp_path, ModelSignature(Schema([ColSpec("long", "n")])))
    assert sparksig.get_model_info(tmp_path).signature.inputs.input_names() == ["n"]


def test_a_scikit_learn_transformer_of_mlflow_is_described(tmp_path):
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit([[1.0], [2.0]])
    mlflow.sklearn.save_model(
        scaler, str(tmp_path / "scaler"), pip_requirements=PINNED, serialization_format="cloudpickle"
    )
    assert list(sparksig.get_model_info(tmp_path / "scaler").flavors) == ["sklearn"]


# --- the metadata of a loaded model ---------------------------------------------------------------------


@pytest.mark.parametrize("name", DIRECTORIES, ids=DIRECTORIES)
def test_the_metadata_of_a_loaded_model_are_those_of_its_directory(saved, name):
    path = saved / name
    trusted = ["collections.OrderedDict", "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMRegressor"]
    metadata = sparksig.load_model(path, allow_pickle=True, trusted_types=trusted).metadata
    info = sparksig.get_model_info(path)
    assert metadata == info
    expected = mlflow.models.Model.load(str(path))
    names = [*SAME, "flavors", "model_size_bytes"]
    actual_values = {name: getattr(metadata, name) for name in names}
    assert actual_values == {name: getattr(expected, name) for name in names}
    for method in ("get_input_schema", "get_output_schema", "get_params_schema"):  # parts of one signature
        ours, theirs = getattr(metadata, method)(), getattr(expected, method)()
        assert (ours and ours.to_json()) == (theirs and theirs.to_json())
    written = yaml.safe_load((path / "MLmodel").read_text())
    described = metadata.to_dict()
    assert described == {key: written[key] for key in described}
    assert described.keys() >= {"flavors", "model_uuid", "utc_time_created"}


def test_the_metadata_describe_the_saved_method(tmp_path):
    sparksig.save_model(tmp_path / "m", linear(), input_example=EXAMPLE)
    loaded = sparksig.load_model(tmp_path / "m")
    assert loaded.metadata.signature == loaded.signature
    assert loaded.metadata is loaded.metadata
    assert loaded.metadata.model_uri == str(tmp_path / "m")
    assert loaded.metadata.digest == sparksig.digest(tmp_path / "m")
