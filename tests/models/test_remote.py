"""Models that lie elsewhere: MLflow's registry, object stores, file URIs; and MLflow's scoring server."""

from __future__ import annotations

import base64
import datetime
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cloudpickle
import mlflow
import mlflow.artifacts
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparksig
from sparksig import (
    ColSpec,
    ContractError,
    MissingDependencyError,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    ModelNotTrustedError,
    ModelSignature,
    ParamSchema,
    ParamSpec,
    PythonModel,
    Schema,
    UnsupportedError,
)
from sparksig.models.info import ExampleMismatchWarning
from sparksig.models.registry import fetch_model, find_location
from sparksig.models.seal import digest
from tests.cases import describe_case
from tests.models import servers
from tests.models.helpers import (
    FRAME,
    ONE_DOUBLE,
    SIGNATURE,
    Armed,
    content,
    diabetes,
    linear,
    same_bits,
    without_type_hints,
)

cloudpickle.register_pickle_by_value(sys.modules[__name__])

# MLflow 3.17 with pandas 3.1, on every example
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Operation with range is deprecated")]


def with_servers(test):
    """Run the tests with servers in one process, so that each server starts once."""
    return pytest.mark.server(pytest.mark.xdist_group("servers")(test))


def _refused(error, match, function, *args, **kwargs):
    with pytest.raises(error, match=match) as caught:
        function(*args, **kwargs)
    assert type(caught.value) is error
    return caught.value


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """The directory that private copies come to lie in."""
    (tmp_path / "fetched").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "fetched"))
    return tmp_path / "fetched"


# --- local ----------------------------------------------------------------------------------------------

NAMES = [
    "m",
    "a b",
    " m ",
    "50%",
    "%41",
    "é",
    "a+b",
    "a&b=c",
    "a#b",
    "a?b",
    "a;b",
    "C:",
    "s3:",
    "models:",
    "~",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_uri_is_the_path_that_it_was_made_of(skopsed, name):
    path = skopsed.parent / name
    skopsed.rename(path)
    try:
        for uri in (path, str(path), path.as_uri(), path.as_uri().replace("file://", "file:")):
            assert sparksig.load_model(uri).path == path
            assert sparksig.load_model(f"{uri}/").path == path
        assert sparksig.load_model(path.as_uri().replace("file:", "FILE:")).path == path
        assert sparksig.load_model(path.as_uri().replace("file://", "file://localhost")).path == path
    finally:
        path.rename(skopsed)


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=[]), min_size=1))
def test_every_path_survives_being_a_file_uri(name):
    try:
        uri = (Path("/models") / name).as_uri()
    except UnicodeEncodeError:  # no name of a file
        return
    assert fetch_model(uri) == Path("/models") / name


@pytest.mark.parametrize(
    "name",
    ["C:", "C:/m", "C:\\m", "c:m", "s3", "s3:bucket", "models:m", "a:b/c", "./s3:/m", "1a:/m", "a_b:/m"],
)
def test_what_has_no_scheme_is_a_path(name):
    assert fetch_model(name) == Path(name)
    assert fetch_model(Path("s3:/bucket") / name) == Path("s3:/bucket") / name


def test_a_path_with_a_drive_letter_is_a_directory_like_others(skopsed, monkeypatch):
    monkeypatch.chdir(skopsed.parent)
    Path("C:").mkdir()
    skopsed.rename("C:/m")
    assert sparksig.load_model("C:/m").path == skopsed.parent / "C:" / "m"


def test_a_path_object_is_never_a_uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = r"there is no model directory at 's3:/bucket/m'"
    _refused(ModelNotFoundError, text, sparksig.load_model, Path("s3://bucket/m"))


def test_a_file_uri_of_another_machine_is_refused(skopsed):
    uri = skopsed.as_uri().replace("file://", "file://elsewhere")
    with pytest.raises((UnsupportedError, ModelError), match=r"elsewhere"):
        sparksig.load_model(uri)


@pytest.mark.parametrize(
    "function", [sparksig.load_model, sparksig.get_model_info, sparksig.load_input_example]
)
@pytest.mark.parametrize(
    "uri", ["dbfs:/m", "http://h/m", "https://u:verysecret@h/m?token=verysecret", "ftp://h/m", "DBFS:/m"]
)
def test_other_uris_are_refused_by_name(fetched, uri, function):
    scheme = uri.partition(":")[0].lower()
    text = rf"cannot fetch models from {scheme}: URIs. Pass a path, or one of file:/, runs:/, models:/"
    error = _refused(UnsupportedError, text, function, uri)
    assert "verysecret" not in str(error)
    assert not list(fetched.iterdir())


@pytest.mark.parametrize("value", [None, 1, b"m", ["m"]])
def test_only_paths_and_texts_say_where_a_model_is(value):
    text = rf"the model: expected a path or a URI, got a value of type {type(value).__name__}"
    _refused(ModelError, text, sparksig.load_model, value)


@pytest.mark.parametrize(
    "uri", ["runs:/1/m", "models:/m/1", "models:/m@a", "models:/m-1", "mlflow-artifacts:/m"]
)
def test_mlflows_uris_need_mlflow(monkeypatch, fetched, uri):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    text = rf"a {uri.partition(':')[0]}:/ URI needs the package 'mlflow': pip install 'sparksig\[mlflow\]'"
    _refused(MissingDependencyError, text, sparksig.load_model, uri)
    assert not list(fetched.iterdir())


def test_without_mlflow_directories_load_in_a_process_of_their_own(skopsed):
    code = f"""
import sys
sys.modules["mlflow"] = None
import sparksig
print(sparksig.load_model({str(skopsed)!r}).path)
try:
    sparksig.load_model("models:/m/1")
except sparksig.MissingDependencyError as error:
    print(error)
"""
    env = {**os.environ, "PYTHONPATH": str(servers.ROOT)}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    findings = ["a models:/ URI needs the package 'mlflow': pip install 'sparksig[mlflow]'"]
    assert out.stdout.splitlines() == [str(skopsed), *findings]


@pytest.mark.parametrize(
    "uri", ["s3://bucket/m", "gs://bucket/m", "abfs://c/m", "hdfs:///m", "https://host/m"]
)
def test_signature_of_a_model_in_an_object_store_is_not_set(fetched, uri):
    text = (
        rf"^cannot set the signature of '{re.escape(uri)}', because the model is not local. Download the "
        r"directory, call set_signature\(\) on it, and upload it again$"
    )
    _refused(UnsupportedError, text, sparksig.set_signature, uri, SIGNATURE)
    assert not list(fetched.iterdir())


@pytest.mark.parametrize("uri", ["models:/m/1", "models:/m/Staging", "models:/m@a"])
def test_signature_of_a_registered_version_is_not_set(fetched, uri):
    text = (
        rf"^cannot set the signature of '{re.escape(uri)}': a registered model version is immutable. "
        r"Download the model \(mlflow.artifacts.download_artifacts\), call set_signature on that directory, "
        r"and register it as a new version$"
    )
    _refused(UnsupportedError, text, sparksig.set_signature, uri, SIGNATURE)
    assert not list(fetched.iterdir())


@pytest.mark.parametrize("uri", ["runs:/1/m", "models:/m-1"])
def test_setting_the_signature_of_a_logged_model_needs_mlflow(monkeypatch, uri):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    text = rf"'{uri}' needs the package 'mlflow': pip install 'sparksig\[mlflow\]'"
    _refused(MissingDependencyError, text, sparksig.set_signature, uri, SIGNATURE)


def test_logging_a_model_needs_mlflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    text = r"log_model needs the package 'mlflow': pip install 'sparksig\[mlflow\]'"
    _refused(MissingDependencyError, text, sparksig.log_model, linear(), name="linear")


# --- object stores --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket():
    with servers.bucket() as bucket:
        yield bucket


@pytest.fixture
def store(bucket, monkeypatch):
    """A bucket; credentials come from the environment."""
    for name, value in servers.KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return bucket


@with_servers
def test_a_model_loads_from_an_object_store(store, tmp_path, fetched):
    data, _ = diabetes()
    sparksig.save_model(tmp_path / "m", linear(), input_example=data)
    store.upload(tmp_path / "m", "a/m")
    uri = store.uri("a/m")
    local, loaded = sparksig.load_model(tmp_path / "m"), sparksig.load_model(uri)
    assert loaded.signature == local.signature
    assert same_bits(loaded.predict(data), local.predict(data))
    info = sparksig.get_model_info(uri)
    assert (info.model_uri, info.digest) == (uri.partition("?")[0], digest(tmp_path / "m"))
    pd.testing.assert_frame_equal(
        sparksig.load_input_example(uri), sparksig.load_input_example(tmp_path / "m")
    )
    body = sparksig.load_serving_example(uri)
    assert same_bits(sparksig.validate_serving_input(uri, body), local.predict(data))
    assert content(loaded.path) == content(tmp_path / "m")
    assert loaded.path.is_relative_to(fetched)
    for home in fetched.iterdir():
        assert home.stat().st_mode & 0o777 == 0o700


@with_servers
def test_the_environment_may_set_the_endpoint(store, skopsed, monkeypatch):
    store.upload(skopsed, "env/m")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{store.endpoint}")
    assert sparksig.load_model("s3://models/env/m?region=us-east-1").predict(diabetes()[0].head(1)).shape == (
        1,
    )


@pytest.mark.parametrize("path", ["ends/m", "ends/m/", "ends/m//"])
@with_servers
def test_a_prefix_ends_with_a_name(store, skopsed, path):
    store.upload(skopsed, "ends/m")
    store.put("ends/m2/model.skops", b"another")
    store.put("ends/m.txt", b"another")
    assert sparksig.get_model_info(store.uri(path)).digest == digest(skopsed)


@pytest.mark.parametrize(
    ("key", "path"), [("a b", "a%20b"), ("50%", "50%25"), ("%41", "%2541"), ("é", "%C3%A9"), ("a+b", "a+b")]
)
@with_servers
def test_a_key_is_written_as_in_any_uri(store, skopsed, key, path):
    store.upload(skopsed, f"named/{key}")
    assert sparksig.get_model_info(store.uri(f"named/{path}")).digest == digest(skopsed)


@with_servers
def test_markers_of_directories_are_no_files(store, skopsed):
    store.upload(skopsed, "marked/m")
    for key in ("marked/m/", "marked/m/artifacts/", "marked/"):
        store.put(key)
    assert sparksig.get_model_info(store.uri("marked/m")).digest == digest(skopsed)


@pytest.mark.parametrize(
    ("path", "other_bucket"),
    [("there/none", None), ("there/m", "nobucket"), ("there/m/MLmodel", None)],
    ids=["missing directory", "missing bucket", "file"],
)
@with_servers
def test_a_missing_directory_in_a_store_is_named(store, skopsed, fetched, path, other_bucket):
    store.upload(skopsed, "there/m")
    text = rf"^there is no model directory at 's3://{other_bucket or 'models'}/{path}'$"
    _refused(ModelNotFoundError, text, sparksig.load_model, store.uri(path, other_bucket))


@with_servers
def test_a_directory_in_a_store_without_a_model_is_named(store, fetched):
    store.put("there/other/README", b"no model")
    text = r"^'s3://models/there/other' is not a model directory: it has no file MLmodel$"
    _refused(ModelNotFoundError, text, sparksig.load_model, store.uri("there/other"))


@pytest.mark.parametrize("path", ["above", ""], ids=["parent", "bucket"])
@with_servers
def test_a_directory_above_a_model_is_not_fetched(store, skopsed, fetched, path):
    store.upload(skopsed, "above/m")
    with pytest.raises(ModelNotFoundError):
        sparksig.load_model(store.uri(path))
    assert not [file for file in fetched.rglob("*") if file.is_file()]


@with_servers
def test_a_failed_fetch_leaves_nothing(store, skopsed, fetched):
    store.upload(skopsed, "failing/m")
    store.put("failing/m/z/../../evil", b"x")
    with pytest.raises(ModelDamagedError):
        sparksig.load_model(store.uri("failing/m"))
    with pytest.raises(ModelNotFoundError):
        sparksig.load_model(store.uri("failing/none"))
    assert not list(fetched.iterdir())


@pytest.mark.parametrize("key", ["../evil", "a/../../evil", "..", "a/..", "/evil", "/../evil"])
@with_servers
def test_a_key_does_not_lead_out_of_the_directory(store, skopsed, fetched, key):
    store.upload(skopsed, "leading/m")
    store.put(f"leading/m/{key}", b"evil")
    text = rf"^s3://models/leading/m: the name '{re.escape(key)}' leads out of the model directory$"
    _refused(ModelDamagedError, text, sparksig.load_model, store.uri("leading/m"))
    assert b"evil" not in content(fetched).values()


@pytest.mark.parametrize("key", ["a//b", "./b", "a/./b"])
@with_servers
def test_a_key_that_is_no_path_is_said(store, skopsed, key):
    store.upload(skopsed, "paths/m")
    store.put(f"paths/m/{key}", b"x")
    with pytest.raises(ModelError, match=r"s3://models/paths/m") as caught:
        sparksig.load_model(store.uri("paths/m"))
    assert key in str(caught.value)


@with_servers
def test_a_file_that_was_swapped_in_the_store_is_noticed(store, skopsed):
    store.upload(skopsed, "swapped/m")
    store.put("swapped/m/model.skops", b"another")
    text = r"changed or missing since the model was sealed: 'model.skops'"
    _refused(ModelDamagedError, text, sparksig.load_model, store.uri("swapped/m"))
    uri, pinned = store.uri("swapped/m"), digest(skopsed)
    text = rf"the content differs from the pinned digest: expected {pinned}, got [0-9a-f]{{64}}$"
    _refused(ModelDamagedError, text, sparksig.load_model, uri, digest=pinned)
    store.upload(skopsed, "swapped/m")
    assert sparksig.load_model(uri, digest=pinned).signature is None


@with_servers
def test_code_from_a_store_runs_only_if_the_caller_lets_it(store, tmp_path):
    sparksig.save_model(tmp_path / "m", Armed(tmp_path / "canary"), SIGNATURE)
    store.upload(tmp_path / "m", "armed/m")
    uri = store.uri("armed/m")
    text = r"loading a pickled PythonModel can run any code in it"
    _refused(ModelNotTrustedError, text, sparksig.load_model, uri)
    _refused(ModelDamagedError, "differs from the pinned digest", sparksig.load_model, uri, digest="0" * 64)
    sparksig.get_model_info(uri)
    assert not (tmp_path / "canary").exists()
    allowed = sparksig.load_model(uri, allow_pickle=True)
    pinned = sparksig.load_model(uri, digest=digest(tmp_path / "m"))
    assert same_bits(allowed.predict(FRAME), FRAME["x"] * 2)
    assert same_bits(pinned.predict(FRAME), FRAME["x"] * 2)
    assert (tmp_path / "canary").exists()


@with_servers
def test_no_text_has_credentials(store, fetched):
    user = "somebody:verysecret@"
    uris = [store.uri("none", user=user), store.uri("none", "nobucket", user=user)]
    for uri in [*uris, f"s3://{user}models/m?nonsense=verysecret", f"s3://{user}models/m?scheme=ftp"]:
        with pytest.raises(ModelError) as caught:
            sparksig.load_model(uri)
        assert "verysecret" not in str(caught.value)
    with pytest.raises(UnsupportedError) as caught:
        sparksig.set_signature(uris[0], SIGNATURE)
    assert "verysecret" not in str(caught.value)


@with_servers
def test_a_model_info_has_no_credentials(store, skopsed):
    store.upload(skopsed, "info/m")
    info = sparksig.get_model_info(store.uri("info/m", user="somebody:verysecret@"))
    assert "verysecret" not in repr(info)


@with_servers
def test_a_store_that_does_not_answer_is_said_soon(store):
    uri, start = "s3://models/m?endpoint_override=127.0.0.1:1&scheme=http&region=us-east-1", time.monotonic()
    error = _refused(ModelError, r"^cannot fetch s3://models/m: .*onnect", sparksig.load_model, uri)
    assert "verysecret" not in str(error)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("s3:/models/m", r"^cannot fetch s3:/models/m: Missing bucket name"),
        ("s3:///models/m", r"^cannot fetch s3:///models/m: Missing bucket name"),
        ("s3://models/m?nonsense=1", r"^cannot fetch s3://models/m: .*'nonsense'"),
        ("abfs://container/m", r"^cannot fetch abfs://container/m: .*account"),
        ("abfs://container/m?nonsense=1", r"^cannot fetch abfs://container/m: .*nonsense"),
        ("gs://bucket/m?nonsense=1", r"^cannot fetch gs://bucket/m: .*nonsense"),
    ],
)
def test_a_uri_that_the_store_cannot_read_is_said(uri, text):
    _refused(ModelError, text, sparksig.load_model, uri)


@with_servers
def test_a_fetched_copy_is_private_and_goes_with_the_process(store, skopsed, tmp_path):
    store.upload(skopsed, "going/m")
    (tmp_path / "temp").mkdir()
    code = f"""
import os, sparksig
os.umask(0)
model = sparksig.load_model({store.uri("going/m")!r})
print(model.path, oct(model.path.parent.stat().st_mode & 0o777))
"""
    env = {**os.environ, "PYTHONPATH": str(servers.ROOT), "TMPDIR": str(tmp_path / "temp")}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    path, mode = out.stdout.split()
    assert Path(path).is_relative_to(tmp_path / "temp")
    assert mode == "0o700"
    assert not list((tmp_path / "temp").iterdir())


# --- MLflow's registry ----------------------------------------------------------------------------------

with without_type_hints():

    class MlflowDoubled(mlflow.pyfunc.PythonModel):
        def predict(self, model_input):
            return model_input["x"].to_numpy() * 2


class Logged:
    """The URIs of a model on the tracking server, by all its names."""

    def __init__(self, home):
        self.client = mlflow.MlflowClient()
        self.ours, self.armed = home / "ours", home / "armed"
        self.data = diabetes()[0].head(3)
        sparksig.save_model(self.ours, linear(), input_example=self.data)
        sparksig.save_model(self.armed, Armed(home / "canary"), SIGNATURE, input_example=FRAME)
        (home / "canary").rmdir()
        self.canary = home / "canary"
        with mlflow.start_run() as run, without_type_hints():
            sk = mlflow.sklearn.log_model(
                linear(),
                name="sk",
                serialization_format="skops",
                input_example=self.data,
                registered_model_name="sk",
                pip_requirements=["scikit-learn"],
            )
            py = mlflow.pyfunc.log_model(
                name="py",
                python_model=MlflowDoubled(),
                input_example=FRAME,
                registered_model_name="py",
                pip_requirements=["mlflow"],
            )
            mlflow.log_artifacts(str(self.ours), "ours")
            mlflow.log_artifacts(str(self.armed), "deep/armed")
            mlflow.log_text("no model", "text/README")
        self.run, self.sk, self.py = run.info.run_id, sk, py
        self.artifacts = run.info.artifact_uri
        for name, path in (("ours", "ours"), ("armed", "deep/armed")):
            self.register(name, f"{self.artifacts}/{path}")
        for name in ("sk", "py", "ours", "armed"):
            self.client.set_registered_model_alias(name, "champion", "1")

    def register(self, name, source):
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        return self.client.create_model_version(name, source, self.run).version

    def format_uri(self, template):
        """Return a URI with the ids of this server, which the parameters of a test cannot know."""
        return template.format(
            run=self.run, sk=self.sk.model_uri, py=self.py.model_uri, artifacts=self.artifacts
        )


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    home = tmp_path_factory.mktemp("tracking")
    with servers.tracking(home) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", address)
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.chdir(home)
        yield Logged(home)


@pytest.mark.parametrize(
    "uri", ["runs:/{run}/sk", "models:/sk/1", "models:/sk@champion", "models:/sk/latest", "{sk}"]
)
@with_servers
def test_an_estimator_that_mlflow_logged_is_loaded_by_each_name(logged, uri):
    uri = logged.format_uri(uri)
    loaded = sparksig.load_model(uri)
    expected = linear().predict(logged.data)
    np.testing.assert_allclose(loaded.predict(logged.data), expected, rtol=1e-12)
    info = sparksig.get_model_info(uri)
    assert (info.model_uri, info.signature) == (uri, loaded.signature)
    assert (info.run_id, info.model_id) == (logged.run, logged.sk.model_id)
    pd.testing.assert_frame_equal(sparksig.load_input_example(uri), logged.data.reset_index(drop=True))


@pytest.mark.parametrize("uri", ["runs:/{run}/py", "models:/py/1", "models:/py@champion", "{py}"])
@with_servers
def test_a_python_model_that_mlflow_logged_needs_permission(logged, uri):
    uri = logged.format_uri(uri)
    _refused(ModelNotTrustedError, r"can run any code in it", sparksig.load_model, uri)
    pd.testing.assert_frame_equal(sparksig.load_input_example(uri), FRAME)
    allowed = sparksig.load_model(uri, allow_pickle=True)
    pinned = sparksig.load_model(uri, digest=sparksig.get_model_info(uri).digest)
    assert same_bits(allowed.predict(FRAME), FRAME["x"] * 2)
    assert same_bits(pinned.predict(FRAME), FRAME["x"] * 2)


@pytest.mark.parametrize(
    "uri", ["runs:/{run}/ours", "models:/ours/1", "models:/ours@champion", "{artifacts}/ours"]
)
@with_servers
def test_a_directory_written_here_comes_back_from_mlflow(logged, uri):
    uri = logged.format_uri(uri)
    expected = sparksig.load_model(logged.ours).predict(logged.data)
    assert same_bits(sparksig.load_model(uri).predict(logged.data), expected)
    info = sparksig.get_model_info(uri)
    assert info.signature == sparksig.get_model_info(logged.ours).signature
    pd.testing.assert_frame_equal(sparksig.load_input_example(uri), sparksig.load_input_example(logged.ours))
    body = sparksig.load_serving_example(uri)
    assert body == sparksig.load_serving_example(logged.ours)
    assert same_bits(sparksig.validate_serving_input(uri, body), expected)


@with_servers
def test_mlflow_loads_a_registered_directory_written_here(logged):
    expected = sparksig.load_model(logged.ours).predict(logged.data)
    assert same_bits(mlflow.pyfunc.load_model("models:/ours/1").predict(logged.data), expected)


@with_servers
def test_the_digest_of_a_run_is_the_digest_that_was_saved(logged):
    uri, pinned = f"runs:/{logged.run}/ours", digest(logged.ours)
    assert sparksig.get_model_info(uri).digest == pinned
    assert sparksig.load_model(uri, digest=pinned).signature is not None
    _refused(ModelDamagedError, "differs from the pinned digest", sparksig.load_model, uri, digest="0" * 64)


@pytest.mark.parametrize("uri", ["models:/ours/1", "models:/ours@champion"])
@with_servers
def test_the_digest_of_a_model_version_is_the_digest_that_was_saved(logged, uri):
    assert sparksig.get_model_info(uri).digest == digest(logged.ours)
    assert sparksig.load_model(uri, digest=digest(logged.ours)).signature is not None


@pytest.mark.parametrize("uri", ["runs:/{run}/deep/armed", "models:/armed/1", "models:/armed@champion"])
@with_servers
def test_a_registered_model_runs_only_with_permission(logged, uri):
    uri = logged.format_uri(uri)
    text = r"loading a pickled PythonModel can run any code in it"
    _refused(ModelNotTrustedError, text, sparksig.load_model, uri)
    sparksig.get_model_info(uri)
    sparksig.load_input_example(uri)
    assert not logged.canary.exists()
    assert same_bits(sparksig.load_model(uri, allow_pickle=True).predict(FRAME), FRAME["x"] * 2)
    logged.canary.rmdir()


@with_servers
def test_what_mlflow_does_not_know_is_said_with_its_uri(logged):
    unknown, run = "0" * 32, logged.run
    runs = [f"runs:/{place}" for place in (f"{unknown}/m", f"{run}/none", run, "")]
    names = ["none/1", "ours/99", "ours@none", f"m-{unknown}", "ours/Staging", "ours", ""]
    for uri in [*runs, *(f"models:/{name}" for name in names), f"{logged.artifacts}/none"]:
        _refused(ModelNotFoundError, re.escape(repr(uri)), sparksig.get_model_info, uri)


@pytest.mark.parametrize("uri", ["models:/none/1", "runs:/{run}/none", "runs:/{run}/text/README"])
@with_servers
def test_a_failed_fetch_from_mlflow_leaves_nothing(logged, fetched, uri):
    with pytest.raises(ModelNotFoundError):
        sparksig.load_model(logged.format_uri(uri))
    assert not list(fetched.glob("sparksig-*"))


@with_servers
def test_what_mlflow_holds_but_is_no_model_is_said_with_its_uri(logged):
    for path in ("text", "text/README", "deep"):
        uri = f"runs:/{logged.run}/{path}"
        _refused(ModelNotFoundError, re.escape(repr(uri)), sparksig.load_model, uri)


OTHER = ModelSignature(Schema([ColSpec("double", "bmi"), ColSpec("double", "bp", required=False)]))


@with_servers
def test_registered_version_gets_another_signature_as_a_new_version(logged, tmp_path):
    _refused(UnsupportedError, "is immutable", sparksig.set_signature, "models:/ours/1", OTHER)
    directory = mlflow.artifacts.download_artifacts(artifact_uri="models:/ours/1", dst_path=str(tmp_path))
    sparksig.set_signature(directory, OTHER)
    with mlflow.start_run(run_id=logged.run):
        mlflow.log_artifacts(directory, "again")
    version = logged.register("ours", f"{logged.artifacts}/again")
    assert sparksig.load_model(f"models:/ours/{version}").signature == OTHER
    assert sparksig.load_model("models:/ours/1").signature != OTHER


# --- logging models, and setting the signature of a logged one ------------------------------------------


@with_servers
def test_logged_model_is_found_by_every_uri_and_by_mlflow(logged):
    with mlflow.start_run() as run:
        mlflow.log_param("alpha", 0.5)
        info = sparksig.log_model(
            linear(), name="linear", input_example=logged.data, registered_model_name="linear", tags={"n": 1}
        )
    assert info.model_uri == f"models:/{info.model_id}"
    assert (info.run_id, info.registered_model_version) == (run.info.run_id, "1")
    expected = linear().predict(logged.data)
    uris = [info.model_uri, f"runs:/{info.run_id}/linear", "models:/linear/1"]
    for uri in uris:
        loaded = sparksig.load_model(uri, digest=info.digest)
        assert loaded.signature == info.signature
        assert same_bits(loaded.predict(logged.data), expected)
        np.testing.assert_allclose(mlflow.pyfunc.load_model(uri).predict(logged.data), expected, rtol=1e-12)
    entry = logged.client.get_logged_model(info.model_id)
    assert (entry.name, entry.status.value, entry.source_run_id) == ("linear", "READY", run.info.run_id)
    assert entry.tags["n"] == "1"
    assert entry.params["alpha"] == "0.5"
    assert mlflow.models.get_model_info(info.model_uri).model_id == info.model_id


@with_servers
def test_logging_without_an_active_run_ends_its_own_run(logged):
    info = sparksig.log_model(lambda model_input: model_input["x"] * 2, "doubled", SIGNATURE)
    assert mlflow.active_run() is None
    assert logged.client.get_run(info.run_id).info.status == "FINISHED"
    assert info.registered_model_version is None
    loaded = sparksig.load_model(f"runs:/{info.run_id}/doubled", digest=info.digest)
    assert same_bits(loaded.predict(FRAME), FRAME["x"] * 2)


@with_servers
def test_model_that_is_not_saved_is_not_logged(logged):
    def count():
        return len(mlflow.search_logged_models(output_format="list")), len(
            mlflow.search_runs(output_format="list")
        )

    before = count()
    with pytest.raises(ModelError, match="fails on its input example"):
        sparksig.log_model(lambda model_input: model_input["absent"], "broken", input_example=FRAME)
    _refused(ModelError, "log_model needs a model", sparksig.log_model, name="none")
    _refused(ModelError, "name: expected text, got a value of type int", sparksig.log_model, linear(), 1)
    assert count() == before


@with_servers
def test_refusal_of_mlflow_is_a_model_error_with_its_reason(logged):
    text = r"the run cannot be read: .*0{32}"
    _refused(ModelError, text, sparksig.log_model, linear(), "linear", run_id="0" * 32)


@with_servers
def test_signature_of_a_logged_model_is_set_by_its_id_and_by_its_run(logged):
    info = sparksig.log_model(linear(), "plain")
    for uri, signature in [
        (info.model_uri, OTHER),
        (f"runs:/{info.run_id}/plain", ModelSignature(OTHER.inputs, ONE_DOUBLE)),
    ]:
        sparksig.set_signature(uri, signature)
        for name in (info.model_uri, f"runs:/{info.run_id}/plain"):
            assert sparksig.load_model(name).signature == signature  # which checks the seal as well
        assert mlflow.models.get_model_info(uri).signature.to_dict() == signature.to_dict()


@with_servers
def test_signature_of_artifacts_of_a_run_is_set(logged):
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(logged.ours), "nested/ours")
    uri = f"runs:/{run.info.run_id}/nested/ours"
    with pytest.warns(ExampleMismatchWarning, match=re.escape(uri)):
        sparksig.set_signature(uri, ModelSignature(Schema([ColSpec("string", "bmi")])))
    assert sparksig.load_model(uri).signature.inputs == Schema([ColSpec("string", "bmi")])


@with_servers
def test_signature_of_an_unknown_logged_model_is_not_set(logged):
    for uri in (f"models:/m-{'0' * 32}", f"runs:/{'0' * 32}/m", f"runs:/{logged.run}/none"):
        _refused(ModelNotFoundError, re.escape(repr(uri)), sparksig.set_signature, uri, OTHER)


@with_servers
def test_every_state_of_the_seal_during_an_upload_loads(logged, monkeypatch):
    info = sparksig.log_model(linear(), "sealed")
    signatures = []
    upload = mlflow.MlflowClient.log_model_artifact

    def upload_and_load(client, *arguments):
        upload(client, *arguments)
        signatures.append(sparksig.load_model(info.model_uri).signature)

    monkeypatch.setattr(mlflow.MlflowClient, "log_model_artifact", upload_and_load)
    sparksig.set_signature(info.model_uri, OTHER)
    assert signatures == [None, OTHER, OTHER]


@with_servers
def test_a_version_that_was_fetched_can_be_registered_again(logged, tmp_path):
    directory = mlflow.artifacts.download_artifacts(artifact_uri="models:/ours/1", dst_path=str(tmp_path))
    with mlflow.start_run(run_id=logged.run):
        mlflow.log_artifacts(directory, "copied")
    version = logged.register("ours", f"{logged.artifacts}/copied")
    assert sparksig.load_model(f"models:/ours/{version}").signature is not None


@pytest.mark.parametrize(
    "uri",
    ["runs:/{run}/ours", "models:/ours/1", "models:/m-" + "0" * 32],
    ids=["run", "registered model", "logged model"],
)
@with_servers
def test_a_registry_that_does_not_answer_is_not_reported_as_a_missing_model(logged, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somebody:verysecret@127.0.0.1:1")
    uri = logged.format_uri(uri)
    text = rf"^MLflow cannot download '{re.escape(uri)}': .*MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    error = _refused(ModelError, text, sparksig.load_model, uri)
    assert "verysecret" not in str(error)


# --- MLflow's scoring server ----------------------------------------------------------------------------


class Weighing(PythonModel):
    """Its prediction depends on bytes, times and params."""

    def predict(self, model_input, params=None):
        lengths = np.array([len(raw) for raw in model_input["raw"]], dtype="float64")
        seconds = (model_input["at"] - pd.Timestamp("2020-01-01")).dt.total_seconds().to_numpy()
        total = model_input["x"].to_numpy() * (params or {})["factor"] + lengths + seconds
        return total + len((params or {})["tags"])


def _weighing(home):
    columns = [ColSpec("double", "x"), ColSpec("binary", "raw"), ColSpec("datetime", "at")]
    params = ParamSchema([ParamSpec("factor", "double", 1.0), ParamSpec("tags", "string", ["a"], (-1,))])
    frame = pd.DataFrame(
        {
            "x": [0.1, -2.5],
            "raw": [b"\x00\xff", b""],
            "at": np.array(["2020-01-02T03:04:05.000006", "1999-12-31"], dtype="datetime64[ns]"),
        }
    )
    signature = ModelSignature(Schema(columns), ONE_DOUBLE, params)
    sparksig.save_model(home, Weighing(), signature, input_example=(frame, {"factor": 3.0}))
    return home


@pytest.fixture(scope="module")
def served_estimator(tmp_path_factory):
    home = tmp_path_factory.mktemp("estimator")
    sparksig.save_model(home / "m", linear(), input_example=diabetes()[0].head(3))
    with servers.scoring(home / "server", home / "m") as address:
        yield home / "m", address


@pytest.fixture(scope="module")
def served_python_model(tmp_path_factory):
    home = tmp_path_factory.mktemp("python-model")
    _weighing(home / "m")
    with servers.scoring(home / "server", home / "m") as address:
        yield home / "m", address


def _check_answer(model, address, body):
    """Compare the prediction of the server with that of the model; return the latter."""
    status, answer = servers.ask(address, body)
    assert status == 200, answer
    ours = sparksig.validate_serving_input(model, body)
    np.testing.assert_allclose(answer["predictions"], ours, rtol=1e-12)
    return ours


ROWS = [{"bmi": 0.0616962065186885, "bp": 0.0218723549949558}, {"bmi": -0.5, "bp": 1e-3}]
SPLIT = {"columns": ["bmi", "bp"], "data": [list(row.values()) for row in ROWS]}
BODIES = {
    "dataframe_split": {"dataframe_split": SPLIT},
    "dataframe_split with an index": {"dataframe_split": {**SPLIT, "index": [7, 8]}},
    "dataframe_records": {"dataframe_records": ROWS},
    "columns in another order": {"dataframe_records": [dict(reversed(row.items())) for row in ROWS]},
    "instances": {"instances": ROWS},
    "inputs of columns": {"inputs": {"bmi": [row["bmi"] for row in ROWS], "bp": [row["bp"] for row in ROWS]}},
    "inputs of rows": {"inputs": ROWS},
    "whole numbers": {"dataframe_records": [{"bmi": 1, "bp": 0}, {"bmi": 0.5, "bp": 2}]},
    "an extra column": {"dataframe_records": [{**row, "sex": "f"} for row in ROWS]},
}


@with_servers
def test_an_estimator_written_here_is_served_by_mlflow(served_estimator):
    model, address = served_estimator
    loaded = sparksig.load_model(model)
    expected = loaded.predict(pd.DataFrame(ROWS))
    for name, body in BODIES.items():
        ours = _check_answer(loaded, address, body)
        if name != "whole numbers":
            np.testing.assert_allclose(ours, expected, rtol=1e-12, err_msg=name)
    ours = _check_answer(loaded, address, sparksig.load_serving_example(model))
    np.testing.assert_allclose(ours, loaded.predict(sparksig.load_input_example(model)), rtol=1e-12)


REFUSED = {
    "a column is missing": {"dataframe_split": {"columns": ["bmi"], "data": [[0.1]]}},
    "text for a number": {"dataframe_records": [{"bmi": "much", "bp": 1.0}]},
    "two forms": {"dataframe_records": ROWS, "inputs": ROWS},
    "no form": {"rows": ROWS},
    "rows of another length": {"dataframe_split": {"columns": ["bmi", "bp"], "data": [[0.1]]}},
    "no JSON": '{"inputs": [',
    "no object": "[1, 2]",
}


@with_servers
@pytest.mark.parametrize(("name", "body"), REFUSED.items(), ids=REFUSED)
def test_a_request_that_breaks_the_contract_is_refused_there_and_here(served_estimator, name, body):
    model, address = served_estimator
    loaded = sparksig.load_model(model)
    status, answer = servers.ask(address, body)
    assert 400 <= status < 500, (name, status, answer)
    with pytest.raises(ContractError):
        sparksig.validate_serving_input(loaded, body)


@with_servers
def test_a_python_model_written_here_is_served_by_mlflow(served_python_model):
    model, address = served_python_model
    loaded = sparksig.load_model(model, allow_pickle=True)
    raw = base64.b64encode(b"\x00\xff").decode()
    rows = [[0.1, raw, "2020-01-02T03:04:05.000006"], [-2.5, "", "1999-12-31T00:00:00.000000"]]
    split = {"dataframe_split": {"columns": ["x", "raw", "at"], "data": rows}}
    records = {"dataframe_records": [dict(zip(["x", "raw", "at"], row)) for row in rows]}
    frame = sparksig.load_input_example(model)
    assert frame["raw"].tolist() == [b"\x00\xff", b""]
    assert frame["at"].tolist() == [
        datetime.datetime(2020, 1, 2, 3, 4, 5, 6),
        datetime.datetime(1999, 12, 31),
    ]
    for params in ({}, {"factor": 0.5}, {"factor": 2, "tags": ["a", "b", "c"]}):
        expected = loaded.predict(frame, params)
        for body in (split, records):
            ours = _check_answer(loaded, address, {**body, "params": params} if params else body)
            assert same_bits(ours, expected)


@with_servers
def test_the_serving_example_of_a_python_model_is_served_by_mlflow(served_python_model):
    model, address = served_python_model
    loaded = sparksig.load_model(model, allow_pickle=True)
    ours = _check_answer(loaded, address, sparksig.load_serving_example(model))
    assert same_bits(ours, loaded.predict(sparksig.load_input_example(model), {"factor": 3.0}))


@with_servers
@pytest.mark.parametrize(
    "params", [{"factor": "much"}, {"tags": "a"}, {"tags": [1]}, {"factor": [1.0]}, [1.0]], ids=describe_case
)
def test_params_that_break_the_contract_are_refused_there_and_here(served_python_model, params):
    model, address = served_python_model
    loaded = sparksig.load_model(model, allow_pickle=True)
    body = {"dataframe_split": {"columns": ["x", "raw", "at"], "data": [[1.0, "", "1999-12-31"]]}}
    status, answer = servers.ask(address, {**body, "params": params})
    assert 400 <= status < 500, (params, status, answer)
    with pytest.raises(ContractError):
        sparksig.validate_serving_input(loaded, {**body, "params": params})


@pytest.mark.parametrize("uri", ["runs:/{run}/sk", "models:/sk/1", "models:/sk@champion", "{sk}"])
@with_servers
def test_artifacts_that_only_the_server_can_read_are_not_shipped_by_path(logged, uri):
    uri = logged.format_uri(uri)
    text = rf"{re.escape(repr(uri))}: only MLflow's server can read these artifacts\. Ship the model with"
    _refused(ModelError, text, find_location, uri)


def test_location_of_a_local_model_is_absolute(tmp_path, monkeypatch):
    sparksig.save_model(tmp_path / "ours", linear(), input_example=diabetes()[0].head(3))
    monkeypatch.chdir(tmp_path)
    assert find_location("ours") == str(tmp_path / "ours")
    assert find_location("s3://bucket/ours") == "s3://bucket/ours"


@with_servers
def test_location_of_an_unknown_run(logged):
    _refused(ModelNotFoundError, r"MLflow has no 'runs:/0123/ours': ", find_location, "runs:/0123/ours")
