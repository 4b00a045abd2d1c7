"""The command line of jobs: options, exit codes, standard output and errors."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import sparksig
from sparksig import Code, Finding, SparksigError
from sparksig.errors import ConfigError, ModelDamagedError, ModelNotFoundError
from sparksig.jobs import EXIT_CODES, JOBS, RunReport, exit_code, main, run
from sparksig.jobs.config import CheckConfig
from tests.jobs.helpers import run_job

CONFIG = "input: {path: t}\ncontract: c\n"


@dataclass(frozen=True)
class Planned:
    findings: tuple[Finding, ...] = ()
    exit_code: int = 0

    def to_json(self):
        return json.dumps([finding.to_dict() for finding in self.findings])

    def __str__(self):
        return "\n".join(["the plan", *map(str, self.findings)])


@pytest.fixture
def job(monkeypatch, tmp_path):
    """A function that puts another job in the place of check, and runs it."""
    (tmp_path / "c.yaml").write_text(CONFIG)

    def call(work, *arguments, plan=None):
        job = main.Job(CheckConfig, lambda config: run_job(config, work), plan)
        monkeypatch.setitem(JOBS, "check", job)
        return run("check", ["--config", str(tmp_path / "c.yaml"), *arguments])

    return call


def test_a_job_is_done_and_its_report_is_printed(job, capsys):
    def work(run):
        run.note(rows_in=7)
        assert run.config.input.path == "u"

    assert job(work, "--set", "input.path=t2", "--set", "input.path=u") == 0
    output = capsys.readouterr()
    assert "rows in          7" in output.out
    assert output.err == ""


def test_the_plan_is_printed_and_nothing_is_done(job, capsys):
    def work(run):
        pytest.fail("it was done")

    assert job(work, "--dry-run", plan=lambda config: Planned()) == 0
    assert capsys.readouterr().out == "the plan\n"
    finding = Finding(Code.EMPTY, "x", "rows")
    assert job(work, "--dry-run", plan=lambda config: Planned((finding,), 6)) == 6
    assert "x: expected rows [EMPTY]" in capsys.readouterr().out

    def refused(config):
        raise ModelNotFoundError("there is no model")

    assert job(work, "--dry-run", plan=refused) == 8
    assert "sparksig: there is no model" in capsys.readouterr().err


def _forms(form=SparksigError):
    yield form
    for inner in form.__subclasses__():
        yield from _forms(inner)


@pytest.mark.parametrize("form", sorted(set(_forms()), key=lambda form: form.__name__))
def test_each_error_ends_with_its_code_and_one_message(job, capsys, form):
    finding = Finding(Code.EMPTY, "x", "rows")

    def work(run):
        raise form("what went wrong", [finding])

    code = job(work)
    output = capsys.readouterr()
    assert output.err == "\nsparksig: what went wrong\n  - x: expected rows [EMPTY]\n"
    assert f"status           failed, exit code {code}" in output.out
    assert code == exit_code(form("")) == next(
        (code for base, (code, _) in EXIT_CODES.items() if issubclass(form, base)), 1
    )  # fmt: skip


def test_the_exit_codes():
    assert {code for code, _ in EXIT_CODES.values()} == {2, 3, 4, 5, 6, 7, 8, 9, 10}
    assert exit_code(sparksig.PredictionError("")) == 3
    assert exit_code(sparksig.BudgetExceededError("")) == 4
    assert exit_code(ModelDamagedError("")) == exit_code(sparksig.ModelNotTrustedError("")) == 5
    assert exit_code(sparksig.UnsupportedError("")) == exit_code(OSError()) == 1
    assert exit_code(sparksig.ModelFailedError("")) == 10
    assert exit_code(sparksig.ExecutionError("")) == 1
    assert exit_code(KeyboardInterrupt()) == 130


def test_unexpected_error_is_logged(job, capsys):
    def work(run):
        raise ZeroDivisionError("by zero")

    assert job(work) == 1
    output = capsys.readouterr()
    first, log = output.err.strip().splitlines()
    assert first == (
        "sparksig: unexpected error ZeroDivisionError. Report it with the log, which may hold your data"
    )
    path = log.removeprefix("  log: ")
    assert f"log              {path}\n" in output.out
    assert "by zero" not in output.out + output.err
    text = Path(path).read_text(encoding="utf-8")
    assert "in work\n" in text
    assert text.endswith("ZeroDivisionError: by zero\n")
    assert os.stat(path).st_mode & 0o077 == 0


def test_an_error_of_a_worker_is_raised_like_one_of_the_driver(job, capsys):
    text = (
        "Job aborted due to stage failure\nTraceback (most recent call last):\n"
        "sparksig.errors.ContractError: the data does not fit: 1 finding\n  - x: expected rows [EMPTY]\n"
        "\n\tat org.apache.spark"
    )

    def work(run):
        raise RuntimeError(text)

    assert job(work) == 3
    output = capsys.readouterr().err
    assert output.startswith("\nsparksig: the data does not fit: 1 finding\n  - x: expected rows [EMPTY]\n")
    assert "org.apache" not in output


def test_an_interrupted_job(job, capsys):
    def work(run):
        raise KeyboardInterrupt

    assert job(work) == 130
    assert capsys.readouterr().err == "\nsparksig: interrupted\n"


def test_a_job_that_is_ended_by_a_signal_is_reported(job, tmp_path, capsys):
    def work(run):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    before = signal.getsignal(signal.SIGTERM)
    assert job(work, "--set", f"report.json={tmp_path / 'r.json'}") == 130
    assert capsys.readouterr().err == "\nsparksig: interrupted\n"
    report = RunReport.from_json((tmp_path / "r.json").read_text())
    assert (report.status, report.exit_code, report.error) == ("failed", 130, "interrupted")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_job_in_another_thread(job):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(job(lambda run: None)))
    thread.start()
    thread.join()
    assert codes == [0]


@pytest.mark.parametrize("arguments", [[], ["--config"], ["--config", "x", "more"], ["--confgi", "x"]])
def test_a_wrong_command_line(arguments, capsys):
    assert run("score", arguments) == 2
    assert "usage: score.py " in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(JOBS))
def test_help(name, capsys):
    assert run(name, ["--help"]) == 0
    output = capsys.readouterr().out
    engine = "[--engine {auto,spark,direct,local}]" if name == "score" else ""
    usage = f"usage: {name}.py [-h] --config FILE [--set KEY=VALUE] {engine} [--dry-run]"
    assert " ".join(usage.split()) in " ".join(output.split())
    assert f"conf/{name}.yaml" in output.replace("\n", " ").replace("  ", " ")


def test_a_wrong_configuration(tmp_path, capsys):
    assert run("check", ["--config", str(tmp_path / "none.yaml")]) == 7
    (tmp_path / "c.yaml").write_text(CONFIG)
    assert run("check", ["--config", str(tmp_path / "c.yaml"), "--set", "mdoe=x"]) == 2
    assert (
        "  - mdoe: expected a known key, got another, by --set (did you mean 'mode'?)"
        in capsys.readouterr().err
    )
    assert isinstance(ConfigError(""), ValueError)


def test_credentials_in_places_are_not_printed(job, capsys):
    def work(run):
        raise SparksigError("there is no table at 's3a://key:secret@bucket/t'")

    class Place(Planned):
        def __str__(self):
            return "check s3a://key:secret@bucket/t: its types"

    assert job(work) == 1
    assert job(work, "--dry-run", plan=lambda config: Place()) == 0
    output = capsys.readouterr()
    assert "secret" not in output.out + output.err
    assert "no table at 's3a://bucket/t'" in output.err
    assert output.out.endswith("check s3a://bucket/t: its types\n")


def test_directories_in_place_of_reports_are_reported_once(job, tmp_path, capsys):
    (tmp_path / "run.html").mkdir()
    reports = f"report={{json: {tmp_path}, html: '{tmp_path}/{{run_id}}.html'}}"
    assert job(lambda run: None, "--set", reports, "--set", "run_id=run") == 2
    message = (
        "the configuration is wrong: 2 findings\n"
        "  - report.json: expected the path of a file, got a directory [INVALID_VALUE]\n"
        "  - report.html: expected the path of a file, got a directory [INVALID_VALUE]\n"
    )
    assert capsys.readouterr().err == f"\nsparksig: {message}"


def test_a_report_that_cannot_be_written_is_printed(job, capsys):
    assert job(lambda run: run.note(rows_in=7), "--set", "report.json=nowhere://h/r.json") == 6
    output = capsys.readouterr()
    assert "rows in          7" in output.out
    assert "the job is done, but the run report cannot be written to 'nowhere://h/r.json'" in output.err
