"""Run reports: written after each run, also a failed one, as text, as JSON both ways, as a page."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparksig import (
    BudgetExceededError,
    Code,
    ColSpec,
    ConfigError,
    ContractError,
    Finding,
    MissingDependencyError,
    ModelSignature,
    OutputRefusedError,
    ParamSchema,
    ParamSpec,
    PredictionError,
    Report,
    Schema,
    UnsupportedError,
    __version__,
)
from sparksig.engine.absent import find_absent_columns
from sparksig.jobs import CheckConfig, RunReport
from sparksig.jobs.files import read_file, write_file
from sparksig.jobs.job_run import create_run_id, get_report
from sparksig.tables.report import ColumnReport
from tests.cases import describe_case
from tests.jobs.helpers import run_job
from tests.strategies import names

FINDING = Finding(Code.NULL_IN_REQUIRED, "a.b", "long without nulls", "nulls", "declare it optional", 3)
ABSENT = find_absent_columns(
    Schema([ColSpec("double", "rooms", required=False), ColSpec("long", "pets", required=False)]),
    ["area", "Rooms"],
)
CHECK = Report(
    "full",
    "DDL",
    (FINDING, Finding(Code.MISSING_COLUMN, "z", "string", "no such column")),
    (ColumnReport("a", "Object", "struct<b:bigint>", False, 0), ColumnReport("z", "string", "", False)),
    rows=10,
    bad_rows=3,
    examples={0: ("id=1", "id=9")},
    seconds=0.25,
)
SAMPLED = Report(
    "sample", "model", (), (ColumnReport("x", "double", "double", True, 1, (("0 to 1", 4), ("1 to 2", 5))),),
    rows=9, bad_rows=0, claim="none of 9 rows breaks it",
)  # fmt: skip
WHOLE = RunReport(
    "score", "nightly-1", "done", 0, "2026-01-31T12:00:00Z", 20.0,
    {"start": 5.0, "score": 14.5, "write": 0.5},
    model_path="models/<m>", model_digest="ab" * 32,
    signature={"inputs": '[{"type": "long"}]', "outputs": None, "params": None, "text": "inputs\n  0  long"},
    input={"place": "/data/in", "format": "parquet", "files": 8, "bytes": 57_100_000, "sha256": "cd" * 32},
    rows_in=1000, scored=990, rejected=10, findings=(FINDING,), model_loads=2, model_load_seconds=1.25,
    output="/data/out", quarantine="/data/bad", written={"/data/out": 990, "/data/bad": 10},
    versions={"sparksig": "1", "python": "3.11"},
)  # fmt: skip


def config_of(**report):
    data = {"input": {"path": "t"}, "contract": "c", "report": {k: str(v) for k, v in report.items()}}
    return CheckConfig.model_validate(data)


def test_the_text_of_a_run():
    assert (
        str(WHOLE)
        == """\
run              nightly-1
status           done
rows in          1,000
scored           990
rejected         10 (1 %)
seconds          20.0
rows per second  50
phases           start 5.0 s, score 14.5 s, write 0.5 s
model            models/<m>
model digest     abababababab...
model loads      2
load seconds     1.2
input            /data/in (parquet, 8 files, 57.1 MB)
input digest     cdcdcdcdcdcd...
output           /data/out (990 rows)
quarantine       /data/bad (10 rows)
- a.b: expected long without nulls, got nulls, 3 times (declare it optional) [NULL_IN_REQUIRED]"""
    )


def test_absent_columns_are_listed_with_their_near_misses():
    report = dataclasses.replace(WHOLE, absent=ABSENT)
    lines = [line for line in str(report).splitlines() if line.startswith("absent column")]
    assert lines == [
        "absent column    rooms: optional, and the table has no such column (did you mean 'Rooms'? Names are "
        "case sensitive)",
        "absent column    pets: optional, and the table has no such column",
    ]
    assert [column["path"] for column in report.to_dict()["absent"]] == ["rooms", "pets"]
    assert RunReport.from_json(report.to_json()) == report
    page = html.unescape(report.render_page())
    assert all(line.removeprefix("absent column    ") in page for line in lines)


def test_the_text_of_a_run_that_failed():
    failed = RunReport(
        "check", "r", "failed", 3, "2026-01-31T12:00:00Z", 1.0, {}, "the table breaks it: 2 findings",
        (*CHECK.findings, Finding(Code.EMPTY, "", "rows", "nothing")), check=CHECK,
        input={"place": "db.t", "format": "delta", "version": 0}, rows_in=10,
    )  # fmt: skip
    text = str(failed)
    assert text.startswith(f"{CHECK}\nrun              r\nstatus           failed, exit code 3\n")
    assert "input            db.t (delta, version 0)\n" in text
    assert text.endswith(
        "error            the table breaks it: 2 findings\n- expected rows, got nothing [EMPTY]"
    )
    assert text.count("a.b: expected") == 1


def test_a_run_of_which_nothing_is_known():
    assert str(RunReport("infer", "r", "repeated", 0, "2026-01-31T12:00:00Z", 0.0, {})) == (
        "run              r\nstatus           repeated: the run was done before\nseconds          0.0"
    )


@pytest.mark.parametrize("report", [
    WHOLE,
    RunReport("check", "r", "failed", 3, "x", 1.0, {"a": 0.5}, "e", CHECK.findings, check=CHECK),
    RunReport("check", "r", "done", 0, "x", 1.0, {}, check=SAMPLED),
    RunReport("infer", "r", "done", 0, "x", 0.0, {}, evidence=("'x': long", "'y': double")),
], ids=["score", "check", "sample", "infer"])  # fmt: skip
def test_json_both_ways(report):
    text = report.to_json()
    assert RunReport.from_json(text) == report
    assert RunReport.from_json(text).to_json() == text
    json.loads(text, parse_constant=pytest.fail)


findings = st.builds(
    Finding, st.sampled_from(list(Code)), names, names, names, names, st.none() | st.integers(0, 2**70),
    st.lists(st.integers(0, 9)).map(tuple),
)  # fmt: skip
seconds = st.integers(0, 10**9).map(lambda thousandths: thousandths / 1000)
reports = st.builds(
    RunReport, names, names, names, st.integers(0, 9), names, seconds, st.dictionaries(names, seconds), names,
    st.lists(findings, max_size=2).map(tuple), rows_in=st.none() | st.integers(0, 2**70),
    findings=st.lists(findings, max_size=2).map(tuple), absent=st.lists(findings, max_size=2).map(tuple),
    written=st.dictionaries(names, st.integers(0)),
    evidence=st.lists(names, max_size=2).map(tuple),
)  # fmt: skip


@settings(max_examples=25)  # an example takes 0.2 s
@given(reports)
def test_every_report_is_json_both_ways_and_a_page(report):
    assert RunReport.from_json(report.to_json()) == report
    assert str(report)
    assert "<script" not in report.render_page()


def test_the_page_of_a_run(tmp_path):
    WHOLE.to_html(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "models/&lt;m&gt;" in page
    assert "<m>" not in page
    texts = (
        "nightly-1", "rows per second", "990", "a.b", "NULL_IN_REQUIRED", "declare it optional",
        "inputs\n  0  long", "python 3.11", "Why rows were rejected",
    )  # fmt: skip
    assert [text for text in texts if text not in page] == []
    phases = re.findall(r'<span style="flex:([\d.]+);[^>]* title="(.*?)">(.*?)</span>', page)
    assert phases == [
        ("25.0000", "start: 5.0 s", "start"), ("72.5000", "score: 14.5 s", "score"),
        ("2.5000", "write: 0.5 s", ""),
    ]  # fmt: skip
    assert "http" not in page
    assert WHOLE._repr_html_() in page


def test_the_page_of_a_check_has_the_check(tmp_path):
    failed = RunReport("check", "r", "failed", 3, "x", 1.0, {}, "<b>", CHECK.findings, check=CHECK)
    page = failed.render_page()
    assert "&lt;b&gt;" in page
    assert page.count("MISSING_COLUMN") == 1
    assert "struct&lt;b:bigint&gt;" in page
    assert "What is wrong" not in page
    report = RunReport("check", "r", "failed", 3, "x", 1.0, {}, "e", CHECK.findings)
    assert "What is wrong" in report.render_page()


# --- recording ----------------------------------------------------------------------------------------------


def test_a_run_is_recorded(tmp_path):
    signature = ModelSignature(Schema([ColSpec("long", "x")]))

    def work(run):
        assert run.config.report.html is not None
        with run.phase("read"):
            pass
        with run.phase("read"), run.phase("score"):
            run.note(rows_in=3, signature=signature)

    config = config_of(json=tmp_path / "a b" / "ü" / "r.json", html=tmp_path / "r.html")
    report = run_job(config, work)
    assert (report.status, report.exit_code, report.rows_in, report.error) == ("done", 0, 3, "")
    assert list(report.phases)[:2] == ["read", "score"]
    assert report.seconds == pytest.approx(sum(report.phases.values()), abs=0.01)  # they are rounded
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", report.run_id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", report.started)
    assert report.signature == {**signature.to_dict(), "text": signature.to_text()}
    assert report.versions["sparksig"] == __version__
    assert {"python", "numpy", "pandas", "pyarrow"} <= report.versions.keys()
    written = (tmp_path / "a b" / "ü" / "r.json").read_text()
    assert RunReport.from_json(written).to_json() == report.to_json() == written
    assert (tmp_path / "r.html").read_text() == report.render_page()
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["r.html", "r.json"]


@pytest.mark.parametrize(("error", "code", "text", "findings"), [
    (ContractError.of("broken", [FINDING]), 3, "broken: 1 finding", (FINDING,)),
    (BudgetExceededError("too many"), 4, "too many", ()),
    (ValueError("secret 4711"), 1, "unexpected error ValueError: see the log", ()),
    (RuntimeError("x\nsparksig.errors.PredictionError: no rows: 1 finding\n  - a: expected 1 [EMPTY]\n\tat"),
     3, "no rows: 1 finding\n  - a: expected 1 [EMPTY]", ()),
    (KeyboardInterrupt(), 130, "interrupted", ()),
    (SystemExit(9), 1, "unexpected error SystemExit: see the log", ()),
], ids=["a contract", "a budget", "a stranger", "a worker", "Ctrl-C", "the end"])  # fmt: skip
def test_a_run_that_fails_is_recorded_too(tmp_path, error, code, text, findings):
    def work(run):
        run.note(rows_in=3)
        with run.phase("score"):
            raise error

    with pytest.raises(PredictionError if "PredictionError" in str(error) else type(error)) as caught:
        run_job(config_of(json=tmp_path / "r.json"), work)
    report = RunReport.from_json((tmp_path / "r.json").read_text())
    assert report.to_json() == get_report(caught.value).to_json()
    assert (report.status, report.exit_code, report.error) == ("failed", code, text)
    assert report.error_findings == findings
    assert (report.rows_in, next(iter(report.phases))) == (3, "score")
    assert "4711" not in str(report) + report.render_page()


def test_a_name_is_kept_and_a_repeated_run_says_so():
    config = config_of().model_copy(update={"run_id": "nightly"})
    report = run_job(config, lambda run: run.note(status="repeated", rows_in=0))
    assert (report.run_id, report.status, report.rows_in) == ("nightly", "repeated", 0)
    assert create_run_id() != create_run_id()
    assert get_report(ValueError()) is None


def test_no_credentials_of_a_uri_reach_a_report():
    secret = "s3://key:hunter2@bucket/x"

    def work(run):
        run.note(model_path=secret, output=secret, quarantine=f"{secret}?k=hunter2", written={secret: 3})
        run.note(input={"place": secret, "format": "parquet"})
        raise ContractError(f"{secret}: it is not as it should be")

    with pytest.raises(ContractError) as error:
        run_job(config_of(), work)
    report = get_report(error.value)
    assert "hunter2" not in report.to_json() + str(report) + report.render_page()
    assert "output           s3://bucket/x (3 rows)" in str(report)
    assert "hunter2" not in str(error.value)


def test_phases_sum_to_the_total_and_exclude_each_other():
    def work(run):
        with run.phase("outer"):
            time.sleep(0.02)
            with run.phase("inner"):
                time.sleep(0.5)
        time.sleep(0.02)

    report = run_job(config_of(), work)
    assert list(report.phases) == ["inner", "outer", "other"]
    assert report.phases["outer"] < report.phases["inner"]
    assert sum(report.phases.values()) == pytest.approx(report.seconds, abs=0.0011)


def test_run_id_in_the_paths_of_reports(tmp_path):
    config = config_of(json=tmp_path / "{run_id}.json", html=tmp_path / "{run_id}" / "run.html")
    report = run_job(config, lambda run: None)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {f"{report.run_id}.json", f"{report.run_id}/run.html"}


def test_log_of_a_failure_is_at_the_configured_path(tmp_path):
    def work(run):
        raise ZeroDivisionError("by zero")

    config = config_of(log=tmp_path / "logs" / "{run_id}.log").model_copy(update={"run_id": "nightly"})
    with pytest.raises(ZeroDivisionError) as error:
        run_job(config, work)
    log = tmp_path / "logs" / "nightly.log"
    assert get_report(error.value).log == str(log)
    assert log.read_text().endswith("ZeroDivisionError: by zero\n")
    assert log.stat().st_mode & 0o077 == 0
    assert [path.name for path in log.parent.iterdir()] == ["nightly.log"]


def test_log_that_cannot_be_written_is_a_temporary_file(tmp_path):
    def work(run):
        raise ZeroDivisionError("by zero")

    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run.log"
    with pytest.raises(ZeroDivisionError) as error:
        run_job(config_of(log=path), work)
    log = get_report(error.value).log
    assert log != str(path)
    assert "by zero" in Path(log).read_text()


def test_failed_run_names_no_output_that_it_has_not_written():
    def work(run):
        run.note(output="out", quarantine="bad", findings=(FINDING,), written={"bad": 1})
        raise BudgetExceededError("too many rows", (FINDING,))

    with pytest.raises(BudgetExceededError) as error:
        run_job(config_of(), work, "score")
    text = str(get_report(error.value))
    assert "output " not in text
    assert "quarantine       bad (1 row)" in text
    assert text.count(str(FINDING)) == 1


def test_a_run_refuses_unknown_keys_of_its_report():
    with pytest.raises(TypeError, match="a run report has no rowsin, skore"):
        run_job(config_of(), lambda run: run.note(rows_in=1, rowsin=1, skore=1))


def test_a_default_that_json_cannot_say_does_not_keep_the_report_from_being_written(tmp_path):
    signature = ModelSignature(params=ParamSchema([ParamSpec("p", "double", float("nan"))]))
    config = config_of(json=tmp_path / "r.json")
    report = run_job(config, lambda run: run.note(signature=signature))
    assert report.signature == {"text": signature.to_text()}
    assert json.loads((tmp_path / "r.json").read_text())["signature"]["text"].startswith("inputs\n  none")


def test_report_that_cannot_be_written_is_an_error_of_a_job_that_is_done(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputRefusedError, match="the job is done, but the run report cannot be written to"):
        run_job(config_of(json=tmp_path / "file" / "r.json"), lambda run: None)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("key", ["json", "html", "log"])
def test_directory_in_place_of_a_report_is_refused_before_anything_is_done(tmp_path, key):
    with pytest.raises(ConfigError, match=rf"report\.{key}: expected the path of a file, got a directory"):
        run_job(config_of(**{key: tmp_path}), lambda run: pytest.fail("the job has begun"))


def test_a_report_that_cannot_be_written_does_not_hide_the_error_of_the_job(tmp_path, capsys):
    (tmp_path / "file").touch()

    def work(run):
        raise ContractError("the error itself")

    config = config_of(json=tmp_path / "file" / "r.json", html=tmp_path / "r.html")
    with pytest.raises(ContractError, match="the error itself"):
        run_job(config, work)
    assert "sparksig: the run report cannot be written to" in capsys.readouterr().err
    assert "the error itself" in (tmp_path / "r.html").read_text()


def test_a_report_that_needs_a_package_is_refused_before_anything_is_done(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    config = config_of(json=tmp_path / "r.json", html=tmp_path / "r.html")
    with pytest.raises(MissingDependencyError, match=r"report\.html needs the package 'jinja2'"):
        run_job(config, lambda run: pytest.fail("it was done"))
    assert RunReport.from_json((tmp_path / "r.json").read_text()).status == "failed"
    assert capsys.readouterr().err == ""


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "file:{}", "file://{}"])
def test_files_are_written_whole(tmp_path, form):
    path = form.format(tmp_path / "new" / "f.json")
    assert read_file(path, {}) is None
    write_file(path, b"first", {})
    assert read_file(path, {}) == b"first"
    write_file(path, b"second", {})
    assert read_file(path, {}) == b"second"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["f.json"]


def test_a_relative_path_counts_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_file("f.json", b"x", {})
    assert (tmp_path / "f.json").read_bytes() == b"x"


@pytest.mark.parametrize(
    "do", [lambda: write_file("dbfs:/x/f", b"", {}), lambda: read_file("dbfs:/x/f", {})], ids=describe_case
)
def test_an_unknown_file_system(do, monkeypatch):
    monkeypatch.setattr("pyspark.SparkContext._active_spark_context", None)  # other tests may have left one
    with pytest.raises(UnsupportedError, match="is on a file system that pyarrow does not know"):
        do()
