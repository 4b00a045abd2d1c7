"""Diagnosis of Spark's errors: the cause in one message, without the frames of the JVM.

The class of an error depends on the version of Spark, and differs on Connect and inside of tasks. The class
and the error condition decide if Spark has them, otherwise the text of the error decides. Nothing here
imports pyspark, so that a missing pyspark, or a missing Java, can be diagnosed, too.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import sparksig.errors
from sparksig.errors import (
    Code,
    ContractError,
    ExecutionError,
    Finding,
    MissingDependencyError,
    OutputRefusedError,
    SparksigError,
    TableNotFoundError,
    make_lines_printable,
    make_printable,
)

NO_DELTA = (
    "this session does not support Delta tables: start it with delta-spark's jars (spark.jars.packages), "
    "spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension and "
    "spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog"
)

_STOPPED = "the Spark session was stopped; start a new one and create the DataFrame again"


@contextlib.contextmanager
def convert_spark_errors() -> Iterator[None]:
    """Convert errors of Spark whose cause is known to errors of sparksig.

    Raises:
        SparksigError: as :func:`diagnose` returns it; its context is the error of Spark.
    """
    try:
        yield
    except SparksigError:
        raise
    except Exception as error:
        known = diagnose(error)
        if known is None:
            raise
        raise known from None


def diagnose(error: BaseException) -> SparksigError | None:
    """Return an error of sparksig with the reason why Spark failed; None for an error of another origin.

    Example:
        >>> diagnose(RuntimeError("Job aborted: sparksig.errors.ContractError: the data does not fit"))
        ContractError('the data does not fit')
        >>> diagnose(ZeroDivisionError("by zero"))
    """
    if isinstance(error, SparksigError):
        return error
    if isinstance(error, ModuleNotFoundError):
        missing = MissingDependencyError.for_spark(error, "Spark")
        return missing if isinstance(missing, SparksigError) else None
    if not isinstance(error, Exception):
        return None
    text = _extract_text(error)
    own = _read_own_error(text)
    if own is not None:
        return own
    if _is_of_stopped_session(error, text):
        return ExecutionError(_STOPPED)
    if not is_of_spark(error):
        return None
    if any(sign in text for sign in _HEADERS):
        return _explain_header(text)
    causes = (rule.build(text) for rule in _RULES)
    return next((cause for cause in causes if cause is not None), None) or _summarize(error, text)


def is_of_spark(error: BaseException) -> bool:
    """Return whether an error was raised by PySpark, or by its bridge to the JVM."""
    return type(error).__module__.partition(".")[0] in ("pyspark", "py4j")


def refuse_stopped_session(session: object) -> None:
    """Check that a session has not been stopped.

    Raises:
        ExecutionError: it has been.
    """
    context = getattr(session, "_sc", None)
    if context is not None and getattr(context, "_jsc", None) is None:
        raise ExecutionError(_STOPPED)


# --- reading an error ---------------------------------------------------------------------------------------


def _extract_text(error: Exception) -> str:
    """Return the condition and the messages of an error and its causes, without frames of the JVM."""
    try:
        text = str(error)
    except Exception:  # py4j asks the JVM for the text, and the JVM may be gone
        text = type(error).__name__
    parts = [_get_condition(error), text, str(getattr(error, "_stackTrace", None) or "")]
    lines = "\n".join(part for part in parts if part).splitlines()
    return "\n".join(line for line in lines if not re.match(r"\s+(at [\w.$/]+\(|\.\.\. \d+ more)", line))


def _get_condition(error: Exception) -> str:
    for name in ("getCondition", "getErrorClass"):  # Spark 4's name, and Spark 3's
        if hasattr(error, name):
            with contextlib.suppress(Exception):  # the JVM may be gone
                return f"[{getattr(error, name)()}]"
    return ""


_OWN = re.compile(r"sparksig\.errors\.(\w+): (.*(?:\n  .*)*)")


def _read_own_error(text: str) -> SparksigError | None:
    """Return the error of sparksig that a worker raised, from the text that Spark passes on.

    It is the last one in the text: earlier ones are its causes.
    """
    for match in reversed(list(_OWN.finditer(text))):
        kind = getattr(sparksig.errors, match[1], None)
        if isinstance(kind, type) and issubclass(kind, SparksigError):
            error: SparksigError = kind(make_lines_printable(match[2]))
            return error
    return None


def _is_of_stopped_session(error: Exception, text: str) -> bool:
    if isinstance(error, AttributeError):  # PySpark's own error: its context is None now
        return (
            "'NoneType' object has no attribute" in text
            and re.search("sc'|setCallSite|_jvm", text) is not None
        )
    signs = ("stopped SparkContext", "SparkContext was shut down", "Job cancelled because", "None.get")
    return is_of_spark(error) and any(sign in text for sign in signs)


_HEADERS = ("CSV header does not conform to the schema", "Number of column in CSV header is not equal to")
"""The texts for a header with other names, and for a header with more or fewer names."""


def _explain_header(text: str) -> SparksigError:
    """Return the error for a CSV file whose header differs from the declared columns."""
    file = re.search(r"^\s*CSV file: (.*)$", text, re.MULTILINE)
    # without a header, the line contains values
    finding = Finding(
        Code.MISSING_COLUMN,
        "",
        "a header with the declared names, in their order",
        f"another first line in {file[1]}" if file else "another first line",
        "declare the columns with the header's names, in its order; if the file has no header, set the "
        "option header to false",
    )
    return ContractError.of("the table differs from its declaration", [finding])


# --- known causes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rule:
    """A cause.

    Attributes:
        pattern: a pattern in the text of the error.
        kind: the class of the error to raise.
        message: its message, with the groups of the pattern by their numbers, 0 for the entire match.
    """

    pattern: str
    kind: type[SparksigError]
    message: str

    def build(self, text: str) -> SparksigError | None:
        """Return the error if a text contains the pattern, else None."""
        match = re.search(self.pattern, text)
        if match is None:
            return None
        return self.kind(self.message.format(*(_clean(group or "") for group in (match[0], *match.groups()))))


_USE_PYTHON = "Set PYSPARK_PYTHON to a Python that has sparksig[spark], on every node"
_DIFFERENT_VERSIONS = r"different (?:minor )?version:? \(?([\d., ]+\d)\)? than that in driver:? ([\d.]+\d)"
_RULES = (
    _Rule(
        "JAVA_GATEWAY_EXITED|Java gateway process exited|JAVA_HOME is not set",
        MissingDependencyError,
        "Spark cannot start Java. Install a Java that this Spark supports, for example 17, and set JAVA_HOME "
        "to it",
    ),
    _Rule(
        _DIFFERENT_VERSIONS,
        ExecutionError,
        "the Python workers run Python {1}, and the driver runs Python {2}. " + _USE_PYTHON,
    ),
    _Rule(
        r"No module named '?(pyspark|pyarrow|pandas|numpy|sparksig|[\w.]+')",
        ExecutionError,
        "the Python workers cannot import {1}. Install it on every node, or set PYSPARK_PYTHON to a Python "
        "that has it",
    ),
    _Rule(
        r"Cannot run program \"?([^\"\s]+)",
        ExecutionError,
        "Spark cannot start its Python workers: there is no program {1}. " + _USE_PYTHON,
    ),
    _Rule(
        "reading the port number from pyspark.daemon",
        ExecutionError,
        "Spark cannot start its Python workers. " + _USE_PYTHON,
    ),
    _Rule(
        r"(?:[^\s'\"]+ \()?(?:No space left on device|Disk quota exceeded|File too large)",
        ExecutionError,
        "a file cannot be written ({0}): the disk is full, or a quota is used up. Free space at the output "
        "and in spark.local.dir, then start again",
    ),
    _Rule(
        "OutOfMemoryError(:? ?.*)",
        ExecutionError,
        "Spark ran out of memory{1}. Raise spark.driver.memory and spark.executor.memory, or read smaller "
        "partitions (spark.sql.files.maxPartitionBytes)",
    ),
    _Rule(
        "Python worker exited unexpectedly|Python worker failed to connect|ExecutorLostFailure|"
        "Container killed|MemoryError",
        ExecutionError,
        "a Python worker or an executor ended unexpectedly: it was killed, it ran out of memory, or native "
        "code of the model crashed. Lower batch_rows (model.batch_rows in a job), or raise "
        "spark.executor.memoryOverhead; with spark.python.worker.faulthandler.enabled=true the log shows "
        "where native code crashed",
    ),
    _Rule(
        r"DATA_SOURCE_NOT_FOUND\].*\bdelta\b|delta\.DefaultSource|DeltaSparkSessionExtension",
        MissingDependencyError,
        NO_DELTA,
    ),
    _Rule(
        r"(?:FILE_NOT_EXIST\].* reading file|FileNotFoundException: File) (\S+?)(?:\. File)? does not exist",
        TableNotFoundError,
        "the file {1} vanished while the table was read. Start again when no process replaces its files",
    ),
    _Rule(
        r"Class \S+\.(\w+FileSystem) not found|No FileSystem for scheme:? \"?(\w+)",
        MissingDependencyError,
        "Spark lacks the file system {1}{2}. Add its jars with spark.jars.packages, for example "
        "org.apache.hadoop:hadoop-aws for s3a",
    ),
    _Rule(
        r"(?:FAILED_READ_FILE|CANNOT_READ_FILE)\S*\] .*?file:? (\S+?)\.?\s|(\S+) is not a Parquet file",
        ContractError,
        "Spark cannot read the file {1}{2}: it is damaged, or has another format or other types than the "
        "table",
    ),
    _Rule(
        r"Mkdirs failed to create [^\s(]+|Parent path is not a directory: \S+|AccessControlException: .*|"
        r"[^\s'\"]* ?\(?(?:Permission denied|Read-only file system)",
        OutputRefusedError,
        "access was denied: {0}. Choose a directory that this user may write to, and files that it may read",
    ),
    _Rule(
        "Py4JNetworkError|Answer from Java side is empty|py4j[\\s\\S]*Connection refused",
        ExecutionError,
        "the JVM of the Spark driver has ended: it was killed, or ran out of memory. Raise "
        "spark.driver.memory, then start again",
    ),
)
"""The known causes. The first one whose pattern the text contains is reported."""


def _clean(text: str) -> str:
    return make_printable(text.strip(" '()"))[:500]


_NOISE = re.compile(
    r"^(An error occurred while calling [\w.]+\n?:?|An exception was thrown from the Python worker.*|"
    r"Traceback \(most recent call last\):)\s*"
)


_CAUSE = re.compile(r"^\s*Caused by: (?:[\w$]+\.)*[\w$]+: (.+)$", re.MULTILINE)
"""The message of an exception that caused another one, without its class."""


def _summarize(error: Exception, text: str) -> SparksigError:
    """Return an error that quotes Spark, for an unknown cause."""
    if "Traceback (most recent call last):" in text:  # of a function of Python in a worker
        lines = [line for line in text.rpartition("Traceback (most")[2].splitlines()[1:] if line]
        raised = next((line for line in lines if not line.startswith((" ", "\t"))), "")
        if raised and "PythonException" in f"{type(error).__name__} {text}":
            return ExecutionError(f"a Python function of the query raised {_clean(raised)}")
    body = text.removeprefix(_get_condition(error)).strip()
    while (shorter := _NOISE.sub("", body)) != body:
        body = shorter
    first = _clean(body.partition("\n")[0]) or type(error).__name__
    causes = _CAUSE.findall(body)
    root = f". Its cause: {_clean(causes[-1])}" if causes and causes[-1] not in first else ""
    return ExecutionError(f"Spark failed: {first}{root}")
