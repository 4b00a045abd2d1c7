"""What a run of a job does: recorded while it goes on, reported in the end, whether it went well or not."""

from __future__ import annotations

import contextlib
import datetime
import platform
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, TypeVar

from sparksig.errors import MissingDependencyError, OutputRefusedError, SignatureError, SparksigError
from sparksig.jobs.config import JobConfig
from sparksig.jobs.console import complain
from sparksig.jobs.exits import exit_code
from sparksig.jobs.failures import needs_log, write_failure_log
from sparksig.jobs.files import write_whole
from sparksig.jobs.reports import RunReport
from sparksig.jobs.secrets import find_secrets, hide_in_error
from sparksig.models.registry import shown
from sparksig.signature import ModelSignature
from sparksig.spark.diagnosis import diagnosed
from sparksig.spark.quiet import mute_query_errors

__all__ = ["Run", "RunReport", "explained", "new_run_id", "recorded", "report_of"]

Config = TypeVar("Config", bound=JobConfig)

_TOLD = {
    "model_path", "model_digest", "signature", "input", "rows_in", "scored", "rejected", "findings", "check",
    "evidence", "absent",
    "model_loads", "model_load_seconds", "output", "quarantine", "written", "repeated",
}  # fmt: skip


@dataclass
class Run:
    """What is known of a run so far; jobs write into it while they go on.

    Attributes:
        job: "score", "check" or "infer".
        run_id: names the run.
        phases: seconds of each phase, in order.
        told: everything else that the report says, by the names of its fields:
            model_path, model_digest: of the model that was used (str).
            signature: the model's, or the one that was inferred (ModelSignature).
            input: what was read (dict): place, format, and version (Delta) or files, bytes and sha256.
            rows_in, scored, rejected: counts; rows_in = scored + rejected.
            findings: of rejected rows (tuple of Finding with counts).
            check: what a check has found (Report).
            absent: the optional columns of the model that the input lacks (tuple of Finding).
            evidence: what was seen of each column that a signature was inferred from (tuple of lines).
            model_loads, model_load_seconds: how often workers loaded the model, and how long that took.
            output, quarantine: places that were written, or were to be (str).
            written: rows written, by place (dict).
            repeated: whether the run was done before, and nothing was done now (bool).
    """

    job: str
    run_id: str
    phases: dict[str, float] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    _inner: list[float] = field(default_factory=list, repr=False)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what is done inside, phases within it excluded; a phase that fails is timed, too."""
        started = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            self.phases[name] = self.phases.get(name, 0.0) + seconds - self._inner.pop()
            if self._inner:
                self._inner[-1] += seconds

    def tell(self, **fields: Any) -> None:
        """Note fields of the report.

        Raises:
            TypeError: the report has no such field.
        """
        if not fields.keys() <= _TOLD:
            raise TypeError(f"a run report has no {', '.join(sorted(fields.keys() - _TOLD))}")
        self.told.update(fields)


def new_run_id() -> str:
    """A name that no other run has: the time in UTC, and some chance."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


@contextlib.contextmanager
def explained(config: JobConfig) -> Iterator[None]:
    """Raise errors of Spark as errors of sparksig, without the secrets of a configuration.

    Raises:
        SparksigError: what the work inside raises, or why Spark failed.
    """
    try:
        with mute_query_errors(), diagnosed():
            yield
    except SparksigError as error:
        hide_in_error(error, find_secrets(config.model_dump()))
        raise


def recorded(name: str, config: Config, work: Callable[[Config, Run], None]) -> RunReport:
    """Do a job's work, and report it, whether it goes well or not.

    The report goes where the configuration says. If it cannot be written, that is printed to stderr where
    the job has failed, and raised where it has not. The error that is raised has the report, see
    :func:`report_of`.

    Args:
        name: of the job.
        config: its configuration.
        work: the job; it tells the run what it does.

    Raises:
        SparksigError: what ``work`` raises, or why Spark failed.
        OutputRefusedError: a report cannot be written.
    """
    run = Run(name, config.run_id or new_run_id())
    started, clock = datetime.datetime.now(datetime.timezone.utc), time.perf_counter()
    failure: BaseException | None = None
    try:
        with explained(config):
            _check_places(config)
            work(config, run)
    except BaseException as error:
        failure = error
        raise
    finally:
        report = _report(run, config, started, time.perf_counter() - clock, failure)
        if failure is not None:
            failure.sparksig_run = report  # type: ignore[attr-defined]
        problems = _write(report, config)
        for problem in problems if failure is not None else ():
            complain(problem)
    if problems:
        undone = OutputRefusedError("the job is done, but " + "; ".join(problems))
        undone.sparksig_run = report  # type: ignore[attr-defined]
        raise undone
    return report


def report_of(error: BaseException) -> RunReport | None:
    """The report of the run that an error has ended, if it got so far."""
    return getattr(error, "sparksig_run", None)


def _report(
    run: Run, config: JobConfig, started: datetime.datetime, seconds: float, failure: BaseException | None
) -> RunReport:
    told = dict(run.told)
    status = "repeated" if told.pop("repeated", False) else "done"
    told["signature"] = _as_texts(told.get("signature"))
    for name in ("model_path", "output", "quarantine"):
        told[name] = shown(told[name]) if told.get(name) is not None else None
    told["written"] = {shown(place): rows for place, rows in told.get("written", {}).items()}
    if "place" in told.get("input", {}):
        told["input"] = told["input"] | {"place": shown(told["input"]["place"])}
    log = None
    if failure is not None and needs_log(failure):
        log = write_failure_log(failure, f"{run.job}-{run.run_id}", find_secrets(config.model_dump()))
    return RunReport(
        run.job,
        run.run_id,
        status if failure is None else "failed",
        0 if failure is None else exit_code(failure),
        f"{started:%Y-%m-%dT%H:%M:%SZ}",
        round(seconds, 3),
        _add_rest(run.phases, round(seconds, 3)),
        "" if failure is None else _describe_failure(failure),
        failure.findings if isinstance(failure, SparksigError) else (),
        log=log,
        versions=_versions(),
        **told,
    )


def _add_rest(phases: Mapping[str, float], total: float) -> dict[str, float]:
    """Return the rounded phases, and the rest of the time as a phase of its own: they sum to the total."""
    rounded = {name: round(seconds, 3) for name, seconds in phases.items()}
    rest = round(total - sum(rounded.values()), 3)
    return {**rounded, "other": rest} if rest > 0 else rounded


def _describe_failure(error: BaseException) -> str:
    """Return the message of a failure; for an error that sparksig does not know without its text.

    The text of such an error may hold values of the table.
    """
    if isinstance(error, SparksigError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return f"unexpected error {kind}: see the log"


def _as_texts(signature: ModelSignature | None) -> dict[str, str | None] | None:
    if signature is None:
        return None
    try:
        texts = signature.to_dict()
    except SignatureError:  # a default that JSON cannot say
        texts = {}
    return texts | {"text": signature.to_text()}


# --- places ---------------------------------------------------------------------------------------------


def _check_places(config: JobConfig) -> None:
    """What can be known beforehand of the reports' places: nothing is done for a report that cannot be."""
    if config.report.html is not None:
        try:
            import jinja2  # noqa: F401
        except ImportError:
            raise MissingDependencyError.naming("jinja2", "report.html", "report") from None


def _write(report: RunReport, config: JobConfig) -> list[str]:
    """Write the reports; what went wrong, in words."""
    problems = []
    for template, text in ((config.report.json_, report.to_json), (config.report.html, report.as_page)):
        if template is None:
            continue
        path = template.replace("{run_id}", report.run_id)
        try:
            write_whole(path, text().encode(), config.spark)
        except (OSError, SparksigError) as error:
            problems.append(f"the run report cannot be written to {shown(path)!r}: {shown(error)}")
    return problems


# --- versions -------------------------------------------------------------------------------------------

_PACKAGES = {
    "pandas": "pandas", "numpy": "numpy", "pyarrow": "pyarrow", "delta": "delta-spark",
    "sklearn": "scikit-learn", "skops": "skops", "xgboost": "xgboost", "lightgbm": "lightgbm",
    "onnxruntime": "onnxruntime", "cloudpickle": "cloudpickle", "mlflow": "mlflow",
}  # fmt: skip


def _versions() -> dict[str, str]:
    """The versions of what this process has imported."""
    from sparksig import __version__

    found = {"sparksig": __version__, "python": platform.python_version(), **_spark_versions()}
    for module, package in _PACKAGES.items():
        if module in sys.modules:
            version = getattr(sys.modules[module], "__version__", None)
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[package] = str(version or metadata.version(package))
    return found


def _spark_versions() -> Mapping[str, str]:
    pyspark: Any = sys.modules.get("pyspark")
    if pyspark is None or "pyspark.sql" not in sys.modules:
        return {}
    found = {"spark": str(pyspark.__version__)}
    sql: Any = sys.modules["pyspark.sql"]
    try:
        session = sql.SparkSession.getActiveSession()
        if session is not None:
            found["spark"] = str(session.version)
            if hasattr(session, "_jvm"):  # not on Connect
                found["java"] = str(session._jvm.java.lang.System.getProperty("java.version"))
    except Exception:  # the JVM may have died, which is what the report is about
        return found
    return found
