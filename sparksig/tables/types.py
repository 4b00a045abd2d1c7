"""The judgement of the types of a table's columns by a contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparksig.convert.arrow import VECTOR_TYPE
from sparksig.engine.features import match_features
from sparksig.engine.plan import find_unknown_zones
from sparksig.engine.transfer import judge_tensors
from sparksig.errors import HINTS, Code, Finding, below, quote, suggest
from sparksig.lattice import IMMEDIATE, NULL, ListOf, MapOf, Scalar, Source, Struct, find_mismatches
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.source_walks import walk_source
from sparksig.spark.names import Fold
from sparksig.tables.columns import Column, format_type
from sparksig.tables.contract import RUN_COLUMN, Contract
from sparksig.tables.differences import Difference, compare_fields, list_nullable_parts, list_required_fields
from sparksig.types import AnyType, Object, describe
from sparksig.views import count_nouns
from sparksig.walks import contains

KEYS_HINT = "keys of maps are not converted: build the map again"
DUPLICATES_HINT = "Spark does not distinguish such names: drop or rename one"


def judge_types(
    contract: Contract,
    columns: Sequence[Column],
    *,
    fold: Fold = str.casefold,
    all_names: bool = False,
) -> list[Finding]:
    """Judge the types of a table's columns: all findings, in the order of the contract's columns.

    Nulls and the lengths of texts are not judged, because they depend on values.

    Args:
        contract: the contract of a model or a table.
        columns: the columns of the table.
        fold: folds names as the readers of the table compare them.
        all_names: whether undeclared columns must have different names, too, as in a file.

    Example:
        >>> from sparksig.lattice import Decimal, Field
        >>> from sparksig.tables.columns import build_declared_column
        >>> from sparksig.tables.contract import resolve_contract
        >>> table = [build_declared_column(Field("total", Decimal(8, 1)))]
        >>> [str(finding) for finding in judge_types(resolve_contract("total decimal(10,2)"), table)]
        ["total: expected decimal(10,2), got decimal(8,1) (cast it, or pass types='lossless') [TYPE_MISMATCH]"]
    """  # noqa: E501  as it is printed
    if contract.is_table:
        findings = _judge_table(contract, columns, fold)
    else:
        findings = match_columns(contract, columns, fold=fold).findings
    if contract.extra == "forbid":
        findings += find_extra_columns(contract, columns, fold)
    if all_names:
        findings += find_duplicate_columns(columns, fold)
    return list(dict.fromkeys(findings))


def find_extra_columns(
    contract: Contract, columns: Sequence[Column], fold: Fold = str.casefold
) -> list[Finding]:
    """Return a finding for each undeclared column, except the column of run ids.

    Args:
        contract: the contract; if its columns have no names, no column is undeclared.
        columns: the columns of the table.
        fold: folds names as the readers of the table compare them.
    """
    if not contract.names:
        return []
    declared = set(contract.names)
    hint = "drop it, declare it, or pass extra='allow'"
    return [
        Finding(Code.EXTRA_COLUMN, quote(column.name), "no such column", column.text, hint)
        for column in columns
        if column.name not in declared and fold(column.name) != RUN_COLUMN
    ]


# --- names --------------------------------------------------------------------------------------------------


def find_duplicate_columns(columns: Sequence[Column], fold: Fold) -> list[Finding]:
    """Report all columns whose names readers do not distinguish."""
    names: dict[str, list[str]] = {}
    for column in columns:
        names.setdefault(fold(column.name), []).append(column.name)
    return [
        _build_duplicate(name, equal)
        for equal in names.values()
        if len(equal) > 1
        for name in dict.fromkeys(equal)
    ]


def _build_duplicate(name: str, names: Sequence[str]) -> Finding:
    actual = ", ".join(map(quote, names))
    return Finding(Code.DUPLICATE_NAME, quote(name), "one column of that name", actual, DUPLICATES_HINT)


def find_duplicate_fields(source: Source, path: str, fold: Fold) -> list[Finding]:
    """Report fields of structs, at every depth, whose names readers do not distinguish."""
    findings: list[Finding] = []
    expected = "one field of that name"
    for where, part in walk_source(source, path):
        names = [field.name for field in part.fields] if isinstance(part, Struct) else []
        last = {fold(name): index for index, name in enumerate(names)}
        repeated = [name for index, name in enumerate(names) if last[fold(name)] > index]
        findings += [
            Finding(Code.DUPLICATE_NAME, below(where, name), expected, "several", DUPLICATES_HINT)
            for name in repeated
        ]
    return findings


class _Names:
    """The columns of a table by their exact and by their folded names."""

    def __init__(self, columns: Sequence[Column], fold: Fold) -> None:
        self._fold, self.names = fold, [column.name for column in columns]
        self._exact: dict[str, Column] = {}
        self._folded: dict[str, list[str]] = {}
        for column in columns:
            self._exact.setdefault(column.name, column)
            self._folded.setdefault(fold(column.name), []).append(column.name)

    def find(self, name: str, expected: str | None, findings: list[Finding]) -> Column | None:
        """Return the column of a name; add a finding if there are several, or an expected one is missing."""
        column = self._exact.get(name)
        duplicates = self._folded.get(self._fold(name), [])
        if column is not None and len(duplicates) > 1:
            findings.append(_build_duplicate(name, duplicates))
            return None
        if column is None and expected is not None:
            hint = suggest(name, self.names if len(findings) < HINTS else ())
            findings.append(Finding(Code.MISSING_COLUMN, quote(name), expected, "no such column", hint))
        return column


# --- a model's contract: the casting table ------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """The columns of a table that a model's contract declares.

    Attributes:
        pairs: each column with its declaration; None for the columns of an unnamed tensor.
        findings: all reasons why the table does not fit.
        row: the only declared column, if each row of the table is one value of it, an object.
    """

    pairs: list[tuple[ColSpec | TensorSpec | None, Column]]
    findings: list[Finding]
    row: ColSpec | None = None


def match_columns(
    contract: Contract,
    columns: Sequence[Column],
    *,
    fold: Fold = str.casefold,
    by_position: bool = False,
) -> Match:
    """Match the columns of a table with a model's contract, and judge their types.

    Named columns are found by their exact names (case sensitive). Unnamed columns are found by the names of
    the model's features, if it knows them, else by their positions.

    Args:
        contract: the contract of a model.
        columns: the columns of the table.
        fold: folds names as the readers of the table compare them.
        by_position: whether the caller has chosen the columns, for a contract without names.
    """
    schema = contract.schema
    if not by_position and (row := _find_row_object(schema, columns)) is not None:
        row_type = Struct(tuple(column.field for column in columns))
        return Match([], find_mismatches(row_type, row.type, "", row.required), row)
    if schema.has_input_names():
        return _match_names(contract, columns, fold)
    chosen = list(columns)
    if not by_position:
        nested = bool(columns) and isinstance(columns[0].field.source, (ListOf, MapOf, Struct))
        names = [column.name for column in columns]
        positions, missing = match_features(names, schema, contract.features, is_nested=nested)
        if missing:
            return Match([], missing)
        chosen = chosen if positions is None else [columns[position] for position in positions]
    return _match_positions(schema, chosen)


def _find_row_object(schema: Schema, columns: Sequence[Column]) -> ColSpec | None:
    """Return the only column of a contract, if it is an unnamed object and each row is such an object."""
    spec = schema.inputs[0]
    if schema.has_input_names() or len(schema) > 1 or not isinstance(spec, ColSpec):
        return None
    if not isinstance(spec.type, Object):
        return None
    is_column = len(columns) == 1 and isinstance(columns[0].field.source, (Struct, MapOf))
    return None if is_column else spec


def _match_names(contract: Contract, columns: Sequence[Column], fold: Fold) -> Match:
    schema, names = contract.schema, _Names(columns, fold)
    findings: list[Finding] = []
    pairs: list[tuple[ColSpec | TensorSpec | None, Column]] = []
    tensors: list[Column] = []
    for spec in schema:
        required = isinstance(spec, TensorSpec) or spec.required or contract.missing == "forbid"
        text = describe(spec.type) if isinstance(spec, ColSpec) else repr(spec)
        column = names.find(str(spec.name), text if required else None, findings)
        if column is None:
            continue
        pairs.append((spec, column))
        if isinstance(spec, ColSpec):
            findings += _judge_column(column, spec, fold)
        else:
            tensors.append(column)
    if tensors and not findings:
        findings = _judge_tensors(schema, tensors)
    if not pairs and not findings:
        expected = "at least one of the contract's columns, which are all optional"
        findings.append(Finding(Code.MISSING_COLUMN, "", expected, "none of them"))
    return Match(pairs, findings)


def _match_positions(schema: Schema, columns: Sequence[Column]) -> Match:
    specs = list(schema)
    if isinstance(specs[0], TensorSpec):
        return Match([(None, column) for column in columns], _judge_tensors(schema, columns))
    if len(columns) != len(specs):
        hint = "choose them by columns=[...]"
        expected = f"{count_nouns(len(specs), 'column')}, without names"
        actual = count_nouns(len(columns), "column")
        return Match([], [Finding(Code.COLUMN_COUNT, "", expected, actual, hint)])
    pairs: list[tuple[ColSpec | TensorSpec | None, Column]] = list(zip(specs, columns))
    findings: list[Finding] = []
    for spec, column in pairs:
        if isinstance(spec, ColSpec):
            findings += _judge_column(column, spec, str.casefold)
    return Match(pairs, findings)


def _judge_column(column: Column, spec: ColSpec, fold: Fold) -> list[Finding]:
    """Judge one column by the casting table."""
    path = quote(column.name)
    findings = [
        replace(finding, actual=column.text) if finding.path == path and finding.actual else finding
        for finding in find_mismatches(column.field.source, spec.type, path, spec.required)
    ]
    if not findings and column.arrow is not None:
        findings = find_unknown_zones(column.arrow, spec.type, path)
    if not findings and column.arrow is None and contains(spec.type, lambda part: isinstance(part, AnyType)):
        findings = _find_unreachable(column.field.source, path)
    return findings + find_duplicate_fields(column.field.source, path, fold)


def _find_unreachable(source: Source, path: str) -> list[Finding]:
    """Report types, at every depth, that Spark cannot pass to Python."""
    hint = "cast it explicitly, or drop it"
    return [
        Finding(Code.UNSUPPORTED_TYPE, where, "a type that reaches Python", str(part), hint)
        for where, part in walk_source(source, path, keys=True)
        if isinstance(part, Scalar) and part.name not in IMMEDIATE and part != NULL
    ]


def _judge_tensors(schema: Schema, columns: Sequence[Column]) -> list[Finding]:
    """Return the engine's verdict on columns that are read as tensors."""
    findings = []
    prepared = []
    for index, column in enumerate(columns):
        spec = schema.inputs[index if schema.has_input_names() else 0]
        is_vector = getattr(column.field.source, "kind", "") == "vector"
        arrow = VECTOR_TYPE.field("values").type if is_vector else column.arrow
        if arrow is None:
            hint = f"Spark cannot pass values of the type {column.text} to Python"
            findings.append(Finding(Code.TYPE_MISMATCH, quote(column.name), repr(spec), column.text, hint))
        prepared.append((column.name, arrow, column.text))
    return findings or judge_tensors(schema, prepared)


# --- a table's contract: the declared types -----------------------------------------------------------------


def judge_nulls(contract: Contract, columns: Sequence[Column]) -> list[Finding]:
    """Report columns and fields that are declared nullable, but not null in a table's contract.

    This compares two declarations, not the values of a table.

    Args:
        contract: the contract of a table.
        columns: the columns that another contract declares.
    """
    actual = {column.name: column.field for column in columns}
    return [
        Finding(
            Code.NULL_IN_REQUIRED,
            path,
            f"{format_type(part.source)} not null",
            f"{format_type(part.source)} that may be null",
            "declare NOT NULL in both contracts, or in neither",
        )
        for declared in contract.columns
        if declared.name in actual
        for path, part in list_nullable_parts(declared.field, actual[declared.name], quote(declared.name))
    ]


def _judge_table(contract: Contract, columns: Sequence[Column], fold: Fold) -> list[Finding]:
    names = _Names(columns, fold)
    findings: list[Finding] = []
    for declared in contract.columns:
        how = contract.filled.get(declared.name)
        optional = how is not None or (
            contract.missing == "allow" and not list_required_fields(declared.field, declared.name)
        )
        column = names.find(declared.name, None if optional else declared.text, findings)
        if column is None:
            continue
        path = quote(declared.name)
        if how == "always":
            hint = "drop it: the table numbers it itself (GENERATED ALWAYS AS IDENTITY)"
            findings.append(Finding(Code.EXTRA_COLUMN, path, "no values", column.text, hint))
        elif declared.name not in contract.partitions:
            for difference in compare_fields(declared.field, column.field, path):
                findings += _judge_difference(difference, contract, declared, column)
        findings += find_duplicate_fields(column.field.source, path, fold)
    return findings


def _judge_difference(
    difference: Difference, contract: Contract, declared: Column, column: Column
) -> list[Finding]:
    expected, actual, path = difference.expected, difference.actual, difference.path
    top = path == quote(column.name)
    if difference.verdict == "missing" and expected is not None:
        if contract.missing == "allow" and not list_required_fields(expected, path):
            return []
        return [Finding(Code.MISSING_FIELD, path, format_type(expected.source), "no such field")]
    if difference.verdict == "extra" and actual is not None:
        hint = "drop it, declare it, or pass extra='allow'"
        text = format_type(actual.source)
        forbidden = contract.extra == "forbid"
        return [Finding(Code.UNKNOWN_KEY, path, "no such field", text, hint)] if forbidden else []
    widened = difference.verdict == "widened"
    if difference.verdict == "same" or (widened and contract.types == "lossless"):
        return []
    assert expected is not None
    assert actual is not None
    hint = "cast it, or pass types='lossless'" if widened else "cast it explicitly"
    if difference.verdict == "key":
        hint = KEYS_HINT
    texts = (
        (declared.text, column.text) if top else (format_type(expected.source), format_type(actual.source))
    )
    return [Finding(Code.TYPE_MISMATCH, path, *texts, hint)]
