"""Hostile directories: each ends in its own clear error, executes nothing and leaves nothing behind."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
import warnings

import cloudpickle
import lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
import skops.io
import xgboost
import yaml
from onnx import TensorProto, helper, numpy_helper

import sparksig
from sparksig import (
    ColSpec,
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    ModelNotTrustedError,
    ModelSignature,
    PythonModel,
    Schema,
    SparksigError,
    UnsupportedError,
)
from sparksig.models import code as code_module
from sparksig.models.directory import ModelDirectory, write_seal
from sparksig.models.seal import digest
from sparksig.models.trust import Trust
from tests.models.helpers import (
    SIGNATURE,
    Armed,
    Canary,
    Doubled,
    content,
    diabetes,
    linear,
    rewrite,
    splined,
    unsealed,
    untrusted,
)

pytestmark = pytest.mark.slow

FRAME = pd.DataFrame({"bmi": [0.01, -0.02], "bp": [0.03, 0.0]})
LOADER = """
def _load_pyfunc(path):
    with open(path) as file:
        return Model(file.read())


class Model:
    def __init__(self, text):
        self.factor = float(text)

    def predict(self, model_input):
        return model_input['bmi'].to_numpy() * self.factor
"""


class Scaled(PythonModel):
    """Multiplies by what its artifact says, whenever it is asked."""

    def predict(self, context, model_input):
        with open(context.artifacts["factor"]) as file:
            return model_input["bmi"].to_numpy() * float(file.read())


class Imported(PythonModel):
    """Multiplies by what its code says."""

    def predict(self, model_input):
        import hostile_factor

        return model_input["bmi"].to_numpy() * hostile_factor.FACTOR


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def _booster(scale=1.0):
    data, target = diabetes()
    return xgboost.XGBRegressor(n_estimators=1, max_depth=1, n_jobs=1).fit(data, target * scale)


def _forest(scale=1.0):
    data, target = diabetes()
    model = lightgbm.LGBMRegressor(n_estimators=1, num_leaves=2, n_jobs=1, verbosity=-1)
    return model.fit(data, target * scale)


def _graph(scale=1.0):
    weights = numpy_helper.from_array(np.full((2, 1), scale, dtype=np.float64), "weights")
    return helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMul", ["X", "weights"], ["Y"])],
            "g",
            [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, 2])],
            [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, [None, 1])],
            [weights],
        ),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )


def _linear(scale):
    model = linear()
    model.coef_ = model.coef_ * scale
    return model


def _by_skops(path, scale):
    sparksig.save_model(path, _linear(scale))


def _by_pickle(path, scale):
    sparksig.save_model(path, _linear(scale), serialization_format="pickle")


def _by_xgboost(path, scale):
    sparksig.save_model(path, _booster(scale))


def _by_lightgbm(path, scale):
    sparksig.save_model(path, _forest(scale))


def _estimator_of_lightgbm(form):
    def save(path, scale):
        _by_lightgbm(path, scale)
        model, name = _forest(scale), f"model.{form}"
        if form == "skops":
            skops.io.dump(model, path / name)
        else:
            (path / name).write_bytes(pickle.dumps(model))
        entries = {
            "model_class": "lightgbm.sklearn.LGBMRegressor",
            "serialization_format": form,
            "data": name,
        }
        rewrite(path, lambda config: config["flavors"]["lightgbm"].update(entries))
        write_seal(path)

    return save


def _by_onnx(path, scale):
    sparksig.save_model(path, _graph(scale))


def _by_onnx_with_files(path, scale):
    _by_onnx(path, scale)
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save_model(_graph(scale), str(path / "model.onnx"), **options)
    write_seal(unsealed(path))


def _by_python(path, scale):
    sparksig.save_model(path, _Constant(scale))


class _Constant(PythonModel):
    def __init__(self, scale):
        self.scale = scale

    def predict(self, model_input):
        return model_input["bmi"].to_numpy() * self.scale


def _with_artifacts(path, scale):
    (path.parent / "factor").write_text(str(scale))
    sparksig.save_model(path, Scaled(), artifacts={"factor": path.parent / "factor"}, model_config={"a": 1})


def _with_code(path, scale):
    (path.parent / "hostile_factor.py").write_text(f"FACTOR = {scale}\n")
    sparksig.save_model(path, Imported(), code_paths=[path.parent / "hostile_factor.py"])


def _by_loader(path, scale):
    (path.parent / "factor").write_text(str(scale))
    (path.parent / "hostile_loader.py").write_text(LOADER)
    sparksig.save_model(
        path,
        loader_module="hostile_loader",
        data_path=path.parent / "factor",
        code_paths=[path.parent / "hostile_loader.py"],
    )


FORMATS = {
    "skops": _by_skops,
    "pickle": _by_pickle,
    "xgboost": _by_xgboost,
    "lightgbm": _by_lightgbm,
    "lightgbm-skops": _estimator_of_lightgbm("skops"),
    "lightgbm-pickle": _estimator_of_lightgbm("pickle"),
    "onnx": _by_onnx,
    "onnx-files": _by_onnx_with_files,
    "python": _by_python,
    "artifacts": _with_artifacts,
    "code": _with_code,
    "loader": _by_loader,
}
RUNS_CODE = ["pickle", "lightgbm-pickle", "python", "artifacts", "code", "loader"]
TYPES = ["collections.OrderedDict", "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMRegressor"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A directory of each format, and a second one of each that predicts something else."""
    home = tmp_path_factory.mktemp("formats")
    with _own_modules(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Ignoring params argument", UserWarning)
        for number, scale in enumerate((1.0, 2.0)):
            for name, save in FORMATS.items():
                (home / name / str(number)).mkdir(parents=True)
                save(home / name / str(number) / "m", scale)
    return home


@contextlib.contextmanager
def _own_modules():
    """Forget the modules that models import, and the directories stored for them."""
    modules, path, directories = set(sys.modules), list(sys.path), list(code_module._CODE_DIRECTORIES)
    try:
        yield
    finally:
        sys.path[:] = path
        code_module._CODE_DIRECTORIES[:] = directories
        for name in set(sys.modules) - modules:
            if name.startswith("hostile_"):
                del sys.modules[name]


@pytest.fixture
def private(tmp_path, monkeypatch):
    """The directory of temporary files, which must be empty at the end."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with _own_modules():
        yield tmp_path / "tmp"
    gc.collect()
    assert content(tmp_path / "tmp") == {}


def _copy(saved, name, target, number=0):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(saved / name / str(number) / "m", target)
    return target


def _load(path, **options):
    """A model with all leave that a caller can give but a digest."""
    options = {"allow_pickle": True, "trusted_types": TYPES, "on_version_mismatch": "ignore"} | options
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Ignoring params argument", UserWarning)
        return sparksig.load_model(path, **options)


# --- what loads -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS, ids=FORMATS)
def test_the_directories_load_as_long_as_they_are_whole(saved, private, name):
    with _own_modules():
        first = np.asarray(_load(saved / name / "0" / "m").predict(FRAME)).reshape(-1)
    with _own_modules():
        second = np.asarray(_load(saved / name / "1" / "m").predict(FRAME)).reshape(-1)
    assert len(first) == 2
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", FORMATS, ids=FORMATS)
def test_loading_what_runs_no_code_says_nothing(saved, private, name):
    if name not in RUNS_CODE:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sparksig.load_model(saved / name / "0" / "m", trusted_types=TYPES)


@pytest.mark.parametrize("name", RUNS_CODE, ids=RUNS_CODE)
def test_what_runs_code_is_refused_without_leave(saved, private, name):
    with pytest.raises(ModelNotTrustedError, match="can run any code in it"):
        sparksig.load_model(saved / name / "0" / "m", trusted_types=TYPES)
    assert not {"hostile_factor", "hostile_loader"} & set(sys.modules)


def _widen(config, pinned):
    more = {
        "allow_pickle": True,
        "trusted_types": TYPES,
        "skops_trusted_types": TYPES,
        "digest": pinned,
        "trust": {"allow_pickle": True, "digest": pinned},
        "sealed": True,
        "seal": pinned,
    }
    config |= more
    for flavor in config["flavors"].values():
        flavor |= more


@pytest.mark.parametrize("name", [*RUNS_CODE, "lightgbm-skops"])
def test_nothing_in_a_directory_widens_the_trust(saved, private, tmp_path, monkeypatch, name):
    home = _copy(saved, name, tmp_path / "m")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    rewrite(home, lambda config: _widen(config, digest(home)))
    write_seal(home)
    with pytest.raises(ModelNotTrustedError):
        sparksig.load_model(home)


# --- paths that lead out ----------------------------------------------------------------------------------

OUTSIDE = ["/etc/passwd", "../outside", "sub/../../outside", "link", "folder/outside", "{home}/MLmodel", ".."]
NO_PATHS = [5, 5.5, True, ["MLmodel"], {"a": 1}, "a\0b", "x" * 5000, "nothing", "loop", "pipe", "gone"]
KEYS = {
    "pickled_model": ("skops", "flavors.sklearn.pickled_model"),
    "model_path": ("skops", "flavors.python_function.model_path"),
    "pickle": ("pickle", "flavors.sklearn.pickled_model"),
    "xgboost": ("xgboost", "flavors.xgboost.data"),
    "lightgbm": ("lightgbm", "flavors.lightgbm.data"),
    "lightgbm-skops": ("lightgbm-skops", "flavors.lightgbm.data"),
    "lightgbm-pickle": ("lightgbm-pickle", "flavors.lightgbm.data"),
    "onnx": ("onnx", "flavors.onnx.data"),
    "python_model": ("python", "flavors.python_function.python_model"),
    "artifacts": ("artifacts", "flavors.python_function.artifacts.factor.path"),
    "code": ("code", "flavors.python_function.code"),
    "code-of-loader": ("loader", "flavors.python_function.code"),
    "code-of-xgboost": ("xgboost", "flavors.python_function.code"),
    "data-of-loader": ("loader", "flavors.python_function.data"),
    "config": ("artifacts", "flavors.python_function.config"),
    "model_code_path": ("python", "flavors.python_function.model_code_path"),
}


def _put(config, key, value):
    *above, last = key.split(".")
    for part in above:
        config = config[part]
    config[last] = value
    if last == "model_path":
        del config["loader_module"]
        config["loader_module"] = "mlflow.sklearn"
    if last == "model_code_path":
        config["loader_module"] = "mlflow.pyfunc.loaders.code_model"


def _traps(home, canary):
    """Everything outside is a trap: unpickled, imported or run, it leaves a canary."""
    trap = pickle.dumps(Canary(canary))
    (home.parent / "outside").write_bytes(trap)
    (home.parent / "away").mkdir(exist_ok=True)
    (home.parent / "away" / "outside").write_bytes(trap)
    (home.parent / "away" / "hostile_trap.py").write_text(f"import os\nos.makedirs({str(canary)!r})\n")
    (home / "link").symlink_to("../outside")
    (home / "folder").symlink_to("../away")
    (home / "loop").symlink_to("loop")
    (home / "gone").symlink_to("nowhere")
    os.mkfifo(home / "pipe")


@pytest.mark.parametrize(("name", "key"), KEYS.values(), ids=KEYS)
def test_no_path_in_mlmodel_leads_out_of_the_directory(saved, private, tmp_path, name, key):
    failures = []
    home, canary = _copy(saved, name, tmp_path / "m"), tmp_path / "canary"
    unsealed(home)
    _traps(home, canary)
    text = (home / "MLmodel").read_text()
    for value in [*OUTSIDE, "folder", *NO_PATHS]:
        if key.endswith("config") and isinstance(value, dict):
            continue  # a dictionary is a valid configuration
        path = value.format(home=home) if isinstance(value, str) else value
        config = yaml.safe_load(text)
        if key.endswith("model_path"):
            del config["flavors"]["sklearn"]["pickled_model"]
        _put(config, key, path)
        (home / "MLmodel").write_text(yaml.safe_dump(config))
        try:
            _load(home)
            failures.append(f"{value!r:.40} loads")
        except ModelDamagedError as error:
            by_name = key.endswith("model_code_path") and not str(path).startswith(
                ".."
            )  # MLflow takes its name
            wrong = value in OUTSIDE and not by_name and "leads out of the model directory" not in str(error)
            if wrong or len(str(error)) > 600:
                failures.append(f"{value!r:.40}: {error!s:.200}")
        except Exception as error:
            failures.append(f"{value!r:.40}: {type(error).__name__}: {error!s:.200}")
        if canary.exists():
            failures.append(f"{value!r:.40} has run")
            canary.rmdir()
    shutil.rmtree(tmp_path / "away")
    assert failures == []


@pytest.fixture(scope="module")
def with_example(tmp_path_factory):
    """A model directory with an example, a file beside it, and a link to that file."""
    path = tmp_path_factory.mktemp("example")
    sparksig.save_model(path / "m", Doubled(), input_example=pd.DataFrame({"x": [0.5]}))
    (path / "outside").write_text('{"data": [["secret"]], "columns": ["x"]}')
    (path / "m" / "link").symlink_to("../outside")
    return unsealed(path / "m")


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../outside", "link", "sub/../../outside", ".", 5, ["a"], "nothing", "a\0b"],
    ids=ascii,
)
@pytest.mark.parametrize("key", ["artifact_path", "serving_input_path"])
def test_no_path_of_an_example_leads_out_of_the_directory(with_example, key, path):
    file = with_example / "MLmodel"
    config = yaml.safe_load(file.read_text())
    example = {"artifact_path": "input_example.json", "serving_input_path": "serving_input_example.json"}
    config["saved_input_example_info"] |= {**example, key: path}
    file.write_text(yaml.safe_dump(config))
    read = sparksig.load_input_example if key == "artifact_path" else sparksig.load_serving_example
    with pytest.raises(ModelDamagedError) as caught:
        read(with_example)
    assert "secret" not in str(caught.value)


LOCATIONS = [
    "/etc/passwd",
    "../outside",
    "sub/../../outside",
    "link",
    "folder/outside",
    "folder/../outside",
    "folder/../weights.bin",
    "nothing",
    "",
    "pipe",
    "loop",
    "x" * 5000,
]


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("pinned", [False, True])
def test_no_tensor_of_an_onnx_model_lies_outside(saved, private, tmp_path, location, pinned):
    home = _copy(saved, "onnx-files", tmp_path / "m")
    weights = (home / "weights.bin").read_bytes()
    (tmp_path / "outside").write_bytes(weights)
    (tmp_path / "weights.bin").write_bytes(weights)
    (tmp_path / "away").mkdir(exist_ok=True)
    if not pinned:
        for name, target in [("link", "../outside"), ("folder", "../away"), ("loop", "loop")]:
            (home / name).symlink_to(target)
        (tmp_path / "away" / "outside").write_bytes(weights)
        os.mkfifo(home / "pipe")
    graph = onnx.load(str(home / "model.onnx"), load_external_data=False)
    next(
        entry for entry in graph.graph.initializer[0].external_data if entry.key == "location"
    ).value = location
    (unsealed(home) / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelDamagedError) as caught:
        _load(home, digest=digest(home) if pinned else None)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("in_subgraph", [False, True], ids=["attribute", "subgraph"])
def test_tensors_in_subgraphs_and_attributes_may_not_lie_outside_either(
    saved, private, tmp_path, in_subgraph
):
    home = unsealed(_copy(saved, "onnx", tmp_path / "m"))
    tensor = TensorProto(name="t", data_type=TensorProto.DOUBLE, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../outside")
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    if in_subgraph:
        value = helper.make_tensor_value_info("c", TensorProto.DOUBLE, [1])
        body = helper.make_graph([node], "body", [], [value])
        node = helper.make_node("If", ["X"], ["Z"], then_branch=body, else_branch=body)
    graph = _graph()
    graph.graph.node.append(node)
    (home / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelDamagedError, match="leads out of the model directory"):
        _load(home)


@pytest.mark.parametrize("name", ["MLmodel", "requirements.txt", "SHA256SUMS"])
def test_the_files_that_are_read_by_their_names_are_no_links_either(saved, private, tmp_path, name):
    home = _copy(saved, "skops", tmp_path / "m")
    (home / name).rename(tmp_path / "moved")
    (home / name).symlink_to("../moved")
    if name != "SHA256SUMS":
        unsealed(home)
    with pytest.raises(ModelDamagedError):
        sparksig.load_model(home)


@pytest.mark.parametrize("pinned", [False, True], ids=["sealed", "pinned"])
@pytest.mark.parametrize("target", ["../outside", "/etc", "MLmodel", "nowhere"])
def test_links_in_a_pinned_or_sealed_directory_are_refused(saved, private, tmp_path, target, pinned):
    home = _copy(saved, "skops", tmp_path / "m")
    options = {"digest": digest(home)} if pinned else {}
    (home / "link").symlink_to(target)
    text = r"link: expected a file or a directory, got something else"
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(home, **options)


# --- loader modules, classes and methods ------------------------------------------------------------------


@pytest.mark.parametrize(
    "loader", ["os", "subprocess", "antigravity", "this", "builtins", "mlflow", "sparksig", "hostile_in_code"]
)
def test_a_foreign_loader_module_is_not_imported_without_leave(saved, private, tmp_path, loader):
    home = _copy(saved, "python", tmp_path / "m")
    (home / "code").mkdir()
    (home / "code" / "hostile_in_code.py").write_text("raise SystemExit('imported')\n")
    rewrite(home, lambda config: _put(config, "flavors.python_function.loader_module", loader))
    imported = set(sys.modules)
    with pytest.raises(
        ModelNotTrustedError, match=f"a model with the loader module {loader!r} can run any code"
    ):
        sparksig.load_model(home)
    rewrite(home, lambda config: _put(config, "flavors.python_function.code", "code"))
    with pytest.raises(ModelNotTrustedError, match="loading a model with code files can run any code"):
        sparksig.load_model(home)
    assert set(sys.modules) == imported
    assert str(home / "code") not in sys.path


@pytest.mark.parametrize(
    "loader", ["os", "subprocess", "sparksig.models.flavors", "mlflow", "hostile_nothing", "os.path"]
)
def test_an_invalid_loader_module_is_reported(saved, private, tmp_path, loader):
    home = _copy(saved, "python", tmp_path / "m")
    rewrite(home, lambda config: _put(config, "flavors.python_function.loader_module", loader))
    text = f"no loader module {loader!r}|the loader module {loader!r} has no function _load_pyfunc"
    with pytest.raises((ModelError, MissingDependencyError), match=text):
        _load(home)


@pytest.mark.parametrize(
    "loader", [None, "", 5, ["os"], {"os": 1}, "../x", "os;x", "a..b", ".os", "os.", "a b", "x" * 999, "é\n"]
)
def test_a_loader_that_is_no_name_is_damage(saved, private, tmp_path, loader):
    home = _copy(saved, "python", tmp_path / "m")
    rewrite(home, lambda config: _put(config, "flavors.python_function.loader_module", loader))
    with pytest.raises(SparksigError) as caught:
        _load(home)
    assert len(str(caught.value)) < 1500


CLASSES = [
    "os.system",
    "subprocess.Popen",
    "xgboost.DMatrix",
    "xgboost.core.ctypes",
    "xgboost.sklearn.__builtins__",
    "xgboost.train",
    "xgboost.os",
    "xgboost.spark.SparkXGBRegressor",
    "builtins.exec",
    "xgboost.",
    "Booster",
    "",
    None,
    5,
    ["xgboost.core.Booster"],
]


@pytest.mark.parametrize("name", CLASSES)
def test_an_unknown_class_of_xgboost_is_refused(saved, private, tmp_path, name):
    home = _copy(saved, "xgboost", tmp_path / "m")
    rewrite(home, lambda config: config["flavors"]["xgboost"].update(model_class=name))
    with pytest.raises(UnsupportedError, match=r"model_class: expected a class of XGBoost, got .*$"):
        _load(home)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "skops"])
@pytest.mark.parametrize(
    "method", ["fit", "save_model", "__init__", "__class__", "_Booster", "", 5, ["predict"], "load_model"]
)
def test_only_methods_that_predict_are_called(saved, private, tmp_path, name, method):
    home = _copy(saved, name, tmp_path / "m")
    rewrite(home, lambda config: config["flavors"]["python_function"].update(predict_fn=method))
    if method:
        with pytest.raises(
            UnsupportedError, match=f"expected one of predict, .*, got {re.escape(repr(method))}$"
        ):
            _load(home)
    with pytest.raises(
        UnsupportedError, match=f"expected one of .*, got {re.escape(repr(method or 'fit'))}$"
    ):
        _load(home, method=method or "fit")


@pytest.mark.parametrize(
    "options",
    [
        {"optimized_model_filepath": "x"},
        {"enable_profiling": True},
        {"profile_file_prefix": "x"},
        {"extra_session_config": {"session.x": "1"}},
        {"register_custom_ops_library": "x.so"},
        {"__class__": 5},
    ],
)
def test_session_options_that_do_more_need_leave(saved, private, tmp_path, options):
    home = _copy(saved, "onnx", tmp_path / "m")
    rewrite(home, lambda config: config["flavors"]["onnx"].update(onnx_session_options=options))
    name = next(iter(options))
    with pytest.raises(ModelNotTrustedError, match=f"an ONNX model with the session options {name} can run"):
        sparksig.load_model(home)


SESSION = [
    ["a"],
    "a",
    {"execution_mode": "x"},
    {"execution_mode": 5},
    {"graph_optimization_level": "x"},
    {"graph_optimization_level": 10**30},
    {"intra_op_num_threads": "x"},
    {"inter_op_num_threads": ["x"]},
]


@pytest.mark.parametrize("options", SESSION)
def test_invalid_session_options_are_reported(saved, private, tmp_path, options):
    home = _copy(saved, "onnx", tmp_path / "m")
    rewrite(home, lambda config: config["flavors"]["onnx"].update(onnx_session_options=options))
    with pytest.raises(ModelError, match=r"session.option") as caught:
        sparksig.load_model(home)
    assert " at 0x" not in str(caught.value)


# --- files that are something else ------------------------------------------------------------------------

FILES = {
    "skops": "model.skops",
    "xgboost": "model.ubj",
    "lightgbm": "model.lgb",
    "lightgbm-skops": "model.skops",
    "onnx": "model.onnx",
}


@pytest.mark.parametrize("allow_pickle", [False, True], ids=["without permission", "with permission"])
@pytest.mark.parametrize("protocol", [pickle.DEFAULT_PROTOCOL, 0], ids=["default protocol", "protocol 0"])
@pytest.mark.parametrize(("name", "file"), FILES.items(), ids=FILES)
def test_a_pickle_in_the_place_of_a_model_is_not_unpickled(
    saved, private, tmp_path, name, file, protocol, allow_pickle
):
    home, canary = unsealed(_copy(saved, name, tmp_path / "m")), tmp_path / "canary"
    (home / file).write_bytes(pickle.dumps(Canary(canary), protocol))
    with pytest.raises(ModelDamagedError):
        sparksig.load_model(home, allow_pickle=allow_pickle)
    assert not canary.exists()


def test_types_of_a_skops_file_are_not_imported(saved, private, tmp_path):
    home = _copy(saved, "skops", tmp_path / "m")
    model = splined()
    skops.io.dump(model, unsealed(home) / "model.skops")
    names = sorted(untrusted(model))
    with pytest.raises(ModelNotTrustedError, match=re.escape(f"pass trusted_types={names!r}")):
        sparksig.load_model(home, allow_pickle=True)


@pytest.mark.parametrize("depth", [50, 300, 500, 800, 990, 5000])
def test_json_that_is_nested_without_end_is_refused(tmp_path, depth):
    shutil.rmtree(tmp_path / "m", ignore_errors=True)
    sparksig.save_model(tmp_path / "m", Doubled(), input_example=pd.DataFrame({"x": [0.5]}))
    home, deep = unsealed(tmp_path / "m"), "[" * depth + "]" * depth
    (home / "input_example.json").write_text(f'{{"columns": ["x"], "data": [[{deep}]]}}')
    with pytest.raises(ModelDamagedError):
        sparksig.load_input_example(home)
    config = yaml.safe_load((home / "MLmodel").read_text())
    del config["signature"]
    (home / "MLmodel").write_text(yaml.safe_dump(config))
    with contextlib.suppress(ModelDamagedError):
        sparksig.load_input_example(home)
    with contextlib.suppress(sparksig.ContractError, TypeError, LookupError):  # the model's own
        sparksig.validate_serving_input(home, f'{{"inputs": {deep}}}', allow_pickle=True)
    for text in (deep, f'[{{"type": "array", "name": "a", "items": {deep}}}]', _nested_array(depth)):
        config["signature"] = {"inputs": text, "outputs": None, "params": None}
        (home / "MLmodel").write_text(yaml.safe_dump(config))
        with contextlib.suppress(ModelDamagedError, ModelNotTrustedError):
            sparksig.load_model(home)


def _nested_array(depth):
    return (
        '[{"name": "a", ' + '"type": "array", "items": {' * depth + '"type": "long"' + "}" * (depth + 1) + "]"
    )


def test_an_mlmodel_is_not_read_beyond_its_bound(tmp_path):
    with open(tmp_path / "MLmodel", "wb") as file:
        file.truncate(100 * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(ModelDamagedError, match="more than 10 MiB of YAML"):
            ModelDirectory.read(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi")
)
DEEP = "[" * 200 + "]" * 200


@pytest.mark.parametrize(
    "text", [BOMB, f"a: {DEEP}", "a: 1\na: 2", "!!python/object/apply:os.makedirs [canary]", "a: [", "\0"]
)
def test_a_file_with_a_models_config_is_bounded_yaml(saved, private, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    home = _copy(saved, "artifacts", tmp_path / "m")
    (home / "config.yml").write_text(text)
    rewrite(home, lambda config: _put(config, "flavors.python_function.config", "config.yml"))
    with pytest.raises(ModelDamagedError, match="m: the model's config: cannot read this YAML"):
        _load(home)
    assert not (tmp_path / "canary").exists()


# --- damage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS, ids=FORMATS)
def test_flipped_bits_in_a_sealed_directory_are_damage_before_anything_is_opened(
    saved, private, tmp_path, name
):
    home = _copy(saved, name, tmp_path / "m")
    for file in sorted(path for path in home.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for offset in {0, len(content) // 3, len(content) // 2, len(content) - 1}:
            flipped = bytearray(content)
            flipped[offset] ^= 1 << offset % 8
            for data in (flipped, content[:offset]):
                file.write_bytes(data)
                with pytest.raises(ModelDamagedError):
                    sparksig.load_model(home, allow_pickle=True, trusted_types=TYPES)
        file.write_bytes(content)
    _load(home)


@pytest.mark.parametrize("name", ["skops", "xgboost", "python"])
def test_flipped_bits_in_an_mlmodel_that_is_not_sealed_end_in_an_error_or_load(
    saved, private, tmp_path, name
):
    home = unsealed(_copy(saved, name, tmp_path / "m"))
    content = (home / "MLmodel").read_bytes()
    for offset in range(0, len(content), 3):
        flipped = bytearray(content)
        flipped[offset] ^= 1 << offset % 8
        (home / "MLmodel").write_bytes(flipped)
        with contextlib.suppress(SparksigError):
            sparksig.load_model(home, on_version_mismatch="ignore")


NATIVE = """
import pathlib, resource, signal, sys, warnings
import sparksig
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, 8 * 2**30))
at = pathlib.Path(sys.argv[1])
for home, file, step, flip in zip(*[iter(sys.argv[2:])] * 4):
    file = pathlib.Path(home) / file
    whole = file.read_bytes()
    for offset in range(0, len(whole), int(step)):
        flipped = bytearray(whole)
        flipped[offset] ^= 1 << offset % 8
        for data in (whole[:offset], flipped) if flip == "flip" else (whole[:offset],):
            at.write_text(f"{file.name}: {'cut' if len(data) < len(whole) else 'flipped'} at {offset}")
            signal.alarm(10)
            file.write_bytes(data)
            try:
                sparksig.load_model(home)
            except sparksig.SparksigError:
                pass
    file.write_bytes(whole)
at.write_text("done")
"""


def _in_another_process(tmp_path, *cases):
    """Return the exit code of a child that loads damaged files: parsers in C++ may crash it."""
    ran = subprocess.run(
        [sys.executable, "-c", NATIVE, str(tmp_path / "at"), *map(str, cases)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return ran.returncode, (tmp_path / "at").read_text()


def test_a_model_that_was_cut_off_and_is_not_sealed_ends_in_an_error(saved, tmp_path):
    """Flipped bits are for the seal, or a digest, to find: XGBoost's parser does not survive them."""
    cases = []
    for name, step, flip in [("onnx", 3, "flip"), ("lightgbm", 47, ""), ("xgboost", 29, "")]:
        home = unsealed(_copy(saved, name, tmp_path / name))
        cases += [home, FILES[name], step, flip]
    assert _in_another_process(tmp_path, *cases) == (0, "done")


# --- swapped under way ------------------------------------------------------------------------------------


def _swap(home, other):
    home.rename(home.with_name("before"))
    shutil.copytree(other, home)


def _change_in_place(home, other):
    for file in other.rglob("*"):
        if file.is_file():
            (home / file.relative_to(other)).write_bytes(file.read_bytes())


def _link_in_place(home, other):
    home.rename(home.with_name("before"))
    home.symlink_to(other)


def _vanish(home, other):
    shutil.rmtree(home)


@pytest.mark.parametrize("swap", [_swap, _change_in_place, _link_in_place, _vanish])
@pytest.mark.parametrize("name", FORMATS, ids=FORMATS)
@pytest.mark.parametrize("step", ["verify", "check", "snapshot"])
def test_a_pinned_directory_that_is_swapped_under_way_is_not_loaded(
    saved, private, tmp_path, swap, name, step
):
    for leftover in (tmp_path / "m", tmp_path / "before"):
        shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink(
            missing_ok=True
        )
    home, other = _copy(saved, name, tmp_path / "m"), saved / name / "1" / "m"
    pinned = digest(home)
    with _own_modules():
        expected = np.asarray(_load(home).predict(FRAME))
    place, method = {
        "verify": (Trust, "verify"),
        "check": (sparksig.models.flavors, "check"),
        "snapshot": (ModelDirectory, "snapshot"),
    }[step]
    original, swapped = getattr(place, method), []

    def then_swap(*args):
        result = original(*args)
        if not swapped:
            swapped.append(True)
            swap(home, other)
        return result

    with pytest.MonkeyPatch.context() as patch, _own_modules():
        patch.setattr(place, method, then_swap)
        message = None
        try:
            model = _load(home, digest=pinned)
        except ModelDamagedError as error:
            message = str(error)
        if message is None:
            assert np.array_equal(np.asarray(model.predict(FRAME)), expected)
        else:
            assert re.search(r"changed after its content was verified|is missing$", message)


@pytest.mark.parametrize("name", ["artifacts", "code", "loader", "onnx-files"])
def test_a_pinned_model_keeps_its_own_copy_as_long_as_it_lives(saved, tmp_path, monkeypatch, name):
    (tmp_path / "tmp").mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    home = _copy(saved, name, tmp_path / "m")
    with _own_modules():
        expected = np.asarray(_load(home).predict(FRAME))
    with _own_modules():
        model = _load(home, digest=digest(home))
        copies = list((tmp_path / "tmp").iterdir())
        assert len(copies) == 1
        assert copies[0].stat().st_mode & 0o777 == 0o700
        _change_in_place(home, saved / name / "1" / "m")
        assert np.array_equal(np.asarray(model.predict(FRAME)), expected)
    del model
    gc.collect()
    assert content(tmp_path / "tmp") == {}


def test_a_pinned_model_says_where_it_came_from(saved, private):
    home = saved / "artifacts" / "0" / "m"
    model = _load(home, digest=digest(home))
    assert (model.path, repr(model)) == (home, f"LoadedModel({str(home)!r})")


@pytest.mark.parametrize("name", ["skops", "xgboost", "lightgbm", "onnx", "python", "pickle"])
def test_a_pinned_model_of_one_file_needs_no_copy(saved, private, tmp_path, name):
    home = saved / name / "0" / "m"
    model = _load(home, digest=digest(home))
    assert content(private) == {}
    assert len(np.asarray(model.predict(FRAME))) == 2


@pytest.mark.parametrize(
    ("name", "file"),
    [("artifacts", "artifacts/factor"), ("code", "code/hostile_factor.py"), ("loader", "data/factor")],
)
def test_a_file_of_a_pinned_model_that_was_swapped_before_is_refused(saved, private, tmp_path, name, file):
    home = _copy(saved, name, tmp_path / "m")
    pinned = digest(home)
    assert (home / file).is_file()
    (home / file).write_text(f"import os\nos.makedirs({str(tmp_path / 'canary')!r})\n")
    with pytest.raises(ModelDamagedError, match="the content differs from the pinned digest"):
        _load(home, digest=pinned)
    with pytest.raises(ModelDamagedError, match=f"since the model was sealed: '{file}'"):
        _load(home)
    assert not (tmp_path / "canary").exists()


def test_a_pinned_digest_speaks_for_nothing_outside_the_directory(tmp_path, private):
    """MLmodel names code outside of the directory, which the digest does not cover."""
    sparksig.save_model(tmp_path / "m", Armed(tmp_path / "canary"), SIGNATURE)
    (tmp_path / "outside.py").write_text(f"import os\nos.makedirs({str(tmp_path / 'canary')!r})\n")

    def change(config):
        _put(config, "flavors.python_function.model_code_path", "../outside.py")

    rewrite(tmp_path / "m", change)
    with pytest.raises(ModelDamagedError, match="leads out of the model directory"):
        sparksig.load_model(tmp_path / "m", digest=digest(tmp_path / "m"))
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "signature",
    [5, "x", ["a"], {"inputs": 5}, {"inputs": "x"}, {"inputs": "{}"}, {"outputs": '[{"type": 5}]'}],
)
def test_an_invalid_signature_is_damage(saved, private, tmp_path, signature):
    home = _copy(saved, "skops", tmp_path / "m")
    rewrite(home, lambda config: config.update(signature=signature))
    with pytest.raises(ModelDamagedError, match=r"MLmodel: signature: "):
        sparksig.load_model(home)


def test_a_signature_of_ones_own_is_no_danger(saved, private, tmp_path):
    home = _copy(saved, "skops", tmp_path / "m")
    own = ModelSignature(Schema([ColSpec("double", "__class__"), ColSpec("double", "a\nb")]))
    rewrite(home, lambda config: config.update(signature=own.to_dict()))
    assert sparksig.load_model(home).signature == own
