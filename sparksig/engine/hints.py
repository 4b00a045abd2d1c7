"""Enforcement of the type hints of Python models on rows.

Values are converted by the casting table for Python values: an int is converted for a float hint if a double
represents it exactly, a NumPy scalar becomes a Python scalar, a bool is not a number, and
text is never parsed.

* pydantic models and constraints: pydantic validates the converted values once, in strict mode. Values for a
  validator that runs before pydantic's own are not converted first. An instance of a model is returned
  unchanged after the types of its fields are checked.
* Records (dataclasses, TypedDicts, NamedTuples): instances are built from dictionaries. An instance is
  returned unchanged, unless one of its values has to be converted.
* Enum, UUID and Decimal: plain values become instances.

JSON has no bytes and no times: with ``from_json``, base64 is read for a bytes hint, and ISO 8601 for a date
or datetime hint.

Plain hints are first checked by the set of the values' Python types, level by level. Values are visited one
by one only if this check fails, or if the hint has classes.
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

from sparksig.convert.hint_tree import (
    AnyHint,
    ConstrainedHint,
    DictHint,
    Hint,
    ListHint,
    ModelHint,
    RecordHint,
    UnionHint,
)
from sparksig.convert.records import build_record, get_record_kind, is_record_instance
from sparksig.convert.scalar_hints import EncodedHint, ScalarHint
from sparksig.engine.encoded import decode, describe_digits
from sparksig.engine.findings import Collector
from sparksig.errors import Code, ContractError, below, name_type
from sparksig.scalars import INTEGER_BITS, describe_mismatch
from sparksig.types import DataType


def check_rows(rows: list[Any], hint: ListHint, *, from_json: bool = False) -> list[Any]:
    """Check rows against a type hint, and convert them, for example dictionaries to pydantic models.

    Example:
        >>> from sparksig.convert.annotations import parse_input_hint
        >>> check_rows([1, 2.5], parse_input_hint(list[float]))
        [1.0, 2.5]
    """
    if _all_fit(rows, hint.item):
        return rows
    collector = Collector()
    checked = []
    for row, value in enumerate(rows):
        collector.row = row
        if hasattr(type(value), "model_fields"):  # an instance of a model is validated already
            checked.append(_convert(value, hint.item, "[]", collector, from_json))
        else:
            checked.append(_check(value, hint.item, hint.annotation, "[]", collector, from_json))
    if collector.findings:
        raise ContractError.of("the data does not fit the type hint", collector.build_findings())
    return checked


def _check(value: Any, hint: Hint, annotation: Any, path: str, collector: Collector, from_json: bool) -> Any:
    """Convert a value by the casting table, then validate it with pydantic if its hint needs that."""
    own_collector = Collector()
    converted = _convert(value, hint, path, own_collector, from_json)
    collector.extend(own_collector)
    if not _is_pydantic(hint):
        return converted
    failed = frozenset(finding.path for finding in own_collector.findings)
    return _validate(converted, hint, annotation, path, collector, failed)


def _is_pydantic(hint: Hint) -> bool:
    """Return whether a hint has parts that pydantic validates."""
    if isinstance(hint, (ListHint, DictHint)):
        return _is_pydantic(hint.item if isinstance(hint, ListHint) else hint.value)
    if isinstance(hint, UnionHint):
        return any(map(_is_pydantic, hint.members))
    return isinstance(hint, (ModelHint, ConstrainedHint))


# --- fast check of all values ---------------------------------------------------------------------------


def _all_fit(values: Sequence[Any], hint: Hint) -> bool:
    """Return whether all values have exactly the type of a hint; False may need a check of each value."""
    if isinstance(hint, AnyHint):
        return True
    types = set(map(type, values))
    if isinstance(hint, ScalarHint):
        if types - {hint.python} or hint.choices:
            return False
        limit = 2 ** INTEGER_BITS[DataType.long]
        return hint.python is not int or not values or -limit <= min(values) <= max(values) < limit
    if isinstance(hint, ListHint):
        if types - {hint.container} or (hint.length is not None and set(map(len, values)) - {hint.length}):
            return False
        return _all_fit(list(chain.from_iterable(values)), hint.item)
    if isinstance(hint, EncodedHint):
        return not types - {hint.cls} and hint.cls is uuid.UUID
    if isinstance(hint, DictHint):
        if types - {dict} or set(map(type, chain.from_iterable(values))) - {str}:
            return False
        return _all_fit(list(chain.from_iterable(map(dict.values, values))), hint.value)
    return False


# --- conversion of single values ------------------------------------------------------------------------


def _convert(value: Any, hint: Hint, path: str, collector: Collector, from_json: bool) -> Any:
    if isinstance(hint, AnyHint):
        return value
    if isinstance(hint, ScalarHint):
        return _convert_leaf(value, hint, path, collector, from_json)
    if isinstance(hint, EncodedHint):
        return _convert_encoded(value, hint, path, collector, from_json)
    if isinstance(hint, ListHint):
        return _convert_list(value, hint, path, collector, from_json)
    if isinstance(hint, DictHint):
        return _convert_dictionary(value, hint, path, collector, from_json)
    if isinstance(hint, RecordHint):
        return _convert_record(value, hint, path, collector, from_json)
    if isinstance(hint, UnionHint):
        return _convert_union(value, hint, path, collector, from_json)
    if isinstance(hint, ConstrainedHint):
        return value if hint.raw else _convert(value, hint.hint, path, collector, from_json)
    return _convert_model(value, hint, path, collector, from_json)


def _convert_leaf(value: Any, hint: ScalarHint, path: str, collector: Collector, from_json: bool) -> Any:
    converted, reason = _to_leaf(value, hint, from_json)
    if reason:
        collector.add(Code.TYPE_MISMATCH, path, hint.python.__name__, reason)
    elif hint.choices and converted not in hint.choices:
        collector.add(Code.INVALID_VALUE, path, f"one of {hint.choices}"[:200], "a value that is not listed")
    return converted


def _convert_encoded(value: Any, hint: EncodedHint, path: str, collector: Collector, from_json: bool) -> Any:
    if not isinstance(value, hint.cls):
        builtin, reason = _to_leaf(value, hint.leaf, from_json)
        if reason:
            collector.add(Code.TYPE_MISMATCH, path, hint.cls.__name__, reason)
            return value
        value = builtin
    decoded, reason = decode(value, hint)
    if reason:
        expected = describe_digits(hint) or f"a value of {hint.cls.__name__}"
        collector.add(Code.INVALID_VALUE, path, expected, reason)
    return decoded


def _convert_list(value: Any, hint: ListHint, path: str, collector: Collector, from_json: bool) -> Any:
    accepted = (list,) if hint.container is list else (list, tuple)
    if not isinstance(value, accepted):
        collector.add(Code.TYPE_MISMATCH, path, f"a {hint.container.__name__}", name_type(value))
        return value
    if hint.length not in (None, len(value)):
        collector.add(Code.SHAPE_MISMATCH, path, f"{hint.length} elements", f"{len(value)}")
        return value
    return hint.container(_convert(item, hint.item, f"{path}[]", collector, from_json) for item in value)


def _to_leaf(value: Any, hint: ScalarHint, from_json: bool) -> tuple[Any, str]:
    """Convert a value to the hint's Python type; return it with the reason if it does not fit, else ""."""
    if from_json and isinstance(value, str) and hint.dtype in (DataType.binary, DataType.datetime):
        return _decode_json(value, hint)
    if reason := describe_mismatch(value, hint.dtype):
        return value, reason
    if type(value) is hint.python:
        return value, ""
    if hint.dtype is DataType.datetime:
        return _to_time(value, hint)
    builtin = value.item() if hasattr(value, "item") else value
    return (str.__str__(builtin) if hint.python is str else hint.python(builtin)), ""


def _to_time(value: Any, hint: ScalarHint) -> tuple[Any, str]:
    time = value
    if hasattr(value, "astype"):  # a NumPy time, whose conversion wraps around without an error
        micros = value.astype("datetime64[us]")
        exact = micros.astype(value.dtype) == value
        time = value.item() if value.dtype.name == "datetime64[D]" else micros.item() if exact else value
    elif hasattr(value, "to_pydatetime") and value == value and not value.nanosecond:
        time = value.to_pydatetime()
    if type(time) not in (datetime.datetime, datetime.date):
        return value, f"{name_type(value)} that {hint.python.__name__} cannot represent exactly"
    if hint.python is datetime.datetime and type(time) is datetime.date:
        time = datetime.datetime(time.year, time.month, time.day)
    if hint.python is datetime.date and time is not value and type(time) is datetime.datetime:
        # pandas and NumPy represent a date by its midnight
        time = time.date() if time.tzinfo is None and time.time() == datetime.time() else time
    return (time, "") if type(time) is hint.python else (value, name_type(value))


def _decode_json(text: str, hint: ScalarHint) -> tuple[Any, str]:
    try:
        if hint.dtype is DataType.binary:
            return base64.b64decode("".join(text.split()), validate=True), ""
        if hint.python is datetime.date:
            return datetime.date.fromisoformat(text), ""
        if text.endswith(("Z", "z")):  # Python 3.10 cannot parse Z
            text = f"{text[:-1]}+00:00"
        return datetime.datetime.fromisoformat(text), ""
    except (ValueError, binascii.Error):
        text_format = "base64" if hint.dtype is DataType.binary else "ISO 8601"
        return text, f"a text that is not {text_format}"


def _convert_dictionary(value: Any, hint: DictHint, path: str, collector: Collector, from_json: bool) -> Any:
    if not isinstance(value, dict):
        collector.add(Code.TYPE_MISMATCH, path, "a dictionary", name_type(value))
        return value
    for key_type in set(map(type, value)) - {str}:
        collector.add(Code.INVALID_NAME, path, "string keys", f"keys of type {key_type.__name__}")
    return {key: _convert(item, hint.value, f"{path}[]", collector, from_json) for key, item in value.items()}


def _convert_union(value: Any, hint: UnionHint, path: str, collector: Collector, from_json: bool) -> Any:
    if value is None and hint.nullable:
        return None
    member, converted, trials = _choose(value, hint, path, from_json)
    if member is not None:
        return converted
    if len(hint.members) == 1:
        collector.extend(trials[0])
        return value
    reasons = [str(finding) for trial in trials for finding in trial.findings if finding.path != path]
    collector.add(Code.TYPE_MISMATCH, path, _describe(hint), name_type(value), "; ".join(reasons[:3]))
    return value


def _choose(
    value: Any, hint: UnionHint, path: str, from_json: bool
) -> tuple[Hint | None, Any, list[Collector]]:
    """Choose the member of a union for a value: the member of its exact type, else the first that fits.

    Return the member (None if no member fits), the converted value, and the findings of each failed member.

    Among several models for a dictionary, the model that has most of its keys is tried first, as in pydantic.
    """
    is_ambiguous = from_json and isinstance(value, str)  # it may be text, bytes or a time
    exact = [] if is_ambiguous else [member for member in hint.members if _is_exact(value, member)]
    convertible = [member for member in hint.members if member not in exact]
    if isinstance(value, dict):
        convertible.sort(key=lambda member: -_count_shared_keys(value, member))
    trials: list[Collector] = []
    for member in [*exact, *convertible]:
        trial = Collector()
        converted = _convert(value, member, path, trial, from_json)
        if not trial.findings:
            return member, converted, trials
        trials.append(trial)
    return None, value, trials


def _is_exact(value: Any, hint: Hint) -> bool:
    hint = unwrap_hint(hint)
    if isinstance(hint, (ModelHint, RecordHint, EncodedHint)):
        return type(value) is hint.cls
    return _all_fit([value], hint)


def _count_shared_keys(value: dict[Any, Any], hint: Hint) -> int:
    hint = unwrap_hint(hint)
    if not isinstance(hint, (ModelHint, RecordHint)):
        return 0
    return len(value.keys() & {key for field in hint.fields for key in (*field.keys, field.name)})


def _describe(hint: Hint) -> str:
    hint = unwrap_hint(hint)
    if isinstance(hint, ScalarHint):
        return hint.python.__name__
    if isinstance(hint, ListHint):
        items = "" if hint.container is list else ", ..." if hint.length is None else f" of {hint.length}"
        return f"{hint.container.__name__}[{_describe(hint.item)}{items}]"
    if isinstance(hint, DictHint):
        return f"dict[str, {_describe(hint.value)}]"
    if isinstance(hint, UnionHint):
        return " or ".join(_describe(member) for member in hint.members)
    return hint.cls.__name__ if isinstance(hint, (ModelHint, RecordHint, EncodedHint)) else "Any"


# --- records --------------------------------------------------------------------------------------------


def _convert_record(value: Any, hint: RecordHint, path: str, collector: Collector, from_json: bool) -> Any:
    """Return an instance of a record class, or the value itself if a field does not fit."""
    is_instance = is_record_instance(value, hint.cls)
    if not is_instance and not isinstance(value, dict):
        name = hint.cls.__name__
        is_typed_dict = get_record_kind(hint.cls) == "TypedDict"
        expected = "a dictionary" if is_typed_dict else f"a dictionary, or an instance of {name}"
        collector.add(Code.TYPE_MISMATCH, path, expected, name_type(value))
        return value
    field_collector = Collector()
    values: dict[str, Any] = {}
    for field in hint.fields:
        field_path = below(path, field.name)
        if is_instance:
            present = hasattr(value, field.name)
            item = getattr(value, field.name, None)
        else:
            present, item = field.name in value, value.get(field.name)
        if field.absent == "omit" and item is None and not _allows_none(field.hint):
            continue  # a null in a table stands for a missing key
        if present:
            values[field.name] = _check(
                item, field.hint, field.annotation, field_path, field_collector, from_json
            )
        elif field.absent == "none":
            values[field.name] = None
        elif is_instance or field.absent == "error":
            field_collector.add(Code.MISSING_FIELD, field_path, _describe(field.hint), "no such field")
    collector.extend(field_collector)
    if field_collector.findings or (
        is_instance and all(_is_unchanged(getattr(value, name), values[name]) for name in values)
    ):
        return value
    try:
        return build_record(hint.cls, values, value if is_instance else None)
    except Exception as error:  # raised by the user's class; its text may contain values
        tip = f"build {hint.cls.__name__}(...) from the row to see the error"
        actual = f"values that it refuses with {type(error).__name__}"
        collector.add(Code.INVALID_VALUE, path, f"values for {hint.cls.__name__}", actual, tip)
        return value


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


def _convert_model(value: Any, hint: ModelHint, path: str, collector: Collector, from_json: bool) -> Any:
    """Convert the values of a dictionary, by the keys that pydantic reads; return an instance unchanged."""
    is_instance = isinstance(value, hint.cls)
    if hint.raw and not is_instance:
        return value
    if not is_instance and not isinstance(value, dict):
        expected = f"a dictionary, or an instance of {hint.cls.__name__}"
        collector.add(Code.TYPE_MISMATCH, path, expected, name_type(value))
        return value
    items = vars(value) if is_instance else value
    all_keys = {key for field in hint.fields for key in field.keys}
    prepared: dict[Any, Any] = {}
    used: set[Any] = set()
    for field in hint.fields:
        # the name is accepted as well as the keys, because the signature has it
        field_keys = [field.name] if is_instance else [*field.keys, *({field.name} - all_keys)]
        keys = [key for key in field_keys if key in items]
        used.update(field_keys)
        field_path = below(path, field.name)
        if not keys:
            if is_instance:
                collector.add(Code.MISSING_FIELD, field_path, _describe(field.hint), "no such field")
            continue  # pydantic reports keys that a dictionary lacks
        if len(keys) > 1 and field.name == keys[-1] and field.name not in field.keys:
            collector.add(
                Code.DUPLICATE_NAME, field_path, "one value", "two values, under its name and its alias"
            )
        item = items[keys[0]]
        if is_instance or not field.raw:
            item = _convert(item, field.hint, field_path, collector, from_json and not is_instance)
        prepared[field.keys[0] if field.keys else field.name] = item
    if is_instance:
        return value
    return prepared | {key: item for key, item in items.items() if key not in used}


def _validate(
    value: Any, hint: Hint, annotation: Any, path: str, collector: Collector, failed: Set[str]
) -> Any:
    """Validate a value with pydantic; errors at other paths than ``failed`` are reported."""
    import pydantic

    try:
        return _build_adapter(annotation).validate_python(value, strict=True)
    except pydantic.ValidationError as error:
        _add_errors(error, hint, path, collector, failed)
    except Exception as error:  # raised by the user's validator; its text may contain values
        if not failed:
            actual = f"a validator that fails with {type(error).__name__}"
            collector.add(Code.INVALID_VALUE, path, "", actual)
    return value


@lru_cache(maxsize=64)
def _build_adapter(annotation: Any) -> Any:
    import pydantic

    return pydantic.TypeAdapter(annotation)


def _add_errors(error: Any, hint: Hint, path: str, collector: Collector, failed: Set[str]) -> None:
    """Add pydantic's errors as findings, without the input and the texts of the user's validators."""
    for details in error.errors(include_url=False, include_context=False):
        error_path, part = _locate(hint, details["loc"], path)
        if any(error_path == root or error_path.startswith((f"{root}.", f"{root}[")) for root in failed):
            continue  # reported already
        if isinstance(part, (RecordHint, EncodedHint)) and any(
            root.startswith(error_path) for root in failed
        ):
            continue  # not built because of a problem that is reported already
        expected = "" if isinstance(part, AnyHint) else _describe(part)
        error_type, actual = details["type"], name_type(details["input"])
        if error_type in ("value_error", "assertion_error"):
            actual = "a value that a validator of the model refuses"
            tip = "validate the row with the model itself to see the validator's message"
            collector.add(Code.INVALID_VALUE, error_path, "", actual, tip)
        elif isinstance(part, UnionHint):
            collector.add(Code.TYPE_MISMATCH, error_path, expected, "a value of another type")
        elif error_type == "missing":
            collector.add(Code.MISSING_FIELD, error_path, expected, "no such field")
        elif error_type == "extra_forbidden":
            collector.add(Code.UNKNOWN_KEY, error_path, "", "an undeclared key")
        elif error_type.endswith(("_type", "_instance_of")):
            collector.add(Code.TYPE_MISMATCH, error_path, expected, actual)
        else:
            collector.add(Code.INVALID_VALUE, error_path, expected, f"a value against the rule {error_type}")


def _find_field(hint: Hint, key: Any) -> str:
    """Return the name of the field that pydantic reads from a key."""
    fields = hint.fields if isinstance(hint, (ModelHint, RecordHint)) else ()
    return next((field.name for field in fields if key in field.keys), str(key))


def _locate(hint: Hint, loc: Sequence[Any], path: str) -> tuple[str, Hint]:
    """Return the path and the hint of a pydantic location; the search stops at a union."""
    for part in loc:
        hint = unwrap_hint(hint)
        if isinstance(hint, (ListHint, DictHint)):
            path, hint = f"{path}[]", hint.item if isinstance(hint, ListHint) else hint.value
        elif isinstance(hint, (ModelHint, RecordHint)):
            name = _find_field(hint, part)
            hints = [field.hint for field in hint.fields if field.name == name]
            path, hint = below(path, name), hints[0] if hints else AnyHint()
        else:
            break
    return path, unwrap_hint(hint)


def unwrap_hint(hint: Hint) -> Hint:
    """Return the hint inside constraints and inside a union with None."""
    while isinstance(hint, ConstrainedHint) or (isinstance(hint, UnionHint) and len(hint.members) == 1):
        hint = hint.hint if isinstance(hint, ConstrainedHint) else hint.members[0]
    return hint
