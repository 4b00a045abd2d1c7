"""Signatures in files of their own."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from sparksig import ColSpec, ConfigError, ModelSignature, OutputRefusedError, Schema, SignatureError
from sparksig.jobs.signature_files import read_signature, write_signature
from sparksig.tables.signatures import parse_signature
from tests.strategies import signatures

ONE = ModelSignature(Schema([ColSpec("long", "größe")]))
OTHER = ModelSignature(Schema([ColSpec("double", "größe")]))


@given(signatures())
def test_a_signature_is_read_from_what_it_is_written_as(tmp_path_factory, signature):
    path = tmp_path_factory.mktemp("s") / "s.json"
    write_signature(str(path), signature, {})
    assert read_signature(str(path), {}) == signature
    assert parse_signature(json.dumps(signature.to_dict()).encode()) == signature  # as in MLmodel files


def test_the_same_may_be_there_and_nothing_else(tmp_path):
    path = str(tmp_path / "s.json")
    write_signature(path, ONE, {})
    before = (tmp_path / "s.json").read_bytes()
    write_signature(path, ONE, {})
    with pytest.raises(OutputRefusedError, match="exists and has another signature; nothing was written"):
        write_signature(path, OTHER, {})
    assert (tmp_path / "s.json").read_bytes() == before
    (tmp_path / "s.json").write_text("precious")
    with pytest.raises(OutputRefusedError, match="exists and has another signature"):
        write_signature(path, ONE, {})
    assert (tmp_path / "s.json").read_text() == "precious"


@pytest.mark.parametrize(("content", "message"), [
    (b"", "not JSON: "),
    (b"\xff", "not JSON: "),
    (b"[]", "not a signature: an object of inputs, outputs and params"),
    (b'{"input": []}', "not a signature: an object of inputs, outputs and params"),
    (b"{}", "a signature needs inputs, outputs or params"),
    (b'{"inputs": [{"type": "lnog"}]}', "malformed signature JSON: 1 finding"),
])  # fmt: skip
def test_files_that_hold_no_signature(tmp_path, content, message):
    with pytest.raises(SignatureError) as error:
        parse_signature(content)
    assert message in str(error.value)
    (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"s\.json' has no signature: "):
        read_signature(str(tmp_path / "s.json"), {})


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="there is no signature at"):
        read_signature(str(tmp_path / "s.json"), {})
