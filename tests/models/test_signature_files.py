"""Signatures in files: one call reads a signature, and each function accepts its path as a contract."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given

import sparksig
from sparksig import (
    ColSpec,
    ContractError,
    MissingSignatureError,
    ModelDamagedError,
    ModelNotFoundError,
    ModelSignature,
    Schema,
    SignatureError,
)
from sparksig.errors import SignatureTypeError
from tests.cli.runner import runner
from tests.strategies import signatures

HARVEST = pd.DataFrame({"plot": ["north", "south"], "yield": [1.5, None]})
SIGNATURE = sparksig.infer_signature(HARVEST, np.array([1, 2]))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "signature.json"
    SIGNATURE.to_json(path)
    return path


@pytest.fixture
def model(tmp_path):
    config = {"flavors": {"python_function": {"loader_module": "x"}}, "signature": SIGNATURE.to_dict()}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text(json.dumps(config))
    return tmp_path / "model"


@given(signatures())
def test_a_written_signature_is_loaded(tmp_path_factory, signature):
    path = tmp_path_factory.mktemp("files") / "signature.json"
    signature.to_json(path)
    assert sparksig.load_signature(path) == signature
    assert sparksig.load_signature(str(path)) == signature
    assert sparksig.load_signature(path.as_uri()) == signature


@pytest.mark.parametrize(
    "locate",
    [lambda path: path, str, lambda path: path / "MLmodel", lambda path: path.as_uri()],
    ids=["path", "string", "MLmodel", "URI"],
)
def test_the_signature_of_a_model_directory_is_loaded(model, locate):
    assert sparksig.load_signature(locate(model)) == SIGNATURE


def test_what_the_command_infer_writes_is_loaded(tmp_path):
    from sparksig.cli import cli

    HARVEST.to_parquet(tmp_path / "harvest.parquet", index=False)
    output = tmp_path / "signature.json"
    arguments = ["infer", str(tmp_path / "harvest.parquet"), "-o", str(output)]
    assert runner().invoke(cli, arguments).exit_code == 0
    loaded = sparksig.load_signature(output)
    assert loaded.inputs == SIGNATURE.inputs
    assert f"{loaded.to_json()}\n" == output.read_text()
    assert sparksig.ModelSignature.from_dict(json.loads(output.read_text())) == loaded


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{", "signature.json: not JSON: "),
        (b"[]", "signature.json: not a signature: an object of inputs, outputs and params$"),
        (b'{"input": []}', r"not a signature: .*, not of input \(did you mean 'inputs'\?\)$"),
        (
            b'{"inputs": [{"type": "long", "nmae": "a"}]}',
            "(?s)signature.json: malformed.*did you mean 'name'",
        ),
        (b"{}", "signature.json: a signature needs inputs, outputs or params"),
    ],
    ids=["no-json", "list", "misspelled-side", "misspelled-key", "empty"],
)
def test_a_file_without_a_signature_is_refused_with_its_path(file, content, text):
    file.write_bytes(content)
    with pytest.raises(SignatureError, match=text):
        sparksig.load_signature(file)


def test_nothing_to_load_from(tmp_path, model):
    with pytest.raises(ModelNotFoundError, match="there is no signature file and no model directory at '"):
        sparksig.load_signature(tmp_path / "signatures.json")
    with pytest.raises(SignatureTypeError, match="signature: expected a path or a URI, got None"):
        sparksig.load_signature(None)
    (model / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(MissingSignatureError, match="model: the model has no signature"):
        sparksig.load_signature(model)
    (model / "MLmodel").write_text("flavors: [\n")
    with pytest.raises(ModelDamagedError):
        sparksig.load_signature(model)


# --- as contracts -------------------------------------------------------------------------------------------

KINDS = ["file", "path", "model", "signature", "dictionary", "lists", "ddl", "arrow"]


def contract_of_kind(kind, file, model):
    return {
        "file": str(file),
        "path": file,
        "model": str(model),
        "signature": SIGNATURE,
        "dictionary": SIGNATURE.to_dict(),
        "lists": json.loads(SIGNATURE.to_json()),
        "ddl": "plot string not null, yield double not null",
        "arrow": pa.schema([pa.field("plot", "string", nullable=False), pa.field("yield", "float64")]),
    }[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_data_is_enforced_by_any_kind_of_contract(kind, file, model):
    contract = contract_of_kind(kind, file, model)
    pd.testing.assert_frame_equal(
        sparksig.enforce(HARVEST, contract), sparksig.enforce(HARVEST, SIGNATURE.inputs)
    )
    sparksig.validate_schema(HARVEST, contract)
    with pytest.raises(ContractError, match="plot: expected string"):
        sparksig.validate_schema(HARVEST.assign(plot=1), contract)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "arrow"])
def test_contracts_of_any_kind_are_compared(kind, file, model):
    contract = contract_of_kind(kind, file, model)
    narrower = Schema([ColSpec("string", "plot"), ColSpec("float", "yield")])
    comparison = sparksig.compare(narrower, contract)
    assert comparison.ok
    assert not sparksig.compare(contract, narrower).ok
    if kind not in ("ddl",):
        assert str(sparksig.compare(contract, SIGNATURE)) == str(sparksig.compare(SIGNATURE, SIGNATURE))


def test_a_table_is_compared_as_a_table(tmp_path):
    HARVEST.to_parquet(tmp_path / "harvest.parquet", index=False)
    assert sparksig.compare(tmp_path / "harvest.parquet", SIGNATURE).ok


def test_text_and_signatures_that_are_no_contract(file, model):
    with pytest.raises(ContractError, match="'plot' is not a model directory, a file, or DDL"):
        sparksig.enforce(HARVEST, "plot")
    with pytest.raises(ContractError, match="the signature has no inputs"):
        sparksig.enforce(HARVEST, ModelSignature(outputs=SIGNATURE.inputs))
    with pytest.raises(SignatureError, match="a signature needs inputs, outputs or params"):
        sparksig.enforce(HARVEST, {})
    (model / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(MissingSignatureError, match="model: the model has no signature"):
        sparksig.enforce(HARVEST, model)
