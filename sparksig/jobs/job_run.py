"""The run of a job, which measures its phases, and writes a report even if the job fails."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import secrets
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib import metadata
from importlib.util import find_spec
from typing import Any, ClassVar, Generic, TypeVar

from sparksig.errors import (
    Code,
    Finding,
    MissingDependencyError,
    OutputRefusedError,
    SignatureError,
    SparksigError,
)
from sparksig.jobs.config import JobConfig
from sparksig.jobs.config_errors import build_config_error
from sparksig.jobs.console import print_error
from sparksig.jobs.exit_codes import exit_code
from sparksig.jobs.failures import needs_log, write_failure_log
from sparksig.jobs.files import write_file
from sparksig.jobs.reports import RunReport
from sparksig.jobs.secrets import find_secrets, hide_secrets_in_error
from sparksig.models.registry import redact_uri
from sparksig.signature import ModelSignature
from sparksig.spark.diagnosis import convert_spark_errors
from sparksig.spark.quiet import mute_query_errors
from sparksig.tables.footers import share_footers

__all__ = ["JobRun", "RunReport", "create_run_id", "get_report"]

Config = TypeVar("Config", bound=JobConfig)

_FACTS = {field.name for field in fields(RunReport)}


class JobRun(ABC, Generic[Config]):
    """A run of a job, from its configuration to its report.

    A job is a subclass with a method :meth:`run`, which records the facts for the report.

    Attributes:
        job: "score", "check" or "infer".
        config: the configuration.
        run_id: the name of the run.
        phases: the seconds of each phase, in order.
        facts: other fields of the report, by their names; see :class:`RunReport`.
    """

    job: ClassVar[str]

    def __init__(self, config: Config) -> None:
        self.config = config
        self.run_id = config.run_id or create_run_id()
        self.phases: dict[str, float] = {}
        self.facts: dict[str, Any] = {}
        self._nested_seconds: list[float] = []
        self._report_paths = config.report.resolve_paths(self.run_id)

    @abstractmethod
    def run(self) -> None:
        """Do the job."""

    @property
    def uses_spark(self) -> bool:
        """True if the job runs on Spark."""
        return True

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure the time of a phase without its inner phases, even if it fails."""
        started = time.perf_counter()
        self._nested_seconds.append(0.0)
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            self.phases[name] = self.phases.get(name, 0.0) + seconds - self._nested_seconds.pop()
            if self._nested_seconds:
                self._nested_seconds[-1] += seconds

    def note(self, **facts: Any) -> None:
        """Record fields of the report.

        Raises:
            TypeError: the report has no such field.
        """
        if not facts.keys() <= _FACTS:
            raise TypeError(f"a run report has no {', '.join(sorted(facts.keys() - _FACTS))}")
        self.facts.update(facts)

    @contextlib.contextmanager
    def explain_errors(self) -> Iterator[None]:
        """Convert errors of Spark to errors of sparksig, and remove the secrets of the configuration.

        Raises:
            SparksigError: the error of the block, or the reason why Spark failed.
        """
        muted = mute_query_errors() if self.uses_spark else contextlib.nullcontext()  # it imports PySpark
        try:
            with muted, convert_spark_errors(), share_footers():
                self._check_report_paths()
                yield
        except SparksigError as error:
            hide_secrets_in_error(error, find_secrets(self.config.model_dump()))
            raise

    def execute(self) -> RunReport:
        """Do the job, and write its report to the configured paths, even if the job fails.

        If the job fails and its report cannot be written, too, that is printed to stderr. The raised error
        has the report, see :func:`get_report`.

        Raises:
            SparksigError: the error of the job, or the reason why Spark failed.
            OutputRefusedError: the job is done, but a report cannot be written.
        """
        started, clock = datetime.datetime.now(datetime.timezone.utc), time.perf_counter()
        failure: BaseException | None = None
        try:
            with self.explain_errors():
                self.run()
        except BaseException as error:
            failure = error
            raise
        finally:
            report = self._build_report(started, time.perf_counter() - clock, failure)
            if failure is not None:
                failure.sparksig_run = report  # type: ignore[attr-defined]
            problems = self._write_report(report)
            for problem in problems if failure is not None else ():
                print_error(problem)
        if problems:
            unreported = OutputRefusedError("the job is done, but " + "; ".join(problems))
            unreported.sparksig_run = report  # type: ignore[attr-defined]
            raise unreported
        return report

    def _check_report_paths(self) -> None:
        """Check before the job starts that its reports can be rendered, and have paths of files.

        A refused path is removed from the paths to which the report of this failure is written.
        """
        directories = [key for key, path in self._report_paths.items() if os.path.isdir(path)]
        for key in directories:
            del self._report_paths[key]
        if directories:
            expected, actual = "the path of a file", "a directory"
            raise build_config_error(
                Finding(Code.INVALID_VALUE, f"report.{key}", expected, actual) for key in directories
            )
        if "html" in self._report_paths and find_spec("jinja2") is None:
            del self._report_paths["html"]
            raise MissingDependencyError.naming("jinja2", "report.html", "report")

    def _write_report(self, report: RunReport) -> list[str]:
        """Write the report to its paths; return the messages of failures."""
        problems = []
        for key, render in (("json", report.to_json), ("html", report.render_page)):
            path = self._report_paths.get(key)
            if path is None:
                continue
            try:
                write_file(path, render().encode(), self.config.spark)
            except (OSError, SparksigError) as error:
                problems.append(
                    f"the run report cannot be written to {redact_uri(path)!r}: {redact_uri(error)}"
                )
        return problems

    def _build_report(
        self, started: datetime.datetime, seconds: float, failure: BaseException | None
    ) -> RunReport:
        facts = dict(self.facts)
        facts["status"] = facts.get("status", "done") if failure is None else "failed"
        facts["signature"] = _format_signature(facts.get("signature"))
        for name in ("model_path", "output", "quarantine"):
            facts[name] = redact_uri(facts[name]) if facts.get(name) is not None else None
        facts["written"] = {redact_uri(table): rows for table, rows in facts.get("written", {}).items()}
        if "place" in facts.get("input", {}):
            facts["input"] = facts["input"] | {"place": redact_uri(facts["input"]["place"])}
        log = None
        if failure is not None and needs_log(failure):
            secrets, name = find_secrets(self.config.model_dump()), f"{self.job}-{self.run_id}"
            log = write_failure_log(failure, name, secrets, self._report_paths.get("log"), self.config.spark)
        return RunReport(
            self.job,
            self.run_id,
            exit_code=0 if failure is None else exit_code(failure),
            started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
            seconds=round(seconds, 3),
            phases=_add_rest(self.phases, round(seconds, 3)),
            error="" if failure is None else _describe_failure(failure),
            error_findings=failure.findings if isinstance(failure, SparksigError) else (),
            log=log,
            versions=_find_versions(),
            **facts,
        )


def create_run_id() -> str:
    """Return a name for a run: UTC timestamp plus a random suffix."""
    started = datetime.datetime.now(datetime.timezone.utc)
    return f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def get_report(error: BaseException) -> RunReport | None:
    """Return the report of the run that ended with an error; None outside of a run."""
    return getattr(error, "sparksig_run", None)


def _add_rest(phases: Mapping[str, float], total: float) -> dict[str, float]:
    """Round the phases, and add the phase "other", so that they sum to the total."""
    rounded = {name: round(seconds, 3) for name, seconds in phases.items()}
    other = round(total - sum(rounded.values()), 3)
    return {**rounded, "other": other} if other > 0 else rounded


def _describe_failure(error: BaseException) -> str:
    """Return the message of a failure; for an unexpected error, without its text.

    The text of an unexpected error may contain values of the table.
    """
    if isinstance(error, SparksigError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return f"unexpected error {kind}: see the log"


def _format_signature(signature: ModelSignature | None) -> dict[str, str | None] | None:
    if signature is None:
        return None
    try:
        texts = signature.to_dict()
    except SignatureError:  # a default that JSON cannot express
        texts = {}
    return texts | {"text": signature.to_text()}


# --- versions -------------------------------------------------------------------------------------------

_PACKAGES = {
    "pandas": "pandas", "numpy": "numpy", "pyarrow": "pyarrow", "delta": "delta-spark",
    "sklearn": "scikit-learn", "skops": "skops", "xgboost": "xgboost", "lightgbm": "lightgbm",
    "onnxruntime": "onnxruntime", "cloudpickle": "cloudpickle", "mlflow": "mlflow",
}  # fmt: skip


def _find_versions() -> dict[str, str]:
    """Return the versions of the packages that this process has imported."""
    from sparksig import __version__

    versions = {"sparksig": __version__, "python": platform.python_version(), **_spark_versions()}
    for module, package in _PACKAGES.items():
        if module in sys.modules:
            version = getattr(sys.modules[module], "__version__", None)
            with contextlib.suppress(metadata.PackageNotFoundError):
                versions[package] = str(version or metadata.version(package))
    return versions


def _spark_versions() -> Mapping[str, str]:
    pyspark: Any = sys.modules.get("pyspark")
    if pyspark is None or "pyspark.sql" not in sys.modules:
        return {}
    versions = {"spark": str(pyspark.__version__)}
    sql: Any = sys.modules["pyspark.sql"]
    try:
        session = sql.SparkSession.getActiveSession()
        if session is not None:
            versions["spark"] = str(session.version)
            if hasattr(session, "_jvm"):  # not on Connect
                versions["java"] = str(session._jvm.java.lang.System.getProperty("java.version"))
    except Exception:  # the JVM may have ended, which is reported elsewhere
        return versions
    return versions
