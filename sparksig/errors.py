"""The exceptions of sparksig, and the findings in them.

SparksigError
 ├── SignatureError (ValueError)         a type, spec, schema or signature is not well formed
 │    └── SignatureTypeError (TypeError)     ... because an argument is of the wrong Python type
 ├── ConversionError (TypeError)         a type has no counterpart on the other side
 ├── InferenceError (ValueError)         no signature can be inferred from an example
 ├── ContractError (ValueError)          data or a table breaks its contract
 │    └── PredictionError                    ... because a model returned the wrong values
 ├── ModelError                          a model directory cannot be used
 │    ├── ModelNotFoundError (FileNotFoundError)
 │    ├── ModelDamagedError                  it is incomplete, malformed or changed
 │    ├── MissingSignatureError              it lacks a signature that is needed
 │    └── ModelNotTrustedError               loading it would run code without permission
 ├── ConfigError (ValueError)            a job's configuration is wrong
 │    └── ConfigNotFoundError (FileNotFoundError)
 ├── TableNotFoundError (FileNotFoundError)  a table does not exist
 ├── ModelFailedError                    a model raised an exception while it was loaded or predicted
 ├── ExecutionError                      Spark failed for a reason outside of table and model
 ├── BudgetExceededError                 more rows failed than a job's error budget allows
 ├── OutputRefusedError                  nothing was written: the target must not be changed
 ├── MissingDependencyError (ImportError)    an optional package is needed
 └── UnsupportedError (NotImplementedError)  sparksig does not support this

Programs read ``error.findings`` instead of parsing the message. No message contains a value of the caller's
data: it names columns, types, counts and row positions.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar


class Code(str, Enum):
    """The kind of a finding. The values are stable: dashboards and tests may rely on them."""

    # a column, field or parameter
    MISSING_COLUMN = "MISSING_COLUMN"
    MISSING_FIELD = "MISSING_FIELD"
    EXTRA_COLUMN = "EXTRA_COLUMN"
    DUPLICATE_NAME = "DUPLICATE_NAME"
    COLUMN_COUNT = "COLUMN_COUNT"
    INVALID_NAME = "INVALID_NAME"
    UNKNOWN_KEY = "UNKNOWN_KEY"
    MISSING_KEY = "MISSING_KEY"
    # a type
    TYPE_MISMATCH = "TYPE_MISMATCH"
    UNSUPPORTED_TYPE = "UNSUPPORTED_TYPE"
    MIXED_TYPES = "MIXED_TYPES"
    # a value
    INVALID_VALUE = "INVALID_VALUE"
    NULL_IN_REQUIRED = "NULL_IN_REQUIRED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    # a shape
    ROW_COUNT = "ROW_COUNT"
    SHAPE_MISMATCH = "SHAPE_MISMATCH"
    EMPTY = "EMPTY"
    # a model
    PREDICTION_FAILED = "PREDICTION_FAILED"
    # an export
    NOT_EXPRESSED = "NOT_EXPRESSED"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Finding:
    """A difference between a contract and data, a table or another contract.

    Attributes:
        code: its kind, stable over versions.
        path: its location: ``orders[].price`` is the field ``price`` of every element of ``orders``;
            empty if the finding concerns the entire table or object.
        expected: what the contract declares.
        actual: the type or description of the data, never a value.
        hint: one sentence that says how to fix it; may be empty.
        count: the number of rows or positions, if they were counted.
        rows: the positions (from 0) of the first affected rows, if they are known.

    Example:
        >>> print(Finding(Code.TYPE_MISMATCH, "price", "double", "string", "cast it explicitly"))
        price: expected double, got string (cast it explicitly) [TYPE_MISMATCH]
    """

    code: Code
    path: str
    expected: str = ""
    actual: str = ""
    hint: str = ""
    count: int | None = None
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        parts = [f"expected {self.expected}"] if self.expected else []
        parts += [f"got {self.actual}"] if self.actual else []
        text = (f"{self.path}: " if self.path else "") + ", ".join(parts)
        if self.count is not None:
            text += f", {self.count} times" if self.count != 1 else ", once"
        if self.rows:
            rows = ", ".join(str(row) for row in self.rows)
            text += f", first in row{'s' if len(self.rows) > 1 else ''} {rows}"
        if self.hint:
            text += f" ({self.hint})"
        return f"{text} [{self.code}]"

    def to_dict(self) -> dict[str, object]:
        """Return the finding as built-ins for JSON, without empty fields."""
        fields = {
            "code": self.code.value,
            "path": self.path,
            "expected": self.expected,
            "actual": self.actual,
            "hint": self.hint,
            "count": self.count,
            "rows": list(self.rows),
        }
        return {key: v for key, v in fields.items() if key in ("code", "path") or v not in ("", None, [])}

    def below(self, prefix: str) -> Finding:
        """Return the finding with its path below ``prefix``: the path ``x`` below ``a`` is ``a.x``."""
        separator = "" if not self.path or self.path.startswith("[") or not prefix else "."
        return replace(self, path=f"{prefix}{separator}{self.path}")


E = TypeVar("E", bound="SparksigError")
H = TypeVar("H", bound=Hashable)


class SparksigError(Exception):
    """The base class of all exceptions of sparksig.

    Attributes:
        findings: the problems, one entry each; empty if the message alone describes the error.
    """

    findings: tuple[Finding, ...]

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        self.message = message
        self.findings = tuple(findings)
        super().__init__(message)  # an OSError takes the first of two arguments for its errno

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message, self.findings))

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  - {finding}" for finding in self.findings)])

    @classmethod
    def of(cls: type[E], summary: str, findings: Iterable[Finding]) -> E:
        """Build the error for ``findings``; its message is the ``summary`` and their number."""
        findings = tuple(findings)
        return cls(f"{summary}: {len(findings)} finding{'s' if len(findings) != 1 else ''}", findings)


class SparksigWarning(UserWarning):
    """The base class of all warnings of sparksig."""


class SignatureError(SparksigError, ValueError):
    """A type, spec, schema or signature is not well formed."""


class SignatureTypeError(SignatureError, TypeError):
    """A type, spec, schema or signature got an argument of the wrong Python type."""


class ConversionError(SparksigError, TypeError):
    """A type has no counterpart on the other side of a conversion."""


class InferenceError(SparksigError, ValueError):
    """No signature can be inferred from an example; ``findings`` lists every reason with its path."""


class ContractError(SparksigError, ValueError):
    """Data, or a table's schema, breaks its contract; ``findings`` lists every breach."""


class PredictionError(ContractError):
    """A model's prediction breaks the outputs of its signature."""


class ModelError(SparksigError):
    """A model directory cannot be used."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """The model directory does not exist."""


class ModelDamagedError(ModelError):
    """A model directory is incomplete, malformed, or differs from its digest."""


class MissingSignatureError(ModelError):
    """A model lacks the signature, or the side of it, that is needed; the message says how to set it."""


class ModelNotTrustedError(ModelError):
    """Loading the model would run code, and the caller did not allow it."""


class ConfigError(SparksigError, ValueError):
    """A job's configuration is wrong; ``findings`` lists every affected key."""


class ConfigNotFoundError(ConfigError, FileNotFoundError):
    """The configuration file does not exist."""


class TableNotFoundError(SparksigError, FileNotFoundError):
    """A table does not exist."""


class ModelFailedError(SparksigError):
    """A model raised an exception while loading or predicting."""


class ExecutionError(SparksigError):
    """Spark failed because of a worker, a disk or a session, not because of the table or the model."""


class BudgetExceededError(SparksigError):
    """More rows failed than a job's error budget allows; nothing was published."""


class OutputRefusedError(SparksigError):
    """Nothing was written, because the target must not be changed."""


class MissingDependencyError(SparksigError, ImportError):
    """An optional package is needed; the message has the command that installs it."""

    @classmethod
    def naming(cls, package: str, feature: str, extra: str) -> MissingDependencyError:
        """Build the error for a ``feature`` that needs a ``package``; the ``extra`` installs it."""
        return cls(f"{feature} needs the package {package!r}: pip install 'sparksig[{extra}]'")

    @classmethod
    def for_spark(cls, error: ModuleNotFoundError, feature: str) -> ImportError:
        """Return the error for a ``feature`` if PySpark is missing, else the ``error`` itself."""
        is_spark = (error.name or "").partition(".")[0] == "pyspark"
        return cls.naming("pyspark", feature, "spark") if is_spark else error


class UnsupportedError(SparksigError, NotImplementedError):
    """The feature that the message names is not supported."""


def name_type(value: object) -> str:
    """Name the Python type of a value, for messages.

    Example:
        >>> name_type(None), name_type([1])
        ('None', 'a value of type list')
    """
    return "None" if value is None else f"a value of type {type(value).__name__}"


def quote(name: object) -> str:
    """Format a name as a step of a path: in backticks if it contains characters that paths use.

    Example:
        >>> quote("mean radius"), quote("a.b")
        ('mean radius', '`a.b`')
    """
    text = str(name)
    if text and text.isprintable() and not set(".[]`").intersection(text):
        return text
    return "`" + make_printable(text).replace("`", "``") + "`"


def make_printable(text: str) -> str:
    r"""Escape the characters of a text that are not printable.

    Example:
        >>> print(make_printable("a\nb"))
        a\nb
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def make_lines_printable(text: str) -> str:
    r"""Escape the characters of a text that are not printable, except line breaks.

    Example:
        >>> print(make_lines_printable("a\x1b[2J\nb"))
        a\x1b[2J
        b
    """
    return text if text.isprintable() else "\n".join(map(make_printable, text.split("\n")))


def shorten(text: str, limit: int = 80) -> str:
    """Return a text with at most ``limit`` characters; a longer text ends in an ellipsis.

    Example:
        >>> shorten("a very long type", 10)
        'a very ...'
    """
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def describe_exception(error: BaseException, limit: int = 1000) -> str:
    r"""Return the type and the message of any exception, bounded and safe to print.

    Example:
        >>> print(describe_exception(ValueError("bad\tprice")))
        ValueError: bad\tprice
    """
    try:
        text = make_printable(str(error))
    except Exception as failure:  # __str__ may raise anything
        text = f"its message cannot be read ({type(failure).__name__})"
    if len(text) > limit:
        text = f"{text[:limit]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def below(path: str, name: object) -> str:
    """Return the path of the column or field ``name`` below a path.

    Example:
        >>> below("orders[]", "price"), below("", "price")
        ('orders[].price', 'price')
    """
    return f"{path}.{quote(name)}" if path else quote(name)


def find_duplicates(names: Iterable[H]) -> list[H]:
    """Return each name that occurs more than once, in the order of first appearance.

    Example:
        >>> find_duplicates(["b", "a", "b", "b"])
        ['b']
    """
    return [name for name, count in Counter(names).items() if count > 1]


HINTS = 20
"""The number of missing names for which findings suggest a similar one: comparing names takes time."""

MAX_COMPARED = 1_000
"""The number of names up to which :func:`suggest` compares each with a misspelled one, which takes time."""


def suggest(name: object, names: Iterable[object]) -> str:
    """Return a hint with the most similar of the valid names; empty if no name is similar.

    Among more than ``MAX_COMPARED`` names, only a name that differs by its case is similar.

    Example:
        >>> suggest("amuont", ["amount", "id"])
        "did you mean 'amount'?"
    """
    names_by_text = {str(known_name): known_name for known_name in names}
    folded = {text.casefold(): text for text in names_by_text}
    text = str(name)
    if text.casefold() in folded:
        match = folded[text.casefold()]
        return f"did you mean {names_by_text[match]!r}? Names are case sensitive" if match != text else ""
    if len(names_by_text) > MAX_COMPARED:
        return ""
    matches = difflib.get_close_matches(text, names_by_text, n=1, cutoff=0.7)
    return f"did you mean {names_by_text[matches[0]]!r}?" if matches else ""


def suggest_path(path: str | os.PathLike[str]) -> str:
    """Return the end of a message about a missing path: the most similar name beside it; empty if none is.

    Example:
        >>> suggest_path("no/such/model")
        ''
    """
    parent, name = os.path.split(os.fspath(path).rstrip("/"))
    try:
        names = {sibling.casefold(): sibling for sibling in os.listdir(parent or ".")}
    except OSError:
        return ""
    if not name or name in names.values() or len(names) > MAX_COMPARED:
        return ""
    matches = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=0.7)
    return f". Did you mean {os.path.join(parent, names[matches[0]])!r}?" if matches else ""
