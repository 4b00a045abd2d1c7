"""Values against type hints, as a model written in Python asks for them.

Rules are the casting table's for Python values: an int reaches a float hint if a double holds it exactly, a
NumPy scalar reaches the Python type that holds it, a bool is no number, text is never parsed. Then pydantic
validates, once and in strict mode, what it declares; what a validator of the user sees first, it sees as it
came. An instance of a model counts as validated: the types of what it holds are checked, and it is kept.
Records (dataclasses, TypedDicts, NamedTuples) are built here from dictionaries; an instance is kept, unless
one of its values has to be converted. The values of an Enum, a UUID or a Decimal become instances, too.
Data that comes from JSON has no bytes and no times: with ``from_json``, base64 is read where a hint says
bytes, ISO 8601 where it says date or datetime.

Plain hints are checked by the set of all values' Python types, level by level; only what does not fit at
once, and the values of classes, are gone through one by one.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import uuid
from collections.abc import Sequence, Set
from functools import lru_cache
from itertools import chain
from typing import Any

from sparksig.convert.hints import (
    AnyHint,
    ConstrainedHint,
    DictHint,
    EncodedHint,
    FieldHint,
    Hint,
    ListHint,
    ModelHint,
    RecordHint,
    ScalarHint,
    UnionHint,
)
from sparksig.convert.records import build_record, is_record_instance, record_kind
from sparksig.engine.encoded import decode, describe_digits
from sparksig.engine.findings import Collector
from sparksig.errors import Code, ContractError, below, kind
from sparksig.scalars import INTEGER_BITS, scalar_mismatch
from sparksig.types import DataType

__all__ = ["check_rows", "unwrap_hint"]


def check_rows(rows: list[Any], hint: ListHint, *, from_json: bool = False) -> list[Any]:
    """The elements of a list as its hint says, dictionaries as instances of the hint's pydantic models.

    The list is handed back itself where nothing has to be converted; it is never changed.

    Args:
        rows: the elements, one a row.
        hint: what they must be.
        from_json: the data was JSON: bytes are base64, times ISO 8601 text.

    Raises:
        ContractError: all failures, each path once, with its count and the first rows.

    Example:
        >>> from sparksig.convert.hints import parse_input_hint
        >>> check_rows([1, 2.5], parse_input_hint(list[float]))
        [1.0, 2.5]
    """
    if _fit(rows, hint.item):
        return rows
    report = Collector()
    checked = []
    for row, value in enumerate(rows):
        report.row = row
        checked.append(_check(value, hint, report, from_json))
    if report.findings:
        raise ContractError.of("the data does not fit the type hint", report.collected())
    return checked


def _check(value: Any, hint: ListHint, report: Collector, from_json: bool) -> Any:
    """One row: by the casting table first, then, where it declares something, by pydantic."""
    own = Collector()
    normal = _convert(value, hint.item, "[]", own, from_json)
    report.extend(own)
    if not _is_pydantic(hint.item) or hasattr(type(value), "model_fields"):
        return normal
    failed = frozenset(finding.path for finding in own.findings)
    return _validated(normal, hint.item, hint.annotation, "[]", report, failed)


def _is_pydantic(hint: Hint) -> bool:
    """Whether a hint has parts that pydantic validates."""
    if isinstance(hint, (ListHint, DictHint)):
        return _is_pydantic(hint.item if isinstance(hint, ListHint) else hint.value)
    if isinstance(hint, UnionHint):
        return any(map(_is_pydantic, hint.members))
    return isinstance(hint, (ModelHint, ConstrainedHint))


# --- all at once ----------------------------------------------------------------------------------------


def _fit(values: Sequence[Any], hint: Hint) -> bool:
    """Whether all values are what a hint says, exactly; quick, and False where it takes a closer look."""
    if isinstance(hint, AnyHint):
        return True
    forms = set(map(type, values))
    if isinstance(hint, ScalarHint):
        if forms - {hint.python} or hint.choices:
            return False
        limit = 2 ** INTEGER_BITS[DataType.long]
        return hint.python is not int or not values or -limit <= min(values) <= max(values) < limit
    if isinstance(hint, ListHint):
        if forms - {hint.form} or (hint.length is not None and set(map(len, values)) - {hint.length}):
            return False
        return _fit(list(chain.from_iterable(values)), hint.item)
    if isinstance(hint, EncodedHint):
        return not forms - {hint.cls} and hint.cls is uuid.UUID
    if isinstance(hint, DictHint):
        if forms - {dict} or set(map(type, chain.from_iterable(values))) - {str}:
            return False
        return _fit(list(chain.from_iterable(map(dict.values, values))), hint.value)
    return False


# --- one by one -----------------------------------------------------------------------------------------


def _convert(value: Any, hint: Hint, path: str, report: Collector, from_json: bool) -> Any:
    if isinstance(hint, AnyHint):
        return value
    if isinstance(hint, ScalarHint):
        return _convert_leaf(value, hint, path, report, from_json)
    if isinstance(hint, EncodedHint):
        return _convert_encoded(value, hint, path, report, from_json)
    if isinstance(hint, ListHint):
        return _convert_listing(value, hint, path, report, from_json)
    if isinstance(hint, DictHint):
        return _convert_dictionary(value, hint, path, report, from_json)
    if isinstance(hint, RecordHint):
        return _convert_record(value, hint, path, report, from_json)
    if isinstance(hint, UnionHint):
        return _convert_either(value, hint, path, report, from_json)
    if isinstance(hint, ConstrainedHint):
        return value if hint.raw else _convert(value, hint.hint, path, report, from_json)
    return _convert_model(value, hint, path, report, from_json)


def _convert_leaf(value: Any, hint: ScalarHint, path: str, report: Collector, from_json: bool) -> Any:
    converted, reason = _as_leaf(value, hint, from_json)
    if reason:
        report.add(Code.TYPE_MISMATCH, path, hint.python.__name__, reason)
    elif hint.choices and converted not in hint.choices:
        report.add(Code.INVALID_VALUE, path, f"one of {hint.choices}"[:200], "another value")
    return converted


def _convert_encoded(value: Any, hint: EncodedHint, path: str, report: Collector, from_json: bool) -> Any:
    if not isinstance(value, hint.cls):
        builtin, reason = _as_leaf(value, hint.leaf, from_json)
        if reason:
            report.add(Code.TYPE_MISMATCH, path, hint.cls.__name__, reason)
            return value
        value = builtin
    decoded, reason = decode(value, hint)
    if reason:
        expected = describe_digits(hint) or f"a value of {hint.cls.__name__}"
        report.add(Code.INVALID_VALUE, path, expected, reason)
    return decoded


def _convert_listing(value: Any, hint: ListHint, path: str, report: Collector, from_json: bool) -> Any:
    forms = (list,) if hint.form is list else (list, tuple)
    if not isinstance(value, forms):
        report.add(Code.TYPE_MISMATCH, path, f"a {hint.form.__name__}", kind(value))
        return value
    if hint.length not in (None, len(value)):
        report.add(Code.SHAPE_MISMATCH, path, f"{hint.length} elements", f"{len(value)}")
        return value
    return hint.form(_convert(item, hint.item, f"{path}[]", report, from_json) for item in value)


def _as_leaf(value: Any, hint: ScalarHint, from_json: bool) -> tuple[Any, str]:
    """The value as the hint's Python type, and why it is none."""
    if from_json and isinstance(value, str) and hint.dtype in (DataType.binary, DataType.datetime):
        return _decoded(value, hint)
    if reason := scalar_mismatch(value, hint.dtype):
        return value, reason
    if type(value) is hint.python:
        return value, ""
    if hint.dtype is DataType.datetime:
        return _as_time(value, hint)
    builtin = value.item() if hasattr(value, "item") else value
    return (str.__str__(builtin) if hint.python is str else hint.python(builtin)), ""


def _as_time(value: Any, hint: ScalarHint) -> tuple[Any, str]:
    held = value
    if hasattr(value, "astype"):  # NumPy's, which wraps what is out of range
        micros = value.astype("datetime64[us]")
        exact = micros.astype(value.dtype) == value
        held = value.item() if value.dtype.name == "datetime64[D]" else micros.item() if exact else value
    elif hasattr(value, "to_pydatetime") and value == value and not value.nanosecond:
        held = value.to_pydatetime()
    if type(held) not in (datetime.datetime, datetime.date):
        return value, f"{kind(value)} that no {hint.python.__name__} holds exactly"
    if hint.python is datetime.datetime and type(held) is datetime.date:
        held = datetime.datetime(held.year, held.month, held.day)
    if hint.python is datetime.date and held is not value and type(held) is datetime.datetime:
        # pandas and NumPy hold a date as its midnight
        held = held.date() if held.tzinfo is None and held.time() == datetime.time() else held
    return (held, "") if type(held) is hint.python else (value, kind(value))


def _decoded(text: str, hint: ScalarHint) -> tuple[Any, str]:
    try:
        if hint.dtype is DataType.binary:
            return base64.b64decode("".join(text.split()), validate=True), ""
        if hint.python is datetime.date:
            return datetime.date.fromisoformat(text), ""
        if text.endswith(("Z", "z")):  # which Python reads from 3.11 on
            text = f"{text[:-1]}+00:00"
        return datetime.datetime.fromisoformat(text), ""
    except (ValueError, binascii.Error):
        form = "base64" if hint.dtype is DataType.binary else "ISO 8601"
        return text, f"a text that is not {form}"


def _convert_dictionary(value: Any, hint: DictHint, path: str, report: Collector, from_json: bool) -> Any:
    if not isinstance(value, dict):
        report.add(Code.TYPE_MISMATCH, path, "a dictionary", kind(value))
        return value
    for form in set(map(type, value)) - {str}:
        report.add(Code.INVALID_NAME, path, "keys that are strings", f"keys of type {form.__name__}")
    return {key: _convert(item, hint.value, f"{path}[]", report, from_json) for key, item in value.items()}


def _convert_either(value: Any, hint: UnionHint, path: str, report: Collector, from_json: bool) -> Any:
    if value is None and hint.nullable:
        return None
    member, converted, trials = _choose(value, hint, path, from_json)
    if member is not None:
        return converted
    if len(hint.members) == 1:
        report.extend(trials[0])
        return value
    deeper = [str(one) for trial in trials for one in trial.findings if one.path != path]
    report.add(Code.TYPE_MISMATCH, path, _describe(hint), kind(value), "; ".join(deeper[:3]))
    return value


def _choose(
    value: Any, hint: UnionHint, path: str, from_json: bool
) -> tuple[Hint | None, Any, list[Collector]]:
    """The member that the value is one of, else the first that it can be converted to; its result.

    Of several models for a dictionary it is the one that knows most of its keys, as pydantic chooses.
    """
    undecided = from_json and isinstance(value, str)  # it may be text, or stand for bytes or a time
    exact = [] if undecided else [member for member in hint.members if _is_exactly(value, member)]
    others = [member for member in hint.members if member not in exact]
    if isinstance(value, dict):
        others.sort(key=lambda member: -_known_keys(value, member))
    trials: list[Collector] = []
    for member in [*exact, *others]:
        trial = Collector()
        converted = _convert(value, member, path, trial, from_json)
        if not trial.findings:
            return member, converted, trials
        trials.append(trial)
    return None, value, trials


def _is_exactly(value: Any, hint: Hint) -> bool:
    hint = unwrap_hint(hint)
    if isinstance(hint, (ModelHint, RecordHint, EncodedHint)):
        return type(value) is hint.cls
    return _fit([value], hint)


def _known_keys(value: dict[Any, Any], hint: Hint) -> int:
    hint = unwrap_hint(hint)
    if not isinstance(hint, (ModelHint, RecordHint)):
        return 0
    return len(value.keys() & {key for field in hint.fields for key in (*field.keys, field.name)})


def _describe(hint: Hint) -> str:
    hint = unwrap_hint(hint)
    if isinstance(hint, ScalarHint):
        return hint.python.__name__
    if isinstance(hint, ListHint):
        items = "" if hint.form is list else ", ..." if hint.length is None else f" of {hint.length}"
        return f"{hint.form.__name__}[{_describe(hint.item)}{items}]"
    if isinstance(hint, DictHint):
        return f"dict[str, {_describe(hint.value)}]"
    if isinstance(hint, UnionHint):
        return " or ".join(_describe(member) for member in hint.members)
    return hint.cls.__name__ if isinstance(hint, (ModelHint, RecordHint, EncodedHint)) else "Any"


# --- records --------------------------------------------------------------------------------------------


def _convert_record(value: Any, hint: RecordHint, path: str, report: Collector, from_json: bool) -> Any:
    """Return an instance of a record class, or the value itself where a field does not fit."""
    given = is_record_instance(value, hint.cls)
    if not given and not isinstance(value, dict):
        name = hint.cls.__name__
        plain_only = record_kind(hint.cls) == "TypedDict"
        expected = "a dictionary" if plain_only else f"a dictionary, or an instance of {name}"
        report.add(Code.TYPE_MISMATCH, path, expected, kind(value))
        return value
    own = Collector()
    values: dict[str, Any] = {}
    for field in hint.fields:
        where = below(path, field.name)
        if given:
            present = hasattr(value, field.name)
            item = getattr(value, field.name, None)
        else:
            present, item = field.name in value, value.get(field.name)
        if field.absent == "omit" and item is None and not _allows_none(field.hint):
            continue  # a table has a null where a dictionary has no key
        if present:
            values[field.name] = _convert_field(item, field, where, own, from_json)
        elif field.absent == "none":
            values[field.name] = None
        elif given or field.absent == "error":
            own.add(Code.MISSING_FIELD, where, _describe(field.hint), "no such field")
    report.extend(own)
    if own.findings or (given and all(_is_unchanged(getattr(value, name), values[name]) for name in values)):
        return value
    try:
        return build_record(hint.cls, values, value if given else None)
    except Exception as error:  # of the user's own class; its text may hold the values
        advice = f"build it with {hint.cls.__name__}(...) to see what it says"
        found = f"values that it refuses with {type(error).__name__}"
        report.add(Code.INVALID_VALUE, path, f"values for {hint.cls.__name__}", found, advice)
        return value


def _convert_field(value: Any, field: FieldHint, path: str, report: Collector, from_json: bool) -> Any:
    own = Collector()
    converted = _convert(value, field.hint, path, own, from_json)
    report.extend(own)
    if not _is_pydantic(field.hint):
        return converted
    failed = frozenset(finding.path for finding in own.findings)
    return _validated(converted, field.hint, field.annotation, path, report, failed)


def _allows_none(hint: Hint) -> bool:
    while isinstance(hint, ConstrainedHint):
        hint = hint.hint
    return isinstance(hint, AnyHint) or (isinstance(hint, UnionHint) and hint.nullable)


def _is_unchanged(before: Any, after: Any) -> bool:
    if before is after or type(before) is not type(after):
        return before is after
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(_is_unchanged, before, after))
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_is_unchanged(before[key], after[key]) for key in before)
    return False


# --- pydantic -------------------------------------------------------------------------------------------


def _convert_model(value: Any, hint: ModelHint, path: str, report: Collector, from_json: bool) -> Any:
    """A dictionary of plain values under the keys from which pydantic reads them; an instance itself."""
    given = isinstance(value, hint.cls)
    if hint.raw and not given:
        return value
    if not given and not isinstance(value, dict):
        expected = f"a dictionary, or an instance of {hint.cls.__name__}"
        report.add(Code.TYPE_MISMATCH, path, expected, kind(value))
        return value
    held = vars(value) if given else value
    taken = {key for field in hint.fields for key in field.keys}
    prepared: dict[Any, Any] = {}
    used: set[Any] = set()
    for field in hint.fields:
        # the name, too: the signature knows the field by it
        own = [field.name] if given else [*field.keys, *({field.name} - taken)]
        keys = [key for key in own if key in held]
        used.update(own)
        where = below(path, field.name)
        if not keys:
            if given:
                report.add(Code.MISSING_FIELD, where, _describe(field.hint), "no such field")
            continue  # of a dictionary, pydantic knows whether it must be there
        if len(keys) > 1 and field.name == keys[-1] and field.name not in field.keys:
            report.add(Code.DUPLICATE_NAME, where, "one value", "two, under its name and under its alias")
        one = held[keys[0]]
        if given or not field.raw:
            one = _convert(one, field.hint, where, report, from_json and not given)
        prepared[field.keys[0] if field.keys else field.name] = one
    if given:
        return value
    return prepared | {key: beside for key, beside in held.items() if key not in used}


def _validated(
    value: Any, hint: Hint, annotation: Any, path: str, report: Collector, failed: Set[str]
) -> Any:
    """Validate a value with pydantic; errors at other paths than ``failed`` are reported."""
    import pydantic

    try:
        return _adapter(annotation).validate_python(value, strict=True)
    except pydantic.ValidationError as error:
        _add_errors(error, hint, path, report, failed)
    except Exception as error:  # of the user's own validators; its text may hold what they were given
        if not failed:
            found = f"a validator that fails with {type(error).__name__}"
            report.add(Code.INVALID_VALUE, path, "", found)
    return value


@lru_cache(maxsize=64)
def _adapter(annotation: Any) -> Any:
    import pydantic

    return pydantic.TypeAdapter(annotation)


def _add_errors(error: Any, hint: Hint, path: str, report: Collector, failed: Set[str]) -> None:
    """The errors as findings: without the input, and without what the user's own validators say of it."""
    for one in error.errors(include_url=False, include_context=False):
        where, held = _locate(hint, one["loc"], path)
        if any(where == root or where.startswith((f"{root}.", f"{root}[")) for root in failed):
            continue  # reported already
        if isinstance(held, (RecordHint, EncodedHint)) and any(root.startswith(where) for root in failed):
            continue  # it was not built, on account of what is reported already
        expected = "" if isinstance(held, AnyHint) else _describe(held)
        form, found = one["type"], kind(one["input"])
        if form in ("value_error", "assertion_error"):
            advice = "validate the row with the model itself to see what its validator says"
            report.add(Code.INVALID_VALUE, where, "", "a value that a validator of the model refuses", advice)
        elif isinstance(held, UnionHint):
            report.add(Code.TYPE_MISMATCH, where, expected, "a value that is none of these")
        elif form == "missing":
            report.add(Code.MISSING_FIELD, where, expected, "no such field")
        elif form == "extra_forbidden":
            report.add(Code.UNKNOWN_KEY, where, "", "a key that is not declared")
        elif form.endswith(("_type", "_instance_of")):
            report.add(Code.TYPE_MISMATCH, where, expected, found)
        else:
            report.add(Code.INVALID_VALUE, where, expected, f"a value against the rule {form}")


def _field(hint: Hint, key: Any) -> str:
    """The name of the field that pydantic reads from a key."""
    fields = hint.fields if isinstance(hint, (ModelHint, RecordHint)) else ()
    by_key = [field.name for field in fields if key in field.keys]
    return (by_key or [str(key)])[0]


def _locate(hint: Hint, loc: Sequence[Any], path: str) -> tuple[str, Hint]:
    """The path of a pydantic location, and the hint that stands there; it stops at a union."""
    for part in loc:
        hint = unwrap_hint(hint)
        if isinstance(hint, (ListHint, DictHint)):
            path, hint = f"{path}[]", hint.item if isinstance(hint, ListHint) else hint.value
        elif isinstance(hint, (ModelHint, RecordHint)):
            name = _field(hint, part)
            hints = [field.hint for field in hint.fields if field.name == name]
            path, hint = below(path, name), hints[0] if hints else AnyHint()
        else:
            break
    return path, unwrap_hint(hint)


def unwrap_hint(hint: Hint) -> Hint:
    """A hint without its constraints, and without its None."""
    while isinstance(hint, ConstrainedHint) or (isinstance(hint, UnionHint) and len(hint.members) == 1):
        hint = hint.hint if isinstance(hint, ConstrainedHint) else hint.members[0]
    return hint
