"""The tables that jobs read: opened as they are now, so that what others write meanwhile changes nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sparksig.errors import (
    Code,
    ConfigError,
    ContractError,
    Finding,
    MissingDependencyError,
    SparksigError,
    TableNotFoundError,
    step,
)
from sparksig.jobs.config import InputSection
from sparksig.jobs.places import file_system
from sparksig.jobs.preflight import NAMES, is_null_type, not_files, schemas_with_null_types
from sparksig.models.registry import shown
from sparksig.spark.diagnosis import NO_DELTA
from sparksig.spark.hadoop import Place
from sparksig.tables.delta import delta_name

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import types as T

    from sparksig.jobs.texts import Text

__all__ = ["FINDINGS", "Input", "digest_files", "file_system", "open_input", "read_input"]

FINDINGS = "sparksig findings"
"""The column of malformed rows that says what is wrong with them."""


@dataclass(frozen=True)
class Input:
    """A table as it was when it was opened.

    Attributes:
        rows: those that meet the filter.
        malformed: the rows of CSV or JSON that are not as declared, where those are wanted, with a column
            :data:`FINDINGS`; None where the first of them fails the query.
        record: the column of malformed rows that has their line; empty where there are none.
        identity: what tells the table's content from another day's: place, format, and version (Delta), or
            files, bytes, and sha256 of the list of files with their sizes and times.
    """

    rows: DataFrame
    malformed: DataFrame | None = None
    record: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict)
    _files: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False)

    @property
    def is_known(self) -> bool:
        """Whether the identity tells the table's rows: not where a view makes them, or no file has them."""
        return "version" in self.identity or bool(self._files and self.identity["format"] != "view")

    def check_unchanged(self) -> None:
        """See that no file has changed since the table was opened.

        Raises:
            SparksigError: some have changed.
            TableNotFoundError: some have vanished.
        """
        if not self._files:
            return
        try:
            now = _statuses(self.rows.sparkSession, list(self._files))
        except Exception as error:  # Hadoop's, or this machine's: it is gone
            name = getattr(error, "filename", None)
            raise _explain_vanished(f"the file {name}" if name else "a file of the input") from None
        changed = [path for path, told in self._files.items() if now[path] != told]
        if changed:
            raise SparksigError(
                f"the input changed while it was read: {len(changed)} files, first {changed[0]!r}"
            )


def read_input(spark: SparkSession, section: InputSection) -> DataFrame:
    """The rows of a job's input, its filter applied; arguments and errors as of :func:`open_input`."""
    return open_input(spark, section).rows


def open_input(
    spark: SparkSession,
    section: InputSection,
    *,
    lenient: bool = False,
    types: Mapping[str, T.DataType] | None = None,
) -> Input:
    """A job's input: files of Parquet, Delta, CSV or JSON at a path, or a table by its name.

    A Delta table stays at the version that it has now, or at the one that is asked for.

    Args:
        spark: the session.
        section: of the configuration.
        lenient: hand malformed rows of CSV and JSON over; otherwise the first one fails the query.
        types: for columns of the null type in Parquet files, the types that they are cast to; others stay as
            Spark reads them, as int. None to have each of them as void.

    Raises:
        TableNotFoundError: there is no such table, or no such version of it.
        ConfigError: the filter, or the declared schema, is wrong.
        ContractError: Spark cannot read the table.
        MissingDependencyError: the session knows no Delta tables.
    """
    text = None
    if section.table is not None:
        rows, identity = _by_name(spark, section, section.table)
    elif section.format == "delta":
        rows, identity = _delta(spark, section, Place.of(spark, section.place).uri)
    elif section.format == "parquet":
        rows, identity = _parquet(spark, section, types)
    else:
        text = _text(spark, section)
        rows, identity = text.rows, {"format": section.format}
    identity, files = {"place": shown(section.place), **identity}, {}
    if "version" not in identity:
        try:
            files = _statuses(spark, rows.inputFiles())
        except FileNotFoundError as error:
            raise _explain_vanished(f"the file {error.filename}") from None
        identity |= digest_files(files)
    told = Input(rows, identity=identity, _files=files)
    return _select(_filtered(told, section.filter, text, lenient=lenient), section.select)


# --- by format ----------------------------------------------------------------------------------------------


def _parquet(
    spark: SparkSession, section: InputSection, types: Mapping[str, T.DataType] | None
) -> tuple[DataFrame, dict[str, Any]]:
    _refuse_delta(spark, section)
    try:
        reader = spark.read.option("ignoreCorruptFiles", "false").option("ignoreMissingFiles", "false")
        rows = reader.parquet(section.place)
        uri = Place.of(spark, section.place).uri
        if stored := schemas_with_null_types(uri):
            rows = _with_null_columns(spark, uri, rows, stored, types)
        return rows, {"format": "parquet"}
    except Exception as error:
        raise _reading(error, section) from None


def _with_null_columns(
    spark: SparkSession,
    place: str,
    rows: DataFrame,
    stored: Mapping[str, pyarrow.Schema],
    types: Mapping[str, T.DataType] | None,
) -> DataFrame:
    """The rows of a table, with nulls of their type in columns of the null type, which Spark reads as int.

    Where other files have the column in a type of its own, the files are read apart.
    """
    from pyspark.sql import types as T

    held = {field.name: field.dataType for field in rows.schema.fields}
    nulls = {
        file: frozenset(field.name for field in schema if is_null_type(field))
        for file, schema in stored.items()
    }
    wanted: dict[str, T.DataType] = {}
    for name in sorted(frozenset().union(*nulls.values())):
        typed = [file for file, schema in stored.items() if name in schema.names and name not in nulls[file]]
        if typed:
            [found] = [
                part for part in spark.read.parquet(_file(place, typed[0])).schema if part.name == name
            ]
            wanted[name] = found.dataType
        else:
            wanted[name] = T.NullType() if types is None else types.get(name, held[name])
    if len(set(nulls.values())) == 1:
        return _with_nulls(rows, held, wanted)
    reader = spark.read.option("ignoreCorruptFiles", "false").option("ignoreMissingFiles", "false")
    parts = []
    for absent in dict.fromkeys(nulls.values()):
        paths = [_file(place, file) for file, columns in nulls.items() if columns == absent]
        fields = [
            T.StructField(name, wanted.get(name, dtype)) for name, dtype in held.items() if name not in absent
        ]
        part = reader.schema(T.StructType(fields)).option("basePath", place).parquet(*paths)
        parts.append(_with_nulls(part, held, {name: wanted[name] for name in absent}))
    first, *others = parts
    for other in others:
        first = first.union(other)
    return first


def _with_nulls(rows: DataFrame, names: Iterable[str], types: Mapping[str, T.DataType]) -> DataFrame:
    """The columns of the names, in that order, those with a type as nulls of it."""
    from pyspark.sql import functions as F

    from sparksig.spark.bind import column

    return rows.select(
        *(F.lit(None).cast(types[name]).alias(name) if name in types else column(name) for name in names)
    )


def _file(place: str, name: str) -> str:
    """The path of a file of a table, which Spark does not take for a pattern."""
    escaped = re.sub(r"([*?\[\]{}\\])", r"\\\1", name)
    return f"{place.rstrip('/')}/{escaped}" if name else place


def _text(spark: SparkSession, section: InputSection) -> Text:
    from sparksig.jobs.texts import read_text

    _refuse_delta(spark, section)
    try:
        text = read_text(spark, section, section.place)
    except Exception as error:
        raise _reading(error, section) from None
    if not text.rows.inputFiles():
        raise TableNotFoundError(f"there is no file in {section.place!r}")
    return text


def _refuse_delta(spark: SparkSession, section: InputSection) -> None:
    if (Place.of(spark, section.place) / "_delta_log").is_there():
        raise not_files(section.format)


def _delta(
    spark: SparkSession, section: InputSection, target: str, name: str = ""
) -> tuple[DataFrame, dict[str, Any]]:
    """A Delta table, pinned to a version."""
    quoted = name or delta_name(target)
    try:
        version = section.version
        if version is None:
            [newest] = spark.sql(f"DESCRIBE HISTORY {quoted} LIMIT 1").select("version").collect()
            version = int(newest[0])
        reader = spark.read.format("delta").option("versionAsOf", version)
        rows = reader.table(name) if name else reader.load(target)
        [detail] = spark.sql(f"DESCRIBE DETAIL {quoted}").select("id").collect()
    except Exception as error:
        raise _reading(error, section) from None
    return rows, {"format": "delta", "version": version, "id": detail[0]}


def _by_name(spark: SparkSession, section: InputSection, name: str) -> tuple[DataFrame, dict[str, Any]]:
    """A table, or a view, of the catalog; what is Delta is pinned to a version, but not what a view reads."""
    try:
        if not spark.catalog.tableExists(name):
            raise TableNotFoundError(f"there is no table {name!r}")
        told = spark.sql(f"DESCRIBE TABLE EXTENDED {name}").where("col_name = 'Provider'").collect()
    except Exception as error:
        raise _reading(error, section) from None
    form = str(told[0]["data_type"]).lower() if told else "view"
    if form == "delta":
        return _delta(spark, section, name, name)
    if section.version is not None:
        finding = Finding(Code.INVALID_VALUE, "input.version", "a Delta table, which has versions", form)
        raise ConfigError.of("the configuration is wrong", [finding])
    return spark.table(name), {"format": form}


_NOT_THERE = (
    "PATH_NOT_FOUND", "UNABLE_TO_INFER_SCHEMA", "TABLE_OR_VIEW_NOT_FOUND", "DELTA_TABLE_NOT_FOUND",
    "DELTA_MISSING_DELTA_TABLE", "DELTA_VERSION_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST", "SCHEMA_NOT_FOUND",
    "VersionNotFoundException", "is not a Delta table", "REQUIRES_SINGLE_PART_NAMESPACE",
)  # fmt: skip
_NO_DELTA = ("DATA_SOURCE_NOT_FOUND", "`HISTORY`", "COLUMN_NOT_FOUND", "ClassNotFoundException")


def _reading(error: Exception, section: InputSection) -> SparksigError:
    """What Spark's error, whose class depends on the session, is in the words of jobs."""
    if isinstance(error, SparksigError):
        return error
    told, place = str(error), repr(section.place)
    reason = told.strip().partition("\n")[0]
    if any(sign in told for sign in _NOT_THERE):
        version = "" if section.version is None else f" in version {section.version}"
        form = "" if section.table else f" {NAMES[section.format]}"
        return TableNotFoundError(f"there is no{form} table at {place}{version}")
    if any(sign in told for sign in _NO_DELTA):
        return MissingDependencyError(NO_DELTA)
    if section.table and "PARSE_SYNTAX_ERROR" in told:
        finding = Finding(
            Code.INVALID_NAME, "input.table", "the name of a table, as SQL has it", "another text"
        )
        return ConfigError.of("the configuration is wrong", [finding])
    return ContractError(f"Spark cannot read the table {place}: {reason}")


# --- what is read -------------------------------------------------------------------------------------------


def digest_files(files: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """Return the number of files, their bytes, and a digest of the list with sizes and times."""
    lines = [f"{path}\0{size}\0{time}\n" for path, (size, time) in sorted(files.items())]
    digest = hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
    return {"files": len(files), "bytes": sum(size for size, _ in files.values()), "sha256": digest}


def _explain_vanished(file: str) -> TableNotFoundError:
    """Return the error for a file that was deleted while its table was read."""
    return TableNotFoundError(
        f"{file} vanished while the table was read. Start again when nobody replaces the table's files"
    )


def _statuses(spark: SparkSession, paths: list[str]) -> dict[str, tuple[int, int]]:
    """The sizes and times of files, as Spark names them: encoded."""
    with ThreadPoolExecutor(16) as pool:
        told = pool.map(
            lambda path: Place(spark, unquote(path).replace("file:///", "file:/", 1)).status(), paths
        )
        return dict(zip(paths, told))


def _filtered(opened: Input, condition: str | None, text: Text | None, *, lenient: bool) -> Input:
    """The rows that meet the condition; malformed ones are told, or fail the query, whatever it says."""
    from pyspark.sql import functions as F

    rows = opened.rows
    if condition is not None:
        _check_condition(rows if text is None else rows.drop(text.record), condition)
    if text is None:
        kept = rows if condition is None else rows.where(F.expr(condition))
        return Input(kept, identity=opened.identity, _files=opened._files)
    met = "true" if condition is None else f"coalesce(({condition}\n), false)"
    if not lenient:
        place = opened.identity["place"]
        message = f"sparksig.errors.ContractError: the table {place!r} is not as declared:"
        from sparksig.tables.sql import quote_text

        failed = f"raise_error(concat({quote_text(message)}, {_in_words(text)}))"
        rows = rows.where(f"case when {text.malformed} then {failed} else {met} end").drop(text.record)
        return Input(rows, identity=opened.identity, _files=opened._files)
    malformed = rows.where(text.malformed).withColumn(FINDINGS, F.expr(text.findings))
    good = rows.where(f"case when {text.malformed} then false else {met} end").drop(text.record)
    return Input(good, malformed, text.record, opened.identity, opened._files)


def _in_words(text: Text) -> str:
    """The findings of a row as the lines of an error, and the file that it stands in, in SQL."""
    lines = f"array_join(transform({text.findings}, one -> concat('\\n  - ', one.detail)), '')"
    return f"' one row in ', input_file_name(), {lines}, '\\n'"


def _select(opened: Input, expressions: Mapping[str, str]) -> Input:
    """Add the columns that a configuration makes; of malformed rows, those columns are null.

    Raises:
        ConfigError: an expression is wrong, or has another value each time it is evaluated.
    """
    from pyspark.sql import functions as F

    findings = []
    for name, expression in expressions.items():
        reason = ""
        try:
            made: Any = opened.rows.select(F.expr(expression).alias("made"))
            if not made._jdf.queryExecution().analyzed().deterministic():
                reason = "its value changes each time it is evaluated"
        except Exception as error:  # a parser's, or an analyser's
            reason = " ".join(str(error).strip().partition("\n")[0].split()) or "Spark cannot read it"
        if reason:
            path, expected = f"input.select.{step(name)}", "an SQL expression of the table's columns"
            findings.append(Finding(Code.INVALID_VALUE, path, expected, "another text", reason))
    if findings:
        raise ConfigError.of("the configuration is wrong", findings)
    if not expressions:
        return opened
    made_columns = {name: F.expr(expression) for name, expression in expressions.items()}
    malformed = None if opened.malformed is None else opened.malformed.drop(*expressions)
    return replace(opened, rows=opened.rows.withColumns(made_columns), malformed=malformed)


def _check_condition(rows: DataFrame, condition: str) -> None:
    """See that a filter is a condition on the table's columns, and the same each time it is asked.

    Raises:
        ConfigError: it is not.
    """
    from pyspark.sql import functions as F

    try:
        held: Any = rows.where(F.expr(condition))
        reason = ""
        if not held._jdf.queryExecution().analyzed().condition().deterministic():
            reason = "it is another one each time it is asked"
    except Exception as error:  # a parser's, or an analyser's
        reason = " ".join(str(error).strip().partition("\n")[0].split()) or "Spark cannot read it"
    if reason:
        finding = Finding(Code.INVALID_VALUE, "input.filter", "a condition in SQL", "another text", reason)
        raise ConfigError.of("the configuration is wrong", [finding])
