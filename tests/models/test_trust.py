"""Loading is not executing: nothing in a directory runs without the caller's word. Canaries tell."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import itertools
import lzma
import pickle
import random
import re
import shutil
import sys
import zipfile
from dataclasses import replace

import cloudpickle
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator

import sparksig
from sparksig import (
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    ModelNotTrustedError,
    PythonModel,
    UnsupportedError,
)
from sparksig.models.directory import ModelDirectory
from sparksig.models.seal import digest, hash_files
from sparksig.models.trust import Trust, describe_types
from tests.models.helpers import (
    FRAME,
    SIGNATURE,
    Armed,
    Canary,
    Doubled,
    content,
    copy_of,
    diabetes,
    fresh,
    linear,
    rewrite,
    rewrite_pyfunc,
    same_bits,
    splined,
    unsealed,
    untrusted,
    without_type_hints,
)

MAY_RUN_CODE = (
    "loading {} can run any code in it. If you trust its origin, pass allow_pickle=True, "
    "or pin it with digest=$"
)


with without_type_hints():

    class ArmedForMlflow(mlflow.pyfunc.PythonModel):
        def __init__(self, path):
            self.canary = Canary(path)

        def predict(self, context, model_input):
            return model_input["x"].to_numpy() * 2


class Noisy(BaseEstimator):
    """An estimator whose restoring runs its own code: skops trusts its type only if told to."""

    def __init__(self, path=None):
        self.path = path

    def __getstate__(self):
        return {"path": self.path}

    def __setstate__(self, state):
        self.__dict__.update(state)
        with open(self.path, "w") as file:
            file.write("restored")

    def predict(self, data):
        return np.zeros(len(data))


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def _ours(path, canary):
    sparksig.save_model(path, Armed(canary), SIGNATURE)


def _mlflows(path, canary):
    mlflow.pyfunc.save_model(str(path), python_model=ArmedForMlflow(canary), pip_requirements=["numpy"])


def _estimator(form):
    def save(path, canary):
        model = linear()
        model.canary_ = Canary(canary)
        requirements = ["scikit-learn"]
        mlflow.sklearn.save_model(model, str(path), serialization_format=form, pip_requirements=requirements)

    return save


PICKLES = {
    "sparksig": (_ours, "a pickled PythonModel"),
    "mlflow": (_mlflows, "a pickled PythonModel"),
    "sklearn-pickle": (_estimator("pickle"), "an estimator saved by pickle"),
    "sklearn-cloudpickle": (_estimator("cloudpickle"), "an estimator saved by cloudpickle"),
}


@pytest.fixture(params=PICKLES.values(), ids=PICKLES)
def armed(request, tmp_path):
    """A directory with a canary in its pickle, the file that the canary makes, and the name of the pickle."""
    save, what = request.param
    save(tmp_path / "m", tmp_path / "canary")
    assert not (tmp_path / "canary").exists()
    return tmp_path / "m", tmp_path / "canary", what


def _pickle_of(directory):
    (file,) = directory.glob("*.pkl")
    return file


# --- pickles --------------------------------------------------------------------------------------------


def test_a_pickle_is_refused_without_leave(armed):
    directory, canary, what = armed
    with pytest.raises(ModelNotTrustedError, match=f"m: {MAY_RUN_CODE.format(what)}"):
        sparksig.load_model(directory)
    assert not canary.exists()


def test_trusted_types_are_no_leave_for_a_pickle(armed):
    directory, canary, _ = armed
    with pytest.raises(ModelNotTrustedError, match="can run any code in it"):
        sparksig.load_model(directory, trusted_types=["builtins.object", "os.makedirs"])
    assert not canary.exists()


def test_a_pickle_is_allowed_with_leave(armed):
    directory, canary, _ = armed
    sparksig.load_model(directory, allow_pickle=True)
    assert canary.exists()


def test_a_pickle_is_allowed_when_it_is_pinned(armed):
    directory, canary, _ = armed
    sparksig.load_model(directory, digest=digest(directory))
    assert canary.exists()


WRONG = {"other": "0" * 64}


@pytest.mark.parametrize("pinned", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("allow_pickle", [False, True], ids=["without-leave", "with-leave"])
def test_a_wrong_digest_is_refused_before_anything_is_opened(armed, pinned, allow_pickle):
    directory, canary, _ = armed
    text = f"m: the content differs from the pinned digest: expected {pinned}, got {digest(directory)}$"
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(directory, allow_pickle=allow_pickle, digest=pinned)
    assert not canary.exists()


def _swap_pickle(directory, canary):
    _pickle_of(directory).write_bytes(pickle.dumps(Canary(canary)))


def _swap_mlmodel(directory, canary):
    rewrite(directory, lambda config: config.update(metadata={"a": 1}))


def _add_file(directory, canary):
    (directory / "new").touch()


def _remove_file(directory, canary):
    (directory / "conda.yaml").unlink()


def _rename_file(directory, canary):
    (directory / "conda.yaml").rename(directory / "other.yaml")


def _link_file(directory, canary):
    (directory / "conda.yaml").rename(directory.parent / "conda.yaml")
    (directory / "conda.yaml").symlink_to("../conda.yaml")


SWAPS = [_swap_pickle, _swap_mlmodel, _add_file, _remove_file, _rename_file, _link_file]


@pytest.mark.parametrize("swap", SWAPS, ids=[swap.__name__.strip("_") for swap in SWAPS])
@pytest.mark.parametrize("is_sealed", [True, False], ids=["sealed", "unsealed"])
def test_a_model_that_changed_after_it_was_pinned_is_refused(tmp_path, swap, is_sealed):
    home = fresh(tmp_path)
    _ours(home / "m", home / "canary")
    pinned = digest(home / "m")
    swap(home / "m" if is_sealed else unsealed(home / "m"), home / "canary")
    with pytest.raises(
        ModelDamagedError, match=r"differs from the pinned digest|expected a file or a directory"
    ):
        sparksig.load_model(home / "m", digest=pinned, allow_pickle=True)
    assert not (home / "canary").exists()


def test_what_the_digest_leaves_out_cannot_be_loaded(tmp_path):
    directory = tmp_path / "m"
    sparksig.save_model(directory, Doubled())
    (directory / "__pycache__").mkdir()
    _pickle_of(directory).rename(directory / "__pycache__" / "python_model.pkl")
    rewrite_pyfunc(directory, python_model="__pycache__/python_model.pkl")
    pinned = digest(directory)
    (directory / "__pycache__" / "python_model.pkl").write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    with pytest.raises(ModelDamagedError, match="differs from the pinned digest"):
        sparksig.load_model(directory, digest=pinned)
    assert not (tmp_path / "canary").exists()


def test_a_copy_is_still_pinned(tmp_path):
    _ours(tmp_path / "m", tmp_path / "canary")
    pinned = digest(tmp_path / "m")
    shutil.move(tmp_path / "m", tmp_path / "elsewhere")
    assert sparksig.load_model(tmp_path / "elsewhere", digest=pinned).signature == SIGNATURE


def test_a_pickle_in_mlmodel_disguise_is_refused(skopsed, tmp_path):
    (unsealed(skopsed) / "model.skops").write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    with pytest.raises(ModelDamagedError, match=r"model\.skops is not a skops file: BadZipFile"):
        sparksig.load_model(skopsed, allow_pickle=True)
    assert not (tmp_path / "canary").exists()


def test_without_a_format_an_estimator_is_a_pickle_as_in_old_mlflow(skopsed):
    rewrite(skopsed, lambda config: config["flavors"]["sklearn"].pop("serialization_format"))
    with pytest.raises(ModelNotTrustedError, match=MAY_RUN_CODE.format("an estimator saved by pickle")):
        sparksig.load_model(skopsed)
    (skopsed / "model.skops").write_bytes(pickle.dumps(linear()))
    data, _ = diabetes()
    assert len(sparksig.load_model(skopsed, allow_pickle=True).predict(data)) == len(data)


@pytest.mark.parametrize("form", ["joblib", "", "SKOPS", None, 5, ["skops"]])
def test_an_unknown_format_of_an_estimator_is_refused(skopsed, form):
    rewrite(skopsed, lambda config: config["flavors"]["sklearn"].update(serialization_format=form))
    text = (
        "skopsed: serialization_format: expected one of skops, pickle, cloudpickle, got "
        f"{re.escape(repr(str(form)))}$"
    )
    with pytest.raises(UnsupportedError, match=text):
        sparksig.load_model(skopsed, allow_pickle=True)


OUTSIDE = r"the path '.*' leads out of the model directory$"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/passwd", OUTSIDE),
        ("../outside", OUTSIDE),
        ("link", OUTSIDE),
        ("nothing", r"'nothing', which MLmodel names, is missing$"),
        (None, "expected a path in the model directory, got None$"),
        ("", "expected a path in the model directory, got ''$|got None$"),
    ],
)
@pytest.mark.parametrize("what", ["pickled", "skopsed"])
def test_a_model_file_outside_is_refused(pickled, skopsed, tmp_path, what, path, text):
    directory = copy_of({"pickled": pickled, "skopsed": skopsed}[what])
    (directory.parent / "outside").write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    (directory / "link").symlink_to("../outside")

    def change(config):
        config["flavors"]["python_function"] |= {"python_model": path, "model_path": path}
        config["flavors"].get("sklearn", {})["pickled_model"] = path

    rewrite(directory, change)
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(directory, allow_pickle=True)
    assert not (tmp_path / "canary").exists()


def test_the_refusal_comes_before_the_file_is_looked_for(pickled):
    _pickle_of(unsealed(pickled)).unlink()
    with pytest.raises(ModelNotTrustedError, match=MAY_RUN_CODE.format("a pickled PythonModel")):
        sparksig.load_model(pickled)
    with pytest.raises(ModelDamagedError, match=r"'python_model\.pkl', which MLmodel names, is missing$"):
        sparksig.load_model(pickled, allow_pickle=True)


# --- skops ----------------------------------------------------------------------------------------------


def test_what_skops_trusts_by_itself_needs_no_leave(skopsed):
    data, _ = diabetes()
    assert sparksig.load_model(skopsed).predict(data).shape == (len(data),)


def _refusal(types):
    return re.escape(
        f"the skops file contains types that are not known to be safe: {describe_types(types)}. "
        f"If you trust the origin of the model, pass trusted_types={types!r} "
        f"(in a job's configuration, model.trusted_types: {types!r})"
    )


@pytest.fixture(scope="module")
def spline():
    """A pipeline with a spline, and the types in it that a caller has to trust."""
    model = splined()
    types = sorted(untrusted(model))
    assert types
    return model, types


@pytest.fixture(scope="module")
def saved_spline(spline, tmp_path_factory):
    """The directory of the saved spline, for tests that only read it."""
    model, types = spline
    path = tmp_path_factory.mktemp("spline") / "m"
    sparksig.save_model(path, model, trusted_types=types)
    return path


@pytest.mark.parametrize(
    "choose",
    [lambda types: [], lambda types: types[1:], lambda types: ["sklearn", "sklearn.tree", "*", ""]],
    ids=["none", "all but one", "patterns"],
)
def test_untrusted_types_are_refused_by_name(saved_spline, spline, choose):
    names = choose(spline[1])
    missing = sorted(set(spline[1]) - set(names))
    with pytest.raises(ModelNotTrustedError, match=f"m: {_refusal(missing)}$"):
        sparksig.load_model(saved_spline, trusted_types=names)


def test_trusted_types_are_accepted_in_any_order(saved_spline, spline):
    types = spline[1]
    assert sparksig.load_model(saved_spline, trusted_types=types).path == saved_spline
    assert sparksig.load_model(saved_spline, trusted_types=(*reversed(types), "more")).path == saved_spline


def test_leave_for_pickles_does_not_trust_types(tmp_path, spline):
    model, types = spline
    sparksig.save_model(tmp_path / "m", model, trusted_types=types)
    with pytest.raises(ModelNotTrustedError, match=_refusal(types)):
        sparksig.load_model(tmp_path / "m", allow_pickle=True)


def test_what_mlmodel_trusts_does_not_count(tmp_path, spline):
    model, types = spline
    sparksig.save_model(tmp_path / "m", model, trusted_types=types)
    assert ModelDirectory.read(tmp_path / "m").config["flavors"]["sklearn"]["skops_trusted_types"] == types

    def trust_more(config):
        for flavor in config["flavors"].values():
            flavor |= {"skops_trusted_types": [*types], "trusted_types": [*types], "allow_pickle": True}
        config |= {"allow_pickle": True, "trusted_types": [*types], "digest": "x"}

    rewrite(tmp_path / "m", trust_more)
    with pytest.raises(ModelNotTrustedError, match=_refusal(types)):
        sparksig.load_model(tmp_path / "m")


def test_saving_untrusted_types_is_refused_by_name(tmp_path, spline):
    model, types = spline
    text = re.escape(
        f"a Pipeline contains types that are not known to be safe: {describe_types(types)}. If you "
        "trust them, "
        f"pass trusted_types={types!r}, both here and when you load the model (in a job's "
        f"configuration, model.trusted_types: {types!r})"
    )
    with pytest.raises(ModelNotTrustedError, match=f"^{text}$"):
        sparksig.save_model(tmp_path / "m", model)
    assert not (tmp_path / "m").exists()


def test_the_code_of_an_untrusted_type_does_not_run(tmp_path):
    canary = tmp_path / "canary"
    model = Noisy(str(canary))
    types = untrusted(model)
    assert types == [f"{Noisy.__module__}.Noisy"]
    sparksig.save_model(tmp_path / "m", model, trusted_types=types)
    assert not canary.exists()
    with pytest.raises(ModelNotTrustedError, match=_refusal(types)):
        sparksig.load_model(tmp_path / "m")
    assert not canary.exists()
    sparksig.load_model(tmp_path / "m", trusted_types=types)
    assert canary.exists()


def test_the_module_of_an_untrusted_type_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "canary_of_skops.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Noisy, "__module__", "canary_of_skops")
    monkeypatch.setitem(sys.modules, "canary_of_skops", sys.modules[__name__])
    sparksig.save_model(tmp_path / "m", Noisy("x"), trusted_types=["canary_of_skops.Noisy"])
    monkeypatch.delitem(sys.modules, "canary_of_skops")
    with pytest.raises(ModelNotTrustedError, match=_refusal(["canary_of_skops.Noisy"])):
        sparksig.load_model(tmp_path / "m")
    assert "canary_of_skops" not in sys.modules


# --- other loaders --------------------------------------------------------------------------------------


NUMBERS = itertools.count()
LOADS = """
import pathlib

pathlib.Path({canary!r}).mkdir(exist_ok=True)


class Tripled:
    def predict(self, model_input):
        return model_input["x"].to_numpy() * 3


def _load_pyfunc(path, config=None):
    return Tripled()
"""


@pytest.fixture
def foreign(pickled, tmp_path):
    """A directory with its own loader module, and a canary that shows when the module was imported."""
    name = f"foreign_{next(NUMBERS)}"
    (pickled / "code").mkdir()
    (pickled / "code" / f"{name}.py").write_text(LOADS.format(canary=str(tmp_path / "canary")))
    rewrite_pyfunc(pickled, loader_module=name, code="code")
    before, cached = list(sys.path), dict(sys.path_importer_cache)
    yield pickled, tmp_path / "canary", name
    sys.path[:] = before
    sys.modules.pop(name, None)
    for place in set(sys.path_importer_cache) - set(cached):
        del sys.path_importer_cache[place]


def test_a_foreign_loader_module_is_refused_without_leave_and_not_imported(foreign):
    directory, canary, name = foreign
    text = MAY_RUN_CODE.format("a model with code files")
    with pytest.raises(ModelNotTrustedError, match=f"pickled: {text}"):
        sparksig.load_model(directory)
    with pytest.raises(ModelNotTrustedError, match=f"pickled: {text}"):
        sparksig.load_model(directory, trusted_types=[name, f"{name}.Tripled", "builtins.object"])
    rewrite_pyfunc(directory, code=None)  # it could still come from the installed packages
    text = MAY_RUN_CODE.format(f"a model with the loader module '{name}'")
    with pytest.raises(ModelNotTrustedError, match=f"pickled: {text}"):
        sparksig.load_model(directory)
    assert name not in sys.modules
    assert not any("pickled" in entry for entry in sys.path)
    assert not canary.exists()


def test_a_foreign_loader_module_is_imported_with_leave(foreign):
    directory, canary, _ = foreign
    model = sparksig.load_model(directory, allow_pickle=True)
    assert canary.exists()
    assert same_bits(model.predict(FRAME), FRAME["x"] * 3)


def test_a_foreign_loader_module_is_imported_when_it_is_pinned(foreign):
    directory, canary, _ = foreign
    before = content(directory)
    pinned = digest(directory)
    assert same_bits(sparksig.load_model(directory, digest=pinned).predict(FRAME), FRAME["x"] * 3)
    assert canary.exists()
    assert content(directory) == before  # no bytecode, which would change the digest


@pytest.mark.parametrize(
    ("loader", "text"),
    [
        (
            "mlflow.pyfunc.no_such_loader",
            "there is no loader module 'mlflow.pyfunc.no_such_loader', neither ",
        ),
        ("mlflow.sklearn.x", "there is no loader module 'mlflow.sklearn.x', neither "),
        (
            "no_such_loader",
            "there is no loader module 'no_such_loader', neither in the installed packages ",
        ),
        ("mlflow.pyfunc", "the loader module 'mlflow.pyfunc' has no function _load_pyfunc"),
        ("os", "the loader module 'os' has no function _load_pyfunc"),
    ],
)
def test_other_loader_modules_need_leave_and_have_to_load(pickled, loader, text):
    directory = rewrite_pyfunc(copy_of(pickled), loader_module=loader)
    message = MAY_RUN_CODE.format(f"a model with the loader module '{re.escape(loader)}'")
    with pytest.raises(ModelNotTrustedError, match=f"pickled: {message}"):
        sparksig.load_model(directory)
    error = MissingDependencyError if loader == "no_such_loader" else ModelError
    with pytest.raises(error, match=f"pickled: {re.escape(text)}"):
        sparksig.load_model(directory, allow_pickle=True)


@pytest.mark.parametrize(
    "loader",
    ["", None, 5, ["mlflow.sklearn"], {"mlflow.sklearn": 1}, "a b", "os;", "..os", "os.", "/os", "os\n"],
)
@pytest.mark.parametrize("trust", [{}, {"allow_pickle": True}], ids=["default", "allow_pickle"])
def test_a_loader_module_is_a_name(pickled, loader, trust):
    directory = rewrite_pyfunc(copy_of(pickled), loader_module=loader)
    text = f"pickled: loader_module: expected the name of a module, got {re.escape(repr(loader))}$"
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(directory, **trust)


OPENERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "lzma": lzma.compress}


@pytest.mark.parametrize(("compression", "compress"), OPENERS.items(), ids=OPENERS)
def test_a_compressed_pickle_needs_leave_as_any(pickled, tmp_path, compression, compress):
    directory = rewrite_pyfunc(copy_of(pickled), python_model_compression=compression)
    file = _pickle_of(directory)
    file.write_bytes(compress(file.read_bytes()))
    with pytest.raises(ModelNotTrustedError, match=MAY_RUN_CODE.format("a pickled PythonModel")):
        sparksig.load_model(directory)
    model = sparksig.load_model(directory, allow_pickle=True)
    assert same_bits(model.predict(FRAME), FRAME["x"] * 2)
    assert same_bits(sparksig.load_model(directory, digest=digest(directory)).predict(FRAME), FRAME["x"] * 2)


@pytest.mark.parametrize("damage", ["truncated", "empty", "not compressed"])
@pytest.mark.parametrize(("compression", "compress"), OPENERS.items(), ids=OPENERS)
def test_a_damaged_compressed_pickle_is_named(pickled, tmp_path, compression, compress, damage):
    directory = rewrite_pyfunc(copy_of(pickled), python_model_compression=compression)
    file = _pickle_of(directory)
    content = compress(file.read_bytes())
    file.write_bytes(
        {
            "truncated": content[:-9],
            "empty": b"",
            "not compressed": pickle.dumps(Canary(tmp_path / "canary")),
        }[damage]
    )
    with pytest.raises(ModelDamagedError, match=r"python_model\.pkl cannot be unpickled: \w+"):
        sparksig.load_model(directory, allow_pickle=True)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("compression", ["zstd", "", "GZIP", 5, True, ["gzip"], {"gzip": 1}])
def test_an_unknown_compression_is_refused(pickled, compression):
    directory = rewrite_pyfunc(copy_of(pickled), python_model_compression=compression)
    what = re.escape(repr(compression))
    text = rf"pickled: python_model_compression: expected one of gzip, bzip2, lzma, got {what}$"
    with pytest.raises(UnsupportedError, match=text):
        sparksig.load_model(directory, allow_pickle=True)


@pytest.mark.parametrize("name", ["pickled", "skopsed"])
def test_code_files_of_each_model_need_permission(pickled, skopsed, tmp_path, name):
    directory = copy_of({"pickled": pickled, "skopsed": skopsed}[name])
    (directory / "code").mkdir()
    (directory / "code" / "unused_code_of_a_model.py").write_text("raise SystemExit('imported')\n")
    rewrite_pyfunc(directory, code="code")
    before = list(sys.path)
    with pytest.raises(
        ModelNotTrustedError, match=f"{name}: {MAY_RUN_CODE.format('a model with code files')}"
    ):
        sparksig.load_model(directory)
    assert sys.path == before
    try:  # it makes the modules importable, no more
        assert sparksig.load_model(directory, allow_pickle=True).path == directory
        assert str(directory / "code") in sys.path
        assert "unused_code_of_a_model" not in sys.modules
    finally:
        sys.path[:] = before


@pytest.mark.parametrize("code", ["nothing", "../code", "/etc", ["code"], 5])
def test_code_files_that_are_not_there_are_damage(skopsed, code):
    directory = rewrite_pyfunc(copy_of(skopsed), code=code)
    (directory.parent / "code").mkdir()
    before = list(sys.path)
    text = "is missing$|leads out of the model directory$|expected a path in the model directory, got"
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(directory, allow_pickle=True)
    assert sys.path == before


def test_what_the_flavor_of_an_estimator_says_of_code_is_nothing_to_the_generic_one(skopsed):
    """A loader adds the code of the generic flavor only, as in MLflow."""
    rewrite(skopsed, lambda config: config["flavors"]["sklearn"].update(code="nothing"))
    data, _ = diabetes()
    assert len(sparksig.load_model(skopsed).predict(data)) == len(data)


@pytest.mark.parametrize(
    "name", ["fit", "score", "__init__", "set_params", 5, True, ["predict"], {"predict": 1}]
)
def test_only_methods_that_predict_are_called(skopsed, name):
    names = "predict, predict_proba, predict_log_proba, predict_joint_log_proba, decision_function, transform"
    text = re.escape(f"skopsed: method: expected one of {names}, got {name!r}")
    directory = copy_of(skopsed)
    with pytest.raises(UnsupportedError, match=f"{text}$"):
        sparksig.load_model(directory, method=name)
    rewrite_pyfunc(directory, predict_fn=name)
    with pytest.raises(UnsupportedError, match=f"{text}$"):
        sparksig.load_model(directory)
    assert sparksig.load_model(directory, method="predict").path == directory


@pytest.mark.parametrize("name", ["", None])
def test_a_directory_that_names_no_method_means_predict(skopsed, name):
    data, _ = diabetes()
    directory = rewrite_pyfunc(copy_of(skopsed), predict_fn=name)
    expected = sparksig.load_model(skopsed).predict(data)
    assert same_bits(sparksig.load_model(directory).predict(data), expected)


def test_a_method_that_the_estimator_lacks_is_an_error_that_says_what_it_has(skopsed):
    text = r"LinearRegression has no prediction method 'predict_proba' \(it has: predict\)$"
    with pytest.raises(ModelError, match=text):
        sparksig.load_model(skopsed, method="predict_proba")
    rewrite_pyfunc(skopsed, predict_fn="predict_proba")
    with pytest.raises(ModelError, match=text):
        sparksig.load_model(skopsed)


# --- damaged files --------------------------------------------------------------------------------------


def test_a_truncated_pickle_is_damage(pickled):
    file = _pickle_of(unsealed(pickled))
    content = file.read_bytes()
    for length in [*range(0, len(content), 11), len(content) - 1]:
        file.write_bytes(content[:length])
        with pytest.raises(ModelDamagedError, match=r"python_model\.pkl cannot be unpickled: \w+"):
            sparksig.load_model(pickled, allow_pickle=True)


@pytest.mark.parametrize("form", ["pickle", "cloudpickle"])
def test_a_truncated_estimator_is_damage(tmp_path, form):
    requirements = ["scikit-learn"]
    mlflow.sklearn.save_model(
        linear(), str(tmp_path / "m"), serialization_format=form, pip_requirements=requirements
    )
    file = tmp_path / "m" / "model.pkl"
    content = file.read_bytes()
    for length in [*range(0, len(content), 17), len(content) - 1]:
        file.write_bytes(content[:length])
        with pytest.raises(ModelDamagedError, match=r"model\.pkl cannot be read: \w+"):
            sparksig.load_model(tmp_path / "m", allow_pickle=True)


def test_a_truncated_skops_file_is_damage(skopsed):
    file = unsealed(skopsed) / "model.skops"
    content = file.read_bytes()
    for length in [*range(0, len(content), len(content) // 40), len(content) - 1]:
        file.write_bytes(content[:length])
        with pytest.raises(ModelDamagedError, match=r"model\.skops is not a skops file: \w+"):
            sparksig.load_model(skopsed)


def test_a_skops_file_with_flipped_bits_is_read_or_refused(skopsed):
    file = unsealed(skopsed) / "model.skops"
    content = file.read_bytes()
    for position in random.Random(20260101).sample(range(8 * len(content)), 150):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        file.write_bytes(flipped)
        with contextlib.suppress(ModelDamagedError, ModelNotTrustedError):
            sparksig.load_model(skopsed)


def _zip(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


NOT_SKOPS = {
    "empty": b"",
    "empty-zip": _zip(),
    "other-zip": _zip(a="b"),
    "schema-not-json": _zip(**{"schema.json": "{"}),
    "schema-a-list": _zip(**{"schema.json": "[]"}),
    "schema-empty": _zip(**{"schema.json": "{}"}),
    "no-loader": _zip(
        **{"schema.json": '{"__class__": "a", "__module__": "b", "__loader__": "c", "protocol": 2}'}
    ),
    "a-pickle": pickle.dumps([1]),
}


@pytest.mark.parametrize("data", NOT_SKOPS.values(), ids=NOT_SKOPS)
def test_what_is_not_a_skops_file_is_damage(skopsed, data):
    (unsealed(skopsed) / "model.skops").write_bytes(data)
    with pytest.raises(ModelDamagedError, match=r"model\.skops is not a skops file: \w+"):
        sparksig.load_model(skopsed)


def test_a_skops_file_that_holds_no_estimator_is_damage(skopsed):
    skops.io.dump({"a": 1}, unsealed(skopsed) / "model.skops")
    with pytest.raises(ModelError, match=r"dict has no prediction method 'predict' \(it has: none\)$"):
        sparksig.load_model(skopsed)


@pytest.mark.parametrize("value", [None, 5, {"predict": 1}, linear, object, Doubled])
def test_a_pickle_that_holds_no_python_model_is_damage(pickled, value):
    _pickle_of(unsealed(pickled)).write_bytes(pickle.dumps(value))
    what = "None" if value is None else f"a value of type {type(value).__name__}"
    text = rf"python_model\.pkl: expected a PythonModel, got {what}$"
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(pickled, allow_pickle=True)


@pytest.mark.parametrize(
    "artifacts",
    [
        ["a"],
        "a",
        5,
        {"a": None},
        {"a": "file"},
        {"a": {}},
        {"a": {"path": None}},
        {"a": {"path": "../x"}},
        {"a": {"path": "/etc/passwd"}},
        {"a": {"path": "nothing"}},
    ],
)
def test_invalid_artifacts_are_damage(tmp_path, artifacts):
    home = fresh(tmp_path)
    _ours(home / "m", home / "canary")
    rewrite_pyfunc(home / "m", artifacts=artifacts)
    text = (
        "m: artifacts: expected a mapping of names to entries with a path|expected a path in the "
        "model directory, got|"
        "is missing$|leads out of the model directory$"
    )
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(home / "m", allow_pickle=True)
    assert not (home / "canary").exists()


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ("abc", "'abc', which MLmodel names, is missing$"),
        ("../abc", r"the path '\.\./abc' leads out of the model directory$"),
        ("MLmodel-as-config", "pickled: the model's config: expected a mapping, got a value of type list$"),
        (5, "pickled: the model's config: expected a mapping, got a value of type int$"),
        ([1], "pickled: the model's config: expected a mapping, got a value of type list$"),
    ],
)
def test_an_invalid_model_config_is_damage(pickled, config, text):
    directory = rewrite_pyfunc(copy_of(pickled), config=config)
    (directory / "MLmodel-as-config").write_text("[1]")
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(directory, allow_pickle=True)


# --- the gate itself ------------------------------------------------------------------------------------


def test_the_gate_is_closed_by_default(pickled):
    directory = ModelDirectory.read(pickled)
    gate = Trust()
    assert gate == Trust(allow_pickle=False, digest=None, trusted_types=())
    assert gate.verify(directory) is directory
    gate.require_types(directory, [])
    with pytest.raises(ModelNotTrustedError, match=MAY_RUN_CODE.format("this")):
        gate.require_code(directory, "this")
    with pytest.raises(ModelNotTrustedError, match=_refusal(["a.B", "c.D"])):
        gate.require_types(directory, ["c.D", "a.B", "c.D"])


def test_the_gate_opens_for_what_the_caller_names(pickled):
    directory = ModelDirectory.read(pickled)
    Trust(allow_pickle=True).require_code(directory, "this")
    pinned = Trust(digest=digest(pickled))
    assert pinned.verify(directory) == replace(directory, digests=hash_files(pickled))
    pinned.require_code(directory, "this")
    Trust(trusted_types=("a.B",)).require_types(directory, ["a.B"])
    with pytest.raises(ModelDamagedError, match="differs from the pinned digest"):
        Trust(allow_pickle=True, digest="0" * 64).verify(directory)


@pytest.mark.parametrize("pinned", ["", "x", 5, "0" * 63, "0" * 65, "g" * 64, b"0" * 64])
def test_an_invalid_digest_is_reported(pinned):
    with pytest.raises(
        ModelError,
        match=r"^digest: expected 64 hexadecimal digits, got something else\. Compute it with "
        r"sparksig\.digest\(path\)",
    ):
        Trust(digest=pinned)


def test_a_digest_may_be_written_in_capitals(pickled):
    assert sparksig.load_model(pickled, digest=digest(pickled).upper()).signature is not None


def test_a_gate_cannot_be_opened_afterwards():
    with pytest.raises(AttributeError):
        Trust().allow_pickle = True


def test_a_python_model_is_no_estimator(tmp_path):
    class Both(BaseEstimator, PythonModel):
        def predict(self, model_input):
            return np.ones(len(model_input))

    sparksig.save_model(tmp_path / "m", Both())
    with pytest.raises(ModelNotTrustedError, match="a pickled PythonModel"):
        sparksig.load_model(tmp_path / "m")
