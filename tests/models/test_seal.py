"""The seal detects damage; another signature replaces the old one completely or not at all."""

from __future__ import annotations

import contextlib
import datetime
import io
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings

import mlflow.models
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsRegressor

import sparksig
from sparksig import (
    ColSpec,
    ContractError,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    ModelSignature,
    Schema,
)
from sparksig.errors import SignatureTypeError
from sparksig.models import directory as directory_module
from sparksig.models import seal as seal_module
from sparksig.models.directory import ModelDirectory, replace_mlmodel, write_seal
from sparksig.models.info import ExampleMismatchWarning
from sparksig.models.seal import SEAL, check_seal, digest, format_seal, hash_files
from sparksig.models.trust import Trust
from tests import strategies
from tests.models.helpers import ONE_DOUBLE, SIGNATURE, Doubled, content, linear, unsealed

pytestmark = pytest.mark.slow

OTHER = ModelSignature(Schema([ColSpec("float", "x")]), ONE_DOUBLE)
MINIMAL = b"flavors: {}\n"
HINT = (
    r"\. Change a signature with sparksig\.set_signature, which updates the seal\. If you made another "
    rf"change yourself, remove {SEAL}$"
)
PINNED = ["scikit-learn"]  # spares MLflow from finding out
ODD_NAMES = [
    b"a\nb",
    b"\n",
    b"a\\b",
    b"a\\nb",
    b"\\",
    b"a\rb",
    b" a",
    b"a ",
    b"  ",
    b"*a",
    b"# a",
    b"-c",
    b"a\tb",
    "é".encode(),
    "\u2028\x85".encode(),
    "雪/雪".encode(),
    b"sub \\ dir/a\nb",
    b"'",
    b'"',
    b"\x0b\x0c\x1c",
]


def _lay(root, files):
    """A directory with these files."""
    for name, data in files.items():
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    return root


def _sealed(root, files=()):
    _lay(root, {"MLmodel": MINIMAL, **dict(files)})
    write_seal(root)
    return root


def _verify(root):
    """Verify a directory as every load does."""
    return Trust().verify(ModelDirectory.read(root))


def _sha256sum(root):
    return subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", SEAL], cwd=root, capture_output=True, check=False
    )


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A small sealed model; tests take copies."""
    home = tmp_path_factory.mktemp("origin") / "m"
    sparksig.save_model(home, Doubled(), SIGNATURE, metadata={"a": [1, None]})
    return home


@pytest.fixture
def model(origin, tmp_path):
    shutil.copytree(origin, tmp_path / "at" / "m")
    return tmp_path / "at" / "m"


def _both(home):
    """The contents of a model before and after it got the other signature."""
    before = content(home)
    sparksig.set_signature(home, OTHER)
    return before, content(home)


# --- messages of the seal ---------------------------------------------------------------------------------


def test_a_saved_model_is_sealed_as_sha256sum_reads_it(origin):
    ran = _sha256sum(origin)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_sha256sum_agrees_for_odd_names_of_files(tmp_path):
    files = {name: b"content of %d" % index for index, name in enumerate(ODD_NAMES)}
    _sealed(tmp_path / "m", files)
    ran = _sha256sum(tmp_path / "m")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    _verify(tmp_path / "m")
    for name in ODD_NAMES:
        _lay(tmp_path / "m", {name: b"changed"})
        with pytest.raises(ModelDamagedError, match=r"m: changed or missing since the model was sealed: "):
            _verify(tmp_path / "m")
        _lay(tmp_path / "m", {name: files[name]})
    _verify(tmp_path / "m")
    for name in ODD_NAMES:
        _lay(tmp_path / "m", {name: b"changed"})
    ran = _sha256sum(tmp_path / "m")
    assert ran.stderr.endswith(b"%d computed checksums did NOT match\n" % len(ODD_NAMES))


@pytest.mark.parametrize(
    ("name", "expected"), [(b"a\nb", r"'a\nb'"), (b"a\\b", r"'a\\b'"), ("é".encode(), "'é'")]
)
def test_a_damaged_file_is_named_as_it_is_called(tmp_path_factory, name, expected):
    root = _sealed(tmp_path_factory.mktemp("odd") / "m", {name: b"1"})
    _lay(root, {name: b"2"})
    with pytest.raises(ModelDamagedError, match=f"sealed: {re.escape(expected)}{HINT}"):
        _verify(root)


characters = st.characters(codec="utf-8", exclude_characters="/\0")
names = (
    st.text(characters, min_size=1, max_size=6)
    .map(str.encode)
    .filter(lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..", SEAL.encode()))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(names, st.binary(max_size=4), max_size=6))
def test_a_change_of_any_sealed_file_is_reported(tmp_path, files):
    shutil.rmtree(tmp_path / "m", ignore_errors=True)
    (tmp_path / "m").mkdir()
    root = _lay(tmp_path / "m", {os.fsdecode(name): data for name, data in files.items()})
    before = hash_files(root)
    write_seal(root)
    assert hash_files(root) == before  # the seal does not list itself
    check_seal(root, before)
    for name in before:
        for other in ({**before, name: "0" * 64}, {k: v for k, v in before.items() if k != name}):
            with pytest.raises(ModelDamagedError, match="changed or missing since the model was sealed"):
                check_seal(root, other)
    check_seal(root, {**before, "one more": "0" * 64})


@pytest.mark.parametrize("read", [digest, write_seal, _verify, sparksig.load_model])
def test_file_name_that_is_not_utf8_is_refused(tmp_path, read):
    root = _sealed(tmp_path / "m")
    _lay(root, {os.fsdecode(b"r\xe9sum\xe9.txt"): b"1"})
    with pytest.raises(
        ModelDamagedError, match=r"m/r\\udce9sum\\udce9\.txt: the name of a file in a model must be"
    ):
        read(root)


def test_sealing_leaves_the_digest_as_it_is(model):
    before = digest(model)
    unsealed(model)
    assert digest(model) == before
    write_seal(model)
    assert digest(model) == before
    (model / SEAL).write_bytes(b"anything")
    assert digest(model) == before


def test_a_file_called_like_the_seal_deeper_down_is_one_of_the_files(tmp_path):
    root = _sealed(tmp_path / "m", {f"sub/{SEAL}": b"1"})
    before = digest(root)
    _lay(root, {f"sub/{SEAL}": b"2"})
    assert digest(root) != before
    with pytest.raises(ModelDamagedError, match=f"sealed: 'sub/{SEAL}'"):
        _verify(root)


def test_files_beside_the_sealed_ones_do_not_matter(model):
    _lay(model, {"new": b"1", "sub/.hidden": b"2", "__pycache__/x.pyc": b"3"})
    assert sparksig.load_model(model, allow_pickle=True).signature == SIGNATURE


@pytest.mark.parametrize(
    "read",
    [
        lambda path: sparksig.load_model(path, allow_pickle=True),
        sparksig.load_input_example,
        lambda path: sparksig.set_signature(path, OTHER),
    ],
    ids=["load_model", "load_input_example", "set_signature"],
)
def test_files_that_are_missing_or_changed_are_named(model, read):
    (model / "conda.yaml").unlink()
    (model / "requirements.txt").write_text("other")
    text = (
        f"{re.escape(str(model))}: changed or missing since the model was sealed: "
        rf"'conda\.yaml', 'requirements\.txt'{HINT}"
    )
    with pytest.raises(ModelDamagedError, match=f"^{text}"):
        read(model)


def test_of_many_damaged_files_the_first_are_named(tmp_path):
    root = _sealed(tmp_path / "m", {f"f{number}": b"1" for number in range(9)})
    for number in range(8):
        (root / f"f{number}").unlink()
    with pytest.raises(ModelDamagedError, match=f"sealed: 'f0', 'f1', 'f2', 'f3', 'f4' and 3 more{HINT}"):
        _verify(root)
    _lay(root, {"f5": b"1", "f6": b"1", "f7": b"1"})
    with pytest.raises(ModelDamagedError, match=f"sealed: 'f0', 'f1', 'f2', 'f3', 'f4'{HINT}"):
        _verify(root)


def test_a_renamed_file_is_missing(model):
    (model / "conda.yaml").rename(model / "conda.yml")
    with pytest.raises(ModelDamagedError, match=rf"sealed: 'conda\.yaml'{HINT}"):
        _verify(model)


def test_two_files_that_swapped_places_are_damage(tmp_path):
    root = _sealed(tmp_path / "m", {"a": b"1", "b": b"2"})
    _lay(root, {"a": b"2", "b": b"1"})
    with pytest.raises(ModelDamagedError, match="sealed: 'a', 'b'"):
        _verify(root)


def test_each_flipped_byte_of_a_sealed_model_is_reported(tmp_path):
    files = {"f": b"some content", "sub/g": b"\0\1", "MLmodel": b"flavors: {a: {b: 1}}\n"}
    root = _sealed(tmp_path / "m", files)
    for name in [*files, SEAL]:
        content = (root / name).read_bytes()
        for offset in range(len(content)):
            flipped = bytearray(content)
            flipped[offset] ^= 1 << offset % 8
            (root / name).write_bytes(flipped)
            with pytest.raises(ModelDamagedError):
                _verify(root)
        (root / name).write_bytes(content)
    _verify(root)


def test_each_missing_byte_of_a_sealed_model_is_reported(tmp_path):
    files = {"f": b"some content", "sub/g": b"\0\1", "MLmodel": b"flavors: {a: {b: 1}}\n"}
    root = _sealed(tmp_path / "m", files)
    for name in [*files, SEAL]:
        content = (root / name).read_bytes()
        for length in range(len(content)):
            for damaged in (
                content[:length],
                content[length + 1 :],
                content[:length] + content[length + 1 :],
            ):
                if damaged != content:
                    (root / name).write_bytes(damaged)
                    with pytest.raises(ModelDamagedError):
                        _verify(root)
        (root / name).write_bytes(content)
    _verify(root)


DAMAGED_SEALS = {
    "empty": b"",
    "one-line": b"# " + b"0" * 64 + b"\n",
    "no-last-line": format_seal({"MLmodel": "0" * 64}).splitlines(keepends=True)[0],
    "twice": format_seal({}) * 2,
    "windows": format_seal({"MLmodel": "0" * 64}).replace(b"\n", b"\r\n"),
    "yaml": b"a: 1\n",
    "all-bytes": bytes(range(256)),
}


@pytest.mark.parametrize("data", DAMAGED_SEALS.values(), ids=DAMAGED_SEALS)
def test_a_damaged_seal_is_reported(model, data):
    (model / SEAL).write_bytes(data)
    text = f"{re.escape(str(model / SEAL))} is damaged: its last line is not the digest of the lines above$"
    with pytest.raises(ModelDamagedError, match=f"^{text}"):
        sparksig.load_model(model, allow_pickle=True)


def test_a_seal_that_is_a_link_is_damage(model):
    (model / SEAL).rename(model.parent / "seal")
    (model / SEAL).symlink_to(model.parent / "seal")
    with pytest.raises(
        ModelDamagedError, match=f"{SEAL}: expected a file or a directory, got something else"
    ):
        sparksig.load_model(model, allow_pickle=True)


def test_a_model_without_a_seal_is_taken_as_it_is(model):
    _lay(unsealed(model), {"conda.yaml": b"other"})
    assert sparksig.load_model(model, allow_pickle=True).signature == SIGNATURE


def test_the_seal_is_no_trust(model):
    """An attacker who can change a file can seal the directory again."""
    with pytest.raises(sparksig.ModelNotTrustedError):
        sparksig.load_model(model)


# --- opening, and private copies --------------------------------------------------------------------------


def _pinned(home):
    return Trust(digest=digest(home)).verify(ModelDirectory.read(home))


@pytest.fixture(params=[2**26, -1], ids=["in memory", "on disk"])
def memory_limit(request, monkeypatch):
    monkeypatch.setattr(directory_module, "_MEMORY_BYTES", request.param)


@pytest.mark.parametrize("name", ["conda.yaml", "new"], ids=["changed", "new"])
@pytest.mark.usefixtures("memory_limit")
def test_a_pinned_directory_opens_only_pinned_content(model, name):
    directory = _pinned(model)
    file = model / "conda.yaml"
    with directory.open(file) as stream:
        assert stream.read() == file.read_bytes()
    file.write_bytes(b"other")
    _lay(model, {"new": b"1"})
    text = f"^{re.escape(str(model))}: changed after its content was verified: {re.escape(name)}$"
    with pytest.raises(ModelDamagedError, match=text):
        directory.open(model / name)


@pytest.mark.usefixtures("memory_limit")
@pytest.mark.parametrize("open_directory", [_pinned, ModelDirectory.read], ids=["pinned", "not pinned"])
def test_open_copy_does_not_see_later_changes(model, open_directory):
    file = model / "conda.yaml"
    before = file.read_bytes()
    with open_directory(model).open_copy(file) as stream:
        with file.open("r+b") as other:
            other.write(b"other")
        assert stream.read() == before
    assert file.read_bytes() != before


def test_large_file_is_copied_to_memory_if_the_disk_is_full(model, monkeypatch):
    monkeypatch.setattr(directory_module, "_MEMORY_BYTES", -1)
    full = shutil.disk_usage(model)._replace(free=0)
    monkeypatch.setattr(directory_module.shutil, "disk_usage", lambda path: full)
    with _pinned(model).open(model / "conda.yaml") as stream:
        assert isinstance(stream, io.BytesIO)
        assert stream.read() == (model / "conda.yaml").read_bytes()


class Weights(sparksig.PythonModel):
    """100 MB of weights."""

    def __init__(self):
        self.weights = np.random.default_rng(0).random(100 * 2**17)

    def predict(self, model_input):
        return model_input["x"] * self.weights[0]


_MEASURE_LOADING = """
import re, sys
import skops.io, sklearn.neighbors, sparksig, tests.models.test_seal

def read_memory(name):
    with open("/proc/self/status") as file:
        return int(re.search(rf"{name}:\\s*(\\d+) kB", file.read())[1])

sparksig.load_model
before = read_memory("VmRSS")
sparksig.load_model(sys.argv[1], digest=sparksig.digest(sys.argv[1]))
print(read_memory("VmHWM") - before)  # the peak of getrusage would include that of the parent
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the memory of Linux")
@pytest.mark.parametrize(
    ("make_model", "most"),
    [
        pytest.param(Weights, 1.4, id="pickle"),
        pytest.param(
            lambda: KNeighborsRegressor(algorithm="brute").fit(np.ones((50 * 2**17, 1)), np.ones(50 * 2**17)),
            1.8,
            id="skops",  # all arrays are read from the file before the first is built
        ),
    ],
)
def test_loading_a_pinned_model_needs_little_more_memory_than_the_model(tmp_path, make_model, most):
    sparksig.save_model(tmp_path / "model", make_model(), SIGNATURE)
    command = [sys.executable, "-c", _MEASURE_LOADING, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 100_000 < int(done.stdout) < most * 102_400


def test_missing_files_of_a_pinned_directory_are_reported(model):
    directory = _pinned(model)
    (model / "conda.yaml").unlink()
    with pytest.raises(ModelDamagedError, match=r"verified: conda\.yaml$|conda\.yaml is not a file$"):
        directory.open(model / "conda.yaml")


def test_a_directory_that_is_not_pinned_is_its_own_snapshot(model):
    directory = ModelDirectory.read(model)
    assert directory.snapshot() is directory


def test_a_snapshot_is_private_and_goes_with_its_object(model, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    _lay(model, {"new": b"1", "sub/x": b"2"})
    directory = _pinned(model)
    copy = directory.snapshot()
    assert copy.path.parent == tmp_path / "tmp"
    assert copy.path.stat().st_mode & 0o777 == 0o700
    expected = content(model)
    del expected[SEAL]
    assert content(copy.path) == expected
    shutil.rmtree(model)
    assert copy.resolve_member("MLmodel").is_file()
    del copy
    assert content(tmp_path / "tmp") == {}


def _remove(file):
    file.unlink()


def _change(file):
    file.write_bytes(b"other")


def _shorten(file):
    file.write_bytes(file.read_bytes()[:-1])


def _link_away(file):
    shutil.copy(file, file.parent.parent / "outside")
    file.write_bytes(b"")
    file.unlink()
    file.symlink_to("../elsewhere")


def _make_directory(file):
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("change", [_remove, _change, _shorten, _link_away, _make_directory])
def test_a_snapshot_of_what_changed_meanwhile_is_refused_and_leaves_nothing(tmp_path_factory, origin, change):
    home = tmp_path_factory.mktemp("snapshot")
    shutil.copytree(origin, home / "m")
    directory = _pinned(home / "m")
    change(home / "m" / "python_model.pkl")
    (home / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(home / "tmp"))
        with pytest.raises(
            ModelDamagedError, match=r"changed after its content was verified: python_model\.pkl$"
        ):
            directory.snapshot()
    assert content(home / "tmp") == {}


# --- another MLmodel --------------------------------------------------------------------------------------


def test_another_signature_takes_the_place_of_the_old_one(model):
    before = content(model)
    pinned = digest(model)
    assert sparksig.set_signature(model, OTHER) is None
    after = content(model)
    assert {name for name in after if after[name] != before.get(name)} == {"MLmodel", SEAL}
    assert before.keys() == after.keys()
    assert [path.name for path in model.parent.iterdir()] == ["m"]
    assert digest(model) != pinned
    assert _sha256sum(model).returncode == 0
    loaded = sparksig.load_model(model, allow_pickle=True)
    assert loaded.signature == OTHER
    with pytest.raises(ContractError, match="expected float, got double"):
        loaded.predict(pd.DataFrame({"x": [0.5]}))


def test_another_signature_leaves_all_else_in_mlmodel_as_it_is(model):
    more = {
        "of_mine": {"a": [1, 2.5, None, True, "yes", "1e3", ""], 5: "five", "é\n": [[], {}]},
        "when": datetime.datetime(2020, 1, 2, 3, 4, 5, 6),
        "day": datetime.date(2020, 1, 2),
        "raw": b"\0\xff",
        "infinity": math.inf,
        "large": 2**70,
        "shared": [1],
    }
    more["again"] = more["shared"]
    file = unsealed(model) / "MLmodel"
    config = yaml.safe_load(file.read_text()) | more
    config["flavors"]["python_function"]["of_mine"] = [{"a": None}]
    config["flavors"]["unknown"] = None
    file.write_text(yaml.safe_dump(config))
    sparksig.set_signature(model, OTHER)
    changed = yaml.safe_load(file.read_text())
    assert changed.pop("signature") == OTHER.to_dict()
    del config["signature"]
    assert changed == config


def test_keys_that_cannot_be_sorted_survive_as_well(model):
    file = unsealed(model) / "MLmodel"
    file.write_text(file.read_text() + "mixed: {1: a, b: c, null: d}\n")
    sparksig.set_signature(model, OTHER)
    assert yaml.safe_load(file.read_text())["mixed"] == {1: "a", "b": "c", None: "d"}


def _mlflow_python(path):
    def doubled(model_input: list[float]) -> list[float]:
        return [value * 2 for value in model_input]

    mlflow.pyfunc.save_model(str(path), python_model=doubled, pip_requirements=["numpy"], input_example=[1.5])


def _mlflow_sklearn(path):
    mlflow.sklearn.save_model(
        linear(),
        str(path),
        pip_requirements=PINNED,
        metadata={"owner": "me"},
        serialization_format="cloudpickle",
    )


@pytest.mark.parametrize("save", [_mlflow_python, _mlflow_sklearn])
def test_mlflows_directories_get_another_signature_and_a_seal(tmp_path_factory, save):
    home = tmp_path_factory.mktemp("mlflow") / "m"
    with warnings.catch_warnings(record=True):  # MLflow's own
        save(home)
    before, old = content(home), ModelDirectory.read(home)
    columns = Schema([ColSpec("double", "bmi"), ColSpec("double", "bp")])
    new = ModelSignature(columns, Schema([ColSpec("double")]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExampleMismatchWarning)
        sparksig.set_signature(home, new)
    after = content(home)
    assert {name for name in after if after[name] != before.get(name)} == {"MLmodel", SEAL}
    changed = dict(ModelDirectory.read(home).config)
    expected = {
        **old.config,
        "signature": new.to_dict(),
        "is_signature_from_type_hint": False,
        "type_hint_from_example": False,
    }
    assert changed == expected
    assert mlflow.models.get_model_info(str(home)).signature.to_dict() == new.to_dict()
    assert mlflow.models.Model.load(str(home)).signature.to_dict() == new.to_dict()
    assert _sha256sum(home).returncode == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(signature=strategies.signatures())
def test_any_signature_comes_back(model, signature):
    sparksig.set_signature(model, signature)
    assert sparksig.get_model_info(model).signature == signature
    _verify(model)


def test_the_mode_of_mlmodel_stays(model):
    (model / "MLmodel").chmod(0o640)
    unsealed(model)
    before = os.umask(0o027)
    try:
        sparksig.set_signature(model, OTHER)
    finally:
        os.umask(before)
    assert (model / "MLmodel").stat().st_mode & 0o777 == 0o640
    assert (model / SEAL).stat().st_mode & 0o777 == 0o640


def test_a_link_to_a_model_and_a_relative_path_are_followed(model, monkeypatch):
    (model.parent / "latest").symlink_to("m")
    sparksig.set_signature(model.parent / "latest", OTHER)
    assert ModelDirectory.read(model).signature == OTHER
    assert (model.parent / "latest").is_symlink()
    monkeypatch.chdir(model.parent)
    sparksig.set_signature("m", SIGNATURE)
    monkeypatch.chdir(model)
    sparksig.set_signature(".", OTHER)
    assert ModelDirectory.read(model).signature == OTHER
    assert sorted(path.name for path in model.parent.iterdir()) == ["latest", "m"]
    sparksig.set_signature(f"file://{model}", SIGNATURE)
    assert ModelDirectory.read(model).signature == SIGNATURE


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (None, "None"),
        ("double", "a value of type str"),
        (SIGNATURE.to_dict(), "a value of type dict"),
        (Schema([ColSpec("double", "x")]), "a value of type Schema"),
    ],
    ids=["none", "text", "dictionary", "schema"],
)
def test_another_value_than_a_signature_is_refused(model, wrong, kind):
    before = content(model)
    with pytest.raises(SignatureTypeError, match=f"^signature must be a ModelSignature, not {kind}$"):
        sparksig.set_signature(model, wrong)
    assert content(model) == before


X_ALONE = Schema([ColSpec("double", "x")])


@pytest.mark.parametrize("uri", [None, 5, ["m"], b"m"])
def test_what_is_no_path_is_refused(uri):
    with pytest.raises(
        ModelError, match=rf"^the model: expected a path or a URI, got a value of type {type(uri).__name__}$"
    ):
        sparksig.set_signature(uri, OTHER)


def test_where_there_is_no_model_none_is_made(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"nothing'$"):
        sparksig.set_signature(tmp_path / "nothing", OTHER)
    with pytest.raises(ModelNotFoundError, match=r"it has no file MLmodel$"):
        sparksig.set_signature(tmp_path, OTHER)
    assert content(tmp_path) == {}


def test_a_damaged_directory_stays_as_it_is(model):
    def refused(text):
        before = content(model)
        with pytest.raises(ModelDamagedError, match=text):
            sparksig.set_signature(model, OTHER)
        assert content(model) == before

    (model / "python_model.pkl").write_bytes(b"other")
    refused(r"sealed: 'python_model\.pkl'")
    (model / SEAL).write_bytes(b"# other\n")
    refused("SHA256SUMS is damaged")
    (model / SEAL).unlink()
    (model / "link").symlink_to("MLmodel")
    refused("link: expected a file or a directory, got something else")
    (model / "link").unlink()
    (model / "MLmodel").write_bytes(b"flavors: [")
    refused("cannot read this YAML")


def test_an_mlmodel_that_somebody_changed_meanwhile_stays(model):
    directory = ModelDirectory.read(model)
    sparksig.set_signature(model, OTHER)
    before = content(model)
    with pytest.raises(
        ModelError,
        match=rf"^{re.escape(str(model))}: MLmodel was changed by another process meanwhile: nothing "
        r"was written\. Try again$",
    ):
        replace_mlmodel(directory, directory.config)
    assert content(model) == before


def test_what_cannot_be_kept_in_mlmodel_is_refused(model):
    directory, before = ModelDirectory.read(model), content(model)
    with pytest.raises(ModelError, match=r"^cannot write MLmodel: .*cannot represent an object"):
        replace_mlmodel(directory, {**directory.config, "a": object()})
    assert content(model) == before


@pytest.mark.parametrize("column", [ColSpec("long", "x"), ColSpec("double", "y")], ids=["type", "name"])
def test_a_signature_that_the_example_does_not_fit_is_set_with_a_warning(tmp_path, column):
    sparksig.save_model(tmp_path / "m", Doubled(), input_example=pd.DataFrame({"x": [0.1]}))
    signature = ModelSignature(Schema([column]), ONE_DOUBLE)
    text = rf"^{re.escape(str(tmp_path))}/m: the saved input example does not fit the new signature: "
    with pytest.warns(ExampleMismatchWarning, match=text) as caught:
        sparksig.set_signature(tmp_path / "m", signature)
    assert [warning.filename for warning in caught] == [__file__]
    assert sparksig.load_model(tmp_path / "m", allow_pickle=True).signature == signature


@pytest.mark.parametrize("side", ["inputs", "outputs"])
@pytest.mark.filterwarnings("error")
def test_a_signature_that_the_example_fits_is_set_without_a_warning(tmp_path, side):
    example = pd.DataFrame({"x": [0.1]})
    info = sparksig.save_model(tmp_path / "m", Doubled(), input_example=example)
    signature = info.signature if side == "inputs" else ModelSignature(outputs=ONE_DOUBLE)
    sparksig.set_signature(tmp_path / "m", signature)
    assert sparksig.load_model(tmp_path / "m", allow_pickle=True).signature == signature


def test_an_example_that_is_gone_is_warned_of(tmp_path):
    sparksig.save_model(tmp_path / "m", Doubled(), input_example=pd.DataFrame({"x": [0.1]}))
    (unsealed(tmp_path / "m") / "input_example.json").unlink()
    with pytest.warns(ExampleMismatchWarning, match=r"'input_example\.json', which MLmodel names"):
        sparksig.set_signature(tmp_path / "m", OTHER)


def test_type_hints_of_the_new_signature_are_kept(tmp_path):
    def doubled(model_input: list[float]) -> list[float]:
        return [value * 2 for value in model_input]

    sparksig.save_model(tmp_path / "m", doubled)
    hinted = sparksig.get_model_info(tmp_path / "m").signature
    sparksig.set_signature(tmp_path / "m", hinted)
    assert ModelDirectory.read(tmp_path / "m").config["is_signature_from_type_hint"] is True
    sparksig.set_signature(tmp_path / "m", ModelSignature(hinted.inputs, hinted.outputs))
    assert ModelDirectory.read(tmp_path / "m").config["is_signature_from_type_hint"] is False


def test_mlflow_reads_the_new_signature_and_the_seal_reports_a_change_by_mlflow(model):
    sparksig.set_signature(model, OTHER)
    assert mlflow.models.get_model_info(str(model)).signature.to_dict() == OTHER.to_dict()
    from mlflow.models import ModelSignature as TheirSignature

    mlflow.models.set_signature(str(model), TheirSignature.from_dict(SIGNATURE.to_dict()))
    text = f"changed or missing since the model was sealed: 'MLmodel'{HINT}"
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.load_model(model, allow_pickle=True)
    with pytest.raises(ModelDamagedError, match=text):
        sparksig.set_signature(model, OTHER)
    (model / SEAL).unlink()
    assert sparksig.load_model(model, allow_pickle=True).signature == SIGNATURE
    sparksig.set_signature(model, OTHER)
    assert sparksig.load_model(model, allow_pickle=True).signature == OTHER


# --- a crash at any point ---------------------------------------------------------------------------------


class Crash(BaseException):
    """Raised where a test says so."""


@pytest.fixture
def tiny(tmp_path):
    """A small sealed directory, and its contents before and after it got the other signature."""
    config = {"flavors": {"python_function": {}}, "signature": SIGNATURE.to_dict()}
    home = _sealed(tmp_path / "at" / "m", {"MLmodel": yaml.safe_dump(config).encode(), "file": b"1"})
    before, after = _both(home)
    _restore(home, before)
    return home, before, after


def _restore(home, before):
    for name in ("MLmodel", SEAL):
        (home / name).unlink(missing_ok=True)
        if name in before:
            (home / name).write_bytes(before[name])


def _is_old_or_new(home, before, after):
    """The signature that a directory now has; there is nothing else in it than the old or the new."""
    now = content(home)
    assert now.keys() - {SEAL} == before.keys() - {SEAL}
    assert all(now[name] == before[name] for name in before if name not in ("MLmodel", SEAL))
    assert now["MLmodel"] in (before["MLmodel"], after["MLmodel"])
    return _verify(home).signature


@contextlib.contextmanager
def _nth(number, act, *, killed=False):
    """Calls ``act`` before, or after, the n-th of all calls that change files."""
    calls, ours = [0], threading.get_ident()

    def counting(function, after=True):
        def call(*args, **kwargs):
            if threading.get_ident() != ours:  # MLflow's threads have files, too
                return function(*args, **kwargs)
            calls[0] += 1
            if calls[0] == number:
                act()
            result = function(*args, **kwargs)
            calls[0] += after
            if calls[0] == number:
                act()
            return result

        return call

    class Stream(io.BufferedWriter):
        def write(self, data):
            half = len(data) // 2
            calls[0] += 1
            if calls[0] == number:
                act()
            super().write(data[:half])
            calls[0] += 1
            if calls[0] == number:
                self.flush()
                act()
            return half + super().write(data[half:])

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "fsync", "chmod", "rename", "unlink"):
            patch.setattr(os, name, counting(getattr(os, name)))
        patch.setattr(
            os, "fdopen", counting(lambda handle, mode: Stream(io.FileIO(handle, mode)), after=killed)
        )
        patch.setattr(tempfile, "mkstemp", counting(tempfile.mkstemp, after=killed))
        yield


@pytest.mark.parametrize(("error", "sealed"), [(OSError, True), (OSError, False), (Crash, True)])
def test_an_error_at_any_call_leaves_the_old_or_the_new(tiny, error, sealed):
    home, before, after = tiny
    before = before if sealed else {name: data for name, data in before.items() if name != SEAL}

    def act():
        raise error("crash")

    number, received, done = 0, [], False
    while not done:
        number += 1
        _restore(home, before)
        with _nth(number, act):
            try:
                sparksig.set_signature(home, OTHER)
                done = True
            except error:
                pass
        received.append(_is_old_or_new(home, before, after))
        assert [path.name for path in home.parent.iterdir()] == ["m"]
        if not number % 3:  # the next call passes in any case
            sparksig.set_signature(home, OTHER)
            assert content(home) == after
    assert [value == OTHER for value in received] == sorted(value == OTHER for value in received)
    assert (received[0], received[-1]) == (SIGNATURE, OTHER)
    assert number > 25


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_any_line_leaves_the_old_or_the_new(tiny, monkeypatch):
    home, before, after = tiny
    files = {directory_module.__file__, seal_module.__file__}
    counted, stop, handles, opening = 0, 0, [], os.open

    def opened(*args, **kwargs):
        handles.append(opening(*args, **kwargs))
        return handles[-1]

    def lines(frame, event, argument):
        nonlocal counted
        if event == "line":
            counted += 1
            if counted == stop:
                raise Crash
        return lines

    def calls(frame, event, argument):
        return lines if frame.f_code.co_filename in files else None

    directory = ModelDirectory.read(home)
    config = yaml.safe_load(after["MLmodel"])
    earlier, received, done = sys.gettrace(), [], False
    monkeypatch.setattr(os, "open", opened)
    while not done:
        stop, counted = stop + 1, 0
        sys.settrace(calls)
        try:
            replace_mlmodel(directory, config)
            done = True
        except Crash:
            pass
        finally:
            sys.settrace(earlier)
            for handle in handles:  # interrupted before it was closed
                with contextlib.suppress(OSError):
                    os.close(handle)
            handles.clear()
        received.append(_is_old_or_new(home, before, after))
        _restore(home, before)
    assert [value == OTHER for value in received] == sorted(value == OTHER for value in received)
    assert (received[0], received[-1]) == (SIGNATURE, OTHER)
    assert stop > 80


def _forked(work):
    """The exit status of a child process that does ``work``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads that the child does not need
        child = os.fork()
    if not child:
        status = 1
        with contextlib.suppress(BaseException):
            work()
            status = 0
        os._exit(status)
    return os.waitpid(child, 0)[1]


def test_a_process_that_is_killed_at_any_call_leaves_the_old_or_the_new(tiny):
    home, before, after = tiny

    def work():
        with _nth(number, lambda: os.kill(os.getpid(), signal.SIGKILL), killed=True):
            sparksig.set_signature(home, OTHER)

    number, received, status = 0, [], None
    while status != 0:
        number += 1
        _restore(home, before)
        status = _forked(work)
        assert status in (0, signal.SIGKILL)
        received.append(_is_old_or_new(home, before, after))
    assert [value == OTHER for value in received] == sorted(value == OTHER for value in received)
    assert (received[0], received[-1]) == (SIGNATURE, OTHER)
    assert number > 30
    _restore(home, before)
    sparksig.set_signature(home, OTHER)
    assert content(home) == after


def test_where_the_parent_cannot_be_written_the_directory_itself_is(tiny, monkeypatch):
    home, before, after = tiny
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != home.parent and allowed(path, mode))
    home.parent.chmod(0o555)

    def act():
        raise OSError("no space left")

    try:
        number, done = 0, False
        while not done:
            number += 1
            _restore(home, before)
            with _nth(number, act):
                try:
                    sparksig.set_signature(home, OTHER)
                    done = True
                except OSError:
                    pass
            assert _is_old_or_new(home, before, after) in (SIGNATURE, OTHER)
        assert content(home) == after
        assert [path.name for path in home.parent.iterdir()] == ["m"]
    finally:
        home.parent.chmod(0o755)


# --- two at once ------------------------------------------------------------------------------------------

SEVERAL = [ModelSignature(Schema([ColSpec("double", f"x{number}")])) for number in range(4)]


def _one_of_several(home, outcomes):
    assert all(
        outcome is None or "MLmodel was changed by another process meanwhile" in str(outcome)
        for outcome in outcomes
    )
    assert None in outcomes
    assert ModelDirectory.read(home).signature in SEVERAL
    _verify(home)
    assert _sha256sum(home).returncode == 0
    assert [path.name for path in home.parent.iterdir()] == ["m"]


def test_of_several_threads_one_is_the_last(model):
    outcomes, start = [], threading.Barrier(len(SEVERAL))

    def work(signature):
        start.wait(10)
        for _ in range(5):
            try:
                outcomes.append(sparksig.set_signature(model, signature))
            except Exception as error:
                outcomes.append(error)

    threads = [threading.Thread(target=work, args=(signature,)) for signature in SEVERAL]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 5 * len(SEVERAL)
    _one_of_several(model, outcomes)


def test_of_several_processes_one_is_the_last(model):
    def work(signature):
        for _ in range(5):
            with contextlib.suppress(ModelError):
                sparksig.set_signature(model, signature)

    threads = [
        threading.Thread(target=lambda one=signature: statuses.append(_forked(lambda: work(one))))
        for signature in SEVERAL
    ]
    statuses = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0] * len(SEVERAL)
    _one_of_several(model, [None])


def test_who_reads_meanwhile_sees_the_old_or_the_new_or_that_it_changes(model):
    stop = threading.Event()
    problems = []

    def read():
        while not stop.is_set():
            try:
                if sparksig.load_model(model, allow_pickle=True).signature not in (SIGNATURE, OTHER):
                    problems.append("another signature")
            except ModelDamagedError as error:
                if "changed while it was read" not in str(error):
                    problems.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    for signature in [OTHER, SIGNATURE] * 15:
        sparksig.set_signature(model, signature)
    stop.set()
    reader.join()
    assert problems == []
    assert np.array_equal(
        sparksig.load_model(model, allow_pickle=True).predict(pd.DataFrame({"x": [1.0]})), [2.0]
    )
