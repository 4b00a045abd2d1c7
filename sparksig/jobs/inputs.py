"""The tables that jobs read, in their state at the time of opening, without later writes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    MissingDependencyError,
    SparksigError,
    TableNotFoundError,
    quote,
)
from sparksig.jobs.config import InputSection
from sparksig.jobs.config_errors import build_config_error, build_value_error
from sparksig.jobs.input_checks import (
    FORMAT_NAMES,
    build_delta_error,
    find_schemas_with_null_types,
    is_null_type,
)
from sparksig.jobs.input_files import escape_pattern, path_exists, read_statuses
from sparksig.models.registry import redact_uri
from sparksig.spark.diagnosis import NO_DELTA
from sparksig.spark.hadoop import HadoopPath, is_connect
from sparksig.tables.delta import name_delta_table
from sparksig.views import count_nouns

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import types as T

    from sparksig.jobs.text_files import TextTable

FINDINGS = "sparksig findings"
"""The column of malformed rows with the reasons."""


@dataclass(frozen=True)
class Input:
    """A table, and its state at the time of opening.

    Attributes:
        rows: the rows that meet the filter.
        malformed: the malformed rows of CSV or JSON with a column :data:`FINDINGS`; None if the first
            malformed row fails the query.
        record: the column of malformed rows with their line; empty without malformed rows.
        identity: identifies the content of the table: place, format, and version (Delta), or files, bytes,
            and sha256 of the list of files with their sizes and times.
    """

    rows: DataFrame
    malformed: DataFrame | None = None
    record: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict)
    _files: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False)

    @property
    def is_known(self) -> bool:
        """Return whether the same identity means the same rows; not for views, or without files."""
        return "version" in self.identity or bool(self._files and self.identity["format"] != "view")

    def check_unchanged(self) -> None:
        """Check that no file has changed since the table was opened.

        Raises:
            SparksigError: files have changed.
            TableNotFoundError: files have vanished.
        """
        if not self._files:
            return
        try:
            statuses = read_statuses(self.rows.sparkSession, list(self._files))
        except Exception as error:  # an error of Hadoop or of this machine: the file is missing
            raise _explain_vanished(error) from None
        require_unchanged(self._files, statuses)


def read_input(spark: SparkSession, section: InputSection) -> DataFrame:
    """Return the rows of a job's input; the arguments and errors are those of :func:`open_input`."""
    return open_input(spark, section).rows


def open_input(
    spark: SparkSession,
    section: InputSection,
    *,
    lenient: bool = False,
    types: Mapping[str, T.DataType] | None = None,
) -> Input:
    """Open a job's input: files of Parquet, Delta, CSV or JSON at a path, or a table by its name.

    A Delta table is read at its current version, or at the configured one.

    Args:
        spark: the session.
        section: the section of the configuration.
        lenient: return malformed rows of CSV and JSON; otherwise the first one fails the query.
        types: the types for columns of the null type in Parquet files; Spark reads other such columns as int.
            None to read all these columns as void.

    Raises:
        TableNotFoundError: the table, or its version, does not exist.
        ConfigError: the filter, a selected column, or the declared schema is wrong.
        ContractError: Spark cannot read the table.
        MissingDependencyError: the session does not support Delta tables.
    """
    text = None
    if section.table is not None:
        rows, identity = _open_named(spark, section, section.table)
    elif section.format == "delta":
        rows, identity = _open_delta(spark, section, _qualify(spark, section.location))
    elif section.format == "parquet":
        rows, identity = _open_parquet(spark, section, types)
    else:
        text = _open_text(spark, section)
        rows, identity = text.rows, {"format": section.format}
    identity, files = {"place": redact_uri(section.location), **identity}, {}
    if "version" not in identity:
        try:
            files = read_statuses(spark, rows.inputFiles())
        except FileNotFoundError as error:
            raise _explain_vanished(error) from None
        identity |= digest_files(files)
    table = Input(rows, identity=identity, _files=files)
    return _select_columns(_filter_rows(table, section.filter, text, lenient=lenient), section.select)


# --- by format ----------------------------------------------------------------------------------------------


def _open_parquet(
    spark: SparkSession, section: InputSection, types: Mapping[str, T.DataType] | None
) -> tuple[DataFrame, dict[str, Any]]:
    _refuse_delta(spark, section)
    try:
        reader = spark.read.option("ignoreCorruptFiles", "false").option("ignoreMissingFiles", "false")
        rows = _analyze(reader.parquet(section.location))
        uri = _qualify(spark, section.location)
        if stored := find_schemas_with_null_types(uri):
            rows = _add_null_columns(spark, uri, rows, stored, types)
        return rows, {"format": "parquet"}
    except Exception as error:
        raise _explain_error(error, section) from None


def _analyze(rows: DataFrame) -> DataFrame:
    """Return a table; Spark Connect raises an error such as a missing path only here."""
    rows.schema  # noqa: B018
    return rows


def _add_null_columns(
    spark: SparkSession,
    path: str,
    rows: DataFrame,
    stored: Mapping[str, pyarrow.Schema],
    types: Mapping[str, T.DataType] | None,
) -> DataFrame:
    """Replace the columns of the null type, which Spark reads as int, by nulls of other types.

    If files have different columns of the null type, they are read separately.
    """
    from pyspark.sql import types as T

    actual = {field.name: field.dataType for field in rows.schema.fields}
    nulls = {
        file: frozenset(field.name for field in schema if is_null_type(field))
        for file, schema in stored.items()
    }
    targets: dict[str, T.DataType] = {}
    for name in sorted(frozenset().union(*nulls.values())):
        typed = [file for file, schema in stored.items() if name in schema.names and name not in nulls[file]]
        if typed:
            schema = spark.read.parquet(_join_path(path, typed[0])).schema
            targets[name] = schema[name].dataType
        else:
            targets[name] = T.NullType() if types is None else types.get(name, actual[name])
    if len(set(nulls.values())) == 1:
        return _select_with_nulls(rows, actual, targets)
    reader = spark.read.option("ignoreCorruptFiles", "false").option("ignoreMissingFiles", "false")
    parts = []
    for absent in dict.fromkeys(nulls.values()):
        paths = [_join_path(path, file) for file, columns in nulls.items() if columns == absent]
        fields = [
            T.StructField(name, targets.get(name, dtype))
            for name, dtype in actual.items()
            if name not in absent
        ]
        part = reader.schema(T.StructType(fields)).option("basePath", path).parquet(*paths)
        parts.append(_select_with_nulls(part, actual, {name: targets[name] for name in absent}))
    first, *remaining = parts
    for other in remaining:
        first = first.union(other)
    return first


def _select_with_nulls(rows: DataFrame, names: Iterable[str], types: Mapping[str, T.DataType]) -> DataFrame:
    """Select columns by their names; columns with a type become nulls of this type."""
    from pyspark.sql import functions as F

    from sparksig.spark.bind import column

    return rows.select(
        *(F.lit(None).cast(types[name]).alias(name) if name in types else column(name) for name in names)
    )


def _join_path(path: str, name: str) -> str:
    """Return the path of a file of a table, escaped so that Spark does not read it as a pattern."""
    return f"{path.rstrip('/')}/{escape_pattern(name)}" if name else path


def _qualify(spark: SparkSession, path: str) -> str:
    """Return a path with its scheme; unchanged on Spark Connect, which resolves it on the server."""
    return path if is_connect(spark) else HadoopPath.qualify(spark, path).uri


def _open_text(spark: SparkSession, section: InputSection) -> TextTable:
    from sparksig.jobs.text_files import read_text

    _refuse_delta(spark, section)
    try:
        text = read_text(spark, section, section.location)
        files = text.rows.inputFiles()
    except Exception as error:
        raise _explain_error(error, section) from None
    if not files:
        raise TableNotFoundError(f"there is no file in {section.location!r}")
    return text


def _refuse_delta(spark: SparkSession, section: InputSection) -> None:
    if path_exists(spark, f"{section.location.rstrip('/')}/_delta_log"):
        raise build_delta_error(section.format)


def _open_delta(
    spark: SparkSession, section: InputSection, target: str, name: str = ""
) -> tuple[DataFrame, dict[str, Any]]:
    """Open a Delta table at a version."""
    quoted = name or name_delta_table(target)
    try:
        version = section.version
        if version is None:
            [newest] = spark.sql(f"DESCRIBE HISTORY {quoted} LIMIT 1").select("version").collect()
            version = int(newest[0])
        reader = spark.read.format("delta").option("versionAsOf", version)
        rows = _analyze(reader.table(name) if name else reader.load(target))
        [detail] = spark.sql(f"DESCRIBE DETAIL {quoted}").select("id").collect()
    except Exception as error:
        raise _explain_error(error, section) from None
    return rows, {"format": "delta", "version": version, "id": detail[0]}


def _open_named(spark: SparkSession, section: InputSection, name: str) -> tuple[DataFrame, dict[str, Any]]:
    """Open a table or view of the catalog; a Delta table, but not the tables of a view, at a version."""
    try:
        if not spark.catalog.tableExists(name):
            raise TableNotFoundError(f"there is no table {name!r}")
        rows = spark.sql(f"DESCRIBE TABLE EXTENDED {name}").where("col_name = 'Provider'").collect()
    except Exception as error:
        raise _explain_error(error, section) from None
    form = str(rows[0]["data_type"]).lower() if rows else "view"
    if form == "delta":
        return _open_delta(spark, section, name, name)
    if section.version is not None:
        raise build_value_error("input.version", "a Delta table, which has versions", form)
    return spark.table(name), {"format": form}


_NOT_FOUND = (
    "PATH_NOT_FOUND", "UNABLE_TO_INFER_SCHEMA", "TABLE_OR_VIEW_NOT_FOUND", "DELTA_TABLE_NOT_FOUND",
    "DELTA_MISSING_DELTA_TABLE", "DELTA_VERSION_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST", "SCHEMA_NOT_FOUND",
    "VersionNotFoundException", "is not a Delta table", "REQUIRES_SINGLE_PART_NAMESPACE",
)  # fmt: skip
_NO_DELTA = ("DATA_SOURCE_NOT_FOUND", "`HISTORY`", "COLUMN_NOT_FOUND", "ClassNotFoundException")


def _explain_error(error: Exception, section: InputSection) -> SparksigError:
    """Convert an error of Spark, whose class depends on the session, to an error of sparksig."""
    if isinstance(error, SparksigError):
        return error
    text, path = str(error), repr(section.location)
    reason = text.strip().partition("\n")[0]
    if any(sign in text for sign in _NOT_FOUND):
        version = "" if section.version is None else f" in version {section.version}"
        form = "" if section.table else f" {FORMAT_NAMES[section.format]}"
        return TableNotFoundError(f"there is no{form} table at {path}{version}")
    if any(sign in text for sign in _NO_DELTA):
        return MissingDependencyError(NO_DELTA)
    if section.table and "PARSE_SYNTAX_ERROR" in text:
        finding = Finding(Code.INVALID_NAME, "input.table", "the name of a table in SQL", "another text")
        return build_config_error([finding])
    return ContractError(f"Spark cannot read the table {path}: {reason}")


# --- files, filters and columns -----------------------------------------------------------------------------


def digest_files(files: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """Return the number of files, their bytes, and a digest of the list with sizes and times."""
    lines = [f"{path}\0{size}\0{time}\n" for path, (size, time) in sorted(files.items())]
    digest = hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
    return {"files": len(files), "bytes": sum(size for size, _ in files.values()), "sha256": digest}


def require_unchanged(files: Mapping[str, tuple[int, int]], current: Mapping[str, tuple[int, int]]) -> None:
    """Check that files still have their sizes and times.

    Raises:
        SparksigError: files have changed.
    """
    changed = [path for path, status in files.items() if current[path] != status]
    if changed:
        count = count_nouns(len(changed), "file")
        raise SparksigError(f"the input changed while it was read: {count}, first {changed[0]!r}")


def _explain_vanished(error: Exception) -> TableNotFoundError:
    """Return the error for a file that was deleted while its table was read."""
    name = getattr(error, "filename", None)
    file = f"the file {name}" if name else "a file of the input"
    return TableNotFoundError(
        f"{file} vanished while the table was read. Start again when no process replaces its files"
    )


def _filter_rows(table: Input, condition: str | None, text: TextTable | None, *, lenient: bool) -> Input:
    """Apply a condition. Malformed rows are returned or fail the query, independently of the condition."""
    from pyspark.sql import functions as F

    rows = table.rows
    if condition is not None:
        _check_condition(rows if text is None else rows.drop(text.record), condition)
    if text is None:
        matching = rows if condition is None else rows.where(F.expr(condition))
        return Input(matching, identity=table.identity, _files=table._files)
    matches = "true" if condition is None else f"coalesce(({condition}\n), false)"
    if not lenient:
        path = table.identity["place"]
        message = f"sparksig.errors.ContractError: the table {path!r} differs from its declaration:"
        from sparksig.tables.sql import quote_text

        failed = f"raise_error(concat({quote_text(message)}, {_format_malformed(text)}))"
        rows = rows.where(f"case when {text.malformed} then {failed} else {matches} end").drop(text.record)
        return Input(rows, identity=table.identity, _files=table._files)
    malformed = rows.where(text.malformed).withColumn(FINDINGS, F.expr(text.findings))
    good = rows.where(f"case when {text.malformed} then false else {matches} end").drop(text.record)
    return Input(good, malformed, text.record, table.identity, table._files)


def _format_malformed(text: TextTable) -> str:
    """Return an SQL expression for the findings of a malformed row as lines, with its file."""
    lines = f"array_join(transform({text.findings}, finding -> concat('\\n  - ', finding.detail)), '')"
    return f"' one row in ', input_file_name(), {lines}, '\\n'"


def _select_columns(table: Input, expressions: Mapping[str, str]) -> Input:
    """Add the columns of ``input.select``; they are null in malformed rows.

    Raises:
        ConfigError: an expression is wrong, or its value changes each time it is evaluated.
    """
    from pyspark.sql import functions as F

    findings = []
    for name, expression in expressions.items():
        reason = ""
        try:
            selected = table.rows.select(F.expr(expression).alias("selected"))
            if not _is_deterministic(selected, expression, table.rows):
                reason = "its value changes each time it is evaluated"
        except Exception as error:  # an error of the parser or the analyser
            reason = " ".join(str(error).strip().partition("\n")[0].split()) or "Spark cannot read it"
        if reason:
            path, expected = f"input.select.{quote(name)}", "an SQL expression of the table's columns"
            findings.append(Finding(Code.INVALID_VALUE, path, expected, "another text", reason))
    if findings:
        raise build_config_error(findings)
    if not expressions:
        return table
    columns = {name: F.expr(expression) for name, expression in expressions.items()}
    malformed = None if table.malformed is None else table.malformed.drop(*expressions)
    return replace(table, rows=table.rows.withColumns(columns), malformed=malformed)


def _check_condition(rows: DataFrame, condition: str) -> None:
    """Check that a filter is a deterministic condition on the table's columns.

    Raises:
        ConfigError: the filter is not.
    """
    from pyspark.sql import functions as F

    try:
        reason = ""
        if not _is_deterministic(rows.where(F.expr(condition)), condition, rows):
            reason = "its value changes each time it is evaluated"
    except Exception as error:  # an error of the parser or the analyser
        reason = " ".join(str(error).strip().partition("\n")[0].split()) or "Spark cannot read it"
    if reason:
        raise build_value_error("input.filter", "a condition in SQL", "another text", reason)


def _is_deterministic(result: DataFrame, expression: str, rows: DataFrame) -> bool:
    """Return whether an expression of the rows always has the same value.

    Spark Connect shows no plan; but an aggregate function refuses an argument whose value changes.

    Args:
        result: the rows to which the expression was applied.
        expression: the expression in SQL.
        rows: the rows.

    Raises:
        Exception: an error of the parser or the analyser.
    """
    from pyspark.sql import functions as F

    if not is_connect(result):
        frame: Any = result
        plan = frame._jdf.queryExecution().analyzed()
        return bool((plan.condition() if plan.nodeName() == "Filter" else plan).deterministic())
    _analyze(result)
    try:
        _analyze(rows.agg(F.count(F.expr(expression))))
    except Exception as error:  # also a window function, which is accepted
        return re.search(r"non[-_]?deterministic", str(error), re.IGNORECASE) is None
    return True
