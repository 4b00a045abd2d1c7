"""Everything sparksig can raise, and the findings that errors carry.

SparksigError
 ├── SignatureError (ValueError)         a type, spec, schema or signature is not well formed
 │    └── SignatureTypeError (TypeError)     ... because an argument is of the wrong Python type
 ├── ConversionError (TypeError)         a type has no counterpart on the other side
 ├── InferenceError (ValueError)         an example has no signature
 ├── ContractError (ValueError)          data or a table breaks its contract
 │    └── PredictionError                    ... namely what a model returned
 ├── ModelError                          a model directory cannot be used
 │    ├── ModelNotFoundError (FileNotFoundError)
 │    ├── ModelDamagedError                  it is there, but it is not what it should be
 │    ├── MissingSignatureError              it has no signature, and one is needed
 │    └── ModelNotTrustedError               loading it would execute code nobody allowed
 ├── ConfigError (ValueError)            a job's configuration is wrong
 │    └── ConfigNotFoundError (FileNotFoundError)
 ├── TableNotFoundError (FileNotFoundError)  a job's input is not there
 ├── ModelFailedError                    a model raised an exception while it was loaded or predicted
 ├── ExecutionError                      Spark could not finish, for a reason outside of table and model
 ├── BudgetExceededError                 more rows could not be scored than a job's budget allows
 ├── OutputRefusedError                  nothing was written, because something is there already
 ├── MissingDependencyError (ImportError)    an optional package is needed
 └── UnsupportedError (NotImplementedError)  sparksig does not do this (yet); the text names what

Errors carry data, their text is a view of it: read ``error.findings``, not the sentence. No text
ever holds a value of the caller's data: it names columns, types, counts and row positions.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar

__all__ = [
    "BudgetExceededError",
    "Code",
    "ConfigError",
    "ConfigNotFoundError",
    "ContractError",
    "ConversionError",
    "ExecutionError",
    "Finding",
    "InferenceError",
    "MissingDependencyError",
    "MissingSignatureError",
    "ModelDamagedError",
    "ModelError",
    "ModelFailedError",
    "ModelNotFoundError",
    "ModelNotTrustedError",
    "OutputRefusedError",
    "PredictionError",
    "SignatureError",
    "SignatureTypeError",
    "SparksigError",
    "SparksigWarning",
    "TableNotFoundError",
    "UnsupportedError",
    "below",
    "describe_exception",
    "kind",
    "nearest",
    "printable",
    "printable_lines",
    "step",
]


class Code(str, Enum):
    """What kind of thing a finding is. The values are stable: dashboards and tests may keep them."""

    # a column, field or parameter, by its name or number
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
    # the shape of a whole
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
    """One thing that is not as the contract says.

    Attributes:
        code: its kind, stable over versions.
        path: where it is: ``orders[].price`` is the field ``price`` of every element of ``orders``;
            empty when it concerns the whole.
        expected: what the contract says there, in the signature's words.
        found: what is there instead: a type or a description, never a value of the data.
        hint: what to do about it, one sentence; may be empty.
        count: how many rows or places are concerned, where something was counted.
        rows: the positions (from 0) of the first rows concerned, where they are known.

    Example:
        >>> print(Finding(Code.TYPE_MISMATCH, "price", "double", "string", "cast it explicitly"))
        price: expected double, found string (cast it explicitly) [TYPE_MISMATCH]
    """

    code: Code
    path: str
    expected: str = ""
    found: str = ""
    hint: str = ""
    count: int | None = None
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        said = [f"expected {self.expected}"] if self.expected else []
        said += [f"found {self.found}"] if self.found else []
        text = (f"{self.path}: " if self.path else "") + ", ".join(said)
        if self.count is not None:
            text += f", {self.count} times" if self.count != 1 else ", once"
        if self.rows:
            shown = ", ".join(str(row) for row in self.rows)
            text += f", first in row{'s' if len(self.rows) > 1 else ''} {shown}"
        if self.hint:
            text += f" ({self.hint})"
        return f"{text} [{self.code}]"

    def to_dict(self) -> dict[str, object]:
        """The finding as JSON-ready built-ins; empty fields are left out."""
        full = {
            "code": self.code.value,
            "path": self.path,
            "expected": self.expected,
            "found": self.found,
            "hint": self.hint,
            "count": self.count,
            "rows": list(self.rows),
        }
        return {k: v for k, v in full.items() if k in ("code", "path") or v not in ("", None, [])}

    def below(self, prefix: str) -> Finding:
        """The same finding seen from one level further out: ``x`` below the ``prefix`` a is ``a.x``."""
        joint = "" if not self.path or self.path.startswith("[") or not prefix else "."
        return replace(self, path=f"{prefix}{joint}{self.path}")


E = TypeVar("E", bound="SparksigError")
H = TypeVar("H", bound=Hashable)


class SparksigError(Exception):
    """The root: ``except SparksigError`` catches all that sparksig raises on purpose.

    Attributes:
        findings: what is wrong, one entry each; empty where the message says it all.
    """

    findings: tuple[Finding, ...]

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        self.message = message
        self.findings = tuple(findings)
        super().__init__(message)  # one argument: of two an OSError would make an errno

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message, self.findings))

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  - {finding}" for finding in self.findings)])

    @classmethod
    def of(cls: type[E], what: str, findings: Iterable[Finding]) -> E:
        """The error that reports ``findings``, each in a line below "``what``: N findings"."""
        found = tuple(findings)
        return cls(f"{what}: {len(found)} finding{'s' if len(found) != 1 else ''}", found)


class SparksigWarning(UserWarning):
    """The base class of all warnings of sparksig."""


class SignatureError(SparksigError, ValueError):
    """A type, spec, schema or signature is not well formed."""


class SignatureTypeError(SignatureError, TypeError):
    """A type, spec, schema or signature was given an argument of the wrong Python type."""


class ConversionError(SparksigError, TypeError):
    """A type has no counterpart on the other side of a conversion."""


class InferenceError(SparksigError, ValueError):
    """No signature can be inferred from an example; ``findings`` has every path that stands in the way."""


class ContractError(SparksigError, ValueError):
    """Data, or a table's schema, breaks its contract; ``findings`` has every breach."""


class PredictionError(ContractError):
    """What a model returned breaks the output side of its signature."""


class ModelError(SparksigError):
    """A model directory cannot be used."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no model directory at the given place."""


class ModelDamagedError(ModelError):
    """A model directory is incomplete, malformed, or not what its digest says."""


class MissingSignatureError(ModelError):
    """A model has no signature, or not the side of it that is needed; the message says how to set one."""


class ModelNotTrustedError(ModelError):
    """Loading the model would execute code, and the caller did not allow it."""


class ConfigError(SparksigError, ValueError):
    """A job's configuration is wrong; ``findings`` has every key concerned."""


class ConfigNotFoundError(ConfigError, FileNotFoundError):
    """There is no configuration file at the given place."""


class TableNotFoundError(SparksigError, FileNotFoundError):
    """A job's input table is not there."""


class ModelFailedError(SparksigError):
    """A model raised an exception while it was loaded, or while it predicted."""


class ExecutionError(SparksigError):
    """Spark could not finish because of a worker, a disk or a session; not because of table or model."""


class BudgetExceededError(SparksigError):
    """More rows could not be scored than a job's budget allows; nothing was published."""


class OutputRefusedError(SparksigError):
    """Nothing was written, because the target must not be written to."""


class MissingDependencyError(SparksigError, ImportError):
    """An optional package is needed; the message has the command that installs it."""

    @classmethod
    def naming(cls, package: str, what: str, extra: str) -> MissingDependencyError:
        """The error for ``what`` needing ``package``, which the extra ``extra`` brings."""
        return cls(f"{what} needs the package {package!r}: pip install 'sparksig[{extra}]'")


class UnsupportedError(SparksigError, NotImplementedError):
    """sparksig does not do this (yet); the message names what."""


def kind(value: object) -> str:
    """What a value is, without saying what it holds.

    Example:
        >>> kind(None), kind([1])
        ('None', 'a value of type list')
    """
    return "None" if value is None else f"a value of type {type(value).__name__}"


def step(name: object) -> str:
    """A name as one step of a path: as it is, or in backticks where it would be taken for more.

    Example:
        >>> step("mean radius"), step("a.b")
        ('mean radius', '`a.b`')
    """
    text = str(name)
    if text and text.isprintable() and not set(".[]`").intersection(text):
        return text
    return "`" + printable(text).replace("`", "``") + "`"


def printable(text: str) -> str:
    r"""A text without what a terminal would act on, or a file could not hold: such signs are escaped.

    Example:
        >>> print(printable("a\nb"))
        a\nb
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> str:
    r"""Return a text of several lines, with what :func:`printable` escapes in each of them.

    Example:
        >>> print(printable_lines("a\x1b[2J\nb"))
        a\x1b[2J
        b
    """
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


def describe_exception(error: BaseException, limit: int = 1000) -> str:
    r"""Return the type and the message of any exception, bounded and safe to print.

    Args:
        error: the exception; one whose ``__str__`` fails is described by its type.
        limit: the greatest number of characters of the message.

    Example:
        >>> print(describe_exception(ValueError("bad\tprice")))
        ValueError: bad\tprice
    """
    try:
        text = printable(str(error))
    except Exception as failure:  # of the exception's own __str__
        text = f"its message cannot be read ({type(failure).__name__})"
    if len(text) > limit:
        text = f"{text[:limit]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def below(path: str, name: object) -> str:
    """The path of what is called ``name`` in what stands at ``path``.

    Example:
        >>> below("orders[]", "price"), below("", "price")
        ('orders[].price', 'price')
    """
    return f"{path}.{step(name)}" if path else step(name)


def find_duplicates(names: Iterable[H]) -> list[H]:
    """Return each name that occurs more than once, in the order of first appearance.

    Example:
        >>> find_duplicates(["b", "a", "b", "b"])
        ['b']
    """
    return [name for name, count in Counter(names).items() if count > 1]


HINTS = 20
"""The number of missing names for which findings offer a similar one: comparing names takes time."""

MAX_COMPARED = 1_000
"""The number of names up to which :func:`nearest` compares each with a misspelled one, which takes time."""


def nearest(name: object, known: Iterable[object]) -> str:
    """Build a hint with the known name that is most similar to ``name``; empty if none is similar.

    Among more than ``MAX_COMPARED`` names, only one that differs by its case is similar.

    Example:
        >>> nearest("amuont", ["amount", "id"])
        "did you mean 'amount'?"
    """
    by_text = {str(k): k for k in known}
    folded = {text.casefold(): text for text in by_text}
    text = str(name)
    if text.casefold() in folded:
        best = folded[text.casefold()]
        return f"did you mean {by_text[best]!r}? Names are case sensitive" if best != text else ""
    if len(by_text) > MAX_COMPARED:
        return ""
    close = difflib.get_close_matches(text, by_text, n=1, cutoff=0.7)
    return f"did you mean {by_text[close[0]]!r}?" if close else ""
