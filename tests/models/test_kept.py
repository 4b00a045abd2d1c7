"""What must not change, or run away, on the way: one test for each way in which it once did."""

from __future__ import annotations

import os
import threading
import time
import warnings
import zipfile

import lightgbm
import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import OneHotEncoder

import sparksig
from sparksig import (
    ContractError,
    ModelDamagedError,
    ModelError,
    ModelNotTrustedError,
    UnsupportedError,
    validate_serving_input,
)
from sparksig.models.examples import convert_input_example_to_serving_input
from sparksig.models.flavors.onnx import PrecisionWarning
from sparksig.models.payloads import parse_payload
from sparksig.models.safe_yaml import dump_yaml
from tests.models.helpers import FRAME, SIGNATURE, Doubled, rewrite, same_bits, unsealed

pytestmark = pytest.mark.slow

FLOWERS, KINDS = load_iris(as_frame=True, return_X_y=True)
BIG = 2**53 + 1


def lengths(model_input):
    return [len(text) for text in model_input["s"].fillna("").tolist()]


# --- numbers --------------------------------------------------------------------------------------------


def test_rows_of_nothing_are_no_tensor(tmp_path):
    data = np.arange(9.0).reshape(3, 3)
    sparksig.save_model(tmp_path / "m", LinearRegression().fit(data, data[:, 0]), input_example=data)
    with pytest.raises(ContractError, match=r"expected shape \(-1, 3\), got shape \(2, 0\)"):
        validate_serving_input(tmp_path / "m", '{"inputs": [[], []]}')


def test_what_an_estimator_is_told_of_predicting_is_kept(tmp_path):
    params = {"pred_early_stop": True, "pred_early_stop_freq": 1, "pred_early_stop_margin": 0.1}
    model = lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, **params).fit(FLOWERS, KINDS > 0)
    sparksig.save_model(tmp_path / "m", model, input_example=FLOWERS.head(2), method="predict_proba")
    assert same_bits(sparksig.load_model(tmp_path / "m").predict(FLOWERS), model.predict_proba(FLOWERS))


def test_a_text_that_reads_nat_is_a_text(tmp_path):
    sparksig.save_model(tmp_path / "m", lengths, input_example=pd.DataFrame({"s": ["NaT", "x"]}))
    assert sparksig.load_input_example(tmp_path / "m")["s"].tolist() == ["NaT", "x"]


def test_a_parsed_request_is_read_as_its_text(tmp_path):
    sparksig.save_model(tmp_path / "m", lengths, input_example=pd.DataFrame({"s": ["a", None]}))
    signature = sparksig.get_model_info(tmp_path / "m").signature
    frame, _ = parse_payload({"dataframe_split": {"columns": ["s"], "data": [[float("nan")]]}}, signature)
    assert frame["s"].isna().all()


@pytest.mark.parametrize(
    "payload",
    [
        '{"dataframe_records": [{"id": 9007199254740993}, {"x": 1}]}',
        '{"dataframe_split": {"columns": ["id"], "data": [[9007199254740993], [null]]}}',
    ],
)
def test_an_integer_beside_a_gap_keeps_its_digits_without_a_signature(payload):
    frame, _ = parse_payload(payload, None)
    assert frame["id"].tolist()[0] == BIG
    assert frame["id"].isna().tolist() == [False, True]


def identity(tmp_path):
    """A graph of float32, saved without a signature."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    sparksig.save_model(tmp_path / "m", model)
    return tmp_path / "m"


def test_a_graph_without_a_signature_rounds_doubles_with_a_warning_and_no_integers(tmp_path):
    model = sparksig.load_model(identity(tmp_path))
    with pytest.raises(ContractError, match="expected float32, got int64"):
        model.predict(pd.DataFrame({"x": [16777217]}))
    with pytest.warns(PrecisionWarning, match="doubles are rounded to float32"):
        model.predict(pd.DataFrame({"x": [0.1]}))


def test_an_example_with_a_key_of_chat_models_keeps_its_data_apart_from_the_params():
    request = convert_input_example_to_serving_input(
        ({"prompt": ["a"], "temperature": [9.0]}, {"temperature": 0.5})
    )
    data, params = parse_payload(request, None)
    assert (data["temperature"], params) == ([9.0], {"temperature": 0.5})


def test_an_example_that_looks_like_a_wrapper_is_none(tmp_path):
    maps = sparksig.Schema(
        [
            sparksig.ColSpec(sparksig.Map("double"), "inputs"),
            sparksig.ColSpec(sparksig.Map("double"), "params"),
        ]
    )
    signature = sparksig.ModelSignature(maps, sparksig.Schema([sparksig.ColSpec("long")]))
    example = {"inputs": {"a": 1.0}, "params": {}}
    sparksig.save_model(tmp_path / "m", lambda model_input: [1], signature, input_example=example)
    assert sparksig.load_input_example(tmp_path / "m") == example


@pytest.mark.parametrize("value", [(1, 2), "\x85a", {"k": (1,)}])
def test_what_yaml_changes_is_not_kept(tmp_path, value):
    with pytest.raises(ValueError, match=r"without a change|cannot|special"):
        dump_yaml({"k": value})
    with pytest.raises(ModelError, match="cannot write MLmodel"):
        sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE, metadata={"k": value})
    assert list(tmp_path.iterdir()) == []


# --- directories that take time or memory -----------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    data = pd.DataFrame({"x": [0.0, 1.0]})
    sparksig.save_model(tmp_path / "m", LinearRegression().fit(data, data["x"]))
    return unsealed(tmp_path / "m")


def test_a_number_of_base_60_without_end_is_damage(small):
    with (small / "MLmodel").open("a") as file:
        file.write("x: 1" + ":1" * 500_000 + "\n")
    started = time.perf_counter()
    with pytest.raises(ModelDamagedError, match="a number of more than 500 characters"):
        sparksig.load_model(small)
    assert time.perf_counter() - started < 20


def test_requirements_of_any_form_are_read_quickly(small):
    (small / "requirements.txt").write_text("a" + " " * 2_000_000 + "\nnumpy==0.1\n")
    started = time.perf_counter()
    assert sparksig.get_model_info(small).version_mismatches == ()  # nothing beyond a megabyte is read
    (small / "requirements.txt").write_text("a" + " " * 200_000 + "\nnumpy==0.1  # old\n")
    [mismatch] = sparksig.get_model_info(small).version_mismatches
    assert mismatch.startswith("numpy 0.1 (installed: ")
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize("threads", [(os.cpu_count() or 1) + 1, 20_000, -1, True, "x"])
def test_a_graph_takes_no_more_threads_than_there_are(tmp_path, threads):
    home = tmp_path / str(threads)
    home.mkdir()
    path = rewrite(
        identity(home),
        lambda config: config["flavors"]["onnx"].update(
            onnx_session_options={"intra_op_num_threads": threads}
        ),
    )
    with pytest.raises(ModelNotTrustedError, match="session options intra_op_num_threads"):
        sparksig.load_model(path)


def test_classes_of_endless_text_are_damage(tmp_path):
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(FLOWERS, KINDS.astype(str))
    sparksig.save_model(tmp_path / "m", model)

    def change(config):
        config["flavors"]["lightgbm"]["sparksig_classes"]["dtype"] = "<U400000000"

    with pytest.raises(ModelDamagedError, match="sparksig_classes"):
        sparksig.load_model(rewrite(tmp_path / "m", change))


def test_a_skops_file_that_swells_is_damage(small):
    file = small / "model.skops"
    with zipfile.ZipFile(file) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    parts["schema.json"] += b" " * (200 * 2**20)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    with pytest.raises(
        ModelDamagedError, match=r"decompresses from [\d,]+ to [\d,]+ bytes, which is too large"
    ):
        sparksig.load_model(small)


def test_code_that_is_a_file_is_damage(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE)
    path = rewrite(tmp_path / "m", lambda config: config["flavors"]["python_function"].update(code="MLmodel"))
    with pytest.raises(ModelDamagedError, match="code: expected a directory, got a file"):
        sparksig.load_model(path, allow_pickle=True)


# --- promises -------------------------------------------------------------------------------------------


def test_a_sparse_prediction_is_checked_as_any(tmp_path):
    letters = pd.DataFrame({"c": ["x", "y", "z"]})
    model = OneHotEncoder().fit(letters)
    sparksig.save_model(tmp_path / "m", model, input_example=letters, method="transform")
    prediction = sparksig.load_model(tmp_path / "m").predict(letters)
    assert same_bits(prediction.toarray(), model.transform(letters).toarray())


@pytest.mark.parametrize("uri", ["s3://bucket/model", "runs:/x/model", "models:/m/1"])
def test_a_model_is_saved_to_a_local_directory(tmp_path, monkeypatch, uri):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedError, match="cannot save a model to "):
        sparksig.save_model(uri, Doubled(), SIGNATURE)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_save_leaves_no_parents(tmp_path):
    with pytest.raises(ModelError):
        sparksig.save_model(tmp_path / "pa" / "re" / "m", LinearRegression(), method="fit")
    assert list(tmp_path.iterdir()) == []


def test_loading_in_threads_leaves_the_switch_for_bytecode_as_it_was(small, monkeypatch):
    import sys

    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        threads = [threading.Thread(target=sparksig.load_model, args=(small,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sys.dont_write_bytecode is False


def test_the_file_mlmodel_stands_for_its_directory(small):
    assert sparksig.load_model(small / "MLmodel").path == small


def test_options_for_a_model_that_is_loaded_are_refused(small):
    with pytest.raises(
        ModelError, match=r"^digest: the model is loaded already\. Pass loading options to load_model\(\)$"
    ):
        validate_serving_input(sparksig.load_model(small), "{}", digest="0" * 64)


def test_a_model_that_fails_on_its_example_shows_no_value(tmp_path):
    def failing(model_input):
        raise ValueError(f"secret {model_input['x'].tolist()}")

    with pytest.raises(ModelError, match=r"^the model fails on its input example: ValueError \(see above\)$"):
        sparksig.save_model(tmp_path / "m", failing, input_example=FRAME)
