"""The columns of a call of a ModelUDF, matched with the inputs of its model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column

from sparksig.engine.absent import Absent
from sparksig.engine.features import find_misplaced_features
from sparksig.errors import Code, ContractError, Finding, quote, suggest
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.spark import bind as binding
from sparksig.spark.bind import HAS_ARROW
from sparksig.spark.names import get_name_folding
from sparksig.types import describe


@dataclass(frozen=True)
class CallBinding:
    """The rules by which the columns of a call are matched.

    Attributes:
        inputs: the model's inputs.
        features: the names of the model's features; None if it knows none.
        absent: "forbid" requires optional columns, too.
    """

    inputs: Schema
    features: Sequence[str] | None
    absent: Absent

    def bind(
        self, columns: tuple[Column | str, ...], named: Mapping[str, Column | str]
    ) -> tuple[list[ColSpec | TensorSpec] | None, list[Column]]:
        """Return the specs of the columns (None if only the worker knows them), and the columns.

        Args:
            columns: names or Columns by position.
            named: names or Columns by the signature's names.

        Raises:
            ContractError: too many, too few, or unknown columns; all findings.
        """
        if columns and named:
            raise ContractError("pass the model's columns either by position or by name, not both")
        if columns:
            return self._match_positions(columns)
        if named:
            return self._match_names(named)
        if not self.inputs.has_input_names():
            raise ContractError(
                f"the model's inputs have no names ({self.inputs!r}): pass the columns by position"[:400]
            )
        specs = list(self.inputs)
        fold = get_name_folding()
        counts = Counter(fold(str(spec.name)) for spec in specs)
        duplicates = [quote(spec.name) for spec in specs if counts[fold(str(spec.name))] > 1]
        if duplicates:
            raise ContractError(
                f"Spark does not distinguish these names: {', '.join(duplicates)}; "
                "pass the columns by position"
            )
        optional = [quote(spec.name) for spec in specs if isinstance(spec, ColSpec) and not spec.required]
        if optional and self.absent != "forbid":
            raise ContractError(
                f"whether the table has the optional columns ({', '.join(optional)}) is not known here: "
                "pass the columns by name, or use sparksig.score(df, model)"
            )
        return specs, [binding.column(spec.name) for spec in specs]

    def _match_positions(
        self, columns: tuple[Column | str, ...]
    ) -> tuple[list[ColSpec | TensorSpec] | None, list[Column]]:
        specs = list(self.inputs)
        values = [_to_column(value) for value in columns]
        if len(columns) == 1:  # it may be a struct of all
            return (specs if len(specs) == 1 and not HAS_ARROW else None), values
        named = [value if isinstance(value, str) else None for value in columns]
        if findings := find_misplaced_features(named, self.inputs, self.features):
            raise ContractError.of("the call does not fit the model's features", findings)
        if len(columns) == len(specs):
            return specs, values
        only = specs[0]
        if isinstance(only, TensorSpec) and only.name is None:
            if len(only.shape) == 2 and only.shape[1] in (-1, len(columns)):
                return None, values
            expected = (
                f"one column of arrays, or {only.shape[1]} columns" if len(only.shape) == 2 else "one column"
            )
            finding = Finding(Code.COLUMN_COUNT, "", expected, f"{len(columns)} columns")
            raise ContractError.of("the call does not fit the model's input schema", [finding])
        names = ", ".join(quote(spec.name) if spec.name is not None else format_spec(spec) for spec in specs)
        hint = f"in this order: {names}; to leave out optional ones, give the others by name"
        finding = Finding(Code.COLUMN_COUNT, "", f"{len(specs)} columns", f"{len(columns)} columns", hint)
        raise ContractError.of("the call does not fit the model's input schema", [finding])

    def _match_names(
        self, named: Mapping[str, Column | str]
    ) -> tuple[list[ColSpec | TensorSpec] | None, list[Column]]:
        specs_by_name = {str(spec.name): spec for spec in self.inputs if spec.name is not None}
        findings = [
            Finding(
                Code.UNKNOWN_KEY,
                quote(name),
                "a column of the signature",
                "another",
                suggest(name, specs_by_name),
            )
            for name in named
            if name not in specs_by_name
        ]
        findings += [
            Finding(Code.MISSING_COLUMN, quote(name), format_spec(spec), "no such argument")
            for name, spec in specs_by_name.items()
            if (spec.required or self.absent == "forbid") and name not in named
        ]
        if findings:
            raise ContractError.of("the call does not fit the model's input schema", findings)
        specs = [spec for name, spec in specs_by_name.items() if name in named]
        return specs, [_to_column(named[str(spec.name)]) for spec in specs]


def _to_column(value: Column | str) -> Column:
    return binding.column(value) if isinstance(value, str) else value


def format_spec(spec: ColSpec | TensorSpec) -> str:
    """Return the type of a column, or a tensor, as text."""
    return describe(spec.type) if isinstance(spec, ColSpec) else repr(spec)
