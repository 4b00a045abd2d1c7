"""The formats of commands that report findings. No Java."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksig.cli import cli
from sparksig.cli.formats import Case, to_github, to_junit
from tests.cli.runner import runner

CONTRACT = "id bigint, price double, `a,b` string"


@pytest.fixture
def orders(tmp_path, monkeypatch):
    """A directory with a table: one column is ok, one has another type, one is missing, one is extra."""
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"id": [1], "price": ["x"], "extra": [1]}), "orders.parquet")
    return "orders.parquet"


def run_command(*arguments, code):
    done = runner().invoke(cli, arguments, prog_name="sparksig")
    assert done.exit_code == code, done.output
    return done.stdout


def test_failing_columns_come_first(orders):
    lines = run_command("check", orders, CONTRACT, code=3).splitlines()
    assert [line.split()[-1] for line in lines[1:4]] == ["fails", "fails", "ok"]


def test_only_findings_omits_columns_that_are_ok(orders):
    text = run_command("check", orders, CONTRACT, "--only-findings", "--missing", "allow", code=3)
    assert text == (
        "the table breaks the contract (DDL): schema checked\n"
        "  price  double  string  fails\n"
        "- price: expected double, got string (cast it explicitly) [TYPE_MISMATCH]\n"
        "- extra: expected no such column, got int64 (drop it, declare it, or pass extra='allow') "
        "[EXTRA_COLUMN]\n"
    )


def test_only_findings_of_a_comparison_omits_other_differences(orders):
    text = run_command("diff", "a int, b string", "a bigint, b string", "--only-findings", code=3)
    assert "new cannot replace old:\n- inputs.a: " in text
    assert "not declared" not in text
    assert "other differences" not in text


def test_junit_has_a_test_case_for_each_column(orders):
    root = ElementTree.fromstring(run_command("check", orders, CONTRACT, "--format", "junit", code=3))
    suite = root.find("testsuite")
    assert suite.attrib == {
        "name": "sparksig check orders.parquet",
        "tests": "4",
        "failures": "3",
        "errors": "0",
    }
    failures = {case.get("name"): case.find("failure") for case in suite}
    assert list(failures) == ["id", "price", "a,b", "extra"]
    assert failures["id"] is None
    assert failures["price"].get("type") == "TYPE_MISMATCH"
    assert failures["price"].text.startswith("price: expected double, got string")


def test_junit_of_a_comparison_has_a_test_case_for_each_path(orders):
    text = run_command("diff", "a int, b string", "a bigint, b int", "--format", "junit", code=3)
    names = [case.get("name") for case in ElementTree.fromstring(text).iter("testcase")]
    assert names == ["inputs.a", "inputs.b"]
    text = run_command("diff", "a int", "a int", "--format", "junit", code=0)
    cases = list(ElementTree.fromstring(text).iter("testcase"))
    assert [(case.get("name"), len(case)) for case in cases] == [("inputs", 0)]


def test_github_annotates_findings_and_warnings(orders):
    text = run_command("check", orders, "id bigint, `a,b` string", "--format=github", "--extra=warn", code=3)
    lines = text.splitlines()
    assert lines[0] == (
        "::error title=a%2Cb MISSING_COLUMN::a,b: expected string, got no such column [MISSING_COLUMN]"
    )
    assert [line.partition("::e")[0].partition(" title=")[0] for line in lines[1:3]] == ["::warning"] * 2
    assert lines[3] == "the table breaks the contract (DDL): schema checked"


def test_an_error_has_the_format_of_the_command():
    text = run_command("check", "nowhere", CONTRACT, "--format", "junit", code=9)
    error = ElementTree.fromstring(text).find("testsuite/testcase/error")
    assert error.get("type") == "exit code 9"
    assert error.text == "there is no Parquet table at 'nowhere'"
    text = run_command("check", "nowhere", CONTRACT, "--format", "github", code=9)
    assert text == "::error title=sparksig exit code 9::there is no Parquet table at 'nowhere'\n"
    text = run_command("check", "nowhere", CONTRACT, "--format", "json", code=9)
    assert json.loads(text)["exit_code"] == 9


def test_json_is_short_for_its_format(orders):
    texts = [
        json.loads(run_command("check", orders, CONTRACT, *options, code=3)) | {"seconds": 0}
        for options in (["--json"], ["--format", "json"])
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--json", "--format", "json", "--only-findings"], "--only-findings applies to text"),
        (["--json", "--format", "github"], "--json is short for --format json"),
        (["--format", "junit", "--only-findings"], "--only-findings applies to text"),
        (["--format", "yaml"], "'yaml' is not one of"),
    ],
    ids=["json of findings", "two formats", "junit of findings", "unknown"],
)
def test_options_that_contradict_each_other(orders, options, message):
    done = runner().invoke(cli, ["check", orders, CONTRACT, *options], prog_name="sparksig")
    assert done.exit_code == 2
    assert message in done.stdout + done.stderr


@given(name=st.text(), text=st.text())
def test_any_name_makes_valid_xml_and_one_annotation(name, text):
    cases = [Case(name, (("EMPTY", text),)), Case(name)]
    assert ElementTree.fromstring(to_junit(name, cases)).find("testsuite").get("tests") == "2"
    assert [len(line.splitlines()) for line in to_github(cases)] == [1]
