"""Shipping of models: the choice of a way, and the model as each worker finds it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from pyspark import SparkFiles

import sparksig
from sparksig import ColSpec, ModelSignature, Schema
from sparksig.errors import ContractError, ExecutionError, ModelDamagedError, UnsupportedError
from sparksig.models.node_cache import CACHE_VARIABLE
from sparksig.scoring.prepared import prepare_model
from sparksig.spark import ship
from sparksig.spark.ship import Shipment, ShippingWarning

DOUBLES = Schema([ColSpec("double", "x")])


def double(model_input):
    return np.asarray(model_input["x"]) * 2


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A checked model; copies of it go to a cache of the test."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    sparksig.save_model(tmp_path / "model", double, ModelSignature(DOUBLES, Schema([ColSpec("double")])))
    return prepare_model(tmp_path / "model", allow_pickle=True, digest=None, trusted_types=())


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """The directory in which Spark places files for a worker; it is empty."""
    files = tmp_path / "files"
    files.mkdir()
    monkeypatch.setattr(SparkFiles, "_root_directory", str(files))
    monkeypatch.setattr(SparkFiles, "_is_running_on_worker", True)
    return files


def test_workers_with_another_version_of_the_package_are_refused(model):
    shipment = Shipment(model.digest, path=str(model.directory.path), package="0.0.9 (0123456789abcdef)")
    message = (
        r"^the driver has sparksig 0\.0\.9 \(0123456789abcdef\), and the workers import 0\.1\.0 "
        r"\([0-9a-f]{16}\) from .*sparksig\. Install the driver's version on the workers$"
    )
    with pytest.raises(ExecutionError, match=message):
        shipment.locate()


def test_packed_package_has_the_identity_of_its_directory():
    code = (
        f"import sys; sys.path.insert(0, {str(ship._pack_package())!r}); from sparksig.spark import ship; "
        "print(ship.__file__, ship._identify_package(), sep='|'); ship._PACKAGE_ARCHIVE = 'other'; "
        "ship._hash_package.cache_clear(); print(ship._identify_package())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    (file, named), (hashed,) = (line.split("|") for line in done.stdout.splitlines())
    assert ".zip/sparksig/" in file
    assert named == hashed == ship._identify_package()


def test_file_that_is_hidden_from_the_workers(model, worker):
    message = (
        "^Spark did not bring the model's file to this worker. Pass shipping='inline', or shipping='path'"
    )
    with pytest.raises(ExecutionError, match=message):
        Shipment(model.digest, archive="sparksig-model.zip").locate()
    assert list(worker.iterdir()) == []


def test_file_of_the_model_is_unpacked_once(model, worker):
    packed = ship._pack(model.directory.path, model.digest)
    (worker / packed.name).symlink_to(packed)
    shipment = Shipment(model.digest, archive=packed.name, package=ship._identify_package())
    with ThreadPoolExecutor(8) as pool:
        homes = set(pool.map(lambda _: shipment.locate(), range(8)))
    assert len(homes) == 1
    assert sparksig.digest(homes.pop()) == model.digest
    assert len(list(worker.iterdir())) == 2


def ship_by_path(model):
    return Shipment(model.digest, source=model.source)


def ship_inline(model):
    return Shipment(model.digest, content=ship._read_packed(model))


@pytest.mark.parametrize("build", [ship_by_path, ship_inline], ids=["path", "inline"])
def test_nodes_copy_a_model_once(model, tmp_path, build):
    shipment = build(model)
    with ThreadPoolExecutor(8) as pool:
        homes = set(pool.map(lambda _: shipment.locate(), range(8)))
    assert len(homes) == 1
    home = homes.pop()
    assert home.is_relative_to(tmp_path / "cache")
    assert sparksig.digest(home) == model.digest
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("build", "origin"),
    [(ship_by_path, r".*/model"), (ship_inline, "the model that was sent with the query")],
    ids=["path", "inline"],
)
def test_model_that_changed_on_its_way_is_refused(model, tmp_path, build, origin):
    (tmp_path / "model" / "added").write_text("later")
    shipment = replace(build(replace(model, digest=sparksig.digest(tmp_path / "model"))), digest=model.digest)
    message = (
        f"^{origin}: the content differs from the model that was checked: expected the digest {model.digest}"
    )
    with pytest.raises(ModelDamagedError, match=message):
        shipment.locate()
    assert not list((tmp_path / "cache").rglob("MLmodel"))


def test_small_model_is_sent_inline_if_the_server_refuses_files(model):
    message = (
        r"^the server refuses files \(files are not implemented\), so the model is shipped with "
        "shipping='inline'; sparksig must be installed on the workers"
    )
    with pytest.warns(ShippingWarning, match=message):
        shipment = ship._ship_without_files(model, "files are not implemented")
    assert shipment.shipping == "inline"
    assert shipment.package == ship._identify_package()


def test_large_model_is_read_from_its_uri_if_the_server_refuses_files(model, monkeypatch):
    monkeypatch.setattr(ship, "_INLINE_BYTES", 10)
    remote = replace(model, source="s3://bucket/model")
    with pytest.warns(ShippingWarning, match="is shipped with shipping='path'"):
        shipment = ship._ship_without_files(remote, "no")
    assert (shipment.shipping, shipment.source) == ("path", "s3://bucket/model")


def test_large_local_model_is_refused_if_the_server_refuses_files(model, monkeypatch):
    monkeypatch.setattr(ship, "_INLINE_BYTES", 10)
    message = r"^the server refuses files \(no\), and the model is too large to be sent inline\. Put it where"
    with pytest.raises(UnsupportedError, match=message):
        ship._ship_without_files(model, "no")


def test_large_model_is_not_sent_inline(model, monkeypatch):
    monkeypatch.setattr(ship, "_INLINE_BYTES", 10)
    message = (
        r"^shipping='inline' is for models of at most 0 MB, and this one has 0 MB\. Pass shipping='files'"
    )
    with pytest.raises(UnsupportedError, match=message):
        ship._read_packed(model)


def test_unknown_way_is_refused(model):
    with pytest.raises(
        ContractError, match=r"^shipping: expected one of auto, files, path, inline, got 'ftp'$"
    ):
        ship.ship(None, model, "ftp")
