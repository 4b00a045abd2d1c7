"""Score Parquet files on this machine, without Spark: the local engine."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs as pafs

from sparksig.engine.absent import Absent, check_absent, warn_of_absent_columns
from sparksig.engine.zones import is_known_zone
from sparksig.errors import ContractError, Finding, MissingDependencyError, OutputRefusedError, name_type
from sparksig.models.registry import fetch_path, format_store_error, is_remote, open_store, redact_uri
from sparksig.options import OnError, OnVersionMismatch
from sparksig.processes import count_cores, run_in_processes
from sparksig.scoring.part import Target
from sparksig.scoring.prepared import PreparedModel, prepare_model, share_directory
from sparksig.scoring.result_types import read_result_type
from sparksig.scoring.scan import ScanPlan, Split
from sparksig.scoring.split import SplitResult, require_all_rows
from sparksig.scoring.splits import ScanOptions, plan_scan, plan_splits
from sparksig.scoring.staging import publish_directory, require_free, staging_directory
from sparksig.scoring.tally import (
    PredictionSummary,
    describe_summaries,
    merge_findings,
    merge_summaries,
    name_summaries,
)
from sparksig.scoring.task import SplitTask
from sparksig.tables.parquet import ParquetTable, open_parquet
from sparksig.views import TextView, count_nouns, format_facts, format_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True, repr=False)
class ScoredFiles(TextView):
    """The report of :func:`score_files`.

    Attributes:
        output: the directory that was written.
        engine: the engine that scored.
        rows: the rows of the input.
        scored: the rows with a prediction.
        rejected: the rows without one.
        findings: the reasons why rows were rejected, with counts, the most frequent first.
        predictions: summary statistics of the predictions, by column.
        files: the number of files that were written.
        size: the size of these files in bytes.
        digest: the digest of the model directory.
        seconds: the time of each step. Those of ``load``, ``read``, ``score`` and ``write`` are sums over
            processes.

    Example:
        >>> report = ScoredFiles("scored", "local", 2, 2, 0, (), {}, 1, 1024, "", {"run": 0.1})
        >>> report.rows == report.scored + report.rejected
        True
    """

    output: str
    engine: str
    rows: int
    scored: int
    rejected: int
    findings: tuple[Finding, ...]
    predictions: Mapping[str, PredictionSummary]
    files: int
    size: int
    digest: str
    seconds: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready built-ins."""
        return asdict(self) | {"findings": [finding.to_dict() for finding in self.findings]}

    def __str__(self) -> str:
        facts = [
            ("rows", f"{self.rows:,}"),
            ("scored", f"{self.scored:,}"),
            ("rejected", f"{self.rejected:,}"),
            *(("predictions", text) for text in describe_summaries(self.predictions)),
            ("engine", self.engine),
            ("output", f"{self.output} ({count_nouns(self.files, 'file')}, {format_size(self.size)})"),
        ]
        return "\n".join([*format_facts(facts), *(f"- {finding}" for finding in self.findings)])


def score_files(
    input: str | os.PathLike[str],
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    column: str = "prediction",
    keep: str | Sequence[str] = "*",
    params: Mapping[str, Any] | None = None,
    method: str | None = None,
    result_type: str | None = None,
    on_error: OnError = "fail",
    findings_column: str = "findings",
    flatten: bool = False,
    columns: Sequence[str] | None = None,
    model_config: Mapping[str, Any] | None = None,
    batch_rows: int | None = None,
    allow_pickle: bool = False,
    digest: str | None = None,
    trusted_types: Sequence[str] = (),
    on_version_mismatch: OnVersionMismatch = "warn",
    absent: Absent | None = None,
    environment: str | os.PathLike[str] = "worker",
    allow_install: bool = False,
    filter: str | None = None,
    engine: str = "local",
    spark: SparkSession | None = None,
    time_zone: str | None = None,
    processes: int | None = None,
) -> ScoredFiles:
    """Score a Parquet table with a model, and write the predictions as Parquet files.

    The rows, types and findings are those of :func:`sparksig.score`. The table is checked against the model
    by the footers of its files before a row is read. Processes of this machine, or the tasks of a Spark job,
    read and score the row groups and write the files to a hidden directory. One rename publishes it.

    Args:
        input: a Parquet file, or a directory of files, with or without partitions (``year=2026``): a path, or
            a URI of an object store.
        model: the model directory, or a URI that :func:`sparksig.load_model` accepts.
        output: the directory to write, which does not exist yet, or is empty.
        column: the name of the predictions' column.
        keep: the columns of the input in the output; "*" for all.
        params: values for the model's params.
        method: the method that predicts; None for the one that was saved. Another one needs ``result_type``.
        result_type: the Spark type of a prediction as DDL, for example "array<double>" or "a int, b string";
            None for the type of the signature's outputs.
        on_error: "fail": a row that cannot be scored fails the run. "null": its prediction is null, and the
            column has the reasons.
        findings_column: the name of the column of reasons.
        flatten: write each field of a prediction of several outputs as a column, ``<column>_<field>``.
        columns: for a model whose inputs have no names: the columns to use, in this order.
        model_config: overrides entries of the configuration that a PythonModel was saved with.
        batch_rows: the number of rows in one call of the model; None to choose it by the size of the rows.
        allow_pickle: allow code in the model directory to run.
        digest: refuse the model directory unless its content has this digest.
        trusted_types: types to allow in a skops file, in addition to those that are known to be safe.
        on_version_mismatch: "warn", "fail" or "ignore": the reaction if packages have other versions than
            the model was saved with.
        absent: the treatment of an optional column that the table lacks, as in
            :func:`sparksig.load_model`.
        environment: the environment in which the model runs, as in :func:`sparksig.load_model`.
        allow_install: as in :func:`sparksig.load_model`.
        filter: a condition in SQL: only rows that meet it are scored. It has comparisons of columns with
            literals or other columns, ``BETWEEN``, ``IN``, ``IS NULL``, ``AND``, ``OR`` and ``NOT``.
        engine: "local" for processes of this machine, "direct" for tasks of Spark, "auto" for tasks of the
            given or active session, or for processes without a session.
        spark: the session for the engine "direct"; None for the active one, or a new one.
        time_zone: the time zone in which the model sees timestamps, and in which predicted times are
            understood, like ``spark.sql.session.timeZone``; None for that of the session, or of this machine.
        processes: the number of processes or tasks that score at the same time. None for one per core; with
            the engine "local" at most one for each 64 MB of the table, because a process takes seconds to
            start. If one process is enough, it is this process.

    Returns:
        The report: rows, findings, a summary of the predictions, and the seconds of each step.

    Raises:
        ContractError: the table does not fit the model, or a row cannot be scored; all findings.
        ModelError: the model directory is missing, damaged or not trusted, or has no schemas.
        TableNotFoundError: the path has no Parquet table.
        OutputRefusedError: the output already exists.
        UnsupportedError: only Spark can read or write this table. The message has the reason.
        SparksigError: a process was killed.

    Warns:
        AbsentColumnWarning: the table lacks optional columns of the model.

    Example:
        >>> import tempfile, pyarrow as pa, pyarrow.parquet as pq, sparksig
        >>> home = tempfile.mkdtemp()
        >>> pq.write_table(pa.table({"id": [1, 2], "x": [1.5, 2.5]}), f"{home}/table.parquet")
        >>> double = lambda model_input: model_input["x"] * 2
        >>> _ = sparksig.save_model(f"{home}/model", double, input_example={"x": 1.5})
        >>> table, model, scored = (f"{home}/{name}" for name in ("table.parquet", "model", "scored"))
        >>> report = score_files(table, model, scored, allow_pickle=True)
        >>> report.rows, report.rejected
        (2, 0)
        >>> pq.read_table(scored).to_pylist()
        [{'id': 1, 'x': 1.5, 'prediction': 3.0}, {'id': 2, 'x': 2.5, 'prediction': 5.0}]
    """
    _check_input(input)
    _check_options(on_error, engine, batch_rows, processes)
    check_absent(absent)
    clock = _Phases()
    with clock.phase("start"):
        session = _find_session(engine, spark)
    zone = resolve_zone(time_zone, session)
    declared_outputs, returned = (None, None) if result_type is None else read_result_type(result_type)
    with clock.phase("model"):
        prepared = prepare_model(
            model,
            allow_pickle=allow_pickle,
            digest=digest,
            trusted_types=trusted_types,
            method=method,
            model_config=model_config,
            outputs=declared_outputs,
            on_version_mismatch=on_version_mismatch,
            environment=environment,
            allow_install=allow_install,
        )
        enforced, features = prepared.enforce_params(params), prepared.find_features()
    with clock.phase("plan"):
        place = redact_uri(output)
        store, path = _open_output(output, input)
        require_free(store, path, place)
        table = open_parquet(input)
        effect = prepared.choose_absent(absent)
        options = ScanOptions(
            output=column,
            keep=keep,
            columns=columns,
            flatten=flatten,
            lenient=on_error == "null",
            findings=findings_column,
            zone=zone,
            batch_rows=batch_rows,
            absent=effect,
            filter=filter,
            returned=returned,
        )
        scan = plan_scan(table, prepared, enforced, features, options)
        cores = processes or _count_workers(table, session)
        splits = plan_splits(table, scan, cores)
    warn_of_absent_columns(prepared.inputs, table.schema.names, effect, 2)
    with staging_directory(store, path) as staging:
        with clock.phase("run"):
            results = _score_splits(session, prepared, scan, splits, Target(store, staging), cores)
        with clock.phase("publish"):
            publish_directory(store, staging, path, place)
    merged = merge_summaries(*(result.summaries for result in results))
    return _build_report(
        results,
        clock.seconds,
        output=place,
        engine="local" if session is None else "direct",
        predictions=name_summaries(merged, column, flatten=flatten),
        digest=prepared.digest,
    )


def _score_splits(
    session: SparkSession | None,
    model: PreparedModel,
    plan: ScanPlan,
    splits: Sequence[Split],
    target: Target,
    processes: int,
) -> list[SplitResult]:
    """Score splits by tasks of a session, or by processes of this machine."""
    if session is None:
        return score_locally(model, plan, splits, target, processes)
    from sparksig.spark.direct import score_on_spark

    return score_on_spark(session, model, plan, splits, target)


def score_locally(
    model: PreparedModel,
    plan: ScanPlan,
    splits: Sequence[Split],
    target: Target,
    processes: int,
    done: Callable[[], None] = lambda: None,
) -> list[SplitResult]:
    """Score splits in processes of this machine.

    Args:
        model: the model.
        plan: the columns to read, the model's schemas, the columns to write.
        splits: the splits, at least one.
        target: the directory of the files, which exists.
        processes: the number of processes that score at the same time; if it is 1, this process scores.
        done: a function to call after each split.

    Returns:
        The results, in the order of the splits.

    Raises:
        SparksigError: a process was killed, or the number of rows differs from that in the footers.
        ContractError, PredictionError, ModelFailedError: as :func:`sparksig.scoring.split.score_split`.
    """
    path = share_directory(model.digest, model.directory)
    task = SplitTask(model.digest, partial(Path, path), model.loading, plan, target)
    results = []
    for result in run_in_processes(task, splits, processes):
        results.append(result)
        done()
    results.sort(key=lambda result: result.index)
    require_all_rows(splits, results)
    return results


_PROCESS_BYTES = 2**26
"""The number of uncompressed bytes for each process."""


def _count_workers(table: ParquetTable, session: SparkSession | None) -> int:
    """Return the number of splits that are scored at the same time."""
    if session is not None:
        from sparksig.spark.direct import count_slots

        return count_slots(session)
    return count_processes(table)


def count_processes(table: ParquetTable) -> int:
    """Return a suitable number of processes for a table."""
    return min(count_cores(), 1 + table.size // _PROCESS_BYTES)


def _find_session(engine: str, spark: SparkSession | None) -> SparkSession | None:
    """Return the session whose tasks score; None for processes.

    Raises:
        MissingDependencyError: the engine "direct" is required, and PySpark is not installed.
    """
    if engine == "local":
        return None
    if spark is not None:
        return spark
    if engine == "direct":
        if importlib.util.find_spec("pyspark") is None:
            raise MissingDependencyError.naming("pyspark", "engine='direct'", "spark")
        from sparksig.spark.session import build_session

        return build_session("sparksig")
    if "pyspark" not in sys.modules:  # so no session is active
        return None
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()


def _check_input(table: object) -> None:
    """Refuse data in memory, and say which function scores it."""
    if not isinstance(table, (str, os.PathLike)):
        hint = "load_model(model).predict(...) scores data in memory, and score(df, model) a Spark DataFrame"
        raise ContractError(f"input: expected the path of a Parquet table, got {name_type(table)}. {hint}")


def _check_options(on_error: str, engine: str, batch_rows: int | None, processes: int | None) -> None:
    if on_error not in ("fail", "null"):
        raise ContractError(f"on_error: expected 'fail' or 'null', got {on_error!r}")
    if engine not in ("auto", "local", "direct"):
        raise ContractError(f"engine: expected 'auto', 'local' or 'direct', got {engine!r}")
    for name, value in (("batch_rows", batch_rows), ("processes", processes)):
        if value is not None and (type(value) is not int or value < 1):
            actual = value if isinstance(value, (int, float)) else name_type(value)
            raise ContractError(f"{name}: expected an integer of 1 or more, or None, got {actual}")


def resolve_zone(time_zone: str | None, session: SparkSession | None = None) -> str:
    """Return the configured time zone, else that of the session, else that of this machine as Java finds it.

    Raises:
        ContractError: the zone is unknown.
    """
    if time_zone is not None:
        if not isinstance(time_zone, str) or not is_known_zone(time_zone):
            raise ContractError(
                f"time_zone: expected a name of the IANA database such as 'Europe/Berlin', got {time_zone!r}"
            )
        return time_zone
    if session is not None:
        return str(session.conf.get("spark.sql.session.timeZone"))
    configured = os.environ.get("TZ", "").lstrip(":")
    link = os.path.realpath("/etc/localtime").rpartition("zoneinfo/")[2]
    return next((zone for zone in (configured, link) if zone and is_known_zone(zone)), "UTC")


class _Phases:
    """The seconds of the steps of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def _open_output(
    output: str | os.PathLike[str], input: str | os.PathLike[str]
) -> tuple[pafs.FileSystem, str]:
    """Return the file system and the path of the output.

    Raises:
        OutputRefusedError: the output is inside the table that is read.
    """
    try:
        store, path = _locate(output)
        source_store, source = _locate(input)
    except (OSError, pa.ArrowException) as error:
        raise OutputRefusedError(
            f"{redact_uri(output)} cannot be written: {format_store_error(error)}"
        ) from None
    if store.equals(source_store) and f"{path}/".startswith(f"{source}/"):
        raise OutputRefusedError(
            f"{redact_uri(output)} is inside the table that is read; nothing was written"
        )
    return store, path


def _locate(path: str | os.PathLike[str]) -> tuple[pafs.FileSystem, str]:
    if is_remote(path):
        return open_store(str(path))
    return pafs.LocalFileSystem(), str(Path(fetch_path(path)).resolve())


def _build_report(results: Sequence[SplitResult], seconds: Mapping[str, float], **run: Any) -> ScoredFiles:
    """Build the report of a run from the results of its splits, and from the attributes in ``run``."""
    steps = {
        step: sum(result.seconds[step] for result in results) for step in ("load", "read", "score", "write")
    }
    return ScoredFiles(
        **run,
        rows=sum(result.rows for result in results),
        scored=sum(result.scored for result in results),
        rejected=sum(result.rejected for result in results),
        findings=merge_findings(finding for result in results for finding in result.findings),
        files=sum(len(result.files) for result in results),
        size=sum(result.size for result in results),
        seconds={**seconds, **steps},
    )
