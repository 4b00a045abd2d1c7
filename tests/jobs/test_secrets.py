"""Secrets of a configuration appear in no message, however it quotes them."""

from __future__ import annotations

import json
import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparksig.errors import Code, ContractError, Finding, make_printable
from sparksig.jobs.secrets import find_secrets, hide_secrets, hide_secrets_in_error

PASSWORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=6).filter(
    lambda text: not text[0].isdigit() and "***" not in text and "://" not in text
)
SCHEMES = st.sampled_from(["s3a", "abfss", "jdbc:postgresql", "https", "models"])
SECRET_KEYS = st.sampled_from([
    "spark.hadoop.fs.s3a.secret.key", "spark.hadoop.fs.s3a.access.key", "fs.azure.account.key.lake.dfs.core",
    "spark.hadoop.fs.s3a.session.token", "javax.jdo.option.ConnectionPassword", "spark.ssl.keyPassword",
    "fs.azure.sas.box.account", "google.private_key", "API_KEY", "spark.hadoop.dfs.credentials",
])  # fmt: skip
PARAMETERS = st.sampled_from(["sig", "X-Amz-Signature", "access_key", "secret_key", "sas-token", "password"])
QUOTES = {
    "plain": str,
    "in a URI": lambda text: urllib.parse.quote(text, safe=""),
    "in JSON": json.dumps,
    "in Python": repr,
    "on a terminal": make_printable,
    "in a sentence": lambda text: f"cannot log in with {text}, says the store",
}


@st.composite
def configurations(draw):
    """A configuration with a password somewhere, and the password."""
    password = draw(PASSWORDS)
    quoted = urllib.parse.quote(password, safe="")
    scheme = draw(SCHEMES)
    uris = {
        "raw": f"{scheme}://user:{password}@host/path",
        "percent": f"{scheme}://user:{quoted}@host/path",
        "parameter": f"https://host/path?a=1&{draw(PARAMETERS)}={quoted}&b=2",
    }
    setting = {draw(SECRET_KEYS): password}
    sections = [{"input": {"path": uri}} for uri in uris.values()]
    sections += [{"model": {"path": [uri]}} for uri in uris.values()]
    sections += [
        {"spark": setting},
        {"input": {"options": setting}},
        {"spark": {"spark.app.name": uris["raw"]}},
    ]
    return draw(st.sampled_from(sections)), password


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
@given(case=configurations())
@example(case=({"input": {"path": "s3a://user:a@bcdef@host/path"}}, "a@bcdef"))
@example(case=({"input": {"path": "s3a://user:a/bcdef@host/path"}}, "a/bcdef"))
@example(case=({"input": {"path": "s3a://user:a%2Fbcdef@host/path"}}, "a/bcdef"))
@example(case=({"spark": {"spark.ssl.keyPassword": "back\\slash'\""}}, "back\\slash'\""))
def test_secret_is_hidden(quote, case):
    config, password = case
    assert password not in hide_secrets(quote(password), find_secrets(config))


@given(case=configurations())
def test_configuration_without_its_secrets_is_safe_to_print(case):
    config, password = case
    secrets = find_secrets(config)
    for text in (str(config), json.dumps(config), json.dumps(json.dumps(config))):
        hidden = hide_secrets(text, secrets)
        assert password not in hidden
        assert urllib.parse.quote(password, safe="") not in hidden


@given(case=configurations())
def test_error_and_its_findings_hide_secrets(case):
    config, password = case
    finding = Finding(Code.INVALID_VALUE, password, password, password, password)
    error = ContractError.of(f"no access with {password}", [finding])
    hide_secrets_in_error(error, find_secrets(config))
    assert password not in str(error)
    assert password not in json.dumps([part.to_dict() for part in error.findings], ensure_ascii=False)


PLAIN = {
    "name of an application": {"spark.app.name": "nightly"},
    "port of a name node": {"path": "hdfs://namenode:8020/user/me@home/table"},
    "short text": {"path": "s3a://me:abc@lake"},
    "setting of another kind": {"spark.sql.shuffle.partitions": "2000"},
    "parameter of another kind": {"path": "s3://bucket/model?region=eu-west-1"},
    "no password": {"path": "abfss://container@account/path"},
}


@pytest.mark.parametrize("config", PLAIN.values(), ids=PLAIN)
def test_ordinary_text_is_no_secret(config):
    assert find_secrets(config) == frozenset()


def test_secrets_are_those_of_uris_and_of_settings():
    config = {
        "input": {"path": "s3a://key:hush/77@lake/t"},
        "spark": {"spark.hadoop.fs.s3a.secret.key": "quiet9", "spark.app.name": "nightly"},
    }
    secrets = find_secrets(config)
    assert secrets >= {"hush/77", "quiet9"}
    assert "nightly" not in secrets
    hidden = hide_secrets("hush/77 and quiet9 of nightly at s3a://key:hush/77@lake/t", secrets)
    assert hidden == "*** and *** of nightly at s3a://lake/t"
